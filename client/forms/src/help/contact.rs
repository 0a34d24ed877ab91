//! One crisis contact: how it is reached, and who checked it.

use super::{CONTACTS_MAX, HelpReason, filled};
use crate::fault::quoted;
use crate::file::{CHECKED, CONTACT, LABEL, LINE, Table, Value};
use crate::words::is_language;
use crate::{Day, Fault, Reason};

/// Languages of one contact.
const LANGUAGES_MAX: usize = 8;
/// Digits of a number that is dialled.
const DIGITS: std::ops::RangeInclusive<usize> = 2..=20;

/// A service, or a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Decides the place in the list.
    pub kind: ContactKind,
    /// What it calls itself.
    pub name: String,
    /// How it is reached.
    pub means: Means,
    /// `always`, or the hours in words.
    pub hours: String,
    /// Tags of languages; empty: not said.
    pub language: Vec<String>,
    /// What it costs, in words.
    pub cost: Option<String>,
    /// Contacts of the same pair are shown together or not at all.
    pub pair: Option<String>,
    /// Who saw that it is right.
    pub checked: Checked,
    /// Where it was read.
    pub source: Option<String>,
}

/// Kinds of contacts, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the word of the file says it")]
pub enum ContactKind {
    Emergency,
    Call,
    Text,
    Chat,
    Place,
    Team,
}

/// How a contact is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// It is called.
    Call(String),
    /// It gets a text message.
    Text {
        /// The number.
        to: String,
        /// The word to send.
        keyword: Option<String>,
    },
    /// A page. The program never opens it.
    Page(String),
    /// A place to go to.
    Address(String),
}

/// Who checked a contact, when and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The day.
    pub on: Day,
    /// A name.
    pub by: String,
    /// How.
    pub how: How,
}

/// How a contact was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the word of the file says it")]
pub enum How {
    Dialled,
    OfficialPage,
}

impl How {
    /// The words of the file.
    pub const ALL: [(&str, Self); 2] =
        [("dialled", Self::Dialled), ("official page", Self::OfficialPage)];

    /// Returns the word of the file.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, how)| *how == self).map_or("", |(word, _)| word)
    }
}

impl ContactKind {
    /// The words of the file.
    pub const ALL: [(&str, Self); 6] = [
        ("emergency", Self::Emergency),
        ("call", Self::Call),
        ("text", Self::Text),
        ("chat", Self::Chat),
        ("place", Self::Place),
        ("team", Self::Team),
    ];

    /// Returns the word of the file.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    /// Returns the keys of which a contact of this kind has one.
    const fn reached_by(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Emergency | Self::Call => (&["number"], "`number`"),
            Self::Text => (&["text_to"], "`text_to`"),
            Self::Chat => (&["url"], "`url`"),
            Self::Place => (&["address"], "`address`"),
            Self::Team => (&WAYS, "`number`, `text_to`, `url`, `address`"),
        }
    }
}

/// Keys that say how a contact is reached.
const WAYS: [&str; 4] = ["number", "text_to", "url", "address"];

/// Reads the contacts of a block, in the order in which they are shown.
pub(super) fn read(value: &Value<'_>) -> Result<Vec<Contact>, Fault> {
    let entries = value.list(1..=CONTACTS_MAX)?;
    let contacts = entries.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    if !contacts.iter().any(|contact| contact.kind == ContactKind::Emergency) {
        return Err(value.fault(HelpReason::NoEmergency.into()));
    }
    for (entry, contact) in entries.iter().zip(&contacts) {
        let Some(pair) = &contact.pair else { continue };
        if contacts.iter().filter(|other| other.pair.as_ref() == Some(pair)).count() < 2 {
            return Err(entry.fault(HelpReason::LonePair { pair: quoted(pair) }.into()));
        }
    }
    Ok(ordered(contacts))
}

/// Puts contacts into the order of their kinds; those of a pair follow its first.
fn ordered(mut contacts: Vec<Contact>) -> Vec<Contact> {
    contacts.sort_by_key(|contact| contact.kind);
    let mut ordered: Vec<Contact> = Vec::with_capacity(contacts.len());
    while !contacts.is_empty() {
        let first = contacts.remove(0);
        let pair = first.pair.clone();
        ordered.push(first);
        if pair.is_some() {
            ordered.extend(contacts.extract_if(.., |contact| contact.pair == pair));
        }
    }
    ordered
}

fn one(value: &Value<'_>) -> Result<Contact, Fault> {
    let table = value.table(&CONTACT)?;
    let kind = table.need("kind")?.one_of(&ContactKind::ALL)?;
    let name = filled(&table.need("name")?, LABEL)?;
    let means = means(&table, kind)?;
    let hours = filled(&table.need("hours")?, LABEL)?;
    let language = match table.get("language") {
        Some(value) => {
            let tags = value.list(0..=LANGUAGES_MAX)?;
            tags.iter().map(language).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let cost = table.get("cost").map(|v| filled(&v, LABEL)).transpose()?;
    let pair = table.get("pair").map(|v| filled(&v, LABEL)).transpose()?;
    let source = table.get("source").map(|v| filled(&v, LINE)).transpose()?;
    let checked = checked(&table, kind, &name)?;
    Ok(Contact { kind, name, means, hours, language, cost, pair, checked, source })
}

fn language(value: &Value<'_>) -> Result<String, Fault> {
    let text = filled(value, LABEL)?;
    if is_language(&text) {
        return Ok(text);
    }
    Err(value.fault(Reason::Language { value: quoted(&text) }))
}

fn means(table: &Table<'_>, kind: ContactKind) -> Result<Means, Fault> {
    let given: Vec<Value<'_>> = WAYS.iter().filter_map(|key| table.get(key)).collect();
    let (keys, wanted) = kind.reached_by();
    let wrong = || table.fault(HelpReason::Reached { kind: kind.as_str(), wanted }.into());
    let [way] = given[..] else { return Err(wrong()) };
    if !keys.contains(&way.key) {
        return Err(wrong());
    }
    let keyword = table.get("keyword");
    if let Some(keyword) = keyword.filter(|_| way.key != "text_to") {
        return Err(keyword.fault(HelpReason::KeywordAlone.into()));
    }
    Ok(match way.key {
        "number" => Means::Call(number(&way)?),
        "text_to" => {
            let keyword = keyword.map(|v| filled(&v, LABEL)).transpose()?;
            Means::Text { to: number(&way)?, keyword }
        }
        "url" => Means::Page(url(&way)?),
        _ => Means::Address(filled(&way, LABEL)?),
    })
}

fn number(value: &Value<'_>) -> Result<String, Fault> {
    let text = filled(value, LABEL)?;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = text.chars().all(|c| c.is_ascii_digit() || " +-()".contains(c));
    if is_number && DIGITS.contains(&digits) {
        return Ok(text);
    }
    Err(value.fault(HelpReason::PhoneNumber { key: value.key, value: quoted(&text) }.into()))
}

fn url(value: &Value<'_>) -> Result<String, Fault> {
    let text = filled(value, LABEL)?;
    let host = text.strip_prefix("https://").unwrap_or_default();
    if !host.is_empty()
        && !host.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Ok(text);
    }
    Err(value.fault(HelpReason::Url { value: quoted(&text) }.into()))
}

/// Reads who checked a contact; nothing, empty words and the template's words all say that nobody did.
fn checked(table: &Table<'_>, kind: ContactKind, name: &str) -> Result<Checked, Fault> {
    let nobody = || HelpReason::Unchecked { name: quoted(name) }.into();
    let Some(value) = table.get("checked") else { return Err(table.fault(nobody())) };
    let check = value.table(&CHECKED)?;
    let is_open = |v: &Value<'_>| v.raw().is_ok_and(|t| t.trim().is_empty() || t.contains('['));
    for key in CHECKED.keys {
        match check.get(key) {
            Some(given) if !is_open(&given) => {}
            _ => return Err(value.fault(nobody())),
        }
    }
    let how = check.need("how")?.one_of(&How::ALL)?;
    if kind == ContactKind::Emergency && how == How::Dialled {
        return Err(value.fault(HelpReason::EmergencyDialled { name: quoted(name) }.into()));
    }
    Ok(Checked { on: check.need("on")?.day()?, by: filled(&check.need("by")?, LABEL)?, how })
}
