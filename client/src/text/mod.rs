//! Text that people type and text that others sent: what is taken, and how it is shown without harm.

pub mod count;
pub mod escape;
pub mod link;
pub mod name;
pub mod nearest;
pub mod qr;
pub mod when;
pub mod wrap;
