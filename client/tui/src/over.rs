//! What stands over the talk for a moment: a menu, the palette, a form, a question, a text, a mood, the numbers.

use crate::{
    app::{App, Effect},
    cells,
    compose::Composer,
    form::{Form, in_form},
    keys::Key,
    model::{Action, Does, Entry, Mood, Numbers, Text},
    update::{does, native, run_line},
};

/// The highest mood.
const MOOD_MAX: u8 = 10;
/// Where a mood begins to be chosen.
const MOOD_START: u8 = 5;

/// Something over the talk.
#[derive(Debug)]
pub(crate) enum Overlay {
    Menu(Menu),
    Palette(Palette),
    Form(Form),
    Ask(Ask),
    Page(Page),
    Mood(MoodAsk),
    Help(Help),
}

/// Choices, each with a letter.
#[derive(Debug, Default)]
pub(crate) struct Menu {
    pub(crate) title: String,
    pub(crate) rows: Vec<Action>,
    pub(crate) at: usize,
    /// Below the choices.
    pub(crate) lines: Vec<String>,
}

/// The commands whose words fit what is typed.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    pub(crate) line: Composer,
    pub(crate) at: usize,
}

/// Whether something is to be done.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) token: u64,
    pub(crate) words: String,
    pub(crate) yes: bool,
}

/// A text that is read.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) text: Text,
    /// The first line on the screen.
    pub(crate) top: usize,
    /// What is searched for.
    pub(crate) find: Option<Composer>,
    /// The words that sign.
    pub(crate) typed: Composer,
}

/// A mood.
#[derive(Debug)]
pub(crate) struct MoodAsk {
    pub(crate) mood: Mood,
    pub(crate) value: u8,
    pub(crate) note: Composer,
}

/// The numbers.
#[derive(Debug)]
pub(crate) struct Help {
    pub(crate) numbers: Numbers,
    pub(crate) words: Composer,
}

impl Overlay {
    pub(crate) fn text(text: Text) -> Self {
        Self::Page(Page { text, ..Page::default() })
    }

    pub(crate) fn menu(title: String, rows: Vec<Action>, lines: Vec<String>) -> Self {
        Self::Menu(Menu { title, rows, at: 0, lines })
    }

    pub(crate) fn mood(mood: Mood) -> Self {
        Self::Mood(MoodAsk { mood, value: MOOD_START, note: Composer::default() })
    }

    pub(crate) fn help(numbers: Numbers) -> Self {
        Self::Help(Help { numbers, words: Composer::default() })
    }

    /// Begins a form, with its first fields filled.
    pub(crate) fn form(entry: Entry, given: &[String]) -> Self {
        let value = |n: usize| given.get(n).map_or_else(Composer::default, |v| Composer::with(v));
        let values: Vec<Composer> = (0..entry.fields.len()).map(value).collect();
        let at = values.iter().position(Composer::is_empty).unwrap_or(0);
        Self::Form(Form { entry, values, at, told: String::new() })
    }

    /// Takes a pasted text into what is typed.
    pub(crate) fn paste(&mut self, text: &str) {
        let line = match self {
            Self::Palette(palette) => &mut palette.line,
            Self::Form(form) => match form.values.get_mut(form.at) {
                Some(value) => value,
                None => return,
            },
            Self::Page(page) => page.find.as_mut().unwrap_or(&mut page.typed),
            Self::Mood(mood) => &mut mood.note,
            Self::Help(help) => &mut help.words,
            Self::Menu(_) | Self::Ask(_) => return,
        };
        // What is too long is not taken, and stays where it was copied from.
        line.insert(text);
    }
}

/// Takes a key; the overlay stays unless it is done.
pub(crate) fn key(app: &mut App, overlay: Overlay, key: Key) -> Vec<Effect> {
    match overlay {
        Overlay::Menu(menu) => in_menu(app, menu, key),
        Overlay::Palette(palette) => in_palette(app, palette, key),
        Overlay::Form(form) => in_form(app, form, key),
        Overlay::Ask(ask) => in_ask(app, ask, key),
        Overlay::Page(page) => in_page(app, page, key),
        Overlay::Mood(mood) => in_mood(app, mood, key),
        Overlay::Help(help) => in_help(app, help, key),
    }
}

/// Moves a chosen row.
fn moved(at: usize, count: usize, key: Key) -> usize {
    let last = count.saturating_sub(1);
    match key {
        Key::Up => at.saturating_sub(1),
        Key::Down => (at + 1).min(last),
        Key::PageUp | Key::Home => 0,
        Key::PageDown | Key::End => last,
        _ => at,
    }
}

fn in_menu(app: &mut App, mut menu: Menu, key: Key) -> Vec<Effect> {
    let chosen = match key {
        Key::Esc => return Vec::new(),
        Key::Enter => menu.rows.get(menu.at).cloned(),
        Key::Char(c) => menu.rows.iter().find(|action| action.key == c).cloned(),
        _ => None,
    };
    if let Some(action) = chosen {
        return does(app, action.does);
    }
    menu.at = moved(menu.at, menu.rows.len(), key);
    app.overlay = Some(Overlay::Menu(menu));
    Vec::new()
}

impl Palette {
    /// Returns the commands that fit, the nearest first.
    pub(crate) fn found<'a>(&self, entries: &'a [Entry]) -> Vec<&'a Entry> {
        let typed = self.line.text().trim_start().to_lowercase();
        let word = typed.split_whitespace().next().unwrap_or_default();
        if typed.contains(char::is_whitespace) {
            return entries.iter().filter(|entry| entry.name == word).collect();
        }
        let rank = |entry: &Entry| match entry.name.as_str() {
            name if name.starts_with(word) => Some(0),
            name if name.contains(word) => Some(1),
            _ if entry.does.to_lowercase().contains(word) => Some(2),
            _ => None,
        };
        let mut found: Vec<(u8, &Entry)> =
            entries.iter().filter_map(|entry| Some((rank(entry)?, entry))).collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}

fn in_palette(app: &mut App, mut palette: Palette, key: Key) -> Vec<Effect> {
    let found = palette.found(&app.scene.entries);
    let count = found.len();
    match key {
        Key::Esc => return Vec::new(),
        Key::Backspace if palette.line.is_empty() => return Vec::new(),
        Key::Enter => {
            let typed = palette.line.text().trim().to_owned();
            let entry = found.get(palette.at).map(|entry| (*entry).clone());
            if let Some((word, _)) = typed.split_once(char::is_whitespace) {
                // Whoever has typed it whole needs no form.
                let known = entry.filter(|entry| entry.name == word);
                return match known.and_then(|entry| entry.native) {
                    Some(what) => native(app, what, &typed),
                    None => run_line(app, &typed),
                };
            }
            return match entry {
                Some(entry) => run_entry(app, entry),
                None if typed.is_empty() => Vec::new(),
                None => run_line(app, &typed),
            };
        }
        Key::Tab => {
            if let Some(entry) = found.get(palette.at) {
                let name = format!("{} ", entry.name);
                palette.line = Composer::with(&name);
                palette.at = 0;
            }
        }
        Key::Up | Key::Down | Key::PageUp | Key::PageDown => {
            palette.at = moved(palette.at, count, key);
        }
        // The line breaks nowhere.
        Key::Break => {}
        key => {
            if palette.line.key(key) {
                palette.at = 0;
            }
        }
    }
    // A slash typed twice says a line that begins with one.
    if palette.line.text() == "/" {
        app.line = Composer::with("//");
        return Vec::new();
    }
    app.overlay = Some(Overlay::Palette(palette));
    Vec::new()
}

/// Does a command that was chosen: by itself, by a form, or at once.
pub(crate) fn run_entry(app: &mut App, entry: Entry) -> Vec<Effect> {
    if let Some(what) = entry.native {
        return native(app, what, "");
    }
    if entry.fields.iter().any(|field| field.flag.is_empty() || !field.optional) {
        app.overlay = Some(Overlay::form(entry, &[]));
        return Vec::new();
    }
    vec![Effect::Run(entry.name)]
}

fn in_ask(app: &mut App, mut ask: Ask, key: Key) -> Vec<Effect> {
    let agrees = match key {
        Key::Char('y' | 'Y') => Some(true),
        Key::Char('n' | 'N') | Key::Esc => Some(false),
        Key::Enter => Some(ask.yes),
        Key::Left | Key::Right | Key::Up | Key::Down | Key::Tab => {
            ask.yes = !ask.yes;
            None
        }
        _ => None,
    };
    match agrees {
        Some(agrees) => vec![Effect::Answer { token: ask.token, agrees }],
        None => {
            app.overlay = Some(Overlay::Ask(ask));
            Vec::new()
        }
    }
}

impl Page {
    /// Returns the lines in so many columns.
    pub(crate) fn lines(&self, columns: usize) -> Vec<String> {
        let body = &self.text.body;
        cells::wrap(body, columns)
            .into_iter()
            .map(|line| body[line].trim_end().to_owned())
            .collect()
    }

    pub(crate) const fn is_at_end(&self, lines: usize, rows: usize) -> bool {
        self.top + rows >= lines
    }

    /// Goes to the next line with the words that are searched for.
    fn search(&mut self, lines: &[String]) {
        let Some(find) = &self.find else { return };
        let wanted = find.text().to_lowercase();
        let fits =
            |line: &&usize| lines.get(**line).is_some_and(|l| l.to_lowercase().contains(&wanted));
        let order: Vec<usize> = (self.top + 1..lines.len()).chain(0..=self.top).collect();
        if let Some(line) = order.iter().find(fits).filter(|_| !wanted.is_empty()) {
            self.top = *line;
        }
    }
}

fn in_page(app: &mut App, mut page: Page, key: Key) -> Vec<Effect> {
    let (columns, rows) = crate::draw::page_size(app);
    let lines = page.lines(columns);
    let most = lines.len().saturating_sub(rows);
    let ends = page.is_at_end(lines.len(), rows);
    if let Some(find) = &mut page.find {
        match key {
            Key::Esc => page.find = None,
            Key::Enter => page.search(&lines),
            Key::Break => {}
            key => drop(find.key(key)),
        }
        app.overlay = Some(Overlay::Page(page));
        return Vec::new();
    }
    match key {
        Key::Esc => return Vec::new(),
        Key::Up => page.top = page.top.saturating_sub(1),
        Key::Down => page.top = (page.top + 1).min(most),
        Key::PageUp => page.top = page.top.saturating_sub(rows),
        Key::PageDown => page.top = (page.top + rows).min(most),
        Key::Ctrl('r') => page.find = Some(Composer::default()),
        Key::Enter if !ends => page.top = (page.top + rows).min(most),
        Key::Enter if page.text.signs => {
            return vec![Effect::Sign(page.typed.take())];
        }
        Key::Enter => return Vec::new(),
        Key::Char('/') if page.typed.is_empty() => page.find = Some(Composer::default()),
        Key::Char(' ') if !ends => page.top = (page.top + rows).min(most),
        Key::Break => {}
        // Nobody signs what they have not seen the end of.
        key if page.text.signs && ends => drop(page.typed.key(key)),
        _ => {}
    }
    page.top = page.top.min(most);
    app.overlay = Some(Overlay::Page(page));
    Vec::new()
}

fn in_mood(app: &mut App, mut mood: MoodAsk, key: Key) -> Vec<Effect> {
    match key {
        // What was not asked need not be skipped.
        Key::Esc if mood.mood.lines.is_empty() => return Vec::new(),
        Key::Esc => return vec![Effect::Run("mood skip".into())],
        Key::Enter => {
            let line = format!("mood {} {}", mood.value, mood.note.text().trim());
            return vec![Effect::Run(line.trim_end().to_owned())];
        }
        Key::Left | Key::Down => mood.value = mood.value.saturating_sub(1),
        Key::Right | Key::Up => mood.value = (mood.value + 1).min(MOOD_MAX),
        Key::Break => {}
        key => drop(mood.note.key(key)),
    }
    app.overlay = Some(Overlay::Mood(mood));
    Vec::new()
}

fn in_help(app: &mut App, mut help: Help, key: Key) -> Vec<Effect> {
    match key {
        Key::Esc => return Vec::new(),
        Key::Enter if !help.numbers.tells.is_empty() => {
            return vec![Effect::CallHelp(help.words.take())];
        }
        Key::Enter => return Vec::new(),
        key => drop(help.words.key(key)),
    }
    app.overlay = Some(Overlay::Help(help));
    Vec::new()
}

/// Returns the choices of a message's menu, or of another list, as a menu.
pub(crate) fn menu_of(title: &str, rows: &[Action]) -> Overlay {
    Overlay::menu(title.to_owned(), rows.to_vec(), Vec::new())
}

/// Returns a choice that goes by number.
pub(crate) fn numbered(number: usize, label: String, does: Does) -> Action {
    let key = u32::try_from(number).ok().and_then(|n| char::from_digit(n, 10)).unwrap_or(' ');
    Action { key, label, does }
}
