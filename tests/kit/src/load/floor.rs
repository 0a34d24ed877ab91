//! The durable floor: the least work of a relay that has every message on disk before it passes the message on.
//!
//! One thread, one epoll. A round takes in what every ready socket holds, appends it to a file, syncs once, and then
//! writes to each socket all that is due to it, in one write. A socket that takes nothing holds its bytes in memory.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    ops::Range,
    sync::Arc,
};

use rustix::{
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    fd::OwnedFd,
};
use rustls::{ServerConfig, ServerConnection};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::naive::{Baseline, announce, config};

/// Stands for the listener where other events name a peer.
const LISTENER: u64 = u64::MAX;
/// Bytes taken from a socket in one round.
const READ_BYTES: usize = 64 * 1024;
/// Sockets heard in one round.
const EVENTS: usize = 1024;

/// One connection.
struct Peer {
    socket: TcpStream,
    tls: ServerConnection,
    /// Plaintext that is not yet a whole request or frame.
    inbox: Vec<u8>,
    /// Whether HTTP is over.
    is_open: bool,
    room: Option<usize>,
    /// Frames to encrypt at the end of the round.
    due: Vec<u8>,
    /// Whether the socket did not take everything.
    blocked: bool,
}

/// Messages of one round.
#[derive(Default)]
struct Round {
    /// Their frames one after the other, as they go to the file and to the sockets.
    frames: Vec<u8>,
    /// The room of each, and where it is.
    messages: Vec<(usize, Range<usize>)>,
    /// Peers to write to.
    touched: Vec<usize>,
}

struct Floor {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    epoll: OwnedFd,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    names: HashMap<Vec<u8>, usize>,
    rooms: Vec<Vec<usize>>,
    log: File,
    round: Round,
}

/// Serves until it is killed; prints one line when it is ready.
pub(super) fn serve() -> io::Result<()> {
    let mut config = config();
    config.send_tls13_tickets = 0;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    announce(Baseline::Floor, listener.local_addr()?);
    let mut floor = Floor {
        listener,
        config: Arc::new(config),
        epoll,
        peers: vec![],
        free: vec![],
        names: HashMap::new(),
        rooms: vec![],
        log: tempfile::tempfile()?,
        round: Round::default(),
    };
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        events.clear();
        match epoll::wait(&floor.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match usize::try_from({ event.data }.u64()) {
                Ok(index) if { event.data }.u64() != LISTENER => floor.hear(index, &mut buffer),
                _ => floor.accept()?,
            }
        }
        floor.finish()?;
    }
}

impl Floor {
    fn accept(&mut self) -> io::Result<()> {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let mut tls = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
            tls.set_buffer_limit(None);
            let index = self.free.pop().unwrap_or(self.peers.len());
            epoll::add(&self.epoll, &socket, EventData::new_u64(index as u64), EventFlags::IN)?;
            if index == self.peers.len() {
                self.peers.push(None);
            }
            let (inbox, due) = (vec![], vec![]);
            let peer = Peer { socket, tls, inbox, is_open: false, room: None, due, blocked: false };
            self.peers[index] = Some(peer);
        }
        Ok(())
    }

    /// Takes in what a socket holds.
    fn hear(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(mut peer) = self.peers[index].take() else { return };
        if peer.read(buffer).is_err() || self.take(index, &mut peer).is_none() {
            self.leave(index, peer.room);
            return;
        }
        if peer.blocked || peer.tls.wants_write() || !peer.due.is_empty() {
            self.round.touched.push(index);
        }
        self.peers[index] = Some(peer);
    }

    fn leave(&mut self, index: usize, room: Option<usize>) {
        if let Some(room) = room {
            self.rooms[room].retain(|other| *other != index);
        }
        self.free.push(index);
    }

    /// Takes what is whole out of an inbox; `None` if the peer closes or breaks a rule.
    fn take(&mut self, index: usize, peer: &mut Peer) -> Option<()> {
        if !peer.is_open && !peer.upgrade()? {
            return Some(());
        }
        let mut at = 0;
        while let Some((kind, content)) = unmasked(&mut peer.inbox[at..]) {
            let (start, end) = (at + content.start, at + content.end);
            at = end;
            let bytes = &peer.inbox[start..end];
            match (kind, peer.room) {
                (2, Some(room)) => {
                    let start = self.round.frames.len();
                    put_frame(&mut self.round.frames, bytes);
                    self.round.messages.push((room, start..self.round.frames.len()));
                }
                (2, None) => {
                    let room = *self.names.entry(bytes.to_vec()).or_insert(self.rooms.len());
                    if room == self.rooms.len() {
                        self.rooms.push(vec![]);
                    }
                    self.rooms[room].push(index);
                    peer.room = Some(room);
                    put_frame(&mut peer.due, bytes);
                }
                (8, _) => return None,
                _ => {}
            }
        }
        peer.inbox.drain(..at);
        Some(())
    }

    /// Syncs the messages of the round, then writes what is due.
    fn finish(&mut self) -> io::Result<()> {
        let Round { frames, messages, touched } = &mut self.round;
        if !messages.is_empty() {
            self.log.write_all(frames)?;
            self.log.sync_data()?;
        }
        for (room, place) in messages.drain(..) {
            for &index in &self.rooms[room] {
                let Some(peer) = &mut self.peers[index] else { continue };
                if peer.due.is_empty() {
                    touched.push(index);
                }
                peer.due.extend(&frames[place.clone()]);
            }
        }
        frames.clear();
        for index in std::mem::take(touched) {
            let Some(peer) = &mut self.peers[index] else { continue };
            if peer.write(&self.epoll, index).is_err() {
                let room = peer.room;
                self.peers[index] = None;
                self.leave(index, room);
            }
        }
        Ok(())
    }
}

impl Peer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        let count = match self.socket.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            self.tls.read_tls(&mut rest)?;
            let state = self.tls.process_new_packets().map_err(io::Error::other)?;
            let start = self.inbox.len();
            self.inbox.resize(start + state.plaintext_bytes_to_read(), 0);
            self.tls.reader().read_exact(&mut self.inbox[start..])?;
        }
        Ok(())
    }

    /// Answers the HTTP request once it is whole; returns whether it was, `None` if it asks for no WebSocket.
    fn upgrade(&mut self) -> Option<bool> {
        let Some(end) = self.inbox.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Some(false);
        };
        let head = String::from_utf8_lossy(&self.inbox[..end]);
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: hearth.v2\r\n\r\n",
            derive_accept_key(key.as_bytes())
        );
        self.due.extend(answer.as_bytes());
        self.inbox.drain(..end + 4);
        self.is_open = true;
        Some(true)
    }

    /// Encrypts what is due once the socket has taken what went before, and writes it.
    fn write(&mut self, epoll: &OwnedFd, index: usize) -> io::Result<()> {
        let mut blocked = false;
        while !blocked && (self.tls.wants_write() || !self.due.is_empty()) {
            if !self.tls.wants_write() {
                self.tls.writer().write_all(&self.due)?;
                self.due.clear();
            }
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => blocked = true,
                Err(error) => return Err(error),
            }
        }
        if blocked != self.blocked {
            self.blocked = blocked;
            let out = if blocked { EventFlags::OUT } else { EventFlags::empty() };
            let data = EventData::new_u64(index as u64);
            epoll::modify(epoll, &self.socket, data, EventFlags::IN | out)?;
        }
        Ok(())
    }
}

/// Finds a client's first frame if it is whole (RFC 6455 section 5.2) and unmasks it: opcode, and where its content is.
fn unmasked(bytes: &mut [u8]) -> Option<(u8, Range<usize>)> {
    let (kind, short) = (*bytes.first()? & 0x0f, *bytes.get(1)? & 0x7f);
    let (at, length) = match short {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        _ => (2, u64::from(short)),
    };
    let start: usize = at + 4;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    let mask: [u8; 4] = bytes.get(at..start)?.try_into().ok()?;
    for (byte, mask) in bytes.get_mut(start..end)?.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Some((kind, start..end))
}

/// Appends a binary frame of a server.
fn put_frame(out: &mut Vec<u8>, content: &[u8]) {
    const FIN_BINARY: u8 = 0x82;
    out.push(FIN_BINARY);
    match (u8::try_from(content.len()), u16::try_from(content.len())) {
        (Ok(short @ ..126), _) => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend(medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend((content.len() as u64).to_be_bytes());
        }
    }
    out.extend(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_unmasked() {
        for length in [0, 1, 125, 126, 300, 65_535, 65_536] {
            let content: Vec<u8> = (0..=255).cycle().take(length).collect();
            let mut plain = vec![];
            put_frame(&mut plain, &content);
            let head = plain.len() - length;
            let mask = [1, 2, 3, 4];
            let mut bytes = [&plain[..head], &mask, &content].concat();
            bytes[1] |= 0x80;
            for (byte, mask) in bytes[head + 4..].iter_mut().zip(mask.iter().cycle()) {
                *byte ^= mask;
            }
            let whole = bytes.len();
            assert_eq!(unmasked(&mut bytes[..whole - 1]), None, "{length}");
            let (kind, place) = unmasked(&mut bytes).unwrap();
            assert_eq!((kind, &bytes[place]), (2, &content[..]), "{length}");
        }
    }
}
