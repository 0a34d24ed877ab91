//! The crisis contacts of a profile's rooms, in plain text beside the sealed store.
//!
//! The copy opens without passphrase, network or membership, because none of them may stand between a person and a number. It stays
//! after leaving, removal and the wipe of a room. It has no name of a room or a person; `docs/threat-model.md` says what it tells.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use hearth_engine::{
    EngineError, Room,
    profile::{CONTACTS, COUNTRY},
};
use hearth_forms::{Help, plain_of};
use hearth_protocol::hash;

/// Bytes of the copy that are read.
const BYTES_MAX: u64 = 512 * 1024;
/// Rooms whose contacts are kept; the one written longest ago gives way.
const ROOMS_MAX: usize = 64;

const HEAD: &str = "Crisis contacts. `hearth help-now` shows them. Anybody who can read this folder can read them.\n";
/// Begins the line above the contacts of one room.
const ROOM: &str = "## ";

/// Writes the contacts of a room's agreement into the copy, if they are not there yet. An agreement without contacts leaves those of
/// an earlier one. The room's line is a hash under its key, so it names the room to this profile alone.
///
/// # Errors
/// The room's record is damaged, or the file cannot be written; then the earlier copy stays.
pub fn keep(room: &mut Room<'_>) -> io::Result<()> {
    let failed = |error: EngineError| io::Error::other(error.to_string());
    let current = match room.policy() {
        Ok(policy) => policy.agreement.id,
        Err(_) => room.state().agreement,
    };
    let Some(agreement) = room.agreement(&current).map_err(failed)? else { return Ok(()) };
    let helps = Help::read_leniently(&agreement.text);
    if helps.is_empty() {
        return Ok(());
    }
    let id = hash::labelled("hearth contacts v1", &[room.state().key.seed().expose()]);
    let id: String = id.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let (store, ..) = room.parts();
    put(store.folder(), &id, &helps)
}

/// Returns the contacts of the copy, those written last first, each once. What of it cannot be read is left out.
pub fn read(home: &Path) -> Vec<Help> {
    let mut helps: Vec<Help> = Vec::new();
    for (_, section) in sections(&text(home)) {
        for help in Help::read_leniently(&section) {
            if !helps.contains(&help) {
                helps.push(help);
            }
        }
    }
    helps
}

/// Returns the country whose contacts a person wants to see first.
pub fn country(home: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(home.join(COUNTRY)).ok()?.take(16).read_to_string(&mut text).ok()?;
    Some(text.trim().to_owned()).filter(|code| !code.is_empty())
}

/// Remembers the country whose contacts a person wants to see first.
///
/// # Errors
/// The file cannot be written; then the earlier choice stays.
pub fn set_country(home: &Path, country: &str) -> io::Result<()> {
    replace(home, COUNTRY, &format!("{country}\n"))
}

fn put(home: &Path, id: &str, helps: &[Help]) -> io::Result<()> {
    let blocks = helps.iter().map(|help| format!("\n```help\n{}```\n", plain_of(help)));
    let section = format!("{ROOM}{id}\n{}", blocks.collect::<String>());
    let mut kept = sections(&text(home));
    if kept.iter().any(|(other, text)| other == id && text.trim() == section.trim()) {
        return Ok(());
    }
    kept.retain(|(other, _)| other != id);
    kept.insert(0, (id.to_owned(), section));
    kept.truncate(ROOMS_MAX);
    let all: Vec<&str> = kept.iter().map(|(_, text)| text.trim()).collect();
    replace(home, CONTACTS, &format!("{HEAD}\n{}\n", all.join("\n\n")))
}

fn text(home: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(home.join(CONTACTS)) {
        // A file that breaks off still has its first numbers.
        let _ = file.take(BYTES_MAX).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes the copy apart: each room's line and text.
fn sections(text: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in text.split_inclusive('\n') {
        if let Some(id) = line.strip_prefix(ROOM) {
            sections.push((id.trim().to_owned(), String::new()));
        }
        if let Some((_, section)) = sections.last_mut() {
            section.push_str(line);
        }
    }
    sections
}

/// Replaces a file of the profile's folder as a whole, so that a full disk leaves the one before.
fn replace(home: &Path, name: &str, text: &str) -> io::Result<()> {
    let next = home.join(format!("{name}.next"));
    let _ = fs::remove_file(&next);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| fs::rename(&next, home.join(name)));
    if moved.is_err() {
        let _ = fs::remove_file(&next);
    }
    moved
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn help(country: &str, number: &str) -> Help {
        let block = format!(
            "country = \"{country}\"\npresent = [\"Fay Tue 19:00\"]\n[[contact]]\nkind = \"emergency\"\nname = \"Emergency\"\n\
             number = \"{number}\"\nhours = \"always\"\nchecked = {{ on = 2026-11-28, by = \"Fay\", how = \"official page\" }}\n"
        );
        Help::parse(&block).unwrap()
    }

    fn numbers(home: &Path) -> Vec<String> {
        read(home).iter().map(Help::first_line).collect()
    }

    #[test]
    fn contacts_are_kept_in_plain_text() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        assert!(numbers(home).is_empty());
        put(home, "aa", &[help("GB", "000")]).unwrap();
        put(home, "bb", &[help("GB", "001"), help("IE", "002")]).unwrap();
        assert_eq!(numbers(home), ["001 Emergency", "002 Emergency", "000 Emergency"]);
        // The same again changes nothing; others take the place of those of the same room.
        put(home, "aa", &[help("GB", "000")]).unwrap();
        assert_eq!(numbers(home)[0], "001 Emergency");
        put(home, "aa", &[help("GB", "003")]).unwrap();
        assert_eq!(numbers(home), ["003 Emergency", "001 Emergency", "002 Emergency"]);
        let file = home.join(CONTACTS);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("number = \"003\"") && !text.contains("Fay"), "{text}");
        // Damage in one place hides no other number.
        fs::write(&file, text.replacen("kind = \"emergency\"", "kind = ", 1)).unwrap();
        assert_eq!(numbers(home), ["001 Emergency", "002 Emergency"]);
        fs::write(&file, &text.as_bytes()[..text.len() - 40]).unwrap();
        assert_eq!(numbers(home), ["003 Emergency", "001 Emergency"]);
        fs::write(&file, [0xff; 100]).unwrap();
        assert!(numbers(home).is_empty());
    }

    #[test]
    fn oldest_contacts_give_way() {
        let home = tempfile::tempdir().unwrap();
        for n in 0..=ROOMS_MAX {
            put(home.path(), &n.to_string(), &[help("GB", &format!("00{n}"))]).unwrap();
        }
        let kept = numbers(home.path());
        assert_eq!(kept.len(), ROOMS_MAX);
        assert_eq!(
            (kept[0].as_str(), kept[ROOMS_MAX - 1].as_str()),
            ("0064 Emergency", "001 Emergency")
        );
    }

    #[test]
    fn failed_write_keeps_the_copy() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        put(home, "aa", &[help("GB", "000")]).unwrap();
        // Where the next copy would be written stands a folder that does not go away.
        fs::create_dir_all(home.join("contacts.next/full")).unwrap();
        put(home, "aa", &[help("GB", "001")]).unwrap_err();
        assert_eq!(numbers(home), ["000 Emergency"]);
        assert_eq!(country(home), None);
        set_country(home, "IE").unwrap();
        assert_eq!(country(home).as_deref(), Some("IE"));
    }
}
