//! The evening of a group as a table: who types what, and exactly what each of the others reads.

use std::collections::BTreeMap;

use hearth_kit::{Circle, Relay};
use serde_json::Value;

use super::cast::{Cast, fits};

/// Who reads a line.
#[derive(Clone, Copy)]
enum To {
    All,
    Only(&'static [&'static str]),
    But(&'static [&'static str]),
    /// Whoever typed, in the chat only: it is no part of the room's history.
    Told,
}

use To::{All, But, Only, Told};

impl To {
    fn reaches(self, name: &str, who: &str) -> bool {
        match self {
            All => true,
            Only(names) => names.contains(&name),
            But(names) => !names.contains(&name),
            Told => name == who,
        }
    }
}

/// One thing that somebody does, and the lines that it makes.
struct Row(&'static str, Does, &'static [(To, &'static str)]);

enum Does {
    /// Types a line into the chat.
    Types(&'static str),
    /// Closes the chat: the device is offline.
    Goes,
    /// Opens the chat again, and reads the lines that were missed.
    Comes,
    /// Is let in by Fay, and opens a chat.
    Joins,
}

use Does::{Comes, Goes, Joins, Types};

/// Members with a turn, in the order of the roster.
const NAMES: [&str; 7] = ["Gil", "Ben", "Cleo", "Dee", "Eli", "Hana", "Omar"];

const YOURS: &str =
    "-- It is your turn. Take your time. `/done` ends your turn, `/pass` lets it go by.";
const PASSED: &str = "You passed. That is always fine.";

#[rustfmt::skip]
const EVENING: &[Row] = &[
    // 19:00
    Row("Fay", Types("/duty on 2h"), &[(All, "-- Fay is here for the room until …")]),
    Row("Fay", Types("/exercise opening-round"), &[
        (Told, "Opening round: step 1 of 1…"),
        (All, "Fay: Opening round: about 25 minutes. Every step can be skipped, and nobody asks why.  [ID]"),
        (All, "-- Fay begins a round: How do you come in tonight? One or two sentences. Do you want time for something? (5 min each; nothing is cut off). Ben has the floor, then Cleo, Dee, Eli, Hana, Omar"),
        (Only(&["Ben"]), YOURS),
    ]),
    Row("Ben", Types("I slept badly. I want time for Sunday."), &[(All, "Ben: I slept badly. I want time for Sunday.  [ID]")]),
    Row("Ben", Types("/done"), &[(But(&["Cleo"]), "-- Next: Cleo."), (Only(&["Cleo"]), YOURS)]),
    Row("Cleo", Types("/pass"), &[(Told, PASSED), (But(&["Dee"]), "-- Next: Dee."), (Only(&["Dee"]), YOURS)]),
    Row("Hana", Types("I know that kind of night."), &[(Told, "-- it is Dee's turn. Kept for your turn: only you see it.…")]),
    Row("Dee", Types("Tired. I don't need time today."), &[(All, "Dee: Tired. I don't need time today.  [ID]")]),
    Row("Dee", Types("/done"), &[(But(&["Eli"]), "-- Next: Eli."), (Only(&["Eli"]), YOURS)]),
    Row("Dee", Goes, &[]),
    Row("Ida", Joins, &[(But(&["Ida"]), "-- Fay admitted Ida…")]),
    Row("Eli", Types("Work was bad, that's all."), &[(All, "Eli: Work was bad, that's all.  [ID]")]),
    Row("Eli", Types("/done"), &[(But(&["Hana"]), "-- Next: Hana."), (Only(&["Hana"]), YOURS)]),
    Row("Hana", Types("/outbox --send all"), &[(All, "Hana: I know that kind of night.  [ID]")]),
    Row("Hana", Types("And I called my mother. That was new."), &[(All, "Hana: And I called my mother. That was new.  [ID]")]),
    Row("Hana", Types("/done"), &[(But(&["Omar"]), "-- Next: Omar."), (Only(&["Omar"]), YOURS)]),
    Row("Omar", Types("Nine days. I count them."), &[(All, "Omar: Nine days. I count them.  [ID]")]),
    Row("Omar", Types("/done"), &[(All, "-- The round is over.")]),
    // 19:12
    Row("Ben", Types("On Sunday my brother called. I hung up and sat in the kitchen for an hour."), &[
        (All, "Ben: On Sunday my brother called. I hung up and sat in the kitchen for an hour.  [ID]"),
    ]),
    Row("Omar", Types("At least you have a brother who calls."), &[(All, "Omar: At least you have a brother who calls.  [ID]")]),
    Row("Eli", Types("That's a cruel thing to say. You always do this."), &[(All, "Eli: That's a cruel thing to say. You always do this.  [ID]")]),
    Row("Omar", Types("Then I'll say nothing any more."), &[(All, "Omar: Then I'll say nothing any more.  [ID]")]),
    Row("Fay", Types("/pause 10m Two of us are hurt, and it matters. We breathe now, and then we look at it together."), &[
        (All, "-- Fay has paused the room until …"),
    ]),
    Row("Eli", Types("I am sick of walking on eggshells"), &[(Told, "-- the room is paused…")]),
    Row("Fay", Types("Feet on the floor. Breathe out slowly."), &[(All, "Fay: Feet on the floor. Breathe out slowly.  [ID]")]),
    Row("Fay", Types("/resume"), &[(All, "-- Fay ended the pause")]),
    Row("Eli", Types("/outbox --drop all"), &[(Told, "Dropped the message …")]),
    Row("Dee", Comes, &[]),
    Row("Omar", Types("Ben, that came out wrong. I miss mine. I'm sorry."), &[(All, "Omar: Ben, that came out wrong. I miss mine. I'm sorry.  [ID]")]),
    Row("Ben", Types("/react heard"), &[(All, "-- Ben to Omar: “Ben, that came out wrong. I miss mine. I'm sorry.”: heard")]),
    Row("Ben", Types("/reply Thank you. I did not know."), &[
        (All, "Ben (to Omar: “Ben, that came out wrong. I miss mine. I'm sorry.”): Thank you. I did not know.  [ID]"),
    ]),
    Row("Eli", Types("I was afraid of a fight, and so I started on. Sorry, Omar."), &[(All, "Eli: I was afraid of a fight, and so I started on…")]),
    Row("Eli", Types("/edit I was afraid of a fight, and so I started one. Sorry, Omar."), &[
        (All, "-- Eli changed [ID]: I was afraid of a fight, and so I started one. Sorry, Omar."),
    ]),
    // 19:30
    Row("Fay", Types("/prompt What was it like to watch? One sentence. Passing is fine. --after-own"), &[
        (All, "-- Fay asks: What was it like to watch? One sentence. Passing is fine."),
        (All, "   `/answer #N WORDS` answers. You see the others' answers after your own."),
    ]),
    Row("Cleo", Types("/answer My stomach hurt."), &[
        (Only(&["Cleo", "Fay", "Gil"]), "Cleo: My stomach hurt.  [ID]"),
        (But(&["Cleo", "Fay", "Gil"]), "-- Cleo has answered; you see it after your own answer"),
    ]),
    Row("Dee", Types("/answer I was not here, and I felt it all the same."), &[
        (Only(&["Cleo", "Dee", "Fay", "Gil"]), "Dee: I was not here, and I felt it all the same.  [ID]"),
        (Only(&["Dee"]), "Cleo: My stomach hurt.  [ID]"),
        (But(&["Cleo", "Dee", "Fay", "Gil"]), "-- Dee has answered; you see it after your own answer"),
    ]),
    Row("Fay", Types("/close-ask"), &[
        (All, "-- Closed: “What was it like to watch? One sentence. Passing is fine.”"),
        (But(&["Cleo", "Dee", "Fay", "Gil"]), "Cleo: My stomach hurt.  [ID]"),
        (But(&["Cleo", "Dee", "Fay", "Gil"]), "Dee: I was not here, and I felt it all the same.  [ID]"),
    ]),
    Row("Fay", Types("/poll \"When shall we meet next?\" \"Thursday at seven\" \"Friday at six\""), &[
        (All, "-- Fay asks: When shall we meet next?"),
        (All, "   1  Thursday at seven"),
        (All, "   2  Friday at six"),
        (All, "   `/vote #N 1` votes; everybody sees who votes for what."),
    ]),
    Row("Hana", Types("/vote 1"), &[(All, "-- Hana votes: Thursday at seven")]),
    Row("Omar", Types("/vote friday at six"), &[(All, "-- Omar votes: Friday at six")]),
    Row("Omar", Types("/vote 1"), &[(All, "-- Omar votes: Thursday at seven")]),
    Row("Gil", Types("/close-ask"), &[(All, "-- Closed: “When shall we meet next?” Thursday at seven: 2, Friday at six: 0.")]),
    // 19:44
    Row("Hana", Types("/cw alcohol I have started again and didn't dare to say it."), &[
        (All, "Hana [alcohol]: I have started again and didn't dare to say it.  [ID]"),
    ]),
    Row("Omar", Types("/reply I'm glad you said it. Nine days ago that was me."), &[
        (All, "Omar (to Hana [alcohol]): I'm glad you said it. Nine days ago that was me.  [ID]"),
    ]),
    Row("Ben", Types("I counted my pills."), &[(All, "Ben: I counted my pills.  [ID]")]),
    Row("Gil", Types("/cover last pills"), &[(All, "-- Gil has put a content note on what Ben wrote [ID]: pills")]),
    Row("Eli", Types("/hand"), &[(But(&["Eli"]), "-- Eli asks for a turn."), (Only(&["Eli"]), "-- Your hand is up.")]),
    Row("Cleo", Types("/hand"), &[(But(&["Cleo"]), "-- Cleo asks for a turn."), (Only(&["Cleo"]), "-- Your hand is up.")]),
    Row("Cleo", Types("/lower"), &[
        (But(&["Cleo"]), "-- Cleo does not ask for a turn any more."),
        (Only(&["Cleo"]), "-- Your hand is down."),
    ]),
    Row("Gil", Types("/call Eli"), &[
        (All, "-- Gil begins a round. Eli has the floor"),
        (Only(&["Eli"]), YOURS),
    ]),
    Row("Eli", Types("I want to stay a little."), &[(All, "Eli: I want to stay a little.  [ID]")]),
    Row("Eli", Types("/done"), &[(All, "-- The round is over.")]),
    // 20:16
    Row("Fay", Types("/round start What do you take with you? --order roster"), &[
        (All, "-- Fay begins a round: What do you take with you? Ben has the floor, then Cleo, Dee, Eli, Hana, Omar, Ida"),
        (Only(&["Ben"]), YOURS),
    ]),
    Row("Ben", Types("That I was heard."), &[(All, "Ben: That I was heard.  [ID]")]),
    Row("Ben", Types("/done"), &[(But(&["Cleo"]), "-- Next: Cleo."), (Only(&["Cleo"]), YOURS)]),
    Row("Fay", Types("/extend 1h"), &[(All, "-- The round ends at …")]),
    Row("Gil", Types("/skip Cleo"), &[(But(&["Dee"]), "-- Next: Dee."), (Only(&["Dee"]), YOURS)]),
    Row("Dee", Types("/pass"), &[(Told, PASSED), (But(&["Eli"]), "-- Next: Eli."), (Only(&["Eli"]), YOURS)]),
    Row("Fay", Types("/next Eli"), &[(But(&["Hana"]), "-- Next: Hana."), (Only(&["Hana"]), YOURS)]),
    Row("Fay", Types("/round end"), &[
        (But(&["Fay"]), "-- Fay has ended the round."),
        (Only(&["Fay"]), "-- The round is over."),
    ]),
    Row("Fay", Types("/announce Thursday at seven"), &[(All, "** Fay: Thursday at seven **")]),
    Row("Cleo", Types("Good night"), &[(All, "Cleo: Good night  [ID]")]),
    Row("Cleo", Types("/retract last"), &[(All, "-- Cleo took back the message …")]),
    Row("Fay", Types("/duty off"), &[(All, "-- Fay is no longer here for the room")]),
];

/// Lines that look another way in the history than when they came, because of what came after them.
const LATER: [(&str, &str); 6] = [
    ("-- Fay has paused the room until …", "-- Fay paused the room until …"),
    (
        "Omar: Ben, that came out wrong. I miss mine. I'm sorry.  [ID]",
        "Omar: Ben, that came out wrong. I miss mine. I'm sorry.  [ID]  (heard: Ben)",
    ),
    (
        "Eli: I was afraid of a fight, and so I started on…",
        "Eli: I was afraid of a fight, and so I started one. Sorry, Omar.  [ID]  (changed)",
    ),
    ("Cleo: Good night  [ID]", "-- Cleo took this back"),
    (YOURS, "-- Next: you."),
    ("Ben: I counted my pills.  [ID]", "Ben [content note by Gil: pills]: `/show …"),
];

fn later(line: &'static str) -> &'static str {
    LATER.iter().find(|(now, _)| *now == line).map_or(line, |(_, later)| later)
}

/// Returns the history of somebody, by the table.
fn expected(name: &str) -> Vec<String> {
    let joined = EVENING.iter().position(|row| row.0 == name && matches!(row.1, Joins));
    let mut lines = Vec::new();
    for Row(who, _, seen) in EVENING.iter().skip(joined.unwrap_or(0)) {
        // The line of the round says who begins.
        let begins = seen.iter().any(|(_, line)| line.contains(" begins a round"));
        let theirs = seen.iter().filter(|(to, line)| {
            !matches!(to, Told) && to.reaches(name, who) && !(begins && *line == YOURS)
        });
        lines.extend(theirs.map(|(_, line)| later(line).to_owned()));
    }
    lines
}

#[test]
fn evening_is_read_alike() {
    let relay = Relay::start();
    let mut cast = Cast::of(Circle::open(&relay), &NAMES);
    cast.circle.fay("role", &["Gil", "cofacilitator"]);
    cast.knocks("Ida");
    let mut present = vec!["Fay"];
    present.extend(NAMES);
    present.iter().for_each(|name| cast.comes(name));
    for Row(who, does, seen) in EVENING {
        match does {
            Types(line) => cast.types(who, line),
            Goes => drop(cast.goes(who)),
            Comes => cast.comes(who),
            Joins => {
                cast.types("Fay", &format!("/admit {who}"));
                cast.hears("Fay", seen[0].1);
                cast.comes(who);
                present.push(who);
                let [theirs, fays] = [*who, "Fay"].map(|name| cast.hands(name));
                assert_eq!(theirs, fays);
                assert_eq!(theirs["round"]["holder"], "Eli");
            }
        }
        for (to, line) in *seen {
            for name in present.iter().filter(|name| to.reaches(name, who)) {
                if cast.is_here(name) && !matches!((does, *name), (Joins, "Fay")) {
                    cast.hears(name, line);
                }
            }
        }
    }
    present.iter().for_each(|name| drop(cast.goes(name)));
    for name in &present {
        let found = cast.transcript(name);
        // The newcomer is told who is here before anything that they hear with the others.
        let first = if *name == "Ida" { "Eli: Work" } else { "is here for the room" };
        let begin = found.iter().position(|line| line.contains(first));
        assert_lines(name, &expected(name), &found[begin.unwrap()..]);
    }
    agree(&present.iter().map(|name| cast.objects(name)).collect::<Vec<_>>());
}

/// Checks that a history has the lines of the table, in order, and no other.
fn assert_lines(name: &str, expected: &[String], found: &[String]) {
    for (at, wanted) in expected.iter().enumerate() {
        let line = found.get(at).map_or("", String::as_str);
        let around = &found[at.saturating_sub(3).min(found.len())..found.len().min(at + 3)];
        assert!(fits(wanted, line), "{name}: {line}\nnot {wanted}\nin {around:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{name}: {found:#?}");
}

/// Checks that all have the same objects at the same places, but for what is said to one alone.
fn agree(all: &[Vec<Value>]) {
    let mut known: BTreeMap<(u64, String), Value> = BTreeMap::new();
    // A newcomer has no entry of their own admission, and so another time of it.
    for row in all.iter().flatten().filter(|row| row["kind"] != "roster") {
        let mut row = row.as_object().unwrap().clone();
        let seq = row["seq"].as_u64().unwrap();
        let is_floor = row["kind"] == "floor";
        let kind = if is_floor { &row["floor"] } else { &row["kind"] };
        let kind = kind.as_str().unwrap().to_owned();
        row.remove("mine");
        // Bounded by the reader's own clock.
        row.remove("at");
        if is_floor {
            // Mine is said in other words than another's.
            row.remove("text");
        }
        let row = Value::Object(row);
        let first = known.entry((seq, kind)).or_insert_with(|| row.clone());
        assert_eq!(*first, row);
    }
    assert!(known.len() > 60, "{}", known.len());
}
