//! State of a conversation: proved keys and held rooms, without a socket.

use std::sync::Arc;

use hearth_protocol::{RejectCode, RoomId};
use hearth_rules::Refusal;

use crate::{
    Shared,
    auth::{Proved, Verifier},
    rate_limit::Origin,
    registry::Wake,
    room::RoomSlot,
};

/// Progress of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The peer has sent nothing yet.
    Silent,
    /// The peer has said hello but proved no key.
    Greeted,
    /// The peer has proved a key or shown an invite.
    Known,
}

/// One conversation with a peer. Handlers change it and return replies; the connection writes them.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) verifier: Verifier,
    pub(crate) stage: Stage,
    /// The address behind the connection, as limits count it.
    pub(crate) origin: Origin,
    pub(crate) wake: Arc<Wake>,
    #[expect(clippy::vec_box, reason = "most hold one room; a Vec of slots reserves for four")]
    rooms: Vec<Box<RoomSlot>>,
}

impl Session {
    pub(crate) fn new(shared: Arc<Shared>, verifier: Verifier, origin: Origin) -> Self {
        let (stage, wake) = (Stage::Silent, Arc::default());
        Self { shared, verifier, stage, origin, wake, rooms: Vec::new() }
    }

    /// Returns the room's slot, if a key was proved for it.
    pub(crate) fn room(&mut self, room: &RoomId) -> Option<&mut RoomSlot> {
        self.rooms.iter_mut().map(Box::as_mut).find(|slot| slot.proof.room() == room)
    }

    /// Returns the proof of the room's key.
    ///
    /// # Errors
    /// [`RejectCode::NotMember`] if no key was proved.
    pub(crate) fn proof(&mut self, room: &RoomId) -> Result<Proved, Refusal> {
        let slot = self.room(room).ok_or(RejectCode::NotMember)?;
        Ok(slot.proof.clone())
    }

    /// Returns the proof of the key for a room that is not a lane.
    ///
    /// # Errors
    /// [`RejectCode::NotMember`] for a lane, too, because no room has its id.
    pub(crate) fn room_proof(&mut self, room: &RoomId) -> Result<Proved, Refusal> {
        let proof = self.proof(room)?;
        if proof.place().lane.is_some() { Err(RejectCode::NotMember.into()) } else { Ok(proof) }
    }

    /// Returns the rooms, not the lanes, for which keys were proved.
    pub(crate) fn held(&self) -> Vec<RoomId> {
        let places = self.rooms.iter().map(|slot| slot.proof.place());
        places.filter(|place| place.lane.is_none()).map(|place| place.id).collect()
    }

    /// Returns the position of a room's slot, or that of the next slot.
    pub(crate) fn index(&self, room: &RoomId) -> usize {
        let found = self.rooms.iter().position(|slot| slot.proof.room() == room);
        found.unwrap_or(self.rooms.len())
    }

    pub(crate) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    pub(crate) fn slot(&mut self, index: usize) -> Option<&mut RoomSlot> {
        self.rooms.get_mut(index).map(Box::as_mut)
    }

    /// Adds a slot, or replaces that of the same id.
    pub(crate) fn add_room(&mut self, slot: RoomSlot) {
        let index = self.index(slot.proof.room());
        match self.rooms.get_mut(index) {
            Some(former) => **former = slot,
            None => self.rooms.push(Box::new(slot)),
        }
    }
}
