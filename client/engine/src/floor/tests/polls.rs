//! Polls: what counts, and what a recount finds.

use super::{
    super::poll::{Doubt, Flaw, Vote, audit, ballot_hash, ballots},
    *,
};

/// Votes of members 10 to 10 + `count`, for option 0 and 1 in turn.
fn votes(count: u8) -> Vec<Vote> {
    let vote = |n: u8| Vote {
        member: MemberKey([10 + n; 32]),
        salt: [n; 16],
        choice: u64::from(n % 2),
        at: Millis(NOW),
    };
    (0..count).map(vote).collect()
}

/// A room of seven voters, and a hidden poll.
fn hidden() -> (Log, Reader, Ref) {
    let mut log = Log::new();
    log.members.roles = votes(7).iter().map(|vote| (vote.member, Role::Member)).collect();
    log.members.roles.insert(FAY, Role::Facilitator);
    let ask = log.asks(FAY, Form::HiddenPoll);
    let mut reader = Reader::new();
    reader.reads(&log);
    (log, reader, ask)
}

fn outcome(changes: &[Change]) -> &Outcome {
    match changes {
        [Change::AskClosed { outcome, .. }] => outcome,
        _ => panic!("an ask closes: {changes:?}"),
    }
}

const CLOSED: Millis = Millis(NOW + HOUR);

#[test]
fn retracted_answer_never_counts() {
    let mut log = Log::new();
    let ask = log.asks(FAY, Form::Poll);
    log.answers(BEN, ask, Some(0));
    log.answers(BEN, ask, Some(1));
    let first = log.answers(CLEO, ask, Some(0));
    let second = log.answers(CLEO, ask, Some(1));
    log.answers(GIL, ask, Some(1));
    log.answers(GIL, ask, None);
    let mut reader = Reader::new();
    reader.reads(&log);
    assert_eq!(reader.floor.totals(ask.seq), Some(vec![0, 2]));
    log.push(Some(CLEO), What::Retract(second));
    reader.reads(&log);
    assert_eq!(reader.floor.totals(ask.seq), Some(vec![1, 1]));
    assert!(reader.floor.has_answered(ask.seq, &CLEO));
    log.push(Some(CLEO), What::Retract(first));
    reader.reads(&log);
    assert!(!reader.floor.has_answered(ask.seq, &CLEO));
    log.answers(DEE, ask, Some(2));
    assert_eq!(reader.reads(&log), [ignored(Why::Choice)]);
    for _ in 0..ANSWERS_MAX {
        log.answers(DEE, ask, Some(0));
        assert_eq!(reader.reads(&log), []);
    }
    log.answers(DEE, ask, Some(1));
    assert_eq!(reader.reads(&log), [ignored(Why::TooManyAnswers)]);
    // An answer in the entry whose time ends the ask comes too late.
    log.wait(24 * HOUR).answers(GIL, ask, Some(0));
    let changes = reader.reads(&log);
    assert_eq!(outcome(&changes[..1]), &Outcome::Totals(vec![1, 1]));
    assert_eq!(changes[1], ignored(Why::NoAsk));
}

#[test]
fn told_ask_shows_no_totals() {
    let mut log = Log::new();
    let ask = log.asks(FAY, Form::Poll);
    log.answers(BEN, ask, Some(0));
    let joined = log.commit(|_| {});
    let own = log.asks(FAY, Form::Poll);
    log.answers(BEN, own, Some(1));
    let (mut whole, mut newcomer) = (Reader::new(), Reader::joined(joined));
    whole.reads(&log);
    log.recaps(FAY, &whole.floor);
    assert_eq!(newcomer.reads(&log), [recap(FAY, Verdict::Taken)]);
    assert_eq!(newcomer.floor.totals(ask.seq), None);
    assert_eq!(newcomer.floor.totals(own.seq), Some(vec![0, 1]));
    log.closes(FAY, ask, None);
    assert_eq!(outcome(&newcomer.reads(&log)), &Outcome::Uncounted);
    whole.reads(&log);
    assert_eq!(newcomer.floor.state(), whole.floor.state());
}

#[test]
fn answers_off_turn_count_and_wait() {
    let mut log = Log::new();
    let ask = log.asks(FAY, Form::Poll);
    log.start(FAY, &[BEN]);
    let mut reader = Reader::new();
    reader.reads(&log);
    log.answers(CLEO, ask, Some(1));
    assert_eq!(reader.reads(&log), [Change::Held]);
    assert_eq!(reader.floor.totals(ask.seq), Some(vec![0, 1]));
}

#[test]
fn ballot_hash_has_its_bytes() {
    let all = hearth_protocol::hash::labelled("hearth ballot v1", &[&[6; 32], &[7; 16]]);
    assert_eq!(ballot_hash(&Digest([6; 32]), &[7; 16]), all[..16]);
}

#[test]
fn hidden_poll_ignores_answers_in_room() {
    let (mut log, mut reader, ask) = hidden();
    log.answers(votes(1)[0].member, ask, Some(0));
    assert_eq!(reader.reads(&log), [ignored(Why::NotInTheRoom)]);
    assert_eq!(reader.floor.totals(ask.seq), None);
}

/// Words that answer a private question in the room are words, and no answer.
#[test]
fn private_question_ignores_answers_in_room() {
    let (mut log, mut reader, _) = hidden();
    let ask = log.asks(FAY, Form::Private);
    reader.reads(&log);
    log.answers(votes(1)[0].member, ask, None);
    assert_eq!(reader.reads(&log), [ignored(Why::NotInTheRoom)]);
}

#[test]
fn few_ballots_are_not_published() {
    let (log, reader, ask) = hidden();
    assert_eq!(ballots(&ask.digest, &votes(4)), None);
    let closes = |ballots: Option<Vec<Ballot>>| {
        let (mut log, mut reader) = (log.clone(), reader.clone());
        log.closes(FAY, ask, ballots);
        let changes = reader.reads(&log);
        (outcome(&changes).clone(), changes[0].is_alarm())
    };
    let good = ballots(&ask.digest, &votes(7)).unwrap();
    assert_eq!(closes(None), (Outcome::Unpublished, false));
    assert_eq!(closes(Some(good.clone())), (Outcome::Totals(vec![4, 3]), false));
    // The facilitator votes, too: one for each of eight.
    let all = ballots(&ask.digest, &votes(8));
    assert_eq!(closes(all), (Outcome::Totals(vec![4, 4]), false));
    let mut twice = good.clone();
    twice[1] = twice[0];
    let mut unsorted = good.clone();
    unsorted.swap(2, 3);
    let mut other = good.clone();
    other[4].choice = 2;
    let many: Vec<Ballot> = (0..9).map(|n| Ballot { hash: [n; 16], choice: 0 }).collect();
    for (bad, flaw) in [
        (good[..4].to_vec(), Flaw::TooFew),
        (twice, Flaw::Order),
        (unsorted, Flaw::Order),
        (other, Flaw::Choice),
        (many, Flaw::TooMany),
    ] {
        assert_eq!(closes(Some(bad)), (Outcome::Flawed(flaw), true));
    }
}

#[test]
fn left_out_ballot_alarms_its_voter() {
    let (_, _, ask) = hidden();
    let (all, ask) = (votes(6), ask.digest);
    let me = all[2];
    let published = ballots(&ask, &all).unwrap();
    let mine = |ballots: &[Ballot]| audit(&ask, CLOSED, Some(ballots), &[me], 7);
    assert_eq!(mine(&published), []);
    let without: Vec<Vote> = all.iter().filter(|vote| vote.member != me.member).copied().collect();
    let without = ballots(&ask, &without).unwrap();
    assert_eq!(mine(&without), [Doubt::LeftOut(me.member)]);
    assert!(Doubt::LeftOut(me.member).is_alarm());
    let mut altered = published;
    let own = altered.iter_mut().find(|b| b.hash == ballot_hash(&ask, &me.salt)).unwrap();
    own.choice = 1 - own.choice;
    assert_eq!(mine(&altered), [Doubt::Altered(me.member)]);
    // A vote of the last minute may have missed the Close.
    let late = Vote { at: Millis(CLOSED.0 - 59_999), ..me };
    assert_eq!(audit(&ask, CLOSED, Some(&without), &[late], 7), [Doubt::Late(me.member)]);
    assert!(!Doubt::Late(me.member).is_alarm());
    let in_time = Vote { at: Millis(CLOSED.0 - 60_000), ..me };
    assert_eq!(audit(&ask, CLOSED, Some(&without), &[in_time], 7), [Doubt::LeftOut(me.member)]);
}

#[test]
fn stuffed_poll_alarms_moderators() {
    let (_, _, ask) = hidden();
    let (all, ask) = (votes(6), ask.digest);
    let published = ballots(&ask, &all).unwrap();
    // Gil sits in all lanes, or in all but one.
    assert_eq!(audit(&ask, CLOSED, Some(&published), &all[..4], 0), [Doubt::Stuffed(2)]);
    assert_eq!(audit(&ask, CLOSED, Some(&published), &all[..4], 1), [Doubt::Stuffed(1)]);
    assert_eq!(audit(&ask, CLOSED, Some(&published), &all[..4], 2), []);
    assert!(Doubt::Stuffed(1).is_alarm());
    // The voter's earlier vote stays in place of a late one, so the ballot is not forged.
    let mut known = all.clone();
    known[0] = Vote { salt: [99; 16], at: CLOSED, ..known[0] };
    assert_eq!(audit(&ask, CLOSED, Some(&published), &known, 0), [Doubt::Late(known[0].member)]);
    assert_eq!(audit(&ask, CLOSED, None, &all, 0), [Doubt::Withheld]);
    assert_eq!(audit(&ask, CLOSED, None, &all[..4], 2), []);
}
