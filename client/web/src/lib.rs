//! Hearth as a page: a server on loopback for one browser of the person who runs it, and the page itself.
//!
//! [`Server`] lets in one page and nobody else; [`Page`] is what the page asks for and is told. What a page shows and does is JSON that
//! this crate does not read, so that it knows nothing of rooms.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod assets;
mod body;
mod feed;
mod gate;
mod guard;
mod peer;
mod server;
#[cfg(test)]
mod tests;
mod words;

pub use self::{
    assets::PAGE_BYTES,
    feed::Feed,
    server::{Asked, Page, Server},
};
