//! What the room, its rules or its cryptography refuse.

use hearth_engine::{
    EngineError,
    agreement::AckError,
    clock::Moment,
    content::ContentError,
    gate::Refusal,
    mls::MlsError,
    policy::RuleError,
    state::{Over, Standing},
    turns::FloorError,
};
use hearth_text::escape::one_line;

use super::{Failure, exit};
use crate::show;

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
            EngineError::NotTold => Self::new(
                exit::REFUSED,
                "not_told",
                message,
                "It was proposed before you moderated. Another moderator confirms it, or it is proposed again.",
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
                "Decline this knock, and say why: `hearth decline ROOM ID \"That name is taken\"`. Then give them a new invite, because this one is used up; they join by it under another name (`--as`).",
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
            EngineError::NotAuthor => Self::new(
                exit::REFUSED,
                "not_author",
                message,
                "Nothing was done: you can retract or change your own messages only. Ask a facilitator to retract it.",
            ),
            EngineError::NoWords(_) => Self::new(
                exit::REFUSED,
                "no_words",
                message,
                "Nothing was done. `hearth read ROOM --all` shows what is there.",
            ),
            EngineError::Floor(why) => {
                Self::new(exit::REFUSED, why.code(), message, floor_advice(why))
            }
            EngineError::TooFewWriters(_) => Self::new(
                exit::REFUSED,
                "too_few",
                "with so few people here, everybody could guess",
                "Nothing was sent. Members can tell the facilitators alone: `hearth checkin ROOM WORDS`. Facilitators: `hearth anon-return ROOM N WORDS` gives it back.",
            ),
            EngineError::NotSeated => Self::new(
                exit::REFUSED,
                "not_seated",
                message,
                "Nothing was sent. Try again in a minute; in danger, `hearth help-now` shows whom to phone.",
            ),
            EngineError::OwnerGone => Self::new(
                exit::REFUSED,
                "owner_gone",
                message,
                "Nothing was sent: nobody would read it. What was said stays readable.",
            ),
            EngineError::NoLanes => Self::new(
                exit::REFUSED,
                "no_lanes",
                message,
                "Nothing was sent. The room was made without check-ins, or you are not in it.",
            ),
            EngineError::NotForLane => Self::new(
                exit::REFUSED,
                "not_for_lane",
                message,
                "Nothing was sent. Members say it in their own check-in, and facilitators answer there.",
            ),
            EngineError::WaitsForFacilitator
            | EngineError::LaneWaits(_)
            | EngineError::RoomUnread => {
                let advice = "Your words stay in your outbox, and go out when it is up to date.";
                Self { kept: true, ..Self::new(exit::FAILED, "lane_waits", message, advice) }
            }
            EngineError::NoShare => Self::new(
                exit::REFUSED,
                "no_share",
                message,
                "Nothing was done. `hearth anon-queue ROOM` shows what waits.",
            ),
            EngineError::AboutModerator(name) => {
                let name = one_line(name);
                Self::new(
                    exit::REFUSED,
                    "about_moderator",
                    message,
                    format!(
                        "Nothing was sent: nobody here can receive it without {name}. `hearth agreement show ROOM` says where to complain."
                    ),
                )
            }
            EngineError::ReportAnswered => Self::new(
                exit::REFUSED,
                "report_answered",
                message,
                "Nothing was sent. `hearth reports ROOM` lists them.",
            ),
            EngineError::TooManyQuotes(_) => Self::new(
                exit::REFUSED,
                "too_many_quotes",
                message,
                "Nothing was sent. An edited message counts twice. Send two reports.",
            ),
            EngineError::LanesUnread(_) => Self::new(
                exit::REFUSED,
                "lanes_unread",
                message,
                "Nothing was done. Another facilitator closes it: `hearth close-ask ROOM`. It ends by itself, too, and then nothing is published.",
            ),
            EngineError::PollDiffers(_) => Self::new(
                exit::LIED,
                "poll_differs",
                message,
                "Ask by another way: who closed it left votes out or added some, or the relay kept some back. `hearth read ROOM --all` shows what differs.",
            ),
            EngineError::TooLateToEdit | EngineError::TooManyEdits => Self::new(
                exit::REFUSED,
                "not_editable",
                message,
                "Nothing was changed. Say it in a new message, or take the old one back with `hearth retract ROOM ID`.",
            ),
            EngineError::TopicTooLong(_) => Self::new(
                exit::REFUSED,
                "topic_too_long",
                message,
                "Nothing was sent. A word or two say what it is about.",
            ),
            EngineError::TooManyFilters => Self::new(
                exit::REFUSED,
                "too_many_filters",
                message,
                "Nothing was changed. `hearth filter ROOM` lists them; `hearth filter ROOM TOPIC --off` takes one away.",
            ),
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

pub(super) fn rule_failure(rule: &RuleError) -> Failure {
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
        RuleError::NoFarewell => (
            "no_farewell",
            "`hearth farewell ROOM NAME DATE` plans one; `hearth log ROOM` shows those that were planned.",
        ),
        RuleError::OwnFarewell => (
            "own_farewell",
            "Ask another facilitator or co-facilitator to type `hearth farewell ROOM NAME --said`.",
        ),
        RuleError::TooManyFarewells => {
            ("too_many_farewells", "`hearth farewell ROOM NAME --call-off` calls one off.")
        }
        RuleError::NoWords => ("no_words", "Nothing was done. Put words to the room behind it."),
        RuleError::NeedsSecond => (
            "needs_second",
            "`hearth remove ROOM NAME WORDS` proposes it; another moderator confirms it.",
        ),
        RuleError::NoSecond => {
            ("no_second", "Appoint somebody first: `hearth role ROOM NAME cofacilitator`.")
        }
        RuleError::NoProposal => (
            "no_proposal",
            "`hearth proposals ROOM` lists what waits. A proposal lapses after a day.",
        ),
        RuleError::OwnProposal => (
            "own_proposal",
            "Ask another facilitator or co-facilitator. `hearth proposals ROOM` lists what waits.",
        ),
        RuleError::OtherProposal => ("other_proposal", "`hearth proposals ROOM` lists what waits."),
        RuleError::TooManyProposals => {
            ("too_many_proposals", "`hearth proposals ROOM` lists them. One lapses after a day.")
        }
        RuleError::Ended => ("ended", "`hearth export-mine ROOM FILE` keeps your own words."),
        RuleError::TooSoon => (
            "too_soon",
            "Nothing was done. Name a later day, or say why: `hearth close-group ROOM DATE --sooner REASON`.",
        ),
        RuleError::TooManyKept => {
            ("too_many_kept", "`hearth new-device ROOM NAME --give-up` gives a place up.")
        }
        RuleError::OtherName => (
            "other_name",
            "`hearth decline ROOM NAME` declines it; `hearth new-device ROOM NAME` makes another link.",
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
        RuleError::BreachOpen => (
            "breach_open",
            "A facilitator closes it once everybody has said yes, or without those who have not: `hearth breach ROOM close WORDS`.",
        ),
        RuleError::OtherPlace | RuleError::NotReturning => (
            "place_kept",
            "They come back with `hearth agreement acknowledge ROOM`; or give the place up first: `hearth remove ROOM NAME WORDS`.",
        ),
        _ => ("refused", "Repeat the command; if it stays, ask for help with this line."),
    };
    Failure::new(exit::REFUSED, code, rule.to_string(), advice)
}

pub(super) fn ack_failure(ack: AckError, message: String) -> Failure {
    Failure::new(exit::REFUSED, ack_code(ack), message, ack_advice(ack))
}

pub(super) const fn ack_code(ack: AckError) -> &'static str {
    match ack {
        AckError::Expired => "acknowledgement_expired",
        AckError::Future => "clock_wrong",
        _ => "not_acknowledged",
    }
}

pub(super) const fn ack_advice(ack: AckError) -> &'static str {
    match ack {
        AckError::Future => {
            "The person who signed it sets their computer's clock and knocks again; if their clock is right, set yours."
        }
        AckError::TooLasting | AckError::Malformed | AckError::BadSignature => {
            "The program of the person who signed it is at fault: they update hearth, and join by a new invite."
        }
        AckError::BeforeBreach => {
            "Read it, and say yes again: `hearth agreement acknowledge ROOM`; then repeat this."
        }
        _ => "The person needs a new invite, and to read and acknowledge its agreement.",
    }
}

pub(super) const MAKE_FACILITATOR: &str =
    "Make somebody else facilitator first: `hearth role ROOM NAME facilitator`.";

/// Advice to somebody whose knock a facilitator declined: the knock took its place in the invite.
pub(crate) const DECLINED: &str = "Only you learn of it. Your invite is used up, unless it was for several people: to knock again, ask the person who invited you for a new one, then `hearth join`, under another name if yours is taken. If you need somebody today: `hearth help-now`.";

/// Why a member who is not in a room cannot do what is done inside.
pub(crate) fn not_inside(standing: &Standing) -> Failure {
    if let Standing::Declined { words, by: Some(_) } = standing
        && !words.is_empty()
    {
        let message = format!(
            "the facilitator cannot let you in now, and writes: \u{201c}{}\u{201d}",
            one_line(words)
        );
        return Failure::new(exit::REFUSED, "not_member", message, DECLINED);
    }
    let (message, advice) = match standing {
        Standing::Knocking => {
            ("you wait to be admitted", "Wait for a facilitator; then use the same command again.")
        }
        Standing::Declined { by: Some(_), .. } => ("your knock was declined", DECLINED),
        Standing::Declined { by: None, .. } => (
            "the relay says that your knock was declined, and no facilitator's signature says so",
            "Ask the facilitator who invited you, by another way.",
        ),
        Standing::Lapsed => (
            "you have not said yes to the agreement yet; until you do, new messages in the room do not reach you. You have done nothing wrong",
            "`hearth agreement diff ROOM` shows what changed, `hearth agreement acknowledge ROOM` says yes. Not sure? Ask in your check-in: `hearth checkin ROOM WORDS`. `hearth help-now` works as before.",
        ),
        Standing::Returning => (
            "you have said yes, and are let in by the next program of a facilitator that is there",
            "It needs nobody's decision. Your check-in works meanwhile: `hearth checkin ROOM WORDS`; `hearth help-now` too.",
        ),
        Standing::Left => ("you left this room", "Ask for a new invite if you want to come back."),
        Standing::Over(Over::Group) => (
            "this group has ended, and this device has erased what was said in it",
            "Your receipt stays: `hearth receipt ROOM`. The numbers stay: `hearth help-now`.",
        ),
        Standing::Over(Over::Farewell) => (
            "your time in this room is over, as it was planned with you",
            "What you have here stays, and so do your receipt and the numbers: `hearth receipt ROOM`, `hearth help-now`.",
        ),
        Standing::Over(Over::Remembered) => {
            ("the place of this device was closed", "Ask a facilitator, by another way.")
        }
        Standing::Over(Over::Device) => (
            "this device was reported lost and is out of the room; its member comes back with a new invite",
            "Ask the facilitator who told you so for your link, then `hearth join`. What is here stays readable.",
        ),
        Standing::Removed => (
            "your place in this room has ended",
            "`hearth read ROOM --all` shows what the facilitator wrote, and whom you can ask. `hearth help-now` still has the numbers.",
        ),
        Standing::Member => ("the relay does not know you in this room", "Ask a facilitator."),
        Standing::Opening(_) => (
            "the relay has not opened this room yet",
            "What you wrote waits. Repeat the same command with the same grant: `hearth room create TITLE --agreement FILE --as NAME`; or give it up with `hearth room wipe ROOM`.",
        ),
    };
    let code = match standing {
        Standing::Lapsed => "not_acknowledged",
        Standing::Returning => "not_back_yet",
        _ => "not_member",
    };
    let kept = matches!(standing, Standing::Opening(_));
    Failure { kept, ..Failure::new(exit::REFUSED, code, message, advice) }
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

/// Says what to do where turns or questions do not allow something now.
fn floor_advice(why: &FloorError) -> &'static str {
    match why {
        FloorError::NoRound => "Nothing was done. `hearth round ROOM start` begins one.",
        FloorError::RoundOn => {
            "Nothing was done. `hearth round ROOM end` ends it; `hearth hands ROOM` shows whose turn it is."
        }
        FloorError::NotYourTurn => {
            "Nothing was done. `hearth hands ROOM` shows whose turn it is; `hearth hand ROOM` asks for one. Facilitators go on with `hearth next ROOM`."
        }
        FloorError::JustMoved => {
            "Nothing was done. `hearth hands ROOM` shows whose turn it is now; `hearth next ROOM NAME` goes on after that person."
        }
        FloorError::HandIsUp => "`hearth lower ROOM` takes it down.",
        FloorError::HandIsDown => "`hearth hand ROOM` asks for a turn.",
        FloorError::NobodyToTurn => {
            "Nothing was done. `hearth who ROOM` lists the members; facilitators and observers take no turns."
        }
        FloorError::NothingAsked | FloorError::NotAsked => {
            "Nothing was sent. `hearth asks ROOM` lists what is asked; `hearth send ROOM WORDS` says it without a question."
        }
        FloorError::TooManyAsks => {
            "Nothing was asked. `hearth close-ask ROOM #N` closes a question."
        }
        FloorError::Size => {
            "Nothing was done. A topic has 200 characters at most, a question 1,000; a poll has two to ten options of 80."
        }
        FloorError::NoSuchOption => "Nothing was sent. `hearth asks ROOM` lists the options.",
        FloorError::SameOption => "Nothing was asked. Give each option words of its own.",
        FloorError::WantsVote => {
            "Nothing was sent. `hearth vote ROOM 1` votes; `hearth send ROOM WORDS` says something beside it."
        }
        FloorError::WantsLane => {
            "Nothing was sent. `hearth answer ROOM WORDS` answers it to the facilitators alone."
        }
        FloorError::WantsWords => "Nothing was sent. `hearth answer ROOM WORDS` answers it.",
        FloorError::Until => {
            "Nothing was done. A round lasts 12 hours at most. For example: --ends 2h."
        }
        FloorError::Unknown => {
            "Nothing was done. A facilitator's next round or question is known here again."
        }
        FloorError::ExerciseOn => {
            "Nothing was done. `hearth exercise ROOM next` goes on with it, `hearth exercise ROOM end` ends it."
        }
        FloorError::ExerciseElsewhere => {
            "Nothing was said or done. `hearth asks ROOM` shows its step. It is over when the one who began it ends it, or when its step is closed."
        }
        FloorError::NoExercise => {
            "Nothing was done. `hearth exercise ROOM list` lists the exercises; `hearth exercise ROOM opening-round` begins one."
        }
        FloorError::NobodyOnDuty => {
            "Nothing was done. `hearth duty ROOM on 2h` says that you are here."
        }
        FloorError::TooLate => "Nothing was done. `hearth hands ROOM` shows how it stands now.",
    }
}
