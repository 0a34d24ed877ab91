//! Where the binaries under test are, and that they are built from the sources as they stand.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// Returns the path of `hearthd` or `hearth`.
pub(crate) fn binary(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(folder).join(name)
}

/// Returns the folder of the binaries, after building what is missing or older than its source.
///
/// Cargo tells the tests of one package nothing about the binaries of another, so they are looked for beside the
/// test's own executable: `target/PROFILE/deps/test-HASH` lies below `target/PROFILE/hearth`.
fn folder() -> PathBuf {
    if let Some(given) = std::env::var_os("HEARTH_BIN_DIR") {
        return given.into();
    }
    let this = std::env::current_exe().expect("a running test has a path");
    let mut above = this.ancestors();
    let folder = above
        .find(|folder| folder.file_name().is_some_and(|name| name == "deps"))
        .and_then(Path::parent)
        // A program of this package lies beside the others.
        .or(this.parent())
        .expect("an executable is in a folder")
        .to_owned();
    if is_stale(&folder) {
        build(&folder);
    }
    folder
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn is_stale(folder: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    let built = ["hearthd", "hearth"].iter().map(|name| modified(&folder.join(name)));
    let Some(oldest) = built.collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().min())
    else {
        return true;
    };
    const SOURCES: [&str; 11] = [
        "client/src",
        "client/console/src",
        "client/engine/src",
        "client/forms/exercises",
        "client/forms/questionnaires",
        "client/forms/src",
        "client/session/src",
        "client/text/src",
        "protocol/src",
        "server/rules/src",
        "server/src",
    ];
    SOURCES.iter().any(|folder| has_newer(&workspace().join(folder), oldest))
}

fn has_newer(folder: &Path, than: SystemTime) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let Ok(metadata) = entry.metadata() else { return false };
        if metadata.is_dir() {
            has_newer(&entry.path(), than)
        } else {
            metadata.modified().is_ok_and(|at| at > than)
        }
    })
}

fn build(folder: &Path) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(workspace())
        .args(["build", "--quiet", "--profile", profile, "-p", "hearth-server"])
        .args(["-p", "hearth-client", "--bins", "--target-dir"])
        .arg(folder.parent().expect("the profile's folder is in a target folder"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the binaries under test do not build");
}
