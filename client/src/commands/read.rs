//! Reading: what is new, and what comes.

use hearth_console::signals;
use hearth_engine::{
    EngineError, Room,
    accord::Mismatch,
    room::any_alarm,
    state::{Row, RowContent},
};
use hearth_protocol::{Millis, Seq};
use hearth_session::live::{Live, LiveError};
use tokio::io::AsyncReadExt as _;

use super::{Result, inside::enter_once};
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
    let (store, crypto, name) = room.parts();
    let mut stop = std::pin::pin!(signals::stop());
    let mut end = std::pin::pin!(end_of_input());
    let mut backoff = hearth_session::backoff::Backoff::new();
    let mut room = Some(room);
    let mut lied: Option<Failure> = None;
    let mut told = false;
    'connected: loop {
        let this = match room.take() {
            Some(room) => room,
            None => Room::open(store, crypto, &name)?,
        };
        let entered = tokio::select! {
            // First, so that a signal never finds the default once the relay is talked to.
            biased;
            () = &mut stop => break,
            entered = enter_once(out, this, &mut told) => entered,
        };
        let error = match entered {
            Err(error) => error,
            Ok(mut live) => loop {
                backoff = hearth_session::backoff::Backoff::new();
                match print_rows(&mut live.room, out, false, false) {
                    Err(failure) if failure.exit == exit::LIED => lied = Some(failure),
                    result => {
                        result?;
                    }
                }
                // Both are safe to cancel here: the process ends, and the store is always consistent.
                tokio::select! {
                    biased;
                    step = step(&mut live) => if let Err(error) = step { break error },
                    () = &mut stop => break 'connected,
                    () = &mut end => break 'connected,
                }
            },
        };
        if !error.is_connection() {
            return Err(error.into());
        }
        out.remark(&format!("{error}; trying again."));
        tokio::select! {
            () = &mut stop => break,
            () = &mut end => return Err(error.into()),
            () = tokio::time::sleep(backoff.next_delay()) => {}
        }
    }
    lied.map_or(Ok(()), Err)
}

/// Does what is due, sends what waits, and waits for the next thing to come.
async fn step(live: &mut Live<'_>) -> Result<(), LiveError> {
    let before = live.room.cursor().seq;
    live.tend().await?;
    match live.flush().await {
        Ok(()) | Err(LiveError::Refused { .. }) => {}
        Err(error) if error.holds_back() => {}
        Err(error) => return Err(error),
    }
    // What came in meanwhile, or was noticed, is printed before anything else is waited for.
    if live.room.cursor().seq == before && live.room.untold()?.is_empty() {
        live.next_or_due().await?;
    }
    Ok(())
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
