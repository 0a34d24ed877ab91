//! What people and programs read: rows, rosters and logs as lines of text or as JSON, one object a line.
//!
//! Everything that came from somebody else is made inert before it reaches a terminal. JSON escapes control
//! characters by itself.

mod acts;
pub mod calm;
pub mod chart;
mod findings;
mod floor;
pub mod help;
mod lane;
mod output;
pub mod presence;
mod talk;

use std::{
    collections::HashMap,
    io::{self, Write as _},
};

use hearth_engine::{
    accord::Mismatch,
    floor::{Change, Round},
    mine::Mine,
    policy::{Act, Category, Leaf, Second, Weighty},
    room::Names,
    state::{Notice, Row, RowContent},
    turns::Later,
};
use hearth_protocol::{MemberKey, MessageId, Millis, Seq};
use hearth_session::{client::HelpView, live::now};
use hearth_text::{count::counted, escape};
use serde_json::{Map, Value, json};

use crate::text::{when, wrap};

pub use self::lane::{Answered, answered};
pub use self::{
    acts::{
        act_sentence, act_text, ending, erased_at, member_json, proposes, record_json, role_words,
        rule_text, weighty_text,
    },
    findings::mismatch_text,
    floor::{form_word, left as time_left},
    output::{Output, OutputLost, Printed, Sink, print},
    talk::Around,
};

use self::{
    acts::{about_target, act_fields, with_words},
    findings::notice_text,
};

/// What the second and later lines of a message begin with, so that no message can pose as another line of ours.
const INDENT: &str = "      | ";

/// Prints to standard error, broken between words where it is read on a screen.
pub fn remark(text: &str) {
    let columns = hearth_console::line::columns_of_stderr();
    let wrapped = columns.map(|columns| wrap::lines(text, columns));
    // Nobody can be told that standard error is closed.
    let _ = writeln!(io::stderr(), "{}", wrapped.as_deref().unwrap_or(text));
}

/// How rows are shown to this member.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The room's local name.
    pub room: &'a str,
    /// My key.
    pub me: MemberKey,
    /// The members, by whose names others are called.
    pub roster: &'a [Leaf],
    /// Members whose messages are not shown.
    pub muted: &'a [MemberKey],
    /// Those who moderate, and the crisis contacts.
    pub help: &'a HelpView,
    /// When this member's break from the room ends; over if it is past.
    pub rests_until: Millis,
    /// When the room's pause ends; over if it is past.
    pub paused_until: Millis,
    /// What this device hides and rings for.
    pub mine: &'a Mine,
    /// The last place that was displayed before.
    pub shown: Seq,
    /// The round that is on.
    pub round: Option<&'a Round>,
    /// Whether held posts are shown with their words.
    pub held: bool,
    /// Whether words are shown that a moderator's content note or a filter hides.
    pub open: bool,
    /// What a lane is called; `None` in the room.
    pub lane: Option<&'a str>,
    /// In a lane: what moderators answer there.
    pub answered: Option<&'a HashMap<MessageId, Answered>>,
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
        if let Some(content) = self.content(row).filter(|_| !self.hides(row)) {
            self.said(out, row, content)?;
            shown = true;
        }
        for change in &row.changes {
            shown |= self.change(out, row, change)?;
        }
        Ok(shown)
    }

    fn said(
        &self,
        out: &Output,
        row: &Row,
        (kind, text, more): (&'static str, String, Map<String, Value>),
    ) -> io::Result<()> {
        let mut object = self.base(row, kind);
        if !text.is_empty() {
            object.insert("text".into(), json!(text));
        }
        object.extend(more);
        let plain = self.plain(out, row, kind, &text);
        out.say(&Value::Object(object), &self.labelled(plain))?;
        if let RowContent::Asked(ask) = &row.content
            && !out.is_json()
        {
            for line in floor::ask_lines(ask, row.seq.0) {
                out.say_none(&out.advice(&line))?;
            }
        }
        Ok(())
    }

    /// Puts a lane's name before a line.
    fn labelled(&self, line: String) -> String {
        match self.lane {
            None => line,
            Some(lane) => format!("({}) {line}", escape::one_line(lane)),
        }
    }

    fn change(&self, out: &Output, row: &Row, change: &Change) -> io::Result<bool> {
        let Some(told) = floor::change(self, row, change) else { return Ok(false) };
        let (text, alarm) = (out.advice(&told.text), told.alarm);
        let mut object = self.base(row, "floor");
        object.insert("floor".into(), json!(told.word));
        object.insert("text".into(), json!(text));
        object.insert("alarm".into(), json!(alarm));
        object.extend(told.more);
        let mark = if alarm { "!!" } else { "--" };
        let text = floor::sentence(&escape::one_line(&text));
        out.say(&Value::Object(object), &format!("{mark} {text}"))?;
        Ok(true)
    }

    /// Returns a member's name; the short form of the key of somebody who is not here.
    fn name(&self, member: &MemberKey) -> String {
        let leaf = self.roster.iter().find(|leaf| leaf.member == *member);
        leaf.map_or_else(|| member.short(), |leaf| leaf.name.clone())
    }

    /// Whether there is something to show of a row.
    pub fn shows(&self, row: &Row) -> bool {
        let notice = |notice: &Notice| !matches!(notice, Notice::Duplicate);
        row.notices.iter().any(notice)
            || (self.content(row).is_some() && !self.hides(row))
            || row.changes.iter().any(|change| floor::change(self, row, change).is_some())
    }

    /// Whether a row shows its content note in place of its words.
    pub fn veils(&self, row: &Row) -> bool {
        let covered = match row.content {
            RowContent::Text(_) => row.talk.cover.is_some(),
            RowContent::Edit { .. } => row.talk.quote.as_ref().is_some_and(|quote| quote.covered),
            _ => false,
        };
        !self.open && (covered || self.filters(row))
    }

    /// Whether a filter of this device hides a row's words.
    fn filters(&self, row: &Row) -> bool {
        !self.open && self.mine.filters_row(row)
    }

    /// Returns what stands around the words of a row.
    pub fn around(&self, row: &Row) -> Around {
        talk::around(self, row)
    }

    /// Whether the words of a row are those of a muted member.
    pub fn hides(&self, row: &Row) -> bool {
        row.from.is_some_and(|from| self.muted.contains(&from))
            && matches!(
                row.content,
                RowContent::Text(_)
                    | RowContent::Held(_)
                    | RowContent::Reaction { .. }
                    | RowContent::Edit { .. }
                    | RowContent::Vote { .. }
            )
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
        if let Some(lane) = self.lane {
            object.insert("lane".into(), json!(lane));
        }
        object.insert("seq".into(), json!(row.place.0));
        object.insert("id".into(), json!(row.id.map(|id| id.to_hex())));
        object.insert("from".into(), json!((!row.name.is_empty()).then_some(&row.name)));
        object.insert("from_key".into(), json!(row.from.map(|from| from.to_hex())));
        object.insert("at".into(), json!(rfc3339(row.at)));
        object.insert("kind".into(), json!(kind));
        if row.from == Some(self.me) {
            object.insert("mine".into(), json!(true));
        }
        if row.place > self.shown {
            object.insert("new".into(), json!(true));
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
        let plain = format!("{mark} {}", escape::one_line(&text));
        out.say(&Value::Object(object), &self.labelled(plain))?;
        Ok(true)
    }

    /// Returns kind, text and further fields of a row; `None` if it is not shown.
    fn content(&self, row: &Row) -> Option<(&'static str, String, Map<String, Value>)> {
        let mut more = Map::new();
        let (kind, text) = match &row.content {
            // Shown with a later row; until then their author alone sees them.
            RowContent::Text(_) | RowContent::Vote { .. }
                if row.talk.later == Some(Later::Turn) && row.from != Some(self.me) =>
            {
                return None;
            }
            RowContent::Text(_) if row.talk.later == Some(Later::OwnAnswer) => {
                ("answered", "has answered; you see it after your own answer".into())
            }
            RowContent::Asked(_)
            | RowContent::Vote { .. }
            | RowContent::Duty(_)
            | RowContent::Floor(_) => return floor::content(self, row),
            RowContent::Text(text) => {
                talk::fields(self, row, &mut more);
                ("text", if self.filters(row) { String::new() } else { text.clone() })
            }
            RowContent::Reaction { .. } | RowContent::Edit { .. } | RowContent::Cover { .. } => {
                return talk::content(self, row);
            }
            RowContent::Held(text) => {
                let shown = self.held && !self.filters(row);
                if self.filters(row) {
                    more.insert("filtered".into(), json!(true));
                }
                ("held", if shown { text.clone() } else { String::new() })
            }
            RowContent::Tombstone { by, category } => {
                more.insert("by".into(), json!(by.map(|b| b.to_hex())));
                more.insert("category".into(), json!(category.map(|c| c.as_str())));
                ("tombstone", String::new())
            }
            // A proposal that lapses is nobody's business but the moderators', whose shells tell them of it.
            RowContent::Moderation { record, .. }
                if matches!(
                    record.act,
                    Act::Second(Second::Propose(_) | Second::Withdraw { .. })
                ) =>
            {
                return None;
            }
            // Whose break it is, those who moderate know; the others read nothing of it.
            RowContent::Moderation { record, target }
                if matches!(
                    record.act,
                    Act::Timeout(_)
                        | Act::Untimeout(_)
                        | Act::Second(Second::Confirm { what: Weighty::Timeout(_), .. })
                ) && target.is_empty() =>
            {
                return None;
            }
            RowContent::MyRemoval { words, goodbye } => {
                more.insert("act".into(), json!("remove"));
                more.insert("you".into(), json!(true));
                more.insert("goodbye".into(), json!(goodbye));
                ("roster", words.clone())
            }
            RowContent::Moderation { record, target } => {
                more.insert("act".into(), json!(record.act.as_str()));
                more.insert("number".into(), json!(record.number));
                if !target.is_empty() {
                    more.insert("target".into(), json!(target));
                }
                act_fields(&record.act, &mut more);
                let (act, takes) = (&record.act, record.act.takes_out().is_some());
                let is_roster =
                    takes || act.admission().is_some() || matches!(act, Act::SetRole { .. });
                let kind = if is_roster { "roster" } else { "moderation" };
                (kind, with_words(act_text(&record.act, target, row.at), row, &record.act, target))
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
            // Who reads along stays as it was.
            RowContent::Seats { seated, unseated, unproved: false, .. }
                if seated.is_empty() && unseated.is_empty() =>
            {
                return None;
            }
            RowContent::Seats { record, seated, unseated, unproved } => {
                more.insert("record".into(), json!(record));
                more.insert("seated".into(), json!(seated));
                more.insert("unseated".into(), json!(unseated));
                more.insert("unproved".into(), json!(unproved));
                ("seats", seats_text(seated, unseated, *unproved))
            }
            RowContent::Private(private) => return Some(lane::content(private)),
            RowContent::Shared(text) => ("shared", text.clone()),
            RowContent::Ballot { ask, choice, .. } => {
                more.insert("ask".into(), json!(ask.seq.0));
                more.insert("choice".into(), json!(choice.saturating_add(1)));
                let option = choice.saturating_add(1);
                ("ballot", format!("votes in poll #{}: option {option}", ask.seq.0))
            }
            RowContent::Renewal | RowContent::Nothing => return None,
        };
        Some((kind, text, more))
    }

    fn plain(&self, out: &Output, row: &Row, kind: &str, text: &str) -> String {
        let time = clock(row.at);
        let name = escape::one_line(&row.name);
        let id = row.id.map(|id| id.short()).unwrap_or_default();
        match (kind, &row.content) {
            ("text", _) => {
                let (before, after) = (talk::before_words(self, row), talk::after_words(row));
                let words = match self.veils(row) {
                    true => out.advice(&format!("`hearth show ROOM {id}` reads it")),
                    false => escape::many_lines(text, INDENT),
                };
                format!("{time} {name}{before}: {words}  [{id}]{after}")
            }
            ("edit", _) if self.veils(row) => {
                let of = row.talk.quote.as_ref().and_then(|quote| quote.id);
                let id = of.map(|id| id.short()).unwrap_or_default();
                let how = out.advice(&format!("`hearth show ROOM {id}` reads it"));
                format!("{time} -- {name} {}: {how}", escape::one_line(text))
            }
            ("held", _) if self.held && !self.filters(row) => {
                format!("{time} {name} (held): {}", escape::many_lines(text, INDENT))
            }
            ("held", _) => format!(
                "{time} -- a post by {name} is held back: the room was paused, or they only observe"
            ),
            ("tombstone", RowContent::Tombstone { by, category }) => {
                let mine = row.from == Some(self.me) && *by != Some(self.me);
                let by = by.map(|by| escape::one_line(&self.name(&by)));
                let what = match (by, category) {
                    (Some(by), Some(_)) if mine => out.advice(&calm::taken_down(&by, row.at)),
                    (None, _) => "a message was taken down".to_owned(),
                    (Some(by), None) => format!("{by} took this back"),
                    (Some(by), Some(category)) => {
                        let why = match category {
                            Category::Unspecified => String::new(),
                            category => format!(" ({})", category.as_str()),
                        };
                        format!("{by} took this down to look after everybody here{why}")
                    }
                };
                format!("{time} -- {what}")
            }
            (_, RowContent::Private(private)) => {
                let words = escape::many_lines(text, INDENT);
                if let Some(told) = lane::answer(self, &name, private, &words) {
                    return format!("{time} -- {}  [{id}]", out.advice(&told));
                }
                let verb = lane::verb(private);
                let words = match text {
                    "" => String::new(),
                    words => format!(": {}", escape::many_lines(words, INDENT)),
                };
                format!("{time} {name}{verb}{words}  [{id}]")
            }
            (_, RowContent::Shared(_)) => format!(
                "{time} Shared through {name}, without a name: {}  [{id}]",
                escape::many_lines(text, INDENT)
            ),
            (_, RowContent::Goodbye { withdrawn, .. }) => {
                let what = if *withdrawn { "withdraws, says goodbye" } else { "says goodbye" };
                format!("{time} -- {name} {what} and still has the keys")
            }
            (_, RowContent::MyTimeout { until, note }) => {
                let told = match *until {
                    until if until <= row.at => format!("{name} has ended your break."),
                    until if until <= now() || until != self.rests_until => {
                        calm::break_was(&name, note, until)
                    }
                    until => calm::break_begins(&name, note, until, row.at, self.help),
                };
                format!("{time} -- {}", escape::many_lines(&out.advice(&told), INDENT))
            }
            (_, RowContent::MyRemoval { words, .. }) => {
                let told = calm::your_place(&name, words, self.help);
                format!("{time} -- {}", escape::many_lines(&told, INDENT))
            }
            (_, RowContent::Moderation { record, .. }) => match &record.act {
                Act::Announce(text) | Act::Remember { words: text, .. } => {
                    format!("{time} ** {name}: {} **", escape::many_lines(text, INDENT))
                }
                Act::Second(Second::Confirm { what: Weighty::Remove { .. }, .. })
                | Act::Remove { .. } => format!("{time} -- {}", escape::many_lines(text, INDENT)),
                Act::Pause { until, comment, .. } => {
                    let told = match *until > now() && *until == self.paused_until {
                        true => calm::pause_begins(&name, comment, *until, row.at),
                        false => calm::pause_was(&name, comment, *until),
                    };
                    format!("{time} -- {}", escape::many_lines(&out.advice(&told), INDENT))
                }
                act => match about_target(act, &escape::one_line(text), &name) {
                    Some(sentence) => format!("{time} -- {sentence}"),
                    None => format!("{time} -- {name} {}", escape::many_lines(text, INDENT)),
                },
            },
            _ => format!("{time} -- {name} {}", escape::many_lines(text, INDENT)),
        }
    }
}

/// Says who reads along in a lane from a commit on, and who no longer does.
fn seats_text(seated: &[String], unseated: &[String], unproved: bool) -> String {
    let mut text = "brought this line up to date with the room".to_owned();
    if !seated.is_empty() {
        text += &format!("; {} can read from here on", seated.join(", "));
    }
    if !unseated.is_empty() {
        text += &format!("; {} can read nothing later", unseated.join(", "));
    }
    if unproved {
        text += ". You were out then, so this device could not compare the moderators with the room's log";
    }
    text
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
    when::local_moment(at, now())
}

/// Returns a time with its date and zone, for what is kept or read elsewhere.
pub fn date(at: Millis) -> String {
    when::full_moment(at, &jiff::tz::TimeZone::system())
}

/// Returns a length of time in words.
pub fn span(seconds: u64) -> String {
    when::duration(std::time::Duration::from_secs(seconds))
}
