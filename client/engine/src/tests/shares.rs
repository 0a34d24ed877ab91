//! Anonymous shares by the verbs of honest members.

use hearth_protocol::{MemberKey, codec};

use super::{
    lanes::Line,
    world::{BEN, CLEO, FAY, MAL, World, removal},
    *,
};
use crate::{
    EngineError,
    content::{Body, Envelope},
    policy::RuleError,
    private::{Private, Seen, SeenState},
    share::{
        APART_MILLIS, DELAY_MAX_MILLIS, DELAY_MIN_MILLIS, STALE_MILLIS, Share, Shown, Stage,
        apart_from, due_at, shared_text,
    },
    state::{Notice, OutgoingKind, Standing},
    turns::FloorError,
};

const MINUTE: u64 = 60_000;

/// A room with two who moderate and six who do not, and the lanes of some.
struct Circle {
    world: World,
    lines: Vec<Line>,
    now: Millis,
}

impl Circle {
    /// Fay is on duty; Ben and Mal are among the six, each with a lane.
    fn new() -> Self {
        Self::with(&["Dee", "Eli", "Hana", "Omar"])
    }

    fn with(more: &[&str]) -> Self {
        let mut world = World::with_lanes();
        for name in more {
            world.show();
            let room = join(&mut world.rooms[FAY], &mut world.log, name);
            world.rooms.push(room);
        }
        world.show();
        let lines = [BEN, MAL].map(|owner| world.open(FAY, owner, &[CLEO, owner])).into();
        let mut circle = Self { world, lines, now: NOW };
        circle.passes(1);
        circle.world.rooms[FAY].queue_duty(circle.now.plus(90 * MINUTE), circle.now).unwrap();
        circle.flush(FAY);
        circle
    }

    /// Lets minutes pass on all clocks.
    fn passes(&mut self, minutes: u64) {
        self.now = self.now.plus(minutes * MINUTE);
        let ahead = i64::try_from(self.now.0 - NOW.0).unwrap();
        for room in &mut self.world.rooms {
            set_clock(room, ahead);
        }
        let later = self.now.0 - NOW.0;
        self.world.log.later = later;
        self.lines.iter_mut().for_each(|line| line.log.later = later);
    }

    /// Sends what waits in the room.
    fn flush(&mut self, who: usize) {
        self.world.log.flush(&mut self.world.rooms[who]);
        self.world.show();
    }

    /// Says something in a lane, at the present time.
    fn private(&mut self, line: usize, who: usize, what: Private) -> MessageId {
        let now = self.now;
        let head = Some(self.world.head());
        let line = &mut self.lines[line];
        let id = line.at(who).queue_private(what, now).unwrap();
        while let Some(submission) =
            line.at(who).next(head, &std::collections::BTreeSet::new(), now).unwrap()
        {
            line.take(submission);
        }
        id
    }

    fn anon(&mut self, line: usize, words: &str) -> MessageId {
        let owner = [BEN, MAL][line];
        self.private(line, owner, Private::Anon(shared_text(words)))
    }

    fn queue(&mut self, who: usize) -> Vec<(Share, Shown)> {
        self.world.rooms[who].open_shares().unwrap()
    }

    fn release(&mut self, who: usize, share: &Share) {
        let yes = self.world.rooms[who].release_share(share.lane, &share.message).unwrap();
        let line = self.lines.iter().position(|line| line.id == share.lane).unwrap();
        self.private(line, who, yes);
    }

    /// Lets a moderator's client do what is due; returns whether anything went out.
    fn step(&mut self, who: usize) -> bool {
        let step = self.world.rooms[who].step_shares(self.now, self.now).unwrap();
        self.flush(who);
        step.queued
    }

    fn shared(&self, who: usize) -> Vec<String> {
        let all = rows(&self.world.rooms[who]).into_iter();
        all.filter_map(|row| match row.content {
            RowContent::Shared(text) => Some(text),
            _ => None,
        })
        .collect()
    }

    fn restart(&mut self, who: usize) {
        let (store, crypto, name) = self.world.rooms[who].parts();
        self.world.rooms[who] = Room::open(store, crypto, &name).unwrap();
    }
}

#[test]
fn share_shows_once_over_restarts() {
    let mut circle = Circle::new();
    circle.anon(0, "  I have started to drink again. \n");
    let [(share, Shown::Waits)] = &circle.queue(FAY)[..] else { panic!("one waits") };
    assert_eq!((share.author, share.name.as_str()), (circle.world.key(BEN), "Ben"));
    let share = share.clone();
    circle.release(FAY, &share);
    let [(_, Shown::Planned(due))] = circle.queue(FAY)[..] else { panic!("it is planned") };
    let delay = due.0 - circle.now.0;
    assert!((DELAY_MIN_MILLIS..=DELAY_MAX_MILLIS).contains(&delay), "{delay}");
    assert!(!circle.step(FAY), "not before its time");
    circle.restart(FAY);
    circle.passes(31);
    assert!(circle.step(FAY));
    circle.restart(FAY);
    assert!(!circle.step(FAY), "once");
    circle.passes(50);
    assert!(!circle.step(FAY) && !circle.step(CLEO));
    for who in [FAY, CLEO, BEN, MAL, 7] {
        assert_eq!(circle.shared(who), ["I have started to drink again."], "{who}");
    }
    let [(_, Shown::Here)] = &circle.queue(FAY)[..] else { panic!("it was shown") };
    assert!(matches!(
        circle.world.rooms[FAY].release_share(share.lane, &share.message),
        Err(EngineError::NoShare)
    ));
}

/// The process ends between putting the share into the outbox and sending it.
#[test]
fn killed_releaser_neither_loses_nor_doubles() {
    let mut circle = Circle::new();
    circle.anon(0, "it is me");
    let share = circle.queue(FAY).remove(0).0;
    // Killed before its yes was in the lane's outbox: nobody said yes.
    circle.world.rooms[FAY].release_share(share.lane, &share.message).unwrap();
    circle.restart(FAY);
    circle.passes(40);
    assert!(!circle.step(FAY));
    assert!(matches!(circle.queue(FAY)[..], [(_, Shown::Waits)]));
    circle.release(FAY, &share);
    circle.passes(31);
    assert!(circle.world.rooms[FAY].step_shares(circle.now, circle.now).unwrap().queued);
    circle.restart(FAY);
    assert!(!circle.step(FAY));
    assert_eq!(circle.shared(MAL), ["it is me"]);
}

#[test]
fn share_among_five_is_refused() {
    let mut circle = Circle::with(&["Dee", "Eli", "Hana"]);
    let refused = circle.world.rooms[BEN].check_share();
    assert!(matches!(refused, Err(EngineError::TooFewWriters(5))), "{refused:?}");
    circle.anon(0, "written by a modified client");
    let share = circle.queue(FAY).remove(0).0;
    let refused = circle.world.rooms[FAY].release_share(share.lane, &share.message);
    assert!(matches!(refused, Err(EngineError::TooFewWriters(5))), "{refused:?}");
    // The sixth came after it was written, so all know that it was not them.
    circle.passes(1);
    let (fay, log) = (&mut circle.world.rooms[FAY], &mut circle.world.log);
    let omar = join(fay, log, "Omar");
    circle.world.rooms.push(omar);
    circle.passes(0);
    circle.world.show();
    circle.world.rooms[BEN].check_share().unwrap();
    let refused = circle.world.rooms[FAY].release_share(share.lane, &share.message);
    assert!(matches!(refused, Err(EngineError::TooFewWriters(5))), "{refused:?}");
}

/// Six were there at the yes, and one left before it showed.
#[test]
fn share_waits_no_longer_for_six() {
    let mut circle = Circle::new();
    circle.anon(0, "six");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(FAY, &share);
    let omar = circle.world.key(7);
    let gone = circle.world.rooms[FAY].act(removal(omar), circle.now).unwrap();
    circle.world.rooms.truncate(7);
    circle.world.log.take(gone);
    circle.world.show();
    circle.passes(31);
    assert!(!circle.step(FAY));
    assert_eq!(circle.shared(MAL), [""; 0]);
    assert!(matches!(circle.queue(FAY)[..], [(_, Shown::TooFew)]));
    let words = "I would rather talk about it with you.".to_owned();
    let back = Seen { message: share.message, state: SeenState::Closed, words: words.clone() };
    circle.private(0, FAY, Private::Seen(back));
    assert_eq!(circle.queue(FAY), []);
    let mine = circle.lines[0].at(BEN).shares().unwrap().remove(0);
    assert_eq!(mine.stage, Stage::Returned { by: circle.world.key(FAY), words });
}

#[test]
fn share_waits_for_duty() {
    let mut circle = Circle::new();
    circle.anon(0, "at night");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(FAY, &share);
    circle.passes(120);
    assert!(!circle.step(FAY), "nobody is on duty any more");
    let refused = circle.world.rooms[CLEO].release_share(share.lane, &share.message);
    assert!(matches!(refused, Err(EngineError::Floor(FloorError::NobodyOnDuty))), "{refused:?}");
    let until = circle.now.plus(60 * MINUTE);
    circle.world.rooms[CLEO].queue_duty(until, circle.now).unwrap();
    circle.flush(CLEO);
    assert!(circle.step(FAY));
    assert_eq!(circle.shared(MAL), ["at night"]);
}

/// A share that shows while its author writes would be matched by its time.
#[test]
fn authors_own_posts_postpone_a_share() {
    let mut circle = Circle::new();
    circle.anon(0, "not now");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(FAY, &share);
    circle.passes(31);
    circle.world.rooms[BEN].queue_text("good evening".into(), circle.now).unwrap();
    circle.flush(BEN);
    let posted = circle.now;
    let step = circle.world.rooms[FAY].step_shares(circle.now, circle.now).unwrap();
    assert_eq!((step.queued, step.next), (false, Some(posted.plus(APART_MILLIS))));
    circle.world.rooms[MAL].queue_text("hello".into(), circle.now).unwrap();
    circle.flush(MAL);
    circle.passes(10);
    assert!(circle.step(FAY), "what others write does not count");
}

/// Ben takes it back after it showed; the room reads what it would read if Fay had retracted a message of hers.
#[test]
fn recall_names_nobody() {
    let mut circle = Circle::new();
    let id = circle.anon(0, "too much");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(FAY, &share);
    circle.passes(31);
    assert!(circle.step(FAY));
    assert_eq!(
        circle.lines[0].at(BEN).shares().unwrap().last().map(|share| share.message),
        Some(id)
    );
    circle.private(0, BEN, Private::Recall(id));
    assert!(circle.step(FAY));
    // And one that Fay retracts as her own.
    let other = circle.world.rooms[FAY].queue_text("too loud".into(), circle.now).unwrap();
    circle.flush(FAY);
    let own = circle.world.rooms[FAY].own_message(&other).unwrap().seq;
    circle.world.rooms[FAY].queue_own_retraction(own, circle.now).unwrap();
    circle.flush(FAY);
    for who in [FAY, CLEO, BEN, MAL] {
        let all = rows(&circle.world.rooms[who]).into_iter();
        let seen: Vec<(Option<MemberKey>, String, RowContent)> = all
            .filter(|row| row.id.is_some())
            .map(|row| (row.from, row.name, row.content))
            .filter(|(.., content)| {
                matches!(content, RowContent::Tombstone { .. } | RowContent::Retraction(_))
            })
            .map(|(from, name, content)| match content {
                RowContent::Retraction(_) => (from, name, RowContent::Retraction(id)),
                content => (from, name, content),
            })
            .collect();
        let [share, recall, text, retraction] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!((share, recall), (text, retraction), "{who}");
    }
    assert!(!circle.step(FAY), "and it does not come again");
}

#[test]
fn recalled_share_never_shows() {
    let mut circle = Circle::new();
    let id = circle.anon(0, "on second thought");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(FAY, &share);
    circle.private(0, BEN, Private::Recall(id));
    circle.passes(31);
    assert!(!circle.step(FAY));
    // In the outbox, and not sent yet: it never leaves.
    let id = circle.anon(1, "nor this");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(FAY, &share);
    circle.passes(31);
    assert!(circle.world.rooms[FAY].step_shares(circle.now, circle.now).unwrap().queued);
    circle.private(1, MAL, Private::Recall(id));
    assert!(!circle.world.rooms[FAY].step_shares(circle.now, circle.now).unwrap().queued);
    circle.flush(FAY);
    assert_eq!(circle.shared(CLEO), [""; 0]);
    assert_eq!(circle.queue(FAY), []);
}

/// Ben's client takes back what Mal wrote.
#[test]
fn recall_of_anothers_share_changes_nothing() {
    let mut circle = Circle::new();
    let id = circle.anon(1, "mine");
    circle.private(0, BEN, Private::Recall(id));
    assert!(matches!(circle.queue(FAY)[..], [(_, Shown::Waits)]));
}

/// Both moderators say yes; the lane's log has one order, so one of them shows it.
#[test]
fn two_releasers_show_one_share() {
    let mut circle = Circle::new();
    circle.anon(0, "once");
    let share = circle.queue(FAY).remove(0).0;
    let first = circle.world.rooms[CLEO].release_share(share.lane, &share.message).unwrap();
    let second = circle.world.rooms[FAY].release_share(share.lane, &share.message).unwrap();
    circle.private(0, FAY, second);
    circle.private(0, CLEO, first);
    assert!(matches!(
        circle.world.rooms[FAY].release_share(share.lane, &share.message),
        Err(EngineError::NoShare)
    ));
    circle.passes(31);
    assert_eq!((circle.step(FAY), circle.step(CLEO)), (false, true));
    assert_eq!(circle.shared(MAL), ["once"]);
}

/// The releaser's device is gone; an hour later the other moderator may go on.
#[test]
fn stale_release_passes_to_another() {
    let mut circle = Circle::new();
    circle.anon(0, "please");
    let share = circle.queue(FAY).remove(0).0;
    circle.release(CLEO, &share);
    let cleo = circle.world.key(CLEO);
    assert!(matches!(circle.queue(FAY)[..], [(_, Shown::Elsewhere(by))] if by == cleo));
    circle.passes(STALE_MILLIS / MINUTE);
    circle.release(FAY, &share);
    circle.passes(29);
    circle.world.rooms[FAY].queue_duty(circle.now.plus(MINUTE), circle.now).unwrap();
    circle.flush(FAY);
    circle.passes(0);
    assert!(!circle.step(CLEO), "hers is over");
}

#[test]
fn member_releases_nothing() {
    let mut circle = Circle::new();
    circle.anon(0, "mine alone");
    let share = circle.queue(BEN).remove(0).0;
    let refused = circle.world.rooms[BEN].release_share(share.lane, &share.message);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))), "{refused:?}");
    assert_eq!(circle.queue(MAL), [], "a peer knows of none");
    let mut lane = circle.world.rooms[BEN].lane(circle.lines[0].id).unwrap().unwrap();
    let yes = Seen { message: share.message, state: SeenState::Resolved, words: String::new() };
    let refused = lane.queue_private(Private::Seen(yes), circle.now);
    assert!(matches!(refused, Err(EngineError::NotForLane)), "{refused:?}");
}

/// T38: what the room gets of a share is the same whoever wrote it, but for ids, counter and times.
#[test]
fn share_carries_nothing_of_its_author() {
    let envelope = |line: usize, words: &str| {
        let mut circle = Circle::new();
        circle.anon(line, words);
        let share = circle.queue(FAY).remove(0).0;
        circle.release(FAY, &share);
        circle.passes(31);
        assert!(circle.world.rooms[FAY].step_shares(circle.now, circle.now).unwrap().queued);
        let waiting = circle.world.rooms[FAY].outgoing().unwrap().remove(0).1;
        assert_eq!(waiting.effects, []);
        let OutgoingKind::Message { body, .. } = waiting.what else { panic!("a message") };
        let envelope = Envelope {
            format: 2,
            id: MessageId([0; 16]),
            counter: 1,
            seen: None,
            sent_at: Millis(0),
            body,
            salt: [0; 16],
        };
        envelope.to_padded().unwrap()
    };
    // The same words from another keyboard: letters with combining marks, and a space at the end.
    assert_eq!(
        envelope(0, "I can't stay at the caf\u{e9}"),
        envelope(1, " I can't stay at the cafe\u{301}\n")
    );
}

#[test]
fn unacceptable_share_is_named() {
    let mut circle = Circle::new();
    // A member whose client shows words through itself.
    circle.world.rooms[MAL].queue(Body::Shared("invented".into()), Vec::new(), NOW).unwrap();
    assert!(circle.world.rooms[MAL].next_submission().unwrap().is_none(), "an honest client");
    assert_eq!(circle.shared(MAL), [""; 0]);
    assert_eq!(circle.world.rooms[MAL].state().standing, Standing::Member);
}

#[test]
fn delays_are_within_bounds() {
    let delay = |random| due_at(NOW, random).0 - NOW.0;
    assert_eq!(delay(0), DELAY_MIN_MILLIS);
    assert_eq!(delay(DELAY_MAX_MILLIS - DELAY_MIN_MILLIS), DELAY_MAX_MILLIS);
    assert_eq!(delay(DELAY_MAX_MILLIS - DELAY_MIN_MILLIS + 1), DELAY_MIN_MILLIS);
    assert!((DELAY_MIN_MILLIS..=DELAY_MAX_MILLIS).contains(&delay(u64::MAX)));
    assert_eq!(apart_from(NOW, None), NOW);
    assert_eq!(apart_from(NOW, Some(NOW)), NOW.plus(APART_MILLIS));
    assert_eq!(shared_text(" cafe\u{301}\n"), "caf\u{e9}");
    let encoded = codec::encode(&Body::Shared("x".into()));
    assert_eq!(encoded, [0x82, 12, 0x81, 0x61, b'x']);
}

/// Mal's client says in the own lane what only those who moderate can say: nobody takes it, and all who read it learn whose it was.
#[test]
fn member_answers_no_share() {
    let mut circle = Circle::new();
    let id = circle.anon(1, "share this");
    let mal = circle.world.key(MAL);
    for forged in [
        Private::Seen(Seen { message: id, state: SeenState::Resolved, words: String::new() }),
        Private::Seen(Seen { message: id, state: SeenState::Closed, words: "no".into() }),
        Private::Note { about: None, text: "all is well".into() },
    ] {
        let (head, now) = (Some(circle.world.head()), circle.now);
        let line = &mut circle.lines[1];
        line.at(MAL).room_mut().queue_body(forged.into(), now).unwrap();
        let submission = line.at(MAL).next(head, &std::collections::BTreeSet::new(), now).unwrap();
        line.take(submission.unwrap());
        for who in [FAY, CLEO] {
            let row = line.at(who).room().history(Seq(0), 1_000).unwrap().pop().unwrap();
            assert_eq!((row.from, &row.notices[..]), (Some(mal), &[Notice::Unreadable][..]));
            assert_eq!(row.content, RowContent::Nothing);
        }
    }
    assert!(matches!(circle.queue(FAY)[..], [(_, Shown::Waits)]));
    assert_eq!(circle.world.rooms[FAY].desk_notes().unwrap(), []);
}
