//! The roll: who was in the parent room, who moderated it and what held, by number of its records.
//!
//! It is written with each record of a room that has lanes and kept as long as the room, because a lane's commit may name any earlier
//! record: commits outlive words, and a member who was away reads them later. Digests of the records are in the log of moderation. A
//! bench is stored where it differs from the one before.

use hearth_protocol::{Digest, MemberKey, Millis, RoomId};
use minicbor::{Decode, Encode};

use super::{
    gate::{AsOf, Known, Whereabouts},
    record::{Chair, lane_id},
};
use crate::{
    error::EngineError,
    policy::{Act, Leaf, Record, RoomPolicy, Terms},
    room::{Room, decode, read, write},
    store::{Kind, RoomNo, Store},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Changes kept of one member: each but the first two costs the room an amendment.
const STAYS_MAX: usize = 64;

/// Bench and agreements from one record on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Page {
    #[n(0)]
    bench: Vec<Chair>,
    #[n(1)]
    terms: Terms,
    #[n(2)]
    retention_seconds: u64,
    #[n(3)]
    title: String,
    /// Number of the last record that asked all to renew their keys; 0: none.
    #[n(4)]
    rekeyed: u64,
}

/// One member's comings and goings.
#[derive(Clone, Debug, Encode, Decode)]
struct Stays {
    #[n(0)]
    member: MemberKey,
    #[n(1)]
    name: String,
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    salt: [u8; 16],
    /// By number of the record, ascending.
    #[n(3)]
    changes: Vec<(u64, Place)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
enum Place {
    #[n(0)]
    In,
    #[n(1)]
    Lapsed,
    #[n(2)]
    Gone,
}

impl Stays {
    fn last_by(&self, number: u64) -> Option<(u64, Place)> {
        self.changes.iter().rev().find(|(since, _)| *since <= number).copied()
    }

    fn put(&mut self, number: u64, place: Place) {
        if self.changes.last().is_none_or(|(_, last)| *last != place) {
            self.changes.push((number, place));
        }
        if self.changes.len() > STAYS_MAX {
            self.changes.remove(0);
        }
    }
}

/// One room's roll, read from the store.
#[derive(Clone, Copy)]
pub(crate) struct Roll<'s> {
    store: &'s Store,
    no: RoomNo,
    /// The reader's room key.
    me: MemberKey,
}

/// Bench, retention and title of the parent as this profile knows it now.
pub(crate) struct Present {
    pub(crate) number: u64,
    pub(crate) record: Digest,
    pub(crate) bench: Vec<Chair>,
    pub(crate) terms: Terms,
    pub(crate) retention_seconds: u64,
    pub(crate) title: String,
    /// Number of the last record that asked all to renew their keys; 0: none.
    pub(crate) rekeyed: u64,
}

impl<'s> Roll<'s> {
    pub(crate) const fn new(store: &'s Store, no: RoomNo, me: MemberKey) -> Self {
        Self { store, no, me }
    }

    fn record(&self, number: u64) -> Result<Option<Record>> {
        let bytes = self.store.get_at(Kind::Log, self.no, number)?;
        bytes.map(|bytes| decode(&bytes)).transpose()
    }

    fn page_by(&self, number: u64) -> Result<Option<Page>> {
        let before = number.saturating_add(1);
        let page = self.store.range_back(Kind::Roll, self.no, before, 1)?.pop();
        page.map(|(_, bytes)| decode(&bytes)).transpose()
    }

    fn stays(&self, member: &MemberKey) -> Result<Option<Stays>> {
        read(self.store, Kind::Roll, self.no, member.as_bytes())
    }

    /// Returns the parent as of its newest record; `None` if the room has no lanes.
    pub(crate) fn present(&self) -> Result<Option<Present>> {
        let Some((number, bytes)) = self.store.last(Kind::Log, self.no)? else { return Ok(None) };
        let record: Record = decode(&bytes)?;
        let Some(page) = self.page_by(number)? else { return Ok(None) };
        let Page { bench, terms, retention_seconds, title, rekeyed } = page;
        let record = record.digest();
        Ok(Some(Present { number, record, bench, terms, retention_seconds, title, rekeyed }))
    }

    /// Returns the parent as of a record, with where a lane's owner was.
    pub(crate) fn as_of(&self, number: u64, owner: Option<&MemberKey>) -> Result<AsOf> {
        let last = match owner {
            Some(owner) => self.stays(owner)?.and_then(|stays| stays.last_by(number)),
            None => None,
        };
        let at = if owner.is_some() { whereabouts(last) } else { Whereabouts::In };
        match (self.record(number)?, self.page_by(number)?) {
            (Some(record), Some(Page { bench, terms, .. })) => {
                let known = Known { record: record.digest(), bench, terms, owner: at };
                Ok(AsOf::Known(Box::new(known)))
            }
            // I was in before, and am back or will be.
            _ if owner == Some(&self.me) && matches!(last, Some((_, Place::Lapsed))) => {
                Ok(AsOf::Away)
            }
            _ => Ok(AsOf::Unknown),
        }
    }

    /// Returns where a member was as of a record.
    pub(crate) fn whereabouts(&self, number: u64, member: &MemberKey) -> Result<Whereabouts> {
        let last = self.stays(member)?.and_then(|stays| stays.last_by(number));
        Ok(whereabouts(last))
    }

    /// Returns when somebody who is no longer in the room went out of it, by the record that says so.
    pub(crate) fn out_since(&self, member: &MemberKey) -> Result<Option<Millis>> {
        let last = self.stays(member)?.and_then(|stays| stays.last_by(u64::MAX));
        let Some((number, Place::Lapsed | Place::Gone)) = last else { return Ok(None) };
        Ok(self.record(number)?.map(|record| record.at))
    }

    /// Returns the name and the salt of somebody who is or was in the room.
    pub(crate) fn known(&self, member: &MemberKey) -> Result<Option<(String, [u8; 16])>> {
        Ok(self.stays(member)?.map(|stays| (stays.name, stays.salt)))
    }

    /// Returns whose lane an id is, among everybody who is in the room or has lapsed.
    pub(crate) fn owner_of(&self, parent: &RoomId, lane: &RoomId) -> Result<Option<MemberKey>> {
        for bytes in self.store.list_named(Kind::Roll, self.no)? {
            let stays: Stays = decode(&bytes)?;
            let gone = stays.changes.last().is_some_and(|(_, place)| *place == Place::Gone);
            if !gone && lane_id(parent, &stays.member, &stays.salt) == *lane {
                return Ok(Some(stays.member));
            }
        }
        Ok(None)
    }

    fn put(&self, number: u64, leaf: &Leaf) -> Result<()> {
        let stays = self.stays(&leaf.member)?;
        let mut stays = stays.unwrap_or_else(|| Stays {
            member: leaf.member,
            name: String::new(),
            salt: leaf.companion.salt,
            changes: Vec::new(),
        });
        stays.name.clone_from(&leaf.name);
        stays.put(number, Place::In);
        write(self.store, Kind::Roll, self.no, leaf.member.as_bytes(), &stays)
    }

    fn take_out(&self, number: u64, member: &MemberKey, place: Place) -> Result<()> {
        let Some(mut stays) = self.stays(member)? else { return Ok(()) };
        stays.put(number, place);
        write(self.store, Kind::Roll, self.no, member.as_bytes(), &stays)
    }

    /// Drops what was noted from a record on: it belongs to a room that was rolled back.
    pub(crate) fn forget_from(&self, number: u64) -> Result<()> {
        for (later, _) in self.store.range(Kind::Roll, self.no, number, usize::MAX)? {
            self.store.delete_at(Kind::Roll, self.no, later)?;
        }
        for bytes in self.store.list_named(Kind::Roll, self.no)? {
            let mut stays: Stays = decode(&bytes)?;
            let before = stays.changes.len();
            stays.changes.retain(|(since, _)| *since < number);
            if stays.changes.len() < before {
                write(self.store, Kind::Roll, self.no, stays.member.as_bytes(), &stays)?;
            }
        }
        Ok(())
    }
}

impl<'s> Room<'s> {
    pub(crate) fn roll(&self) -> Roll<'s> {
        Roll::new(self.store, self.no, self.me())
    }

    /// Notes a record that was just taken, with the roster after it.
    pub(crate) fn note_roll(&self, policy: &RoomPolicy, roster: &[Leaf]) -> Result<()> {
        if policy.desk.is_none() {
            return Ok(());
        }
        let (record, roll) = (&policy.record, self.roll());
        let number = record.number;
        let admitted = record.act.admission().map(|admission| admission.member);
        let begins = record.act == Act::Found || admitted == Some(self.me());
        if let Some(member) = record.act.takes_out() {
            roll.take_out(number, &member, Place::Gone)?;
        }
        match (admitted, &record.act) {
            (Some(member), _) if !begins => {
                for leaf in roster.iter().filter(|leaf| leaf.member == member) {
                    roll.put(number, leaf)?;
                }
            }
            (_, Act::Enact | Act::CloseBreach { .. }) => self.note_absent(policy, roster)?,
            _ if begins => {
                self.note_absent(policy, roster)?;
                for leaf in roster {
                    roll.put(number, leaf)?;
                }
            }
            _ => {}
        }
        let before = roll.page_by(number)?;
        let page = page(policy, roster, before.as_ref());
        if before.as_ref() != Some(&page) {
            self.store.put_at(
                Kind::Roll,
                self.no,
                number,
                &hearth_protocol::codec::encode(&page),
            )?;
        }
        Ok(())
    }

    /// Notes everybody who was in and is no longer: lapsed, unless the policy says that they are out for good.
    fn note_absent(&self, policy: &RoomPolicy, roster: &[Leaf]) -> Result<()> {
        let roll = self.roll();
        for bytes in self.store.list_named(Kind::Roll, self.no)? {
            let stays: Stays = decode(&bytes)?;
            if roster.iter().all(|leaf| leaf.member != stays.member) {
                let gone = policy.revoked.contains(&stays.member);
                let last = stays.changes.last().map(|(_, place)| *place);
                if last != Some(Place::Gone) {
                    let place = if gone { Place::Gone } else { Place::Lapsed };
                    roll.take_out(policy.record.number, &stays.member, place)?;
                }
            }
        }
        Ok(())
    }
}

/// Where a member was by their last change. One who was in no tree of this profile's had lapsed before, or they would not own a lane
/// that goes on.
const fn whereabouts(last: Option<(u64, Place)>) -> Whereabouts {
    match last {
        Some((_, Place::In)) => Whereabouts::In,
        Some((_, Place::Gone)) => Whereabouts::Gone,
        Some((_, Place::Lapsed)) | None => Whereabouts::Lapsed,
    }
}

fn page(policy: &RoomPolicy, roster: &[Leaf], before: Option<&Page>) -> Page {
    let chairs = policy.roles.iter().filter(|entry| entry.role.moderates()).map(|entry| {
        let leaf = roster.iter().find(|leaf| leaf.member == entry.member);
        let name = leaf.map(|leaf| leaf.name.clone()).unwrap_or_default();
        Chair { member: entry.member, role: entry.role, name }
    });
    let rekeyed = match policy.record.act {
        Act::Rekey | Act::OpenBreach { .. } => policy.record.number,
        _ => before.map_or(0, |before| before.rekeyed),
    };
    Page {
        bench: chairs.collect(),
        terms: policy.terms(),
        retention_seconds: policy.numbers.retention_seconds,
        title: policy.title.clone(),
        rekeyed,
    }
}
