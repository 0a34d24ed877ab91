//! Memory of an idle connection.

#![allow(clippy::unwrap_used, clippy::panic, clippy::cast_possible_truncation)]

mod common;

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use common::*;
use hearth_protocol::{RoomId, RoomNumbers};

const CONNECTIONS: u64 = 400;
/// The target is 16 KiB, plus a quarter for the allocator.
const BYTES_MAX: u64 = 20 * 1024;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Authenticated, subscribed, silent, over TLS.
#[tokio::test]
async fn idle_connection_is_small() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Killed(
        Command::new(env!("CARGO_BIN_EXE_hearthd"))
            .env_clear()
            .arg("--data-dir")
            .arg(dir.path())
            .args(["--listen", "127.0.0.1:0", "--connections-per-ip", "9999"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut line = String::new();
    BufReader::new(child.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("hearthd ready wss://").unwrap();
    let address = address.split(' ').next().unwrap().parse().unwrap();
    let terms = hearth_server::Grant {
        rooms: 1,
        members: 10,
        expires: hearth_protocol::Millis::NEVER,
        url: None,
    };
    let link = hearth_server::grant(dir.path(), &terms).unwrap();
    let grant = hearth_protocol::invite::Grant::parse(&link).unwrap();
    let (id, key) = (RoomId(random()), key());
    let mut held = Vec::new();
    let mut before = 0;
    for index in 0..CONNECTIONS + 50 {
        let stream = tls_connect(address).await;
        let mut client = Client::open(stream, grant.address.relay).await;
        client.greet().await;
        if index == 0 {
            client.open_room(id, &key, grant.secret.clone(), RoomNumbers::default()).await;
        } else {
            client.enter(id, &key).await;
        }
        client.subscribe(id, 0).await;
        held.push(client);
        // The first connections pay for shared memory.
        if index + 1 == 50 {
            before = resident(child.0.id());
        }
    }
    let each = (resident(child.0.id()) - before) / CONNECTIONS;

    assert!(each <= BYTES_MAX, "{each} bytes for each idle connection");
}
