//! Sealed notes: who may leave one for whom, how many, and how much waits.

use std::collections::HashMap;

use hearth_protocol::{
    MemberKey, Millis, RejectCode, RoomId,
    limits::{
        NOTE_GONE_MILLIS, NOTE_KEPT_MILLIS, NOTE_MILLIS, NOTES_BURST, NOTES_BYTES_MAX,
        NOTES_OTHERS_BYTES_MAX, NOTES_PER_DAY_MAX, SEALED_NOTE_BYTES_MAX,
    },
};

use crate::{Context, MemberRow, Refusal, pace, quota::ROW_BYTES};

const DAY_MILLIS: u64 = 24 * 3_600_000;
/// Senders, and pairs of sender and addressee, whose pace is kept.
const KEPT_MAX: usize = 8192;

/// The room's records of a note's sender and addressee.
#[derive(Clone, Debug, Default)]
pub struct Parties {
    pub sender: Option<MemberRow>,
    pub addressee: Option<MemberRow>,
    /// Whether the addressee has a knock, pending or declined.
    pub knocks: bool,
}

/// What waits in a room before a note.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Whether a note with this id waits for the addressee, and whether it is the same one.
    pub same: Option<bool>,
    /// Bytes that wait for the addressee.
    pub bytes: u64,
    /// Bytes that wait for all who do not moderate.
    pub others: u64,
}

/// Decides whether a note is stored; `false` if it waits already, because an earlier answer was lost.
///
/// # Errors
/// A key that may not get a note from the sender and an unknown one get the same answer.
pub fn send(
    context: &mut Context<'_>,
    room: RoomId,
    parties: &Parties,
    to: &MemberKey,
    sealed: &[u8],
    waiting: Waiting,
) -> Result<bool, Refusal> {
    let now = context.now;
    let sender = parties.sender.as_ref().filter(|row| may_send(row, now));
    let sender = sender.ok_or(RejectCode::NotMember)?;
    let moderates = |row: &MemberRow| row.is_in() && row.role.moderates();
    let to_moderator = parties.addressee.as_ref().is_some_and(moderates);
    let known = parties.knocks || parties.addressee.is_some();
    let allowed = to_moderator || moderates(sender) && known;
    if !allowed {
        return Err(RejectCode::NotFound.into());
    }
    if sealed.is_empty() {
        return Err(RejectCode::BadFrame.into());
    }
    if sealed.len() > SEALED_NOTE_BYTES_MAX {
        return Err(RejectCode::TooLarge.into());
    }
    if let Some(same) = waiting.same {
        return if same { Ok(false) } else { Err(RejectCode::IdConflict.into()) };
    }
    let bytes = sealed.len() as u64 + ROW_BYTES;
    if waiting.bytes.saturating_add(bytes) > NOTES_BYTES_MAX {
        return Err(RejectCode::RoomFull.into());
    }
    // A moderator must not fill the disk with notes for all keys of a room.
    if !to_moderator && waiting.others.saturating_add(bytes) > NOTES_OTHERS_BYTES_MAX {
        return Err(RejectCode::QuotaSpent.into());
    }
    if !moderates(sender) {
        context.quota.check_disk(context.disk, bytes, now)?;
    }
    context.notes.take(room, sender, to, now)?;
    Ok(true)
}

/// Whether a key may send notes: a present member, and a former one for some time.
fn may_send(row: &MemberRow, now: Millis) -> bool {
    row.is_in() || row.gone_at.plus(NOTE_KEPT_MILLIS) > now
}

/// The pace of each sender of notes, so that nobody fills a box against others' calls for help.
#[derive(Debug, Default)]
pub struct NotePace {
    /// Time at which a sender's whole burst is available again. A former member has a pace of their own (`true`), so that
    /// a removal never keeps them from the next note.
    free_at: HashMap<(RoomId, MemberKey, bool), u64>,
    /// Beginning of a day, and notes of a sender to an addressee since.
    days: HashMap<(RoomId, MemberKey, MemberKey), (u64, u32)>,
}

impl NotePace {
    /// Takes one note of a sender's pace.
    fn take(
        &mut self,
        room: RoomId,
        sender: &MemberRow,
        to: &MemberKey,
        now: Millis,
    ) -> Result<(), Refusal> {
        let (step, burst) =
            if sender.is_in() { (NOTE_MILLIS, NOTES_BURST) } else { (NOTE_GONE_MILLIS, 1) };
        let over = |began: u64| began > now.0 || now.0 - began >= DAY_MILLIS;
        if self.free_at.len() >= KEPT_MAX || self.days.len() >= KEPT_MAX {
            self.free_at.retain(|_, free_at| *free_at > now.0);
            self.days.retain(|_, (began, _)| !over(*began));
        }
        let (one, pair) = ((room, sender.key, !sender.is_in()), (room, sender.key, *to));
        let lacks_place = self.free_at.len() >= KEPT_MAX && !self.free_at.contains_key(&one)
            || self.days.len() >= KEPT_MAX && !self.days.contains_key(&pair);
        let wait = |at| Refusal::until(RejectCode::RateLimited, Some(at));
        if lacks_place {
            return Err(wait(now.plus(NOTE_MILLIS)));
        }
        let today = self.days.get(&pair).copied().filter(|(began, _)| !over(*began));
        let (began, sent) = today.unwrap_or((now.0, 0));
        if sent >= NOTES_PER_DAY_MAX {
            return Err(wait(Millis(began.saturating_add(DAY_MILLIS))));
        }
        let free_at = self.free_at.get(&one).copied().unwrap_or(0);
        let next = pace::next(free_at, step, burst, now).map_err(wait)?;
        self.free_at.insert(one, next);
        self.days.insert(pair, (began, sent + 1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hearth_protocol::{Role, Seq};

    use super::*;
    use crate::State;

    const ROOM: RoomId = RoomId([1; 16]);

    fn row(number: usize) -> MemberRow {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        MemberRow::joining(MemberKey(key), Role::Member, Seq(0))
    }

    fn refused(pace: &mut NotePace, sender: &MemberRow, to: usize, now: u64) -> Option<u64> {
        let taken = pace.take(ROOM, sender, &row(to).key, Millis(now));
        taken.err().map(|refusal| {
            assert_eq!(refusal.code, RejectCode::RateLimited);
            refusal.retry_at.map_or(0, |at| at.0 - now)
        })
    }

    #[test]
    fn notes_are_paced_after_a_burst() {
        let (mut pace, now) = (NotePace::default(), 10 * DAY_MILLIS);
        for to in 0..NOTES_BURST as usize {
            assert_eq!(refused(&mut pace, &row(0), to, now), None);
        }
        assert_eq!(refused(&mut pace, &row(0), 99, now), Some(NOTE_MILLIS));
        assert_eq!(refused(&mut pace, &row(1), 99, now), None, "another sender has a pace");
        assert_eq!(refused(&mut pace, &row(0), 99, now + NOTE_MILLIS), None);
        assert_eq!(refused(&mut pace, &row(0), 99, now + NOTE_MILLIS), Some(NOTE_MILLIS));
        // A clock that was set back silences nobody.
        assert_eq!(refused(&mut pace, &row(0), 99, 5), None);
    }

    #[test]
    fn addressee_gets_sixty_four_a_day() {
        let (mut pace, start) = (NotePace::default(), 10 * DAY_MILLIS);
        let at = |number: u64| start + number * NOTE_MILLIS;
        for number in 0..u64::from(NOTES_PER_DAY_MAX) {
            assert_eq!(refused(&mut pace, &row(0), 1, at(number)), None);
        }
        let late = at(64);
        assert_eq!(refused(&mut pace, &row(0), 1, late), Some(start + DAY_MILLIS - late));
        assert_eq!(refused(&mut pace, &row(0), 2, late), None, "another addressee");
        assert_eq!(refused(&mut pace, &row(0), 1, start + DAY_MILLIS), None);
    }

    #[test]
    fn former_member_sends_one_an_hour() {
        let (mut pace, now) = (NotePace::default(), 10 * DAY_MILLIS);
        for state in [State::Left, State::Gone] {
            let member = row(state as usize);
            for to in 0..NOTES_BURST as usize {
                assert_eq!(refused(&mut pace, &member, to, now), None);
            }
            // The removal ends the wait.
            let sender = MemberRow { state, ..member };
            assert_eq!(refused(&mut pace, &sender, 1, now), None);
            assert_eq!(refused(&mut pace, &sender, 2, now + 1), Some(NOTE_GONE_MILLIS - 1));
            assert_eq!(refused(&mut pace, &sender, 2, now + NOTE_GONE_MILLIS), None);
        }
    }

    #[test]
    fn idle_senders_are_forgotten() {
        let (mut pace, now) = (NotePace::default(), 10 * DAY_MILLIS);
        for number in 0..KEPT_MAX {
            assert_eq!(refused(&mut pace, &row(number), 1, now), None);
        }
        assert_eq!(refused(&mut pace, &row(KEPT_MAX), 1, now), Some(NOTE_MILLIS));
        assert_eq!(refused(&mut pace, &row(0), 1, now), None, "a known sender goes on");
        assert_eq!(refused(&mut pace, &row(KEPT_MAX), 1, now + DAY_MILLIS), None);
        assert_eq!((pace.free_at.len(), pace.days.len()), (1, 1));
    }
}
