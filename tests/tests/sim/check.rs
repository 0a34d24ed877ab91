//! Everybody's view against the model's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use hearth_engine::{
    Room,
    state::{Notice, Row, RowContent, Standing},
};
use hearth_protocol::{Digest, MemberKey, MessageId, Role, Seq};

use super::{Sim, plan::NAMES};
use crate::world::model::Model;

/// More than all clocks here differ by.
const SKEW_MILLIS: u64 = 3_600_000;

/// Compares what a profile shows with what the model says of the entries up to its cursor.
pub(super) fn view(sim: &Sim, room: &mut Room<'_>) -> Vec<String> {
    let relay = sim.relay.borrow();
    let Some(model) = &relay.model else { return Vec::new() };
    let mut wrong = Vec::new();
    let rows = room.history(Seq(0), usize::MAX).unwrap();
    for row in &rows {
        check_row(sim, model, room, row, &mut wrong);
    }
    gaps(sim, &rows, &mut wrong);
    order(&rows, &mut wrong);
    let found = room.mismatches().unwrap();
    wrong.extend(found.iter().map(|what| format!("the relay is accused of {what:?}")));
    if room.state().standing == Standing::Member {
        holes(sim, model, room, &rows, &mut wrong);
        shape(sim, model, room, &mut wrong);
    }
    wrong
}

fn check_row(sim: &Sim, model: &Model, room: &Room<'_>, row: &Row, wrong: &mut Vec<String>) {
    let seq = row.seq;
    for notice in &row.notices {
        let fine = match notice {
            // Gone at the relay, and said so.
            Notice::Expired { from } => {
                (from.0..=seq.0).all(|seq| model.entry(seq).is_some_and(|e| e.expired))
            }
            // Sent again after the relay had forgotten it: shown once by those who had it.
            Notice::Duplicate => model.entry(seq.0).is_some_and(|e| model.came_before(e.id, seq.0)),
            // See `gaps`.
            Notice::Gap(_) => true,
            // The relay's clock jumps.
            Notice::Times => true,
            _ => false,
        };
        if !fine {
            wrong.push(format!("entry {seq} is shown with {notice:?}"));
        }
    }
    // Of what expired or admitted this member, there is no entry to compare; the last row stays when its words are erased.
    if row.digest == Digest([0; 32]) || is_blank(row) {
        return;
    }
    let Some(entry) = model.entry(seq.0) else {
        wrong.push(format!("entry {seq} is shown, and the relay never took it"));
        return;
    };
    if row.digest != entry.digest {
        wrong.push(format!("entry {seq} is another"));
    }
    if row.from.is_some_and(|from| from != entry.author) {
        wrong.push(format!("entry {seq} is shown as another's"));
    }
    if row.stamp.0 != entry.at {
        wrong.push(format!("entry {seq} is kept with another time"));
    }
    let texts = sim.texts.borrow();
    let written = texts.get(&entry.id).map(|(_, text)| text);
    // A member who came back when the retraction itself had expired never learns of it.
    let known = |by: u64| by <= room.cursor().seq.0 && model.entry(by).is_some_and(|e| !e.expired);
    let retracted = entry.retracted_at.is_some_and(known);
    let right = match &row.content {
        RowContent::Text(text) => !retracted && Some(text) == written,
        // Also of what had expired at the relay, and not on this device.
        RowContent::Tombstone { .. } => entry.retracted_at.is_some() || entry.expired,
        // The relay held it back already.
        RowContent::Held(_) | RowContent::Unknown => false,
        RowContent::Nothing if row.notices == [Notice::Duplicate] => true,
        _ => written.is_none(),
    };
    if !right {
        wrong.push(format!("entry {seq} is shown as {:?}", row.content));
    }
}

/// Whether the words of a row are erased.
fn is_blank(row: &Row) -> bool {
    row.content == RowContent::Nothing && row.from.is_none() && row.notices.is_empty()
}

/// A member misses at most the messages that the relay refused when it could have taken and forgotten them:
/// their author does not know whether the others have them, and was told.
fn gaps(sim: &Sim, rows: &[Row], wrong: &mut Vec<String>) {
    let mut missed: BTreeMap<usize, u64> = BTreeMap::new();
    let keys = sim.keys.borrow();
    for row in rows {
        let Some(author) = row.from.and_then(|from| keys.get(&from)) else { continue };
        for notice in &row.notices {
            if let Notice::Gap(many) = notice {
                *missed.entry(*author).or_default() += *many;
                sim.count("missed");
            }
        }
    }
    let given_up = sim.given_up.borrow();
    for (author, missed) in missed {
        let refused = given_up.get(&author).copied().unwrap_or_default();
        if missed > refused {
            wrong.push(format!("{missed} of {} are missed, {refused} were refused", NAMES[author]));
        }
    }
}

/// Nothing twice, and in one order.
fn order(rows: &[Row], wrong: &mut Vec<String>) {
    let mut ids: BTreeSet<(Option<MemberKey>, MessageId)> = BTreeSet::new();
    let mut last = Seq(0);
    for row in rows {
        if row.seq <= last {
            wrong.push(format!("entry {} comes after entry {last}", row.seq));
        }
        last = row.seq;
        if let Some(id) = row.id
            && !ids.insert((row.from, id))
        {
            wrong.push(format!("entry {} is shown twice", row.seq));
        }
    }
}

/// Everything that the room still keeps is there.
fn holes(sim: &Sim, model: &Model, room: &mut Room<'_>, rows: &[Row], wrong: &mut Vec<String>) {
    let there: BTreeSet<u64> =
        rows.iter().filter(|row| !is_blank(row)).map(|row| row.seq.0).collect();
    // A member's own clock decides what their device erases, by any rule that it has seen.
    let kept = model.entries.iter().map(|entry| entry.after.numbers.retention_seconds).min();
    let oldest = sim.clock.relay().0.saturating_sub(kept.unwrap_or(0) * 1000) + SKEW_MILLIS;
    // Entries from before that clock jumped ahead are so much older by it.
    let who = sim.keys.borrow().get(&room.me()).copied().unwrap_or(0);
    let ahead = u64::try_from(sim.skews[who].load(Ordering::Relaxed)).unwrap_or(0);
    let since = sim.wrong_since.get().saturating_add(SKEW_MILLIS);
    for seq in room.state().joined.0 + 1..=room.cursor().seq.0 {
        let Some(entry) = model.entry(seq) else { break };
        let jumped = if entry.at < since { ahead } else { 0 };
        if !there.contains(&seq) && !entry.expired && entry.at >= oldest.saturating_add(jumped) {
            wrong.push(format!("entry {seq} is missing"));
        }
    }
}

/// Roster, roles, numbers and epoch are those of the entry at the cursor.
fn shape(sim: &Sim, model: &Model, room: &mut Room<'_>, wrong: &mut Vec<String>) {
    let Some(entry) = model.entry(room.cursor().seq.0) else { return };
    let policy = room.policy().unwrap();
    let roster = room.roster().unwrap();
    let roles: BTreeMap<MemberKey, Role> =
        roster.iter().map(|leaf| (leaf.member, policy.role(&leaf.member))).collect();
    let named = |roles: &BTreeMap<MemberKey, Role>| {
        let mut named: Vec<_> =
            roles.iter().map(|(k, role)| format!("{} {}", sim.name(k), role.as_str())).collect();
        named.sort();
        named.join(", ")
    };
    let seq = room.cursor().seq;
    if roles != entry.after.roles {
        let (mine, theirs) = (named(&roles), named(&entry.after.roles));
        wrong.push(format!("after entry {seq} the roster is {mine} and should be {theirs}"));
    }
    if policy.numbers != entry.after.numbers {
        let (mine, theirs) = (&policy.numbers, &entry.after.numbers);
        wrong.push(format!("after entry {seq} the numbers are {mine:?} and should be {theirs:?}"));
    }
    let epoch = room.epoch().unwrap().0;
    if epoch != entry.after.epoch {
        let theirs = entry.after.epoch;
        wrong.push(format!("after entry {seq} the epoch is {epoch} and should be {theirs}"));
    }
}
