//! What is said in lanes beside texts: from whom each kind counts, and offers that come there.

use hearth_protocol::Digest;

use super::{
    lanes::Line,
    world::{BEN, CLEO, FAY, World},
    *,
};
use crate::{
    EngineError,
    content::Body,
    lane::OFFERS_MAX,
    policy::Category,
    private::{ANSWERS_MAX, Mood, Private, QUOTES_MAX, Quote, Report, Seen, SeenState},
    state::{Notice, RowContent},
};

const TO: MessageId = MessageId([4; 16]);

fn quote() -> Quote {
    Quote {
        seq: Seq(1),
        digest: Digest([1; 32]),
        author: hearth_protocol::MemberKey([2; 32]),
        message: TO,
        salt: [3; 16],
        body: Vec::new(),
    }
}

fn report(quotes: usize) -> Private {
    let quotes = vec![quote(); quotes];
    let category = Category::Conduct;
    Private::Report(Report { quotes, about: Vec::new(), category, words: "It hurt.".into() })
}

/// What an owner says, what a moderator says, and what is said at the desk.
fn kinds() -> [Vec<Private>; 3] {
    let (form, words) = (Digest([5; 32]), "words".to_owned());
    let seen = Seen { message: TO, state: SeenState::Seen, words: words.clone() };
    let owners = vec![
        Private::Anon(words.clone()),
        Private::Recall(TO),
        Private::Mood(Mood { score: 10, words: words.clone() }),
        Private::Answers { form, answers: vec![None; ANSWERS_MAX] },
        report(QUOTES_MAX),
        Private::Flag(words.clone()),
    ];
    [owners, vec![Private::Seen(seen)], vec![Private::Note { about: None, text: words }]]
}

/// Sends what waits, with the renewal that is due before a first word.
fn flush(line: &mut Line, world: &World, who: usize) {
    while let Some(submission) = line.next(world, who) {
        line.take(submission);
    }
}

/// Sends a message as a client without rules would, and returns what the others make of it.
fn forced(line: &mut Line, world: &World, who: usize, body: Body) -> Row {
    line.at(who).room_mut().queue_body(body, NOW).unwrap();
    flush(line, world, who);
    let reader = if who == FAY { BEN.min(CLEO) } else { FAY };
    let reader = if line.lanes[reader].is_some() { reader } else { CLEO };
    line.last(reader)
}

#[test]
fn kinds_count_from_whom_they_fit() {
    let mut world = World::with_lanes();
    let mut lane = world.open(FAY, BEN, &[BEN, CLEO]);
    let desk = world.rooms[FAY].lane_ids().unwrap()[0].0;
    let offer = world.offer(CLEO, desk);
    let opening = world.rooms[FAY].open_lane(desk, &[offer], NOW).unwrap();
    let mut at_desk = Line { id: desk, log: Log::default(), lanes: Vec::new() };
    at_desk.lanes.resize_with(world.rooms.len(), || None);
    at_desk.log.take(opening.submission);
    at_desk.lanes[FAY] = world.rooms[FAY].lane(desk).unwrap();
    at_desk.welcome(&world, CLEO);
    at_desk.show();
    let [owners, moderators, desks] = kinds();
    // Where, who, and the kinds that count from there.
    let none: &[Private] = &[];
    for (is_desk, who, counts) in [
        (false, BEN, [&owners[..], none, none]),
        (false, CLEO, [none, &moderators[..], none]),
        (true, CLEO, [none, &moderators[..], &desks[..]]),
    ] {
        let line = if is_desk { &mut at_desk } else { &mut lane };
        for private in owners.iter().chain(&moderators).chain(&desks) {
            let fits = counts.iter().any(|kinds| kinds.contains(private));
            let queued = line.at(who).queue_private(private.clone(), NOW);
            assert_eq!(queued.is_ok(), fits, "{private:?}");
            if let Err(error) = queued {
                assert!(matches!(error, EngineError::NotForLane), "{error}");
                // A modified client sends it all the same: it changes nothing, and its sender is named.
                let row = forced(line, &world, who, private.clone().into());
                assert_eq!(row.content, RowContent::Nothing, "{private:?}");
                assert_eq!(row.notices, [Notice::Unreadable], "{private:?}");
                assert_eq!(row.from, Some(world.key(who)));
                continue;
            }
            flush(line, &world, who);
            let row = line.last(FAY);
            assert_eq!(row.content, RowContent::Private(Box::new(private.clone())));
            assert!(row.notices.is_empty(), "{row:?}");
        }
    }
}

#[test]
fn numbers_out_of_range_change_nothing() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN, CLEO]);
    let form = Digest([5; 32]);
    for private in [
        Private::Mood(Mood { score: 11, words: String::new() }),
        Private::Answers { form, answers: vec![Some(0); ANSWERS_MAX + 1] },
        report(QUOTES_MAX + 1),
    ] {
        let refused = line.at(BEN).queue_private(private.clone(), NOW);
        assert!(matches!(refused, Err(EngineError::NotForLane)));
        let row = forced(&mut line, &world, BEN, private.into());
        assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Unreadable]));
    }
}

#[test]
fn lane_bodies_mean_nothing_in_rooms() {
    let mut world = World::with_lanes();
    let [owners, moderators, desks] = kinds();
    for private in owners.into_iter().chain(moderators).chain(desks) {
        world.rooms[FAY].queue_body(private.into(), NOW).unwrap();
        world.log.flush(&mut world.rooms[FAY]);
        world.show();
        let row = last_row(&world.rooms[BEN]);
        assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Unreadable]));
    }
}

#[test]
fn offers_in_a_lane_are_kept() {
    let mut world = World::with_lanes();
    let mut line = world.open(FAY, BEN, &[BEN]);
    let cleos = world.lane_of(CLEO);
    let mut offers: Vec<_> = (0..2).map(|_| world.offer(BEN, cleos)).collect();
    // One for a lane that the room does not have.
    let foreign = crate::lane::Offer { lane: RoomId([9; 16]), ..offers[0].clone() };
    offers.insert(0, foreign.clone());
    line.at(BEN).queue_offers(offers.clone(), NOW).unwrap();
    flush(&mut line, &world, BEN);
    let kept = world.rooms[FAY].kept_offers(&cleos).unwrap();
    let kept: Vec<_> = kept.into_iter().map(|kept| (kept.from, kept.offer)).collect();
    assert_eq!(kept, [(world.key(BEN), offers[2].clone())]);
    assert!(world.rooms[FAY].kept_offers(&foreign.lane).unwrap().is_empty());
    world.rooms[FAY].drop_kept_offers(&cleos).unwrap();
    assert!(world.rooms[FAY].kept_offers(&cleos).unwrap().is_empty());
    // No more of one message than may stand in it.
    let many = vec![offers[2].clone(); OFFERS_MAX];
    line.at(BEN).queue_offers([many, vec![offers[1].clone()]].concat(), NOW).unwrap();
    flush(&mut line, &world, BEN);
    assert_eq!(world.rooms[FAY].kept_offers(&cleos).unwrap()[0].offer, offers[2]);
}
