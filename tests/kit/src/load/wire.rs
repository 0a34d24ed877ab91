//! One WebSocket over TLS, as cheap for the generator as it gets: no runtime, one read for many frames.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use hearth_protocol::handshake::{CHANNEL_BINDING_LABEL, ChannelBinding};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::DEADLINE;

/// Bytes taken from a socket in one read.
const READ_BYTES: usize = 256 * 1024;
/// Masks what is sent (RFC 6455 section 5.3). A constant protects no proxy; there is none between two processes here.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x3c, 0xa5];

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// The relay's socket.
    pub address: SocketAddr,
    config: Arc<ClientConfig>,
    source: Option<Ipv4Addr>,
    window: Option<usize>,
}

impl Target {
    /// Returns a target whose certificate is not judged: the relay under test is our own child.
    pub fn new(address: SocketAddr) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self { address, config: Arc::new(config), source: None, window: None }
    }

    /// Connects from another address of this machine: every 127.x.y.z is one.
    #[must_use]
    pub const fn from_address(mut self, source: Ipv4Addr) -> Self {
        self.source = Some(source);
        self
    }

    /// Takes in so many bytes (as far as the kernel lets one have so few) before the other side has to wait.
    #[must_use]
    pub const fn with_window(mut self, bytes: usize) -> Self {
        self.window = Some(bytes);
        self
    }

    /// Opens a bare TCP connection.
    pub fn dial(&self) -> io::Result<TcpStream> {
        let family = match self.address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if let Some(source) = self.source {
            bind(&socket, &SocketAddrV4::new(source, 0))?;
        }
        if let Some(bytes) = self.window {
            sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
        }
        connect(&socket, &self.address)?;
        let socket = TcpStream::from(socket);
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        Ok(socket)
    }
}

/// Accepts any certificate whose key signs the handshake.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// An open WebSocket.
pub struct Wire {
    socket: TcpStream,
    tls: ClientConnection,
    inbox: Vec<u8>,
    parsed: usize,
    open: bool,
}

impl Wire {
    /// Connects, negotiates TLS 1.3 and upgrades; blocks, with a deadline on every read.
    pub fn connect(target: &Target) -> io::Result<Self> {
        let mut wire = Self::secure(target)?;
        wire.upgrade()?;
        Ok(wire)
    }

    /// Connects and negotiates TLS 1.3, and says nothing yet.
    pub fn secure(target: &Target) -> io::Result<Self> {
        let socket = target.dial()?;
        let name = ServerName::IpAddress(target.address.ip().into());
        let mut tls =
            ClientConnection::new(target.config.clone(), name).map_err(io::Error::other)?;
        tls.set_buffer_limit(None);
        let mut wire = Self { socket, tls, inbox: Vec::new(), parsed: 0, open: true };
        while wire.tls.is_handshaking() {
            wire.tls.complete_io(&mut wire.socket)?;
        }
        Ok(wire)
    }

    /// Returns the first bytes of a handshake. Whoever sends them again makes the relay pay for the whole one.
    pub fn first_flight(target: &Target) -> io::Result<Vec<u8>> {
        let name = ServerName::IpAddress(target.address.ip().into());
        let mut tls =
            ClientConnection::new(target.config.clone(), name).map_err(io::Error::other)?;
        let mut bytes = vec![];
        while tls.wants_write() {
            tls.write_tls(&mut bytes)?;
        }
        Ok(bytes)
    }

    fn upgrade(&mut self) -> io::Result<()> {
        self.queue_raw(
            b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
              Sec-WebSocket-Protocol: hearth.v2\r\n\r\n",
        );
        self.flush()?;
        loop {
            if let Some(end) = self.inbox.windows(4).position(|four| four == b"\r\n\r\n") {
                if !self.inbox.starts_with(b"HTTP/1.1 101") {
                    let line = String::from_utf8_lossy(&self.inbox).into_owned();
                    return Err(io::Error::other(line));
                }
                self.parsed = end + 4;
                return Ok(());
            }
            if !self.read()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// How long a read or a write may take from now on.
    pub fn set_patience(&self, patience: Duration) {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        self.socket.set_write_timeout(Some(patience)).unwrap();
    }

    /// Encrypts bytes as they are; [`Self::flush`] sends them.
    pub fn queue_raw(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
    }

    /// Changes the keys of the TLS connection and asks the other side to do so as well (RFC 8446 section 4.6.3).
    pub fn queue_key_update(&mut self) {
        self.tls.refresh_traffic_keys().unwrap();
    }

    /// What binds an authentication to this channel (RFC 9266 section 4.2).
    pub fn channel(&self) -> ChannelBinding {
        self.tls.export_keying_material([0; 32], CHANNEL_BINDING_LABEL, None).unwrap()
    }

    /// From now on reads and writes return at once.
    pub fn set_nonblocking(&self) {
        self.socket.set_nonblocking(true).unwrap();
    }

    /// For epoll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether the other side has not closed yet.
    pub const fn is_open(&self) -> bool {
        self.open
    }

    /// Encrypts one binary message; [`Self::flush`] sends it.
    pub fn queue(&mut self, message: &[u8]) {
        const FIN_BINARY: u8 = 0x82;
        self.queue_frame(FIN_BINARY, message);
    }

    /// Encrypts one frame whose first byte is given; [`Self::flush`] sends it.
    pub fn queue_frame(&mut self, kind: u8, message: &[u8]) {
        const MASKED: u8 = 0x80;
        let mut frame = Vec::with_capacity(message.len() + 14);
        frame.push(kind);
        match (u8::try_from(message.len()), u16::try_from(message.len())) {
            (Ok(short @ ..126), _) => frame.push(MASKED | short),
            (_, Ok(medium)) => {
                frame.push(MASKED | 126);
                frame.extend(medium.to_be_bytes());
            }
            _ => {
                frame.push(MASKED | 127);
                frame.extend((message.len() as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(message.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.tls.writer().write_all(&frame).unwrap();
    }

    /// Sends what is queued; returns whether everything went.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes in what the socket has, in one read; returns whether there was something.
    pub fn read(&mut self) -> io::Result<bool> {
        thread_local! {
            static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; READ_BYTES]);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let count = match self.socket.read(buffer) {
                Ok(0) => {
                    self.open = false;
                    return Ok(false);
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            if self.parsed == self.inbox.len() {
                self.inbox.clear();
                self.parsed = 0;
            }
            let mut rest = &buffer[..count];
            while !rest.is_empty() {
                self.tls.read_tls(&mut rest)?;
                let state = self.tls.process_new_packets().map_err(io::Error::other)?;
                let plain = state.plaintext_bytes_to_read();
                let start = self.inbox.len();
                self.inbox.resize(start + plain, 0);
                self.tls.reader().read_exact(&mut self.inbox[start..])?;
            }
            Ok(true)
        })
    }

    /// Calls back for every whole binary message taken in so far, and answers pings.
    pub fn messages(&mut self, mut each: impl FnMut(&[u8])) {
        while let Some((kind, start, end)) = frame(&self.inbox, self.parsed) {
            self.parsed = end;
            match kind {
                2 => each(&self.inbox[start..end]),
                8 => self.open = false,
                9 => {
                    let ping = self.inbox[start..end].to_vec();
                    self.queue_frame(0x8a, &ping);
                }
                _ => {}
            }
        }
        if self.parsed > 0 && self.parsed == self.inbox.len() {
            self.inbox.clear();
            self.parsed = 0;
        }
    }

    /// Waits for the next binary message.
    #[expect(clippy::should_implement_trait, reason = "it waits, and fails")]
    pub fn next(&mut self) -> io::Result<Vec<u8>> {
        loop {
            while let Some((kind, start, end)) = frame(&self.inbox, self.parsed) {
                self.parsed = end;
                match kind {
                    2 => return Ok(self.inbox[start..end].to_vec()),
                    9 => {
                        let ping = self.inbox[start..end].to_vec();
                        self.queue_frame(0x8a, &ping);
                        self.flush()?;
                    }
                    8 => return Err(io::ErrorKind::ConnectionReset.into()),
                    _ => {}
                }
            }
            if !self.read()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Gives memory back that an idle connection does not need.
    pub fn shrink(&mut self) {
        self.inbox.drain(..self.parsed);
        self.parsed = 0;
        self.inbox.shrink_to_fit();
    }
}

/// Finds the next whole frame of a server: opcode, and where its content is.
fn frame(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let (kind, length) = (*bytes.get(at)? & 0x0f, *bytes.get(at + 1)? & 0x7f);
    let (start, length) = match length {
        126 => {
            (at + 4, usize::from(u16::from_be_bytes(bytes.get(at + 2..at + 4)?.try_into().ok()?)))
        }
        127 => {
            let length = u64::from_be_bytes(bytes.get(at + 2..at + 10)?.try_into().ok()?);
            (at + 10, usize::try_from(length).ok()?)
        }
        short => (at + 2, usize::from(short)),
    };
    let end = start + length;
    (end <= bytes.len()).then_some((kind, start, end))
}
