//! Screens as a person sees them.

use insta::assert_snapshot;

use super::*;
use crate::{Mood, Text};

#[test]
fn member_sees_talk_and_lanes() {
    assert_snapshot!(screen(&member((80, 24), vec![round()])), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│○ Cleo has the floor, the round ends in 1:40 · then Dee, you
  Check-in    due│  · 2 hands up
Skills group    1│
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │      Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │      Thursday we meet at six. You are not alone tonight.
                 │── new since you read last ───────────────────────────────────
                 │21:12 Dee
                 │      [content note: food, body. Enter shows it]
                 │21:13 Cleo, to Ben: “Walking. And knowing that …”
                 │      Same here. The first ten minutes are the hardest.
                 │      heard · with you
                 │⧖ waiting to be sent: I will call my sister.
                 │──────────────────────────────────────────────────────────────
                 │>
Enter send · ↑ pick a message · / commands · F1 keys · Ctrl-Q hide now
cursor 20 22
"###);
}

#[test]
fn narrow_terminal_has_one_pane() {
    assert_snapshot!(screen(&member((40, 20), vec![pause()])), @r###"
Tuesday evening · Ben          3 new  +1
‖ Paused by Fay, 7:12 left. Read,
  write (kept), help-now: all go on.
  Walking. And knowing that somebody
  reads this.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
  alone tonight.
── new ─────────────────────────────────
21:12 Dee
  [content note: food, body. Enter shows
  it]
21:13 Cleo, to Ben: “Walking. And knowi…
  Same here. The first ten minutes are
  the hardest.
  heard · with you
⧖ waiting: I will call my sister.
────────────────────────────────────────
>
/ commands · ↑ pick · Ctrl-Q hide
cursor 2 18
"###);
}

#[test]
fn small_terminal_stays_usable() {
    assert_snapshot!(screen(&member((30, 10), vec![pause()])), @r###"
Tuesday evening · …  3 new  +1
‖ Paused by Fay, 7:12 left.
  Read, write (kept),
  Same here. The first ten
  minutes are the hardest.
  heard · with you
⧖ waiting: I will call my sis…
──────────────────────────────
>
/ · Ctrl-Q hide
cursor 2 8
"###);
}

#[test]
fn facilitator_sees_what_waits() {
    assert_snapshot!(screen(&facilitator((120, 40))), @r###"
Tuesday evening · you are Fay                                                            kept 30 days · open until 22:00
Tuesday evening    3│○ Cleo has the floor, the round ends in 1:40 · then Dee, you · 2    │ For you
  Check-in       due│  hands up [n next] [s skip]                                        │ ! help-now Dee 23:04 Enter:
Skills group       1│                                                                    │   I see it
                    │                                                                    │ 2 knocks Eli, Finn
                    │                                                                    │ check-in Ben 9 d due
                    │                                                                    │ mood Dee ▇▆▅▃▂ 7 6 5 3 2
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │                                                                    │
                    │── Wednesday 18 November ───────────────────────────────────────────│
                    │21:02 Cleo                                                          │
                    │      I know that one. What helped you on Sunday?                   │
                    │21:03 – Fay paused the room for 1 min: “Let us take a breath.”      │
                    │21:05 Ben                                                           │
                    │      Walking. And knowing that somebody reads this.                │
                    │21:06 Fay, to everybody                                             │
                    │      Thursday we meet at six. You are not alone tonight.           │
                    │── new since you read last ─────────────────────────────────────────│
                    │21:12 Dee                                                           │
                    │      [content note: food, body. Enter shows it]                    │
                    │21:13 Cleo, to Ben: “Walking. And knowing that …”                   │
                    │      Same here. The first ten minutes are the hardest.             │
                    │      heard · with you                                              │
                    │⧖ waiting to be sent: I will call my sister.                        │
                    │────────────────────────────────────────────────────────────────────│
                    │>                                                                   │
Enter send · ↑ pick a message · / commands · F1 keys · Ctrl-Q hide now
cursor 23 38
"###);
}

#[test]
fn picked_message_has_its_menu() {
    let mut app = member((80, 24), Vec::new());
    press(&mut app, &[Key::Up, Key::Up, Key::Up, Key::Up, Key::Enter]);
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│
  Check-in    due│
Skills group    1│
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │▌     Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │      Thursday we meet at six. You are not alone tonight.
                 │── new since you read last ───────────────────────────────────
                 │21:12 Dee
                 │      [content note: food, body. Enter shows it]
                 │┌─ Your message ─────────────────────────────────────────────┐
                 ││ r  Reply                                                   │
                 ││ t  Take back                                               │
                 ││ c  Copy                                                    │
                 │└────────────────────────────────────────────────────────────┘
                 │>
Enter does it · Esc one step back
cursor 20 18
"###);
}

#[test]
fn palette_lists_with_role_and_enforcement() {
    let mut app = member((80, 24), Vec::new());
    type_in(&mut app, "/pa");
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│
  Check-in    due│
Skills group    1│
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │      Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │      Thursday we meet at six. You are not alone tonight.
                 │── new since you read last ───────────────────────────────────
                 │21:12 Dee
                 │      [content note: food, body. Enter shows it]
                 │┌─ What you can do here ─────────────────────────────────────┐
                 ││ > pa                                                       │
                 ││ pause        stop everybody for a moment          F CF E R │
                 ││ pass         let your turn go by                       M E │
                 │└────────────────────────────────────────────────────────────┘
                 │>
Enter does it · Esc one step back
cursor 24 18
"###);
    let mut app = member((30, 10), Vec::new());
    type_in(&mut app, "/");
    assert_snapshot!(screen(&app), @r###"
┌─ What you can do here ─────┐
│ >                          │
│ help-now     numbers to …  │
│ pause        stop everyb…  │
│ pass         let your tu…  │
│ remove       take a memb…  │
│ search       find messag…  │
│ mood         say how you…  │
│ quit         end           │
└────────────────────────────┘
cursor 4 1
"###);
}

#[test]
fn missing_arguments_are_a_form() {
    let mut app = member((80, 24), Vec::new());
    type_in(&mut app, "/remove");
    press(&mut app, &[Key::Enter]);
    type_in(&mut app, "Ben");
    press(&mut app, &[Key::Enter, Key::Right]);
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│
  Check-in    due│
Skills group    1│
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │      Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │┌─ /remove ──────────────────────────────────────────────────┐
                 ││ take a member out                                          │
                 ││ NAME: Whom.                                                │
                 ││ > Ben                                                      │
                 ││ reason: Why.                                               │
                 ││ > conduct                                                  │
                 ││   ← → chooses: conduct, safety                             │
                 ││ Enter goes on, Esc leaves it. F CF · E R                   │
                 │└────────────────────────────────────────────────────────────┘
                 │>
Enter does it · Esc one step back
cursor 29 18
"###);
}

#[test]
fn act_is_said_back_first() {
    let mut app = member((40, 20), Vec::new());
    let words = "Remove Ben? To come back they need a new invite.".into();
    update(&mut app, Msg::Asks { token: 1, words });
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
  “Let us take a breath.”
21:05 Ben
  Walking. And knowing that somebody
  reads this.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
  alone tonight.
── new ─────────────────────────────────
21:12 Dee
  [content note: food, body. Enter shows
  it]
┌─ Are you sure? ──────────────────────┐
│ Remove Ben? To come back they need a │
│ new invite.                          │
│ y  Yes, do it                        │
│ n  No, leave it                      │
└──────────────────────────────────────┘
>
Enter does it · Esc one step back
cursor 2 16
"###);
}

#[test]
fn numbers_come_first() {
    for (size, _) in [((40, 20), 0), ((30, 10), 0)] {
        let mut app = member(size, Vec::new());
        type_in(&mut app, "/");
        press(&mut app, &[Key::Enter]);
        match size.0 {
            40 => assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
  “Let us take a breath.”
21:05 Ben
  Walking. And knowing that somebody
  reads this.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
┌─ Help now ───────────────────────────┐
│ 999 Emergency                        │
│ 116 123 Samaritans, day and night    │
│ Nothing has been sent. Nobody knows  │
│ that you opened this.                │
│ Nobody is on duty now: phoning is    │
│ quicker.                             │
│ [Enter: tell Fay and Gil] [Esc: only │
│ these numbers]                       │
│ words with it >                      │
└──────────────────────────────────────┘
>
Enter does it · Esc one step back
cursor 18 16
"###),
            _ => assert_snapshot!(screen(&app), @r###"
┌─ Help now ─────────────────┐
│ 999 Emergency              │
│ 116 123 Samaritans, day    │
│ and night                  │
│ Nothing has been sent.     │
│ Nobody knows that you      │
│ [Enter: tell Fay and Gil]  │
│ [Esc: only these numbers]  │
│ words with it >            │
└────────────────────────────┘
cursor 18 8
"###),
        }
    }
}

#[test]
fn mood_is_a_row_of_numbers() {
    let mut app = member((40, 20), Vec::new());
    let lines = vec!["Fay and Gil see it, by noon tomorrow. Nobody is watching now.".into()];
    does(&mut app, Does::Mood(Mood { lines }));
    press(&mut app, &[Key::Left]);
    type_in(&mut app, "tired");
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
  “Let us take a breath.”
21:05 Ben
  Walking. And knowing that somebody
  reads this.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
  alone tonight.
┌─ How are you right now? ─────────────┐
│ Fay and Gil see it, by noon          │
│ tomorrow. Nobody is watching now.    │
│ 0 1 2 3 [4] 5 6 7 8 9 10             │
│ 0 as bad as it gets, 10 as good as   │
│ it gets                              │
│ words, if you like > tired           │
│ ← → chooses · Enter sends · Esc      │
│ skips it                             │
└──────────────────────────────────────┘
>
Enter does it · Esc one step back
cursor 28 14
"###);
}

#[test]
fn poll_names_who_sees_votes() {
    let choices =
        vec![action('1', "at six", run("vote #9 1")), action('2', "at eight", run("vote #9 2"))];
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
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│? When? [v vote] [x not now]
  Check-in    due│  1  at six
Skills group    1│  2  at eight
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │      Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │      Thursday we meet at six. You are not alone tonight.
                 │── new since you read last ───────────────────────────────────
                 │21:12 Dee
                 │      [content note: food, body. Enter shows it]
                 │21:13 Cleo, to Ben: “Walking. And knowing that …”
                 │      Same here. The first ten minutes are the hardest.
                 │      heard · with you
                 │⧖ waiting to be sent: I will call my sister.
                 │──────────────────────────────────────────────────────────────
                 │>
↑ ↓ choose · Enter does it · Tab on · Esc back
cursor 18 1
"###);
    press(&mut app, &[Key::Enter]);
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│? When? [v vote] [x not now]
  Check-in    due│  1  at six
Skills group    1│  2  at eight
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │      Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │      Thursday we meet at six. You are not alone tonight.
                 │── new since you read last ───────────────────────────────────
                 │21:12 Dee
                 │      [content note: food, body. Enter shows it]
                 │┌─ When? ────────────────────────────────────────────────────┐
                 ││ 1  at six                                                  │
                 ││ 2  at eight                                                │
                 ││ The facilitators see who votes for what.                   │
                 │└────────────────────────────────────────────────────────────┘
                 │>
Enter does it · Esc one step back
cursor 20 18
"###);
    press(&mut app, &[Key::Esc, Key::Tab]);
    type_in(&mut app, "x");
    assert!(!screen(&app).contains("1  at six"));
}

#[test]
fn alarm_stands_until_answered() {
    let alarm = Band {
        key: "alarm".into(),
        sign: '!',
        text: "The relay enforces a pause that no record says.".into(),
        lines: vec!["Compare by phone: /verify shows digits.".into()],
        strong: true,
        actions: vec![action('x', "I have read this", Does::Dismiss)],
        ..Band::default()
    };
    let app = member((40, 20), vec![alarm]);
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
! The relay enforces a pause that no
  record says. [x I have read this]
  Compare by phone: /verify shows
  digits.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
  alone tonight.
── new ─────────────────────────────────
21:12 Dee
  [content note: food, body. Enter shows
  it]
21:13 Cleo, to Ben: “Walking. And knowi…
  Same here. The first ten minutes are
  the hardest.
  heard · with you
⧖ waiting: I will call my sister.
────────────────────────────────────────
>
/ commands · ↑ pick · Ctrl-Q hide
cursor 2 18
"###);
}

#[test]
fn agreement_is_read_to_its_end() {
    let mut app = member((40, 20), Vec::new());
    let body: String = (1..=30).map(|n| format!("{n}. What is said here stays here.\n")).collect();
    update(&mut app, Msg::Text(Text { title: "The agreement".into(), body, signs: true }));
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
  “Let us take a breath.”
┌─ The agreement ──────────────────────┐
│ 1. What is said here stays here.     │
│ 2. What is said here stays here.     │
│ 3. What is said here stays here.     │
│ 4. What is said here stays here.     │
│ 5. What is said here stays here.     │
│ 6. What is said here stays here.     │
│ 7. What is said here stays here.     │
│ 8. What is said here stays here.     │
│ 9. What is said here stays here.     │
│ 10. What is said here stays here.    │
│ 11. What is said here stays here.    │
│ 12. What is said here stays here.    │
│ 13. What is said here stays here.    │
│ Enter reads on, 18 more lines · / s… │
└──────────────────────────────────────┘
>
Enter does it · Esc one step back
cursor 2 16
"###);
    press(&mut app, &[Key::PageDown, Key::PageDown, Key::PageDown]);
    type_in(&mut app, "I ackn");
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
  “Let us take a breath.”
┌─ The agreement ──────────────────────┐
│ 19. What is said here stays here.    │
│ 20. What is said here stays here.    │
│ 21. What is said here stays here.    │
│ 22. What is said here stays here.    │
│ 23. What is said here stays here.    │
│ 24. What is said here stays here.    │
│ 25. What is said here stays here.    │
│ 26. What is said here stays here.    │
│ 27. What is said here stays here.    │
│ 28. What is said here stays here.    │
│ 29. What is said here stays here.    │
│ 30. What is said here stays here.    │
│                                      │
│ Type I acknowledge > I ackn          │
└──────────────────────────────────────┘
>
Enter does it · Esc one step back
cursor 29 16
"###);
}

#[test]
fn scrolled_talk_counts_what_came() {
    let mut app = member((40, 12), Vec::new());
    press(&mut app, &[Key::PageUp]);
    update(
        &mut app,
        Msg::Items(vec![said(9, "21:20", "Dee", "late"), said(10, "21:21", "Dee", "later")]),
    );
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · Ben          3 new  +1
  Walking. And knowing that somebody
  reads this.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
  alone tonight.
── new ─────────────────────────────────
21:12 Dee                 ▼ 2 new below
⧖ waiting: I will call my sister.
────────────────────────────────────────
>
/ commands · ↑ pick · Ctrl-Q hide
cursor 2 10
"###);
}

#[test]
fn lane_says_who_reads() {
    let mut app = member((80, 24), Vec::new());
    let scene = Scene { prompt: "to Fay only >".into(), waiting: Vec::new(), ..scene(Vec::new()) };
    update(&mut app, Msg::Scene(Box::new(scene)));
    type_in(
        &mut app,
        "I would like to talk before Thursday, because the weekend was hard and long",
    );
    assert_snapshot!(screen(&app), @r###"
Tuesday evening · you are Ben                    kept 30 days · open until 22:00
Tuesday evening 3│
  Check-in    due│
Skills group    1│
                 │
                 │── Wednesday 18 November ─────────────────────────────────────
                 │21:02 Cleo
                 │      I know that one. What helped you on Sunday?
                 │21:03 – Fay paused the room for 1 min: “Let us take a
                 │      breath.”
                 │21:05 Ben
                 │      Walking. And knowing that somebody reads this.
                 │21:06 Fay, to everybody
                 │      Thursday we meet at six. You are not alone tonight.
                 │── new since you read last ───────────────────────────────────
                 │21:12 Dee
                 │      [content note: food, body. Enter shows it]
                 │21:13 Cleo, to Ben: “Walking. And knowing that …”
                 │      Same here. The first ten minutes are the hardest.
                 │      heard · with you
                 │────────────────────────────────────────────────── 75 of 1200
                 │to Fay only > I would like to talk before Thursday, because
                 │              the weekend was hard and long
Enter send · ↑ pick a message · / commands · F1 keys · Ctrl-Q hide now
cursor 61 22
"###);
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
    assert_snapshot!(shown, @r###"
Tuesday evening - Ben          3 new  +1
= Paused by Fay, 7:12 left. Read,
  write (kept), help-now: all go on.
  Walking. And knowing that somebody
  reads this.
21:06 Fay, to everybody
  Thursday we meet at six. You are not
  alone tonight.
+- What you can do here ---------------+
| >                                    |
| help-now     numbers to call now; .  |
| pause        stop everybody for a .  |
| pass         let your turn go by     |
| remove       take a member out       |
| search       find messages by thei.  |
| mood         say how you are         |
| quit         end                     |
+--------------------------------------+
>
Enter does it - Esc one step back
cursor 4 9
"###);
}

#[test]
fn hidden_screen_says_nothing() {
    let mut app = member((40, 20), vec![pause()]);
    update(&mut app, Msg::Locked { passphrase: true });
    assert_snapshot!(screen(&app), @r###"
Passphrase:



















cursor 12 0
"###);
}
