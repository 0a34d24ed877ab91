//! Incoming messages: ids, numbers, content, retractions and announced invites.

use hearth_protocol::{MemberKey, MessageId, Role, Seq, invite};
use minicbor::{Decode, Encode};

use super::{Result, return_name, text_name};
use crate::{
    content::{Body, ContentError, Envelope, Head, LaterKind},
    floor::{Answer, Ask, Close, Recap, What},
    policy::Category,
    quote::Proof,
    room::{Room, read, write},
    state::{KnownInvite, Notice, ReturnInvite, Row, RowContent},
    store::Kind,
    words::EDITS_MAX,
};

impl Room<'_> {
    pub(crate) fn take_application(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        padded: &[u8],
        marked: bool,
    ) -> Result<()> {
        let (head, body, later) = match Envelope::from_padded(padded, marked) {
            Ok(Envelope { id, counter, seen, body, salt, .. }) => {
                (Head { id, counter, seen }, Some((body, salt)), None)
            }
            Err(ContentError::Later(head, kind)) => (*head, None, Some(kind)),
            Err(ContentError::Mark(head)) => {
                row.notices.push(Notice::Mark);
                (*head, None, None)
            }
            Err(_) => {
                row.notices.push(Notice::Unreadable);
                return Ok(());
            }
        };
        // RFC 9750 section 8: MLS does not stop one member from encrypting another's message again; the id does.
        let known = self.uses_of(&head.id)?.iter().any(|by| by.sender == sender);
        if known {
            row.notices.push(Notice::Duplicate);
            return Ok(());
        }
        self.remember_message(row, sender, &head.id)?;
        row.id = Some(head.id);
        self.check_counter(row, sender, head.counter)?;
        if self.may_sit(&sender)? {
            self.check_seen(row, sender, head.seen.as_ref())?;
        } else {
            // What they saw of the log proves nothing: they were taken from it.
            row.notices.push(Notice::NoSeat);
        }
        match (body, later) {
            (Some((body, salt)), _) => {
                let proof = Proof::of(&sender, &head.id, salt, &body);
                self.take_body(row, sender, body)?;
                row.proof = Some(proof.beside(&row.content, &row.talk));
                Ok(())
            }
            (None, Some(kind)) => self.take_later(row, kind),
            (None, None) => Ok(()),
        }
    }

    /// Shows one message of each later kind, without its content, which this version cannot show.
    pub(super) fn take_later(&self, row: &mut Row, kind: LaterKind) -> Result<()> {
        let told: Option<Vec<LaterKind>> = read(self.store, Kind::Seen, self.no, LATER)?;
        let mut told = told.unwrap_or_default();
        if told.len() < LATER_KINDS_MAX && !told.contains(&kind) {
            told.push(kind);
            write(self.store, Kind::Seen, self.no, LATER, &told)?;
            row.content = RowContent::Unknown;
        }
        Ok(())
    }

    /// Stores the sender and place of a message id, and notices if another member's message has the same id.
    ///
    /// The sender counts beside the id, so that a member who learns another's id early cannot use it first and make the other's message
    /// look like the copy.
    pub(super) fn remember_message(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        id: &MessageId,
    ) -> Result<()> {
        let mut uses = self.uses_of(id)?;
        if let Some(first) = uses.iter().find(|by| by.sender != sender).copied() {
            let by = self.name_of(&first.sender)?;
            row.notices.push(Notice::SameId { seq: first.place, by });
        }
        uses.retain(|by| by.sender != sender);
        uses.push(IdUse { sender, place: row.place });
        write(self.store, Kind::Seen, self.no, id.as_bytes(), &uses)
    }

    /// Returns the messages with an id, first come first.
    pub(crate) fn uses_of(&self, id: &MessageId) -> Result<Vec<IdUse>> {
        Ok(read(self.store, Kind::Seen, self.no, id.as_bytes())?.unwrap_or_default())
    }

    pub(super) fn check_counter(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        counter: u64,
    ) -> Result<()> {
        let name = counter_name(&sender);
        let known: Option<u64> = read(self.store, Kind::Seen, self.no, &name)?;
        if let Some(known) = known {
            if counter <= known {
                row.notices.push(Notice::CounterReused);
                return Ok(());
            }
            let missing = counter - known - 1;
            // A tombstone hides its sender, so each explains one missing message.
            let explained = missing.min(self.cursor.tombstones);
            self.cursor.tombstones -= explained;
            if missing > explained {
                row.notices.push(Notice::Gap(missing - explained));
            }
        }
        write(self.store, Kind::Seen, self.no, &name, &counter)
    }

    pub(super) fn take_body(&mut self, row: &mut Row, sender: MemberKey, body: Body) -> Result<()> {
        let body = match self.state.lane {
            None => body,
            Some(_) if is_of_rooms_and_lanes(&body) => body,
            Some(_) => return self.take_lane_body(row, sender, body),
        };
        match body {
            Body::Text(text) => {
                self.heard = Some(What::Words(None));
                row.content = RowContent::Text(text);
            }
            Body::Say { text, reply, topic } => {
                self.heard = Some(What::Words(None));
                self.take_say(row, text, reply, topic.as_deref());
            }
            Body::Floor(op) => {
                self.heard = Some(What::Op(op.clone()));
                row.content = RowContent::Floor(Some(op));
            }
            Body::Ask { form, text, options, until, after_own, part } => {
                let ask = Ask { form, text, options, until, after_own, part };
                self.heard = Some(What::Ask(ask.clone()));
                row.content = RowContent::Asked(ask);
            }
            Body::Answer { ask, choice, text: Some(text), .. } => {
                self.heard = Some(What::Words(Some(Answer { ask, choice })));
                row.content = RowContent::Text(text);
                row.talk.answers = Some(ask);
            }
            Body::Answer { ask, choice: Some(choice), text: None, .. }
                if self.may_post(&sender, row.said)? =>
            {
                self.heard = Some(What::Words(Some(Answer { ask, choice: Some(choice) })));
                row.content = RowContent::Vote { ask, choice, option: None };
            }
            Body::Answer { text: None, .. } => {}
            Body::Close { ask, ballots } => {
                self.heard = Some(What::Close(Close { ask, ballots }));
                row.content = RowContent::Floor(None);
            }
            Body::Recap { upto, state } => {
                self.heard = Some(What::Recap(Recap { upto, state }));
                row.content = RowContent::Floor(None);
            }
            Body::Duty(until) => {
                self.take_duty(row, sender, until)?;
            }
            Body::React { to, kind } if self.may_post(&sender, row.said)? => {
                self.take_reaction(row, sender, to, kind)?;
            }
            Body::Edit { message, seq, text } if self.may_post(&sender, row.said)? => {
                self.take_edit(row, sender, message, seq, text)?;
            }
            // What a pause stops changes nothing.
            Body::React { .. } | Body::Edit { .. } => {}
            Body::Cover { to, topic } => self.take_cover(row, sender, to, &topic)?,
            Body::Retract { message, seq, edits } => {
                let edits = edits.unwrap_or_default();
                self.take_retraction(row, sender, message, seq, &edits)?;
            }
            Body::Depart { departure } => {
                if departure.member != sender || !departure.verify(&self.id()) {
                    row.notices.push(Notice::FalseDeparture);
                    return Ok(());
                }
                let leaf = self.roster()?.into_iter().find(|leaf| leaf.member == sender);
                let ends = leaf.map(|leaf| leaf.acknowledgement.digest());
                if ends != Some(departure.acknowledgement) {
                    row.notices.push(Notice::FalseDeparture);
                    return Ok(());
                }
                row.content = RowContent::Goodbye { withdrawn: departure.withdrawn };
                write(self.store, Kind::Pending, self.no, sender.as_bytes(), &departure)?;
            }
            Body::InviteIssued { invite, knock_key, uses, expires, role, of } => {
                // A co-facilitator who announced such an invite would appoint a moderator through the admitting facilitator.
                let policy = self.policy()?;
                let by = policy.role(&sender);
                let may = by == Role::Facilitator || (by.moderates() && !role.admits());
                // The place's role counts, and the place is there before its invite.
                let place = of.map(|lost| policy.kept_place(&lost).map(|place| place.role));
                let may = may && place.is_none_or(|kept| kept == Some(role));
                if !may {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                }
                let vouched = Some(self.policy()?.doorkeepers());
                let by = sender;
                let known = KnownInvite { invite, knock_key, role, expires, by, vouched, of };
                if self.take_invite(row, &known)? {
                    row.content = RowContent::InviteIssued { uses, expires };
                }
            }
            Body::AgreementText { agreement, return_secret, return_expires } => {
                let id = agreement.id();
                let policy = self.policy()?;
                let role = policy.role(&sender);
                let issues = role == Role::Facilitator && agreement.signer == sender;
                // A moderator who admits a member repeats the text of the coming version, for which its id in the policy vouches.
                let repeats = role.moderates() && policy.pending.is_some_and(|p| p.id == id);
                if !issues && !repeats {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                }
                write(self.store, Kind::Pending, self.no, &text_name(&id), &row.seq)?;
                let known: Option<ReturnInvite> =
                    read(self.store, Kind::Pending, self.no, &return_name(&id))?;
                if let Some(known) = known.filter(|_| repeats) {
                    if known.secret.expose() != return_secret.expose() {
                        let by = self.name_of(&agreement.signer)?;
                        row.notices.push(Notice::SecondInvite { by });
                    }
                    return Ok(());
                }
                self.save_agreement(&agreement)?;
                // Announced together, so that no later announcement can differ.
                let token = invite::invite_token(&return_secret);
                let known = KnownInvite {
                    invite: invite::invite_id(&token),
                    knock_key: invite::knock_key(&return_secret),
                    role: Role::Member,
                    expires: return_expires,
                    by: sender,
                    // Its preview is made when the amendment takes effect.
                    vouched: None,
                    of: None,
                };
                self.take_invite(row, &known)?;
                let back =
                    ReturnInvite { agreement: id, secret: return_secret, expires: return_expires };
                write(self.store, Kind::Pending, self.no, &return_name(&id), &back)?;
                row.content = RowContent::AgreementText(id);
            }
            Body::Shared(text) => {
                if self.policy()?.role(&sender).moderates() {
                    self.heard = Some(What::Words(None));
                    row.content = RowContent::Shared(text);
                } else {
                    row.notices.push(Notice::Unreadable);
                }
            }
            // Those of lanes mean nothing in a room.
            Body::Offers(_)
            | Body::Note { .. }
            | Body::Anon(_)
            | Body::Recall(_)
            | Body::Mood { .. }
            | Body::Questionnaire { .. }
            | Body::Report { .. }
            | Body::Flag(_)
            | Body::Seen { .. }
            | Body::Inquire { .. } => row.notices.push(Notice::Unreadable),
            Body::Sealed { notes } => {
                let moderates = self.policy()?.role(&sender).moderates();
                if !moderates {
                    row.notices.push(Notice::Unreadable);
                    return Ok(());
                }
                self.take_notes(sender, &notes)?;
            }
        }
        Ok(())
    }

    /// Retracts the sender's own message. Any other retraction by a member changes nothing and is reported with their name.
    pub(super) fn take_retraction(
        &mut self,
        row: &mut Row,
        sender: MemberKey,
        message: MessageId,
        seq: Seq,
        edits: &[Seq],
    ) -> Result<()> {
        let target = self.row(seq)?.map(|row| self.shown_row(row, &message)).transpose()?;
        let known = target.as_ref().and_then(|target| target.from);
        let is_theirs = target.as_ref().is_none_or(|target| target.id == Some(message));
        let false_one = known.is_some_and(|from| from != sender || !is_theirs) || seq >= row.seq;
        if false_one {
            row.notices.push(Notice::FalseRetraction);
            return Ok(());
        }
        // Turns and questions stay, because everybody's floor rests on them.
        if target.as_ref().is_some_and(is_floor) {
            row.notices.push(Notice::FalseRetraction);
            return Ok(());
        }
        self.explain(seq, sender, None)?;
        for edit in edits.iter().take(EDITS_MAX).filter(|edit| **edit > seq && **edit < row.seq) {
            self.explain(*edit, sender, None)?;
        }
        self.heard = Some(What::Retract(seq));
        if let Some(target) = target.filter(|_| known == Some(sender)) {
            self.bury(target, &RowContent::Tombstone { by: Some(sender), category: None })?;
        }
        row.content = RowContent::Retraction(message);
        Ok(())
    }

    /// Records who retracted an entry that the relay delivered as a tombstone.
    pub(super) fn explain(
        &mut self,
        seq: Seq,
        by: MemberKey,
        category: Option<Category>,
    ) -> Result<()> {
        if !self.cursor.unexplained.contains(&seq) {
            return Ok(());
        }
        self.cursor.unexplained.retain(|other| *other != seq);
        if let Some(mut row) = self.row(seq)?
            && matches!(row.content, RowContent::Tombstone { by: None, .. })
        {
            row.content = RowContent::Tombstone { by: Some(by), category };
            self.save_row(&row)?;
        }
        Ok(())
    }

    /// Stores the key that opens an invite's knocks. The first announcement counts; returns whether this is it.
    pub(super) fn take_invite(&mut self, row: &mut Row, invite: &KnownInvite) -> Result<bool> {
        let name = *invite.invite.as_bytes();
        let first: Option<KnownInvite> = read(self.store, Kind::Invite, self.no, &name)?;
        let Some(first) = first else {
            write(self.store, Kind::Invite, self.no, &name, invite)?;
            return Ok(true);
        };
        let same = first.knock_key.expose() == invite.knock_key.expose()
            && (first.role, first.of) == (invite.role, invite.of)
            && first.by == invite.by;
        if !same {
            let by = self.name_of(&first.by)?;
            row.notices.push(Notice::SecondInvite { by });
        }
        Ok(false)
    }
}

/// Whether an entry is about turns or questions.
pub(super) const fn is_floor(row: &Row) -> bool {
    matches!(row.content, RowContent::Floor(_) | RowContent::Asked(_))
}

/// Whether a message counts in a lane as in a room.
const fn is_of_rooms_and_lanes(body: &Body) -> bool {
    matches!(body, Body::Text(_) | Body::Say { .. } | Body::Retract { .. })
}

/// Names the record of the unknown kinds of messages that the member was told of.
pub(super) const LATER: &[u8] = b"later";

/// Kinds told at most, because a member can invent any number of them.
pub(super) const LATER_KINDS_MAX: usize = 32;

/// One use of a message id.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub(crate) struct IdUse {
    /// The message's sender.
    #[n(0)]
    pub(crate) sender: MemberKey,
    /// The message's place in this profile's history.
    #[n(1)]
    pub(crate) place: Seq,
}

/// Names the record of a sender's last message number.
pub(crate) fn counter_name(sender: &MemberKey) -> Vec<u8> {
    [b"counter", sender.as_bytes().as_slice()].concat()
}
