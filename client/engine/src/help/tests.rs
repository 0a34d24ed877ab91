use super::*;

const FAY: MemberKey = MemberKey([1; 32]);
const GIL: MemberKey = MemberKey([2; 32]);
const EVE: MemberKey = MemberKey([9; 32]);
const ON: Patience = Patience { minutes: 5, on_duty: true };
const OFF: Patience = Patience { minutes: 5, on_duty: false };

const fn call(number: u8) -> MessageId {
    MessageId([number; 16])
}

fn person(key: MemberKey) -> Person {
    let name = match key {
        FAY => "Fay",
        GIL => "Gil",
        _ => "Eve",
    };
    Person { key, name: name.to_owned(), moderates: key != EVE }
}

fn said(number: u8, key: MemberKey, state: SeenState) -> Heard {
    let (at, words) = (Millis(7), "words".to_owned());
    Heard::Said { call: call(number), who: person(key), at, state, words }
}

fn called(number: u8) -> Heard {
    Heard::Called { call: call(number), at: Millis(5), age: Duration::ZERO, in_lane: false }
}

fn in_lane(number: u8) -> Heard {
    Heard::Called { call: call(number), at: Millis(5), age: Duration::ZERO, in_lane: true }
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn stage(calls: &Calls, number: u8) -> Stage {
    calls.line(&call(number), ON, Duration::ZERO).unwrap().stage
}

#[test]
fn call_goes_through_its_stages() {
    let mut calls = Calls::default();
    let start = Duration::ZERO;
    calls.hear(called(1), start);
    assert_eq!(stage(&calls, 1), Stage::Kept);
    calls.hear(Heard::Delivered(call(1)), start);
    assert_eq!(stage(&calls, 1), Stage::Sent);
    calls.hear(said(1, FAY, SeenState::Seen), start);
    assert_eq!(stage(&calls, 1), Stage::Seen { by: "Fay".into(), at: Millis(7) });
    // That another has read it, too, does not change who has it.
    calls.hear(said(1, GIL, SeenState::Seen), start);
    assert_eq!(stage(&calls, 1), Stage::Seen { by: "Fay".into(), at: Millis(7) });
    calls.hear(Heard::Spoke(person(FAY)), start);
    assert_eq!(stage(&calls, 1), Stage::WithYou { by: "Fay".into() });
    calls.hear(said(1, GIL, SeenState::Closed), start);
    assert_eq!(stage(&calls, 1), Stage::HandedOver { by: "Gil".into() });
    calls.hear(Heard::Spoke(person(GIL)), start);
    assert_eq!(stage(&calls, 1), Stage::WithYou { by: "Gil".into() });
    calls.hear(said(1, GIL, SeenState::Resolved), start);
    let closed = Stage::Closed { by: "Gil".into(), words: "words".into() };
    assert_eq!(stage(&calls, 1), closed);
    calls.hear(said(1, FAY, SeenState::Seen), start);
    calls.hear(Heard::Spoke(person(FAY)), start);
    assert_eq!(stage(&calls, 1), closed);
    assert_eq!(calls.open(ON, start), None);
}

/// Neither a peer, nor a moderator about another call, nor words make a call seen.
#[test]
fn only_a_moderator_makes_it_seen() {
    let mut calls = Calls::default();
    calls.hear(called(1), Duration::ZERO);
    calls.hear(called(2), Duration::ZERO);
    for state in [SeenState::Seen, SeenState::Resolved, SeenState::Closed] {
        calls.hear(said(1, EVE, state), Duration::ZERO);
        calls.hear(said(3, FAY, state), Duration::ZERO);
    }
    calls.hear(Heard::Spoke(person(EVE)), Duration::ZERO);
    calls.hear(Heard::Spoke(person(FAY)), Duration::ZERO);
    assert_eq!(stage(&calls, 1), Stage::Kept);
    calls.hear(said(2, FAY, SeenState::Seen), Duration::ZERO);
    assert_eq!(stage(&calls, 1), Stage::Kept);
    // Fay wrote before she pressed the key.
    assert_eq!(stage(&calls, 2), Stage::WithYou { by: "Fay".into() });
}

#[test]
fn words_behind_the_call_suffice() {
    let mut calls = Calls::default();
    calls.hear(called(1), Duration::ZERO);
    // These crossed the call.
    calls.hear(Heard::Spoke(person(FAY)), Duration::ZERO);
    calls.hear(in_lane(1), Duration::ZERO);
    assert_eq!(stage(&calls, 1), Stage::Kept);
    calls.hear(Heard::Spoke(person(EVE)), Duration::ZERO);
    assert_eq!(calls.unseen(), [call(1)]);
    calls.hear(Heard::Spoke(person(FAY)), Duration::ZERO);
    assert_eq!(stage(&calls, 1), Stage::WithYou { by: "Fay".into() });
    assert!(calls.unseen().is_empty());
}

#[test]
fn unseen_call_says_so_in_time() {
    let mut calls = Calls::default();
    calls.hear(called(1), minutes(1));
    let unseen = |calls: &Calls, patience, at| calls.line(&call(1), patience, at).unwrap().unseen;
    assert!(!unseen(&calls, ON, minutes(6) - Duration::from_millis(1)));
    assert!(unseen(&calls, ON, minutes(6)));
    assert_eq!(calls.changes_at(ON, minutes(2)), Some(minutes(6)));
    assert_eq!(calls.changes_at(ON, minutes(6)), None);
    // Nobody is expected: it says so at once.
    assert!(unseen(&calls, OFF, minutes(1)));
    // A late word corrects the line.
    calls.hear(said(1, FAY, SeenState::Seen), minutes(20));
    let line = calls.line(&call(1), ON, minutes(20)).unwrap();
    assert!(!line.unseen && !line.silent);
    assert_eq!(calls.changes_at(ON, minutes(20)), Some(minutes(25)));
    assert!(calls.line(&call(1), ON, minutes(25)).unwrap().silent);
    calls.hear(Heard::Spoke(person(FAY)), minutes(26));
    assert!(!calls.line(&call(1), ON, minutes(40)).unwrap().silent);
}

/// A restarted program knows the call's age by the own clock, which may be wrong: it may only be called older.
#[test]
fn restart_forgets_no_minute() {
    let mut calls = Calls::default();
    let (at, age) = (Millis(5), minutes(4));
    calls.hear(Heard::Called { call: call(1), at, age, in_lane: false }, minutes(0));
    assert_eq!(calls.changes_at(ON, minutes(0)), Some(minutes(1)));
    assert!(calls.line(&call(1), ON, minutes(1)).unwrap().unseen);
    assert_eq!(calls.wait(minutes(0)), None);
    calls.hear(called(2), minutes(1));
    assert_eq!(calls.wait(minutes(1)), Some(CALL_EVERY));
    assert_eq!(calls.wait(minutes(2)), None);
}

#[test]
fn closed_call_takes_no_new_one() {
    let mut calls = Calls::default();
    calls.hear(called(1), minutes(0));
    calls.hear(said(1, FAY, SeenState::Seen), minutes(0));
    assert_eq!(calls.wait(minutes(0)), Some(CALL_EVERY));
    calls.hear(said(1, FAY, SeenState::Resolved), minutes(0));
    assert_eq!(calls.wait(minutes(0)), None);
}

#[test]
fn calls_of_a_member_are_bounded() {
    let mut calls = Calls::default();
    let id = |n: usize| MessageId([u8::try_from(n).unwrap(); 16]);
    let (at, age, in_lane) = (Millis(5), Duration::ZERO, false);
    let called = |n: usize| Heard::Called { call: id(n), at, age, in_lane };
    (0..CALLS_MAX).for_each(|n| calls.hear(called(n), Duration::ZERO));
    calls.hear(said(5, FAY, SeenState::Resolved), Duration::ZERO);
    calls.hear(called(CALLS_MAX), Duration::ZERO);
    assert!(calls.line(&id(5), ON, Duration::ZERO).is_none());
    assert!(calls.line(&id(0), ON, Duration::ZERO).is_some());
    calls.hear(called(CALLS_MAX + 1), Duration::ZERO);
    assert!(calls.line(&id(0), ON, Duration::ZERO).is_none());
    assert_eq!(calls.0.len(), CALLS_MAX);
}

/// SplitMix64, so that a failing seed fails on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn small(&mut self, bound: u64) -> u8 {
        u8::try_from(self.below(bound)).unwrap()
    }
}

/// The state of a call by its whole history, looked through from the start for each question.
fn naive(history: &[(Duration, Heard)], number: u8, now: Duration) -> Option<(Stage, bool, bool)> {
    let id = call(number);
    let begins = history
        .iter()
        .position(|(_, heard)| matches!(heard, Heard::Called { call, .. } if *call == id))?;
    let after = &history[begins..];
    let words_of = |heard: &Heard| match heard {
        Heard::Said { call, who, at, state, words } if *call == id && who.moderates => {
            Some((who.name.clone(), *at, *state, words.clone()))
        }
        _ => None,
    };
    let of = |wanted| {
        after.iter().enumerate().filter_map(move |(index, (since, heard))| {
            let (name, at, state, words) = words_of(heard)?;
            (state == wanted).then_some((index, *since, name, at, words))
        })
    };
    let delivered =
        after.iter().any(|(_, heard)| matches!(heard, Heard::Delivered(call) if *call == id));
    let unsaid = if delivered { Stage::Sent } else { Stage::Kept };
    let closed = of(SeenState::Resolved).next();
    if let Some((_, _, by, _, words)) = closed {
        return Some((Stage::Closed { by, words }, false, false));
    }
    let entry = after.iter().position(
        |(_, heard)| matches!(heard, Heard::Called { call, in_lane: true, .. } if *call == id),
    );
    let first_said = after.iter().position(|(_, heard)| words_of(heard).is_some());
    // Words that stand before the entry crossed it, unless somebody had said something of the call.
    let counts = |index: usize| {
        entry.is_none_or(|entry| index > entry || first_said.is_some_and(|said| said < entry))
    };
    let spoke = after.iter().enumerate().filter_map(|(index, (_, heard))| match heard {
        Heard::Spoke(who) if who.moderates && counts(index) => Some((index, who.name.clone())),
        _ => None,
    });
    let spoke: Vec<(usize, String)> = spoke.collect();
    // Words behind the entry say enough by themselves.
    let wrote = spoke.iter().find(|(index, _)| entry.is_some_and(|entry| *index > entry));
    let Some((first, since, by, at, state)) =
        after.iter().enumerate().find_map(|(index, (since, heard))| {
            words_of(heard).map(|(name, at, state, _)| (index, *since, name, at, state))
        })
    else {
        if wrote.is_some() {
            let (_, by) = spoke.last()?;
            return Some((Stage::WithYou { by: by.clone() }, false, false));
        }
        return Some((unsaid, now.saturating_sub(history[begins].0) >= ON.limit(), false));
    };
    // A handover by the one who has it by a handover already says nothing new.
    let mut handed: Option<(usize, Duration, String)> = None;
    for (index, since, name, ..) in of(SeenState::Closed) {
        let again = handed.as_ref().is_some_and(|(before, _, by)| {
            *by == name && !spoke.iter().any(|(at, _)| at > before && *at < index)
        });
        if !again {
            handed = Some((index, since, name));
        }
    }
    let spoke_last = spoke.last();
    let silent = |since: Duration| now.saturating_sub(since) >= SILENT;
    Some(match (handed, spoke_last) {
        (Some((at, since, by)), last) if last.is_none_or(|(index, _)| *index < at) => {
            (Stage::HandedOver { by }, false, silent(since))
        }
        (_, Some((index, by))) if *index > first || state == SeenState::Seen => {
            (Stage::WithYou { by: by.clone() }, false, false)
        }
        _ => (Stage::Seen { by, at }, false, silent(since)),
    })
}

#[test]
fn calls_agree_with_a_naive_model() {
    for seed in 0..3000 {
        let mut dice = Dice(seed);
        let mut calls = Calls::default();
        let mut history: Vec<(Duration, Heard)> = Vec::new();
        let mut now = Duration::ZERO;
        for _ in 0..dice.below(24) {
            now += Duration::from_secs(dice.below(200));
            let who = [FAY, GIL, EVE][usize::from(dice.small(3))];
            let number = dice.small(3);
            let state = [SeenState::Seen, SeenState::Resolved, SeenState::Closed];
            let heard = match dice.below(9) {
                0..=1 => called(number),
                2 => in_lane(number),
                3 => Heard::Delivered(call(number)),
                4..=6 => said(number, who, state[usize::from(dice.small(3))]),
                _ => Heard::Spoke(person(who)),
            };
            // The same entry comes again after a reconnect.
            let twice = dice.below(8) == 0 && !matches!(heard, Heard::Spoke(_));
            calls.hear(heard.clone(), now);
            if twice {
                calls.hear(heard.clone(), now);
            }
            history.push((now, heard));
            for number in 0..3 {
                let line = calls.line(&call(number), ON, now);
                let line = line.map(|line| (line.stage, line.unseen, line.silent));
                assert_eq!(line, naive(&history, number, now), "seed {seed}: {history:#?}");
            }
        }
    }
}

#[test]
fn flags_of_a_member_ring_once() {
    let mut ringing = Ringing::default();
    assert_eq!(ringing.rings(&[EVE], minutes(0)), [EVE]);
    assert_eq!(ringing.next(minutes(0)), Some(minutes(1)));
    assert!(ringing.rings(&[EVE], Duration::from_secs(59)).is_empty());
    assert_eq!(ringing.rings(&[EVE, FAY], minutes(1)), [EVE, FAY]);
    for minute in 2..30 {
        assert_eq!(ringing.rings(&[EVE], minutes(minute)), [EVE], "{minute}");
    }
    // For half an hour, and no longer.
    assert!(ringing.rings(&[EVE], minutes(30)).is_empty());
    assert_eq!(ringing.next(minutes(30)), None);
    // Once somebody has seen it, the next call rings again.
    assert!(ringing.rings(&[], minutes(31)).is_empty());
    assert_eq!(ringing.rings(&[EVE], minutes(32)), [EVE]);
}

#[test]
fn off_duty_moderator_rings_later() {
    let at = Millis(1_000);
    let open =
        OpenCall { id: call(1), by: EVE, name: "Eve".into(), at, words: String::new(), has: None };
    let open = [open];
    let rung = |on_duty, others, now| Reach { on_duty, others, minutes: 5 }.rung_for(&open, now);
    for (on_duty, others) in [(true, false), (true, true), (false, false)] {
        assert_eq!(rung(on_duty, others, at), [EVE], "{on_duty} {others}");
    }
    // Somebody else is on duty: it rings there first.
    assert!(rung(false, true, at.plus(299_999)).is_empty());
    assert_eq!(rung(false, true, at.plus(300_000)), [EVE]);
}
