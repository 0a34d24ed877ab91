//! Puts a relay under load and prints what it did, beside baselines in the same run.
//!
//! `cargo run --release -p hearth-load --bin load -- fanout|saturate|growth|idle|catchup|connect`; `--help` tells the rest.
//! The server runs on one core, the generator on another. Every line is one JSON object.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a measurement fails by panicking")]
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum as _, error::ErrorKind};
use hearth_kit::load::{
    drive::{Dialect, Field, Outcome, Shape, baseline_wire},
    growth::{Factor, Plan, Reach, grow},
    idle,
    machine::{Server, Thread, Usage, pin_to, raise_descriptors},
    naive::Baseline,
    plot::{Axis, Line, Panel, Scale, short, svg},
    rooms::{self, Member, Seat, random},
};
use hearth_protocol::{ClientFrame, RoomId, Seq, ServerFrame, codec};
use serde_json::{Value, json};

/// The core of the server under test.
const SERVER_CORE: usize = 0;
/// The core of the generator.
const OWN_CORE: usize = 1;
/// Above it the generator may be what limits.
const OWN_SHARE_MAX: f64 = 0.9;
/// All servers, in the order of their turns.
const DIALECTS: [Dialect; 3] =
    [Dialect::Hearth, Dialect::Baseline(Baseline::Naive), Dialect::Baseline(Baseline::Floor)];
/// The relay's thread that writes the store.
const WRITER: &str = "store-writer";
/// How the names of its threads begin that serve sockets.
const SERVING: &str = "tokio-rt-worker";
/// What growth tells of each step, and how a drawing names it.
const GROWING: [(&str, &str); 3] = [
    ("cpu_us_per_delivery", "processor us of a delivery"),
    ("p99_ms", "99th percentile, ms"),
    ("resident_mib", "resident MiB"),
];
/// Drawings in a row: one for each of those.
const COLUMNS: usize = GROWING.len();
/// Latency up to which a rate counts as sustained, in milliseconds.
const SUSTAINED_MILLIS: f64 = 100.0;

/// Puts a relay under load, beside baselines in the same run: one keeps nothing, one has every message on disk
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Times that the servers take turns
    #[arg(long, global = true, default_value_t = 2)]
    turns: u32,
    /// Seconds of one measurement
    #[arg(long, global = true, default_value_t = 5)]
    seconds: u64,
    /// Rooms
    #[arg(long, global = true, default_value_t = Shape::default().rooms)]
    rooms: usize,
    /// Members of each room; the others receive every message, and its sender a copy that does not count
    #[arg(long, global = true, default_value_t = Shape::default().members)]
    members: usize,
    /// Bytes of a payload
    #[arg(long, global = true, default_value_t = Shape::default().bytes)]
    bytes: usize,
    /// The relay alone, without baselines
    #[arg(long, global = true)]
    alone: bool,
    /// Do not give server and generator a core each
    #[arg(long, global = true)]
    unpinned: bool,
    /// Draw latencies (fanout), the 99th percentile at each rate (saturate) or costs (growth) into this file
    #[arg(long, global = true)]
    svg: Option<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// A fixed rate: latency, processor time of a delivery
    Fanout {
        /// Messages per second over all rooms
        #[arg(long, default_value_t = 500.0)]
        rate: f64,
    },
    /// The highest rate at which the 99th percentile stays below 100 ms
    Saturate {
        /// Messages per second to begin with
        #[arg(long, default_value_t = 1000.0)]
        from: f64,
    },
    /// Memory of connections that say nothing
    Idle,
    /// Somebody who missed entries comes back
    Catchup {
        /// Entries missed
        #[arg(long, default_value_t = 1000)]
        missed: usize,
    },
    /// Connections in a second, with TLS, upgrade, proof of a key and subscription
    Connect,
    /// What a delivery costs when there is more and more of something
    Growth {
        /// Of what; everything if not given
        #[arg(long = "factor", value_enum)]
        factors: Vec<Factor>,
        /// Two steps of each only
        #[arg(long)]
        short: bool,
        /// Up to ten million stored entries
        #[arg(long, conflicts_with = "short")]
        deep: bool,
    },
    /// The baseline that keeps nothing; started by the others
    #[command(hide = true)]
    Naive,
    /// The baseline that syncs before it passes on; started by the others
    #[command(hide = true)]
    Floor,
}

impl Cli {
    fn start(&self, dialect: Dialect) -> Server {
        let core = (!self.unpinned).then_some(SERVER_CORE);
        match dialect {
            Dialect::Hearth => Server::hearthd(core),
            Dialect::Baseline(baseline) => {
                Server::baseline(&std::env::current_exe().unwrap(), baseline, core)
            }
        }
    }

    /// The servers, in turns.
    fn dialects(&self) -> Vec<Dialect> {
        let count = match self.command {
            _ if self.alone => 1,
            Command::Catchup { .. } => 1,
            _ => DIALECTS.len(),
        };
        (0..self.turns).flat_map(|_| DIALECTS[..count].iter().copied()).collect()
    }

    fn shape(&self) -> Shape {
        Shape { rooms: self.rooms, members: self.members, bytes: self.bytes }
    }
}

/// Prints results as they come, and ratios at the end.
#[derive(Default)]
struct Ledger {
    figures: Vec<(Dialect, Vec<(&'static str, f64)>)>,
    /// What a drawing shows, for each server over all of its turns.
    lines: Vec<(Dialect, Vec<Outcome>)>,
}

impl Ledger {
    fn add(&mut self, dialect: Dialect, mut object: Value, figures: Vec<(&'static str, f64)>) {
        object["server"] = dialect.name().into();
        for (what, figure) in &figures {
            object[*what] = rounded(*figure).into();
        }
        println!("{object}");
        self.figures.push((dialect, figures));
    }

    /// Keeps a run for the drawing.
    fn draw(&mut self, dialect: Dialect, outcome: &Outcome) {
        match self.lines.iter_mut().find(|(of, _)| *of == dialect) {
            Some((_, outcomes)) => outcomes.push(outcome.clone()),
            None => self.lines.push((dialect, vec![outcome.clone()])),
        }
    }

    /// One line for each server, its points made of all that was kept of it.
    fn panel(
        &self,
        title: &str,
        [x, y]: [Axis; 2],
        points: impl Fn(&[Outcome]) -> Vec<(f64, f64)>,
    ) -> Panel {
        let line = |(dialect, outcomes): &(Dialect, Vec<Outcome>)| Line {
            name: dialect.name().to_owned(),
            points: points(outcomes),
        };
        Panel { title: title.to_owned(), x, y, lines: self.lines.iter().map(line).collect() }
    }

    /// The relay's mean over each baseline's, for every figure.
    fn ratios(&self) {
        for baseline in &DIALECTS[1..] {
            self.ratio(*baseline);
        }
    }

    fn ratio(&self, baseline: Dialect) {
        let Some((_, first)) = self.figures.first() else { return };
        let mean = |dialect, at: usize| {
            let of: Vec<f64> =
                self.figures.iter().filter(|(d, _)| *d == dialect).map(|(_, f)| f[at].1).collect();
            (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
        };
        let mut object = json!({"ratio": format!("hearth / {}", baseline.name())});
        for (at, (what, _)) in first.iter().enumerate() {
            let (Some(hearth), Some(other)) = (mean(Dialect::Hearth, at), mean(baseline, at))
            else {
                return;
            };
            object[*what] = rounded(hearth / other).into();
        }
        println!("{object}");
    }
}

fn rounded(figure: f64) -> f64 {
    (figure * 1000.0).round() / 1000.0
}

fn main() {
    let cli = Cli::parse();
    match cli.command {
        Command::Naive => return Baseline::Naive.serve(),
        Command::Floor => return Baseline::Floor.serve(),
        _ => {}
    }
    let is_drawn = matches!(
        cli.command,
        Command::Fanout { .. } | Command::Saturate { .. } | Command::Growth { .. }
    );
    if cli.svg.is_some() && !is_drawn {
        let why = "only fanout, saturate and growth have something to draw";
        Cli::command().error(ErrorKind::ArgumentConflict, why).exit();
    }
    raise_descriptors();
    if !cli.unpinned {
        pin_to(OWN_CORE);
    }
    let panels = match &cli.command {
        Command::Growth { factors, short, deep } => {
            let reach = match (short, deep) {
                (true, _) => Reach::Short,
                (_, true) => Reach::Deep,
                _ => Reach::Whole,
            };
            let all = Factor::value_variants();
            let factors = if factors.is_empty() { all } else { factors };
            factors.iter().flat_map(|factor| growth(&cli, *factor, reach)).collect()
        }
        _ => compare(&cli),
    };
    if let Some(path) = &cli.svg {
        std::fs::write(path, svg(&panels, COLUMNS)).expect("the drawing can be written");
    }
}

/// Measures the servers in turns, and returns what is to be drawn.
fn compare(cli: &Cli) -> Vec<Panel> {
    let mut ledger = Ledger::default();
    for dialect in cli.dialects() {
        match cli.command {
            Command::Fanout { rate } => fanout(cli, dialect, rate, &mut ledger),
            Command::Saturate { from } => saturate(cli, dialect, from, &mut ledger),
            Command::Idle => idle(cli, dialect, &mut ledger),
            Command::Catchup { missed } => catchup(missed, cli),
            Command::Connect => connect(cli, dialect, &mut ledger),
            _ => {}
        }
    }
    ledger.ratios();
    match cli.command {
        Command::Fanout { rate } => vec![latencies(&ledger, rate)],
        Command::Saturate { .. } => vec![rates(&ledger)],
        _ => vec![],
    }
}

/// Grows one factor, and returns a drawing for each figure.
fn growth(cli: &Cli, factor: Factor, reach: Reach) -> Vec<Panel> {
    let plan = Plan {
        reach,
        time: Duration::from_secs(cli.seconds),
        turns: cli.turns,
        bytes: cli.bytes,
        core: (!cli.unpinned).then_some(SERVER_CORE),
    };
    // Means of the step and of its control.
    let mut steps: Vec<(usize, [[f64; 3]; 2])> = vec![];
    grow(factor, plan, &mut |at, grown, control| {
        let figures = [grown, control].map(|outcome| {
            let resident = outcome.server_resident as f64 / 1048576.0;
            [outcome.micros_per_delivery(), outcome.latency_millis(99.0), resident]
        });
        let mut object = describe(grown);
        object["growth"] = factor.name().into();
        object["at"] = at.into();
        object["control_is_clean"] = control.is_clean().into();
        for (index, (what, _)) in GROWING.iter().enumerate() {
            object[*what] = rounded(figures[0][index]).into();
            object[format!("control_{what}")] = rounded(figures[1][index]).into();
        }
        println!("{object}");
        if steps.last().is_none_or(|(last, _)| *last != at) {
            steps.push((at, [[0.0; 3]; 2]));
        }
        if let Some((_, means)) = steps.last_mut() {
            for (mean, figure) in means.as_flattened_mut().iter_mut().zip(figures.as_flattened()) {
                *mean += figure / f64::from(cli.turns);
            }
        }
    });
    for (at, [grown, control]) in &steps {
        let mut object = json!({"ratio": format!("{}: {at} / control", factor.name())});
        for ((what, _), (grown, control)) in GROWING.iter().zip(grown.iter().zip(control)) {
            object[*what] = rounded(grown / control).into();
        }
        println!("{object}");
    }
    let names: Vec<String> = steps.iter().map(|(at, _)| short(*at as f64)).collect();
    let line = |figure: usize, side: usize| Line {
        name: ["as many", "control: as many as at first"][side].to_owned(),
        points: steps.iter().enumerate().map(|(x, (_, y))| (x as f64, y[side][figure])).collect(),
    };
    let panel = |(figure, (_, title)): (usize, &(&str, &'static str))| Panel {
        title: format!("{title}: {}", factor.name()),
        x: Axis { name: factor.name(), scale: Scale::Places(names.clone()) },
        y: Axis { name: title, scale: Scale::Linear },
        lines: vec![line(figure, 0), line(figure, 1)],
    };
    GROWING.iter().enumerate().map(panel).collect()
}

/// Latency at each percentile, over all turns.
fn latencies(ledger: &Ledger, rate: f64) -> Panel {
    const PERCENTILES: [f64; 6] = [50.0, 75.0, 90.0, 99.0, 99.9, 100.0];
    let names = PERCENTILES.map(|percentile| percentile.to_string()).to_vec();
    let x = Axis { name: "percentile", scale: Scale::Places(names) };
    let y = Axis { name: "ms from due to delivered", scale: Scale::Decades };
    let title = format!("{rate} messages/s");
    ledger.panel(&title, [x, y], |outcomes| {
        let mut all = outcomes[0].latency.clone();
        for outcome in &outcomes[1..] {
            all.add(&outcome.latency).expect("histograms have the same bounds");
        }
        let at = |(place, percentile): (usize, &f64)| {
            (place as f64, all.value_at_percentile(*percentile) as f64 / 1e6)
        };
        PERCENTILES.iter().enumerate().map(at).collect()
    })
}

/// The 99th percentile at every rate that was tried and came through whole.
fn rates(ledger: &Ledger) -> Panel {
    let x = Axis { name: "deliveries/s", scale: Scale::Linear };
    let y = Axis { name: "99th percentile, ms", scale: Scale::Decades };
    ledger.panel("one core, every turn", [x, y], |outcomes| {
        let point =
            |outcome: &Outcome| (outcome.deliveries_per_second(), outcome.latency_millis(99.0));
        let mut points: Vec<_> = outcomes.iter().filter(|o| o.is_clean()).map(point).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    })
}

/// The figures that ratios are made of.
fn figures(outcome: &Outcome) -> Vec<(&'static str, f64)> {
    vec![
        ("deliveries_per_second", outcome.deliveries_per_second()),
        ("p50_ms", outcome.latency_millis(50.0)),
        ("p99_ms", outcome.latency_millis(99.0)),
        ("cpu_us_per_delivery", outcome.micros_per_delivery()),
        ("disk_bytes_per_message", outcome.disk_bytes_per_message().unwrap_or(f64::NAN)),
    ]
}

/// Processor time of each thread that used any, the busiest first: for a delivery, and its share of the server's.
fn threads(outcome: &Outcome) -> Value {
    let mut threads: Vec<&Thread> = outcome.threads.iter().filter(|t| t.cpu > 0.0).collect();
    threads.sort_by(|a, b| b.cpu.total_cmp(&a.cpu));
    let all: f64 = threads.iter().map(|thread| thread.cpu).sum();
    let one = |thread: &&Thread| {
        json!({
            "name": thread.name,
            "cpu_us_per_delivery": rounded(thread.cpu * 1e6 / outcome.delivered.max(1) as f64),
            "share": rounded(thread.cpu / all),
        })
    };
    threads.iter().map(one).collect()
}

/// How much faster two cores than one can be at most: the writer is one thread, and the serving threads share what is left.
fn two_cores_over_one(outcome: &Outcome) -> f64 {
    let sum = |is: fn(&str) -> bool| {
        let cpu = outcome.threads.iter().filter(|t| is(&t.name)).map(|thread| thread.cpu);
        cpu.sum::<f64>()
    };
    let (writer, serving) = (sum(|name| name == WRITER), sum(|name| name.starts_with(SERVING)));
    let both = serving + writer;
    both / writer.max(both / 2.0)
}

fn describe(outcome: &Outcome) -> Value {
    let acknowledged =
        |percentile| outcome.acknowledged.value_at_percentile(percentile) as f64 / 1e6;
    let share = outcome.own_share();
    json!({
        "rate": rounded(outcome.rate),
        "sent": outcome.sent,
        "delivered": outcome.delivered,
        "lost": outcome.lost,
        "faults": outcome.faults,
        "refused": outcome.refused,
        "p999_ms": rounded(outcome.latency_millis(99.9)),
        "max_ms": rounded(outcome.latency.max() as f64 / 1e6),
        "ack_p50_ms": rounded(acknowledged(50.0)),
        "ack_p99_ms": rounded(acknowledged(99.0)),
        "resident_mib": rounded(outcome.server_resident as f64 / 1048576.0),
        "server_share": rounded(outcome.server_cpu / outcome.elapsed.as_secs_f64()),
        "generator_share": rounded(share),
        "generator_limits": share > OWN_SHARE_MAX,
    })
}

fn fanout(cli: &Cli, dialect: Dialect, rate: f64, ledger: &mut Ledger) {
    let server = cli.start(dialect);
    let mut field = Field::open(&server, dialect, cli.shape());
    field.run(&server, rate, Duration::from_secs(1));
    let outcome = field.run(&server, rate, Duration::from_secs(cli.seconds));
    ledger.draw(dialect, &outcome);
    let mut object = describe(&outcome);
    object["threads"] = threads(&outcome);
    if dialect == Dialect::Hearth {
        object["two_cores_over_one"] = rounded(two_cores_over_one(&outcome)).into();
    }
    ledger.add(dialect, object, figures(&outcome));
}

fn is_sustained(outcome: &Outcome) -> bool {
    outcome.is_clean() && outcome.latency_millis(99.0) <= SUSTAINED_MILLIS
}

/// Doubles the rate until it is too much, then halves the gap a few times. Too much is what was missed twice: one stall
/// of the disk says nothing about a rate.
fn saturate(cli: &Cli, dialect: Dialect, from: f64, ledger: &mut Ledger) {
    const DOUBLINGS: usize = 12;
    const HALVINGS: usize = 4;
    let server = cli.start(dialect);
    let time = Duration::from_secs(cli.seconds);
    let (mut good, mut bad) = (None::<Outcome>, None::<f64>);
    let mut field = Field::open(&server, dialect, cli.shape());
    let mut rate = from;
    for _ in 0..DOUBLINGS + HALVINGS {
        let mut outcome = field.run(&server, rate, time);
        if !is_sustained(&outcome) {
            // What is left over of too much must not count against the next.
            field = Field::open(&server, dialect, cli.shape());
            outcome = field.run(&server, rate, time);
        }
        ledger.draw(dialect, &outcome);
        if is_sustained(&outcome) {
            good = Some(outcome);
        } else {
            bad = Some(rate);
            field = Field::open(&server, dialect, cli.shape());
        }
        rate = match (&good, bad) {
            (Some(good), Some(bad)) => f64::midpoint(good.rate, bad),
            (Some(good), None) => good.rate * 2.0,
            (None, Some(bad)) => bad / 2.0,
            (None, None) => break,
        };
        if let (Some(good), Some(bad)) = (&good, bad)
            && bad / good.rate < 1.08
        {
            break;
        }
    }
    let outcome = good.expect("some rate is sustained");
    ledger.add(dialect, describe(&outcome), figures(&outcome));
}

fn idle(cli: &Cli, dialect: Dialect, ledger: &mut Ledger) {
    let core = (!cli.unpinned).then_some(SERVER_CORE);
    let idle = idle::measure(cli.start(dialect), dialect, cli.shape(), core).unwrap();
    let object = json!({
        "connections": idle.connections,
        "before_mib": rounded(idle.before as f64 / 1048576.0),
    });
    ledger.add(dialect, object, vec![("bytes_per_connection", idle.bytes_each)]);
}

fn catchup(missed: usize, cli: &Cli) {
    const TIMES: usize = 40;
    let server = cli.start(Dialect::Hearth);
    let mut room = rooms::open(&server.target, &server.grant(), cli.members).unwrap();
    let (head, epoch, id) = (room.head, room.epoch, room.id);
    let member = room.seats[1].member.clone();
    let mut last = head;
    for _ in 0..missed {
        let payload = rooms::payload(&id, epoch, 1, &[], cli.bytes);
        last = room.seats[0].append(payload, vec![]).unwrap();
    }
    let mut times = vec![];
    let mut used = 0.0;
    for _ in 0..TIMES {
        let mut seat = Seat::enter(&server.target, member.clone()).unwrap();
        let before = server.usage();
        let started = Instant::now();
        let got = follow(&mut seat, id, head, last);
        times.push(started.elapsed());
        assert_eq!(got, missed);
        used += server.usage().cpu - before.cpu;
    }
    times.sort_unstable();
    let millis = |time: Duration| rounded(time.as_secs_f64() * 1e3);
    let each = used * 1e6 / (TIMES * missed) as f64;
    println!(
        "{}",
        json!({
            "server": "hearth",
            "missed": missed,
            "p50_ms": millis(times[TIMES / 2]),
            "max_ms": millis(times[TIMES - 1]),
            "cpu_us_per_entry": rounded(each),
        })
    );
}

/// Subscribes and takes entries up to a position, in order; returns how many.
fn follow(seat: &mut Seat, room: RoomId, after: Seq, last: Seq) -> usize {
    let req = seat.next_request();
    seat.wire.queue(&codec::encode_client(&ClientFrame::Subscribe { req, room, after }));
    seat.wire.flush().unwrap();
    let (mut count, mut seq) = (0, after);
    while seq < last {
        let frame = codec::decode_server(&seat.wire.next().unwrap()).unwrap();
        if let ServerFrame::Entries { entries, .. } = frame {
            for entry in entries {
                assert_eq!(entry.seq.0, seq.0 + 1);
                seq = entry.seq;
                count += 1;
            }
        }
    }
    count
}

/// Seconds of processor time of this process, threads that ended included.
fn own_cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Members come and go, several at once, for some time.
fn connect(cli: &Cli, dialect: Dialect, ledger: &mut Ledger) {
    const AT_ONCE: usize = 8;
    let server = cli.start(dialect);
    let (members, head): (Vec<Member>, Seq) = match dialect {
        Dialect::Hearth => {
            let room = rooms::open(&server.target, &server.grant(), AT_ONCE).unwrap();
            (room.seats.into_iter().map(|seat| seat.member).collect(), room.head)
        }
        Dialect::Baseline(_) => {
            ((0..AT_ONCE).map(|_| Member::new(RoomId(random()))).collect(), Seq(0))
        }
    };
    let (count, stop) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
    let own = own_cpu();
    let before: Usage = server.usage();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for member in &members {
            let (server, count, stop) = (&server, &count, stop.clone());
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    match dialect {
                        Dialect::Hearth => {
                            let mut seat = Seat::enter(&server.target, member.clone()).unwrap();
                            seat.subscribe(head).unwrap();
                        }
                        Dialect::Baseline(_) => drop(baseline_wire(server, &member.room).unwrap()),
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::park_timeout(Duration::from_secs(cli.seconds));
        stop.store(true, Ordering::Relaxed);
    });
    let elapsed = started.elapsed().as_secs_f64();
    let (after, count) = (server.usage(), count.into_inner() as f64);
    let own_share = (own_cpu() - own) / elapsed;
    let object = json!({
        "generator_share": rounded(own_share),
        "generator_limits": own_share > OWN_SHARE_MAX,
        "server_share": rounded((after.cpu - before.cpu) / elapsed),
    });
    let figures = vec![
        ("connects_per_second", count / elapsed),
        ("cpu_us_per_connect", (after.cpu - before.cpu) * 1e6 / count),
    ];
    ledger.add(dialect, object, figures);
}
