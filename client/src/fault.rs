//! What a fault of the program itself says: where it is, and no more.

use std::{
    io::{self, Write as _},
    panic,
};

use hearth_console::line;

/// Makes a panic print its place only, from now on: its message may hold what somebody wrote.
pub fn say_place_only() {
    panic::set_hook(Box::new(|panic| {
        line::leave_alternate_screen();
        let place = panic.location().map_or_else(
            || "an unknown place".to_owned(),
            |at| format!("{}:{}", at.file(), at.line()),
        );
        // Nobody can be told that the terminal is closed.
        let _ = writeln!(io::stderr(), "hearth: a fault of the program at {place}");
    }));
}
