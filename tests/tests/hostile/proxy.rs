//! The proxy's sockets: members on one side, the relay on the other, the stage in between.

use std::{cell::RefCell, net::SocketAddr, rc::Rc};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async, client_async,
    tungstenite::{
        ClientRequestBuilder, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
    },
};

use super::{
    Stage,
    stage::{Action, Conn},
};

const SUBPROTOCOL: &str = "hearth.v2";

/// A proxy that lies. It lives on one thread, beside the members that it lies to.
pub struct Proxy {
    address: SocketAddr,
    /// What it knows and does.
    pub stage: Rc<RefCell<Stage>>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port. Must run in a `LocalSet`.
    pub async fn start(backend: SocketAddr, stage: Stage) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stage = Rc::new(RefCell::new(stage));
        let shared = stage.clone();
        let accepting = tokio::task::spawn_local(async move {
            while let Ok((member, _)) = listener.accept().await {
                tokio::task::spawn_local(carry(member, backend, shared.clone()));
            }
        });
        Self { address, stage, accepting }
    }

    /// Where members connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(member: TcpStream, backend: SocketAddr, stage: Rc<RefCell<Stage>>) {
    let _ = member.set_nodelay(true);
    let Ok(mut member) = accept_hdr_async(member, speak).await else { return };
    let Some(mut relay) = reach(backend).await else { return };
    let mut conn = Conn::default();
    loop {
        let actions = tokio::select! {
            message = member.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    stage.borrow_mut().on_member(&mut conn, &bytes)
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                _ => break,
            },
            message = relay.next() => match message {
                Some(Ok(Message::Binary(bytes))) => stage.borrow_mut().on_relay(&mut conn, &bytes),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                _ => break,
            },
        };
        for action in actions {
            let sent = match action {
                Action::Relay(bytes) => relay.send(Message::Binary(bytes.into())).await,
                Action::Member(bytes) => member.send(Message::Binary(bytes.into())).await,
                Action::Cut => {
                    let _ = member.close(None).await;
                    return;
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }
    let _ = member.close(None).await;
}

#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
fn speak(_: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let protocol = HeaderValue::from_static(SUBPROTOCOL);
    response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    Ok(response)
}

async fn reach(backend: SocketAddr) -> Option<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(backend).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let uri = format!("ws://{backend}/v2").parse().ok()?;
    let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
    let (socket, _) = client_async(request, stream).await.ok()?;
    Some(socket)
}
