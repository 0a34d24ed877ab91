//! Wall clocks of their own for programs, by `faketime` (Debian: `apt-get install faketime`).

use std::{ffi::OsString, fs};

/// Returns the words that put a program under a wall clock of its own, or says that the test is skipped.
///
/// The library is loaded without the program `faketime`, which would stand between a signal and its child. The
/// monotonic clock stays as it is: no machine's jumps.
pub fn clock(spec: &str) -> Option<Vec<OsString>> {
    let library = fs::read_dir("/usr/lib")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .chain(["/usr/lib".into(), "/usr/local/lib".into()]);
    let library = library.map(|folder| folder.join("faketime/libfaketime.so.1"));
    let Some(library) = library.into_iter().find(|path| path.exists()) else {
        crate::skip::lacks("faketime");
        return None;
    };
    let words = [
        "/usr/bin/env".to_owned(),
        format!("LD_PRELOAD={}", library.display()),
        format!("FAKETIME={spec}"),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        "DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    Some(words.map(OsString::from).to_vec())
}
