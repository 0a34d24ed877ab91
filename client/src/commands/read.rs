//! Reading: what is new, and what comes.

use hearth_console::signals;
use hearth_engine::{
    EngineError, Room,
    accord::Mismatch,
    room::any_alarm,
    state::{Row, RowContent},
};
use hearth_protocol::{Millis, Seq};
use hearth_session::{
    live::LiveError,
    network::Network,
    session::{Event, Session},
};
use hearth_text::escape;
use tokio::io::AsyncReadExt as _;

use super::{
    Result,
    inside::{tell_missed, tell_of_connection},
};
use crate::{
    failure::{Failure, exit},
    show::{Output, View},
};

/// Rows of history read at once.
const PAGE: usize = 256;

/// Returns the time before which nothing is shown, by this computer's clock: what is older is kept no longer, and is erased when
/// this profile next connects.
pub(super) fn kept_since(room: &mut Room<'_>) -> Result<Millis> {
    match room.kept_since() {
        // Out of the room, what this profile has stays its own.
        Err(EngineError::NotMember(_)) => Ok(Millis(0)),
        since => Ok(since?),
    }
}

/// Takes the content from a row that is kept no longer; what was noticed about it stays.
pub(super) fn expire(row: &mut Row, since: Millis) {
    // A row without a time says what expired unread.
    if row.arrived < since && row.arrived > Millis(0) {
        row.content = RowContent::Nothing;
    }
}

/// Prints rows that were not shown yet, or all, and says so if there are none.
pub(super) fn read(room: &mut Room<'_>, out: &Output, all: bool, held: bool) -> Result<()> {
    if !print_rows(room, out, all, held)? {
        out.say_none(if all { "The history is empty." } else { "You have read everything." })?;
    }
    Ok(())
}

/// Prints rows that were not shown yet, or all; then remembers that they were. Returns whether there were any.
pub(super) fn print_rows(room: &mut Room<'_>, out: &Output, all: bool, held: bool) -> Result<bool> {
    let (mut alarm, mut any) = (false, false);
    let shown = room.state().shown;
    let since = kept_since(room)?;
    let mut from = if all { Seq(0) } else { Seq(shown.0.saturating_add(1)) };
    loop {
        let mut rows = room.history(from, PAGE)?;
        rows.iter_mut().for_each(|row| expire(row, since));
        let Some(last) = rows.last().map(|r| r.place) else { break };
        let state = room.state();
        let view = View { room: &state.local_name, me: room.me(), muted: &state.muted, held };
        for row in &rows {
            any |= view.row(out, row)?;
        }
        let fresh: Vec<Row> = rows.into_iter().filter(|r| r.place > shown).collect();
        alarm |= any_alarm(&fresh);
        room.mark_shown(last)?;
        from = Seq(last.0.saturating_add(1));
    }
    any |= !room.untold()?.is_empty();
    alarm |= tell_mismatches(room, out)?;
    if alarm { Err(not_verified()) } else { Ok(any) }
}

/// Why a command that showed alarms fails.
pub(super) fn not_verified() -> Failure {
    Failure::new(
        exit::LIED,
        "verification_failed",
        "something in the room does not verify; the lines marked !! say what",
        "What verifies was shown. Tell a facilitator by another way.",
    )
}

/// Prints what the relay does and no record says, each once while it lasts; returns whether an alarm was among it.
pub(super) fn tell_mismatches(room: &mut Room<'_>, out: &Output) -> Result<bool> {
    let untold = room.untold()?;
    if untold.is_empty() {
        return Ok(false);
    }
    let names = room.known_names()?;
    let state = room.state();
    let view = View { room: &state.local_name, me: room.me(), muted: &state.muted, held: false };
    for what in &untold {
        view.mismatch(out, what, &names)?;
    }
    room.mark_told()?;
    Ok(untold.iter().any(Mismatch::is_alarm))
}

/// Prints what is new and what comes, over lost connections, until end of input or a signal.
///
/// What is there already is printed in any case, even where standard input is empty.
pub(super) async fn follow(room: Room<'_>, out: &Output) -> Result<()> {
    let mut stop = std::pin::pin!(signals::stop());
    let mut end = std::pin::pin!(end_of_input());
    let mut session = Session::new(Network::machine(), room, |missed| tell_missed(out, missed));
    let mut lied: Option<Failure> = None;
    let mut told_classical = false;
    // The end of input ends nothing before what is there was printed.
    let mut printed = false;
    loop {
        // Both are safe to cancel: the process ends, and the store is always consistent.
        let event = tokio::select! {
            // First, so that a signal never finds the default once the relay is talked to.
            biased;
            () = &mut stop => break,
            event = session.next() => event?,
            () = &mut end, if printed => break,
        };
        match event {
            Event::Up(up) => tell_of_connection(out, up, &mut told_classical),
            Event::Down { why: Some(error), .. } if !error.is_connection() => {
                return Err(error.into());
            }
            Event::Down { why, .. } => {
                if let Some(error) = why {
                    out.remark(&format!("{error}; trying again."));
                }
                continue;
            }
            Event::Trouble(error) => tell_trouble(out, error),
            Event::News | Event::Knock => {}
        }
        match print_rows(session.room()?, out, false, false) {
            Err(failure) if failure.exit == exit::LIED => lied = Some(failure),
            result => {
                result?;
            }
        }
        printed = true;
    }
    lied.map_or(Ok(()), Err)
}

/// Says what is in the way of something that is due.
pub(super) fn tell_trouble(out: &Output, error: LiveError) {
    let failure = Failure::from(error);
    let advice = out.advice(&failure.advice);
    out.remark(&format!("-- {}. {advice}", escape::one_line(&failure.message)));
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
