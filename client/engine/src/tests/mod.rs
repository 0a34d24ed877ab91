//! Tests of the engine with honest members, modified members and a hostile relay.
//!
//! There is no relay here: [`Log`] is a list of entries that a test delivers to any member it likes, exactly as a relay in
//! league with an attacker can.

mod accord;
mod acknowledged;
mod amendments;
mod attacks;
mod breaches;
mod calls;
mod calm;
mod clocks;
mod devices;
mod door;
mod ended;
mod farewells;
mod gate;
mod gate_mls;
mod gate_roster;
mod gate_welcome;
mod interop;
mod lane_gate;
mod lane_words;
mod lanes;
mod largest;
mod membership;
mod messages;
mod moods;
mod order;
mod places;
mod polls;
mod quotes;
mod rules;
mod sealed_notes;
mod second;
mod shares;
mod steward;
mod stream;
mod talk;
mod turns;
mod waiting;
mod words;
mod world;

use hearth_protocol::{
    Entry, EntryContent, MessageId, Millis, Role, RoomId, Seq,
    frame::{Effect, PendingKnock},
    invite::{Grant, Invite, RelayAddress, Transport},
    mls_header,
};

use super::{
    Crypto, Room,
    act::{InviteTerms, Knock},
    agreement::Agreement,
    join::{Founding, Joining, KnockRequest, open_preview},
    mls::Suite,
    outbox::Submission,
    state::{Row, RowContent},
};
use crate::{
    clock::{Clock, Moment},
    store::Store,
};

pub(super) const NOW: Millis = Millis(1_800_000_000_000);
/// [`NOW`] by both clocks.
pub(super) const THEN: Moment = Moment::agreed(NOW);

/// The clock of a machine that is ahead by some milliseconds.
pub(super) fn clock(ahead: i64) -> Crypto {
    Crypto::with_clock(Clock::from_fn(move || Millis(NOW.0.saturating_add_signed(ahead))))
}

/// Sets a member's clock.
pub(super) fn set_clock(room: &mut TestRoom, ahead: i64) {
    room.crypto = Box::leak(Box::new(clock(ahead)));
}

/// A profile that lives as long as the test.
pub(super) struct Profile {
    pub(super) store: Store,
    pub(super) crypto: Crypto,
}

impl Profile {
    pub(super) fn new() -> &'static Self {
        // No test needs to survive a power cut, so use memory where the system offers it: it is much faster.
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let dir = dir.unwrap();
        let store = Store::create(&dir.path().join("hearth.db"), &[7; 32]).ok().unwrap();
        // This unlinks the files; their content goes with the process, however it ends.
        drop(dir);
        Box::leak(Box::new(Self { store, crypto: clock(0) }))
    }
}

pub(super) type TestRoom = Room<'static>;

/// What the relay holds: entries, and what founders and facilitators told it.
#[derive(Default)]
pub(super) struct Log {
    pub(super) entries: Vec<Entry>,
    pub(super) welcomes: Vec<(Seq, Vec<u8>)>,
    pub(super) previews: Vec<Vec<u8>>,
    /// Milliseconds since [`NOW`] by the relay's clock.
    pub(super) later: u64,
}

impl Log {
    /// Appends a payload unchecked, as a colluding relay can.
    pub(super) fn append(&mut self, payload: Vec<u8>) -> Seq {
        let seq = Seq(self.entries.len() as u64 + 1);
        let at = NOW.plus(self.later);
        self.entries.push(Entry { seq, at, content: EntryContent::Payload(payload) });
        seq
    }

    /// Appends a submission and keeps its attachments.
    pub(super) fn take(&mut self, submission: Submission) -> Seq {
        let seq = self.append(submission.payload);
        if let Some((_, welcome)) = submission.blob {
            self.welcomes.push((seq, welcome));
        }
        for effect in submission.effects {
            if let Effect::AddInvite { preview, .. } = effect {
                self.previews.push(preview);
            }
        }
        seq
    }

    /// Delivers every entry after a member's cursor.
    pub(super) fn show(&self, room: &mut TestRoom) {
        let after = room.cursor().seq;
        let entries: Vec<Entry> = self.entries.iter().filter(|e| e.seq > after).cloned().collect();
        let moment = Moment { own: room.now(), relay: NOW.plus(self.later) };
        room.handle_entries(&entries, moment).unwrap();
    }

    /// Sends a member's whole outbox as an honest relay would accept it, and delivers it to the sender.
    pub(super) fn flush(&mut self, room: &mut TestRoom) {
        self.show(room);
        while let Some(submission) = room.next_submission().unwrap() {
            let header = mls_header::parse(&submission.payload).unwrap();
            assert_eq!(header.room, room.id());
            self.take(submission);
            self.show(room);
        }
    }
}

/// The relay's replacement for entries that expired unread, up to `upto`.
pub(super) fn expired(upto: Seq) -> Entry {
    Entry { seq: upto, at: Millis(0), content: EntryContent::Expired }
}

pub(super) fn address() -> RelayAddress {
    RelayAddress {
        authority: "127.0.0.1:1".into(),
        transport: Transport::Plain,
        relay: hearth_protocol::RelayId([1; 32]),
        pin: None,
    }
}

pub(super) fn found(name: &str, suite: Suite) -> TestRoom {
    found_with(name, suite, false)
}

/// Founds a room, with lanes or without.
pub(super) fn found_with(name: &str, suite: Suite, lanes: bool) -> TestRoom {
    let profile = Profile::new();
    let grant = Grant { address: address(), secret: hearth_protocol::Secret32::new([2; 32]) };
    let founding = Founding {
        title: "Tuesday evening".into(),
        agreement: "What is said here stays here.".into(),
        language: "en".into(),
        name: name.into(),
        local_name: "room".into(),
        suite,
        numbers: hearth_protocol::RoomNumbers::default(),
        lanes,
    };
    let mut room = Room::found(&profile.store, &profile.crypto, &grant, founding, NOW).unwrap();
    room.opened().unwrap();
    room
}

pub(super) fn invite(facilitator: &mut TestRoom, log: &mut Log) -> Invite {
    let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
    let (link, _) = facilitator.invite(terms, NOW).unwrap();
    log.flush(facilitator);
    link
}

pub(super) fn knock(
    profile: &'static Profile,
    link: &Invite,
    log: &Log,
    name: &str,
) -> (TestRoom, KnockRequest) {
    let preview = open_preview(link, log.previews.last().unwrap()).unwrap();
    let joining = Joining { name: name.into(), local_name: "room".into(), answers: Vec::new() };
    Room::knock(&profile.store, &profile.crypto, link, &preview, joining, NOW).unwrap()
}

pub(super) fn pending(room: &TestRoom, link: &Invite, request: &KnockRequest) -> PendingKnock {
    PendingKnock {
        member: room.me(),
        invite: hearth_protocol::invite::invite_id(&link.token()),
        at: NOW,
        acknowledgement: request.acknowledgement.clone(),
        body: request.body.clone(),
    }
}

/// Joins completely: invite, knock, admission, Welcome.
pub(super) fn join(facilitator: &mut TestRoom, log: &mut Log, name: &str) -> TestRoom {
    let link = invite(facilitator, log);
    let (mut room, request) = knock(Profile::new(), &link, log, name);
    let knock: Knock = facilitator.open_knock(&pending(&room, &link, &request)).unwrap();
    assert_eq!(knock.name, name);
    let submission = facilitator.admit(&knock, NOW).unwrap();
    log.take(submission);
    log.show(facilitator);
    let (seq, welcome) = log.welcomes.last().unwrap();
    room.welcomed(welcome, *seq, room.now()).unwrap();
    room
}

pub(super) fn say(room: &mut TestRoom, log: &mut Log, text: &str) -> MessageId {
    let id = room.queue_text(text.into(), NOW).unwrap();
    log.flush(room);
    id
}

/// Signs a version of the agreement by renewing the leaf.
pub(super) fn sign(room: &mut TestRoom, log: &mut Log, agreement: &Agreement) {
    let ack = room.sign_acknowledgement(agreement, NOW, Vec::new()).unwrap();
    let renewal = room.renew(Some(&ack), NOW).unwrap();
    log.take(renewal);
    log.show(room);
}

pub(super) fn rows(room: &TestRoom) -> Vec<Row> {
    room.history(Seq(0), 10_000).unwrap()
}

pub(super) fn texts(room: &TestRoom) -> Vec<String> {
    rows(room)
        .into_iter()
        .filter_map(|r| match r.content {
            RowContent::Text(text) => Some(text),
            _ => None,
        })
        .collect()
}

pub(super) fn last_row(room: &TestRoom) -> Row {
    rows(room).pop().unwrap()
}

pub(super) fn payload(log: &Log, seq: Seq) -> Vec<u8> {
    match &log.entries[usize::try_from(seq.0).unwrap() - 1].content {
        EntryContent::Payload(payload) => payload.clone(),
        EntryContent::Tombstone(_) | EntryContent::Expired => Vec::new(),
    }
}
