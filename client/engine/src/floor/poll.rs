//! Ballots of hidden polls: made by a moderator, recounted by all. `docs/floor.md` section 5.

use std::collections::BTreeMap;

use hearth_protocol::{Digest, MemberKey, Millis, hash};
use minicbor::{Decode, Encode};

use super::wire::{Asked, Ballot};

/// Fewer ballots than this are not published, because a total of few shows who voted what.
pub const BALLOTS_MIN: usize = 5;
/// A vote this shortly before the Close may miss it, because the lane's log and the room's have no common order.
pub const LATE_MILLIS: u64 = 60_000;

/// Returns the hash under which a vote is published: its voter alone knows the salt, besides those who moderate.
pub fn ballot_hash(ask: &Digest, salt: &[u8; 16]) -> [u8; 16] {
    let hash = hash::labelled("hearth ballot v1", &[ask.as_bytes(), salt]);
    hash.first_chunk().copied().unwrap_or_default()
}

/// A member's last vote in a hidden poll that is known to this reader: the own one, or one from a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The voter.
    pub member: MemberKey,
    /// The salt of the answer.
    pub salt: [u8; 16],
    /// Number of the option, from 0.
    pub choice: u64,
    /// Relay time of the answer in its lane.
    pub at: Millis,
}

/// Returns what a Close publishes: all votes, ascending; `None` if they are too few.
pub fn ballots(ask: &Digest, votes: &[Vote]) -> Option<Vec<Ballot>> {
    let mut ballots: Vec<Ballot> = votes
        .iter()
        .map(|vote| Ballot { hash: ballot_hash(ask, &vote.salt), choice: vote.choice })
        .collect();
    ballots.sort_unstable();
    (ballots.len() >= BALLOTS_MIN).then_some(ballots)
}

/// A fault in published ballots that every reader finds. It is an alarm that names the member who closed the poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Flaw {
    /// Published although there are fewer than [`BALLOTS_MIN`].
    #[n(0)]
    TooFew,
    /// More than one for each member.
    #[n(1)]
    TooMany,
    /// Not strictly ascending by hash, so that one may be there twice.
    #[n(2)]
    Order,
    /// A choice that the poll does not offer.
    #[n(3)]
    Choice,
}

/// Counts the ballots of a hidden poll by option.
///
/// # Errors
/// The first [`Flaw`].
pub fn recount(asked: &Asked, ballots: &[Ballot], members: usize) -> Result<Vec<u64>, Flaw> {
    if ballots.len() < BALLOTS_MIN {
        return Err(Flaw::TooFew);
    }
    if ballots.len() > members {
        return Err(Flaw::TooMany);
    }
    let ascending = ballots.iter().zip(ballots.iter().skip(1)).all(|(a, b)| a.hash < b.hash);
    if !ascending {
        return Err(Flaw::Order);
    }
    tally(asked.options.len(), ballots.iter().map(|ballot| ballot.choice)).ok_or(Flaw::Choice)
}

/// Counts choices; `None` if one is not offered.
pub(super) fn tally(options: usize, choices: impl Iterator<Item = u64>) -> Option<Vec<u64>> {
    let mut totals = vec![0_u64; options];
    for choice in choices {
        let total = totals.get_mut(usize::try_from(choice).ok()?)?;
        *total = total.saturating_add(1);
    }
    Some(totals)
}

/// A difference between published ballots and the votes that this reader knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Doubt {
    /// A vote is missing.
    #[n(0)]
    LeftOut(#[n(0)] MemberKey),
    /// A vote is missing, and may have come too late.
    #[n(1)]
    Late(#[n(0)] MemberKey),
    /// A vote is published with another choice.
    #[n(2)]
    Altered(#[n(0)] MemberKey),
    /// More ballots than voters whose votes this reader does not know.
    #[n(3)]
    Stuffed(#[n(0)] u64),
    /// Nothing is published, although enough voted.
    #[n(4)]
    Withheld,
}

impl Doubt {
    /// Whether it is an alarm, which names the closer or the relay.
    pub const fn is_alarm(self) -> bool {
        !matches!(self, Self::Late(_))
    }
}

/// Compares the ballots of a Close with the last vote of each member that this reader knows.
///
/// `unknown` is the number of members whose votes it does not see: for a voter all others, for a moderator those in whose lanes
/// they do not sit. `closed_at` is the relay time of the Close.
pub fn audit(
    ask: &Digest,
    closed_at: Millis,
    ballots: Option<&[Ballot]>,
    votes: &[Vote],
    unknown: usize,
) -> Vec<Doubt> {
    let is_late = |vote: &Vote| vote.at.plus(LATE_MILLIS) > closed_at;
    let Some(ballots) = ballots else {
        let in_time = votes.iter().filter(|vote| !is_late(vote)).count();
        return if in_time >= BALLOTS_MIN { vec![Doubt::Withheld] } else { Vec::new() };
    };
    let published: BTreeMap<[u8; 16], u64> = ballots.iter().map(|b| (b.hash, b.choice)).collect();
    let (mut doubts, mut found, mut replaced) = (Vec::new(), 0_usize, 0_usize);
    for vote in votes {
        match published.get(&ballot_hash(ask, &vote.salt)) {
            Some(choice) => {
                found = found.saturating_add(1);
                if *choice != vote.choice {
                    doubts.push(Doubt::Altered(vote.member));
                }
            }
            None if is_late(vote) => {
                // An earlier vote of theirs may stand in its place.
                replaced = replaced.saturating_add(1);
                doubts.push(Doubt::Late(vote.member));
            }
            None => doubts.push(Doubt::LeftOut(vote.member)),
        }
    }
    let unexplained = ballots.len().saturating_sub(found);
    let more = unexplained.saturating_sub(unknown.saturating_add(replaced));
    if more > 0 {
        doubts.push(Doubt::Stuffed(more as u64));
    }
    doubts
}
