//! Outgoing acts of moderation: one commit each, with the record that describes it.

use hearth_protocol::{
    BlobId, Digest, Effect, MemberKey, MessageId, Millis, Role, Secret32, Seq, codec,
    frame::PendingKnock,
    handshake, hash,
    invite::{self, Invite},
    limits::NOTE_BYTES_MAX,
    seal::{self, Purpose},
};
use hearth_text::name::Look;

use super::{
    accord::Waits,
    agreement::{
        AckError, AckTerms, Acknowledgement, Agreement, Change, Departure, Preview,
        countersign_transcript, facilitators_hash,
    },
    companion::Companion,
    content::Body,
    error::EngineError,
    mls::CommitPlan,
    note::{self, Note, Recipient, TimeOut},
    outbox::{Submission, submission},
    policy::{Act, AgreementRef, COMMENT_CHARS_MAX, Leaf, Record, RuleError, Scene},
    receive::{ADMITTED, return_name, text_name},
    room::{Room, decode, identity, random, random_secret, read},
    state::{KnockBody, KnownInvite, Outgoing, OutgoingKind, ReturnInvite},
};
use crate::store::Kind;

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
    /// The role that the invite gives.
    pub role: Role,
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
        let me = self.me();
        let readers = self.roster()?.into_iter().filter(|leaf| {
            leaf.member != me && (leaf.member == member || policy.role(&leaf.member).moderates())
        });
        let content = codec::encode(&time_out);
        let mut notes = Vec::new();
        for leaf in readers {
            // A member whose key takes no note is not told; the time-out still holds.
            notes.extend(self.seal_note(&leaf, note::Purpose::TimeOut, &content, now)?);
        }
        // Each begins with a random id, so sorting hides who gets which.
        notes.sort_unstable();
        self.change(|room| {
            room.save_time_out(&time_out)?;
            for notes in by_bytes(notes) {
                let notes = notes.into_iter().map(Into::into).collect();
                room.queue_within(Body::Sealed { notes }, Vec::new(), now)?;
            }
            Ok(())
        })?;
        Ok(time_out)
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

    /// Makes an invite: returns the link's content and queues the message that announces it to relay and room.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`] if this member does not moderate.
    pub fn invite(&mut self, terms: InviteTerms, now: Millis) -> Result<(Invite, MessageId)> {
        let policy = self.policy()?;
        let role = policy.role(&self.me());
        let appoints = terms.role.moderates() && role != Role::Facilitator;
        if !role.moderates() || appoints {
            return Err(RuleError::NotFacilitator.into());
        }
        let secret = random_secret()?;
        let agreement = self.agreement(&policy.agreement.id)?.ok_or(EngineError::DamagedRecord)?;
        let facilitators = policy.moderators();
        let effect =
            self.invite_effect(&secret, agreement, terms.uses, terms.expires, facilitators)?;
        let token = invite::invite_token(&secret);
        let body = Body::InviteIssued {
            invite: invite::invite_id(&token),
            knock_key: invite::knock_key(&secret),
            uses: terms.uses,
            expires: terms.expires,
            role: terms.role,
        };
        let id = self.queue(body, vec![effect], now)?;
        let link = Invite {
            address: self.state.address(),
            room: self.id(),
            facilitator: self.me(),
            agreement: policy.agreement.id,
            secret,
            expires: terms.expires,
        };
        Ok((link, id))
    }

    /// Opens a knock and runs every check of it that the gate will run.
    ///
    /// # Errors
    /// [`EngineError::BadKnock`] if an honest client would not send it; [`EngineError::Acknowledgement`].
    pub fn open_knock(&mut self, pending: &PendingKnock) -> Result<Knock> {
        let room = self.id();
        let known: KnownInvite =
            read(self.store, Kind::Invite, self.no, pending.invite.as_bytes())?
                .ok_or(EngineError::BadKnock("its invite is unknown to this profile"))?;
        let body = seal::open(&known.knock_key, Purpose::Knock, &room, &pending.body)
            .ok_or(EngineError::BadKnock("it does not open with its invite's key"))?;
        let body: KnockBody =
            codec::decode(&body).map_err(|_| EngineError::BadKnock("its content is malformed"))?;
        if body.offer.is_some() {
            return Err(EngineError::BadKnock("it is from a newer version of Hearth"));
        }
        let provider = self.provider();
        let leaf = self.group()?.1.read_key_package(&provider, &body.key_package)?;
        if leaf.member != pending.member || leaf.name != body.name {
            return Err(EngineError::BadKnock("its key package is another's"));
        }
        if leaf.acknowledgement.digest() != pending.acknowledgement.digest {
            return Err(EngineError::BadKnock("it acknowledges something else than it says"));
        }
        self.policy()?.judge_acknowledgement(&room, &leaf.member, &leaf.acknowledgement)?;
        Ok(Knock {
            member: leaf.member,
            name: leaf.name,
            at: pending.at,
            acknowledgement: leaf.acknowledgement,
            companion: leaf.companion,
            role: known.role,
            vouched: known.vouched,
            key_package: body.key_package,
            reply_key: body.reply_key,
        })
    }

    /// Admits the sender of a knock.
    ///
    /// # Errors
    /// [`EngineError::NotVouched`], [`EngineError::NameTaken`], or the gate's refusal.
    pub fn admit(&mut self, knock: &Knock, now: Millis) -> Result<Submission> {
        self.check_vouched(knock)?;
        let roster = self.roster()?;
        let look = Look::of(&knock.name);
        if roster.iter().any(|l| look.is_like(&Look::of(&l.name))) {
            return Err(EngineError::NameTaken);
        }
        let digest = knock.acknowledgement.digest();
        let transcript = countersign_transcript(&self.id(), &digest, now);
        let act = Act::Admit {
            member: knock.member,
            acknowledgement: digest,
            countersignature: handshake::sign(&self.signing_key(), &transcript),
            role: knock.role,
        };
        let leaf = Leaf {
            member: knock.member,
            name: knock.name.clone(),
            acknowledgement: knock.acknowledgement.clone(),
            companion: knock.companion.clone(),
        };
        self.commit_act(act, now, Some((&leaf, &knock.key_package)), Vec::new())
    }

    /// Refuses to admit a knocker who would reject my Welcome, because the invite is older than my role.
    ///
    /// # Errors
    /// [`EngineError::NotVouched`] names the members who can admit the knocker; see [`EngineError`].
    pub fn check_vouched(&mut self, knock: &Knock) -> Result<()> {
        let me = self.me();
        let vouched = knock.vouched.as_ref().filter(|keys| !keys.contains(&me));
        let Some(vouched) = vouched.filter(|_| self.crypto.laws().are_kept()) else {
            return Ok(());
        };
        let policy = self.policy()?;
        let may = |member: &MemberKey| {
            let role = policy.role(member);
            role == Role::Facilitator || (role.moderates() && !knock.role.moderates())
        };
        if !may(&me) {
            return Err(RuleError::NotFacilitator.into());
        }
        let others = self.roster()?.into_iter();
        let others = others.filter(|leaf| vouched.contains(&leaf.member) && may(&leaf.member));
        Err(EngineError::NotVouched(others.map(|leaf| leaf.name).collect()))
    }

    /// Returns the effect that declines a knock, with a signed note that only the knocker can read.
    ///
    /// # Errors
    /// [`RuleError::TooLong`]; see [`EngineError`].
    pub fn decline(&mut self, knock: &Knock, words: String, now: Millis) -> Result<Effect> {
        if !self.my_role()?.moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        if words.chars().count() > COMMENT_CHARS_MAX {
            return Err(RuleError::TooLong.into());
        }
        let id = MessageId(random()?);
        let key = self.signing_key();
        let content = codec::encode(&Body::Text(words));
        let note =
            Note::sign(&key, id, self.id(), knock.member, note::Purpose::Decline, now, content);
        let to = Recipient { member: knock.member, number: 0, key: &knock.reply_key };
        // An unusable key is the knocker's fault and no reason to admit them.
        let note = note.seal(self.crypto, self.state.suite(), &to).unwrap_or_default();
        if note.len() > NOTE_BYTES_MAX {
            return Err(RuleError::TooLong.into());
        }
        Ok(Effect::Decline { member: knock.member, note })
    }

    /// Returns the effect that declines an unreadable knock; without a note, because there is no key to seal it to.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn decline_unread(&mut self, member: MemberKey) -> Result<Effect> {
        if !self.my_role()?.moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        Ok(Effect::Decline { member, note: Vec::new() })
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

    /// Queues the text of a new version of the agreement; [`Act::Amend`] makes it official afterwards.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`].
    pub fn queue_amendment(
        &mut self,
        text: String,
        change: Change,
        effective: Millis,
        now: Millis,
    ) -> Result<Agreement> {
        let policy = self.policy()?;
        if policy.role(&self.me()) != Role::Facilitator {
            return Err(RuleError::NotFacilitator.into());
        }
        let old = self.agreement(&policy.agreement.id)?.ok_or(EngineError::DamagedRecord)?;
        let agreement = Agreement {
            format: 1,
            version: policy.next_version(),
            previous: Some(policy.agreement.id),
            change,
            effective,
            language: old.language,
            signer: self.me(),
            salt: random()?,
            text,
        };
        let body = Body::AgreementText {
            agreement: agreement.clone(),
            return_secret: random_secret()?,
            return_expires: now.max(effective).plus(RETURN_MILLIS),
        };
        self.queue(body, Vec::new(), now)?;
        Ok(agreement)
    }

    /// Makes a queued amendment official.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn amend(&mut self, agreement: &Agreement, now: Millis) -> Result<Submission> {
        let act = Act::Amend { agreement: AgreementRef::from(agreement), change: agreement.change };
        let effects = match agreement.change {
            Change::Editorial => {
                vec![Effect::SetAgreement { agreement: agreement.commitment(&self.id()) }]
            }
            _ => Vec::new(),
        };
        self.commit_act(act, now, None, effects)
    }

    /// Puts the pending version into effect: members who did not acknowledge it lapse. Their return invite expires by the relay's
    /// clock.
    ///
    /// # Errors
    /// [`RuleError::NotAcknowledged`] if this profile has not acknowledged it, because enacting signs nothing; [`EngineError::NoText`]
    /// if its text is unknown; see [`EngineError`].
    pub fn enact(&mut self, now: Millis, relay_now: Millis) -> Result<Submission> {
        let policy = self.policy()?;
        let pending = policy.pending.ok_or(RuleError::Nothing)?;
        if policy.role(&self.me()) != Role::Facilitator {
            return Err(RuleError::NotFacilitator.into());
        }
        if self.acknowledgement()?.agreement != pending.id {
            return Err(RuleError::NotAcknowledged(AckError::OtherAgreement).into());
        }
        let agreement = self.agreement(&pending.id)?.ok_or(EngineError::NoText)?;
        let back = self.return_invite_of(&pending.id)?.ok_or(EngineError::NoText)?;
        let roster = self.roster()?;
        let stays = |key: &MemberKey| {
            roster.iter().any(|l| l.member == *key && l.acknowledgement.agreement == pending.id)
        };
        let facilitators = policy.moderators().into_iter().filter(stays).collect();
        // Two for each member, because a knock may be declined once.
        let uses = u32::try_from(roster.len()).unwrap_or(u32::MAX).saturating_mul(2);
        let commitment = agreement.commitment(&self.id());
        let mut effects = vec![Effect::SetAgreement { agreement: commitment }];
        let expires = relay_now.plus(RETURN_MILLIS);
        effects.push(self.invite_effect(&back.secret, agreement, uses, expires, facilitators)?);
        self.commit_act(Act::Enact, now, None, effects)
    }

    /// Returns the amendment that is due, if this member is a facilitator and so can put it in force.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn due_amendment(&mut self, now: Millis) -> Result<Option<Due>> {
        let policy = self.policy()?;
        let Some(pending) = policy.pending.filter(|pending| pending.effective <= now) else {
            return Ok(None);
        };
        if policy.role(&self.me()) != Role::Facilitator {
            return Ok(None);
        }
        let known =
            self.agreement(&pending.id)?.is_some() && self.return_invite_of(&pending.id)?.is_some();
        let waits = if !known {
            Some(Waits::NoText)
        } else if self.acknowledgement()?.agreement != pending.id {
            Some(Waits::Unsigned)
        } else {
            None
        };
        Ok(Some(Due { version: pending.version, waits }))
    }

    /// Returns the invite by which this profile returns, if it lapsed by the amendment in force.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn return_link(&self) -> Result<Option<Invite>> {
        let agreement = self.state.agreement;
        let Some(back) = self.return_invite_of(&agreement)? else { return Ok(None) };
        // The log ends with the record by which this profile lapsed. Its actor signed the preview, whether or not they wrote the text.
        let last = self.store.last(Kind::Log, self.no)?;
        let last: Option<Record> = last.map(|(_, bytes)| decode(&bytes)).transpose()?;
        Ok(last.filter(|record| record.act == Act::Enact).map(|record| Invite {
            address: self.state.address(),
            room: self.id(),
            facilitator: record.actor,
            agreement,
            secret: back.secret,
            expires: back.expires,
        }))
    }

    pub(super) fn return_invite_of(&self, agreement: &Digest) -> Result<Option<ReturnInvite>> {
        read(self.store, Kind::Pending, self.no, &return_name(agreement))
    }

    /// Returns the version of the agreement that awaits my acknowledgement, if any.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn coming_agreement(&mut self) -> Result<Option<Digest>> {
        let mine = self.acknowledgement()?;
        let (current, pending) = match self.policy() {
            Ok(policy) => (policy.agreement, policy.pending),
            Err(EngineError::NotMember(_)) => {
                let current = self.state.agreement;
                return Ok((current != mine.agreement).then_some(current));
            }
            Err(error) => return Err(error),
        };
        // A withdrawn draft has a later number than the version in force and counts as much.
        let newest = pending.filter(|p| p.version > mine.version).or(Some(current));
        Ok(newest.filter(|a| a.version > mine.version).map(|a| a.id))
    }

    /// Queues the text of the pending amendment for a newcomer, who joined after it was issued; returns whether there is one.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn queue_coming_text(&mut self, now: Millis) -> Result<bool> {
        let Some(pending) = self.policy()?.pending else { return Ok(false) };
        let back = self.return_invite_of(&pending.id)?;
        let (Some(agreement), Some(back)) = (self.agreement(&pending.id)?, back) else {
            return Ok(false);
        };
        let (return_secret, return_expires) = (back.secret, back.expires);
        let body = Body::AgreementText { agreement, return_secret, return_expires };
        self.queue(body, Vec::new(), now)?;
        Ok(true)
    }

    /// Whether a member was admitted after the last text of the pending amendment in the log, and no moderator repeated it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn newcomers_lack_text(&mut self) -> Result<bool> {
        let policy = self.policy()?;
        let Some(pending) = policy.pending else { return Ok(false) };
        if !policy.role(&self.me()).moderates() {
            return Ok(false);
        }
        let waits = self.outgoing()?.into_iter().any(|(_, outgoing)| match outgoing.what {
            OutgoingKind::Message { body: Body::AgreementText { agreement, .. }, .. } => {
                agreement.id() == pending.id
            }
            _ => false,
        });
        let text: Option<Seq> = read(self.store, Kind::Pending, self.no, &text_name(&pending.id))?;
        let admitted: Option<Seq> = read(self.store, Kind::Pending, self.no, ADMITTED)?;
        Ok(!waits && admitted > text)
    }

    /// Withdraws the pending amendment; acknowledgements of it stay valid.
    ///
    /// # Errors
    /// [`RuleError::Nothing`] if there is none; see [`EngineError`].
    pub fn withdraw_amendment(&mut self, now: Millis) -> Result<Submission> {
        self.act(Act::Withdraw, now)
    }

    /// Signs an acknowledgement of a version with this room's key.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn sign_acknowledgement(
        &mut self,
        agreement: &Agreement,
        now: Millis,
        answers: Vec<String>,
    ) -> Result<Acknowledgement> {
        let facilitators = match self.policy() {
            Ok(policy) => policy.moderators(),
            Err(EngineError::NotMember(_)) => self.state.pinned.clone(),
            Err(error) => return Err(error),
        };
        let terms = AckTerms {
            room: self.id(),
            agreement,
            facilitators: facilitators_hash(&facilitators),
            now,
            nonce: random()?,
            answers,
        };
        Ok(Acknowledgement::sign(&self.signing_key(), terms))
    }

    fn leaf(&mut self, member: &MemberKey) -> Result<Leaf> {
        let roster = self.roster()?;
        let leaf = roster.into_iter().find(|l| l.member == *member);
        leaf.ok_or_else(|| EngineError::NoSuchMember(member.short()))
    }

    fn invite_effect(
        &mut self,
        secret: &Secret32,
        agreement: Agreement,
        uses: u32,
        expires: Millis,
        facilitators: Vec<MemberKey>,
    ) -> Result<Effect> {
        let policy = self.policy()?;
        let room = self.id();
        let preview = Preview::sign(
            &self.signing_key(),
            &room,
            policy.title.clone(),
            agreement,
            facilitators,
            self.state.suite,
        );
        let key = invite::preview_key(secret);
        let content = codec::encode(&preview);
        let preview = seal::seal(&key, random()?, Purpose::Preview, &room, &content)
            .ok_or(EngineError::Content(super::content::ContentError::TooLong))?;
        let invite = invite::invite_id(&invite::invite_token(secret));
        Ok(Effect::AddInvite { invite, uses, expires, preview })
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
        if let Act::SetRole { member, role } = &record.act {
            all.push(Effect::SetRole { member: *member, role: *role });
        }
        if let Act::Retract { seq, .. } = &record.act {
            all.push(Effect::Retract { seq: *seq, own: None });
        }
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
            && let Act::Admit { member, acknowledgement, role, .. } = &policy.record.act
        {
            let welcome = BlobId(hash::sha256(welcome).0);
            let admit = Effect::Admit {
                member: *member,
                role: *role,
                welcome,
                acknowledgement: *acknowledgement,
            };
            effects.insert(0, admit);
        }
        let new = plan.acknowledgement.map(|a| a.to_bytes().into());
        let outgoing = Outgoing {
            id: MessageId(random()?),
            written_at: now,
            what: OutgoingKind::Commit { acknowledgement: new },
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
