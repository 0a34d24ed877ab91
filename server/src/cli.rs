//! The command line of `hearthd`.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, Parser};
use hearth_protocol::invite::Transport;

use crate::{
    Config, Relay, StartError,
    commands::{self, Command, Ground, SETTINGS},
    config::{ConfigError, File, parse_listen},
    telemetry::{self, LogFormat},
};

/// The Hearth relay: hosts encrypted rooms and can read nothing.
#[derive(Debug, Parser)]
#[command(name = "hearthd", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
    /// Everything that the relay keeps [default: ./hearthd]
    #[arg(
        long,
        visible_alias = "data",
        env = "HEARTHD_DATA_DIR",
        value_name = "DIR",
        global = true
    )]
    data_dir: Option<PathBuf>,
    /// Settings in TOML; an unknown one is an error [default: /etc/hearthd/hearthd.toml, if no --data-dir is given]
    #[arg(long, env = "HEARTHD_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Serve {
    /// Where members connect, as IP:PORT; port 0 picks one [default: 127.0.0.1:7443]
    #[arg(long, env = "HEARTHD_LISTEN", value_name = "IP:PORT", value_parser = parse_listen)]
    listen: Option<SocketAddr>,
    /// Where /healthz, /readyz and /metrics are, as IP:PORT; loopback only [default: 127.0.0.1, the port after --listen]
    #[arg(long, env = "HEARTHD_ADMIN_LISTEN", value_name = "IP:PORT", value_parser = parse_listen)]
    admin_listen: Option<SocketAddr>,
    /// Certificate chain in PEM, instead of the self-signed one
    #[arg(long, env = "HEARTHD_TLS_CERT", value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "HEARTHD_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Plain WebSocket, on loopback, behind a proxy that does TLS
    #[arg(long, env = "HEARTHD_PLAIN")]
    plain: bool,
    /// What links name, where it is not the address listened on
    #[arg(long, env = "HEARTHD_PUBLIC_URL", value_name = "HOST:PORT")]
    public_url: Option<String>,
    /// A web origin that may connect; may be repeated
    #[arg(long, env = "HEARTHD_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    allow_origin: Vec<String>,
    /// Believe X-Forwarded-For, from a proxy on loopback only
    #[arg(long, env = "HEARTHD_TRUST_FORWARDED")]
    trust_forwarded: bool,
    /// Connections of one address [default: 64]
    #[arg(long, env = "HEARTHD_CONNECTIONS_PER_IP", value_name = "N")]
    connections_per_ip: Option<u32>,
    /// Connections of all [default: 20000]
    #[arg(long, env = "HEARTHD_CONNECTIONS_MAX", value_name = "N")]
    connections_max: Option<usize>,
    /// Frames of one connection in a second [default: 20]
    #[arg(long, env = "HEARTHD_FRAMES_PER_SECOND", value_name = "N")]
    frames_per_second: Option<u32>,
    /// Frames of one connection at once [default: 160]
    #[arg(long, env = "HEARTHD_FRAMES_BURST", value_name = "N")]
    frames_burst: Option<u32>,
    /// Bytes that a member may add to a room in a second [default: 65536]
    #[arg(long, env = "HEARTHD_MEMBER_BYTES_PER_SECOND", value_name = "N")]
    member_bytes_per_second: Option<u64>,
    /// Bytes that a member may add to a room at once [default: 4194304]
    #[arg(long, env = "HEARTHD_MEMBER_BYTES_BURST", value_name = "N")]
    member_bytes_burst: Option<u64>,
    /// Bytes that a room may hold [default: 268435456]
    #[arg(long, env = "HEARTHD_ROOM_BYTES_MAX", value_name = "N")]
    room_bytes_max: Option<u64>,
    /// How log lines look [default: text]
    #[arg(long, env = "HEARTHD_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// Parses `45m`, `12h`, `30d`, `8w` or `2 hours` into milliseconds.
pub(crate) fn parse_duration(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no duration like 45m, 12h, 30d, 8w or \"2 hours\"");
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
        "s" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 24 * 3_600_000,
        "w" | "week" | "weeks" => 7 * 24 * 3_600_000,
        _ => return Err(wrong()),
    };
    number.checked_mul(unit).filter(|millis| *millis > 0).ok_or_else(wrong)
}

const USAGE: u8 = 2;

/// Runs the program and returns its exit code: 0, 2 for wrong usage or settings, 1 for every other error.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, errors to standard error; a closed pipe is ignored.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            let code = if error.is_usage() { USAGE } else { 1 };
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(stderr, "hearthd: {error}");
            let _ = writeln!(stderr, "try: {}", error.advice());
            ExitCode::from(code)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, StartError> {
    harden();
    let Cli { command, serve, data_dir, config } = cli;
    if let Some(command) = command.as_ref().filter(|command| command.needs_no_settings()) {
        return commands::run_bare(command, config, data_dir).map(|()| ExitCode::SUCCESS);
    }
    let installed = || {
        Some(PathBuf::from(SETTINGS)).filter(|_| data_dir.is_none()).filter(|file| file.exists())
    };
    let config = config.or_else(installed);
    let file = config.as_deref().map(File::read).transpose()?.unwrap_or_default();
    let data_dir =
        data_dir.or_else(|| file.data_dir.clone()).unwrap_or_else(|| PathBuf::from("hearthd"));
    match command {
        None => {
            telemetry::init(serve.log_format.or(file.log_format).unwrap_or_default());
            start(settings(serve, file, data_dir)?).map(|()| ExitCode::SUCCESS)
        }
        Some(command) => {
            let ground = Ground { file: config, dir: data_dir.clone() };
            commands::run(command, &ground, || settings(serve, file, data_dir))
        }
    }
}

/// Keeps secrets out of core dumps and files from other users, and allows as many sockets as the system does.
fn harden() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if setrlimit(Resource::Core, none).is_err() {
        tracing::warn!("core dumps could not be forbidden");
    }
    // A dump piped to a program ignores the limit, and other processes of this account could read the memory.
    #[cfg(target_os = "linux")]
    if rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .is_err()
    {
        tracing::warn!("the process could not be made private");
    }
    let files = getrlimit(Resource::Nofile);
    // On failure the present limit stays, which is enough for most relays.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

pub(crate) fn settings(serve: Serve, file: File, data_dir: PathBuf) -> Result<Config, StartError> {
    let mut config = Config::new(data_dir);
    if let Some(listen) = serve.listen.or(file.listen) {
        config.listen = listen;
    }
    match serve.admin_listen.or(file.admin_listen) {
        Some(admin) => config.admin_listen = admin,
        // Beside the port for members, so that two relays on one machine do not meet.
        None => config.admin_listen.set_port(admin_port(config.listen.port())),
    }
    config.tls_files = match (serve.tls_cert.or(file.tls_cert), serve.tls_key.or(file.tls_key)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(ConfigError::HalfCertificate.into()),
    };
    if serve.plain || file.plain.unwrap_or(false) {
        config.transport = Transport::Plain;
    }
    config.public_url = serve.public_url.or(file.public_url);
    config.allow_origin = if serve.allow_origin.is_empty() {
        file.allow_origin.unwrap_or_default()
    } else {
        serve.allow_origin
    };
    config.trust_forwarded = serve.trust_forwarded || file.trust_forwarded.unwrap_or(false);
    if let Some(value) = serve.connections_per_ip.or(file.connections_per_ip) {
        config.connections_per_ip = value;
    }
    if let Some(value) = serve.connections_max.or(file.connections_max) {
        config.connections_max = value;
    }
    if let Some(value) = serve.frames_per_second.or(file.frames_per_second) {
        config.frames_per_second = value;
    }
    if let Some(value) = serve.frames_burst.or(file.frames_burst) {
        config.frames_burst = value;
    }
    if let Some(value) = serve.member_bytes_per_second.or(file.member_bytes_per_second) {
        config.member_bytes_per_second = value;
    }
    if let Some(value) = serve.member_bytes_burst.or(file.member_bytes_burst) {
        config.member_bytes_burst = value;
    }
    if let Some(value) = serve.room_bytes_max.or(file.room_bytes_max) {
        config.room_bytes_max = value;
    }
    config.check()?;
    Ok(config)
}

/// Returns the port for the operator beside the one for members: the next, or any if the system picks both.
pub(crate) const fn admin_port(port: u16) -> u16 {
    match port {
        0 => 0,
        u16::MAX => u16::MAX - 1,
        port => port + 1,
    }
}

fn start(config: Config) -> Result<(), StartError> {
    let address = config.listen;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| StartError::Listen { address, source })?;
    runtime.block_on(async {
        let signals = Signals::new().map_err(|source| StartError::Listen { address, source })?;
        let relay = Relay::bind(config).await?;
        // A vanished reader of the output must not stop the relay.
        let _ = print(&relay.ready_line());
        relay.run(signals.stop()).await;
        Ok(())
    })
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Registered before anything is bound, because the default action of a signal kills.
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Prints one line.
pub(crate) fn print(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn guide_commands_are_taken() {
        let guide = include_str!("../../docs/operations.md");
        let blocks = guide.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
        let commands: Vec<&str> = blocks
            .flat_map(str::lines)
            .filter(|line| line.starts_with("hearthd "))
            .filter_map(|line| line.split(" #").next())
            .collect();
        for command in &commands {
            let parsed = Cli::try_parse_from(command.split_whitespace());
            assert!(parsed.is_ok(), "{command}: {parsed:?}");
        }
        assert!(commands.len() > 10, "{commands:?}");
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(parse_duration("45m"), Ok(2_700_000));
        assert_eq!(parse_duration("30d"), Ok(2_592_000_000));
        assert_eq!(parse_duration("2 hours"), Ok(7_200_000));
        for wrong in ["", "d", "30", "0d", "-1d", "1y", "99999999999999999w", "3é"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let cli = Cli::try_parse_from(["hearthd", "--listen", "127.0.0.1:1"]).unwrap();
        let file = File {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 2))),
            frames_burst: Some(7),
            ..File::default()
        };
        let config = settings(cli.serve, file, PathBuf::from("x")).unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.frames_burst, 7);
        let cli = Cli::try_parse_from(["hearthd", "--listen", "127.0.0.1:0"]).unwrap();
        let config = settings(cli.serve, File::default(), PathBuf::from("x")).unwrap();
        assert_eq!(config.admin_listen.port(), 0);
    }

    #[test]
    fn help_names_the_defaults() {
        use clap::CommandFactory as _;
        let base = Config::new("x");
        let command = Cli::command();
        for (flag, value) in [
            ("listen", base.listen.to_string()),
            ("connections_per_ip", base.connections_per_ip.to_string()),
            ("connections_max", base.connections_max.to_string()),
            ("frames_per_second", base.frames_per_second.to_string()),
            ("frames_burst", base.frames_burst.to_string()),
            ("member_bytes_per_second", base.member_bytes_per_second.to_string()),
            ("member_bytes_burst", base.member_bytes_burst.to_string()),
            ("room_bytes_max", base.room_bytes_max.to_string()),
        ] {
            let help = command.get_arguments().find(|arg| arg.get_id() == flag).unwrap();
            let help = help.get_help().unwrap().to_string();
            assert!(help.contains(&format!("[default: {value}]")), "{flag}: {help}");
        }
    }

    #[test]
    fn admin_port_follows_the_other() {
        let admin = |listen: &str| {
            let cli = Cli::try_parse_from(["hearthd", "--listen", listen]).unwrap();
            settings(cli.serve, File::default(), PathBuf::from("x")).unwrap().admin_listen.port()
        };
        assert_eq!(admin("0.0.0.0:7443"), 7444);
        assert_eq!(admin("0.0.0.0:8443"), 8444);
        assert_eq!(admin("0.0.0.0:65535"), 65534);
    }
}
