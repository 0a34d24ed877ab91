//! The relay's transport without the relay: every message comes back. For conformance suites of WebSocket.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    connection::{End, end_of, goodbye},
    http,
    io::{AnyIo, Metered},
    listener::upgrade,
    metrics::Metrics,
};

/// Serves until it is dropped: the relay's own reading of requests, configuration and closing, without TLS.
pub async fn serve(listener: TcpListener) {
    let metrics = Arc::new(Metrics::default());
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, metrics.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, metrics: Arc<Metrics>) -> Option<()> {
    let (metered, progress) = Metered::new(stream, metrics);
    let mut io: AnyIo = Box::new(metered);
    let (mut head, rest) = http::read_head(&mut io).await.ok()?;
    // Suites ask for the root.
    hearth_protocol::limits::PATH.clone_into(&mut head.target);
    let answer = head.upgrade(&[]);
    io.write_all(&answer.unwrap_or_else(|answer| answer.to_bytes())).await.ok()?;
    let mut socket = Box::pin(upgrade(io, rest, [0; 32], progress)).await;
    loop {
        let message = match socket.stream.next().await? {
            Ok(message) => message,
            Err(error) => {
                if let End::Close(code) = end_of(&error) {
                    Box::pin(goodbye(&mut socket.stream, code)).await;
                }
                return None;
            }
        };
        socket.progress.bore();
        match message {
            Message::Text(_) | Message::Binary(_) => socket.stream.send(message).await.ok()?,
            // What the library queued leaves with a flush.
            _ => socket.stream.flush().await.ok()?,
        }
    }
}
