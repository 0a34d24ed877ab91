//! What the page asks for, as JSON.

use hearth_tui::{Effect, PlaceId};
use serde::Deserialize;

/// Something that the page does. Names are those of [`Effect`]; the rest is the page's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Act {
    Say(String),
    Run(String),
    Answer {
        token: u64,
        agrees: bool,
    },
    Fill(String),
    CallHelp(String),
    Go(u64),
    Earlier,
    Seen(u64),
    ShowAgreement,
    Sign(String),
    Keep(String),
    Lock(String),
    Quit(String),
    /// Somebody is there.
    Awake,
    /// The receipt of the room that is shown.
    Receipt,
    /// The course of a member, or, if empty, of this person or of everybody.
    Course(String),
    /// Join another room.
    JoinBegin,
    /// Read the agreement behind a link.
    JoinLook(String),
    /// Take another link.
    JoinAgain,
    /// Go back to the rooms.
    JoinLeave,
    /// Sign the agreement that was read, and knock.
    JoinKnock {
        name: String,
        words: String,
        answers: Vec<String>,
    },
}

impl Act {
    /// Whether a person did it, and not the page by itself.
    pub(super) const fn is_of_a_person(&self) -> bool {
        !matches!(self, Self::Seen(_) | Self::Keep(_))
    }

    /// Returns what the host does for it; `None` if that is the page's own.
    pub(super) fn effect(self) -> Option<Effect> {
        Some(match self {
            Self::Say(text) => Effect::Say(text),
            Self::Run(line) => Effect::Run(line),
            Self::Answer { token, agrees } => Effect::Answer { token, agrees },
            Self::Fill(text) => Effect::Fill(text),
            Self::CallHelp(words) => Effect::CallHelp(words),
            Self::Go(place) => Effect::Go(PlaceId(place)),
            Self::Earlier => Effect::Earlier,
            Self::Seen(place) => Effect::Seen(place),
            Self::ShowAgreement => Effect::ShowAgreement,
            Self::Sign(typed) => Effect::Sign(typed),
            Self::Keep(text) => Effect::Keep(text),
            _ => return None,
        })
    }
}
