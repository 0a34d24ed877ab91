//! Sealed notes: read by their reader alone, once, and answered by their reader alone.

use hearth_protocol::{MemberKey, NoteId, RejectCode};

use super::{world::*, *};
use crate::{
    content::Body,
    note::{Note, Purpose, Recipient},
    notes::{KeptNote, NOTE_KEY_KEPT_MILLIS, NOTE_KEY_MILLIS, NoteToSend, TakenNote},
    policy::Act,
    private::{Private, Seen, SeenState},
};

const CALL: MessageId = MessageId([8; 16]);
const SUITES: [Suite; 2] = [Suite::X25519, Suite::XWing];

fn flag(world: &mut World, from: usize, to: &[usize]) -> Vec<NoteToSend> {
    let to: Vec<MemberKey> = to.iter().map(|who| world.key(*who)).collect();
    let body = Body::Flag("Please call me".into());
    let room = &mut world.rooms[from];
    let unreached = room.write_notes(&to, Purpose::Flag, CALL, &body, NOW).unwrap();
    assert!(unreached.is_empty(), "{unreached:?}");
    room.notes_to_send().unwrap()
}

fn take(room: &mut TestRoom, note: &NoteToSend, now: Millis) -> TakenNote {
    room.take_note(note.id, &note.sealed, now).unwrap()
}

fn kept(taken: TakenNote) -> KeptNote {
    match taken {
        TakenNote::Kept(note) => *note,
        other => panic!("{other:?}"),
    }
}

#[test]
fn note_for_another_is_refused() {
    for suite in SUITES {
        let mut world = World::with_lanes_of(suite);
        let notes = flag(&mut world, BEN, &[FAY, CLEO]);
        assert_eq!(notes.len(), 2);
        // Key number, KEM, class, tag. A key of X-Wing for the answer takes the second class.
        let bytes = if suite == Suite::XWing { 5236 } else { 1076 };
        assert!(notes.iter().all(|note| note.sealed.len() == bytes && note.id == NoteId(CALL.0)));
        for who in [CLEO, MAL, BEN] {
            assert_eq!(take(&mut world.rooms[who], &notes[0], NOW), TakenNote::Unread, "{who}");
        }
        let other = NoteToSend { id: NoteId([7; 16]), ..notes[0].clone() };
        assert_eq!(take(&mut world.rooms[FAY], &other, NOW), TakenNote::Unread);
        for at in [0, 4, 40, bytes - 1] {
            let mut damaged = notes[0].clone();
            damaged.sealed[at] ^= 1;
            assert_eq!(take(&mut world.rooms[FAY], &damaged, NOW), TakenNote::Unread, "{at}");
        }
        assert_eq!(
            take(&mut world.rooms[FAY], &NoteToSend { sealed: vec![0; 3], ..other }, NOW),
            TakenNote::Unread
        );
        let note = kept(take(&mut world.rooms[FAY], &notes[0], NOW));
        assert_eq!((note.id, note.from, note.name.as_str()), (CALL, world.key(BEN), "Ben"));
        assert_eq!(note.private, Private::Flag("Please call me".into()));
        assert_eq!(world.rooms[FAY].notes().unwrap(), [note]);
    }
}

#[test]
fn replayed_note_is_shown_once() {
    for suite in SUITES {
        let mut world = World::with_lanes_of(suite);
        let notes = flag(&mut world, BEN, &[FAY]);
        kept(take(&mut world.rooms[FAY], &notes[0], NOW));
        assert_eq!(take(&mut world.rooms[FAY], &notes[0], NOW), TakenNote::Again);
        // Its row may be over; its id is remembered as long as the key.
        let later = NOW.plus(400 * 24 * 3_600_000);
        world.rooms[FAY].tidy_notes(later).unwrap();
        assert_eq!(take(&mut world.rooms[FAY], &notes[0], later), TakenNote::Again);
        assert!(world.rooms[FAY].notes().unwrap().is_empty());
    }
}

#[test]
fn note_of_another_room_is_refused() {
    let mut world = World::with_lanes();
    let mut other = World::with_lanes();
    let note = flag(&mut other, BEN, &[FAY]).remove(0);
    // The same key in both rooms: a copied profile, or a hostile client.
    world.rooms[FAY].state.companion = other.rooms[FAY].state.companion.clone();
    assert_eq!(take(&mut world.rooms[FAY], &note, NOW), TakenNote::Unread);
    kept(take(&mut other.rooms[FAY], &note, NOW));
}

/// Flags are for those who moderate; a note of a stranger is for nobody.
#[test]
fn note_from_a_stranger_is_refused() {
    let mut world = World::with_lanes();
    let note = flag(&mut world, MAL, &[BEN]).remove(0);
    assert_eq!(take(&mut world.rooms[BEN], &note, NOW), TakenNote::Unread);
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[5; 32]);
    let fay =
        world.rooms[FAY].roster().unwrap().into_iter().find(|leaf| leaf.member == world.key(FAY));
    let key = fay.unwrap().companion.note.unwrap();
    let content = hearth_protocol::codec::encode(&Body::Flag("Come".into()));
    let signed = Note::sign(
        &stranger,
        CALL,
        world.rooms[FAY].id(),
        world.key(FAY),
        Purpose::Flag,
        NOW,
        content,
    );
    let to = Recipient { member: world.key(FAY), number: key.number, key: &key.key };
    let sealed = signed.seal(world.rooms[FAY].crypto, Suite::X25519, &to).unwrap();
    let note = NoteToSend { id: NoteId(CALL.0), to: world.key(FAY), sealed: sealed[16..].to_vec() };
    assert_eq!(take(&mut world.rooms[FAY], &note, NOW), TakenNote::Unread);
}

#[test]
fn former_members_note_counts_thirty_days() {
    const DAY_MILLIS: u64 = 24 * 3_600_000;
    for (later, read) in [(29 * DAY_MILLIS, true), (30 * DAY_MILLIS, false)] {
        let mut world = World::with_lanes();
        let note = flag(&mut world, MAL, &[FAY]).remove(0);
        let member = world.key(MAL);
        world.act(FAY, Act::Remove { member, goodbye: String::new() });
        let taken = take(&mut world.rooms[FAY], &note, NOW.plus(later));
        assert_eq!(matches!(taken, TakenNote::Kept(_)), read, "{taken:?}");
    }
}

#[test]
fn answer_from_another_is_refused() {
    for suite in SUITES {
        let mut world = World::with_lanes_of(suite);
        let notes = flag(&mut world, BEN, &[FAY, CLEO]);
        let at_fay = kept(take(&mut world.rooms[FAY], &notes[0], NOW));
        kept(take(&mut world.rooms[CLEO], &notes[1], NOW));
        for note in &notes {
            world.rooms[BEN].note_answered(note, None).unwrap();
        }
        assert!(world.rooms[BEN].notes_to_send().unwrap().is_empty());
        assert!(world.rooms[BEN].note_was_sent(&CALL).unwrap());
        // Cleo has Fay's reply key, and answers with it.
        let key = at_fay.reply_key.clone().unwrap();
        let seen = |message| Seen { message, state: SeenState::Seen, words: String::new() };
        let answer = |world: &World, who: usize, seen: Seen| {
            let content = hearth_protocol::codec::encode(&Body::from(Private::Seen(seen)));
            let room = &world.rooms[who];
            let id = MessageId([3; 16]);
            let signed = Note::sign(
                &room.signing_key(),
                id,
                room.id(),
                world.key(BEN),
                Purpose::Answer,
                NOW,
                content,
            );
            let to = Recipient { member: world.key(BEN), number: 0, key: &key };
            let sealed = signed.seal(room.crypto, suite, &to).unwrap();
            NoteToSend { id: NoteId(id.0), to: world.key(BEN), sealed: sealed[16..].to_vec() }
        };
        let forged = answer(&world, CLEO, seen(CALL));
        assert_eq!(take(&mut world.rooms[BEN], &forged, NOW), TakenNote::Unread);
        let elsewhere = answer(&world, FAY, seen(MessageId([1; 16])));
        assert_eq!(take(&mut world.rooms[BEN], &elsewhere, NOW), TakenNote::Unread);
        // Fay's own answer counts.
        let ben = world.key(BEN);
        assert!(
            world.rooms[FAY]
                .answer_note(&CALL, &ben, SeenState::Seen, "I am here".into(), NOW)
                .unwrap()
        );
        let sent = world.rooms[FAY].notes_to_send().unwrap();
        let note = kept(take(&mut world.rooms[BEN], &sent[0], NOW));
        assert_eq!((note.from, note.name.as_str()), (world.key(FAY), "Fay"));
        assert!(
            matches!(&note.private, Private::Seen(seen) if seen.message == CALL && seen.words == "I am here")
        );
        // It is answered once, and nothing of it stays with Fay but what she answered.
        assert!(
            !world.rooms[FAY]
                .answer_note(&CALL, &ben, SeenState::Resolved, String::new(), NOW)
                .unwrap()
        );
        world.rooms[FAY].note_answered(&sent[0], None).unwrap();
        assert!(world.rooms[FAY].notes_to_send().unwrap().is_empty());
        assert_eq!(world.rooms[FAY].notes().unwrap()[0].answered, Some(SeenState::Seen));
    }
}

/// The key for an answer goes with it, so nobody who gets the device opens it again.
#[test]
fn room_key_opens_no_old_answer() {
    let mut world = World::with_lanes();
    let notes = flag(&mut world, BEN, &[FAY]);
    let ben = world.key(BEN);
    kept(take(&mut world.rooms[FAY], &notes[0], NOW));
    world.rooms[FAY].answer_note(&CALL, &ben, SeenState::Seen, String::new(), NOW).unwrap();
    let answer = world.rooms[FAY].notes_to_send().unwrap().remove(0);
    kept(take(&mut world.rooms[BEN], &answer, NOW));
    assert_eq!(take(&mut world.rooms[BEN], &answer, NOW), TakenNote::Unread);
    // Unanswered, it goes after 35 days.
    let notes = flag(&mut world, BEN, &[FAY]);
    world.rooms[BEN].note_answered(&notes[0], None).unwrap();
    world.rooms[BEN].tidy_notes(NOW.plus(NOTE_KEY_KEPT_MILLIS - 1)).unwrap();
    assert!(world.rooms[BEN].note_was_sent(&CALL).unwrap());
    world.rooms[BEN].tidy_notes(NOW.plus(NOTE_KEY_KEPT_MILLIS)).unwrap();
    assert!(!world.rooms[BEN].note_was_sent(&CALL).unwrap());
}

#[test]
fn old_note_key_is_deleted() {
    for suite in SUITES {
        let mut world = World::with_lanes_of(suite);
        let number = |world: &mut World| {
            let fay = world.key(FAY);
            let leaf =
                world.rooms[BEN].roster().unwrap().into_iter().find(|leaf| leaf.member == fay);
            leaf.unwrap().companion.note.unwrap().number
        };
        let renew = |world: &mut World, now: Millis| {
            let renewal = world.rooms[FAY].renew(None, now).unwrap();
            world.log.take(renewal);
            world.show();
        };
        renew(&mut world, NOW);
        assert_eq!(number(&mut world), 1);
        renew(&mut world, NOW.plus(NOTE_KEY_MILLIS - 1));
        assert_eq!(number(&mut world), 1);
        let notes = flag(&mut world, BEN, &[FAY]);
        let later = NOW.plus(NOTE_KEY_MILLIS);
        // A commit that is not in the log replaces nothing.
        world.rooms[FAY].renew(None, later).unwrap();
        world.rooms[FAY].tidy_notes(later.plus(2 * NOTE_KEY_KEPT_MILLIS)).unwrap();
        kept(take(&mut world.rooms[FAY], &notes[0], later));
        let waiting = world.rooms[FAY].waiting_commit().unwrap().unwrap();
        world.log.take(waiting);
        world.show();
        assert_eq!(number(&mut world), 2);
        world.rooms[FAY].tidy_notes(later).unwrap();
        // What was on its way opens until the key is gone.
        world.rooms[FAY].tidy_notes(later.plus(NOTE_KEY_KEPT_MILLIS - 1)).unwrap();
        assert_eq!(take(&mut world.rooms[FAY], &notes[0], later), TakenNote::Again);
        world.rooms[FAY].tidy_notes(later.plus(NOTE_KEY_KEPT_MILLIS)).unwrap();
        assert_eq!(take(&mut world.rooms[FAY], &notes[0], later), TakenNote::Unread);
        assert_eq!(world.rooms[FAY].note_private(1).unwrap(), None);
        assert!(world.rooms[FAY].note_private(2).unwrap().is_some());
    }
}

#[test]
fn unreached_reader_is_named() {
    let mut world = World::with_lanes();
    let notes = flag(&mut world, BEN, &[FAY, CLEO]);
    world.rooms[BEN].note_answered(&notes[0], Some(RejectCode::RoomFull)).unwrap();
    world.rooms[BEN].note_answered(&notes[1], None).unwrap();
    let unreached = world.rooms[BEN].unreached(&CALL).unwrap();
    let [one] = &unreached[..] else { panic!("{unreached:?}") };
    assert_eq!((one.name.as_str(), one.code), ("Fay", Some(RejectCode::RoomFull)));
    let stranger = MemberKey([4; 32]);
    let body = Body::Flag(String::new());
    let unreached =
        world.rooms[BEN].write_notes(&[stranger], Purpose::Flag, CALL, &body, NOW).unwrap();
    assert_eq!((unreached[0].to, unreached[0].code), (stranger, None));
    // Who has no tree any more still knows whom to call.
    world.rooms[BEN].tidy_notes(NOW).unwrap();
    let names = |room: &mut TestRoom| {
        let mut names: Vec<String> =
            room.bench().unwrap().into_iter().map(|(_, name)| name).collect();
        names.sort();
        names
    };
    assert_eq!(names(&mut world.rooms[BEN]), ["Cleo", "Fay"]);
    let member = world.key(BEN);
    world.act(FAY, Act::Remove { member, goodbye: String::new() });
    assert_eq!(names(&mut world.rooms[BEN]), ["Cleo", "Fay"]);
    let (cleo, call) = (world.key(CLEO), MessageId([6; 16]));
    let room = &mut world.rooms[BEN];
    room.write_notes(&[cleo], Purpose::Flag, call, &Body::Flag(String::new()), NOW).unwrap();
    assert_eq!(room.notes_to_send().unwrap().len(), 1);
}
