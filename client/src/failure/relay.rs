//! What the relay or the connection refuses, and what becomes of words then.

use hearth_engine::{accord::Reason, policy::BREACH_UNTIL};
use hearth_protocol::{Millis, RejectCode};
use hearth_session::{
    connection::{ConnectError, RequestError, refusal_words},
    live::LiveError,
};

use super::{Failure, engine::MAKE_FACILITATOR, exit, not_inside};
use crate::show;

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
                "`hearth log ROOM` shows what was done, `hearth who ROOM` who is in the room, `hearth hands ROOM` whose turn it is; what was not done yet goes out with that. If neither shows it, run the same command again.",
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
            LiveError::OffTurn(_) => Self {
                kept: true,
                ..Self::new(
                    exit::REFUSED,
                    "off_turn",
                    error.to_string(),
                    "Kept for your turn: only you see it. When your turn comes, or the round ends, you are asked. `hearth hand ROOM` asks for a turn.",
                )
            },
            LiveError::Unattended(opens) => {
                let until = match opens {
                    Some(at) => format!("The room opens {}.", show::clock(*at)),
                    None => "It opens when somebody from the team is here.".to_owned(),
                };
                Self {
                    kept: true,
                    retry_at: *opens,
                    ..Self::new(
                        exit::REFUSED,
                        "unattended",
                        error.to_string(),
                        format!(
                            "{until} {HELD} `hearth checkin ROOM` and `hearth help-now ROOM` work."
                        ),
                    )
                }
            }
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

/// Returns what happened, what ends it, and what else helps, for a refusal that passes.
pub(super) fn waits(
    code: RejectCode,
    until: &str,
    reason: Reason,
) -> Option<(String, Option<&'static str>, &'static str)> {
    let that = (!until.is_empty()).then_some("that");
    Some(match code {
        RejectCode::Paused => (
            format!("the room is paused{until}"),
            Some("the pause"),
            " You can read meanwhile. `hearth checkin ROOM` and `hearth help-now ROOM` work.",
        ),
        RejectCode::TimedOut if reason != Reason::Recorded => (
            format!("the relay refuses your posts{until}"),
            that,
            " `hearth read ROOM` shows whether a facilitator says why.",
        ),
        RejectCode::TimedOut => (
            format!("you have a break from the room{until}"),
            Some("the break"),
            " You can read along, and talk in your check-in: `hearth checkin ROOM`. Your name is not shown to the others. If it gets too much: `hearth help-now ROOM`.",
        ),
        RejectCode::Closed => (
            format!("the room is closed{until}"),
            Some("the opening"),
            " You can read meanwhile. Is it urgent? `hearth help-now ROOM`.",
        ),
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

/// What helps while a breach is open.
const SAY_YES_AGAIN: &str = "Before the room goes on, each of us says yes again: `hearth agreement acknowledge ROOM`. Your check-in works meanwhile: `hearth checkin ROOM WORDS`.";

/// What becomes of words that nothing sends but their author.
pub(super) const HELD: &str = "Your words stay in your outbox: `hearth outbox ROOM` lists them, sends them with --send ID, and drops them with --drop ID.";

pub(super) fn refused(
    code: RejectCode,
    retry_at: Option<Millis>,
    kept: bool,
    reason: Reason,
) -> Failure {
    let held = kept && code.holds_text();
    if code == RejectCode::Paused && retry_at == Some(BREACH_UNTIL) {
        let words = if held { HELD.to_owned() } else { kept_until(kept, Some("that")) };
        return Failure {
            kept,
            ..Failure::new(
                exit::REFUSED,
                code.as_str(),
                "the room is stopped, because something said here may have got outside",
                format!("{words} {SAY_YES_AGAIN}"),
            )
        };
    }
    let until = retry_at.map(|at| format!(" until {}", show::clock(at))).unwrap_or_default();
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
        RejectCode::Ended => (
            "the group has ended: nobody writes in the room any more".into(),
            "Your check-in works until the room is erased. `hearth export-mine ROOM FILE` keeps your own words.",
        ),
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

/// Says what becomes of words that cannot go out now: the one rule for every reason that ends by itself or by somebody's act.
pub(crate) fn kept_until(kept: bool, end: Option<&str>) -> String {
    let after = end.map(|end| format!(" after {end}")).unwrap_or_default();
    match kept {
        true => format!("Your words are kept and go out with your next message or command{after}."),
        false => format!("Nothing was sent; repeat it{after}."),
    }
}
