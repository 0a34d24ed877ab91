//! Replies, reactions, edits and content notes, also by modified members.

use hearth_protocol::{Digest, Effect, EntryContent, MessageId, Millis, Seq};

use super::{
    messages::{envelope, posts, text},
    world::*,
    *,
};
use crate::{
    EngineError,
    content::{Body, Envelope, Ref},
    policy::{Act, Category, RuleError},
    words::{EDIT_MILLIS, EDITS_MAX, Reaction, Words},
};

/// Appends a member's envelope at a time of the relay and shows it to all.
fn posts_at(world: &mut World, who: usize, at: Millis, envelope: &Envelope) -> Seq {
    let payload = posts(&mut world.rooms[who], envelope);
    let seq = world.log.append(payload);
    world.log.entries.last_mut().unwrap().at = at;
    world.show();
    seq
}

fn says(world: &mut World, who: usize, words: &str) -> Row {
    let id = world.say(who, words);
    world.show();
    world.rooms[who].own_message(&id).unwrap()
}

fn reference(row: &Row) -> Ref {
    Ref { seq: row.seq, digest: row.digest }
}

fn row_of(world: &World, who: usize, row: &Row) -> Row {
    world.rooms[who].history(row.place, 1).unwrap().remove(0)
}

fn last_quoted(world: &mut World, who: usize) -> Row {
    let mut rows = rows(&world.rooms[who]);
    world.rooms[who].quote(&mut rows, Millis(0)).unwrap();
    rows.pop().unwrap()
}

fn edit(id: u8, counter: u64, of: &Row, words: &str) -> Envelope {
    let (message, seq) = (of.id.unwrap(), of.seq);
    envelope(id, counter, Body::Edit { message, seq, text: words.into() })
}

#[test]
fn reply_quotes_present_words() {
    let mut world = World::new();
    let said = says(&mut world, FAY, "I slept badly.\nAnd I am tired.");
    let words = Words { reply: Some(said.place), ..Words::from("Me, too.".to_owned()) };
    world.rooms[CLEO].queue_words(words, NOW).unwrap();
    world.log.flush(&mut world.rooms[CLEO]);
    world.show();
    let row = last_quoted(&mut world, BEN);
    assert_eq!(row.content, RowContent::Text("Me, too.".into()));
    let quote = row.talk.quote.unwrap();
    assert_eq!((quote.name.as_str(), quote.text.as_deref()), ("Fay", Some("I slept badly.…")));
    // What is quoted is what stands there now, and nothing once it is taken back.
    let now = world.rooms[FAY].now();
    world.rooms[FAY].queue_edit(said.place, "I slept.".into(), NOW, now).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    world.show();
    let of = |world: &mut World| {
        let mut all = rows(&world.rooms[BEN]);
        world.rooms[BEN].quote(&mut all, Millis(0)).unwrap();
        let reply = all.into_iter().find(|r| r.content == RowContent::Text("Me, too.".into()));
        reply.unwrap().talk
    };
    assert_eq!(of(&mut world).quote.unwrap().text.as_deref(), Some("I slept."));
    let seq = row_of(&world, FAY, &said).seq;
    world.rooms[FAY].queue_own_retraction(seq, NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    world.show();
    let talk = of(&mut world);
    assert!(talk.reply.is_some());
    assert_eq!(talk.quote, None);
}

/// A quote names the entry by its digest, so nobody can put another's words behind an answer.
#[test]
fn reply_to_another_digest_quotes_nothing() {
    let mut world = World::new();
    let said = says(&mut world, FAY, "I slept badly.");
    for (id, to) in [
        (1, Ref { digest: Digest([9; 32]), ..reference(&said) }),
        (2, Ref { seq: Seq(u64::MAX), ..reference(&said) }),
        (3, Ref { seq: Seq(0), ..reference(&said) }),
    ] {
        let say = Body::Say { text: "You lie.".into(), reply: Some(to), topic: None };
        posts_at(&mut world, MAL, NOW, &envelope(id, u64::from(id), say));
        let row = last_quoted(&mut world, BEN);
        assert_eq!(row.content, RowContent::Text("You lie.".into()));
        assert_eq!(row.talk.quote, None);
    }
}

#[test]
fn member_has_one_reaction_each() {
    let mut world = World::new();
    let said = says(&mut world, FAY, "Nine days.");
    let shown = |world: &World| {
        let reactions = row_of(world, BEN, &said).talk.reactions;
        let all: Vec<_> = reactions.into_iter().map(|r| (r.name, r.kind)).collect();
        all
    };
    let react = |world: &mut World, who: usize, reaction| {
        world.rooms[who].queue_reaction(said.place, reaction, NOW).unwrap();
        world.log.flush(&mut world.rooms[who]);
        world.show();
    };
    react(&mut world, CLEO, Some(Reaction::Heard));
    react(&mut world, MAL, Some(Reaction::WithYou));
    react(&mut world, CLEO, Some(Reaction::ThankYou));
    assert_eq!(shown(&world), [("Cleo".to_owned(), 3), ("Mal".to_owned(), 2)]);
    react(&mut world, CLEO, None);
    assert_eq!(shown(&world), [("Mal".to_owned(), 2)]);
    // A retracted message has none, and takes none.
    world.act(
        FAY,
        Act::Retract { message: said.id.unwrap(), seq: said.seq, category: Category::Request },
    );
    world.show();
    assert_eq!(shown(&world), []);
    let react = Body::React { to: reference(&said), kind: 1 };
    posts_at(&mut world, MAL, NOW, &envelope(1, 2, react));
    assert_eq!(shown(&world), []);
    assert_eq!(last_row(&world.rooms[BEN]).content, RowContent::Nothing);
    let refused = world.rooms[CLEO].queue_reaction(said.place, Some(Reaction::Heard), NOW);
    assert!(matches!(refused, Err(EngineError::NoWords(_))));
}

#[test]
fn late_edit_changes_nothing() {
    let mut world = World::new();
    let said = says(&mut world, MAL, "one");
    let shown = |world: &World| texts(&world.rooms[BEN]);
    posts_at(&mut world, MAL, NOW.plus(EDIT_MILLIS), &edit(2, 2, &said, "two"));
    assert_eq!(shown(&world), ["two"]);
    posts_at(&mut world, MAL, NOW.plus(EDIT_MILLIS + 1), &edit(3, 3, &said, "three"));
    assert_eq!(shown(&world), ["two"]);
    // Nor do the author's own client and a clock of the author's that is behind.
    let late = NOW.plus(EDIT_MILLIS + 1);
    let refused = world.rooms[MAL].queue_edit(said.place, "four".into(), late, NOW);
    assert!(matches!(refused, Err(EngineError::TooLateToEdit)));
}

#[test]
fn edit_counts_five_times() {
    let mut world = World::new();
    let said = says(&mut world, MAL, "0");
    for n in 1..=EDITS_MAX {
        world.rooms[MAL].queue_edit(said.place, n.to_string(), NOW, NOW).unwrap();
        world.log.flush(&mut world.rooms[MAL]);
    }
    let refused = world.rooms[MAL].queue_edit(said.place, "7".into(), NOW, NOW);
    assert!(matches!(refused, Err(EngineError::TooManyEdits)));
    posts_at(&mut world, MAL, NOW, &edit(9, 7, &said, "7"));
    assert_eq!(texts(&world.rooms[BEN]), [EDITS_MAX.to_string()]);
}

#[test]
fn member_edits_own_words_only() {
    let mut world = World::new();
    let said = says(&mut world, FAY, "mine");
    let refused = world.rooms[MAL].queue_edit(said.place, "his".into(), NOW, NOW);
    assert!(matches!(refused, Err(EngineError::NotAuthor)));
    posts_at(&mut world, MAL, NOW, &edit(1, 1, &said, "his"));
    // Nor by another id at that place, nor at a place that is still to come.
    let seq = posts_at(&mut world, MAL, NOW, &text(2, 2, "own"));
    let own = world.rooms[BEN].history(seq, 1).unwrap().remove(0);
    let wrong = Row { id: Some(MessageId([9; 16])), ..own.clone() };
    posts_at(&mut world, MAL, NOW, &edit(3, 3, &wrong, "wrong"));
    let later = Row { seq: Seq(u64::MAX), ..own };
    posts_at(&mut world, MAL, NOW, &edit(4, 4, &later, "later"));
    for who in [FAY, CLEO, BEN] {
        assert_eq!(texts(&world.rooms[who]), ["mine", "own"]);
    }
}

/// The relay deletes the edits with the message, and a member who was away takes none of the tombstones for the relay's doing.
#[test]
fn retracted_edit_leaves_no_ciphertext() {
    let mut world = World::new();
    let said = says(&mut world, MAL, "Ben did it");
    let away = world.log.entries.len();
    for words in ["Ben did it, I think", "Somebody did it"] {
        world.rooms[MAL].queue_edit(said.place, words.into(), NOW, NOW).unwrap();
        let submission = world.rooms[MAL].next_submission().unwrap().unwrap();
        world.log.take(submission);
        for who in [FAY, CLEO, MAL] {
            world.log.show(&mut world.rooms[who]);
        }
    }
    world.rooms[MAL].queue_own_retraction(said.seq, NOW).unwrap();
    let submission = world.rooms[MAL].next_submission().unwrap().unwrap();
    let gone: Vec<Seq> = submission
        .effects
        .iter()
        .map(|effect| match effect {
            Effect::Retract { seq, own: Some(_) } => *seq,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(gone.len(), 3);
    world.log.take(submission);
    for who in [FAY, CLEO, MAL] {
        world.log.show(&mut world.rooms[who]);
        let all = rows(&world.rooms[who]);
        let words = all
            .iter()
            .filter(|r| matches!(r.content, RowContent::Text(_) | RowContent::Edit { .. }));
        assert_eq!(words.count(), 0, "the words are gone from every row");
    }
    for entry in &mut world.log.entries[away - 1..] {
        if gone.contains(&entry.seq) {
            entry.content = EntryContent::Tombstone(entry.content.digest());
        }
    }
    world.log.entries[away - 1].content = EntryContent::Payload(Vec::new());
    let said_there = world.log.entries[away - 1].seq;
    world.log.entries.retain(|entry| entry.seq != said_there);
    world.log.show(&mut world.rooms[BEN]);
    let ben = &world.rooms[BEN];
    assert!(ben.cursor().unexplained.is_empty(), "{:?}", ben.cursor().unexplained);
    assert_eq!(texts(ben), Vec::<String>::new());
}

#[test]
fn only_moderators_cover_words() {
    let mut world = World::new();
    let said = says(&mut world, CLEO, "I drank again.");
    let refused = world.rooms[MAL].queue_cover(said.place, "drinking".into(), NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))));
    let cover = Body::Cover { to: reference(&said), topic: "drinking".into() };
    posts_at(&mut world, MAL, NOW, &envelope(1, 1, cover));
    assert_eq!(row_of(&world, BEN, &said).talk.cover, None);
    let cover = |world: &mut World, topic: &str| {
        world.rooms[FAY].queue_cover(said.place, topic.into(), NOW).unwrap();
        world.log.flush(&mut world.rooms[FAY]);
        world.show();
        row_of(world, BEN, &said).talk.note().map(str::to_owned)
    };
    assert_eq!(cover(&mut world, "drinking").as_deref(), Some("drinking"));
    assert_eq!(row_of(&world, BEN, &said).content, RowContent::Text("I drank again.".into()));
    assert_eq!(cover(&mut world, ""), None);
}

/// Honest clients show nothing of what comes through a relay that forgets its pause.
#[test]
fn pause_stops_reactions_and_edits() {
    let mut world = World::new();
    let said = says(&mut world, MAL, "before");
    world.act(
        FAY,
        Act::Pause { until: NOW.plus(60_000), comment: "Let us breathe.".into(), reopens: true },
    );
    world.show();
    posts_at(&mut world, MAL, NOW, &edit(1, 2, &said, "after"));
    let react = Body::React { to: reference(&said), kind: 1 };
    posts_at(&mut world, MAL, NOW, &envelope(2, 3, react));
    let row = row_of(&world, BEN, &said);
    assert_eq!(row.content, RowContent::Text("before".into()));
    assert_eq!(row.talk.reactions, []);
    // A moderator's own words are free.
    world.rooms[FAY].queue_reaction(said.place, Some(Reaction::Heard), NOW).unwrap();
    world.log.flush(&mut world.rooms[FAY]);
    world.show();
    assert_eq!(row_of(&world, BEN, &said).talk.reactions.len(), 1);
}

/// A reaction that a pause refuses is not sent when the pause is over; an answer waits for its author.
#[test]
fn refused_reaction_is_dropped() {
    let mut world = World::new();
    let said = says(&mut world, FAY, "words");
    let mal = &mut world.rooms[MAL];
    mal.queue_reaction(said.place, Some(Reaction::Heard), NOW).unwrap();
    let words = Words { reply: Some(said.place), ..Words::from("answer".to_owned()) };
    mal.queue_words(words, NOW).unwrap();
    for kept in [false, true] {
        let next = mal.next_submission().unwrap().unwrap();
        let stays = mal.refused(next.number, hearth_protocol::RejectCode::Paused).unwrap();
        assert_eq!(stays, kept);
    }
    let held = mal.held_texts().unwrap();
    assert_eq!(held.len(), 1);
    let id = mal.release(&held[0].0, NOW).unwrap().unwrap();
    world.log.flush(&mut world.rooms[MAL]);
    world.show();
    assert_eq!(world.rooms[MAL].own_message(&id).unwrap().talk.reply, Some(reference(&said)));
}

#[test]
fn words_have_exact_bytes() {
    let to = Ref { seq: Seq(40), digest: Digest([6; 32]) };
    let hex = |body: &Body| {
        let bytes = hearth_protocol::codec::encode(body);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let six = "06".repeat(32);
    let id = "04".repeat(16);
    for (body, wanted) in [
        (
            Body::Say { text: "a".into(), reply: None, topic: Some("b".into()) },
            "82058361 61f6 6162".to_owned(),
        ),
        (
            Body::Say { text: "a".into(), reply: Some(to), topic: None },
            format!("82058261 61 821828 5820{six}"),
        ),
        (Body::React { to, kind: 3 }, format!("820682 821828 5820{six} 03")),
        (
            Body::Edit { message: MessageId([4; 16]), seq: Seq(40), text: "a".into() },
            format!("820783 50{id} 1828 6161"),
        ),
        (Body::Cover { to, topic: "b".into() }, format!("82181b82 821828 5820{six} 6162")),
        (
            Body::Retract { message: MessageId([4; 16]), seq: Seq(40), edits: Some(vec![Seq(41)]) },
            format!("820183 50{id} 1828 811829"),
        ),
    ] {
        assert_eq!(hex(&body), wanted.replace(' ', ""), "{body:?}");
    }
}
