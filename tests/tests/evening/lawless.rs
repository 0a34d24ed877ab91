//! A member with a modified client sends every body of the talk past the rules: the honest members' floor and words stay as they are.

use hearth_engine::{
    content::{Body, Ref},
    floor::{Ask, Form, Op, Recap, State},
    state::{Row, RowContent},
};
use hearth_kit::{Circle, Person, Relay, forged};
use hearth_protocol::{Digest, MessageId, Millis, Seq};
use hearth_session::live::{Live, LiveError};
use serde_json::Value;

use crate::found::members::modified;

const HOUR: u64 = 3_600_000;

/// What a modified member finds in the room.
struct Found {
    cleos: Ref,
    cleos_id: MessageId,
    gone: Ref,
    prompt: Ref,
    poll: Ref,
    round: Seq,
    until: Millis,
    upto: Seq,
    me: hearth_protocol::MemberKey,
}

fn reference(row: &Row) -> Ref {
    Ref { seq: row.seq, digest: row.digest }
}

fn find(live: &mut Live<'_>) -> Result<Found, LiveError> {
    let rows = live.room.history(Seq(0), 10_000)?;
    let says = |words: &str| {
        rows.iter().find(|row| matches!(&row.content, RowContent::Text(t) if t == words)).unwrap()
    };
    let asked = |form: Form| {
        rows.iter()
            .find(|row| matches!(&row.content, RowContent::Asked(ask) if ask.form == form))
            .unwrap()
    };
    let gone = rows.iter().find(|row| matches!(row.content, RowContent::Tombstone { .. })).unwrap();
    let (cleos, until) = (says("I drank again."), live.relay_now().plus(HOUR));
    let (me, upto) = (live.room.me(), live.room.cursor().seq);
    Ok(Found {
        cleos: reference(cleos),
        cleos_id: cleos.id.unwrap(),
        gone: reference(gone),
        prompt: reference(asked(Form::Prompt)),
        poll: reference(asked(Form::Poll)),
        round: live.room.floor()?.state().round.as_ref().unwrap().seq,
        until,
        upto,
        me,
    })
}

type Makes = fn(&Found) -> Body;

fn start(found: &Found) -> Body {
    let (order, until) = (vec![found.me], found.until);
    Body::Floor(Op::Start { order, topic: "Mine".into(), seconds: 0, until })
}

fn asks(found: &Found) -> Body {
    let (until, form) = (found.until, Form::Prompt);
    Ask { form, text: "Who lies?".into(), options: vec![], until, after_own: false, part: None }
        .into()
}

/// Each body that a rule forbids. None of them may show a line to anybody.
#[rustfmt::skip]
const FORBIDDEN: &[(&str, Makes)] = &[
    ("a round begun by a member", start),
    ("another's turn moved", |found| Body::Floor(Op::Move { round: found.round, turn: 0 })),
    ("a turn to come moved", |found| Body::Floor(Op::Move { round: found.round, turn: 1 })),
    ("the round of a place to come", |_| Body::Floor(Op::Move { round: Seq(u64::MAX), turn: 0 })),
    ("a round that is longer", |found| Body::Floor(Op::Extend { round: found.round, until: found.until.plus(HOUR) })),
    ("a round that is over now", |found| Body::Floor(Op::Extend { round: found.round, until: Millis(0) })),
    ("a round ended by a member", |found| Body::Floor(Op::End { round: found.round })),
    ("a hand down that is not up", |_| Body::Floor(Op::Lower)),
    ("a question by a member", asks),
    ("a question closed by a member", |found| Body::Close { ask: found.prompt, ballots: None }),
    ("a poll closed by a member", |found| Body::Close { ask: found.poll, ballots: Some(vec![]) }),
    ("a content note by a member", |found| Body::Cover { to: found.cleos, topic: "lies".into() }),
    ("a member on duty", |found| Body::Duty(found.until)),
    ("an empty floor", |found| Recap { upto: found.upto, state: State::default() }.into()),
    ("another's words changed", |found| Body::Edit {
        message: found.cleos_id, seq: found.cleos.seq, text: "I never drink.".into(),
    }),
    ("words changed that are gone", |found| Body::Edit {
        message: found.cleos_id, seq: found.gone.seq, text: "I am back.".into(),
    }),
    ("a vote for what no poll offers", |found| Body::Answer { ask: found.poll, choice: Some(2), text: None, salt: None }),
    ("a vote for the last number", |found| Body::Answer { ask: found.poll, choice: Some(u64::MAX), text: None, salt: None }),
    ("a vote in nothing", |found| Body::Answer {
        ask: Ref { digest: Digest([7; 32]), ..found.poll }, choice: Some(0), text: None, salt: None,
    }),
    ("a vote for a message", |found| Body::Answer { ask: found.cleos, choice: Some(0), text: None, salt: None }),
    ("a reaction to what is gone", |found| Body::React { to: found.gone, kind: 1 }),
    ("a reaction to nothing", |_| Body::React { to: Ref { seq: Seq(u64::MAX), digest: Digest([7; 32]) }, kind: 1 }),
    ("a reaction to a question", |found| Body::React { to: found.poll, kind: 1 }),
];

/// Words that a rule holds until the turn of their author, who has none here.
#[rustfmt::skip]
const HELD: &[(&str, Makes)] = &[
    ("words off turn", |_| Body::Text("off turn: a".into())),
    ("an answer off turn", |found| Body::Answer { ask: found.prompt, choice: None, text: Some("off turn: b".into()), salt: None }),
    ("a reply to nothing", |_| Body::Say {
        text: "off turn: c".into(), reply: Some(Ref { seq: Seq(u64::MAX), digest: Digest([7; 32]) }), topic: None,
    }),
    ("a reply to what is gone", |found| Body::Say { text: "off turn: d".into(), reply: Some(found.gone), topic: None }),
    ("an answer to nothing", |found| Body::Answer { ask: found.gone, choice: None, text: Some("off turn: e".into()), salt: None }),
];

/// Sends a body as a client would that has no rules.
fn sends(circle: &Circle, mal: &Person, found: &mut Found, id: u8, makes: Makes) {
    modified(circle, mal, async |live| {
        found.upto = live.room.cursor().seq;
        let body = makes(found);
        let id = MessageId([id; 16]);
        let payload = live.room.forge_message(id, body, false, hearth_session::live::now())?;
        forged::submit(live, id, payload, Vec::new()).await
    })
    .unwrap();
}

/// Returns what is alive and what stands in the history, as somebody has it.
fn known(circle: &Circle, person: &Person) -> Vec<Value> {
    let parts = ["hands", "asks"].map(|part| circle.by(person, part, &[]));
    let mut all = [parts.concat(), circle.history(person)].concat();
    // What was read before is not new again.
    for row in all.iter_mut().filter_map(Value::as_object_mut) {
        row.remove("new");
    }
    all
}

#[test]
fn lawless_member_changes_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, cleo, mal) = (circle.admit("Ben"), circle.admit("Cleo"), circle.admit("Mal"));
    circle.say(&cleo, "I drank again.");
    let gone = circle.say(&cleo, "gone");
    for person in [&ben, &mal, &circle.fay] {
        circle.news(person);
    }
    circle.by(&cleo, "retract", &[&gone]);
    circle.fay("prompt", &["How was it?"]);
    circle.fay("poll", &["When?", "at six", "at eight"]);
    circle.by(&cleo, "vote", &["at six"]);
    circle.fay("call", &["Ben"]);
    let honest = [&circle.fay, &ben, &cleo];
    let mut found = modified(&circle, &mal, async |live| find(live)).unwrap();
    let before = honest.map(|person| known(&circle, person));
    for (n, (what, makes)) in (1..).zip(FORBIDDEN) {
        sends(&circle, &mal, &mut found, n, *makes);
        for person in honest {
            let news = circle.news(person);
            assert!(news.is_empty(), "{what}: {news:#?}");
        }
    }
    for (n, (what, makes)) in (100..).zip(HELD) {
        sends(&circle, &mal, &mut found, n, *makes);
        let news = circle.news(&ben);
        assert!(news.is_empty(), "{what}: {news:#?}");
    }
    for (person, before) in honest.into_iter().zip(before) {
        assert_eq!(known(&circle, person), before);
    }
    // A vote counts once, and the last one; nothing was lost for those whose turn it is.
    for (n, choice) in [(200, 0), (201, 0), (202, 1)] {
        let makes: [Makes; 2] = [
            |found| Body::Answer { ask: found.poll, choice: Some(0), text: None, salt: None },
            |found| Body::Answer { ask: found.poll, choice: Some(1), text: None, salt: None },
        ];
        sends(&circle, &mal, &mut found, n, makes[choice]);
    }
    circle.say(&ben, "It is my turn.");
    circle.by(&ben, "done", &[]);
    let number =
        circle.fay("asks", &[]).iter().find(|ask| ask["form"] == "poll").unwrap()["number"].clone();
    circle.fay("close-ask", &[&format!("#{number}")]);
    for person in honest {
        let all = circle.history(person);
        let closed = all.iter().rfind(|row| row["floor"] == "ask_closed").unwrap();
        let closed = closed["text"].as_str().unwrap();
        assert!(closed.contains("at six: 1") && closed.contains("at eight: 1"), "{closed}");
        // What was said off turn is there when the round is over, in the order of the log, as Mal's.
        let held = all
            .iter()
            .filter(|row| row["text"].as_str().is_some_and(|t| t.starts_with("off turn")));
        let held: Vec<(&str, &str)> = held
            .map(|row| (row["from"].as_str().unwrap(), row["text"].as_str().unwrap()))
            .collect();
        let wanted = ["a", "b", "c", "d", "e"].map(|n| format!("off turn: {n}"));
        let wanted: Vec<(&str, &str)> = wanted.iter().map(|text| ("Mal", text.as_str())).collect();
        assert_eq!(held, wanted);
    }
}
