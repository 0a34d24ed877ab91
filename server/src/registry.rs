//! Rooms with listeners: a wake-up for each listener, and the newest entries in memory.
//!
//! A wake-up is empty: the woken connection pulls from its cursor, out of the tail here or out of
//! the store. So a slow reader fills no queue, and nothing is lost when wake-ups coalesce.
//! Head, roster version and tail of a room change together under one lock, so a connection that pulls sees a removal before,
//! or together with, the entry that made it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hearth_protocol::{
    Entry, EntryContent, MemberKey, Seq, codec, limits::ROOMS_PER_CONNECTION_MAX,
};
use tokio::sync::Notify;

use crate::{
    auth::Proved,
    batch::{Encoded, EntryBatch},
    store::{Place, Publication},
};

/// Entries of one room in memory.
const TAIL_ENTRIES_MAX: usize = 32;
/// Bytes of one room's entries in memory; at least the newest entry stays, whatever its size.
const TAIL_BYTES_MAX: usize = 32 * 1024;

/// One bit for each room of a connection; see [`Wake::dirty`].
const _: () = assert!(ROOMS_PER_CONNECTION_MAX <= 64);

/// Wakes one connection and names the rooms to pull.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    dirty: AtomicU64,
    notify: Notify,
}

impl Wake {
    /// Marks a room of the connection.
    pub(crate) fn mark(&self, slot: u8) {
        self.dirty.fetch_or(1 << slot, Ordering::AcqRel);
        // Stores a permit if no task waits yet, so that a wake-up between two waits is not lost.
        self.notify.notify_one();
    }

    /// Takes the marks.
    pub(crate) fn take(&self) -> u64 {
        self.dirty.swap(0, Ordering::AcqRel)
    }

    /// Waits for a mark. Cancel safe.
    pub(crate) async fn marked(&self) {
        self.notify.notified().await;
    }
}

/// Result of a pull.
#[derive(Debug)]
pub(crate) enum Pull {
    /// The room's roster changed since the caller's version: read the store first.
    Roster,
    /// Nothing after the cursor.
    Nothing,
    /// Entries from the tail, and the room's head.
    Tail(EntryBatch, Seq),
    /// The cursor is before the tail: read from the store, up to this head.
    Behind(Seq),
}

#[derive(Debug, Default)]
struct Channel {
    head: Seq,
    roster: u64,
    knocks: u64,
    tail: VecDeque<(Seq, Encoded)>,
    tail_bytes: usize,
    /// Whether an entry arrived since the last [`Registry::cool`].
    warm: bool,
    listeners: Vec<Listener>,
}

/// A connection that listens to a room with a key.
#[derive(Debug)]
struct Listener {
    wake: Arc<Wake>,
    slot: u8,
    member: MemberKey,
    notes: Arc<AtomicU64>,
}

/// A room in memory.
#[derive(Debug)]
pub(crate) struct Room {
    place: Place,
    channel: Mutex<Channel>,
}

/// Versions of a room's state besides its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Changes with any member's standing or time-out.
    pub(crate) roster: u64,
    /// Changes with every knock.
    pub(crate) knocks: u64,
    /// Changes with every note for the listener's key.
    pub(crate) notes: u64,
}

/// All rooms with listeners.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    rooms: Mutex<HashMap<Place, Arc<Room>>>,
}

/// One connection's listening to one room; ends with the value.
#[derive(Debug)]
pub(crate) struct Attachment {
    registry: Arc<Registry>,
    room: Arc<Room>,
    wake: Arc<Wake>,
    slot: u8,
    notes: Arc<AtomicU64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// Registers a connection to be woken for a room in which it proved a key.
    pub(crate) fn attach(
        self: &Arc<Self>,
        proof: &Proved,
        wake: &Arc<Wake>,
        slot: u8,
    ) -> Attachment {
        let (place, member) = (*proof.place(), *proof.member());
        let (wake, notes) = (wake.clone(), Arc::<AtomicU64>::default());
        let mut rooms = lock(&self.rooms);
        let room = rooms
            .entry(place)
            .or_insert_with(|| Arc::new(Room { place, channel: Mutex::default() }))
            .clone();
        // Under the map's lock, so that the room cannot be dropped before it is listened to.
        let listener = Listener { wake: wake.clone(), slot, member, notes: notes.clone() };
        lock(&room.channel).listeners.push(listener);
        Attachment { registry: self.clone(), room, wake, slot, notes }
    }

    /// Returns the number of rooms with listeners.
    pub(crate) fn rooms(&self) -> usize {
        lock(&self.rooms).len()
    }

    fn find(&self, place: &Place) -> Option<Arc<Room>> {
        lock(&self.rooms).get(place).cloned()
    }

    /// Publishes a commit. Only the store's writer calls it, in the order of commits.
    pub(crate) fn publish(&self, publication: Publication) {
        let Some(room) = self.find(&publication.place) else { return };
        let mut channel = lock(&room.channel);
        channel.head = channel.head.max(publication.head);
        channel.roster += u64::from(publication.roster);
        channel.knocks += u64::from(publication.knocked);
        for (seq, at, digest) in publication.tombstones {
            let entry = Entry { seq, at, content: EntryContent::Tombstone(digest) };
            channel.replace(seq, codec::encode(&entry).into());
        }
        let wakes = publication.entry.is_some() || publication.roster || publication.knocked;
        if let Some((seq, entry)) = publication.entry {
            channel.push(seq, entry);
        }
        if wakes {
            channel.wake();
        }
        for listener in &channel.listeners {
            if publication.note == Some(listener.member) {
                listener.notes.fetch_add(1, Ordering::AcqRel);
                listener.wake.mark(listener.slot);
            }
        }
    }

    /// Reads every room's head again after the store failed, because a refused transaction may have reached
    /// the disk nevertheless.
    pub(crate) fn resynchronise(&self, head_of: impl Fn(&Place) -> Option<Seq>) {
        let rooms: Vec<_> = lock(&self.rooms).values().cloned().collect();
        for room in rooms {
            let Some(head) = head_of(&room.place) else { continue };
            let mut channel = lock(&room.channel);
            channel.head = head;
            channel.roster += 1;
            channel.knocks += 1;
            channel.tail.clear();
            channel.tail_bytes = 0;
            channel.wake();
        }
    }

    /// Drops the tails of rooms without an entry since the last call, so that memory follows activity
    /// and not history. The next entry starts a new tail.
    pub(crate) fn cool(&self) {
        let rooms: Vec<_> = lock(&self.rooms).values().cloned().collect();
        for room in rooms {
            let mut channel = lock(&room.channel);
            if !std::mem::take(&mut channel.warm) {
                channel.tail = VecDeque::new();
                channel.tail_bytes = 0;
            }
        }
    }
}

impl Channel {
    fn push(&mut self, seq: Seq, entry: Encoded) {
        self.warm = true;
        self.tail_bytes += entry.len();
        self.tail.push_back((seq, entry));
        while self.tail.len() > TAIL_ENTRIES_MAX
            || (self.tail_bytes > TAIL_BYTES_MAX && self.tail.len() > 1)
        {
            if let Some((_, entry)) = self.tail.pop_front() {
                self.tail_bytes -= entry.len();
            }
        }
    }

    fn replace(&mut self, seq: Seq, entry: Encoded) {
        if let Some((_, old)) = self.tail.iter_mut().find(|(found, _)| *found == seq) {
            self.tail_bytes = self.tail_bytes - old.len() + entry.len();
            *old = entry;
        }
    }

    fn wake(&self) {
        for Listener { wake, slot, .. } in &self.listeners {
            wake.mark(*slot);
        }
    }
}

impl Attachment {
    /// Marks the room as if it had been woken.
    pub(crate) fn mark(&self) {
        self.wake.mark(self.slot);
    }

    /// Returns the versions of roster, knocks and notes. Read them before the store, so that a change in between is
    /// seen twice rather than missed.
    pub(crate) fn versions(&self) -> Versions {
        let channel = lock(&self.room.channel);
        let notes = self.notes.load(Ordering::Acquire);
        Versions { roster: channel.roster, knocks: channel.knocks, notes }
    }

    /// Returns entries after a cursor, up to a bound.
    pub(crate) fn pull(&self, roster: u64, cursor: Seq, known_head: Seq, bound: Seq) -> Pull {
        let channel = lock(&self.room.channel);
        if channel.roster != roster {
            return Pull::Roster;
        }
        let head = channel.head.max(known_head).min(bound);
        if head <= cursor {
            return Pull::Nothing;
        }
        // Seqs in the tail have no holes, so an entry's position follows from the first seq.
        let index = match channel.tail.front() {
            Some((first, _)) if first.0 <= cursor.0 + 1 => {
                usize::try_from(cursor.0 + 1 - first.0).unwrap_or(usize::MAX)
            }
            _ => return Pull::Behind(head),
        };
        let mut batch = EntryBatch::new();
        for (seq, entry) in channel.tail.iter().skip(index) {
            if *seq > head || !batch.push(*seq, entry) {
                break;
            }
        }
        if batch.is_empty() { Pull::Behind(head) } else { Pull::Tail(batch, head) }
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let mut rooms = lock(&self.registry.rooms);
        let mut channel = lock(&self.room.channel);
        let (wake, slot) = (&self.wake, self.slot);
        channel.listeners.retain(|other| !(Arc::ptr_eq(&other.wake, wake) && other.slot == slot));
        let unheard = channel.listeners.is_empty();
        drop(channel);
        // Only this room value, because another one may have the same id since.
        if unheard
            && rooms.get(&self.room.place).is_some_and(|found| Arc::ptr_eq(found, &self.room))
        {
            rooms.remove(&self.room.place);
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_protocol::RoomId;

    use super::*;

    const ROOM: RoomId = RoomId([1; 16]);
    const KEY: MemberKey = MemberKey([2; 32]);

    fn proof() -> Proved {
        Proved::assumed(ROOM, KEY)
    }

    fn entry(seq: u64) -> Publication {
        Publication {
            place: ROOM.into(),
            head: Seq(seq),
            entry: Some((Seq(seq), vec![7; 100].into())),
            tombstones: Vec::new(),
            roster: false,
            knocked: false,
            note: None,
        }
    }

    #[test]
    fn woken_listener_pulls_from_its_cursor() {
        let registry = Arc::new(Registry::default());
        let wake = Arc::new(Wake::default());
        let room = registry.attach(&proof(), &wake, 5);
        registry.publish(entry(1));
        registry.publish(entry(2));
        assert_eq!(wake.take(), 1 << 5);
        let Pull::Tail(batch, head) = room.pull(0, Seq(1), Seq(0), Seq(u64::MAX)) else { panic!() };
        assert_eq!((batch.last(), head), (Some(Seq(2)), Seq(2)));
        assert!(matches!(room.pull(0, Seq(2), Seq(0), Seq(u64::MAX)), Pull::Nothing));
        assert!(matches!(room.pull(0, Seq(0), Seq(0), Seq(0)), Pull::Nothing));
    }

    #[test]
    fn cursor_before_tail_reads_the_store() {
        let registry = Arc::new(Registry::default());
        let wake = Arc::new(Wake::default());
        let room = registry.attach(&proof(), &wake, 0);
        for seq in 1..=200 {
            registry.publish(entry(seq));
        }
        assert!(matches!(room.pull(0, Seq(10), Seq(0), Seq(u64::MAX)), Pull::Behind(Seq(200))));
        assert!(matches!(room.pull(0, Seq(190), Seq(0), Seq(u64::MAX)), Pull::Tail(..)));
        registry.cool();
        assert!(matches!(room.pull(0, Seq(190), Seq(0), Seq(u64::MAX)), Pull::Tail(..)));
        registry.cool();
        assert!(matches!(room.pull(0, Seq(190), Seq(0), Seq(u64::MAX)), Pull::Behind(_)));
    }

    #[test]
    fn changed_roster_precedes_entries() {
        let registry = Arc::new(Registry::default());
        let wake = Arc::new(Wake::default());
        let room = registry.attach(&proof(), &wake, 0);
        registry.publish(Publication { roster: true, ..entry(1) });
        assert!(matches!(room.pull(0, Seq(0), Seq(0), Seq(u64::MAX)), Pull::Roster));
    }

    #[test]
    fn note_wakes_its_addressee_alone() {
        let registry = Arc::new(Registry::default());
        let (wake, other) = (Arc::new(Wake::default()), Arc::new(Wake::default()));
        let room = registry.attach(&proof(), &wake, 3);
        let peer = registry.attach(&Proved::assumed(ROOM, MemberKey([3; 32])), &other, 0);
        let before = peer.versions();
        registry.publish(entry(5));
        let _ = (wake.take(), other.take());
        registry.publish(Publication::note(ROOM.into(), KEY));
        assert_eq!((wake.take(), other.take()), (1 << 3, 0));
        assert_eq!((room.versions().notes, peer.versions()), (1, before));
        // The head stays.
        assert!(matches!(room.pull(0, Seq(5), Seq(0), Seq(u64::MAX)), Pull::Nothing));
        assert!(matches!(room.pull(0, Seq(4), Seq(0), Seq(u64::MAX)), Pull::Tail(..)));
    }

    #[test]
    fn last_listener_drops_the_room() {
        let registry = Arc::new(Registry::default());
        let wake = Arc::new(Wake::default());
        let first = registry.attach(&proof(), &wake, 0);
        let second = registry.attach(&proof(), &wake, 1);
        drop(first);
        assert_eq!(registry.rooms(), 1);
        drop(second);
        assert_eq!(registry.rooms(), 0);
    }
}
