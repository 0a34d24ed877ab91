//! `hearth follow`: what is new and what comes, over lost connections.

use std::{
    io::{IsTerminal as _, Write as _},
    process::{Child, Stdio},
};

use futures_util::FutureExt as _;
use hearth_console::signals;
use hearth_session::client::{Client, Event, Heard, Link};
use tokio::{io::AsyncReadExt as _, time::sleep_until};

use super::{Result, displayed::gone_words, outcome, shell::Shell, yes};
use crate::{
    failure::{Failure, exit},
    show::Output,
};

/// Commands of `--on-flag` that run at one time.
const RUNNING_MAX: usize = 8;

/// Prints what is new and what comes until somebody stops it. What is there already is printed before `until.end` is heeded.
pub(super) async fn run<S: Future<Output = ()>, E: Future<Output = ()>>(
    client: &Client,
    room: &str,
    out: &Output,
    on_flag: Option<&str>,
    until: Until<S, E>,
) -> Result<()> {
    // Before anything is connected, so that a signal ends it as such from then on.
    let mut stop = std::pin::pin!(until.stop);
    if stop.as_mut().now_or_never().is_some() {
        return Ok(());
    }
    let mut events = client.events();
    let shell = &mut Shell::new(client, room, out).await?;
    let mut end = std::pin::pin!(until.end);
    let mut lied: Option<Failure> = None;
    // The end of input ends nothing before what is there was printed.
    let mut printed = false;
    let mut pager = Pager::new(on_flag);
    let mut standing = shell.view().standing.clone();
    // Another window may have connected already.
    if !matches!(shell.view().link, Link::Connecting) {
        lied = shown(shell).await?;
        printed = true;
        pager.tell(shell)?;
    }
    loop {
        let rings_at = shell.rings_at();
        let rings = async {
            match rings_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let heard = tokio::select! {
            // First, so that a signal never finds the default once the relay is talked to.
            biased;
            () = &mut stop => break,
            heard = events.next() => heard,
            () = rings => {
                pager.tell(shell)?;
                continue;
            }
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
                    if let Some(words) = outcome::over_words(block, &shell.view()) {
                        shell.out.remark(&shell.out.advice(&words));
                    }
                    shell.tell_held();
                    if !printed {
                        continue;
                    }
                }
                // The first attempt to connect has not ended.
                Event::Rows | Event::View if !printed => continue,
                Event::Up(_) => {
                    shell.remark(&told.event);
                    shell.remark_presence();
                }
                event => shell.remark(event),
            },
            Some(Heard::Told(_)) => continue,
        }
        lied = shown(shell).await?.or(lied);
        let view = shell.view();
        let before = std::mem::replace(&mut standing, view.standing.clone());
        if (!printed || before != view.standing)
            && let Some(words) = yes::standing(&view, &before)
        {
            shell.out.remark(&shell.out.advice(&words));
        }
        printed = true;
        pager.tell(shell)?;
        let gone = shell.taken_back().await?;
        // Programs read it in the row of the retraction.
        if !gone.is_empty() && !shell.out.is_json() {
            let gone = gone_words(&gone);
            shell.out.remark(&format!("-- {gone}. The words may still stand above"));
        }
    }
    lied.map_or(Ok(()), Err)
}

/// Calls a person for calls for help, beside printing them.
struct Pager<'a> {
    command: Option<&'a str>,
    running: Vec<Child>,
}

impl<'a> Pager<'a> {
    const fn new(command: Option<&'a str>) -> Self {
        Self { command, running: Vec::new() }
    }

    /// Tells how far the own call is, and of calls of others; rings, and runs the command once for each new call.
    fn tell(&mut self, shell: &Shell) -> Result<()> {
        shell.tell_call()?;
        let (rings, new) = shell.tell_calls()?;
        if rings && std::io::stderr().is_terminal() {
            // Nobody can be told that the terminal is closed.
            let _ = std::io::stderr().write_all(b"\x07");
        }
        self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let Some(command) = self.command.filter(|_| new > 0) else { return Ok(()) };
        if self.running.len() >= RUNNING_MAX {
            shell.out.remark("-- the command of --on-flag still runs for earlier calls; it was not started again");
            return Ok(());
        }
        let mut shell_command = std::process::Command::new("sh");
        // It gets no words and no names: a list of processes is read by others.
        shell_command.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::null());
        match shell_command.spawn() {
            Ok(child) => self.running.push(child),
            Err(error) => {
                shell.out.remark(&format!("-- the command of --on-flag did not start: {error}"))
            }
        }
        Ok(())
    }
}

/// Prints what is new; returns the failure that alarms among it end in.
async fn shown(shell: &Shell) -> Result<Option<Failure>> {
    match shell.print_rows(false, false).await {
        Err(failure) if failure.exit == exit::LIED => Ok(Some(failure)),
        result => result.map(|_| None),
    }
}

/// What ends it.
pub(super) struct Until<S, E> {
    /// At once.
    pub(super) stop: S,
    /// Once what is there was printed.
    pub(super) end: E,
}

/// A signal ends it, and the end of standard input.
pub(super) fn until_stopped() -> Until<impl Future<Output = ()>, impl Future<Output = ()>> {
    Until { stop: signals::stop(), end: end_of_input() }
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
