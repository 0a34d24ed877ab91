//! Section B: what one person can exhaust or stop.
