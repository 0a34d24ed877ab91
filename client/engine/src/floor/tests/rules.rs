//! The rules of the floor, by name.

use super::*;

fn tells(floor: &mut Floor, log: &Log) -> Vec<Change> {
    let mut reader = Reader { floor: floor.clone(), told: Vec::new() };
    let last = reader.reads(log);
    *floor = reader.floor;
    last
}

#[test]
fn held_words_are_never_lost() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN, CLEO]);
    let (early, off, late) = (log.says(CLEO), log.says(DEE), log.says(CLEO));
    let gone = log.says(DEE);
    log.push(Some(DEE), What::Retract(gone));
    let mut reader = Reader::new();
    reader.reads(&log);
    assert!(!reader.floor.may_speak(&CLEO, Role::Member));
    assert!(reader.floor.may_speak(&GIL, Role::CoFacilitator));
    assert_eq!(reader.held_and_shown(), (vec![early, off, late, gone], vec![]));
    // Cleo's words show with her turn. Dee has no turn, so hers show at the end.
    log.moves(BEN, round, 0);
    let turn = Change::Turn { holder: CLEO, turn: 1 };
    assert_eq!(reader.reads(&log), [turn, Change::Released(vec![early, late])]);
    let after = log.says(BEN);
    reader.reads(&log);
    log.op(GIL, Op::End { round });
    let ended = Change::Ended { round, how: Ending::By(GIL) };
    assert_eq!(reader.reads(&log), [ended, Change::Released(vec![off, after])]);
    assert_eq!(reader.floor.held(), []);
    // An ended round holds nothing, whether its facilitator ended it, its time, or a hole.
    let second = log.start(FAY, &[BEN]);
    let held = log.says(CLEO);
    reader.reads(&log);
    log.wait(HOUR).says(CLEO);
    let ended = Change::Ended { round: second, how: Ending::Time };
    assert_eq!(reader.reads(&log), [ended, Change::Released(vec![held])]);
    log.start(FAY, &[BEN]);
    let held = log.says(CLEO);
    reader.reads(&log);
    log.says(DEE);
    assert_eq!(reader.misses(&log), [Change::Released(vec![held]), Change::Unknown]);
}

#[test]
fn words_beyond_the_bound_are_shown() {
    let mut log = Log::new();
    log.start(FAY, &[BEN]);
    for _ in 0..HELD_MAX {
        log.says(CLEO);
    }
    let mut reader = Reader::new();
    assert_eq!(reader.reads(&log), [Change::Held]);
    log.says(DEE);
    assert_eq!(reader.reads(&log), [Change::Crowded]);
    assert_eq!(reader.floor.held().len(), HELD_MAX);
}

#[test]
fn pass_and_skip_look_alike() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN, CLEO]);
    let mut before = Floor::founded();
    tells(&mut before, &log);
    for turn in 0..2 {
        let (mut own, mut skipped) = (before.clone(), before.clone());
        let (mut passes, mut skips) = (log.clone(), log.clone());
        passes.moves([BEN, CLEO][turn as usize], round, turn);
        skips.moves(GIL, round, turn);
        assert_eq!(tells(&mut own, &passes), tells(&mut skipped, &skips));
        assert_eq!(own, skipped);
        (before, log) = (own, passes);
    }
    assert_eq!(before.state(), &State::default());
}

#[test]
fn second_next_moves_nothing() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN, CLEO, DEE]);
    log.moves(FAY, round, 0);
    log.moves(GIL, round, 0);
    let mut reader = Reader::new();
    assert_eq!(reader.reads(&log), [ignored(Why::OldTurn)]);
    assert_eq!(reader.floor.holder(), Some(CLEO));
    log.moves(DEE, round, 1);
    assert_eq!(reader.reads(&log), [ignored(Why::NotHolder)]);
    log.start(GIL, &[DEE]);
    assert_eq!(reader.reads(&log), [ignored(Why::RoundOn)]);
    assert_eq!(reader.floor.next_candidates(&log.members), [DEE]);
}

#[test]
fn absent_holder_is_passed_over() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN, CLEO, DEE]);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.role(CLEO, Some(Role::Observer));
    assert_eq!(reader.reads(&log), []);
    assert_eq!(reader.floor.next_candidates(&log.members), [DEE]);
    log.role(BEN, None);
    assert_eq!(reader.reads(&log), [Change::Turn { holder: DEE, turn: 2 }]);
    log.role(DEE, None);
    assert_eq!(reader.reads(&log), [Change::Ended { round, how: Ending::Turns }]);
}

#[test]
fn expired_start_changes_nothing() {
    let mut log = Log::new();
    log.op(BEN, Op::Hand);
    let mut reader = Reader::new();
    reader.reads(&log);
    let now = log.now();
    let start = |until| Op::Start { order: vec![BEN], topic: String::new(), seconds: 0, until };
    // Written in time, and accepted by the relay when its end was past; or longer than a round may last.
    for until in [now, Millis(now.0 - 1), now.plus(LIFE_MILLIS + 1)] {
        log.op(FAY, start(until));
        assert_eq!(reader.reads(&log), [ignored(Why::Until)]);
    }
    assert_eq!(reader.floor.state().round, None);
    assert_eq!(reader.floor.state().hands.len(), 1);
    let round = log.op(FAY, start(now.plus(LIFE_MILLIS)));
    let down = Change::HandDown { member: BEN, why: Down::Called };
    assert_eq!(reader.reads(&log), [Change::Began { round, holder: BEN }, down]);
    // Past the end of a round, its Move changes nothing, and no reader's clock has a say.
    log.wait(LIFE_MILLIS).moves(BEN, round, 0);
    let ended = Change::Ended { round, how: Ending::Time };
    assert_eq!(reader.reads(&log), [ended, ignored(Why::NoRound)]);
}

#[test]
fn shorter_retention_ends_a_round() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN]);
    log.op(CLEO, Op::Hand);
    let ask = log.asks(FAY, Form::Prompt);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.wait(45 * MINUTE).says(BEN);
    assert_eq!(reader.reads(&log), []);
    log.commit(|members| members.retention_seconds = 3600);
    let changes = reader.reads(&log);
    assert_eq!(changes[0], Change::Ended { round, how: Ending::Time });
    assert_eq!(changes[1], Change::HandDown { member: CLEO, why: Down::Fell });
    assert!(matches!(&changes[2], Change::AskClosed { asked, by: None, .. } if asked.ask == ask));
}

#[test]
fn extension_is_bounded_by_the_start() {
    let mut log = Log::new();
    let began = log.now();
    let round = log.start(FAY, &[BEN]);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.wait(30 * MINUTE);
    for (from, until, why) in [
        (BEN, began.plus(2 * HOUR), Why::NotModerating),
        (GIL, log.now(), Why::Until),
        (GIL, began.plus(LIFE_MILLIS + 1), Why::Until),
    ] {
        log.op(from, Op::Extend { round, until });
        assert_eq!(reader.reads(&log), [ignored(why)]);
    }
    let until = began.plus(LIFE_MILLIS);
    log.op(GIL, Op::Extend { round, until });
    assert_eq!(reader.reads(&log), [Change::Extended { until }]);
    log.op(GIL, Op::Extend { round: Seq(7), until });
    assert_eq!(reader.reads(&log), [ignored(Why::NoRound)]);
}

#[test]
fn newcomer_judges_an_extension_alike() {
    let mut log = Log::new();
    let began = log.now();
    let round = log.start(FAY, &[BEN, CLEO]);
    let mut whole = Reader::new();
    whole.reads(&log);
    let joined = log.wait(30 * MINUTE).commit(|_| {});
    whole.reads(&log);
    // The recap crosses a Move and an Extend, which the newcomer judges again from the recap on.
    let recap = whole.floor.live().unwrap();
    log.moves(BEN, round, 0);
    log.op(FAY, Op::Extend { round, until: began.plus(LIFE_MILLIS + 1) });
    log.op(FAY, Op::Extend { round, until: began.plus(3 * HOUR) });
    let mut newcomer = Reader::joined(joined);
    newcomer.reads(&log);
    let unknown = newcomer.told.iter().map(|(_, change)| change.clone()).collect::<Vec<_>>();
    assert_eq!(unknown, [const { ignored(Why::Unknown) }; 3]);
    assert!(newcomer.floor.is_unknown() && newcomer.floor.live().is_none());
    log.push(Some(FAY), What::Recap(recap));
    assert_eq!(newcomer.reads(&log), [super::recap(FAY, Verdict::Taken)]);
    whole.reads(&log);
    assert_eq!(newcomer.floor.state(), whole.floor.state());
    let state = newcomer.floor.state().round.clone().unwrap();
    assert_eq!((state.turn, state.until), (1, began.plus(3 * HOUR)));
    // The bound counts from the Start, which the newcomer never saw.
    for until in [began.plus(LIFE_MILLIS + 1), began.plus(LIFE_MILLIS)] {
        log.op(FAY, Op::Extend { round, until });
        assert_eq!(newcomer.reads(&log), whole.reads(&log));
    }
    assert_eq!(newcomer.floor.state(), whole.floor.state());
}

#[test]
fn false_recap_is_named() {
    let mut log = Log::new();
    log.start(FAY, &[BEN, CLEO]);
    let joined = log.commit(|_| {});
    let (mut whole, mut newcomer) = (Reader::new(), Reader::joined(joined));
    whole.reads(&log);
    let truth = whole.floor.live().unwrap();
    let mut lie = truth.clone();
    lie.state.round.as_mut().unwrap().order = vec![GIL];
    log.push(Some(GIL), What::Recap(lie));
    assert_eq!(whole.reads(&log), [recap(GIL, Verdict::Differs)]);
    assert_eq!(whole.floor.state(), &truth.state);
    assert_eq!(newcomer.reads(&log), [recap(GIL, Verdict::Taken)]);
    let held = log.says(DEE);
    assert_eq!(newcomer.reads(&log), [Change::Held]);
    // An answer with the truth leaves the newcomer with two words against each other, until the next Start.
    log.push(Some(FAY), What::Recap(truth.clone()));
    let verdict = Verdict::Contradicts { other: GIL };
    let told = newcomer.reads(&log);
    assert_eq!(told, [recap(FAY, verdict), Change::Released(vec![held])]);
    assert!(told[0].is_alarm() && newcomer.floor.is_unknown());
    assert_eq!(whole.reads(&log), [recap(FAY, Verdict::Agrees)]);
    log.push(Some(FAY), What::Recap(truth));
    assert_eq!(newcomer.reads(&log), [recap(FAY, Verdict::Early)]);
    let round = whole.floor.state().round.as_ref().unwrap().seq;
    log.op(FAY, Op::End { round });
    log.start(FAY, &[DEE]);
    newcomer.reads(&log);
    whole.reads(&log);
    assert!(!newcomer.floor.is_unknown());
    assert_eq!(newcomer.floor.state(), whole.floor.state());
}

#[test]
fn recap_of_no_floor_is_named() {
    let mut log = Log::new();
    log.start(FAY, &[BEN, CLEO]);
    log.op(DEE, Op::Hand);
    log.asks(FAY, Form::Poll);
    let mut whole = Reader::new();
    whole.reads(&log);
    let joined = log.commit(|_| {});
    whole.reads(&log);
    let good = whole.floor.live().unwrap();
    let spoils: [fn(&mut State); 10] = [
        |state| state.round.as_mut().unwrap().order.push(BEN),
        |state| state.round.as_mut().unwrap().order.clear(),
        |state| state.round.as_mut().unwrap().turn = 2,
        |state| state.round.as_mut().unwrap().turn = u64::MAX,
        |state| state.round.as_mut().unwrap().until = Millis::NEVER,
        |state| state.round.as_mut().unwrap().seq = Seq(99),
        |state| state.round.as_mut().unwrap().topic = "t".repeat(201),
        |state| state.hands.push(state.hands[0]),
        |state| state.asks = vec![state.asks[0].clone(); 5],
        |state| state.asks[0].options = vec!["o".repeat(81); 2],
    ];
    for spoil in spoils {
        let mut bad = good.clone();
        spoil(&mut bad.state);
        let mut log = log.clone();
        log.push(Some(GIL), What::Recap(bad));
        assert_eq!(Reader::joined(joined).reads(&log), [recap(GIL, Verdict::Unsound)]);
        assert_eq!(whole.clone().reads(&log), [recap(GIL, Verdict::Differs)]);
    }
    log.push(Some(GIL), What::Recap(good));
    assert_eq!(Reader::joined(joined).reads(&log), [recap(GIL, Verdict::Taken)]);
}

#[test]
fn recap_before_hole_is_not_taken() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN, CLEO]);
    let mut whole = Reader::new();
    whole.reads(&log);
    let early = whole.floor.live().unwrap();
    // The reader lacks the Move: the relay gives a tombstone for it.
    let mut reader = whole.clone();
    log.moves(BEN, round, 0);
    assert_eq!(reader.misses(&log), [Change::Unknown]);
    assert_eq!((reader.floor.holder(), reader.floor.is_unknown()), (None, true));
    log.push(Some(FAY), What::Recap(early.clone()));
    assert_eq!(reader.reads(&log), [recap(FAY, Verdict::Early)]);
    assert_eq!(reader.floor.holder(), None);
    whole.reads(&log);
    log.recaps(FAY, &whole.floor);
    assert_eq!(reader.reads(&log), [recap(FAY, Verdict::Taken)]);
    assert_eq!(reader.floor.holder(), Some(CLEO));
    // Neither is one from before a newcomer's admission, or one that no reader can compare any more.
    let joined = log.commit(|_| {});
    log.push(Some(FAY), What::Recap(early));
    assert_eq!(Reader::joined(joined).reads(&log), [recap(FAY, Verdict::Early)]);
    whole.reads(&log);
    let old = whole.floor.live().unwrap();
    for _ in 0..RECAP_BACK {
        log.says(CLEO);
    }
    log.push(Some(FAY), What::Recap(old.clone()));
    assert_eq!(whole.reads(&log), [ignored(Why::RecapPlace)]);
    log.push(Some(FAY), What::Recap(Recap { upto: Seq(log.head().0 + 1), ..old }));
    assert_eq!(whole.reads(&log), [ignored(Why::RecapPlace)]);
}

#[test]
fn member_sends_no_recap() {
    let mut log = Log::new();
    let joined = log.commit(|_| {});
    let mut whole = Reader::new();
    whole.reads(&log);
    log.recaps(BEN, &whole.floor);
    assert_eq!(whole.reads(&log), [ignored(Why::NotModerating)]);
    assert_eq!(Reader::joined(joined).reads(&log), [ignored(Why::NotModerating)]);
}

#[test]
fn member_closes_no_ask() {
    let mut log = Log::new();
    let ask = log.asks(FAY, Form::Poll);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.closes(BEN, ask, None);
    assert_eq!(reader.reads(&log), [ignored(Why::NotModerating)]);
    log.closes(GIL, Ref { digest: Digest([9; 32]), ..ask }, None);
    assert_eq!(reader.reads(&log), [ignored(Why::NoAsk)]);
    assert_eq!(reader.floor.state().asks.len(), 1);
    log.closes(GIL, ask, None);
    assert!(matches!(&reader.reads(&log)[..], [Change::AskClosed { by: Some(GIL), .. }]));
    log.closes(FAY, ask, None);
    assert_eq!(reader.reads(&log), [ignored(Why::NoAsk)]);
    log.asks(BEN, Form::Prompt);
    assert_eq!(reader.reads(&log), [ignored(Why::NotModerating)]);
}

#[test]
fn times_that_run_back_are_told() {
    let mut log = Log::new();
    let round = log.start(FAY, &[BEN]);
    log.wait(50 * MINUTE).says(BEN);
    let counted = log.now();
    let mut reader = Reader::new();
    reader.reads(&log);
    log.clock -= 20 * MINUTE;
    let said = log.now();
    log.op(CLEO, Op::Hand);
    let back = Change::TimesRunBack { said, counted };
    let told = reader.reads(&log);
    assert_eq!(told, [back.clone(), Change::HandUp(CLEO)]);
    assert!(told[0].is_alarm());
    // It counts as the earlier entry's, so it neither stretches the round nor makes the hand older.
    assert_eq!(reader.floor.state().hands[0].at, counted);
    log.op(FAY, Op::Extend { round, until: counted });
    assert_eq!(reader.reads(&log), [back, ignored(Why::Until)]);
}

#[test]
fn observers_and_strangers_change_nothing() {
    let mut log = Log::new();
    let ask = log.asks(FAY, Form::Poll);
    let mut reader = Reader::new();
    reader.reads(&log);
    let before = reader.floor.state().clone();
    for from in [Some(OMAR), Some(MemberKey([9; 32])), None] {
        for what in [
            What::Op(Op::Hand),
            What::Words(Some(Answer { ask, choice: Some(0) })),
            What::Close(Close { ask, ballots: None }),
        ] {
            log.push(from, what);
            assert_eq!(reader.reads(&log), [ignored(Why::MayNotPost)]);
        }
    }
    assert_eq!(reader.floor.state(), &before);
    assert_eq!(reader.floor.totals(ask.seq), Some(vec![0, 0]));
}

#[test]
fn beyond_the_limits_is_ignored() {
    let mut log = Log::new();
    let mut reader = Reader::new();
    let until = log.now().plus(HOUR);
    let start = |order: Vec<MemberKey>, topic: &str| {
        What::Op(Op::Start { order, topic: topic.into(), seconds: 0, until })
    };
    let many: Vec<MemberKey> = (0..101).map(|n| MemberKey([n; 32])).collect();
    log.members.roles.extend(many.iter().map(|member| (*member, Role::Member)));
    log.members.roles.insert(FAY, Role::Facilitator);
    let ask = |text: usize, options: usize, option: usize, step: u64, of: u64| {
        let options = vec!["ö".repeat(option); options];
        let exercise = hearth_protocol::MessageId([1; 16]);
        let part = (of > 0).then_some(Part { exercise, step, of });
        let (form, text, after_own) = (Form::Poll, "ö".repeat(text), false);
        What::Ask(Ask { form, text, options, until, after_own, part })
    };
    for (what, why) in [
        (start(many.clone(), ""), Why::Order),
        (start(vec![], ""), Why::Order),
        (start(vec![BEN, BEN], ""), Why::Order),
        (start(vec![OMAR, MemberKey([200; 32])], ""), Why::Order),
        (start(vec![BEN], &"ö".repeat(201)), Why::Size),
        (ask(1001, 2, 1, 0, 0), Why::Size),
        (ask(1, 11, 1, 0, 0), Why::Size),
        (ask(1, 1, 1, 0, 0), Why::Size),
        (ask(1, 2, 81, 0, 0), Why::Size),
        (ask(1, 2, 1, 0, 3), Why::Size),
        (ask(1, 2, 1, 4, 3), Why::Size),
        (ask(1, 2, 1, 21, 21), Why::Size),
    ] {
        log.push(Some(FAY), what);
        assert_eq!(reader.reads(&log), [ignored(why)]);
    }
    assert_eq!(reader.floor.state(), &State::default());
    for _ in 0..4 {
        log.push(Some(FAY), ask(1000, 10, 80, 20, 20));
        assert_eq!(reader.reads(&log), [Change::AskOpened]);
    }
    log.push(Some(FAY), ask(1, 2, 1, 0, 0));
    assert_eq!(reader.reads(&log), [ignored(Why::TooManyAsks)]);
    log.push(Some(FAY), start(many[..100].to_vec(), &"ö".repeat(200)));
    assert!(matches!(&reader.reads(&log)[..], [Change::Began { .. }]));
}

#[test]
fn hands_are_one_queue() {
    let mut log = Log::new();
    log.op(CLEO, Op::Hand);
    log.op(BEN, Op::Hand);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.op(CLEO, Op::Hand);
    assert_eq!(reader.reads(&log), [ignored(Why::HandIsUp)]);
    log.op(DEE, Op::Lower);
    assert_eq!(reader.reads(&log), [ignored(Why::NoHand)]);
    let queue = |reader: &Reader| {
        reader.floor.state().hands.iter().map(|hand| hand.member).collect::<Vec<_>>()
    };
    assert_eq!(queue(&reader), [CLEO, BEN]);
    log.op(CLEO, Op::Lower);
    log.op(CLEO, Op::Hand);
    reader.reads(&log);
    assert_eq!(queue(&reader), [BEN, CLEO]);
    log.role(BEN, None);
    assert_eq!(reader.reads(&log), [Change::HandDown { member: BEN, why: Down::Gone }]);
    log.wait(LIFE_MILLIS).says(FAY);
    assert_eq!(reader.reads(&log), [Change::HandDown { member: CLEO, why: Down::Fell }]);
}

#[test]
fn skipped_places_are_a_hole() {
    let mut log = Log::new();
    log.start(FAY, &[BEN]);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.says(BEN);
    log.says(BEN);
    let (entry, members) = log.entries.last().unwrap();
    assert_eq!(reader.takes(entry, members), [Change::Unknown]);
    assert!(reader.floor.is_unknown());
}

#[test]
fn future_recap_is_not_taken() {
    let mut log = Log::new();
    let joined = log.commit(|_| {});
    let hand = Hand { member: BEN, at: log.now().plus(1) };
    let state = State { hands: vec![hand], ..State::default() };
    let mut newcomer = Reader::joined(joined);
    log.push(Some(FAY), What::Recap(Recap { upto: joined, state: state.clone() }));
    assert_eq!(newcomer.reads(&log), [recap(FAY, Verdict::Early)]);
    log.wait(1).push(Some(FAY), What::Recap(Recap { upto: joined, state }));
    assert_eq!(newcomer.reads(&log), [recap(FAY, Verdict::Taken)]);
}

/// A reader who lacks entries keeps what may count, so that a member cannot fill their disk.
#[test]
fn newcomer_keeps_no_junk() {
    let mut log = Log::new();
    let joined = log.commit(|_| {});
    let mut newcomer = Reader::joined(joined);
    let (long, until) = ("t".repeat(5000), log.now().plus(HOUR));
    let ask = |text: &str| {
        let (form, options, text) = (Form::Prompt, Vec::new(), text.into());
        What::Ask(Ask { form, text, options, until, after_own: false, part: None })
    };
    let start = |order: Vec<MemberKey>, topic: &str| {
        What::Op(Op::Start { order, topic: topic.into(), seconds: 0, until })
    };
    let ballots = Some(vec![Ballot { hash: [0; 16], choice: 0 }; 200]);
    let absent = Ref { seq: Seq(1), digest: Digest([0; 32]) };
    for _ in 0..7 {
        for (from, what) in [
            (FAY, ask(&long)),
            (BEN, ask(&long[..1000])),
            (FAY, start(vec![BEN], &long)),
            (FAY, start(vec![BEN; 200], "")),
            (BEN, start((0..100).map(|n| MemberKey([n; 32])).collect(), "")),
            (BEN, What::Close(Close { ask: absent, ballots: ballots.clone() })),
            (FAY, What::Close(Close { ask: absent, ballots: ballots.clone() })),
            (FAY, What::Recap(Recap { upto: Seq(0), state: State::default() })),
        ] {
            log.push(Some(from), what);
        }
    }
    newcomer.reads(&log);
    let stored = hearth_protocol::codec::encode(&newcomer.floor).len();
    assert!(stored < 4096, "{stored} bytes");
    for _ in 0..1000 {
        log.op(BEN, Op::Hand);
        log.members.retention_seconds += 1;
    }
    newcomer.reads(&log);
    let stored = hearth_protocol::codec::encode(&newcomer.floor).len();
    assert!(stored < 4096, "{stored} bytes");
}

#[test]
fn start_after_a_hole_is_known() {
    let mut log = Log::new();
    log.start(FAY, &[BEN]);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.says(BEN);
    reader.misses(&log);
    assert!(reader.floor.is_unknown() && reader.floor.live().is_none());
    let round = log.start(FAY, &[CLEO]);
    assert_eq!(reader.reads(&log), [Change::Began { round, holder: CLEO }]);
    log.op(FAY, Op::End { round });
    reader.reads(&log);
    assert!(!reader.floor.is_unknown() && reader.floor.live().is_some());
}

#[test]
fn doubt_ends_with_the_retention() {
    let mut log = Log::new();
    log.start(FAY, &[BEN]);
    let mut whole = Reader::new();
    whole.reads(&log);
    let mut reader = whole.clone();
    log.says(CLEO);
    reader.misses(&log);
    assert!(reader.floor.is_unknown());
    log.wait(LIFE_MILLIS).says(CLEO);
    reader.reads(&log);
    assert!(!reader.floor.is_unknown());
    log.wait(15 * 24 * HOUR).says(CLEO);
    reader.reads(&log);
    whole.reads(&log);
    // From here on, a recap is compared, not taken.
    let mut lie = whole.floor.live().unwrap();
    lie.state.hands.push(Hand { member: BEN, at: log.now() });
    log.push(Some(GIL), What::Recap(lie));
    assert_eq!(reader.reads(&log), [recap(GIL, Verdict::Differs)]);
}
