//! Which browser the link is opened in.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::Options;
use crate::{commands::Result, failure::Failure};

/// Programs that open a link in the browser that a person has chosen.
const OPENERS: [&str; 3] = ["xdg-open", "open", "termux-open-url"];
/// Chromium by the names that it has.
const CHROMIUMS: [&str; 6] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "brave-browser",
    "microsoft-edge",
];
/// A window without extensions, accounts, reports to its maker, or anything that outlives it.
const APART: [&str; 9] = [
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-extensions",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-features=Translate,OptimizationHints,MediaRouter,SpareRendererForSitePerProcess",
    "--disk-cache-size=1",
];

/// How links are opened.
pub(super) enum Browser {
    /// Not at all.
    None,
    /// In the person's own browser.
    Own(Option<PathBuf>),
    /// In a Chromium with an empty profile, which goes with this process.
    Apart { program: PathBuf, profile: TempDir, windows: Vec<Child> },
}

impl Browser {
    pub(super) fn wanted(options: &Options) -> Result<Self> {
        if options.no_open {
            return Ok(Self::None);
        }
        if !options.app {
            return Ok(Self::Own(OPENERS.into_iter().find_map(found)));
        }
        let program = CHROMIUMS.into_iter().find_map(found).ok_or_else(|| {
            Failure::usage(
                "no Chromium is installed",
                "`hearth web` opens the browser that you have; a private window has no extensions in most of them.",
            )
        })?;
        let profile = tempfile::Builder::new().prefix("hearth-web").tempdir()?;
        Ok(Self::Apart { program, profile, windows: Vec::new() })
    }

    /// Opens a link; returns what there is to tell of it.
    pub(super) fn open(&mut self, link: &str) -> Option<String> {
        let (program, arguments) = match self {
            Self::None => return None,
            Self::Own(None) => {
                return Some("No browser was found: copy the link into one.".into());
            }
            Self::Own(Some(program)) => (program.clone(), vec![link.to_owned()]),
            Self::Apart { program, profile, .. } => {
                let mut arguments: Vec<String> = APART.map(str::to_owned).into();
                arguments.push(format!("--user-data-dir={}", profile.path().display()));
                arguments.push(format!("--app={link}"));
                (program.clone(), arguments)
            }
        };
        let started = Command::new(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match (started, self) {
            (Ok(child), Self::Apart { windows, .. }) => {
                windows.push(child);
                None
            }
            (Ok(_), _) => None,
            (Err(error), _) => Some(format!(
                "{} did not start ({error}): copy the link into a browser.",
                program.display()
            )),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Self::Apart { windows, .. } = self {
            for window in windows {
                // Its folder goes with this process, so the window goes first.
                let _ = window.kill();
                let _ = window.wait();
            }
        }
    }
}

fn found(name: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}
