//! Sealed notes over the room's connection: sent, fetched, judged, and dropped at the relay once they are in the store.

use std::time::Duration;

use hearth_engine::{Room, notes::TakenNote, state::Standing};
use hearth_protocol::{
    ClientFrame, Millis, NoteId, RejectCode, ServerFrame, limits::NOTES_DROPPED_MAX,
};
use tokio::time::Instant;

use super::{Live, LiveError, Result, door};
use crate::{
    connection::{Connection, RequestError},
    network::Network,
};

/// Batches that are fetched at one time; a relay that always has more is asked again with the next notice or connection.
const BATCHES_MAX: usize = 64;
/// Wait after a refusal that passes, where the relay names no time.
const AGAIN: Duration = Duration::from_secs(60);
/// Longest wait for another attempt.
const AGAIN_MAX: Duration = Duration::from_secs(3600);

/// Notes over one connection.
#[derive(Debug)]
pub(super) struct Notes {
    /// Whether some may wait at the relay.
    wait: bool,
    /// Whether what is over was deleted.
    tidied: bool,
    /// When a refused note is tried again.
    retry: Option<Instant>,
}

impl Default for Notes {
    fn default() -> Self {
        Self { wait: true, tidied: false, retry: None }
    }
}

impl Notes {
    /// A note waits, as the relay says.
    pub(super) const fn arrived(&mut self) {
        self.wait = true;
    }
}

impl Live<'_> {
    /// Sends the notes that wait here, and reads those that wait at the relay.
    ///
    /// # Errors
    /// What ends the connection, and of the own store; see [`LiveError`].
    pub(super) async fn tend_notes(&mut self) -> Result<()> {
        if self.room.policy()?.desk.is_none() {
            return Ok(());
        }
        let now = self.earlier_now();
        if !std::mem::replace(&mut self.notes.tidied, true) {
            self.room.tidy_notes(now)?;
        }
        self.exchange_notes_here().await
    }

    /// Sends the notes that wait here, and reads those that wait at the relay, whether or not this profile is in the room.
    pub(super) async fn exchange_notes_here(&mut self) -> Result<()> {
        let now = self.earlier_now();
        self.send_notes().await?;
        if self.notes.wait {
            let read = fetch(&mut self.connection, &mut self.room, now).await?;
            self.notes.wait = false;
            if read {
                self.lanes.changed_beside();
            }
        }
        Ok(())
    }

    /// Sends the notes that wait here.
    ///
    /// # Errors
    /// What ends the connection; see [`LiveError`].
    pub async fn send_notes(&mut self) -> Result<()> {
        if self.notes.retry.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        let (retry, changed) = send(&mut self.connection, &mut self.room).await?;
        self.notes.retry = retry.map(|wait| Instant::now() + wait);
        if changed {
            self.lanes.changed_beside();
        }
        Ok(())
    }

    /// Returns when a refused note is tried again.
    pub(super) const fn notes_due(&self) -> Option<Instant> {
        self.notes.retry
    }

    /// Sends and reads the notes of a room that this profile is no longer in, over a connection of its own: who lapsed may call for
    /// help, and is answered.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn exchange_notes(network: &Network, room: &mut Room<'_>) -> Result<()> {
        if room.state().standing == Standing::Knocking {
            return Ok(());
        }
        let address = room.state().address();
        let mut connection = Box::pin(Connection::open(network, &address)).await?;
        door::authenticate(&mut connection, room).await?;
        let now = room.now().min(connection.server_now());
        send(&mut connection, room).await?;
        fetch(&mut connection, room, now).await?;
        connection.close().await;
        Ok(())
    }
}

/// Sends what waits; returns for how long to wait if one is refused for now, and whether anything changed.
async fn send(
    connection: &mut Connection,
    room: &mut Room<'_>,
) -> Result<(Option<Duration>, bool)> {
    let (mut wait, mut changed): (Option<Duration>, bool) = (None, false);
    let id = room.id();
    for note in room.notes_to_send()? {
        let sent = connection
            .request(|req| ClientFrame::SendNote {
                req,
                room: id,
                note: note.id,
                to: note.to,
                sealed: note.sealed.clone(),
            })
            .await;
        let refused = match sent {
            Ok(ServerFrame::Done { .. }) => None,
            Ok(_) => return Err(LiveError::UnexpectedReply),
            Err(RequestError::Rejected { code, retry_at }) if passes(code) => {
                let left = retry_at.map(|at| at.0.saturating_sub(connection.server_now().0));
                let left = left.map_or(AGAIN, Duration::from_millis).clamp(AGAIN / 60, AGAIN_MAX);
                wait = Some(wait.map_or(left, |before| before.min(left)));
                continue;
            }
            Err(RequestError::Rejected { code, .. }) => Some(code),
            Err(error) => return Err(error.into()),
        };
        room.note_answered(&note, refused)?;
        changed = true;
    }
    Ok((wait, changed))
}

/// Whether a refused note may pass later.
const fn passes(code: RejectCode) -> bool {
    matches!(
        code,
        RejectCode::RateLimited
            | RejectCode::StoreUnavailable
            | RejectCode::QuotaSpent
            | RejectCode::ShuttingDown
    )
}

/// Reads what waits at the relay; returns whether there was anything. It is dropped there once it is in the store.
async fn fetch(connection: &mut Connection, room: &mut Room<'_>, now: Millis) -> Result<bool> {
    let (id, mut read) = (room.id(), false);
    for _ in 0..BATCHES_MAX {
        let reply = connection.request(|req| ClientFrame::Notes { req, room: id }).await?;
        let ServerFrame::Notes { notes, more, .. } = reply else {
            return Err(LiveError::UnexpectedReply);
        };
        let mut done: Vec<NoteId> = Vec::new();
        for note in &notes {
            read |= room.take_note(note.note, &note.sealed, now)? != TakenNote::Unread;
            done.push(note.note);
        }
        for ids in done.chunks(NOTES_DROPPED_MAX) {
            let notes = ids.to_vec();
            let dropped =
                connection.request(|req| ClientFrame::DropNotes { req, room: id, notes }).await?;
            if !matches!(dropped, ServerFrame::Done { .. }) {
                return Err(LiveError::UnexpectedReply);
            }
        }
        if !more || notes.is_empty() {
            break;
        }
    }
    Ok(read)
}
