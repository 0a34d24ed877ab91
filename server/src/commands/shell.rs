//! Completions and manual pages of `hearthd`.

use std::{fs, path::Path};

use clap::{CommandFactory as _, ValueEnum};

use crate::{DataDirError, StartError, cli::Cli};

/// A shell that completes commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// GNU Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Prints the completions for a shell.
pub(super) fn completions(shell: Shell) -> Result<(), StartError> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: the generator panics when it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hearthd", &mut text);
    super::say(&String::from_utf8_lossy(&text))
}

/// Writes a page for `hearthd` and one for each command.
pub(super) fn manual(dir: &Path) -> Result<(), StartError> {
    let failed = |source| DataDirError::Io { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let command = Cli::command();
    // A manual page belongs to nobody alone, so it gets the mode of other files in its folder.
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    Ok(())
}
