//! The panes at the sides: rooms and lanes, and what waits for this person.

use ratatui::layout::{Position, Rect};

use super::pen::{BOLD, PLAIN, Pen, REVERSED};
use crate::{
    app::{App, Focus},
    cells,
    layout::{Layout, band_lines},
};

/// Draws the rooms and lanes.
pub(super) fn places(app: &App, pen: &mut Pen<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    pen.upright(area.right(), area);
    let width = usize::from(area.width);
    // The chosen one, or the one that is shown, stays on the screen.
    let here = app.places.iter().position(|place| Some(place.id) == app.here).unwrap_or(0);
    let held = if app.focus == Focus::Places { app.chosen } else { here };
    let first = (held + 1).saturating_sub(usize::from(area.height));
    for (row, (number, place)) in (0..area.height).zip(app.places.iter().enumerate().skip(first)) {
        let unread = if place.unread > 0 { place.unread.to_string() } else { String::new() };
        let right = format!("{} {unread}", place.note);
        let right = right.trim();
        let room = width.saturating_sub(cells::width(right) + 1);
        let indent = if place.lane { "  " } else { "" };
        let left = cells::cut(&format!("{indent}{}", place.title), room);
        let style = match (app.focus == Focus::Places && app.chosen == number, number == here) {
            (true, _) => REVERSED,
            (_, true) => BOLD,
            _ => PLAIN,
        };
        pen.row(area, row, &left, style);
        let x = area.right().saturating_sub(u16::try_from(cells::width(right)).unwrap_or(0));
        let style = if place.unread > 0 { BOLD } else { style };
        pen.text(area, (x, area.y + row), right, style);
    }
}

/// Draws what waits for this person.
pub(super) fn for_you(app: &App, pen: &mut Pen<'_>, area: Rect) {
    if area.is_empty() {
        return;
    }
    pen.upright(area.x.saturating_sub(1), area);
    let area = Rect::new(area.x + 1, area.y, area.width.saturating_sub(1), area.height);
    pen.row(area, 0, "For you", BOLD);
    let mut row = 1;
    if app.scene.for_you.is_empty() {
        let style = pen.dim();
        pen.row(area, row, "nothing now", style);
    }
    for (number, todo) in app.scene.for_you.iter().enumerate() {
        let chosen = app.focus == Focus::ForYou && app.chosen == number;
        let style = match (chosen, todo.urgent) {
            (true, _) => REVERSED,
            (_, true) => BOLD,
            _ => PLAIN,
        };
        let sign = if todo.urgent { "! " } else { "" };
        let text = format!("{sign}{} {}", todo.what, todo.text);
        let width = usize::from(area.width).saturating_sub(2);
        for (number, range) in cells::wrap(&text, width).into_iter().enumerate() {
            if row >= area.height {
                return;
            }
            let indent = if number == 0 { "" } else { "  " };
            pen.row(area, row, &format!("{indent}{}", text[range].trim_end()), style);
            row += 1;
        }
    }
}

/// Returns where the chosen row of the pane with the focus is.
pub(super) fn cursor(app: &App, sized: &Layout) -> Option<Position> {
    let chosen = u16::try_from(app.chosen).ok()?;
    match app.focus {
        Focus::Line => None,
        Focus::Places => {
            let row = chosen.min(sized.left.height.saturating_sub(1));
            Some(Position::new(sized.left.x, sized.left.y + row))
        }
        Focus::ForYou => {
            let row = (chosen + 1).min(sized.right.height.saturating_sub(1));
            Some(Position::new(sized.right.x + 1, sized.right.y + row))
        }
        Focus::Bands => {
            let width = usize::from(sized.bands.width);
            let before: usize =
                app.bands().iter().take(app.chosen).map(|b| band_lines(app, b, width).len()).sum();
            let row = u16::try_from(before).ok()?.min(sized.bands.height.saturating_sub(1));
            Some(Position::new(sized.bands.x, sized.bands.y + row))
        }
    }
}
