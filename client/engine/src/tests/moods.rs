//! What moderators ask in a lane, and what its owner answers.

use super::{
    lanes::Line,
    world::{BEN, CLEO, FAY, World},
    *,
};
use crate::{
    EngineError,
    content::{Body, Ref},
    course::{self, Unasked},
    private::{Inquiry, Mood, Private, Wanted},
    state::Notice,
};

/// The lane of Ben, in which Fay and Cleo sit.
fn line() -> (World, Line) {
    let mut world = World::with_lanes();
    let line = world.open(FAY, BEN, &[BEN, CLEO]);
    (world, line)
}

impl Line {
    fn tell(&mut self, world: &World, who: usize, private: Private) {
        self.at(who).queue_private(private, NOW).unwrap();
        while let Some(submission) = self.next(world, who) {
            self.take(submission);
        }
    }

    fn smuggle(&mut self, who: usize, body: Body) {
        let id = MessageId([0x77; 16]);
        let payload = self.at(who).room_mut().forge_message(id, body, false, NOW).unwrap();
        self.log.append(payload);
        for reader in [FAY, BEN, CLEO].into_iter().filter(|reader| *reader != who) {
            self.try_show(reader, false).unwrap();
        }
    }
}

fn mood(score: u32) -> Private {
    Private::Mood(Mood { score, words: "evenings".into() })
}

#[test]
fn mood_reaches_all_who_moderate() {
    let (world, mut line) = line();
    let asks = Private::Inquiry(Inquiry { wanted: Wanted::Mood { every: 0 }, within: 86_400 });
    line.tell(&world, FAY, asks);
    let (ben, unasked) = (line.at(BEN).me(), Unasked::default());
    let asked = |rows: &[Row]| course::mood_asked(rows, &ben, unasked, NOW).is_some();
    assert!(asked(&rows(line.at(BEN).room())));
    line.tell(&world, BEN, mood(2));
    for who in [FAY, BEN, CLEO] {
        let rows = rows(line.at(who).room());
        let moods = course::moods(&rows, &ben);
        assert_eq!(moods.iter().map(|entry| entry.mood.score).collect::<Vec<_>>(), [2]);
        assert!(!asked(&rows));
    }
}

/// An honest client does not send it; from a modified one it changes nothing, and its sender is named.
#[test]
fn mood_of_eleven_changes_nothing() {
    let (_, mut line) = line();
    assert!(matches!(line.at(BEN).queue_private(mood(11), NOW), Err(EngineError::NotForLane)));
    let ben = line.at(BEN).me();
    line.smuggle(BEN, mood(11).into());
    for who in [FAY, CLEO] {
        let row = line.last(who);
        assert_eq!((row.from, row.name.as_str()), (Some(ben), "Ben"));
        assert_eq!(row.notices, [Notice::Unreadable]);
        assert_eq!(course::moods(&rows(line.at(who).room()), &ben), []);
    }
}

#[test]
fn retracted_mood_leaves_the_course() {
    let (world, mut line) = line();
    line.tell(&world, BEN, mood(2));
    line.tell(&world, BEN, mood(6));
    let (ben, first) = (line.at(BEN).me(), line.last(BEN).seq.0 - 1);
    line.at(BEN).retract(Seq(first), NOW).unwrap();
    while let Some(submission) = line.next(&world, BEN) {
        line.take(submission);
    }
    for who in [FAY, BEN, CLEO] {
        let moods = course::moods(&rows(line.at(who).room()), &ben);
        assert_eq!(moods.iter().map(|entry| entry.mood.score).collect::<Vec<_>>(), [6], "{who}");
    }
}

/// Only the bench asks, only in a member's lane, and not more often than three times in a week.
#[test]
fn owner_asks_nothing_of_themselves() {
    let (_, mut line) = line();
    let asks = |every, within| Private::Inquiry(Inquiry { wanted: Wanted::Mood { every }, within });
    for (who, private) in [(BEN, asks(0, 86_400)), (FAY, asks(2, 86_400)), (FAY, asks(3, 60))] {
        let refused = line.at(who).queue_private(private.clone(), NOW);
        assert!(matches!(refused, Err(EngineError::NotForLane)), "{private:?}");
    }
    line.smuggle(BEN, asks(0, 86_400).into());
    assert_eq!(line.last(FAY).notices, [Notice::Unreadable]);
}

/// Only the owner answers in a lane what was asked in the room.
#[test]
fn only_owners_answer_in_lanes() {
    let (world, mut line) = line();
    let ask = Ref { seq: Seq(7), digest: hearth_protocol::Digest([7; 32]) };
    let refused = line.at(FAY).queue_answer(ask, "words".into(), NOW);
    assert!(matches!(refused, Err(EngineError::NotForLane)));
    line.at(BEN).queue_answer(ask, "A walk.".into(), NOW).unwrap();
    while let Some(submission) = line.next(&world, BEN) {
        line.take(submission);
    }
    for who in [FAY, BEN, CLEO] {
        let row = line.last(who);
        assert_eq!((row.talk.answers, &row.notices), (Some(ask), &Vec::new()));
        assert_eq!(line.texts(who), ["A walk."]);
    }
    let text = Some("words".to_owned());
    line.smuggle(FAY, Body::Answer { ask, choice: None, text, salt: None });
    assert_eq!(line.last(BEN).notices, [Notice::Unreadable]);
}

/// The largest file that a questionnaire may have goes into one entry.
#[test]
fn largest_questionnaire_fits_an_entry() {
    let (world, mut line) = line();
    let form = |bytes| Wanted::Form { stem: "x".repeat(255), source: vec![b'#'; bytes] };
    let ask = |bytes| Private::Inquiry(Inquiry { wanted: form(bytes), within: 86_400 });
    let most = crate::private::FORM_BYTES_MAX;
    let refused = line.at(FAY).queue_private(ask(most + 1), NOW);
    assert!(matches!(refused, Err(EngineError::NotForLane)));
    line.tell(&world, FAY, ask(most));
    let sheets = course::sheets(&rows(line.at(BEN).room()));
    assert_eq!(sheets.iter().map(|sheet| sheet.source.len()).collect::<Vec<_>>(), [most]);
}
