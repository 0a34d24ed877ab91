//! Calls for help in one room, as a shell sees them, and what it asks about them.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use hearth_engine::{
    EngineError, Room,
    content::Body,
    help::{Calls, Heard, Line, OpenCall, Patience, Person, Said, open_calls, said_of},
    note::Purpose,
    notes::KeptNote,
    private::{Private, Seen, SeenState},
    state::RowContent,
};
use hearth_forms::{Help, MINUTES_UNSEEN};
use hearth_protocol::{Digest, MemberKey, MessageId, Millis, RoomId, Seq};
use tokio::time::Instant;

use super::view::{Link, RoomView};

/// Rows of a lane that are looked through for calls.
const ROWS: usize = 512;

/// What a shell asks about a call for help.
#[derive(Clone, Debug)]
pub enum HelpCommand {
    /// Call for help: those who moderate are told. What cannot go out now waits.
    Call {
        /// Words with it; may be empty.
        words: String,
    },
    /// Go on with a call that is kept.
    Sent(KeptCall),
    /// A person who moderates says how far a call is.
    Answer {
        /// The call.
        call: MessageId,
        /// How far.
        state: SeenState,
        /// Words to the one who called.
        words: String,
    },
}

/// A call that is kept on the device.
#[derive(Clone, Debug)]
pub struct KeptCall {
    /// Its id.
    pub(super) call: MessageId,
    /// Whether it is an earlier one, which this one joined.
    pub(super) joins: bool,
    /// The words of this one.
    pub(super) words: String,
    /// Their message beside the earlier one, in the lane.
    pub(super) beside: Option<MessageId>,
}

/// Calls for help at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelpView {
    /// This member's last call.
    pub call: Option<Line>,
    /// Names of those whom a note of it did not reach.
    pub unreached: Vec<String>,
    /// Calls of others that are not over, oldest first; none for those who do not moderate.
    pub open: Vec<OpenCall>,
    /// The crisis contacts of the agreement.
    pub contacts: Arc<[Help]>,
    /// Names of the others who moderate.
    pub bench: Vec<String>,
    /// Names of those of them who are on duty.
    pub on_duty: Vec<String>,
}

impl HelpView {
    /// Returns the minutes after which a call that nobody has seen says so.
    pub fn minutes_unseen(&self) -> u32 {
        self.contacts.first().map_or(MINUTES_UNSEEN.1, |help| help.minutes_unseen)
    }

    fn patience(&self) -> Patience {
        Patience { minutes: self.minutes_unseen(), on_duty: !self.on_duty.is_empty() }
    }

    /// Returns the members who have a call that nobody has seen.
    pub fn unseen(&self) -> Vec<MemberKey> {
        let mut members: Vec<MemberKey> =
            self.open.iter().filter(|call| call.has.is_none()).map(|call| call.by).collect();
        members.sort_unstable();
        members.dedup();
        members
    }
}

/// The calls in one lane of another member.
struct LaneCalls {
    last: Seq,
    open: Vec<OpenCall>,
    /// All calls in the rows that were looked through.
    ids: Vec<MessageId>,
}

/// What a room's task knows of calls for help.
pub(super) struct Watch {
    begun: Instant,
    calls: Calls,
    /// The last place of the own lane that was taken in.
    read: Option<Seq>,
    lanes: HashMap<RoomId, LaneCalls>,
    contacts: Arc<[Help]>,
    contacts_of: Option<Digest>,
    shown: HelpView,
    /// Words of own calls.
    words: HashMap<MessageId, String>,
    /// Own calls that are in the lane, or in its outbox.
    in_lane: HashSet<MessageId>,
    /// Own calls, and to whom a note of each is written.
    noted: HashSet<(MessageId, MemberKey)>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            calls: Calls::default(),
            read: None,
            lanes: HashMap::new(),
            contacts: Arc::from([]),
            contacts_of: None,
            shown: HelpView::default(),
            words: HashMap::new(),
            in_lane: HashSet::new(),
            noted: HashSet::new(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Returns when the own call's line changes by itself.
    pub(super) fn changes_at(&self) -> Option<Instant> {
        let at = self.calls.changes_at(self.shown.patience(), self.elapsed())?;
        Some(self.begun + at)
    }

    /// Takes in what the room has, and returns what a shell sees. `view` is of the same moment.
    pub(super) fn look(
        &mut self,
        room: &mut Room<'_>,
        view: &RoomView,
    ) -> Result<HelpView, EngineError> {
        self.read_contacts(room, view)?;
        let has_lanes = view.policy.as_ref().is_none_or(|policy| policy.desk.is_some());
        if !has_lanes {
            let contacts = Arc::clone(&self.contacts);
            return Ok(HelpView { contacts, ..HelpView::default() });
        }
        let bench = bench(room, view)?;
        let moderates = |member: &MemberKey| bench.iter().any(|(key, _)| key == member);
        self.hear_own(room, view, &moderates)?;
        let now = view.relay_now(room.now());
        let lasts = |member: &MemberKey| {
            view.on_duty.iter().any(|duty| duty.member == *member && duty.until > now)
        };
        let others = || bench.iter().filter(|(key, _)| *key != view.me);
        let notes = room.notes()?;
        self.hear_notes(room, &notes)?;
        if matches!(view.link, Link::Up(_)) {
            // What fails here is tried again with the next look.
            let _ = self.note_newcomers(room, view, &bench);
        }
        let mut help = HelpView {
            contacts: Arc::clone(&self.contacts),
            bench: others().map(|(_, name)| name.clone()).collect(),
            on_duty: others().filter(|(key, _)| lasts(key)).map(|(_, n)| n.clone()).collect(),
            ..HelpView::default()
        };
        if view.moderates() {
            help.open = self.open_calls(room, view, &notes, &moderates)?;
        }
        if let Some(last) = self.calls.last() {
            help.call = self.calls.line(&last, help.patience(), self.elapsed());
            let unreached = room.unreached(&last)?;
            help.unreached = unreached.into_iter().map(|one| one.name).collect();
        }
        self.shown = help.clone();
        Ok(help)
    }

    fn read_contacts(&mut self, room: &Room<'_>, view: &RoomView) -> Result<(), EngineError> {
        let current = view.policy.as_ref().map(|policy| policy.agreement.id);
        let current = current.unwrap_or(room.state().agreement);
        if self.contacts_of != Some(current)
            && let Some(agreement) = room.agreement(&current)?
        {
            self.contacts = Help::read_leniently(&agreement.text).into();
            self.contacts_of = Some(current);
        }
        Ok(())
    }

    /// Takes in the rows of the own lane, and calls that wait in its outbox.
    fn hear_own(
        &mut self,
        room: &Room<'_>,
        view: &RoomView,
        moderates: &impl Fn(&MemberKey) -> bool,
    ) -> Result<(), EngineError> {
        let Some(lane) = view.own_lane() else { return Ok(()) };
        let (now, elapsed) = (room.now(), self.elapsed());
        if self.read.is_none_or(|read| read < lane.last)
            && let Some(kept) = room.lane(lane.id)?
        {
            let rows = match self.read {
                Some(read) => kept.room().history(Seq(read.0.saturating_add(1)), ROWS)?,
                None => kept.room().history_back(Seq(u64::MAX), ROWS)?,
            };
            for row in &rows {
                let Some(heard) = said_of(row, view.me, moderates, now) else { continue };
                let call = match &heard {
                    Heard::Called { call, .. } => Some(*call),
                    _ => None,
                };
                if let Some(call) = call {
                    self.in_lane.insert(call);
                    if let RowContent::Private(private) = &row.content
                        && let Private::Flag(words) = &**private
                    {
                        self.words.insert(call, words.clone());
                    }
                }
                self.calls.hear(heard, elapsed);
                call.into_iter().for_each(|call| self.calls.hear(Heard::Delivered(call), elapsed));
            }
            self.read = rows.last().map(|row| row.place).or(self.read).or(Some(Seq(0)));
        }
        if !lane.outbox.is_empty()
            && let Some(kept) = room.lane(lane.id)?
        {
            for (call, at) in kept.room().waiting_calls()? {
                let age = Duration::from_millis(now.0.saturating_sub(at.0));
                self.calls.hear(Heard::Called { call, at, age, in_lane: false }, elapsed);
                self.in_lane.insert(call);
            }
        }
        Ok(())
    }

    /// Takes in answers to notes of this member, and whether the relay has the notes of the last call.
    fn hear_notes(&mut self, room: &Room<'_>, notes: &[KeptNote]) -> Result<(), EngineError> {
        let elapsed = self.elapsed();
        for note in notes.iter().filter(|note| note.purpose == Purpose::Answer) {
            let Private::Seen(Seen { message, state, words }) = &note.private else { continue };
            let who = Person { key: note.from, name: note.name.clone(), moderates: true };
            let (call, state, words, at) = (*message, *state, words.clone(), note.at);
            self.calls.hear(Heard::Said { call, who, at, state, words }, elapsed);
        }
        if let Some(last) = self.calls.last()
            && room.note_was_sent(&last)?
        {
            self.calls.hear(Heard::Delivered(last), elapsed);
        }
        Ok(())
    }

    /// Returns the calls of others that are not over, from lanes and notes, each once.
    fn open_calls(
        &mut self,
        room: &Room<'_>,
        view: &RoomView,
        notes: &[KeptNote],
        moderates: &impl Fn(&MemberKey) -> bool,
    ) -> Result<Vec<OpenCall>, EngineError> {
        for lane in view.lanes.iter() {
            let Some(owner) = lane.owner.filter(|owner| *owner != view.me) else { continue };
            if self.lanes.get(&lane.id).is_some_and(|known| known.last == lane.last) {
                continue;
            }
            let Some(kept) = room.lane(lane.id)? else { continue };
            let rows = kept.room().history_back(Seq(u64::MAX), ROWS)?;
            let is_call = |private: &Private| matches!(private, Private::Flag(_));
            let ids = rows.iter().filter(|row| match &row.content {
                RowContent::Private(private) => is_call(private),
                _ => false,
            });
            let ids = ids.filter_map(|row| row.id).collect();
            let open = open_calls(&rows, owner, moderates);
            self.lanes.insert(lane.id, LaneCalls { last: lane.last, open, ids });
        }
        let in_lanes = |id: &MessageId| self.lanes.values().any(|lane| lane.ids.contains(id));
        let of_notes = notes.iter().filter_map(|note| {
            let Private::Flag(words) = &note.private else { return None };
            if in_lanes(&note.id) || note.answered == Some(SeenState::Resolved) {
                return None;
            }
            let has = note.answered.map(|state| Said {
                by: view.me,
                name: view.name.clone(),
                at: note.at,
                state,
                words: String::new(),
            });
            let (name, words) = (note.name.clone(), words.clone());
            Some(OpenCall { id: note.id, by: note.from, name, at: note.at, words, has })
        });
        let mut open: Vec<OpenCall> = of_notes.collect();
        open.extend(self.lanes.values().flat_map(|lane| lane.open.iter().cloned()));
        open.sort_by_key(|call| (call.at, call.id));
        Ok(open)
    }

    /// Notes that this member called.
    pub(super) fn called(&mut self, call: MessageId, words: String, at: Millis) {
        let elapsed = self.elapsed();
        let age = Duration::ZERO;
        self.calls.hear(Heard::Called { call, at, age, in_lane: false }, elapsed);
        self.words.insert(call, words);
    }

    /// Writes notes of a call to those who have none of it yet, and keeps them until the relay has them.
    pub(super) fn note(
        &mut self,
        room: &mut Room<'_>,
        to: impl IntoIterator<Item = MemberKey>,
        call: MessageId,
    ) -> Result<(), EngineError> {
        let to = to.into_iter().filter(|to| !self.noted.contains(&(call, *to)));
        let to: Vec<MemberKey> = to.collect();
        if to.is_empty() {
            return Ok(());
        }
        let body = Body::Flag(self.words.get(&call).cloned().unwrap_or_default());
        let now = room.now();
        let keyless = room.write_notes(&to, Purpose::Flag, call, &body, now)?;
        let written = to.into_iter().filter(|to| keyless.iter().all(|one| one.to != *to));
        self.noted.extend(written.map(|to| (call, to)));
        Ok(())
    }

    /// Writes notes of the calls that nobody has seen, to those who moderate by now and do not read the lane that has the call.
    fn note_newcomers(
        &mut self,
        room: &mut Room<'_>,
        view: &RoomView,
        bench: &[(MemberKey, String)],
    ) -> Result<(), EngineError> {
        let unseen = self.calls.unseen();
        if unseen.is_empty() {
            return Ok(());
        }
        let lane = view.own_lane().filter(|lane| lane.seated).map(|lane| lane.id);
        let lane = lane.map(|lane| room.lane(lane)).transpose()?.flatten();
        let seats = lane.map(|mut lane| lane.seats()).transpose()?.unwrap_or_default();
        for call in unseen {
            let in_lane = self.in_lane.contains(&call);
            let reads = |key: &MemberKey| in_lane && seats.iter().any(|(member, _)| member == key);
            let others = bench.iter().map(|(key, _)| *key);
            self.note(room, others.filter(|key| *key != view.me && !reads(key)), call)?;
        }
        Ok(())
    }

    /// Returns those to whom the relay has a note of a call.
    pub(super) fn reached(
        &self,
        room: &Room<'_>,
        call: &MessageId,
    ) -> Result<Vec<MemberKey>, EngineError> {
        let waits = room.notes_to_send()?;
        let refused = room.unreached(call)?;
        let noted = self.noted.iter().filter(|(of, _)| of == call).map(|(_, to)| *to);
        let sent = noted.filter(|to| {
            let waits = waits.iter().any(|note| note.id.0 == call.0 && note.to == *to);
            !waits && refused.iter().all(|one| one.to != *to)
        });
        Ok(sent.collect())
    }

    /// Returns the last call if another would come too soon.
    pub(super) fn too_soon(&self) -> Option<MessageId> {
        self.calls.wait(self.elapsed())?;
        self.calls.last()
    }

    /// Whether nobody has said anything of a call.
    pub(super) fn is_unseen(&self, call: &MessageId) -> bool {
        self.calls.unseen().contains(call)
    }

    /// Whether the last call is this one, and is not over.
    pub(super) fn is_open(&self, call: &MessageId) -> bool {
        let open = self.calls.open(self.shown.patience(), self.elapsed());
        open.is_some_and(|open| open.call == *call)
    }

    /// Returns the lane of another member in which a call stands.
    pub(super) fn lane_of(&self, call: &MessageId) -> Option<RoomId> {
        self.lanes.iter().find(|(_, lane)| lane.ids.contains(call)).map(|(id, _)| *id)
    }
}

/// Returns those who moderate by this profile's copy of the room, this member too.
pub(super) fn bench(
    room: &mut Room<'_>,
    view: &RoomView,
) -> Result<Vec<(MemberKey, String)>, EngineError> {
    let Some(policy) = &view.policy else { return room.bench() };
    let moderators = view.roster.iter().filter(|leaf| policy.role(&leaf.member).moderates());
    Ok(moderators.map(|leaf| (leaf.member, leaf.name.clone())).collect())
}
