//! How a command fails: what failed, what to try next, a code for programs, and the exit code.

use std::{borrow::Cow, io};

use hearth_console::line::AskError;
use hearth_engine::{
    EngineError,
    accord::Reason,
    agreement::AckError,
    clock::Moment,
    content::ContentError,
    gate::Refusal,
    mls::MlsError,
    policy::RuleError,
    profile::{ProfileError, ProfileFile},
    state::Standing,
    store::StoreError,
};
use hearth_protocol::{Millis, RejectCode, invite::LinkError};
use hearth_session::{
    client,
    connection::{ConnectError, RequestError, network_words, refusal_words},
    live::LiveError,
};
use hearth_text::{
    escape::{TextError, one_line},
    name::NameError,
};
use serde_json::{Value, json};

use crate::{
    advice,
    show::{self, OutputLost},
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

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        Self::from(&error)
    }
}

impl From<&LiveError> for Failure {
    fn from(error: &LiveError) -> Self {
        match error {
            LiveError::Engine(error) => error.into(),
            LiveError::Connect(error) => error.into(),
            LiveError::Lost(error) => {
                Self::new(error.exit_code(), "connection_lost", error.to_string(), error.advice())
            }
            LiveError::Request(RequestError::Rejected { code, retry_at }) => {
                refused(*code, *retry_at, false, Reason::Unknown)
            }
            LiveError::Request(error) => Self::new(
                exit::UNREACHABLE,
                "no_answer",
                error.to_string(),
                "Check your network and try again; nothing that you wrote is lost.",
            ),
            LiveError::Unanswered(_) => Self::new(
                exit::UNREACHABLE,
                "no_answer",
                error.to_string(),
                "`hearth log ROOM` shows what was done, `hearth who ROOM` who is in the room; what was not done yet goes out with that. If neither shows it, run the same command again.",
            ),
            LiveError::Refused { code, retry_at, kept, reason } => {
                refused(*code, *retry_at, *kept, *reason)
            }
            LiveError::UnexpectedReply => Self::new(
                exit::LIED,
                "bad_reply",
                error.to_string(),
                "Update hearth; if it stays, tell the operator of the relay.",
            ),
            LiveError::Withheld(_) => Self::new(
                exit::LIED,
                "withheld",
                error.to_string(),
                "Try again; if it stays, ask a facilitator by another way what you are missing.",
            ),
            LiveError::SaidGone => Self::new(
                exit::LIED,
                "said_gone",
                error.to_string(),
                "Ask a facilitator by another way; your history stays on this device.",
            ),
            LiveError::NotInside(standing) => not_inside(standing),
            LiveError::KnockForgotten => Self::new(
                exit::REFUSED,
                "knock_forgotten",
                error.to_string(),
                "Knock again with `hearth join`; if the invite is spent or over, ask a facilitator for another.",
            ),
            LiveError::WelcomeGone => Self::new(
                exit::REFUSED,
                "welcome_gone",
                error.to_string(),
                "Ask a facilitator to remove you from the room, then join by a new invite.",
            ),
            LiveError::TooManyRaces => Self::new(
                exit::FAILED,
                "busy",
                error.to_string(),
                "Try again in a moment; nothing that you wrote is lost.",
            ),
            LiveError::OutputClosed => Self::new(
                exit::FAILED,
                "output_closed",
                error.to_string(),
                "Nothing is lost; `hearth read ROOM` shows it.",
            ),
            LiveError::LeftBehind => Self {
                kept: true,
                ..Self::new(
                    exit::LIED,
                    "left_behind",
                    error.to_string(),
                    "What you wrote waits in the outbox. Ask the others by another way whether they can speak. If they can, a facilitator removes you, and you join by a new invite, with your history. If nobody can, somebody made the change up: one facilitator runs `hearth recover ROOM`, which takes the room back to where they are.",
                )
            },
            LiveError::EpochUsedUp => Self {
                kept: true,
                ..Self::new(
                    exit::FAILED,
                    "epoch_used_up",
                    error.to_string(),
                    kept_until(true, Some("a facilitator's next command")),
                )
            },
            LiveError::NothingToRecover => Self::new(
                exit::REFUSED,
                "nothing_to_recover",
                error.to_string(),
                "`hearth read ROOM` shows what is new.",
            ),
            LiveError::EpochTakenBack => Self {
                kept: true,
                ..Self::new(
                    exit::LIED,
                    "epoch_taken_back",
                    error.to_string(),
                    "What you wrote waits in the outbox. A facilitator opens the room again with `hearth restore-rules ROOM`.",
                )
            },
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::from(&error)
    }
}

impl From<&ConnectError> for Failure {
    fn from(error: &ConnectError) -> Self {
        Self::new(error.exit_code(), error.code(), error.to_string(), error.advice())
    }
}

const MAKE_FACILITATOR: &str =
    "Make somebody else facilitator first: `hearth role ROOM NAME facilitator`.";

/// Why a member who is not in a room cannot do what is done inside.
pub(crate) fn not_inside(standing: &Standing) -> Failure {
    if let Standing::Declined { words, by: Some(_) } = standing
        && !words.is_empty()
    {
        let message = format!("the facilitator declined your knock: {}", one_line(words));
        let advice = "Only you learn of it. Ask the person who invited you.";
        return Failure::new(exit::REFUSED, "not_member", message, advice);
    }
    let (message, advice) = match standing {
        Standing::Knocking => {
            ("you wait to be admitted", "Wait for a facilitator; then use the same command again.")
        }
        Standing::Declined { by: Some(_), .. } => {
            ("your knock was declined", "Ask the facilitator who invited you.")
        }
        Standing::Declined { by: None, .. } => (
            "the relay says that your knock was declined, and no facilitator's signature says so",
            "Ask the facilitator who invited you, by another way.",
        ),
        Standing::Lapsed => (
            "the agreement changed, and waits for your acknowledgement",
            "Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`.",
        ),
        Standing::Left => ("you left this room", "Ask for a new invite if you want to come back."),
        Standing::Removed(_) => ("you were removed from this room", "Ask a facilitator."),
        Standing::Member => ("the relay does not know you in this room", "Ask a facilitator."),
        Standing::Opening(_) => (
            "the relay has not opened this room yet",
            "What you wrote waits. Repeat the same command with the same grant: `hearth room create TITLE --agreement FILE --as NAME`; or give it up with `hearth room wipe ROOM`.",
        ),
    };
    let code = if *standing == Standing::Lapsed { "not_acknowledged" } else { "not_member" };
    let kept = matches!(standing, Standing::Opening(_));
    Failure { kept, ..Failure::new(exit::REFUSED, code, message, advice) }
}

/// Says what becomes of words that cannot go out now: the one rule for every reason that ends by itself or by somebody's act.
pub(crate) fn kept_until(kept: bool, end: Option<&str>) -> String {
    let after = end.map(|end| format!(" after {end}")).unwrap_or_default();
    match kept {
        true => format!("Your words are kept and go out with your next message or command{after}."),
        false => format!("Nothing was sent; repeat it{after}."),
    }
}

/// Returns what happened, what ends it, and what else helps, for a refusal that passes.
fn waits(
    code: RejectCode,
    until: &str,
    reason: Reason,
) -> Option<(String, Option<&'static str>, &'static str)> {
    let that = (!until.is_empty()).then_some("that");
    Some(match code {
        RejectCode::Paused => {
            (format!("the room is paused{until}"), Some("the pause"), " You can read meanwhile.")
        }
        RejectCode::TimedOut if reason != Reason::Recorded => (
            format!("the relay refuses your posts{until}"),
            that,
            " `hearth read ROOM` shows whether a facilitator says why.",
        ),
        RejectCode::TimedOut => (
            format!("a facilitator asks you to rest{until}"),
            Some("the time-out"),
            " You can read meanwhile; the others do not see who is in a time-out.",
        ),
        RejectCode::Closed => {
            (format!("the room is closed{until}"), Some("the opening"), " You can read meanwhile.")
        }
        RejectCode::SlowMode => (
            format!("slow mode: your next post can go out{}", until.replace(" until", " at")),
            that,
            "",
        ),
        RejectCode::BudgetSpent => (format!("your posts of the day are spent{until}"), that, ""),
        RejectCode::QuotaSpent => {
            (format!("{}{until}", refusal_words(code)), Some("older messages have expired"), "")
        }
        RejectCode::RateLimited => (format!("too many requests{until}"), that, ""),
        RejectCode::StoreUnavailable => (
            "the relay cannot store anything now".into(),
            None,
            " If it stays, tell the relay's operator.",
        ),
        _ => return None,
    })
}

/// What becomes of words that nothing sends but their author.
const HELD: &str = "Your words stay in your outbox: `hearth outbox ROOM` lists them, sends them with --send ID, and drops them with --drop ID.";

fn refused(code: RejectCode, retry_at: Option<Millis>, kept: bool, reason: Reason) -> Failure {
    let until = retry_at.map(|at| format!(" until {}", show::clock(at))).unwrap_or_default();
    let held = kept && code.holds_text();
    if reason == Reason::Unrecorded {
        let words = refusal_words(code);
        let message =
            format!("the relay refuses your posts{until} ({words}), and no record says why");
        let kept_words = match held {
            true => HELD.to_owned(),
            false => kept_until(kept, (!until.is_empty()).then_some("that")),
        };
        let advice = format!(
            "{kept_words} Tell a facilitator by another way: they run `hearth restore-rules ROOM`."
        );
        return Failure {
            retry_at,
            kept,
            ..Failure::new(exit::LIED, code.as_str(), message, advice)
        };
    }
    if let Some((message, end, more)) = waits(code, &until, reason) {
        let advice = match held {
            true => {
                let end = end.unwrap_or("that");
                format!("{HELD} They do not go out by themselves after {end}.{more}")
            }
            false => format!("{}{more}", kept_until(kept, end)),
        };
        let exit = match code {
            RejectCode::StoreUnavailable => exit::UNREACHABLE,
            _ => exit::REFUSED,
        };
        return Failure { retry_at, kept, ..Failure::new(exit, code.as_str(), message, advice) };
    }
    let (message, advice): (String, &str) = match code {
        RejectCode::TooLong if kept => {
            ("a message in your outbox is longer than the room allows".into(), "")
        }
        RejectCode::TooLong => {
            ("the message is longer than the room allows".into(), "Send it in shorter parts.")
        }
        RejectCode::Observer => ("observers read, and do not post".into(), "Ask a facilitator."),
        RejectCode::Locked => (
            "the room is locked: nobody is admitted".into(),
            "Ask the facilitator who invited you, or try later.",
        ),
        RejectCode::InviteUsed => (
            "the invite was used already".into(),
            "Ask the facilitator for a new one; if it was not you who used it, say so.",
        ),
        RejectCode::InviteExpired => {
            ("the invite has expired".into(), "Ask the facilitator for a new one.")
        }
        RejectCode::InviteInvalid => (
            "the relay does not know this invite".into(),
            "It may have been voided: ask the facilitator for a new one.",
        ),
        RejectCode::GrantInvalid => (
            "the grant is unknown, spent or expired".into(),
            "If it was you who used it, `hearth room list` shows the room. Otherwise ask the relay's operator for a new one (`hearthd grant`).",
        ),
        RejectCode::NotAcknowledged => (
            "no acknowledgement of the current agreement".into(),
            "Ask the facilitator for a new invite, and read its agreement.",
        ),
        RejectCode::NotFacilitator => {
            ("only a facilitator may do that".into(), "Ask a facilitator.")
        }
        RejectCode::NotMember => (
            "the relay does not know you in this room".into(),
            "Ask a facilitator whether you are still in it.",
        ),
        RejectCode::LastFacilitator => {
            ("the room would be left without a facilitator".into(), MAKE_FACILITATOR)
        }
        RejectCode::RoomFull => (
            "the room is full".into(),
            "Remove unused invites or knocks, or ask the relay's operator for a larger grant.",
        ),
        RejectCode::DoorBusy => (
            "the room's door is busy: as many people wait there as it holds".into(),
            "Your invite stays good. Join again in some hours, or ask the facilitator to answer those who wait.",
        ),
        RejectCode::Unsupported => (
            "the relay is of an earlier version and does not know this".into(),
            "Ask the operator of the relay to update hearthd.",
        ),
        RejectCode::NotFound => {
            ("it is no longer there".into(), "Look again; somebody may have been faster.")
        }
        RejectCode::StateChanged => {
            ("the room changed meanwhile".into(), "Look again, then repeat the command.")
        }
        RejectCode::ShuttingDown => (
            "the relay is stopping".into(),
            "Try again in a minute; nothing that you wrote is lost.",
        ),
        other => (
            refusal_words(other).into(),
            "Update hearth; if it stays, tell the operator of the relay.",
        ),
    };
    let advice = if held { HELD } else { advice };
    let exit = match code {
        RejectCode::ShuttingDown => exit::UNREACHABLE,
        RejectCode::BadFrame
        | RejectCode::BadVersion
        | RejectCode::BadSignature
        | RejectCode::BadPayload
        | RejectCode::Unsupported => exit::FAILED,
        _ => exit::REFUSED,
    };
    Failure { retry_at, kept, ..Failure::new(exit, code.as_str(), message, advice) }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::from(&error)
    }
}

impl From<&EngineError> for Failure {
    fn from(error: &EngineError) -> Self {
        let message = error.to_string();
        if error.is_verification_failure() {
            let advice = match error {
                EngineError::HistoryBackwards(_) | EngineError::StreamChanged => {
                    "Nothing was merged and nothing is lost here. Tell a facilitator: the operator restored a backup (then run `hearth recover ROOM`), or the relay lies."
                }
                EngineError::BadPreview => {
                    "Nothing was signed. Ask the facilitator for a new invite by another way."
                }
                EngineError::BadWelcome => {
                    "You are not in the room, and your device is sound. Update hearth, and ask the facilitator to do the same, to remove you, and to invite you again."
                }
                EngineError::BadKnock(_) => {
                    "The knocker's program is at fault, and nothing of yours: `hearth decline ROOM ID`, then give them a new invite."
                }
                EngineError::BadReceipt(_) => "Ask for the receipt again; do not rely on this one.",
                EngineError::Split(_) => {
                    "Nothing goes out; what you wrote waits in your outbox. Compare `hearth verify ROOM` with a facilitator by another way: the same digits, then `hearth recover ROOM`; others, then they remove you, and you join by a new invite."
                }
                _ => "Nothing was accepted. Tell a facilitator by another way.",
            };
            let kept = matches!(error, EngineError::Split(_));
            return Self { kept, ..Self::new(exit::LIED, "verification_failed", message, advice) };
        }
        match error {
            EngineError::Rule(rule) | EngineError::Refused(Refusal::Rule(rule)) => {
                rule_failure(rule)
            }
            EngineError::Acknowledgement(ack) => ack_failure(*ack, message),
            EngineError::NotMember(_) => {
                let (code, advice) = if message.contains("acknowledgement") {
                    (
                        "not_acknowledged",
                        "Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`.",
                    )
                } else {
                    ("not_member", "`hearth room list` shows your rooms and where you stand.")
                };
                Self::new(exit::REFUSED, code, message, advice)
            }
            EngineError::AgreementMismatch => Self::new(
                exit::REFUSED,
                "not_acknowledged",
                message,
                "Read it with `hearth agreement show ROOM`, and give the id that it prints.",
            ),
            EngineError::NoText => Self::new(
                exit::REFUSED,
                "agreement_missing",
                message,
                "Another facilitator's next command sends it, or puts the version in force; otherwise `hearth agreement withdraw ROOM`, then `hearth agreement amend ROOM FILE --material`.",
            ),
            EngineError::NameTaken | EngineError::Refused(Refusal::NameConfusable) => Self::new(
                exit::REFUSED,
                "name_taken",
                "that name looks like the name of somebody in the room",
                "The knocker joins again under another name (`--as`); decline this knock with `hearth decline ROOM ID`.",
            ),
            EngineError::NotVouched(names) => {
                let names: Vec<String> = names.iter().map(|name| one_line(name)).collect();
                let advice = match names.as_slice() {
                    [] => "`hearth decline ROOM ID`, then give them a new invite of yours.".into(),
                    names => format!(
                        "{} can admit them; or `hearth decline ROOM ID`, and give them a new invite of yours.",
                        names.join(" or ")
                    ),
                };
                Self::new(exit::REFUSED, "not_vouched", message, advice)
            }
            EngineError::NoSuchMember(_) => Self::new(
                exit::USAGE,
                "no_such_member",
                message,
                "`hearth who ROOM` lists names and ids.",
            ),
            EngineError::Ambiguous(_) => {
                Self::new(exit::USAGE, "ambiguous", message, "Give the id, or more of it.")
            }
            EngineError::SeveralMessages { .. } => Self::new(
                exit::USAGE,
                "ambiguous",
                message,
                "Give the number of one of them in place of the id.",
            ),
            EngineError::NoSuchMessage(_) => Self::new(
                exit::USAGE,
                "no_such_message",
                message,
                "`hearth read ROOM --all` shows ids in brackets.",
            ),
            EngineError::NotAuthor => {
                Self::new(exit::REFUSED, "not_author", message, "Ask a facilitator to retract it.")
            }
            EngineError::TooLong { .. } | EngineError::Content(ContentError::TooLong) => Self::new(
                exit::REFUSED,
                "too_long",
                message,
                "Nothing was sent; send it in shorter parts.",
            ),
            EngineError::OutboxFull => Self::new(
                exit::REFUSED,
                "outbox_full",
                message,
                "This one was not kept. They go out with the next command that reaches the relay, \
                 for example `hearth read ROOM`.",
            ),
            EngineError::Busy => Self::new(
                exit::FAILED,
                "busy",
                message,
                "Repeat the command; it looks again and goes on.",
            ),
            EngineError::Mls(MlsError::BadKeyPackage) => Self::new(
                exit::REFUSED,
                "bad_knock",
                message,
                "Nothing of yours is damaged. `hearth decline ROOM ID`; they update hearth, and join by a new invite.",
            ),
            EngineError::Store(error) => error.into(),
            EngineError::Mls(MlsError::Clock) => Self::new(
                exit::FAILED,
                "clock_wrong",
                message,
                "Set the clock, then repeat the command; nothing was changed.",
            ),
            EngineError::Random => Self::new(
                exit::FAILED,
                "no_random",
                message,
                "Restart the computer; if it stays, it must not be used for this.",
            ),
            _ => Self::new(
                exit::FAILED,
                "failed",
                message,
                "`hearth profile check` looks for damage; ask for help with this line.",
            ),
        }
    }
}

fn rule_failure(rule: &RuleError) -> Failure {
    let (code, advice) = match rule {
        RuleError::NotFacilitator => ("not_facilitator", "Ask a facilitator."),
        RuleError::LastFacilitator => ("last_facilitator", MAKE_FACILITATOR),
        RuleError::Locked => {
            ("locked_room", "A facilitator unlocks it with `hearth lock ROOM off`.")
        }
        RuleError::NotAcknowledged(ack) => (ack_code(*ack), ack_advice(*ack)),
        RuleError::NoSuchMember => ("no_such_member", "`hearth who ROOM` lists the members."),
        RuleError::AlreadyMember => ("already_member", "`hearth who ROOM` lists the members."),
        RuleError::Full(_) => (
            "room_full",
            "Found a second room, or, for more than 100 people, one with `--suite x25519`.",
        ),
        RuleError::TooManyRoles => (
            "too_many_roles",
            "Make somebody a plain member first: `hearth role ROOM NAME member`.",
        ),
        RuleError::TooLong => ("too_long", "Use fewer words."),
        RuleError::NotNextVersion => (
            "amended_meanwhile",
            "`hearth agreement diff ROOM` shows the other one. Then amend again: `hearth agreement amend ROOM FILE`.",
        ),
        RuleError::OutOfRange => ("out_of_range", "`hearth help COMMAND` says what is allowed."),
        RuleError::Nothing => ("nothing_to_change", "`hearth status ROOM` shows what is in force."),
        _ => ("refused", "Repeat the command; if it stays, ask for help with this line."),
    };
    Failure::new(exit::REFUSED, code, rule.to_string(), advice)
}

fn ack_failure(ack: AckError, message: String) -> Failure {
    Failure::new(exit::REFUSED, ack_code(ack), message, ack_advice(ack))
}

const fn ack_code(ack: AckError) -> &'static str {
    match ack {
        AckError::Expired => "acknowledgement_expired",
        AckError::Future => "clock_wrong",
        _ => "not_acknowledged",
    }
}

const fn ack_advice(ack: AckError) -> &'static str {
    match ack {
        AckError::Future => {
            "The person who signed it sets their computer's clock and knocks again; if their clock is right, set yours."
        }
        AckError::TooLasting | AckError::Malformed | AckError::BadSignature => {
            "The program of the person who signed it is at fault: they update hearth, and join by a new invite."
        }
        _ => "The person needs a new invite, and to read and acknowledge its agreement.",
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        let profile = match error {
            StoreError::Damaged(_) | StoreError::DamagedFile(_) => {
                ProfileError::Damaged(ProfileFile::Database)
            }
            StoreError::WentBack => ProfileError::WentBack,
            StoreError::NewerVersion(version) => ProfileError::NewerVersion(*version),
            StoreError::OlderVersion(version) => ProfileError::OlderVersion(*version),
            StoreError::ReadOnly(_) => ProfileError::ReadOnly,
            StoreError::DiskFull(_) => ProfileError::DiskFull,
            StoreError::Randomness => ProfileError::Randomness,
            StoreError::DiskFailed(_) => {
                return Self::new(exit::FAILED, "disk_failed", error.to_string(), DISK_FAILED);
            }
            StoreError::OldSqlite(_) | StoreError::Nested | StoreError::Sqlite(_) => {
                return Self::new(exit::FAILED, "profile", error.to_string(), PROFILE_FAILED);
            }
        };
        profile.into()
    }
}

/// Advice where a disk fails.
const DISK_FAILED: &str =
    "Check the disk. Look at the room and your outbox before you repeat what you did.";
/// Advice where nothing better is known.
const PROFILE_FAILED: &str = "Check the folder given with --home; nothing was changed.";

impl From<client::AskError> for Failure {
    fn from(error: client::AskError) -> Self {
        use client::AskError as Ask;
        let message = error.to_string();
        match error {
            Ask::NeedsConsent(_) => Self::usage(message, "Repeat it with --yes."),
            Ask::Text(error) => error.into(),
            Ask::Unreachable(error) | Ask::Live(error) => Self::from(&*error),
            Ask::Knock(error) => Self::from(&*error),
            Ask::Held(error) => {
                let mut failure = Self::from(&*error);
                failure.kept = true;
                failure.advice.push_str(" Your words stay in your outbox: `hearth outbox ROOM`.");
                failure
            }
            Ask::ModeratorTimeOut => Self::new(
                exit::REFUSED,
                "is_facilitator",
                message,
                "Change the role first: `hearth role ROOM NAME member`.",
            ),
            Ask::IsYou => {
                Self::new(exit::REFUSED, "is_you", message, "You leave with `hearth leave ROOM`.")
            }
            Ask::NoTimeOut(name) => Self::new(
                exit::REFUSED,
                "nothing_to_change",
                format!("{} is not in a time-out", one_line(&name)),
                "`hearth status ROOM` shows who is.",
            ),
            Ask::NoSuchKnock => Self::new(
                exit::USAGE,
                "no_such_knock",
                message,
                "`hearth knocks ROOM` lists who knocks.",
            ),
            Ask::UnderWay(_) => Self::new(
                exit::REFUSED,
                "under_way",
                message,
                "`hearth read ROOM` shows whether it is; `hearth retract ROOM ID` takes it back there.",
            ),
            Ask::AmendmentPending => Self::new(
                exit::REFUSED,
                "amendment_pending",
                message,
                "Wait until it takes effect, or withdraw it first: `hearth agreement withdraw ROOM`.",
            ),
            Ask::NotYet(effective) => Self::new(
                exit::REFUSED,
                "not_yet",
                format!("people have until {} to acknowledge", show::clock(effective)),
                "It takes effect by itself then; a new amendment can set another time.",
            ),
            Ask::Unsigned(_) => Self::new(
                exit::REFUSED,
                "not_acknowledged",
                message,
                "Read it with `hearth agreement show ROOM`, then `hearth agreement acknowledge ROOM`.",
            ),
            Ask::NoText(standing) => text_missing(&standing),
            Ask::ClockWrong(moment) => {
                clock_wrong(moment, "Set the clock, then repeat the command.")
            }
            Ask::Busy => Self::new(
                exit::FAILED,
                "busy",
                message,
                "Repeat the command in a moment; this one was not done.",
            ),
            Ask::Closed => Self::new(
                exit::FAILED,
                "closed",
                message,
                "Start hearth again; what you wrote is kept.",
            ),
        }
    }
}

/// Says that the text of a version of the agreement is not on this device.
pub(crate) fn text_missing(standing: &Standing) -> Failure {
    let advice = match standing {
        Standing::Member => {
            "A facilitator's next command sends it: repeat this afterwards. Otherwise ask a facilitator for `hearth agreement withdraw ROOM`, then `hearth agreement amend ROOM FILE --material`."
        }
        _ => "Ask a facilitator for an invite, and `hearth join`: your history stays.",
    };
    Failure { advice: advice.into(), ..EngineError::NoText.into() }
}

/// Says that two clocks are too far apart.
pub(crate) fn clock_wrong(moment: Moment, advice: &'static str) -> Failure {
    let (own, relay) = (show::rfc3339(moment.own), show::rfc3339(moment.relay));
    let message = format!("this computer's clock says {own}, and the relay's {relay}");
    Failure::new(exit::FAILED, "clock_wrong", message, advice)
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let (code, advice) = match error {
            LinkError::Damaged => (
                "invite_damaged",
                "Copy the whole link again, from hearth:// to its end, exactly as it was sent.",
            ),
            LinkError::OtherKind => (
                "invite_other",
                "`hearth join` takes an invite, `hearth room create TITLE --grant --agreement FILE --as NAME` takes a grant.",
            ),
            LinkError::NewerVersion => ("invite_newer", "Update hearth."),
            LinkError::OlderVersion => ("invite_older", "Ask your facilitator for a new link."),
            _ => ("invite_invalid", "A link begins with hearth:// ; ask your facilitator for it."),
        };
        Self::new(exit::REFUSED, code, error.to_string(), advice)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::usage(error.to_string(), "Choose another name with --as.")
    }
}

impl From<TextError> for Failure {
    fn from(error: TextError) -> Self {
        Self::new(
            exit::USAGE,
            "bad_text",
            error.to_string(),
            "Nothing was sent; write it again without that.",
        )
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        Self::usage(
            error.to_string(),
            "Nothing was done; run it in a terminal, or give the answer as a flag or file.",
        )
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.get_ref().is_some_and(|inner| inner.is::<OutputLost>()) {
            return Self::new(
                exit::FAILED,
                "output_lost",
                error.to_string(),
                "What was asked for is done as far as it does not print; do not send it again.",
            );
        }
        let message = io_words(&error);
        Self::new(exit::FAILED, "io", message, "Check the file, the disk and permissions.")
    }
}

/// Says what is wrong with a file or a disk, without the operating system's numbers.
pub(crate) fn io_words(error: &io::Error) -> String {
    use io::ErrorKind as Kind;
    let words = match error.kind() {
        Kind::NotFound => "there is no such file or folder",
        Kind::PermissionDenied => "this account may not use it",
        Kind::IsADirectory => "it is a folder",
        Kind::NotADirectory => "a part of its path is not a folder",
        Kind::AlreadyExists => "it is there already",
        Kind::StorageFull | Kind::QuotaExceeded => "no space is left",
        Kind::ReadOnlyFilesystem => "the disk is read-only",
        Kind::InvalidData => "it is not UTF-8 text",
        Kind::BrokenPipe => "nobody reads it any more",
        Kind::UnexpectedEof => "it ends too early",
        kind @ (Kind::ConnectionRefused | Kind::ConnectionReset | Kind::TimedOut) => {
            network_words(kind)
        }
        // What has no number is said by ourselves or a library.
        _ if error.raw_os_error().is_none() && error.get_ref().is_some() => {
            return one_line(&error.to_string());
        }
        _ => "the disk or device failed",
    };
    words.to_owned()
}

impl From<ProfileError> for Failure {
    fn from(error: ProfileError) -> Self {
        let (code, advice) = match &error {
            ProfileError::InUse => (
                "profile_in_use",
                "Close the other hearth (a chat, follow or steward), or use its window.",
            ),
            ProfileError::PassphraseNeeded => {
                ("passphrase_needed", "Give it with --passphrase-file, or run from a terminal.")
            }
            ProfileError::WrongPassphrase => {
                ("wrong_passphrase", "Try again; nothing was changed. It cannot be recovered.")
            }
            ProfileError::KeyFileNeeded(_) | ProfileError::KeyFileMissing(_) => {
                ("key_file_missing", "Put the key file back, or name it with --key-file.")
            }
            ProfileError::WrongKeyFile(_) => {
                ("wrong_key_file", "Name the key file of this profile with --key-file.")
            }
            ProfileError::KeyFileExposed(_) => (
                "key_file_exposed",
                "Others can read it: chmod 600 the file, then think about a new profile.",
            ),
            ProfileError::ShortPassphrase(_) => (
                "passphrase_short",
                "Nothing was changed. Take a longer one: four words that have nothing to do with each other are easy to remember.",
            ),
            ProfileError::OlderVersion(_) => (
                "profile_older",
                "Make a new profile with another --home, and ask your facilitator for a new invite; this one was left as it is.",
            ),
            ProfileError::NewerVersion(_) => {
                ("profile_newer", "Update hearth; nothing was changed.")
            }
            ProfileError::DiskFull => {
                ("disk_full", "Free some space and repeat the command; nothing was changed.")
            }
            ProfileError::ReadOnly => (
                "read_only",
                "Make the disk or folder writable, then repeat the command; nothing was changed.",
            ),
            ProfileError::Damaged(ProfileFile::Key) => (
                "profile_damaged",
                "Nothing was changed. Put a copy of the key file in its place. Without a copy the profile stays closed: move its folder away (the one given with --home, or ~/.local/share/hearth), ask a facilitator to remove you, and join by a new invite.",
            ),
            ProfileError::Damaged(_) | ProfileError::Store(StoreError::Damaged(_)) => (
                "profile_damaged",
                "Nothing was changed, and no command mends it. Move the folder away (the one given with --home, or ~/.local/share/hearth), ask a facilitator to remove you, and join by a new invite. Put no older copy in its place: it would use keys twice.",
            ),
            ProfileError::WentBack | ProfileError::Store(StoreError::WentBack) => (
                "profile_went_back",
                "An older copy must not be used: keys would be used twice. Join anew with a new invite.",
            ),
            ProfileError::Store(StoreError::DiskFull(_)) => {
                ("disk_full", "Free some space and repeat the command; nothing was changed.")
            }
            ProfileError::Io(_) | ProfileError::Store(StoreError::DiskFailed(_)) => {
                ("disk_failed", DISK_FAILED)
            }
            ProfileError::Missing => ("no_profile", "Create or join a room first."),
            _ => ("profile", PROFILE_FAILED),
        };
        let exit = match error {
            ProfileError::Missing => exit::USAGE,
            _ => exit::FAILED,
        };
        Self::new(exit, code, error.to_string(), advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose fault it is, and what helps: a stranger's bad bytes are no damage of the reader's own profile.
    #[test]
    fn a_strangers_fault_is_not_the_readers() {
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
