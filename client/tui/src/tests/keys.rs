//! What keys do, as tables.

use super::*;

fn at_line() -> App {
    member((80, 24), Vec::new())
}

#[test]
fn line_keys_say_and_run() {
    for (typed, expected) in [
        ("hello", vec![Effect::Say("hello".into())]),
        ("//hello", vec![Effect::Say("//hello".into())]),
        (" ", vec![]),
    ] {
        let mut app = at_line();
        update(&mut app, Msg::Paste(typed.into()));
        assert_eq!(press(&mut app, &[Key::Enter]), expected, "{typed}");
        assert!(app.line.is_empty() || typed == " ");
    }
    let mut app = at_line();
    update(&mut app, Msg::Paste("/pause 10m Let us breathe".into()));
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("pause 10m Let us breathe".into())]);
}

#[test]
fn paste_of_many_lines_never_sends() {
    let mut app = at_line();
    let text: String = (1..=20).map(|n| format!("line {n}\r\n")).collect();
    assert_eq!(update(&mut app, Msg::Paste(text)), []);
    assert_eq!(app.line.text().lines().count(), 20);
    assert!(update(&mut app, Msg::Paste("x".repeat(1 << 20))).is_empty());
    assert_eq!(app.line.text().lines().count(), 20);
    assert!(screen(&app).contains("too long"), "{}", screen(&app));
}

#[test]
fn palette_runs_or_asks_for_more() {
    let mut app = at_line();
    assert_eq!(type_in(&mut app, "/pass"), []);
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("pass".into())]);
    assert!(app.overlay.is_none());
    // Missing arguments become a form; a required one that is missing is named.
    type_in(&mut app, "/pause");
    assert_eq!(press(&mut app, &[Key::Enter]), []);
    assert_eq!(press(&mut app, &[Key::Enter, Key::Enter]), []);
    assert!(screen(&app).contains("WORDS is missing"), "{}", screen(&app));
    type_in(&mut app, "Let us breathe");
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("pause Let us breathe".into())]);
    // Typed whole, it runs as it is.
    type_in(&mut app, "/pause 5m Let us breathe");
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("pause 5m Let us breathe".into())]);
}

#[test]
fn form_takes_only_known_choices() {
    let mut app = at_line();
    type_in(&mut app, "/remove");
    press(&mut app, &[Key::Enter]);
    type_in(&mut app, "Ben B");
    press(&mut app, &[Key::Enter]);
    type_in(&mut app, "rude");
    assert_eq!(press(&mut app, &[Key::Enter]), []);
    assert!(screen(&app).contains("reason is one of: conduct, safety"), "{}", screen(&app));
    press(&mut app, &[Key::Right]);
    let line = "remove \"Ben B\" --reason conduct";
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run(line.into())]);
}

#[test]
fn help_shows_numbers_before_it_tells() {
    let mut app = at_line();
    type_in(&mut app, "/");
    assert_eq!(press(&mut app, &[Key::Enter]), []);
    assert!(screen(&app).contains("999 Emergency"));
    assert_eq!(press(&mut app, &[Key::Esc]), []);
    type_in(&mut app, "/help-now");
    press(&mut app, &[Key::Enter]);
    type_in(&mut app, "please");
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::CallHelp("please".into())]);
    assert!(app.overlay.is_none());
}

#[test]
fn picked_message_answers_below_its_words() {
    let mut app = at_line();
    press(&mut app, &[Key::Up, Key::Up, Key::Up, Key::Up]);
    assert_eq!(app.talk.picked, Some(3));
    press(&mut app, &[Key::Enter, Key::Char('r')]);
    type_in(&mut app, "me too");
    assert!(screen(&app).contains("to Ben > me too"));
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("reply id3 me too".into())]);
    assert_eq!(app.mode, crate::app::Mode::Say);
}

#[test]
fn room_words_survive_a_reply() {
    let mut app = at_line();
    press(&mut app, &[Key::Up]);
    press(&mut app, &[Key::Enter, Key::Char('r')]);
    update(&mut app, Msg::Key(Key::Esc));
    type_in(&mut app, "draft");
    app.talk.picked = None;
    update(&mut app, Msg::Fills { words: "How often?".into() });
    assert!(app.line.is_empty());
    assert_eq!(app.draft(), "draft");
    assert_eq!(type_in(&mut app, "2"), []);
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Fill("2".into())]);
    update(&mut app, Msg::Filled);
    assert_eq!(app.line.text(), "draft");
}

#[test]
fn covered_words_show_at_enter() {
    let mut app = at_line();
    assert!(!screen(&app).contains("I had nothing all day."));
    press(&mut app, &[Key::Up, Key::Up, Key::Enter]);
    assert!(screen(&app).contains("I had nothing all day."));
    press(&mut app, &[Key::Enter]);
    assert!(app.overlay.is_some());
}

#[test]
fn question_does_nothing_without_yes() {
    for (keys, agrees) in [
        (&[Key::Enter][..], false),
        (&[Key::Esc], false),
        (&[Key::Char('n')], false),
        (&[Key::Char('y')], true),
        (&[Key::Up, Key::Enter], true),
    ] {
        let mut app = at_line();
        update(&mut app, Msg::Asks { token: 7, words: "Remove Ben?".into() });
        assert_eq!(press(&mut app, keys), [Effect::Answer { token: 7, agrees }], "{keys:?}");
    }
}

#[test]
fn hiding_takes_everything_off() {
    let mut app = at_line();
    type_in(&mut app, "half a sen");
    assert_eq!(press(&mut app, &[Key::Ctrl('q')]), [Effect::Lock("half a sen".into())]);
    update(&mut app, Msg::Locked { passphrase: true });
    type_in(&mut app, "secret");
    let hidden = screen(&app);
    for word in ["Tuesday", "Ben", "Walking", "half", "secret", "hearth"] {
        assert!(!hidden.contains(word), "{word}: {hidden}");
    }
    let opened = press(&mut app, &[Key::Enter]);
    assert_eq!(opened, [Effect::Open("secret".to_owned().into())]);
    // What was under way shows nothing.
    update(&mut app, Msg::Remark("Ben is here".into()));
    update(&mut app, Msg::Items(evening()));
    assert!(!screen(&app).contains("Ben"));
    update(&mut app, Msg::Opened);
    assert!(!app.is_locked());
}

#[test]
fn idle_screen_announces_then_hides() {
    let mut app = at_line();
    type_in(&mut app, "draft");
    update(&mut app, Msg::Time { now: NOW, steady: IDLE - 60_001 });
    assert!(!screen(&app).contains("hides in"));
    update(&mut app, Msg::Time { now: NOW, steady: IDLE - 30_000 });
    assert!(screen(&app).contains("This screen hides in 30 s"), "{}", screen(&app));
    // A key keeps it.
    press(&mut app, &[Key::Right]);
    assert_eq!(update(&mut app, Msg::Time { now: NOW, steady: IDLE }), []);
    let effects = update(&mut app, Msg::Time { now: NOW, steady: 2 * IDLE });
    assert_eq!(effects, [Effect::Lock("draft".into())]);
}

#[test]
fn clock_that_jumps_hides_nothing() {
    let mut app = at_line();
    for now in [0, u64::MAX, NOW] {
        assert_eq!(update(&mut app, Msg::Time { now, steady: 10 }), []);
        screen(&app);
    }
}

#[test]
fn band_letters_act_only_with_focus() {
    let mut app = facilitator((80, 24));
    assert_eq!(type_in(&mut app, "n"), []);
    assert_eq!(app.line.text(), "n");
    press(&mut app, &[Key::Backspace, Key::Tab]);
    assert_eq!(type_in(&mut app, "s"), [Effect::Run("skip".into())]);
    assert_eq!(app.focus, crate::Focus::Line);
    // What is no letter of the band is typed.
    press(&mut app, &[Key::Tab]);
    assert_eq!(type_in(&mut app, "q"), []);
    assert_eq!(app.line.text(), "q");
}

#[test]
fn panes_without_room_are_pages() {
    let mut app = facilitator((40, 20));
    press(&mut app, &[Key::Tab, Key::Tab]);
    assert!(screen(&app).contains("Your rooms"), "{}", screen(&app));
    press(&mut app, &[Key::Esc]);
    let mut app = facilitator((120, 40));
    press(&mut app, &[Key::Tab, Key::Tab, Key::Tab, Key::Down]);
    assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("2 knocks".into())]);
}

#[test]
fn other_rooms_are_a_key_away() {
    let mut app = at_line();
    type_in(&mut app, "draft");
    let effects = press(&mut app, &[Key::AltDown]);
    assert_eq!(effects, [Effect::Keep("draft".into()), Effect::Go(PlaceId(1))]);
    assert_eq!(press(&mut app, &[Key::AltUp]), []);
}

#[test]
fn nobody_signs_unread_text() {
    let mut app = member((40, 20), Vec::new());
    let body: String = (1..=60).map(|n| format!("Clause {n}.\n")).collect();
    let text = crate::Text { title: "The agreement".into(), body, signs: true };
    update(&mut app, Msg::Text(text));
    type_in(&mut app, "I acknowledge");
    assert!(!screen(&app).contains("I acknowledge"), "{}", screen(&app));
    press(&mut app, &[Key::PageDown; 10]);
    type_in(&mut app, "I acknowledge");
    let effects = press(&mut app, &[Key::Enter]);
    assert_eq!(effects, [Effect::Sign("I acknowledge".into())]);
}

#[test]
fn mood_is_chosen_by_arrows() {
    let mood = crate::Mood { lines: vec!["How are you?".into()] };
    for (keys, line) in [
        (&[Key::Enter][..], "mood 5"),
        (&[Key::Left, Key::Left, Key::Enter], "mood 3"),
        (&[Key::Right; 9], ""),
        (&[Key::Esc], "mood skip"),
    ] {
        let mut app = at_line();
        does(&mut app, Does::Mood(mood.clone()));
        let effects = press(&mut app, keys);
        match line {
            "" => assert_eq!(press(&mut app, &[Key::Enter]), [Effect::Run("mood 10".into())]),
            line => assert_eq!(effects, [Effect::Run(line.into())]),
        }
    }
}

#[test]
fn escape_never_ends() {
    let mut app = at_line();
    for _ in 0..20 {
        for effect in press(&mut app, &[Key::Esc, Key::Ctrl('c'), Key::Ctrl('d')]) {
            assert!(!matches!(effect, Effect::Quit(_)), "{effect:?}");
        }
    }
    type_in(&mut app, "/quit");
    assert!(matches!(press(&mut app, &[Key::Enter])[..], [Effect::Quit(_)]));
}

#[test]
fn letter_behind_escape_is_typed() {
    let mut app = at_line();
    press(&mut app, &[Key::F1, Key::Alt('H')]);
    assert!(app.overlay.is_none());
    assert_eq!(app.line.text(), "H");
    press(&mut app, &[Key::Alt('b')]);
    assert_eq!(app.line.text(), "H");
}

#[test]
fn seen_is_told_at_end() {
    let mut app = member((80, 10), Vec::new());
    press(&mut app, &[Key::PageUp]);
    let effects = update(&mut app, Msg::Items(vec![said(9, "21:20", "Dee", "late")]));
    assert_eq!(effects, []);
    let effects = press(&mut app, &[Key::End]);
    assert_eq!(effects, [Effect::Seen(9)]);
}
