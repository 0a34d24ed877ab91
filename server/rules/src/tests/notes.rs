//! Sealed notes as values: who may leave one for whom, and how much waits.

use hearth_protocol::limits::{
    NOTE_KEPT_MILLIS, NOTES_BYTES_MAX, NOTES_OTHERS_BYTES_MAX, SEALED_NOTE_BYTES_MAX,
};

use super::*;
use crate::{
    notes::{Parties, Waiting, send},
    quota::ROW_BYTES,
};

fn parties(sender: Option<MemberRow>, addressee: Option<MemberRow>) -> Parties {
    Parties { sender, addressee, knocks: false }
}

fn leave(parties: &Parties, sealed: &[u8], waiting: Waiting) -> Result<bool, RejectCode> {
    let sent = decide(|context| send(context, ROOM, parties, &key(9), sealed, waiting));
    sent.map_err(|refusal| refusal.code)
}

fn sent(parties: &Parties) -> Result<bool, RejectCode> {
    leave(parties, &[1; 2_164], Waiting::default())
}

#[test]
fn note_for_another_is_refused() {
    let row = |role| Some(member(1, role));
    let gone = |role| Some(MemberRow { state: State::Gone, gone_at: NOW, ..member(2, role) });
    for sender in [Role::Member, Role::Observer] {
        for to in [Role::Facilitator, Role::CoFacilitator] {
            assert_eq!(sent(&parties(row(sender), row(to))), Ok(true));
        }
        for to in [None, row(Role::Member), row(Role::Observer), gone(Role::Facilitator)] {
            assert_eq!(sent(&parties(row(sender), to)), Err(RejectCode::NotFound));
        }
        let knocker = Parties { knocks: true, ..parties(row(sender), None) };
        assert_eq!(sent(&knocker), Err(RejectCode::NotFound));
    }
    for sender in [Role::Facilitator, Role::CoFacilitator] {
        for to in [row(Role::Member), row(Role::Observer), row(sender), gone(Role::Member)] {
            assert_eq!(sent(&parties(row(sender), to)), Ok(true));
        }
        let knocker = Parties { knocks: true, ..parties(row(sender), None) };
        assert_eq!(sent(&knocker), Ok(true));
        assert_eq!(sent(&parties(row(sender), None)), Err(RejectCode::NotFound));
    }
    assert_eq!(sent(&parties(None, row(Role::Facilitator))), Err(RejectCode::NotMember));
}

#[test]
fn former_member_writes_for_thirty_days() {
    let to = Some(member(2, Role::Facilitator));
    for state in [State::Left, State::Gone] {
        for (ago, sent_to) in [
            (0, Ok(true)),
            (NOTE_KEPT_MILLIS - 1, Ok(true)),
            (NOTE_KEPT_MILLIS, Err(RejectCode::NotMember)),
        ] {
            // A former facilitator writes to moderators only.
            let row = MemberRow { state, ..member(1, Role::Facilitator) };
            let sender = Some(MemberRow { gone_at: Millis(NOW.0 - ago), ..row });
            assert_eq!(sent(&parties(sender.clone(), to.clone())), sent_to, "{ago}");
            let member = parties(sender, Some(member(3, Role::Member)));
            assert!(sent(&member).is_err());
        }
    }
}

#[test]
fn notes_have_size_and_one_content() {
    let to_facilitator = parties(Some(member(1, Role::Member)), Some(member(2, Role::Facilitator)));
    let most = vec![1; SEALED_NOTE_BYTES_MAX];
    let before = |same| Waiting { same, ..Waiting::default() };
    for (sealed, same, answer) in [
        (&most[..], None, Ok(true)),
        (&[most.clone(), vec![1]].concat(), None, Err(RejectCode::TooLarge)),
        (&[], None, Err(RejectCode::BadFrame)),
        (&most, Some(true), Ok(false)),
        (&most, Some(false), Err(RejectCode::IdConflict)),
    ] {
        assert_eq!(leave(&to_facilitator, sealed, before(same)), answer);
    }
}

#[test]
fn boxes_of_notes_are_bounded() {
    let row = |role| Some(member(1, role));
    let cost = 2_164 + ROW_BYTES;
    let waits = |bytes, others| Waiting { same: None, bytes, others };
    let (full, crowded) = (NOTES_BYTES_MAX - cost, NOTES_OTHERS_BYTES_MAX - cost);
    let to_moderator = parties(row(Role::Facilitator), row(Role::CoFacilitator));
    let to_member = parties(row(Role::Facilitator), row(Role::Member));
    for (parties, waiting, answer) in [
        (&to_moderator, waits(full, 0), Ok(true)),
        (&to_moderator, waits(full + 1, 0), Err(RejectCode::RoomFull)),
        // Notes for others leave the moderators' boxes alone.
        (&to_moderator, waits(0, NOTES_OTHERS_BYTES_MAX), Ok(true)),
        (&to_member, waits(0, crowded), Ok(true)),
        (&to_member, waits(0, crowded + 1), Err(RejectCode::QuotaSpent)),
    ] {
        assert_eq!(leave(parties, &[1; 2_164], waiting), answer);
    }
}

/// A refused note spends no pace; a flood is refused with its time.
#[test]
fn note_flood_is_paced() {
    let mut notes = NotePace::default();
    let (mut pace, mut quota) = (CommitPace::default(), Quota::new(Limits::NONE));
    let to_moderator = parties(Some(member(1, Role::Member)), Some(member(2, Role::Facilitator)));
    let mut sent = |sealed: &[u8]| {
        let (pace, quota, notes) = (&mut pace, &mut quota, &mut notes);
        let mut context = Context { now: NOW, pace, notes, quota, disk: &mut Roomy, names: &Plain };
        send(&mut context, ROOM, &to_moderator, &key(2), sealed, Waiting::default())
    };
    for _ in 0..40 {
        assert!(sent(&[]).is_err());
    }
    for _ in 0..16 {
        sent(&[1]).unwrap();
    }
    let refusal = Refusal::until(RejectCode::RateLimited, Some(NOW.plus(60_000)));
    assert_eq!(sent(&[1]).unwrap_err(), refusal);
}
