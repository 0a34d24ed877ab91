//! How a command fails: what failed, what to try next, a code for programs, and the exit code.

mod device;
mod engine;
mod relay;

use std::borrow::Cow;

use hearth_protocol::Millis;
use serde_json::{Value, json};

use crate::{
    advice,
    show::{self},
};

pub(crate) use self::{
    device::io_words,
    engine::{DECLINED, clock_wrong, not_inside, text_missing},
    relay::kept_until,
};

/// Exit codes of `hearth`; the contract of the command line.
pub mod exit {
    /// Anything not named below.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// A rule forbids it.
    pub const REFUSED: u8 = 3;
    /// The relay cannot be reached.
    pub const UNREACHABLE: u8 = 4;
    /// Something lied.
    pub const LIED: u8 = 5;
}

/// Why a command failed, for people and programs.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The word in JSON.
    pub code: Cow<'static, str>,
    /// What failed, in one line.
    pub message: String,
    /// What to try next, in one line.
    pub advice: String,
    /// The process's exit code.
    pub exit: u8,
    /// When it can be tried again.
    pub retry_at: Option<Millis>,
    /// Whether what was written waits in the outbox.
    pub kept: bool,
    /// Whether it was shown already to the person who is there.
    pub told: bool,
}

impl Failure {
    /// Makes one.
    pub fn new(
        exit: u8,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            advice: advice.into(),
            exit,
            retry_at: None,
            kept: false,
            told: false,
        }
    }

    /// Makes one of wrong usage.
    pub fn usage(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(exit::USAGE, "usage", message, advice)
    }

    /// Names the room in the commands of the advice.
    #[must_use]
    pub fn in_room(self, room: &str) -> Self {
        Self { advice: advice::in_room(&self.advice, room), ..self }
    }

    /// Repeats the flags that say which profile it is in the commands of the advice.
    #[must_use]
    pub fn with_flags(self, flags: &str) -> Self {
        Self { advice: advice::with_flags(&self.advice, flags), ..self }
    }

    /// Returns the JSON object of the contract.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "error": self.code,
            "message": self.message,
            "try": self.advice,
        });
        if let Some(at) = self.retry_at {
            object["retry_at"] = json!(show::rfc3339(at));
        }
        if self.kept {
            object["kept"] = json!(true);
        }
        object
    }

    /// Returns the two lines that people read.
    pub fn to_text(&self) -> String {
        format!("hearth: {}\n  {}", self.message, self.advice)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use hearth_engine::{
        EngineError,
        accord::Reason,
        agreement::AckError,
        mls::MlsError,
        policy::RuleError,
        profile::{ProfileError, ProfileFile},
    };
    use hearth_protocol::RejectCode;
    use hearth_session::{connection::ConnectError, live::LiveError};

    use super::{
        relay::{HELD, refused},
        *,
    };

    /// Whose fault it is, and what helps: a stranger's bad bytes are no damage of the reader's own profile.
    #[test]
    fn strangers_fault_is_not_the_readers() {
        for (error, whose) in [
            (EngineError::Mls(MlsError::BadKeyPackage), "decline"),
            (EngineError::BadKnock("its content is malformed"), "decline"),
            (EngineError::BadWelcome, "your device is sound"),
            (EngineError::Acknowledgement(AckError::Future), "clock"),
            (EngineError::Rule(RuleError::NotAcknowledged(AckError::Future)), "clock"),
            (EngineError::Acknowledgement(AckError::BadSignature), "signed it is at fault"),
        ] {
            let failure = Failure::from(error);
            let told = format!("{} {}", failure.message, failure.advice);
            assert!(told.contains(whose), "{told}");
            for own in ["profile check", "damaged or in the way", "expired"] {
                assert!(!told.contains(own), "{told}");
            }
        }
    }

    #[test]
    fn held_words_go_out_by_command() {
        for code in [
            RejectCode::TooLong,
            RejectCode::Observer,
            RejectCode::IdConflict,
            RejectCode::Paused,
            RejectCode::TimedOut,
            RejectCode::Closed,
            RejectCode::BudgetSpent,
            RejectCode::QuotaSpent,
        ] {
            for reason in [Reason::Recorded, Reason::Unrecorded] {
                let failure = refused(code, None, true, reason);
                assert!(failure.advice.starts_with(HELD), "{}", failure.advice);
                assert!(!failure.advice.contains("go out with"), "{}", failure.advice);
            }
        }
    }

    #[test]
    fn amendment_race_names_next_commands() {
        let failure = Failure::from(EngineError::Rule(RuleError::NotNextVersion));
        assert!(failure.message.contains("another amendment"), "{}", failure.message);
        for command in ["`hearth agreement diff ROOM`", "`hearth agreement amend ROOM FILE`"] {
            assert!(failure.advice.contains(command), "{}", failure.advice);
        }
    }

    #[test]
    fn rate_limited_words_are_said_kept() {
        let code = RejectCode::RateLimited;
        let kept = refused(code, Some(Millis(1_000)), true, Reason::Recorded);
        assert!(kept.advice.starts_with("Your words are kept"), "{}", kept.advice);
        let unsent = refused(code, None, false, Reason::Recorded);
        assert!(unsent.advice.starts_with("Nothing was sent"), "{}", unsent.advice);
    }

    #[test]
    fn observers_words_are_not_said_sent() {
        for reason in [Reason::Recorded, Reason::Unrecorded] {
            let advice = refused(RejectCode::Observer, None, true, reason).advice;
            assert!(advice.contains("stay in your outbox"), "{advice}");
            assert!(!advice.contains("go out"), "{advice}");
        }
    }

    #[test]
    fn damaged_profile_advice_can_be_done() {
        for file in [ProfileFile::Database, ProfileFile::Profile, ProfileFile::Key] {
            let advice = Failure::from(ProfileError::Damaged(file)).advice;
            assert!(!advice.contains("backup"), "{advice}");
            for words in ["folder away", "remove you", "new invite"] {
                assert!(advice.contains(words), "{words}: {advice}");
            }
        }
    }

    #[test]
    fn no_operating_system_speaks() {
        for number in 1..133 {
            let error = io::Error::from_raw_os_error(number);
            let shown = [
                io_words(&error),
                LiveError::Connect(ConnectError::Unreachable(error)).to_string(),
            ];
            assert!(shown.iter().all(|text| !text.contains("os error")), "{shown:?}");
        }
        let library = io::Error::new(io::ErrorKind::UnexpectedEof, "see https://docs.rs/rustls");
        assert!(!ConnectError::Unreachable(library).to_string().contains("http"));
    }
}
