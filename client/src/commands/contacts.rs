//! Crisis contacts in an agreement: checked before it is issued, shown as members see them, and given to start from.

use std::path::Path;

use hearth_engine::clock::Clock;
use hearth_forms::{
    Day, Fault, HELP_COLUMNS, HELP_STALE_DAYS, HELP_UNTRUSTED_DAYS, Help, HelpReason, Question,
    starter,
};
use serde_json::{Value, json};

use super::{Result, rooms, shell::Shell, template};
use crate::{
    failure::{Failure, exit},
    show::{
        Output,
        help::{NO_NUMBER, presence},
        presence::is_read,
    },
};

/// The place of the contacts in the template.
const EMPTY_BLOCK: &str = "```help\n```";
/// The place of the questions in the template.
const NO_QUESTIONS: &str = "```questions\n```";
/// Two questions to start from, each to be edited or deleted.
const QUESTIONS: &str = r#"```questions
# At most three questions, each with its choices, the number of the right one, and a sentence that explains it.
# Edit each text in [brackets], or delete the question. Without questions, delete the block.
[[question]]
ask = "[May I tell a friend who else is in this group?]"
choices = ["[Yes, if I leave out the names]", "[No, to nobody]"]
right = 2
why = "[That somebody is in this group is confidential, too: (C2).]"

[[question]]
ask = "[Is somebody here at night, if I am in danger?]"
choices = ["[No: I call the numbers of (S2)]", "[Yes, a facilitator always reads]"]
right = 1
why = "[Nobody is promised to read at any given time: (S1).]"
```"#;

/// Prints the template, with the lines of a country to start from.
pub(super) fn print_template(out: &Output, country: Option<&str>) -> Result<()> {
    let code = country.unwrap_or_default().trim().to_ascii_uppercase();
    let (block, known) = starter(&code);
    let text = template::TEMPLATE.replacen(EMPTY_BLOCK, &format!("```help\n{block}```"), 1);
    let text = text.replacen(NO_QUESTIONS, QUESTIONS, 1);
    out.line(text.trim_end())?;
    if country.is_some() && !known {
        out.remark(&format!(
            "No line is known here for {code}: fill in the numbers that you find on official pages."
        ));
    }
    Ok(())
}

/// Reads the contacts of an agreement that somebody is about to issue.
pub(super) fn read(text: &str, path: &Path) -> Result<Vec<Help>> {
    let refused = |fault: Fault| {
        Failure::new(
            exit::USAGE,
            "help_faulty",
            format!("the crisis contacts of the agreement, {fault}"),
            format!(
                "Change that line of {path}, then look again: `hearth agreement check {path}`",
                path = path.display()
            ),
        )
    };
    let helps = Help::read(text).map_err(refused)?;
    let later = helps.iter().find_map(|help| help.checked_later_than(today()));
    if let Some((contact, on)) = later {
        let name = contact.name.clone();
        let line = 1 + text.lines().position(|line| line.contains(&on.to_string())).unwrap_or(0);
        return Err(refused(Fault { line, reason: HelpReason::CheckedLater { name, on }.into() }));
    }
    Ok(helps)
}

/// Reads the questions of an agreement that somebody is about to issue.
pub(super) fn read_questions(text: &str, path: &Path) -> Result<Vec<Question>> {
    Question::read(text).map_err(|fault: Fault| {
        Failure::new(
            exit::USAGE,
            "questions_faulty",
            format!("the questions of the agreement, {fault}"),
            format!(
                "Nothing was changed. Edit that line of {path}, then look again: `hearth agreement check {path}`",
                path = path.display()
            ),
        )
    })
}

/// Returns the day by this computer's clock.
pub(super) fn today() -> Day {
    Day::of_millis(Clock::system().now().0)
}

/// Prints what is missing in an agreement's text, and its contacts as members see them.
pub(super) fn check(out: &Output, path: &Path) -> Result<()> {
    let text = rooms::agreement_text(path)?;
    let helps = read(&text, path)?;
    remark_stale(out, &text);
    let now = Clock::system().now();
    let unread = helps.iter().flat_map(|help| &help.present).filter(|entry| !is_read(entry, now));
    for entry in unread {
        out.remark(&format!(
            "-- present: {:?} is shown as it is, and no program can say from it who is expected when. With days, times and a zone it can: \"Fay Tue 19:00-21:00 Europe/Paris\"",
            hearth_text::escape::one_line(entry)
        ));
    }
    let object = json!({
        "agreement": "complete",
        "help": helps.iter().map(to_json).collect::<Vec<_>>(),
        "questions": read_questions(&text, path)?.len(),
    });
    if helps.is_empty() {
        let text = "Nothing is missing, but the agreement has no crisis contacts: `hearth help-now` has no number to show. \
                    `hearth agreement template` prints where they stand.";
        return Ok(out.say(&object, &out.advice(text))?);
    }
    let shown: Vec<String> = helps.iter().map(|help| screen(help, today())).collect();
    Ok(out.say(
        &object,
        &format!("Nothing is missing. `hearth help-now` shows:\n\n{}", shown.join("\n\n")),
    )?)
}

/// Returns the contacts as they are shown.
pub(super) fn screen(help: &Help, today: Day) -> String {
    let mut lines = help.contact_lines(HELP_COLUMNS);
    if let Some(on) = help.checked_over(HELP_UNTRUSTED_DAYS, today) {
        lines.push(format!("Last checked on {on}. If one does not answer, try the next."));
    }
    lines.join("\n")
}

/// Prints the contacts of a room, and whom Enter would tell.
pub(super) fn show_of_room(shell: &Shell) -> Result<()> {
    let view = shell.view();
    let help = &view.help;
    let object = json!({
        "help": help.contacts.iter().map(to_json).collect::<Vec<_>>(),
        "sent": false,
    });
    let numbers = match help.contacts.first() {
        Some(first) => screen(first, today()),
        None => format!("Call {NO_NUMBER}."),
    };
    let text = format!(
        "{numbers}\nNothing has been sent. Nobody knows that you opened this.\n{}",
        presence(help)
    );
    Ok(shell.out.say(&object, &text)?)
}

/// Says which contacts of an agreement were checked long ago.
pub(super) fn remark_stale(out: &Output, text: &str) {
    let today = today();
    for stale in Help::read_leniently(text).iter().filter_map(|help| stale(help, today)) {
        out.remark(&out.advice(&format!("-- {stale}")));
    }
}

/// Returns what a facilitator reads about contacts that were checked long ago.
pub(super) fn stale(help: &Help, today: Day) -> Option<String> {
    let on = help.checked_over(HELP_STALE_DAYS, today)?;
    Some(format!(
        "The crisis contacts for {} were last checked on {on}. Check each again, then: `hearth agreement amend ROOM FILE --editorial`",
        help.country
    ))
}

/// Returns the contacts for programs.
pub(super) fn to_json(help: &Help) -> Value {
    let contacts = help.contacts.iter().map(|contact| {
        json!({
            "kind": contact.kind.as_str(),
            "line": contact.line(),
            "hours": contact.hours,
            "checked": contact.checked.on.to_string(),
        })
    });
    json!({
        "country": help.country,
        "minutes_unseen": help.minutes_unseen,
        "contacts": contacts.collect::<Vec<_>>(),
    })
}
