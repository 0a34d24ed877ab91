//! Outgoing acts of moderation: one commit each, with the record that describes it.

mod amendment;
mod breach;
mod door;
mod second;

use hearth_protocol::{BlobId, Effect, MemberKey, MessageId, Millis, Role, codec, hash};

use super::{
    accord::Waits,
    agreement::{Acknowledgement, Departure},
    companion::Companion,
    content::Body,
    error::EngineError,
    lane::Offer,
    mls::CommitPlan,
    note::{self, Note, Recipient, TimeOut},
    outbox::{Submission, submission},
    policy::{Act, Admission, COMMENT_CHARS_MAX, Leaf, Record, RuleError, Scene},
    room::{Room, identity, random, read},
    state::{Outgoing, OutgoingKind},
};
use crate::store::Kind;

pub use self::{
    breach::{RENEW_MILLIS, Renewal},
    second::{Proposed, Removing, is_long},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Bytes of the sealed notes in one message, whose content has at most 65,532. One note takes up to 17,540 of them.
const SEALED_BYTES_MAX: usize = 60_000;
/// Bytes of CBOR around one note.
const SEALED_HEAD_BYTES: usize = 5;
/// How long lapsed members can return by the return invite: 30 days.
const RETURN_MILLIS: u64 = 30 * 24 * 3600 * 1000;

/// An amendment whose effective time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Number of the version.
    pub version: u32,
    /// Why this profile cannot put it in force; `None` if it can.
    pub waits: Option<Waits>,
}

/// Terms of a new invite.
#[derive(Clone, Copy, Debug)]
pub struct InviteTerms {
    /// Number of knocks that it allows.
    pub uses: u32,
    /// End of validity.
    pub expires: Millis,
    /// The role its holder is admitted to.
    pub role: Role,
}

/// A knock, opened and verified.
#[derive(Clone, Debug)]
pub struct Knock {
    /// The knocker's key.
    pub member: MemberKey,
    /// The name asked for.
    pub name: String,
    /// When the relay received it.
    pub at: Millis,
    /// The acknowledgement, verified against the current agreement.
    pub acknowledgement: Acknowledgement,
    /// The companion in its leaf.
    pub companion: Companion,
    /// The role of the invite; of a member who returns, the one they had.
    pub role: Role,
    /// Whether the room keeps a place for the knocker.
    pub back: bool,
    /// Keys for the knocker's own lane.
    pub offer: Option<Offer>,
    /// The lost device in whose place the knocker comes.
    pub of: Option<MemberKey>,
    /// Whether this profile made the invite.
    pub invited_by_me: bool,
    /// Keys whose Welcome the knocker accepts; `None` if unknown.
    pub(super) vouched: Option<Vec<MemberKey>>,
    /// MLS key package.
    key_package: Vec<u8>,
    /// HPKE public key to which the answer is sealed.
    reply_key: Vec<u8>,
}

#[cfg(test)]
impl Knock {
    /// Returns the same knock with another reply key.
    pub(crate) fn with_reply_key(self, reply_key: Vec<u8>) -> Self {
        Self { reply_key, ..self }
    }
}

impl Room<'_> {
    /// Makes the commit for an act, which the gate has judged, and puts it into the outbox.
    ///
    /// # Errors
    /// [`EngineError::Rule`] or [`EngineError::Refused`] if the rules forbid it; [`EngineError::Busy`] if another
    /// commit waits.
    pub fn act(&mut self, act: Act, now: Millis) -> Result<Submission> {
        self.commit_act(act, now, None, Vec::new())
    }

    /// Renews the own leaf's keys, with a new acknowledgement or the old one.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn renew(
        &mut self,
        acknowledgement: Option<&Acknowledgement>,
        now: Millis,
    ) -> Result<Submission> {
        self.change(|room| {
            room.check_idle()?;
            room.rotate_note_key(now)?;
            let plan = CommitPlan { acknowledgement, ..CommitPlan::default() };
            room.commit_plan(&plan, Vec::new(), now)
        })
    }

    /// Stores a time-out, or its early end if `until` is not after `now`, and queues it as sealed notes for the member and all other
    /// moderators. [`Self::time_out`] makes it official afterwards.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMember`]; [`RuleError::NotFacilitator`]; [`RuleError::TooLong`]; see [`EngineError`].
    pub fn queue_time_out(
        &mut self,
        member: MemberKey,
        until: Millis,
        words: String,
        now: Millis,
    ) -> Result<TimeOut> {
        let policy = self.policy()?;
        if !policy.role(&self.me()).moderates() || policy.role(&member).moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        if words.chars().count() > COMMENT_CHARS_MAX {
            return Err(RuleError::TooLong.into());
        }
        self.leaf(&member)?;
        let time_out = TimeOut { member, until, salt: random()?, words };
        self.queue_time_out_notes(&time_out, now)?;
        Ok(time_out)
    }

    /// Queues a time-out as sealed notes for its member and all other moderators; returns the id of the last message with them.
    fn queue_time_out_notes(
        &mut self,
        time_out: &TimeOut,
        now: Millis,
    ) -> Result<Option<MessageId>> {
        let (policy, me, member) = (self.policy()?, self.me(), time_out.member);
        let readers = self.roster()?.into_iter().filter(|leaf| {
            leaf.member != me && (leaf.member == member || policy.role(&leaf.member).moderates())
        });
        let content = codec::encode(time_out);
        let mut notes = Vec::new();
        for leaf in readers {
            // A member whose key takes no note is not told; the time-out still holds.
            notes.extend(self.seal_note(&leaf, note::Purpose::TimeOut, &content, now)?);
        }
        // Each begins with a random id, so sorting hides who gets which.
        notes.sort_unstable();
        self.change(|room| {
            room.save_time_out(time_out)?;
            let mut last = None;
            for notes in by_bytes(notes) {
                let notes = notes.into_iter().map(Into::into).collect();
                last = Some(room.queue_within(Body::Sealed { notes }, Vec::new(), now)?);
            }
            Ok(last)
        })
    }

    /// Queues words to a member as a sealed note, to be read with the removal that follows.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMember`]; [`RuleError::NotFacilitator`]; [`RuleError::TooLong`]; see [`EngineError`].
    pub fn queue_last_words(&mut self, member: MemberKey, words: &str, now: Millis) -> Result<()> {
        if !self.my_role()?.moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        if words.chars().count() > COMMENT_CHARS_MAX {
            return Err(RuleError::TooLong.into());
        }
        let leaf = self.leaf(&member)?;
        let Some(note) = self.seal_note(&leaf, note::Purpose::Removal, words.as_bytes(), now)?
        else {
            return Ok(());
        };
        self.queue(Body::Sealed { notes: vec![note.into()] }, Vec::new(), now)?;
        Ok(())
    }

    /// Makes a time-out official, or its early end if its `until` is not after `now`.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn time_out(&mut self, time_out: &TimeOut, now: Millis) -> Result<Submission> {
        let commitment = time_out.commitment();
        let TimeOut { member, until, .. } = *time_out;
        let act = if until > now { Act::Timeout(commitment) } else { Act::Untimeout(commitment) };
        self.commit_act(act, now, None, vec![Effect::Timeout { member, until }])
    }

    /// Seals a note to the key in a member's leaf; `None` if the leaf has no usable key.
    fn seal_note(
        &self,
        to: &Leaf,
        purpose: note::Purpose,
        content: &[u8],
        now: Millis,
    ) -> Result<Option<Vec<u8>>> {
        let Some(key) = &to.companion.note else { return Ok(None) };
        let id = MessageId(random()?);
        let content = content.to_vec();
        let note = Note::sign(&self.signing_key(), id, self.id(), to.member, purpose, now, content);
        let to = Recipient { member: to.member, number: key.number, key: &key.key };
        Ok(note.seal(self.crypto, self.state.suite(), &to))
    }

    /// Queues my own departure, after which the relay delivers nothing to me.
    ///
    /// # Errors
    /// [`RuleError::LastFacilitator`] if no facilitator would remain.
    pub fn queue_departure(&mut self, withdrawn: bool, now: Millis) -> Result<MessageId> {
        self.check_may_leave()?;
        let digest = self.acknowledgement()?.digest();
        let departure = Departure::sign(&self.signing_key(), self.id(), digest, withdrawn, now);
        self.queue(Body::Depart { departure }, vec![Effect::Leave], now)
    }

    /// Whether I may leave the room.
    ///
    /// # Errors
    /// [`RuleError::LastFacilitator`] if no facilitator would remain.
    pub fn check_may_leave(&mut self) -> Result<()> {
        let policy = self.policy()?;
        let me = self.me();
        let facilitators =
            policy.roles.iter().filter(|r| r.role == Role::Facilitator && r.member != me);
        let last = policy.role(&me) == Role::Facilitator && facilitators.count() == 0;
        if last && self.roster()?.len() > 1 {
            return Err(RuleError::LastFacilitator.into());
        }
        Ok(())
    }

    /// Returns the departures that no commit has carried out yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn open_departures(&mut self) -> Result<Vec<Departure>> {
        let mut open = Vec::new();
        for leaf in self.roster()? {
            let departure: Option<Departure> =
                read(self.store, Kind::Pending, self.no, leaf.member.as_bytes())?;
            // A departure from an earlier stay, or with a wrong digest, can never be carried out.
            let fits = |d: &Departure| d.acknowledgement == leaf.acknowledgement.digest();
            if leaf.member != self.me() {
                open.extend(departure.filter(fits));
            }
        }
        Ok(open)
    }

    fn leaf(&mut self, member: &MemberKey) -> Result<Leaf> {
        let roster = self.roster()?;
        let leaf = roster.into_iter().find(|l| l.member == *member);
        leaf.ok_or_else(|| EngineError::NoSuchMember(member.short()))
    }

    fn check_idle(&mut self) -> Result<()> {
        self.check_whole()?;
        if self.group()?.1.has_pending() {
            return Err(EngineError::Busy);
        }
        Ok(())
    }

    pub(super) fn commit_act(
        &mut self,
        act: Act,
        now: Millis,
        add: Option<(&Leaf, &[u8])>,
        effects: Vec<Effect>,
    ) -> Result<Submission> {
        self.change(|room| {
            room.check_idle()?;
            room.commit_record(act, now, add, effects)
        })
    }

    fn commit_record(
        &mut self,
        act: Act,
        now: Millis,
        add: Option<(&Leaf, &[u8])>,
        mut effects: Vec<Effect>,
    ) -> Result<Submission> {
        let policy = self.policy()?;
        let roster = self.roster()?;
        let record: Record = policy.record_for(self.me(), now, act);
        let mine = self.acknowledgement()?;
        let scene = Scene {
            room: self.id(),
            members_max: self.state.suite().members_max(),
            roster: &roster,
            added: add.map(|(leaf, _)| leaf),
            actor_acknowledgement: &mine,
        };
        let applied = self.crypto.laws().apply(&policy, scene, &record)?;
        let removed = applied.removed.iter().map(|member| Effect::Remove { member: *member });
        let mut all: Vec<Effect> = removed.collect();
        all.extend(record.act.effect());
        if applied.policy.numbers != policy.numbers {
            all.push(Effect::SetNumbers { numbers: applied.policy.numbers.clone() });
        }
        all.append(&mut effects);
        let plan = CommitPlan {
            add: add.map(|(_, package)| package),
            remove: &applied.removed,
            policy: Some(&applied.policy),
            acknowledgement: None,
        };
        self.commit_plan(&plan, all, now)
    }

    fn commit_plan(
        &mut self,
        plan: &CommitPlan<'_>,
        mut effects: Vec<Effect>,
        now: Millis,
    ) -> Result<Submission> {
        let (room, key, mine) = (self.id(), self.signing_key(), self.acknowledgement()?);
        let (state, companion) = (self.state.clone(), self.companion()?);
        let (provider, group) = self.group()?;
        let me = identity(&state, &key, &mine, &companion);
        let committed = group.commit(&provider, room, me, plan)?;
        if let (Some(policy), Some(welcome)) = (plan.policy, &committed.welcome)
            && let Some(Admission { member, acknowledgement, .. }) = policy.record.act.admission()
        {
            let welcome = BlobId(hash::sha256(welcome).0);
            let admit =
                Effect::Admit { member, role: policy.role(&member), welcome, acknowledgement };
            effects.insert(0, admit);
        }
        let new = plan.acknowledgement.map(|a| a.to_bytes().into());
        let outgoing = Outgoing {
            id: MessageId(random()?),
            written_at: now,
            what: OutgoingKind::Commit { acknowledgement: new, seats: None },
            effects,
            welcome: committed.welcome.unwrap_or_default(),
            payload: committed.commit,
            doubtful: false,
            after: self.cursor.seq,
            refused: false,
            held: None,
        };
        let number = self.push_outgoing(&outgoing)?;
        Ok(submission(number, outgoing))
    }
}

/// Splits sealed notes into messages by size.
fn by_bytes(notes: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut messages = Vec::new();
    let (mut message, mut bytes) = (Vec::new(), 0_usize);
    for note in notes {
        let more = note.len().saturating_add(SEALED_HEAD_BYTES);
        if !message.is_empty() && bytes.saturating_add(more) > SEALED_BYTES_MAX {
            messages.push(std::mem::take(&mut message));
            bytes = 0;
        }
        bytes = bytes.saturating_add(more);
        message.push(note);
    }
    if !message.is_empty() {
        messages.push(message);
    }
    messages
}
