//! Ways into a room: founding it, or acknowledging its agreement, knocking and being admitted.

use hearth_protocol::{
    Digest, MemberKey, Millis, RoomId, RoomNumbers, Secret32, Seq, codec,
    frame::AckTriple,
    handshake,
    invite::{self, Grant, Invite, RelayAddress, Transport},
    limits::PADDING_BUCKETS,
    seal::{self, Purpose},
};

use hearth_text::name::parse_name;

use super::{
    agreement::{AckTerms, Acknowledgement, Agreement, Change, Preview, facilitators_hash},
    content::Body,
    error::EngineError,
    gate::Expected,
    mls::{self, Group, MlsError, Suite, hpke},
    note::{Note, Purpose as NotePurpose},
    policy::{AgreementRef, RoomPolicy, TITLE_CHARS_MAX},
    provider::Crypto,
    room::{Room, identity, random, random_secret},
    room_key::RoomKey,
    state::{Cursor, KnockBody, OwnCompanion, RoomState, Row, RowContent, Standing, opening},
    words::Talk,
};
use crate::store::{Kind, Store};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A founder's choices.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The room's title.
    pub title: String,
    /// The agreement's text.
    pub agreement: String,
    /// BCP 47 tag of its language.
    pub language: String,
    /// The founder's display name.
    pub name: String,
    /// The name by which this profile's commands call the room.
    pub local_name: String,
    /// MLS cipher suite.
    pub suite: Suite,
    /// Numbers that the relay enforces from the start.
    pub numbers: RoomNumbers,
    /// Whether each member has a private line to the moderators. Such a room has at most [`crate::lane::MEMBERS_MAX`] members and
    /// [`crate::lane::BENCH_MAX`] moderators.
    pub lanes: bool,
}

/// Bytes of a knock's content at most, because the next bucket is more than the relay takes.
const KNOCK_CONTENT_BYTES_MAX: usize = PADDING_BUCKETS[3] - 4;

/// Contents of a knock for the relay.
#[derive(Clone, Debug)]
pub struct KnockRequest {
    /// The relay's view of the acknowledgement.
    pub acknowledgement: AckTriple,
    /// The sealed body.
    pub body: Vec<u8>,
    /// The invite's token.
    pub token: Secret32,
}

/// Opens an invite's preview and checks that its facilitator signed it and that the agreement is the invite's.
///
/// # Errors
/// [`EngineError::BadPreview`].
pub fn open_preview(link: &Invite, sealed: &[u8]) -> Result<Preview> {
    let key = invite::preview_key(&link.secret);
    let content =
        seal::open(&key, Purpose::Preview, &link.room, sealed).ok_or(EngineError::BadPreview)?;
    let preview: Preview = codec::decode(&content).map_err(|_| EngineError::BadPreview)?;
    let good = preview.verify(&link.room, &link.facilitator)
        && preview.agreement.id() == link.agreement
        && preview.title.chars().count() <= TITLE_CHARS_MAX
        && preview.name.as_deref().is_none_or(is_name)
        && Suite::from_number(preview.suite).is_some();
    good.then_some(preview).ok_or(EngineError::BadPreview)
}

/// Whether a text is a member's name, in the form in which leaves hold it.
fn is_name(text: &str) -> bool {
    parse_name(text).is_ok_and(|name| name.as_str() == text)
}

/// A joiner's names and answers.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The display name in the room.
    pub name: String,
    /// The room's name in this profile's commands.
    pub local_name: String,
    /// Answers to the comprehension questions, if any.
    pub answers: Vec<String>,
}

impl<'s> Room<'s> {
    /// Founds a room in the store before the relay learns of it; [`Self::opened`] records the relay's answer.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn found(
        store: &'s Store,
        crypto: &'s Crypto,
        grant: &Grant,
        founding: Founding,
        now: Millis,
    ) -> Result<Self> {
        let id = RoomId(random()?);
        let key = RoomKey::new(random_secret()?);
        let founder = key.member();
        let agreement = Agreement {
            format: 1,
            version: 1,
            previous: None,
            change: Change::Initial,
            effective: now,
            language: founding.language,
            signer: founder,
            salt: random()?,
            text: founding.agreement,
        };
        store.transaction(|_| {
            let no = store.create_room()?;
            let mut state = blank_state(&grant.address, id, key)?;
            state.local_name = founding.local_name;
            state.title.clone_from(&founding.title);
            state.name = founding.name;
            state.suite = founding.suite.number();
            state.standing = Standing::Opening(opening(grant));
            state.pinned = vec![founder];
            state.agreement = agreement.id();
            state.renewed_at = now;
            let mut room = Room::of_parts(store, crypto, no, state, Cursor::default());
            // Who founds a room has written its questions.
            let answers = agreement.right_answers();
            let ack = room.sign_first(&agreement, &[founder], now, answers, None)?;
            room.state.acknowledgement = ack.to_bytes();
            let mut policy = RoomPolicy::found(
                founding.title,
                AgreementRef::from(&agreement),
                founder,
                now,
                founding.numbers,
            );
            if founding.lanes {
                policy.desk = Some(random()?.into());
            }
            let key = room.signing_key();
            let companion = room.companion()?;
            let me = identity(&room.state, &key, &ack, &companion);
            let provider = room.provider();
            room.group = Some(Group::found(&provider, founding.suite, id, me, &policy)?);
            let room_roster = room.roster()?;
            room.save_agreement(&agreement)?;
            room.save_record(&policy.record)?;
            room.note_roll(&policy, &room_roster)?;
            room.save_state()?;
            room.save_cursor()?;
            Ok(room)
        })
    }

    /// Finds the room that was founded identically with the same grant and whose answer from the relay never arrived, because a new room
    /// would need another grant if the relay has opened this one.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn being_opened(
        store: &'s Store,
        crypto: &'s Crypto,
        grant: &Grant,
        founding: &Founding,
    ) -> Result<Option<Self>> {
        let begun = Standing::Opening(opening(grant));
        for mut room in Self::all(store, crypto)? {
            let state = &room.state;
            let same = state.standing == begun
                && state.title == founding.title
                && state.name == founding.name
                && state.suite == founding.suite.number();
            let same = same && room.policy()?.desk.is_some() == founding.lanes;
            let id = room.state.agreement;
            let agreement = if same { room.agreement(&id)? } else { None };
            if agreement.is_some_and(|agreement| {
                agreement.text == founding.agreement && agreement.language == founding.language
            }) {
                return Ok(Some(room));
            }
        }
        Ok(None)
    }

    /// Records the relay's answer that a room founded here is open.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn opened(&mut self) -> Result<()> {
        self.set_standing(Standing::Member)
    }

    /// Signs the acknowledgement and makes the knock; everything is stored before it is sent.
    ///
    /// A lapsed member keeps key, name, lane and history. A member who left, was removed or was declined gets a new key, and so does one whom the
    /// relay calls out or whom the others left behind. Waiting texts stay, and enter the new stay only when their author sends them.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn knock(
        store: &'s Store,
        crypto: &'s Crypto,
        link: &Invite,
        preview: &Preview,
        joining: Joining,
        now: Millis,
    ) -> Result<(Self, KnockRequest)> {
        let old = Self::all(store, crypto)?.into_iter().find(|r| r.id() == link.room);
        store.transaction(|_| {
            let mut returns = false;
            let mut room = match old {
                Some(mut room) => {
                    returns = room.state.standing.keeps_lane();
                    if room.state.standing == Standing::Member {
                        let whole = room.cursor.split.is_none() && !room.cursor.said_gone;
                        if whole && !room.is_left_behind()? {
                            return Err(EngineError::NotMember("you are in this room already"));
                        }
                        room.hold_waiting_texts(false)?;
                        room.group = None;
                    }
                    if !returns {
                        room.state.key = RoomKey::new(random_secret()?);
                        // The relay has no time-out for a new key.
                        room.state.timed_out_until = Millis(0);
                        room.state.companion = own_companion()?;
                    }
                    store.clear(Kind::Mls, room.no)?;
                    room
                }
                None => {
                    let no = store.create_room()?;
                    let state =
                        blank_state(&link.address, link.room, RoomKey::new(random_secret()?))?;
                    Room::of_parts(store, crypto, no, state, Cursor::default())
                }
            };
            let breach = if returns { room.breach_of_mine()? } else { None };
            let state = &mut room.state;
            state.local_name = joining.local_name;
            state.title.clone_from(&preview.title);
            if returns {
                // The place is kept under the name that the member had.
                state.standing = Standing::Returning;
            } else {
                state.name = joining.name;
                state.standing = Standing::Knocking;
            }
            state.suite = preview.suite;
            state.pinned.clone_from(&preview.facilitators);
            state.agreement = preview.agreement.id();
            state.countersigned = None;
            let facilitators = preview.facilitators.clone();
            let ack =
                room.sign_first(&preview.agreement, &facilitators, now, joining.answers, breach)?;
            room.state.acknowledgement = ack.to_bytes();
            let key = room.signing_key();
            let companion = room.companion()?;
            let me = identity(&room.state, &key, &ack, &companion);
            let provider = room.provider();
            let suite = room.state.suite();
            let key_package = mls::key_package(&provider, suite, me)?;
            let reply_seed = random_secret()?;
            let pair = hpke::key_pair(crypto, suite, reply_seed.expose());
            let (_, reply_key) = pair.ok_or(EngineError::Random)?;
            room.state.reply_seed = Some(reply_seed);
            let name = room.state.name.clone();
            room.save_state()?;
            let offer = if returns { None } else { Some(room.own_offer(now)?) };
            let mut body = KnockBody { name, key_package, offer, reply_key };
            if codec::encode(&body).len() > KNOCK_CONTENT_BYTES_MAX {
                // The lane is opened without the knocker then, who offers once they are in.
                body.offer = None;
            }
            let body = seal::seal(
                &invite::knock_key(&link.secret),
                random()?,
                Purpose::Knock,
                &link.room,
                &codec::encode(&body),
            )
            .ok_or(EngineError::Content(super::content::ContentError::TooLong))?;
            let commitment = preview.agreement.commitment(&link.room);
            let digest = ack.digest();
            let transcript =
                handshake::knock_transcript(&link.room, &room.me(), &commitment, &digest);
            let triple = AckTriple {
                agreement: commitment,
                digest,
                signature: handshake::sign(&key, &transcript),
            };
            room.save_agreement(&preview.agreement)?;
            room.save_state()?;
            room.save_cursor()?;
            let request = KnockRequest {
                acknowledgement: triple,
                body,
                token: invite::invite_token(&link.secret),
            };
            Ok((room, request))
        })
    }

    /// Joins by a Welcome that passes the gate; after a refusal the key package stays usable.
    ///
    /// # Errors
    /// [`EngineError::Refused`] if a stranger signed it, it is for another room, or it lacks my acknowledgement.
    pub fn welcomed(&mut self, welcome: &[u8], joined: Seq, now: Millis) -> Result<()> {
        let ack = self.acknowledgement()?;
        self.change(|room| {
            let expected = Expected {
                room: room.id(),
                facilitators: &room.state.pinned.clone(),
                acknowledgement: &ack,
            };
            let provider = room.provider();
            let joined_by = Group::join(&provider, welcome, expected);
            let (group, policy, roster) = joined_by.map_err(|error| match error {
                MlsError::Invalid => EngineError::BadWelcome,
                other => other.into(),
            })?;
            room.group = Some(group);
            room.take_countersignature(&policy);
            room.state.standing = Standing::Member;
            room.state.agreement = policy.agreement.id;
            room.state.title.clone_from(&policy.title);
            room.state.joined = joined;
            room.begin_log(policy.record.number)?;
            // Due at once, because a leaf that never commits keeps the tree slow, and its first keys travelled in a knock.
            room.state.renewed_at = Millis(0);
            let mut row = Row {
                place: room.cursor.place(joined),
                seq: joined,
                at: now,
                digest: Digest([0; 32]),
                from: Some(policy.record.actor),
                name: String::new(),
                id: None,
                content: RowContent::Nothing,
                notices: Vec::new(),
                stamp: Millis(0),
                arrived: now,
                said: Millis(0),
                talk: Talk::default(),
                changes: Vec::new(),
                shows: Vec::new(),
                proof: None,
            };
            if let Some(actor) = roster.iter().find(|l| l.member == policy.record.actor) {
                row.name.clone_from(&actor.name);
            }
            room.store.clear(Kind::Seen, room.no)?;
            room.floor = None;
            room.begin_accord()?;
            room.take_record(&mut row, &policy, &roster)?;
            room.note_ending(&policy, row.said)?;
            if policy.desk.is_none() {
                room.drop_lanes()?;
            }
            room.save_row(&row)?;
            room.cursor = Cursor {
                seq: joined,
                stream: room.cursor.stream,
                breaks: std::mem::take(&mut room.cursor.breaks),
                own_clock: now,
                relay_clock: now,
                ..Cursor::default()
            };
            room.save_cursor()?;
            room.save_state()
        })
    }

    /// Records the relay's answer that the knock was declined, with a note that only a pinned facilitator can have signed.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn declined(&mut self, sealed: &[u8]) -> Result<()> {
        let note = self.state.reply_seed.as_ref().and_then(|seed| {
            let suite = self.state.suite();
            let key = |number| {
                let pair = (number == 0).then(|| hpke::key_pair(self.crypto, suite, seed.expose()));
                Some(pair??.0)
            };
            let (room, me) = (self.id(), self.me());
            Note::open(self.crypto, suite, &room, &me, &[NotePurpose::Answer], key, sealed)
        });
        let note = note.filter(|note| self.state.pinned.contains(&note.from));
        let (words, by) = match note.map(|n| (codec::decode::<Body>(&n.content), n.from)) {
            Some((Ok(Body::Text(words)), from)) => (words, Some(from)),
            _ => (String::new(), None),
        };
        if by.is_some() {
            self.state.reply_seed = None;
        }
        self.set_standing(Standing::Declined { words, by })
    }

    fn sign_first(
        &self,
        agreement: &Agreement,
        facilitators: &[MemberKey],
        now: Millis,
        answers: Vec<String>,
        breach: Option<Digest>,
    ) -> Result<Acknowledgement> {
        let terms = AckTerms {
            room: self.id(),
            agreement,
            facilitators: facilitators_hash(facilitators),
            now,
            nonce: random()?,
            answers,
            breach,
        };
        Ok(Acknowledgement::sign(&self.signing_key(), terms))
    }
}

pub(super) fn own_companion() -> Result<OwnCompanion> {
    Ok(OwnCompanion { salt: random()?, number: 1, seed: random_secret()? })
}

pub(super) fn blank_state(address: &RelayAddress, room: RoomId, key: RoomKey) -> Result<RoomState> {
    Ok(RoomState {
        format: 2,
        local_name: String::new(),
        title: String::new(),
        authority: address.authority.clone(),
        plain: address.transport == Transport::Plain,
        relay: address.relay,
        pin: address.pin,
        room,
        key,
        companion: own_companion()?,
        name: String::new(),
        suite: Suite::XWing.number(),
        acknowledgement: Vec::new(),
        standing: Standing::Knocking,
        pinned: Vec::new(),
        agreement: Digest([0; 32]),
        countersigned: None,
        renewed_at: Millis(0),
        timed_out_until: Millis(0),
        shown: Seq(0),
        muted: Vec::new(),
        joined: Seq(0),
        admissions: Vec::new(),
        reply_seed: None,
        lane: None,
    })
}
