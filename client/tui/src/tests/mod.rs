mod any;
mod keys;
mod screens;

use ratatui::{Terminal, backend::TestBackend};

use crate::{
    Action, App, Band, Does, Effect, Entry, Field, Item, Key, Kind, Look, Msg, Native, Numbers,
    Place, PlaceId, Scene, Todo, Wait, draw, update, update::does,
};

/// Ten minutes.
const IDLE: u64 = 600_000;
const NOW: u64 = 1_000_000;

fn action(key: char, label: &str, does: Does) -> Action {
    Action { key, label: label.into(), does }
}

fn run(line: &str) -> Does {
    Does::Run(line.into())
}

fn said(place: u64, time: &str, name: &str, text: &str) -> Item {
    let reply = Does::Compose {
        label: format!("to {name}"),
        command: format!("reply id{place}"),
        text: String::new(),
    };
    Item {
        place,
        day: "Wednesday 18 November".into(),
        time: time.into(),
        name: name.into(),
        text: text.into(),
        mine: name == "Ben",
        actions: vec![
            action('r', "Reply", reply),
            action('t', "Take back", run(&format!("retract id{place}"))),
            action('c', "Copy", Does::Copy(text.into())),
        ],
        ..Item::default()
    }
}

/// The talk of an evening.
fn evening() -> Vec<Item> {
    vec![
        said(1, "21:02", "Cleo", "I know that one. What helped you on Sunday?"),
        Item {
            kind: Kind::Done,
            actions: Vec::new(),
            ..said(2, "21:03", "Fay", "Fay paused the room for 1 min: “Let us take a breath.”")
        },
        said(3, "21:05", "Ben", "Walking. And knowing that somebody reads this."),
        Item {
            head: ", to everybody".into(),
            ..said(4, "21:06", "Fay", "Thursday we meet at six. You are not alone tonight.")
        },
        Item {
            note: Some("food, body".into()),
            ..said(5, "21:12", "Dee", "I had nothing all day.")
        },
        Item {
            head: ", to Ben: “Walking. And knowing that …”".into(),
            after: "heard · with you".into(),
            ..said(6, "21:13", "Cleo", "Same here. The first ten minutes are the hardest.")
        },
    ]
}

fn place(id: u64, title: &str, lane: bool, unread: usize, note: &str) -> Place {
    Place { id: PlaceId(id), title: title.into(), lane, unread, note: note.into() }
}

fn entry(name: &str, does: &str, who: &str, enforced: &str, fields: Vec<Field>) -> Entry {
    let (name, does) = (name.into(), does.into());
    Entry { name, does, who: who.into(), enforced: enforced.into(), fields, native: None }
}

fn field(name: &str, help: &str) -> Field {
    Field { name: name.into(), help: help.into(), ..Field::default() }
}

fn entries() -> Vec<Entry> {
    let choices = vec!["conduct".into(), "safety".into()];
    vec![
        Entry {
            native: Some(Native::Help),
            ..entry(
                "help-now",
                "numbers to call now; Enter tells the facilitators",
                "M",
                "E",
                Vec::new(),
            )
        },
        entry(
            "pause",
            "stop everybody for a moment",
            "F CF",
            "E R",
            vec![
                Field { optional: true, ..field("TIME", "How long.") },
                Field { words: true, ..field("WORDS", "To the room.") },
            ],
        ),
        entry("pass", "let your turn go by", "M", "E", Vec::new()),
        entry(
            "remove",
            "take a member out",
            "F CF",
            "E R",
            vec![
                field("NAME", "Whom."),
                Field { flag: "--reason".into(), choices, ..field("reason", "Why.") },
            ],
        ),
        entry(
            "search",
            "find messages by their words",
            "M",
            "",
            vec![Field { words: true, ..field("WORDS", "The words.") }],
        ),
        Entry {
            native: Some(Native::Mood),
            ..entry("mood", "say how you are", "M", "E", Vec::new())
        },
        Entry { native: Some(Native::Quit), ..entry("quit", "end", "M", "", Vec::new()) },
    ]
}

fn round() -> Band {
    Band {
        key: "round".into(),
        sign: '○',
        text: "Cleo has the floor, the round ends in {left} · then Dee, you · 2 hands up".into(),
        until: NOW + 100_000,
        ..Band::default()
    }
}

fn pause() -> Band {
    Band {
        key: "pause".into(),
        sign: '‖',
        text: "Paused by Fay, {left} left. Read, write (kept), help-now: all go on.".into(),
        until: NOW + 432_000,
        ..Band::default()
    }
}

fn scene(bands: Vec<Band>) -> Scene {
    Scene {
        title: "Tuesday evening".into(),
        me: "Ben".into(),
        status: "kept 30 days · open until 22:00".into(),
        prompt: ">".into(),
        limit: 1200,
        bands,
        waiting: vec![Wait { text: "I will call my sister.".into(), held: None }],
        entries: entries(),
        numbers: Numbers {
            lines: vec![
                "999 Emergency".into(),
                "116 123 Samaritans, day and night".into(),
                "Nothing has been sent. Nobody knows that you opened this.".into(),
                "Nobody is on duty now: phoning is quicker.".into(),
            ],
            tells: "Fay and Gil".into(),
        },
        new_after: Some(4),
        ..Scene::default()
    }
}

/// A member's screen.
fn member(size: (u16, u16), bands: Vec<Band>) -> App {
    let mut app = App::new(Look::default(), IDLE);
    let places = vec![
        place(0, "Tuesday evening", false, 3, ""),
        place(1, "Check-in", true, 0, "due"),
        place(2, "Skills group", false, 1, ""),
    ];
    for msg in [
        Msg::Size(size.0, size.1),
        Msg::Time { now: NOW, steady: 0 },
        Msg::Places(places),
        Msg::Went(PlaceId(0)),
        Msg::Scene(Box::new(scene(bands))),
        Msg::Items(evening()),
    ] {
        update(&mut app, msg);
    }
    app
}

/// A facilitator's screen.
fn facilitator(size: (u16, u16)) -> App {
    let mut round = round();
    round.actions = vec![action('n', "next", run("next")), action('s', "skip", run("skip"))];
    let mut app = member(size, vec![round]);
    let todo = |what: &str, text: &str, urgent| Todo {
        what: what.into(),
        text: text.into(),
        urgent,
        does: Some(run(what)),
    };
    let for_you = vec![
        todo("help-now", "Dee 23:04 Enter: I see it", true),
        todo("2 knocks", "Eli, Finn", false),
        todo("check-in", "Ben 9 d due", false),
        todo("mood", "Dee ▇▆▅▃▂ 7 6 5 3 2", false),
    ];
    let scene = Scene { for_you, me: "Fay".into(), ..app.scene.clone() };
    update(&mut app, Msg::Scene(Box::new(scene)));
    app
}

fn press(app: &mut App, keys: &[Key]) -> Vec<Effect> {
    keys.iter().flat_map(|key| update(app, Msg::Key(*key))).collect()
}

fn type_in(app: &mut App, text: &str) -> Vec<Effect> {
    text.chars().flat_map(|c| update(app, Msg::Key(Key::Char(c)))).collect()
}

/// Returns what is on the screen, line by line, and where the cursor is.
fn screen(app: &App) -> String {
    let (columns, rows) = app.size;
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut lines: Vec<String> = Vec::new();
    for y in 0..rows {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..columns {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = crate::cells::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    let at = terminal.get_cursor_position().unwrap();
    lines.push(format!("cursor {} {}", at.x, at.y));
    lines.join("\n")
}
