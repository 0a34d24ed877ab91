//! Any text, any size, any keys: no panic, no control byte of somebody else's, the cursor on the screen.

use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

use super::*;
use crate::Text;

/// A generator that is the same everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 20] = [
            "word",
            " ",
            "\n",
            "日本語",
            "👨‍👩‍👧‍👦",
            "🇩🇪",
            "e\u{301}\u{301}\u{301}",
            "\u{202e}evil\u{202c}",
            "\u{1b}[2J",
            "\u{1b}]52;c;eA==\u{7}",
            "\u{9b}31m",
            "\u{7f}",
            "\t",
            "שלום",
            "مرحبا",
            "\u{200b}",
            "ก็็็็็็็็",
            "\r",
            "&<b>",
            "❤️",
        ];
        let count = self.below(30);
        (0..count).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn key(&mut self) -> Key {
        const KEYS: [Key; 30] = [
            Key::Enter,
            Key::Break,
            Key::Esc,
            Key::Tab,
            Key::BackTab,
            Key::Backspace,
            Key::Delete,
            Key::Left,
            Key::Right,
            Key::WordLeft,
            Key::WordRight,
            Key::Up,
            Key::Down,
            Key::AltUp,
            Key::AltDown,
            Key::Home,
            Key::End,
            Key::PageUp,
            Key::PageDown,
            Key::F1,
            Key::Ctrl('r'),
            Key::Ctrl('w'),
            Key::Ctrl('k'),
            Key::Ctrl('y'),
            Key::Alt('d'),
            Key::Char('/'),
            Key::Char('a'),
            Key::Char('y'),
            Key::Char('日'),
            Key::Char('\u{301}'),
        ];
        KEYS[self.below(KEYS.len())]
    }

    fn msg(&mut self) -> Msg {
        match self.below(14) {
            0 => Msg::Paste(self.text()),
            1 => Msg::Remark(self.text()),
            2 => {
                Msg::Text(Text { title: self.text(), body: self.text(), signs: self.below(2) == 0 })
            }
            3 => Msg::Asks { token: 1, words: self.text() },
            4 => Msg::Fills { words: self.text() },
            5 => Msg::Scene(Box::new(self.scene())),
            6 => {
                let (place, name, text) = (self.below(40) as u64 + 1, self.text(), self.text());
                Msg::Items(vec![said(place, "21:00", &name, &text)])
            }
            7 => Msg::Time { now: self.0, steady: 5 },
            8 => Msg::GiveBack(self.text()),
            9 => Msg::Gone(vec![self.below(40) as u64]),
            _ => Msg::Key(self.key()),
        }
    }

    fn scene(&mut self) -> Scene {
        let band = Band {
            text: self.text(),
            lines: vec![self.text()],
            key: self.text(),
            until: self.0,
            ..pause()
        };
        let for_you = vec![Todo { what: self.text(), text: self.text(), urgent: true, does: None }];
        Scene {
            title: self.text(),
            me: self.text(),
            status: self.text(),
            prompt: self.text(),
            for_you,
            waiting: vec![Wait { text: self.text(), held: Some(self.text()) }],
            ..scene(vec![band, round()])
        }
    }
}

/// Draws through the backend of a real terminal; returns its bytes.
fn bytes(app: &App) -> Vec<u8> {
    let (columns, rows) = app.size;
    let mut bytes = Vec::new();
    let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
    let backend = CrosstermBackend::new(&mut bytes);
    let mut terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    drop(terminal);
    bytes
}

fn check(app: &App, seed: u64) {
    let bytes = bytes(app);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let mut rest = text.as_str();
    // Sequences of ours: cursor moves, styles, and the cursor itself.
    while let Some(at) = rest.find('\u{1b}') {
        let sequence = &rest[at + 1..];
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).unwrap();
        assert!(sequence.starts_with('['), "{seed}: {sequence:.20?}");
        assert!(matches!(&sequence[end..=end], "H" | "m" | "h" | "l"), "{seed}: {sequence:.20?}");
        rest = &sequence[end + 1..];
    }
    let foreign = |c: char| {
        (c.is_control() && c != '\u{1b}')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(foreign), "{seed}: {:?}", text.chars().find(|c| foreign(*c)));
    let (columns, rows) = app.size;
    let mut parser = vt100::Parser::new(rows, columns, 0);
    parser.process(&bytes);
    let (row, column) = parser.screen().cursor_position();
    assert!(row < rows && column <= columns, "{seed}: cursor {column} {row}");
}

#[test]
fn any_text_and_keys_stay_harmless() {
    const SIZES: [(u16, u16); 9] =
        [(1, 1), (2, 2), (5, 3), (30, 10), (40, 20), (80, 24), (120, 40), (65535, 2), (3, 65535)];
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut app =
            if seed % 2 == 0 { member((80, 24), vec![pause()]) } else { facilitator((120, 40)) };
        for _ in 0..25 {
            let size = SIZES[dice.below(7)];
            update(&mut app, Msg::Size(size.0, size.1));
            let msg = dice.msg();
            update(&mut app, msg);
            check(&app, seed);
        }
    }
    for (columns, rows) in SIZES {
        let mut app = member((80, 24), vec![pause(), round()]);
        update(&mut app, Msg::Size(columns, rows));
        check(&app, 0);
        type_in(&mut app, "/");
        check(&app, 0);
    }
}

#[test]
fn endless_words_break_anywhere() {
    for word in ["x".repeat(16 * 1024), "👨‍👩‍👧‍👦".repeat(600), format!("a{}", "\u{301}".repeat(8000))]
    {
        let mut app = member((40, 20), Vec::new());
        update(&mut app, Msg::Items(vec![said(9, "21:20", &word, &word)]));
        check(&app, 0);
        update(&mut app, Msg::Paste(word.clone()));
        check(&app, 0);
        press(&mut app, &[Key::PageUp, Key::PageUp, Key::End]);
        check(&app, 0);
    }
}
