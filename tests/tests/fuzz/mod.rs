//! Fuzz targets: for every reader of bytes from outside, what must hold whatever the bytes are.
//!
//! A target panics if a property is violated, and returns whether the bytes were accepted: that its good seeds are
//! says that it reaches what it is meant for. The same functions run under `cargo nextest` over the committed corpus
//! (`fuzz/corpus`) with a mutator of our own, and under libFuzzer (`fuzz/`).

pub mod corpus;
mod mls;
mod records;
mod relay;
#[cfg(test)]
mod replay;
mod wire;

use minicbor::{Decode, Encode};

/// One target.
pub struct Target {
    /// Its name: of the binary under libFuzzer, of the folder of its corpus, and of its test.
    pub name: &'static str,
    /// Tries some bytes.
    pub run: fn(&[u8]) -> bool,
    /// Makes bytes that the target accepts, with the product's own code.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How much slower it is than most; it gets as much fewer tries in continuous integration.
    pub slowness: usize,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool, seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, slowness: 1 }
}

const fn slow(
    name: &'static str,
    run: fn(&[u8]) -> bool,
    seeds: fn() -> Vec<Vec<u8>>,
    slowness: usize,
) -> Target {
    Target { name, run, seeds, slowness }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("frame_client", wire::frame_client, wire::client_seeds),
    target("frame_server", wire::frame_server, wire::server_seeds),
    target("link", wire::link, wire::link_seeds),
    target("sealed", wire::sealed, wire::sealed_seeds),
    target("http_head", relay::http_head, relay::head_seeds),
    target("config", relay::config, relay::config_seeds),
    target("numbers", relay::numbers, relay::numbers_seeds),
    target("agreement", records::agreement, records::agreement_seeds),
    target("policy", records::policy, records::policy_seeds),
    target("envelope", records::envelope, records::envelope_seeds),
    target("receipt", records::receipt, records::receipt_seeds),
    target("row", records::row, records::row_seeds),
    target("sealed_row", records::sealed_row, records::sealed_row_seeds),
    target("profile", records::profile, records::profile_seeds),
    target("text", records::text, records::text_seeds),
    target("mls_header", mls::header, mls::header_seeds),
    slow("mls_entry", mls::entry, mls::entry_seeds, 10),
    slow("mls_key_package", mls::key_package, mls::key_package_seeds, 10),
    slow("mls_welcome", mls::welcome, mls::welcome_seeds, 20),
    slow("mls_group_info", mls::group_info, mls::group_info_seeds, 20),
];

/// Decodes a CBOR record, and checks that writing and reading it again changes nothing.
fn record<T: for<'b> Decode<'b, ()> + Encode<()>>(bytes: &[u8]) -> Option<T> {
    let value: T = hearth_protocol::codec::decode(bytes).ok()?;
    let written = hearth_protocol::codec::encode(&value);
    let again: T = hearth_protocol::codec::decode(&written).expect("what was written is read");
    assert_eq!(
        hearth_protocol::codec::encode(&again),
        written,
        "a record changes when it is written and read"
    );
    Some(value)
}

/// Splits off the first byte, which chooses among the ways of a target.
fn choice(bytes: &[u8]) -> (u8, &[u8]) {
    bytes.split_first().map_or((0, &[]), |(first, rest)| (*first, rest))
}

/// Puts a choice in front of bytes.
fn chosen(choice: u8, bytes: &[u8]) -> Vec<u8> {
    [&[choice], bytes].concat()
}
