//! The operator's settings, from flags, the environment or a file; flags override the environment, which overrides
//! the file.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use hearth_protocol::{Millis, invite::Transport, limits::ADDRESS_BYTES_MAX};
use serde::{Deserialize, Deserializer, de};

use hearth_rules::quota::Limits;

/// The relay's source of time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
        }))
    }

    /// A clock that a test sets.
    pub fn from_fn(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the time.
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// A relay's settings, complete and checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of all the relay's data.
    pub data_dir: PathBuf,
    /// Address for members.
    pub listen: SocketAddr,
    /// Address for the operator; loopback only.
    pub admin_listen: SocketAddr,
    /// TLS, or plain on loopback.
    pub transport: Transport,
    /// The operator's own certificate chain and key, if any.
    pub tls_files: Option<(PathBuf, PathBuf)>,
    /// `host:port` in links; by default the bound address.
    pub public_url: Option<String>,
    /// Web origins that may connect. Our own programs send none and need no entry.
    pub allow_origin: Vec<String>,
    /// Whether to believe the `X-Forwarded-For` of a proxy on loopback. Otherwise the header is ignored, and all members behind a
    /// proxy count as one address.
    pub trust_forwarded: bool,
    /// Connections of one address (of one /64 in IPv6).
    pub connections_per_ip: u32,
    /// Maximum connections in total.
    pub connections_max: usize,
    /// Long-term rate of frames of one connection.
    pub frames_per_second: u32,
    /// Frames that one connection may send at once.
    pub frames_burst: u32,
    /// Long-term rate of bytes that a member may add to a room.
    pub member_bytes_per_second: u64,
    /// Bytes that a member may add to a room at once.
    pub member_bytes_burst: u64,
    /// Bytes that a room may hold.
    pub room_bytes_max: u64,
    /// The relay's clock.
    pub clock: Clock,
}

impl Config {
    /// Returns the defaults for a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 7443)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 7444)),
            transport: Transport::Tls,
            tls_files: None,
            public_url: None,
            allow_origin: Vec::new(),
            trust_forwarded: false,
            connections_per_ip: 64,
            connections_max: 20_000,
            frames_per_second: 20,
            frames_burst: 160,
            member_bytes_per_second: 64 * 1024,
            member_bytes_burst: 4 * 1024 * 1024,
            room_bytes_max: 256 * 1024 * 1024,
            clock: Clock::system(),
        }
    }

    /// Returns the limits that the store enforces.
    pub(crate) const fn limits(&self) -> Limits {
        Limits {
            member_bytes_per_second: self.member_bytes_per_second,
            member_bytes_burst: self.member_bytes_burst,
            room_bytes_max: self.room_bytes_max,
        }
    }

    /// Checks the settings together.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.transport == Transport::Plain && !self.listen.ip().is_loopback() {
            return Err(ConfigError::PlainBeyondLoopback(self.listen));
        }
        if !self.admin_listen.ip().is_loopback() {
            return Err(ConfigError::AdminBeyondLoopback(self.admin_listen));
        }
        if self.transport == Transport::Plain && self.tls_files.is_some() {
            return Err(ConfigError::PlainWithCertificate);
        }
        for (name, value) in [
            ("connections_per_ip", u64::from(self.connections_per_ip)),
            ("connections_max", self.connections_max as u64),
            ("frames_per_second", u64::from(self.frames_per_second)),
            ("frames_burst", u64::from(self.frames_burst)),
            ("member_bytes_per_second", self.member_bytes_per_second),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero(name));
            }
        }
        for (name, value, least) in [
            ("member_bytes_burst", self.member_bytes_burst, MEMBER_BURST_MIN),
            ("room_bytes_max", self.room_bytes_max, ROOM_BYTES_MIN),
        ] {
            if value < least {
                return Err(ConfigError::TooLittle { name, value, least });
            }
        }
        if let Some(url) = &self.public_url {
            check_authority(url)?;
        }
        Ok(())
    }
}

/// Minimum of [`Config::member_bytes_burst`], so that the largest commit fits.
const MEMBER_BURST_MIN: u64 = 256 * 1024;
/// Minimum of [`Config::room_bytes_max`], so that its last tenth holds a Welcome and its commit.
const ROOM_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// Checks that a text is `host:port`.
pub(crate) fn check_authority(text: &str) -> Result<(), ConfigError> {
    let is_host = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
    };
    let ok = text.len() <= ADDRESS_BYTES_MAX
        && text.rsplit_once(':').is_some_and(|(host, port)| {
            is_host(host) && port.parse::<u16>().is_ok_and(|port| port != 0)
        });
    if ok { Ok(()) } else { Err(ConfigError::Authority(text.to_owned())) }
}

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {}", crate::words::of_io(.source))]
    Read {
        /// The file.
        path: PathBuf,
        /// The error.
        source: std::io::Error,
    },
    /// The file contains something that is not a setting.
    #[error("{path}, line {line}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// Members' traffic would cross a network in the clear.
    #[error("plain WebSocket is for loopback only, not for {0}")]
    PlainBeyondLoopback(SocketAddr),
    /// Other machines could read the metrics.
    #[error("the admin listener is for loopback only, not for {0}")]
    AdminBeyondLoopback(SocketAddr),
    /// A certificate is given that would not be used.
    #[error("plain WebSocket and a TLS certificate exclude each other")]
    PlainWithCertificate,
    /// Only one of certificate and key is given.
    #[error("a TLS certificate and its key go together")]
    HalfCertificate,
    /// A limit of zero would exclude every member.
    #[error("{0} must be more than zero")]
    Zero(&'static str),
    /// A room cannot work below this limit.
    #[error("{name} is {value}, and must be {least} at least")]
    TooLittle {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u64,
        /// Its minimum.
        least: u64,
    },
    /// The text is not `host:port`.
    #[error("{0:?} is no host:port")]
    Authority(String),
}

/// The configuration file. Every key is optional; an unknown one is an error, so that a typo does not go unnoticed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// See [`Config::data_dir`].
    pub data_dir: Option<PathBuf>,
    /// See [`Config::listen`].
    #[serde(default, deserialize_with = "listen_address")]
    pub listen: Option<SocketAddr>,
    /// See [`Config::admin_listen`].
    #[serde(default, deserialize_with = "listen_address")]
    pub admin_listen: Option<SocketAddr>,
    /// See [`Config::tls_files`].
    pub tls_cert: Option<PathBuf>,
    /// See [`Config::tls_files`].
    pub tls_key: Option<PathBuf>,
    /// See [`Config::transport`].
    pub plain: Option<bool>,
    /// See [`Config::public_url`].
    pub public_url: Option<String>,
    /// See [`Config::allow_origin`].
    pub allow_origin: Option<Vec<String>>,
    /// See [`Config::trust_forwarded`].
    pub trust_forwarded: Option<bool>,
    /// See [`Config::connections_per_ip`].
    pub connections_per_ip: Option<u32>,
    /// See [`Config::connections_max`].
    pub connections_max: Option<usize>,
    /// See [`Config::frames_per_second`].
    pub frames_per_second: Option<u32>,
    /// See [`Config::frames_burst`].
    pub frames_burst: Option<u32>,
    /// See [`Config::member_bytes_per_second`].
    pub member_bytes_per_second: Option<u64>,
    /// See [`Config::member_bytes_burst`].
    pub member_bytes_burst: Option<u64>,
    /// See [`Config::room_bytes_max`].
    pub room_bytes_max: Option<u64>,
    /// `text` or `json`.
    pub log_format: Option<crate::telemetry::LogFormat>,
}

/// Parses an address to listen on. A name is refused, because it may stand for several addresses, or for another machine.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| {
        format!(
            "{text:?} is not an IP address with a port: 127.0.0.1:7443 is for this computer alone, 0.0.0.0:7443 for every network, [::]:7443 for IPv6"
        )
    })
}

fn listen_address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    parse_listen(&String::deserialize(from)?).map(Some).map_err(de::Error::custom)
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError::Read`] or [`ConfigError::Parse`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; the path is for the error.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            let message = error.message().replace('\n', " ");
            ConfigError::Parse { path: path.to_owned(), line, message }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<File, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hearthd.toml");
        std::fs::write(&path, text).unwrap();
        File::read(&path)
    }

    /// Unknown, duplicate and mistyped keys.
    #[test]
    fn bad_keys_are_refused_by_line() {
        let cases = [
            ("listen = \"127.0.0.1:1\"\nlisten_port = 2\n", 2),
            ("plain = true\n\nplain = false\n", 3),
            ("connections_per_ip = -1\n", 1),
            ("\nlisten = \"nowhere\"\n", 2),
            ("frames_burst = \"10s\"\n", 1),
        ];
        for (text, expected) in cases {
            match parse(text) {
                Err(ConfigError::Parse { line, .. }) => assert_eq!(line, expected, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        parse("listen = \"127.0.0.1:1\"").unwrap();
    }

    #[test]
    fn listen_name_is_told_the_form() {
        for text in ["localhost:7443", "localhost", "127.0.0.1", "7443", ":7443", "::1:7443", ""] {
            let error = parse_listen(text).unwrap_err();
            assert!(error.contains(text) && error.contains("127.0.0.1:7443"), "{error}");
            match parse(&format!("admin_listen = {text:?}\n")) {
                Err(ConfigError::Parse { message, line: 1, .. }) => {
                    assert!(message.contains("127.0.0.1:7443"), "{message}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(parse_listen("[::1]:7443").is_ok());
    }

    #[test]
    fn unsafe_settings_are_refused() {
        let base = Config::new("x");
        base.check().unwrap();
        let public = SocketAddr::from(([0, 0, 0, 0], 1));
        let plain = Config { transport: Transport::Plain, listen: public, ..base.clone() };
        assert!(matches!(plain.check(), Err(ConfigError::PlainBeyondLoopback(_))));
        let admin = Config { admin_listen: public, ..base.clone() };
        assert!(matches!(admin.check(), Err(ConfigError::AdminBeyondLoopback(_))));
        let zero = Config { frames_burst: 0, ..base.clone() };
        assert!(matches!(zero.check(), Err(ConfigError::Zero("frames_burst"))));
        let slow = Config { member_bytes_per_second: 0, ..base.clone() };
        assert!(matches!(slow.check(), Err(ConfigError::Zero("member_bytes_per_second"))));
        let small = Config { member_bytes_burst: MEMBER_BURST_MIN - 1, ..base.clone() };
        assert!(matches!(small.check(), Err(ConfigError::TooLittle { .. })));
        let narrow = Config { room_bytes_max: ROOM_BYTES_MIN - 1, ..base.clone() };
        assert!(matches!(narrow.check(), Err(ConfigError::TooLittle { .. })));
        for authority in ["x", "x:0", ":1", "a b:1", "https://x:1", "x:99999"] {
            let config = Config { public_url: Some(authority.to_owned()), ..base.clone() };
            assert!(matches!(config.check(), Err(ConfigError::Authority(_))), "{authority}");
        }
    }
}
