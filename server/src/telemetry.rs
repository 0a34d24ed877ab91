//! The log on standard error, which names no room, no member and, above debug, no address.

use serde::Deserialize;
use tracing::{Dispatch, Level, Metadata, dispatcher};
use tracing_subscriber::{
    EnvFilter, filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt as _,
};

/// Libraries whose debug log contains sent content: whole frames, heads, names of hosts.
const TALKATIVE: [&str; 3] = ["tungstenite", "tokio_tungstenite", "rustls"];

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log. `HEARTHD_LOG` filters it; the default is `info`. A second call does nothing.
pub fn init(format: LogFormat) {
    let asked = std::env::var("HEARTHD_LOG").unwrap_or_else(|_| "info".to_owned());
    let parsed = EnvFilter::try_new(&asked);
    let wrong = parsed.as_ref().err().map(ToString::to_string);
    let filter = parsed.unwrap_or_else(|_| EnvFilter::new("info"));
    // Not `init` of tracing-subscriber, which would also collect logs of the crate `log`. It fails only if a log
    // was started before, for example by a test.
    let _ = dispatcher::set_global_default(log(format, filter, std::io::stderr));
    if let Some(error) = wrong {
        // Members should not lose their relay over this; but an operator who looks for traces must know why there are none.
        tracing::warn!(%error, "HEARTHD_LOG is not understood; what is logged is info and above");
    }
}

fn log<W>(format: LogFormat, filter: EnvFilter, writer: W) -> Dispatch
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => builder.with_ansi(false).finish().with(filter_fn(may_log)).into(),
        LogFormat::Json => builder.json().finish().with(filter_fn(may_log)).into(),
    }
}

/// Whether a line may be logged under any filter. A directive would not be enough, because a longer one overrules it.
fn may_log(metadata: &Metadata<'_>) -> bool {
    let of = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::WARN || !TALKATIVE.contains(&of)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn no_filter_logs_sent_content() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let file = tempfile::NamedTempFile::new().unwrap();
            let all =
                "trace,tungstenite::protocol=trace,tokio_tungstenite=trace,rustls::server=trace";
            let writer = Arc::new(file.reopen().unwrap());
            let dispatch = log(format, EnvFilter::new(all), writer);
            dispatcher::with_default(&dispatch, || {
                tracing::trace!(target: "tungstenite::protocol::frame", "a frame");
                tracing::info!(target: "tokio_tungstenite", "a frame");
                tracing::debug!(target: "rustls::server::hs", "a hello");
                tracing::warn!(target: "rustls", "what went wrong");
                tracing::trace!(target: "hearth_server::connection", "ours");
            });
            let written = std::fs::read_to_string(file.path()).unwrap();
            assert!(!written.contains("a frame") && !written.contains("a hello"), "{written}");
            assert!(written.contains("what went wrong") && written.contains("ours"), "{written}");
        }
    }
}
