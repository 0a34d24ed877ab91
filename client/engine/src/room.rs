//! One room of this profile: its records in the store and its group in memory, kept in step.
//!
//! Every change runs in one transaction of the store that covers MLS state, outbox, cursor and history. After a failed transaction
//! the group in memory is dropped and loaded again, because it may be ahead of the store.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
};

use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Digest, MemberKey, MessageId, Millis, Role, RoomId, Secret32, Seq, codec, hash,
};
use hearth_text::name::Look;
use minicbor::{Decode, Encode};

use super::{
    agreement::{Acknowledgement, Agreement},
    companion::{Companion, NoteKey},
    error::{EngineError, Fits},
    floor::{Floor, What},
    mls::{Group, Identity, hpke},
    policy::{Leaf, Record, RoomPolicy},
    provider::{Crypto, Provider},
    recent::Recent,
    record::Chain,
    state::{Cursor, Notice, Over, RoomState, Row, Standing},
};
use crate::store::{Kind, RoomNo, Store};

/// Messages listed at most if several fit.
pub const FOUND_MAX: usize = 8;

pub(super) const STATE: &[u8] = b"state";
pub(super) const CURSOR: &[u8] = b"cursor";
const DRAFT: &[u8] = b"draft";

/// Names by key.
pub type Names = HashMap<MemberKey, String>;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A room of this profile.
pub struct Room<'s> {
    pub(super) store: &'s Store,
    pub(super) crypto: &'s Crypto,
    pub(super) no: RoomNo,
    pub(super) state: RoomState,
    pub(super) cursor: Cursor,
    pub(super) group: Option<Group>,
    pub(super) recent: RefCell<Recent>,
    /// Hashes of the ciphertexts in the outbox by number; `None` until first needed.
    pub(super) sent: RefCell<Option<BTreeMap<u64, Digest>>>,
    /// Whose turn it is and what is asked; `None` until first needed.
    pub(super) floor: Option<Floor>,
    /// What the message that is being read means to the floor.
    pub(super) heard: Option<What>,
    /// In a lane: whether the parent's log was read to its end in vain for a record that an entry names.
    pub(super) whole: bool,
}

impl<'s> Room<'s> {
    /// Opens the room of a local name, a title, or the first characters of its id.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if none fits; [`EngineError::Ambiguous`] if several do.
    pub fn open(store: &'s Store, crypto: &'s Crypto, wanted: &str) -> Result<Self> {
        let mut found = Vec::new();
        for no in store.rooms()? {
            let state: RoomState =
                read(store, Kind::Room, no, STATE)?.ok_or(EngineError::DamagedRecord)?;
            if state.lane.is_some() {
                continue;
            }
            let by_id = wanted.len() >= 8 && state.room.to_hex().starts_with(wanted);
            if state.local_name.eq_ignore_ascii_case(wanted) {
                found = vec![(no, state)];
                break;
            }
            if by_id || state.title == wanted {
                found.push((no, state));
            }
        }
        if found.len() > 1 {
            return Err(EngineError::Ambiguous(wanted.to_owned()));
        }
        let (no, state) = found.pop().ok_or(EngineError::NotMember("there is no such room"))?;
        Self::with_state(store, crypto, no, state)
    }

    /// Opens every room of the profile.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn all(store: &'s Store, crypto: &'s Crypto) -> Result<Vec<Self>> {
        let mut rooms = Self::all_kinds(store, crypto)?;
        rooms.retain(|room| room.state.lane.is_none());
        Ok(rooms)
    }

    /// Opens every room of the profile, and every lane.
    pub(super) fn all_kinds(store: &'s Store, crypto: &'s Crypto) -> Result<Vec<Self>> {
        let mut rooms = Vec::new();
        for no in store.rooms()? {
            let state = read(store, Kind::Room, no, STATE)?.ok_or(EngineError::DamagedRecord)?;
            rooms.push(Self::with_state(store, crypto, no, state)?);
        }
        Ok(rooms)
    }

    fn with_state(
        store: &'s Store,
        crypto: &'s Crypto,
        no: RoomNo,
        state: RoomState,
    ) -> Result<Self> {
        let cursor = read(store, Kind::Room, no, CURSOR)?.unwrap_or_default();
        Ok(Self::of_parts(store, crypto, no, state, cursor))
    }

    pub(super) fn of_parts(
        store: &'s Store,
        crypto: &'s Crypto,
        no: RoomNo,
        state: RoomState,
        cursor: Cursor,
    ) -> Self {
        let (recent, sent, floor, heard, whole) = Default::default();
        Self { store, crypto, no, state, cursor, group: None, recent, sent, floor, heard, whole }
    }

    /// Returns the slow-changing part of the room.
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// Returns the profile's position in the room's log.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Returns the time by this profile's own clock.
    pub fn now(&self) -> Millis {
        self.crypto.now()
    }

    /// Returns my key in this room.
    pub fn me(&self) -> MemberKey {
        self.state.member()
    }

    /// Returns the room's id.
    pub fn id(&self) -> RoomId {
        self.state.room
    }

    /// Returns the policy of the current epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn policy(&mut self) -> Result<RoomPolicy> {
        if self.state.lane.is_some() {
            return self.lane_as_policy();
        }
        let (_, group) = self.group()?;
        group.policy().map_err(|e| EngineError::Refused(e.into()))
    }

    /// Returns all members of the current epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn roster(&mut self) -> Result<Vec<Leaf>> {
        if self.state.lane.is_some() {
            return self.lane_as_roster();
        }
        let (_, group) = self.group()?;
        group.roster().map_err(|e| EngineError::Refused(e.into()))
    }

    /// Returns my role.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn my_role(&mut self) -> Result<Role> {
        let me = self.me();
        Ok(self.policy()?.role(&me))
    }

    /// Returns the current MLS epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn epoch(&mut self) -> Result<hearth_protocol::Epoch> {
        Ok(self.group()?.1.epoch())
    }

    /// Returns thirty digits that are equal for all members in the same state of this epoch: read aloud, they expose a fork.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn safety_code(&mut self) -> Result<String> {
        let room = self.id();
        let (_, group) = self.group()?;
        Ok(digits(&hash::labelled(
            "hearth safety code v1",
            &[room.as_bytes(), &group.authenticator()],
        )))
    }

    /// Returns thirty digits by which two members verify each other's keys.
    pub fn verification_code(&self, other: &MemberKey) -> String {
        let (me, room) = (self.me(), self.id());
        let (low, high) = if me < *other { (me, *other) } else { (*other, me) };
        digits(&hash::labelled(
            "hearth member code v1",
            &[room.as_bytes(), low.as_bytes(), high.as_bytes()],
        ))
    }

    /// Returns the number of members in the current epoch.
    ///
    /// # Errors
    /// [`EngineError::NotMember`] if this profile is not in the room.
    pub fn roster_len(&mut self) -> Result<usize> {
        Ok(self.roster()?.len())
    }

    /// Returns the parts needed to open this room again.
    pub fn parts(&self) -> (&'s Store, &'s Crypto, String) {
        (self.store, self.crypto, self.state.local_name.clone())
    }

    /// Returns the names of all present and past members that this profile knows.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn known_names(&mut self) -> Result<Names> {
        let mut names = Names::new();
        for row in self.history(Seq(0), usize::MAX)? {
            if let (Some(from), false) = (row.from, row.name.is_empty()) {
                names.insert(from, row.name);
            }
            if let super::state::RowContent::Moderation { record, target } = row.content
                && let (Some(member), false) = (record.act.target(), target.is_empty())
            {
                names.insert(member, target);
            }
        }
        if let Ok(roster) = self.roster() {
            names.extend(roster.into_iter().map(|l| (l.member, l.name)));
        }
        names.insert(self.me(), self.state.name.clone());
        Ok(names)
    }

    /// Finds a member by name, or by the first characters of their key's hexadecimal or short form.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMember`] or [`EngineError::Ambiguous`].
    pub fn find_member(&mut self, wanted: &str) -> Result<Leaf> {
        find_member(&self.roster()?, wanted).cloned()
    }

    /// Returns the agreement with this id, if the profile has its text.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn agreement(&self, id: &Digest) -> Result<Option<Agreement>> {
        read(self.store, Kind::Agreement, self.no, id.as_bytes())
    }

    /// Returns my acknowledgement.
    ///
    /// # Errors
    /// [`EngineError::DamagedRecord`].
    pub fn acknowledgement(&self) -> Result<Acknowledgement> {
        Acknowledgement::parse(&self.state.acknowledgement).map_err(|_| EngineError::DamagedRecord)
    }

    /// Returns rows of history from a position on, at most `limit`.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn history(&self, from: Seq, limit: usize) -> Result<Vec<Row>> {
        let rows = self.store.range(Kind::History, self.no, from.0, limit)?;
        rows.into_iter().map(|(_, bytes)| decode(&bytes)).collect()
    }

    /// Returns the last rows of history before a position, at most `limit`.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn history_back(&self, before: Seq, limit: usize) -> Result<Vec<Row>> {
        let rows = self.store.range_back(Kind::History, self.no, before.0, limit)?;
        rows.into_iter().map(|(_, bytes)| decode(&bytes)).collect()
    }

    /// Finds a message of the history by its number, or by the first characters of its id, short or hexadecimal.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMessage`] or [`EngineError::SeveralMessages`].
    pub fn find_message(&self, wanted: &str) -> Result<Row> {
        one_message(wanted, self.find_messages(wanted)?)
    }

    /// Finds the messages that fit, newest first, at most [`FOUND_MAX`]: senders choose the ids, so several may fit. `#` and a number
    /// mean only the entry at that place.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn find_messages(&self, wanted: &str) -> Result<Vec<Row>> {
        const PAGE: usize = 256;
        let wanted = wanted.trim().to_ascii_lowercase();
        let number = wanted.strip_prefix('#').unwrap_or(&wanted).parse::<u64>().ok();
        let at = match number {
            Some(place) => self.store.get_at(Kind::History, self.no, place)?,
            None => None,
        };
        let at: Option<Row> = at.map(|bytes| decode(&bytes)).transpose()?;
        let mut found: Vec<Row> = at.filter(|row| row.id.is_some()).into_iter().collect();
        if wanted.starts_with('#') {
            return Ok(found);
        }
        let fits = |id: &MessageId| {
            wanted.len() >= 4
                && (id.short().starts_with(&wanted) || id.to_hex().starts_with(&wanted))
        };
        let mut before = Seq(u64::MAX);
        loop {
            let rows = self.history_back(before, PAGE)?;
            let Some(first) = rows.first() else { return Ok(found) };
            before = first.place;
            for row in rows.into_iter().rev() {
                let is_new = found.iter().all(|other| other.place != row.place);
                if is_new && row.id.as_ref().is_some_and(fits) {
                    found.push(row);
                }
                if found.len() == FOUND_MAX {
                    return Ok(found);
                }
            }
        }
    }

    /// Returns my own message with an id.
    ///
    /// # Errors
    /// [`EngineError::NoSuchMessage`].
    pub fn own_message(&self, id: &MessageId) -> Result<Row> {
        let me = self.me();
        let own = self.uses_of(id)?.into_iter().find(|by| by.sender == me);
        let row = own.map(|own| self.row_at(own.place)).transpose()?.flatten();
        row.ok_or_else(|| EngineError::NoSuchMessage(id.short()))
    }

    /// Returns this profile's log of moderation, which starts at its own admission.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn log(&self) -> Result<Vec<Record>> {
        let records = self.store.range(Kind::Log, self.no, 0, usize::MAX)?;
        records.into_iter().map(|(_, bytes)| decode(&bytes)).collect()
    }

    /// Returns the number of the newest record that is missing, altered or inserted in a log of this room; `None` if the log is whole.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn broken_record(&mut self, records: &[Record]) -> Result<Option<u64>> {
        let newest = match self.policy() {
            Ok(policy) => Some(policy.record),
            Err(EngineError::NotMember(_)) => None,
            Err(error) => return Err(error),
        };
        let me = self.me();
        let admits_me = |record: &&Record| {
            record.act.admission().is_some_and(|admission| admission.member == me)
        };
        let mut admissions = self.state.admissions.clone();
        // A profile of an earlier version has no list of its admissions.
        admissions.extend(records.iter().filter(admits_me).map(|record| record.number));
        Ok(Chain { records, newest: newest.as_ref(), admissions: &admissions }.broken_at())
    }

    /// Begins another stay in the log of moderation. Records of an earlier stay from there on belong to a room that was rolled back.
    pub(super) fn begin_log(&mut self, number: u64) -> Result<()> {
        for (other, _) in self.store.range(Kind::Log, self.no, number, usize::MAX)? {
            self.store.delete_at(Kind::Log, self.no, other)?;
        }
        self.roll().forget_from(number)?;
        self.state.admissions.retain(|earlier| *earlier < number);
        self.state.admissions.push(number);
        Ok(())
    }

    /// Stores that history up to a position was displayed.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn mark_shown(&mut self, seq: Seq) -> Result<()> {
        if seq > self.state.shown {
            self.state.shown = seq;
            self.save_state()?;
        }
        Ok(())
    }

    /// Keeps an unsent draft, sealed, in place of the last one. An empty draft deletes it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn keep_draft(&self, words: &str) -> Result<()> {
        match words.trim() {
            "" => Ok(self.store.delete(Kind::Room, self.no, DRAFT).map(|_| ())?),
            words => write(self.store, Kind::Room, self.no, DRAFT, &words.to_owned()),
        }
    }

    /// Returns the unsent draft. It stays until [`Self::keep_draft`] changes it.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn draft(&self) -> Result<Option<String>> {
        read(self.store, Kind::Room, self.no, DRAFT)
    }

    /// Shows or hides a member's messages in this profile only.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn set_muted(&mut self, member: MemberKey, muted: bool) -> Result<()> {
        self.state.muted.retain(|m| *m != member);
        if muted {
            self.state.muted.push(member);
        }
        self.save_state()
    }

    /// Changes the room's name in this profile's commands.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn rename(&mut self, local_name: String) -> Result<()> {
        self.state.local_name = local_name;
        self.save_state()
    }

    /// Changes this profile's standing in the room.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn set_standing(&mut self, standing: Standing) -> Result<()> {
        self.state.standing = standing;
        self.save_state()
    }

    /// Stores that the relay calls this profile out, so that it may knock again.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn said_gone(&mut self) -> Result<()> {
        self.cursor.said_gone = true;
        self.save_cursor()
    }

    /// Deletes everything of this room from the profile. It cannot be recovered.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn wipe(self) -> Result<()> {
        self.drop_lanes()?;
        self.store.delete_room(self.no)?;
        self.store.checkpoint()?;
        Ok(())
    }

    /// Returns the content of my leaf beside the acknowledgement.
    pub(super) fn companion(&self) -> Result<Companion> {
        let own = &self.state.companion;
        let pair = hpke::key_pair(self.crypto, self.state.suite(), own.seed.expose());
        let (_, key) = pair.ok_or(EngineError::Random)?;
        let note = Some(NoteKey { number: own.number, key });
        Ok(Companion { format: 1, salt: own.salt, note })
    }

    pub(super) fn signing_key(&self) -> SigningKey {
        self.state.signing_key()
    }

    pub(super) fn provider(&self) -> Provider<'s> {
        Provider::new(self.crypto, self.store, self.no)
    }

    /// Returns the group, loaded if needed, and its provider.
    pub(super) fn group(&mut self) -> Result<(Provider<'s>, &mut Group)> {
        let provider = self.provider();
        if self.group.is_none() {
            self.group = Group::load(&provider, self.state.room)?;
        }
        let group = self.group.as_mut().filter(|g| g.is_active());
        let why = match self.state.standing {
            Standing::Knocking => "you wait to be admitted",
            Standing::Declined { by: Some(_), .. } => "your knock was declined",
            Standing::Declined { by: None, .. } => "the relay says that your knock was declined",
            Standing::Lapsed => "the agreement waits for your yes",
            Standing::Returning => "you have said yes, and wait to be let in",
            Standing::Left => "you left",
            Standing::Removed => "your place in it has ended",
            Standing::Over(Over::Device) => "this device was taken out, because it was lost",
            Standing::Over(Over::Group) => "the group has ended",
            Standing::Over(Over::Farewell) => "your time in this room is over, as planned",
            Standing::Over(Over::Remembered) => "the place of this device was closed",
            Standing::Member => "its keys are gone",
            Standing::Opening(_) => "the relay has not opened it yet",
        };
        Ok((provider, group.ok_or(EngineError::NotMember(why))?))
    }

    /// Runs a change that is kept whole or dropped whole, in the store and in memory.
    pub(super) fn change<T>(&mut self, run: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let (state, cursor) = (self.state.clone(), self.cursor.clone());
        let store = self.store;
        let result = store.transaction(|_| run(self));
        if result.is_err() {
            self.forget_change(state, cursor);
        }
        result
    }

    /// Returns to what the store has after a change was dropped.
    pub(super) fn forget_change(&mut self, state: RoomState, cursor: Cursor) {
        self.state = state;
        self.cursor = cursor;
        self.group = None;
        self.floor = None;
        self.heard = None;
        self.recent.get_mut().clear();
        *self.sent.get_mut() = None;
    }

    pub(super) fn save_state(&self) -> Result<()> {
        write(self.store, Kind::Room, self.no, STATE, &self.state)
    }

    pub(super) fn save_cursor(&self) -> Result<()> {
        write(self.store, Kind::Room, self.no, CURSOR, &self.cursor)
    }

    pub(super) fn save_agreement(&self, agreement: &Agreement) -> Result<()> {
        write(self.store, Kind::Agreement, self.no, agreement.id().as_bytes(), agreement)
    }

    pub(super) fn save_row(&self, row: &Row) -> Result<()> {
        self.store.put_at(Kind::History, self.no, row.place.0, &codec::encode(row))?;
        self.recent.borrow_mut().note(row);
        Ok(())
    }

    /// Returns the row of an entry in the relay's present log.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn row(&self, seq: Seq) -> Result<Option<Row>> {
        self.row_at(self.cursor.place(seq))
    }

    /// Returns the row at a place in this profile's history.
    pub(super) fn row_at(&self, place: Seq) -> Result<Option<Row>> {
        let bytes = self.store.get_at(Kind::History, self.no, place.0)?;
        bytes.map(|b| decode(&b)).transpose()
    }

    pub(super) fn save_record(&self, record: &Record) -> Result<()> {
        let bytes = codec::encode(record);
        Ok(self.store.put_at(Kind::Log, self.no, record.number, &bytes)?)
    }
}

/// Returns the only message of those found.
///
/// # Errors
/// [`EngineError::NoSuchMessage`] or [`EngineError::SeveralMessages`].
pub fn one_message(wanted: &str, mut found: Vec<Row>) -> Result<Row> {
    let wanted = wanted.trim().to_owned();
    match found.len() {
        0 | 1 => found.pop().ok_or(EngineError::NoSuchMessage(wanted)),
        _ => {
            let fits = found.into_iter().map(|row| (row.place, row.name)).collect();
            Err(EngineError::SeveralMessages { wanted, fits: Fits(fits) })
        }
    }
}

/// Makes the identity that signs for a room. It takes parts of the room, so that the group can be borrowed beside it.
pub(super) fn identity<'a>(
    state: &'a RoomState,
    key: &'a SigningKey,
    acknowledgement: &'a Acknowledgement,
    companion: &'a Companion,
) -> Identity<'a> {
    Identity { key, name: &state.name, acknowledgement, companion }
}

/// Finds a leaf by name, or by the first characters of its key.
///
/// # Errors
/// [`EngineError::NoSuchMember`] or [`EngineError::Ambiguous`].
pub fn find_member<'a>(roster: &'a [Leaf], wanted: &str) -> Result<&'a Leaf> {
    let wanted = wanted.trim();
    let lower = wanted.to_ascii_lowercase();
    let by_name = roster.iter().filter(|l| l.name == wanted);
    let look = Look::of(wanted);
    let by_folded = roster.iter().filter(|l| look.is_like(&Look::of(&l.name)));
    let by_key = roster.iter().filter(|l| {
        lower.len() >= 4
            && (l.member.short().starts_with(&lower) || l.member.to_hex().starts_with(&lower))
    });
    for found in [by_name.collect::<Vec<_>>(), by_folded.collect(), by_key.collect()] {
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            _ => return Err(EngineError::Ambiguous(wanted.to_owned())),
        }
    }
    Err(EngineError::NoSuchMember(wanted.to_owned()))
}

pub(super) fn read<T: for<'b> Decode<'b, ()>>(
    store: &Store,
    kind: Kind,
    no: RoomNo,
    name: &[u8],
) -> Result<Option<T>> {
    store.get(kind, no, name)?.map(|bytes| decode(&bytes)).transpose()
}

pub(super) fn write<T: Encode<()>>(
    store: &Store,
    kind: Kind,
    no: RoomNo,
    name: &[u8],
    value: &T,
) -> Result<()> {
    Ok(store.put(kind, no, name, &codec::encode(value))?)
}

/// Decodes a record of our own store, which may be longer than a frame on the wire.
pub(super) fn decode<T: for<'b> Decode<'b, ()>>(bytes: &[u8]) -> Result<T> {
    minicbor::decode(bytes).map_err(|_| EngineError::DamagedRecord)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| EngineError::Random)?;
    Ok(bytes)
}

pub(super) fn random_secret() -> Result<Secret32> {
    random().map(Secret32::new)
}

/// Returns six groups of five digits.
fn digits(hash: &[u8; 32]) -> String {
    let groups: Vec<String> = hash
        .chunks_exact(5)
        .take(6)
        .map(|c| {
            let number = c.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b));
            format!("{:05}", number % 100_000)
        })
        .collect();
    groups.join(" ")
}

/// Whether any row carries an alarm.
pub fn any_alarm(rows: &[Row]) -> bool {
    rows.iter().flat_map(|r| &r.notices).any(Notice::is_alarm)
}
