//! The log: to standard error, without anything that names a room, a member or, above debug, an address.

use serde::Deserialize;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log. `HEARTHD_LOG` chooses what is shown, `info` without it. A second call does nothing.
pub fn init(format: LogFormat) {
    // The library below WebSocket logs whole frames at trace: never, whatever is asked for.
    let asked = std::env::var("HEARTHD_LOG").unwrap_or_else(|_| "info".to_owned());
    let parsed = EnvFilter::try_new(&asked);
    let wrong = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info")).add_directives([
        "tungstenite=warn",
        "tokio_tungstenite=warn",
        "rustls=warn",
    ]);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Only fails if a log was started before, as a test may have done.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    if let Some(error) = wrong {
        // Not a reason to leave members without their relay; but who looks for traces must know why there are none.
        tracing::warn!(%error, "HEARTHD_LOG is not understood; what is logged is info and above");
    }
}

trait AddDirectives {
    fn add_directives<const N: usize>(self, directives: [&str; N]) -> Self;
}

impl AddDirectives for EnvFilter {
    fn add_directives<const N: usize>(self, directives: [&str; N]) -> Self {
        directives.iter().fold(self, |filter, directive| match directive.parse() {
            Ok(directive) => filter.add_directive(directive),
            Err(_) => filter,
        })
    }
}
