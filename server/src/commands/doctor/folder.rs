//! The data directory: who may read it, and what is half done in it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::{
    super::quoted,
    finding::{Finding, Report},
};
use crate::{DataDirError, StartError, data_dir};

/// Bits of a mode that let other accounts in.
const EXPOSED: u32 = 0o077;
/// Files that are looked at.
const FILES_MAX: usize = 1000;

pub(super) fn check(report: &mut Report, dir: &Path) {
    if let Err(error) = data_dir::check_whole(dir) {
        let error = StartError::from(error);
        report.add(Finding::failure("restore", "a restore is not finished", error.advice()));
    }
    match exposed(dir) {
        Ok(None) => report.add(Finding::ok("modes", "other accounts can read nothing")),
        Ok(Some(Exposed::Mode(name))) => report.add(Finding::failure(
            "modes",
            format!("other accounts of this machine can use {name}"),
            format!("`chmod -R go= {}`", quoted(dir)),
        )),
        Ok(Some(Exposed::Owner(name))) => report.add(Finding::failure(
            "modes",
            format!(
                "{name} belongs to another account than the directory, and the relay may not use it"
            ),
            format!("`chown -R --reference={0} {0}`", quoted(dir)),
        )),
        Err(source) => {
            let error = StartError::from(DataDirError::Io { path: dir.to_owned(), source });
            report.add(Finding::failure(
                "modes",
                "the data directory cannot be read by this account",
                error.advice(),
            ));
        }
    }
}

enum Exposed {
    Mode(String),
    Owner(String),
}

fn exposed(dir: &Path) -> std::io::Result<Option<Exposed>> {
    let own = fs::metadata(dir)?;
    if own.permissions().mode() & EXPOSED != 0 {
        return Ok(Some(Exposed::Mode("the data directory".into())));
    }
    for entry in fs::read_dir(dir)?.take(FILES_MAX) {
        let entry = entry?;
        let name = || entry.file_name().to_string_lossy().into_owned();
        // A temporary file may be gone by now.
        let Ok(file) = entry.metadata() else { continue };
        if file.uid() != own.uid() {
            return Ok(Some(Exposed::Owner(name())));
        }
        let is_secret = name().ends_with(".pem") || name().starts_with("hearth.db");
        if is_secret && file.permissions().mode() & EXPOSED != 0 {
            return Ok(Some(Exposed::Mode(name())));
        }
    }
    Ok(None)
}
