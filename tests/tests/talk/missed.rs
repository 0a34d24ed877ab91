//! What a member missed, and is away from.

use hearth_kit::{Circle, Relay};
use serde_json::Value;

use super::{enter, sees};

#[test]
fn catchup_groups_rounds_and_questions() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let (ben, eli) = (circle.admit("Ben"), circle.admit("Eli"));
    circle.say(&circle.fay, "before");
    circle.news(&ben);
    circle.say(&eli, "first words");
    circle.fay("round", &["start", "How do you come in?", "--order", "roster"]);
    circle.by(&ben, "pass", &[]);
    circle.news(&eli);
    circle.by(&eli, "send", &["tired"]);
    circle.by(&eli, "done", &[]);
    circle.fay("prompt", &["What helped?"]);
    circle.news(&eli);
    circle.by(&eli, "answer", &["a walk"]);
    circle.fay("pause", &["10m", "We\nbreathe"]);
    circle.fay("resume", &[]);
    circle.fay("announce", &["Same time\nnext week"]);
    circle.say(&eli, "last words");
    // Ben's device hears of it with a command that prints nothing of it.
    circle.by(&ben, "who", &[]);
    relay.kill();
    let digest = sees(&circle, &ben, "catchup", &[]);
    let lines: Vec<&str> = digest.lines().collect();
    let at = |words: &str| {
        lines
            .iter()
            .position(|line| line.contains(words))
            .unwrap_or_else(|| panic!("{words}: {digest}"))
    };
    assert!(lines[0].starts_with("-- since ") && lines[0].ends_with(": 4 messages --"), "{digest}");
    let order = [
        "A round: How do you come in? (2 had a turn)",
        "Eli: tired",
        "Asked: What helped? (1 answered)",
        "Eli: a walk",
        "-- besides --",
        "Eli: first words",
        "We breathe",
        "Same time next week",
        "Eli: last words",
    ];
    let places: Vec<usize> = order.iter().map(|words| at(words)).collect();
    assert!(places.is_sorted(), "{digest}");
    for words in ["before", "Next:", "passed"] {
        assert!(!digest.contains(words), "{words}: {digest}");
    }
    assert_eq!(sees(&circle, &ben, "catchup", &[]).trim_end(), "You have read everything.");
    let again = sees(&circle, &ben, "catchup", &["2d"]);
    assert!(again.contains("before") && again.contains("(2 had a turn)"), "{again}");
    let nothing = ben.run(&["read", &circle.room]);
    assert!(!nothing.lines.iter().any(|row| row["kind"] == "text"), "{nothing:?}");
}

/// A time after the last line that was read leaves unread what lies between.
#[test]
fn short_catchup_leaves_the_rest_unread() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "unread words");
    let all = circle.by(&ben, "catchup", &["10w"]);
    assert!(all.iter().any(|row| row["text"] == "unread words"), "{all:?}");
    assert_eq!(all[0]["kind"], "catchup");
    assert_eq!(all[0]["messages"], 1);
    assert!(circle.news(&ben).is_empty());
    ben.run(&["catchup", &circle.room, "soon"]).failed(2, "usage");
}

#[test]
fn new_rows_stand_below_a_mark() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "old words");
    circle.news(&ben);
    circle.say(&circle.fay, "new words");
    circle.say(&circle.fay, "newer words");
    circle.by(&ben, "who", &[]);
    let rows = circle.by(&ben, "search", &["words"]);
    let is_new: Vec<bool> = rows.iter().map(|row| row["new"] == true).collect();
    assert_eq!(is_new, [false, true, true], "{rows:?}");
    let mut chat = enter(&circle, &ben);
    circle.say(&circle.fay, "newest words");
    chat.await_line("it", |line| line.contains("newest words"));
    chat.type_line("/quit");
    let seen = chat.wait_open().stdout;
    let marks = seen.lines().filter(|line| line.starts_with("-- new since ")).count();
    assert_eq!(marks, 1, "{seen}");
    let place = |words: &str| seen.find(words).unwrap_or_else(|| panic!("{words}: {seen}"));
    let order = ["old words", "-- new since ", "new words", "newer words", "newest words"];
    assert!(order.map(place).is_sorted(), "{seen}");
    circle.say(&circle.fay, "later words");
    let all = sees(&circle, &ben, "read", &["--all"]);
    let mark = all.find("-- new since ").unwrap();
    assert!(all.find("newest words") < Some(mark) && Some(mark) < all.find("later words"), "{all}");
    assert!(!sees(&circle, &ben, "read", &["--all"]).contains("-- new since"));
}

#[test]
fn follow_marks_what_is_new_once() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.say(&circle.fay, "missed");
    let mut follow = ben.starts_plainly(&["follow", &circle.room]);
    follow.await_line("the mark", |line| line.starts_with("-- new since "));
    follow.await_line("it", |line| line.contains("missed"));
    circle.say(&circle.fay, "live");
    follow.await_line("it", |line| line.contains("live"));
    let ended = follow.wait();
    assert_eq!(ended.stdout.matches("-- new since ").count(), 1, "{ended:?}");
}

#[test]
fn away_keeps_lines_for_later() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    chat.type_line("/away");
    chat.await_line("that nobody is told", |line| line.contains("You are away; nobody is told"));
    for n in 1..=4 {
        circle.say(&circle.fay, &format!("words {n}"));
    }
    chat.await_line("the first", |line| line.contains("1 line waits"));
    chat.await_line("the fourth", |line| line.contains("4 lines wait"));
    // What is of this device alone ends nothing.
    chat.type_line("/filter food");
    chat.await_line("it", |line| line.contains("content note"));
    chat.type_line("/back");
    chat.await_line("the digest", |line| line.contains(": 4 messages --"));
    chat.await_line("the words", |line| line.contains("words 4"));
    chat.type_line("/away 2h");
    chat.await_line("until when", |line| line.contains("You are away until "));
    circle.say(&circle.fay, "one more");
    chat.await_line("it waits", |line| line.contains("1 line waits"));
    // To say something is to be back; what was missed comes first.
    chat.type_line("Hello again");
    chat.await_line("the words", |line| line.contains("one more"));
    chat.await_line("the own words", |line| line.contains("Ben: Hello again"));
    circle.say(&circle.fay, "live again");
    chat.await_line("it", |line| line.contains("live again"));
    chat.type_line("/away soon");
    chat.await_line("the slip", |line| line.contains("a time to come is"));
    chat.type_line("/quit");
    let seen = chat.wait_open().stdout;
    assert_eq!(seen.matches("words 4").count(), 1, "{seen}");
    // Nobody learned of it.
    let rows: Vec<Value> = circle.history(&circle.fay);
    assert!(!rows.iter().any(|row| row.to_string().contains("away")), "{rows:?}");
}

#[test]
fn time_away_ends_by_itself() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    let mut chat = enter(&circle, &ben);
    chat.type_line("/away 3s");
    chat.await_line("it", |line| line.contains("You are away until "));
    circle.say(&circle.fay, "said meanwhile");
    chat.await_line("the end", |line| line.contains("-- you are back"));
    chat.await_line("the words", |line| line.contains("said meanwhile"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
    // On the command line, too; a chat that is opened ends it.
    let told = sees(&circle, &ben, "away", &[]);
    assert!(told.contains(&format!("`hearth back {}`", circle.room)), "{told}");
    circle.say(&circle.fay, "said later");
    let back = sees(&circle, &ben, "back", &[]);
    assert!(back.contains("said later"), "{back}");
    sees(&circle, &ben, "away", &["2h"]);
    let mut chat = enter(&circle, &ben);
    circle.say(&circle.fay, "said now");
    chat.await_line("the words", |line| line.contains("said now"));
    chat.type_line("/quit");
    assert_eq!(chat.wait_open().code, Some(0));
}
