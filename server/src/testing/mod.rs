//! Access to the relay's inside for tests. Only the feature `testing` compiles it, and no crate's normal dependencies enable that.

pub mod careless;
pub mod fuzzing;
pub mod measure;
pub mod simulated;
