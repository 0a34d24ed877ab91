//! Application messages of a foreign member: what they say is theirs, nobody else's words come twice, and no key of
//! anybody's is used up by leaping ahead.

use std::time::Duration;

use hearth_engine::state::{Notice, RowContent};
use rustix::time::{ClockId, clock_gettime};

use super::{
    commits::leaf_of,
    stage::{BEN, CLEO, FAY, Stage, rows},
};

/// How far ahead of the last one a message of a sender may be; see `client/engine/src/mls.rs`.
const FORWARD_DISTANCE: u32 = 2_000;

/// How long this thread has been computing; others on the machine do not count.
fn computing() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

#[test]
fn anothers_words_encrypted_again_are_shown_once() {
    let mut stage = Stage::new();
    let original = stage.say(BEN, "once");
    let copy = stage.fox.copy(&original);
    stage.show_all();
    assert!(stage.relay_takes(&copy), "no relay can tell");
    stage.append(copy);
    stage.show();
    let ben = stage.people[BEN].me();
    for who in [FAY, CLEO] {
        // It decrypts, and Ben's signature on it is true: only the id tells.
        let row = stage.last(who);
        assert_eq!((row.from, row.notices), (Some(ben), vec![Notice::Duplicate]));
        assert_eq!(row.content, RowContent::Nothing);
        assert_eq!(stage.texts(who), [("Ben".to_owned(), "once".to_owned())]);
    }
    // Ben is told that somebody uses his keys; his client renews them before it sends again.
    assert_eq!(stage.last(BEN).notices, [Notice::NotMine]);
    stage.fox_skips();
    stage.renew(BEN);
    stage.goes_on();
}

/// Nothing of a message is known before the key that it asks for, so nobody is named; nor is anything looked for.
#[test]
fn a_generation_out_of_reach_is_unreadable_at_once_and_uses_nothing_up() {
    let mut stage = Stage::new();
    let me = stage.fox.group().current_member_index();
    let just_beyond = stage.fox.say_at("beyond", me, FORWARD_DISTANCE + 1);
    let mut leaps = vec![just_beyond];
    for generation in [FORWARD_DISTANCE + 1, 1 << 16, 1 << 31, u32::MAX - 1, u32::MAX] {
        leaps.push(stage.fox.say_claiming("beyond", generation));
    }
    let before = computing();
    for leap in leaps {
        assert!(stage.relay_takes(&leap), "no relay can tell");
        stage.append(leap);
        stage.show();
        for who in [FAY, CLEO, BEN] {
            let row = stage.last(who);
            assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Unreadable]));
            assert_eq!(row.from, None);
        }
    }
    let spent = computing() - before;
    eprintln!("{spent:.1?} of work for six leaps, read by three");
    assert!(spent < Duration::from_secs(1), "{spent:?}");
    stage.fox_skips();
    // Fox speaks by the rules again and is read: what could not be opened took no key with it.
    let said = stage.fox.say("here I am");
    stage.submit(said);
    stage.show();
    for who in [FAY, CLEO, BEN] {
        assert_eq!(stage.texts(who), [("Fox".to_owned(), "here I am".to_owned())]);
    }
    stage.goes_on();
}

/// Who leaps within reach loses their own keys between, and nobody else's.
#[test]
fn a_leap_within_reach_is_read_once_and_costs_its_sender_alone() {
    let mut stage = Stage::new();
    let me = stage.fox.group().current_member_index();
    let (far, near) = (FORWARD_DISTANCE, FORWARD_DISTANCE - 10);
    let leap = stage.fox.say_at("leapt", me, far);
    let before_it = stage.fox.say_at("a little before", me, near);
    let left_behind = stage.fox.say("left behind");
    let before = computing();
    stage.submit(leap.clone());
    stage.show();
    let spent = computing() - before;
    eprintln!("{spent:.1?} of work for a leap of {far}, read by three");
    assert!(spent < Duration::from_secs(1), "{spent:?}");
    for who in [FAY, CLEO, BEN] {
        assert_eq!(stage.texts(who), [("Fox".to_owned(), "leapt".to_owned())]);
    }
    // What comes late is read if its key is still kept; the same again, and what is too far behind, is not.
    stage.submit(before_it);
    stage.show();
    for again in [leap, left_behind] {
        stage.submit(again);
        stage.show();
        for who in [FAY, CLEO, BEN] {
            assert_eq!(stage.last(who).notices, [Notice::Unreadable]);
        }
    }
    let fox = stage.fox.member();
    for who in [FAY, CLEO, BEN] {
        let said: Vec<String> = stage.texts(who).into_iter().map(|(_, words)| words).collect();
        assert_eq!(said, ["leapt", "a little before"]);
        let late = rows(&stage.people[who]).into_iter().rev().find(|row| row.from == Some(fox));
        assert_eq!(late.unwrap().notices, []);
    }
    // The others are read all the time, and Fox again once his keys are new.
    stage.fox_skips();
    stage.say(BEN, "who was that?");
    stage.show_all();
    let renewal = stage.fox.renews();
    stage.submit(renewal);
    let said = stage.fox.say("my keys are new");
    stage.submit(said);
    stage.show();
    stage.fox_skips();
    for who in [FAY, CLEO, BEN] {
        assert_eq!(stage.texts(who).last().unwrap().1, "my keys are new");
    }
    stage.goes_on();
}

/// Every member has the keys of all senders. What is not signed by the sender takes none of them away.
#[test]
fn nobody_uses_up_the_keys_of_another_by_leaping_in_their_name() {
    let mut stage = Stage::new();
    let ben = leaf_of(&mut stage, BEN);
    // Ben has written, and it is on its way.
    stage.people[BEN].queue_text("on its way".into(), super::stage::NOW).unwrap();
    let words = stage.people[BEN].next_submission().unwrap().unwrap().payload;
    for generation in [1, 100, FORWARD_DISTANCE] {
        let forged = stage.fox.say_at("I am Ben", ben, generation);
        stage.submit(forged);
    }
    stage.show();
    for who in [FAY, CLEO] {
        let row = stage.last(who);
        assert_eq!((row.from, row.notices), (None, vec![Notice::Unreadable]));
    }
    stage.fox_skips();
    stage.submit(words);
    stage.show();
    for who in [FAY, CLEO] {
        assert_eq!(stage.texts(who), [("Ben".to_owned(), "on its way".to_owned())]);
        assert_eq!(stage.last(who).notices, []);
    }
    assert_eq!(stage.texts(BEN).last().unwrap().1, "on its way");
    stage.show_all();
    // Ben is told that somebody used his key; his client renews it before it sends again.
    stage.renew(BEN);
    stage.goes_on();
}

/// What the sender did sign takes their keys away, wherever another puts it in their ratchet. Nothing is shown twice, and
/// what was lost by it is told.
#[test]
fn anothers_words_copied_far_ahead_hide_what_was_on_its_way_and_it_is_told() {
    let mut stage = Stage::new();
    let original = stage.say(BEN, "once");
    let copy = stage.fox.copy_ahead(&original, 1_000);
    stage.people[BEN].queue_text("on its way".into(), super::stage::NOW).unwrap();
    let words = stage.people[BEN].next_submission().unwrap().unwrap().payload;
    let ben = stage.people[BEN].me();
    stage.submit(copy);
    stage.show();
    assert_eq!(stage.last(BEN).notices, [Notice::NotMine]);
    for who in [FAY, CLEO] {
        let row = stage.last(who);
        assert_eq!((row.from, row.notices), (Some(ben), vec![Notice::Duplicate]));
    }
    stage.submit(words);
    stage.show();
    for who in [FAY, CLEO] {
        assert_eq!(stage.last(who).notices, [Notice::Unreadable]);
        assert_eq!(stage.texts(who), [("Ben".to_owned(), "once".to_owned())]);
    }
    stage.fox_skips();
    stage.renew(BEN);
    stage.say(BEN, "again");
    for who in [FAY, CLEO] {
        assert_eq!(stage.last(who).notices, [Notice::Gap(1)]);
    }
    stage.show_all();
    stage.goes_on();
}
