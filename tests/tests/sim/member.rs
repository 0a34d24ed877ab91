//! Members: the client library on a profile on disk, one visit after another, as commands are run.

use std::{rc::Rc, time::Duration};

use hearth_engine::{
    EngineError, Room,
    act::InviteTerms,
    policy::{Act, Category},
    state::{Held, RowContent, Standing},
};
use hearth_protocol::{
    MemberKey, MessageId, Millis, Role, Seq,
    frame::Door,
    hours::{Hours, Offset, Window},
};
use hearth_session::{
    connection::Connection,
    live::{self, Live, LiveError},
    network::Network,
};
use tokio::time::{sleep_until, timeout};

use super::{
    Sim, check, lanes,
    plan::{Action, FAY, FIRST, NAMES, Visit},
};
use crate::world::{BEGINNING, Ended, HANG, Person, Switch, accuses, head, until};

/// For how long a Welcome waits: 84 days.
const WELCOME_KEPT_MILLIS: u64 = 84 * 24 * 3_600_000;
/// Rounds in which everybody must be of one mind again.
const ROUNDS: usize = 6;

type Result<T = ()> = std::result::Result<T, LiveError>;

/// A person and the oracle's knowledge of them.
pub(super) struct Member {
    pub(super) who: usize,
    person: Person,
    said: u32,
    /// Texts that were written down to be sent.
    queued: Vec<MessageId>,
    /// Was admitted, and came when the relay had deleted their Welcome.
    late: bool,
}

impl Member {
    fn new(sim: &Sim, who: usize) -> Self {
        let person = Person::in_world(&sim.world, who);
        Self { who, person, said: 0, queued: Vec::new(), late: false }
    }

    fn standing(&self) -> Option<Standing> {
        self.person.room().map(|room| room.state().standing.clone())
    }

    /// Dies and starts again: nothing is left but what is on disk.
    fn restart(&mut self, sim: &Sim) {
        let mut lost = Vec::new();
        if sim.switched(Switch::OutboxLost) {
            lost.push("DELETE FROM record WHERE kind = 5");
        }
        if sim.switched(Switch::HistoryLost) {
            lost.push(
                "DELETE FROM record WHERE kind = 4
                 AND key = (SELECT max(key) FROM record WHERE kind = 4)",
            );
        }
        self.person.restart(&lost);
    }

    /// Compares what this person sees with what they should.
    fn check(&self, sim: &Sim) {
        let Some(mut room) = self.person.room() else { return };
        sim.count("views compared");
        let name = NAMES[self.who];
        for what in
            check::view(sim, &mut room).into_iter().chain(lanes::views(sim, &room, self.who))
        {
            sim.wrong(format!("{name}: {what}"));
        }
    }
}

/// Makes everybody, and brings the first of them into the room.
pub(super) async fn gather(sim: &Rc<Sim>) -> Vec<Member> {
    let mut people: Vec<Member> = (0..NAMES.len()).map(|who| Member::new(sim, who)).collect();
    people[FAY].person.lanes = true;
    people[FAY].person.found(&sim.grant).await.unwrap();
    let quietly = |who, action| Visit { at: 0, who, action, killed_after: None };
    for who in 1..FIRST {
        for visit in
            [quietly(FAY, Action::Invite), quietly(who, Action::Knock), quietly(FAY, Action::Admit)]
        {
            go(sim, &mut people[visit.who], visit).await;
        }
        go(sim, &mut people[who], quietly(who, Action::Look)).await;
    }
    people
}

/// Makes a person's visits, each at its time or as soon as the one before is over.
pub(super) async fn follow(
    sim: Rc<Sim>,
    mut person: Member,
    begin: u64,
    visits: Vec<Visit>,
) -> Member {
    for visit in visits {
        sleep_until(sim.clock.at(begin + visit.at)).await;
        Box::pin(go(&sim, &mut person, visit)).await;
    }
    person
}

/// Makes a visit, and looks at what came of it.
async fn go(sim: &Rc<Sim>, person: &mut Member, visit: Visit) {
    let (who, action) = (person.who, visit.action);
    let stays = if let Action::Stay(millis) = action { millis } else { 0 };
    let limit = HANG + Duration::from_millis(stays);
    let ended = until(act(sim, person, action), visit.killed_after, limit).await;
    let name = NAMES[who];
    match ended {
        Ended::Done(Ok(())) => sim.note(&format!("{name}: {action:?} done")),
        Ended::Done(Err(error)) => {
            sim.note(&format!("{name}: {action:?}: {error}"));
            fault(sim, who, &error);
            person.late = matches!(error, LiveError::WelcomeGone);
            if let Some(key) = person.person.room().map(|room| room.me()) {
                forgotten(sim, &key, &error);
            }
        }
        Ended::Killed => {
            sim.note(&format!("{name}: {action:?} killed"));
            sim.count("killed");
            person.restart(sim);
        }
        Ended::Hangs => sim.wrong(format!("{name}: {action:?} takes forever")),
    }
    sim.count(head(&format!("{action:?}")));
    person.check(sim);
}

/// Nobody lies here, so an accusation is a fault of ours.
fn fault(sim: &Sim, who: usize, error: &LiveError) {
    let broken = matches!(
        error,
        LiveError::Engine(
            EngineError::Store(_)
                | EngineError::DamagedRecord
                | EngineError::Mls(_)
                | EngineError::Refused(_)
        ) | LiveError::UnexpectedReply
            | LiveError::EpochUsedUp
    );
    if broken || accuses(error, sim.links[who].was_silent()) {
        sim.wrong(format!("{}: {error}", NAMES[who]));
    }
}

/// A relay forgets knocks and Welcomes only after their time.
fn forgotten(sim: &Sim, key: &MemberKey, error: &LiveError) {
    let relay = sim.relay.borrow();
    let Some(model) = &relay.model else { return };
    let right = match error {
        LiveError::KnockForgotten => !model.is_in(key) && !model.waits(key),
        LiveError::WelcomeGone => {
            model.came_in(key).is_some_and(|at| at + WELCOME_KEPT_MILLIS < sim.clock.relay().0)
        }
        _ => return,
    };
    sim.count(if right { "forgotten" } else { "forgotten too early" });
    if !right {
        drop(relay);
        sim.wrong(format!("{}: {error}", sim.name(key)));
    }
}

async fn act(sim: &Sim, person: &mut Member, action: Action) -> Result {
    if matches!(action, Action::Knock) {
        return Box::pin(knock(sim, person)).await;
    }
    if let Action::Say(_) | Action::SayLong = action {
        write(sim, person, action)?;
    }
    let Some(room) = person.person.room() else { return Ok(()) };
    let (network, queued) = (&person.person.network, &mut person.queued);
    let result = Box::pin(inside(sim, network, room, (person.who, action), queued)).await;
    count_refusal(sim, person.who, &result);
    result
}

/// Counts what the relay refused for good, whether it stays in the outbox or not.
fn count_refusal(sim: &Sim, who: usize, result: &Result) {
    let Err(LiveError::Refused { code, kept, .. }) = result else { return };
    if !kept || !code.may_retry() {
        *sim.given_up.borrow_mut().entry(who).or_default() += 1;
    }
}

/// Writes texts into the outbox, as `hearth send` does before it connects.
fn write(sim: &Sim, person: &mut Member, action: Action) -> Result {
    let many = if let Action::Say(many) = action { many } else { 1 };
    for _ in 0..many {
        person.said += 1;
        let tail = if action == Action::SayLong { " and so on".repeat(60) } else { String::new() };
        let text = format!("{} {}{tail}", NAMES[person.who], person.said);
        let id = {
            let Some(mut room) = person.person.room() else { return Ok(()) };
            if room.state().standing == Standing::Knocking {
                return Ok(());
            }
            room.queue_text(text.clone(), person.person.now())?
        };
        sim.texts.borrow_mut().insert(id, (person.who, text));
        person.queued.push(id);
    }
    Ok(())
}

/// Asks for an answer, as `hearth join` does first for a person who waits.
async fn ask_again(person: &Member) -> Result {
    let Some(mut room) = person.person.room() else { return Ok(()) };
    let mut connection = Connection::open(&person.person.network, &room.state().address()).await?;
    Box::pin(live::resume_waiting(&mut connection, &mut room)).await?;
    connection.close().await;
    Ok(())
}

async fn knock(sim: &Sim, person: &mut Member) -> Result {
    let Some(link) = sim.invite.borrow().clone() else { return Ok(()) };
    match person.standing() {
        Some(Standing::Member) => return Ok(()),
        Some(Standing::Knocking) => match Box::pin(ask_again(person)).await {
            Err(LiveError::KnockForgotten) => {}
            answered => return answered,
        },
        _ => {}
    }
    Box::pin(person.person.knock(&link)).await
}

/// Enters, does what is due, sends what waits, acts and leaves, as commands do.
async fn inside(
    sim: &Sim,
    network: &Network,
    room: Room<'_>,
    (who, action): (usize, Action),
    queued: &mut [MessageId],
) -> Result {
    let mut live = Box::pin(Live::enter(network, room)).await?;
    lanes::note_readers(sim, &mut live, who);
    Box::pin(live.tend()).await?;
    lanes::note_readers(sim, &mut live, who);
    release(sim, &mut live, queued)?;
    if let Action::Say(_) | Action::SayLong = action {
        let waiting = unheld(&live.room)?;
        Box::pin(live.send_waiting()).await?;
        sim.acked.borrow_mut().extend(waiting);
    } else {
        match Box::pin(live.flush()).await {
            Ok(()) => {}
            refused @ Err(LiveError::Refused { kept: true, .. }) => {
                count_refusal(sim, who, &refused);
            }
            Err(error) => return Err(error),
        }
        Box::pin(command(sim, &mut live, action)).await?;
    }
    lanes::note_readers(sim, &mut live, who);
    lanes::troubles(sim, &live, who);
    live.leave().await;
    Ok(())
}

/// Sends what was held for a time once it may be said, as a person does who is asked. It has another id then.
fn release(sim: &Sim, live: &mut Live<'_>, queued: &mut [MessageId]) -> Result {
    let (now, relay_now) = (live.room.now(), live.relay_now());
    if live.room.block(relay_now)?.is_some() {
        return Ok(());
    }
    let doubtful = live.room.doubtful_texts()?;
    for (id, why) in live.room.held_texts()? {
        let passes = matches!(why, Held::Refused(code) if code.may_retry());
        if !passes || doubtful.contains(&id) {
            continue;
        }
        let released = match live.room.release(&id, now) {
            // A rule forbids it meanwhile, or its author has left.
            Err(EngineError::TooLong { .. } | EngineError::NotMember(_)) => continue,
            released => released?,
        };
        let Some(new) = released else { continue };
        let written = sim.texts.borrow().get(&id).cloned();
        if let Some(written) = written {
            sim.texts.borrow_mut().insert(new, written);
        }
        queued.iter_mut().filter(|queued| **queued == id).for_each(|queued| *queued = new);
        sim.count("released");
    }
    Ok(())
}

/// Returns the texts that go out by themselves: those that were refused for good stay until they are sent or dropped.
fn unheld(room: &Room<'_>) -> Result<Vec<MessageId>> {
    let held = room.held_texts()?;
    let waiting = room.waiting_texts()?.into_iter().map(|(id, ..)| id);
    Ok(waiting.filter(|id| held.iter().all(|(other, _)| other != id)).collect())
}

async fn command(sim: &Sim, live: &mut Live<'_>, action: Action) -> Result {
    let (now, relay_now) = (live.room.now(), live.relay_now());
    let span = |millis| relay_now.plus(millis);
    let act = match action {
        Action::Look | Action::Say(_) | Action::SayLong | Action::Knock => return Ok(()),
        Action::Stay(millis) => return stay(live, millis).await,
        Action::CheckIn(whom) => return lanes::check_in(sim, live, whom).await,
        Action::TakeBack => return take_back(live).await,
        Action::Leave => {
            live.room.queue_departure(false, now)?;
            return live.flush().await;
        }
        Action::Renew => return live.commit(|room, now| room.renew(None, now)).await.map(|_| ()),
        Action::Invite => {
            let expires = span(3 * 24 * 3_600_000);
            let terms = InviteTerms { uses: 1, expires, role: Role::Member };
            let (link, _) = live.room.invite(terms, now)?;
            live.flush().await?;
            *sim.invite.borrow_mut() = Some(link);
            return Ok(());
        }
        Action::Admit => return admit(live).await,
        Action::TimeOut(whom, millis) => {
            let Some(member) = key_of(sim, live, whom) else { return Ok(()) };
            let until = if millis == 0 { Millis(0) } else { span(millis) };
            let words = "Rest a little.".into();
            let time_out = live.room.queue_time_out(member, until, words, now)?;
            live.flush().await?;
            return live.commit(|room, now| room.time_out(&time_out, now)).await.map(|_| ());
        }
        Action::SetRole(whom, role) => {
            let Some(member) = key_of(sim, live, whom) else { return Ok(()) };
            Act::SetRole { member, role }
        }
        Action::Remove(whom) => {
            let Some(member) = key_of(sim, live, whom) else { return Ok(()) };
            if member == live.room.me() {
                return Ok(());
            }
            Act::Remove { member, goodbye: String::new() }
        }
        Action::RetractOf(whom) => {
            let rows = live.room.history(Seq(0), usize::MAX)?;
            let key = key_of(sim, live, whom);
            let text = |row: &&hearth_engine::state::Row| {
                row.from == key && matches!(row.content, RowContent::Text(_))
            };
            let Some(row) = rows.iter().rev().find(text) else { return Ok(()) };
            let Some(message) = row.id else { return Ok(()) };
            Act::Retract { message, seq: row.seq, category: Category::Conduct }
        }
        Action::Pause(millis) => {
            Act::Pause { until: span(millis), comment: "Breathe.".into(), reopens: true }
        }
        Action::Resume => Act::Resume,
        Action::Slow(seconds) => Act::Slow(seconds),
        Action::Budget(posts) => Act::Budget(posts),
        Action::Length(chars) => Act::Length(chars),
        Action::Lock(on) => Act::Lock(on),
        Action::Hours(on) => Act::Hours { text: "evenings".into(), hours: on.then(evenings) },
        Action::Door(door) => Act::Door(door),
        Action::Expire(seconds) => Act::Expire(seconds),
        Action::Announce => Act::Announce("Welcome back.".into()),
    };
    live.act(act).await.map(|_| ())
}

fn evenings() -> Hours {
    let window =
        |day: u16| Window { start_minute: day * 1440 + 600, end_minute: day * 1440 + 1320 };
    Hours {
        windows: (0..7).map(window).collect(),
        offsets: vec![
            Offset { from: Millis(0), minutes: 60 },
            Offset { from: Millis(BEGINNING + 20 * 24 * 3_600_000), minutes: 120 },
        ],
    }
}

/// The key that a person has in the room now.
fn key_of(sim: &Sim, live: &mut Live<'_>, whom: usize) -> Option<MemberKey> {
    let roster = live.room.roster().ok()?;
    let keys = sim.keys.borrow();
    roster.into_iter().map(|leaf| leaf.member).find(|key| keys.get(key) == Some(&whom))
}

async fn stay(live: &mut Live<'_>, millis: u64) -> Result {
    let listening = async {
        while live.room.state().standing == Standing::Member {
            Box::pin(live.next()).await?;
        }
        Ok(())
    };
    timeout(Duration::from_millis(millis), listening).await.unwrap_or(Ok(()))
}

async fn take_back(live: &mut Live<'_>) -> Result {
    let me = live.room.me();
    let rows = live.room.history(Seq(0), usize::MAX)?;
    let text = |row: &&hearth_engine::state::Row| {
        row.from == Some(me) && matches!(row.content, RowContent::Text(_))
    };
    let Some(row) = rows.iter().rev().find(text) else { return Ok(()) };
    live.room.queue_own_retraction(row.seq, live.room.now())?;
    live.flush().await
}

async fn admit(live: &mut Live<'_>) -> Result {
    let knocks = live.knocks().await?;
    let mut knocks: Vec<_> = knocks.into_iter().filter_map(|(_, knock)| knock.ok()).collect();
    // By name: the relay's order is that of keys, and those are random.
    knocks.sort_by(|a, b| a.name.cmp(&b.name));
    for knock in knocks {
        live.admit(&knock).await?;
    }
    Ok(())
}

/// After all faults: everybody comes back, every rule is lifted, and all must be of one mind within some rounds.
pub(super) async fn heal(sim: &Rc<Sim>, people: &mut [Member]) {
    sim.note("the faults are over");
    let lifted = [
        Action::Resume,
        Action::Door(Door::Open),
        Action::Slow(0),
        Action::Budget(0),
        Action::Length(0),
    ];
    let rested = (1..NAMES.len()).map(|who| Action::TimeOut(who, 0));
    let spoken = (1..NAMES.len()).map(|who| Action::SetRole(who, Role::Member));
    for action in lifted.into_iter().chain(rested).chain(spoken) {
        go(sim, &mut people[FAY], Visit { at: 0, who: FAY, action, killed_after: None }).await;
    }
    for round in 0..ROUNDS {
        if round > 0 && agree(sim, people) {
            sim.note(&format!("agreed after {round} rounds"));
            sim.count(&format!("rounds {round}"));
            break;
        }
        for person in people.iter_mut() {
            let action = if round == 0 { Action::Say(1) } else { Action::CheckIn(person.who) };
            let visit = Visit { at: 0, who: person.who, action, killed_after: None };
            go(sim, person, visit).await;
        }
        for who in 0..people.len() {
            // As they were told, they ask to be removed.
            if std::mem::take(&mut people[who].late) {
                let visit =
                    Visit { at: 0, who: FAY, action: Action::Remove(who), killed_after: None };
                go(sim, &mut people[FAY], visit).await;
            }
        }
        if round + 1 == ROUNDS && !agree(sim, people) {
            sim.wrong(format!("no agreement after {ROUNDS} rounds"));
        }
    }
    for person in people.iter() {
        account(sim, person);
    }
    seat(sim, people).await;
}

/// Rounds in which everybody must sit in their lane, once an hour has passed since the last admission.
const SEATING: usize = 6;

/// Whatever was killed in the middle of it: everybody has a lane in the end, and Fay sits there.
async fn seat(sim: &Rc<Sim>, people: &mut [Member]) {
    for round in 0..SEATING {
        sleep_until(sim.clock.at(sim.clock.elapsed() + HOUR_AND_MORE)).await;
        for person in people.iter_mut() {
            let visit = Visit { at: 0, who: person.who, action: Action::Look, killed_after: None };
            go(sim, person, visit).await;
        }
        let unseated: Vec<String> = people
            .iter()
            .filter_map(|person| lanes::unseated(sim, &person.person.room()?, person.who))
            .collect();
        if unseated.is_empty() {
            sim.count(&format!("seated after {}", round + 1));
            return;
        }
        if round + 1 == SEATING {
            unseated.into_iter().for_each(|what| sim.wrong(what));
        }
    }
}

/// Milliseconds after which a member asks for a lane again, and more.
const HOUR_AND_MORE: u64 = 3_700_000;

/// Whether everybody who is in has seen all, and has nothing to send.
fn agree(sim: &Sim, people: &[Member]) -> bool {
    let relay = sim.relay.borrow();
    let Some(model) = &relay.model else { return false };
    let mut codes = Vec::new();
    for person in people {
        let Some(mut room) = person.person.room() else { continue };
        let inside = model.is_in(&room.me());
        let standing = room.state().standing.clone();
        // A former member has heard of it.
        if inside != (standing == Standing::Member) {
            return false;
        }
        if !inside {
            continue;
        }
        let waits = room.waiting_commit().is_ok_and(|c| c.is_some())
            || unheld(&room).is_ok_and(|texts| !texts.is_empty());
        if waits || room.cursor().seq.0 != model.head() {
            return false;
        }
        codes.extend(room.safety_code());
    }
    codes.dedup();
    codes.len() == 1
}

/// Each text of a person is in the log once, or stays in the outbox, or its author was told that it is not sent.
fn account(sim: &Sim, person: &Member) {
    let relay = sim.relay.borrow();
    let Some(model) = &relay.model else { return };
    let Some(room) = person.person.room() else { return };
    let name = NAMES[person.who];
    let mut lost = Vec::new();
    let held: Vec<MessageId> =
        room.held_texts().unwrap_or_default().into_iter().map(|(id, _)| id).collect();
    for id in &person.queued {
        // The relay remembers an id as long as its entry: what comes after that is another.
        let places = (1_u64..).zip(&model.entries).filter(|(_, entry)| entry.id == *id);
        let again = places.clone().filter(|(seq, _)| model.came_before(*id, *seq)).count();
        let times = places.count() - again;
        let text = sim.texts.borrow().get(id).map(|(_, text)| text.clone()).unwrap_or_default();
        if times > 1 {
            sim.wrong(format!("{name}: {text:?} is in the log {times} times"));
        }
        if times == 0 && sim.acked.borrow().contains(id) {
            sim.wrong(format!("{name}: {text:?} was acknowledged and is lost"));
        }
        if times == 0 && !held.contains(id) {
            lost.push(text);
        }
    }
    let told = sim.given_up.borrow().get(&person.who).copied().unwrap_or_default();
    if room.state().standing == Standing::Member && lost.len() as u64 > told {
        sim.wrong(format!("{name}: {lost:?} are lost, and {told} refusals were told"));
    }
}
