//! Whether this device is as a member needs it: folder, disk, records, relays, clock. The report names no room, relay or person, so that it
//! can be sent to somebody who helps.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use hearth_engine::{
    Room,
    profile::{Profile, ProfileState},
};
use hearth_protocol::invite::RelayAddress;
use hearth_session::{connection::Connection, live::now, network::Network};
use hearth_text::count::counted;
use serde_json::json;

use super::{Context, EXPOSED, Open, Result};
use crate::{
    failure::{Failure, io_words},
    text::when,
};

/// Syncs that are measured; the median counts.
const SYNCS: usize = 8;
/// Time of a sync above which each message takes noticeably long.
const SYNC_SLOW: Duration = Duration::from_millis(250);
/// Bytes below which there is little space.
const FREE_LOW: u64 = 256 * 1024 * 1024;
/// Bytes without which nothing can be kept.
const FREE_MIN: u64 = 16 * 1024 * 1024;
/// Difference to the relay's clock that matters to nobody.
const CLOCK_APART: Duration = Duration::from_secs(60);
/// Files of the profile that are looked at.
const FILES_MAX: usize = 100;

/// How good a finding is. The number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    Warning,
    Failure,
}

/// Prints findings as they come.
struct Report<'a> {
    context: &'a Context,
    worst: State,
    found: usize,
}

impl Report<'_> {
    fn add(&mut self, check: &str, state: State, said: &str, advice: &str) -> Result<()> {
        self.worst = self.worst.max(state);
        self.found += 1;
        let (word, mark) = match state {
            State::Ok => ("ok", "ok     "),
            State::Warning => ("warning", "WARNING"),
            State::Failure => ("failure", "FAILURE"),
        };
        let out = &self.context.out;
        let advice = out.advice(advice);
        let mut object = json!({"check": check, "state": word, "said": said});
        let mut text = format!("{mark}  {check:9} {said}");
        if !advice.is_empty() {
            object["advice"] = json!(advice);
            text.push_str(&format!("\n{:19}Try: {advice}", ""));
        }
        Ok(out.say(&object, &text)?)
    }

    fn ok(&mut self, check: &str, said: &str) -> Result<()> {
        self.add(check, State::Ok, said, "")
    }

    /// Ends with the exit code of the worst finding. The findings were shown.
    fn end(self) -> Result<()> {
        let code = match self.worst {
            State::Ok => return self.context.summary(self.found, "nothing is wrong"),
            State::Warning => "doctor_warning",
            State::Failure => "doctor_failure",
        };
        let exit = self.worst as u8;
        let message = "something on this device should be put right";
        let told = !self.context.out.is_json();
        Err(Failure { told, ..Failure::new(exit, code, message, "The findings say what to try.") })
    }
}

impl Context {
    fn summary(&self, found: usize, said: &str) -> Result<()> {
        if !self.out.is_json() {
            self.out.line(&format!("{}: {said}.", counted(found, "check", "checks")))?;
        }
        Ok(())
    }
}

/// Checks everything and prints what it finds.
pub(super) async fn run(context: &Context) -> Result<()> {
    let mut report = Report { context, worst: State::Ok, found: 0 };
    let home = context.home()?;
    let exists = home.is_dir();
    if exists {
        modes(&mut report, &home)?;
        disk(&mut report, &home)?;
    }
    match Profile::inspect(&home) {
        Ok(ProfileState::New) => {
            report.ok("profile", "there is none yet; joining a room makes one")?
        }
        Ok(_) => match context.open() {
            Ok(open) => {
                records(&mut report, &open)?;
                relays(&mut report, &open).await?;
            }
            Err(failure) if failure.code == "profile_in_use" => report.add(
                "profile",
                State::Warning,
                "another window uses it, so records and relays were not looked at",
                "close the chat, then `hearth doctor`",
            )?,
            Err(failure) => {
                report.add("profile", State::Failure, &failure.message, &failure.advice)?
            }
        },
        Err(error) => {
            let failure = Failure::from(error);
            report.add("profile", State::Failure, &failure.message, &failure.advice)?;
        }
    }
    report.end()
}

fn modes(report: &mut Report<'_>, home: &Path) -> Result<()> {
    let exposed =
        |path: &Path| fs::metadata(path).is_ok_and(|file| file.permissions().mode() & EXPOSED != 0);
    let inside = || {
        let files = fs::read_dir(home).into_iter().flatten().take(FILES_MAX).flatten();
        files.filter(|entry| entry.path().is_file()).any(|entry| exposed(&entry.path()))
    };
    // Nobody else can pass a closed folder, whatever the files in it allow.
    if exposed(home) && inside() {
        let advice = format!("`chmod -R go= '{}'`", home.display());
        return report.add(
            "folder",
            State::Failure,
            "other users of this computer can read the profile",
            &advice,
        );
    }
    report.ok("folder", "other users of this computer cannot read the profile")
}

fn disk(report: &mut Report<'_>, home: &Path) -> Result<()> {
    let free = rustix::fs::statvfs(home)
        .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    let said = format!("{} MiB are free", free / (1024 * 1024));
    let advice = "free some space: `df -h` shows where there is none";
    match free {
        0..FREE_MIN => report.add(
            "space",
            State::Failure,
            &format!("{said}, and nothing can be kept"),
            advice,
        )?,
        FREE_MIN..FREE_LOW => report.add("space", State::Warning, &said, advice)?,
        u64::MAX => {}
        _ => report.ok("space", &said)?,
    }
    match sync_time(home) {
        Ok(time) if time > SYNC_SLOW => report.add(
            "disk",
            State::Warning,
            &format!("keeping a message takes {} ms", time.as_millis()),
            "a slow card or a network drive? `--home DIR` keeps the profile elsewhere",
        ),
        Ok(time) => {
            report.ok("disk", &format!("keeping a message takes {} ms", time.as_millis().max(1)))
        }
        Err(error) => report.add(
            "disk",
            State::Failure,
            &format!("nothing can be written to the profile: {}", io_words(&error)),
            &format!("`ls -ld '{}'` shows whose it is", home.display()),
        ),
    }
}

/// Returns the median time of a sync.
fn sync_time(home: &Path) -> std::io::Result<Duration> {
    let mut file = tempfile::NamedTempFile::new_in(home)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; 4096])?;
        let start = Instant::now();
        file.as_file().sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}

fn records(report: &mut Report<'_>, open: &Open) -> Result<()> {
    match open.store().verify() {
        Ok(()) => report.ok("records", "every record is sound"),
        Err(error) => {
            let failure = Failure::from(error);
            report.add("records", State::Failure, &failure.message, &failure.advice)
        }
    }
}

/// Connects to each relay of the profile's rooms as a visit does, up to the hello.
async fn relays(report: &mut Report<'_>, open: &Open) -> Result<()> {
    let mut relays: BTreeMap<String, (RelayAddress, usize)> = BTreeMap::new();
    for room in Room::all(open.store(), &open.crypto)? {
        let address = room.state().address();
        relays.entry(address.to_string()).or_insert((address, 0)).1 += 1;
    }
    if relays.is_empty() {
        return report.ok("relay", "there is no room yet");
    }
    for (address, rooms) in relays.into_values() {
        let whose = format!("the relay of {}", counted(rooms, "room", "rooms"));
        let start = Instant::now();
        let connection = match Connection::open(&Network::machine(), &address).await {
            Ok(connection) => connection,
            Err(error) => {
                let failure = Failure::from(&error);
                let said = format!("{whose}: {}", failure.message);
                report.add("relay", State::Failure, &said, &failure.advice)?;
                continue;
            }
        };
        let took = start.elapsed().as_millis();
        report.ok("relay", &format!("{whose} answers, with its own key, after {took} ms"))?;
        let (here, there) = (now(), connection.server_now());
        connection.close().await;
        let apart = Duration::from_millis(here.0.abs_diff(there.0));
        if apart > CLOCK_APART {
            let side = if here > there { "ahead of" } else { "behind" };
            let said =
                format!("this device's clock is {} {side} the relay's", when::duration(apart));
            let advice = "set the clock; `timedatectl set-ntp true` keeps it right on most systems";
            report.add("clock", State::Warning, &said, advice)?;
        } else {
            report.ok("clock", "agrees with the relay's")?;
        }
    }
    Ok(())
}
