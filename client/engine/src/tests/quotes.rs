//! Quotes in reports, judged by the moderator's own rows.

use hearth_protocol::codec;

use super::{
    world::{BEN, CLEO, FAY, MAL, World},
    *,
};
use crate::{
    EngineError,
    content::Body,
    notes::TakenNote,
    policy::Category,
    private::{QUOTES_MAX, Quote, SeenState},
    quote::{Finding, words_hash},
};

impl World {
    /// The place of the last entry, the same for all.
    fn last(&self) -> Seq {
        Seq(self.log.entries.len() as u64)
    }

    fn quotes(&self, who: usize, places: &[Seq]) -> Vec<Quote> {
        self.rooms[who].quotes_of(places).unwrap()
    }

    fn judge(&self, who: usize, quote: &Quote) -> Finding {
        self.rooms[who].judge_quote(quote).unwrap()
    }

    fn retract(&mut self, who: usize, seq: Seq) {
        self.rooms[who].queue_own_retraction(seq, NOW).unwrap();
        self.log.flush(&mut self.rooms[who]);
        self.show();
    }
}

#[test]
fn quotes_of_present_words_verify() {
    let mut world = World::new();
    world.say(MAL, "you always do this");
    let said = world.last();
    world.rooms[BEN]
        .queue_words(
            crate::words::Words {
                text: "stop".into(),
                reply: Some(said),
                topic: Some("quarrel".into()),
                answers: None,
            },
            NOW,
        )
        .unwrap();
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    let quotes = world.quotes(BEN, &[said, world.last()]);
    assert_eq!(
        quotes.iter().map(|q| q.text().unwrap()).collect::<Vec<_>>(),
        ["you always do this", "stop"]
    );
    for who in [FAY, CLEO, MAL] {
        for quote in &quotes {
            assert_eq!(world.judge(who, quote), Finding::Verified, "{who}");
        }
    }
}

/// The author takes the words back after the report was written: the moderator's row still proves them.
#[test]
fn retracted_words_verify_by_digest() {
    let mut world = World::new();
    world.say(MAL, "I know where you live");
    let said = world.last();
    let quote = world.quotes(BEN, &[said]).remove(0);
    world.retract(MAL, said);
    assert_eq!(texts(&world.rooms[FAY]), [""; 0], "the words are gone");
    assert_eq!(world.judge(FAY, &quote), Finding::Verified);
    assert_eq!(world.judge(MAL, &quote), Finding::Verified, "by the author's own row");
    let other = Quote { body: codec::encode(&Body::Text("hello".into())), ..quote };
    assert_eq!(world.judge(FAY, &other), Finding::NotSaid);
}

/// What is left of retracted words is a hash with a salt that nobody has any longer.
#[test]
fn retracted_words_cannot_be_guessed() {
    let mut world = World::new();
    world.say(MAL, "I know where you live");
    let said = world.last();
    world.rooms[MAL].queue_edit(said, "Sorry.".into(), NOW, NOW).unwrap();
    world.log.flush(&mut world.rooms[MAL]);
    world.show();
    let edit = world.last();
    let quotes = world.quotes(BEN, &[said]);
    assert_eq!(quotes.len(), 2, "the first words and the present ones");
    world.retract(MAL, said);
    for who in [FAY, CLEO, BEN, MAL] {
        for (seq, quote) in [said, edit].iter().zip(&quotes) {
            let row = world.rooms[who].row(*seq).unwrap().unwrap();
            let kept = codec::encode(&row);
            assert!(!kept.windows(16).any(|part| part == quote.salt), "{who}: no salt");
            assert!(!kept.windows(6).any(|part| part == b"Sorry." || part == b"I know"), "{who}");
            let words = row.proof.as_ref().unwrap().words;
            let right = words_hash(&quote.author, &quote.message, &quote.salt, &quote.body);
            assert_eq!(words, right);
            let guess = words_hash(&quote.author, &quote.message, &[0; 16], &quote.body);
            assert_ne!(words, guess, "{who}: the right words without the salt prove nothing");
            let refused = world.rooms[who].quotes_of(&[*seq]);
            assert!(matches!(refused, Err(EngineError::NoWords(_))), "{who}");
        }
    }
}

#[test]
fn invented_quote_is_not_verified() {
    let mut world = World::new();
    world.say(BEN, "I slept badly");
    let said = world.last();
    let quote = world.quotes(MAL, &[said]).remove(0);
    let body = codec::encode(&Body::Text("I hate you all".into()));
    let (mal, salt) = (world.key(MAL), [9; 16]);
    for invented in [
        Quote { body: body.clone(), ..quote.clone() },
        Quote { body: body.clone(), salt, ..quote.clone() },
        Quote { author: mal, ..quote.clone() },
        Quote { message: MessageId([3; 16]), ..quote.clone() },
        Quote { digest: hearth_protocol::Digest([3; 32]), ..quote.clone() },
        // The entry that admitted Ben is nobody's words.
        {
            let record = rows(&world.rooms[FAY]).into_iter().find(|row| row.id.is_none()).unwrap();
            Quote { seq: record.seq, digest: record.digest, ..quote.clone() }
        },
    ] {
        assert_eq!(world.judge(FAY, &invented), Finding::NotSaid, "{invented:?}");
    }
    let nowhere = Quote { seq: Seq(900), ..quote.clone() };
    assert_eq!(world.judge(FAY, &nowhere), Finding::Unverified);
    assert_eq!(world.judge(FAY, &quote), Finding::Verified, "what Ben did say");
}

/// The relay deleted the message before this moderator read it: that it was there is all that she can tell.
#[test]
fn unread_words_stay_unproven() {
    let mut world = World::new();
    let id = world.rooms[MAL].queue_text("gone soon".into(), NOW).unwrap();
    world.log.show(&mut world.rooms[MAL]);
    let submission = world.rooms[MAL].next_submission().unwrap().unwrap();
    assert_eq!(submission.id, id);
    let seq = world.log.take(submission);
    world.log.show(&mut world.rooms[BEN]);
    let quote = world.rooms[BEN].quotes_of(&[seq]).unwrap().remove(0);
    let gone = &mut world.log.entries[usize::try_from(seq.0).unwrap() - 1];
    gone.content = EntryContent::Tombstone(quote.digest);
    world.log.show(&mut world.rooms[FAY]);
    assert_eq!(world.judge(FAY, &quote), Finding::Unproven);
}

#[test]
fn ninth_quote_is_refused() {
    let mut world = World::new();
    let mut places = Vec::new();
    for n in 0..=QUOTES_MAX {
        world.say(MAL, &format!("no {n}"));
        places.push(world.last());
    }
    assert_eq!(world.quotes(BEN, &places[..QUOTES_MAX]).len(), QUOTES_MAX);
    let refused = world.rooms[BEN].quotes_of(&places);
    assert!(matches!(refused, Err(EngineError::TooManyQuotes(QUOTES_MAX))));
    let refused = world.rooms[BEN].quotes_of(&[Seq(1)]);
    assert!(matches!(refused, Err(EngineError::NoWords(Seq(1)))), "a record has no words");
}

/// T37: a report about somebody who moderates is sealed for the other, and so is the answer. No lane and no note of the accused holds a
/// byte of it.
#[test]
fn accused_receives_nothing() {
    let mut world = World::with_lanes();
    world.say(CLEO, "You are impossible");
    let said = world.last();
    let (fay, cleo, ben) = (world.key(FAY), world.key(CLEO), world.key(BEN));
    let room = &mut world.rooms[BEN];
    let report = room.report_on(&[said], &[], Category::Conduct, "She shouts".into()).unwrap();
    assert_eq!(report.about, [cleo]);
    let refused = room.check_report(&report);
    assert!(matches!(refused, Err(EngineError::AboutModerator(name)) if name == "Cleo"));
    assert_eq!(room.pass_by(&report, NOW).unwrap().1, ["Fay"]);
    let notes = room.notes_to_send().unwrap();
    assert_eq!(notes.iter().map(|note| note.to).collect::<Vec<_>>(), [fay]);
    let lanes = room.lanes().unwrap();
    assert!(lanes.iter().all(|lane| lane.room().waiting_numbers().unwrap().is_empty()));
    assert!(room.waiting_numbers().unwrap().is_empty(), "nothing for the room");
    // Even delivered to Cleo, it stays closed.
    let (id, sealed) = (notes[0].id, &notes[0].sealed);
    assert_eq!(world.rooms[CLEO].take_note(id, sealed, NOW).unwrap(), TakenNote::Unread);
    world.rooms[FAY].take_note(id, sealed, NOW).unwrap();
    let reported = world.rooms[FAY].reports().unwrap().remove(0);
    assert_eq!((reported.lane, reported.name.as_str()), (None, "Ben"));
    assert_eq!((&reported.report, &reported.findings[..]), (&report, &[Finding::Verified][..]));
    assert_eq!(world.rooms[FAY].unread_reports().unwrap(), 1);
    world.rooms[FAY].mark_reports_shown().unwrap();
    assert_eq!(world.rooms[FAY].unread_reports().unwrap(), 0);
    // The answer goes the same way, once.
    let answers = |room: &mut TestRoom, words: &str| {
        let words = words.to_owned();
        room.answer_note(&reported.message, &ben, SeenState::Resolved, words, NOW).unwrap()
    };
    assert!(answers(&mut world.rooms[FAY], "I have spoken with her."));
    assert!(!answers(&mut world.rooms[FAY], "Again."));
    let answer = world.rooms[FAY].notes_to_send().unwrap().remove(0);
    assert_eq!(answer.to, ben);
    let taken = world.rooms[CLEO].take_note(answer.id, &answer.sealed, NOW).unwrap();
    assert_eq!(taken, TakenNote::Unread);
    world.rooms[BEN].take_note(answer.id, &answer.sealed, NOW).unwrap();
    let told = world.rooms[BEN].report_answers().unwrap();
    assert_eq!(told, [(NOW, "Fay".to_owned(), "I have spoken with her.".to_owned())]);
    assert_eq!(world.rooms[BEN].unread_reports().unwrap(), 1);
    for who in [CLEO, MAL] {
        assert_eq!(world.rooms[who].reports().unwrap(), []);
        assert_eq!(world.rooms[who].unread_reports().unwrap(), 0);
    }
}

/// Both who moderate are concerned: nobody is left, so nothing goes anywhere.
#[test]
fn report_about_all_goes_nowhere() {
    let mut world = World::with_lanes();
    let about = [world.key(CLEO), world.key(FAY)];
    let room = &mut world.rooms[BEN];
    let report = room.report_on(&[], &about, Category::Safety, "Both".into()).unwrap();
    let refused = room.pass_by(&report, NOW);
    assert!(matches!(refused, Err(EngineError::AboutModerator(_))), "{refused:?}");
    assert!(room.notes_to_send().unwrap().is_empty());
}
