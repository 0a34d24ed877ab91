//! `hearthd`, the Hearth relay.

use std::{panic, process, process::ExitCode, thread};

fn main() -> ExitCode {
    end_with_the_main_thread();
    hearth_server::cli::main()
}

/// Ends the process when its main thread panics, and does not unwind it: what is dropped on the way waits for threads
/// that may never end, and a relay that hangs is not started again by anyone. Other threads unwind as ever.
fn end_with_the_main_thread() {
    let (main, report) = (thread::current().id(), panic::take_hook());
    panic::set_hook(Box::new(move |panic| {
        report(panic);
        if thread::current().id() == main {
            process::abort();
        }
    }));
}
