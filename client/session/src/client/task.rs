//! One room of a client: its session, the commands that it is asked, and the view that it shows.

mod asking;
mod help;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use hearth_engine::{
    Crypto, EngineError, Room,
    block::{Block, Stop},
    content::TEXT_BYTES_MAX,
    policy::{Act, Farewell, RuleError},
    store::Store,
    words::Words,
};
use hearth_protocol::{MemberKey, MessageId, Millis, RejectCode, Role, RoomId};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use self::asking::{agree_to_all, questions};

use super::{
    act::{self, Listed, inert},
    command::{AskError, Command, Consent, Outcome, Question},
    event::Event,
    help::Watch,
    hub::Teller,
    lanes::{self, LaneCommand, LaneView},
    view::{Link, RoomView},
};
use crate::{
    contacts,
    live::{Live, LiveError},
    network::Network,
    session::{self, Ready, Session},
};

/// Commands that wait for the first attempt to connect.
const PENDING_MAX: usize = 64;
/// Longest wait for the end of a block before the clocks are read again, because one may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// Shortest such wait, so that a clock that stands still makes no loop.
const LOOK_SOONEST: Duration = Duration::from_millis(20);
/// Longest pause: an hour.
const PAUSE_MILLIS_MAX: u64 = 3_600_000;
/// Longest break that one moderator gives: a day.
const BREAK_MILLIS_MAX: u64 = 24 * 3_600_000;

/// A command, and where its outcome goes. A shell that no longer waits undoes nothing.
pub(super) struct Asked {
    pub(super) command: Command,
    pub(super) consent: Consent,
    pub(super) reply: oneshot::Sender<Result<Outcome, AskError>>,
}

/// A command that waits for an attempt to connect.
enum Pending {
    Command(Asked),
    /// A message, which is in the outbox already where it has an id.
    Say {
        words: Words,
        id: Option<MessageId>,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    },
}

impl Pending {
    /// Whether the command is about what would be done by itself: it has to come before that.
    const fn comes_before_due_work(&self) -> bool {
        matches!(self, Self::Command(Asked { command, .. }) if is_about_due_work(command))
    }
}

const fn is_about_due_work(command: &Command) -> bool {
    matches!(command, Command::Enact | Command::WithdrawAmendment)
}

/// Where a room is.
enum Place<'s> {
    /// Kept in step with the relay.
    Live(Box<Session<'s>>),
    /// No connection helps.
    Ended(Box<Room<'s>>),
}

/// One room of a client.
pub(super) struct RoomTask<'s> {
    store: &'s Store,
    crypto: &'s Crypto,
    network: Network,
    name: String,
    place: Place<'s>,
    link: Link,
    /// The relay's clock less this device's, in milliseconds.
    relay_ahead: i64,
    /// What the relay said of a post that no record explains: the member's budget, or the room's space, is spent.
    spent: Option<Block>,
    /// When what keeps this member from posting ends.
    over_at: Option<Instant>,
    listed: Listed,
    pending: VecDeque<Pending>,
    teller: Teller,
    view: watch::Sender<Arc<RoomView>>,
    /// Changes of lanes that the view shows; `None` if it has to be looked again.
    lanes_seen: Option<u64>,
    /// Calls for help.
    help: Watch,
}

impl<'s> RoomTask<'s> {
    /// Takes a room; returns its task and its view.
    pub(super) fn new(
        network: Network,
        mut room: Room<'s>,
        teller: Teller,
    ) -> Result<(Self, watch::Receiver<Arc<RoomView>>), EngineError> {
        let (store, crypto, name) = room.parts();
        // A disk without space keeps nobody out of the room; the next opening tries again.
        let _ = contacts::keep(&mut room);
        let lanes = LaneView::all(&mut room, None)?;
        let mut view = RoomView::of(&mut room, Link::Connecting, 0, None, lanes)?;
        let mut help = Watch::new();
        view.help = Arc::new(help.look(&mut room, &view)?);
        let over_at = earliest(over_at(&view, room.now()), help.changes_at());
        let (view, seen) = watch::channel(Arc::new(view));
        let place = Place::Live(Box::new(session_of(&network, room, &teller)));
        let (listed, pending) = Default::default();
        let link = Link::Connecting;
        let relay_ahead = 0;
        let task = Self {
            store,
            crypto,
            network,
            name,
            place,
            link,
            relay_ahead,
            spent: None,
            over_at,
            listed,
            pending,
            teller,
            view,
            lanes_seen: None,
            help,
        };
        Ok((task, seen))
    }

    /// Runs until no shell can ask anything any more, then says goodbye to the relay.
    pub(super) async fn run(mut self, mut asked: mpsc::Receiver<Asked>) {
        loop {
            let over = until(self.over_at);
            let ready = match &mut self.place {
                Place::Live(session) => tokio::select! {
                    biased;
                    next = asked.recv() => Err(next),
                    ready = session.ready() => Ok(ready),
                    () = over => {
                        self.publish();
                        continue;
                    }
                },
                Place::Ended(_) => Err(asked.recv().await),
            };
            match ready {
                Ok(ready) => Box::pin(self.turn(ready, &mut asked)).await,
                Err(Some(next)) => self.take(next).await,
                Err(None) => break,
            }
            self.publish();
        }
        if let Place::Live(session) = self.place {
            session.leave().await;
        }
    }

    /// Does what there is to do. While a connection is being made, commands that need none are done between.
    async fn turn(&mut self, ready: Ready, asked: &mut mpsc::Receiver<Asked>) {
        let Place::Live(session) = &mut self.place else { return };
        let connects = matches!(ready, Ready::Connect);
        if connects && self.pending.iter().any(Pending::comes_before_due_work) {
            session.put_off_due_work();
        }
        let mut meanwhile = None;
        let done = {
            let mut turn = Box::pin(session.turn(ready));
            loop {
                tokio::select! {
                    biased;
                    done = &mut turn => break Some(done),
                    next = asked.recv(), if connects => match next {
                        None => break None,
                        Some(next) if needs_attempt(&next.command) => {
                            let again = is_about_due_work(&next.command);
                            wait(&mut self.pending, next);
                            if again {
                                break None;
                            }
                        }
                        // The attempt is given up and made again: the store has the room meanwhile.
                        Some(next) => {
                            meanwhile = Some(next);
                            break None;
                        }
                    },
                }
            }
        };
        match done {
            Some(Ok(event)) => self.happened(event).await,
            Some(Err(error)) => self.end(Arc::new(error)).await,
            None => {}
        }
        if let Some(next) = meanwhile {
            self.take(next).await;
        }
    }

    async fn happened(&mut self, event: session::Event) {
        match event {
            session::Event::Up(up) => {
                self.link = Link::Up(up);
                self.publish();
                self.teller.tell(Event::Up(up));
                self.take_pending().await;
            }
            session::Event::Down { why, retry } => {
                let why = why.map(Arc::new);
                let told = match &self.link {
                    Link::Down { why, .. } => Some(Arc::clone(why)),
                    _ => None,
                };
                if let Some(because) = why.clone().or(told) {
                    self.link = Link::Down { why: because, retry };
                }
                self.publish();
                self.teller.tell(Event::Down { why, retry });
                self.take_pending().await;
            }
            session::Event::News => {}
            session::Event::Knock => {
                self.listed.clear();
                self.teller.tell(Event::Knock);
            }
            session::Event::Waits(error) => self.teller.tell(Event::Waits(Arc::new(error))),
            session::Event::Trouble(error) => self.teller.tell(Event::Trouble(Arc::new(error))),
        }
    }

    /// Ends the session: its history stays readable.
    async fn end(&mut self, why: Arc<LiveError>) {
        self.link = Link::Ended(Arc::clone(&why));
        // Where the store fails, the room is as it was read last, and each command says so.
        if let Ok(room) = Room::open(self.store, self.crypto, &self.name) {
            let lapsed = room.state().standing.keeps_lane();
            self.place = Place::Ended(Box::new(room));
            if lapsed {
                // Whom this member called for help may have answered. What fails here is tried again at the next opening.
                let _ = self.send_notes().await;
            }
        }
        self.publish();
        self.teller.tell(Event::Ended(why));
        self.take_pending().await;
    }

    fn room(&mut self) -> Result<&mut Room<'s>, EngineError> {
        match &mut self.place {
            Place::Live(session) => session.room(),
            Place::Ended(room) => Ok(room),
        }
    }

    /// Shows the room as it is now, and tells what changed.
    fn publish(&mut self) {
        if let Place::Live(session) = &mut self.place
            && let Some(live) = session.live()
        {
            let moment = live.moment();
            let (relay, own) = (moment.relay.0, moment.own.0);
            self.relay_ahead = i64::try_from(relay).unwrap_or(0) - i64::try_from(own).unwrap_or(0);
            if let Some(said) = live.last_post() {
                self.spent = said.err().filter(|said| {
                    use RejectCode::{BudgetSpent, QuotaSpent};
                    matches!(said.why, Stop::Refused(BudgetSpent | QuotaSpent))
                });
            }
        }
        let (link, relay_ahead, spent) = (self.link.clone(), self.relay_ahead, self.spent);
        let lanes = self.lanes();
        let room = match &mut self.place {
            Place::Live(session) => session.room(),
            Place::Ended(room) => Ok(&mut **room),
        };
        let help = &mut self.help;
        let read = room.and_then(|room| {
            let mut view = RoomView::of(room, link, relay_ahead, spent, lanes?)?;
            view.help = Arc::new(help.look(room, &view)?);
            let over_at = earliest(over_at(&view, room.now()), help.changes_at());
            Ok((Arc::new(view), over_at))
        });
        let view = match read {
            Ok((view, over_at)) => {
                self.over_at = over_at;
                view
            }
            // The next command, or the session itself, meets the same failure and tells it.
            Err(_) => {
                self.over_at = None;
                return;
            }
        };
        let before = self.view.send_replace(Arc::clone(&view));
        // First, so that a shell that shows the view says what has ended before it lists what is held.
        let ended = |was: &Block| view.blocked.is_none_or(|now| now.why != was.why);
        if let Some(over) = before.blocked.filter(ended).filter(|_| view.posts()) {
            self.teller.tell(Event::Over(over));
        }
        if before.last != view.last || before.seq != view.seq {
            self.teller.tell(Event::Rows);
        }
        for lane in view.lanes.iter() {
            if before.lanes.iter().all(|was| was.id != lane.id || was.last != lane.last) {
                self.teller.tell(Event::LaneRows(lane.id));
            }
        }
        let agreement = |view: &RoomView| view.policy.as_ref().map(|policy| policy.agreement.id);
        if agreement(&before) != agreement(&view)
            && let Ok(room) = self.room()
        {
            let _ = contacts::keep(room);
        }
        if !before.looks_like(&view) {
            self.teller.tell(Event::View);
        }
    }

    /// Returns the views of lanes, read anew where something changed.
    fn lanes(&mut self) -> Result<Arc<[LaneView]>, EngineError> {
        let live = match &mut self.place {
            Place::Live(session) => session.live(),
            Place::Ended(_) => None,
        };
        let changes = live.map(|live| live.lane_changes());
        if changes.is_some() && changes == self.lanes_seen {
            return Ok(Arc::clone(&self.view.borrow().lanes));
        }
        let mut room = Room::open(self.store, self.crypto, &self.name)?;
        let live = match &mut self.place {
            Place::Live(session) => session.live(),
            Place::Ended(_) => None,
        };
        let lanes = LaneView::all(&mut room, live)?;
        self.lanes_seen = changes;
        Ok(lanes)
    }

    /// Keeps what is said in a lane before anything else, then sends it.
    async fn in_lane(
        &mut self,
        lane: RoomId,
        what: LaneCommand,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    ) {
        self.lanes_seen = None;
        let outcome = match self.queue_in_lane(lane, what) {
            Ok(None) => Ok(Outcome::Done),
            Ok(Some(id)) if matches!(self.link, Link::Connecting) => {
                let command = Command::Lane { lane, what: LaneCommand::SendQueued(id) };
                let consent = Consent::Whatever;
                return wait(&mut self.pending, Asked { command, consent, reply });
            }
            Ok(Some(id)) => self.send_in_lane(lane, id).await,
            Err(error) => Err(error),
        };
        self.publish();
        let _ = reply.send(outcome);
    }

    /// Asks the room, and a person, whether something can be said in a lane.
    fn prepare(
        &mut self,
        id: RoomId,
        what: LaneCommand,
        consent: &Consent,
    ) -> Result<LaneCommand, AskError> {
        let room = self.room()?;
        if let Some(question) = lanes::question(room, &what)? {
            room.check_share()?;
            agree(question, consent)?;
        }
        lanes::prepare(room, id, what)
    }

    fn queue_in_lane(
        &mut self,
        id: RoomId,
        what: LaneCommand,
    ) -> Result<Option<MessageId>, AskError> {
        if let Place::Live(session) = &mut self.place
            && let Some(live) = session.live()
        {
            let now = live.room.now();
            if let Some(lane) = live.lane(id) {
                return lanes::queue(lane, what, now);
            }
        }
        let room = self.room()?;
        let now = room.now();
        let mut lane = room.lane(id)?.ok_or(EngineError::NoLanes)?;
        lanes::queue(&mut lane, what, now)
    }

    async fn send_in_lane(&mut self, lane: RoomId, id: MessageId) -> Result<Outcome, AskError> {
        let why = self.away();
        let Place::Live(session) = &mut self.place else { return Ok(Outcome::Kept { id, why }) };
        let Some(live) = session.live() else { return Ok(Outcome::Kept { id, why }) };
        let sent = lanes::send(live, lane, id).await;
        if let Ok(Outcome::Kept { why: Some(error), .. }) = &sent {
            let error = Arc::clone(error);
            self.after(&error).await;
        }
        sent
    }

    async fn take(&mut self, asked: Asked) {
        if matches!(self.link, Link::Connecting) && needs_attempt(&asked.command) {
            return wait(&mut self.pending, asked);
        }
        let Asked { command, consent, reply } = asked;
        match command {
            Command::Say(words) => return self.take_words(words, None, reply).await,
            Command::SendQueued { words, id } => {
                return self.take_words(words, Some(id), reply).await;
            }
            Command::Lane { lane, what } => match self.prepare(lane, what, &consent) {
                Ok(what) => return self.in_lane(lane, what, reply).await,
                Err(error) => return drop(reply.send(Err(error))),
            },
            Command::Help(what) => return Box::pin(self.about_help(what, reply)).await,
            _ => {}
        }
        let outcome = Box::pin(self.perform(command, consent)).await;
        self.publish();
        // A shell that no longer waits undoes nothing.
        let _ = reply.send(outcome);
    }

    /// Does what waited for the attempt to connect.
    async fn take_pending(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Command(asked) => Box::pin(self.take(asked)).await,
                Pending::Say { words, id, reply } => {
                    let outcome = self.say_now(words, id).await;
                    self.publish();
                    let _ = reply.send(outcome);
                }
            }
        }
    }

    /// Keeps words before anything else, then sends them as soon as there is a connection.
    async fn take_words(
        &mut self,
        words: Words,
        id: Option<MessageId>,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    ) {
        let words = match inert(&words) {
            Ok(words) => words,
            Err(error) => return drop(reply.send(Err(error))),
        };
        let connecting = matches!(self.link, Link::Connecting);
        let queued = id.map_or_else(|| self.queue(words.clone()), Ok);
        let outcome = match queued {
            // The rule that this profile knows may have been lifted, or the knock answered.
            Err(EngineError::TooLong { .. } | EngineError::NotMember(_))
                if connecting && words.text.len() <= TEXT_BYTES_MAX =>
            {
                return self.wait_to_say(words, None, reply);
            }
            Ok(id) if connecting => return self.wait_to_say(words, Some(id), reply),
            Ok(id) => self.say_now(words, Some(id)).await,
            Err(error) => Err(self.not_queued(error)),
        };
        self.publish();
        let _ = reply.send(outcome);
    }

    fn wait_to_say(
        &mut self,
        words: Words,
        id: Option<MessageId>,
        reply: oneshot::Sender<Result<Outcome, AskError>>,
    ) {
        if self.pending.len() < PENDING_MAX {
            return self.pending.push_back(Pending::Say { words, id, reply });
        }
        // What is in the outbox goes out with the others.
        let _ =
            reply.send(id.map_or(Err(AskError::Busy), |id| Ok(Outcome::Kept { id, why: None })));
    }

    fn queue(&mut self, words: Words) -> Result<MessageId, EngineError> {
        let room = self.room()?;
        let now = room.now();
        room.queue_words(words, now)
    }

    /// Says why words are not in the outbox. Why there is no connection says more than that there are no keys.
    fn not_queued(&self, error: EngineError) -> AskError {
        let standing = self.view.borrow().standing.clone();
        match (&self.link, error) {
            (Link::Down { why, .. } | Link::Ended(why), EngineError::NotMember(_)) => {
                AskError::Live(Arc::clone(why))
            }
            (_, EngineError::NotMember(_)) if standing.keeps_lane() => {
                AskError::Live(Arc::new(LiveError::NotInside(standing)))
            }
            (_, error) => error.into(),
        }
    }

    /// Sends words that are in the outbox, or puts them there first.
    async fn say_now(&mut self, words: Words, id: Option<MessageId>) -> Result<Outcome, AskError> {
        let id = match id {
            Some(id) => id,
            None => self.queue(words).map_err(|error| self.not_queued(error))?,
        };
        let why = self.away();
        let Place::Live(session) = &mut self.place else {
            return Ok(Outcome::Kept { id, why });
        };
        let Some(live) = session.live() else {
            return Ok(Outcome::Kept { id, why });
        };
        let standing = live.room.state().standing.clone();
        let sent = match standing.keeps_lane() {
            true => Err(LiveError::NotInside(standing)),
            false => live.send_queued(&id).await,
        };
        self.said(id, sent).await
    }

    /// Says what became of words that were sent.
    async fn said(
        &mut self,
        id: MessageId,
        sent: Result<(), LiveError>,
    ) -> Result<Outcome, AskError> {
        let Place::Live(session) = &mut self.place else { return Err(AskError::Closed) };
        let Some(live) = session.live() else { return Err(AskError::Closed) };
        match sent {
            Ok(()) => match live.room.own_message(&id) {
                Ok(row) => Ok(Outcome::Sent { id, place: row.place }),
                // It went out with what waited, and was refused there.
                Err(error) => Err(match live.refusal_of(&id).await? {
                    Some(refusal) => AskError::Live(Arc::new(refusal)),
                    None => error.into(),
                }),
            },
            Err(error) => {
                let says_kept = matches!(&error, LiveError::Refused { kept: true, .. });
                let held = live.room.held_texts()?.iter().any(|(held, _)| *held == id);
                let lost = error.is_connection();
                let error = Arc::new(error);
                self.after(&error).await;
                Err(match (lost, held && !says_kept) {
                    (true, _) => return Ok(Outcome::Kept { id, why: Some(error) }),
                    (false, true) => AskError::Held(error),
                    (false, false) => AskError::Live(error),
                })
            }
        }
    }

    /// Takes from an error what it says of the connection and of the room.
    async fn after(&mut self, error: &Arc<LiveError>) {
        if error.is_final() {
            return Box::pin(self.end(Arc::clone(error))).await;
        }
        if error.is_connection()
            && let Place::Live(session) = &mut self.place
        {
            let retry = session.reconnect(error);
            self.link = Link::Down { why: Arc::clone(error), retry };
            self.teller.tell(Event::Down { why: Some(Arc::clone(error)), retry });
        }
    }

    async fn perform(&mut self, command: Command, consent: Consent) -> Result<Outcome, AskError> {
        if matches!(command, Command::Refresh) {
            return Ok(Outcome::Fresh(self.away()));
        }
        if matches!(command, Command::Recover) {
            return self.recover(consent).await;
        }
        if act::is_local(&command) {
            return act::local(self.room()?, &command);
        }
        if let Command::SendHeld(id) = command {
            if self.room()?.doubtful_texts()?.contains(&id) {
                agree(Question::SendAgain(id), &consent)?;
            }
            return self.send_held(id).await;
        }
        let why = match &self.link {
            Link::Up(_) | Link::Connecting => None,
            Link::Down { why, .. } => Some(AskError::Unreachable(Arc::clone(why))),
            Link::Ended(why) => Some(AskError::Live(Arc::clone(why))),
        };
        if let Some(why) = why {
            // Notes are sealed here and go out by themselves: such a report is not lost for want of a relay.
            if let Command::PassBy(report) = &command
                && self.view.borrow().policy.is_some()
            {
                let room = self.room()?;
                let now = room.now();
                let (id, _) = room.pass_by(report, now)?;
                return Ok(Outcome::Kept { id, why: self.away() });
            }
            return Err(why);
        }
        let Place::Live(session) = &mut self.place else { return Err(AskError::Closed) };
        let waits = session.room()?.state().standing.keeps_lane();
        // What waits goes first: so that nobody reads an answer before its question.
        if !waits
            && !session.room()?.waiting_texts()?.is_empty()
            && let Some(event) = session.send_waiting().await?
        {
            Box::pin(self.happened(event)).await;
        }
        let Place::Live(session) = &mut self.place else { return Err(AskError::Closed) };
        let Some(live) = session.live() else {
            return Err(match &self.link {
                Link::Down { why, .. } => AskError::Unreachable(Arc::clone(why)),
                _ => AskError::Closed,
            });
        };
        if waits {
            let Command::Acknowledge(_) = command else {
                let standing = live.room.state().standing.clone();
                return Err(Arc::new(LiveError::NotInside(standing)).into());
            };
            let outcome = Box::pin(act::act(live, &mut self.listed, command)).await;
            if let Err(AskError::Live(error)) = &outcome {
                let error = Arc::clone(error);
                self.after(&error).await;
            }
            return outcome;
        }
        // A person is asked about what the room is now, and about nothing that it refuses.
        check(&mut live.room, &command)?;
        let open: Vec<MemberKey> =
            self.view.borrow().help.open.iter().map(|call| call.by).collect();
        let now = live.relay_now();
        let asked = match command {
            Command::Admit(member) => {
                let asked = act::before_admission(live, &mut self.listed, member).await?;
                asked.into_iter().collect()
            }
            _ => questions(&mut live.room, &command, &open, now)?,
        };
        agree_to_all(&asked, &consent)?;
        let outcome = Box::pin(act::act(live, &mut self.listed, command)).await;
        if let Err(AskError::Live(error)) = &outcome {
            let error = Arc::clone(error);
            self.after(&error).await;
        }
        outcome
    }

    /// Returns why there is no connection.
    fn away(&self) -> Option<Arc<LiveError>> {
        match &self.link {
            Link::Down { why, .. } | Link::Ended(why) => Some(Arc::clone(why)),
            Link::Connecting | Link::Up(_) => None,
        }
    }

    /// Sends a text that is held; one that goes out by itself is sent now.
    async fn send_held(&mut self, id: MessageId) -> Result<Outcome, AskError> {
        let room = self.room()?;
        let now = room.now();
        let id = room.release(&id, now)?.unwrap_or(id);
        let why = self.away();
        let Place::Live(session) = &mut self.place else { return Ok(Outcome::Kept { id, why }) };
        let Some(live) = session.live() else { return Ok(Outcome::Kept { id, why }) };
        let sent = live.send_released(&id).await;
        match self.said(id, sent).await? {
            Outcome::Sent { id, .. } => Ok(Outcome::Released(id)),
            outcome => Ok(outcome),
        }
    }

    /// Goes on from what the relay has, on connections of its own.
    async fn recover(&mut self, consent: Consent) -> Result<Outcome, AskError> {
        let room = Room::open(self.store, self.crypto, &self.name)?;
        let (room, agreed) = match consent {
            Consent::Whatever => (room, None),
            Consent::To(Question::Recover(agreed)) => (room, Some(agreed)),
            // Only the relay knows what there is to ask.
            _ => {
                let (_, recovery) = Live::recovery(&self.network, room).await?;
                return Err(AskError::NeedsConsent(Question::Recover(recovery)));
            }
        };
        let mut live = Live::recover(&self.network, room, agreed).await?;
        let compared = live.compare().await;
        let rules_differ =
            live.room.mismatches()?.iter().any(hearth_engine::accord::Mismatch::is_alarm);
        let room = live.leave().await;
        self.link = Link::Connecting;
        self.place = Place::Live(Box::new(session_of(&self.network, room, &self.teller)));
        compared?;
        Ok(Outcome::Recovered { rules_differ })
    }
}

/// Returns when what keeps a member from posting ends, by the runtime's clock, or when to look again.
fn over_at(view: &RoomView, own: Millis) -> Option<Instant> {
    let until = view.blocked?.until?;
    let left = Duration::from_millis(until.0.saturating_sub(view.relay_now(own).0));
    Some(Instant::now() + left.clamp(LOOK_SOONEST, LOOK_AGAIN))
}

/// Returns the earlier of two times, of which either may be none.
fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// Waits until a time; forever if there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Refuses what a rule of the room forbids, whatever a person would answer.
fn check(room: &mut Room<'_>, command: &Command) -> Result<(), AskError> {
    let not_facilitator = || AskError::from(EngineError::Rule(RuleError::NotFacilitator));
    let (me, mine) = (room.me(), room.my_role()?);
    match command {
        Command::Act(
            Act::Remove { member, .. }
            | Act::Remember { member, .. }
            | Act::Farewell(Farewell::Said { member } | Farewell::Announced { member, .. }),
        )
        | Command::Remove { member, .. }
        | Command::NewDevice { lost: member, .. } => {
            if *member == me {
                room.check_may_leave()?;
                return Err(AskError::IsYou);
            }
            if mine != Role::Facilitator && room.policy()?.role(member).moderates() {
                return Err(not_facilitator());
            }
        }
        Command::Act(Act::SetRole { member, role }) => {
            let policy = room.policy()?;
            let old = policy.role(member);
            if mine != Role::Facilitator && (role.admits() || old.admits()) {
                return Err(not_facilitator());
            }
            if old == *role {
                return Err(EngineError::Rule(RuleError::Nothing).into());
            }
            let facilitators = policy.roles.iter().filter(|r| r.role == Role::Facilitator).count();
            if old == Role::Facilitator && facilitators == 1 {
                return Err(EngineError::Rule(RuleError::LastFacilitator).into());
            }
        }
        Command::Act(Act::Expire(_) | Act::CloseGroup(_)) | Command::RestoreRules
            if mine != Role::Facilitator =>
        {
            return Err(not_facilitator());
        }
        Command::Pause { .. } if !mine.moderates() => return Err(not_facilitator()),
        Command::Pause { millis, .. } if *millis > PAUSE_MILLIS_MAX => {
            return Err(AskError::PauseTooLong);
        }
        Command::TimeOut { member, millis, .. } => {
            if !mine.moderates() {
                return Err(not_facilitator());
            }
            if *millis > 0 && room.policy()?.role(member).moderates() {
                return Err(AskError::ModeratorTimeOut);
            }
            // Two who moderate can propose and confirm a longer one.
            if *millis > BREAK_MILLIS_MAX && room.policy()?.moderators().len() < 2 {
                return Err(AskError::BreakTooLong);
            }
        }
        Command::RetractAll { member, .. } if *member != me && !mine.moderates() => {
            return Err(EngineError::NotAuthor.into());
        }
        Command::Depart { .. } => room.check_may_leave()?,
        _ => {}
    }
    if needs_words(command) { Err(AskError::NeedsWords) } else { Ok(()) }
}

/// Whether an act lacks the words that people read of it.
fn needs_words(command: &Command) -> bool {
    match command {
        Command::Pause { comment: words, .. }
        | Command::Remove { words, .. }
        | Command::TimeOut { note: words, millis: 1.., .. } => words.trim().is_empty(),
        _ => false,
    }
}

/// Puts a command off until an attempt to connect has ended.
fn wait(pending: &mut VecDeque<Pending>, asked: Asked) {
    if pending.len() >= PENDING_MAX {
        let _ = asked.reply.send(Err(AskError::Busy));
        return;
    }
    pending.push_back(Pending::Command(asked));
}

fn agree(question: Question, consent: &Consent) -> Result<(), AskError> {
    match consent {
        Consent::Whatever => Ok(()),
        Consent::To(agreed) if *agreed == question => Ok(()),
        _ => Err(AskError::NeedsConsent(question)),
    }
}

/// Whether a command waits until the first attempt to connect has ended. Words wait in the outbox instead.
const fn needs_attempt(command: &Command) -> bool {
    !act::is_local(command)
        && !matches!(
            command,
            Command::Say(_)
                | Command::SendQueued { .. }
                | Command::Recover
                | Command::Lane { .. }
                | Command::Help(_)
        )
}

fn session_of<'s>(network: &Network, room: Room<'s>, teller: &Teller) -> Session<'s> {
    let teller = teller.clone();
    Session::new(network.clone(), room, move |missed| teller.tell(Event::CatchingUp(missed)))
}
