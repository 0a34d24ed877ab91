//! Crisis contacts in an agreement: each fault by its line, the order, pairs, age, and the plain copy.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use hearth_forms::{
    BLOCKS_MAX, CONTACTS_MAX, ContactKind, Day, HELP_COLUMNS, HELP_KEYS, HELP_STALE_DAYS,
    HELP_UNTRUSTED_DAYS, Help, HelpReason, Means, blocks_in, plain_of, starter,
};

const GUIDE: &str = include_str!("../../../docs/help.md");

const BLOCK: &str = r#"country = "GB"
minutes_unseen = 4
answers_read_within = "1 working day"
present = ["Fay Tue 19:00-21:00"]
complaint = "the clinic's office"

[[contact]]
kind = "team"
name = "Maple Clinic"
number = "(020) 7946 0000"
hours = "9 to 5"
checked = { on = "2026-11-28", by = "Fay", how = "dialled" }

[[contact]]
kind = "emergency"
name = "Emergency"
number = "000"
hours = "always"
checked = { on = 2026-11-27, by = "Fay", how = "official page" }
source = "example.org"

[[contact]]
kind = "text"
name = "Line"
text_to = "00 001"
keyword = "TALK"
hours = "always"
pair = "line"
language = ["en", "cy"]
checked = { on = 2026-11-28, by = "Fay", how = "dialled" }

[[contact]]
kind = "place"
name = "Ward"
address = "1 High Road"
hours = "nights"
checked = { on = 2026-11-28, by = "Fay", how = "official page" }

[[contact]]
kind = "call"
name = "Line"
number = "00 000"
hours = "always"
cost = "free"
pair = "line"
checked = { on = 2026-11-28, by = "Fay", how = "dialled" }

[[contact]]
kind = "chat"
name = "Chat"
url = "https://example.org/chat"
hours = "always"
checked = { on = 2026-11-28, by = "Fay", how = "official page" }
"#;

fn agreement(block: &str) -> String {
    format!("What is said here stays here.\n\n```help\n{block}```\nThat is all.\n")
}

/// Puts other words into the good block and compares the fault, with its line in the agreement.
#[track_caller]
fn refused(old: &str, new: &str, fault: &str) {
    assert_eq!(BLOCK.matches(old).count(), 1, "{old}");
    let text = agreement(&BLOCK.replacen(old, new, 1));
    assert_eq!(Help::read(&text).unwrap_err().to_string(), fault);
    assert!(Help::read_leniently(&text).is_empty());
}

fn good() -> Help {
    let [help] = Help::read(&agreement(BLOCK)).unwrap().try_into().unwrap();
    help
}

#[test]
fn contacts_come_in_their_order() {
    let help = good();
    assert_eq!((help.country.as_str(), help.minutes_unseen), ("GB", 4));
    assert_eq!(help.present, ["Fay Tue 19:00-21:00"]);
    let kinds: Vec<ContactKind> = help.contacts.iter().map(|contact| contact.kind).collect();
    use ContactKind::{Call, Chat, Emergency, Place, Team, Text};
    assert_eq!(kinds, [Emergency, Call, Text, Chat, Place, Team]);
    assert_eq!(
        help.contact_lines(HELP_COLUMNS),
        [
            "000 Emergency",
            "00 000 Line, free",
            "text TALK to 00 001 Line (en, cy)",
            "https://example.org/chat Chat",
            "1 High Road Ward, nights",
            "(020) 7946 0000 Maple Clinic, 9 to 5",
        ]
    );
    assert_eq!(help.first_line(), "000 Emergency");
    assert!(help.first_always());
}

/// A line between the two of a pair would part them on a screen.
#[test]
fn paired_contacts_stand_together() {
    let between = "[[contact]]\nkind = \"call\"\nname = \"Other\"\nnumber = \"00 003\"\n\
                   hours = \"always\"\nchecked = { on = 2026-11-28, by = \"Fay\", how = \"dialled\" }\n";
    let help = Help::parse(&format!("{BLOCK}\n{between}")).unwrap();
    let names: Vec<&str> = help.contacts.iter().map(|contact| contact.name.as_str()).collect();
    assert_eq!(names[..4], ["Emergency", "Line", "Line", "Other"]);
    refused(
        "cost = \"free\"\npair = \"line\"",
        "pair = \"other\"",
        "line 25: the pair \"line\" has one contact; paired services are shown together or not at all",
    );
}

#[test]
fn faulty_help_block_names_its_line() {
    for (old, new, fault) in [
        (
            "country = \"GB\"",
            "country = \"gb\"",
            "line 4: `country` is \"gb\"; it is two capital letters, such as GB",
        ),
        ("country = \"GB\"\n", "", "line 4: a help block needs `country`"),
        (
            "minutes_unseen = 4",
            "minutes_unseen = 1",
            "line 5: `minutes_unseen` is 1; it is a whole number from 2 to 15",
        ),
        (
            "minutes_unseen = 4",
            "minutes_unseen = 16",
            "line 5: `minutes_unseen` is 16; it is a whole number from 2 to 15",
        ),
        (
            "minutes_unseen = 4",
            "minutes = 4",
            "line 5: a help block has no key `minutes`; did you mean `minutes_unseen`?",
        ),
        (
            "\"the clinic's office\"",
            "\"[name, office or board]\"",
            "line 8: `complaint` is still \"[name, office or board]\"; write what is right here",
        ),
        (
            "number = \"000\"",
            "number = \"[emergency number]\"",
            "line 20: `number` is still \"[emergency number]\"; write what is right here",
        ),
        (
            "number = \"000\"",
            "number = \"call us\"",
            "line 20: `number` is \"call us\"; a number is digits, spaces and + - ( ), with 2 to 20 digits",
        ),
        (
            "number = \"000\"",
            "url = \"https://example.org\"",
            "line 17: a contact of the kind \"emergency\" has one of `number`, and no other way to reach it",
        ),
        (
            "number = \"000\"\n",
            "",
            "line 17: a contact of the kind \"emergency\" has one of `number`, and no other way to reach it",
        ),
        (
            "address = \"1 High Road\"",
            "address = \"1 High Road\"\nnumber = \"00 000\"",
            "line 35: a contact of the kind \"place\" has one of `address`, and no other way to reach it",
        ),
        (
            "cost = \"free\"",
            "cost = \"free\"\nkeyword = \"TALK\"",
            "line 48: `keyword` goes with `text_to`",
        ),
        (
            "https://example.org/chat",
            "http://example.org/chat",
            "line 54: `url` is \"http://example.org/chat\"; it begins with https:// and has no spaces",
        ),
        (
            "https://example.org/chat",
            "https:///chat",
            "line 54: `url` is \"https:///chat\"; it begins with https:// and has no spaces",
        ),
        (
            "kind = \"emergency\"",
            "kind = \"call\"",
            "line 10: no contact is of the kind \"emergency\"",
        ),
        (
            "kind = \"chat\"",
            "kind = \"mail\"",
            "line 52: `kind` is \"mail\"; it is one of \"emergency\", \"call\", \"text\", \"chat\", \"place\", \"team\"",
        ),
        (
            "language = [\"en\", \"cy\"]",
            "language = [\"english\"]",
            "line 32: `language` is \"english\"; it is a tag such as en, de or pt-BR",
        ),
        (
            "by = \"Fay\", how = \"official page\" }\nsource",
            "by = \"Fay\", how = \"dialled\" }\nsource",
            "line 22: \"Emergency\" is an emergency number, which is never dialled to test it; read it on its official page",
        ),
        (
            "2026-11-27",
            "\"soon\"",
            "line 22: `on` takes a day such as 2026-11-28, and this is words in quotes",
        ),
        (
            "2026-11-27",
            "\"2026-02-30\"",
            "line 22: `on` takes a day such as 2026-11-28, and this is words in quotes",
        ),
        (
            "2026-11-27",
            "2026-11-27T10:00:00Z",
            "line 22: `on` takes a day such as 2026-11-28, and this is a date or a time of day",
        ),
        ("hours = \"nights\"\n", "", "line 35: a contact needs `hours`"),
    ] {
        refused(old, new, fault);
    }
}

/// A number that nobody checked is no help: in 2019 two people called one that was not a number yet.
#[test]
fn unchecked_number_is_refused() {
    let said = "\"Emergency\" is not checked; write `on`, `by` and `how` when somebody has dialled it or read it on its official page";
    let checked = "checked = { on = 2026-11-27, by = \"Fay\", how = \"official page\" }\n";
    refused(checked, "", &format!("line 17: {said}"));
    for none in [
        "checked = { on = \"\", by = \"\", how = \"\" }\n",
        "checked = { on = \"[date]\", by = \"Fay\", how = \"dialled\" }\n",
        "checked = { on = 2026-11-27, by = \"\", how = \"official page\" }\n",
        "checked = { on = 2026-11-27, by = \"Fay\" }\n",
        "checked = {}\n",
    ] {
        refused(checked, none, &format!("line 22: {said}"));
    }
    let help = good();
    assert_eq!(help.checked_later_than(Day(20_784)), None);
    let (contact, on) = help.checked_later_than(Day(20_783)).unwrap();
    assert_eq!((contact.name.as_str(), on), ("Line", Day(20_785)));
}

#[test]
fn blocks_are_found_by_their_fences() {
    assert_eq!(Help::read("No block here.\n```toml\na = 1\n```\n").unwrap(), []);
    let open = format!("One.\n```help\n{BLOCK}");
    let fault = Help::read(&open).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "line 2: the help block that begins here has no closing ``` on a line of its own"
    );
    let fault = Help::read("```help\r\n\r\n```\r\n").unwrap_err();
    assert_eq!(fault.to_string(), "line 1: the help block is empty");
    let twice = format!("{}{}", agreement(BLOCK), agreement(BLOCK));
    let line = agreement(BLOCK).lines().count() + 3;
    let fault = Help::read(&twice).unwrap_err();
    assert_eq!(fault.to_string(), format!("line {line}: another help block is for GB already"));
    let two = format!("{}{}", agreement(BLOCK), agreement(&BLOCK.replace("\"GB\"", "\"IE\"")));
    assert_eq!(Help::read(&two).unwrap().len(), 2);
    let crlf = agreement(BLOCK).replace('\n', "\r\n");
    assert_eq!(Help::read(&crlf).unwrap(), [good()]);
    let many: String = (0..=BLOCKS_MAX)
        .map(|n| {
            agreement(&BLOCK.replace(
                "\"GB\"",
                &format!("\"G{}\"", char::from(b'A' + u8::try_from(n).unwrap())),
            ))
        })
        .collect();
    assert!(Help::read(&many).unwrap_err().to_string().ends_with("more than 8 help blocks"));
    assert_eq!(Help::read_leniently(&many).len(), BLOCKS_MAX);
    assert_eq!(blocks_in(&many).count(), BLOCKS_MAX + 1);
    // What another wrote is shown as far as it can be.
    let damaged = format!("{}{}", agreement("country = 3\n"), agreement(BLOCK));
    assert_eq!(Help::read_leniently(&damaged), [good()]);
}

#[test]
fn misspelt_fence_is_refused() {
    for fence in ["```Help", "~~~help", "``` help", "````help", "``help", "```HELP "] {
        let text = agreement(BLOCK).replace("```help", fence);
        let fault = Help::read(&text).unwrap_err().to_string();
        let wanted = "line 3: the help block that begins here has the fence ";
        assert!(fault.starts_with(wanted) && fault.contains(fence.trim()), "{fault}");
    }
    for harmless in ["`help` shows the numbers", "help", "~help", "```helpful"] {
        let text = format!("{}{harmless}\n", agreement(BLOCK));
        assert_eq!(Help::read(&text).unwrap(), [good()], "{harmless}");
    }
}

#[test]
fn contacts_fit_a_small_screen() {
    let more = |n: usize| {
        let number = format!("00 {:03}", 100 + n);
        format!(
            "[[contact]]\nkind = \"call\"\nname = \"Another line with quite a long name indeed\"\nnumber = \"{number}\"\n\
            hours = \"always\"\nchecked = {{ on = 2026-11-28, by = \"Fay\", how = \"dialled\" }}\n"
        )
    };
    let fits = (0..3).map(more).collect::<String>();
    assert!(Help::parse(&format!("{BLOCK}{fits}")).is_ok());
    let tall = (0..5).map(more).collect::<String>();
    let fault = Help::parse(&format!("{BLOCK}{tall}")).unwrap_err();
    let said = "line 1: the contacts take 16 lines of a small screen, and 12 fit; shorten names, or take a contact out";
    assert_eq!(fault.to_string(), said);
    let many = more(0).repeat(CONTACTS_MAX);
    let fault = Help::parse(&format!("{BLOCK}{many}")).unwrap_err().to_string();
    assert!(fault.ends_with("has 18 entries; it takes 1 to 12"), "{fault}");
}

#[test]
fn old_checks_are_told_by_age() {
    let help = good();
    let checked = Day(20_784);
    for (days, stale, untrusted) in [
        (0, false, false),
        (90, false, false),
        (91, true, false),
        (180, true, false),
        (181, true, true),
    ] {
        let today = Day(checked.0 + days);
        assert_eq!(help.checked_over(HELP_STALE_DAYS, today).is_some(), stale, "{days}");
        let old = help.checked_over(HELP_UNTRUSTED_DAYS, today);
        assert_eq!(old, untrusted.then_some(checked), "{days}");
    }
    assert_eq!(help.checked_over(HELP_STALE_DAYS, Day(0)), None);
}

#[test]
fn plain_copy_names_nobody() {
    let help = good();
    let plain = plain_of(&help);
    for word in ["Fay", "19:00", "office", "example.org\"", "working day"] {
        assert!(!plain.contains(word), "{word}: {plain}");
    }
    let read = Help::parse(&plain).unwrap();
    assert_eq!(read.contact_lines(HELP_COLUMNS), help.contact_lines(HELP_COLUMNS));
    assert_eq!(read.minutes_unseen, 4);
    let odd = BLOCK.replace("Maple Clinic", "Maple \\\\ \\\"Clinic\\\"");
    let odd = Help::parse(&odd).unwrap();
    assert_eq!(Help::parse(&plain_of(&odd)).unwrap().contacts[5].name, "Maple \\ \"Clinic\"");
}

#[test]
fn starters_are_refused_until_checked() {
    for country in ["AU", "CA", "DE", "FR", "GB", "NL", "NZ", "US", "IE", "x"] {
        let (text, known) = starter(country);
        assert_eq!(known, !matches!(country, "IE" | "x"), "{country}");
        let closed = Help::parse(&text).unwrap_err().reason;
        assert!(
            matches!(closed, hearth_forms::Reason::Help(HelpReason::ToFillIn { .. })),
            "{country}: {closed}"
        );
        // Filled in, but not checked: the same refusal for each line of it.
        let filled: String = text
            .split_inclusive('\n')
            .map(|line| match line.split_once(" = \"[") {
                Some(("country", _)) => "country = \"IE\"\n".to_owned(),
                Some((key @ ("number" | "text_to"), _)) => format!("{key} = \"00 000\"\n"),
                Some((key, _)) => format!("{key} = \"Words\"\n"),
                None if line.starts_with("present") => String::new(),
                None => line.to_owned(),
            })
            .collect();
        let fault = Help::parse(&filled).unwrap_err().to_string();
        assert!(fault.contains("is not checked"), "{country}: {fault}\n{filled}");
        let checked = filled.replace(
            "on = \"\", by = \"\", how = \"\"",
            "on = 2026-11-28, by = \"Fay\", how = \"official page\"",
        );
        let help = Help::parse(&checked).unwrap();
        assert!(matches!(help.contacts[0].means, Means::Call(_)), "{country}");
        assert_eq!(help.contacts[0].kind, ContactKind::Emergency, "{country}");
    }
}

/// Returns the rows of a section's table as cells.
fn rows(section: &str) -> Vec<Vec<&'static str>> {
    let (_, text) = GUIDE.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn guide_lists_every_help_key() {
    let mut table = String::new();
    let mut listed = Vec::new();
    for row in rows("Every key") {
        if !row[0].is_empty() {
            table = row[0].to_owned();
        }
        listed.push((table.clone(), row[1].trim_matches('`')));
    }
    let keys = HELP_KEYS
        .iter()
        .flat_map(|(table, keys)| keys.iter().map(|key| ((*table).to_owned(), *key)));
    assert_eq!(listed, keys.collect::<Vec<_>>());
    let example = GUIDE.split("```help\n").nth(1).unwrap().split("```").next().unwrap();
    Help::parse(example).unwrap();
}

#[test]
fn guide_explains_every_help_fault() {
    let text = || "x".to_owned();
    let reasons = [
        HelpReason::EmptyBlock,
        HelpReason::Fence { fence: text() },
        HelpReason::Unclosed,
        HelpReason::ManyBlocks { max: 8 },
        HelpReason::SameCountry { country: text() },
        HelpReason::Country { value: text() },
        HelpReason::ToFillIn { key: "name", value: text() },
        HelpReason::Reached { kind: "call", wanted: "`number`" },
        HelpReason::KeywordAlone,
        HelpReason::PhoneNumber { key: "number", value: text() },
        HelpReason::Url { value: text() },
        HelpReason::LonePair { pair: text() },
        HelpReason::Unchecked { name: text() },
        HelpReason::EmergencyDialled { name: text() },
        HelpReason::CheckedLater { name: text(), on: Day(20_785) },
        HelpReason::NoEmergency,
        HelpReason::TooTall { lines: 13, max: 12 },
    ];
    let rows = rows("What each error means");
    for (row, reason) in rows.iter().zip(&reasons) {
        let message = reason.to_string().replace('`', "");
        let mut rest = message.as_str();
        for piece in row[0].split('…') {
            let at = rest.find(piece).unwrap_or_else(|| panic!("{}\n{message}", row[0]));
            rest = &rest[at + piece.len()..];
        }
        assert!(!row[1].is_empty());
    }
    assert_eq!(rows.len(), reasons.len());
}
