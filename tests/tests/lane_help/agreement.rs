//! An agreement with a number that nobody checked is not issued.

use hearth_kit::{AGREEMENT, Person, Relay, text_file};

use super::{HELP, agreement, numbers, open};

#[test]
fn unchecked_number_opens_no_room() {
    let relay = Relay::start();
    let fay = Person::new();
    let grant = relay.grant();
    let create = |text: &str| {
        let file = text_file(text);
        let path = file.path().to_str().unwrap().to_owned();
        fay.run(&[
            "room",
            "create",
            "Evening",
            "--grant",
            &grant,
            "--agreement",
            &path,
            "--as",
            "Fay",
        ])
    };
    let checked = r#"checked = { on = 2026-11-01, by = "Fay", how = "official page" }"#;
    let unchecked = agreement().replace(checked, r#"checked = { on = "", by = "", how = "" }"#);
    let refused = create(&unchecked);
    let object = refused.failed(2, "help_faulty");
    let said = object["message"].as_str().unwrap();
    let line = unchecked.lines().position(|line| line.contains("on = \"\"")).unwrap() + 1;
    assert!(said.contains(&format!("line {line}: \"Emergency\" is not checked")), "{said}");
    assert!(object["try"].as_str().unwrap().contains("`hearth agreement check "), "{object}");
    create(&agreement().replace("2026-11-01", "2999-01-01")).failed(2, "help_faulty");
    // The grant is as good as before.
    create(&agreement()).done();
}

#[test]
fn changed_number_is_editorial() {
    let relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    let amend = |text: &str| {
        let file = text_file(text);
        let path = file.path().to_str().unwrap().to_owned();
        circle.fay.run(&["agreement", "amend", &circle.room, &path, "--editorial"])
    };
    amend(&agreement().replace("number = \"00 116\"", "number = \"ask Fay\""))
        .failed(2, "help_faulty");
    amend(&agreement().replace("00 116", "00 117")).done();
    circle.news(&ben);
    assert_eq!(numbers(&ben.run(&["help-now"])), ["000 Emergency", "00 117 Night line, free"]);
    // Nobody had to sign again.
    circle.say(&ben, "Still here");
    // An agreement without numbers takes none away.
    amend(AGREEMENT).done();
    circle.news(&ben);
    assert_eq!(numbers(&ben.run(&["help-now"])), ["000 Emergency", "00 117 Night line, free"]);
}

#[test]
fn check_shows_what_members_will_see() {
    let fay = Person::new();
    let file = text_file(&agreement());
    let path = file.path().to_str().unwrap();
    let checked = fay.does(&["agreement", "check", path]);
    assert_eq!(checked[0]["help"][0]["contacts"][0]["line"], "000 Emergency");
    let seen = fay.sees(&["agreement", "check", path]).stdout;
    assert!(seen.contains("000 Emergency\n00 116 Night line, free\n"), "{seen}");
    let none = text_file(AGREEMENT);
    let seen = fay.sees(&["agreement", "check", none.path().to_str().unwrap()]).stdout;
    assert!(seen.contains("no crisis contacts"), "{seen}");
    let open = text_file(&format!("{AGREEMENT}```help\n{}", HELP.trim().trim_matches('`')));
    fay.run(&["agreement", "check", open.path().to_str().unwrap()]).failed(2, "help_faulty");
}

/// What is printed to start from is refused until a person has checked it.
#[test]
fn template_of_a_country_is_unchecked() {
    let fay = Person::new();
    for (country, number) in [("gb", "116 123"), ("US", "988"), ("IE", "[emergency number]")] {
        let printed = fay.sees(&["agreement", "template", "--country", country]);
        assert!(printed.stdout.contains(&format!("\"{number}\"")), "{}", printed.stdout);
        assert_eq!(printed.stderr.contains("No line is known"), country == "IE");
        let (_, block) = printed.stdout.split_once("```help\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let text = text_file(&format!("{AGREEMENT}\n```help\n{block}```\n"));
        fay.run(&["agreement", "check", text.path().to_str().unwrap()]).failed(2, "help_faulty");
        let whole = text_file(&printed.stdout);
        fay.run(&["agreement", "check", whole.path().to_str().unwrap()])
            .failed(2, "agreement_template");
    }
}
