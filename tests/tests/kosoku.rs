//! Autobahn's cases of WebSocket (RFC 6455), run by kosoku against both of our transports.
//!
//! `pip install kosoku` brings the suite; without it the tests say that they are skipped. Cases 9 (speed, messages of up to
//! 16 MiB) are left out: no message of ours is above 240 KiB. Cases 12 and 13 (compression) are never negotiated.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, net::SocketAddr, path::Path, process::Command};

use futures_util::{SinkExt as _, StreamExt as _};
use hearth_session::connection::socket_config;
use hearth_tests::{Ended, Running};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite::Message};

const CASES_MIN: usize = 200;

/// Returns the suite's command, if it is installed.
fn kosoku(mode: &str, into: &Path) -> Option<Command> {
    if Command::new("kosoku").arg("--help").output().is_err() {
        eprintln!("skipped: kosoku is not installed (pip install kosoku)");
        return None;
    }
    let mut command = Command::new("kosoku");
    command.args(["-m", mode, "-x", "9.*", "-o"]).arg(into);
    Some(command)
}

/// Counts verdicts in the suite's report and fails if one is bad.
fn judge(into: &Path, what: &str, said: &str) {
    let report = std::fs::read_to_string(into.join("index.json"));
    let report = report.unwrap_or_else(|error| panic!("no report ({error}): {said}"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let (mut counts, mut failed) = (BTreeMap::<String, usize>::new(), vec![]);
    for (_, cases) in report.as_object().unwrap() {
        for (case, verdict) in cases.as_object().unwrap() {
            let behaviour = verdict["behavior"].as_str().unwrap();
            let closing = verdict["behaviorClose"].as_str().unwrap();
            *counts.entry(behaviour.to_owned()).or_default() += 1;
            if ![behaviour, closing].iter().all(|word| is_good(word)) {
                failed.push(format!("{case}: {behaviour}, closing {closing}"));
            }
        }
    }
    eprintln!("{what}: {counts:?}");
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(counts.values().sum::<usize>() >= CASES_MIN, "{counts:?}");
    assert!(counts["OK"] >= CASES_MIN, "{counts:?}");
}

fn is_good(word: &str) -> bool {
    matches!(word, "OK" | "NON-STRICT" | "INFORMATIONAL" | "UNIMPLEMENTED")
}

#[test]
fn the_relay_s_transport_passes_autobahn() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = kosoku("fuzzingclient", folder.path()) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(hearth_server::echo::serve(listener));
    command.args(["-p", "16", &address.to_string()]);
    // It exits with 1 for compression that is not there, too: the report tells.
    let Ended { stderr, .. } = Running::start(command, false).wait();
    judge(folder.path(), "relay", &stderr);
}

async fn open(address: SocketAddr, path: &str) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let request = format!("ws://{address}/{path}");
    client_async_with_config(request, stream, Some(socket_config())).await.unwrap().0
}

/// Sends back what comes, until the other side closes or breaks a rule.
async fn echo(address: SocketAddr, path: &str) -> Vec<Message> {
    let mut socket = open(address, path).await;
    let mut all = vec![];
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            all.push(message.clone());
            if socket.send(message).await.is_err() {
                break;
            }
        }
    }
    all
}

#[test]
fn the_client_s_transport_passes_autobahn() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = kosoku("fuzzingserver", folder.path()) else { return };
    command.arg("127.0.0.1:0");
    let mut suite = Running::start(command, false);
    suite.await_remark("listening on ws://");
    let said = suite.said().1;
    let address = said.split("ws://").nth(1).unwrap().split_whitespace().next().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let count = echo(address, "getCaseCount").await;
        let count: usize = count[0].to_text().unwrap().parse().unwrap();
        for case in 1..=count {
            let path = format!("runCase?case={case}&agent=hearth");
            timeout(hearth_tests::DEADLINE, echo(address, &path)).await.unwrap();
        }
        echo(address, "updateReports?agent=hearth").await;
    });
    let Ended { stderr, .. } = suite.wait();
    judge(folder.path(), "client", &stderr);
}
