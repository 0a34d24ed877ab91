//! A room as a shell shows it, without its history.

use std::sync::Arc;

use hearth_engine::{
    EngineError, Room,
    accord::Mismatch,
    act::Renewal,
    block::{Block, Stop},
    floor,
    mine::Mine,
    policy::{Leaf, RoomPolicy},
    state::{Held, Standing},
    turns::Duty,
};
use hearth_protocol::{
    Digest, Epoch, MemberKey, MessageId, Millis, RejectCode, Role, RoomId, Seq,
    invite::RelayAddress,
};
use tokio::time::Instant;

use super::{help::HelpView, lanes::LaneView};
use crate::{live::LiveError, session::Up};

/// A room at one moment.
#[derive(Clone, Debug)]
pub struct RoomView {
    /// The local name, which commands take.
    pub room: Arc<str>,
    /// The room's id.
    pub id: RoomId,
    /// The title.
    pub title: String,
    /// The relay that hosts it.
    pub address: RelayAddress,
    /// This member's key.
    pub me: MemberKey,
    /// This member's name.
    pub name: String,
    /// This member's standing.
    pub standing: Standing,
    /// The connection.
    pub link: Link,
    /// What members agree on; none outside of the room.
    pub policy: Option<RoomPolicy>,
    /// The members; none outside of the room.
    pub roster: Vec<Leaf>,
    /// Members who have said goodbye and still have the keys.
    pub departing: Vec<MemberKey>,
    /// The epoch; none outside of the room.
    pub epoch: Option<Epoch>,
    /// The last entry that was read.
    pub seq: Seq,
    /// The last place in the history.
    pub last: Seq,
    /// The last place that was displayed.
    pub shown: Seq,
    /// Members whose words this device hides.
    pub muted: Vec<MemberKey>,
    /// What is set for the room on this device.
    pub mine: Mine,
    /// When this member's own time-out ends.
    pub timed_out_until: Millis,
    /// What keeps this member from posting for now.
    pub blocked: Option<Block>,
    /// Whose turn it is, who asks for one, what is asked.
    pub floor: floor::State,
    /// Whether a round may be on that this device did not see begin.
    pub floor_unknown: bool,
    /// The moderators who are here for the room; some may be over.
    pub on_duty: Vec<Duty>,
    /// Messages that wait to be sent, oldest first.
    pub outbox: Vec<Waiting>,
    /// The room's lanes that this profile keeps: the desk first.
    pub lanes: Arc<[LaneView]>,
    /// Reports by note, and answers to own ones, that were not displayed.
    pub unread_reports: usize,
    /// Calls for help, and the crisis contacts.
    pub help: Arc<HelpView>,
    /// What does not agree between the relay and the log.
    pub mismatches: Vec<Mismatch>,
    /// Those that were not displayed yet.
    pub untold: Vec<Mismatch>,
    /// The version of the agreement that waits for this member's acknowledgement.
    pub coming: Option<Digest>,
    /// Why this member is asked to acknowledge the same version again, if they are.
    pub renewal: Option<Renewal>,
    /// The version that this member acknowledged last.
    pub acknowledged: Digest,
    /// The relay's clock and this device's, at the last frame; equal before there was one.
    pub relay_ahead: i64,
}

/// A message that waits in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: MessageId,
    /// When it was written.
    pub written_at: Millis,
    /// Its words.
    pub text: String,
    /// Why it waits for its author; `None` if it goes out by itself.
    pub held: Option<Held>,
    /// Whether others may have it all the same.
    pub doubtful: bool,
}

/// A room's connection.
#[derive(Clone, Debug)]
pub enum Link {
    /// The first attempt is being made.
    Connecting,
    /// There is one.
    Up(Up),
    /// There is none.
    Down {
        /// Why.
        why: Arc<LiveError>,
        /// When the next attempt is made.
        retry: Instant,
    },
    /// There will be none.
    Ended(Arc<LiveError>),
}

impl RoomView {
    /// Returns this member's role; none outside of the room.
    pub fn role(&self) -> Option<Role> {
        self.policy.as_ref().map(|policy| policy.role(&self.me))
    }

    /// Whether this member's role lets them post.
    pub fn posts(&self) -> bool {
        self.role().is_some_and(Role::posts)
    }

    /// Returns the messages that wait for their author because of something that passes, oldest first. One that others may have is not
    /// among them, because its author has to look first.
    pub fn held_for_a_time(&self) -> impl Iterator<Item = &Waiting> {
        self.outbox.iter().filter(move |w| w.held.is_some_and(Held::passes) && !w.doubtful)
    }

    /// Whether this member moderates.
    pub fn moderates(&self) -> bool {
        self.role().is_some_and(Role::moderates)
    }

    /// Returns whose turn it is.
    pub fn holder(&self) -> Option<MemberKey> {
        let round = self.floor.round.as_ref()?;
        round.order.get(usize::try_from(round.turn).ok()?).copied()
    }

    /// Returns this member's own lane.
    pub fn own_lane(&self) -> Option<&LaneView> {
        self.lane_of(self.me)
    }

    /// Returns a member's lane.
    pub fn lane_of(&self, owner: MemberKey) -> Option<&LaneView> {
        self.lanes.iter().find(|lane| lane.owner == Some(owner))
    }

    /// Returns the moderators' desk.
    pub fn desk(&self) -> Option<&LaneView> {
        self.lanes.iter().find(|lane| lane.owner.is_none())
    }

    /// Returns the time by the relay's clock, as far as it is known.
    pub fn relay_now(&self, own: Millis) -> Millis {
        Millis(own.0.saturating_add_signed(self.relay_ahead))
    }

    /// Returns the messages that wait whose id begins so, short or hexadecimal.
    pub fn waiting(&self, wanted: &str) -> Vec<&Waiting> {
        let wanted = wanted.to_ascii_lowercase();
        let fits = |waiting: &&Waiting| {
            let id = waiting.id;
            let begins = id.to_hex().starts_with(&wanted) || id.short().starts_with(&wanted);
            begins && !wanted.is_empty()
        };
        self.outbox.iter().filter(fits).collect()
    }

    /// Whether a shell shows the same, but for the history.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        let link = |view: &Self| match &view.link {
            Link::Connecting => 0,
            Link::Up(_) => 1,
            Link::Down { .. } => 2,
            Link::Ended(_) => 3,
        };
        link(self) == link(other)
            && self.policy == other.policy
            && self.roster == other.roster
            && self.departing == other.departing
            && self.standing == other.standing
            && self.timed_out_until == other.timed_out_until
            && self.blocked == other.blocked
            && self.floor == other.floor
            && self.on_duty == other.on_duty
            && self.outbox == other.outbox
            && self.lanes == other.lanes
            && self.unread_reports == other.unread_reports
            && self.help == other.help
            && self.mismatches == other.mismatches
            && self.untold == other.untold
            && self.coming == other.coming
            && self.renewal == other.renewal
            && self.acknowledged == other.acknowledged
            && self.muted == other.muted
            && self.mine == other.mine
            && self.title == other.title
    }

    pub(super) fn of(
        room: &mut Room<'_>,
        link: Link,
        relay_ahead: i64,
        said: Option<Block>,
        lanes: Arc<[LaneView]>,
    ) -> Result<Self, EngineError> {
        let policy = inside(room.policy())?;
        let now = Millis(room.now().0.saturating_add_signed(relay_ahead));
        let me = room.me();
        let counts = |policy: &RoomPolicy| {
            policy.numbers.budget_per_day > 0 && !policy.role(&me).moderates()
        };
        let spent = said.filter(|said| {
            let lifted = said.why == Stop::Refused(RejectCode::BudgetSpent)
                && !policy.as_ref().is_some_and(counts);
            !lifted && said.until.is_some_and(|until| until > now)
        });
        let blocked = room.block(now)?.or(spent);
        let state = room.state().clone();
        let (held, doubtful) = (room.held_texts()?, room.doubtful_texts()?);
        let outbox = room.waiting_texts()?.into_iter().map(|(id, written_at, text)| Waiting {
            id,
            written_at,
            text,
            held: held.iter().find(|(other, _)| *other == id).map(|(_, why)| *why),
            doubtful: doubtful.contains(&id),
        });
        let outbox = outbox.collect();
        let (floor, floor_unknown) = match inside(room.floor())? {
            Some(floor) => (floor.state().clone(), floor.is_unknown()),
            None => Default::default(),
        };
        // What ends by itself does so with the next entry, and is over before it.
        let mut floor: floor::State = floor;
        floor.round = floor.round.filter(|round| round.until > now);
        floor.asks.retain(|asked| asked.until > now);
        let last = room.history_back(Seq(u64::MAX), 1)?.pop().map_or(Seq(0), |row| row.place);
        Ok(Self {
            room: state.local_name.as_str().into(),
            id: room.id(),
            address: state.address(),
            me: room.me(),
            link,
            roster: inside(room.roster())?.unwrap_or_default(),
            departing: inside(room.departing())?.unwrap_or_default(),
            epoch: inside(room.epoch())?,
            seq: room.cursor().seq,
            last,
            outbox,
            lanes,
            unread_reports: room.unread_reports()?,
            help: Arc::default(),
            floor,
            floor_unknown,
            on_duty: inside(room.on_duty())?.unwrap_or_default(),
            mismatches: room.mismatches()?,
            untold: room.untold()?,
            coming: inside(room.coming_agreement())?.flatten(),
            renewal: inside(room.renewal_is_due(now))?.flatten(),
            acknowledged: inside(room.acknowledgement().map(|mine| mine.agreement))?
                .unwrap_or(state.agreement),
            relay_ahead,
            mine: room.mine()?,
            policy,
            title: state.title,
            name: state.name,
            standing: state.standing,
            shown: state.shown,
            muted: state.muted,
            timed_out_until: state.timed_out_until,
            blocked,
        })
    }
}

/// Takes that this profile is not in the room for nothing to show.
fn inside<T>(result: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotMember(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
