//! Hidden polls: votes in lanes, their publication, and what every reader compares. `docs/floor.md` section 5.

use hearth_protocol::{MemberKey, MessageId, Millis, Seq};
use minicbor::{Decode, Encode, bytes::ByteArray};

use super::{
    content::{Body, Ref},
    error::EngineError,
    floor::{
        Asked, Ballot, Change, Close, Form, Outcome,
        poll::{self, Doubt, Vote},
    },
    lane::Lane,
    room::{Room, random, read, write},
    state::{Notice, Row, RowContent},
    turns::FloorError,
};
use crate::store::Kind;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Names the record of closed polls that were not compared yet.
const CLOSED: &[u8] = b"closed polls";
/// Closed polls that wait at most; the oldest is dropped.
const CLOSED_MAX: usize = 16;

/// A hidden poll that was closed.
#[derive(Clone, Debug, Encode, Decode)]
struct Closed {
    #[n(0)]
    ask: Ref,
    /// Place of the entry that closed it.
    #[n(1)]
    place: Seq,
    #[n(2)]
    at: Millis,
    #[n(3)]
    name: String,
    #[n(4)]
    ballots: Option<Vec<Ballot>>,
    /// Those who could vote.
    #[n(5)]
    voters: Vec<MemberKey>,
}

/// A difference that this reader found in published ballots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Place of the entry that closed the poll.
    pub place: Seq,
    /// Name of the member who closed it: the difference is theirs or the relay's.
    pub closer: String,
    /// The difference.
    pub doubt: Doubt,
}

/// The votes that this reader knows.
struct Known {
    votes: Vec<Vote>,
    /// Members in whose lanes this reader sits.
    lanes: Vec<MemberKey>,
}

impl Room<'_> {
    /// Returns what a vote in a hidden poll refers to.
    ///
    /// # Errors
    /// [`FloorError::NotAsked`], [`FloorError::NoSuchOption`], [`FloorError::WantsWords`].
    pub fn check_ballot(&mut self, ask: Seq, choice: u64) -> Result<Ref> {
        let asked = self.asked(ask)?;
        if asked.form != Form::HiddenPoll {
            return Err(FloorError::WantsWords.into());
        }
        if !asked.content().offers(choice) {
            return Err(FloorError::NoSuchOption.into());
        }
        Ok(asked.ask)
    }

    /// Whether what is asked is a hidden poll.
    ///
    /// # Errors
    /// [`FloorError::NotAsked`].
    pub fn is_hidden_poll(&mut self, ask: Seq) -> Result<bool> {
        Ok(self.asked(ask)?.form == Form::HiddenPoll)
    }

    /// Returns the ballots that close a hidden poll; `None` for another question, or if they are too few.
    pub(super) fn ballots_of(&mut self, asked: &Asked) -> Result<Option<Vec<Ballot>>> {
        if asked.form != Form::HiddenPoll {
            return Ok(None);
        }
        let voters = self.voters()?;
        let known = self.known_votes(&asked.ask, Millis(u64::MAX), &voters)?;
        let unread = voters.iter().filter(|voter| !known.lanes.contains(voter)).count();
        if unread > 0 {
            return Err(EngineError::LanesUnread(unread));
        }
        Ok(poll::ballots(&asked.ask.digest, &known.votes))
    }

    /// Keeps what a Close published, to be compared once the lanes are read.
    pub(super) fn note_close(
        &mut self,
        row: &Row,
        close: &Close,
        changes: &[Change],
    ) -> Result<()> {
        let closed = changes.iter().any(|change| {
            matches!(change, Change::AskClosed { asked, by: Some(_), outcome }
                if asked.ask == close.ask
                    && asked.form == Form::HiddenPoll
                    && !matches!(outcome, Outcome::Flawed(_)))
        });
        if !closed {
            return Ok(());
        }
        let voters = self.voters()?;
        let mut all = self.closed_polls()?;
        all.push(Closed {
            ask: close.ask,
            place: row.place,
            at: row.stamp,
            name: row.name.clone(),
            ballots: close.ballots.clone(),
            voters,
        });
        let too_many = all.len().saturating_sub(CLOSED_MAX);
        all.drain(..too_many);
        write(self.store, Kind::Care, self.no, CLOSED, &all)
    }

    /// Whether published ballots wait to be compared: call [`Self::audit_polls`] once all lanes are read to their end.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn has_polls_to_audit(&self) -> Result<bool> {
        Ok(!self.closed_polls()?.is_empty())
    }

    /// Compares published ballots with the votes that this profile knows; notes each difference with the entry that closed the poll.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn audit_polls(&mut self) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for closed in self.closed_polls()? {
            let known = self.known_votes(&closed.ask, closed.at, &closed.voters)?;
            let unknown = closed.voters.len().saturating_sub(known.lanes.len());
            let ballots = closed.ballots.as_deref();
            let doubts = poll::audit(&closed.ask.digest, closed.at, ballots, &known.votes, unknown);
            let Some(mut row) = self.row_at(closed.place)? else { continue };
            for doubt in doubts {
                row.notices.push(Notice::Ballots(doubt));
                let closer = closed.name.clone();
                all.push(Found { place: closed.place, closer, doubt });
            }
            self.save_row(&row)?;
        }
        self.store.delete(Kind::Care, self.no, CLOSED)?;
        Ok(all)
    }

    fn closed_polls(&self) -> Result<Vec<Closed>> {
        Ok(read(self.store, Kind::Care, self.no, CLOSED)?.unwrap_or_default())
    }

    fn voters(&mut self) -> Result<Vec<MemberKey>> {
        let policy = self.policy()?;
        let members = self.roster()?.into_iter().map(|leaf| leaf.member);
        Ok(members.filter(|member| policy.role(member).posts()).collect())
    }

    /// Returns the last vote of each member by the lanes where this profile sits, up to a time of the relay.
    fn known_votes(&self, ask: &Ref, until: Millis, voters: &[MemberKey]) -> Result<Known> {
        let mut known = Known { votes: Vec::new(), lanes: Vec::new() };
        for lane in self.lanes()? {
            let Some(owner) = lane.owner().filter(|owner| voters.contains(owner)) else { continue };
            if !lane.is_seated() {
                continue;
            }
            known.lanes.push(owner);
            let rows = lane.room().history(Seq(0), usize::MAX)?.into_iter().rev();
            known.votes.extend(
                rows.filter(|row| row.from == Some(owner) && row.stamp <= until)
                    .find_map(|row| vote_of(&row, ask, owner)),
            );
        }
        Ok(known)
    }
}

fn vote_of(row: &Row, wanted: &Ref, member: MemberKey) -> Option<Vote> {
    match row.content {
        RowContent::Ballot { ask, choice, salt } if ask == *wanted => {
            Some(Vote { member, salt, choice, at: row.stamp })
        }
        _ => None,
    }
}

impl Lane<'_> {
    /// Queues my vote in a hidden poll; the last one counts.
    ///
    /// # Errors
    /// [`EngineError::NotForLane`] if it is not my lane; see [`EngineError`].
    pub fn queue_ballot(&mut self, ask: Ref, choice: u64, now: Millis) -> Result<MessageId> {
        if self.owner() != Some(self.me()) {
            return Err(EngineError::NotForLane);
        }
        let salt = Some(ByteArray::from(random::<16>()?));
        self.room_mut()
            .queue_body(Body::Answer { ask, choice: Some(choice), text: None, salt }, now)
    }
}
