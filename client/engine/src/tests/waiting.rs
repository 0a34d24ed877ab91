//! What waits in the outbox while rules change, the relay refuses, or its store goes back.

use std::collections::BTreeSet;

use hearth_protocol::{
    RejectCode, StreamId,
    frame::Door,
    hours::{Hours, Offset, Window},
};

use super::{world::*, *};
use crate::{
    EngineError,
    block::{Block, Stop},
    policy::{Act, Category},
    state::{Held, Notice},
};

const TOO_LONG: Held = Held::Refused(RejectCode::TooLong);
const LONG: &str = "longer than five";

fn queue(world: &mut World, who: usize, text: &str) -> MessageId {
    world.rooms[who].queue_text(text.into(), NOW).unwrap()
}

fn held(world: &World, who: usize) -> Vec<(MessageId, Held)> {
    world.rooms[who].held_texts().unwrap()
}

/// A text that a rule forbade does not go out when the rule is lifted, and stops no text behind it.
#[test]
fn overlong_text_waits_for_its_author() {
    let mut world = World::new();
    let first = queue(&mut world, BEN, LONG);
    queue(&mut world, BEN, "Hi");
    let second = queue(&mut world, BEN, "also longer than five");
    queue(&mut world, BEN, "Well");
    world.act(FAY, Act::Length(5));
    assert_eq!(held(&world, BEN), [(first, TOO_LONG), (second, TOO_LONG)]);
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    assert_eq!(texts(&world.rooms[FAY]), ["Hi", "Well"]);
    let refused = world.rooms[BEN].release(&first, NOW);
    assert!(matches!(refused, Err(EngineError::TooLong { chars: 16, max: 5 })), "{refused:?}");
    for chars in [0, 5, 0] {
        world.act(FAY, Act::Length(chars));
        assert!(world.rooms[BEN].next_submission().unwrap().is_none(), "a limit of {chars}");
    }
    world.rooms[BEN].release(&first, NOW).unwrap().unwrap();
    assert!(world.rooms[BEN].drop_waiting(&second).unwrap());
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    assert_eq!(texts(&world.rooms[FAY]), ["Hi", "Well", LONG]);
    assert_eq!(last_row(&world.rooms[FAY]).notices, []);
}

/// A rule that came and went while its author was away holds a text all the same: what was meant for an hour ago may not fit now.
#[test]
fn rule_lifted_unseen_holds_text() {
    let mut world = World::new();
    let id = queue(&mut world, BEN, LONG);
    for chars in [5, 0] {
        let submission = world.rooms[FAY].act(Act::Length(chars), NOW).unwrap();
        world.log.take(submission);
        world.log.show(&mut world.rooms[FAY]);
    }
    world.show();
    assert_eq!(held(&world, BEN), [(id, TOO_LONG)]);
    assert!(world.rooms[BEN].next_submission().unwrap().is_none());
}

/// The limit does not hold for those who moderate, until they no longer do.
#[test]
fn former_moderators_overlong_text_is_held() {
    let mut world = World::new();
    world.act(FAY, Act::Length(5));
    let id = queue(&mut world, CLEO, LONG);
    assert_eq!(held(&world, CLEO), []);
    let act = Act::SetRole { member: world.key(CLEO), role: Role::Member };
    world.act(FAY, act);
    assert_eq!(held(&world, CLEO), [(id, TOO_LONG)]);
}

/// The rule came while the text was under way: the relay, which has not got it, decides, and the number is used again.
#[test]
fn encrypted_overlong_text_is_held() {
    let mut world = World::new();
    world.say(BEN, "one");
    let id = queue(&mut world, BEN, LONG);
    let number = world.rooms[BEN].next_submission().unwrap().unwrap().number;
    world.act(FAY, Act::Length(5));
    assert_eq!(held(&world, BEN), [], "it may be in the room");
    assert!(!world.rooms[BEN].epoch_conflict(number).unwrap());
    assert_eq!(held(&world, BEN), [(id, TOO_LONG)]);
    world.act(FAY, Act::Length(0));
    world.say(BEN, "two");
    assert_eq!(last_row(&world.rooms[FAY]).notices, []);
    assert_eq!(texts(&world.rooms[FAY]), ["one", "two"]);
}

/// An overlong text goes back to its author.
#[test]
fn overlong_text_returns_to_its_writer() {
    let mut world = World::new();
    let id = queue(&mut world, BEN, LONG);
    assert_eq!(world.rooms[BEN].take_overlong(&id).unwrap(), None);
    world.act(FAY, Act::Length(5));
    assert_eq!(world.rooms[BEN].take_overlong(&id).unwrap().as_deref(), Some(LONG));
    assert!(world.rooms[BEN].waiting_texts().unwrap().is_empty());
}

/// The relay refuses a text for now: texts keep their order behind it, an invite does not wait for them.
#[test]
fn refused_text_stops_texts_alone() {
    let mut world = World::new();
    queue(&mut world, CLEO, "first");
    queue(&mut world, CLEO, "second");
    let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
    let cleo = &mut world.rooms[CLEO];
    cleo.invite(terms, NOW).unwrap();
    let first = cleo.next_submission().unwrap().unwrap();
    cleo.refused_for_now(first.number).unwrap();
    let mut refused = BTreeSet::from([first.number]);
    let invite = cleo.next_beside(&refused).unwrap().unwrap();
    assert_eq!(invite.effects.len(), 1);
    // The connection breaks: its number is used, so it goes first.
    assert_eq!(cleo.next_submission().unwrap().unwrap().payload, invite.payload);
    refused.insert(invite.number);
    assert!(cleo.next_beside(&refused).unwrap().is_none());
    world.log.flush(&mut world.rooms[CLEO]);
    world.show();
    assert_eq!(texts(&world.rooms[FAY]), ["first", "second"]);
    assert!(rows(&world.rooms[FAY]).iter().all(|row| row.notices.is_empty()));
}

/// The relay took a text, and says that its id is another's. Its author reads it in the room, and not as somebody else's doing.
#[test]
fn forged_conflict_hides_no_message() {
    let mut world = World::new();
    queue(&mut world, BEN, "mine");
    let taken = world.rooms[BEN].next_submission().unwrap().unwrap();
    assert!(world.rooms[BEN].hold(taken.number, RejectCode::IdConflict).unwrap());
    assert_eq!(held(&world, BEN).len(), 1);
    assert!(world.rooms[BEN].next_submission().unwrap().is_none());
    let seq = world.log.append(taken.payload);
    world.show();
    let row = world.rooms[BEN].row(seq).unwrap().unwrap();
    assert_eq!((row.content, row.notices), (RowContent::Text("mine".into()), vec![]));
    assert!(world.rooms[BEN].waiting_texts().unwrap().is_empty());
    world.say(BEN, "next");
    assert_eq!(last_row(&world.rooms[FAY]).notices, []);
}

/// Brings every room to a restored relay that has entries up to the given one.
fn restore(world: &mut World, common: Seq) {
    world.log.entries.truncate(usize::try_from(common.0).unwrap());
    for room in &mut world.rooms {
        if room.cursor().seq > common {
            room.adopt_stream(StreamId([9; 16]), common).unwrap();
        }
    }
}

/// The relay took a text, showed it to some, and was restored from a copy without it; its author, who had no answer, sends it again.
#[test]
fn resent_bytes_raise_no_alarm() {
    let mut world = World::new();
    let common = world.say(FAY, "before");
    let common = world.rooms[FAY].own_message(&common).unwrap().seq;
    let id = queue(&mut world, BEN, "once");
    let sent = world.rooms[BEN].next_submission().unwrap().unwrap();
    world.log.append(sent.payload.clone());
    for who in [FAY, CLEO] {
        world.log.show(&mut world.rooms[who]);
    }
    restore(&mut world, common);
    world.say(MAL, "between");
    let seq = world.log.append(sent.payload.clone());
    world.show();
    for who in [FAY, CLEO] {
        let row = last_row(&world.rooms[who]);
        assert_eq!((row.from, row.notices), (Some(world.key(BEN)), vec![Notice::Duplicate]));
        assert_eq!(texts(&world.rooms[who]), ["before", "once", "between"]);
    }
    // A member who had not read it reads it now.
    assert_eq!(texts(&world.rooms[MAL]), ["before", "between", "once"]);
    // Its first copy has the seq at which the relay has it now.
    let shown = world.rooms[CLEO].find_message(&id.to_hex()).unwrap();
    assert_eq!(world.rooms[CLEO].present_seq(&shown).unwrap(), Some(seq));
    world.act(CLEO, Act::Retract { message: id, seq, category: Category::Conduct });
    for who in [FAY, CLEO, MAL] {
        let row = world.rooms[who].find_message(&id.to_hex()).unwrap();
        assert!(matches!(row.content, RowContent::Tombstone { by: Some(_), .. }), "{row:?}");
    }
}

/// Its author takes a text back that came twice.
#[test]
fn resent_text_is_taken_back() {
    let mut world = World::new();
    let common = Seq(world.log.entries.len() as u64);
    let id = queue(&mut world, BEN, "once");
    let sent = world.rooms[BEN].next_submission().unwrap().unwrap();
    world.log.append(sent.payload.clone());
    world.log.show(&mut world.rooms[FAY]);
    restore(&mut world, common);
    world.say(MAL, "between");
    let seq = world.log.append(sent.payload);
    world.show();
    world.rooms[BEN].queue_own_retraction(seq, NOW).unwrap();
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    assert_eq!(last_row(&world.rooms[FAY]).notices, []);
    let row = world.rooms[FAY].find_message(&id.to_hex()).unwrap();
    assert_eq!(row.content, RowContent::Tombstone { by: Some(world.key(BEN)), category: None });
}

/// A relay that repeats bytes which it has, or repeats them once more, is noticed as before.
#[test]
fn replay_after_restore_is_noticed() {
    let mut world = World::new();
    world.say(BEN, "kept");
    let kept = world.log.entries.last().unwrap().content.clone();
    let common = world.rooms[FAY].cursor().seq;
    let EntryContent::Payload(kept) = kept else { unreachable!("it was posted") };
    world.say(BEN, "lost");
    let EntryContent::Payload(lost) = world.log.entries.last().unwrap().content.clone() else {
        unreachable!("it was posted")
    };
    restore(&mut world, common);
    world.say(MAL, "between");
    for (payload, notice) in
        [(kept, Notice::Unreadable), (lost.clone(), Notice::Duplicate), (lost, Notice::Unreadable)]
    {
        world.log.append(payload);
        world.log.show(&mut world.rooms[FAY]);
        assert_eq!(last_row(&world.rooms[FAY]).notices, [notice]);
    }
}

/// A commit that all refused uses an epoch up when it is sent again, too.
#[test]
fn resent_refused_commit_is_no_duplicate() {
    let mut world = World::new();
    let common = world.rooms[FAY].cursor().seq;
    let act = Act::Lock(true);
    let forged = world.forged_act(MAL, act);
    world.log.append(forged.clone());
    world.log.show(&mut world.rooms[FAY]);
    assert!(world.rooms[FAY].saw_epoch_used_up().unwrap());
    restore(&mut world, common);
    world.rooms[FAY].go_on().unwrap();
    world.log.append(forged);
    world.log.show(&mut world.rooms[FAY]);
    assert_eq!(last_row(&world.rooms[FAY]).notices, [Notice::Unreadable]);
    assert!(world.rooms[FAY].saw_epoch_used_up().unwrap());
}

/// What ends after hours or by a person's act: the texts that wait may not fit then, and their order is their author's.
#[test]
fn passing_rule_holds_texts_in_order() {
    let mut world = World::new();
    let said = world.say(BEN, "said");
    let seq = rows(&world.rooms[BEN]).iter().find(|row| row.id == Some(said)).unwrap().seq;
    for code in [
        RejectCode::Paused,
        RejectCode::TimedOut,
        RejectCode::Closed,
        RejectCode::BudgetSpent,
        RejectCode::QuotaSpent,
    ] {
        let why = Held::Refused(code);
        let (first, second) = (queue(&mut world, BEN, "first"), queue(&mut world, BEN, "second"));
        let ben = &mut world.rooms[BEN];
        let number = ben.next_submission().unwrap().unwrap().number;
        assert!(ben.refused(number, code).unwrap());
        assert_eq!(ben.held_texts().unwrap(), [(first, why), (second, why)]);
        // Not a text: it goes out, and its refusal holds nothing.
        ben.queue_own_retraction(seq, NOW).unwrap();
        let retraction = ben.next_submission().unwrap().unwrap();
        assert!(retraction.is_marked);
        assert!(ben.refused(retraction.number, code).unwrap());
        assert_eq!(ben.held_texts().unwrap().len(), 2);
        assert_eq!(ben.next_submission().unwrap().unwrap().number, retraction.number);
        ben.hold(retraction.number, RejectCode::NotFound).unwrap();
        assert!(ben.next_submission().unwrap().is_none());
        // Released while the rule holds still: held again, in its place.
        let first = ben.release(&first, NOW).unwrap().unwrap();
        let number = ben.next_submission().unwrap().unwrap().number;
        assert!(ben.refused(number, code).unwrap());
        assert_eq!(ben.held_texts().unwrap(), [(first, why), (second, why)]);
        // Words that are said meanwhile go before them.
        let between = queue(&mut world, BEN, "between");
        world.log.flush(&mut world.rooms[BEN]);
        assert_eq!(held(&world, BEN), [(first, why), (second, why)]);
        assert!(world.rooms[BEN].own_message(&between).is_ok());
        for id in [first, second] {
            world.rooms[BEN].release(&id, NOW).unwrap().unwrap();
        }
        world.log.flush(&mut world.rooms[BEN]);
        world.show();
        let texts = texts(&world.rooms[FAY]);
        assert_eq!(texts[texts.len() - 3..], ["between", "first", "second"], "{code:?}");
        assert_eq!(last_row(&world.rooms[FAY]).notices, []);
    }
}

/// Another stay may be with other people, whatever held a text in this one.
#[test]
fn end_of_stay_outlasts_pause() {
    let mut world = World::new();
    let id = queue(&mut world, BEN, "for those who were here");
    let ben = &mut world.rooms[BEN];
    let number = ben.next_submission().unwrap().unwrap().number;
    assert!(ben.refused(number, RejectCode::Paused).unwrap());
    let act = removal(world.key(BEN));
    world.act(FAY, act);
    assert_eq!(held(&world, BEN), [(id, Held::Out)]);
    assert_eq!(world.rooms[BEN].doubtful_texts().unwrap(), []);
    assert_eq!(world.rooms[BEN].block(NOW).unwrap(), None);
}

/// What is about pace ends within minutes, and asks nobody.
#[test]
fn refusal_of_pace_holds_nothing() {
    let mut world = World::new();
    for code in [RejectCode::SlowMode, RejectCode::RateLimited, RejectCode::StoreUnavailable] {
        queue(&mut world, BEN, "first");
        queue(&mut world, BEN, "second");
        let ben = &mut world.rooms[BEN];
        let number = ben.next_submission().unwrap().unwrap().number;
        assert!(ben.refused(number, code).unwrap());
        assert_eq!(ben.held_texts().unwrap(), []);
        world.log.flush(&mut world.rooms[BEN]);
        world.show();
        let texts = texts(&world.rooms[FAY]);
        assert_eq!(texts[texts.len() - 2..], ["first", "second"], "{code:?}");
    }
}

/// The client says what keeps a member from posting as the relay does: the time-out first, and nothing of those who moderate.
#[test]
fn block_is_the_relays() {
    let mut world = World::new();
    let (soon, later) = (NOW.plus(1_000), NOW.plus(2_000));
    let block = |world: &mut World, who: usize, at| world.rooms[who].block(at).unwrap();
    let until = |why, until| Some(Block { why: Stop::Refused(why), until: Some(until) });
    assert_eq!(block(&mut world, BEN, NOW), None);
    // A minute of Monday; NOW is a Friday.
    let hours = Hours {
        windows: vec![Window { start_minute: 0, end_minute: 1 }],
        offsets: vec![Offset { from: Millis(0), minutes: 0 }],
    };
    let opens = hours.next_opening(NOW);
    world.act(FAY, Act::Hours { text: "evenings".into(), hours: Some(hours) });
    let closed = |until| Some(Block { why: Stop::Refused(RejectCode::Closed), until });
    assert_eq!(block(&mut world, BEN, NOW), closed(opens));
    world.act(FAY, Act::Door(Door::Closed));
    assert_eq!(block(&mut world, BEN, NOW), closed(None));
    world.act(FAY, Act::Pause { until: later, comment: String::new(), reopens: true });
    assert_eq!(block(&mut world, BEN, NOW), until(RejectCode::Paused, later));
    world.rooms[BEN].state.timed_out_until = soon;
    assert_eq!(block(&mut world, BEN, NOW), until(RejectCode::TimedOut, soon));
    assert_eq!(block(&mut world, BEN, soon), until(RejectCode::Paused, later));
    for who in [FAY, CLEO] {
        assert_eq!(block(&mut world, who, NOW), None);
    }
    world.act(FAY, Act::Door(Door::Open));
    assert_eq!(block(&mut world, BEN, later), None);
    let act = Act::SetRole { member: world.key(BEN), role: Role::Observer };
    world.act(FAY, act);
    assert_eq!(block(&mut world, BEN, NOW), None, "a role does not end by itself");
}
