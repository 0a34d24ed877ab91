//! Which part of the screen is what.

use ratatui::layout::Rect;

use crate::{
    app::{App, Mode},
    cells,
    model::Band,
};

/// Columns from which there are two panes, and three.
const TWO_PANES: u16 = 70;
const THREE_PANES: u16 = 100;
/// Columns of the panes at the sides.
const LEFT: u16 = 17;
const RIGHT: u16 = 30;
/// Rows of the typed text at most.
const LINE_ROWS_MAX: u16 = 6;

/// The parts of the screen; those without a place there are empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) header: Rect,
    pub(crate) left: Rect,
    pub(crate) bands: Rect,
    pub(crate) talk: Rect,
    pub(crate) waiting: Rect,
    pub(crate) remark: Rect,
    pub(crate) rule: Rect,
    pub(crate) line: Rect,
    pub(crate) right: Rect,
    pub(crate) hints: Rect,
}

impl Layout {
    pub(crate) fn of(app: &App) -> Self {
        let (columns, rows) = app.size;
        let has_lanes = app.places.len() > 1;
        let (left, right) = match columns {
            THREE_PANES.. => (LEFT + 3, RIGHT),
            TWO_PANES.. if has_lanes => (LEFT, 0),
            _ => (0, 0),
        };
        let beside = |pane: u16| if pane > 0 { pane + 1 } else { 0 };
        let middle = columns.saturating_sub(beside(left)).saturating_sub(beside(right));
        let x = beside(left);
        let mut rest = rows;
        let mut take = |wanted: u16, leave: u16| {
            let taken = wanted.min(rest.saturating_sub(leave));
            rest -= taken;
            taken
        };
        // What is typed is there in any case; then the talk.
        let typed = take(rows_of_line(app, middle).min((rows / 3).max(1)), 0);
        let header = take(1, 3);
        let hints = take(1, 4);
        let rule = take(1, 5);
        let remark = take(rows_of_remark(app, middle), 3);
        let waiting = take(rows_of_waiting(app, middle), 4);
        let bands = take(rows_of_bands(app, middle), 3);
        let talk = rest;
        let mut y = 0;
        let mut row = |x: u16, width: u16, height: u16| {
            let area = Rect::new(x, y, width, height);
            y += height;
            area
        };
        let header = row(0, columns, header);
        let top = header.height;
        let bands = row(x, middle, bands);
        let talk = row(x, middle, talk);
        let waiting = row(x, middle, waiting);
        let remark = row(x, middle, remark);
        let rule = row(x, middle, rule);
        let line = row(x, middle, typed);
        let hints = row(0, columns, hints);
        let height = hints.y.saturating_sub(top);
        Self {
            header,
            left: Rect::new(0, top, left, height),
            bands,
            talk,
            waiting,
            remark,
            rule,
            line,
            right: Rect::new(columns.saturating_sub(right), top, right, height),
            hints,
        }
    }

    /// Returns columns and rows of the talk.
    pub(crate) fn talk_size(&self) -> (usize, usize) {
        (usize::from(self.talk.width), usize::from(self.talk.height))
    }

    /// Whether names stand above words that are far in.
    pub(crate) fn is_wide(app: &App) -> bool {
        app.size.0 >= TWO_PANES
    }
}

fn rows(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// Returns what stands before the typed text.
pub(crate) fn prompt(app: &App) -> String {
    match &app.mode {
        Mode::Say if app.scene.prompt.is_empty() => "> ".into(),
        Mode::Say => format!("{} ", app.scene.prompt),
        Mode::Behind { label, .. } => format!("{label} > "),
        Mode::Fill { .. } => "answer > ".into(),
    }
}

/// Returns the columns of the typed text, behind the prompt.
pub(crate) fn line_columns(app: &App, columns: u16) -> usize {
    let columns = usize::from(columns);
    columns.saturating_sub(cells::width(&prompt(app)).min(columns / 2)).max(2)
}

fn rows_of_line(app: &App, columns: u16) -> u16 {
    rows(app.line.lines(line_columns(app, columns)).len()).clamp(1, LINE_ROWS_MAX)
}

/// Returns the text that stands between the talk and the line: what is asked, or told last.
pub(crate) fn remark_text(app: &App) -> Option<String> {
    match (&app.mode, app.remarks.last(), app.hides_in()) {
        (_, _, Some(seconds)) => Some(format!(
            "This screen hides in {seconds} s, because no key was pressed. Any key keeps it."
        )),
        (_, Some(remark), _) => Some(remark.clone()),
        (Mode::Fill { words }, None, _) => Some(words.clone()),
        _ => None,
    }
}

fn rows_of_remark(app: &App, columns: u16) -> u16 {
    let Some(text) = remark_text(app) else { return 0 };
    let most = if matches!(app.mode, Mode::Fill { .. }) { 12 } else { 4 };
    rows(cells::wrap(&text, usize::from(columns)).len()).min(most)
}

fn rows_of_waiting(app: &App, columns: u16) -> u16 {
    let lines = app.scene.waiting.len().min(3);
    rows(lines + usize::from(app.scene.waiting.len() > 3)).min(if columns > 0 { 4 } else { 0 })
}

/// Returns the lines of one band: its words with the time that is left, wrapped, and its further lines.
pub(crate) fn band_lines(app: &App, band: &Band, columns: usize) -> Vec<String> {
    let left = band.until.saturating_sub(app.now).div_ceil(1000);
    let left = match left / 60 {
        minutes @ 60.. => format!("{} h {:02} min", minutes / 60, minutes % 60),
        minutes => format!("{minutes}:{:02}", left % 60),
    };
    let mut text = format!("{} {}", app.look.sign(band.sign), band.text.replace("{left}", &left));
    for action in &band.actions {
        text.push_str(&format!(" [{} {}]", action.key, action.label));
    }
    let mut lines = Vec::new();
    for (number, text) in std::iter::once(&text).chain(&band.lines).enumerate() {
        for (part, range) in
            cells::wrap(text, columns.saturating_sub(2).max(1)).into_iter().enumerate()
        {
            let indent = if number == 0 && part == 0 { "" } else { "  " };
            lines.push(format!("{indent}{}", text[range].trim_end()));
        }
    }
    lines
}

fn rows_of_bands(app: &App, columns: u16) -> u16 {
    let lines: usize =
        app.bands().iter().map(|band| band_lines(app, band, usize::from(columns)).len()).sum();
    // Bands must leave the talk its place, however many there are.
    rows(lines).min((app.size.1 / 3).max(1))
}
