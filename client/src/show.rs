//! What people and programs read: rows, rosters and logs as lines of text or as JSON, one object a line.
//!
//! Everything that came from somebody else is made inert before it reaches a terminal. JSON escapes control
//! characters by itself.

use std::{
    collections::VecDeque,
    io::{self, Write as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hearth_engine::{
    accord::{Mismatch, Waits},
    agreement::Change,
    policy::{Act, Leaf, Record, RoomPolicy},
    room::Names,
    state::{Notice, Row, RowContent},
};
use hearth_protocol::{MemberKey, Millis, Role, frame::Door};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::{
    advice,
    text::{when, wrap},
};

/// What the second and later lines of a message begin with, so that no message can pose as another line of ours.
const INDENT: &str = "      | ";

/// Where output goes, and in which form.
#[derive(Clone)]
pub struct Output {
    json: bool,
    quiet: bool,
    printer: Option<hearth_console::line::Printer>,
    sink: Option<Arc<Sink>>,
    place: Place,
}

/// Lines for a reader in another process.
#[derive(Default)]
pub struct Sink {
    lines: Mutex<VecDeque<Printed>>,
    printed: Notify,
    /// Columns of the reader's terminal.
    columns: Option<usize>,
}

/// One printed line, by where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Printed {
    /// For standard output.
    Out(String),
    /// For standard error.
    Err(String),
}

impl Sink {
    /// Makes one for a reader whose terminal has so many columns, if it has any.
    pub fn new(columns: Option<usize>) -> Self {
        Self { columns, ..Self::default() }
    }

    /// Waits until something was printed. Cancel safe.
    pub async fn printed(&self) {
        self.printed.notified().await;
    }

    /// Returns what was printed since the last call, oldest first.
    pub fn take(&self) -> Vec<Printed> {
        self.lock().drain(..).collect()
    }

    fn put(&self, line: Printed) {
        self.lock().push_back(line);
        self.printed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Printed>> {
        // A panic elsewhere leaves whole lines.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the reader types commands.
#[derive(Clone, Default)]
enum Place {
    /// On the command line, of no room or of several.
    #[default]
    Anywhere,
    /// On the command line, of the room of this local name.
    Room(Arc<str>),
    /// In the chat of the room of this local name.
    Chat(Arc<str>),
}

impl Output {
    /// Prints to standard output.
    pub fn stdout(json: bool) -> Self {
        Self { json, quiet: false, printer: None, sink: None, place: Place::default() }
    }

    /// Prints to a reader in another process.
    pub fn to(json: bool, sink: Arc<Sink>) -> Self {
        Self { sink: Some(sink), ..Self::stdout(json) }
    }

    /// Returns the columns of the terminal that results are printed to; those of a plain one where it does not tell.
    pub fn terminal_columns(&self) -> usize {
        const PLAIN: usize = 80;
        let columns = match &self.sink {
            Some(sink) => sink.columns,
            None => {
                let size = rustix::termios::tcgetwinsize(io::stdout());
                size.ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
            }
        };
        columns.unwrap_or(PLAIN)
    }

    /// Prints above the line that is being typed.
    pub fn above(self, printer: hearth_console::line::Printer) -> Self {
        Self { json: false, printer: Some(printer), ..self }
    }

    /// Whether the line that is being typed is edited in place.
    pub fn edits(&self) -> bool {
        self.columns().is_some()
    }

    /// Returns the columns of a screen on which lines are edited.
    fn columns(&self) -> Option<usize> {
        self.printer.as_ref().and_then(hearth_console::line::Printer::columns)
    }

    /// Breaks the lines of a text between words where that is for the eye: not for a pipe, nor for a screen reader.
    fn wrapped(&self, text: &str) -> String {
        self.columns().map_or_else(|| text.to_owned(), |columns| wrap::lines(text, columns))
    }

    /// Takes everything but the typed line from the screen and its scrollback; false where lines are not edited.
    pub fn clear(&self) -> bool {
        self.printer.as_ref().is_some_and(hearth_console::line::Printer::clear)
    }

    /// Gives words back to the person who types, where lines are edited.
    pub fn give_back(&self, text: &str) -> Option<hearth_console::line::GivenBack> {
        self.printer.as_ref().and_then(|printer| printer.give_back(text))
    }

    /// Names the room in the commands of its advice.
    pub fn in_room(self, room: &str) -> Self {
        Self { place: Place::Room(room.into()), ..self }
    }

    /// Names slash commands in its advice.
    pub fn in_chat(self, room: &str) -> Self {
        Self { place: Place::Chat(room.into()), ..self }
    }

    /// Prints no results: the room's own lines say enough.
    pub fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    /// Returns some advice with its commands as the reader types them here.
    pub fn advice(&self, text: &str) -> String {
        match &self.place {
            Place::Anywhere => text.to_owned(),
            Place::Room(room) => advice::in_room(text, room),
            Place::Chat(room) => advice::in_chat(text, room),
        }
    }

    /// Whether output is JSON.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints one result: an object for programs, or text for people. Text may have several lines.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn say(&self, object: &Value, text: &str) -> io::Result<()> {
        if self.quiet {
            Ok(())
        } else if self.json {
            self.line(&object.to_string())
        } else if text.is_empty() {
            Ok(())
        } else {
            self.line(&self.wrapped(text))
        }
    }

    /// Says to people that a list is empty. Programs see an empty list.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn say_none(&self, text: &str) -> io::Result<()> {
        if self.quiet || self.json { Ok(()) } else { self.line(&self.wrapped(text)) }
    }

    /// Prints one line as it is.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn line(&self, text: &str) -> io::Result<()> {
        if let Some(sink) = &self.sink {
            sink.put(Printed::Out(text.to_owned()));
            return Ok(());
        }
        if let Some(printer) = &self.printer {
            printer.print(text);
            return Ok(());
        }
        print(format!("{text}\n").as_bytes())
    }

    /// Prints a remark that is no result: to standard error, so that a program's input stays clean.
    pub fn remark(&self, text: &str) {
        if let Some(sink) = &self.sink {
            return sink.put(Printed::Err(text.to_owned()));
        }
        if let Some(printer) = &self.printer {
            printer.print(&self.wrapped(text));
            return;
        }
        remark(text);
    }

    /// Prints a command as a remark, alone on its line and whole, so that it can be copied.
    pub fn command(&self, text: &str) {
        // Nobody can be told that standard error is closed.
        let _ = writeln!(io::stderr(), "\n  {text}\n");
    }
}

/// Prints to standard error, broken between words where it is read on a screen.
pub fn remark(text: &str) {
    let columns = hearth_console::line::columns_of_stderr();
    let wrapped = columns.map(|columns| wrap::lines(text, columns));
    // Nobody can be told that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", wrapped.as_deref().unwrap_or(text));
}

/// Standard output takes nothing more: a pipe that nobody reads, or a full disk.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written to: {}", crate::failure::io_words(.0))]
pub struct OutputLost(io::Error);

/// Writes to standard output.
///
/// # Errors
/// With [`OutputLost`] inside, so that it is not taken for a failure of what was asked for.
pub fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| io::Error::new(error.kind(), OutputLost(error)))
}

/// How rows are shown to this member.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The room's local name.
    pub room: &'a str,
    /// My key.
    pub me: MemberKey,
    /// Members whose messages are not shown.
    pub muted: &'a [MemberKey],
    /// Whether held posts are shown with their words.
    pub held: bool,
}

impl View<'_> {
    /// Prints a row; says whether there was something to show.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn row(&self, out: &Output, row: &Row) -> io::Result<bool> {
        let mut shown = false;
        for notice in &row.notices {
            shown |= self.notice(out, row, notice)?;
        }
        let Some((kind, text, more)) = self.content(row) else { return Ok(shown) };
        if self.hides(row) {
            return Ok(shown);
        }
        let mut object = self.base(row, kind);
        if !text.is_empty() {
            object.insert("text".into(), json!(text));
        }
        object.extend(more);
        out.say(&Value::Object(object), &self.plain(row, kind, &text))?;
        Ok(true)
    }

    /// Whether the words of a row are those of a muted member.
    pub fn hides(&self, row: &Row) -> bool {
        row.from.is_some_and(|from| self.muted.contains(&from))
            && matches!(row.content, RowContent::Text(_) | RowContent::Held(_))
    }

    /// Prints what does not agree between the relay and the log.
    ///
    /// # Errors
    /// If standard output is closed.
    pub fn mismatch(&self, out: &Output, what: &Mismatch, names: &Names) -> io::Result<()> {
        let text = out.advice(&mismatch_text(what, self.me, names));
        let object = json!({
            "room": self.room,
            "seq": null,
            "kind": "notice",
            "notice": what.as_str(),
            "text": text,
            "alarm": what.is_alarm(),
            "member_key": what.member().map(|member| member.to_hex()),
        });
        let mark = if what.is_alarm() { "!!" } else { "--" };
        out.say(&object, &format!("{mark} {}", escape::one_line(&text)))
    }

    fn base(&self, row: &Row, kind: &str) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("room".into(), json!(self.room));
        object.insert("seq".into(), json!(row.place.0));
        object.insert("id".into(), json!(row.id.map(|id| id.to_hex())));
        object.insert("from".into(), json!((!row.name.is_empty()).then_some(&row.name)));
        object.insert("from_key".into(), json!(row.from.map(|from| from.to_hex())));
        object.insert("at".into(), json!(rfc3339(row.at)));
        object.insert("kind".into(), json!(kind));
        if row.from == Some(self.me) {
            object.insert("mine".into(), json!(true));
        }
        object
    }

    fn notice(&self, out: &Output, row: &Row, notice: &Notice) -> io::Result<bool> {
        let (word, text) = notice_text(row, notice);
        if word == "duplicate" {
            return Ok(false);
        }
        let text = out.advice(&text);
        let mut object = self.base(row, "notice");
        object.insert("notice".into(), json!(word));
        object.insert("text".into(), json!(text));
        object.insert("alarm".into(), json!(notice.is_alarm()));
        let mark = if notice.is_alarm() { "!!" } else { "--" };
        out.say(&Value::Object(object), &format!("{mark} {}", escape::one_line(&text)))?;
        Ok(true)
    }

    /// Returns kind, text and further fields of a row; `None` if it is not shown.
    fn content(&self, row: &Row) -> Option<(&'static str, String, Map<String, Value>)> {
        let mut more = Map::new();
        let (kind, text) = match &row.content {
            RowContent::Text(text) => ("text", text.clone()),
            RowContent::Held(text) => {
                let shown = if self.held { text.clone() } else { String::new() };
                ("held", shown)
            }
            RowContent::Tombstone { by, category } => {
                more.insert("by".into(), json!(by.map(|b| b.to_hex())));
                more.insert("category".into(), json!(category.map(|c| c.as_str())));
                ("tombstone", String::new())
            }
            RowContent::Moderation { record, target } => {
                more.insert("act".into(), json!(record.act.as_str()));
                more.insert("number".into(), json!(record.number));
                if !target.is_empty() {
                    more.insert("target".into(), json!(target));
                }
                act_fields(&record.act, &mut more);
                let is_roster = matches!(
                    record.act,
                    Act::Admit { .. } | Act::Remove { .. } | Act::Depart(_) | Act::SetRole { .. }
                );
                let kind = if is_roster { "roster" } else { "moderation" };
                (kind, with_words(act_text(&record.act, target, row.at), &record.act))
            }
            RowContent::Goodbye { withdrawn } => {
                more.insert("act".into(), json!(if *withdrawn { "withdraw" } else { "goodbye" }));
                ("roster", String::new())
            }
            RowContent::InviteIssued { uses, expires } => {
                more.insert("act".into(), json!("invite"));
                more.insert("uses".into(), json!(uses));
                more.insert("expires".into(), json!(rfc3339(*expires)));
                let uses = counted(*uses, "person", "people");
                let until = when::local_moment(*expires, row.at);
                ("moderation", format!("made an invite for {uses}, good until {until}"))
            }
            RowContent::AgreementText(id) => {
                more.insert("agreement".into(), json!(id.to_hex()));
                ("agreement", "sent the text of a new version of the agreement".into())
            }
            RowContent::MyTimeout { until, note } => {
                let act = if *until > row.at { "timeout" } else { "untimeout" };
                more.insert("act".into(), json!(act));
                more.insert("you".into(), json!(true));
                more.insert("until".into(), json!(rfc3339(*until)));
                ("moderation", note.clone())
            }
            RowContent::Retraction(id) => {
                more.insert("act".into(), json!("retract_own"));
                more.insert("message".into(), json!(id.to_hex()));
                ("moderation", format!("took back the message {}", id.short()))
            }
            RowContent::Unknown => {
                ("unknown", "sent something that this version of hearth does not know; update hearth to see it. More of its kind is not told again".into())
            }
            RowContent::Renewal | RowContent::Nothing => return None,
        };
        Some((kind, text, more))
    }

    fn plain(&self, row: &Row, kind: &str, text: &str) -> String {
        let time = clock(row.at);
        let name = escape::one_line(&row.name);
        let id = row.id.map(|id| id.short()).unwrap_or_default();
        match (kind, &row.content) {
            ("text", _) => format!("{time} {name}: {}  [{id}]", escape::many_lines(text, INDENT)),
            ("held", _) if self.held => {
                format!("{time} {name} (held): {}", escape::many_lines(text, INDENT))
            }
            ("held", _) => format!(
                "{time} -- a post by {name} is held back: the room was paused, or they only observe"
            ),
            ("tombstone", RowContent::Tombstone { category, .. }) => match category {
                Some(c) => format!("{time} -- a message was retracted ({})", c.as_str()),
                None => format!("{time} -- a message was retracted"),
            },
            (_, RowContent::Goodbye { withdrawn, .. }) => {
                let what = if *withdrawn { "withdraws, says goodbye" } else { "says goodbye" };
                format!("{time} -- {name} {what} and still has the keys")
            }
            (_, RowContent::MyTimeout { until, .. }) if *until > row.at => format!(
                "{time} -- {name} asks you to rest until {}. You can read; the others see that somebody rests, not who. {}",
                clock(*until),
                escape::many_lines(text, INDENT)
            ),
            (_, RowContent::MyTimeout { .. }) => format!("{time} -- your time-out is over"),
            (_, RowContent::Moderation { record, .. }) => match &record.act {
                Act::Announce(text) => {
                    format!("{time} ** {name}: {} **", escape::many_lines(text, INDENT))
                }
                Act::Depart(_) => {
                    format!("{time} -- {}", departed(&escape::one_line(text), &name))
                }
                _ => format!("{time} -- {name} {}", escape::many_lines(text, INDENT)),
            },
            _ => format!("{time} -- {name} {}", escape::many_lines(text, INDENT)),
        }
    }
}

/// Says in a sentence who did what, without words to the room. Moments are told as seen from the record's own.
pub fn act_sentence(record: &Record, actor: &str, target: &str) -> String {
    let text = act_text(&record.act, target, record.at);
    match &record.act {
        Act::Depart(_) => departed(&text, actor),
        _ => format!("{actor} {text}"),
    }
}

/// Names whose program carried a departure out: it is the record's actor, and not the member who leaves.
fn departed(text: &str, actor: &str) -> String {
    format!("{text} ({actor}'s program carried it out)")
}

/// Says what an act did, to follow its actor's name: verb, object, values. Only a departure has the leaving member for its subject.
pub fn act_text(act: &Act, target: &str, seen_from: Millis) -> String {
    let whose = if target.is_empty() { "the".to_owned() } else { format!("{target}'s") };
    let target = if target.is_empty() { "somebody" } else { target };
    let moment = |at| when::local_moment(at, seen_from);
    match act {
        Act::Found => "opened the room".into(),
        Act::Admit { role, .. } => format!("admitted {target} as {}", role_words(*role)),
        Act::Remove { category, .. } => {
            format!("removed {target} (reason: {})", category.as_str())
        }
        Act::Depart(_) => format!("{target} left the room"),
        Act::SetRole { role, .. } => format!("made {target} {}", role_words(*role)),
        Act::Pause { until, .. } => format!("paused the room until {}", moment(*until)),
        Act::Resume => "ended the pause".into(),
        Act::Slow(0) => "ended slow mode".into(),
        Act::Slow(s) => format!("set slow mode to one post every {}", span(u64::from(*s))),
        Act::Budget(0) => "lifted the daily limit of posts".into(),
        Act::Budget(n) => {
            format!("limited each member to {} a day", counted(*n, "post", "posts"))
        }
        Act::Length(0) => "lifted the limit of length".into(),
        Act::Length(n) => {
            format!("limited each message to {}", counted(*n, "character", "characters"))
        }
        Act::Lock(true) => "locked the room: nobody is admitted".into(),
        Act::Lock(false) => "unlocked the room".into(),
        Act::Hours { text, hours: Some(_) } => format!("set the opening hours to {text}"),
        Act::Hours { .. } => "lifted the opening hours".into(),
        Act::Door(Door::Open) => "opened the room whatever its hours say".into(),
        Act::Door(Door::Closed) => "closed the room to posts".into(),
        Act::Door(Door::ByHours) => "put the room back to its opening hours".into(),
        Act::Timeout(_) => "gave a member a time-out".into(),
        Act::Untimeout(_) => "ended a member's time-out".into(),
        Act::Announce(_) => "made an announcement".into(),
        Act::Pin(pin) => format!("pinned the message {}", pin.message.short()),
        Act::Unpin(pin) => format!("unpinned the message {}", pin.message.short()),
        Act::Retract { message, category, .. } => {
            format!("retracted {whose} message {} (reason: {})", message.short(), category.as_str())
        }
        Act::Rekey => "renewed the room's keys".into(),
        Act::Amend { agreement, change: Change::Material } if agreement.effective <= seen_from => {
            format!(
                "issued version {} of the agreement: everyone acknowledges it to stay in",
                agreement.version
            )
        }
        Act::Amend { agreement, change: Change::Material } => format!(
            "issued version {} of the agreement: everyone acknowledges it by {}",
            agreement.version,
            moment(agreement.effective)
        ),
        Act::Amend { agreement, .. } => {
            format!("edited the wording of the agreement (version {})", agreement.version)
        }
        Act::Enact => "put the new agreement into force".into(),
        Act::Withdraw => "withdrew the coming version of the agreement".into(),
        Act::Expire(s) => format!("limited how long messages are kept to {}", span(*s)),
    }
}

/// Adds an act's words to the room. The log leaves them out.
fn with_words(text: String, act: &Act) -> String {
    match act {
        Act::Announce(words) => words.clone(),
        Act::Pause { comment: words, .. } | Act::Remove { goodbye: words, .. }
            if !words.is_empty() =>
        {
            format!("{text}: {words}")
        }
        _ => text,
    }
}

/// Says what a rule is while it is in force.
pub fn rule_text(act: &Act) -> String {
    match act {
        Act::Slow(0) => "no slow mode".into(),
        Act::Slow(s) => format!("slow mode: one post every {}", span(u64::from(*s))),
        Act::Budget(0) => "no daily limit of posts".into(),
        Act::Budget(n) => format!("limit: {} a day for each member", counted(*n, "post", "posts")),
        Act::Length(0) => "no limit of length".into(),
        Act::Length(n) => format!("limit: {} a message", counted(*n, "character", "characters")),
        Act::Door(Door::Open) => "open whatever its hours say".into(),
        Act::Door(Door::Closed) => "closed to posts".into(),
        Act::Door(Door::ByHours) => "open by its hours".into(),
        other => act_text(other, "", Millis(0)),
    }
}

/// Names a role, with its article.
pub const fn role_words(role: Role) -> &'static str {
    match role {
        Role::Facilitator => "a facilitator",
        Role::CoFacilitator => "a co-facilitator",
        Role::Member => "a member",
        Role::Observer => "an observer",
    }
}

fn act_fields(act: &Act, more: &mut Map<String, Value>) {
    match act {
        Act::Admit { member, role, .. } | Act::SetRole { member, role } => {
            more.insert("member".into(), json!(member.to_hex()));
            more.insert("role".into(), json!(role.as_str()));
        }
        Act::Remove { member, category, .. } => {
            more.insert("member".into(), json!(member.to_hex()));
            more.insert("category".into(), json!(category.as_str()));
        }
        Act::Pause { until, comment } => {
            more.insert("until".into(), json!(rfc3339(*until)));
            more.insert("comment".into(), json!(comment));
        }
        Act::Slow(seconds) => {
            more.insert("seconds".into(), json!(seconds));
        }
        Act::Budget(posts) => {
            more.insert("per_day".into(), json!(posts));
        }
        Act::Length(chars) => {
            more.insert("chars".into(), json!(chars));
        }
        Act::Pin(pin) | Act::Unpin(pin) => {
            more.insert("message".into(), json!(pin.message.to_hex()));
        }
        Act::Retract { message, category, .. } => {
            more.insert("message".into(), json!(message.to_hex()));
            more.insert("category".into(), json!(category.as_str()));
        }
        Act::Amend { agreement, .. } => {
            more.insert("agreement".into(), json!(agreement.id.to_hex()));
            more.insert("effective".into(), json!(rfc3339(agreement.effective)));
        }
        Act::Expire(seconds) => {
            more.insert("seconds".into(), json!(seconds));
        }
        _ => {}
    }
}

fn notice_text(row: &Row, notice: &Notice) -> (&'static str, String) {
    let name = if row.name.is_empty() { "somebody" } else { &row.name };
    match notice {
        Notice::Gap(n) => {
            let messages = counted(*n, "message", "messages");
            let verb = if *n == 1 { "is" } else { "are" };
            ("gap", format!("{messages} of {name} before this one {verb} missing"))
        }
        Notice::Fork(seq) => (
            "fork",
            format!("{name} saw something else than you at entry {seq}, or from there on: the relay shows different histories; compare `hearth verify ROOM` by another way"),
        ),
        Notice::Missing { from } => {
            ("missing", format!("the relay left out entries from {from} to {}", row.seq))
        }
        Notice::Times => (
            "times",
            "the relay's times do not add up: its clock was set, or it lies about when this was said. \
             What is erased goes by this device's clock"
                .into(),
        ),
        Notice::Split => (
            "split",
            "somebody went on from an earlier state of this room: it may have split, and whoever was removed there may read on here. Nothing of yours goes out until you have compared `hearth verify ROOM` with a facilitator by another way".into(),
        ),
        Notice::Unreadable => ("unreadable", format!("entry {} cannot be read", row.seq)),
        Notice::RefusedCommit(why) => {
            ("refused_commit", format!("a change by {name} is refused: {why}"))
        }
        Notice::NotMine => (
            "not_mine",
            "a message came under your key that this profile did not write: is a copy of the profile in use?".into(),
        ),
        Notice::Mark => (
            "mark",
            format!("{name} sent something past the room's rules, disguised as leaving or taking a message back; it is not shown"),
        ),
        Notice::FalseDeparture => (
            "false_departure",
            format!("{name} says that they leave, by a statement that ends no stay here: they are still in the room"),
        ),
        Notice::FalseRetraction => (
            "false_retraction",
            format!("{name} says that they take back a message which is not theirs: it stays"),
        ),
        Notice::SameId { seq, by } => (
            "same_id",
            format!("this message of {name} bears the same id as entry {seq} by {by}: name either by its number, {} or {seq}", row.seq),
        ),
        Notice::SecondInvite { by } => (
            "second_invite",
            format!("{name} announced an invite again that {by} had announced: the first announcement counts"),
        ),
        Notice::CounterReused => {
            ("counter_reused", format!("{name}'s messages are numbered wrongly: one may be missing"))
        }
        Notice::Duplicate => ("duplicate", String::new()),
        Notice::Expired { from } => {
            ("expired", format!("entries {from} to {} were deleted before you read them", row.seq))
        }
    }
}

/// Says what the relay does and no record says, and what helps.
pub fn mismatch_text(what: &Mismatch, me: MemberKey, names: &Names) -> String {
    let known = |key: &MemberKey| names.get(key).cloned().unwrap_or_else(|| key.short());
    let name = what.member().as_ref().map(known).unwrap_or_default();
    let own = what.member() == Some(me);
    let rule = |relay: &Act, room: &Act| {
        let (relay, room) = (rule_text(relay), rule_text(room));
        format!(
            "the relay keeps to \"{relay}\", and no record says why: the last one says \"{room}\""
        )
    };
    let text = match what {
        Mismatch::Pause { relay, room } if *room > *relay => {
            format!("the relay takes posts during the pause until {}", clock(*room))
        }
        Mismatch::Pause { relay, .. } => {
            format!("the relay refuses posts until {}, and no record says why", clock(*relay))
        }
        Mismatch::Lock { relay: true } => {
            "the relay takes no knocks, and no record says why: the room is not locked".into()
        }
        Mismatch::Lock { relay: false } => "the relay takes knocks, and the room is locked".into(),
        Mismatch::Door { relay, room } => rule(&Act::Door(*relay), &Act::Door(*room)),
        Mismatch::Slow { relay, room } => rule(&Act::Slow(*relay), &Act::Slow(*room)),
        Mismatch::Budget { relay, room } => rule(&Act::Budget(*relay), &Act::Budget(*room)),
        Mismatch::Length { relay: 0, .. } => {
            "the relay takes messages that are longer than the room allows".into()
        }
        Mismatch::Length { relay, .. } => format!(
            "the relay refuses messages of more than {relay} bytes, and no record says why"
        ),
        Mismatch::Hours => {
            "the relay keeps to other opening hours than the room's, and no record says why".into()
        }
        Mismatch::Retention { relay, room } => format!(
            "the relay deletes messages after {}, and no record says why: the last one says {}",
            span(*relay),
            span(*room)
        ),
        Mismatch::Agreement => {
            "the relay asks newcomers for another agreement than the one in force, and no record says why".into()
        }
        Mismatch::TimeOut { relay, room, .. } if *relay > *room => {
            let whose = if own { "your".to_owned() } else { format!("{name}'s") };
            format!("the relay refuses {whose} posts until {}, and no record says why", clock(*relay))
        }
        Mismatch::TimeOut { room, .. } => {
            let whose = if own { "your".to_owned() } else { format!("{name}'s") };
            format!("the relay ends {whose} time-out before {}, and no record says why", clock(*room))
        }
        Mismatch::Role { relay, room, .. } => {
            let (who, is) = if own { ("you".to_owned(), "are") } else { (name, "is") };
            let relay = relay.map_or("somebody who does not moderate", role_words);
            format!("the relay treats {who} as {relay}, and no record says why: {who} {is} {}", role_words(*room))
        }
        Mismatch::Lacking { .. } => {
            format!("the relay keeps {name} out, and no record says why: {name} is in the room")
        }
        Mismatch::Stranger { .. } => format!(
            "the relay delivers the room's entries to {name}, who is not in the room and cannot read them; no record says why"
        ),
        Mismatch::Epoch { .. } => {
            "the relay has gone back to keys that the room has left, and no record says why: it takes nothing of what is said now".into()
        }
        Mismatch::Left { .. } => format!(
            "the relay says that {name} has left, and {name} has not said so: {name} gets nothing of what is said"
        ),
        Mismatch::Retracted { place } => {
            format!("the relay deleted the message at entry {place}, and no record says why")
        }
        Mismatch::StillIn { .. } => format!(
            "{name} says goodbye and still has the keys: the relay does not let them go. A facilitator's next command takes them out"
        ),
        Mismatch::Amendment { version, why: Waits::Unsigned } => format!(
            "version {version} of the agreement is due, and you have not signed it: another facilitator's next command puts it in force, and you are out then until you sign. Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`"
        ),
        Mismatch::Amendment { version, why: Waits::NoText } => format!(
            "version {version} of the agreement is due, and its text has not reached this device: another facilitator's next command sends it"
        ),
        Mismatch::Amendment { version, why: Waits::Refused } => format!(
            "version {version} of the agreement is due, and is refused: `hearth agreement enact ROOM` says why, `hearth agreement withdraw ROOM` takes it back"
        ),
    };
    let advice = match what {
        Mismatch::StillIn { .. } | Mismatch::Amendment { .. } => return text,
        Mismatch::Retracted { .. } => "nothing brings it back; ask its author",
        Mismatch::Lacking { .. } | Mismatch::Left { .. } => {
            "a facilitator removes and invites them anew"
        }
        _ => "a facilitator puts it back with `hearth restore-rules ROOM`",
    };
    format!(
        "{text}. The operator did it, or somebody who moderates with a changed program; {advice}"
    )
}

/// Returns a member as JSON, with their acknowledgement judged.
pub fn member_json(policy: &RoomPolicy, room: &hearth_protocol::RoomId, leaf: &Leaf) -> Value {
    let judged = policy.judge_acknowledgement(room, &leaf.member, &leaf.acknowledgement);
    json!({
        "name": leaf.name,
        "id": leaf.member.short(),
        "key": leaf.member.to_hex(),
        "role": policy.role(&leaf.member).as_str(),
        "acknowledged": judged.is_ok(),
        "agreement": leaf.acknowledgement.agreement.to_hex(),
        "version": leaf.acknowledgement.version,
        "signed_at": rfc3339(leaf.acknowledgement.signed_at),
        "expires": rfc3339(leaf.acknowledgement.expires),
    })
}

/// Returns a record of moderation as JSON.
pub fn record_json(record: &Record, name: &str) -> Value {
    let mut object = Map::new();
    object.insert("number".into(), json!(record.number));
    object.insert("at".into(), json!(rfc3339(record.at)));
    object.insert("actor".into(), json!(name));
    object.insert("actor_key".into(), json!(record.actor.to_hex()));
    object.insert("act".into(), json!(record.act.as_str()));
    object.insert("previous".into(), json!(record.previous.to_hex()));
    object.insert("digest".into(), json!(record.digest().to_hex()));
    act_fields(&record.act, &mut object);
    // The log shows that something was done and its category; words are in the room.
    object.remove("comment");
    Value::Object(object)
}

/// Returns a time for text, or "never".
pub fn moment(at: Millis) -> String {
    if at == Millis::NEVER { "never".into() } else { clock(at) }
}

/// Returns a time as RFC 3339 in UTC, to the millisecond.
pub fn rfc3339(at: Millis) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .map_or_else(|| "never".into(), |t| format!("{t:.3}"))
}

/// Returns a time as people of this computer's time zone read it.
pub fn clock(at: Millis) -> String {
    when::local_moment(at, hearth_session::live::now())
}

/// Returns a time with its date and zone, for what is kept or read elsewhere.
pub fn date(at: Millis) -> String {
    when::full_moment(at, &jiff::tz::TimeZone::system())
}

/// Returns a length of time in words.
pub fn span(seconds: u64) -> String {
    when::duration(std::time::Duration::from_secs(seconds))
}
