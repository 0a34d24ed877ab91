//! One seed: a room, its people, the lies told to them, and what became of it.

use std::rc::Rc;

use hearth_engine::{
    EngineError,
    accord::Reason,
    clock::Moment,
    content::Body,
    policy::Act,
    state::{Held, Row, RowContent, Standing},
};
use hearth_protocol::{
    Effect, Entry, InviteId, MemberKey, MessageId, RejectCode, Role, Secret32, Seq, invite::Invite,
};
use hearth_session::live::{Live, LiveError};
use tokio::{
    task::{JoinHandle, spawn_local},
    time::sleep_until,
};

use hearth_kit::Dice;

use super::check::{Oracle, view_of};
use crate::world::{
    Ended, Event, FAULT_MILLIS, HANG, LOSS, Outcome, Person, WRONG_CLOCKS, World, accuses,
    killed_after, lies::Op, until,
};

/// More than the default retention: 31 days.
const KEPT_MILLIS: u64 = 31 * 24 * 3_600_000;
/// Founded the room, and facilitates.
const FAY: usize = 0;
/// Is a member, with a client that works for the relay.
const MAL: usize = 3;
/// Comes while lies are told.
const DAN: usize = 4;
/// Knocks and is never admitted.
const GUS: usize = 5;
/// Visits while lies are told.
const STEPS: usize = 16;
/// Rounds after which everybody must have got on, once the lies have ended.
const ROUNDS: usize = 4;
/// Everybody in a scene; the number is their place here.
const NAMES: [&str; 6] = ["Fay", "Ben", "Cleo", "Mal", "Dan", "Gus"];

/// The special event of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Nothing,
    /// Two logs, which meet later.
    Fork,
    /// A member moderates.
    Usurper,
    /// A member admits a stranger.
    Ghost,
    /// A member makes a group of their own, into which the relay delivers a newcomer.
    LookAlike,
    /// The relay does not enforce a pause.
    Pause,
    /// A member is removed, and their client does not hear of it.
    Removed,
}

/// A scene under way.
pub struct Scene {
    dice: Dice,
    world: Rc<World>,
    /// The plan of faults, beside the other, and the last fault. `None` in a scene without.
    faults: Option<(Dice, Option<JoinHandle<()>>)>,
    people: Vec<Person>,
    oracle: Oracle,
    link: Option<Invite>,
    said: u64,
    /// People who are in the room.
    inside: Vec<usize>,
    /// The stranger holds a Welcome of this commit.
    haunted: Option<u64>,
    removed_at: Option<(u64, u64)>,
    admitting: bool,
    /// By how much each person's clock is wrong once they are in.
    clocks: Vec<i64>,
}

/// Which lies a scene has.
#[derive(Clone, Copy, Debug)]
pub enum Lies<'a> {
    /// None.
    None,
    /// Those that the seed chooses.
    Planned,
    /// These, very often, and nothing else.
    Only(&'a [Op]),
    /// Those that the seed chooses, and one of the honest has a client that keeps no law.
    AgainstLawless,
}

impl Scene {
    /// Plays a seed against a relay whose clock is ahead by so many milliseconds, with faults of relay and network or without.
    pub async fn play(seed: u64, lies: Lies<'_>, relay_ahead: i64, has_faults: bool) -> Outcome {
        let mut scene = Box::pin(Self::open(seed, relay_ahead)).await;
        if has_faults {
            scene.world.set_loss(LOSS);
            scene.faults = Some((Dice::new(seed ^ 0xfa17_0001), None));
        }
        let lying = !matches!(lies, Lies::None);
        scene.set_clocks(seed, relay_ahead);
        scene.people[1].break_laws(matches!(lies, Lies::AgainstLawless));
        let mut special = if lying { scene.begin_lies(seed) } else { Special::Nothing };
        if let Lies::Only(ops) = lies {
            special = Special::Nothing;
            let mut stage = scene.world.stage();
            stage.rules = Vec::new();
            stage.ops = ops.to_vec();
            stage.percent = 70;
        }
        for step in 0..STEPS {
            if step == 4 {
                Box::pin(scene.special(special)).await;
            }
            if step == 6 && lying && special == Special::Nothing {
                Box::pin(scene.mischief(seed)).await;
            }
            if step == 7 && (special == Special::LookAlike || scene.dice.chance(50)) {
                Box::pin(scene.newcomer(lying)).await;
            }
            if matches!(step, 9 | 12) && special == Special::Fork {
                scene.world.stage().cross();
            }
            scene.befall();
            Box::pin(scene.step()).await;
            scene.look();
            if scene.world.has_failed() {
                break;
            }
        }
        if !scene.world.has_failed() {
            Box::pin(scene.recover(special)).await;
            scene.strangers();
            scene.erase();
        }
        scene.close(lying)
    }

    /// Opens a room with four people and no lies.
    async fn open(seed: u64, relay_ahead: i64) -> Self {
        let mut dice = Dice::new(seed);
        let world = World::hostile(dice.roll(), &NAMES, relay_ahead);
        let people = (0..NAMES.len()).map(|who| Person::in_world(&world, who));
        let mut people: Vec<Person> = people.collect();
        people[FAY].found(&world.grant).await.unwrap();
        let link = people[FAY].invite(16).await.unwrap();
        let mut oracle = Oracle::default();
        let fay = people[FAY].key.unwrap();
        oracle.facilitators.insert(fay);
        oracle.authorised.insert(fay);
        oracle.order.push(fay);
        let mut scene = Self {
            dice,
            world,
            faults: None,
            people,
            oracle,
            link: Some(link),
            said: 0,
            inside: vec![FAY],
            haunted: None,
            removed_at: None,
            admitting: false,
            clocks: vec![0; NAMES.len()],
        };
        scene.elsewhere();
        for who in 1..=MAL {
            let admitted = scene.join(who).await;
            assert!(admitted.unwrap(), "an honest relay lets everybody in");
        }
        // Made while all of them are there: the one who works for the relay can open its knocks, too.
        scene.link = Some(scene.people[FAY].invite(16).await.unwrap());
        for who in 0..=MAL {
            scene.say(who).await;
        }
        scene
    }

    /// Everybody came in with the right time. From now on each has a clock of their own, by a plan beside the other; those who
    /// come later knock by the relay's, or their client would tell them to set it.
    fn set_clocks(&mut self, seed: u64, relay: i64) {
        let mut dice = Dice::new(seed ^ 0xc10c_0001);
        self.clocks = self.people.iter().filter_map(|_| dice.pick(&WRONG_CLOCKS)).collect();
        for (who, clock) in self.clocks.iter().enumerate() {
            let inside = self.inside.contains(&who);
            self.world.set_clock(who, if inside { *clock } else { relay });
        }
    }

    /// T10: what was said is gone from every device when the room keeps it no longer, whatever time the relay put on it.
    fn erase(&mut self) {
        for who in self.honest().collect::<Vec<_>>() {
            let person = &self.people[who];
            person.erase_after(KEPT_MILLIS);
            Oracle::erased(person).into_iter().for_each(|what| self.world.wrong(what));
        }
    }

    /// Makes ciphertexts of another room, to be mixed in.
    fn elsewhere(&self) {
        let payloads = Person::new("Olga").ciphertexts(&self.world.grant);
        self.world.stage().stock.payloads = payloads;
    }

    fn key(&self, who: usize) -> MemberKey {
        self.people[who].key.unwrap()
    }

    fn honest(&self) -> impl Iterator<Item = usize> {
        self.inside.iter().copied().filter(|who| *who != MAL)
    }

    fn begin_lies(&mut self, seed: u64) -> Special {
        let all = [&Op::ENTRY[..], &Op::FRAME, &Op::SUBMIT, &Op::DOOR].concat();
        let many = 3 + self.dice.below(6);
        let mut ops: Vec<Op> = (0..many).filter_map(|_| self.dice.pick(&all)).collect();
        let specials = [
            Special::Nothing,
            Special::Nothing,
            Special::Fork,
            Special::Usurper,
            Special::Ghost,
            Special::LookAlike,
            Special::Pause,
            Special::Removed,
        ];
        let special = self.dice.pick(&specials).unwrap_or(Special::Nothing);
        // Most special scenes need an otherwise honest relay to get where they want.
        if special != Special::Nothing && self.dice.chance(70) {
            ops.clear();
        }
        let targets: Vec<MemberKey> = (0..MAL).map(|who| self.key(who)).collect();
        let mut stage = self.world.stage();
        stage.targets = targets.into_iter().filter(|_| self.dice.chance(70)).collect();
        stage.ops = ops;
        stage.percent = [15, 30, 60][self.dice.below(3)];
        stage.plan_rules(seed);
        special
    }

    /// Judges the end of a visit.
    fn note<T>(&mut self, who: usize, result: Result<T, LiveError>) -> Option<T> {
        let told = self.world.stage().end_visit(self.people[who].key);
        if let Err(LiveError::Refused { code: RejectCode::TimedOut, reason, .. }) = &result
            && *reason == Reason::Recorded
        {
            let name = &self.people[who].name;
            self.world.wrong(format!("A9: {name} lays a false time-out to a facilitator"));
        }
        match result {
            Ok(value) => {
                // A member who had nothing there took it for one more entry.
                let had = |row: &Row| {
                    told.rewritten.as_ref().is_some_and(|entry| {
                        row.seq == entry.seq && row.digest == entry.content.digest()
                    })
                };
                if self.people[who].rows().iter().any(had) {
                    let name = &self.people[who].name;
                    self.world.wrong(format!("T8: {name} did not notice another history"));
                }
                if told.outcast
                    && self.people[who]
                        .room()
                        .is_some_and(|r| r.state().standing == Standing::Member)
                {
                    let name = &self.people[who].name;
                    self.world.wrong(format!("A9: {name} did not notice a false removal"));
                }
                let wrong = self.oracle.rules(&self.people[who], told.status);
                wrong.into_iter().for_each(|what| self.world.wrong(what));
                Some(value)
            }
            Err(error) => {
                self.world.note(&format!("{}: {error}", self.people[who].name));
                if accuses(&error, self.world.links[who].was_silent()) {
                    self.people[who].complaints.push(error.to_string());
                }
                None
            }
        }
    }

    async fn visit<T>(
        &mut self,
        who: usize,
        act: impl AsyncFnOnce(&mut Live<'_>) -> Result<T, LiveError>,
    ) -> Option<T> {
        let killed_after = self.faults.as_mut().and_then(|(dice, _)| killed_after(dice, 1_500));
        let visit = self.people[who].visit(async |live| {
            release(live)?;
            act(live).await
        });
        match until(visit, killed_after, HANG).await {
            Ended::Done(result) => self.note(who, result),
            Ended::Killed => {
                self.world.count("killed");
                self.world.stage().end_visit(self.people[who].key);
                self.people[who].restart(&[]);
                None
            }
            Ended::Hangs => {
                self.world.wrong(format!("I9: {} hangs", self.people[who].name));
                None
            }
        }
    }

    async fn say(&mut self, who: usize) -> bool {
        self.said += 1;
        let text = format!("{} says {}", self.people[who].name, self.said);
        let log = view_of(&self.people[who].rows());
        self.oracle.texts.insert(text.clone(), (self.key(who), log));
        self.visit(who, async |live| live.send(text).await).await.is_some()
    }

    async fn join(&mut self, who: usize) -> Option<bool> {
        let link = self.link.clone()?;
        let knocked = Box::pin(self.people[who].knock(&link)).await;
        self.note(who, knocked)?;
        Some(Box::pin(self.let_in(who)).await)
    }

    /// Admits a newcomer who has knocked, and lets them enter.
    async fn let_in(&mut self, who: usize) -> bool {
        let key = self.key(who);
        self.oracle.authorised.insert(key);
        let name = self.people[who].name.clone();
        let admitted = Box::pin(self.people[FAY].admit(&name)).await;
        if self.note(FAY, admitted) != Some(true) {
            return false;
        }
        Box::pin(self.enter(who)).await
    }

    async fn enter(&mut self, who: usize) -> bool {
        if self.visit(who, async |_| Ok(())).await.is_none() {
            return false;
        }
        if !self.inside.contains(&who) {
            if who == DAN {
                self.world.count("a newcomer came in");
            }
            self.inside.push(who);
            self.world.set_clock(who, self.clocks[who]);
            self.oracle.order.push(self.key(who));
        }
        true
    }

    /// Now and then has a fault begin during the next visits. The relay's clock is wrong already, so it does not jump.
    fn befall(&mut self) {
        let Some((dice, last)) = &mut self.faults else { return };
        if !dice.chance(25) || last.as_ref().is_some_and(|last| !last.is_finished()) {
            return;
        }
        let event = Event::draw(dice, NAMES.len());
        let begin = self.world.clock.elapsed() + dice.below(2_000) as u64;
        if matches!(event, Event::Jump(_)) {
            return;
        }
        let world = self.world.clone();
        *last = Some(spawn_local(async move {
            sleep_until(world.clock.at(begin)).await;
            world.happen(event).await;
        }));
    }

    /// Waits until the last fault is over.
    async fn end_faults(&mut self) {
        let Some((_, last)) = self.faults.take() else { return };
        self.world.set_loss(0);
        if let Some(last) = last {
            last.await.unwrap();
        }
        sleep_until(self.world.clock.at(self.world.clock.elapsed() + FAULT_MILLIS)).await;
    }

    async fn step(&mut self) {
        let honest: Vec<usize> = self.honest().collect();
        let Some(who) = self.dice.pick(&honest) else { return };
        match self.dice.below(10) {
            0..=5 => {
                self.say(who).await;
            }
            6 | 7 => {
                self.visit(who, async |_| Ok(())).await;
            }
            8 => {
                self.visit(who, async |live| live.commit(|room, now| room.renew(None, now)).await)
                    .await;
            }
            _ => {
                let act = Act::Announce("Good evening.".into());
                self.visit(FAY, async |live| live.act(act).await).await;
            }
        }
    }

    async fn special(&mut self, special: Special) {
        match special {
            Special::Nothing | Special::LookAlike => {}
            Special::Fork => {
                let halves: Vec<MemberKey> =
                    if self.dice.chance(50) { vec![self.key(1)] } else { vec![self.key(FAY)] };
                self.world.stage().fork(&halves);
                self.world.count("the room has two logs");
                for who in [FAY, 1, 2] {
                    self.say(who).await;
                }
                if self.dice.chance(50) {
                    self.world.stage().cross();
                    for who in [FAY, 1, 2] {
                        self.visit(who, async |_| Ok(())).await;
                    }
                }
            }
            Special::Usurper => {
                let acts = [
                    Act::Lock(true),
                    Act::SetRole { member: self.key(MAL), role: Role::Facilitator },
                    Act::Remove { member: self.key(1), goodbye: String::new() },
                    Act::Slow(3600),
                ];
                let act = acts[self.dice.below(acts.len())].clone();
                self.collude();
                self.people[MAL].break_laws(true);
                let moderated = self.visit(MAL, async |live| live.act(act).await).await;
                self.people[MAL].break_laws(false);
                if moderated.is_some() {
                    self.world.count("a member's moderation is in the log");
                }
                self.inside.retain(|who| *who != MAL);
            }
            Special::Ghost => {
                let Some(link) = self.link.clone() else { return };
                let knocked = Box::pin(self.people[GUS].knock(&link)).await;
                if self.note(GUS, knocked).is_none() {
                    return;
                }
                if let Some(seq) = Box::pin(self.usurp_door(GUS)).await {
                    self.haunt(seq);
                }
            }
            Special::Pause => {
                self.world.stage().hide_numbers = true;
                let paused = self
                    .visit(FAY, async |live| {
                        let until = live.relay_now().plus(3_600_000);
                        live.act(Act::Pause { until, comment: String::new(), reopens: true }).await
                    })
                    .await;
                if paused.is_some() {
                    self.world.count("a pause that the relay does not keep");
                }
                for who in [1, 2] {
                    self.say(who).await;
                }
                for who in [1, 2] {
                    self.visit(who, async |_| Ok(())).await;
                }
                self.visit(FAY, async |live| live.act(Act::Resume).await).await;
            }
            Special::Removed => {
                let act = Act::Remove { member: self.key(MAL), goodbye: String::new() };
                let removed = self.visit(FAY, async |live| live.act(act).await).await;
                self.inside.retain(|who| *who != MAL);
                // That the relay took it, and did not only say so, shows in its log.
                let stage = self.world.stage();
                let last = stage.truth().last();
                let mine = self.people[FAY].rows().last().map(|r| r.digest);
                if removed.is_some() && last.map(|e| e.content.digest()) == mine {
                    self.world.count("a member is removed and not told");
                    self.removed_at = Some((stage.truth().len() as u64, self.said));
                }
            }
        }
    }

    /// A member sends what no honest client does, past the rules.
    async fn mischief(&mut self, seed: u64) {
        let mut dice = Dice::new(seed ^ 0x3a1_0001);
        let own = |row: &&Row| row.name == "Mal" && matches!(row.content, RowContent::Text(_));
        let rows = self.people[MAL].rows();
        let Some((message, seq)) = rows.iter().rfind(own).and_then(|r| Some((r.id?, r.seq))) else {
            return;
        };
        let others = |row: &&Row| row.name == "Fay" && matches!(row.content, RowContent::Text(_));
        let theirs = rows.iter().rfind(others).and_then(|row| Some((row.id?, row.seq)));
        let id = MessageId([dice.roll().to_le_bytes()[0]; 16]);
        let retracts = vec![Effect::Retract { seq, own: Some(message) }];
        let which = dice.below(5);
        let invite = InviteId([9; 16]);
        let sent = self
            .visit(MAL, async |live| {
                let now = live.room.now();
                let (id, body, marked, effects) = match which {
                    0 => (id, Body::Text("past the rules".into()), true, retracts),
                    1 | 2 => {
                        let departure = live.room.forge_departure(which == 2, now)?;
                        (id, Body::Depart { departure }, true, retracts)
                    }
                    3 => {
                        let (message, seq) = theirs.unwrap_or((id, Seq(1)));
                        (id, Body::Retract { message, seq, edits: None }, true, retracts)
                    }
                    _ => {
                        let knock_key = Secret32::new([1; 32]);
                        let role = Role::Facilitator;
                        let expires = now.plus(60_000);
                        (
                            id,
                            Body::InviteIssued {
                                invite,
                                knock_key,
                                uses: 1,
                                expires,
                                role,
                                of: None,
                            },
                            false,
                            vec![],
                        )
                    }
                };
                let payload = live.room.forge_message(id, body, marked, now)?;
                hearth_kit::forged::submit(live, id, payload, effects).await
            })
            .await;
        if sent.is_some() {
            self.world.count(
                [
                    "words under a mark",
                    "a false departure",
                    "a goodbye without leaving",
                    "another's message taken back",
                    "an invite of a member",
                ][which],
            );
        }
        if which == 2 {
            self.oracle.leaver = self.people[MAL].key;
            // The next member to speak, or the facilitator, takes him out.
            self.inside.retain(|who| *who != MAL);
        }
    }

    fn collude(&self) {
        self.world.stage().colluders.insert(self.key(MAL));
    }

    /// A member admits a newcomer on their own; returns the place of the commit.
    async fn usurp_door(&mut self, whom: usize) -> Option<u64> {
        self.collude();
        let key = self.key(whom);
        let knock = self.world.stage().knocks.iter().rfind(|k| k.member == key).cloned()?;
        self.people[MAL].break_laws(true);
        let seq = self
            .visit(MAL, async |live| {
                live.commit(|room, now| {
                    let knock = room.open_knock(&knock)?;
                    room.admit(&knock, now)
                })
                .await
            })
            .await;
        self.people[MAL].break_laws(false);
        self.inside.retain(|who| *who != MAL);
        seq.map(|seq| seq.0)
    }

    /// The stranger takes the Welcome, asking nobody.
    fn haunt(&mut self, seq: u64) {
        let Some((_, welcome)) = self.world.stage().blobs.last().cloned() else { return };
        self.people[GUS].break_laws(true);
        let joined = self.people[GUS].room().map(|mut room| {
            let now = room.now();
            room.welcomed(&welcome, Seq(seq), now)
        });
        self.people[GUS].break_laws(false);
        if matches!(joined, Some(Ok(_))) {
            self.world.count("a stranger holds the Welcome of a member's commit");
            self.haunted = Some(seq);
        }
    }

    /// A newcomer joins while lies are told.
    async fn newcomer(&mut self, lying: bool) {
        if self.world.stage().lied_to.contains(&self.key(FAY)) {
            return;
        }
        let Some(link) = self.link.clone() else { return };
        let knocked = Box::pin(self.people[DAN].knock(&link)).await;
        if self.note(DAN, knocked).is_none() {
            return;
        }
        self.admitting = true;
        let look_alike = lying && self.inside.contains(&MAL) && self.dice.chance(60);
        if look_alike {
            // The commit that everybody refuses uses the epoch up: the facilitator's next one gives it back.
            Box::pin(self.usurp_door(DAN)).await;
            let mut stage = self.world.stage();
            stage.welcome = stage.blobs.last().map(|(id, _)| *id);
            self.world.count("a newcomer is shown a member's Welcome");
        }
        let key = self.key(DAN);
        if lying && !look_alike && self.dice.chance(50) {
            return Box::pin(self.confuse_door(&link)).await;
        }
        if lying {
            let percent = {
                let mut stage = self.world.stage();
                stage.targets.insert(key);
                stage.percent
            };
            if look_alike || self.dice.chance(30) {
                let mut stage = self.world.stage();
                stage.ops = vec![Op::WelcomeOther];
                if !look_alike {
                    stage.ops.push(Op::WelcomeGarbage);
                }
                stage.percent = 100;
            }
            Box::pin(self.let_in(DAN)).await;
            self.world.stage().percent = percent;
        } else {
            Box::pin(self.let_in(DAN)).await;
        }
    }

    /// A stranger knocks as well, and the facilitator is shown one's knock for the other's.
    async fn confuse_door(&mut self, link: &Invite) {
        if self.people[GUS].key.is_none() {
            let knocked = Box::pin(self.people[GUS].knock(link)).await;
            self.note(GUS, knocked);
        }
        let lies = {
            let fay = self.key(FAY);
            let mut stage = self.world.stage();
            let before = (stage.ops.clone(), stage.targets.clone(), stage.percent);
            stage.ops = Op::DOOR[..3].to_vec();
            stage.targets.insert(fay);
            stage.percent = 100;
            before
        };
        if Box::pin(self.let_in(DAN)).await {
            self.world.wrong("T2: a newcomer came in by a forged knock".into());
        }
        self.world.count("knocks are confused");
        let mut stage = self.world.stage();
        (stage.ops, stage.targets, stage.percent) = lies;
    }

    /// Compares everybody's state with what may be.
    fn look(&mut self) {
        let mut people: Vec<&Person> = self.honest().map(|who| &self.people[who]).collect();
        people.dedup_by_key(|p| p.key);
        let found = self.oracle.check(&people);
        found.into_iter().for_each(|what| self.world.wrong(what));
    }

    /// Faults and lies end: everybody gets on, or says why not.
    async fn recover(&mut self, special: Special) {
        self.end_faults().await;
        self.world.stage().quiet();
        if special == Special::Pause {
            // A fault may have kept the end of the pause from the relay, and its beginning until now.
            self.visit(FAY, async |live| live.act(Act::Resume).await).await;
        }
        let lied_to = self.world.stage().lied_to.clone();
        let honest: Vec<usize> = self.honest().collect();
        for _ in 0..ROUNDS {
            for who in &honest {
                self.say(*who).await;
            }
            if self.admitting && !self.inside.contains(&DAN) {
                Box::pin(self.let_in(DAN)).await;
                Box::pin(self.enter(DAN)).await;
            }
        }
        for who in &honest {
            self.visit(*who, async |_| Ok(())).await;
        }
        self.look();
        let joined = |who: usize| {
            let key = self.key(who);
            self.world.stage().joined(&key).unwrap_or(0)
        };
        let mut wrong = Vec::new();
        for who in &honest {
            let person = &self.people[*who];
            let rows = person.rows();
            let joined = joined(*who);
            let agrees = Oracle::agrees(person, &rows, joined, self.world.stage().truth());
            if !agrees && !person.warned() {
                wrong.push(format!("I3: {} has another log and was never told", person.name));
            }
        }
        // A facilitator who was lied to may have reopened an epoch that others are past of.
        let spared = lied_to.is_empty() || !lied_to.contains(&self.key(FAY));
        if spared {
            Box::pin(self.take_back(&honest)).await;
            let clean: Vec<usize> =
                honest.iter().copied().filter(|w| !lied_to.contains(&self.key(*w))).collect();
            for who in &clean {
                wrong.extend(self.has_all(*who, &clean));
            }
        }
        wrong.into_iter().for_each(|what| self.world.wrong(what));
        if self.admitting && !self.inside.contains(&DAN) && lied_to.is_empty() {
            self.world.wrong("I9: the newcomer never came in".into());
        }
    }

    /// The room went on without its facilitator: she takes it back, and everybody speaks.
    async fn take_back(&mut self, honest: &[usize]) {
        let left_behind = self.people[FAY].room().is_some_and(|mut r| r.is_left_behind().unwrap());
        if !left_behind {
            return;
        }
        self.world.count("the room was taken back");
        let recovered = Box::pin(self.people[FAY].recover()).await;
        self.note(FAY, recovered);
        for who in honest {
            self.say(*who).await;
        }
        for who in honest {
            self.visit(*who, async |_| Ok(())).await;
        }
    }

    /// I9: a member who was not lied to has the last words of all the others.
    fn has_all(&self, who: usize, clean: &[usize]) -> Vec<String> {
        let rows = self.people[who].rows();
        let mut wrong = Vec::new();
        for author in clean {
            let key = self.key(*author);
            let of = |(text, (from, _)): (&String, &(MemberKey, _))| {
                (*from == key).then(|| text.clone())
            };
            let number = |t: &String| t.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
            let last = self.oracle.texts.iter().filter_map(of).max_by_key(number);
            let Some(last) = last else { continue };
            // Also what a pause holds back whose end was kept from the facilitator.
            let has = rows.iter().any(
                |r| matches!(&r.content, RowContent::Text(t) | RowContent::Held(t) if *t == last),
            );
            if !has {
                let name = &self.people[who].name;
                wrong.push(format!(
                    "I9: {name} never got {last:?}; {:?}",
                    self.people[who].complaints
                ));
            }
        }
        wrong
    }

    /// Notes everybody's history, for a person who looks into one seed.
    fn tell(&self) {
        for person in &self.people {
            self.world.note(&format!("{} {:?}", person.name, person.complaints));
            for row in person.rows() {
                let content = match &row.content {
                    RowContent::Moderation { record, .. } => format!("{:?}", record.act),
                    other => format!("{other:?}"),
                };
                let content: String = content.chars().take(60).collect();
                let digest = row.digest.to_hex();
                let (seq, name, notices) = (row.seq, &row.name, &row.notices);
                self.world.note(&format!("  {seq} {} {name} {content} {notices:?}", &digest[..8]));
            }
        }
    }

    /// I1: who is not in the room has nothing of what is said in it.
    fn strangers(&mut self) {
        let truth: Vec<Entry> = self.world.stage().truth().to_vec();
        if let Some(seq) = self.haunted {
            let read = self.reads(GUS, &truth, |s| s > seq);
            if read.iter().any(|text| !text.starts_with("Mal")) {
                self.world.wrong(format!("I1: a stranger read {read:?}"));
            }
        }
        if let Some((at, said)) = self.removed_at {
            let read = self.reads(MAL, &truth, |s| s != at);
            let later = |text: &String| {
                text.rsplit(' ')
                    .next()
                    .and_then(|n| n.parse::<u64>().ok())
                    .is_some_and(|n| n > said)
            };
            if read.iter().any(later) {
                self.world.wrong(format!("I1: a removed member read {read:?}"));
            }
        }
    }

    /// Shows entries to a person with a lawless client, and returns all they read.
    fn reads(&self, who: usize, truth: &[Entry], shown: impl Fn(u64) -> bool) -> Vec<String> {
        let person = &self.people[who];
        person.break_laws(true);
        if let Some(mut room) = person.room() {
            let after = room.cursor().seq;
            for entry in truth.iter().filter(|e| e.seq > after && shown(e.seq.0)) {
                // Unreadable entries do not matter here.
                let moment = Moment::agreed(room.now());
                let _ = room.handle_entries(std::slice::from_ref(entry), moment);
            }
        }
        person.break_laws(false);
        let text = |content| match content {
            RowContent::Text(text) | RowContent::Held(text) => Some(text),
            _ => None,
        };
        person.rows().into_iter().filter_map(|r| text(r.content)).collect()
    }

    fn close(self, lying: bool) -> Outcome {
        if std::env::var_os("HEARTH_HOSTILE_SEED").is_some() {
            self.tell();
        }
        let stage = self.world.stage();
        stage.violations.iter().for_each(|what| self.world.wrong(what.clone()));
        let honest: Vec<usize> = self.honest().collect();
        let warned = honest.iter().filter(|who| self.people[**who].warned()).count();
        let accused = honest.iter().any(|who| self.people[*who].accuses());
        if !lying && accused {
            self.world.wrong("F: the relay is said to break rules, and it does not".into());
        }
        if !lying && warned > 0 {
            self.world.wrong("F: a member was warned, and nobody lied".into());
        }
        self.world.add("hostile events", stage.events);
        self.world.add("people", honest.len() as u64);
        self.world.add("people warned", warned as u64);
        for (op, many) in &stage.lies {
            self.world.add(&format!("lie {op:?}"), *many);
        }
        drop(stage);
        self.world.finish()
    }
}

/// Has what was held for a time go out with the next message once it may be said, as a person does who is asked.
fn release(live: &mut Live<'_>) -> Result<(), LiveError> {
    let (now, relay_now) = (live.room.now(), live.relay_now());
    if live.room.block(relay_now)?.is_some() {
        return Ok(());
    }
    let doubtful = live.room.doubtful_texts()?;
    for (id, why) in live.room.held_texts()? {
        let passes = matches!(why, Held::Refused(code) if code.may_retry());
        if passes && !doubtful.contains(&id) {
            match live.room.release(&id, now) {
                // A rule forbids it meanwhile, or its author has left.
                Err(EngineError::TooLong { .. } | EngineError::NotMember(_)) => {}
                released => drop(released?),
            }
        }
    }
    Ok(())
}
