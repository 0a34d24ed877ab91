//! A room of honest clients, a relay that keeps a list of entries, and the foreign member among them.

use std::path::Path;

use hearth_engine::{
    Crypto, Room,
    act::InviteTerms,
    clock::Moment,
    join::{Founding, Joining, open_preview},
    mls::Suite,
    outbox::Submission,
    policy::{Act, Leaf, RoomPolicy},
    profile::Profile,
    state::{Notice, Row, RowContent},
};
use hearth_protocol::{
    Effect, Entry, EntryContent, Epoch, Millis, RelayId, Role, RoomNumbers, Secret32, Seq,
    frame::PendingKnock,
    invite::{self, Grant, Invite, RelayAddress, Transport},
    mls_header::{self, ContentType},
};

use super::member::{Foreign, Setup};

pub(crate) const NOW: Millis = Millis(1_800_000_000_000);

/// Founded the room.
pub(crate) const FAY: usize = 0;
/// Co-facilitates.
pub(crate) const CLEO: usize = 1;
/// Is a member.
pub(crate) const BEN: usize = 2;

/// The room.
pub(crate) struct Stage {
    pub(crate) people: Vec<Room<'static>>,
    pub(crate) fox: Foreign,
    pub(crate) entries: Vec<Entry>,
    /// The epoch that the relay thinks is current.
    pub(crate) epoch: Epoch,
    previews: Vec<Vec<u8>>,
    welcome: Option<Vec<u8>>,
    followed: usize,
}

/// What must not change by what is refused.
type Condition = (Epoch, Vec<Leaf>, RoomPolicy);

impl Stage {
    /// Fay, Cleo and Ben.
    pub(crate) fn without_fox(setup: &Setup) -> Self {
        let mut stage = Self {
            people: vec![found()],
            fox: Foreign::new(setup),
            entries: Vec::new(),
            epoch: Epoch(0),
            previews: Vec::new(),
            welcome: None,
            followed: 0,
        };
        for name in ["Cleo", "Ben"] {
            stage.admit_native(name);
        }
        let act = Act::SetRole { member: stage.people[CLEO].me(), role: Role::CoFacilitator };
        stage.act(FAY, act);
        stage
    }

    /// Fay, Cleo, Ben, and Fox, who came in by the front door.
    pub(crate) fn new() -> Self {
        Self::with(&Setup::default())
    }

    /// The same, with Fox set up otherwise.
    pub(crate) fn with(setup: &Setup) -> Self {
        let mut stage = Self::without_fox(setup);
        let knock = stage.fox_knocks();
        stage.admit(&knock);
        stage.fox_joins();
        stage
    }

    /// Appends without any check, as a relay in league with Fox can.
    pub(crate) fn append(&mut self, payload: Vec<u8>) -> Seq {
        let seq = Seq(self.entries.len() as u64 + 1);
        if mls_header::parse(&payload).is_some_and(|h| h.content == ContentType::Commit) {
            self.epoch = Epoch(self.epoch.0 + 1);
        }
        self.entries.push(Entry { seq, at: NOW, content: EntryContent::Payload(payload) });
        seq
    }

    /// Whether an honest relay takes a payload (docs/protocol.md section 5).
    pub(crate) fn relay_takes(&self, payload: &[u8]) -> bool {
        let header = mls_header::parse(payload);
        header.is_some_and(|h| h.room == self.people[FAY].id() && h.epoch == self.epoch)
    }

    /// Submits as to an honest relay.
    pub(crate) fn submit(&mut self, payload: Vec<u8>) -> Seq {
        assert!(self.relay_takes(&payload), "an honest relay refuses this");
        self.append(payload)
    }

    fn take(&mut self, submission: Submission) -> Seq {
        if let Some((_, welcome)) = submission.blob {
            self.welcome = Some(welcome);
        }
        for effect in submission.effects {
            if let Effect::AddInvite { preview, .. } = effect {
                self.previews.push(preview);
            }
        }
        self.submit(submission.payload)
    }

    /// Shows the honest everything.
    pub(crate) fn show(&mut self) {
        for room in &mut self.people {
            let after = room.cursor().seq;
            let entries: Vec<Entry> =
                self.entries.iter().filter(|e| e.seq > after).cloned().collect();
            room.handle_entries(&entries, Moment::agreed(NOW)).unwrap();
        }
    }

    /// Shows everything to everybody, Fox too, who must be able to read it all.
    pub(crate) fn show_all(&mut self) {
        self.show();
        self.fox.follow(&self.entries[self.followed..]).unwrap();
        self.followed = self.entries.len();
    }

    /// Fox takes no notice of what was sent so far.
    pub(crate) fn fox_skips(&mut self) {
        self.followed = self.entries.len();
    }

    /// An honest client says something.
    pub(crate) fn say(&mut self, who: usize, words: &str) -> Vec<u8> {
        self.show();
        self.people[who].queue_text(words.into(), NOW).unwrap();
        let submission = self.people[who].next_submission().unwrap().unwrap();
        let payload = submission.payload.clone();
        self.take(submission);
        self.show();
        payload
    }

    /// An honest client does something.
    pub(crate) fn act(&mut self, who: usize, act: Act) {
        self.show();
        let submission = self.people[who].act(act, NOW).unwrap();
        self.take(submission);
        self.show();
    }

    /// An honest client renews its keys.
    pub(crate) fn renew(&mut self, who: usize) {
        self.show();
        let submission = self.people[who].renew(None, NOW).unwrap();
        self.take(submission);
        self.show();
    }

    /// Makes an invite.
    pub(crate) fn invite(&mut self) -> Invite {
        let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
        let (link, _) = self.people[FAY].invite(terms, NOW).unwrap();
        let submission = self.people[FAY].next_submission().unwrap().unwrap();
        self.take(submission);
        self.show();
        link
    }

    /// Fox gets an invite and knocks.
    pub(crate) fn fox_knocks(&mut self) -> PendingKnock {
        let link = self.invite();
        self.fox.knock(&link, self.previews.last().unwrap())
    }

    /// Fay's client verifies a knock and admits.
    pub(crate) fn admit(&mut self, knock: &PendingKnock) {
        let opened = self.people[FAY].open_knock(knock).unwrap();
        let submission = self.people[FAY].admit(&opened, NOW).unwrap();
        self.take(submission);
        self.show();
    }

    pub(crate) fn fox_joins(&mut self) {
        let welcome = self.welcome.take().unwrap();
        self.fox.join(&welcome);
        self.fox_skips();
    }

    /// The whole way in of an honest client.
    pub(crate) fn admit_native(&mut self, name: &str) {
        let link = self.invite();
        let preview = open_preview(&link, self.previews.last().unwrap()).unwrap();
        let joining = Joining { name: name.into(), local_name: "room".into(), answers: Vec::new() };
        let (profile, crypto) = profile();
        let knocking = Room::knock(profile.store(), crypto, &link, &preview, joining, NOW);
        let (mut room, request) = knocking.unwrap();
        let knock = PendingKnock {
            member: room.me(),
            invite: invite::invite_id(&link.token()),
            at: NOW,
            acknowledgement: request.acknowledgement,
            body: request.body,
        };
        self.admit(&knock);
        let joined = Seq(self.entries.len() as u64);
        room.welcomed(&self.welcome.take().unwrap(), joined, NOW).unwrap();
        self.people.push(room);
    }

    /// Everything that was sent.
    pub(crate) fn payloads(&self) -> Vec<Vec<u8>> {
        let payload = |entry: &Entry| match &entry.content {
            EntryContent::Payload(payload) => Some(payload.clone()),
            _ => None,
        };
        self.entries.iter().filter_map(payload).collect()
    }

    /// What an honest client shows last.
    pub(crate) fn last(&self, who: usize) -> Row {
        rows(&self.people[who]).pop().unwrap()
    }

    /// The words that an honest client shows, with their sender's name.
    pub(crate) fn texts(&self, who: usize) -> Vec<(String, String)> {
        let texts = rows(&self.people[who]).into_iter().filter_map(|row| match row.content {
            RowContent::Text(text) => Some((row.name, text)),
            _ => None,
        });
        texts.collect()
    }

    fn conditions(&mut self) -> Vec<Condition> {
        let condition = |room: &mut Room<'_>| {
            (room.epoch().unwrap(), room.roster().unwrap(), room.policy().unwrap())
        };
        self.people.iter_mut().map(condition).collect()
    }

    /// Every honest client takes no effect from a payload of Fox's and says what it thinks of it, and the room goes on.
    pub(crate) fn refuses(&mut self, payload: Vec<u8>, notice: &Notice) {
        self.shrugs_off(payload, notice, Some("Fox"));
    }

    /// Like [`Self::refuses`], for what names nobody.
    pub(crate) fn cannot_read(&mut self, payload: Vec<u8>) {
        self.shrugs_off(payload, &Notice::Unreadable, None);
    }

    fn shrugs_off(&mut self, payload: Vec<u8>, notice: &Notice, name: Option<&str>) {
        self.show();
        let (before, epoch) = (self.conditions(), self.epoch);
        self.append(payload);
        self.show();
        assert!(self.conditions() == before, "somebody's room changed");
        for who in 0..self.people.len() {
            let row = self.last(who);
            assert_eq!(row.content, RowContent::Nothing, "at {who}");
            assert_eq!(row.notices, std::slice::from_ref(notice), "at {who}");
            assert_eq!(row.name, name.unwrap_or_default(), "at {who}");
            assert_eq!(row.from, name.map(|_| self.fox.member()), "at {who}");
        }
        // Where it used the epoch up, Fay saw that, and gives it back.
        if self.epoch != epoch {
            assert!(self.people[FAY].saw_epoch_used_up().unwrap());
            self.epoch = epoch;
        }
        self.fox_skips();
        self.goes_on();
    }

    /// Words and commits of the honest still reach everybody, Fox too, and all agree.
    pub(crate) fn goes_on(&mut self) {
        let words = format!("after {}", self.entries.len());
        self.say(BEN, &words);
        self.renew(CLEO);
        self.show_all();
        let code = self.people[FAY].safety_code().unwrap();
        for who in [FAY, CLEO, BEN] {
            assert_eq!(self.people[who].safety_code().unwrap(), code);
            assert_eq!(self.people[who].epoch().unwrap(), self.epoch);
            let said = ("Ben".to_owned(), words.clone());
            assert_eq!(self.texts(who).last(), Some(&said));
        }
        assert_eq!(self.fox.group().current_epoch(), self.epoch.0);
        assert_eq!(self.fox.texts().last(), Some(&words.as_str()));
    }
}

/// The whole history of a client.
pub(crate) fn rows(room: &Room<'_>) -> Vec<Row> {
    room.history(Seq(0), usize::MAX).unwrap()
}

/// A profile that lives as long as the test.
fn profile() -> (&'static Profile, &'static Crypto) {
    // Nothing of a test need survive a power cut: in memory, where the system has such a place, it is much faster.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let dir = dir.unwrap();
    let made = Profile::create(&dir.path().join("profile"), None);
    let made = made.unwrap_or_else(|error| panic!("no profile: {error}"));
    // The database stays open; its folder need not stay.
    drop(dir);
    (Box::leak(Box::new(made)), Box::leak(Box::new(Crypto::default())))
}

fn found() -> Room<'static> {
    let address = RelayAddress {
        authority: "127.0.0.1:1".into(),
        transport: Transport::Plain,
        relay: RelayId([1; 32]),
        pin: None,
    };
    let grant = Grant { address, secret: Secret32::new([2; 32]) };
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
    let (profile, crypto) = profile();
    let mut room = Room::found(profile.store(), crypto, &grant, founding, NOW).unwrap();
    room.opened().unwrap();
    room
}

/// The act that removes a member.
pub(crate) fn removal(member: hearth_protocol::MemberKey) -> Act {
    Act::Remove { member, goodbye: String::new() }
}
