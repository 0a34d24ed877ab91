//! The extensible ends of signed or hashed records: CBOR maps with whole numbers for keys.
//!
//! A reader encodes again what it decoded and compares the bytes, so a key that it does not know refuses the record.

use hearth_protocol::Digest;
use minicbor::{Decode, Encode};

use super::policy::{Ending, KeptPlace, Planned, Proposal, Waiter};

/// The map at the end of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PolicyMore {
    /// Members who have not said yes yet and keep their place, in the order in which they began to wait; `None` instead of nobody.
    #[n(1)]
    pub waiting: Option<Vec<Waiter>>,
    /// Digest of the record that opened a breach, until one closes it.
    #[n(2)]
    pub breach: Option<Digest>,
    /// Whether a removal takes two moderators; `None` instead of no.
    #[n(10)]
    pub two_person: Option<bool>,
    /// What moderators propose; `None` instead of nothing.
    #[n(11)]
    pub proposals: Option<Vec<Proposal>>,
    /// Places of members whose device is lost; `None` instead of none.
    #[n(12)]
    pub kept: Option<Vec<KeptPlace>>,
    /// The announced end of the group.
    #[n(13)]
    pub ending: Option<Ending>,
    /// Planned goodbyes; `None` instead of none.
    #[n(14)]
    pub farewells: Option<Vec<Planned>>,
}

/// The map at the end of an acknowledgement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct AckMore {
    /// Digest of the record of the breach after which it was signed.
    #[n(1)]
    pub breach: Option<Digest>,
}

#[cfg(test)]
mod tests {
    use hearth_protocol::codec;

    use super::*;

    #[test]
    fn unknown_keys_change_the_bytes() {
        assert_eq!(codec::encode(&PolicyMore::default()), [0xa0]);
        assert_eq!(codec::encode(&AckMore::default()), [0xa0]);
        for bytes in [&[0xa1, 0x18, 99, 0][..], &[0xbf, 0xff], &[0xa1, 1, 0xf6]] {
            let same = |again: Vec<u8>| again == bytes;
            assert!(!codec::decode::<PolicyMore>(bytes).is_ok_and(|m| same(codec::encode(&m))));
            assert!(!codec::decode::<AckMore>(bytes).is_ok_and(|m| same(codec::encode(&m))));
        }
        for bytes in [&[0xf6][..], &[0x80]] {
            assert!(codec::decode::<PolicyMore>(bytes).is_err(), "{bytes:x?}");
        }
    }
}
