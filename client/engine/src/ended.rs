//! After the end of a group: this device erases what it had of it, and keeps the receipt.

use hearth_protocol::{Millis, limits::ENDED_KEPT_MILLIS};

use super::{
    error::EngineError,
    policy::RoomPolicy,
    room::{Room, random_secret, read, write},
    room_key::RoomKey,
    state::{Over, Standing},
};
use crate::{clock::Moment, store::Kind};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Names the record of the time at which the room is deleted. It outlives the group's keys, so that a lapsed member's device erases, too.
const DELETED_AT: &[u8] = b"deleted at";

/// What is erased. The room's state and the agreements stay, because the receipt is made of them.
const ERASED: [Kind; 14] = [
    Kind::Mls,
    Kind::History,
    Kind::Outbox,
    Kind::Seen,
    Kind::Pending,
    Kind::Invite,
    Kind::Knock,
    Kind::Note,
    Kind::Draft,
    Kind::Preference,
    Kind::Care,
    Kind::Log,
    Kind::Commit,
    Kind::Roll,
];

impl Room<'_> {
    /// Remembers when the room is deleted, or that it is not. `said` is when the relay took the record that says so: nothing is erased
    /// sooner after it than after an end, because its author could date both into the past.
    pub(crate) fn note_ending(&self, policy: &RoomPolicy, said: Millis) -> Result<()> {
        match policy.numbers.deleted_at() {
            Some(at) => {
                let at = at.max(said.plus(ENDED_KEPT_MILLIS));
                write(self.store, Kind::Pending, self.no, DELETED_AT, &at)
            }
            None => Ok(self.store.delete(Kind::Pending, self.no, DELETED_AT).map(|_| ())?),
        }
    }

    /// Erases what this device has of the room once it is deleted at the relay: by the record that says when, by the own clock and by the
    /// relay's. Neither clock alone erases anything. Returns whether it did.
    ///
    /// Rows, keys and lanes go. The acknowledged agreements, the acknowledgement and its countersignature stay, of which the receipt
    /// is made.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn end_if_over(&mut self, moment: Moment) -> Result<bool> {
        let at: Option<Millis> = read(self.store, Kind::Pending, self.no, DELETED_AT)?;
        if at.is_none_or(|at| moment.earlier() < at) {
            return Ok(false);
        }
        self.change(|room| {
            room.drop_lanes()?;
            for kind in ERASED {
                room.store.clear(kind, room.no)?;
            }
            room.group = None;
            let state = &mut room.state;
            state.key = RoomKey::new(random_secret()?);
            state.reply_seed = None;
            state.companion = super::join::own_companion()?;
            state.muted.clear();
            state.standing = Standing::Over(Over::Group);
            room.cursor = super::state::Cursor::default();
            room.save_cursor()?;
            room.save_state()
        })?;
        self.recent.get_mut().clear();
        (self.floor, self.heard) = (None, None);
        *self.sent.get_mut() = None;
        Ok(true)
    }
}
