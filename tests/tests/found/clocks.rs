//! Rows A1 and A8: clocks.
