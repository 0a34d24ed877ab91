//! Reports and concerns, and the notes of those who moderate.

use hearth_kit::{AtTerminal, Relay};

use super::Scene;

#[test]
fn report_reaches_moderators_alone() {
    let relay = Relay::start();
    let scene = Scene::with_gil(&relay, &["Ben", "Cleo", "Eli"]);
    let said = scene.circle.say(scene.person("Eli"), "I know where you live");
    let kept = scene.circle.say(scene.person("Eli"), "and I will come");
    scene.settle();
    let sent = scene.by("Ben", "report", &[&said, &kept, "He writes where I live"]);
    let mut to: Vec<&str> =
        sent[0]["to"].as_array().unwrap().iter().flat_map(|v| v.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["Fay", "Gil"]);
    // Eli takes his words back; they stay provable.
    scene.by("Eli", "retract", &[&said]);
    scene.settle();
    for name in ["Fay", "Gil"] {
        let reports = scene.by(name, "reports", &[]);
        assert_eq!(reports.len(), 1, "{name}: {reports:#?}");
        let report = &reports[0];
        assert_eq!((&report["from"], &report["about"][0]), (&"Ben".into(), &"Eli".into()));
        assert_eq!(report["text"], "He writes where I live");
        for (quote, words) in [(0, "I know where you live"), (1, "and I will come")] {
            let quote = &report["quotes"][quote];
            assert_eq!((&quote["author"], &quote["text"]), (&"Eli".into(), &words.into()));
            assert_eq!(quote["finding"], "verified", "{report:#?}");
        }
    }
    let report = scene.by("Gil", "reports", &[])[0]["report"].as_str().unwrap().to_owned();
    scene.by("Gil", "report-close", &[&report, "I have spoken with Eli."]);
    let read = scene.sees("Ben", "checkin", &[]);
    assert!(read.contains("Gil has looked into what you reported ("), "{read}");
    assert!(read.contains("“I have spoken with Eli.”"), "{read}");
    assert_eq!(scene.by("Fay", "reports", &[])[0]["closed"], true);
    // Nobody else has a line of it.
    for name in ["Cleo", "Eli"] {
        for row in [scene.by(name, "read", &["--all"]), scene.by(name, "checkin", &[])].concat() {
            let text = row["text"].as_str().unwrap_or_default();
            assert!(!text.contains("where I live") && !text.contains("spoken"), "{name}: {row}");
        }
    }
}

/// T37: lanes and desk seat the accused, so a report goes past them by a note, and so does its answer.
#[test]
fn report_passes_by_the_accused() {
    let relay = Relay::start();
    let scene = Scene::with_gil(&relay, &["Ben", "Cleo"]);
    let said = scene.circle.say(scene.person("Gil"), "You are impossible");
    scene.settle();
    let sent = scene.by("Ben", "report", &[&said, "He shouts at me"]);
    assert_eq!((&sent[0]["passed_by"], &sent[0]["to"]), (&true.into(), &vec!["Fay"].into()));
    let told = scene.sees("Ben", "concern", &["Gil", "He drinks"]);
    assert!(told.contains("Thank you for looking out for Gil. Fay will read this."), "{told}");
    let news = scene.person("Fay").run(&["read", &scene.circle.room]);
    assert!(news.stderr.contains("-- a report came by a note"), "{news:#?}");
    let reports = scene.by("Fay", "reports", &[]);
    assert_eq!(reports.len(), 2, "{reports:#?}");
    assert_eq!(reports[0]["quotes"][0]["finding"], "verified", "{reports:#?}");
    assert_eq!((&reports[0]["from"], &reports[0]["about"][0]), (&"Ben".into(), &"Gil".into()));
    let report = reports[0]["report"].as_str().unwrap().to_owned();
    scene.by("Fay", "report-close", &[&report, "I have spoken with him."]);
    assert_eq!(scene.by("Fay", "reports", &[])[0]["closed"], true);
    let read = scene.sees("Ben", "reports", &[]);
    assert!(read.contains("Fay has looked into what you reported ("), "{read}");
    assert!(read.contains("“I have spoken with him.”"), "{read}");
    let room = &scene.circle.room;
    let again = scene.person("Fay").run(&["report-close", room, &report, "Again"]);
    again.refused(3, "report_answered");
    scene.settle();
    for name in ["Gil", "Cleo"] {
        let reports = scene.by(name, "reports", &[]);
        assert!(reports.is_empty(), "{name}: {reports:#?}");
    }
    for rows in [scene.by("Gil", "checkin", &["Ben"]), scene.by("Gil", "read", &["--all"])] {
        for row in rows {
            let text = row["text"].as_str().unwrap_or_default();
            let tells = ["shouts", "drinks", "spoken"].iter().any(|word| text.contains(word));
            assert!(row["kind"] != "report" && !tells, "{row}");
        }
    }
}

/// Nobody is left who could receive it.
#[test]
fn report_about_all_is_kept() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &["Ben"]);
    let said = scene.circle.say(scene.person("Fay"), "You are impossible");
    scene.settle();
    let room = &scene.circle.room;
    let ben = scene.person("Ben");
    for args in
        [["report", room, &said, "She shouts at me"], ["concern", room, "Fay", "She drinks"]]
    {
        let refused = ben.run(&args);
        let object = refused.refused(3, "about_moderator");
        assert_eq!(object["message"], "nobody here can receive that without Fay");
    }
    assert!(scene.by("Fay", "reports", &[]).is_empty());
    let lane = scene.by("Fay", "checkin", &["Ben"]);
    assert!(lane.iter().all(|row| row["kind"] != "report"), "{lane:#?}");
    let mut chat = AtTerminal::start(ben, "xterm", &["chat", room]);
    chat.await_words(&format!("/report {said} She shouts at me"));
    chat.types("\x15/quit\r");
    drop(chat.ends());
}

#[test]
fn concern_is_kept_from_its_subject() {
    let relay = Relay::start();
    let scene = Scene::of(&relay, &["Ben", "Dee"]);
    let told = scene.sees("Ben", "concern", &["Dee", "She has not answered since Sunday"]);
    assert!(told.contains("Thank you for looking out for Dee. Fay will read this."), "{told}");
    let reports = scene.by("Fay", "reports", &[]);
    assert_eq!(reports[0]["category"], "safety", "{reports:#?}");
    assert_eq!(reports[0]["quotes"].as_array().unwrap().len(), 0);
    assert!(scene.by("Dee", "checkin", &[]).iter().all(|row| row["kind"] != "report"));
    assert!(scene.by("Dee", "read", &["--all"]).iter().all(|row| row["kind"] != "report"));
}

#[test]
fn desk_notes_stay_with_moderators() {
    let relay = Relay::start();
    let scene = Scene::with_gil(&relay, &["Ben", "Dee"]);
    scene.by("Fay", "note", &["Dee", "Her sister can come at night"]);
    scene.by("Gil", "note", &["room", "Ben and Dee should not sit in one round"]);
    for name in ["Fay", "Gil"] {
        let notes = scene.by(name, "notes", &[]);
        assert_eq!(notes.len(), 2, "{name}: {notes:#?}");
        assert_eq!((&notes[0]["from"], &notes[0]["about"]), (&"Fay".into(), &"Dee".into()));
        assert_eq!(scene.by(name, "notes", &["Dee"]).len(), 1);
    }
    let room = &scene.circle.room;
    for name in ["Ben", "Dee"] {
        scene.person(name).run(&["notes", room]).refused(3, "not_facilitator");
        let all = [scene.by(name, "read", &["--all"]), scene.by(name, "checkin", &[])].concat();
        assert!(all.iter().all(|row| row["kind"] != "note"), "{all:#?}");
    }
    // Out of the room a note names nobody else.
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("dee.txt");
    let path = file.to_str().unwrap();
    scene.by("Fay", "note-export", &["Dee", path]);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("Notes about Dee\n"), "{text}");
    assert!(text.contains("Her sister can come at night"), "{text}");
    assert!(!text.contains("Fay") && !text.contains("one round"), "{text}");
    let fay = scene.person("Fay");
    fay.run(&["note-export", room, "Dee", path]).refused(2, "usage");
    scene.by("Fay", "note", &["Dee", "She trusts ben."]);
    let other = folder.path().join("other.txt");
    let refused = fay.run(&["note-export", room, "Dee", other.to_str().unwrap()]);
    let object = refused.refused(3, "names_another");
    assert!(object["message"].as_str().unwrap().contains("Ben"), "{object}");
    assert!(!other.exists());
}
