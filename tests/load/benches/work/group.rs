//! What the commands of a group cost beside a text, and what lanes cost those who hold a room.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use hearth_engine::{
    act::{InviteTerms, Knock},
    floor::{Ask, Form},
    mls::Suite,
    policy::Act,
    words::{Reaction, Words},
};
use hearth_kit::{Person, load::machine::Server};
use hearth_protocol::{MessageId, Role, RoomId, Seq, invite::Grant};
use hearth_session::{
    live::{self, Live},
    network::Network,
};

use super::{Own, Report, enter, founding, median, millis, profile};

/// Members besides the facilitator whose room is caught up with after a day.
const MANY: usize = 50;
/// Words in the room and in each lane on that day.
const DAY_WORDS: usize = 3;
/// Turns of each command.
const TURNS: usize = 40;

/// Visits until everybody sits in each lane.
const VISITS_MAX: usize = 20;

type Anybody = Live<'static>;

async fn founded(server: &Server, suite: Suite, lanes: bool) -> (&'static Own, Anybody) {
    let grant = Grant::parse(&server.grant_link()).unwrap();
    let own = profile();
    let founding = hearth_engine::join::Founding { lanes, ..founding(suite) };
    let (store, crypto) = (own.profile.store(), &own.crypto);
    let room = live::open_room(&Network::machine(), store, crypto, &grant, founding).await.unwrap();
    (own, Live::enter(&Network::machine(), room).await.unwrap())
}

/// Lets somebody in; returns them and how long the facilitator's device took, with the lane where there is one.
async fn admit(fay: &mut Anybody, name: String) -> (Anybody, Duration) {
    let terms = InviteTerms { uses: 1, expires: live::now().plus(1_000_000), role: Role::Member };
    let (link, _) = fay.room.invite(terms, live::now()).unwrap();
    fay.flush().await.unwrap();
    let admitting = async {
        let knock = first_knock(fay).await;
        let started = Instant::now();
        fay.admit(&knock).await.unwrap();
        started.elapsed()
    };
    tokio::join!(Box::pin(enter(profile(), &link, name)), Box::pin(admitting))
}

async fn first_knock(fay: &mut Anybody) -> Knock {
    loop {
        if let Some((_, knock)) = fay.knocks().await.unwrap().into_iter().next() {
            return knock.unwrap();
        }
        fay.next().await.unwrap();
    }
}

/// Sends what was queued, and returns how long both took.
async fn timed(live: &mut Anybody, queue: impl FnOnce(&mut Anybody) -> MessageId) -> Duration {
    let started = Instant::now();
    let id = queue(live);
    live.send_queued(&id).await.unwrap();
    started.elapsed()
}

/// Leaves, comes back, and does what is due.
async fn again(live: Anybody) -> Anybody {
    let room = live.leave().await;
    let mut live = Box::pin(Live::enter(&Network::machine(), room)).await.unwrap();
    live.tend().await.unwrap();
    live
}

fn own_lane(live: &Anybody) -> RoomId {
    live.room.my_lane_id()
}

async fn words_in_lane(live: &mut Anybody, lane: RoomId, text: String) -> Duration {
    let started = Instant::now();
    live.lane(lane).unwrap().queue_words(text.into(), live::now()).unwrap();
    live.flush_lane(lane).await.unwrap();
    started.elapsed()
}

/// Reactions, hands, answers and words in a lane beside a text in the room, in turns.
pub(super) async fn commands(report: &Report, suite: Suite, name: &str) {
    let server = Server::hearthd(None);
    let (_, mut fay) = founded(&server, suite, true).await;
    let (mut ben, _) = admit(&mut fay, "Ben".into()).await;
    let (mut gil, _) = admit(&mut fay, "Gil".into()).await;
    let act = Act::SetRole { member: gil.room.me(), role: Role::CoFacilitator };
    fay.act(act).await.unwrap();
    let lane = own_lane(&ben);
    let seated = |live: &mut Anybody| live.lane(lane).is_some_and(|lane| lane.is_seated());
    for _ in 0..VISITS_MAX {
        if seated(&mut fay) && seated(&mut gil) && seated(&mut ben) {
            break;
        }
        (gil, fay, ben) = (again(gil).await, again(fay).await, again(ben).await);
    }
    assert!(seated(&mut fay) && seated(&mut gil) && seated(&mut ben));
    let ask = Ask {
        form: Form::Prompt,
        text: "What was it like to watch?".into(),
        options: Vec::new(),
        until: live::now().plus(3_600_000),
        after_own: false,
        part: None,
    };
    let asked = fay.room.queue_ask(ask, live::now()).unwrap();
    fay.send_queued(&asked).await.unwrap();
    ben = again(ben).await;
    let asked = ben.room.floor().unwrap().state().asks[0].ask.seq;
    let text = "I slept badly, and I want time for Sunday.";
    let mut times: [Vec<Duration>; 5] = Default::default();
    for turn in 0..TURNS {
        let now = live::now();
        let said = |live: &mut Anybody| live.room.queue_text(text.into(), now).unwrap();
        times[0].push(timed(&mut ben, said).await);
        let place: Seq = ben.room.cursor().place(ben.room.cursor().seq);
        let kind = if turn.is_multiple_of(2) { Reaction::Heard } else { Reaction::WithYou };
        let reacted =
            |live: &mut Anybody| live.room.queue_reaction(place, Some(kind), now).unwrap();
        times[1].push(timed(&mut ben, reacted).await);
        let up = turn.is_multiple_of(2);
        let raised = |live: &mut Anybody| live.room.queue_hand(up, now).unwrap();
        times[2].push(timed(&mut ben, raised).await);
        let answered = |live: &mut Anybody| {
            let words = Words { text: text.into(), answers: Some(asked), ..Words::default() };
            live.room.queue_words(words, now).unwrap()
        };
        times[3].push(timed(&mut ben, answered).await);
        times[4].push(words_in_lane(&mut ben, lane, text.into()).await);
    }
    let [of_text, others @ ..] = &mut times;
    let of_text = median(of_text);
    report.note(&format!("group {name}: a text in a room of three, p50"), of_text, "ms");
    let names = ["a reaction", "a hand", "an answer", "words in a lane of three seats"];
    for (what, times) in names.iter().zip(others) {
        let ratio = median(times) / of_text;
        report.say(&format!("group {name}: {what}, beside a text"), ratio, "times", 1.2, true);
    }
}

/// An admission with its lane and without, and a day in a room of many with a lane for each.
pub(super) async fn lanes(report: &Report, suite: Suite, name: &str) {
    let server = Server::hearthd(None);
    let (_, mut plain) = founded(&server, suite, false).await;
    let (home, mut fay) = founded(&server, suite, true).await;
    let mut members = Vec::new();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for number in 1..=MANY {
        if number <= 10 {
            let (member, took) = admit(&mut plain, format!("Member {number}")).await;
            without.push(took);
            drop(member.leave().await);
        }
        let (member, took) = admit(&mut fay, format!("Member {number}")).await;
        if number <= 10 {
            with.push(took);
        }
        // Whoever is connected and reads nothing is cut off.
        members.push(member.leave().await);
    }
    let ratio = median(&mut with) / median(&mut without);
    let what = format!("group {name}: an admission with its lane, beside one without");
    report.say(&what, ratio, "times", 2.5, true);
    drop(plain);
    drop(fay.leave().await);
    let before = home.bytes();
    for room in members {
        let mut live = Box::pin(Live::enter(&Network::machine(), room)).await.unwrap();
        live.tend().await.unwrap();
        let lane = own_lane(&live);
        for turn in 0..DAY_WORDS {
            live.send(format!("In the room, {turn}")).await.unwrap();
            words_in_lane(&mut live, lane, format!("To those who moderate, {turn}")).await;
        }
        drop(live.leave().await);
    }
    let (store, crypto) = (home.profile.store(), &home.crypto);
    let room = hearth_engine::Room::open(store, crypto, "room").unwrap();
    let started = Instant::now();
    let mut fay = Live::enter(&Network::machine(), room).await.unwrap();
    fay.tend().await.unwrap();
    let took = millis(started.elapsed());
    let read: usize = fay
        .room
        .lanes()
        .unwrap()
        .iter()
        .map(|lane| lane.room().history(Seq(0), usize::MAX).unwrap())
        .map(|rows| rows.iter().filter(|row| row.from.is_some() && row.id.is_some()).count())
        .sum();
    assert_eq!(read, MANY * DAY_WORDS, "each word of each lane was read");
    let what = format!("group {name}: back in 51 rooms after a day");
    report.say(&what, took, "ms", 3_000.0, true);
    drop(fay.leave().await);
    let grown = (home.bytes() - before) as f64 / (2 * MANY * DAY_WORDS) as f64;
    report.note(&format!("group {name}: the profile grows by a message"), grown, "bytes");
    due(report, name, home);
}

/// The list of check-ins, by a whole process whose profile nobody else has open.
fn due(report: &Report, name: &str, home: &'static Own) {
    let folder = home.dir.path().join("home");
    let copy = home.dir.path().join("copy");
    assert!(Command::new("cp").arg("-a").args([&folder, &copy]).status().unwrap().success());
    let mut times: Vec<Duration> = (0..20)
        .map(|_| {
            let mut command = Person::bare();
            command.arg("--home").arg(&copy).args(["checkin", "room", "due"]);
            command.stdout(Stdio::null());
            let started = Instant::now();
            assert!(command.status().unwrap().success());
            started.elapsed()
        })
        .collect();
    let what = format!("group {name}: hearth checkin due, 50 members, p50");
    report.say(&what, median(&mut times), "ms", 100.0, true);
}
