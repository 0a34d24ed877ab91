//! The machine: its disk, its clock, its limits.

use std::{
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use super::{
    super::figures,
    finding::{Finding, Report},
    probe,
};
use crate::{Config, words};

/// Syncs that are measured.
const SYNCS: usize = 16;
/// Time of a sync above which members wait.
const SYNC_SLOW: Duration = Duration::from_millis(100);
/// Bytes for each of them; a commit of the store writes about that much.
const SYNC_BYTES: usize = 4096;
/// Bytes without which members cannot post.
const FREE_MIN: u64 = 64 * 1024 * 1024;
/// Bytes below which the operator should act.
const FREE_LOW: u64 = 1024 * 1024 * 1024;
/// Difference of clocks that is noticed.
const SKEW: Duration = Duration::from_secs(5);
/// Open files besides connections: the store, its log, listeners, certificates.
const FILES_OWN: u64 = 64;

pub(super) fn check(report: &mut Report, dir: &Path, config: Option<&Config>) {
    disk(report, dir);
    space(report, dir);
    clock(report, dir);
    if let Some(config) = config {
        files(report, dir, config);
    }
}

fn disk(report: &mut Report, dir: &Path) {
    if let Some(name) = fleeting(dir) {
        report.add(Finding::failure(
            "disk",
            format!("the data directory is on {name}, which does not keep what is acknowledged"),
            "give the relay a directory on a disk of this machine, with --data-dir",
        ));
        return;
    }
    match syncs(dir) {
        Ok(median) if median > SYNC_SLOW => report.add(Finding::warning(
            "disk",
            format!("a sync takes {} ms, and members wait for it", median.as_millis()),
            "see what else writes to this disk: `iostat -x 5`; a solid-state disk takes 1 to 10 ms",
        )),
        Ok(median) => report.add(Finding::ok(
            "disk",
            format!(
                "a sync takes {}.{:02} ms",
                median.as_millis(),
                median.subsec_micros() / 10 % 100
            ),
        )),
        Err(error) => report.add(Finding::failure(
            "disk",
            format!(
                "nothing can be written and synced in the data directory: {}",
                words::of_io(&error)
            ),
            "`dmesg | tail` and `df -h` say what the disk lacks",
        )),
    }
}

/// Numbers of file systems in memory or on another machine (`linux/magic.h`).
#[cfg(target_os = "linux")]
const FLEETING: [(u64, &str); 4] =
    [(0x0102_1994, "tmpfs"), (0x8584_58f6, "ramfs"), (0x6969, "NFS"), (0xff53_4d42, "CIFS")];

/// Names a file system that loses or delays what was synced.
#[cfg(target_os = "linux")]
fn fleeting(dir: &Path) -> Option<&'static str> {
    let kind = rustix::fs::statfs(dir).ok()?.f_type;
    // The kernel's word is signed on some processors; the numbers have 32 bits.
    let kind = (kind as u64) & 0xffff_ffff;
    FLEETING.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn fleeting(_: &Path) -> Option<&'static str> {
    None
}

/// A file of the doctor's own, deleted at the end.
struct Scratch(std::path::PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

impl Scratch {
    fn open(dir: &Path) -> std::io::Result<(Self, fs::File)> {
        let path = dir.join(format!("doctor-{}.tmp", std::process::id()));
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        Ok((Self(path), file))
    }
}

/// Returns the median time of a sync.
fn syncs(dir: &Path) -> std::io::Result<Duration> {
    let (_scratch, mut file) = Scratch::open(dir)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[7; SYNC_BYTES])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times.get(SYNCS / 2).copied().unwrap_or_default())
}

fn space(report: &mut Report, dir: &Path) {
    let Ok(disk) = rustix::fs::statvfs(dir) else {
        report.add(Finding::warning("space", "free space cannot be read", "`df -h` shows it"));
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let said = format!("{} are free", figures::size(free));
    let advice = "free some space; `hearthd rooms` shows which rooms are large, `hearthd backup --keep` deletes old backups";
    report.add(if free < FREE_MIN {
        Finding::failure("space", format!("{said}: members cannot post"), advice)
    } else if free < FREE_LOW {
        Finding::warning("space", said, advice)
    } else if disk.f_files > 0 && disk.f_favail < 1000 {
        Finding::warning(
            "space",
            "the disk can hold few more files",
            "`df -i` shows where they are",
        )
    } else {
        Finding::ok("space", said)
    });
}

/// Programs that keep the clock right, by the files that show that they run.
const TIME_SERVICES: [(&str, &str); 5] = [
    ("/run/systemd/timesync/synchronized", "systemd-timesyncd has set it"),
    ("/run/chrony/chronyd.pid", "chronyd runs"),
    ("/run/chronyd.pid", "chronyd runs"),
    ("/run/ntpd.pid", "ntpd runs"),
    ("/run/openntpd.pid", "openntpd runs"),
];
/// Files by which a container is known; its clock is that of the host.
const CONTAINERS: [&str; 3] = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];

fn clock(report: &mut Report, dir: &Path) {
    let advice =
        "set the clock, and keep it right: `apt install systemd-timesyncd`, then `timedatectl`";
    let now = SystemTime::now();
    // The store was written before now, on any machine whose clock goes forward.
    let written = ["hearth.db", "hearth.db-wal", "acknowledged"]
        .iter()
        .filter_map(|name| fs::metadata(dir.join(name)).ok()?.modified().ok())
        .max();
    if let Some(ahead) =
        written.and_then(|at| at.duration_since(now).ok()).filter(|ahead| *ahead > SKEW)
    {
        let ahead = u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX);
        report.add(Finding::failure(
            "clock",
            format!("the store was written {} later than the clock says now", figures::span(ahead)),
            advice,
        ));
        return;
    }
    let by_disk = Scratch::open(dir).and_then(|(_scratch, file)| file.metadata()?.modified());
    let apart =
        by_disk.ok().map(|at| at.duration_since(now).unwrap_or_else(|error| error.duration()));
    if let Some(apart) = apart.filter(|apart| *apart > SKEW) {
        report.add(Finding::warning(
            "clock",
            format!("the disk's clock is {} seconds away from this machine's", apart.as_secs()),
            advice,
        ));
        return;
    }
    let exists = |path: &&str| Path::new(path).exists();
    let service = TIME_SERVICES.iter().find(|(path, _)| exists(path));
    report.add(match service {
        Some((_, said)) => Finding::ok("clock", *said),
        None if CONTAINERS.iter().any(|path| Path::new(path).exists()) => Finding::ok(
            "clock",
            "is the host's; whether the host keeps it right is not seen from here",
        ),
        None => Finding::warning(
            "clock",
            "no time service runs here, so nothing keeps the clock right",
            advice,
        ),
    });
}

fn files(report: &mut Report, dir: &Path, config: &Config) {
    let needed = config.connections_max as u64 + FILES_OWN;
    let running = probe::figure(dir, config, "open_files_max");
    let whose = if running.is_some() { "the running relay" } else { "this account" };
    // No limit is reported as none.
    let allowed =
        running.or_else(|| rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum);
    report.add(match allowed {
        Some(allowed) if allowed < needed => Finding::warning(
            "open files",
            format!("{whose} may open {allowed} files, and connections_max needs {needed}"),
            "raise LimitNOFILE in the service, or lower connections_max",
        ),
        Some(allowed) => Finding::ok("open files", format!("{whose} may open {allowed}")),
        None => Finding::ok("open files", format!("{whose} has no limit")),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_not_a_disk() {
        #[cfg(target_os = "linux")]
        if Path::new("/dev/shm").is_dir() {
            assert_eq!(fleeting(Path::new("/dev/shm")), Some("tmpfs"));
        }
        assert_eq!(fleeting(Path::new(env!("CARGO_MANIFEST_DIR"))), None);
    }

    #[test]
    fn measuring_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        syncs(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
