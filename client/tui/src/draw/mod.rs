//! Draws the screen.

mod over;
mod pen;
mod side;

use ratatui::{
    Frame,
    layout::{Position, Rect},
};

use self::pen::{BOLD, PLAIN, Pen, REVERSED, STRONG};
use crate::{
    app::{App, Focus, Mode},
    cells,
    layout::{Layout, band_lines, line_columns, prompt, remark_text},
    model::Place,
    talk::Line,
};

pub(crate) use self::over::page_size;

/// Hints at the bottom, from the longest.
const HINTS: [&str; 3] = [
    "Enter send · ↑ pick a message · / commands · F1 keys · Ctrl-Q hide now",
    "/ commands · ↑ pick · Ctrl-Q hide",
    "/ · Ctrl-Q hide",
];

/// Draws the screen.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let mut pen = Pen { buffer: frame.buffer_mut(), look: app.look };
    pen.fill(area, PLAIN);
    // A terminal that is resized at this moment is drawn as it was told.
    let cursor = match &app.lock {
        Some(_) => lock(app, &mut pen, area),
        None => room(app, &mut pen, area),
    };
    let cursor = cursor.filter(|at| area.contains(*at));
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

fn lock(app: &App, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    let lock = app.lock.as_ref()?;
    // Nothing here says what this is, or whose.
    let prompt = if lock.passphrase { "Passphrase: " } else { "Enter opens it: " };
    let column = pen.row(area, 0, prompt, PLAIN);
    // Of the passphrase not even the length is shown.
    let told = cells::wrap(&lock.told, usize::from(area.width));
    for (row, range) in (1..area.height).zip(told) {
        pen.row(area, row, &lock.told[range], PLAIN);
    }
    Some(Position::new(column.min(area.right().saturating_sub(1)), area.y))
}

fn room(app: &App, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    let sized = Layout::of(app);
    header(app, pen, sized.header);
    side::places(app, pen, sized.left);
    side::for_you(app, pen, sized.right);
    bands(app, pen, sized.bands);
    talk(app, pen, sized.talk);
    waiting(app, pen, sized.waiting);
    remark(app, pen, sized.remark);
    rule(app, pen, sized.rule);
    let cursor = line(app, pen, sized.line);
    hints(app, pen, sized.hints);
    match &app.overlay {
        Some(overlay) => over::draw(app, overlay, pen, area),
        None if app.focus == Focus::Line => picked_cursor(app, sized.talk).or(cursor),
        None => side::cursor(app, &sized),
    }
}

/// Returns where the picked entry begins on the screen.
fn picked_cursor(app: &App, area: Rect) -> Option<Position> {
    let picked = app.talk.picked.filter(|_| app.line.is_empty())?;
    let lines = app.talk.lines(
        (usize::from(area.width), usize::from(area.height)),
        Layout::is_wide(app),
        app.scene.new_after,
    );
    let top = usize::from(area.height).saturating_sub(lines.len());
    let row = top + lines.iter().position(|line| line.place() == Some(picked))?;
    Some(Position::new(area.x, area.y + u16::try_from(row).ok()?))
}

fn header(app: &App, pen: &mut Pen<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    let elsewhere = app.places.iter().filter(|p| Some(p.id) != app.here && p.unread > 0).count();
    let here = app.places.iter().find(|place| Some(place.id) == app.here);
    let mut right = String::new();
    let new = here.map_or(0, |here: &Place| here.unread);
    if Layout::of(app).left.width == 0 {
        if new > 0 {
            right = format!("{new} new");
        }
        if elsewhere > 0 {
            right = format!("{right}  +{elsewhere}");
        }
    }
    if Layout::of(app).right.width == 0 && !app.scene.for_you.is_empty() {
        right = format!("{right}  {} for you", app.scene.for_you.len());
    }
    if Layout::is_wide(app) && !app.scene.status.is_empty() {
        right = format!("{}  {}", right, app.scene.status);
    }
    let right = cells::cut(right.trim(), width / 2);
    let me = match (app.scene.me.is_empty(), Layout::is_wide(app)) {
        (true, _) => String::new(),
        (false, true) => format!(" · you are {}", app.scene.me),
        (false, false) => format!(" · {}", app.scene.me),
    };
    let room = width.saturating_sub(cells::width(&right) + 2);
    let left = cells::cut(&format!("{}{me}", app.scene.title), room);
    pen.row(area, 0, &left, BOLD);
    let x = area.right().saturating_sub(u16::try_from(cells::width(&right)).unwrap_or(0));
    pen.text(area, (x, area.y), &right, PLAIN);
}

fn bands(app: &App, pen: &mut Pen<'_>, area: Rect) {
    let mut row = 0;
    for (number, band) in app.bands().into_iter().enumerate() {
        let chosen = app.focus == Focus::Bands && app.chosen == number;
        let style = match (band.strong, chosen) {
            (true, _) => STRONG,
            (_, true) => REVERSED,
            _ => BOLD,
        };
        for text in band_lines(app, band, usize::from(area.width)) {
            if row < area.height {
                if band.strong || chosen {
                    pen.fill(Rect::new(area.x, area.y + row, area.width, 1), style);
                }
                pen.row(area, row, &text, style);
                row += 1;
            }
        }
    }
}

fn talk(app: &App, pen: &mut Pen<'_>, area: Rect) {
    let (columns, rows) = (usize::from(area.width), usize::from(area.height));
    if columns == 0 || rows == 0 {
        return;
    }
    let lines = app.talk.lines((columns, rows), Layout::is_wide(app), app.scene.new_after);
    let top = rows.saturating_sub(lines.len());
    let picked = app.talk.picked;
    for (row, line) in (top..).zip(&lines) {
        let Ok(row) = u16::try_from(row) else { break };
        match line {
            Line::Day(day) => pen.rule(area, row, day, pen.dim()),
            Line::New => {
                let words = if columns < 60 { "new" } else { "new since you read last" };
                pen.rule(area, row, words, BOLD);
            }
            Line::Head { time, name, rest, .. } => {
                let dim = pen.dim();
                let x = pen.row(area, row, &format!("{time} "), dim);
                let y = area.y + row;
                let room = usize::from(area.right().saturating_sub(x));
                let name = cells::cut(name, room);
                let x = pen.text(area, (x, y), &name, BOLD);
                let room = usize::from(area.right().saturating_sub(x));
                pen.text(area, (x, y), &cells::cut(rest, room), PLAIN);
            }
            Line::Words { indent, text, dim, alarm, .. } => {
                let style = match (alarm, dim) {
                    (true, _) => BOLD,
                    (_, true) => pen.dim(),
                    _ => PLAIN,
                };
                let x = area.x.saturating_add(u16::try_from(*indent).unwrap_or(0));
                pen.text(area, (x, area.y + row), text, style);
            }
            Line::Blank => {}
        }
        let is_words = matches!(line, Line::Words { indent, .. } if *indent > 0);
        if picked.is_some() && line.place() == picked {
            match is_words {
                true => drop(pen.row(area, row, "▌", BOLD)),
                false => {
                    let y = area.y + row;
                    for x in area.left()..area.right() {
                        if let Some(cell) = pen.buffer.cell_mut(Position::new(x, y)) {
                            cell.set_style(REVERSED);
                        }
                    }
                }
            }
        }
    }
    if app.talk.below > 0 {
        let words = format!(" ▼ {} new below ", app.talk.below);
        let wide = u16::try_from(cells::width(&words)).unwrap_or(0);
        let x = area.right().saturating_sub(wide);
        pen.text(area, (x, area.bottom().saturating_sub(1)), &words, REVERSED);
    }
}

fn waiting(app: &App, pen: &mut Pen<'_>, area: Rect) {
    let all = &app.scene.waiting;
    let most = usize::from(area.height);
    let (shown, more) = match all.len() > most {
        true => (most.saturating_sub(1), all.len() - most.saturating_sub(1)),
        false => (all.len(), 0),
    };
    // Those that wait for their author come first.
    let mut order: Vec<_> = all.iter().collect();
    order.sort_by_key(|wait| wait.held.is_none());
    let mut row = 0;
    for wait in order.into_iter().take(shown) {
        let text = wait.text.replace('\n', " ");
        let words = match (&wait.held, Layout::is_wide(app)) {
            (Some(why), _) => format!("⧖ kept, {why}: {text}"),
            (None, true) => format!("⧖ waiting to be sent: {text}"),
            (None, false) => format!("⧖ waiting: {text}"),
        };
        let style = pen.dim();
        pen.row(area, row, &cells::cut(&words, usize::from(area.width)), style);
        row += 1;
    }
    if more > 0 {
        let style = pen.dim();
        pen.row(area, row, &format!("⧖ and {more} more: /outbox"), style);
    }
}

fn remark(app: &App, pen: &mut Pen<'_>, area: Rect) {
    let Some(text) = remark_text(app).filter(|_| !area.is_empty()) else { return };
    let lines = cells::wrap(&text, usize::from(area.width));
    // Of a question the end matters most: it says how to answer.
    let most = usize::from(area.height);
    let skipped = match app.mode {
        Mode::Fill { .. } => lines.len().saturating_sub(most),
        _ => 0,
    };
    for (row, range) in (0..area.height).zip(lines.into_iter().skip(skipped)) {
        pen.row(area, row, text[range].trim_end(), BOLD);
    }
}

fn rule(app: &App, pen: &mut Pen<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    let style = pen.dim();
    pen.rule(area, 0, "", style);
    let typed = app.line.text().chars().count();
    if app.scene.limit > 0 && typed > 0 && app.mode == Mode::Say {
        let count = format!(" {typed} of {} ", app.scene.limit);
        let wide = u16::try_from(cells::width(&count)).unwrap_or(0);
        let x = area.right().saturating_sub(wide);
        let style = if typed > app.scene.limit { STRONG } else { style };
        pen.text(area, (x, area.y), &count, style);
    }
}

fn line(app: &App, pen: &mut Pen<'_>, area: Rect) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let prompt = cells::cut(&prompt(app), usize::from(area.width) / 2);
    let x = pen.row(area, 0, &prompt, BOLD);
    let columns = line_columns(app, area.width);
    let lines = app.line.lines(columns);
    let (row, column) = app.line.place(&lines);
    let rows = usize::from(area.height);
    let first = (row + 1).saturating_sub(rows);
    for (shown, range) in (0..area.height).zip(lines.iter().skip(first)) {
        pen.text(area, (x, area.y + shown), &app.line.text()[range.clone()], PLAIN);
    }
    let column = x.saturating_add(u16::try_from(column).unwrap_or(u16::MAX));
    let row = area.y + u16::try_from(row - first).unwrap_or(0);
    Some(Position::new(column.min(area.right().saturating_sub(1)), row))
}

fn hints(app: &App, pen: &mut Pen<'_>, area: Rect) {
    let width = usize::from(area.width);
    let hint = match (app.focus, &app.mode) {
        _ if app.overlay.is_some() => "Enter does it · Esc one step back",
        (Focus::Line, Mode::Behind { .. }) => "Enter does it · Esc leaves it",
        (Focus::Line, Mode::Fill { .. }) => "Enter answers · back · stop",
        (Focus::Line, _) if app.talk.picked.is_some() => {
            "Enter what you can do · ↑ ↓ another · Esc back"
        }
        (Focus::Line, _) => HINTS.into_iter().find(|h| cells::width(h) <= width).unwrap_or(""),
        _ => "↑ ↓ choose · Enter does it · Tab on · Esc back",
    };
    let style = pen.dim();
    pen.row(area, 0, &cells::cut(hint, width), style);
}
