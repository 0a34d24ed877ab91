//! `hearth`, the command-line member client.

use std::{
    ffi::OsString,
    io::{IsTerminal as _, Write as _},
    process::ExitCode,
};

use clap::{Parser as _, error::ErrorKind};
use hearth_client::{
    advice,
    cli::{Cli, Command, with_joined_times},
    commands,
    failure::Failure,
    fault, show,
    text::wrap,
};
use hearth_console::line;
use hearth_text::escape;

fn main() -> ExitCode {
    fault::say_place_only();
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let of_profile = advice::flags_of(&words);
    let cli = match Cli::try_parse_from(with_joined_times(std::env::args_os())) {
        Ok(cli) => Cli { of_profile, ..cli },
        Err(error) => match alone(&error) {
            Some(cli) => Cli { of_profile, ..cli },
            None => return usage(&error, &words, &of_profile),
        },
    };
    let json = cli.json;
    harden();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(commands::run(cli));
    // A read of standard input cannot be taken back; it must not keep the process alive.
    runtime.shutdown_background();
    result
}

/// Returns what `hearth` without a command does for a person at a terminal: it shows the rooms.
fn alone(error: &clap::Error) -> Option<Cli> {
    let at_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let lacks_command = matches!(
        error.kind(),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand
    );
    if !lacks_command || !at_terminal {
        return None;
    }
    let words = std::env::args_os().chain([OsString::from("tui")]);
    let cli = Cli::try_parse_from(with_joined_times(words)).ok()?;
    Some(Cli { alone: matches!(cli.command, Command::Tui(_)), ..cli })
}

/// Secrets must not reach a core file (RFC 9750 section 8.2.2 asks implementations to protect local state).
fn harden() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Where a limit cannot be set there is none to keep.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // A dump that is piped to a program heeds no limit, and others of this account could read the memory.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Prints the help that was asked for, or says what was wrong with the command line.
fn usage(error: &clap::Error, words: &[String], of_profile: &str) -> ExitCode {
    let text = error.to_string();
    let shown = escape::without_link_secrets(&text, words);
    // Nobody can be told that the terminal is closed.
    if !error.use_stderr() {
        // clap leaves the line of usage whole.
        let columns = line::columns().map_or(usize::MAX, |columns| columns + 1);
        let _ = write!(std::io::stdout(), "{}", wrap::lines(&shown, columns));
        return ExitCode::SUCCESS;
    }
    let json = words.iter().any(|word| word == "--json");
    commands::numbers_after_slip(words);
    if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return report(&commands::usage::failure(error, words).with_flags(of_profile), json);
    }
    let _ = write!(std::io::stderr(), "{shown}");
    let advice = "`hearth help` lists the commands and what they take.";
    let failure = Failure::usage("there is no command in the command line", advice);
    report(&Failure { told: true, ..failure.with_flags(of_profile) }, json)
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    if json {
        let _ = writeln!(std::io::stdout(), "{}", failure.to_json());
    }
    if !failure.told {
        show::remark(&failure.to_text());
    }
    ExitCode::from(failure.exit)
}
