//! Prints what Hearth is made of: a bill of materials, or the advisories that concern its crates.
//!
//! `cargo run -p hearth-tests --bin supply -- sbom > hearth.cdx.json`;
//! `cargo run -p hearth-tests --bin supply -- advisories FOLDER > tests/data/advisories.txt` with a copy of
//! github.com/rustsec/advisory-db.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a tool for developers fails by panicking")]
#![expect(clippy::print_stdout, reason = "it prints what it found")]

use std::{collections::BTreeSet, path::Path};

use hearth_tests::{
    sbom,
    supply::{Advisory, lock, read},
};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["sbom"] => println!("{}", sbom::document()),
        ["advisories", folder] => advisories(Path::new(folder)),
        _ => panic!("supply sbom | supply advisories FOLDER"),
    }
}

fn advisories(folder: &Path) {
    let used: BTreeSet<String> =
        lock(&read("Cargo.lock")).into_iter().map(|locked| locked.name).collect();
    println!("# Advisories of github.com/rustsec/advisory-db for crates of Cargo.lock.");
    println!("# id; crate; mended in; never affected. Made by the program `supply`.");
    for advisory in Advisory::database(folder) {
        if used.contains(&advisory.name) && !advisory.informational {
            println!("{}", advisory.to_line());
        }
    }
}
