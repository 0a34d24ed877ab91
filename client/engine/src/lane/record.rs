//! Records of lanes: the seat in a leaf, the policy in the group context, the offer, and what a lane's id and keys come from.

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Digest, MemberKey, Role, RoomId, Secret32, Signature, codec, handshake, hash,
};
use hearth_text::name;
use minicbor::{Decode, Encode};

use crate::policy::RoomPolicy;

/// Members of a room with lanes, at most.
pub const MEMBERS_MAX: usize = 100;
/// Moderators of a room with lanes, at most.
pub const BENCH_MAX: usize = 8;
/// Leaves in one lane, at most: its owner and the bench.
pub const SEATS_MAX: usize = BENCH_MAX + 1;

/// Content of leaf extension 0xff05: the member who sits, and where.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seat {
    /// Layout of this record; 1.
    #[n(0)]
    pub format: u16,
    /// The parent room.
    #[n(1)]
    pub parent: RoomId,
    /// The lane.
    #[n(2)]
    pub lane: RoomId,
    /// The member's room key in the parent.
    #[n(3)]
    pub member: MemberKey,
    /// Number of the member's seat in this lane, from 1.
    #[n(4)]
    pub number: u32,
    /// The room key signs the lane key and all of the above.
    #[n(5)]
    pub signature: Signature,
}

impl Seat {
    /// Signs a seat for a lane key.
    pub fn sign(
        room_key: &SigningKey,
        lane_key: &MemberKey,
        parent: RoomId,
        lane: RoomId,
        number: u32,
    ) -> Self {
        let member = MemberKey(room_key.verifying_key().to_bytes());
        let signature = Signature([0; 64]);
        let mut seat = Self { format: 1, parent, lane, member, number, signature };
        seat.signature = handshake::sign(room_key, &seat.transcript(lane_key));
        seat
    }

    /// Reads the leaf extension; `None` if it is malformed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let seat: Self = codec::decode(bytes).ok()?;
        let canonical = codec::encode(&seat) == bytes;
        (seat.format == 1 && seat.number > 0 && canonical).then_some(seat)
    }

    /// Whether the member signed it for this lane key.
    pub fn verify(&self, lane_key: &MemberKey) -> bool {
        handshake::verify(&self.member, &self.transcript(lane_key), &self.signature)
    }

    fn transcript(&self, lane_key: &MemberKey) -> [u8; 32] {
        let unsigned = Self { signature: Signature([0; 64]), ..self.clone() };
        hash::labelled("hearth lane seat v1", &[lane_key.as_bytes(), &codec::encode(&unsigned)])
    }
}

/// A member who moderates the parent.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Chair {
    /// The room key.
    #[n(0)]
    pub member: MemberKey,
    /// Facilitator or co-facilitator.
    #[n(1)]
    pub role: Role,
    /// The display name in the parent.
    #[n(2)]
    pub name: String,
}

/// Content of group context extension 0xff04.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LanePolicy {
    /// Layout of this record; 1.
    #[n(0)]
    pub format: u16,
    /// The parent room.
    #[n(1)]
    pub parent: RoomId,
    /// The member whose lane it is; `None` for the desk.
    #[n(2)]
    pub owner: Option<MemberKey>,
    /// Number of the parent's record that it follows.
    #[n(3)]
    pub number: u64,
    /// Digest of that record.
    #[n(4)]
    pub record: Digest,
    /// Who moderated the parent after that record, ascending by key.
    #[n(5)]
    pub bench: Vec<Chair>,
}

impl LanePolicy {
    /// Reads the extension; `None` if it is malformed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let policy: Self = codec::decode(bytes).ok()?;
        let canonical = codec::encode(&policy) == bytes;
        let ascending = policy.bench.is_sorted_by(|one, next| one.member < next.member);
        let named = |chair: &Chair| {
            name::parse_name(&chair.name).is_ok_and(|name| name.as_str() == chair.name)
        };
        let good = policy.bench.iter().all(|chair| chair.role.moderates() && named(chair));
        let bounded = (1..=BENCH_MAX).contains(&policy.bench.len());
        (policy.format == 1 && canonical && ascending && good && bounded).then_some(policy)
    }

    /// Returns a member's chair on the bench.
    pub fn chair(&self, member: &MemberKey) -> Option<&Chair> {
        self.bench.iter().find(|chair| chair.member == *member)
    }

    /// Whether the parent's record gives a member a seat here.
    pub fn seats(&self, member: &MemberKey) -> bool {
        self.owner == Some(*member) || self.chair(member).is_some()
    }
}

/// Keys with which a member can be seated in a lane, used once.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// The lane.
    #[n(0)]
    pub lane: RoomId,
    /// A bare MLS KeyPackage.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub key_package: Vec<u8>,
}

/// Returns the id of a member's lane.
pub fn lane_id(parent: &RoomId, member: &MemberKey, salt: &[u8; 16]) -> RoomId {
    id(&[parent.as_bytes(), member.as_bytes(), salt])
}

/// Returns the id of the desk, the lane without an owner; `None` in a room without lanes.
pub fn desk_id(parent: &RoomId, policy: &RoomPolicy) -> Option<RoomId> {
    policy.desk.as_ref().map(|desk| id(&[parent.as_bytes(), &[0; 32], &desk[..]]))
}

fn id(parts: &[&[u8]]) -> RoomId {
    let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        hash::labelled("hearth lane id v1", parts);
    RoomId(first)
}

/// Returns the seed of the lane key for a numbered seat. No key is in two groups, and without the room key's seed nobody can tell that
/// two lane keys are of one member.
pub fn lane_key_seed(room_key: &Secret32, lane: &RoomId, number: u32) -> Secret32 {
    const LABEL: &[u8] = b"hearth lane key v1";
    Secret32::new(hash::derive_with(
        room_key.expose(),
        &[LABEL, lane.as_bytes(), &number.to_be_bytes()].concat(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chair(key: u8, role: Role, name: &str) -> Chair {
        Chair { member: MemberKey([key; 32]), role, name: name.into() }
    }

    fn policy(bench: Vec<Chair>) -> LanePolicy {
        LanePolicy {
            format: 1,
            parent: RoomId([1; 16]),
            owner: None,
            number: 1,
            record: Digest([2; 32]),
            bench,
        }
    }

    /// Each is a bench that no room has, or other bytes for one that a room may have.
    #[test]
    fn malformed_lane_policy_is_refused() {
        let parse = |policy: &LanePolicy| LanePolicy::parse(&codec::encode(policy));
        let (fay, cleo) =
            (chair(1, Role::Facilitator, "Fay"), chair(2, Role::CoFacilitator, "Cleo"));
        let good = policy(vec![fay.clone(), cleo.clone()]);
        assert_eq!(parse(&good), Some(good.clone()));
        let nine = (1..=9).map(|key| chair(key, Role::Facilitator, "Fay")).collect();
        for bench in [
            vec![],
            nine,
            vec![cleo.clone(), fay.clone()],
            vec![fay.clone(), fay.clone()],
            vec![fay.clone(), chair(2, Role::Member, "Ben")],
            vec![fay.clone(), chair(2, Role::CoFacilitator, "admin")],
            vec![fay, chair(2, Role::CoFacilitator, " Cleo")],
        ] {
            assert_eq!(parse(&policy(bench.clone())), None, "{bench:?}");
        }
        assert_eq!(parse(&LanePolicy { format: 2, ..good.clone() }), None);
        let longer = [codec::encode(&good), vec![0xf6]].concat();
        assert_eq!(LanePolicy::parse(&longer), None);
    }

    #[test]
    fn seat_binds_key_lane_and_number() {
        let room_key = SigningKey::from_bytes(&[9; 32]);
        let (key, lane) = (MemberKey([3; 32]), RoomId([4; 16]));
        let seat = Seat::sign(&room_key, &key, RoomId([1; 16]), lane, 1);
        assert!(seat.verify(&key));
        assert!(!seat.verify(&MemberKey([5; 32])));
        for other in [
            Seat { lane: RoomId([5; 16]), ..seat.clone() },
            Seat { parent: RoomId([5; 16]), ..seat.clone() },
            Seat { number: 2, ..seat.clone() },
            Seat { member: MemberKey([5; 32]), ..seat.clone() },
        ] {
            assert!(!other.verify(&key));
        }
        assert_eq!(Seat::parse(&codec::encode(&Seat { number: 0, ..seat.clone() })), None);
        assert_eq!(Seat::parse(&codec::encode(&Seat { format: 2, ..seat })), None);
    }

    #[test]
    fn lane_keys_are_never_alike() {
        let seed = Secret32::new([9; 32]);
        let draw = |lane, number| *lane_key_seed(&seed, &RoomId([lane; 16]), number).expose();
        let all = [draw(1, 1), draw(1, 2), draw(2, 1), draw(2, 2)];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
