//! Section A: what a modified member, a modified co-facilitator, or the operator does past the room's rules, seen by honest people
//! with the real programs. The modified client is the library with another message or submission; the operator changes the
//! relay's tables while it stands still.

use hearth_engine::{Crypto, Room, content::Body, profile::Profile};
use hearth_kit::{Circle, Person, Relay, forged};
use hearth_protocol::{
    Effect, InviteId, MessageId, Millis, Role, RoomNumbers, Secret32, Seq, codec, invite::Invite,
};
use hearth_session::{
    live::{Live, LiveError},
    network::Network,
};
use rusqlite::{Connection, params};
use serde_json::Value;

/// A time that is not over for long.
const LATER: u64 = 4_000_000_000_000;

/// Does something with a person's profile that no command does.
pub(crate) fn modified<T>(
    circle: &Circle,
    person: &Person,
    act: impl AsyncFnOnce(&mut Live<'_>) -> Result<T, LiveError>,
) -> Result<T, LiveError> {
    let profile = Profile::open(person.home(), None).unwrap_or_else(|error| panic!("{error}"));
    let crypto = Crypto::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Box::pin(async {
        let room = Room::open(profile.store(), &crypto, &circle.room)?;
        let mut live = Live::enter(&Network::machine(), room).await?;
        let result = act(&mut live).await;
        live.leave().await;
        result
    }))
}

/// Changes the relay's tables, as its operator can.
pub(crate) fn operator(relay: &mut Relay, change: impl FnOnce(&Connection)) {
    relay.stop();
    let db = Connection::open(relay.data().join("hearth.db")).unwrap();
    change(&db);
    drop(db);
    relay.restart();
}

fn set_numbers(db: &Connection, change: impl FnOnce(&mut RoomNumbers)) {
    let bytes: Vec<u8> = db.query_row("SELECT numbers FROM rooms", [], |row| row.get(0)).unwrap();
    let mut numbers: RoomNumbers = codec::decode(&bytes).unwrap();
    change(&mut numbers);
    db.execute("UPDATE rooms SET numbers = ?1 WHERE parent = 0", [codec::encode(&numbers)])
        .unwrap();
}

pub(crate) fn key_of(circle: &Circle, name: &str) -> Vec<u8> {
    let who = circle.fay("who", &[]).into_iter().find(|member| member["name"] == name).unwrap();
    let hex = who["key"].as_str().unwrap().to_owned();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// Returns the alarms and remarks that a command showed, as their words and texts.
pub(crate) fn notices(lines: &[Value]) -> Vec<(String, String)> {
    let word = |line: &Value, field: &str| line[field].as_str().unwrap_or_default().to_owned();
    let notices = lines.iter().filter(|line| line["kind"] == "notice");
    notices.map(|line| (word(line, "notice"), word(line, "text"))).collect()
}

pub(crate) fn words(lines: &[Value]) -> Vec<String> {
    notices(lines).into_iter().map(|(word, _)| word).collect()
}

fn says(circle: &Circle, person: &Person, text: &str) -> (MessageId, Seq) {
    let sent = circle.by(person, "send", &[text]);
    let hex = sent[0]["id"].as_str().unwrap();
    (MessageId::from_hex(hex).unwrap(), Seq(sent[0]["seq"].as_u64().unwrap()))
}

fn now() -> Millis {
    hearth_session::live::now()
}

#[test]
fn a2_marked_words_are_told() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (mal, ben) = (circle.admit("Mal"), circle.admit("Ben"));
    let (message, seq) = says(&circle, &mal, "mine");
    circle.news(&ben);
    circle.fay("pause", &["1h", "Let us breathe."]);
    circle.news(&ben);
    let retracts = Effect::Retract { seq, own: Some(message) };
    let id = MessageId([1; 16]);
    let refused = modified(&circle, &mal, async |live| {
        let body = Body::Text("past the pause".into());
        let payload = live.room.forge_message(id, body, false, now())?;
        forged::submit(live, id, payload, vec![]).await
    });
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(refused.contains("Paused"), "{refused}");
    let id = MessageId([2; 16]);
    modified(&circle, &mal, async |live| {
        let body = Body::Text("past the pause".into());
        let payload = live.room.forge_message(id, body, true, now())?;
        forged::submit(live, id, payload, vec![retracts]).await
    })
    .unwrap();
    let read = ben.run(&["read", &circle.room]);
    assert_eq!(read.code, Some(5), "{read:#?}");
    let told = notices(&read.lines);
    assert!(told.iter().any(|(word, text)| word == "mark" && text.contains("Mal")), "{told:?}");
    assert!(!read.stdout.contains("past the pause"), "{read:#?}");
}

#[test]
fn a2_unmarked_retraction_is_refused() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (mal, ben) = (circle.admit("Mal"), circle.admit("Ben"));
    let (message, seq) = says(&circle, &mal, "mine");
    circle.news(&ben);
    for effect in [Effect::Retract { seq, own: Some(message) }, Effect::Leave] {
        let id = MessageId([1; 16]);
        let beside_words = modified(&circle, &mal, async |live| {
            let body = Body::Text("and more".into());
            let payload = live.room.forge_message(id, body, false, now())?;
            forged::submit(live, id, payload, vec![effect.clone()]).await
        });
        let alone = modified(&circle, &mal, async |live| {
            live.effects_only(vec![effect.clone()]).await.map(|()| Seq(0))
        });
        for refused in [beside_words, alone] {
            let refused = format!("{:?}", refused.unwrap_err());
            assert!(refused.contains("BadPayload"), "{refused}");
        }
    }
    circle.say(&circle.fay, "still here");
    let news = circle.news(&ben);
    let texts = news.iter().filter(|line| line["kind"] == "text");
    assert_eq!(texts.map(|line| &line["text"]).collect::<Vec<_>>(), ["still here"]);
    assert!(notices(&news).is_empty(), "{news:?}");
    let who = circle.by(&ben, "who", &[]);
    assert!(who.iter().any(|member| member["name"] == "Mal"), "{who:?}");
}

/// Says goodbye by a statement that is right or wrong, and tells the relay nothing of it. What the relay deletes instead was read.
fn says_goodbye(circle: &Circle, mal: &Person, is_right: bool, reader: &Person) {
    let (message, seq) = says(circle, mal, "one last word");
    circle.news(reader);
    circle.news(&circle.fay);
    let id = MessageId([3; 16]);
    modified(circle, mal, async |live| {
        let departure = live.room.forge_departure(is_right, now())?;
        let payload = live.room.forge_message(id, Body::Depart { departure }, true, now())?;
        forged::submit(live, id, payload, vec![Effect::Retract { seq, own: Some(message) }]).await
    })
    .unwrap();
}

#[test]
fn a3_false_departure_names_its_sender() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (mal, ben) = (circle.admit("Mal"), circle.admit("Ben"));
    says_goodbye(&circle, &mal, false, &ben);
    let read = ben.run(&["read", &circle.room]);
    assert_eq!(read.code, Some(5), "{read:#?}");
    let told = notices(&read.lines);
    let named = |(word, text): &(String, String)| word == "false_departure" && text.contains("Mal");
    assert!(told.iter().any(named), "{told:?}");
    assert!(!read.lines.iter().any(|line| line["act"] == "goodbye"), "{read:#?}");
    let who = circle.by(&ben, "who", &[]);
    let mals = who.iter().find(|member| member["name"] == "Mal").unwrap();
    assert_eq!(mals["departing"], false);
    circle.say(&ben, "as before");
}

#[test]
fn a3_goodbye_leaves_keys_until_commit() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (mal, ben) = (circle.admit("Mal"), circle.admit("Ben"));
    says_goodbye(&circle, &mal, true, &ben);
    let seen = ben.sees(&["read", &circle.room]).stdout;
    assert!(seen.contains("Mal says goodbye and still has the keys"), "{seen}");
    let who = circle.by(&ben, "who", &[]);
    let departing: Vec<&Value> = who.iter().filter(|member| member["departing"] == true).collect();
    assert_eq!(departing.len(), 1);
    assert_eq!(departing[0]["name"], "Mal");
    let seen = ben.sees(&["who", &circle.room]).stdout;
    let line = seen.lines().find(|line| line.contains("Mal")).unwrap();
    assert!(line.contains("says goodbye and still has the keys"), "{line}");
}

#[test]
fn a4_refused_clean_up_stops_no_send() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (mal, ben, lea) = (circle.admit("Mal"), circle.admit("Ben"), circle.admit("Lea"));
    says_goodbye(&circle, &mal, true, &ben);
    circle.by(&lea, "leave", &[]);
    let first = circle.by(&ben, "send", &["I am here"]);
    assert_eq!(first[0]["sent"], true, "{first:?}");
    let told = notices(&first);
    assert_eq!(words(&first), ["departure_waits"], "{told:?}");
    assert!(told[0].1.contains("Mal"), "{told:?}");
    // The other departure is carried out all the same.
    let who = circle.by(&ben, "who", &[]);
    assert!(!who.iter().any(|member| member["name"] == "Lea"), "{who:?}");
    for text in ["and again", "and again and again"] {
        let sent = circle.by(&ben, "send", &[text]);
        assert_eq!((sent[0]["sent"].as_bool(), notices(&sent).len()), (Some(true), 0), "{sent:?}");
    }
    // Whatever a facilitator does takes Mal out.
    circle.news(&circle.fay);
    let who = circle.fay("who", &[]);
    assert!(!who.iter().any(|member| member["name"] == "Mal"), "{who:?}");
    circle.news(&ben);
    assert_eq!(circle.by(&ben, "status", &[])[0]["alarms"], serde_json::json!([]));
}

/// A co-facilitator changes what the relay enforces beside what begins like a commit.
pub(crate) fn silently(
    circle: &Circle,
    cleo: &Person,
    effects: Vec<Effect>,
) -> Result<Seq, LiveError> {
    modified(circle, cleo, async |live| {
        let payload = live.room.forge_commit(now())?;
        forged::submit(live, MessageId([4; 16]), payload, effects).await
    })
}

pub(crate) fn cofacilitator(circle: &Circle) -> Person {
    let cleo = circle.admit("Cleo");
    circle.fay("role", &["Cleo", "cofacilitator"]);
    circle.news(&cleo);
    cleo
}

#[test]
fn a5_silent_rules_are_told_and_restored() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, ben) = (cofacilitator(&circle), circle.admit("Ben"));
    circle.news(&cleo);
    let slow = RoomNumbers { slow_seconds: 3600, budget_per_day: 1, ..RoomNumbers::default() };
    // Without a commit, and a change of retention at all, are refused by the relay.
    for numbers in [slow.clone(), RoomNumbers { retention_seconds: 60, ..slow.clone() }] {
        let effects = vec![Effect::SetNumbers { numbers }];
        let alone = modified(&circle, &cleo, async |live| live.effects_only(effects).await);
        assert!(alone.is_err());
    }
    let numbers = RoomNumbers { retention_seconds: 60, ..slow.clone() };
    assert!(silently(&circle, &cleo, vec![Effect::SetNumbers { numbers }]).is_err());
    silently(&circle, &cleo, vec![Effect::SetNumbers { numbers: slow }]).unwrap();
    let read = ben.run(&["read", &circle.room]);
    assert_eq!(read.code, Some(5), "{read:#?}");
    let told = words(&read.lines);
    assert!(told.contains(&"relay_slow".to_owned()), "{told:?}");
    assert!(told.contains(&"relay_budget".to_owned()), "{told:?}");
    // Once while it lasts; the status shows it for as long.
    assert_eq!(notices(&circle.news(&ben)), []);
    let status = ben.run(&["status", &circle.room]);
    assert_eq!(status.code, Some(5), "{status:#?}");
    assert_eq!(status.lines[0]["alarms"].as_array().unwrap().len(), 2, "{status:#?}");
    let seen = ben.sees(&["status", &circle.room]).stdout;
    assert!(seen.contains("!! the relay keeps to"), "{seen}");
    ben.run(&["restore-rules", &circle.room]).failed(3, "not_facilitator");
    circle.fay.run(&["read", &circle.room]);
    let restored = circle.fay("restore-rules", &[]);
    assert_eq!(restored[0]["restored"], true, "{restored:?}");
    assert_eq!(restored[0]["remain"], serde_json::json!([]));
    circle.say(&ben, "one");
    circle.say(&ben, "two");
    let status = circle.by(&ben, "status", &[]);
    assert_eq!(status[0]["alarms"], serde_json::json!([]), "{status:?}");
    // There is nothing to put back any more.
    assert_eq!(circle.fay("restore-rules", &[])[0]["restored"], false);
}

#[test]
fn a5_silent_retraction_is_told() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, ben) = (cofacilitator(&circle), circle.admit("Ben"));
    let (_, seq) = says(&circle, &circle.fay, "read me");
    let (_, own) = says(&circle, &circle.fay, "taken back");
    circle.fay("retract", &[&own.to_string()]);
    let alone = modified(&circle, &cleo, async |live| {
        live.effects_only(vec![Effect::Retract { seq, own: None }]).await
    });
    assert!(alone.is_err());
    silently(&circle, &cleo, vec![Effect::Retract { seq, own: None }]).unwrap();
    let read = ben.run(&["read", &circle.room]);
    assert_eq!(read.code, Some(5), "{read:#?}");
    let told: Vec<String> = notices(&read.lines)
        .into_iter()
        .filter(|(w, _)| w == "relay_retracted")
        .map(|n| n.1)
        .collect();
    assert_eq!(told.len(), 1, "{read:#?}");
    assert!(told[0].contains(&format!("entry {seq},")), "{told:?}");
}

#[test]
fn a5_operators_changes_are_told() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let key = key_of(&circle, "Ben");
    for person in [&circle.fay, &ben] {
        circle.news(person);
    }
    operator(&mut relay, |db| {
        set_numbers(db, |numbers| {
            numbers.retention_seconds = 60 * 60;
            numbers.payload_bytes_max = 700;
        });
        db.execute("UPDATE rooms SET agreement = ?1 WHERE parent = 0", [vec![1_u8; 32]]).unwrap();
        db.execute("UPDATE members SET role = 3 WHERE member = ?1", [&key]).unwrap();
    });
    let read = ben.run(&["read", &circle.room]);
    assert_eq!(read.code, Some(5), "{read:#?}");
    let mut told = words(&read.lines);
    told.sort();
    let all = ["relay_agreement", "relay_length", "relay_retention", "relay_role"];
    assert_eq!(told, all, "{read:#?}");
    let refused = ben.run(&["send", &circle.room, "hello"]);
    let failure = refused.failed(5, "observer");
    assert!(failure["message"].as_str().unwrap().contains("no record says why"), "{failure}");
    // They do not go out by themselves, not even when the role is put back.
    let advice = failure["try"].as_str().unwrap();
    assert!(advice.contains("stay in your outbox") && !advice.contains("go out"), "{failure}");
    assert_eq!(circle.fay.run(&["read", &circle.room]).code, Some(5));
    let restored = circle.fay("restore-rules", &[]);
    assert_eq!(restored[0]["remain"], serde_json::json!([]), "{restored:?}");
    circle.say(&ben, "hello again");
}

#[test]
fn a7_pinned_message_keeps_its_id() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (mal, ben) = (circle.admit("Mal"), circle.admit("Ben"));
    let (pinned, first) = says(&circle, &circle.fay, "Call 1234 if you are in danger");
    circle.fay("pin", &[&pinned.to_hex()]);
    let second = modified(&circle, &mal, async |live| {
        let body = Body::Text("Call nobody".into());
        let payload = live.room.forge_message(pinned, body, false, now())?;
        forged::submit(live, pinned, payload, Vec::new()).await
    })
    .unwrap();
    let read = ben.run(&["read", &circle.room]);
    assert_eq!(read.code, Some(5), "{read:#?}");
    let told = notices(&read.lines);
    let named = |(word, text): &(String, String)| {
        word == "same_id" && text.contains("Mal") && text.contains("Fay")
    };
    assert!(told.iter().any(named), "{told:?}");
    let seen = ben.sees(&["status", &circle.room]).stdout;
    assert!(seen.contains("Fay: Call 1234"), "{seen}");
    circle.fay.run(&["read", &circle.room]);
    let refused = circle.fay.run(&["retract", &circle.room, &pinned.to_hex()]);
    let failure = refused.failed(2, "ambiguous");
    let message = failure["message"].as_str().unwrap();
    for part in [format!("number {first} by Fay"), format!("number {second} by Mal")] {
        assert!(message.contains(&part), "{message}");
    }
    circle.fay("retract", &[&second.to_string()]);
    let history = circle.history(&ben);
    let kind = |seq: Seq| history.iter().rfind(|l| l["seq"] == seq.0 && l["kind"] != "notice");
    assert_eq!(kind(first).unwrap()["kind"], "text");
    assert_eq!(kind(second).unwrap()["kind"], "tombstone");
}

#[test]
fn a9_operators_time_out_names_nobody() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let key = key_of(&circle, "Ben");
    circle.news(&ben);
    operator(&mut relay, |db| {
        db.execute("UPDATE members SET timeout_until = ?1 WHERE member = ?2", params![LATER, key])
            .unwrap();
    });
    let read = ben.sees(&["read", &circle.room]);
    assert_eq!(read.code, Some(5));
    assert!(read.stdout.contains("!! the relay refuses your posts until"), "{}", read.stdout);
    assert!(read.stdout.contains("no record says why"), "{}", read.stdout);
    let refused = ben.run(&["send", &circle.room, "let me"]);
    let failure = refused.failed(5, "timed_out");
    let message = failure["message"].as_str().unwrap();
    assert!(message.contains("the relay refuses your posts until"), "{message}");
    assert!(message.contains("no record says why"), "{message}");
    assert_eq!(failure["kept"], true);
    for command in ["status", "read"] {
        let seen = ben.sees(&[command, &circle.room]);
        let all = format!("{}{}", seen.stdout, seen.stderr);
        assert!(
            !all.contains("asks you to take a break") && !all.contains("you have a break"),
            "{all}"
        );
    }
    // A facilitator sees it, too, and ends it; what waited goes out when its author says so.
    assert_eq!(circle.fay.run(&["read", &circle.room]).code, Some(5));
    circle.fay("restore-rules", &[]);
    circle.by(&ben, "outbox", &["--send", "all"]);
    circle.say(&ben, "thank you");
    let texts: Vec<String> = circle
        .news(&circle.fay)
        .iter()
        .filter(|l| l["kind"] == "text")
        .map(|l| l["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["let me", "thank you"]);
}

/// A time-out that a facilitator gives is theirs, with their words, and no alarm.
#[test]
fn a9_signed_time_out_names_its_facilitator() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("timeout", &["Ben", "1h", "Rest a little."]);
    let refused = ben.run(&["send", &circle.room, "but"]);
    let failure = refused.failed(3, "timed_out");
    assert!(failure["message"].as_str().unwrap().contains("you have a break from the room until"));
    let seen = ben.sees(&["read", &circle.room]);
    assert_eq!(seen.code, Some(0), "{}", seen.stdout);
    assert!(
        seen.stdout.contains("Fay asks you to take a break from the room until "),
        "{}",
        seen.stdout
    );
    circle.fay("untimeout", &["Ben"]);
    circle.say(&ben, "and back");
    assert_eq!(circle.by(&ben, "status", &[])[0]["alarms"], serde_json::json!([]));
}

#[test]
fn a9_declined_by_operator_alone() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = Person::new();
    let link = circle.invite(&[]);
    circle.knock_with(&ben, "Ben", &link);
    operator(&mut relay, |db| {
        let changed = db.execute("UPDATE knocks SET declined = 1, note = x'0102'", []).unwrap();
        assert_eq!(changed, 1);
    });
    let room = ben.does(&["room", "list"])[0]["room"].as_str().unwrap().to_owned();
    let refused = ben.run(&["send", &room, "hello"]);
    let said = refused.failed(3, "not_member")["message"].as_str().unwrap().to_owned();
    assert!(said.contains("the relay says that your knock was declined"), "{said}");
    assert!(said.contains("no facilitator's signature says so"), "{said}");
    // It was the relay's word alone: an admission counts all the same.
    operator(&mut relay, |db| {
        db.execute("UPDATE knocks SET declined = 0, note = x''", []).unwrap();
    });
    circle.fay("admit", &["Ben"]);
    ben.does(&["send", &room, "hello"]);
}

#[test]
fn a9_removed_by_operator_alone() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let key = key_of(&circle, "Ben");
    operator(&mut relay, |db| {
        let head: i64 = db.query_row("SELECT head FROM rooms", [], |row| row.get(0)).unwrap();
        db.execute("UPDATE members SET state = 2, gone = ?1 WHERE member = ?2", params![head, key])
            .unwrap();
    });
    ben.run(&["read", &circle.room]).failed(5, "said_gone");
    let read = circle.fay.run(&["read", &circle.room]);
    assert_eq!((read.code, words(&read.lines)), (Some(5), vec!["relay_lacks_member".into()]));
}

#[test]
fn a10_first_announcement_of_invite_counts() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (cleo, ben) = (cofacilitator(&circle), circle.admit("Ben"));
    circle.news(&cleo);
    let text = circle.invite(&["--role", "cofacilitator"]);
    let link = Invite::parse(&text).unwrap();
    let invite: InviteId = hearth_protocol::invite::invite_id(&link.token());
    let id = MessageId([5; 16]);
    modified(&circle, &cleo, async |live| {
        let body = Body::InviteIssued {
            invite,
            knock_key: Secret32::new([7; 32]),
            uses: 1,
            expires: now().plus(60_000),
            role: Role::Observer,
            of: None,
        };
        let payload = live.room.forge_message(id, body, false, now())?;
        forged::submit(live, id, payload, Vec::new()).await
    })
    .unwrap();
    for person in [&circle.fay, &ben] {
        let read = person.run(&["read", &circle.room]);
        assert_eq!(read.code, Some(5), "{read:#?}");
        let told = notices(&read.lines);
        let named = |(word, text): &(String, String)| {
            word == "second_invite" && text.contains("Cleo") && text.contains("Fay")
        };
        assert!(told.iter().any(named), "{told:?}");
    }
    let dora = Person::new();
    circle.knock_with(&dora, "Dora", &text);
    let knocks = circle.fay("knocks", &[]);
    assert_eq!(
        (knocks[0]["name"].as_str(), knocks[0]["role"].as_str()),
        (Some("Dora"), Some("cofacilitator"))
    );
}

#[test]
fn a6_newcomer_signs_the_coming_version() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let file =
        hearth_kit::text_file(&format!("{}4. Phones stay outside.\n", hearth_kit::AGREEMENT));
    let path = file.path().to_str().unwrap();
    let amend = ["agreement", "amend", &circle.room, path, "--material", "--effective", "1h"];
    let next = circle.fay.does(&amend)[0]["agreement"].as_str().unwrap().to_owned();
    let dan = circle.admit("Dan");
    circle.news(&dan);
    let shown = dan.does(&["agreement", "show", &circle.room]);
    assert_eq!(shown[0]["id"], *next);
    dan.does(&["agreement", "acknowledge", &circle.room, "--acknowledge", &next]);
    circle.say(&dan, "Signed");
}

#[test]
fn a2_refused_departure_says_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay.run(&["leave", &circle.room, "--yes", "Goodbye all"]).refused(3, "last_facilitator");
    let news = circle.news(&ben);
    assert!(news.iter().all(|row| row["text"] != "Goodbye all"), "{news:?}");
}
