//! Text that people type and text that others sent: what is taken, and how it is shown without harm.

pub mod letter;
pub mod link;
pub mod nearest;
pub mod qr;
pub mod when;

pub use hearth_text::wrap;
