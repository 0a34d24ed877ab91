//! Measures one thing at a time: what a member waits for, and what a relay costs.
//!
//! `cargo bench -p hearth-load --bench work [-- --json] [-- WORD...]`; a word runs the parts that hold it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement fails by panicking")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

mod group;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use ed25519_dalek::SigningKey;
use hearth_engine::{
    Crypto, Room,
    act::InviteTerms,
    clock::Moment,
    join::{Founding, Joining, open_preview},
    mls::Suite,
    profile::Profile,
};
use hearth_kit::{
    Circle, Person, Relay,
    load::{
        machine::{Server, raise_descriptors},
        rooms::{self, PAYLOAD_BYTES},
    },
};
use hearth_protocol::{
    Effect, Entry, EntryContent, MemberKey, Millis, RelayId, Role, RoomNumbers, Secret32, Seq,
    frame::PendingKnock,
    handshake,
    invite::{Grant, Invite, RelayAddress, Transport, invite_id},
};
use hearth_server::testing::measure;
use hearth_session::{
    live::{self, Answer, Live},
    network::Network,
};
use serde_json::json;
use tempfile::TempDir;

/// Members of the room that is measured.
const MEMBERS: usize = 10;
/// Entries that somebody missed.
const MISSED: usize = 1_000;
/// Connections that sit idle.
const IDLE: usize = 2_000;
/// A time within the validity of everything.
const NOW: Millis = Millis(1_800_000_000_000);

/// Prints results and remembers whether one misses its target.
struct Report {
    json: bool,
    words: Vec<String>,
}

impl Report {
    fn wants(&self, part: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| part.contains(word.as_str()))
    }

    /// Prints a value and its target; `most` tells on which side of it the value should be.
    fn say(&self, what: &str, value: f64, unit: &str, target: f64, most: bool) {
        let met = if most { value <= target } else { value >= target };
        if self.json {
            let object =
                json!({"what": what, "value": value, "unit": unit, "target": target, "met": met});
            println!("{object}");
        } else {
            let sign = if most { "<=" } else { ">=" };
            let verdict = if met { "met" } else { "MISSED" };
            println!("{what:<58} {value:>12.3} {unit:<8} {sign} {target:<8} {verdict}");
        }
    }

    fn note(&self, what: &str, value: f64, unit: &str) {
        if self.json {
            println!("{}", json!({"what": what, "value": value, "unit": unit}));
        } else {
            println!("{what:<58} {value:>12.3} {unit}");
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Sorts, and returns the value below which a share of all lies.
fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * share / 100).min(times.len() - 1)]
}

fn median(times: &mut [Duration]) -> f64 {
    millis(percentile(times, 50))
}

fn main() {
    let (flags, words): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let report = Report { json: flags.iter().any(|flag| flag == "--json"), words };
    raise_descriptors();
    for (suite, name) in [(Suite::XWing, "x-wing"), (Suite::X25519, "x25519")] {
        if report.wants("engine") {
            engine(&report, suite, name);
        }
    }
    for (suite, name) in [(Suite::XWing, "x-wing"), (Suite::X25519, "x25519")] {
        if report.wants("sizes") {
            sizes(&report, suite, name);
        }
    }
    if report.wants("join") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (suite, name) in [(Suite::XWing, "x-wing"), (Suite::X25519, "x25519")] {
            runtime.block_on(join(&report, suite, name));
        }
    }
    if report.wants("group") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (suite, name) in [(Suite::XWing, "x-wing"), (Suite::X25519, "x25519")] {
            runtime.block_on(group::commands(&report, suite, name));
            runtime.block_on(group::lanes(&report, suite, name));
        }
    }
    if report.wants("process") {
        process(&report);
    }
    if report.wants("append") {
        append(&report);
    }
    if report.wants("idle") {
        idle(&report);
    }
}

/// A profile on disk whose store lives as long as the program.
struct Own {
    dir: TempDir,
    profile: Profile,
    crypto: Crypto,
}

impl Own {
    /// Bytes of the store, its write-ahead log moved and left out.
    fn bytes(&self) -> u64 {
        self.profile.store().checkpoint().unwrap();
        let files = std::fs::read_dir(self.dir.path().join("home")).unwrap();
        let sizes = files.map(|file| {
            let file = file.unwrap();
            let counts = file.path().extension().is_some_and(|kind| kind == "db");
            if counts { file.metadata().unwrap().len() } else { 0 }
        });
        sizes.sum()
    }
}

fn profile() -> &'static Own {
    let dir = TempDir::new().unwrap();
    let profile = Profile::create(&dir.path().join("home"), None).ok().unwrap();
    Box::leak(Box::new(Own { dir, profile, crypto: Crypto::default() }))
}

fn founding(suite: Suite) -> Founding {
    Founding {
        title: "Tuesday evening".into(),
        agreement: "What is said here stays here.".into(),
        language: "en".into(),
        name: "Fay".into(),
        local_name: "room".into(),
        suite,
        numbers: RoomNumbers::default(),
        lanes: false,
    }
}

fn joining(name: &str) -> Joining {
    Joining { name: name.into(), local_name: "room".into(), answers: Vec::new() }
}

/// A log without a relay: what is submitted is an entry at once.
#[derive(Default)]
struct Log(Vec<Entry>);

impl Log {
    fn append(&mut self, payload: Vec<u8>) -> Seq {
        let seq = Seq(self.0.len() as u64 + 1);
        self.0.push(Entry { seq, at: NOW, content: EntryContent::Payload(payload) });
        seq
    }

    fn show(&self, room: &mut Room<'_>) {
        let after = usize::try_from(room.cursor().seq.0).unwrap();
        room.handle_entries(&self.0[after..], Moment::agreed(NOW)).unwrap();
    }

    fn flush(&mut self, room: &mut Room<'_>) -> Vec<Effect> {
        let mut effects = vec![];
        while let Some(submission) = room.next_submission().unwrap() {
            effects.extend(submission.effects);
            self.append(submission.payload);
            self.show(room);
        }
        effects
    }

    /// Lets somebody in.
    fn admit(&mut self, fay: &mut Room<'_>, name: &str) -> Admitted {
        let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
        let (link, _) = fay.invite(terms, NOW).unwrap();
        let preview = self.flush(fay).into_iter().find_map(|effect| match effect {
            Effect::AddInvite { preview, .. } => Some(preview),
            _ => None,
        });
        let preview = open_preview(&link, &preview.unwrap()).unwrap();
        let own = profile();
        let (mut room, request) =
            Room::knock(own.profile.store(), &own.crypto, &link, &preview, joining(name), NOW)
                .unwrap();
        let knock = fay
            .open_knock(&PendingKnock {
                member: room.me(),
                invite: invite_id(&link.token()),
                at: NOW,
                acknowledgement: request.acknowledgement,
                body: request.body,
            })
            .unwrap();
        let started = Instant::now();
        let submission = fay.admit(&knock, NOW).unwrap();
        let commit_bytes = submission.payload.len();
        let seq = self.append(submission.payload);
        self.show(fay);
        let admitting = started.elapsed();
        let welcome = submission.blob.unwrap().1;
        let started = Instant::now();
        room.welcomed(&welcome, seq, NOW).unwrap();
        let welcomed = started.elapsed();
        Admitted {
            room,
            home: own,
            admitting,
            welcomed,
            commit_bytes,
            welcome_bytes: welcome.len(),
        }
    }
}

struct Admitted {
    room: Room<'static>,
    home: &'static Own,
    /// What the facilitator computed, from the knock to their own new epoch.
    admitting: Duration,
    /// What the newcomer computed with the Welcome.
    welcomed: Duration,
    /// The entry that everybody takes.
    commit_bytes: usize,
    welcome_bytes: usize,
}

fn found(suite: Suite) -> Room<'static> {
    let own = profile();
    let address = RelayAddress {
        authority: "127.0.0.1:1".into(),
        transport: Transport::Plain,
        relay: RelayId([1; 32]),
        pin: None,
    };
    let grant = Grant { address, secret: Secret32::new([2; 32]) };
    let (store, crypto) = (own.profile.store(), &own.crypto);
    let mut room = Room::found(store, crypto, &grant, founding(suite), NOW).unwrap();
    room.opened().unwrap();
    room
}

/// What a member pays for the size of the room, and what a message leaves in the profile.
///
/// Everybody but the founder and the newest member sleeps: nobody's cost depends on what others computed.
fn sizes(report: &Report, suite: Suite, name: &str) {
    const SAID: usize = 200;
    let mut fay = found(suite);
    let mut log = Log::default();
    let mut inside = 1;
    for (size, target) in [(10, 50.0), (100, 200.0), (1_000, f64::INFINITY)] {
        if size > suite.members_max() {
            return;
        }
        let mut newest = None;
        while inside < size {
            inside += 1;
            newest = Some(log.admit(&mut fay, &format!("Member {inside}")));
        }
        let Admitted { mut room, home, admitting, welcomed, commit_bytes, welcome_bytes } =
            newest.unwrap();
        let part = |what: &str| format!("size {size}, {name}: {what}");
        let both = millis(admitting) + millis(welcomed);
        report.say(&part("admit and take the Welcome"), both, "ms", target, true);
        report.note(&part("the Welcome's part"), millis(welcomed), "ms");
        report.note(&part("the commit"), commit_bytes as f64 / 1024.0, "KiB");
        report.note(&part("the Welcome"), welcome_bytes as f64 / 1024.0, "KiB");
        log.show(&mut room);
        let before = home.bytes();
        let (mut sending, mut receiving) = (vec![], vec![]);
        for number in 0..SAID {
            let started = Instant::now();
            fay.queue_text(format!("{number} {}", "x".repeat(150)), NOW).unwrap();
            let submission = fay.next_submission().unwrap().unwrap();
            sending.push(started.elapsed());
            log.append(submission.payload);
            log.show(&mut fay);
            let started = Instant::now();
            log.show(&mut room);
            receiving.push(started.elapsed());
        }
        report.say(&part("encrypt and durable send, p50"), median(&mut sending), "ms", 1.0, true);
        report.note(&part("receive one alone, p50"), median(&mut receiving), "ms");
        let grown = (home.bytes() - before) as f64 / SAID as f64;
        report.note(&part("the profile grows by a message"), grown, "bytes");
    }
}

/// The engine without sockets, its store on disk.
fn engine(report: &Report, suite: Suite, name: &str) {
    const SENT: usize = 200;
    let mut fay = found(suite);
    let mut log = Log::default();
    let mut members = vec![];
    let mut welcomed = Duration::ZERO;
    for number in 1..MEMBERS {
        let admitted = log.admit(&mut fay, &format!("Member {number}"));
        welcomed = admitted.welcomed;
        let mut member = admitted.room;
        log.show(&mut member);
        members.push(member);
    }
    for member in &mut members {
        log.show(member);
    }
    report.say(&format!("engine {name}: take a Welcome of 10"), millis(welcomed), "ms", 50.0, true);

    let mut times = vec![];
    let text = "x".repeat(150);
    let mut bytes = 0;
    for number in 0..SENT {
        let text = format!("{number} {text}");
        let started = Instant::now();
        fay.queue_text(text, NOW).unwrap();
        let submission = fay.next_submission().unwrap().unwrap();
        times.push(started.elapsed());
        bytes = submission.payload.len();
        log.append(submission.payload);
        log.show(&mut fay);
    }
    let what = format!("engine {name}: encrypt and durable send, p50");
    report.say(&what, median(&mut times), "ms", 1.0, true);
    report.note(&format!("engine {name}: the same, p99"), millis(percentile(&mut times, 99)), "ms");
    report.note(&format!("engine {name}: payload of 154 characters"), bytes as f64, "bytes");

    for member in &mut members {
        log.show(member);
    }
    for number in 0..MISSED {
        fay.queue_text(format!("{number} {text}"), NOW).unwrap();
        log.flush(&mut fay);
    }
    let before = usize::try_from(members[0].cursor().seq.0).unwrap();
    assert_eq!(log.0.len() - before, MISSED);
    let started = Instant::now();
    members[0].handle_entries(&log.0[before..], Moment::agreed(NOW)).unwrap();
    let each = millis(started.elapsed()) / MISSED as f64;
    let what = format!("engine {name}: decrypt and store, each of 1,000 at once");
    report.say(&what, each, "ms", 0.5, true);
    let started = Instant::now();
    for entries in log.0[before..].chunks(1) {
        members[1].handle_entries(entries, Moment::agreed(NOW)).unwrap();
    }
    let each = millis(started.elapsed()) / MISSED as f64;
    report.note(&format!("engine {name}: the same, each in a transaction of its own"), each, "ms");
}

/// The way in, on loopback, from the invite to the first look at the room.
async fn join(report: &Report, suite: Suite, name: &str) {
    let server = Server::hearthd(None);
    let grant = Grant::parse(&server.grant_link()).unwrap();
    let own = profile();
    let room = live::open_room(
        &Network::machine(),
        own.profile.store(),
        &own.crypto,
        &grant,
        founding(suite),
    )
    .await
    .unwrap();
    let mut fay = Live::enter(&Network::machine(), room).await.unwrap();
    let mut times = vec![];
    // Everybody stays connected, as in a room where people are.
    let mut present = vec![];
    for number in 1..MEMBERS + 8 {
        let terms =
            InviteTerms { uses: 1, expires: live::now().plus(1_000_000), role: Role::Member };
        let (link, _) = fay.room.invite(terms, live::now()).unwrap();
        fay.flush().await.unwrap();
        let own = profile();
        let started = Instant::now();
        let newcomer = enter(own, &link, format!("Member {number}"));
        let (entered, ()) = tokio::join!(Box::pin(newcomer), Box::pin(admit_one(&mut fay)));
        present.push(entered);
        if number + 1 >= MEMBERS {
            times.push(started.elapsed());
        }
    }
    let what = format!("join {name}: link to inside, a room of 10 to 17, p50");
    report.say(&what, median(&mut times), "ms", 50.0, true);
}

async fn enter(own: &'static Own, link: &Invite, name: String) -> Live<'static> {
    let (store, crypto) = (own.profile.store(), &own.crypto);
    let (connection, preview) = live::look(&Network::machine(), link).await.unwrap();
    let (mut room, mut connection) =
        live::knock(store, crypto, connection, link, &preview, joining(&name)).await.unwrap();
    let answer = live::await_answer(&mut connection, &mut room).await.unwrap();
    assert_eq!(answer, Answer::Admitted);
    connection.close().await;
    Live::enter(&Network::machine(), room).await.unwrap()
}

async fn admit_one(fay: &mut Live<'_>) {
    loop {
        if let Some((_, knock)) = fay.knocks().await.unwrap().into_iter().next() {
            let knock = knock.unwrap();
            fay.commit(|room, now| room.admit(&knock, now)).await.unwrap();
            return;
        }
        fay.next().await.unwrap();
    }
}

/// Whole processes, from start to exit.
fn process(report: &Report) {
    const RUNS: usize = 40;
    let time = |mut command: Command| {
        command.stdout(std::process::Stdio::null());
        let started = Instant::now();
        assert!(command.status().unwrap().success());
        started.elapsed()
    };
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let mut command = Person::bare();
            command.arg("--help");
            time(command)
        })
        .collect();
    report.say("process: hearth --help, p50", median(&mut times), "ms", 10.0, true);
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    for number in 0..20 {
        circle.say(&circle.fay, &format!("Word {number}"));
    }
    circle.news(&ben);
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            let mut command = Person::bare();
            command.arg("--home").arg(ben.home()).args(["read", &circle.room]);
            time(command)
        })
        .collect();
    report.say("process: hearth read, nothing new, p50", median(&mut times), "ms", 60.0, true);
}

/// The relay's promise: on disk, then acknowledged.
fn append(report: &Report) {
    let server = Server::hearthd(None);
    let mut room = rooms::open(&server.target, &server.grant(), 2).unwrap();
    let mut times = vec![];
    for _ in 0..2_000 {
        let payload = rooms::payload(&room.id, room.epoch, 1, &[], PAYLOAD_BYTES);
        let started = Instant::now();
        room.seats[1].append(payload, vec![]).unwrap();
        times.push(started.elapsed());
    }
    let p50 = median(&mut times);
    report.say("append: one at a time over wss, acknowledged, p50", p50, "ms", 0.5, true);
    report.note("append: the same, p99", millis(percentile(&mut times, 99)), "ms");
    drop(server);
    let dir = TempDir::new().unwrap();
    report.note("append: write and fdatasync of 4 KiB, p50", sync_cost(dir.path()), "ms");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (waiting, entries) in [(1, 3_000), (128, 100_000), (256, 200_000), (1024, 200_000)] {
        let dir = TempDir::new().unwrap();
        let key = SigningKey::from_bytes(&[9; 32]);
        let member = MemberKey(key.verifying_key().to_bytes());
        let load = measure::Load { entries, waiting, payload_bytes: PAYLOAD_BYTES };
        let run = measure::appends(dir.path(), load, member, |t| handshake::sign(&key, t));
        let before = cpu();
        let appends = runtime.block_on(run).unwrap();
        let used = cpu() - before;
        assert_eq!(appends.entries, entries);
        let rate = entries as f64 / appends.elapsed.as_secs_f64();
        let what = format!("append: store, {waiting} waiting, entries");
        if waiting == 256 {
            report.say(&what, rate, "/s", 40_000.0, false);
        } else {
            report.note(&what, rate, "/s");
        }
        let batch = entries as f64 / appends.commits as f64;
        report.note("append:   entries of one transaction, mean", batch, "");
        report.note("append:   processor time of one entry", used * 1e6 / entries as f64, "us");
    }
}

fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What the disk takes for the least that a promise needs.
fn sync_cost(dir: &Path) -> f64 {
    use std::os::unix::fs::FileExt as _;
    let file = std::fs::File::create(dir.join("sync")).unwrap();
    file.write_all_at(&vec![1; 4 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let mut times: Vec<_> = (0..500_u64)
        .map(|turn| {
            let started = Instant::now();
            file.write_all_at(&[2; 4096], (turn % 1000) * 4096).unwrap();
            file.sync_data().unwrap();
            started.elapsed()
        })
        .collect();
    median(&mut times)
}

/// Memory of members who are there and silent.
fn idle(report: &Report) {
    const WARM: usize = 100;
    let server = Server::hearthd(None);
    let grant = server.grant();
    let mut open = vec![];
    while open.len() * MEMBERS < IDLE + WARM {
        open.push(rooms::open(&server.target, &grant, MEMBERS).unwrap());
    }
    let (server, before, seats) = rooms::come_back(server, None, open, WARM).unwrap();
    let count = seats.len() - WARM;
    let each = (server.usage().resident - before.resident) as f64 / count as f64;
    report.say("idle: resident memory of a connection", each / 1024.0, "KiB", 16.0, true);
    report.note("idle: connections", count as f64, "");
    report.note("idle: the relay before", before.resident as f64 / 1048576.0, "MiB");
}
