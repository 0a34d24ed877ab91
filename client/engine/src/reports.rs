//! Reports and concerns: making one, reading those of all lanes with what this profile can tell of their quotes.
//!
//! `docs/protocol.md` section 7.14.

use hearth_protocol::{MemberKey, MessageId, Millis, RoomId, Seq};
use minicbor::{Decode, Encode};

use super::{
    content::Body,
    error::EngineError,
    note::Purpose,
    notes::KeptNote,
    policy::Category,
    private::{Private, Report, Seen},
    quote::Finding,
    room::{Room, random, read, write},
    state::{Notice, RowContent},
};
use crate::store::Kind;

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Names the record of own reports that went by notes.
const PASSED: &[u8] = b"reports passed by";
/// Own reports remembered, so that their answers are known.
const PASSED_MAX: usize = 64;
/// Names the record of the notes about reports that were displayed.
const SHOWN: &[u8] = b"reports shown";

/// An own report that went by notes.
#[derive(Clone, Copy, Debug, Encode, Decode)]
struct Passed {
    #[n(0)]
    id: MessageId,
    #[n(1)]
    at: Millis,
}

/// A report, or a concern, as this profile's rows have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The reporter's lane; `None` if it came by a note, because it is about somebody who reads the lane.
    pub lane: Option<RoomId>,
    /// Id of the message.
    pub message: MessageId,
    /// The reporter.
    pub from: MemberKey,
    /// The reporter's name at that time.
    pub name: String,
    /// When it came, as its row shows it.
    pub at: Millis,
    /// What was reported.
    pub report: Report,
    /// What this profile's own rows say of each quote.
    pub findings: Vec<Finding>,
    /// What moderators said of it, with their names; oldest first.
    pub answers: Vec<(String, Seen)>,
}

/// A note of those who moderate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskNote {
    /// Id of the message at the desk.
    pub message: MessageId,
    /// Name of the moderator who wrote it.
    pub name: String,
    /// When it came, as its row shows it.
    pub at: Millis,
    /// The member whom it is about; `None`: the room.
    pub about: Option<MemberKey>,
    /// The words.
    pub text: String,
}

impl Room<'_> {
    /// Returns the notes at the desk, oldest first.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn desk_notes(&self) -> Result<Vec<DeskNote>> {
        let desk = self.lanes()?.into_iter().find(|lane| lane.owner().is_none());
        let Some(desk) = desk else { return Ok(Vec::new()) };
        let rows = desk.room().history(Seq(0), usize::MAX)?.into_iter();
        let notes = rows.filter(|row| !row.notices.contains(&Notice::NoSeat)).filter_map(|row| {
            let RowContent::Private(private) = row.content else { return None };
            let Private::Note { about, text } = *private else { return None };
            Some(DeskNote { message: row.id?, name: row.name, at: row.at, about, text })
        });
        Ok(notes.collect())
    }

    /// Makes a report of messages by their places, and of members. Authors are among those whom it is about.
    ///
    /// # Errors
    /// [`EngineError::NoWords`], [`EngineError::TooManyQuotes`].
    pub fn report_on(
        &self,
        places: &[Seq],
        about: &[MemberKey],
        category: Category,
        words: String,
    ) -> Result<Report> {
        let quotes = self.quotes_of(places)?;
        let mut all: Vec<MemberKey> = about.to_vec();
        for quote in &quotes {
            if !all.contains(&quote.author) {
                all.push(quote.author);
            }
        }
        Ok(Report { quotes, about: all, category, words })
    }

    /// Checks that nobody whom a report is about would read it: lanes and desk seat all who moderate.
    ///
    /// # Errors
    /// [`EngineError::AboutModerator`].
    pub fn check_report(&mut self, report: &Report) -> Result<()> {
        let policy = self.policy()?;
        let authors = report.quotes.iter().map(|quote| quote.author);
        let mut concerned = report.about.iter().copied().chain(authors);
        let Some(accused) = concerned.find(|member| policy.role(member).moderates()) else {
            return Ok(());
        };
        let leaf = self.roster()?.into_iter().find(|leaf| leaf.member == accused);
        Err(EngineError::AboutModerator(leaf.map(|leaf| leaf.name).unwrap_or_default()))
    }

    /// Returns the reports in the lanes where this profile sits, oldest first.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn reports(&self) -> Result<Vec<Reported>> {
        let mut all: Vec<Reported> = Vec::new();
        for lane in self.lanes()? {
            let rows = lane.room().history(Seq(0), usize::MAX)?;
            for row in rows.into_iter().filter(|row| !row.notices.contains(&Notice::NoSeat)) {
                let (Some(from), Some(message)) = (row.from, row.id) else { continue };
                let RowContent::Private(private) = row.content else { continue };
                match *private {
                    Private::Report(report) => {
                        let judged = report.quotes.iter().map(|quote| self.judge_quote(quote));
                        let findings = judged.collect::<Result<_>>()?;
                        let (lane, name, at) = (Some(lane.id()), row.name, row.at);
                        let answers = Vec::new();
                        let new =
                            Reported { lane, message, from, name, at, report, findings, answers };
                        all.push(new);
                    }
                    Private::Seen(seen) => {
                        let of = all.iter_mut().find(|reported| {
                            reported.lane == Some(lane.id()) && reported.message == seen.message
                        });
                        if let Some(reported) = of {
                            reported.answers.push((row.name, seen));
                        }
                    }
                    _ => {}
                }
            }
        }
        for KeptNote { id, from, name, at, private, answered, .. } in self.notes()? {
            let Private::Report(report) = private else { continue };
            let judged = report.quotes.iter().map(|quote| self.judge_quote(quote));
            let findings = judged.collect::<Result<_>>()?;
            // What this member answered went out sealed.
            let own = answered.map(|state| {
                (self.state.name.clone(), Seen { message: id, state, words: String::new() })
            });
            let answers = own.into_iter().collect();
            all.push(Reported {
                lane: None,
                message: id,
                from,
                name,
                at,
                report,
                findings,
                answers,
            });
        }
        all.sort_by_key(|reported| reported.at);
        Ok(all)
    }

    /// Seals a report for those who moderate and whom it is not about, because the others read the lanes. Returns its id, and the names of
    /// those who get it.
    ///
    /// # Errors
    /// [`EngineError::AboutModerator`] if nobody is left who could receive it; [`EngineError::OutboxFull`].
    pub fn pass_by(&mut self, report: &Report, now: Millis) -> Result<(MessageId, Vec<String>)> {
        let Err(EngineError::AboutModerator(accused)) = self.check_report(report) else {
            return Err(EngineError::NotForLane);
        };
        let quoted = report.quotes.iter().map(|quote| quote.author);
        let about: Vec<MemberKey> = report.about.iter().copied().chain(quoted).collect();
        let mut bench = self.bench()?;
        bench.retain(|(member, _)| !about.contains(member));
        let to: Vec<MemberKey> = bench.iter().map(|(member, _)| *member).collect();
        let id = MessageId(random()?);
        let body = Body::from(Private::Report(report.clone()));
        let unreached = self.write_notes(&to, Purpose::Report, id, &body, now)?;
        bench.retain(|(member, _)| unreached.iter().all(|other| other.to != *member));
        if bench.is_empty() {
            return Err(EngineError::AboutModerator(accused));
        }
        let mut passed = self.passed()?;
        passed.push(Passed { id, at: now });
        let too_many = passed.len().saturating_sub(PASSED_MAX);
        passed.drain(..too_many);
        write(self.store, Kind::Care, self.no, PASSED, &passed)?;
        Ok((id, bench.into_iter().map(|(_, name)| name).collect()))
    }

    /// Returns the answers by note to reports of this member: when each was written, who answered, and the words.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn report_answers(&self) -> Result<Vec<(Millis, String, String)>> {
        let passed = self.passed()?;
        let answers = self.notes()?.into_iter().filter_map(|note| {
            let Private::Seen(seen) = note.private else { return None };
            let of = passed.iter().find(|passed| passed.id == seen.message)?;
            Some((of.at, note.name, seen.words))
        });
        Ok(answers.collect())
    }

    /// Returns how many reports by note, and answers to own ones, were not displayed yet.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn unread_reports(&self) -> Result<usize> {
        let shown: Vec<MessageId> = self.shown_reports()?;
        let ids = self.report_notes()?.into_iter().filter(|id| !shown.contains(id));
        Ok(ids.count())
    }

    /// Remembers that all of them were displayed.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn mark_reports_shown(&self) -> Result<()> {
        let all = self.report_notes()?;
        if self.shown_reports()? == all {
            return Ok(());
        }
        write(self.store, Kind::Care, self.no, SHOWN, &all)
    }

    fn report_notes(&self) -> Result<Vec<MessageId>> {
        let passed = self.passed()?;
        let ours = |note: &KeptNote| match &note.private {
            Private::Report(_) => true,
            Private::Seen(seen) => passed.iter().any(|passed| passed.id == seen.message),
            _ => false,
        };
        Ok(self.notes()?.into_iter().filter(ours).map(|note| note.id).collect())
    }

    fn shown_reports(&self) -> Result<Vec<MessageId>> {
        Ok(read(self.store, Kind::Care, self.no, SHOWN)?.unwrap_or_default())
    }

    fn passed(&self) -> Result<Vec<Passed>> {
        Ok(read(self.store, Kind::Care, self.no, PASSED)?.unwrap_or_default())
    }
}
