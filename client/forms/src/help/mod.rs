//! Crisis contacts in an agreement: fenced `help` blocks, read, checked and shown. `docs/help.md`.

mod contact;
mod reason;
mod shown;
mod starter;

pub use contact::{Checked, Contact, ContactKind, How, Means};
pub use reason::HelpReason;
pub use shown::{HELP_COLUMNS, HELP_LINES_MAX, HELP_STALE_DAYS, HELP_UNTRUSTED_DAYS, plain_of};
pub use starter::starter;

use crate::fault::quoted;
use crate::file::{File, HELP, LABEL, LINE, Table, Value};
use crate::{Day, Fault, Reason};

/// Help blocks of one agreement, one for each country.
pub const BLOCKS_MAX: usize = 8;
/// Contacts of one block.
pub const CONTACTS_MAX: usize = 12;
/// Minutes after which a call for help that nobody has seen says so, while somebody is on duty: the least, the usual, the most.
pub const MINUTES_UNSEEN: (u32, u32, u32) = (2, 5, 15);
/// Entries of `present`.
const PRESENT_MAX: usize = 12;

const OPENING: &str = "```help";
const CLOSING: &str = "```";

/// The crisis contacts of one country, and what the facilitators say about their own times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Help {
    /// Two capital letters.
    pub country: String,
    /// See [`MINUTES_UNSEEN`].
    pub minutes_unseen: u32,
    /// Within what time a facilitator reads answers, in the facilitator's words.
    pub answers_read_within: Option<String>,
    /// Who is present when.
    pub present: Vec<String>,
    /// Where to complain.
    pub complaint: Option<String>,
    /// In the order in which they are shown: emergency, call, text, chat, place, team.
    pub contacts: Vec<Contact>,
}

impl Help {
    /// Reads all help blocks of an agreement; none if it has none.
    ///
    /// # Errors
    /// Names the first fault that is found, and its line in the agreement.
    pub fn read(agreement: &str) -> Result<Vec<Self>, Fault> {
        let mut read: Vec<Self> = Vec::new();
        if let Some((line, fence)) = misfenced(agreement) {
            let fence = quoted(fence);
            return Err(Fault { line, reason: HelpReason::Fence { fence }.into() });
        }
        for block in blocks_in(agreement) {
            let at = |reason: HelpReason| Fault { line: block.line, reason: reason.into() };
            if !block.closed {
                return Err(at(HelpReason::Unclosed));
            }
            if read.len() == BLOCKS_MAX {
                return Err(at(HelpReason::ManyBlocks { max: BLOCKS_MAX }));
            }
            let help = Self::parse(block.text).map_err(|fault| match fault.reason {
                Reason::Empty => at(HelpReason::EmptyBlock),
                reason => Fault { line: fault.line + block.line, reason },
            })?;
            if read.iter().any(|other| other.country == help.country) {
                return Err(at(HelpReason::SameCountry { country: help.country }));
            }
            read.push(help);
        }
        Ok(read)
    }

    /// Reads the help blocks of an agreement that another wrote, without those at fault: a number that can be shown is shown.
    pub fn read_leniently(agreement: &str) -> Vec<Self> {
        let blocks = blocks_in(agreement).take(BLOCKS_MAX);
        blocks.filter_map(|block| Self::parse(block.text).ok()).collect()
    }

    /// Reads the text of one block.
    ///
    /// # Errors
    /// Names the first fault that is found, and its line in the block.
    pub fn parse(block: &str) -> Result<Self, Fault> {
        let file = File::open(block.as_bytes())?;
        let toml = file.toml()?;
        let table = Table::new(&file, &toml, &HELP, 0)?;
        let country = country(&table.need("country")?)?;
        let (least, usual, most) = MINUTES_UNSEEN;
        let minutes = table.get("minutes_unseen").map(|v| v.whole(least..=most)).transpose()?;
        let answers = table.get("answers_read_within").map(|v| filled(&v, LABEL)).transpose()?;
        let present = match table.get("present") {
            Some(value) => {
                let entries = value.list(0..=PRESENT_MAX)?;
                entries.iter().map(|entry| filled(entry, LABEL)).collect::<Result<_, _>>()?
            }
            None => Vec::new(),
        };
        let complaint = table.get("complaint").map(|v| filled(&v, LINE)).transpose()?;
        let contacts = contact::read(&table.need("contact")?)?;
        let help = Self {
            country,
            minutes_unseen: minutes.unwrap_or(usual),
            answers_read_within: answers,
            present,
            complaint,
            contacts,
        };
        let lines = help.height(HELP_COLUMNS);
        if lines > HELP_LINES_MAX {
            return Err(table.fault(HelpReason::TooTall { lines, max: HELP_LINES_MAX }.into()));
        }
        Ok(help)
    }

    /// Names the first contact whose check lies in the future, which is a slip in the date.
    pub fn checked_later_than(&self, today: Day) -> Option<(&Contact, Day)> {
        // A day ahead may be today elsewhere.
        let later = |contact: &&Contact| contact.checked.on.0 > today.0.saturating_add(1);
        self.contacts.iter().find(later).map(|contact| (contact, contact.checked.on))
    }
}

/// Finds a line that was meant to begin a help block and does not.
fn misfenced(agreement: &str) -> Option<(usize, &str)> {
    let meant = |line: &str| {
        let word = line.trim_start_matches(['`', '~']);
        let marks = line.len() - word.len();
        marks >= 2 && word.trim().eq_ignore_ascii_case("help") && line != OPENING
    };
    let lines = (1usize..).zip(agreement.lines().map(str::trim));
    lines.into_iter().find(|(_, line)| meant(line))
}

/// A fenced block in an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'t> {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The byte behind that line.
    pub begins: usize,
    /// What stands between the fences.
    pub text: &'t str,
    /// Whether the second fence is there.
    pub closed: bool,
}

/// Finds the help blocks of an agreement.
pub fn blocks_in(agreement: &str) -> impl Iterator<Item = Block<'_>> {
    fenced(agreement, OPENING)
}

/// Finds the blocks of an agreement that begin with a line.
pub(crate) fn fenced<'t>(
    agreement: &'t str,
    opening: &'static str,
) -> impl Iterator<Item = Block<'t>> {
    let mut lines = (1usize..).zip(agreement.split_inclusive('\n'));
    let mut at = 0;
    std::iter::from_fn(move || {
        let (line, begins) = lines.by_ref().find_map(|(line, text)| {
            at += text.len();
            (text.trim() == opening).then_some((line, at))
        })?;
        let mut ends = at;
        let closed = lines.by_ref().any(|(_, text)| {
            ends = at;
            at += text.len();
            text.trim() == CLOSING
        });
        let ends = if closed { ends } else { agreement.len() };
        Some(Block { line, begins, text: agreement.get(begins..ends)?, closed })
    })
}

fn country(value: &Value<'_>) -> Result<String, Fault> {
    let text = filled(value, LABEL)?;
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_code {
        return Ok(text);
    }
    Err(value.fault(HelpReason::Country { value: quoted(&text) }.into()))
}

/// Reads a text in which no bracket of the template stands any more.
fn filled(value: &Value<'_>, limit: crate::words::Limit) -> Result<String, Fault> {
    let text = value.text(limit)?;
    if text.contains(['[', ']']) {
        let reason = HelpReason::ToFillIn { key: value.key, value: quoted(&text) };
        return Err(value.fault(reason.into()));
    }
    Ok(text)
}
