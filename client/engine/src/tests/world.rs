//! A room of four with one modified client, and a relay that delivers any entry to any member.

use ed25519_dalek::SigningKey;
use hearth_protocol::{Digest, MemberKey, handshake};

use super::*;
use crate::{
    EngineError,
    agreement::{AckTerms, Acknowledgement, Agreement, countersign_transcript, facilitators_hash},
    companion::Companion,
    gate::Refusal,
    lawless,
    mls::{
        self, Committed, Group, Identity, Processed,
        modified::{Bare, Context, Forgery},
    },
    policy::{Act, Leaf, Record, RoomPolicy, RuleError, Scene},
    provider::Provider,
    room::identity,
    state::Notice,
    store::RoomNo,
};

/// The founder.
pub(super) const FAY: usize = 0;
/// The co-facilitator.
pub(super) const CLEO: usize = 1;
/// An honest member.
pub(super) const BEN: usize = 2;
/// A member, mostly the one with the modified client.
pub(super) const MAL: usize = 3;

/// The room and its relay.
pub(super) struct World {
    pub(super) log: Log,
    pub(super) rooms: Vec<TestRoom>,
}

/// Deviations of the members' clocks, in milliseconds.
pub(super) const WRONG: [i64; 4] = [-3 * HOUR, 85 * DAY, -365 * DAY, 300 * DAY];
pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;

impl World {
    /// A room whose members joined with the right time; since then all their clocks are wrong.
    pub(super) fn new() -> Self {
        Self::with(Suite::X25519, WRONG)
    }

    /// The same with other clocks.
    pub(super) fn with_clocks(ahead: [i64; 4]) -> Self {
        Self::with(Suite::X25519, ahead)
    }

    /// The same with lanes, and with right clocks.
    pub(super) fn with_lanes() -> Self {
        Self::with_lanes_of(Suite::X25519)
    }

    /// The same in another suite.
    pub(super) fn with_lanes_of(suite: Suite) -> Self {
        Self::joining(found_with("Fay", suite, true), [0; 4])
    }

    /// The same in another suite.
    pub(super) fn of(suite: Suite) -> Self {
        Self::with(suite, WRONG)
    }

    fn with(suite: Suite, ahead: [i64; 4]) -> Self {
        Self::joining(found("Fay", suite), ahead)
    }

    fn joining(mut fay: TestRoom, ahead: [i64; 4]) -> Self {
        let mut log = Log::default();
        let cleo = join(&mut fay, &mut log, "Cleo");
        let ben = join(&mut fay, &mut log, "Ben");
        let mal = join(&mut fay, &mut log, "Mal");
        let mut world = Self { log, rooms: vec![fay, cleo, ben, mal] };
        for (room, ahead) in world.rooms.iter_mut().zip(ahead) {
            set_clock(room, ahead);
        }
        let member = world.key(CLEO);
        world.act(FAY, Act::SetRole { member, role: Role::CoFacilitator });
        world
    }

    pub(super) fn key(&self, who: usize) -> MemberKey {
        self.rooms[who].me()
    }

    pub(super) fn policy(&mut self) -> RoomPolicy {
        self.rooms[FAY].policy().unwrap()
    }

    /// Delivers every new entry to every member.
    pub(super) fn show(&mut self) {
        for room in &mut self.rooms {
            self.log.show(room);
        }
    }

    /// Commits an act by the rules and delivers it to every member.
    pub(super) fn act(&mut self, who: usize, act: Act) -> Seq {
        let submission = self.rooms[who].act(act, NOW).unwrap();
        let seq = self.log.take(submission);
        self.show();
        seq
    }

    /// Posts a text and delivers it to every member.
    pub(super) fn say(&mut self, who: usize, text: &str) -> MessageId {
        let id = say(&mut self.rooms[who], &mut self.log, text);
        self.show();
        id
    }

    /// Makes a commit that an honest client would not make.
    pub(super) fn forge(&mut self, who: usize, forgery: &Forgery<'_>) -> Committed {
        forge(&mut self.rooms[who], forgery)
    }

    /// Makes a bare proposal.
    pub(super) fn propose(&mut self, who: usize, bare: &Bare<'_>) -> Vec<u8> {
        let room = &mut self.rooms[who];
        let (state, key, mine) = (room.state.clone(), room.signing_key(), ack_of(room));
        let companion = room.companion().unwrap();
        let (provider, group) = room.group().unwrap();
        group.propose(&provider, identity(&state, &key, &mine, &companion), bare)
    }

    /// The record of an act, as if the actor were allowed to do it.
    pub(super) fn record(&mut self, actor: usize, act: Act) -> Record {
        let actor = self.key(actor);
        self.policy().record_for(actor, NOW, act)
    }

    /// The policy after a record, without asking whether it is allowed.
    pub(super) fn after(&mut self, record: &Record, added: Option<&Leaf>) -> RoomPolicy {
        let room = &mut self.rooms[FAY];
        let (policy, roster, mine) = (room.policy().unwrap(), room.roster().unwrap(), ack_of(room));
        let scene = Scene {
            room: room.id(),
            members_max: Suite::X25519.members_max(),
            roster: &roster,
            added,
            actor_acknowledgement: &mine,
        };
        policy.carry_out(scene, record).map_or_else(
            |_| RoomPolicy { record: record.clone(), ..policy.clone() },
            |applied| applied.policy,
        )
    }

    /// A commit for an act by a client that does not check its permission.
    pub(super) fn forged_act(&mut self, who: usize, act: Act) -> Vec<u8> {
        let record = self.record(who, act);
        let policy = self.after(&record, None);
        self.forged_policy(who, &policy)
    }

    /// A commit of any policy.
    pub(super) fn forged_policy(&mut self, who: usize, policy: &RoomPolicy) -> Vec<u8> {
        let context = Context::Policy(policy);
        self.forge(who, &Forgery { context, ..Forgery::default() }).commit
    }

    /// Every member except the culprit refuses an entry, learns its sender and goes on.
    pub(super) fn refuses(&mut self, culprit: usize, payload: Vec<u8>, refusal: &Refusal) {
        let notice = Notice::RefusedCommit(refusal.to_string());
        self.stands_against(Some(culprit), payload, &notice);
    }

    /// Like [`Self::refuses`], for entries that OpenMLS itself refuses.
    pub(super) fn cannot_read(&mut self, culprit: usize, payload: Vec<u8>) {
        self.stands_against(Some(culprit), payload, &Notice::Unreadable);
    }

    /// Like [`Self::cannot_read`], for entries from outside the group.
    pub(super) fn nobody_reads(&mut self, payload: Vec<u8>) {
        self.stands_against(None, payload, &Notice::Unreadable);
    }

    /// Like [`Self::cannot_read`], for a commit of a past epoch: some member may have gone on from it, so the others hold their
    /// messages until they decide to go on.
    pub(super) fn comes_too_late(&mut self, culprit: Option<usize>, payload: Vec<u8>) {
        self.is_shown(culprit, payload, &Notice::Split);
        for room in &mut self.rooms {
            room.queue_text("held".into(), NOW).unwrap();
            let (words, commit) = (room.next_submission().err(), room.renew(None, NOW).err());
            for refused in [words, commit] {
                assert!(matches!(refused, Some(EngineError::Split(_))), "{refused:?}");
            }
            room.go_on().unwrap();
            let id = room.waiting_texts().unwrap()[0].0;
            assert!(room.drop_waiting(&id).unwrap(), "it waited");
        }
        self.goes_on();
    }

    fn stands_against(&mut self, culprit: Option<usize>, payload: Vec<u8>, notice: &Notice) {
        self.is_shown(culprit, payload, notice);
        self.goes_on();
    }

    fn is_shown(&mut self, culprit: Option<usize>, payload: Vec<u8>, notice: &Notice) {
        self.show();
        let named = culprit.map(|c| (self.key(c), self.rooms[c].state.name.clone()));
        self.log.append(payload);
        for (who, room) in self.rooms.iter_mut().enumerate() {
            let before = condition(room);
            self.log.show(room);
            assert_eq!(condition(room), before, "the room of {who} changed");
            if culprit != Some(who) {
                let row = last_row(room);
                assert_eq!(row.notices, std::slice::from_ref(notice), "at {who}");
                assert_eq!(row.content, RowContent::Nothing);
                if matches!(notice, Notice::RefusedCommit(_)) {
                    assert_eq!(Some((row.from.unwrap(), row.name)), named);
                }
                assert!(!room.group().unwrap().1.has_proposals());
            }
        }
    }

    /// A good commit for the same epoch still works for every member.
    pub(super) fn goes_on(&mut self) {
        let before = self.rooms[BEN].epoch().unwrap();
        let renewal = self.rooms[BEN].renew(None, NOW).unwrap();
        self.log.take(renewal);
        self.show();
        let code = self.rooms[FAY].safety_code().unwrap();
        for room in &mut self.rooms {
            assert_eq!(room.epoch().unwrap().0, before.0 + 1);
            assert_eq!(room.safety_code().unwrap(), code);
        }
    }
}

/// The state that a refusal must not change.
fn condition(room: &mut TestRoom) -> (u64, Vec<Leaf>, RoomPolicy) {
    (room.epoch().unwrap().0, room.roster().unwrap(), room.policy().unwrap())
}

pub(super) fn ack_of(room: &TestRoom) -> Acknowledgement {
    room.acknowledgement().unwrap()
}

pub(super) fn forge(room: &mut TestRoom, forgery: &Forgery<'_>) -> Committed {
    try_forge(room, forgery).unwrap()
}

pub(super) fn try_forge(
    room: &mut TestRoom,
    forgery: &Forgery<'_>,
) -> Result<Committed, mls::MlsError> {
    let (state, key, mine) = (room.state.clone(), room.signing_key(), ack_of(room));
    let companion = room.companion().unwrap();
    let (provider, group) = room.group().unwrap();
    group.forge(&provider, identity(&state, &key, &mine, &companion), forgery)
}

/// A stranger with a client that checks nothing.
pub(super) struct Ghost {
    profile: &'static Profile,
    no: RoomNo,
    pub(super) key: SigningKey,
    pub(super) name: String,
    pub(super) acknowledgement: Acknowledgement,
    pub(super) companion: Companion,
    pub(super) package: Vec<u8>,
    pub(super) group: Option<Group>,
}

impl Ghost {
    /// A ghost with the acknowledgement of an honest newcomer.
    pub(super) fn new(world: &World, seed: u8) -> Self {
        let agreement = current(&world.rooms[FAY]);
        Self::acknowledging(world.rooms[FAY].id(), &agreement, seed, NOW)
    }

    pub(super) fn acknowledging(
        room: RoomId,
        agreement: &Agreement,
        seed: u8,
        now: Millis,
    ) -> Self {
        let key = SigningKey::from_bytes(&[seed; 32]);
        let terms = AckTerms {
            room,
            agreement,
            facilitators: facilitators_hash(&[]),
            now,
            nonce: [seed; 16],
            answers: Vec::new(),
            breach: None,
        };
        let acknowledgement = Acknowledgement::sign(&key, terms);
        Self::with(key, acknowledgement, "Gus")
    }

    /// A ghost with any key, acknowledgement and name.
    pub(super) fn with(key: SigningKey, acknowledgement: Acknowledgement, name: &str) -> Self {
        let profile = Profile::new();
        let no = profile.store.create_room().unwrap();
        let mut ghost = Self {
            profile,
            no,
            key,
            name: name.into(),
            acknowledgement,
            companion: Companion { format: 1, salt: [6; 16], note: None },
            package: Vec::new(),
            group: None,
        };
        ghost.package =
            mls::key_package(&ghost.provider(), Suite::X25519, ghost.identity()).unwrap();
        ghost
    }

    pub(super) fn provider(&self) -> Provider<'static> {
        Provider::new(&self.profile.crypto, &self.profile.store, self.no)
    }

    pub(super) fn identity(&self) -> Identity<'_> {
        Identity {
            key: &self.key,
            name: &self.name,
            acknowledgement: &self.acknowledgement,
            companion: &self.companion,
        }
    }

    pub(super) fn member(&self) -> MemberKey {
        MemberKey(self.key.verifying_key().to_bytes())
    }

    pub(super) fn leaf(&self) -> Leaf {
        Leaf {
            member: self.member(),
            name: self.name.clone(),
            acknowledgement: self.acknowledgement.clone(),
            companion: self.companion.clone(),
        }
    }

    /// Joins by the Welcome of a commit that every member refuses.
    pub(super) fn haunt(&mut self, welcome: &[u8]) {
        self.group = Some(Group::join_unchecked(&self.provider(), welcome).unwrap());
    }

    /// Tries to decrypt every entry of the relay and returns how many it could.
    pub(super) fn reads(&mut self, log: &Log) -> usize {
        let crypto = lawless::crypto(Clock::from_fn(|| NOW));
        let provider = Provider::new(&crypto, &self.profile.store, self.no);
        let room = self.acknowledgement.room;
        let Some(group) = &mut self.group else { return 0 };
        let read = |entry: &Entry| {
            let EntryContent::Payload(payload) = &entry.content else { return false };
            let processed = group.process(&provider, room, payload);
            matches!(processed, Ok(Processed::Application { .. } | Processed::Commit { .. }))
        };
        log.entries.iter().map(read).filter(|read| *read).count()
    }
}

pub(super) fn current(room: &TestRoom) -> Agreement {
    room.agreement(&room.state.agreement).unwrap().unwrap()
}

/// The act that would admit a leaf, with the actor's valid countersignature.
pub(super) fn admission(actor: &TestRoom, leaf: &Leaf, role: Role) -> Act {
    let digest = leaf.acknowledgement.digest();
    let transcript = countersign_transcript(&actor.id(), &digest, NOW);
    let countersignature = handshake::sign(&actor.signing_key(), &transcript);
    Act::Admit { member: leaf.member, acknowledgement: digest, countersignature, role, back: false }
}

impl World {
    /// A modified facilitator's commit that admits a ghost, whether or not its acknowledgement is valid.
    pub(super) fn forged_admission(&mut self, who: usize, ghost: &Ghost) -> Committed {
        let leaf = ghost.leaf();
        let act = admission(&self.rooms[who], &leaf, Role::Member);
        let record = self.record(who, act);
        let policy = self.after(&record, Some(&leaf));
        let context = Context::Policy(&policy);
        self.forge(who, &Forgery { adds: vec![&ghost.package], context, ..Forgery::default() })
    }

    /// Every member refuses to admit a ghost, which then decrypts nothing.
    pub(super) fn keeps_out(&mut self, who: usize, ghost: &mut Ghost, refusal: &Refusal) {
        let committed = self.forged_admission(who, ghost);
        ghost.haunt(committed.welcome.as_ref().unwrap());
        self.refuses(who, committed.commit, refusal);
        self.say(FAY, "Among us.");
        self.say(BEN, "Yes.");
        assert_eq!(ghost.reads(&self.log), 0);
        let roster = self.rooms[BEN].roster().unwrap();
        assert!(roster.iter().all(|l| l.member != ghost.member() || l.name == "Ben"));
    }
}

pub(super) fn rule(error: RuleError) -> Refusal {
    Refusal::Rule(error)
}

/// The key of a stranger.
pub(super) fn nobody() -> MemberKey {
    MemberKey(SigningKey::from_bytes(&[99; 32]).verifying_key().to_bytes())
}

pub(super) fn zero() -> Digest {
    Digest([0; 32])
}

/// The act that removes a member.
pub(super) fn removal(member: MemberKey) -> Act {
    Act::Remove { member, goodbye: String::new() }
}
