//! What follows a pause, a removal's words, and whose turn goes by during a break.

use super::{world::*, *};
use crate::{
    block::{Block, Stop},
    mine::Setting,
    policy::Act,
    state::{Held, RowContent, Standing},
    turns::Order,
};

const MINUTE: u64 = 60_000;

fn pause(reopens: bool) -> Act {
    Act::Pause { until: NOW.plus(MINUTE), comment: "We breathe.".into(), reopens }
}

/// Sends what somebody has queued, and delivers it to every member.
fn flush(world: &mut World, who: usize) {
    world.log.flush(&mut world.rooms[who]);
    world.show();
}

/// Returns what stops Ben at a time.
fn stop(world: &mut World, at: Millis) -> Option<Block> {
    world.rooms[BEN].block(at).unwrap()
}

#[test]
fn unattended_pause_keeps_the_room_closed() {
    let after = NOW.plus(2 * MINUTE);
    let mut world = World::new();
    world.act(FAY, pause(true));
    assert_eq!(stop(&mut world, after), None, "it reopens");
    world.act(FAY, pause(false));
    let closed = Some(Block { why: Stop::Unattended, until: None });
    assert_eq!(stop(&mut world, after), closed);
    assert_eq!(world.rooms[CLEO].block(after).unwrap(), None, "those who moderate write");
    world.act(FAY, Act::Resume);
    assert_eq!(stop(&mut world, after), None);
    // A moderator who opens the door is there.
    world.act(FAY, pause(false));
    world.act(FAY, Act::Door(hearth_protocol::frame::Door::Open));
    assert_eq!(stop(&mut world, after), None);
}

#[test]
fn later_duty_opens_the_room() {
    let after = NOW.plus(2 * MINUTE);
    let mut world = World::new();
    world.act(FAY, pause(false));
    let duty = |world: &mut World, until| {
        world.rooms[FAY].queue_duty(until, NOW).unwrap();
        flush(world, FAY);
    };
    duty(&mut world, NOW.plus(MINUTE / 2));
    assert_eq!(stop(&mut world, after).map(|block| block.why), Some(Stop::Unattended));
    duty(&mut world, NOW.plus(10 * MINUTE));
    assert_eq!(stop(&mut world, after), None);
}

#[test]
fn unattended_words_wait_with_author() {
    let mut world = World::with_clocks([0; 4]);
    world.act(FAY, pause(false));
    // The relay's time is past the pause.
    world.log.later = 2 * MINUTE;
    world.say(FAY, "Is anybody here?");
    let id = world.rooms[BEN].queue_text("I am".into(), NOW).unwrap();
    assert!(world.rooms[BEN].next_submission().unwrap().is_none());
    assert_eq!(world.rooms[BEN].held_texts().unwrap(), [(id, Held::Unattended)]);
}

#[test]
fn removal_is_read_with_its_words() {
    let mut world = World::new();
    let mal = world.key(MAL);
    // Words of somebody who removes nobody are not shown.
    world.rooms[CLEO].queue_last_words(mal, "Not mine", NOW).unwrap();
    flush(&mut world, CLEO);
    world.rooms[FAY].queue_last_words(mal, "I call you tomorrow.", NOW).unwrap();
    flush(&mut world, FAY);
    world.act(FAY, Act::Remove { member: mal, goodbye: "We wish you well.".into() });
    assert_eq!(world.rooms[MAL].state.standing, Standing::Removed);
    let rows = world.rooms[MAL].history(Seq(0), usize::MAX).unwrap();
    let mine = rows.iter().find_map(|row| match &row.content {
        RowContent::MyRemoval { words, goodbye } => Some((words.as_str(), goodbye.as_str())),
        _ => None,
    });
    assert_eq!(mine, Some(("I call you tomorrow.", "We wish you well.")));
    let rows = world.rooms[BEN].history(Seq(0), usize::MAX).unwrap();
    assert!(!format!("{rows:?}").contains("tomorrow"));
    // Whoever does that is on duty for an hour.
    let duty = world.rooms[BEN].on_duty().unwrap();
    assert_eq!(duty.iter().map(|duty| duty.member).collect::<Vec<_>>(), [world.key(FAY)]);
}

#[test]
fn break_leaves_no_gap() {
    let mut world = World::new();
    let (ben, until) = (world.key(BEN), NOW.plus(10 * MINUTE));
    let time_out = world.rooms[FAY].queue_time_out(ben, until, "Breathe.".into(), NOW).unwrap();
    flush(&mut world, FAY);
    let submission = world.rooms[FAY].time_out(&time_out, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let order = world.rooms[FAY].turn_order(Order::Roster).unwrap();
    assert!(order.contains(&ben));
    let mal = world.key(MAL);
    world.rooms[FAY].queue_round(vec![ben, mal], String::new(), 0, until, NOW).unwrap();
    flush(&mut world, FAY);
    world.rooms[FAY].pass_for_break().unwrap();
    flush(&mut world, FAY);
    assert_eq!(world.rooms[MAL].floor().unwrap().holder(), Some(world.key(MAL)));
    // Nothing goes on by itself from who can speak.
    world.rooms[FAY].pass_for_break().unwrap();
    assert!(world.rooms[FAY].next_submission().unwrap().is_none());
}

#[test]
fn sitting_counts_its_own_words() {
    let mut world = World::new();
    let (ben, mal) = (world.key(BEN), world.key(MAL));
    world.say(BEN, "one two three");
    let order = |world: &mut World| world.rooms[FAY].turn_order(Order::Quiet).unwrap();
    assert_eq!(order(&mut world), [mal, ben]);
    let last = world.rooms[FAY].history_back(Seq(u64::MAX), 1).unwrap()[0].place;
    world.rooms[FAY].set(Setting::Sitting(Some(last))).unwrap();
    world.say(MAL, "one");
    assert_eq!(order(&mut world), [ben, mal], "words before it do not count");
    world.rooms[FAY].set(Setting::Sitting(None)).unwrap();
    assert_eq!(order(&mut world), [mal, ben]);
}
