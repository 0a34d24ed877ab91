//! `hearth follow`: what is new and what comes, over lost connections.

use hearth_console::signals;
use hearth_session::client::{Event, Events, Heard};
use tokio::io::AsyncReadExt as _;

use super::{Result, outcome, shell::Shell};
use crate::failure::{Failure, exit};

/// Prints what is new and what comes until end of input or a signal. What is there already is printed in any case, even where
/// standard input is empty.
pub(super) async fn run(shell: &mut Shell, mut events: Events) -> Result<()> {
    let mut stop = std::pin::pin!(signals::stop());
    let mut end = std::pin::pin!(end_of_input());
    let mut lied: Option<Failure> = None;
    // The end of input ends nothing before what is there was printed.
    let mut printed = false;
    loop {
        let heard = tokio::select! {
            // First, so that a signal never finds the default once the relay is talked to.
            biased;
            () = &mut stop => break,
            heard = events.next() => heard,
            () = &mut end, if printed => break,
        };
        match heard {
            None => break,
            Some(Heard::Lagged(_)) => {}
            Some(Heard::Told(told)) if *told.room == *shell.room => match &told.event {
                Event::Ended(why) => return Err(Failure::from(&**why)),
                Event::Down { why: Some(why), .. } if !why.is_connection() => {
                    return Err(Failure::from(&**why));
                }
                Event::Down { why, .. } => {
                    if let Some(why) = why {
                        shell.out.remark(&format!("{why}; trying again."));
                    }
                    continue;
                }
                Event::Over(block) => {
                    shell.out.remark(&outcome::over_words(block, &shell.view()));
                    shell.tell_held();
                    if !printed {
                        continue;
                    }
                }
                // The first attempt to connect has not ended.
                Event::Rows | Event::View if !printed => continue,
                event => shell.remark(event),
            },
            Some(Heard::Told(_)) => continue,
        }
        match shell.print_rows(false, false).await {
            Err(failure) if failure.exit == exit::LIED => lied = Some(failure),
            result => {
                result?;
            }
        }
        printed = true;
    }
    lied.map_or(Ok(()), Err)
}

/// Resolves at end of standard input, or at a signal to stop.
async fn end_of_input() {
    let read = async {
        let mut stdin = tokio::io::stdin();
        let mut sink = [0; 1024];
        while !matches!(stdin.read(&mut sink).await, Ok(0) | Err(_)) {}
    };
    tokio::select! {
        () = read => {}
        () = signals::stop() => {}
    }
}
