//! Readers of bytes from outside, one call each, for the fuzz targets (`tests/tests/fuzz`).

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::{Args as _, Command, FromArgMatches as _};
use futures_util::FutureExt as _;
use tokio::io::AsyncReadExt as _;

use crate::{
    StartError,
    cli::{self, Serve},
    config::{ConfigError, File},
    http::{HeadError, read_head},
};

/// Outcome of the first bytes of a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Opening {
    /// The peer left before the end of the head.
    Gone,
    /// The head is refused with this answer.
    Refused(Vec<u8>),
    /// A head was read.
    Head {
        /// The bytes after it.
        rest: Vec<u8>,
        /// The bytes of a 101, or of a refusal.
        answer: Result<Vec<u8>, Vec<u8>>,
        /// The address for which the nearest proxy speaks.
        forwarded_for: Option<IpAddr>,
    },
}

/// Reads a request head that arrives in two pieces, and answers it. `None` if the reader waited, which it never should.
pub fn opening(first: &[u8], second: &[u8], origins: &[String]) -> Option<Opening> {
    let read = async {
        let mut stream = first.chain(second);
        match read_head(&mut stream).await {
            Err(HeadError::Gone) => Opening::Gone,
            Err(HeadError::Refused(answer)) => Opening::Refused(answer.to_bytes()),
            Ok((head, mut rest)) => {
                if stream.read_to_end(&mut rest).await.is_err() {
                    return Opening::Gone;
                }
                let answer = head.upgrade(origins).map_err(|answer| answer.to_bytes());
                Opening::Head { rest, answer, forwarded_for: head.forwarded_for() }
            }
        }
    };
    read.now_or_never()
}

/// Parses the text of a configuration file and checks it as a start without flags would.
///
/// # Errors
/// The wrong line, or `None` if no single line is wrong.
pub fn config(text: &str) -> Result<(), Option<usize>> {
    let file = File::parse(Path::new("hearthd.toml"), text).map_err(|error| match error {
        ConfigError::Parse { line, .. } => Some(line),
        _ => None,
    })?;
    let flags = Serve::augment_args(Command::new("hearthd")).get_matches_from(["hearthd"]);
    let flags = Serve::from_arg_matches(&flags).map_err(|_| None)?;
    let settings: Result<_, StartError> = cli::settings(flags, file, PathBuf::from("x"));
    settings.map(|_| ()).map_err(|_| None)
}
