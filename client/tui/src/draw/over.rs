//! Draws what stands over the talk.

use ratatui::{
    layout::{Position, Rect},
    style::Style,
};

use super::pen::{BOLD, PLAIN, Pen, REVERSED};
use crate::{
    app::App,
    cells,
    compose::Composer,
    form::Form,
    layout::Layout,
    over::{Ask, Help, Menu, MoodAsk, Overlay, Page, Palette},
};

/// Columns of a frame and the space in it.
const FRAME: u16 = 4;
/// Columns of a box at most.
const COLUMNS_MAX: u16 = 78;
/// Columns from which a menu has two columns.
const TWO_COLUMNS: usize = 48;

/// What is in a box.
#[derive(Default)]
struct Boxed {
    title: String,
    rows: Vec<(String, Style)>,
    /// The row that has to be on the screen.
    held: usize,
    /// Row and column of the cursor.
    cursor: Option<(usize, usize)>,
    /// The first row, where that is fixed.
    top: Option<usize>,
}

impl Boxed {
    fn say(&mut self, text: &str, columns: usize, style: Style) {
        for range in cells::wrap(text, columns) {
            self.rows.push((text[range].trim_end().to_owned(), style));
        }
    }

    /// Adds a typed text with its cursor.
    fn typed(&mut self, prompt: &str, line: &Composer, columns: usize, here: bool) {
        let before = cells::width(prompt);
        let lines = line.lines(columns.saturating_sub(before).max(2));
        let (row, column) = line.place(&lines);
        if here {
            self.held = self.rows.len() + row;
            self.cursor = Some((self.held, before + column));
        }
        for (number, range) in lines.into_iter().enumerate() {
            let lead = if number == 0 { prompt.to_owned() } else { " ".repeat(before) };
            self.rows.push((format!("{lead}{}", &line.text()[range]), PLAIN));
        }
    }
}

/// Returns the area that boxes may take: the middle pane, or the whole screen where that is small.
fn room(app: &App) -> Rect {
    let sized = Layout::of(app);
    let (columns, rows) = app.size;
    let top = sized.header.bottom();
    let middle = Rect::new(sized.talk.x, top, sized.talk.width, sized.line.y.saturating_sub(top));
    if middle.height < 12 || middle.width < 30 {
        return Rect::new(0, 0, columns, rows);
    }
    middle
}

fn inner_columns(room: Rect) -> usize {
    usize::from(room.width.min(COLUMNS_MAX).saturating_sub(FRAME)).max(1)
}

/// Returns columns and rows of a text that is read.
pub(crate) fn page_size(app: &App) -> (usize, usize) {
    let room = room(app);
    // A frame, and a line that says how to go on.
    (inner_columns(room), usize::from(room.height.saturating_sub(4)).max(1))
}

/// Draws an overlay; returns where the cursor is.
pub(super) fn draw(
    app: &App,
    overlay: &Overlay,
    pen: &mut Pen<'_>,
    whole: Rect,
) -> Option<Position> {
    let room = room(app).intersection(whole);
    let columns = inner_columns(room);
    let boxed = match overlay {
        Overlay::Menu(menu) => self::menu(menu, columns),
        Overlay::Palette(palette) => self::palette(app, palette, columns),
        Overlay::Form(form) => self::form(form, columns),
        Overlay::Ask(ask) => self::ask(ask, columns),
        Overlay::Page(page) => self::page(app, page, columns),
        Overlay::Mood(mood) => self::mood(mood, columns),
        Overlay::Help(help) => self::help(app, help, columns),
    };
    let height = u16::try_from(boxed.rows.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = height.min(room.height);
    let width = room.width.min(COLUMNS_MAX);
    let x = room.x + (room.width - width) / 2;
    // Near the line, where the eyes are.
    let area = Rect::new(x, room.bottom() - height, width, height);
    let inside = pen.frame(area, &boxed.title);
    let rows = usize::from(inside.height);
    let top = boxed.top.unwrap_or_else(|| (boxed.held + 1).saturating_sub(rows));
    for (row, (text, style)) in (0..inside.height).zip(boxed.rows.iter().skip(top)) {
        if *style == REVERSED {
            pen.fill(Rect::new(inside.x, inside.y + row, inside.width, 1), REVERSED);
        }
        pen.row(inside, row, text, *style);
    }
    let (row, column) = boxed.cursor.unwrap_or((boxed.held, 0));
    let row = u16::try_from(row.checked_sub(top)?).ok().filter(|row| *row < inside.height)?;
    let column = u16::try_from(column).ok()?.min(inside.width.saturating_sub(1));
    Some(Position::new(inside.x + column, inside.y + row))
}

fn menu(menu: &Menu, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: menu.title.clone(), ..Boxed::default() };
    let labels: Vec<String> =
        menu.rows.iter().map(|action| format!("{}  {}", action.key, action.label)).collect();
    let half = (columns / 2).saturating_sub(1);
    let fits = |label: &String| cells::width(label) <= half;
    if columns >= TWO_COLUMNS && labels.len() > 9 && labels.iter().all(fits) {
        // Two rows beside each other cannot be told by one style, so the chosen one has a sign.
        let rows = labels.len().div_ceil(2);
        for row in 0..rows {
            let mark = |at: usize| if at == menu.at { "▌" } else { " " };
            let of = |at: usize| labels.get(at).map_or("", String::as_str);
            let space = half.saturating_sub(cells::width(of(row))) + 1;
            let (left, right) = (of(row), of(row + rows));
            let text =
                format!("{}{left}{}{}{right}", mark(row), " ".repeat(space), mark(row + rows));
            let chosen = menu.at == row || menu.at == row + rows;
            boxed.rows.push((text, if chosen { BOLD } else { PLAIN }));
        }
        boxed.held = menu.at % rows.max(1);
    } else {
        for (at, label) in labels.iter().enumerate() {
            let style = if at == menu.at { REVERSED } else { PLAIN };
            boxed.rows.push((cells::cut(label, columns), style));
        }
        boxed.held = menu.at;
    }
    if labels.is_empty() {
        boxed.say("There is nothing here now.", columns, PLAIN);
    }
    for line in &menu.lines {
        boxed.say(line, columns, PLAIN);
    }
    boxed
}

fn palette(app: &App, palette: &Palette, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: "What you can do here".into(), ..Boxed::default() };
    boxed.typed("> ", &palette.line, columns, true);
    let cursor = boxed.cursor;
    let found = palette.found(&app.scene.entries);
    if found.is_empty() {
        boxed.say("No command of yours is called so. Backspace goes back.", columns, PLAIN);
    }
    for (at, entry) in found.iter().enumerate() {
        let codes = format!("{} {}", entry.who, entry.enforced);
        let name = format!("{:12} ", entry.name);
        // What it does comes before who may.
        let codes = if columns < 40 { "" } else { codes.trim() };
        let room = columns.saturating_sub(cells::width(&name) + cells::width(codes) + 1);
        let does = cells::cut(&entry.does, room);
        let space = (room + 1).saturating_sub(cells::width(&does));
        let style = if at == palette.at { REVERSED } else { PLAIN };
        let text =
            if room < 8 { name } else { format!("{name}{does}{}{codes}", " ".repeat(space)) };
        boxed.rows.push((text, style));
    }
    // The typed line stays, and with it as much of the list as there is room for.
    let rows = usize::from(room(app).height.saturating_sub(2)).max(2);
    let chosen = palette.at + 1;
    if chosen >= rows {
        let gone = chosen + 1 - rows;
        boxed.rows.drain(1..=gone);
    }
    boxed.rows.truncate(rows);
    (boxed.cursor, boxed.top) = (cursor, Some(0));
    boxed
}

fn form(form: &Form, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: format!("/{}", form.entry.name), ..Boxed::default() };
    boxed.say(&form.entry.does, columns, BOLD);
    for (at, (field, value)) in form.entry.fields.iter().zip(&form.values).enumerate() {
        let may = if field.optional { " (may stay empty)" } else { "" };
        boxed.say(&format!("{}{may}: {}", field.name, field.help), columns, PLAIN);
        boxed.typed("> ", value, columns, at == form.at);
        if at == form.at && !field.choices.is_empty() {
            let choices = field.choices.join(", ");
            boxed.say(&format!("  ← → chooses: {choices}"), columns, PLAIN);
        }
    }
    let codes = match form.entry.enforced.as_str() {
        "" => form.entry.who.clone(),
        enforced => format!("{} · {enforced}", form.entry.who),
    };
    boxed.say(&format!("Enter goes on, Esc leaves it. {codes}"), columns, PLAIN);
    if !form.told.is_empty() {
        boxed.say(&form.told, columns, BOLD);
    }
    boxed
}

fn ask(ask: &Ask, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: "Are you sure?".into(), ..Boxed::default() };
    boxed.say(&ask.words, columns, BOLD);
    for (yes, label) in [(true, "y  Yes, do it"), (false, "n  No, leave it")] {
        if yes == ask.yes {
            boxed.held = boxed.rows.len();
        }
        let style = if yes == ask.yes { REVERSED } else { PLAIN };
        boxed.rows.push((label.into(), style));
    }
    boxed
}

fn page(app: &App, page: &Page, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: page.text.title.clone(), ..Boxed::default() };
    let lines = page.lines(columns);
    let (_, rows) = page_size(app);
    let (count, ends) = (lines.len(), page.is_at_end(lines.len(), rows));
    let shown = lines.into_iter().skip(page.top).take(rows);
    boxed.rows.extend(shown.map(|line| (line, PLAIN)));
    let below = count.saturating_sub(page.top + rows);
    match (&page.find, page.text.signs && ends) {
        (Some(find), _) => boxed.typed("search > ", find, columns, true),
        (None, true) => {
            boxed.typed("Type I acknowledge > ", &page.typed, columns, true);
        }
        (None, false) => {
            let hint = match ends {
                true => "Esc closes · / searches".to_owned(),
                false => format!("Enter reads on, {below} more lines · / searches · Esc closes"),
            };
            boxed.held = boxed.rows.len();
            boxed.rows.push((cells::cut(&hint, columns), BOLD));
        }
    }
    boxed.top = Some(0);
    boxed
}

fn mood(mood: &MoodAsk, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: "How are you right now?".into(), ..Boxed::default() };
    for line in &mood.mood.lines {
        boxed.say(line, columns, PLAIN);
    }
    let scale: Vec<String> =
        (0..=10).map(|n| if n == mood.value { format!("[{n}]") } else { n.to_string() }).collect();
    boxed.say(&scale.join(" "), columns, BOLD);
    boxed.say("0 as bad as it gets, 10 as good as it gets", columns, PLAIN);
    boxed.typed("words, if you like > ", &mood.note, columns, true);
    let esc = if mood.mood.lines.is_empty() { "Esc leaves it" } else { "Esc skips it" };
    boxed.say(&format!("← → chooses · Enter sends · {esc}"), columns, PLAIN);
    boxed
}

fn help(app: &App, help: &Help, columns: usize) -> Boxed {
    let mut boxed = Boxed { title: "Help now".into(), ..Boxed::default() };
    for line in &help.numbers.lines {
        boxed.say(line, columns, BOLD);
    }
    let mut below = Boxed::default();
    match help.numbers.tells.as_str() {
        "" => below.say("Esc closes this.", columns, PLAIN),
        people => {
            let label = format!("[Enter: tell {people}] [Esc: only these numbers]");
            below.say(&label, columns, REVERSED);
            below.typed("words with it > ", &help.words, columns, true);
        }
    }
    // The first number stays on the screen, and so does what Enter does.
    let rows = usize::from(room(app).height.saturating_sub(2));
    boxed.rows.truncate(rows.saturating_sub(below.rows.len()).max(1));
    let first = boxed.rows.len();
    boxed.cursor = below.cursor.map(|(row, column)| (first + row, column));
    boxed.rows.append(&mut below.rows);
    boxed.top = Some(0);
    boxed
}
