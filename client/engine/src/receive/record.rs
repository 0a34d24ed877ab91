//! Incoming records of moderation: what each does to this profile.

use hearth_protocol::{MemberKey, Millis, Role, frame::Door, invite};

use super::{
    ADMITTED, Result,
    message::{counter_name, is_floor},
    notes::time_out_name,
    return_name,
};
use crate::{
    content::Body,
    error::EngineError,
    floor::What,
    policy::{Act, Admission, Applied, Leaf, RoomPolicy, Second, Weighty},
    room::{Room, read, write},
    state::{
        Countersignature, KnownInvite, Notice, OutgoingKind, Over, ReturnInvite, Row, RowContent,
        Standing,
    },
    store::Kind,
};

impl Room<'_> {
    /// Writes a record of moderation into log and history, and carries out its effects on this profile.
    pub(crate) fn take_record(
        &mut self,
        row: &mut Row,
        policy: &RoomPolicy,
        roster: &[Leaf],
    ) -> Result<()> {
        let record = &policy.record;
        self.save_record(record)?;
        if policy.desk.is_some() {
            // The group knows it even if this profile has just gone out.
            let after = self.group.as_mut().map(|group| group.roster()).transpose();
            let after = after.map_err(|error| EngineError::Refused(error.into()))?;
            self.note_roll(policy, &after.unwrap_or_default())?;
        }
        let name_of = |member: &MemberKey| {
            roster.iter().find(|l| l.member == *member).map(|l| l.name.clone()).unwrap_or_default()
        };
        let mut target = record.act.target().as_ref().map(name_of).unwrap_or_default();
        let mut content = None;
        if let Some(Admission { member, .. }) = record.act.admission() {
            // A member who returns under the same key, after lapsing, counts from one again.
            self.forget_member(&member)?;
            write(self.store, Kind::Pending, self.no, ADMITTED, &row.seq)?;
            if member != self.me() {
                // A member who sees the admission would miss even the newcomer's first message.
                write(self.store, Kind::Seen, self.no, &counter_name(&member), &0_u64)?;
            }
        }
        if let Some(member) = record.act.takes_out() {
            if target.is_empty() {
                // They waited, and are in no tree.
                target = self.known_names()?.remove(&member).unwrap_or_default();
            }
            self.forget_member(&member)?;
        }
        if let Some((member, goodbye)) = record.act.removal() {
            self.is_on_duty_by(record.actor, row.stamp)?;
            if member == self.me() {
                let words = self.words_of_removal(&record.actor)?;
                content = Some(RowContent::MyRemoval { words, goodbye: goodbye.to_owned() });
            }
        }
        match &record.act {
            Act::SetRole { member, role } => {
                if role.moderates() {
                    // A moderator has no time-out; the relay gives them none, either.
                    self.store.delete(Kind::Note, self.no, &time_out_name(member))?;
                    if *member == self.me() {
                        self.state.timed_out_until = Millis(0);
                        self.save_state()?;
                    }
                }
                if *member == self.me() {
                    // This profile did not get the notes of time-outs from before it moderated.
                    self.excuse_others()?;
                    self.drop_stale_texts(policy)?;
                    self.hold_overlong_texts(policy)?;
                }
            }
            Act::Pause { until, reopens, .. } => self.note_pause(*until, *reopens)?,
            Act::Door(Door::Open) => self.note_pause(Millis(0), true)?,
            Act::Retract { message, seq, category } => {
                if self.row(*seq)?.as_ref().is_some_and(is_floor) {
                    row.notices.push(Notice::FalseRetraction);
                }
                self.explain(*seq, record.actor, Some(*category))?;
                self.heard = Some(What::Retract(*seq));
                let hit = self.row(*seq)?.map(|row| self.shown_row(row, message)).transpose()?;
                let hit = hit.filter(|row| row.id == Some(*message) && !is_floor(row));
                if let Some(hit) = hit {
                    target.clone_from(&hit.name);
                    let (by, category) = (Some(record.actor), Some(*category));
                    self.bury(hit, &RowContent::Tombstone { by, category })?;
                }
            }
            Act::Timeout(commitment)
            | Act::Untimeout(commitment)
            | Act::Second(Second::Confirm { what: Weighty::Timeout(commitment), .. }) => {
                let known = self.take_time_out(row, commitment, record)?;
                if let Some((member, until, words)) = known {
                    if member == self.me() {
                        content = Some(RowContent::MyTimeout { until, note: words });
                    } else {
                        // The others of those who moderate read whose it is.
                        target = name_of(&member);
                    }
                }
            }
            Act::Amend { .. } | Act::Enact | Act::CloseBreach { .. } => {
                if matches!(record.act, Act::Enact | Act::CloseBreach { .. }) {
                    self.vouch_for_return(policy)?;
                    // Who waits from now on was in the roster.
                    let waits = roster.iter().filter(|leaf| policy.waiter(&leaf.member).is_some());
                    let names: Vec<&str> = waits.map(|leaf| leaf.name.as_str()).collect();
                    target = names.join(", ");
                }
                self.state.agreement = policy.agreement.id;
                self.save_state()?;
                self.drop_stale_texts(policy)?;
            }
            Act::OpenBreach { .. } => {
                self.is_on_duty_by(record.actor, row.stamp)?;
                self.take_return_invite(record, policy.agreement.id)?;
            }
            Act::Withdraw => self.drop_stale_texts(policy)?,
            Act::Length(_) => self.hold_overlong_texts(policy)?,
            Act::CloseGroup(_) => self.note_ending(policy, row.said)?,
            _ => {}
        }
        if let Act::Second(step) = &record.act {
            self.take_second(policy, step)?;
        }
        row.content =
            content.unwrap_or_else(|| RowContent::Moderation { record: record.clone(), target });
        Ok(())
    }

    /// Drops texts of an agreement from the outbox that no longer count, because every member would be told of them.
    pub(super) fn drop_stale_texts(&mut self, policy: &RoomPolicy) -> Result<()> {
        let (me, pending) = (self.me(), policy.pending.map(|p| p.id));
        let role = policy.role(&me);
        for (number, outgoing) in self.outgoing()? {
            if let OutgoingKind::Message { body: Body::AgreementText { agreement, .. }, .. } =
                &outgoing.what
            {
                let issues = role == Role::Facilitator && agreement.signer == me;
                let repeats = role.moderates() && pending == Some(agreement.id());
                // A text with a payload may be in the log already.
                if !issues && !repeats && outgoing.payload.is_empty() {
                    self.delete_outgoing(number)?;
                }
            }
        }
        Ok(())
    }

    /// Stores who moderates when the return invite for lapsed members is made.
    pub(super) fn vouch_for_return(&self, policy: &RoomPolicy) -> Result<()> {
        let back: Option<ReturnInvite> =
            read(self.store, Kind::Pending, self.no, &return_name(&policy.agreement.id))?;
        let Some(back) = back else { return Ok(()) };
        let id = invite::invite_id(&invite::invite_token(&back.secret));
        let known: Option<KnownInvite> = read(self.store, Kind::Invite, self.no, id.as_bytes())?;
        let Some(known) = known else { return Ok(()) };
        let vouched = Some(policy.doorkeepers());
        write(self.store, Kind::Invite, self.no, id.as_bytes(), &KnownInvite { vouched, ..known })
    }

    pub(crate) fn forget_member(&mut self, member: &MemberKey) -> Result<()> {
        self.store.delete(Kind::Pending, self.no, member.as_bytes())?;
        self.store.delete(Kind::Seen, self.no, &counter_name(member))?;
        self.forget_fork(member)
    }

    pub(super) fn take_removal(&mut self, applied: &Applied) -> Result<()> {
        let act = &applied.policy.record.act;
        self.state.standing = match act {
            act if act.removal().is_some() => Standing::Removed,
            Act::Enact | Act::CloseBreach { .. } => Standing::Lapsed,
            Act::Device(_) => Standing::Over(Over::Device),
            Act::Farewell(_) => Standing::Over(Over::Farewell),
            Act::Remember { .. } | Act::Second(_) => Standing::Over(Over::Remembered),
            _ => Standing::Left,
        };
        self.save_state()?;
        self.drop_keys()
    }

    /// Ends the stay if a departure was sent and its entry has expired unread; returns whether that is so.
    ///
    /// Call it only after the relay said that this profile is out.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn leave_unread(&mut self) -> Result<bool> {
        let sent = self.outgoing()?.into_iter().any(|(_, outgoing)| {
            let message =
                matches!(outgoing.what, OutgoingKind::Message { body: Body::Depart { .. }, .. });
            message && !outgoing.payload.is_empty()
        });
        if sent {
            self.change(|room| {
                room.state.standing = Standing::Left;
                room.save_state()?;
                room.clear_outgoing()?;
                room.drop_keys()
            })?;
        }
        Ok(sent)
    }

    /// Deletes the group's keys, because this profile is out.
    pub(crate) fn drop_keys(&mut self) -> Result<()> {
        self.hold_waiting_texts(true)?;
        self.group = None;
        self.store.clear(Kind::Mls, self.no)?;
        // Who lapsed keeps the lane, and comes back to it.
        let keeps = self.state.lane.is_some() || self.state.standing.keeps_lane();
        if keeps { Ok(()) } else { self.leave_lanes() }
    }

    /// Remembers the countersignature under my acknowledgement, from the record that admitted me.
    pub(crate) fn take_countersignature(&mut self, policy: &RoomPolicy) {
        let record = &policy.record;
        if let Some(Admission { countersignature, .. }) = record.act.admission() {
            self.state.countersigned = Some(Countersignature {
                facilitator: record.actor,
                signature: countersignature,
                at: record.at,
            });
        }
    }
}
