//! Hearth on a full screen: panes, a composer, cards. It draws what it is given and says what was asked for.
//!
//! [`update`] and [`draw`] are pure: a shell feeds messages and does the effects. Rooms, words and rules come as values, so that
//! this crate knows nothing of them.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod app;
mod cells;
mod compose;
mod draw;
mod form;
mod keys;
mod layout;
mod lock;
mod model;
mod over;
mod panes;
mod talk;
pub mod terminal;
#[cfg(test)]
mod tests;
mod update;

pub use self::{
    app::{App, Effect, Focus, Msg},
    draw::draw,
    keys::Key,
    model::{
        Action, Band, Does, Entry, Field, Item, Kind, Look, Mood, Native, Numbers, Place, PlaceId,
        Scene, Text, Todo, Wait,
    },
    update::update,
};
