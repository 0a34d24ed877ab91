//! Records of moderation: the act, its actor and the previous record.
//!
//! [`super::policy::Act`] says what can be done. `docs/protocol.md` section 7.

use hearth_protocol::{Digest, MemberKey, MessageId, Millis, Seq, codec, hash};
use minicbor::{Decode, Encode};

use super::policy::Act;

/// One act of moderation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Record {
    /// Position in the log of moderation; the founding is 1.
    #[n(0)]
    pub number: u64,
    /// Hash of the previous record; zero at the founding.
    #[n(1)]
    pub previous: Digest,
    /// The committer's key.
    #[n(2)]
    pub actor: MemberKey,
    /// Time by the actor's clock.
    #[n(3)]
    pub at: Millis,
    /// What.
    #[n(4)]
    pub act: Act,
}

impl Record {
    /// Returns the hash that the next record names.
    pub fn digest(&self) -> Digest {
        Digest(hash::labelled("hearth record v1", &[&codec::encode(self)]))
    }
}

/// One profile's log of moderation.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    /// Sorted by number.
    pub records: &'a [Record],
    /// The newest record, from the room's policy; `None` if this profile is out.
    pub newest: Option<&'a Record>,
    /// Numbers of the records that admitted this profile. It never had the records between two stays, and records from before a
    /// stay may belong to a room that was rolled back.
    pub admissions: &'a [u64],
}

impl Chain<'_> {
    /// Returns the number of the newest record that is missing, altered or inserted; `None` if the log is whole.
    ///
    /// Each record is compared with the hash in the next one. The newest is in the policy, on which all members agree.
    pub fn broken_at(&self) -> Option<u64> {
        let mut expected = self.newest.map(|record| (record.number, record.digest()));
        for record in self.records.iter().rev() {
            if let Some((number, digest)) = expected
                && (record.number != number || record.digest() != digest)
            {
                return Some(number.max(record.number));
            }
            let begins = record.act == Act::Found || self.admissions.contains(&record.number);
            expected = (!begins).then(|| (record.number.saturating_sub(1), record.previous));
        }
        expected.map(|(number, _)| number)
    }
}

/// Reason for an act of moderation, without content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Category {
    /// No category was given.
    #[n(0)]
    Unspecified,
    /// Confidentiality was breached.
    #[n(1)]
    Confidentiality,
    /// The member hurt another person.
    #[n(2)]
    Conduct,
    /// A person may be in danger.
    #[n(3)]
    Safety,
    /// The programme ended for the member.
    #[n(4)]
    Discharge,
    /// The member asked for it.
    #[n(5)]
    Request,
}

impl Category {
    /// All categories, with the words that people type.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Unspecified, "unspecified"),
        (Self::Confidentiality, "confidentiality"),
        (Self::Conduct, "conduct"),
        (Self::Safety, "safety"),
        (Self::Discharge, "discharge"),
        (Self::Request, "request"),
    ];

    /// Returns the word that people read.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(c, _)| *c == self).map_or("unspecified", |(_, word)| word)
    }
}

/// A message by id and place, because its sender chooses the id and another message may have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pin {
    /// The id, which its sender chose.
    #[n(0)]
    pub message: MessageId,
    /// The message's place in the room's log.
    #[n(1)]
    pub seq: Seq,
}
