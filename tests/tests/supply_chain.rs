//! What `cargo deny` does not look at; see `deny.toml` for the rest.

use std::path::Path;

/// The folder that stands in for a crate holds no code and needs no other crate (`docs/decisions/0015`).
#[test]
fn b7_stand_in_is_empty_and_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/patches");
    let folders: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(folders, [folder.join("openmls_sqlite_storage")]);
    let read = |name: &str| std::fs::read_to_string(folders[0].join(name)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    for key in ["dependencies", "build-dependencies", "target", "build"] {
        assert!(!manifest.contains_key(key), "{key}");
    }
    assert!(!folders[0].join("build.rs").exists());
    assert!(read("src/lib.rs").lines().all(|line| line.is_empty() || line.starts_with("//")));
}
