//! A relay that acknowledges before it syncs: the control of the power cuts, which must lose something.

use std::process::ExitCode;

fn main() -> ExitCode {
    hearth_server::testing::careless::sync_rarely();
    hearth_server::cli::main()
}
