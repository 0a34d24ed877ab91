//! One room over one connection: catching up, sending what waits, acting with retries.
//!
//! Every command works the same way: enter the room, catch up, do what is due, act, and leave. What is sent is in
//! the store before; what is lost on the way is repeated under the same id.

mod door;
mod error;

use std::{collections::BTreeSet, time::Duration};

use hearth_engine::{
    EngineError, Room,
    accord::{Reason, Waits},
    act::Knock,
    agreement::{AckError, Agreement, Change, Departure},
    block::Block,
    clock::{Clock, Moment},
    outbox::Submission,
    policy::{Act, RuleError},
    state::{Held, Standing},
};
use hearth_protocol::{
    ClientFrame, Effect, Entry, EntryContent, Epoch, MessageId, Millis, RejectCode, Role, RoomId,
    Seq, ServerFrame,
    frame::{Notice, PendingKnock, RequestId, RoomStatus, Standing as RelayStanding},
    limits::BLOB_PART_BYTES_MAX,
    limits::MARKED_MILLIS,
    mls_header::{self, ContentType},
};
use tokio::time::timeout;

pub use door::{Answer, await_answer, knock, look, open_room, resume_waiting};
pub use error::LiveError;

use crate::{
    connection::{Connection, RequestError},
    network::Network,
};

/// Races lost in a row before a command gives up.
const TRIES_MAX: usize = 8;
/// Epochs by which a room can be taken back. A relay that names more is not followed.
const TAKEN_BACK_MAX: u64 = 4096;
/// Entries that take long enough to be spoken of.
const MISSED_WORTH_TELLING: u64 = 500;
/// Longest wait for entries that the relay has announced.
const ENTRIES_DEADLINE: Duration = Duration::from_secs(20);
/// Members renew their leaf this often: a week. (A leaf that never commits can't be joined to after 84 days.)
const RENEWAL_MILLIS: u64 = 7 * 24 * 3600 * 1000;
/// While entries come, what the relay enforces is compared with the log this often: a minute.
const COMPARE_MILLIS: u64 = 60 * 1000;

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
    /// Whether newcomers who lack a text were looked for over this connection.
    looked_for_newcomers: bool,
    /// What the relay said to the last post over this connection.
    last_post: Option<Result<(), Block>>,
}

/// What came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// History grew; read it from the room.
    Entries,
    /// Somebody knocks.
    Knock,
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
}

/// A room that does not get on, and what the relay has of it.
struct Loss<'s> {
    live: Live<'s>,
    status: RoomStatus,
    recovery: Recovery,
    /// The last entry that the relay and this profile both have.
    common: Seq,
}

/// What became of a submission.
enum Outcome {
    /// On disk at the relay, and handled here.
    Accepted(Seq),
    /// A commit that lost its race.
    Lost,
    /// A message that goes out again.
    Again,
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
        let standing = door::authenticate(&mut connection, &room).await?;
        let role = role_of(&standing);
        let last = door::settle(&mut connection, &mut room, standing).await?;
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

    const fn over(room: Room<'s>, connection: Connection, readable: Option<Seq>) -> Self {
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
            looked_for_newcomers: false,
            last_post: None,
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

    /// Asks the relay what there is to go on from, and changes nothing but the standing.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn recovery(network: &Network, room: Room<'s>) -> Result<(Room<'s>, Recovery)> {
        let Loss { live, recovery, .. } = Self::at_a_loss(network, room).await?;
        Ok((live.leave().await, recovery))
    }

    /// Goes on, by the member's decision, in a room whose relay was restored from an older copy, or that seemed to have split; or
    /// takes a room back that went on without its facilitator. Where something was agreed to, it is that or nothing.
    ///
    /// A facilitator also tells the relay which epoch the room is in.
    ///
    /// # Errors
    /// [`LiveError::EpochUsedUp`] if a facilitator has to do it first; [`LiveError::LeftBehind`] if only an invite brings
    /// this profile back; [`LiveError::UnexpectedReply`] if the relay says otherwise than when it was agreed to; see
    /// [`LiveError`].
    pub async fn recover(
        network: &Network,
        room: Room<'s>,
        agreed: Option<Recovery>,
    ) -> Result<Self> {
        let Loss { mut live, status, recovery, common } = Self::at_a_loss(network, room).await?;
        if agreed.is_some_and(|agreed| agreed != recovery) {
            return Err(LiveError::UnexpectedReply);
        }
        let epoch = live.room.epoch()?;
        match recovery {
            Recovery::LeftBehind | Recovery::Split => {
                if recovery == Recovery::LeftBehind {
                    live.take_back(epoch, &status).await?;
                }
                live.room.go_on()?;
            }
            Recovery::Restored => {
                if status.epoch < epoch {
                    if live.room.my_role()? != Role::Facilitator {
                        let same = live.room.cursor().stream == Some(status.stream);
                        let wait = LiveError::EpochUsedUp;
                        return Err(if same { LiveError::EpochTakenBack } else { wait });
                    }
                    live.reopen(epoch, status.control).await?;
                }
                live.room.adopt_stream(status.stream, common)?;
            }
        }
        live.subscribe().await?;
        // After a restored backup `restore-rules` does it, when the facilitator wants it.
        if recovery == Recovery::LeftBehind && live.room.my_role()? == Role::Facilitator {
            live.catch_up().await?;
            match live.restore_rules().await {
                // What remains is told.
                Ok(_)
                | Err(LiveError::Refused { .. } | LiveError::Engine(EngineError::Rule(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(live)
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

    /// Compares if something says that it is time.
    async fn compare_if_due(&mut self) -> Result<()> {
        let due = self.compared.is_none_or(|(at, seq)| {
            let now = self.room.now();
            let is_over = now < at || now >= at.plus(COMPARE_MILLIS);
            is_over && self.room.cursor().seq > seq
        });
        if due {
            self.compare().await?;
        }
        Ok(())
    }

    /// Connects without catching up, and compares what the relay says of its log with what this profile has seen.
    async fn at_a_loss(network: &Network, mut room: Room<'s>) -> Result<Loss<'s>> {
        let mut connection = Connection::open(network, &room.state().address()).await?;
        let standing = door::authenticate(&mut connection, &room).await?;
        door::settle(&mut connection, &mut room, standing).await?;
        let mut live = Self::over(room, connection, None);
        let status = live.status().await?;
        let left_behind = live.room.is_left_behind()?;
        let common = last_in_common(network, &live.room, status.head).await?;
        let cursor = live.room.cursor();
        let same_store = cursor.stream == Some(status.stream) && cursor.seq == common;
        let given_back = status.epoch < live.room.epoch()?;
        let recovery = match (same_store, left_behind, live.room.cursor().split) {
            (true, true, _) => Recovery::LeftBehind,
            (true, false, Some(_)) => Recovery::Split,
            (true, false, None) if !given_back && !live.room.saw_epoch_used_up()? => {
                return Err(LiveError::NothingToRecover);
            }
            (true, false, None) | (false, ..) => Recovery::Restored,
        };
        Ok(Loss { live, status, recovery, common })
    }

    /// Takes the room back to the epoch of this profile, a facilitator's, if the relay is past it: whoever went on has to come in
    /// anew.
    async fn take_back(&mut self, ours: Epoch, status: &RoomStatus) -> Result<()> {
        let theirs = status.epoch;
        if theirs <= ours {
            // Whatever named a later epoch, the relay did not take it for one.
            return Ok(());
        }
        if theirs.0 - ours.0 > TAKEN_BACK_MAX {
            return Err(LiveError::UnexpectedReply);
        }
        if self.room.my_role()? != Role::Facilitator {
            return Err(LiveError::LeftBehind);
        }
        // The relay goes back by one at a time.
        let mut control = status.control;
        for epoch in (ours.0..theirs.0).rev() {
            control = self.reopen(Epoch(epoch), control).await?;
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
            ServerFrame::Notice { room, notice } if room == self.room.id() => match notice {
                Notice::Knock => Ok(Incoming::Knock),
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

    /// Waits for whatever comes next and takes it in, and no longer than until the pending amendment is due. Cancel safe.
    ///
    /// # Errors
    /// See [`Self::next`].
    pub async fn next_or_due(&mut self) -> Result<Incoming> {
        let now = self.earlier_now();
        // Out of the room nothing is due.
        let pending = self.room.policy().ok().and_then(|policy| policy.pending);
        match pending.map(|pending| pending.effective).filter(|effective| *effective > now) {
            None => self.next().await,
            Some(effective) => {
                let left = Duration::from_millis(effective.0.saturating_sub(now.0));
                timeout(left, self.next()).await.unwrap_or(Ok(Incoming::Other))
            }
        }
    }

    /// Sends everything that waits in the outbox, oldest first. A refused submission stops only the texts behind a text.
    ///
    /// # Errors
    /// [`LiveError::Refused`], the first of something that is dropped, or else the first; see [`LiveError`].
    pub async fn flush(&mut self) -> Result<()> {
        let refusals = self.flush_all().await?.into_iter().map(|(_, error)| error);
        let first =
            refusals.min_by_key(|error| matches!(error, LiveError::Refused { kept: true, .. }));
        first.map_or(Ok(()), Err)
    }

    /// Sends everything that waits; returns what the relay refused, by its number in the outbox.
    async fn flush_all(&mut self) -> Result<Vec<(u64, LiveError)>> {
        let (mut tries, mut refused, mut refusals) = (0, BTreeSet::new(), Vec::new());
        while let Some(submission) = self.room.next_beside(&refused)? {
            match Box::pin(self.submit(&submission)).await {
                Ok(Outcome::Accepted(_)) => tries = 0,
                Ok(Outcome::Lost | Outcome::Again) => tries += 1,
                Err(LiveError::Refused { code: RejectCode::RateLimited, kept: true, .. })
                    if submission.is_marked =>
                {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(MARKED_MILLIS)).await;
                }
                Err(error @ LiveError::Refused { code, .. }) if !error.is_connection() => {
                    refused.insert(submission.number);
                    refusals.push((submission.number, error));
                    // The relay takes nothing of a stranger.
                    if code == RejectCode::NotMember {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
            if tries >= TRIES_MAX {
                return Err(LiveError::TooManyRaces);
            }
        }
        Ok(refusals)
    }

    /// Sends what waits; fails only by what became of the caller's own submissions, because others are told of beside it.
    async fn flush_for(&mut self, own: impl Fn(u64) -> bool) -> Result<()> {
        let mut refusals = self.flush_all().await?;
        let at = refusals.iter().position(|(number, _)| own(*number));
        // What waits behind a refused text has that text's reason.
        let waits = at.is_none() && self.room.waiting_numbers()?.into_iter().any(own);
        match at {
            Some(at) => Err(refusals.swap_remove(at).1),
            None if waits => refusals.into_iter().next().map_or(Ok(()), |(_, error)| Err(error)),
            None => Ok(()),
        }
    }

    /// Queues a message of a command and sends it. A refusal of what waited before is not the command's.
    ///
    /// # Errors
    /// [`LiveError::Unanswered`] if the relay's answer was lost; see [`LiveError`].
    pub async fn send_own<T>(
        &mut self,
        queue: impl FnOnce(&mut Room<'s>) -> Result<T, EngineError>,
    ) -> Result<T> {
        let before = self.room.waiting_numbers()?;
        let queued = queue(&mut self.room)?;
        let sent = self.flush_for(|number| !before.contains(&number)).await;
        sent.map_err(LiveError::of_own).map(|()| queued)
    }

    /// Sends a text and returns its id, after it is on the relay's disk.
    ///
    /// # Errors
    /// See [`LiveError`]; what is kept in the outbox goes out with the next command.
    pub async fn send(&mut self, text: String) -> Result<MessageId> {
        let id = self.room.queue_text(text, self.room.now())?;
        self.send_queued(&id).await?;
        Ok(id)
    }

    /// Sends what waits, with a text that was queued for the person who is there. If a rule that was not known when it was
    /// queued forbids its length, it goes back to that person, and does not wait.
    ///
    /// # Errors
    /// [`EngineError::TooLong`], or the relay's word for it; see [`LiveError`].
    pub async fn send_queued(&mut self, id: &MessageId) -> Result<()> {
        let own = self.room.number_of(id)?;
        self.carry_out_departures().await?;
        let sent = self.flush_for(|number| own == Some(number)).await;
        let Some(text) = self.room.take_overlong(id)? else { return sent };
        self.room.check_length(&text)?;
        // The relay alone says so.
        let (retry_at, reason) = match sent {
            Err(LiveError::Refused { retry_at, reason, .. }) => (retry_at, reason),
            _ => (None, Reason::Unknown),
        };
        Err(LiveError::Refused { code: RejectCode::TooLong, retry_at, kept: false, reason })
    }

    /// Sends what waits, after carrying out open departures: whoever has left is out before more is said.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn send_waiting(&mut self) -> Result<()> {
        self.carry_out_departures().await?;
        self.flush().await
    }

    /// Returns the time by the own clock and by the relay's.
    pub fn moment(&self) -> Moment {
        Moment { own: self.room.now(), relay: self.connection.server_now() }
    }

    /// Returns the time by the relay's clock: the one by which it ends pauses, time-outs and invites.
    pub fn relay_now(&self) -> Millis {
        self.connection.server_now()
    }

    /// Makes a commit and gets it ordered, making it anew for each epoch it loses.
    ///
    /// It is dated by the earlier of the own clock and the relay's: so a pause that the relay ends by its clock does not end before
    /// its own record, and no amendment takes effect while either clock says that there is time.
    ///
    /// # Errors
    /// [`LiveError::Unanswered`] if the relay's answer was lost; see [`LiveError`].
    pub async fn commit(
        &mut self,
        make: impl FnMut(&mut Room<'s>, Millis) -> Result<Submission, EngineError>,
    ) -> Result<Seq> {
        self.commit_unasked(make).await.map_err(LiveError::of_own)
    }

    /// Does the same for what is due and nobody asked for.
    async fn commit_unasked(
        &mut self,
        mut make: impl FnMut(&mut Room<'s>, Millis) -> Result<Submission, EngineError>,
    ) -> Result<Seq> {
        for _ in 0..TRIES_MAX {
            self.flush_commits_first().await?;
            let now = self.moment().earlier();
            let submission = make(&mut self.room, now)?;
            if let Outcome::Accepted(seq) = Box::pin(self.submit(&submission)).await? {
                return Ok(seq);
            }
        }
        Err(LiveError::TooManyRaces)
    }

    /// Does an act of moderation.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn act(&mut self, act: Act) -> Result<Seq> {
        self.commit(|room, now| room.act(act.clone(), now)).await
    }

    /// Admits somebody who knocks. Their acknowledgement is held against the own clock and against the relay's: one that is wrong
    /// keeps nobody out.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn admit(&mut self, knock: &Knock) -> Result<Seq> {
        let Moment { own, relay } = self.moment();
        let later = own.max(relay);
        let seq = self
            .commit(|room, now| match room.admit(knock, now) {
                Err(EngineError::Rule(RuleError::NotAcknowledged(
                    AckError::Future | AckError::Expired,
                ))) => room.admit(knock, later),
                result => result,
            })
            .await?;
        if self.room.queue_coming_text(own.min(relay))? {
            self.flush_text().await?;
        }
        Ok(seq)
    }

    /// Issues an amendment, whose text was sent, and signs it for its author, who wrote it; one that is to take effect at once does.
    ///
    /// # Errors
    /// [`RuleError::NotNextVersion`] if another amendment was made at the same time; see [`LiveError`].
    pub async fn amend(&mut self, agreement: &Agreement, at_once: bool) -> Result<()> {
        self.commit(|room, now| room.amend(agreement, now)).await?;
        if agreement.change != Change::Material {
            return Ok(());
        }
        // Whoever was admitted between the two has not read the text.
        if self.room.newcomers_lack_text()? && self.room.queue_coming_text(self.earlier_now())? {
            self.flush_text().await?;
        }
        self.acknowledge(agreement).await?;
        if at_once {
            self.enact().await?;
        }
        Ok(())
    }

    /// Acknowledges a version of the agreement by a renewal of the own leaf.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn acknowledge(&mut self, agreement: &Agreement) -> Result<Seq> {
        self.commit(|room, now| {
            let acknowledgement = room.sign_acknowledgement(agreement, now, Vec::new())?;
            room.renew(Some(&acknowledgement), now)
        })
        .await
    }

    /// Puts the pending amendment in force.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn enact(&mut self) -> Result<Seq> {
        let relay_now = self.relay_now();
        self.commit(|room, now| room.enact(now, relay_now)).await
    }

    /// Sends a text that is repeated for newcomers: what nobody waits for fails nothing.
    async fn flush_text(&mut self) -> Result<()> {
        match self.flush().await {
            Err(error @ LiveError::Refused { .. }) if !error.is_connection() => Ok(()),
            flushed => flushed,
        }
    }

    /// Asks the relay for effects that need no entry.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn effects_only(&mut self, effects: Vec<Effect>) -> Result<()> {
        self.effects_if(None, effects).await.map(|_| ()).map_err(LiveError::of_own)
    }

    async fn effects_if(
        &mut self,
        expect: Option<u64>,
        effects: Vec<Effect>,
    ) -> Result<ServerFrame> {
        let (room, after) = (self.room.id(), self.room.cursor().seq);
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| EngineError::Random)?;
        let frame = |req| ClientFrame::Submit {
            req,
            room,
            id: MessageId(id),
            payload: Vec::new(),
            expect,
            effects,
            after,
        };
        Ok(self.request(frame).await?)
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

    /// Does what is due and nobody asked for: carries out departures, renews keys, enacts an amendment.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn tend(&mut self) -> Result<()> {
        if self.room.state().standing != Standing::Member {
            return Ok(());
        }
        let moment = self.moment();
        self.room.erase_expired(moment)?;
        if self.room.cursor().split.is_some() {
            // What is due would be done in a room that may not be the others'.
            return Ok(());
        }
        match self.do_what_is_due().await {
            // What does not agree is told, and nothing is due before a facilitator has put it back.
            Ok(()) | Err(LiveError::EpochTakenBack) => {}
            // Nobody asked for it, and it goes on by itself.
            Err(LiveError::Unanswered(error)) => return Err(error.into()),
            Err(error) => return Err(error),
        }
        self.compare_if_due().await
    }

    async fn do_what_is_due(&mut self) -> Result<()> {
        // What a killed process left behind comes first: a commit of ours may stand in the way of everything.
        self.flush_commits_first().await?;
        let moderates = self.room.my_role()?.moderates();
        if moderates {
            self.carry_out_departures().await?;
            self.enact_if_due().await?;
            if self.room.state().standing != Standing::Member {
                return Ok(());
            }
            // Once over each connection, because whoever admits somebody, or amends, repeats the text first. It goes out with what waits.
            if !std::mem::replace(&mut self.looked_for_newcomers, true)
                && self.room.newcomers_lack_text()?
            {
                self.room.queue_coming_text(self.earlier_now())?;
            }
        }
        let (renewed, now) = (self.room.state().renewed_at, self.room.now());
        // A clock that was ahead at the last one must not put the next one off.
        let due = renewed.plus(RENEWAL_MILLIS) <= now || renewed > now.plus(RENEWAL_MILLIS);
        if due && self.room.roster()?.len() > 1 {
            match self.commit_unasked(|room, now| room.renew(None, now)).await {
                // A renewal is not worth failing a command for: it is due again with the next one.
                Ok(_)
                | Err(
                    LiveError::TooManyRaces
                    | LiveError::Refused { .. }
                    | LiveError::LeftBehind
                    | LiveError::Engine(EngineError::Rule(_) | EngineError::Refused(_)),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts an amendment in force that is due. One that waits for a signature, or that the relay or a rule refuses, is told once and
    /// stops nothing else.
    async fn enact_if_due(&mut self) -> Result<()> {
        let Some(due) = self.room.due_amendment(self.moment().earlier())? else {
            return Ok(self.room.amendment_waits(None)?);
        };
        if let Some(waits) = due.waits {
            return Ok(self.room.amendment_waits(Some((due.version, waits)))?);
        }
        if self.refused_version == Some(due.version) {
            return Ok(());
        }
        match self.enact().await {
            // Somebody else may have been faster.
            Ok(_) | Err(LiveError::Engine(EngineError::Rule(RuleError::Nothing))) => {
                Ok(self.room.amendment_waits(None)?)
            }
            Err(error) if error.is_connection() => Err(error),
            // It is due still when this profile comes again.
            Err(
                LiveError::TooManyRaces
                | LiveError::Refused {
                    code:
                        RejectCode::RateLimited | RejectCode::QuotaSpent | RejectCode::StoreUnavailable,
                    ..
                },
            ) => Ok(()),
            Err(
                LiveError::Refused { .. }
                | LiveError::Engine(EngineError::Rule(_) | EngineError::Refused(_)),
            ) => {
                if self.room.state().standing != Standing::Member {
                    return Ok(());
                }
                // The relay looks at its roster before it compares epochs.
                self.head = self.head.max(self.status().await?.head);
                self.catch_up().await?;
                let standing = &self.room.state().standing;
                if *standing == Standing::Member
                    && self.room.due_amendment(self.moment().earlier())? == Some(due)
                {
                    self.refused_version = Some(due.version);
                    self.room.amendment_waits(Some((due.version, Waits::Refused)))?;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Carries out open departures. One that the relay or a rule refuses is told once and left to those who moderate: it stops
    /// neither the others nor anything else.
    async fn carry_out_departures(&mut self) -> Result<()> {
        for departure in self.room.open_departures()? {
            let lately = self.room.is_departure_refused(&departure.member, self.room.now())?;
            // Who moderates may do what plain members may not: their client tries once over each connection.
            let leave_it = lately && !self.room.my_role()?.moderates();
            if leave_it || self.refused.contains(&departure) {
                continue;
            }
            let act = |room: &mut Room<'s>, now| {
                let still_open = room.open_departures()?.contains(&departure);
                let act = Act::Depart(departure.clone());
                if still_open { room.act(act, now) } else { Err(EngineError::Busy) }
            };
            match self.commit_unasked(act).await {
                // Somebody else carried it out meanwhile.
                Ok(_) | Err(LiveError::Engine(EngineError::Busy)) => {}
                // The others are as fast, or the relay is busy: it is open still when this profile comes again.
                Err(
                    LiveError::TooManyRaces
                    | LiveError::Refused {
                        code:
                            RejectCode::RateLimited
                            | RejectCode::QuotaSpent
                            | RejectCode::StoreUnavailable
                            | RejectCode::ShuttingDown,
                        ..
                    },
                ) => break,
                Err(
                    LiveError::Refused { .. }
                    | LiveError::Engine(EngineError::Rule(_) | EngineError::Refused(_)),
                ) => {
                    // Somebody may have been faster: the relay looks at its roster before it compares epochs.
                    self.head = self.head.max(self.status().await?.head);
                    self.catch_up().await?;
                    if self.room.open_departures()?.contains(&departure) {
                        self.room.departure_refused(&departure, self.room.now())?;
                        self.refused.push(departure);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends on a commit that an earlier process left in the outbox. One that the relay refuses is given up, and stops nothing
    /// else: nobody waits for its answer any more.
    async fn flush_commits_first(&mut self) -> Result<()> {
        while let Some(submission) = self.room.waiting_commit()? {
            match Box::pin(self.submit(&submission)).await {
                Ok(_) | Err(LiveError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
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

    async fn submit(&mut self, submission: &Submission) -> Result<Outcome> {
        let room = self.room.id();
        if let Some((blob, bytes)) = &submission.blob {
            upload(&mut self.connection, room, *blob, bytes).await?;
        }
        let sent = self
            .connection
            .request(|req| ClientFrame::Submit {
                req,
                room,
                id: submission.id,
                payload: submission.payload.clone(),
                expect: None,
                effects: submission.effects.clone(),
                after: submission.after,
            })
            .await;
        match sent {
            Ok(ServerFrame::Accepted { seq, at, .. }) => {
                if !submission.is_commit && !submission.is_marked {
                    self.last_post = Some(Ok(()));
                }
                self.await_own(submission, seq, at).await?;
                Ok(Outcome::Accepted(seq))
            }
            Ok(_) => Err(LiveError::UnexpectedReply),
            Err(RequestError::Rejected { code: RejectCode::EpochConflict, .. }) => {
                self.after_conflict(submission).await
            }
            Err(RequestError::Rejected { code, retry_at }) => {
                // Words that a rule forbids stay for the person who wrote them.
                let kept = self.room.refused(submission.number, code)?;
                if kept && code.holds_text() {
                    self.last_post = Some(Err(Block { why: code, until: retry_at }));
                }
                let reason = self.reason(code, retry_at).await?;
                Err(LiveError::Refused { code, retry_at, kept, reason })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns why a text is held that this profile sent.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub async fn refusal_of(&mut self, id: &MessageId) -> Result<Option<LiveError>> {
        let held = self.room.held_texts()?.into_iter().find(|(held, _)| held == id);
        Ok(match held {
            None => None,
            Some((_, Held::Out)) => Some(LiveError::NotInside(self.room.state().standing.clone())),
            Some((_, Held::Refused(code))) => {
                // The relay said so of this text, or of one before it.
                let said = self.last_post.and_then(Result::err).filter(|said| said.why == code);
                let retry_at = said.and_then(|said| said.until);
                let reason = self.reason(code, retry_at).await?;
                Some(LiveError::Refused { code, retry_at, kept: true, reason })
            }
        })
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

    /// Looks for the record that says why something is refused: it may have come just now.
    async fn reason(&mut self, code: RejectCode, retry_at: Option<Millis>) -> Result<Reason> {
        if self.room.state().standing != Standing::Member {
            return Ok(Reason::Unknown);
        }
        if code == RejectCode::NotMember {
            self.look_for_removal().await?;
            return Ok(Reason::Unknown);
        }
        match self.room.reason(code, retry_at, self.earlier_now())? {
            Reason::Unrecorded => {}
            known => return Ok(known),
        }
        if code == RejectCode::Observer {
            self.role = None;
        }
        self.compare().await?;
        if self.room.state().standing != Standing::Member {
            return Ok(Reason::Unknown);
        }
        Ok(self.room.reason(code, retry_at, self.earlier_now())?)
    }

    /// Takes entries in up to our own, so that what was accepted is also part of this profile's history.
    async fn await_own(&mut self, submission: &Submission, seq: Seq, at: Millis) -> Result<()> {
        while self.room.is_waiting(submission.number)? && self.room.cursor().seq < seq {
            match timeout(ENTRIES_DEADLINE, self.next_entry()).await {
                Ok(entered) => entered?,
                // Delivery to somebody who left may stop right before the entry that says so.
                Err(_) if submission.effects.contains(&Effect::Leave) => {
                    let moment = self.moment();
                    return Ok(self.room.accepted_last(submission.number, seq, at, moment)?);
                }
                // A network or a relay that stalls: it stays in the outbox, and goes out under its id until it comes back.
                Err(_) => return Err(RequestError::Timeout.into()),
            }
        }
        // A place that we are past of: ours may have expired or been retracted there, or the relay lies.
        Ok(self.room.accepted_before(submission.number, seq)?)
    }

    async fn after_conflict(&mut self, submission: &Submission) -> Result<Outcome> {
        let status = self.status().await?;
        self.head = self.head.max(status.head);
        self.catch_up().await?;
        let epoch = self.room.epoch()?;
        if !self.room.is_waiting(submission.number)? {
            // It was ours all along: the relay had taken it, and the answer was lost.
            return Ok(if submission.is_commit { Outcome::Lost } else { Outcome::Again });
        }
        if status.epoch < epoch {
            // Nobody went on from there, as far as the log goes: the relay alone is there.
            if submission.is_commit {
                self.room.epoch_conflict(submission.number)?;
            }
            return Err(LiveError::EpochTakenBack);
        }
        if status.epoch != epoch {
            if status.epoch > epoch && !self.room.saw_epoch_used_up()? {
                // To give the epoch back now would tear the room: there may be a good commit that we are not shown.
                let left_behind = self.room.is_left_behind()?;
                return Err(if left_behind {
                    LiveError::LeftBehind
                } else {
                    LiveError::Withheld(status.head)
                });
            }
            // A commit that everybody refuses used the epoch up; a facilitator gives it back.
            let facilitates = self.room.my_role()? == Role::Facilitator;
            if status.epoch.0 != epoch.0.saturating_add(1) || !facilitates {
                return Err(LiveError::EpochUsedUp);
            }
            match self.reopen(epoch, status.control).await {
                // Another facilitator may have been faster.
                Ok(_)
                | Err(LiveError::Request(RequestError::Rejected {
                    code: RejectCode::StateChanged,
                    ..
                })) => {}
                Err(error) => return Err(error),
            }
        }
        let again = self.room.epoch_conflict(submission.number)?;
        Ok(if again { Outcome::Again } else { Outcome::Lost })
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

/// Uploads a blob in parts.
async fn upload(
    connection: &mut Connection,
    room: RoomId,
    blob: hearth_protocol::BlobId,
    bytes: &[u8],
) -> Result<()> {
    let total = u32::try_from(bytes.len()).map_err(|_| LiveError::UnexpectedReply)?;
    let mut offset = 0;
    for part in bytes.chunks(BLOB_PART_BYTES_MAX) {
        let part = part.to_vec();
        let length = u32::try_from(part.len()).map_err(|_| LiveError::UnexpectedReply)?;
        connection
            .request(|req| ClientFrame::PutBlob { req, room, blob, total, offset, part })
            .await?;
        offset += length;
    }
    Ok(())
}

/// Entries of the past that are compared first; where they all differ, more are.
const COMPARED_FIRST: u64 = 256;

/// Finds the last entry that the relay and this profile both have, on a connection of its own. `head` is the relay's.
async fn last_in_common(network: &Network, room: &Room<'_>, head: Seq) -> Result<Seq> {
    let last = room.cursor().seq;
    let mut back = COMPARED_FIRST;
    loop {
        let after = Seq(last.0.saturating_sub(back)).max(room.state().joined);
        let until = last.min(head);
        if until <= after {
            // The relay has nothing of what is compared here.
            if after <= room.state().joined {
                return Ok(until);
            }
        } else if let Some(common) = compare(network, room, (after, until)).await? {
            return Ok(common);
        } else if after <= room.state().joined {
            return Ok(after);
        }
        back = back.saturating_mul(16);
    }
}

/// Compares the entries of a range, the first excluded, in order. Returns the last entry before one that differs; `None` if the
/// first entry of the range differs already.
async fn compare(
    network: &Network,
    room: &Room<'_>,
    (after, until): (Seq, Seq),
) -> Result<Option<Seq>> {
    let mut connection = Box::pin(Connection::open(network, &room.state().address())).await?;
    door::authenticate(&mut connection, room).await?;
    let id = room.id();
    connection.request(|req| ClientFrame::Subscribe { req, room: id, after }).await?;
    let (mut seen, mut common) = (after, None);
    'shown: while seen < until {
        // Only an entry that was not shown before gives the relay more time.
        let arrival = async {
            loop {
                if let ServerFrame::Entries { room: of, entries, .. } = connection.next().await?
                    && of == id
                    && entries.iter().any(|entry| entry.seq > seen)
                {
                    return Ok::<_, LiveError>(entries);
                }
            }
        };
        let arrived = timeout(ENTRIES_DEADLINE, arrival).await;
        for entry in arrived.map_err(|_| LiveError::Withheld(until))?? {
            if entry.seq > until || room.had_entry(&entry)? == Some(false) {
                break 'shown;
            }
            seen = seen.max(entry.seq);
            common = Some(entry.seq);
        }
    }
    connection.close().await;
    Ok(common)
}
