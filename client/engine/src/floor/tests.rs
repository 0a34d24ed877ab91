//! Tests of the floor.

mod wire;
