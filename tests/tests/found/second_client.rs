//! Section E: a second client, written from docs/protocol.md.
