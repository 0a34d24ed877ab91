//! The room's agreement, and the signed acknowledgement of it without which nobody gets a key.
//!
//! `docs/protocol.md` section 7. Both are CBOR arrays; ids are hashes of exactly those bytes.

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Commitment, Digest, MemberKey, Millis, RoomId, Signature, codec, handshake, hash,
};
use minicbor::{Decode, Encode};

use super::more::More;

/// Bytes of an agreement's text.
pub const AGREEMENT_BYTES_MAX: usize = 48 * 1024;
/// Answers to comprehension questions, and bytes of each.
pub(super) const ANSWERS_MAX: usize = 8;
pub(super) const ANSWER_BYTES_MAX: usize = 512;
/// An acknowledgement is renewed after this many milliseconds: 365 days.
pub const ACKNOWLEDGEMENT_MILLIS: u64 = 365 * 24 * 3600 * 1000;
/// A signer's clock may be ahead of the admitting facilitator's by this much: ten minutes.
pub const CLOCK_SKEW_MILLIS: u64 = 10 * 60 * 1000;

/// One version of a room's ground rules and confidentiality text.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Agreement {
    /// Layout of this record; 1.
    #[n(0)]
    pub format: u16,
    /// Number of the version, from 1. Translations share it.
    #[n(1)]
    pub version: u32,
    /// Id of the version before.
    #[n(2)]
    pub previous: Option<Digest>,
    /// Whether acknowledgements of the version before stay good.
    #[n(3)]
    pub change: Change,
    /// When it takes effect.
    #[n(4)]
    pub effective: Millis,
    /// BCP 47 tag of the language.
    #[n(5)]
    pub language: String,
    /// The facilitator who issued it.
    #[n(6)]
    pub signer: MemberKey,
    /// Random, so that the relay cannot test the id or its commitment against known texts.
    #[n(7)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// The text that people read.
    #[n(8)]
    pub text: String,
}

/// What a new version means for those who acknowledged the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Change {
    /// The first version.
    #[n(0)]
    Initial,
    /// Everyone acknowledges anew or is out of the next epoch.
    #[n(1)]
    Material,
    /// Wording; a banner, nothing is blocked.
    #[n(2)]
    Editorial,
}

impl Agreement {
    /// Returns the id: a hash of the canonical bytes.
    pub fn id(&self) -> Digest {
        Digest(hash::labelled("hearth agreement v1", &[&codec::encode(self)]))
    }

    /// Returns what the relay is told of it.
    pub fn commitment(&self, room: &RoomId) -> Commitment {
        commitment(room, &self.id())
    }
}

/// Returns what the relay knows of an agreement in one room.
pub fn commitment(room: &RoomId, agreement: &Digest) -> Commitment {
    Commitment(hash::labelled(
        "hearth agreement commitment v1",
        &[room.as_bytes(), agreement.as_bytes()],
    ))
}

/// What a member signs to have accepted one version in one room with one key.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Acknowledgement {
    /// Layout of this record; 2.
    #[n(0)]
    pub format: u16,
    /// The room.
    #[n(1)]
    pub room: RoomId,
    /// Id of the version.
    #[n(2)]
    pub agreement: Digest,
    /// Its number.
    #[n(3)]
    pub version: u32,
    /// The language that was read.
    #[n(4)]
    pub language: String,
    /// Who signs.
    #[n(5)]
    pub member: MemberKey,
    /// Hash of the facilitators' keys as the signer knew them, see [`facilitators_hash`].
    #[n(6)]
    pub facilitators: Digest,
    /// When, by the signer's clock.
    #[n(7)]
    pub signed_at: Millis,
    /// Random.
    #[n(8)]
    #[cbor(with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// Not good for an admission after this.
    #[n(9)]
    pub expires: Millis,
    /// Answers to the comprehension questions, if the facilitator set any.
    #[n(10)]
    pub answers: Vec<String>,
    /// Empty in this version.
    #[n(11)]
    pub more: More,
    /// By the member's room key over all the above.
    #[n(12)]
    pub signature: Signature,
}

/// Why an acknowledgement does not admit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// Not the bytes of an acknowledgement.
    #[error("the acknowledgement is missing or malformed")]
    Malformed,
    /// Signed for another room.
    #[error("the acknowledgement is for another room")]
    OtherRoom,
    /// Signed for another agreement or version.
    #[error("the acknowledgement is for another agreement")]
    OtherAgreement,
    /// Signed by another key than the leaf's.
    #[error("the acknowledgement is another member's")]
    OtherMember,
    /// The signature is wrong.
    #[error("the acknowledgement's signature does not verify")]
    BadSignature,
    /// Too old.
    #[error("the acknowledgement has expired")]
    Expired,
    /// Dated after the admission by more than clocks may differ.
    #[error(
        "the acknowledgement is dated in the future: its signer's clock is ahead, or yours is behind"
    )]
    Future,
    /// Good for longer than any may be.
    #[error("the acknowledgement claims to be good for longer than a year")]
    TooLasting,
    /// Given up by leaving or withdrawn.
    #[error("the acknowledgement was withdrawn")]
    Revoked,
}

/// What a new acknowledgement states.
#[derive(Clone, Debug)]
pub struct AckTerms<'a> {
    /// The room.
    pub room: RoomId,
    /// The version.
    pub agreement: &'a Agreement,
    /// Hash of the facilitators' keys.
    pub facilitators: Digest,
    /// The signer's clock.
    pub now: Millis,
    /// Random.
    pub nonce: [u8; 16],
    /// Answers, if asked.
    pub answers: Vec<String>,
}

impl Acknowledgement {
    /// Signs one.
    pub fn sign(key: &SigningKey, terms: AckTerms<'_>) -> Self {
        let mut ack = Self {
            format: 2,
            room: terms.room,
            agreement: terms.agreement.id(),
            version: terms.agreement.version,
            language: terms.agreement.language.clone(),
            member: MemberKey(key.verifying_key().to_bytes()),
            facilitators: terms.facilitators,
            signed_at: terms.now,
            nonce: terms.nonce,
            expires: terms.now.plus(ACKNOWLEDGEMENT_MILLIS),
            answers: terms.answers,
            more: More,
            signature: Signature([0; 64]),
        };
        ack.signature = handshake::sign(key, &ack.transcript());
        ack
    }

    /// Parses the bytes of a leaf extension or receipt.
    ///
    /// # Errors
    /// [`AckError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, AckError> {
        let ack: Self = codec::decode(bytes).map_err(|_| AckError::Malformed)?;
        let canonical = codec::encode(&ack) == bytes;
        let bounded = ack.answers.len() <= ANSWERS_MAX
            && ack.answers.iter().all(|a| a.len() <= ANSWER_BYTES_MAX)
            && ack.language.len() <= 35;
        (ack.format == 2 && canonical && bounded).then_some(ack).ok_or(AckError::Malformed)
    }

    /// Returns the bytes that ride in the leaf.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Returns the hash by which the relay and the log name it.
    pub fn digest(&self) -> Digest {
        hash::sha256(&self.to_bytes())
    }

    /// Checks room, member and signature. The agreement is the caller's to judge, see the gate.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn verify(&self, room: &RoomId, member: &MemberKey) -> Result<(), AckError> {
        if self.room != *room {
            return Err(AckError::OtherRoom);
        }
        if self.member != *member {
            return Err(AckError::OtherMember);
        }
        if !handshake::verify(member, &self.transcript(), &self.signature) {
            return Err(AckError::BadSignature);
        }
        Ok(())
    }

    /// Checks that its dates admit at a time.
    ///
    /// # Errors
    /// [`AckError::Expired`], [`AckError::Future`] or [`AckError::TooLasting`].
    pub fn judge_dates(&self, at: Millis) -> Result<(), AckError> {
        if self.expires < at {
            return Err(AckError::Expired);
        }
        if self.signed_at > at.plus(CLOCK_SKEW_MILLIS) {
            return Err(AckError::Future);
        }
        if self.expires > self.signed_at.plus(ACKNOWLEDGEMENT_MILLIS) {
            return Err(AckError::TooLasting);
        }
        Ok(())
    }

    fn transcript(&self) -> [u8; 32] {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        hash::labelled("hearth acknowledgement v1", &[&codec::encode(&unsigned)])
    }
}

/// Returns what the admitting facilitator countersigns.
pub fn countersign_transcript(room: &RoomId, acknowledgement: &Digest, at: Millis) -> [u8; 32] {
    hash::labelled(
        "hearth countersignature v1",
        &[room.as_bytes(), acknowledgement.as_bytes(), &at.0.to_be_bytes()],
    )
}

/// Returns a hash of facilitators' keys, independent of their order.
pub fn facilitators_hash(keys: &[MemberKey]) -> Digest {
    let mut keys = keys.to_vec();
    keys.sort_unstable();
    let parts: Vec<&[u8]> = keys.iter().map(|k| &k.as_bytes()[..]).collect();
    Digest(hash::labelled("hearth facilitators v1", &parts))
}

/// A signed statement of leaving; the duty about what was heard goes on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Departure {
    /// The room.
    #[n(0)]
    pub room: RoomId,
    /// Who leaves.
    #[n(1)]
    pub member: MemberKey,
    /// The acknowledgement that ends here.
    #[n(2)]
    pub acknowledgement: Digest,
    /// Whether the acknowledgement is expressly withdrawn.
    #[n(3)]
    pub withdrawn: bool,
    /// When, by the signer's clock.
    #[n(4)]
    pub at: Millis,
    /// By the member's room key over the above.
    #[n(5)]
    pub signature: Signature,
}

impl Departure {
    /// Signs one.
    pub fn sign(
        key: &SigningKey,
        room: RoomId,
        acknowledgement: Digest,
        withdrawn: bool,
        at: Millis,
    ) -> Self {
        let mut departure = Self {
            room,
            member: MemberKey(key.verifying_key().to_bytes()),
            acknowledgement,
            withdrawn,
            at,
            signature: Signature([0; 64]),
        };
        departure.signature = handshake::sign(key, &departure.transcript());
        departure
    }

    /// Checks room and signature.
    pub fn verify(&self, room: &RoomId) -> bool {
        self.room == *room && handshake::verify(&self.member, &self.transcript(), &self.signature)
    }

    fn transcript(&self) -> [u8; 32] {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        hash::labelled("hearth departure v1", &[&codec::encode(&unsigned)])
    }
}

/// What an invite's sealed preview holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Preview {
    /// The room's title.
    #[n(0)]
    pub title: String,
    /// The current agreement.
    #[n(1)]
    pub agreement: Agreement,
    /// Who may sign a Welcome: all facilitators and co-facilitators at the time.
    #[n(2)]
    pub facilitators: Vec<MemberKey>,
    /// MLS cipher suite of the room's group.
    #[n(3)]
    pub suite: u16,
    /// Of the invite's facilitator, over the above and the room.
    #[n(4)]
    pub signature: Signature,
}

impl Preview {
    /// Signs one.
    pub fn sign(
        key: &SigningKey,
        room: &RoomId,
        title: String,
        agreement: Agreement,
        facilitators: Vec<MemberKey>,
        suite: u16,
    ) -> Self {
        let mut preview =
            Self { title, agreement, facilitators, suite, signature: Signature([0; 64]) };
        preview.signature = handshake::sign(key, &preview.transcript(room));
        preview
    }

    /// Checks the signature of the facilitator whom the invite pins.
    pub fn verify(&self, room: &RoomId, facilitator: &MemberKey) -> bool {
        handshake::verify(facilitator, &self.transcript(room), &self.signature)
            && self.facilitators.contains(facilitator)
    }

    fn transcript(&self, room: &RoomId) -> [u8; 32] {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        hash::labelled("hearth preview v1", &[room.as_bytes(), &codec::encode(&unsigned)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn agreement(version: u32) -> Agreement {
        Agreement {
            format: 1,
            version,
            previous: None,
            change: Change::Initial,
            effective: Millis(0),
            language: "en".into(),
            signer: MemberKey([1; 32]),
            salt: [2; 16],
            text: "What is said here stays here.".into(),
        }
    }

    fn signed(key: &SigningKey) -> Acknowledgement {
        Acknowledgement::sign(
            key,
            AckTerms {
                room: RoomId([5; 16]),
                agreement: &agreement(1),
                facilitators: Digest([6; 32]),
                now: Millis(1000),
                nonce: [7; 16],
                answers: vec!["yes".into()],
            },
        )
    }

    #[test]
    fn one_flipped_bit_anywhere_fails() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let ack = signed(&key);
        let room = RoomId([5; 16]);
        assert_eq!(ack.verify(&room, &ack.member), Ok(()));
        let bytes = ack.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let accepted = Acknowledgement::parse(&damaged)
                .is_ok_and(|parsed| parsed.verify(&room, &ack.member).is_ok());
            assert!(!accepted, "bit {bit} was not noticed");
        }
    }

    #[test]
    fn acknowledgement_of_room_a_is_refused_in_room_b() {
        let ack = signed(&SigningKey::from_bytes(&[9; 32]));
        assert_eq!(ack.verify(&RoomId([0; 16]), &ack.member), Err(AckError::OtherRoom));
    }

    #[test]
    fn a_departure_is_bound_to_room_and_member() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let departure = Departure::sign(&key, RoomId([5; 16]), Digest([1; 32]), true, Millis(5));
        assert!(departure.verify(&RoomId([5; 16])));
        assert!(!departure.verify(&RoomId([6; 16])));
        let forged = Departure { member: MemberKey([3; 32]), ..departure };
        assert!(!forged.verify(&RoomId([5; 16])));
    }
}
