//! Bytes that change by themselves.
