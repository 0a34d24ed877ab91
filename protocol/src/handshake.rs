//! Proof of a room key: the signed values, and the reason for each.

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::{
    hash,
    id::{Commitment, Digest, MemberKey, RelayId, RoomId, Signature},
};

/// Label for the TLS exporter that binds an authentication to its channel (RFC 9266 section 4.2).
pub const CHANNEL_BINDING_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// 32 bytes of the TLS exporter; all zero on a plain loopback connection.
pub type ChannelBinding = [u8; 32];

/// The values that a challenge response signs.
#[derive(Clone, Copy, Debug)]
pub struct AuthContext<'a> {
    /// From this connection's hello; prevents replay on another connection.
    pub challenge: &'a Digest,
    /// The relay's identity; prevents another relay from forwarding the challenge.
    pub relay: &'a RelayId,
    /// The channel's exporter; prevents a man in the middle who terminates TLS himself.
    pub channel: &'a ChannelBinding,
    /// The room, because a key is valid for one room.
    pub room: &'a RoomId,
    /// The key itself, so that a signature cannot be claimed for a related key.
    pub member: &'a MemberKey,
}

/// Returns the 32 bytes that authenticate a key on one connection.
pub fn auth_transcript(context: &AuthContext<'_>) -> [u8; 32] {
    hash::labelled(
        "hearth relay auth v1",
        &[
            context.challenge.as_bytes(),
            context.relay.as_bytes(),
            context.channel,
            context.room.as_bytes(),
            context.member.as_bytes(),
        ],
    )
}

/// Returns the 32 bytes that a knocker signs for the opaque triple.
pub fn knock_transcript(
    room: &RoomId,
    member: &MemberKey,
    agreement: &Commitment,
    digest: &Digest,
) -> [u8; 32] {
    hash::labelled(
        "hearth knock v1",
        &[room.as_bytes(), member.as_bytes(), agreement.as_bytes(), digest.as_bytes()],
    )
}

/// Signs a transcript.
pub fn sign(key: &SigningKey, transcript: &[u8]) -> Signature {
    Signature(key.sign(transcript).to_bytes())
}

/// Verifies a signature strictly, as `docs/protocol.md` section 7 says: RFC 8032 section 5.1.7 without the cofactor, and
/// neither small-order points nor noncanonical encodings. With another verification, members would disagree about commits.
pub fn verify(member: &MemberKey, signed: &[u8], signature: &Signature) -> bool {
    is_canonical(member)
        && VerifyingKey::from_bytes(member.as_bytes()).is_ok_and(|key| {
            // The comparison of R is by bytes, so that R has one encoding; S is below the group's order.
            let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
            key.verify_strict(signed, &signature).is_ok()
        })
}

/// Whether a key's y-coordinate is below the field's prime, 2^255 - 19: 19 points have a second encoding above it.
fn is_canonical(member: &MemberKey) -> bool {
    let [first, middle @ .., last] = member.as_bytes();
    *first < 0xed || last & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_field_is_signed() {
        let key = SigningKey::from_bytes(&[9; 32]);
        let member = MemberKey(key.verifying_key().to_bytes());
        let base = AuthContext {
            challenge: &Digest([1; 32]),
            relay: &RelayId([2; 32]),
            channel: &[3; 32],
            room: &RoomId([4; 16]),
            member: &member,
        };
        let signature = sign(&key, &auth_transcript(&base));
        assert!(verify(&member, &auth_transcript(&base), &signature));
        let others = [
            AuthContext { challenge: &Digest([0; 32]), ..base },
            AuthContext { relay: &RelayId([0; 32]), ..base },
            AuthContext { channel: &[0; 32], ..base },
            AuthContext { room: &RoomId([0; 16]), ..base },
        ];
        for other in others {
            assert!(!verify(&member, &auth_transcript(&other), &signature));
        }
        assert!(!verify(&MemberKey([0; 32]), &auth_transcript(&base), &signature));
    }

    #[test]
    fn noncanonical_keys_are_detected() {
        let key = |first: u8, last: u8| {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (first, last);
            MemberKey(bytes)
        };
        for last in [0x7f, 0xff] {
            assert!(is_canonical(&key(0xec, last)));
            for first in [0xed, 0xf0, 0xff] {
                assert!(!is_canonical(&key(first, last)));
            }
        }
        assert!(is_canonical(&key(0xff, 0x7e)));
        let mut other = key(0xff, 0x7f).0;
        other[9] = 0xfe;
        assert!(is_canonical(&MemberKey(other)));
    }
}
