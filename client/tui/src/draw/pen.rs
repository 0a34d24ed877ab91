//! Writes text into cells, cluster by cluster, so that nobody's text moves another's.

use hearth_text::escape;
use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
    style::{Modifier, Style},
};

use crate::{cells, model::Look};

/// Draws into a buffer.
pub(super) struct Pen<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) look: Look,
}

pub(super) const PLAIN: Style = Style::new();
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
pub(super) const REVERSED: Style = Style::new().add_modifier(Modifier::REVERSED);
pub(super) const STRONG: Style =
    Style::new().add_modifier(Modifier::REVERSED.union(Modifier::BOLD));

impl Pen<'_> {
    /// Returns the style of what matters less.
    pub(super) const fn dim(&self) -> Style {
        if self.look.contrast { PLAIN } else { Style::new().add_modifier(Modifier::DIM) }
    }

    /// Writes text from a place on, up to the right edge of an area; returns the column behind it.
    pub(super) fn text(&mut self, area: Rect, at: (u16, u16), text: &str, style: Style) -> u16 {
        let (mut x, y) = (at.0.max(area.x), at.1);
        if y < area.y || y >= area.bottom() {
            return x;
        }
        for cluster in escape::clusters(text) {
            let (shown, width) = self.shown(cluster);
            let wide = u16::try_from(width).unwrap_or(u16::MAX);
            if wide == 0 {
                continue;
            }
            if x.saturating_add(wide) > area.right() {
                break;
            }
            // What stands for a character that is not drawn is several.
            let mut column = x;
            for part in escape::clusters(&shown) {
                let part_wide = u16::try_from(escape::width(part)).unwrap_or(u16::MAX);
                self.put((column, y), part, part_wide, style);
                column = column.saturating_add(part_wide);
            }
            x += wide;
        }
        x
    }

    fn shown<'t>(&self, cluster: &'t str) -> (std::borrow::Cow<'t, str>, usize) {
        let (shown, width) = cells::cell(cluster);
        let mut chars = shown.chars();
        match (chars.next(), chars.next()) {
            (Some(sign), None) if self.look.sign(sign) != sign => {
                (self.look.sign(sign).to_string().into(), 1)
            }
            _ => (shown, width),
        }
    }

    fn put(&mut self, at: (u16, u16), symbol: &str, wide: u16, style: Style) {
        if let Some(cell) = self.buffer.cell_mut(Position::from(at)) {
            cell.set_symbol(symbol).set_style(style);
        }
        for column in 1..wide {
            if let Some(cell) = self.buffer.cell_mut(Position::new(at.0 + column, at.1)) {
                cell.reset();
                cell.set_style(style);
            }
        }
    }

    /// Writes text at the left edge of a row of an area.
    pub(super) fn row(&mut self, area: Rect, row: u16, text: &str, style: Style) -> u16 {
        self.text(area, (area.x, area.y.saturating_add(row)), text, style)
    }

    /// Fills an area with spaces of a style.
    pub(super) fn fill(&mut self, area: Rect, style: Style) {
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.buffer.cell_mut(Position::new(x, y)) {
                    cell.reset();
                    cell.set_style(style);
                }
            }
        }
    }

    /// Draws a line across an area, with words in it.
    pub(super) fn rule(&mut self, area: Rect, row: u16, words: &str, style: Style) {
        let line = "─".repeat(usize::from(area.width));
        self.row(area, row, &line, style);
        if !words.is_empty() {
            let at = (area.x.saturating_add(2), area.y.saturating_add(row));
            self.text(area, at, &format!(" {words} "), style);
        }
    }

    /// Draws a line down, at the left of an area's column.
    pub(super) fn upright(&mut self, x: u16, area: Rect) {
        let style = self.dim();
        for y in area.top()..area.bottom() {
            let at = Rect::new(x, y, 1, 1);
            self.row(at, 0, "│", style);
        }
    }

    /// Draws a frame with a title; returns what is inside.
    pub(super) fn frame(&mut self, area: Rect, title: &str) -> Rect {
        self.fill(area, PLAIN);
        if area.width < 4 || area.height < 3 {
            return area;
        }
        let flat = "─".repeat(usize::from(area.width - 2));
        self.row(area, 0, &format!("┌{flat}┐"), PLAIN);
        for row in 1..area.height - 1 {
            self.row(area, row, "│", PLAIN);
            self.text(area, (area.right() - 1, area.y + row), "│", PLAIN);
        }
        self.row(area, area.height - 1, &format!("└{flat}┘"), PLAIN);
        let inside = Rect::new(area.x + 1, area.y + 1, area.width - 2, area.height - 2);
        if !title.is_empty() {
            let room = Rect::new(inside.x + 1, area.y, inside.width.saturating_sub(1), 1);
            let title = cells::cut(&format!(" {title} "), usize::from(room.width));
            self.row(room, 0, &title, BOLD);
        }
        Rect::new(inside.x + 1, inside.y, inside.width.saturating_sub(2), inside.height)
    }
}
