//! Words in lanes: who writes them, and who may read them by what their author knew.

use std::collections::BTreeSet;

use hearth_engine::{
    Room,
    state::{Notice, Row, RowContent},
};
use hearth_protocol::{MessageId, RoomId};
use hearth_session::live::{Live, LiveError};

use super::{Sim, plan::NAMES};

/// A word in a lane.
pub(super) struct Word {
    text: String,
    author: usize,
    /// Whose lane it is.
    owner: usize,
    /// Whom their author knew to moderate, from when it was written until it was sent.
    readers: BTreeSet<usize>,
    /// Whether the author was told that it is on the relay's disk.
    sent: bool,
}

/// Writes in a lane: who moderates, in that of another; others in their own.
pub(super) async fn check_in(sim: &Sim, live: &mut Live<'_>, whom: usize) -> Result<(), LiveError> {
    let me = live.room.me();
    let moderates = live.room.policy()?.role(&me).moderates();
    let who_is = |key| sim.keys.borrow().get(&key).copied();
    let wanted = if moderates { Some(whom) } else { who_is(me) };
    let lanes = live.room.lane_ids()?;
    let owner_of = |owner: Option<_>| owner.and_then(who_is);
    let Some((id, owner)) = lanes.into_iter().find(|(_, owner)| owner_of(*owner) == wanted) else {
        return Ok(());
    };
    let (Some(owner), Some(author)) = (owner_of(owner), who_is(me)) else { return Ok(()) };
    let now = live.room.now();
    let Some(lane) = live.lane(id).filter(|lane| lane.is_seated()) else {
        sim.count("lanes without a seat");
        return Ok(());
    };
    let number = sim.private.borrow().len();
    let text = format!("{} in private {number}", NAMES[author]);
    let queued = lane.queue_words(text.clone().into(), now)?;
    let word = Word { text, author, owner, readers: BTreeSet::new(), sent: false };
    sim.private.borrow_mut().insert(queued, word);
    note_readers(sim, live, author);
    let sent = live.flush_lane(id).await;
    note_readers(sim, live, author);
    sent?;
    if live.lane(id).is_some_and(|lane| lane.room().own_message(&queued).is_ok()) {
        sim.count("words in lanes");
        if let Some(word) = sim.private.borrow_mut().get_mut(&queued) {
            word.sent = true;
        }
    }
    Ok(())
}

/// Notes who may read what somebody has not sent yet, by their own copy of the room.
pub(super) fn note_readers(sim: &Sim, live: &mut Live<'_>, who: usize) {
    let Ok(policy) = live.room.policy() else { return };
    let keys = sim.keys.borrow();
    let bench: BTreeSet<usize> =
        policy.moderators().iter().filter_map(|key| keys.get(key).copied()).collect();
    let mut words = sim.private.borrow_mut();
    for word in words.values_mut().filter(|word| word.author == who && !word.sent) {
        word.readers.extend(&bench);
    }
}

/// A lane that is put aside is a fault of ours, because nobody lies here.
pub(super) fn troubles(sim: &Sim, live: &Live<'_>, who: usize) {
    let Ok(lanes) = live.room.lanes() else { return };
    for lane in lanes {
        if let Some(why) = live.lane_trouble(lane.id())
            && !sim.links[who].was_silent()
        {
            sim.wrong(format!("{}: a lane is put aside: {why}", NAMES[who]));
        }
    }
}

/// Compares what somebody reads in lanes with what was written there for them.
pub(super) fn views(sim: &Sim, room: &Room<'_>, who: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for lane in room.lanes().unwrap() {
        let id = lane.id();
        let rows = lane.room().history(hearth_protocol::Seq(0), usize::MAX).unwrap();
        let mut seen: BTreeSet<MessageId> = BTreeSet::new();
        for row in &rows {
            if let Some(what) = view(sim, row, who) {
                wrong.push(format!("lane {}: {what}", short(id)));
            }
            let is_text = matches!(row.content, RowContent::Text(_));
            if let Some(message) = row.id.filter(|_| is_text)
                && !seen.insert(message)
            {
                wrong.push(format!("lane {}: entry {} comes again", short(id), row.seq));
            }
        }
    }
    wrong
}

fn view(sim: &Sim, row: &Row, who: usize) -> Option<String> {
    let fine = |notice: &Notice| {
        matches!(
            notice,
            // The relay's clock jumps; what expired is gone; two copies of the parent are not of one age.
            Notice::Times | Notice::Expired { .. } | Notice::NoSeat | Notice::Duplicate
        )
    };
    if let Some(notice) = row.notices.iter().find(|notice| !fine(notice)) {
        return Some(format!("entry {} is shown with {notice:?}", row.seq));
    }
    let RowContent::Text(text) = &row.content else { return None };
    let words = sim.private.borrow();
    let Some(word) = row.id.and_then(|id| words.get(&id)) else {
        return Some(format!("entry {} shows {text:?}, which nobody wrote", row.seq));
    };
    if word.text != *text {
        return Some(format!("entry {} shows {text:?} in place of {:?}", row.seq, word.text));
    }
    let may = who == word.author || who == word.owner || word.readers.contains(&who);
    (!may).then(|| format!("{} reads {text:?}, and was no reader for its author", NAMES[who]))
}

/// Says where a member does not sit who should: in their own lane; Fay in everybody's, and at the desk.
pub(super) fn unseated(sim: &Sim, room: &Room<'_>, who: usize) -> Option<String> {
    let (store, crypto, name) = room.parts();
    let mut room = Room::open(store, crypto, &name).ok()?;
    let policy = room.policy().ok()?;
    let moderates = policy.role(&room.me()).moderates();
    let own = room.my_lane_id();
    let wanted = room.lane_ids().ok()?.into_iter().map(|(id, _)| id);
    let wanted: Vec<RoomId> = wanted.filter(|id| moderates || *id == own).collect();
    let kept = room.lanes().ok()?;
    let sits = |id: &RoomId| kept.iter().any(|lane| lane.id() == *id && lane.is_seated());
    let missing = wanted.iter().filter(|id| !sits(id)).count();
    sim.add("seats", (wanted.len() - missing) as u64);
    (missing > 0)
        .then(|| format!("{} has no seat in {missing} of {} lanes", NAMES[who], wanted.len()))
}

fn short(id: RoomId) -> String {
    id.to_hex().chars().take(8).collect()
}
