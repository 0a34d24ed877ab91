//! `hearth`, the command-line member client.

use std::{io::Write as _, process::ExitCode};

use clap::{
    Parser as _,
    error::{ContextKind, ContextValue},
};
use hearth_client::{
    cli::{Cli, with_joined_times},
    commands,
    failure::{Failure, exit},
    fault, show,
    text::nearest::nearest,
    text::wrap,
};
use hearth_console::line;
use hearth_text::escape;

fn main() -> ExitCode {
    fault::say_place_only();
    let cli = match Cli::try_parse_from(with_joined_times(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) => return usage(&with_nearest(error)),
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

/// Secrets must not reach a core file (RFC 9750 section 8.2.2 asks implementations to protect local state).
fn harden() {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    // Where a limit cannot be set there is none to keep.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    // A dump that is piped to a program heeds no limit, and others of this account could read the memory.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Leaves the nearest of the commands that clap suggests: it goes by common letters, and `paus` has most of `status`.
fn with_nearest(mut error: clap::Error) -> clap::Error {
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => return error,
    };
    if let Some(ContextValue::Strings(all)) = error.get(ContextKind::SuggestedSubcommand)
        && let Some(word) = nearest(&typed, all.iter().map(String::as_str))
    {
        let one = ContextValue::Strings(vec![word.to_owned()]);
        error.insert(ContextKind::SuggestedSubcommand, one);
    }
    error
}

fn usage(error: &clap::Error) -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let text = error.to_string();
    let shown = escape::without_link_secrets(&text, &words);
    // Nobody can be told that the terminal is closed.
    let _ = match error.use_stderr() {
        true => write!(std::io::stderr(), "{shown}"),
        // clap leaves the line of usage whole.
        false => {
            let columns = line::columns().map_or(usize::MAX, |columns| columns + 1);
            write!(std::io::stdout(), "{}", wrap::lines(&shown, columns))
        }
    };
    if error.use_stderr() {
        if std::env::args_os().any(|a| a == "--json") {
            let failure = Failure::usage(
                error.kind().to_string(),
                "`hearth help` lists the commands and what they take.",
            );
            let _ = writeln!(std::io::stdout(), "{}", failure.to_json());
        }
        return ExitCode::from(exit::USAGE);
    }
    ExitCode::SUCCESS
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
