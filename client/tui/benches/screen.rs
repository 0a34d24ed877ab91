//! What a screen costs: the first frame, a key, a page back, with 10,000 messages and 20 rooms.
//!
//! `cargo bench -p hearth-tui` prints medians and 99th percentiles, on a screen of 120 x 40.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints what it measures")]

use std::time::{Duration, Instant};

use hearth_tui::{Action, App, Does, Item, Key, Look, Msg, Place, PlaceId, Scene, draw, update};
use ratatui::{Terminal, backend::TestBackend};

const SIZE: (u16, u16) = (120, 40);
const MESSAGES: u64 = 10_000;
const ROOMS: u64 = 20;
const TIMES: usize = 500;

fn item(place: u64) -> Item {
    let text =
        format!("Message {place}: the first ten minutes are the hardest, and then it is easier. ")
            .repeat(3);
    let copy = Action { key: 'c', label: "Copy".into(), does: Does::Copy(text.clone()) };
    Item {
        place,
        day: format!("Day {}", place / 500),
        time: "21:00".into(),
        name: "Cleo".into(),
        text,
        actions: vec![copy],
        ..Item::default()
    }
}

fn app() -> App {
    let mut app = App::new(Look::default(), 0);
    let place = |n| Place {
        id: PlaceId(n),
        title: format!("Room {n}"),
        lane: false,
        unread: 1,
        note: String::new(),
    };
    let scene = Scene { title: "Tuesday evening".into(), me: "Ben".into(), ..Scene::default() };
    for msg in [
        Msg::Size(SIZE.0, SIZE.1),
        Msg::Places((0..ROOMS).map(place).collect()),
        Msg::Went(PlaceId(0)),
        Msg::Scene(Box::new(scene)),
        Msg::Items((1..=MESSAGES).map(item).collect()),
    ] {
        update(&mut app, msg);
    }
    app
}

fn told(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("{what:24} median {:>9.3?}  p99 {:>9.3?}", at(50), at(99));
}

fn measure(times: usize, mut what: impl FnMut(usize)) -> Vec<Duration> {
    let timed = |n| {
        let begun = Instant::now();
        what(n);
        begun.elapsed()
    };
    (0..times).map(timed).collect()
}

fn main() {
    let mut terminal = match Terminal::new(TestBackend::new(SIZE.0, SIZE.1)) {
        Ok(terminal) => terminal,
        Err(error) => match error {},
    };
    let mut show = |app: &App| match terminal.draw(|frame| draw(app, frame)) {
        Ok(_) => {}
        Err(error) => match error {},
    };
    told("state and first frame", measure(5, |_| show(&app())));
    let mut app = app();
    let keys = measure(TIMES, |n| {
        update(&mut app, Msg::Key(Key::Char(if n % 7 == 0 { ' ' } else { 'x' })));
        show(&app);
    });
    told("key to screen", keys);
    let pages = measure(TIMES, |n| {
        let key = if n < TIMES / 2 { Key::PageUp } else { Key::PageDown };
        update(&mut app, Msg::Key(key));
        show(&app);
    });
    told("page to screen", pages);
    let lines = measure(TIMES, |_| {
        update(&mut app, Msg::Items(vec![item(MESSAGES + 1)]));
        show(&app);
    });
    told("message to screen", lines);
}
