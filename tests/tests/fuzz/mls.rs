//! What reaches OpenMLS: entries, key packages, Welcomes and the group info inside them.
//!
//! The room is made anew in every process, and keys with it. Inputs are therefore not the messages themselves but
//! what is done to one: a first byte that chooses it, then edits of three bytes each (offset, what is XORed). With
//! a choice of zero the rest is the message.

use std::cell::RefCell;

use hearth_engine::{
    Crypto, Room,
    act::InviteTerms,
    clock::Moment,
    fuzzing::{self, Fate, GroupInfoForge, Reader},
    join::{Founding, Joining, KnockRequest, open_preview},
    mls::Suite,
    outbox::Submission,
    state::KnockBody,
    store::{Kind, RoomNo, Store},
};
use hearth_protocol::{
    Effect, Entry, EntryContent, Millis, RelayId, Role, RoomId, RoomNumbers, Secret32, Seq, codec,
    frame::PendingKnock,
    invite::{self, Grant, Invite, RelayAddress, Transport},
    mls_header::{self, ContentType},
    seal::{self, Purpose},
};

use super::{choice, chosen};
use hearth_kit::scratch;

const NOW: Millis = Millis(1_800_000_000_000);

thread_local! {
    static WORLD: World = World::new();
}

/// A room of two, somebody who has knocked, and what the relay has.
struct World {
    /// Has not seen what is in `entries`.
    ben: Room<'static>,
    reader: RefCell<Reader>,
    /// Waits at the door.
    nora: Room<'static>,
    forge: GroupInfoForge<'static>,
    /// Messages and a commit of the facilitator for the epoch that Ben is in, and Ben's own.
    entries: Vec<Vec<u8>>,
    /// The key package in Nora's knock.
    package: Vec<u8>,
    /// The Welcomes of Nora's admission and of another's.
    welcomes: Vec<Vec<u8>>,
    /// Rows of the stores.
    rows: Vec<Vec<u8>>,
}

impl World {
    fn new() -> Self {
        let mut log = Log::default();
        let grant = Grant { address: address(), secret: Secret32::new([2; 32]) };
        let founding = Founding {
            title: "Tuesday evening".into(),
            agreement: "What is said here stays here.".into(),
            language: "en".into(),
            name: "Fay".into(),
            local_name: "room".into(),
            suite: Suite::X25519,
            numbers: RoomNumbers::default(),
            lanes: false,
        };
        let (store, crypto) = profile();
        let mut fay = Room::found(store, crypto, &grant, founding, NOW).unwrap();
        fay.opened().unwrap();
        let (mut ben, knock, _) = knock(&mut fay, &mut log, "Ben");
        let (seq, to_ben) = admit(&mut fay, &mut log, &knock);
        ben.welcomed(&to_ben, seq, NOW).unwrap();
        let (nora, knock, package) = self::knock(&mut fay, &mut log, "Nora");
        log.show(&mut ben);

        ben.queue_text("Hello, Fay.".into(), NOW).unwrap();
        let from_ben = ben.next_submission().unwrap().unwrap().payload;
        let already = log.entries.len();
        for text in ["Hello, Ben.", "Shall we begin?"] {
            fay.queue_text(text.into(), NOW).unwrap();
            log.flush(&mut fay);
        }
        let (_, to_nora) = admit(&mut fay, &mut log, &knock);
        let payload = |entry: &Entry| match &entry.content {
            EntryContent::Payload(payload) => payload.clone(),
            _ => unreachable!("nothing was retracted or expired"),
        };
        let mut entries: Vec<Vec<u8>> = log.entries[already..].iter().map(payload).collect();
        entries.push(from_ben);
        let forge = GroupInfoForge::new(&mut fay, &package).unwrap();
        let rows = [&fay, &ben, &nora].into_iter().flat_map(rows_of).collect();
        let reader = RefCell::new(Reader::new(&ben).unwrap());
        Self { ben, reader, nora, forge, entries, package, welcomes: vec![to_nora, to_ben], rows }
    }

    /// What somebody who knows the room may send in its place: entries, Welcomes, a key package.
    fn messages(&self) -> Vec<&[u8]> {
        let all = self.entries.iter().chain(&self.welcomes).chain([&self.package]);
        all.map(Vec::as_slice).collect()
    }
}

fn address() -> RelayAddress {
    RelayAddress {
        authority: "127.0.0.1:1".into(),
        transport: Transport::Plain,
        relay: RelayId([1; 32]),
        pin: None,
    }
}

/// Makes a profile that lives as long as the process.
fn profile() -> (&'static Store, &'static Crypto) {
    let dir = scratch();
    let store = fuzzing::store(&dir.path().join("hearth.db")).unwrap();
    // The open files stay usable without their names, and nothing is left behind.
    drop(dir);
    (Box::leak(Box::new(store)), Box::leak(Box::new(Crypto::default())))
}

fn rows_of(room: &Room<'_>) -> Vec<Vec<u8>> {
    let store = room.parts().0;
    let mut rows = Vec::new();
    for kind in [Kind::Room, Kind::History, Kind::Outbox, Kind::Invite, Kind::Log] {
        rows.extend(store.list_named(kind, RoomNo(1)).unwrap());
        rows.extend(store.range(kind, RoomNo(1), 0, 3).unwrap().into_iter().map(|(_, row)| row));
    }
    rows
}

/// What a relay keeps.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    welcomes: Vec<(Seq, Vec<u8>)>,
    previews: Vec<Vec<u8>>,
}

impl Log {
    fn take(&mut self, submission: Submission) {
        let seq = Seq(u64::try_from(self.entries.len()).unwrap() + 1);
        let content = EntryContent::Payload(submission.payload);
        self.entries.push(Entry { seq, at: NOW, content });
        self.welcomes.extend(submission.blob.map(|(_, welcome)| (seq, welcome)));
        for effect in submission.effects {
            if let Effect::AddInvite { preview, .. } = effect {
                self.previews.push(preview);
            }
        }
    }

    fn show(&self, room: &mut Room<'_>) {
        let after = room.cursor().seq;
        let entries: Vec<Entry> = self.entries.iter().filter(|e| e.seq > after).cloned().collect();
        room.handle_entries(&entries, Moment::agreed(NOW)).unwrap();
    }

    fn flush(&mut self, room: &mut Room<'_>) {
        while let Some(submission) = room.next_submission().unwrap() {
            self.take(submission);
            self.show(room);
        }
    }
}

/// A knock that a facilitator has opened.
type Opened = hearth_engine::act::Knock;

fn knock(fay: &mut Room<'_>, log: &mut Log, name: &str) -> (Room<'static>, Opened, Vec<u8>) {
    let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
    let (link, _) = fay.invite(terms, NOW).unwrap();
    log.flush(fay);
    let preview = open_preview(&link, log.previews.last().unwrap()).unwrap();
    let joining = Joining { name: name.into(), local_name: "room".into(), answers: Vec::new() };
    let (store, crypto) = profile();
    let (room, request) = Room::knock(store, crypto, &link, &preview, joining, NOW).unwrap();
    let key = invite::knock_key(&link.secret);
    let body = seal::open(&key, Purpose::Knock, &link.room, &request.body).unwrap();
    let package = codec::decode::<KnockBody>(&body).unwrap().key_package;
    let pending = pending(&room, &link, request);
    (room, fay.open_knock(&pending).unwrap(), package)
}

fn pending(room: &Room<'_>, link: &Invite, request: KnockRequest) -> PendingKnock {
    PendingKnock {
        member: room.me(),
        invite: invite::invite_id(&link.token()),
        at: NOW,
        acknowledgement: request.acknowledgement,
        body: request.body,
    }
}

fn admit(fay: &mut Room<'_>, log: &mut Log, knock: &Opened) -> (Seq, Vec<u8>) {
    let submission = fay.admit(knock, NOW).unwrap();
    log.take(submission);
    log.show(fay);
    log.welcomes.last().unwrap().clone()
}

/// Returns rows of the stores of the room's people.
pub(super) fn store_rows() -> Vec<Vec<u8>> {
    WORLD.with(|world| world.rows.clone())
}

/// Makes a message of an input, and says whether it is one of the true ones, and which.
fn message(bytes: &[u8], models: &[&[u8]]) -> (Vec<u8>, Option<usize>) {
    let (way, edits) = choice(bytes);
    let Some(which) = usize::from(way).checked_sub(1) else { return (edits.to_vec(), None) };
    let which = which % models.len();
    let model = models[which];
    let mut made = model.to_vec();
    let mut edits = edits.chunks_exact(3);
    for edit in &mut edits {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % made.len().max(1);
        if let Some(byte) = made.get_mut(at) {
            *byte ^= edit[2];
        }
    }
    match *edits.remainder() {
        // One byte over cuts the end off, two put something there.
        [cut] => made.truncate(made.len() - made.len().min(usize::from(cut))),
        [byte, times] => made.extend(std::iter::repeat_n(byte, usize::from(times))),
        _ => {}
    }
    let untouched = made == model;
    (made, untouched.then_some(which))
}

/// Whether a message is one of the 64th part of which more is asked.
fn is_sampled(message: &[u8]) -> bool {
    message.iter().fold(0, |all, byte| all ^ byte) % 64 == 0
}

/// The header that the relay reads, against what OpenMLS reads.
pub(super) fn header(bytes: &[u8]) -> bool {
    WORLD.with(|world| {
        let (payload, _) = message(bytes, &world.messages());
        let Some(header) = mls_header::parse(&payload) else { return false };
        let content = match header.content {
            ContentType::Application => 1,
            ContentType::Commit => 3,
        };
        let again = [
            &[0, 1, 0, 2, 16],
            &header.room.as_bytes()[..],
            &header.epoch.0.to_be_bytes(),
            &[content],
        ];
        assert!(payload.starts_with(&again.concat()), "the header is not what was read");
        if let Some((group, epoch)) = fuzzing::says_private_message(&payload) {
            assert_eq!(RoomId::from_slice(&group), Some(header.room), "relay and members differ");
            assert_eq!(epoch, header.epoch.0, "relay and members differ");
        }
        true
    })
}

pub(super) fn header_seeds() -> Vec<Vec<u8>> {
    let raw = |entry: &Vec<u8>| chosen(0, &entry[..64]);
    let mut seeds = WORLD.with(|world| world.entries.iter().map(raw).collect::<Vec<_>>());
    seeds.extend([vec![1], vec![3]]);
    seeds
}

/// An entry of the log, as a member reads it.
pub(super) fn entry(bytes: &[u8]) -> bool {
    WORLD.with(|world| {
        let models = world.messages();
        let (payload, which) = message(bytes, &models);
        let genuine = &world.entries[0];
        let known = world.entries.contains(&payload);
        // One group reads all that is junk. Of some it is asked whether what comes after it is read.
        let fates = if known || is_sampled(&payload) {
            fuzzing::read_entries(&world.ben, &[&payload, genuine]).expect("Ben is inside")
        } else {
            vec![world.reader.borrow_mut().read(&world.ben, &payload)]
        };
        if fates[0] == Fate::Own {
            // OpenMLS looks no further than at the sender: an own message that was altered is still called ours.
            // Nothing of it is shown; the member is told that it is not what this profile sent.
            let own = world.entries.len();
            let of_own = usize::from(bytes[0]).checked_sub(1).map(|way| way % models.len() + 1);
            assert_eq!(of_own, Some(own), "a message of nobody is called ours");
            return true;
        }
        assert_eq!(fates[0] != Fate::Unreadable, known, "entry {which:?}: {:?}", fates[0]);
        if !known && let Some(next) = fates.get(1) {
            assert!(matches!(next, Fate::Application(_)), "junk stops what comes after it");
        }
        known
    })
}

pub(super) fn entry_seeds() -> Vec<Vec<u8>> {
    let len = WORLD.with(|world| world.entries.len());
    (1..=len).map(|number| vec![u8::try_from(number).unwrap()]).collect()
}

/// The key package of a knock, as a facilitator reads it.
pub(super) fn key_package(bytes: &[u8]) -> bool {
    WORLD.with(|world| {
        let (package, untouched) = message(bytes, &[&world.package]);
        // The way to it: sealed, and opened with the invite's key.
        let body = fuzzed_knock(&package);
        let reader = world.reader.borrow();
        let leaf = reader.read_key_package(&world.ben, body.as_deref().unwrap_or(&package));
        // A package that is no edit of ours may be anybody's good one.
        let edited = choice(bytes).0 != 0 && untouched.is_none();
        assert!(leaf.is_none() || !edited, "a changed key package verifies");
        assert!(leaf.is_some() || untouched.is_none(), "a good key package is refused");
        leaf.is_some()
    })
}

/// Sends a key package through a knock's sealing and back.
fn fuzzed_knock(package: &[u8]) -> Option<Vec<u8>> {
    let key = Secret32::new([4; 32]);
    let room = RoomId([5; 16]);
    let body = KnockBody {
        name: "Nora".to_owned(),
        key_package: package.to_vec(),
        offer: None,
        reply_key: vec![9; 32],
    };
    let sealed = seal::seal(&key, [6; 24], Purpose::Knock, &room, &codec::encode(&body))?;
    let opened = seal::open(&key, Purpose::Knock, &room, &sealed).expect("what was sealed opens");
    Some(codec::decode::<KnockBody>(&opened).expect("what was written is read").key_package)
}

pub(super) fn key_package_seeds() -> Vec<Vec<u8>> {
    vec![vec![1], WORLD.with(|world| chosen(0, &world.package))]
}

/// A Welcome, as somebody reads it who has knocked.
pub(super) fn welcome(bytes: &[u8]) -> bool {
    WORLD.with(|world| {
        let models: Vec<&[u8]> = world.welcomes.iter().map(Vec::as_slice).collect();
        let (welcome, _) = message(bytes, &models);
        let taken = fuzzing::read_welcome(&world.nora, &welcome);
        assert_eq!(
            taken,
            welcome == world.welcomes[0],
            "the wrong Welcome is taken, or the right one not"
        );
        taken
    })
}

pub(super) fn welcome_seeds() -> Vec<Vec<u8>> {
    vec![vec![1]]
}

/// The group info in a Welcome, signed by a facilitator who means harm. Accepted is what verifies up to the
/// confirmation tag, which needs the group's secrets; that is asked of what is untouched, and of some of the rest.
pub(super) fn group_info(bytes: &[u8]) -> bool {
    WORLD.with(|world| {
        let (forge, nora) = (&world.forge, &world.nora);
        let (info, _) = message(bytes, &[forge.model()]);
        let (read, sampled) = (GroupInfoForge::is_read(&info), is_sampled(&info));
        // What is not read when it lies open needs no ciphers to be refused; of some it is asked all the same.
        if read || sampled {
            assert!(!forge.is_taken(nora, &info), "a group that never was is joined");
        }
        let asked = info == forge.model() || sampled;
        asked && {
            let wrong = forge.what_is_wrong(nora, &info);
            let wrong = wrong.expect("a group that never was is joined");
            let verified = wrong.contains("ConfirmationTag");
            assert!(read || !verified, "what is not read verifies");
            verified
        }
    })
}

pub(super) fn group_info_seeds() -> Vec<Vec<u8>> {
    vec![vec![1], WORLD.with(|world| chosen(0, world.forge.model()))]
}
