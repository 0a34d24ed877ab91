//! One room over one connection: catching up, sending what waits, acting with retries.
//!
//! Every command works the same way: enter the room, catch up, do what is due, act, and leave. What is sent is in
//! the store before; what is lost on the way is repeated under the same id.

mod act;
mod door;
mod due;
mod error;
mod lanes;
mod notes;
mod recovery;
mod shares;
mod submit;
mod waiting;

use std::time::Duration;

use hearth_engine::{
    EngineError, Room,
    act::Knock,
    agreement::Departure,
    block::Block,
    clock::{Clock, Moment},
    policy::{Act, RuleError},
    state::{Over, Standing},
};
use hearth_protocol::{
    ClientFrame, Effect, Entry, EntryContent, Epoch, MessageId, Millis, RejectCode, Role, Seq,
    ServerFrame,
    frame::{Notice, PendingKnock, RequestId, RoomStatus, Standing as RelayStanding},
    mls_header::{self, ContentType},
};
use tokio::time::{Instant, timeout};

pub use self::{
    door::{Answer, await_answer, knock, look, open_room, resume_waiting},
    error::LiveError,
};

use self::{act::TRIES_MAX, lanes::Lanes, notes::Notes, submit::Outcome, waiting::Waits};
use crate::{
    connection::{Connection, RequestError},
    network::Network,
};

/// Entries that take long enough to be spoken of.
const MISSED_WORTH_TELLING: u64 = 500;
/// Longest wait for entries that the relay has announced.
const ENTRIES_DEADLINE: Duration = Duration::from_secs(20);

type Result<T, E = LiveError> = std::result::Result<T, E>;

/// A room with a connection to its relay, caught up at the start.
pub struct Live<'s> {
    /// The room.
    pub room: Room<'s>,
    connection: Connection,
    head: Seq,
    moved: bool,
    /// The last entry that we may read, if the relay says that we are out.
    readable: Option<Seq>,
    /// The entry that must be shown again before any other.
    overlap: Option<Seq>,
    /// Whether the relay's store is another than before, until its overlap was shown.
    unproved: bool,
    /// My role at the relay, as it said last.
    role: Option<Role>,
    /// When and up to which entry the relay's word was compared with the log; `None` if something says that it is time again.
    compared: Option<(Millis, Seq)>,
    /// Departures that were tried over this connection, and refused.
    refused: Vec<Departure>,
    /// The version that was to be put in force over this connection, and was refused.
    refused_version: Option<u32>,
    /// Whether somebody may knock who comes back by themselves.
    knocked: bool,
    /// Whether the relay has answered the knock of this member, who waits.
    answered: bool,
    /// Whether newcomers who lack a text were looked for over this connection.
    looked_for_newcomers: bool,
    /// What the relay said to the last post over this connection.
    last_post: Option<Result<(), Block>>,
    lanes: Lanes<'s>,
    notes: Notes,
    /// When a share is due that this moderator's client shows, by the relay's clock.
    share_due: Option<Millis>,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// History grew; read it from the room.
    Entries,
    /// Somebody knocks.
    Knock,
    /// Something came in a lane.
    Lane,
    /// Nothing that needs showing.
    Other,
}

/// What somebody who is at a loss goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The relay's store, which is another or lacks what this profile has seen.
    Restored,
    /// The room, which seemed to have split.
    Split,
    /// Where this profile is, in a room that went on without it.
    LeftBehind,
    /// The epoch that a change used up which every member refuses. The relay's log is whole.
    UsedUp,
    /// The epoch that everybody is in, and that the relay took back. Its log is whole.
    TakenBack,
}

/// Returns the time by this computer's clock.
pub fn now() -> Millis {
    Clock::system().now()
}

impl<'s> Live<'s> {
    /// Connects, proves the room's key, and catches up. Somebody who was admitted meanwhile joins.
    ///
    /// # Errors
    /// See [`LiveError`]. The room comes back through the profile: nothing of it is lost.
    pub async fn enter(network: &Network, room: Room<'s>) -> Result<Self> {
        Self::enter_telling(network, room, |_| ()).await
    }

    /// Does the same, and tells how many entries there are to catch up with, where that may take a while.
    ///
    /// # Errors
    /// See [`Self::enter`].
    pub async fn enter_telling(
        network: &Network,
        room: Room<'s>,
        tell: impl FnOnce(u64),
    ) -> Result<Self> {
        let connection = Box::pin(Connection::open(network, &room.state().address())).await?;
        Box::pin(Self::enter_with(room, connection, tell)).await
    }

    async fn enter_with(
        mut room: Room<'s>,
        mut connection: Connection,
        tell: impl FnOnce(u64),
    ) -> Result<Self> {
        let moment = Moment { own: room.now(), relay: connection.server_now() };
        if room.state().standing == Standing::Over(Over::Group) {
            connection.close().await;
            return Err(LiveError::NotInside(room.state().standing.clone()));
        }
        let waits = room.state().standing.keeps_lane();
        let settled = match door::authenticate(&mut connection, &room).await {
            Ok(standing) => {
                let role = role_of(&standing);
                door::settle(&mut connection, &mut room, standing).await.map(|last| (role, last))
            }
            Err(error) => Err(error),
        };
        let (role, last) = match settled {
            // Only for those who do not get in, because the others read first whether the end was moved or called off.
            Err(error) if !error.is_connection() && room.end_if_over(moment)? => {
                connection.close().await;
                return Err(LiveError::NotInside(room.state().standing.clone()));
            }
            Err(error) if waits => {
                room.goes_on_waiting(error)?;
                return Ok(Self::over(room, connection, None));
            }
            settled => settled?,
        };
        let mut live = Self::over(room, connection, last);
        live.role = role;
        live.subscribe().await?;
        if let Some(at) = last {
            live.head = live.head.min(at);
        }
        let missed = live.head.0.saturating_sub(live.room.cursor().seq.0);
        if missed >= MISSED_WORTH_TELLING {
            tell(missed);
        }
        live.catch_up().await?;
        live.check_gone()?;
        Ok(live)
    }

    fn over(room: Room<'s>, connection: Connection, readable: Option<Seq>) -> Self {
        Self {
            room,
            connection,
            head: Seq(0),
            moved: false,
            readable,
            overlap: None,
            unproved: false,
            role: None,
            compared: None,
            refused: Vec::new(),
            refused_version: None,
            knocked: true,
            answered: false,
            looked_for_newcomers: false,
            last_post: None,
            lanes: Lanes::default(),
            notes: Notes::default(),
            share_due: None,
        }
    }

    /// Refuses the relay's word that we are out, if all that we may read is read and no commit says so.
    fn check_gone(&mut self) -> Result<()> {
        let read = self.readable.is_some_and(|at| at <= self.room.cursor().seq);
        if read && self.room.state().standing == Standing::Member && !self.room.leave_unread()? {
            return Err(LiveError::SaidGone);
        }
        Ok(())
    }

    /// Gives the room back, for a reconnect.
    pub async fn leave(self) -> Room<'s> {
        self.connection.close().await;
        self.room
    }

    /// Gives the room back at once, after the connection was lost.
    pub fn into_room(self) -> Room<'s> {
        self.room
    }

    async fn subscribe(&mut self) -> Result<()> {
        let (room, after) = (self.room.id(), self.room.subscribe_after());
        let reply = self.request(|req| ClientFrame::Subscribe { req, room, after }).await?;
        let ServerFrame::Subscribed { stream, floor, head, .. } = reply else {
            return Err(LiveError::UnexpectedReply);
        };
        self.head = head;
        let last = self.room.cursor().seq;
        let moved = self.room.check_stream(stream, head, floor)?;
        let readable = self.readable.is_none_or(|until| until >= last);
        if after < last && floor < last && readable {
            // Whoever has another history would rather not show the last entry of ours again: nothing goes on before.
            (self.overlap, self.unproved) = (Some(last), moved);
            let shown = async {
                while self.overlap.is_some() {
                    self.next().await?;
                }
                Ok::<_, LiveError>(())
            };
            timeout(ENTRIES_DEADLINE, shown).await.map_err(|_| LiveError::Withheld(head))??;
        }
        if moved {
            self.room.accept_stream(stream)?;
            self.moved = true;
        }
        Ok(())
    }

    /// Whether what passes over this connection stays secret from a quantum computer that comes later.
    pub const fn is_post_quantum(&self) -> bool {
        self.connection.is_post_quantum()
    }

    /// Whether the relay's store was moved or restored, with nothing missing that this profile had seen.
    pub const fn was_moved(&self) -> bool {
        self.moved
    }

    /// Puts what the relay enforces back to what members have verified; returns whether there was anything to put back.
    ///
    /// # Errors
    /// [`RuleError::NotFacilitator`]; see [`LiveError`].
    pub async fn restore_rules(&mut self) -> Result<bool> {
        if self.room.my_role()? != Role::Facilitator {
            return Err(EngineError::Rule(RuleError::NotFacilitator).into());
        }
        let reopened = self.put_epoch_back().await?;
        for _ in 0..TRIES_MAX {
            self.flush_commits_first().await?;
            let status = self.caught_up_status().await?;
            let submission = match self.room.restore(&status, self.earlier_now()) {
                Ok(submission) => submission,
                Err(EngineError::Rule(RuleError::Nothing)) => {
                    if reopened {
                        self.compare().await?;
                    }
                    return Ok(reopened);
                }
                Err(error) => return Err(error.into()),
            };
            if let Outcome::Accepted(_) = Box::pin(self.submit(&submission)).await? {
                self.compare().await?;
                return Ok(true);
            }
        }
        Err(LiveError::TooManyRaces)
    }

    /// Tells the relay the room's epoch if it went back to an earlier one, and makes a commit there, whose record says whose act it
    /// is. Returns whether it did.
    async fn put_epoch_back(&mut self) -> Result<bool> {
        let status = self.caught_up_status().await?;
        let epoch = self.room.epoch()?;
        if status.head != self.room.cursor().seq || status.epoch >= epoch {
            return Ok(false);
        }
        self.reopen(epoch, status.control).await?;
        self.act(Act::Rekey).await?;
        Ok(true)
    }

    /// Asks for the relay's status and reads on to its head.
    async fn caught_up_status(&mut self) -> Result<RoomStatus> {
        let mut status = self.status().await?;
        for _ in 0..TRIES_MAX {
            if status.head <= self.room.cursor().seq {
                break;
            }
            self.head = self.head.max(status.head);
            self.catch_up().await?;
            status = self.status().await?;
        }
        Ok(status)
    }

    /// Compares what the relay enforces with what this profile has verified, as [`Room::compare`] says; what does not agree
    /// stays in [`Room::mismatches`]. Returns whether there was anything to compare.
    ///
    /// # Errors
    /// [`LiveError::SaidGone`]; see [`LiveError`].
    pub async fn compare(&mut self) -> Result<bool> {
        if self.room.state().standing != Standing::Member {
            return Ok(false);
        }
        let status = match self.caught_up_status().await {
            Err(LiveError::Request(RequestError::Rejected {
                code: RejectCode::NotMember, ..
            })) => {
                self.look_for_removal().await?;
                return Ok(false);
            }
            status => status?,
        };
        if self.room.state().standing != Standing::Member {
            return Ok(false);
        }
        let mine = self.room.my_role()?;
        let role = match self.role {
            Some(role) if role == mine => role,
            // It may have changed since: asked again between two statuses of one entry.
            _ => match door::authenticate(&mut self.connection, &self.room).await? {
                RelayStanding::Member { role, .. } => role,
                RelayStanding::Gone { at } => {
                    self.readable = Some(at);
                    self.check_gone()?;
                    return Ok(false);
                }
                _ => return Ok(false),
            },
        };
        let asked_again = self.role != Some(role) || role != mine;
        self.role = Some(role);
        let later = if asked_again { self.status().await? } else { status.clone() };
        let same = later.head == status.head;
        let now = self.earlier_now();
        let compared = same && self.room.compare(&later, Some(role), now)?;
        self.compared = Some((self.room.now(), self.room.cursor().seq));
        Ok(compared)
    }

    /// The earlier of the two clocks' times: what lasts by either is compared.
    fn earlier_now(&self) -> Millis {
        self.room.now().min(self.connection.server_now())
    }

    /// Reads what there is to read after the relay said that we are out: a commit that says so, or nothing.
    async fn look_for_removal(&mut self) -> Result<()> {
        if let RelayStanding::Gone { at } =
            door::authenticate(&mut self.connection, &self.room).await?
        {
            self.head = at;
            self.readable = Some(at);
            self.catch_up().await?;
            self.check_gone()?;
        }
        Ok(())
    }

    /// Tells the relay which epoch the room is in, if nobody acted since its status; returns its control version. An epoch that
    /// another has given back already, and that was used since, must not be given back again.
    async fn reopen(&mut self, epoch: Epoch, control: u64) -> Result<u64> {
        let effects = vec![Effect::Reopen { epoch }];
        match self.effects_if(Some(control), effects).await? {
            ServerFrame::Accepted { control, .. } => Ok(control),
            _ => Err(LiveError::UnexpectedReply),
        }
    }

    /// Takes entries in until the log's head is reached.
    ///
    /// # Errors
    /// [`LiveError::Engine`] if the log does not verify; [`LiveError::Withheld`] if the relay stops short.
    pub async fn catch_up(&mut self) -> Result<()> {
        while self.room.cursor().seq < self.head {
            let next = timeout(ENTRIES_DEADLINE, self.next_entry()).await;
            next.map_err(|_| LiveError::Withheld(self.head))??;
        }
        Ok(())
    }

    /// Waits until the cursor moves: frames that bring no entry do not prolong the caller's deadline. Cancel safe.
    async fn next_entry(&mut self) -> Result<()> {
        let before = self.room.cursor().seq;
        while self.room.cursor().seq == before {
            self.next().await?;
        }
        Ok(())
    }

    /// Waits for whatever comes next and takes it in. Cancel safe.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn next(&mut self) -> Result<Incoming> {
        let frame = self.connection.next().await?;
        match frame {
            ServerFrame::Entries { room, entries, head } if room == self.room.id() => {
                if let (Some(overlap), Some(first)) = (self.overlap, entries.first()) {
                    // One that has expired stands for all before it since the last that was delivered.
                    let expired = first.content == EntryContent::Expired && first.seq > overlap;
                    if first.seq != overlap && !expired {
                        return Err(EngineError::HistoryBackwards(overlap).into());
                    }
                    // Another store has to show the entry itself: that it expired there is nobody's proof.
                    if self.unproved && first.content == EntryContent::Expired {
                        return Err(EngineError::StreamChanged.into());
                    }
                    (self.overlap, self.unproved) = (None, false);
                }
                self.head = self.head.max(head);
                let moment = self.moment();
                self.room.handle_entries(&entries, moment)?;
                if entries.iter().any(may_change_rules) {
                    self.compared = None;
                }
                self.check_gone()?;
                Ok(Incoming::Entries)
            }
            ServerFrame::Entries { room, entries, head } => {
                let mine = self.take_lane_entries(room, &entries, head)?;
                Ok(if mine { Incoming::Lane } else { Incoming::Other })
            }
            ServerFrame::Notice { room, notice: Notice::Standing(_) } if room != self.room.id() => {
                self.lane_standing(room);
                Ok(Incoming::Lane)
            }
            ServerFrame::Notice { room, notice } if room == self.room.id() => match notice {
                Notice::Knock => {
                    self.knocked = true;
                    Ok(Incoming::Knock)
                }
                Notice::Standing(_) if self.room.state().standing.keeps_lane() => {
                    self.answered = true;
                    Ok(Incoming::Other)
                }
                // Read with what is due.
                Notice::Note => {
                    self.notes.arrived();
                    Ok(Incoming::Lane)
                }
                // The relay's word: a note or a record says whose act it is.
                Notice::TimedOut(_) => {
                    self.compared = None;
                    Ok(Incoming::Other)
                }
                Notice::Standing(RelayStanding::Gone { at }) => {
                    self.head = self.head.min(at);
                    self.readable = Some(at);
                    self.check_gone()?;
                    Ok(Incoming::Other)
                }
                Notice::Standing(standing) => {
                    self.role = role_of(&standing);
                    self.compared = None;
                    Ok(Incoming::Other)
                }
                _ => Ok(Incoming::Other),
            },
            ServerFrame::Reject { code, retry_at, .. } => {
                Err(RequestError::Rejected { code, retry_at }.into())
            }
            _ => Ok(Incoming::Other),
        }
    }

    /// Waits for whatever comes next and takes it in, and no longer than until the pending amendment, the next attempt at a seat or a share
    /// is due. Cancel safe.
    ///
    /// # Errors
    /// See [`Self::next`].
    pub async fn next_or_due(&mut self) -> Result<Incoming> {
        let now = self.earlier_now();
        // Out of the room nothing is due.
        let pending = self.room.policy().ok().and_then(|policy| policy.pending);
        let effective = pending.map(|pending| pending.effective).filter(|at| *at > now);
        let left = effective.map(|at| Duration::from_millis(at.0.saturating_sub(now.0)));
        let seat = self.lanes_due().map(|at| at.saturating_duration_since(Instant::now()));
        let note = self.notes_due().map(|at| at.saturating_duration_since(Instant::now()));
        let there = self.relay_now();
        let share = self.share_due.map(|at| Duration::from_millis(at.0.saturating_sub(there.0)));
        match left.into_iter().chain(seat).chain(share).chain(note).min() {
            None => self.next().await,
            Some(left) => timeout(left, self.next()).await.unwrap_or(Ok(Incoming::Other)),
        }
    }

    /// Returns the time by the own clock and by the relay's.
    pub fn moment(&self) -> Moment {
        Moment { own: self.room.now(), relay: self.connection.server_now() }
    }

    /// Returns the time by the relay's clock: the one by which it ends pauses, time-outs and invites.
    pub fn relay_now(&self) -> Millis {
        self.connection.server_now()
    }

    /// Sends one request over the room's connection and waits for its answer; see [`Connection::request`].
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(
        &mut self,
        make: impl FnOnce(RequestId) -> ClientFrame,
    ) -> Result<ServerFrame, RequestError> {
        self.connection.request(make).await
    }

    /// Returns pending knocks as the relay has them.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn pending_knocks(&mut self) -> Result<Vec<PendingKnock>> {
        let room = self.room.id();
        let mut all: Vec<PendingKnock> = Vec::new();
        loop {
            let after = all.last().map(|k| k.member);
            let reply = self.request(|req| ClientFrame::Knocks { req, room, after }).await?;
            let ServerFrame::Knocks { knocks, more, .. } = reply else {
                return Err(LiveError::UnexpectedReply);
            };
            let done = !more || knocks.is_empty();
            all.extend(knocks);
            if done || all.len() > hearth_protocol::limits::KNOCKS_MAX {
                return Ok(all);
            }
        }
    }

    /// Returns pending knocks, opened; those that do not verify come as errors.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn knocks(&mut self) -> Result<Vec<(PendingKnock, Result<Knock, EngineError>)>> {
        let pending = self.pending_knocks().await?;
        Ok(pending
            .into_iter()
            .map(|p| {
                let opened = self.room.open_knock(&p);
                (p, opened)
            })
            .collect())
    }

    /// Returns what the relay enforces now.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn status(&mut self) -> Result<RoomStatus> {
        let room = self.room.id();
        let reply = self.request(|req| ClientFrame::Status { req, room }).await?;
        match reply {
            ServerFrame::Status { status, .. } => Ok(*status),
            _ => Err(LiveError::UnexpectedReply),
        }
    }

    /// Returns what the relay said to the last post over this connection: that it took it, or why not; `None` if there was none.
    pub const fn last_post(&self) -> Option<Result<(), Block>> {
        self.last_post
    }

    /// Sends what waits, with a text that its author released. If the relay refuses it, it is held again.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn send_released(&mut self, id: &MessageId) -> Result<()> {
        let own = self.room.number_of(id)?;
        self.flush_for(|number| own == Some(number)).await
    }
}

/// Returns a member's role at the relay.
const fn role_of(standing: &RelayStanding) -> Option<Role> {
    match standing {
        RelayStanding::Member { role, .. } => Some(*role),
        _ => None,
    }
}

/// Whether an entry may change what the relay enforces, or says that something was retracted.
fn may_change_rules(entry: &Entry) -> bool {
    match &entry.content {
        EntryContent::Payload(payload) => {
            mls_header::parse(payload).is_some_and(|h| h.content == ContentType::Commit)
        }
        EntryContent::Tombstone(_) | EntryContent::Expired => true,
    }
}
