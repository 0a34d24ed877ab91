//! What is wrong with a help block.

use crate::Day;

/// Reasons to refuse a help block, beside those that every file has. Texts of the block in them are inert and short.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its fields are")]
pub enum HelpReason {
    #[error("the help block is empty")]
    EmptyBlock,
    #[error("the help block that begins here has no closing ``` on a line of its own")]
    Unclosed,
    #[error(
        "the help block that begins here has the fence {fence}; it is ```help, and ``` at the end"
    )]
    Fence { fence: String },
    #[error("the agreement has more than {max} help blocks")]
    ManyBlocks { max: usize },
    #[error("another help block is for {country} already")]
    SameCountry { country: String },
    #[error("`country` is \"{value}\"; it is two capital letters, such as GB")]
    Country { value: String },
    #[error("`{key}` is still \"{value}\"; write what is right here")]
    ToFillIn { key: &'static str, value: String },
    #[error("a contact of the kind \"{kind}\" has one of {wanted}, and no other way to reach it")]
    Reached { kind: &'static str, wanted: &'static str },
    #[error("`keyword` goes with `text_to`")]
    KeywordAlone,
    #[error("`{key}` is \"{value}\"; a number is digits, spaces and + - ( ), with 2 to 20 digits")]
    PhoneNumber { key: &'static str, value: String },
    #[error("`url` is \"{value}\"; it begins with https:// and has no spaces")]
    Url { value: String },
    #[error(
        "the pair \"{pair}\" has one contact; paired services are shown together or not at all"
    )]
    LonePair { pair: String },
    #[error(
        "\"{name}\" is not checked; write `on`, `by` and `how` when somebody has dialled it or read it on its official page"
    )]
    Unchecked { name: String },
    #[error(
        "\"{name}\" is an emergency number, which is never dialled to test it; read it on its official page"
    )]
    EmergencyDialled { name: String },
    #[error("\"{name}\" was checked on {on}, which is still to come")]
    CheckedLater { name: String, on: Day },
    #[error("no contact is of the kind \"emergency\"")]
    NoEmergency,
    #[error(
        "the contacts take {lines} lines of a small screen, and {max} fit; shorten names, or take a contact out"
    )]
    TooTall { lines: usize, max: usize },
}
