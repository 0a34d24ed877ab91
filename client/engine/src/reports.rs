//! Reports and concerns: making one, reading those of all lanes with what this profile can tell of their quotes.
//!
//! `docs/protocol.md` section 7.14.

use hearth_protocol::{MemberKey, MessageId, Millis, RoomId, Seq};

use super::{
    error::EngineError,
    policy::Category,
    private::{Private, Report, Seen},
    quote::Finding,
    room::Room,
    state::{Notice, RowContent},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// A report, or a concern, as this profile's rows have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The reporter's lane.
    pub lane: RoomId,
    /// Id of the message in it.
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
    /// [`EngineError::NoWords`], [`EngineError::TooManyQuotes`], [`EngineError::AboutModerator`].
    pub fn report_on(
        &mut self,
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
        let report = Report { quotes, about: all, category, words };
        self.check_report(&report)?;
        Ok(report)
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
                        let (lane, name, at) = (lane.id(), row.name, row.at);
                        let answers = Vec::new();
                        let new =
                            Reported { lane, message, from, name, at, report, findings, answers };
                        all.push(new);
                    }
                    Private::Seen(seen) => {
                        let of = all.iter_mut().find(|reported| {
                            reported.lane == lane.id() && reported.message == seen.message
                        });
                        if let Some(reported) = of {
                            reported.answers.push((row.name, seen));
                        }
                    }
                    _ => {}
                }
            }
        }
        all.sort_by_key(|reported| (reported.at, reported.message));
        Ok(all)
    }
}
