//! Moods and questions between one member and those who moderate, through the real programs: asked, answered, seen by both who moderate
//! and by nobody else, also by one who was offline.

use std::{fs, os::unix::fs::PermissionsExt as _};

use hearth_kit::{Circle, Person, Relay, Running, text_file, until};
use serde_json::{Value, json};

/// Fay and Gil moderate; Dee and Eli take part.
struct Group {
    _relay: Relay,
    circle: Circle,
    gil: Person,
    dee: Person,
    eli: Person,
}

impl Group {
    fn new() -> Self {
        let relay = Relay::start();
        let circle = Circle::open(&relay);
        let gil = circle.admit("Gil");
        circle.fay("role", &["Gil", "cofacilitator"]);
        let (dee, eli) = (circle.admit("Dee"), circle.admit("Eli"));
        let group = Self { _relay: relay, circle, gil, dee, eli };
        // Each connects until everybody sits.
        until("seats for Gil", || {
            for person in [&group.circle.fay, &group.gil, &group.dee, &group.eli] {
                group.by(person, "read", &[]);
            }
            let seated = |row: &Value| row["seated"] == true;
            let lanes = group.by(&group.gil, "checkin", &[]);
            (lanes.len() == 3 && lanes.iter().all(seated)).then_some(())
        });
        group
    }

    fn by(&self, person: &Person, command: &str, rest: &[&str]) -> Vec<Value> {
        self.circle.by(person, command, rest)
    }

    fn fay(&self, command: &str, rest: &[&str]) -> Vec<Value> {
        self.circle.fay(command, rest)
    }

    fn on_duty(&self) {
        self.fay("duty", &["on", "2h"]);
    }

    /// Runs a command as a person sees it.
    fn sees(&self, person: &Person, command: &str, rest: &[&str]) -> String {
        let ended = person.sees(&[&[command, self.circle.room.as_str()], rest].concat());
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout
    }

    fn refused(&self, person: &Person, command: &str, rest: &[&str]) -> Value {
        let answer = person.run(&[&[command, self.circle.room.as_str()], rest].concat());
        assert!(answer.code.is_some_and(|code| code > 0), "{answer:#?}");
        answer.lines.last().unwrap().clone()
    }

    /// Returns a member's course as somebody sees it.
    fn course(&self, person: &Person, name: &str) -> Value {
        let rows = self.by(person, "mood", &["view", name]);
        rows.into_iter().find(|row| row["course"] == name).unwrap()
    }

    fn scores(&self, person: &Person, name: &str) -> Vec<u64> {
        let course = self.course(person, name);
        let moods = course["moods"].as_array().unwrap();
        moods.iter().map(|mood| mood["score"].as_u64().unwrap()).collect()
    }

    /// Everything that a profile shows.
    fn all_of(&self, person: &Person) -> String {
        let mut all = self.sees(person, "read", &["--all"]);
        all.push_str(&self.sees(person, "checkin", &[]));
        all
    }

    fn chat(&self, person: &Person) -> Running {
        let mut chat = person.starts_plainly(&["chat", &self.circle.room]);
        chat.type_line("/status");
        chat.await_line("the room's state", |line| line.contains("; agreement version"));
        chat
    }
}

#[test]
fn mood_is_seen_by_moderators_alone() {
    let group = Group::new();
    let refused = group.refused(&group.circle.fay, "mood", &["ask"]);
    assert!(refused["message"].as_str().unwrap().contains("nobody is on duty"), "{refused}");
    group.on_duty();
    let asked = group.fay("mood", &["ask"]);
    assert_eq!(asked[0]["asked"], json!(["Dee", "Eli"]), "{asked:?}");

    // Dee was offline when it was asked.
    let waits = group.sees(&group.dee, "checkin", &[]);
    assert!(waits.contains("from 0, as bad as it gets, to 10"), "{waits}");
    assert!(waits.contains("Fay and Gil see it, by"), "{waits}");
    let low = group.sees(&group.dee, "mood", &["2", "evenings"]);
    assert!(low.contains("That sounds hard") && low.contains("help-now"), "{low}");
    let well = group.sees(&group.eli, "mood", &["7"]);
    assert!(!well.contains("hard"), "{well}");
    assert!(!group.sees(&group.dee, "checkin", &[]).contains("How are you right now"));

    for person in [&group.circle.fay, &group.gil] {
        assert_eq!(group.scores(person, "Dee"), [2]);
        let seen = group.sees(person, "mood", &["view"]);
        assert!(seen.contains("2, evenings"), "{seen}");
        for never in ["average", "mean", "falling", "streak"] {
            assert!(!seen.contains(never), "{seen}");
        }
    }
    // Members see their own.
    assert_eq!(group.scores(&group.dee, "Dee"), [2]);
    group.refused(&group.eli, "mood", &["view", "Dee"]);
    let eli = group.all_of(&group.eli);
    assert!(!eli.contains("evenings") && !eli.contains("Dee: 2"), "{eli}");
}

#[test]
fn mood_beyond_ten_is_refused() {
    let group = Group::new();
    for wrong in ["11", "-1", "well"] {
        let refused = group.refused(&group.dee, "mood", &["--", wrong]);
        assert!(refused["message"].as_str().unwrap().contains("is not a mood"), "{refused}");
    }
    assert_eq!(group.scores(&group.circle.fay, "Dee"), [] as [u64; 0]);
    group.by(&group.dee, "mood", &["4"]);
    assert_eq!(group.scores(&group.circle.fay, "Dee"), [4]);
}

#[test]
fn mood_taken_back_leaves_the_course() {
    let group = Group::new();
    group.by(&group.dee, "mood", &["4"]);
    let second = group.by(&group.dee, "mood", &["1", "the night"]);
    assert_eq!(group.scores(&group.gil, "Dee"), [4, 1]);
    let id = second[0]["id"].as_str().unwrap();
    // Another member has nothing of that id.
    group.refused(&group.eli, "retract", &[id]);
    group.by(&group.dee, "retract", &[id]);
    for person in [&group.circle.fay, &group.gil, &group.dee] {
        assert_eq!(group.scores(person, "Dee"), [4]);
        let shown = match person.home() == group.dee.home() {
            true => group.sees(person, "checkin", &[]),
            false => group.sees(person, "checkin", &["Dee"]),
        };
        assert!(!shown.contains("the night"), "{shown}");
    }
}

#[test]
fn repeated_asking_stops_without_reason() {
    let group = Group::new();
    group.on_duty();
    let refused = group.refused(&group.circle.fay, "mood", &["every", "2d"]);
    assert!(refused["try"].as_str().unwrap().contains("three in a week"), "{refused}");
    group.refused(&group.dee, "mood", &["every", "3d"]);
    group.fay("mood", &["every", "3d", "--to", "Dee"]);
    let asks = |text: &str| text.contains("How are you right now");
    assert!(asks(&group.sees(&group.dee, "checkin", &[])));
    group.by(&group.dee, "mood", &["stop"]);
    assert!(!asks(&group.sees(&group.dee, "checkin", &[])));
    assert!(!asks(&group.sees(&group.eli, "checkin", &[])));
    // Nobody is told.
    let fay = group.all_of(&group.circle.fay);
    assert!(!fay.contains("stop"), "{fay}");
    // At most three in a week.
    group.fay("mood", &["ask", "--to", "Dee"]);
    group.fay("mood", &["ask", "--to", "Dee"]);
    let fourth = group.fay("mood", &["ask", "--to", "Dee"]);
    assert_eq!(fourth[0]["asked"], json!([]), "{fourth:?}");
    assert!(fourth[0]["not"][0]["why"].as_str().unwrap().contains("3 times"), "{fourth:?}");
}

/// A mark is put before both who moderate, in words; Dee reads kind ones at once.
#[test]
fn marked_answers_reach_moderators() {
    let group = Group::new();
    let refused = group.refused(&group.circle.fay, "ask", &["week-check"]);
    assert!(refused["message"].as_str().unwrap().contains("nobody is on duty"), "{refused}");
    group.on_duty();
    group.fay("ask", &["week-check", "--within", "2d"]);
    let questions = group.sees(&group.dee, "answers", &[]);
    for words in ["6 questions, about 2 minutes", "thoughts of death", "Not a validated", "6 of 6"]
    {
        assert!(questions.contains(words), "{words}: {questions}");
    }
    for wrong in
        [&["0", "1"][..], &["0", "0", "0", "0", "0", "7"], &["0", "0", "0", "0", "0", "0", "0"]]
    {
        let refused = group.refused(&group.dee, "answers", wrong);
        assert!(refused["try"].as_str().unwrap().contains("Nothing was sent"), "{refused}");
    }
    let sent = group.sees(&group.dee, "answers", &["0", "-", "2", "1", "0", "1"]);
    assert!(sent.contains("You need not be alone with them"), "{sent}");
    assert!(sent.contains("not a diagnosis"), "{sent}");
    let none = group.refused(&group.dee, "answers", &["0"]);
    assert!(none["message"].as_str().unwrap().contains("no questions are asked"), "{none}");

    for person in [&group.circle.fay, &group.gil] {
        let seen = group.sees(person, "checkin", &["Dee"]);
        assert!(seen.contains("** please speak with Dee today **"), "{seen}");
        assert!(
            seen.contains("2 of 6: I did one thing that I had wanted to do: skipped"),
            "{seen}"
        );
        let course = group.course(person, "Dee");
        assert_eq!(course["answers"][0]["answers"], json!([0, null, 2, 1, 0, 1]));
        assert_eq!(course["answers"][0]["total"], Value::Null);
    }
    let eli = group.all_of(&group.eli);
    assert!(!eli.contains("please speak") && !eli.contains("quite a bit"), "{eli}");
}

/// A file of the facilitator's own reaches members whose program does not have it.
#[test]
fn own_questionnaire_travels_with_the_asking() {
    let group = Group::new();
    let file = text_file(
        "id = \"own\"\nnotice = \"Ours.\"\nask = \"Lately?\"\nchoices = [[\"never\", 0], [\"often\", 5]]\nitems = [\"a walk\", \"a talk\"]\nscore = { sum = \"all answered, else no total\" }\nbands = [[0, 4, \"few\"], [5, 10, \"many\"]]\n",
    );
    let path = file.path().to_str().unwrap();
    // Without a mark it needs nobody on duty.
    group.fay("ask", &[path, "--to", "Dee"]);
    assert!(group.sees(&group.dee, "answers", &[]).contains("2 of 2: a talk"));
    group.by(&group.dee, "answers", &["5", "0"]);
    group.fay("ask", &[path, "--to", "Dee"]);
    group.by(&group.dee, "answers", &["5", "-"]);
    for person in [&group.circle.fay, &group.gil] {
        let seen = group.sees(person, "mood", &["view", "Dee"]);
        assert!(seen.contains("own of Dee, total; not a diagnosis"), "{seen}");
        assert!(seen.contains(": 5, many") && seen.contains("skipped, no total, 1 item"), "{seen}");
    }
    let broken = text_file("notice = \"Ours.\"\nitems = 3\n");
    let refused = group.refused(&group.circle.fay, "ask", &[broken.path().to_str().unwrap()]);
    assert!(refused["message"].as_str().unwrap().contains("line "), "{refused}");
    group.refused(&group.dee, "ask", &["week-check"]);
}

#[test]
fn chat_asks_one_question_after_another() {
    let group = Group::new();
    group.on_duty();
    let mut dee = group.chat(&group.dee);
    group.fay("ask", &["week-check"]);
    dee.await_line("the asking", |line| line.contains("6 questions, about 2 minutes"));
    dee.type_line("/answers");
    dee.await_line("the first question", |line| line.starts_with("1 of 6"));
    dee.type_line("I had a bad night");
    dee.await_line("a refusal", |line| line.contains("is not an answer to question 1"));
    for answer in ["0", "-", "very much", "0", "0", "0"] {
        dee.type_line(answer);
    }
    dee.await_line("the answers", |line| {
        line.contains("3 of 6: Somebody was there for me: very much")
    });
    dee.type_line("change 1");
    dee.await_line("the first question", |line| line.starts_with("1 of 6"));
    dee.type_line("3");
    dee.await_line("the change", |line| {
        line.contains("1 of 6: I slept enough to get through the day: very much")
    });
    dee.type_line("send");
    dee.await_line("the end", |line| line.contains("It is not a diagnosis"));
    dee.type_line("/quit");
    let ended = dee.wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let course = group.course(&group.gil, "Dee");
    assert_eq!(course["answers"][0]["answers"], json!([3, null, 3, 0, 0, 0]));
    // What was no answer was said to nobody.
    for person in [&group.circle.fay, &group.eli] {
        assert!(!group.all_of(person).contains("a bad night"));
    }
}

/// Who answers a question at once, without its command, answers in front of nobody.
#[test]
fn bare_number_stays_out_of_room() {
    let group = Group::new();
    group.on_duty();
    group.fay("mood", &["ask"]);
    let mut dee = group.chat(&group.dee);
    dee.type_line("2, evenings");
    dee.await_line("the question", |line| line.contains("Did you mean /mood 2, evenings?"));
    dee.type_line("/mood 2 evenings");
    dee.await_line("the low words", |line| line.contains("That sounds hard"));
    // Nothing is asked, so that no answer is.
    dee.type_line("/answers");
    dee.type_line("1");
    dee.await_line("the question", |line| line.contains("that was not said there"));
    dee.type_line("/quit");
    assert_eq!(dee.wait().code, Some(0));
    let eli = group.all_of(&group.eli);
    assert!(!eli.contains("evenings") && !eli.contains("Dee: 1"), "{eli}");
    assert_eq!(group.scores(&group.gil, "Dee"), [2]);
}

/// What was answered before a stop is not lost, and not sent.
#[test]
fn stopped_answers_go_on_by_command() {
    let group = Group::new();
    group.on_duty();
    group.fay("ask", &["week-check"]);
    let mut dee = group.chat(&group.dee);
    dee.type_line("/answers");
    dee.await_line("the first question", |line| line.starts_with("1 of 6"));
    for answer in ["1", "-"] {
        dee.type_line(answer);
    }
    dee.await_line("the third question", |line| line.starts_with("3 of 6"));
    dee.type_line("stop");
    dee.await_line("how to go on", |line| line.contains("/answers 1 - goes on from here"));
    dee.type_line("/answers 1 -");
    dee.await_line("the third question", |line| line.starts_with("3 of 6"));
    dee.type_line("/quit");
    assert_eq!(dee.wait().code, Some(0));
    let course = group.course(&group.circle.fay, "Dee");
    assert_eq!(course["answers"], json!([]));
}

/// A step of an exercise that is for the lane is asked in the room, and what is answered goes to those who moderate alone.
#[test]
fn private_step_reaches_moderators_alone() {
    let group = Group::new();
    group.fay("exercise", &["thought-record"]);
    let asked = group.sees(&group.dee, "asks", &[]);
    assert!(asked.contains("What happened?") && asked.contains("facilitators alone"), "{asked}");
    let sent = group.sees(&group.dee, "answer", &["My brother called."]);
    assert!(sent.contains("sent to Fay and Gil"), "{sent}");
    for person in [&group.circle.fay, &group.gil] {
        let seen = group.sees(person, "checkin", &["Dee"]);
        assert!(seen.contains("Dee: My brother called."), "{seen}");
        assert!(seen.contains("| to: What happened?"), "{seen}");
    }
    for person in [&group.circle.fay, &group.gil, &group.eli] {
        assert!(!group.sees(person, "read", &["--all"]).contains("My brother called"));
    }
    assert!(!group.all_of(&group.eli).contains("My brother called"));
    // Eli answers, too, and the next step follows.
    group.by(&group.eli, "answer", &["A dog barked."]);
    group.fay("exercise", &["next"]);
    let closed = group.sees(&group.dee, "asks", &[]);
    assert!(closed.contains("What went through your mind?"), "{closed}");
}

#[test]
fn check_ins_are_listed_longest_first() {
    let group = Group::new();
    group.by(&group.eli, "checkin", &["Could we talk?"]);
    group.fay("checkin", &["Eli", "Yes, on Thursday."]);
    group.by(&group.dee, "checkin", &["I slept badly."]);
    let set = group.fay("checkin", &["every", "7d"]);
    assert_eq!(set[0]["days"], 7, "{set:?}");
    group.fay("checkin", &["every", "3d", "Eli"]);
    let due = group.fay("checkin", &["due"]);
    let names: Vec<&Value> = due.iter().map(|line| &line["checkin"]).collect();
    assert_eq!(names, ["Dee", "Eli"], "{due:?}");
    let shown = |n: usize| (&due[n]["days"], &due[n]["planned_days"], &due[n]["due"]);
    assert_eq!(shown(0), (&Value::Null, &json!(7), &json!(true)));
    assert_eq!(shown(1), (&json!(0), &json!(3), &json!(false)));
    // It is of Fay's device alone.
    let gil = group.by(&group.gil, "checkin", &["due"]);
    assert!(gil.iter().all(|line| line["planned_days"].is_null()), "{gil:?}");
    group.refused(&group.circle.fay, "checkin", &["every", "week"]);
}

#[test]
fn picture_of_a_course_is_private() {
    let group = Group::new();
    for score in ["3", "6", "5"] {
        group.by(&group.dee, "mood", &[score, "<so & so>"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dee.svg");
    let shown = path.to_str().unwrap();
    group.fay("mood", &["view", "Dee", "--picture", shown]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let picture = fs::read_to_string(&path).unwrap();
    assert_eq!(picture.matches("<circle").count(), 3);
    assert!(picture.contains("&lt;so &amp; so&gt;") && !picture.contains("<so"));
    let refused = group.refused(&group.circle.fay, "mood", &["view", "Dee", "--picture", shown]);
    assert_eq!(refused["error"], "not_written", "{refused}");
    assert_eq!(fs::read_to_string(&path).unwrap(), picture);
}
