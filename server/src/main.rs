//! `hearthd`, the Hearth relay.

use std::process::ExitCode;

fn main() -> ExitCode {
    hearth_server::cli::main()
}
