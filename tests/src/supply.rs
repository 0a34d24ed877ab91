//! What Hearth is made of: the lockfile and the crates that are built, judged by `deny.toml` and a list of advisories.
//!
//! `cargo deny` and `cargo audit` do the same with more care. This needs nothing installed and no network, so that it
//! runs wherever the tests do.

use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use toml::{Table, Value};

/// Where every crate comes from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// One crate of a lockfile.
#[derive(Clone, Debug)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Where it comes from; nothing for crates of this workspace.
    pub source: Option<String>,
    /// SHA-256 of its archive.
    pub checksum: Option<String>,
}

/// A flaw of some versions of a crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// As the database names it.
    pub id: String,
    /// Which crate.
    pub name: String,
    /// Versions in which it is mended.
    pub patched: Vec<VersionReq>,
    /// Versions that never had it.
    pub unaffected: Vec<VersionReq>,
    /// Whether it is no flaw of the code, such as that nobody looks after it.
    pub informational: bool,
}

/// A crate, or versions of it, that must not come in.
#[derive(Clone, Debug)]
pub struct Ban {
    name: String,
    versions: VersionReq,
}

/// What `deny.toml` says.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Crates and versions that must not come in.
    pub bans: Vec<Ban>,
    /// Licences that may.
    pub licences: Vec<String>,
    /// Crates of ours without code, which stand in for dependencies that nobody takes (docs/decisions/0015).
    pub stand_ins: Vec<String>,
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads a file of the workspace.
pub fn read(path: &str) -> String {
    let path = workspace().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Reads a table.
pub fn table(text: &str) -> Table {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

fn requirements(versions: Option<&Table>, key: &str) -> Vec<VersionReq> {
    let list = versions.and_then(|table| table.get(key)).and_then(Value::as_array);
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| VersionReq::parse(text).unwrap()).collect()
}

/// Takes a lockfile apart.
pub fn lock(text_of_lock: &str) -> Vec<Locked> {
    let lock = table(text_of_lock);
    let packages = lock["package"].as_array().unwrap();
    packages
        .iter()
        .filter_map(Value::as_table)
        .map(|package| Locked {
            name: text(package, "name").unwrap().to_owned(),
            version: Version::parse(text(package, "version").unwrap()).unwrap(),
            source: text(package, "source").map(str::to_owned),
            checksum: text(package, "checksum").map(str::to_owned),
        })
        .collect()
}

/// Reads `deny.toml`.
pub fn rules() -> Rules {
    let deny = table(&read("deny.toml"));
    let bans = deny["bans"]["deny"].as_array().unwrap().iter().filter_map(Value::as_table);
    let bans = bans.map(|ban| Ban {
        name: text(ban, "crate").or_else(|| text(ban, "name")).unwrap().to_owned(),
        versions: text(ban, "version").map_or(VersionReq::STAR, |v| VersionReq::parse(v).unwrap()),
    });
    let licences = deny["licenses"]["allow"].as_array().unwrap().iter().filter_map(Value::as_str);
    let licences = licences.map(str::to_owned).collect();
    Rules { bans: bans.collect(), licences, stand_ins: stand_ins() }
}

/// Crates that `Cargo.toml` replaces by a folder, as far as the folder holds no code and needs no other crate.
fn stand_ins() -> Vec<String> {
    let manifest = table(&read("Cargo.toml"));
    let patches = manifest["patch"]["crates-io"].as_table().unwrap();
    let is_empty = |folder: &str| {
        let manifest = table(&read(&format!("{folder}/Cargo.toml")));
        let code = read(&format!("{folder}/src/lib.rs"));
        let needs = ["dependencies", "build-dependencies", "target", "build"];
        folder.starts_with("client/patches/")
            && code.lines().all(|line| line.is_empty() || line.starts_with("//"))
            && !needs.iter().any(|key| manifest.contains_key(*key))
            && !workspace().join(folder).join("build.rs").exists()
    };
    let folder = |patch: &'_ Value| patch.get("path").and_then(Value::as_str).map(str::to_owned);
    let empty = patches.iter().filter(|(_, patch)| folder(patch).is_some_and(|f| is_empty(&f)));
    empty.map(|(name, _)| name.clone()).collect()
}

impl Advisory {
    fn concerns(&self, locked: &Locked) -> bool {
        let fits = |list: &[VersionReq]| list.iter().any(|req| req.matches(&locked.version));
        self.name == locked.name && !fits(&self.patched) && !fits(&self.unaffected)
    }

    /// One line of a list: id, crate, mended, never affected; versions separated by `|`.
    pub fn to_line(&self) -> String {
        let join = |list: &[VersionReq]| {
            list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ")
        };
        let Self { id, name, patched, unaffected, .. } = self;
        format!("{id}; {name}; {}; {}", join(patched), join(unaffected))
    }

    fn from_line(line: &str) -> Self {
        let parts: Vec<&str> = line.split(';').map(str::trim).collect();
        let [id, name, patched, unaffected] = parts.as_slice() else { panic!("{line}") };
        let list = |text: &str| {
            let parts = text.split('|').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| VersionReq::parse(part).unwrap()).collect()
        };
        Self {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            patched: list(patched),
            unaffected: list(unaffected),
            informational: false,
        }
    }

    /// Reads a list.
    pub fn list(text: &str) -> Vec<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        lines.map(Self::from_line).collect()
    }

    /// Reads every advisory of a database, such as a copy of github.com/rustsec/advisory-db.
    pub fn database(folder: &Path) -> Vec<Self> {
        let mut all = vec![];
        for name in std::fs::read_dir(folder.join("crates")).unwrap().flatten() {
            for file in std::fs::read_dir(name.path()).unwrap().flatten() {
                all.extend(Self::from_file(&std::fs::read_to_string(file.path()).unwrap()));
            }
        }
        all.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        all
    }

    /// Reads one advisory; nothing if it was withdrawn.
    fn from_file(markdown: &str) -> Option<Self> {
        let front = markdown.split("```").nth(1)?.strip_prefix("toml")?;
        let file = table(front);
        let advisory = file["advisory"].as_table()?;
        let versions = file.get("versions").and_then(Value::as_table);
        (!advisory.contains_key("withdrawn")).then(|| Self {
            id: text(advisory, "id").unwrap().to_owned(),
            name: text(advisory, "package").unwrap().to_owned(),
            patched: requirements(versions, "patched"),
            unaffected: requirements(versions, "unaffected"),
            informational: text(advisory, "informational").is_some_and(|kind| kind != "unsound"),
        })
    }
}

/// Says what is wrong with a lockfile: sources, checksums, versions that are banned or have known flaws.
///
/// A crate that is banned altogether may stand in a lockfile, as an option that nobody takes; what is built tells.
pub fn lock_findings(lock: &[Locked], rules: &Rules, advisories: &[Advisory]) -> Vec<String> {
    let mut findings = vec![];
    for locked in lock {
        let Locked { name, version, source, checksum } = locked;
        match source {
            None if name.starts_with("hearth-") || rules.stand_ins.contains(name) => {}
            None => findings.push(format!("{name} {version} is from a folder")),
            Some(source) if source != REGISTRY => {
                findings.push(format!("{name} {version} is from {source}"));
            }
            Some(_) if checksum.as_ref().is_none_or(|sum| sum.len() != 64) => {
                findings.push(format!("{name} {version} has no checksum"));
            }
            Some(_) => {}
        }
        let banned = |ban: &&Ban| ban.name == *name && ban.versions != VersionReq::STAR;
        for ban in rules.bans.iter().filter(banned) {
            if ban.versions.matches(version) {
                findings.push(format!("{name} {version} is below its floor: {}", ban.versions));
            }
        }
        for advisory in advisories.iter().filter(|a| !a.informational && a.concerns(locked)) {
            findings.push(format!("{name} {version} has {}", advisory.id));
        }
    }
    findings
}

/// Says what is wrong with what is built: lines `name vVERSION ...|LICENCE`, as `cargo tree` prints them.
pub fn built_findings(tree: &str, rules: &Rules) -> Vec<String> {
    let mut findings = vec![];
    for line in tree.lines() {
        let Some((package, licence)) = line.split_once('|') else { continue };
        let name = package.split(' ').next().unwrap_or_default();
        if rules.bans.iter().any(|ban| ban.name == name && ban.versions == VersionReq::STAR) {
            findings.push(format!("{name} is banned"));
        }
        // What was printed with its own crates already.
        let licence = licence.trim_end_matches(" (*)");
        if !is_allowed(licence, &rules.licences) {
            findings.push(format!("{name} is under {licence:?}"));
        }
    }
    findings
}

/// Whether an SPDX expression is met by licences that are allowed; a slash is an old way to write OR.
pub fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any(&words, &mut at, allowed);
    met && at == words.len()
}

fn any(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = all(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= all(words, at, allowed);
    }
    met
}

fn all(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = any(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", words.get(*at + 1).unwrap_or(&""));
        *at += 2;
    }
    allowed.contains(&name)
}
