//! Every crate comes from one place, with a checksum, under a licence we may use, and without a known flaw.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;

use hearth_tests::{
    sbom,
    supply::{
        Advisory, built_findings, is_allowed, lock, lock_findings, read, rules, table, workspace,
    },
};

fn advisories() -> Vec<Advisory> {
    let mut all = Advisory::list(&read("tests/data/advisories.txt"));
    // A newer database than the one that the list was made of.
    if let Some(folder) = std::env::var_os("HEARTH_ADVISORY_DB") {
        all.extend(Advisory::database(Path::new(&folder)));
    }
    all
}

fn findings(text: &str) -> Vec<String> {
    lock_findings(&lock(text), &rules(), &advisories())
}

#[test]
fn the_lockfile_has_no_known_flaw() {
    let text = read("Cargo.lock");
    assert!(lock(&text).len() > 200 && advisories().len() > 50, "something is read");
    assert_eq!(findings(&text), Vec::<String>::new());
}

/// Gives a crate of the lockfile another version.
fn seeded(name: &str, version: &str) -> String {
    let text = read("Cargo.lock");
    let start = text.find(&format!("name = \"{name}\"\n")).unwrap();
    let (before, after) = text.split_at(start);
    let old = after.lines().nth(1).unwrap();
    format!("{before}{}", after.replacen(old, &format!("version = \"{version}\""), 1))
}

#[test]
fn a_bad_lockfile_is_refused() {
    for (name, version, says) in [
        ("tungstenite", "0.20.0", "RUSTSEC-2023-0065"),
        ("tungstenite", "0.20.0", "floor"),
        // In no advisory database: the floors of deny.toml have them.
        ("openmls", "0.8.0", "floor"),
        ("openmls", "0.9.1", "floor"),
        ("hpke-rs", "0.5.9", "floor"),
        ("rusqlite", "0.42.0", "floor"),
        ("libsqlite3-sys", "0.39.9", "floor"),
        ("rustls", "0.23.17", "RUSTSEC-2024-0399"),
        ("curve25519-dalek", "4.1.2", "RUSTSEC-2024-0344"),
    ] {
        let found = findings(&seeded(name, version));
        let about = |line: &&String| line.starts_with(&format!("{name} {version} "));
        assert!(found.iter().filter(about).any(|line| line.contains(says)), "{name}: {found:?}");
    }
    let text = read("Cargo.lock");
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    for elsewhere in ["git+https://example.org/x?rev=1#1", "registry+https://example.org/index"] {
        assert_eq!(findings(&text.replacen(registry, elsewhere, 1)).len(), 1, "{elsewhere}");
    }
    let checksum = text.lines().find(|line| line.starts_with("checksum = ")).unwrap();
    assert_eq!(findings(&text.replacen(checksum, "", 1)).len(), 1);
    let source = format!("source = \"{registry}\"\n{checksum}\n");
    assert_eq!(findings(&text.replacen(&source, "", 1)).len(), 1);
}

/// One folder stands in for a crate, and only as long as it holds nothing.
#[test]
fn b7_stand_in_is_empty_and_alone() {
    let mut rules = rules();
    assert_eq!(rules.stand_ins, ["openmls_sqlite_storage"]);
    rules.stand_ins.clear();
    let found = lock_findings(&lock(&read("Cargo.lock")), &rules, &[]);
    assert_eq!(found, ["openmls_sqlite_storage 0.3.0 is from a folder"]);
}

#[test]
fn what_is_built_is_licensed_and_has_one_tls_stack_and_one_runtime() {
    let rules = rules();
    let built = sbom::tree(&["hearth-server", "hearth-client"], "normal,build");
    assert!(built.lines().count() > 100);
    assert_eq!(built_findings(&built, &rules), Vec::<String>::new());
    for seeded in ["ring v0.17.14|ISC", "openssl-sys v0.9.1|MIT", "async-std v1.12.0|MIT"] {
        assert_eq!(built_findings(seeded, &rules).len(), 1, "{seeded}");
    }
    assert_eq!(built_findings("some v1.0.0|SSPL-1.0", &rules).len(), 1);
    assert_eq!(built_findings("some v1.0.0|", &rules).len(), 1);
}

/// The rules of the relay are values and functions: Cargo.toml of `hearth-rules` keeps databases and runtimes out of them.
#[test]
fn rules_need_no_database_or_runtime() {
    let tree = sbom::tree(&["hearth-rules"], "normal,build");
    assert!(tree.contains("hearth-protocol v"), "{tree}");
    for name in ["rusqlite", "libsqlite3-sys", "tokio", "futures-util", "rustix"] {
        assert!(!tree.contains(&format!("{name} v")), "{tree}");
    }
    let folder = workspace().join("server/rules/src");
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("async fn") && !text.contains(".await"));
    }
}

#[test]
fn licence_expressions_are_read_as_spdx_says() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "A WITH B".to_owned()];
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-2.0", false),
        ("GPL-2.0 OR MIT", true),
        ("GPL-2.0/MIT", true),
        ("GPL-2.0 AND MIT", false),
        ("MIT AND ISC", true),
        // AND binds closer than OR.
        ("MIT OR GPL-2.0 AND ISC", true),
        ("(MIT OR GPL-2.0) AND ISC", true),
        ("(MIT OR ISC) AND GPL-2.0", false),
        ("A WITH B", true),
        ("A", false),
        ("A WITH C", false),
        ("(MIT", false),
        ("MIT ISC", false),
        ("", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn the_bill_of_materials_is_complete_and_reproducible() {
    let first = sbom::document();
    assert_eq!(first, sbom::document());
    let document: serde_json::Value = serde_json::from_str(&first).unwrap();
    let components = document["components"].as_array().unwrap();
    for name in ["openmls", "rustls", "aws-lc-sys", "libsqlite3-sys", "tokio", "hearth-protocol"] {
        let found = components.iter().find(|component| component["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{name} is missing"));
        let ours = name.starts_with("hearth-");
        assert_eq!(found["hashes"][0]["content"].as_str().is_none(), ours, "{name}");
        assert!(!found["licenses"][0]["expression"].as_str().unwrap().is_empty(), "{name}");
    }
    // What is only there to test is not shipped.
    assert!(!components.iter().any(|c| c["name"] == "hearth-tests" || c["name"] == "tempfile"));
}

#[test]
fn no_crate_of_ours_may_be_unsafe() {
    let root = table(&read("Cargo.toml"));
    let lints = &root["workspace"]["lints"]["rust"];
    // What is forbidden cannot be allowed further down.
    assert_eq!(lints["unsafe_code"].as_str(), Some("forbid"));
    for member in root["workspace"]["members"].as_array().unwrap() {
        let member = member.as_str().unwrap();
        let manifest = table(&read(&format!("{member}/Cargo.toml")));
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{member}");
    }
}

/// `cargo deny`, where it is installed, with the same file.
#[test]
fn cargo_deny_agrees() {
    let mut command = std::process::Command::new("cargo-deny");
    command.current_dir(workspace()).args([
        "--offline",
        "--locked",
        "check",
        "--hide-inclusion-graph",
    ]);
    match command.args(["licenses", "bans", "sources"]).output() {
        Err(error) => eprintln!("skipped: cargo-deny is not installed ({error})"),
        Ok(ended) => {
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(ended.status.success(), "{said}");
        }
    }
}
