//! Sealed notes: messages for one key, independent of epochs. `docs/protocol.md` section 7.10.

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    MemberKey, MessageId, Millis, RoomId, Signature, codec, handshake, hash, padding,
};
use minicbor::{Decode, Encode};
use zeroize::Zeroizing;

use super::mls::{Suite, hpke};

const INFO: &[u8] = b"hearth sealed note v2";
const ID_BYTES: usize = 16;
const NUMBER_BYTES: usize = 4;
/// Minimum padded length of a note, so that its length does not tell a short text from none.
const CLASS_MIN: usize = 1024;

/// The purpose of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Purpose {
    /// An answer to a report or a call for help, or the text with which a facilitator declined a knock.
    #[n(0)]
    Answer,
    /// A report that passes somebody by.
    #[n(1)]
    Report,
    /// A call for help, for a moderator who does not sit in the member's lane.
    #[n(2)]
    Flag,
    /// Keys with which the author can be seated in lanes.
    #[n(3)]
    Offer,
    /// The [`TimeOut`] to which a record commits.
    #[n(4)]
    TimeOut,
    /// Words to a member whom the author removes next.
    #[n(5)]
    Removal,
    /// What a moderator proposes; a record commits to it.
    #[n(6)]
    Proposal,
}

/// A note, signed by its author.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Note {
    /// Layout of this record; 1.
    #[n(0)]
    pub format: u16,
    /// Random.
    #[n(1)]
    pub id: MessageId,
    /// The room.
    #[n(2)]
    pub room: RoomId,
    /// The author's room key.
    #[n(3)]
    pub from: MemberKey,
    /// The reader's room key.
    #[n(4)]
    pub to: MemberKey,
    /// The purpose, which defines the content.
    #[n(5)]
    pub purpose: Purpose,
    /// Time of writing by the author's clock.
    #[n(6)]
    pub at: Millis,
    /// HPKE public key for one answer; only with [`Purpose::Report`] and [`Purpose::Flag`].
    #[n(7)]
    pub reply_key: Option<minicbor::bytes::ByteVec>,
    /// Content as the purpose defines it.
    #[n(8)]
    #[cbor(with = "minicbor::bytes")]
    pub content: Vec<u8>,
    /// The author's room key signs all of the above.
    #[n(9)]
    pub signature: Signature,
}

/// The content of a time-out's note; the record of the time-out commits to it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TimeOut {
    /// The member in time-out.
    #[n(0)]
    pub member: MemberKey,
    /// The end; lifted if it is in the past.
    #[n(1)]
    pub until: Millis,
    /// Random, so that the commitment does not confirm guessed ends and texts.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub salt: [u8; 16],
    /// The facilitator's text for the member.
    #[n(3)]
    pub words: String,
}

impl TimeOut {
    /// Returns the commitment in the record.
    pub fn commitment(&self) -> hearth_protocol::Digest {
        hearth_protocol::Digest(hash::labelled(
            "hearth time-out v1",
            &[
                self.member.as_bytes(),
                &self.until.0.to_be_bytes(),
                &self.salt,
                self.words.as_bytes(),
            ],
        ))
    }
}

/// The key to which a note is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The reader's room key.
    pub member: MemberKey,
    /// Number of the key; 0 for the reply key of a knock.
    pub number: u32,
    /// The HPKE public key.
    pub key: &'a [u8],
}

impl Note {
    /// Signs a note.
    pub fn sign(
        key: &SigningKey,
        id: MessageId,
        room: RoomId,
        to: MemberKey,
        purpose: Purpose,
        at: Millis,
        content: Vec<u8>,
    ) -> Self {
        let mut note = Self {
            format: 1,
            id,
            room,
            from: MemberKey(key.verifying_key().to_bytes()),
            to,
            purpose,
            at,
            reply_key: None,
            content,
            signature: Signature([0; 64]),
        };
        note.signature = handshake::sign(key, &note.transcript());
        note
    }

    /// Adds a key for the answer, and signs again.
    #[must_use]
    pub fn with_reply_key(mut self, key: &SigningKey, reply_key: Vec<u8>) -> Self {
        self.reply_key = Some(reply_key.into());
        self.signature = Signature([0; 64]);
        self.signature = handshake::sign(key, &self.transcript());
        self
    }

    fn transcript(&self) -> [u8; 32] {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        hash::labelled("hearth sealed note v2", &[&codec::encode(&unsigned)])
    }

    /// Pads and seals a note; `None` if it is too long or the key cannot be encrypted to.
    ///
    /// The result is the note's id, the key's number (u32, big endian), the KEM's output and the ciphertext.
    pub(crate) fn seal(
        &self,
        crypto: &super::provider::Crypto,
        suite: Suite,
        to: &Recipient<'_>,
    ) -> Option<Vec<u8>> {
        let mut padded = Zeroizing::new(padding::pad(&codec::encode(self))?);
        if padded.len() < CLASS_MIN {
            padded.resize(CLASS_MIN, 0);
        }
        let aad = aad(&self.room, &self.id, &to.member);
        let sealed = hpke::seal(crypto, suite, to.key, INFO, &aad, &padded)?;
        Some([self.id.as_bytes(), &to.number.to_be_bytes()[..], &sealed].concat())
    }

    /// Opens a note for a member, whose private key with the number in the note `private` returns, and checks room,
    /// reader, purpose, reply key and signature. The caller must judge whether its author may write such a note.
    pub(crate) fn open(
        crypto: &super::provider::Crypto,
        suite: Suite,
        room: &RoomId,
        me: &MemberKey,
        purposes: &[Purpose],
        private: impl FnOnce(u32) -> Option<Zeroizing<Vec<u8>>>,
        sealed: &[u8],
    ) -> Option<Self> {
        let (id, rest) = sealed.split_first_chunk::<ID_BYTES>()?;
        let (number, rest) = rest.split_first_chunk::<NUMBER_BYTES>()?;
        let private = private(u32::from_be_bytes(*number))?;
        let id = MessageId(*id);
        let padded = hpke::open(crypto, suite, &private, INFO, &aad(room, &id, me), rest)?;
        let note: Self = codec::decode(padding::unpad(&padded)?).ok()?;
        let good = note.format == 1
            && note.id == id
            && note.room == *room
            && note.to == *me
            && purposes.contains(&note.purpose)
            && note.may_carry_reply_key()
            && handshake::verify(&note.from, &note.transcript(), &note.signature);
        good.then_some(note)
    }
}

impl Note {
    fn may_carry_reply_key(&self) -> bool {
        self.reply_key.is_none() || matches!(self.purpose, Purpose::Report | Purpose::Flag)
    }
}

fn aad(room: &RoomId, id: &MessageId, to: &MemberKey) -> Vec<u8> {
    [&room.as_bytes()[..], id.as_bytes(), to.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Crypto;

    const ROOM: RoomId = RoomId([5; 16]);

    fn sealed(suite: Suite, words: &str) -> (Crypto, MemberKey, Vec<u8>, Zeroizing<Vec<u8>>) {
        let crypto = Crypto::default();
        let (private, public) = hpke::key_pair(&crypto, suite, &[7; 32]).unwrap();
        let me = MemberKey([6; 32]);
        let key = SigningKey::from_bytes(&[9; 32]);
        let content = words.as_bytes().to_vec();
        let note =
            Note::sign(&key, MessageId([4; 16]), ROOM, me, Purpose::Answer, Millis(1), content);
        let to = Recipient { member: me, number: 3, key: &public };
        let sealed = note.seal(&crypto, suite, &to).unwrap();
        (crypto, me, sealed, private)
    }

    #[test]
    fn notes_open_for_their_reader_alone() {
        for (suite, bytes) in [(Suite::XWing, 16 + 4 + 1120 + 1040), (Suite::X25519, 1092)] {
            let (crypto, me, sealed, private) = sealed(suite, "Not this week.");
            assert_eq!(sealed.len(), bytes);
            let open = |room: &RoomId, me: &MemberKey, purpose, bytes: &[u8]| {
                let key = |number| (number == 3).then(|| private.clone());
                Note::open(&crypto, suite, room, me, &[purpose], key, bytes)
            };
            let note = open(&ROOM, &me, Purpose::Answer, &sealed).unwrap();
            assert_eq!(note.content, b"Not this week.");
            assert!(open(&RoomId([6; 16]), &me, Purpose::Answer, &sealed).is_none());
            assert!(open(&ROOM, &MemberKey([1; 32]), Purpose::Answer, &sealed).is_none());
            assert!(open(&ROOM, &me, Purpose::TimeOut, &sealed).is_none());
            for at in [0, 16, 19, 20, 60, sealed.len() - 1] {
                let mut damaged = sealed.clone();
                damaged[at] ^= 1;
                assert!(open(&ROOM, &me, Purpose::Answer, &damaged).is_none(), "byte {at}");
            }
        }
    }

    #[test]
    fn signature_binds_the_whole_note() {
        let suite = Suite::X25519;
        let (crypto, me, sealed, private) = sealed(suite, "Not this week.");
        let open = |bytes: &[u8]| {
            let key = |_| Some(private.clone());
            Note::open(&crypto, suite, &ROOM, &me, &[Purpose::Answer], key, bytes)
        };
        let note = open(&sealed).unwrap();
        let (_, public) = hpke::key_pair(&crypto, suite, &[7; 32]).unwrap();
        let to = Recipient { member: me, number: 3, key: &public };
        for altered in [
            Note { content: b"Come in.".to_vec(), ..note.clone() },
            Note { at: Millis(2), ..note.clone() },
            Note { from: MemberKey([1; 32]), ..note.clone() },
            Note { format: 2, ..note.clone() },
        ] {
            assert!(open(&altered.seal(&crypto, suite, &to).unwrap()).is_none(), "{altered:?}");
        }
        // A key for an answer goes with what is answered.
        let author = SigningKey::from_bytes(&[9; 32]);
        let keyed = note.clone().with_reply_key(&author, public.clone());
        assert!(open(&keyed.seal(&crypto, suite, &to).unwrap()).is_none());
        // The authenticated data of docs/protocol.md: room, id, reader.
        let aad = [&ROOM.0[..], &[4; 16], &me.0].concat();
        assert!(hpke::open(&crypto, suite, &private, INFO, &aad, &sealed[20..]).is_some());
    }

    #[test]
    fn longer_notes_take_the_next_class() {
        assert_eq!(sealed(Suite::X25519, &"w".repeat(1000)).2.len(), 52 + 4096 + 16);
    }
}
