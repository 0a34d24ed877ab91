//! Letting people in: invites, knocks, admissions.

use hearth_protocol::{
    Digest, Effect, MemberKey, MessageId, Millis, Role, Secret32, codec,
    frame::PendingKnock,
    handshake,
    invite::{self, Invite},
    limits::NOTE_BYTES_MAX,
    seal::{self, Purpose},
};
use hearth_text::name::Look;

use super::{InviteTerms, Knock, Result};
use crate::{
    agreement::{Agreement, Preview, countersign_transcript},
    content::Body,
    error::EngineError,
    note::{self, Note, Recipient},
    outbox::Submission,
    policy::{Act, COMMENT_CHARS_MAX, Device, KeptPlace, Leaf, Record, RuleError},
    receive::return_name,
    room::{Room, decode, random, random_secret, read},
    state::{KnockBody, KnownInvite, ReturnInvite},
    store::Kind,
};

impl Room<'_> {
    /// Makes an invite: returns the link's content and queues the message that announces it to relay and room.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`] if this member does not moderate.
    pub fn invite(&mut self, terms: InviteTerms, now: Millis) -> Result<(Invite, MessageId)> {
        let policy = self.policy()?;
        let role = policy.role(&self.me());
        let appoints = terms.role.admits() && role != Role::Facilitator;
        if !role.moderates() || appoints {
            return Err(RuleError::NotFacilitator.into());
        }
        self.issue(terms, None, now)
    }

    /// Makes the invite by which one member comes back on a new device, in the place of the lost one.
    ///
    /// # Errors
    /// [`RuleError::NoSuchMember`] if no place is kept for that device; [`RuleError::NotFacilitator`].
    pub fn invite_back(
        &mut self,
        lost: MemberKey,
        expires: Millis,
        now: Millis,
    ) -> Result<(Invite, MessageId)> {
        let policy = self.policy()?;
        let place = policy.kept_place(&lost).cloned().ok_or(RuleError::NoSuchMember)?;
        let role = policy.role(&self.me());
        if !role.moderates() || (place.role.moderates() && role != Role::Facilitator) {
            return Err(RuleError::NotFacilitator.into());
        }
        self.issue(InviteTerms { uses: 1, expires, role: place.role }, Some(&place), now)
    }

    fn issue(
        &mut self,
        terms: InviteTerms,
        place: Option<&KeptPlace>,
        now: Millis,
    ) -> Result<(Invite, MessageId)> {
        let policy = self.policy()?;
        let secret = random_secret()?;
        let agreement = self.agreement(&policy.agreement.id)?.ok_or(EngineError::DamagedRecord)?;
        let preview =
            self.preview(agreement, policy.doorkeepers(), place.map(|p| p.name.clone()))?;
        let effect = self.effect_of(&secret, &preview, terms.uses, terms.expires)?;
        let token = invite::invite_token(&secret);
        let body = Body::InviteIssued {
            invite: invite::invite_id(&token),
            knock_key: invite::knock_key(&secret),
            uses: terms.uses,
            expires: terms.expires,
            role: terms.role,
            of: place.map(|place| place.lost),
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
        let provider = self.provider();
        let leaf = self.group()?.1.read_key_package(&provider, &body.key_package)?;
        if leaf.member != pending.member || leaf.name != body.name {
            return Err(EngineError::BadKnock("its key package is another's"));
        }
        if leaf.acknowledgement.digest() != pending.acknowledgement.digest {
            return Err(EngineError::BadKnock("it acknowledges something else than it says"));
        }
        let policy = self.policy()?;
        policy.judge_acknowledgement(&room, &leaf.member, &leaf.acknowledgement)?;
        if let Some(lost) = known.of {
            let place = policy.kept_place(&lost);
            let place = place.ok_or(EngineError::BadKnock("its device was replaced already"))?;
            if place.name != leaf.name {
                return Err(EngineError::BadKnock("it asks for another name than its device's"));
            }
        }
        // Who waits comes back to their place, whatever invite brought them, except a link for another's new device.
        let kept = policy.waiter(&leaf.member).map(|waiter| waiter.role);
        if kept.is_some() && known.of.is_some() {
            return Err(EngineError::BadKnock("a place of its own is kept for its key"));
        }
        if let Some(offer) = &body.offer
            && !self.check_own_offer(&leaf, offer)
        {
            return Err(EngineError::BadKnock("its keys for a private line are not its own"));
        }
        Ok(Knock {
            offer: body.offer,
            member: leaf.member,
            name: leaf.name,
            at: pending.at,
            acknowledgement: leaf.acknowledgement,
            companion: leaf.companion,
            role: kept.unwrap_or(known.role),
            back: kept.is_some(),
            of: known.of,
            invited_by_me: known.by == self.me(),
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
        self.check_name(knock)?;
        let (member, acknowledgement) = (knock.member, knock.acknowledgement.digest());
        let transcript = countersign_transcript(&self.id(), &acknowledgement, now);
        let countersignature = handshake::sign(&self.signing_key(), &transcript);
        let (role, back) = (knock.role, knock.back);
        let act = match knock.of {
            None => Act::Admit { member, acknowledgement, countersignature, role, back },
            Some(lost) => {
                Act::Device(Device::Replaced { lost, member, acknowledgement, countersignature })
            }
        };
        let leaf = Leaf {
            member: knock.member,
            name: knock.name.clone(),
            acknowledgement: knock.acknowledgement.clone(),
            companion: knock.companion.clone(),
        };
        self.commit_act(act, now, Some((&leaf, &knock.key_package)), Vec::new())
    }

    /// Refuses a name that looks like a member's, or like one that is kept for a lost device.
    fn check_name(&mut self, knock: &Knock) -> Result<()> {
        let look = Look::of(&knock.name);
        let policy = self.policy()?;
        let kept = policy.more.kept().iter().filter(|place| Some(place.lost) != knock.of);
        let kept = kept.map(|place| place.name.clone());
        let names = self.roster()?.into_iter().map(|leaf| leaf.name);
        if policy.waits_alike(&knock.member, &look) {
            return Err(EngineError::NameTaken);
        }
        if names.chain(kept).any(|name| look.is_like(&Look::of(&name))) {
            return Err(EngineError::NameTaken);
        }
        Ok(())
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
            role == Role::Facilitator
                || (role.moderates() && !knock.role.admits())
                || (role.admits() && knock.role == Role::Member)
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
            Note::sign(&key, id, self.id(), knock.member, note::Purpose::Answer, now, content);
        let to = Recipient { member: knock.member, number: 0, key: &knock.reply_key };
        // An unusable key is the knocker's fault and no reason to admit them.
        let note = note.seal(self.crypto, self.state.suite(), &to).unwrap_or_default();
        if note.len() > NOTE_BYTES_MAX {
            return Err(RuleError::TooLong.into());
        }
        Ok(Effect::Decline { member: knock.member, note })
    }

    /// Returns the effect that declines an unreadable knock. It carries no note, because no key is known that could seal one.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn decline_unread(&mut self, member: MemberKey) -> Result<Effect> {
        if !self.my_role()?.moderates() {
            return Err(RuleError::NotFacilitator.into());
        }
        Ok(Effect::Decline { member, note: Vec::new() })
    }

    /// Returns the invite by which this profile returns, if it waits because of the amendment in force or of a breach.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn return_link(&self) -> Result<Option<Invite>> {
        let agreement = self.state.agreement;
        let Some(back) = self.return_invite_of(&agreement)? else { return Ok(None) };
        // The log ends with the record by which this profile went out. Its actor signed the preview, whether or not they wrote the text.
        let last = self.store.last(Kind::Log, self.no)?;
        let last: Option<Record> = last.map(|(_, bytes)| decode(&bytes)).transpose()?;
        let puts_out = |record: &Record| matches!(record.act, Act::Enact | Act::CloseBreach { .. });
        Ok(last.filter(puts_out).map(|record| Invite {
            address: self.state.address(),
            room: self.id(),
            facilitator: record.actor,
            agreement,
            secret: back.secret,
            expires: back.expires,
        }))
    }

    pub(crate) fn return_invite_of(&self, agreement: &Digest) -> Result<Option<ReturnInvite>> {
        read(self.store, Kind::Pending, self.no, &return_name(agreement))
    }

    pub(super) fn invite_effect(
        &mut self,
        secret: &Secret32,
        agreement: Agreement,
        uses: u32,
        expires: Millis,
        facilitators: Vec<MemberKey>,
    ) -> Result<Effect> {
        let preview = self.preview(agreement, facilitators, None)?;
        self.effect_of(secret, &preview, uses, expires)
    }

    /// Signs the preview of a new invite.
    fn preview(
        &mut self,
        agreement: Agreement,
        facilitators: Vec<MemberKey>,
        name: Option<String>,
    ) -> Result<Preview> {
        let title = self.policy()?.title;
        let (key, room) = (self.signing_key(), self.id());
        Ok(Preview::sign(&key, &room, title, agreement, facilitators, self.state.suite, name))
    }

    fn effect_of(
        &self,
        secret: &Secret32,
        preview: &Preview,
        uses: u32,
        expires: Millis,
    ) -> Result<Effect> {
        let room = self.id();
        let key = invite::preview_key(secret);
        let content = codec::encode(preview);
        let preview = seal::seal(&key, random()?, Purpose::Preview, &room, &content)
            .ok_or(EngineError::Content(crate::content::ContentError::TooLong))?;
        let invite = invite::invite_id(&invite::invite_token(secret));
        Ok(Effect::AddInvite { invite, uses, expires, preview })
    }
}
