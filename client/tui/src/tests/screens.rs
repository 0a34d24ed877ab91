//! Screens as a person sees them.

use insta::assert_snapshot;

use super::*;
use crate::{Mood, Text};

#[test]
fn member_sees_talk_and_lanes() {
    assert_snapshot!(screen(&member((80, 24), vec![round()])), @"@@a");
}

#[test]
fn narrow_terminal_has_one_pane() {
    assert_snapshot!(screen(&member((40, 20), vec![pause()])), @"@@b");
}

#[test]
fn small_terminal_stays_usable() {
    assert_snapshot!(screen(&member((30, 10), vec![pause()])), @"@@c");
}

#[test]
fn facilitator_sees_what_waits() {
    assert_snapshot!(screen(&facilitator((120, 40))), @"@@d");
}

#[test]
fn picked_message_has_its_menu() {
    let mut app = member((80, 24), Vec::new());
    press(&mut app, &[Key::Up, Key::Up, Key::Up, Key::Up, Key::Enter]);
    assert_snapshot!(screen(&app), @"@@e");
}

#[test]
fn palette_lists_with_role_and_enforcement() {
    let mut app = member((80, 24), Vec::new());
    type_in(&mut app, "/pa");
    assert_snapshot!(screen(&app), @"@@f");
    let mut app = member((30, 10), Vec::new());
    type_in(&mut app, "/");
    assert_snapshot!(screen(&app), @"@@g");
}

#[test]
fn missing_arguments_are_a_form() {
    let mut app = member((80, 24), Vec::new());
    type_in(&mut app, "/remove");
    press(&mut app, &[Key::Enter]);
    type_in(&mut app, "Ben");
    press(&mut app, &[Key::Enter, Key::Right]);
    assert_snapshot!(screen(&app), @"@@h");
}

#[test]
fn act_is_said_back_first() {
    let mut app = member((40, 20), Vec::new());
    let words = "Remove Ben? To come back they need a new invite.".into();
    update(&mut app, Msg::Asks { token: 1, words });
    assert_snapshot!(screen(&app), @"@@i");
}

#[test]
fn numbers_come_first() {
    for (size, _) in [((40, 20), 0), ((30, 10), 0)] {
        let mut app = member(size, Vec::new());
        type_in(&mut app, "/");
        press(&mut app, &[Key::Enter]);
        match size.0 {
            40 => assert_snapshot!(screen(&app), @"@@j"),
            _ => assert_snapshot!(screen(&app), @"@@k"),
        }
    }
}

#[test]
fn mood_is_a_row_of_numbers() {
    let mut app = member((40, 20), Vec::new());
    let lines = vec!["Fay and Gil see it, by noon tomorrow. Nobody is watching now.".into()];
    crate::update::does(&mut app, Does::Mood(Mood { lines }));
    press(&mut app, &[Key::Left]);
    type_in(&mut app, "tired");
    assert_snapshot!(screen(&app), @"@@l");
}

#[test]
fn poll_names_who_sees_votes() {
    let choices = vec![action('1', "at six", run("vote #9 1")), action('2', "at eight", run("vote #9 2"))];
    let lines = vec!["The facilitators see who votes for what.".into()];
    let vote = Does::Choose { title: "When?".into(), lines, choices };
    let card = Band {
        key: "ask".into(),
        sign: '?',
        text: "When?".into(),
        lines: vec!["1  at six".into(), "2  at eight".into()],
        actions: vec![action('v', "vote", vote), action('x', "not now", Does::Dismiss)],
        ..Band::default()
    };
    let mut app = member((80, 24), vec![card]);
    press(&mut app, &[Key::Tab]);
    assert_snapshot!(screen(&app), @"@@m");
    press(&mut app, &[Key::Enter]);
    assert_snapshot!(screen(&app), @"@@n");
    press(&mut app, &[Key::Esc, Key::Tab]);
    type_in(&mut app, "x");
    assert!(!screen(&app).contains("1  at six"));
}

#[test]
fn alarm_stands_until_answered() {
    let alarm = Band {
        key: "alarm".into(),
        sign: '!',
        text: "! The relay enforces a pause that no record says.".into(),
        lines: vec!["Compare by phone: /verify shows digits.".into()],
        strong: true,
        actions: vec![action('x', "I have read this", Does::Dismiss)],
        ..Band::default()
    };
    let app = member((40, 20), vec![alarm]);
    assert_snapshot!(screen(&app), @"@@o");
}

#[test]
fn agreement_is_read_to_its_end() {
    let mut app = member((40, 20), Vec::new());
    let body: String = (1..=30).map(|n| format!("{n}. What is said here stays here.\n")).collect();
    update(&mut app, Msg::Text(Text { title: "The agreement".into(), body, signs: true }));
    assert_snapshot!(screen(&app), @"@@p");
    press(&mut app, &[Key::PageDown, Key::PageDown, Key::PageDown]);
    type_in(&mut app, "I ackn");
    assert_snapshot!(screen(&app), @"@@q");
}

#[test]
fn scrolled_talk_counts_what_came() {
    let mut app = member((40, 12), Vec::new());
    press(&mut app, &[Key::PageUp]);
    update(&mut app, Msg::Items(vec![said(9, "21:20", "Dee", "late"), said(10, "21:21", "Dee", "later")]));
    assert_snapshot!(screen(&app), @"@@r");
}

#[test]
fn lane_says_who_reads() {
    let mut app = member((80, 24), Vec::new());
    let scene = Scene { prompt: "to Fay only >".into(), waiting: Vec::new(), ..scene(Vec::new()) };
    update(&mut app, Msg::Scene(Box::new(scene)));
    type_in(&mut app, "I would like to talk before Thursday, because the weekend was hard and long");
    assert_snapshot!(screen(&app), @"@@s");
}

#[test]
fn ascii_has_no_other_signs() {
    let mut app = member((40, 20), vec![pause()]);
    app.look = Look { ascii: true, contrast: true };
    let scene = Scene { new_after: Some(4), ..app.scene.clone() };
    update(&mut app, Msg::Scene(Box::new(scene)));
    type_in(&mut app, "/");
    let shown = screen(&app);
    for sign in ['─', '│', '┌', '‖', '⧖', '▌', '·'] {
        assert!(!shown.contains(sign), "{sign}: {shown}");
    }
    assert_snapshot!(shown, @"@@t");
}

#[test]
fn hidden_screen_says_nothing() {
    let mut app = member((40, 20), vec![pause()]);
    update(&mut app, Msg::Locked { passphrase: true });
    assert_snapshot!(screen(&app), @"@@u");
}
