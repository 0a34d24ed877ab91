//! A bill of materials of both programs in CycloneDX 1.5, the same bytes whenever nothing changed.

use std::{collections::BTreeMap, process::Command};

use serde_json::{Value, json};

use crate::supply::{Locked, lock, read, workspace};

/// Says what a build needs, one crate a line: `name vVERSION ...|LICENCE`. Nothing is fetched.
pub fn tree(packages: &[&str], edges: &str) -> String {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace()).args(["tree", "--locked", "--offline", "--edges", edges]);
    command.args(["--prefix", "none", "--format", "{p}|{l}"]);
    for package in packages {
        command.args(["-p", package]);
    }
    let ended = command.output().expect("cargo runs");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

/// Returns the document. It has no date and no random number, so that two of one commit are equal.
pub fn document() -> String {
    let locked = lock(&read("Cargo.lock"));
    let mut components: BTreeMap<(String, String), Value> = BTreeMap::new();
    for line in tree(&["hearth-server", "hearth-client"], "normal").lines() {
        // What was printed with its own crates already ends in a star.
        let line = line.trim_end_matches(" (*)");
        let Some((package, licence)) = line.split_once('|') else { continue };
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let version = version.trim_start_matches('v');
        let found = locked.iter().find(|l| l.name == name && l.version.to_string() == version);
        let found = found.unwrap_or_else(|| panic!("{name} {version} is not in the lockfile"));
        components.insert((name.to_owned(), version.to_owned()), component(found, licence));
    }
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "name": "hearth",
                "version": env!("CARGO_PKG_VERSION"),
                "licenses": [{"expression": "AGPL-3.0-or-later"}],
            },
        },
        "components": components.into_values().collect::<Vec<_>>(),
    });
    format!("{document:#}")
}

fn component(locked: &Locked, licence: &str) -> Value {
    let Locked { name, version, checksum, .. } = locked;
    let purl = format!("pkg:cargo/{name}@{version}");
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version.to_string(),
        "licenses": [{"expression": licence.replace('/', " OR ")}],
        "purl": purl,
    });
    if let Some(checksum) = checksum {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}
