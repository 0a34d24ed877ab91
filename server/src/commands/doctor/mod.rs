//! Whether the machine, the settings and the store are as a relay needs them. Works beside a running relay and without one.
//!
//! Exit code 0: all is well; 1: something should be done; 2: the relay does not work, or soon will not.

mod finding;
mod folder;
mod machine;
mod network;
mod probe;
mod store;

use std::process::ExitCode;

use self::finding::{Finding, Report};
use super::{Ground, say};
use crate::{Config, StartError, config::ConfigError};

/// Checks everything and prints a report.
pub(super) fn run(
    ground: &Ground,
    config: impl FnOnce() -> Result<Config, StartError>,
    json: bool,
) -> Result<ExitCode, StartError> {
    let mut report = Report::new();
    let dir = ground.dir.as_path();
    let config = match config() {
        Ok(config) => {
            let from = if ground.file.is_some() { "a file" } else { "flags or defaults" };
            report.add(Finding::ok("settings", format!("come from {from}")));
            Some(config)
        }
        Err(error) => {
            report.add(Finding::failure("settings", without_address(&error), error.advice()));
            None
        }
    };
    if !dir.is_dir() {
        report.add(Finding::failure(
            "folder",
            "the data directory is not there",
            format!(
                "`hearthd init` writes the settings; `hearthd --data-dir {}` makes it",
                super::quoted(dir)
            ),
        ));
    } else {
        folder::check(&mut report, dir);
        machine::check(&mut report, dir, config.as_ref());
        store::check(&mut report, dir);
        if let Some(config) = &config {
            network::check(&mut report, dir, config);
        }
    }
    say(&if json { report.to_json() } else { report.to_text() })?;
    Ok(report.exit_code())
}

/// Describes an error of the settings without the address in it.
fn without_address(error: &StartError) -> String {
    match error {
        StartError::Config(ConfigError::Authority(_)) => "public_url is not a host and a port",
        StartError::Config(ConfigError::PlainBeyondLoopback(_)) => {
            "plain WebSocket is for loopback only, and listen names another address"
        }
        StartError::Config(ConfigError::AdminBeyondLoopback(_)) => {
            "admin_listen is for loopback only, and names another address"
        }
        other => return other.to_string(),
    }
    .to_owned()
}
