//! What a message does to the screen.

use crate::{
    app::{App, Effect, Focus, Mode, Msg, drawn_size},
    compose::Composer,
    keys::Key,
    layout::Layout,
    lock::{at_lock, locked},
    model::{Does, Kind, Native, PlaceId, Scene, Text},
    over::{self, Ask, Overlay, Palette, menu_of, numbered},
    panes::{in_pane, next_focus},
    talk::Talk,
};

/// Lines that one key scrolls, apart from whole pages.
const SCROLL_LINES: isize = 3;

/// The keys, for whoever asks.
const KEYS: &str = "\
Enter        send what you typed
Ctrl-J       break the line (or Alt-Enter); a paste never sends
/            all you can do here, help-now first
Up           pick a message; Enter shows what you can do with it
PgUp PgDn    read back and forth; End goes to the newest
Tab          what stands over the talk, your rooms, what waits for you
Alt-Up Down  the room above or below
Ctrl-R       search
Esc          one step back
Ctrl-Q       hide at once and lock; what you typed is kept
Ctrl-Z       back to the command line for a while (fg comes back)
F1           these keys

Ctrl-A E B F D H K U W Y and Alt-B F D edit as in a shell.
/quit ends.";

/// Takes a message; returns what is to be done.
pub fn update(app: &mut App, msg: Msg) -> Vec<Effect> {
    let mut effects = match msg {
        Msg::Key(key) => pressed(app, key),
        Msg::Paste(text) => pasted(app, &text),
        Msg::Size(columns, rows) => {
            app.size = drawn_size(columns, rows);
            Vec::new()
        }
        Msg::Time { now, steady } => passed(app, now, steady),
        Msg::Locked { passphrase } => locked(app, passphrase),
        Msg::Refused(told) => {
            if let Some(lock) = &mut app.lock {
                lock.told = told;
            }
            Vec::new()
        }
        Msg::Opened => {
            (app.lock, app.touched) = (None, app.steady);
            Vec::new()
        }
        // What was under way when it was locked is shown to nobody.
        _ if app.lock.is_some() => return Vec::new(),
        msg => told(app, msg),
    };
    if app.lock.is_none() {
        effects.extend(after(app));
    }
    effects
}

/// Takes what the shell tells.
fn told(app: &mut App, msg: Msg) -> Vec<Effect> {
    match msg {
        Msg::Places(places) => app.places = places,
        Msg::Went(place) => {
            app.here = Some(place);
            (app.talk, app.scene) = (Talk::default(), Scene::default());
            (app.line, app.aside, app.mode) = (Composer::default(), None, Mode::Say);
            (app.overlay, app.focus) = (None, Focus::Line);
        }
        Msg::Scene(scene) => {
            let scene = *scene;
            app.dismissed.retain(|key| scene.bands.iter().any(|band| band.key == *key));
            app.scene = scene;
        }
        Msg::Items(items) => drop(app.talk.take(items)),
        Msg::Earlier(items) => app.talk.take_earlier(items),
        Msg::Gone(places) => app.talk.drop_places(&places),
        Msg::Remark(text) => app.remark(text),
        Msg::Text(text) => app.overlay = Some(Overlay::text(text)),
        Msg::Asks { token, words } => {
            app.overlay = Some(Overlay::Ask(Ask { token, words, yes: false }));
        }
        Msg::Fills { words } => {
            set_aside(app);
            app.mode = Mode::Fill { words };
            app.remarks.clear();
        }
        Msg::Filled => say_again(app),
        Msg::Help => return does(app, Does::Help),
        Msg::GiveBack(text) => {
            if app.line.is_empty() && app.mode == Mode::Say {
                app.line = Composer::with(&text);
            } else if app.aside.as_ref().is_some_and(String::is_empty) {
                app.aside = Some(text);
            }
        }
        _ => {}
    }
    Vec::new()
}

/// Returns what follows from what is on the screen now.
fn after(app: &mut App) -> Vec<Effect> {
    let mut effects = Vec::new();
    if app.talk.is_at_end()
        && let Some(last) = app.talk.last()
        && app.talk.seen.is_none_or(|seen| seen < last)
    {
        app.talk.seen = Some(last);
        effects.push(Effect::Seen(last));
    }
    effects
}

fn passed(app: &mut App, now: u64, steady: u64) -> Vec<Effect> {
    (app.now, app.steady) = (now, steady);
    let idle = steady.saturating_sub(app.touched);
    if app.lock.is_none() && app.idle > 0 && idle >= app.idle {
        return vec![Effect::Lock(app.draft().to_owned())];
    }
    Vec::new()
}

fn pasted(app: &mut App, text: &str) -> Vec<Effect> {
    app.touched = app.steady;
    if let Some(lock) = &mut app.lock {
        lock.typed.push_str(text.lines().next().unwrap_or_default());
        return Vec::new();
    }
    if let Some(overlay) = &mut app.overlay {
        overlay.paste(text);
    } else if !app.line.insert(text) {
        app.remark("That text is too long for a message. Nothing was pasted.".into());
    } else {
        app.focus = Focus::Line;
    }
    Vec::new()
}

fn pressed(app: &mut App, key: Key) -> Vec<Effect> {
    app.touched = app.steady;
    if app.lock.is_some() {
        return at_lock(app, key);
    }
    match key {
        Key::Ctrl('q') => return vec![Effect::Lock(app.draft().to_owned())],
        Key::Ctrl('z') => return vec![Effect::Suspend],
        Key::Ctrl('l') => return vec![Effect::Redraw],
        Key::F1 => return native(app, Native::Keys, ""),
        // On a slow line, Esc and the letter behind it come together.
        Key::Alt(c) if !matches!(c, 'b' | 'f' | 'd') => {
            let mut effects = pressed(app, Key::Esc);
            effects.extend(pressed(app, Key::Char(c)));
            return effects;
        }
        _ => {}
    }
    if let Some(overlay) = app.overlay.take() {
        let key = if key == Key::Ctrl('c') { Key::Esc } else { key };
        return over::key(app, overlay, key);
    }
    // What was told last was read by now.
    app.remarks.clear();
    match key {
        Key::Tab => return next_focus(app),
        Key::AltUp => return step_place(app, false),
        Key::AltDown => return step_place(app, true),
        Key::PageUp => return scrolled(app, page(app)),
        Key::PageDown => return scrolled(app, -page(app)),
        Key::Ctrl('r') => return form_of(app, "search", &[]),
        _ => {}
    }
    match app.focus {
        Focus::Line => on_line(app, key),
        focus => in_pane(app, focus, key),
    }
}

pub(crate) fn on_line(app: &mut App, key: Key) -> Vec<Effect> {
    let columns = crate::layout::line_columns(app, Layout::of(app).line.width);
    match key {
        Key::Esc | Key::Ctrl('c') => return step_back(app),
        Key::Char('/') if app.line.is_empty() && app.mode == Mode::Say => {
            app.overlay = Some(Overlay::Palette(Palette::default()));
        }
        Key::Enter if app.talk.picked.is_some() && app.line.is_empty() => return open_menu(app),
        Key::Enter => return sent(app),
        Key::Up | Key::Down if app.line.is_empty() && app.mode == Mode::Say => {
            app.talk.pick(key == Key::Up);
            if let Some(place) = app.talk.picked {
                let (size, wide) = (Layout::of(app).talk_size(), Layout::is_wide(app));
                app.talk.bring(place, size, wide, app.scene.new_after);
                return earlier(app);
            }
        }
        Key::Up | Key::Down => drop(app.line.moves(key, columns)),
        Key::End if app.line.is_empty() => app.talk.go_to_end(),
        Key::Ctrl('d') if app.line.is_empty() => {
            app.remark("Ctrl-Q hides this; /quit ends it.".into());
        }
        key => {
            if app.line.key(key) {
                app.talk.picked = None;
            }
        }
    }
    Vec::new()
}

/// Goes one step back, and never out.
fn step_back(app: &mut App) -> Vec<Effect> {
    if app.talk.picked.take().is_some() {
        return Vec::new();
    }
    match app.mode {
        Mode::Behind { .. } => say_again(app),
        Mode::Fill { .. } => return vec![Effect::Fill("stop".into())],
        Mode::Say if !app.talk.is_at_end() => app.talk.go_to_end(),
        Mode::Say => {}
    }
    Vec::new()
}

/// Keeps the words for the room while the line is for something else.
fn set_aside(app: &mut App) {
    if app.aside.is_none() {
        app.aside = Some(app.line.take());
    } else {
        app.line.take();
    }
}

/// Gives the line back to the room.
fn say_again(app: &mut App) {
    app.mode = Mode::Say;
    app.line = Composer::with(&app.aside.take().unwrap_or_default());
}

fn sent(app: &mut App) -> Vec<Effect> {
    if app.line.text().trim().is_empty() {
        return match app.mode {
            // Enter alone asks again.
            Mode::Fill { .. } => vec![Effect::Fill(String::new())],
            _ => Vec::new(),
        };
    }
    let text = app.line.take();
    app.talk.picked = None;
    app.talk.go_to_end();
    match app.mode.clone() {
        Mode::Say => match text.trim_start().strip_prefix('/') {
            Some(command) if !command.starts_with('/') => run_line(app, command),
            _ => vec![Effect::Say(text)],
        },
        Mode::Behind { command, .. } => {
            say_again(app);
            vec![Effect::Run(format!("{command} {}", text.trim()))]
        }
        Mode::Fill { .. } => vec![Effect::Fill(text)],
    }
}

/// Runs a typed command line, or does it by itself.
pub(crate) fn run_line(app: &mut App, line: &str) -> Vec<Effect> {
    let word = line.trim().to_lowercase();
    let known = app.scene.entries.iter().find(|entry| entry.name == word);
    match (word.as_str(), known.and_then(|entry| entry.native)) {
        ("quit" | "exit" | "q", _) => native(app, Native::Quit, ""),
        ("help" | "?" | "", _) => native(app, Native::Keys, ""),
        (_, Some(what)) => native(app, what, ""),
        _ => vec![Effect::Run(line.trim().to_owned())],
    }
}

fn open_menu(app: &mut App) -> Vec<Effect> {
    let Some(item) = app.talk.picked_item() else { return Vec::new() };
    if item.note.is_some() && !app.talk.open.contains(&item.place) {
        let place = item.place;
        app.talk.open.insert(place);
        return Vec::new();
    }
    let title = match (item.mine, item.kind) {
        (true, Kind::Said) => "Your message".to_owned(),
        (_, Kind::Said) => item.name.clone(),
        _ => item.time.clone(),
    };
    app.overlay = Some(menu_of(&title, &item.actions));
    Vec::new()
}

/// Does what was chosen.
pub(crate) fn does(app: &mut App, what: Does) -> Vec<Effect> {
    match what {
        Does::Run(line) => return vec![Effect::Run(line)],
        Does::Compose { label, command, text } => {
            set_aside(app);
            app.mode = Mode::Behind { label, command };
            app.line = Composer::with(&text);
            (app.focus, app.talk.picked) = (Focus::Line, None);
        }
        Does::Form(name, given) => return form_of(app, &name, &given),
        Does::Copy(text) => {
            app.talk.picked = None;
            return vec![Effect::Copy(text)];
        }
        Does::Uncover => {
            if let Some(place) = app.talk.picked {
                app.talk.open.insert(place);
            }
        }
        Does::Jump(place) => {
            let (size, wide) = (Layout::of(app).talk_size(), Layout::is_wide(app));
            app.talk.picked = Some(place);
            app.talk.bring(place, size, wide, app.scene.new_after);
            app.focus = Focus::Line;
        }
        Does::Go(place) => return go(app, place),
        Does::Sign => return vec![Effect::ShowAgreement],
        Does::Mood(mood) => app.overlay = Some(Overlay::mood(mood)),
        Does::Help => app.overlay = Some(Overlay::help(app.scene.numbers.clone())),
        Does::Choose { title, lines, choices } => {
            app.overlay = Some(Overlay::menu(title, choices, lines));
        }
        Does::Dismiss => {
            if let Some(band) = app.bands().get(app.chosen) {
                let key = band.key.clone();
                app.dismissed.insert(key);
            }
            app.focus = Focus::Line;
        }
    }
    Vec::new()
}

/// Does what the screen does by itself. `typed` is the whole line, if one was typed.
pub(crate) fn native(app: &mut App, what: Native, typed: &str) -> Vec<Effect> {
    match what {
        Native::Help if typed.is_empty() => return does(app, Does::Help),
        Native::Mood if typed.is_empty() => {
            app.overlay = Some(Overlay::mood(crate::model::Mood::default()));
        }
        Native::Help | Native::Mood => return vec![Effect::Run(typed.to_owned())],
        Native::Rooms => {
            let rows = app.places.iter().enumerate().map(|(n, place)| {
                let label = match place.unread {
                    0 => place.title.clone(),
                    unread => format!("{} ({unread} new)", place.title),
                };
                let label = if place.lane { format!("  {label}") } else { label };
                numbered(n + 1, label, Does::Go(place.id))
            });
            let rows = rows.collect();
            app.overlay = Some(Overlay::menu("Your rooms".into(), rows, Vec::new()));
        }
        Native::Sign => return vec![Effect::ShowAgreement],
        Native::Hide => return vec![Effect::Lock(app.draft().to_owned())],
        Native::Keys => {
            let text = Text { title: "Keys".into(), body: KEYS.into(), signs: false };
            app.overlay = Some(Overlay::text(text));
        }
        Native::Quit => return vec![Effect::Quit(app.draft().to_owned())],
    }
    Vec::new()
}

fn form_of(app: &mut App, name: &str, given: &[String]) -> Vec<Effect> {
    match app.scene.entries.iter().find(|entry| entry.name == name) {
        Some(entry) => {
            app.overlay = Some(Overlay::form(entry.clone(), given));
            Vec::new()
        }
        None => {
            app.remark(format!("You cannot do that here now: /{name}."));
            Vec::new()
        }
    }
}

fn go(app: &mut App, place: PlaceId) -> Vec<Effect> {
    (app.overlay, app.focus) = (None, Focus::Line);
    if app.here == Some(place) {
        return Vec::new();
    }
    let draft = app.draft().to_owned();
    vec![Effect::Keep(draft), Effect::Go(place)]
}

fn step_place(app: &mut App, down: bool) -> Vec<Effect> {
    let at = app.places.iter().position(|place| Some(place.id) == app.here).unwrap_or(0);
    let to = if down { Some(at + 1) } else { at.checked_sub(1) };
    match to.and_then(|to| app.places.get(to)) {
        Some(place) => go(app, place.id),
        None => Vec::new(),
    }
}

fn page(app: &App) -> isize {
    isize::try_from(Layout::of(app).talk_size().1).unwrap_or(0).max(SCROLL_LINES)
}

fn scrolled(app: &mut App, by: isize) -> Vec<Effect> {
    // A line of the page before stays.
    let by = by - by.signum();
    let (size, wide) = (Layout::of(app).talk_size(), Layout::is_wide(app));
    app.talk.scroll(by, size, wide, app.scene.new_after);
    earlier(app)
}

/// Asks for earlier entries where the first ones are on the screen.
fn earlier(app: &mut App) -> Vec<Effect> {
    let (size, wide) = (Layout::of(app).talk_size(), Layout::is_wide(app));
    let lines = app.talk.lines(size, wide, app.scene.new_after);
    let first = app.talk.items().front().map(|item| item.place);
    let shows_first = lines.iter().any(|line| line.place().is_some() && line.place() == first);
    if shows_first && !app.talk.begins && !std::mem::replace(&mut app.talk.asked, true) {
        return vec![Effect::Earlier];
    }
    Vec::new()
}
