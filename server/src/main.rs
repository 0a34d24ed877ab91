//! `hearthd`, the Hearth relay.

use std::{
    io::{self, Write as _},
    panic, process,
    process::ExitCode,
    thread,
};

fn main() -> ExitCode {
    end_with_the_main_thread();
    hearth_server::cli::main()
}

/// Makes a panic print only its place, because its message may hold a member's words. If the main thread panics, the process ends
/// without unwinding it, because dropping its values waits for threads that may never end, and a hanging relay is not
/// restarted. Other threads unwind.
fn end_with_the_main_thread() {
    let main = thread::current().id();
    panic::set_hook(Box::new(move |panic| {
        if let Some(at) = panic.location() {
            // A closed standard error cannot be reported.
            let _ = writeln!(
                io::stderr(),
                "hearthd: a fault of the program at {}:{}",
                at.file(),
                at.line()
            );
        }
        if thread::current().id() == main {
            process::abort();
        }
    }));
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use std::{env, process::Command};

    use super::*;

    #[test]
    #[ignore = "c3_panic_says_its_place_only runs it"]
    fn panics() {
        if env::var_os("HEARTH_TEST_PANICS").is_some() {
            end_with_the_main_thread();
            panic!("the words of somebody");
        }
    }

    #[test]
    fn c3_panic_says_its_place_only() {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "tests::panics", "--nocapture"]);
        let output = command.env("HEARTH_TEST_PANICS", "1").output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("hearthd: a fault of the program at server/src/main.rs:"), "{said}");
        assert!(!said.contains("the words"), "{said}");
    }
}
