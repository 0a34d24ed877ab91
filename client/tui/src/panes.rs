//! The panes beside the line: what stands over the talk, the rooms, what waits for this person.

use crate::{
    app::{App, Effect, Focus},
    keys::Key,
    layout::Layout,
    model::{Does, Native},
    over::{Overlay, numbered},
    update::{does, native, on_line},
};

/// Gives the keys to the next pane; one that has no room is shown as a page.
pub(crate) fn next_focus(app: &mut App) -> Vec<Effect> {
    let layout = Layout::of(app);
    let has_bands = app.bands().iter().any(|band| !band.actions.is_empty());
    let order = [
        (Focus::Bands, has_bands),
        (Focus::Places, app.places.len() > 1),
        (Focus::ForYou, !app.scene.for_you.is_empty()),
    ];
    let at = order.iter().position(|(focus, _)| *focus == app.focus).map_or(0, |at| at + 1);
    let next = order.iter().skip(at).find(|(_, there)| *there).map_or(Focus::Line, |(f, _)| *f);
    (app.focus, app.chosen) = (next, 0);
    match next {
        // A pane that has no room is a page.
        Focus::Places if layout.left.width == 0 => {
            app.focus = Focus::Line;
            native(app, Native::Rooms, "")
        }
        Focus::ForYou if layout.right.width == 0 => {
            app.focus = Focus::Line;
            let rows = app.scene.for_you.iter().enumerate().map(|(n, todo)| {
                let label = format!("{} {}", todo.what, todo.text);
                numbered(n + 1, label, todo.does.clone().unwrap_or(Does::Dismiss))
            });
            let rows = rows.collect();
            app.overlay = Some(Overlay::menu("For you".into(), rows, Vec::new()));
            Vec::new()
        }
        Focus::Bands => {
            app.chosen = app.bands().iter().position(|b| !b.actions.is_empty()).unwrap_or(0);
            Vec::new()
        }
        Focus::Places => {
            app.chosen = app.places.iter().position(|p| Some(p.id) == app.here).unwrap_or(0);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

pub(crate) fn in_pane(app: &mut App, focus: Focus, key: Key) -> Vec<Effect> {
    let count = match focus {
        Focus::Bands => app.bands().len(),
        Focus::Places => app.places.len(),
        Focus::ForYou => app.scene.for_you.len(),
        Focus::Line => 0,
    };
    match key {
        Key::Up => app.chosen = app.chosen.saturating_sub(1),
        Key::Down => app.chosen = (app.chosen + 1).min(count.saturating_sub(1)),
        Key::Esc | Key::Ctrl('c') | Key::BackTab => app.focus = Focus::Line,
        Key::Enter | Key::Char(_) => {
            let chosen = chosen(app, focus, key);
            return match (chosen, key) {
                (Some(what), _) => {
                    let effects = does(app, what);
                    app.focus = Focus::Line;
                    effects
                }
                // A letter that does nothing here is typed.
                (None, Key::Char(_)) => {
                    app.focus = Focus::Line;
                    on_line(app, key)
                }
                (None, _) => Vec::new(),
            };
        }
        _ => {}
    }
    Vec::new()
}

fn chosen(app: &App, focus: Focus, key: Key) -> Option<Does> {
    match (focus, key) {
        (Focus::Bands, key) => {
            let bands = app.bands();
            let actions = &bands.get(app.chosen)?.actions;
            let action = match key {
                Key::Char(c) => actions.iter().find(|action| action.key == c),
                _ => actions.first(),
            };
            action.map(|action| action.does.clone())
        }
        (Focus::Places, Key::Enter) => Some(Does::Go(app.places.get(app.chosen)?.id)),
        (Focus::ForYou, Key::Enter) => app.scene.for_you.get(app.chosen)?.does.clone(),
        _ => None,
    }
}
