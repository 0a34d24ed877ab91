//! Reports and concerns, and the notes of those who moderate.

use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use clap::Args;
use hearth_engine::{
    EngineError,
    policy::Category,
    private::{Private, Report as Made, Seen, SeenState},
    quote::Finding,
    reports::{DeskNote, Reported},
    room::find_member,
};
use hearth_protocol::{MemberKey, Millis, Seq};
use hearth_session::client::{Command, Consent, LaneCommand, Outcome, RoomView};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Asked, CategoryArg, RoomCommand,
    private::lane_of,
    row::{Entry, May, Topic, row},
    talking::read_last,
};
use crate::{
    commands::{
        Context, Result,
        outcome::Told,
        shell::{Shell, names_of, unexpected},
    },
    failure::{Failure, exit},
    show,
};

topic! { Reporting: Report, Concern, Reports, ReportClose, Note, Notes, NoteExport }

/// What the second and later lines of a report begin with.
const INDENT: &str = "      | ";

/// Report messages to the facilitators: they read the words with a proof of who said them.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The messages, then why.
    #[arg(num_args = 1.., required = true, value_name = "ID WHY")]
    args: Vec<String>,
    /// Somebody else whom it is about.
    #[arg(long, value_name = "NAME")]
    about: Vec<String>,
    /// The reason in a word.
    #[arg(long, value_name = "CATEGORY", ignore_case = true, default_value = "unspecified")]
    reason: CategoryArg,
}

impl RoomCommand for Report {
    const ROW: Entry =
        row(Topic::Reporting, "report", May::Members, "report messages to the facilitators")
            .takes("ID [ID] \"WHY\" [--about NAME]", "#12 \"He writes where I live\"")
            .enforced("E; not to whom it is about")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        read_last(&mut self.args)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let (places, why) = shell.messages_and_words(&self.args).await?;
        if why.trim().is_empty() {
            return Err(Failure::usage(
                "a report says why",
                "Nothing was sent. For example: hearth report ROOM ID \"He writes where I live\"",
            ));
        }
        let mut about = Vec::new();
        for name in &self.about {
            about.push(find_member(&shell.view().roster, name)?.member);
        }
        let line = format!("/report {}", self.args.join(" "));
        shell.report(places, about, self.reason.into(), why, line).await
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let about = told.about(asked);
        let accused = told.accused(asked);
        told.reported(asked, outcome, |readers| {
            let hides = match &about[..] {
                [] => String::new(),
                [name] => {
                    format!(" Until then, `hearth mute ROOM {name}` hides {name} on your screen.")
                }
                names => format!(
                    " Until then, `hearth mute ROOM NAME` hides {} on your screen.",
                    names.join(" or ")
                ),
            };
            let nobody = match &accused[..] {
                [] => "Nobody else learns".to_owned(),
                names => {
                    let verb = if names.len() == 1 { "gets" } else { "get" };
                    format!("{} {verb} nothing of it, and nobody else learns", names_of(names))
                }
            };
            format!(
                "Your report is with {readers}. {nobody} that it came from you. {readers} will tell you what came of it.{hides}"
            )
        })
    }
}

/// Tell the facilitators that you are worried about somebody. The program does not tell that person.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Concern {
    /// Name or id.
    member: String,
    /// Why.
    #[arg(num_args = 1.., required = true, value_name = "WHY")]
    words: Vec<String>,
}

impl RoomCommand for Concern {
    const ROW: Entry =
        row(Topic::Reporting, "concern", May::Members, "say that you are worried about somebody")
            .takes("NAME WHY", "Dee She has not answered since Sunday")
            .words(1)
            .enforced("E; not to whom it is about")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        read_last(&mut self.words)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let member = find_member(&shell.view().roster, &self.member)?.member;
        let why = self.words.join(" ");
        let line = format!("/concern {} {why}", self.member);
        shell.report(Vec::new(), vec![member], Category::Safety, why, line).await
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let name = told.about(asked).join(" and ");
        told.reported(asked, outcome, |readers| {
            format!(
                "Thank you for looking out for {name}. {readers} will read this. The program does not tell {name}. You need not carry it alone. If {name} may be in danger now, do not wait for us: call the emergency number"
            )
        })
    }
}

/// List the reports and concerns, with what this device can tell of each quote; members: what came of their own.
/// What came of a report is in the check-in, too, unless it went past somebody who reads it there.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Reports {}

impl RoomCommand for Reports {
    const ROW: Entry =
        row(Topic::Reporting, "reports", May::Members, "list reports, or what came of yours")
            .enforced("E")
            .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let (reports, answers) = shell.reports().await?;
        if reports.is_empty() && answers.is_empty() {
            let none = match shell.view().moderates() {
                true => "There are no reports.",
                false => "Nothing came by a note. What came of your reports is in your check-in.",
            };
            shell.out.say_none(none)?;
        }
        for (at, name, words) in &answers {
            let object = json!({
                "room": shell.room, "from": name, "reported_at": show::rfc3339(*at), "text": words,
            });
            let (name, words) = (escape::one_line(name), escape::many_lines(words, INDENT));
            let text = format!(
                "{name} has looked into what you reported ({}): “{words}” {}",
                show::clock(*at),
                complaint(&shell.view())
            );
            shell.out.say(&object, &shell.out.advice(&text))?;
        }
        for reported in &reports {
            let (object, text) = told_of(shell, reported);
            shell.out.say(&object, &text)?;
        }
        Ok(Asked::Nothing)
    }
}

/// Tell the member who reported something what came of it. No act follows by itself.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct ReportClose {
    /// Its id in `reports`.
    report: String,
    /// Words to the member.
    #[arg(num_args = 1.., required = true)]
    words: Vec<String>,
}

impl RoomCommand for ReportClose {
    const ROW: Entry =
        row(Topic::Reporting, "report-close", May::Moderators, "say what came of a report")
            .takes("ID WORDS", "abcd2345 I have spoken with Eli")
            .words(1)
            .enforced("E")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        read_last(&mut self.words)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let wanted = self.report.trim_matches(['[', ']']).to_lowercase();
        let fits = |reported: &Reported| {
            wanted.len() >= 4
                && (reported.message.short().starts_with(&wanted)
                    || reported.message.to_hex().starts_with(&wanted))
        };
        let Some(reported) = shell.reports().await?.0.into_iter().find(fits) else {
            return Err(Failure::new(
                exit::USAGE,
                "no_report",
                format!("there is no report {:?}", escape::one_line(&self.report)),
                "Nothing was sent. `hearth reports ROOM` lists them with their ids.",
            ));
        };
        let (words, report) = (self.words.join(" "), reported.message);
        let Some(lane) = reported.lane else {
            return Ok(Command::AnswerReport { report, from: reported.from, words }.into());
        };
        let seen = Seen { message: report, state: SeenState::Resolved, words };
        Ok(Command::Lane { lane, what: LaneCommand::Private(Private::Seen(seen)) }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        if let (Command::AnswerReport { from, .. }, Outcome::Done) = (asked, &outcome) {
            let leaf = told.view.roster.iter().find(|leaf| leaf.member == *from);
            let name = leaf.map_or_else(|| from.short(), |leaf| escape::one_line(&leaf.name));
            let object = json!({"room": *told.view.room, "answered": true, "to": [name]});
            return told.say(&object, &format!("{name} reads it, and nobody else"));
        }
        let reporter = told.owner(asked);
        told.to_moderators(asked, outcome, |_| format!("{reporter} reads it"))
    }
}

/// Write a note about a member, or about the room. Only those who moderate read it.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Name or id; `room` for the room.
    about: String,
    /// The words.
    #[arg(num_args = 1.., required = true)]
    words: Vec<String>,
}

impl RoomCommand for Note {
    const ROW: Entry =
        row(Topic::Reporting, "note", May::Moderators, "write a note for those who moderate")
            .takes("NAME|room WORDS", "Dee Her sister can come at night")
            .words(1)
            .enforced("E")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        read_last(&mut self.words)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let about = shell.about(&self.about)?;
        let text = self.words.join(" ");
        let what = LaneCommand::Private(Private::Note { about, text });
        Ok(Command::Lane { lane: lane_of(shell, None)?, what }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        told.to_moderators(asked, outcome, |readers| match readers {
            "" => "Noted. Only you read it".into(),
            names => format!("Noted. Only you and {names} read it"),
        })
    }
}

/// Read the notes of those who moderate.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Notes {
    /// Those about this member, or about the `room`.
    about: Option<String>,
}

impl RoomCommand for Notes {
    const ROW: Entry = row(Topic::Reporting, "notes", May::Moderators, "read the notes")
        .takes("[NAME|room]", "Dee")
        .enforced("E")
        .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let wanted = self.about.as_deref().map(|about| shell.about(about)).transpose()?;
        let mut notes = shell.notes().await?;
        notes.retain(|note| wanted.is_none_or(|wanted| note.about == wanted));
        if notes.is_empty() {
            shell.out.say_none("There are no notes.")?;
        }
        for note in &notes {
            let about = note.about.map(|member| shell.member_name(&member));
            let object = json!({
                "room": shell.room,
                "note": note.message.to_hex(),
                "from": note.name,
                "at": show::rfc3339(note.at),
                "about": about,
                "about_key": note.about.map(|member| member.to_hex()),
                "text": note.text,
            });
            let (time, by) = (show::clock(note.at), escape::one_line(&note.name));
            let about = about.map_or_else(|| "the room".into(), |name| escape::one_line(&name));
            let words = escape::many_lines(&note.text, INDENT);
            shell.out.say(&object, &format!("{time} {by} on {about}: {words}"))?;
        }
        Ok(Asked::Nothing)
    }
}

/// Write the notes about one member to a file. It is refused if they name anybody else of the room.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct NoteExport {
    /// Name or id.
    member: String,
    /// The file, which must not be there yet.
    file: PathBuf,
}

impl RoomCommand for NoteExport {
    const ROW: Entry =
        row(Topic::Reporting, "note-export", May::Moderators, "write one person's notes to a file")
            .takes("NAME FILE", "Dee dee.txt")
            .enforced("C local")
            .looks();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        // The folder is this program's, also where another one has the profile.
        self.file = std::path::absolute(&self.file)?;
        Ok(())
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let notes = shell.notes().await?;
        let leaf = find_member(&shell.view().roster, &self.member)?.clone();
        let notes: Vec<DeskNote> =
            notes.into_iter().filter(|note| note.about == Some(leaf.member)).collect();
        let names = shell.client.names(&shell.room).await?;
        let others = names.iter().filter(|(member, _)| **member != leaf.member);
        for (_, other) in others {
            let naming = notes.iter().filter(|note| names_somebody(&note.text, other)).count();
            if naming > 0 {
                return Err(Failure::new(
                    exit::REFUSED,
                    "names_another",
                    format!(
                        "{} about {} also {} {}",
                        counted(naming, "note", "notes"),
                        escape::one_line(&leaf.name),
                        if naming == 1 { "names" } else { "name" },
                        escape::one_line(other)
                    ),
                    "Nothing was written, because the file would carry another person's name out of the room. `hearth notes ROOM NAME` shows the notes.",
                ));
            }
        }
        let text = exported(&leaf.name, &notes);
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.file)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        if let Err(error) = file {
            let path = escape::one_line(&self.file.to_string_lossy());
            return Err(match error.kind() {
                std::io::ErrorKind::AlreadyExists => Failure::usage(
                    format!("{path} is there already"),
                    "Nothing was written. Name a file that is not there yet.",
                ),
                kind => Failure::usage(
                    format!("{path} cannot be written ({kind})"),
                    "Name a file in a folder of yours.",
                ),
            });
        }
        let path = self.file.to_string_lossy();
        let object = json!({"room": shell.room, "file": path, "notes": notes.len()});
        let count = counted(notes.len(), "note", "notes");
        let path = escape::one_line(&path);
        shell.out.say(&object, &format!("{count} written to {path}, which is not encrypted"))?;
        Ok(Asked::Nothing)
    }
}

/// Returns the text of a file of notes.
fn exported(name: &str, notes: &[DeskNote]) -> String {
    let mut text = format!("Notes about {name}\n");
    for note in notes {
        text += &format!("\n{}\n{}\n", show::rfc3339(note.at), note.text);
    }
    text
}

/// Whether words name somebody, as a word of its own.
fn names_somebody(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.trim().to_lowercase());
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    !name.is_empty()
        && text.match_indices(&name).any(|(at, found)| {
            let before = text.get(..at).and_then(|before| before.chars().next_back());
            let behind = text.get(at + found.len()..).and_then(|behind| behind.chars().next());
            outside(before) && outside(behind)
        })
}

/// Returns the object and the lines of a report.
fn told_of(shell: &Shell, reported: &Reported) -> (Value, String) {
    let Reported { message, from, name, at, report, findings, answers, .. } = reported;
    let Made { quotes, about, category, words } = report;
    let about: Vec<String> = about.iter().map(|member| shell.member_name(member)).collect();
    let closed = answers.iter().any(|(_, seen)| seen.state == SeenState::Resolved);
    let judged = quotes.iter().zip(findings);
    let quoted: Vec<Value> = judged
        .clone()
        .map(|(quote, finding)| {
            json!({
                "seq": quote.seq.0,
                "id": quote.message.to_hex(),
                "author": shell.member_name(&quote.author),
                "author_key": quote.author.to_hex(),
                "text": quote.text(),
                "finding": finding_code(*finding),
            })
        })
        .collect();
    let said: Vec<Value> =
        answers.iter().map(|(name, seen)| json!({"from": name, "text": seen.words})).collect();
    let object = json!({
        "room": shell.room,
        "report": message.to_hex(),
        "from": name,
        "from_key": from.to_hex(),
        "at": show::rfc3339(*at),
        "about": about,
        "category": category.as_str(),
        "text": words,
        "quotes": quoted,
        "answers": said,
        "closed": closed,
    });
    let name = escape::one_line(name);
    let verb = if quotes.is_empty() { "is worried about" } else { "reports" };
    let about = names_of(&about);
    let state = if closed { " (closed)" } else { "" };
    let mut text = format!(
        "{} {name} {verb} {about}{state}: {}  [{}]",
        show::clock(*at),
        escape::many_lines(words, INDENT),
        message.short()
    );
    for (quote, finding) in judged {
        let author = escape::one_line(&shell.member_name(&quote.author));
        let words = quote.text().map_or_else(|| "no words".into(), |text| escape::one_line(&text));
        let finding = finding_words(*finding);
        text += &format!("\n      #{} {author}, {finding}: {words}", quote.seq.0);
    }
    for (name, seen) in answers {
        let (name, words) = (escape::one_line(name), escape::one_line(&seen.words));
        text += &format!("\n      {name} answered: {words}");
    }
    (object, text)
}

const fn finding_code(finding: Finding) -> &'static str {
    match finding {
        Finding::Verified => "verified",
        Finding::Unproven => "words_unproven",
        Finding::Unverified => "unverified",
        Finding::NotSaid => "not_said",
    }
}

const fn finding_words(finding: Finding) -> &'static str {
    match finding {
        Finding::Verified => "verified",
        Finding::Unproven => "it was there, its words are unproven",
        Finding::Unverified => "unverified",
        Finding::NotSaid => "not what was said",
    }
}

impl Shell {
    /// Makes a report and returns what sends it: past those whom it is about. If nobody else is left, nothing is sent, and the line is
    /// kept.
    async fn report(
        &self,
        places: Vec<Seq>,
        about: Vec<MemberKey>,
        category: Category,
        words: String,
        line: String,
    ) -> Result<Asked> {
        let lane = lane_of(self, Some(self.view().me))?;
        let make = Command::Report { places, about, category, words };
        match self.client.ask(&self.room, make, Consent::Unasked).await {
            Ok(Outcome::Report { report, passes_by: false }) => {
                let what = LaneCommand::Private(Private::Report(report));
                Ok(Command::Lane { lane, what }.into())
            }
            Ok(Outcome::Report { report, passes_by: true }) => {
                let view = self.view();
                let is_left = |name: &String| {
                    let leaf = view.roster.iter().find(|leaf| leaf.name == *name);
                    leaf.is_some_and(|leaf| !report.about.contains(&leaf.member))
                };
                if view.help.bench.iter().any(is_left) {
                    return Ok(Command::PassBy(report).into());
                }
                if let Outcome::Draft(None) = self.ask(Command::Draft).await? {
                    self.ask(Command::KeepDraft(line)).await?;
                }
                Err(self.nobody_left(&report))
            }
            Ok(_) => Err(unexpected()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that everybody who moderates is concerned, and where else one can turn.
    fn nobody_left(&self, report: &Made) -> Failure {
        let view = self.view();
        let moderates = |member: &&MemberKey| {
            view.policy.as_ref().is_some_and(|policy| policy.role(member).moderates())
        };
        let accused = report.about.iter().filter(moderates);
        let names: Vec<String> = accused.map(|member| self.member_name(member)).collect();
        Failure::new(
            exit::REFUSED,
            "about_moderator",
            format!("nobody here can receive that without {}", names_of(&names)),
            format!(
                "Nothing was sent. {} Your words are kept: `hearth chat ROOM` has them in its line.",
                complaint(&view)
            ),
        )
    }

    async fn reports(&self) -> Result<(Vec<Reported>, Vec<(Millis, String, String)>)> {
        self.news_of_lanes().await?;
        match self.ask(Command::Reports).await? {
            Outcome::Reports { reports, answers } => Ok((reports, answers)),
            _ => Err(unexpected()),
        }
    }

    async fn notes(&self) -> Result<Vec<DeskNote>> {
        self.news_of_lanes().await?;
        match self.ask(Command::Notes).await? {
            Outcome::Notes(notes) => Ok(notes),
            _ => Err(unexpected()),
        }
    }

    /// Returns the member whom a note is about; `None` for the room.
    fn about(&self, wanted: &str) -> Result<Option<MemberKey>, EngineError> {
        if wanted.eq_ignore_ascii_case("room") {
            return Ok(None);
        }
        Ok(Some(find_member(&self.view().roster, wanted)?.member))
    }

    fn member_name(&self, member: &MemberKey) -> String {
        let view = self.view();
        let leaf = view.roster.iter().find(|leaf| leaf.member == *member);
        leaf.map_or_else(|| member.short(), |leaf| leaf.name.clone())
    }
}

/// Says where somebody can complain.
fn complaint(view: &RoomView) -> String {
    let named = view.help.contacts.iter().find_map(|help| help.complaint.as_ref());
    match named {
        Some(complaint) => {
            format!("If that is not enough for you: {}.", escape::one_line(complaint))
        }
        None => {
            "If that is not enough for you: `hearth agreement show ROOM` says where to complain."
                .into()
        }
    }
}

impl Told<'_> {
    /// Returns the names of those whom a report is about.
    fn about(&self, asked: &Command) -> Vec<String> {
        self.named(asked, |_| true)
    }

    /// Returns the names of those of them who moderate.
    fn accused(&self, asked: &Command) -> Vec<String> {
        let policy = self.view.policy.as_ref();
        self.named(asked, |member| policy.is_some_and(|policy| policy.role(member).moderates()))
    }

    fn named(&self, asked: &Command, fits: impl Fn(&MemberKey) -> bool) -> Vec<String> {
        let (Command::Lane { what: LaneCommand::Private(Private::Report(report)), .. }
        | Command::PassBy(report)) = asked
        else {
            return Vec::new();
        };
        let named = report
            .about
            .iter()
            .filter(|member| fits(member))
            .filter_map(|member| self.view.roster.iter().find(|leaf| leaf.member == *member));
        named.map(|leaf| escape::one_line(&leaf.name)).collect()
    }

    /// Prints what became of a report, in a lane or past somebody.
    fn reported(
        &self,
        asked: &Command,
        outcome: Outcome,
        words: impl FnOnce(&str) -> String,
    ) -> Result<()> {
        let Outcome::PassedBy { to } = outcome else {
            return self.to_moderators(asked, outcome, words);
        };
        let object = json!({"room": *self.view.room, "sent": true, "to": to, "passed_by": true});
        let text = words(&names_of(&to));
        self.say(&object, &self.out.advice(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_words() {
        for text in ["Ben", "with ben, again", "Ben's brother", "(BEN)"] {
            assert!(names_somebody(text, "Ben"), "{text}");
        }
        for text in ["Benedict", "a bench", "", "gluten"] {
            assert!(!names_somebody(text, "Ben"), "{text}");
        }
        assert!(!names_somebody("anything", " "), "a name of nothing is nowhere");
    }
}
