//! The room's agreement, and its signed acknowledgement, without which no member gets a key.
//!
//! `docs/protocol.md` section 7. Both are CBOR arrays; ids are hashes of exactly those bytes.

use ed25519_dalek::SigningKey;
use hearth_forms::Question;
use hearth_protocol::{
    Commitment, Digest, MemberKey, Millis, RoomId, Signature, codec, handshake, hash,
};
use minicbor::{Decode, Encode};

use super::more::AckMore;

/// Maximum bytes of an agreement's text.
pub const AGREEMENT_BYTES_MAX: usize = 48 * 1024;
/// Maximum number of answers to comprehension questions, and maximum bytes of each.
pub(super) const ANSWERS_MAX: usize = 8;
pub(super) const ANSWER_BYTES_MAX: usize = 512;
/// An acknowledgement expires after this many milliseconds: 365 days.
pub const ACKNOWLEDGEMENT_MILLIS: u64 = 365 * 24 * 3600 * 1000;
/// Allowed lead of the signer's clock over the admitting facilitator's: ten minutes.
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
    /// Id of the previous version.
    #[n(2)]
    pub previous: Option<Digest>,
    /// Whether acknowledgements of the previous version stay valid.
    #[n(3)]
    pub change: Change,
    /// Time from which it may take effect.
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
    /// The text that members read.
    #[n(8)]
    pub text: String,
}

/// Effect of a new version on members who acknowledged the previous one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Change {
    /// The first version.
    #[n(0)]
    Initial,
    /// Every member acknowledges again or lapses with the next epoch.
    #[n(1)]
    Material,
    /// Editorial: members see a banner, and nothing is blocked.
    #[n(2)]
    Editorial,
}

impl Agreement {
    /// Returns the id: a hash of the canonical bytes.
    pub fn id(&self) -> Digest {
        Digest(hash::labelled("hearth agreement v1", &[&codec::encode(self)]))
    }

    /// Returns the comprehension questions in the text; none if their block is at fault.
    pub fn questions(&self) -> Vec<Question> {
        Question::read_leniently(&self.text)
    }

    /// Returns the right answers to them, in their order.
    pub fn right_answers(&self) -> Vec<String> {
        self.questions().into_iter().map(|question| question.right().to_owned()).collect()
    }

    /// Returns the commitment that the relay gets.
    pub fn commitment(&self, room: &RoomId) -> Commitment {
        commitment(room, &self.id())
    }
}

/// Returns the hash of answers to an agreement's questions; `None` if there are none.
pub fn answers_digest(agreement: &Digest, answers: &[String]) -> Option<Digest> {
    let parts = std::iter::once(&agreement.as_bytes()[..]);
    let parts: Vec<&[u8]> = parts.chain(answers.iter().map(String::as_bytes)).collect();
    (!answers.is_empty()).then(|| Digest(hash::labelled("hearth answers v1", &parts)))
}

/// Returns the relay's commitment to an agreement in one room.
pub fn commitment(room: &RoomId, agreement: &Digest) -> Commitment {
    Commitment(hash::labelled(
        "hearth agreement commitment v1",
        &[room.as_bytes(), agreement.as_bytes()],
    ))
}

/// A member's signed acceptance of one version in one room with one key.
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
    /// Number of the version.
    #[n(3)]
    pub version: u32,
    /// Language of the text that the member read.
    #[n(4)]
    pub language: String,
    /// The signer's key.
    #[n(5)]
    pub member: MemberKey,
    /// Hash of the facilitators' keys that the signer knew, see [`facilitators_hash`].
    #[n(6)]
    pub facilitators: Digest,
    /// Time of signing by the signer's clock.
    #[n(7)]
    pub signed_at: Millis,
    /// Random.
    #[n(8)]
    #[cbor(with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// The agreement admits no member after this time.
    #[n(9)]
    pub expires: Millis,
    /// Answers to the facilitator's comprehension questions, if any.
    #[n(10)]
    pub answers: Vec<String>,
    /// What later features keep.
    #[n(11)]
    pub more: AckMore,
    /// The member's room key signs all of the above.
    #[n(12)]
    pub signature: Signature,
}

/// Why an acknowledgement does not admit its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AckError {
    /// The bytes are not an acknowledgement.
    #[error("the acknowledgement is missing or malformed")]
    Malformed,
    /// It was signed for another room.
    #[error("the acknowledgement is for another room")]
    OtherRoom,
    /// It was signed for another agreement or version.
    #[error("the acknowledgement is for another agreement")]
    OtherAgreement,
    /// Another key than the leaf's signed it.
    #[error("the acknowledgement is another member's")]
    OtherMember,
    /// The signature is wrong.
    #[error("the acknowledgement's signature does not verify")]
    BadSignature,
    /// It has expired.
    #[error("the acknowledgement has expired")]
    Expired,
    /// It is dated after the admission by more than clocks may differ.
    #[error(
        "the acknowledgement is dated in the future: its signer's clock is ahead, or yours is behind"
    )]
    Future,
    /// It is valid for longer than a year.
    #[error("the acknowledgement claims to be good for longer than a year")]
    TooLasting,
    /// It was signed before the breach that the room waits about.
    #[error("the acknowledgement is from before the breach: the room asks for another one")]
    BeforeBreach,
    /// Its answers are not those of the agreement's questions.
    #[error("the answers to the agreement's questions are missing or others")]
    WrongAnswers,
    /// Its member left or withdrew it.
    #[error("the acknowledgement was withdrawn")]
    Revoked,
}

/// Contents of a new acknowledgement.
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
    /// Answers to the comprehension questions, if any.
    pub answers: Vec<String>,
    /// The breach after which it is signed, if one is open.
    pub breach: Option<Digest>,
}

impl Acknowledgement {
    /// Signs an acknowledgement.
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
            more: AckMore { breach: terms.breach },
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

    /// Returns the bytes in the leaf extension.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Returns the hash that names it at the relay and in the log.
    pub fn digest(&self) -> Digest {
        hash::sha256(&self.to_bytes())
    }

    /// Checks room, member and signature; the caller must judge the agreement, see the gate.
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

    /// Checks that its dates allow an admission at a time.
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
        self.judge_length()
    }

    /// Checks that it lasts no longer than a year by its own dates, which needs no clock.
    ///
    /// # Errors
    /// [`AckError::TooLasting`].
    pub fn judge_length(&self) -> Result<(), AckError> {
        let lasts = self.expires <= self.signed_at.plus(ACKNOWLEDGEMENT_MILLIS);
        lasts.then_some(()).ok_or(AckError::TooLasting)
    }

    fn transcript(&self) -> [u8; 32] {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        hash::labelled("hearth acknowledgement v1", &[&codec::encode(&unsigned)])
    }
}

/// Returns the transcript that the admitting facilitator countersigns.
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

/// A signed departure; the duty of confidentiality goes on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Departure {
    /// The room.
    #[n(0)]
    pub room: RoomId,
    /// Key of the departing member.
    #[n(1)]
    pub member: MemberKey,
    /// The acknowledgement that ends with it.
    #[n(2)]
    pub acknowledgement: Digest,
    /// Whether the member expressly withdraws the acknowledgement.
    #[n(3)]
    pub withdrawn: bool,
    /// Time of signing by the signer's clock.
    #[n(4)]
    pub at: Millis,
    /// The member's room key signs the above.
    #[n(5)]
    pub signature: Signature,
}

impl Departure {
    /// Signs a departure.
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

/// Content of an invite's sealed preview.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Preview {
    /// The room's title.
    #[n(0)]
    pub title: String,
    /// The current agreement.
    #[n(1)]
    pub agreement: Agreement,
    /// Keys that may sign a Welcome: all facilitators and co-facilitators at the time.
    #[n(2)]
    pub facilitators: Vec<MemberKey>,
    /// MLS cipher suite of the room's group.
    #[n(3)]
    pub suite: u16,
    /// The invite's facilitator signs all of this and the room.
    #[n(4)]
    pub signature: Signature,
    /// The name under which the invite's holder comes back on a new device; `None`: they choose one.
    #[n(5)]
    pub name: Option<String>,
}

impl Preview {
    /// Signs a preview.
    pub fn sign(
        key: &SigningKey,
        room: &RoomId,
        title: String,
        agreement: Agreement,
        facilitators: Vec<MemberKey>,
        suite: u16,
        name: Option<String>,
    ) -> Self {
        let signature = Signature([0; 64]);
        let mut preview = Self { title, agreement, facilitators, suite, signature, name };
        preview.signature = handshake::sign(key, &preview.transcript(room));
        preview
    }

    /// Checks the signature of the facilitator that the invite pins.
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
                breach: None,
            },
        )
    }

    #[test]
    fn flipped_bit_breaks_acknowledgement() {
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

    /// The numbers of `docs/protocol.md`.
    #[test]
    fn limits_are_the_protocols() {
        const DAY: u64 = 86_400_000;
        assert_eq!(AGREEMENT_BYTES_MAX, 49_152);
        assert_eq!((ACKNOWLEDGEMENT_MILLIS, CLOCK_SKEW_MILLIS), (365 * DAY, 600_000));
    }

    #[test]
    fn acknowledgement_parses_within_its_bounds() {
        let ack = signed(&SigningKey::from_bytes(&[9; 32]));
        let parses = |ack: &Acknowledgement| Acknowledgement::parse(&ack.to_bytes()).is_ok();
        let answers = |many: usize, bytes: usize| {
            let answers = vec!["a".repeat(bytes); many];
            parses(&Acknowledgement { answers, ..ack.clone() })
        };
        assert!(answers(ANSWERS_MAX, ANSWER_BYTES_MAX));
        assert!(!answers(ANSWERS_MAX + 1, 1) && !answers(1, ANSWER_BYTES_MAX + 1));
        let language =
            |bytes| parses(&Acknowledgement { language: "e".repeat(bytes), ..ack.clone() });
        assert!(language(35) && !language(36));
        assert!(
            [1, 3]
                .iter()
                .all(|format| !parses(&Acknowledgement { format: *format, ..ack.clone() }))
        );
        // The same content in longer bytes: format 2 in two bytes.
        let bytes = ack.to_bytes();
        let at = bytes.iter().position(|byte| *byte == 2).unwrap();
        let longer = [&bytes[..at], &[0x18, 2], &bytes[at + 1..]].concat();
        assert_eq!(codec::decode::<Acknowledgement>(&longer).ok().as_ref(), Some(&ack));
        assert!(Acknowledgement::parse(&longer).is_err());
    }

    #[test]
    fn acknowledgement_fails_in_another_room() {
        let ack = signed(&SigningKey::from_bytes(&[9; 32]));
        assert_eq!(ack.verify(&RoomId([0; 16]), &ack.member), Err(AckError::OtherRoom));
    }

    #[test]
    fn departure_binds_room_and_member() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let departure = Departure::sign(&key, RoomId([5; 16]), Digest([1; 32]), true, Millis(5));
        assert!(departure.verify(&RoomId([5; 16])));
        assert!(!departure.verify(&RoomId([6; 16])));
        let forged = Departure { member: MemberKey([3; 32]), ..departure.clone() };
        assert!(!forged.verify(&RoomId([5; 16])));
        for altered in [
            Departure { room: RoomId([6; 16]), ..departure.clone() },
            Departure { acknowledgement: Digest([2; 32]), ..departure.clone() },
            Departure { withdrawn: false, ..departure.clone() },
            Departure { at: Millis(6), ..departure.clone() },
        ] {
            assert!(!altered.verify(&altered.room), "{altered:?}");
        }
    }
}
