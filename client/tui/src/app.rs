//! The state of the screen, what it is told, and what it asks for.

use std::collections::HashSet;

use zeroize::Zeroizing;

use crate::{
    compose::Composer,
    keys::Key,
    model::{Item, Look, Place, PlaceId, Scene, Text},
    over::Overlay,
    talk::Talk,
};

/// Milliseconds before hiding in which it is announced.
pub(crate) const ANNOUNCED: u64 = 60_000;
/// Remarks that are kept for the line above the composer.
const REMARKS_MAX: usize = 8;

/// Columns and rows that are drawn at most, because each cell costs memory.
const SIZE_MAX: (u16, u16) = (1000, 500);

/// Returns the part of a terminal that is drawn.
pub(crate) fn drawn_size(columns: u16, rows: u16) -> (u16, u16) {
    (columns.clamp(1, SIZE_MAX.0), rows.clamp(1, SIZE_MAX.1))
}

/// What a screen is told.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key.
    Key(Key),
    /// A pasted text.
    Paste(String),
    /// The terminal's size.
    Size(u16, u16),
    /// The time by the relay's clock, and that of a clock that nobody sets, both in milliseconds.
    Time {
        /// By the relay's clock.
        now: u64,
        /// Since anything.
        steady: u64,
    },
    /// The rooms and lanes.
    Places(Vec<Place>),
    /// Another place is shown, with nothing in it yet.
    Went(PlaceId),
    /// What is around the talk.
    Scene(Box<Scene>),
    /// Entries of the talk. They take the place of those that are there with the same number.
    Items(Vec<Item>),
    /// Earlier entries; none if there are no more.
    Earlier(Vec<Item>),
    /// Entries are no longer there.
    Gone(Vec<u64>),
    /// Something to tell, in a line.
    Remark(String),
    /// What a command answers.
    Text(Text),
    /// A person is asked before something is done.
    Asks {
        /// What is returned with the answer.
        token: u64,
        /// The question.
        words: String,
    },
    /// Questions go on: what is typed next answers.
    Fills {
        /// What is asked.
        words: String,
    },
    /// The questions are over.
    Filled,
    /// The numbers are shown.
    Help,
    /// A text comes back to who wrote it.
    GiveBack(String),
    /// It is locked; whether a passphrase opens it.
    Locked {
        /// Whether a passphrase opens it.
        passphrase: bool,
    },
    /// The passphrase was not that one.
    Refused(String),
    /// It is open again.
    Opened,
}

/// What a screen asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Say something here.
    Say(String),
    /// Run a command line, without its slash.
    Run(String),
    /// The answer to a question.
    Answer {
        /// Which.
        token: u64,
        /// Whether the person agrees.
        agrees: bool,
    },
    /// An answer to one of several questions.
    Fill(String),
    /// Tell those who moderate that this person asks for help.
    CallHelp(String),
    /// Show another place.
    Go(PlaceId),
    /// Read earlier entries.
    Earlier,
    /// Everything up to this place was seen.
    Seen(u64),
    /// Show the agreement, to be signed.
    ShowAgreement,
    /// Sign the agreement that was shown.
    Sign(String),
    /// Put a text on the clipboard.
    Copy(String),
    /// Keep an unfinished text.
    Keep(String),
    /// Hide and lock, and keep this unfinished text.
    Lock(String),
    /// Open again.
    Open(Zeroizing<String>),
    /// Stop the process until the shell continues it.
    Suspend,
    /// Draw everything again.
    Redraw,
    /// End; keep this unfinished text.
    Quit(String),
}

/// Where keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    /// To the line that is typed.
    #[default]
    Line,
    /// To what stands over the talk.
    Bands,
    /// To the rooms.
    Places,
    /// To what waits for this person.
    ForYou,
}

/// What the line that is typed is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// To be said here.
    #[default]
    Say,
    /// To go behind a command.
    Behind { label: String, command: String },
    /// To answer questions.
    Fill { words: String },
}

/// A lock.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    pub(crate) passphrase: bool,
    pub(crate) typed: Zeroizing<String>,
    pub(crate) told: String,
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    pub(crate) look: Look,
    pub(crate) size: (u16, u16),
    pub(crate) now: u64,
    pub(crate) steady: u64,
    pub(crate) touched: u64,
    /// Milliseconds without a key after which it hides; 0: never.
    pub(crate) idle: u64,
    pub(crate) places: Vec<Place>,
    pub(crate) here: Option<PlaceId>,
    pub(crate) scene: Scene,
    pub(crate) talk: Talk,
    pub(crate) line: Composer,
    /// The words for the room, while the line is for something else.
    pub(crate) aside: Option<String>,
    pub(crate) mode: Mode,
    pub(crate) focus: Focus,
    /// The chosen row of the pane that has the focus.
    pub(crate) chosen: usize,
    /// Bands that were put away.
    pub(crate) dismissed: HashSet<String>,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) remarks: Vec<String>,
    pub(crate) lock: Option<Lock>,
}

impl App {
    /// Begins with an empty screen, which hides after so many milliseconds without a key.
    pub fn new(look: Look, idle: u64) -> Self {
        Self {
            look,
            size: (80, 24),
            now: 0,
            steady: 0,
            touched: 0,
            idle,
            places: Vec::new(),
            here: None,
            scene: Scene::default(),
            talk: Talk::default(),
            line: Composer::default(),
            aside: None,
            mode: Mode::Say,
            focus: Focus::Line,
            chosen: 0,
            dismissed: HashSet::new(),
            overlay: None,
            remarks: Vec::new(),
            lock: None,
        }
    }

    /// Whether what is shown changes with time alone: a countdown, or the last minute before it hides.
    pub fn counts(&self) -> bool {
        self.lock.is_none()
            && (self.hides_in().is_some()
                || self
                    .scene
                    .bands
                    .iter()
                    .any(|band| band.until > self.now && band.text.contains("{left}")))
    }

    /// Returns the milliseconds until the time is to be told even if nothing happens.
    pub fn sleeps(&self) -> Option<u64> {
        if self.lock.is_some() || self.idle == 0 {
            return None;
        }
        let idle = self.steady.saturating_sub(self.touched);
        Some(self.idle.saturating_sub(ANNOUNCED).saturating_sub(idle).max(1))
    }

    /// Whether it is hidden.
    pub const fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Returns what is typed and was not sent.
    pub fn draft(&self) -> &str {
        match (&self.mode, &self.aside) {
            (Mode::Say, _) => self.line.text(),
            (_, Some(aside)) => aside,
            (_, None) => "",
        }
    }

    /// Returns the seconds until it hides, in the last minute.
    pub(crate) fn hides_in(&self) -> Option<u64> {
        let idle = self.steady.saturating_sub(self.touched);
        let left = self.idle.checked_sub(idle).filter(|_| self.idle > 0)?;
        (left <= ANNOUNCED).then_some(left.div_ceil(1000))
    }

    /// Returns what stands over the talk and was not put away.
    pub(crate) fn bands(&self) -> Vec<&crate::model::Band> {
        let ended = |until: u64| until > 0 && until <= self.now;
        let bands = self.scene.bands.iter();
        bands.filter(|band| !self.dismissed.contains(&band.key) && !ended(band.until)).collect()
    }

    pub(crate) fn remark(&mut self, text: String) {
        if self.remarks.len() == REMARKS_MAX {
            self.remarks.remove(0);
        }
        self.remarks.push(text);
    }
}
