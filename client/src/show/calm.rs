//! The sentences about breaks, pauses and the end of a place: who acted and until when, what still works, what to do next. Names and words
//! of others stand in them as they came: whoever prints a sentence makes it harmless.

use hearth_forms::{Contact, ContactKind, Means};
use hearth_protocol::Millis;
use hearth_session::client::HelpView;
use hearth_text::escape::one_line;

use super::{
    clock,
    help::{number, people},
    span,
};

/// Words to a room that is paused, for a facilitator who has none.
pub const PAUSE_WORDS: [&str; 3] = [
    "Something here is hard, and it matters. We stop for a moment, and then we look at it together.",
    "Two of us see this differently. Nobody has to solve it now. We breathe, and then we go on.",
    "A lot was said at once. We are quiet for a moment, and read it again.",
];

/// Words to the room after somebody's place has ended, for a facilitator who gives none.
pub const GOODBYE_WORDS: &str = "We do not talk about why. If this leaves you uneasy, write to me in your check-in. Nobody loses their place for what they feel, or for passing.";

/// What a facilitator can ask after a pause.
pub const AFTER_PAUSE: &str = "What was that like?";

/// Told to a member whose break is over.
pub const BREAK_OVER: &str = "Your break is over. You can write in the room again. If you would like to talk first: `hearth checkin ROOM`.";

/// Told when a pause is over, and the room is open.
pub const PAUSE_OVER: &str = "The pause is over and the room is open.";

/// Told beside it where no moderator is on duty.
pub const NOBODY_NOW: &str = "Nobody from the team is here now.";

/// Returns a moment and how far it is from another one: `21:30 (30 min)`.
pub fn until_words(until: Millis, from: Millis) -> String {
    let seconds = until.0.saturating_sub(from.0).div_ceil(1000);
    format!("{} ({})", clock(until), span(seconds))
}

/// Quotes a person's words: ` Fay writes: “…”`; nothing if there are none.
fn writes(name: &str, words: &str) -> String {
    match words.trim() {
        "" => String::new(),
        words => format!(" {name} writes: “{words}”"),
    }
}

/// Asks a member to take a break.
pub fn break_begins(
    name: &str,
    words: &str,
    until: Millis,
    from: Millis,
    help: &HelpView,
) -> String {
    format!(
        "{name} asks you to take a break from the room until {}.{} You can read along, and you can talk with {} in your check-in: `hearth checkin ROOM`. It is not a punishment. Your name is not shown to the others. If it gets too much: `hearth help-now ROOM`.",
        until_words(until, from),
        writes(name, words),
        people(&help.bench),
    )
}

/// Tells of a break that is over by now.
pub fn break_was(name: &str, words: &str, until: Millis) -> String {
    let words = writes(name, words).replace(" writes: ", " wrote: ");
    format!("{name} asked you to take a break until {}.{words}", clock(until))
}

/// Tells everybody of a pause.
pub fn pause_begins(name: &str, words: &str, until: Millis, from: Millis) -> String {
    let quoted = match words.trim() {
        "" => String::new(),
        words => format!(" “{words}”"),
    };
    format!(
        "{name} has paused the room until {}.{quoted} Nobody has to go. You can read. You can write, too: it stays with you until you decide. `hearth checkin ROOM` and `hearth help-now ROOM` work.",
        until_words(until, from),
    )
}

/// Tells of a pause that is over by now.
pub fn pause_was(name: &str, words: &str, until: Millis) -> String {
    let quoted = match words.trim() {
        "" => String::new(),
        words => format!(" “{words}”"),
    };
    format!("{name} paused the room until {}.{quoted}", clock(until))
}

/// Tells the others that somebody's place has ended. No reason stands here.
pub fn gone(target: &str, name: &str, words: &str) -> String {
    format!("{target} is no longer in this room.{}", writes(name, words))
}

/// Tells a member that their place has ended, who talks with them, where to complain, and whom to call.
pub fn your_place(name: &str, words: &str, help: &HelpView) -> String {
    let mut text = format!(
        "{name} has ended your place in this room.{} No new messages come to you. What you have here stays, and so does your receipt.",
        writes(name, words)
    );
    let contacts = help.contacts.iter().flat_map(|help| &help.contacts);
    if let Some(team) = contacts.into_iter().find(|contact| contact.kind == ContactKind::Team) {
        text.push_str(&format!(" You can talk about this with {}.", reached(team)));
    }
    if let Some(complaint) = help.contacts.iter().find_map(|help| help.complaint.as_deref()) {
        text.push_str(&format!(" If you think that it was wrong: {}.", one_line(complaint)));
    }
    text.push_str(&format!(" These numbers are still yours: {}", number(help)));
    text
}

/// Names a contact, and how it is reached.
fn reached(contact: &Contact) -> String {
    let way = match &contact.means {
        Means::Call(number) => number.as_str(),
        Means::Text { to, .. } => to.as_str(),
        Means::Page(page) => page.as_str(),
        Means::Address(address) => address.as_str(),
    };
    format!("{}, {}", one_line(&contact.name), one_line(way))
}

/// Tells an author that a moderator has taken their words down.
pub fn taken_down(by: &str, at: Millis) -> String {
    format!(
        "{by} has taken down what you wrote at {}. You are not in trouble. You can talk about it in your check-in: `hearth checkin ROOM`",
        clock(at)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const NOW: Millis = Millis(1_795_435_200_000);

    #[test]
    fn break_says_what_still_works() {
        let help = HelpView { bench: vec!["Fay".into(), "Gil".into()], ..HelpView::default() };
        let until = NOW.plus(1_800_000);
        let text = break_begins("Fay", "Breathe first.", until, NOW, &help);
        assert_eq!(
            text,
            format!(
                "Fay asks you to take a break from the room until {} (30 min). Fay writes: “Breathe first.” You can read along, and you can talk with Fay and Gil in your check-in: `hearth checkin ROOM`. It is not a punishment. Your name is not shown to the others. If it gets too much: `hearth help-now ROOM`.",
                clock(until)
            )
        );
        for never in ["time-out", "muted", "punished", "!"] {
            assert!(!text.contains(never), "{text}");
        }
    }

    #[test]
    fn removal_names_help_and_no_reason() {
        let block = "country = \"GB\"\ncomplaint = \"the office\"\n[[contact]]\nkind = \"team\"\nname = \"The programme\"\nnumber = \"001\"\nhours = \"always\"\nchecked = { on = 2026-11-01, by = \"Fay\", how = \"dialled\" }\n[[contact]]\nkind = \"emergency\"\nname = \"Emergency\"\nnumber = \"000\"\nhours = \"always\"\nchecked = { on = 2026-11-01, by = \"Fay\", how = \"official page\" }\n";
        let contacts = vec![hearth_forms::Help::parse(block).unwrap()];
        let help = HelpView { contacts: Arc::from(contacts), ..HelpView::default() };
        let text = your_place("Fay", "I ask you to go.", &help);
        for part in [
            "Fay has ended your place in this room. Fay writes: “I ask you to go.” No new messages come to you.",
            "You can talk about this with The programme, 001. If you think that it was wrong: the office.",
            "These numbers are still yours: 000",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(gone("Ben", "Fay", ""), "Ben is no longer in this room.");
        assert!(
            gone("Ben", "Fay", GOODBYE_WORDS)
                .starts_with("Ben is no longer in this room. Fay writes: “We do not talk")
        );
    }
}
