//! Section C: what leaks or misleads.
