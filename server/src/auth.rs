//! Proof of a room key as a type, so that no function that needs a proof can be called without one.

use hearth_protocol::{
    Digest, MemberKey, RejectCode, RelayId, RoomId, Signature,
    handshake::{self, AuthContext, ChannelBinding},
};

use crate::store::{LaneNumber, Place};

/// A key proved for a room or lane on this connection. Only [`Verifier::verify`] creates one.
#[derive(Clone, Debug)]
pub(crate) struct Proved {
    place: Place,
    member: MemberKey,
}

impl Proved {
    pub(crate) fn room(&self) -> &RoomId {
        &self.place.id
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The same proof for a lane with the same id.
    pub(crate) fn at(self, lane: LaneNumber) -> Self {
        Self { place: Place { lane: Some(lane), ..self.place }, ..self }
    }

    pub(crate) fn member(&self) -> &MemberKey {
        &self.member
    }

    /// Replaces a proof in tests of the store's verbs.
    #[cfg(test)]
    pub(crate) fn assumed(room: RoomId, member: MemberKey) -> Self {
        Self { place: room.into(), member }
    }
}

/// The values to which a connection's proofs are bound.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    pub(crate) challenge: Digest,
    pub(crate) relay: RelayId,
    pub(crate) channel: ChannelBinding,
}

impl Verifier {
    /// Verifies a signature over this connection's challenge.
    pub(crate) fn verify(
        &self,
        room: RoomId,
        member: MemberKey,
        signature: &Signature,
    ) -> Result<Proved, RejectCode> {
        let transcript = handshake::auth_transcript(&AuthContext {
            challenge: &self.challenge,
            relay: &self.relay,
            channel: &self.channel,
            room: &room,
            member: &member,
        });
        if handshake::verify(&member, &transcript, signature) {
            Ok(Proved { place: room.into(), member })
        } else {
            Err(RejectCode::BadSignature)
        }
    }
}
