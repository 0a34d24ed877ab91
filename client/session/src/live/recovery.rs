//! Going on after a restored backup, a split, or being left behind.

use hearth_engine::{EngineError, Room};
use hearth_protocol::{ClientFrame, Epoch, Role, Seq, ServerFrame, frame::RoomStatus};
use tokio::time::timeout;

use super::{ENTRIES_DEADLINE, Live, LiveError, Recovery, Result, door};
use crate::{connection::Connection, network::Network};

impl<'s> Live<'s> {
    /// Asks the relay what there is to go on from, and changes nothing but the standing.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn recovery(network: &Network, room: Room<'s>) -> Result<(Room<'s>, Recovery)> {
        let Loss { live, recovery, .. } = Self::at_a_loss(network, room).await?;
        Ok((live.leave().await, recovery))
    }

    /// Goes on, by the member's decision, in a room whose relay was restored from an older copy, or that seemed to have split; or
    /// takes a room back that went on without its facilitator. Where something was agreed to, it is that or nothing.
    ///
    /// A facilitator also tells the relay which epoch the room is in.
    ///
    /// # Errors
    /// [`LiveError::EpochUsedUp`] if a facilitator has to do it first; [`LiveError::LeftBehind`] if only an invite brings
    /// this profile back; [`LiveError::UnexpectedReply`] if the relay says otherwise than when it was agreed to; see
    /// [`LiveError`].
    pub async fn recover(
        network: &Network,
        room: Room<'s>,
        agreed: Option<Recovery>,
    ) -> Result<Self> {
        let Loss { mut live, status, recovery, common } = Self::at_a_loss(network, room).await?;
        if agreed.is_some_and(|agreed| agreed != recovery) {
            return Err(LiveError::UnexpectedReply);
        }
        let epoch = live.room.epoch()?;
        match recovery {
            Recovery::LeftBehind | Recovery::Split => {
                if recovery == Recovery::LeftBehind {
                    live.take_back(epoch, &status).await?;
                }
                live.room.go_on()?;
            }
            Recovery::UsedUp => {
                live.take_back(epoch, &status).await?;
                live.room.go_on()?;
            }
            Recovery::TakenBack => {
                live.reopen(epoch, status.control).await?;
            }
            Recovery::Restored => {
                if status.epoch < epoch {
                    if live.room.my_role()? != Role::Facilitator {
                        let same = live.room.cursor().stream == Some(status.stream);
                        let wait = LiveError::EpochUsedUp;
                        return Err(if same { LiveError::EpochTakenBack } else { wait });
                    }
                    live.reopen(epoch, status.control).await?;
                }
                live.room.adopt_stream(status.stream, common)?;
            }
        }
        live.subscribe().await?;
        // After a restored backup `restore-rules` does it, when the facilitator wants it.
        if recovery == Recovery::LeftBehind && live.room.my_role()? == Role::Facilitator {
            live.catch_up().await?;
            match live.restore_rules().await {
                // What remains is told.
                Ok(_)
                | Err(LiveError::Refused { .. } | LiveError::Engine(EngineError::Rule(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(live)
    }

    /// Connects without catching up, and compares what the relay says of its log with what this profile has seen.
    pub(super) async fn at_a_loss(network: &Network, mut room: Room<'s>) -> Result<Loss<'s>> {
        let mut connection = Connection::open(network, &room.state().address()).await?;
        let standing = door::authenticate(&mut connection, &room).await?;
        door::settle(&mut connection, &mut room, standing).await?;
        let mut live = Self::over(room, connection, None);
        let status = live.status().await?;
        let left_behind = live.room.is_left_behind()?;
        let common = last_in_common(network, &live.room, status.head).await?;
        let cursor = live.room.cursor();
        let same_store = cursor.stream == Some(status.stream) && cursor.seq == common;
        let epoch = live.room.epoch()?;
        let facilitates = live.room.my_role()? == Role::Facilitator;
        let recovery = match (same_store, left_behind, live.room.cursor().split) {
            (true, true, _) => Recovery::LeftBehind,
            (true, false, Some(_)) => Recovery::Split,
            (true, false, None) if status.epoch < epoch && facilitates => Recovery::TakenBack,
            (true, false, None) if status.epoch < epoch => return Err(LiveError::EpochTakenBack),
            (true, false, None) if status.epoch == epoch || !live.room.saw_epoch_used_up()? => {
                return Err(LiveError::NothingToRecover);
            }
            (true, false, None) if facilitates => Recovery::UsedUp,
            (true, false, None) => return Err(LiveError::EpochUsedUp),
            (false, ..) => Recovery::Restored,
        };
        Ok(Loss { live, status, recovery, common })
    }

    /// Takes the room back to the epoch of this profile, a facilitator's, if the relay is past it: whoever went on has to come in
    /// anew.
    pub(super) async fn take_back(&mut self, ours: Epoch, status: &RoomStatus) -> Result<()> {
        let theirs = status.epoch;
        if theirs <= ours {
            // Whatever named a later epoch, the relay did not take it for one.
            return Ok(());
        }
        if theirs.0 - ours.0 > TAKEN_BACK_MAX {
            return Err(LiveError::UnexpectedReply);
        }
        if self.room.my_role()? != Role::Facilitator {
            return Err(LiveError::LeftBehind);
        }
        // The relay goes back by one at a time.
        let mut control = status.control;
        for epoch in (ours.0..theirs.0).rev() {
            control = self.reopen(Epoch(epoch), control).await?;
        }
        Ok(())
    }
}

/// A room that does not get on, and what the relay has of it.
pub(super) struct Loss<'s> {
    live: Live<'s>,
    status: RoomStatus,
    recovery: Recovery,
    /// The last entry that the relay and this profile both have.
    common: Seq,
}

/// Entries of the past that are compared first; where they all differ, more are.
pub(super) const COMPARED_FIRST: u64 = 256;

/// Finds the last entry that the relay and this profile both have, on a connection of its own. `head` is the relay's.
pub(super) async fn last_in_common(network: &Network, room: &Room<'_>, head: Seq) -> Result<Seq> {
    let last = room.cursor().seq;
    let mut back = COMPARED_FIRST;
    loop {
        let after = Seq(last.0.saturating_sub(back)).max(room.state().joined);
        let until = last.min(head);
        if until <= after {
            // The relay has nothing of what is compared here.
            if after <= room.state().joined {
                return Ok(until);
            }
        } else if let Some(common) = common_part(network, room, (after, until)).await? {
            return Ok(common);
        } else if after <= room.state().joined {
            return Ok(after);
        }
        back = back.saturating_mul(16);
    }
}

/// Compares the entries of a range, the first excluded, in order. Returns the last entry before one that differs; `None` if the
/// first entry of the range differs already.
pub(super) async fn common_part(
    network: &Network,
    room: &Room<'_>,
    (after, until): (Seq, Seq),
) -> Result<Option<Seq>> {
    let mut connection = Box::pin(Connection::open(network, &room.state().address())).await?;
    door::authenticate(&mut connection, room).await?;
    let id = room.id();
    connection.request(|req| ClientFrame::Subscribe { req, room: id, after }).await?;
    let (mut seen, mut common) = (after, None);
    'shown: while seen < until {
        // Only an entry that was not shown before gives the relay more time.
        let arrival = async {
            loop {
                if let ServerFrame::Entries { room: of, entries, .. } = connection.next().await?
                    && of == id
                    && entries.iter().any(|entry| entry.seq > seen)
                {
                    return Ok::<_, LiveError>(entries);
                }
            }
        };
        let arrived = timeout(ENTRIES_DEADLINE, arrival).await;
        for entry in arrived.map_err(|_| LiveError::Withheld(until))?? {
            if entry.seq > until || room.had_entry(&entry)? == Some(false) {
                break 'shown;
            }
            seen = seen.max(entry.seq);
            common = Some(entry.seq);
        }
    }
    connection.close().await;
    Ok(common)
}

/// Epochs by which a room can be taken back. A relay that names more is not followed.
pub(super) const TAKEN_BACK_MAX: u64 = 4096;
