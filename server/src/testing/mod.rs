//! What tests need of the relay's inside. Only the feature `testing` compiles it, and no crate's normal dependencies turn that on.

pub mod careless;
pub mod fuzzing;
pub mod measure;
pub mod simulated;
