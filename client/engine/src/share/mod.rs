//! Anonymous shares: what a lane's rows say of them, who could have written one, and when it may show.
//!
//! Everything here is computed of rows and times that the caller passes in. `docs/protocol.md` section 7.14.

mod room;

use std::collections::BTreeSet;

use hearth_protocol::{MemberKey, MessageId, Millis, Role, RoomId, Seq};
use minicbor::{Decode, Encode};
use unicode_normalization::UnicodeNormalization as _;

pub use self::room::{ShareStep, Shown};

use super::{
    policy::Act,
    private::{Private, Seen, SeenState},
    state::{Notice, Row, RowContent},
};

/// Members who could have written a share at least: with fewer, the others would know its author.
pub const WRITERS_MIN: usize = 6;
/// The shortest time between a moderator's yes and the showing: 2 minutes.
pub const DELAY_MIN_MILLIS: u64 = 2 * 60_000;
/// The longest: 30 minutes.
pub const DELAY_MAX_MILLIS: u64 = 30 * 60_000;
/// Time between the author's own last post and the showing: 10 minutes.
pub const APART_MILLIS: u64 = 10 * 60_000;
/// Time after which another moderator may release what one said yes to and did not show: an hour, longer than any delay.
pub const STALE_MILLIS: u64 = 60 * 60_000;

/// What members and moderators made of a share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// No moderator has answered.
    Waits,
    /// A moderator said yes.
    Released {
        /// The moderator; the last one counts.
        by: MemberKey,
        /// Relay time of the yes.
        at: Millis,
    },
    /// A moderator gave it back.
    Returned {
        /// The moderator.
        by: MemberKey,
        /// The moderator's words.
        words: String,
    },
    /// Its author took it back.
    Recalled,
}

/// Words that a member wants to be shared without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The author's lane.
    pub lane: RoomId,
    /// Id of the message in it.
    pub message: MessageId,
    /// Its place in this profile's history of the lane.
    pub place: Seq,
    /// The author, whom those who moderate know.
    pub author: MemberKey,
    /// The author's name at that time.
    pub name: String,
    /// The words.
    pub text: String,
    /// Relay time of the message.
    pub at: Millis,
    /// What became of it.
    pub stage: Stage,
}

/// Returns the words as they are shared: without what tells one keyboard from another.
pub fn shared_text(words: &str) -> String {
    words.nfc().collect::<String>().trim().to_owned()
}

/// Returns the shares of a lane by its rows, in the order of its log. What a seat says that may not be there counts for nothing.
pub fn shares(lane: RoomId, rows: &[Row]) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for row in rows.iter().filter(|row| !row.notices.contains(&Notice::NoSeat)) {
        let (Some(from), Some(id)) = (row.from, row.id) else { continue };
        let RowContent::Private(private) = &row.content else { continue };
        match &**private {
            Private::Anon(text) if find(&mut shares, &id).is_none() => shares.push(Share {
                lane,
                message: id,
                place: row.place,
                author: from,
                name: row.name.clone(),
                text: text.clone(),
                at: row.stamp,
                stage: Stage::Waits,
            }),
            Private::Recall(message) => {
                if let Some(share) = find(&mut shares, message).filter(|share| share.author == from)
                {
                    share.stage = Stage::Recalled;
                }
            }
            Private::Seen(Seen { message, state, words }) => {
                let open =
                    find(&mut shares, message).filter(|share| share.stage != Stage::Recalled);
                let Some(share) = open else { continue };
                match state {
                    SeenState::Seen => {}
                    SeenState::Resolved => {
                        share.stage = Stage::Released { by: from, at: row.stamp };
                    }
                    SeenState::Closed => {
                        share.stage = Stage::Returned { by: from, words: words.clone() };
                    }
                }
            }
            _ => {}
        }
    }
    shares
}

fn find<'a>(shares: &'a mut [Share], message: &MessageId) -> Option<&'a mut Share> {
    shares.iter_mut().find(|share| share.message == *message)
}

/// Returns the members who could have written a share: they post, do not moderate, and were in all the time from its writing on.
///
/// `members` are those of now, `rows` the room's since that time. A shell's clock plays no part.
pub fn writers(members: &[(MemberKey, Role)], rows: &[Row], since: Millis) -> Vec<MemberKey> {
    let came = rows.iter().filter(|row| row.stamp >= since).filter_map(|row| {
        let RowContent::Moderation { record, .. } = &row.content else { return None };
        match &record.act {
            Act::SetRole { member, .. } => Some(*member),
            act => act.admission().map(|admission| admission.member),
        }
    });
    let came: BTreeSet<MemberKey> = came.collect();
    let could =
        members.iter().filter(|(member, role)| *role == Role::Member && !came.contains(member));
    could.map(|(member, _)| *member).collect()
}

/// Returns when a share shows that is released now, given a random number.
pub const fn due_at(now: Millis, random: u64) -> Millis {
    // A remainder of 64 bits by less than 2^21 favours no minute.
    let delay = DELAY_MIN_MILLIS + random % (DELAY_MAX_MILLIS - DELAY_MIN_MILLIS + 1);
    now.plus(delay)
}

/// Returns the earliest time for a share, given its author's last post in the room.
pub fn apart_from(due: Millis, last_post: Option<Millis>) -> Millis {
    last_post.map_or(due, |at| due.max(at.plus(APART_MILLIS)))
}

/// A share that this moderator said yes to, as this device keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Plan {
    /// The author's lane.
    #[n(0)]
    pub lane: RoomId,
    /// Id of the message in it.
    #[n(1)]
    pub message: MessageId,
    /// Its place in this profile's history of the lane.
    #[n(2)]
    pub place: Seq,
    /// When it shows at the earliest, by the relay's clock.
    #[n(3)]
    pub due: Millis,
    /// How far it is.
    #[n(4)]
    pub step: Step,
}

/// How far a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Step {
    /// It waits for its time.
    #[n(0)]
    Waits,
    /// Too few could have written it by the time it was due; it does not show.
    #[n(1)]
    TooFew,
    /// It was put into the outbox under this id.
    #[n(2)]
    Shown(#[n(0)] MessageId),
}
