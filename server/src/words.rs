//! Errors in plain words for operators, in place of the operating system's and the database's.

use std::io::{self, ErrorKind as Kind};

use rusqlite::ErrorCode;

use crate::TlsError;

/// Describes an error of a file, an address or a disk.
pub(crate) fn of_io(error: &io::Error) -> String {
    let words = match error.kind() {
        Kind::NotFound => "there is no such file or folder",
        Kind::PermissionDenied => "this account may not use it",
        Kind::IsADirectory => "it is a folder",
        Kind::NotADirectory => "a part of its path is not a folder",
        Kind::AlreadyExists => "it is there already",
        Kind::StorageFull | Kind::QuotaExceeded => "no space is left",
        Kind::ReadOnlyFilesystem => "the disk is read-only",
        Kind::InvalidData => "it is not UTF-8 text",
        Kind::InvalidInput => "it is not a usable name",
        Kind::BrokenPipe => "nobody reads it any more",
        Kind::UnexpectedEof => "it ends too early",
        Kind::AddrInUse => "another program listens there",
        Kind::AddrNotAvailable => "this machine does not have that address",
        // An error without a number comes from our code or a library.
        _ if error.raw_os_error().is_none() && error.get_ref().is_some() => {
            return error.to_string();
        }
        _ => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE) => {
                "as many files and connections are open as the system allows"
            }
            Some(rustix::io::Errno::NAMETOOLONG) => "its name is too long",
            _ => "the disk or device failed",
        },
    };
    words.to_owned()
}

/// Describes an error of a database.
pub(crate) fn of_sqlite(error: &rusqlite::Error) -> String {
    let words = match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) => "this account cannot open it",
        Some(ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            "this account may not use it"
        }
        Some(ErrorCode::ReadOnly) => "this account or its disk does not let it be written",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program uses it",
        Some(ErrorCode::DiskFull) => "no space is left",
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged",
        Some(ErrorCode::NotADatabase) => "it is not a database",
        Some(ErrorCode::SystemIoFailure) => "the disk failed",
        _ => return error.to_string(),
    };
    words.to_owned()
}

/// Describes why there is no usable certificate.
pub(crate) fn of_tls(error: &TlsError) -> String {
    match error {
        TlsError::File { path, source } => format!("{}: {}", path.display(), of_io(source)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::{DataDirError, OpenError, StartError, config::ConfigError};

    #[test]
    fn failures_name_path_and_command() {
        let path = PathBuf::from("/var/lib/hearthd");
        let denied = || io::Error::from_raw_os_error(13);
        let failures: [StartError; 5] = [
            DataDirError::Io { path: path.clone(), source: denied() }.into(),
            ConfigError::Read { path: path.clone(), source: denied() }.into(),
            TlsError::File { path: path.clone(), source: denied() }.into(),
            StartError::Store { path: path.clone(), source: OpenError::Io(denied()) },
            StartError::Store {
                path,
                source: OpenError::Sqlite(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                    Some("unable to open database file: /var/lib/hearthd".into()),
                )),
            },
        ];
        for failure in failures {
            let (said, advice) = (failure.to_string(), failure.advice());
            assert!(said.starts_with("/var/lib/hearthd: "), "{said}");
            assert!(said.contains("this account"), "{said}");
            assert!(!said.contains("os error") && !said.contains("unable"), "{said}");
            assert!(advice.contains("`ls -ld /var/lib/hearthd`"), "{advice}");
        }
        let full = StartError::GrantUnprinted(io::Error::from_raw_os_error(28));
        assert_eq!(full.to_string(), "standard output cannot be written to: no space is left");
        assert_eq!(
            full.advice(),
            "free some space and run it again; the unprinted grant is harmless"
        );
    }

    #[test]
    fn messages_quote_no_system_text() {
        for number in 1..133 {
            let said = of_io(&io::Error::from_raw_os_error(number));
            assert!(!said.is_empty() && !said.contains("os error"), "{number}: {said}");
        }
        assert_eq!(of_io(&io::Error::other("a library's words")), "a library's words");
    }
}
