//! The bounds of the server: bytes, time, connections, what waits.

use std::time::Duration;

use tokio::{io::AsyncReadExt as _, net::TcpStream, time::timeout};

use super::{Ask, PATIENCE, enter, open, opened, start, start_with};
use crate::{PAGE_BYTES, body::ACT_BYTES_MAX, peer::Peer};

#[tokio::test]
async fn large_body_is_refused() {
    let running = start().await;
    let key = enter(&running).await;
    let large = format!("\"{}\"", "x".repeat(ACT_BYTES_MAX));
    assert_eq!(
        Ask::post(&running, "/api/act", &key, &large).send_or_cut(&running).await.status,
        413
    );
    let most = format!("\"{}\"", "x".repeat(ACT_BYTES_MAX - 2));
    assert_eq!(Ask::post(&running, "/api/act", &key, &most).send(&running).await.status, 202);
    let head = Ask::get(&running, "/").with("X", &"x".repeat(64 * 1024));
    assert_eq!(head.send_or_cut(&running).await.status, 431);
}

#[tokio::test(start_paused = true)]
async fn slow_request_is_cut_off() {
    let running = start_with(|_, _| Peer::Ours).await;
    let key = enter(&running).await;
    // Time passes by itself while everything waits.
    let mut head = open(&running, "GET / HTTP/1.1\r\nHost: 127").await;
    let mut bytes = Vec::new();
    timeout(PATIENCE, head.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let mut slow = Ask::post(&running, "/api/act", &key, "{}");
    slow = slow.with("Content-Length", "100");
    assert_eq!(slow.send(&running).await.status, 408);
}

#[tokio::test]
async fn connections_are_bounded() {
    let running = start().await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(open(&running, "GET / HTTP/1.1\r\n").await);
    }
    let mut more = TcpStream::connect(("127.0.0.1", running.port)).await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(Duration::from_secs(5), more.read_to_end(&mut bytes)).await.unwrap();
    assert!(bytes.is_empty());
    held.clear();
    timeout(PATIENCE, async {
        loop {
            if Ask::get(&running, "/").send_or_cut(&running).await.status == 200 {
                break;
            }
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn unread_stream_is_bounded() {
    let mut running = start().await;
    let key = enter(&running).await;
    let mut unread = open(&running, &Ask::post(&running, "/api/stream", &key, "{}").text()).await;
    let feed = opened(&mut running).await;
    let line = "x".repeat(1 << 20);
    let told = (0..1000).take_while(|_| feed.tell(line.clone())).count();
    assert!((8..64).contains(&told), "{told}");
    // A page that reads on is not left without what it missed: its stream ends.
    let mut bytes = Vec::new();
    timeout(PATIENCE, unread.read_to_end(&mut bytes)).await.unwrap().unwrap();
    assert!(bytes.len() > told << 20);
}

#[tokio::test]
async fn acts_that_wait_are_bounded() {
    let running = start().await;
    let key = enter(&running).await;
    let mut statuses = Vec::new();
    for _ in 0..65 {
        statuses.push(Ask::post(&running, "/api/act", &key, "{}").send(&running).await.status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 202).count(), 64);
    assert_eq!(statuses.last(), Some(&429));
}

#[test]
fn page_stays_under_its_size() {
    const { assert!(PAGE_BYTES <= 100 * 1024) }
}
