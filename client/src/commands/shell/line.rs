//! A line that a person types, in a chat or on a full screen: what it is meant as.

use hearth_engine::{EngineError, policy::RuleError};

use super::{
    super::{
        agreement,
        chat::arguments,
        room::{Entry, InRoom},
        slip,
    },
    Result, Shell,
    to::{self, To},
};
use crate::failure::Failure;

/// What words without a slash are meant as.
pub(in crate::commands) enum Meant {
    /// Words that sign, while a version of the agreement waits to be signed.
    Signs,
    /// For a lane, or for nobody.
    To(To),
    /// Somebody asks for help, perhaps a person.
    Help,
    /// A command without its slash, perhaps.
    Command(String),
    /// Words to the room.
    Words,
}

/// What a line with a slash comes to.
pub(in crate::commands) enum Typed {
    /// A command in the room.
    Command(Box<InRoom>),
    /// A command that the shell does by itself, with what follows its word.
    Own(&'static Entry, String),
    /// Nothing: this is why.
    Slip(String),
    /// Nothing that this member may do.
    Refused(Failure),
}

impl Shell {
    /// Returns what words to the room may be meant as instead.
    pub(in crate::commands) async fn meant(&self, text: &str) -> Result<Meant> {
        let view = self.view();
        if agreement::is_acknowledged(text) && view.coming.is_some() {
            return Ok(Meant::Signs);
        }
        if let Some(to) = to::addressed(&view, text) {
            return Ok(Meant::To(to));
        }
        if slip::asks_for_help(text) {
            return Ok(Meant::Help);
        }
        if self.is_mood(text).await? {
            return Ok(Meant::Command(format!("mood {text}")));
        }
        let names = || view.roster.iter().map(|leaf| leaf.name.clone()).collect();
        Ok(slip::meant(text, names).map_or(Meant::Words, Meant::Command))
    }

    /// Resolves a command line, without its slash.
    pub(in crate::commands) fn typed(&self, line: &str) -> Typed {
        let line = line.trim();
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        // A chat takes room commands only, even if the command line has another of that name.
        let Some(entry) = slip::find(&word) else {
            return Typed::Slip(self.out.advice(&slip::unknown(&word)));
        };
        let rest = line.get(word.len()..).unwrap_or_default();
        if slip::is_of_chat_alone(entry) {
            return Typed::Own(entry, rest.trim().to_owned());
        }
        let mut words = vec![word.clone(), self.room.clone()];
        words.extend(arguments(&word, rest));
        match slip::parse(words) {
            Ok(command) => Typed::Command(Box::new(command)),
            Err(error) => {
                let role = self.view().role();
                // What would help with the command helps nobody who may not use it.
                if !error.use_stderr() || role.is_none_or(|role| entry.who.includes(role)) {
                    Typed::Slip(self.out.advice(&slip::wrong(entry, &error)))
                } else {
                    Typed::Refused(EngineError::Rule(RuleError::NotFacilitator).into())
                }
            }
        }
    }
}
