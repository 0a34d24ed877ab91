//! Answers the operator's tools on loopback: health, readiness, metrics.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};

use crate::Shared;

/// Deadline for one request and its answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Maximum requests at the same time.
const CONCURRENT_MAX: usize = 16;
/// Maximum bytes of a request.
const HEAD_BYTES_MAX: usize = 4096;
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until the relay stops.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONCURRENT_MAX));
    loop {
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        let shared_for_task = shared.clone();
        shared.tasks.spawn(async move {
            let _ = timeout(DEADLINE, answer(stream, &shared_for_task)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES_MAX || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, body) = match line {
        b"GET /healthz HTTP/1.1" | b"GET /healthz HTTP/1.0" => ("200 OK", "alive\n".to_owned()),
        b"GET /readyz HTTP/1.1" | b"GET /readyz HTTP/1.0" => {
            if shared.metrics.is_ready() {
                ("200 OK", "ready\n".to_owned())
            } else {
                ("503 Service Unavailable", "the store takes no entries\n".to_owned())
            }
        }
        b"GET /metrics HTTP/1.1" | b"GET /metrics HTTP/1.0" => {
            let queue = (shared.store.queue_depth(), shared.store.queue_bytes());
            ("200 OK", shared.metrics.render(shared.registry.rooms(), queue))
        }
        line if line.starts_with(b"GET ") => ("404 Not Found", "no such page\n".to_owned()),
        _ => ("405 Method Not Allowed", "only GET\n".to_owned()),
    };
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await
}
