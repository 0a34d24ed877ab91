//! Turns and questions as members keep them: held words, answers that wait, who may, and what a newcomer knows.

use hearth_protocol::{MessageId, Millis, RejectCode};

use super::{
    messages::{envelope, posts, text},
    world::*,
    *,
};
use crate::{
    EngineError,
    content::{Body, Envelope, Ref},
    floor::{Ask, Change, Form, Op, State, Verdict, Why},
    policy::{Act, RuleError},
    state::{Held, Notice},
    turns::{DUTY_MILLIS_MAX, FloorError, Later, Order},
    words::{Reaction, Words},
};

const HOURS: u64 = 3_600_000;

fn sends(world: &mut World, who: usize, queue: impl FnOnce(&mut TestRoom) -> MessageId) -> Row {
    let id = queue(&mut world.rooms[who]);
    world.log.flush(&mut world.rooms[who]);
    world.show();
    world.rooms[who].own_message(&id).unwrap()
}

fn begins(world: &mut World, members: &[usize]) {
    let order = members.iter().map(|who| world.key(*who)).collect();
    let until = NOW.plus(2 * HOURS);
    sends(world, FAY, |fay| fay.queue_round(order, String::new(), 0, until, NOW).unwrap());
}

fn moves(world: &mut World, who: usize) -> Row {
    sends(world, who, |room| room.queue_move(None, NOW).unwrap())
}

fn asks(world: &mut World, form: Form, options: &[&str], after_own: bool) -> Seq {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    let until = NOW.plus(HOURS);
    let ask = Ask { form, text: "How was it?".into(), options, until, after_own, part: None };
    sends(world, FAY, |fay| fay.queue_ask(ask, NOW).unwrap()).seq
}

fn answers(world: &mut World, who: usize, ask: Seq, words: &str) -> Row {
    let words = Words { answers: Some(ask), ..Words::from(words.to_owned()) };
    sends(world, who, |room| room.queue_words(words, NOW).unwrap())
}

/// Posts as a client would that has not heard of the round.
fn posts_unaware(world: &mut World, who: usize, envelope: &Envelope) -> Row {
    let payload = posts(&mut world.rooms[who], envelope);
    world.log.append(payload);
    world.show();
    last_row(&world.rooms[BEN])
}

fn floor(world: &mut World, who: usize) -> State {
    world.rooms[who].floor().unwrap().state().clone()
}

#[test]
fn words_off_turn_show_in_turn() {
    let mut world = World::new();
    begins(&mut world, &[CLEO, MAL, BEN]);
    let early = posts_unaware(&mut world, MAL, &text(1, 1, "early"));
    assert_eq!(early.talk.later, Some(Later::Turn));
    assert_eq!(early.changes, [], "the others are not told");
    posts_unaware(&mut world, MAL, &text(2, 2, "too"));
    let row = moves(&mut world, CLEO);
    let (mal, places) = (world.key(MAL), vec![early.place, Seq(early.place.0 + 1)]);
    for who in [FAY, BEN] {
        let row = world.rooms[who].history(row.place, 1).unwrap().remove(0);
        assert_eq!(row.changes, [Change::Turn { holder: mal, turn: 1 }]);
        assert_eq!(row.shows, places);
    }
}

/// The author's own client sends nothing off turn: the words wait until their author is asked.
#[test]
fn words_off_turn_are_kept() {
    let mut world = World::new();
    begins(&mut world, &[MAL, BEN]);
    let id = world.rooms[BEN].queue_text("kept".into(), NOW).unwrap();
    assert!(world.rooms[BEN].next_submission().unwrap().is_none());
    assert_eq!(world.rooms[BEN].held_texts().unwrap(), [(id, Held::Turn)]);
    moves(&mut world, MAL);
    assert!(world.rooms[BEN].next_submission().unwrap().is_none(), "nor when the turn comes");
    world.rooms[BEN].release(&id, NOW).unwrap().unwrap();
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    assert_eq!(texts(&world.rooms[MAL]), ["kept"]);
    // Those who moderate, and whose turn it is, write at any time.
    assert_eq!(world.rooms[FAY].waits_for_turn(NOW).unwrap(), None);
    assert_eq!(world.rooms[BEN].waits_for_turn(NOW).unwrap(), None);
    assert!(world.rooms[MAL].waits_for_turn(NOW).unwrap().is_some());
    // Past the round's end it waits for no other entry.
    assert_eq!(world.rooms[MAL].waits_for_turn(NOW.plus(2 * HOURS)).unwrap(), None);
}

#[test]
fn member_moves_own_turn_only() {
    let mut world = World::new();
    let round_of = |order, until| Op::Start { order, topic: String::new(), seconds: 0, until };
    // A member's round begins nothing, and neither does a change of what is not there.
    let start = round_of(vec![world.key(MAL)], NOW.plus(HOURS));
    for (n, op) in
        [start, Op::Move { round: Seq(3), turn: 0 }, Op::End { round: Seq(3) }, Op::Lower]
            .into_iter()
            .enumerate()
    {
        let n = u8::try_from(n).unwrap() + 1;
        let row = posts_unaware(&mut world, MAL, &envelope(n, u64::from(n), Body::Floor(op)));
        assert_eq!(row.changes, []);
    }
    for who in [FAY, CLEO, BEN] {
        assert!(floor(&mut world, who).is_empty());
    }
    begins(&mut world, &[CLEO, BEN]);
    let round = floor(&mut world, FAY).round.unwrap().seq;
    for (n, op) in [
        Op::Move { round, turn: 0 },
        Op::End { round },
        Op::Extend { round, until: NOW.plus(9 * HOURS) },
    ]
    .into_iter()
    .enumerate()
    {
        let n = u8::try_from(n).unwrap() + 5;
        posts_unaware(&mut world, MAL, &envelope(n, u64::from(n), Body::Floor(op)));
    }
    let now = floor(&mut world, BEN).round.unwrap();
    assert_eq!((now.turn, now.until), (0, NOW.plus(2 * HOURS)));
    let refused = world.rooms[BEN].queue_move(None, NOW);
    assert!(matches!(refused, Err(EngineError::Floor(FloorError::NotYourTurn))));
    let refused = world.rooms[BEN].queue_round_end(NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))));
}

/// A member's round, question and vote for nothing leave no line on any screen, nor does a moderator's that comes too late.
#[test]
fn ignored_start_shows_nothing() {
    let mut world = World::new();
    let start = |order, until| Op::Start { order, topic: "Mine".into(), seconds: 0, until };
    let ask = Ask {
        form: Form::Prompt,
        text: "Who lies?".into(),
        options: vec![],
        until: NOW.plus(HOURS),
        after_own: false,
        part: None,
    };
    let poll = asks(&mut world, Form::Poll, &["at six", "at eight"], false);
    let digest = world.rooms[MAL].history(poll, 1).unwrap().remove(0).digest;
    let poll = Ref { seq: poll, digest };
    let vote = |choice| Body::Answer { ask: poll, choice: Some(choice), text: None, salt: None };
    let mals = start(vec![world.key(MAL)], NOW.plus(HOURS));
    for (n, body) in (1..).zip([Body::Floor(mals), ask.into(), vote(2)]) {
        let row = posts_unaware(&mut world, MAL, &envelope(n, u64::from(n), body));
        assert_eq!(row.content, RowContent::Floor(None));
    }
    let row = posts_unaware(&mut world, MAL, &envelope(9, 9, vote(1)));
    assert!(matches!(row.content, RowContent::Vote { choice: 1, .. }), "{row:?}");
    let order = vec![world.key(BEN)];
    let ids = [FAY, CLEO].map(|who| {
        let until = NOW.plus(HOURS);
        world.rooms[who].queue_round(order.clone(), String::new(), 0, until, NOW).unwrap()
    });
    let payloads =
        [FAY, CLEO].map(|who| world.rooms[who].next_submission().unwrap().unwrap().payload);
    for payload in payloads {
        world.log.append(payload);
    }
    world.show();
    assert_eq!(world.rooms[CLEO].ignored(&ids[1]).unwrap(), Some(FloorError::RoundOn));
    for who in [FAY, CLEO, BEN] {
        let rows = rows(&world.rooms[who]);
        let begun = rows.iter().filter(|row| matches!(row.content, RowContent::Floor(Some(_))));
        assert_eq!(begun.count(), 1);
    }
}

/// A moderator's own `done` or `pass` ends nobody else's turn; `next` does.
#[test]
fn done_ends_own_turn_only() {
    let mut world = World::new();
    begins(&mut world, &[BEN, MAL]);
    for who in [FAY, CLEO, MAL] {
        let refused = world.rooms[who].queue_done(NOW);
        assert!(matches!(refused, Err(EngineError::Floor(FloorError::NotYourTurn))));
    }
    sends(&mut world, BEN, |ben| ben.queue_done(NOW).unwrap());
    assert_eq!(floor(&mut world, FAY).round.unwrap().turn, 1);
}

/// Two moderators press `next` at once: the floor moves once, and the slower one is told.
#[test]
fn second_next_moves_nothing() {
    let mut world = World::new();
    begins(&mut world, &[BEN, MAL]);
    // Some seconds into the turn.
    set_clock(&mut world.rooms[CLEO], 400 * DAY);
    let ids = [FAY, CLEO].map(|who| world.rooms[who].queue_move(None, NOW).unwrap());
    let payloads =
        [FAY, CLEO].map(|who| world.rooms[who].next_submission().unwrap().unwrap().payload);
    for payload in payloads {
        world.log.append(payload);
    }
    world.show();
    for who in [FAY, CLEO, BEN] {
        assert_eq!(floor(&mut world, who).round.unwrap().turn, 1);
    }
    assert_eq!(world.rooms[FAY].ignored(&ids[0]).unwrap(), None);
    assert_eq!(world.rooms[CLEO].ignored(&ids[1]).unwrap(), Some(FloorError::TooLate));
    let row = world.rooms[CLEO].own_message(&ids[1]).unwrap();
    assert_eq!(row.changes, [Change::Ignored(Why::OldTurn)]);
    assert_eq!(last_row(&world.rooms[BEN]).changes, [], "nobody else is told");
}

#[test]
fn answers_show_after_own() {
    let mut world = World::new();
    let later = |world: &World, who: usize, row: &Row| {
        world.rooms[who].history(row.place, 1).unwrap().remove(0).talk.later
    };
    let ask = asks(&mut world, Form::Prompt, &[], true);
    let mals = answers(&mut world, MAL, ask, "Hard.");
    assert_eq!(later(&world, BEN, &mals), Some(Later::OwnAnswer));
    for who in [FAY, CLEO] {
        assert_eq!(later(&world, who, &mals), None, "who moderates sees it at once");
    }
    let bens = answers(&mut world, BEN, ask, "Long.");
    assert_eq!(bens.shows, [mals.place]);
    assert_eq!(later(&world, MAL, &bens), None, "Mal has answered");
    sends(&mut world, FAY, |fay| fay.queue_close(ask, NOW).unwrap());
    // Who never answers sees them when the question closes.
    let ask = asks(&mut world, Form::Step, &[], true);
    let mals = answers(&mut world, MAL, ask, "Loud.");
    let closed = sends(&mut world, FAY, |fay| fay.queue_close(ask, NOW).unwrap());
    let row = world.rooms[BEN].history(closed.place, 1).unwrap().remove(0);
    assert_eq!(row.shows, [mals.place]);
    let words = Words { answers: Some(ask), ..Words::from("late".to_owned()) };
    let refused = world.rooms[BEN].queue_words(words, NOW);
    assert!(matches!(refused, Err(EngineError::Floor(FloorError::NotAsked))));
}

/// Neither a quote nor a change tells words that a member sees after their own.
#[test]
fn quotes_keep_answers_veiled() {
    let mut world = World::new();
    let ask = asks(&mut world, Form::Prompt, &[], true);
    let mals = answers(&mut world, MAL, ask, "Hard.");
    sends(&mut world, FAY, |fay| {
        fay.queue_reaction(mals.place, Some(Reaction::Heard), NOW).unwrap()
    });
    let quoted = |world: &mut World| {
        let mut rows = vec![last_row(&world.rooms[BEN])];
        world.rooms[BEN].quote(&mut rows, Millis(0)).unwrap();
        rows.remove(0)
    };
    let row = quoted(&mut world);
    assert!(matches!(row.content, RowContent::Reaction { .. }));
    assert_eq!(row.talk.quote.unwrap().text, None);
    sends(&mut world, MAL, |mal| mal.queue_edit(mals.place, "Harder.".into(), NOW, NOW).unwrap());
    assert_eq!(last_row(&world.rooms[BEN]).content, RowContent::Nothing);
    answers(&mut world, BEN, ask, "Long.");
    let hers = Words { reply: Some(mals.place), ..Words::from("Yes.".to_owned()) };
    sends(&mut world, FAY, |fay| fay.queue_words(hers, NOW).unwrap());
    assert_eq!(quoted(&mut world).talk.quote.unwrap().text.as_deref(), Some("Harder."));
}

/// Words that were taken back before somebody read them cost nobody a round.
#[test]
fn retracted_words_leave_the_floor() {
    let mut world = World::new();
    begins(&mut world, &[BEN, MAL]);
    let away = world.rooms[CLEO].cursor().seq;
    let said = sends(&mut world, BEN, |ben| ben.queue_text("oops".into(), NOW).unwrap());
    sends(&mut world, BEN, |ben| ben.queue_own_retraction(said.seq, NOW).unwrap());
    // A member who reads all this later sees the mark that the relay left.
    let mut dee = join(&mut world.rooms[FAY], &mut world.log, "Dee");
    world.show();
    world.log.show(&mut dee);
    begin_again(&mut world);
    assert!(away < world.rooms[CLEO].cursor().seq);
    let ours = floor(&mut world, BEN);
    let said = sends(&mut world, BEN, |ben| ben.queue_text("oops".into(), NOW).unwrap());
    sends(&mut world, BEN, |ben| ben.queue_own_retraction(said.seq, NOW).unwrap());
    for entry in &mut world.log.entries {
        if entry.seq == said.seq {
            let digest = entry.content.digest();
            entry.content = EntryContent::Tombstone(digest);
        }
    }
    world.log.show(&mut dee);
    assert_eq!(*dee.floor().unwrap().state(), ours);
    assert!(!dee.floor().unwrap().is_unknown());
}

fn begin_again(world: &mut World) {
    sends(world, FAY, |fay| fay.queue_round_end(NOW).unwrap());
    begins(world, &[BEN, MAL]);
}

#[test]
fn turns_cannot_be_taken_back() {
    let mut world = World::new();
    begins(&mut world, &[MAL, BEN]);
    let moved = moves(&mut world, MAL);
    let (message, seq) = (moved.id.unwrap(), moved.seq);
    let counter = world.rooms[MAL].cursor().counter + 1;
    let retract = envelope(9, counter, Body::Retract { message, seq, edits: None });
    let payload = posts(&mut world.rooms[MAL], &retract);
    world.log.append(payload);
    world.show();
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::FalseRetraction]);
    assert_eq!(floor(&mut world, BEN).round.unwrap().turn, 1);
}

/// The second of two moderators, or one who is a breath late, does not skip somebody unseen.
#[test]
fn late_next_is_refused() {
    let mut world = World::new();
    begins(&mut world, &[BEN, MAL]);
    let refused = world.rooms[CLEO].queue_move(None, NOW);
    assert!(matches!(refused, Err(EngineError::Floor(FloorError::JustMoved))));
    // Who began it, or made the last move, knows what comes next.
    moves(&mut world, FAY);
    moves(&mut world, FAY);
    assert!(floor(&mut world, CLEO).round.is_none());
}

#[test]
fn votes_count_once_each() {
    let mut world = World::new();
    let ask = asks(&mut world, Form::Poll, &["at six", "at eight"], false);
    let refused = world.rooms[BEN].queue_vote(ask, 2, NOW);
    assert!(matches!(refused, Err(EngineError::Floor(FloorError::NoSuchOption))));
    for (who, choice) in [(BEN, 0), (MAL, 0), (CLEO, 1), (BEN, 1)] {
        let row = sends(&mut world, who, |room| room.queue_vote(ask, choice, NOW).unwrap());
        let RowContent::Vote { option: Some(option), .. } = row.content else { panic!() };
        assert_eq!(option, ["at six", "at eight"][usize::try_from(choice).unwrap()]);
    }
    let row = sends(&mut world, FAY, |fay| fay.queue_close(ask, NOW).unwrap());
    let [Change::AskClosed { outcome, .. }] = &row.changes[..] else { panic!("{row:?}") };
    assert_eq!(*outcome, crate::floor::Outcome::Totals(vec![1, 2]));
}

#[test]
fn pause_holds_hands_down() {
    let mut world = World::new();
    world.act(
        FAY,
        Act::Pause { until: NOW.plus(60_000), comment: "Let us breathe.".into(), reopens: true },
    );
    world.show();
    posts_unaware(&mut world, MAL, &envelope(1, 1, Body::Floor(Op::Hand)));
    for who in [FAY, CLEO, BEN] {
        assert_eq!(floor(&mut world, who).hands, []);
    }
    let mal = &mut world.rooms[MAL];
    mal.queue_hand(true, NOW).unwrap();
    let next = mal.next_submission().unwrap().unwrap();
    assert!(!mal.refused(next.number, RejectCode::Paused).unwrap(), "it is not sent later");
}

/// A newcomer knows the floor by the recap of the client that admitted them; a false one names its sender to all others.
#[test]
fn newcomer_goes_on_from_recap() {
    let mut world = World::new();
    // Kept for long, so that nobody who came in is past their doubts by time alone.
    world.act(FAY, Act::Expire(30 * 86_400));
    world.show();
    begins(&mut world, &[CLEO, BEN]);
    let mut dee = join(&mut world.rooms[FAY], &mut world.log, "Dee");
    world.show();
    world.log.show(&mut dee);
    assert!(dee.floor().unwrap().state().is_empty());
    world.rooms[FAY].queue_recap(NOW).unwrap().unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    world.show();
    world.log.show(&mut dee);
    let known = floor(&mut world, BEN);
    assert_eq!(*dee.floor().unwrap().state(), known);
    assert!(dee.waits_for_turn(NOW).unwrap().is_some());
    let (upto, fay) = (world.rooms[FAY].cursor().seq, world.key(FAY));
    let recap = crate::floor::Recap { upto, state: State::default() };
    let row = {
        let counter = world.rooms[FAY].cursor().counter + 1;
        let recap = envelope(9, counter, recap.into());
        let payload = posts(&mut world.rooms[FAY], &recap);
        world.log.append(payload);
        world.show();
        last_row(&world.rooms[BEN])
    };
    let [Change::Recap { by, verdict }] = &row.changes[..] else { panic!("{row:?}") };
    assert_eq!(*by, fay);
    assert!(matches!(verdict, Verdict::Differs | Verdict::Contradicts { .. }), "{verdict:?}");
    assert!(row.changes[0].is_alarm());
    assert_eq!(world.rooms[BEN].queue_recap(NOW).unwrap(), None, "members send none");
}

#[test]
fn floor_survives_a_restart() {
    let mut world = World::new();
    begins(&mut world, &[CLEO, BEN]);
    sends(&mut world, MAL, |mal| mal.queue_hand(true, NOW).unwrap());
    let before = floor(&mut world, BEN);
    let (store, crypto, name) = world.rooms[BEN].parts();
    world.rooms[BEN] = Room::open(store, crypto, &name).unwrap();
    assert_eq!(floor(&mut world, BEN), before);
    assert_eq!(before.hands.len(), 1);
    moves(&mut world, CLEO);
    assert_eq!(floor(&mut world, BEN).round.unwrap().turn, 1);
}

#[test]
fn order_puts_quiet_ones_first() {
    let mut world = World::new();
    world.say(BEN, "one two three");
    world.show();
    let [ben, mal] = [BEN, MAL].map(|who| world.key(who));
    let order = |world: &mut World, order| world.rooms[FAY].turn_order(order).unwrap();
    assert_eq!(order(&mut world, Order::Quiet), [mal, ben], "who moderates takes no turn");
    sends(&mut world, BEN, |ben| ben.queue_hand(true, NOW).unwrap());
    assert_eq!(order(&mut world, Order::Queue), [ben, mal]);
    let roster = world.rooms[FAY].roster().unwrap();
    let place = |member| roster.iter().position(|leaf| leaf.member == member);
    let first = if place(ben) < place(mal) { ben } else { mal };
    assert_eq!(order(&mut world, Order::Roster)[0], first);
}

#[test]
fn bodies_have_exact_bytes() {
    let ask = Ref { seq: Seq(40), digest: hearth_protocol::Digest([6; 32]) };
    let hex = |body: &Body| {
        let bytes = hearth_protocol::codec::encode(body);
        assert_eq!(hearth_protocol::codec::decode::<Body>(&bytes).unwrap(), *body);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let (question, six) = ("How was it?".to_owned(), "06".repeat(32));
    let words = "486f77207761732069743f";
    for (body, wanted) in [
        (Body::Floor(Op::Hand), "820881 820080".to_owned()),
        (Body::Floor(Op::Move { round: Seq(3), turn: 1 }), "820881 82038203 01".to_owned()),
        (
            Ask {
                form: Form::Prompt,
                text: question,
                options: Vec::new(),
                until: Millis(5),
                after_own: true,
                part: None,
            }
            .into(),
            format!("820986 00 6b{words} 80 05 f5 f6"),
        ),
        (
            Body::Answer { ask, choice: Some(1), text: None, salt: None },
            format!("820a83 821828 5820{six} 01 f6"),
        ),
        (Body::Close { ask, ballots: None }, format!("820b81 821828 5820{six}")),
        (Body::Recap { upto: Seq(7), state: State::default() }, "820d82 07 83 f6 80 80".to_owned()),
        (Body::Duty(Millis(5)), "82181c81 05".to_owned()),
    ] {
        assert_eq!(hex(&body), wanted.replace(' ', ""), "{body:?}");
    }
}

#[test]
fn only_moderators_are_on_duty() {
    let mut world = World::new();
    let fay = world.key(FAY);
    let on = |world: &mut World, until| {
        sends(world, FAY, |fay| fay.queue_duty(until, NOW).unwrap());
        let duty = world.rooms[BEN].on_duty().unwrap();
        duty.iter().map(|duty| (duty.member, duty.until)).collect::<Vec<_>>()
    };
    assert_eq!(on(&mut world, NOW.plus(HOURS)), [(fay, NOW.plus(HOURS))]);
    let max = NOW.plus(DUTY_MILLIS_MAX);
    assert_eq!(on(&mut world, Millis(u64::MAX)), [(fay, max)], "nobody is on duty forever");
    let [(over, until)] = on(&mut world, Millis(0))[..] else { panic!("it is over") };
    assert!(over == fay && until < NOW.plus(HOURS), "{until:?}");
    posts_unaware(&mut world, MAL, &envelope(1, 1, Body::Duty(NOW.plus(HOURS))));
    assert!(world.rooms[BEN].on_duty().unwrap().iter().all(|duty| duty.member == fay));
    let refused = world.rooms[MAL].queue_duty(NOW.plus(HOURS), NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))));
}
