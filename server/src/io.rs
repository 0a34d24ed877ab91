//! The socket below WebSocket: TLS or plain, with its bytes counted.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use hearth_protocol::limits::FRAME_BYTES_MAX;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use crate::metrics::Metrics;

/// A transport for WebSocket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A transport of any kind.
pub(crate) type AnyIo = Box<dyn Io>;

/// Bytes read without completing a message: one of the maximum size, and its wrapping.
///
/// The frame limit counts messages. Input that completes none costs as much to read and would not be counted: fragments without
/// an end or without content (RFC 6455 section 5.4), TLS records without content, changes of TLS keys.
const FRUITLESS_BYTES_MAX: u64 = 2 * FRAME_BYTES_MAX as u64;

/// Bytes after which a busy socket lets other tasks run. They may be hundreds of frames.
const TURN_BYTES: usize = 1024;

/// Bytes that one socket read and wrote.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    written: AtomicU64,
    /// Bytes read since the last message.
    fruitless: AtomicU64,
}

impl Progress {
    /// Returns the bytes that the kernel accepted, which tell a slow reader from a dead one.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Notes that the bytes read completed a message.
    pub(crate) fn bore(&self) {
        self.fruitless.store(0, Ordering::Relaxed);
    }

    fn read(&self, bytes: usize) -> io::Result<()> {
        let before = self.fruitless.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + bytes as u64 > FRUITLESS_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "nothing comes of what is read",
            ));
        }
        Ok(())
    }
}

/// A stream that lets other tasks run after [`TURN_BYTES`], because its reader goes on as long as there is input.
///
/// Below TLS it interrupts records without content, above it the content of one record, up to 16 KiB at once.
#[derive(Debug)]
pub(crate) struct Turns<S> {
    stream: S,
    /// Bytes read since other tasks last ran.
    read: usize,
}

impl<S> Turns<S> {
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, read: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Turns<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read >= TURN_BYTES {
            self.read = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.read = if result.is_pending() { 0 } else { self.read + read };
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Turns<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Checks that a peer writes the lengths of WebSocket frames in the fewest bytes and below 2^63 (RFC 6455 section 5.2).
pub(crate) struct CheckedLengths {
    stream: AnyIo,
    frames: Frames,
}

/// A frame's length breaks RFC 6455 section 5.2.
#[derive(Debug, thiserror::Error)]
#[error("the length of a frame is not written as RFC 6455 section 5.2 demands")]
pub(crate) struct BadLength;

impl CheckedLengths {
    /// Wraps a stream of which some bytes were already read. If these break the rule, they are dropped and the stream
    /// fails.
    pub(crate) fn after(stream: AnyIo, mut read: Vec<u8>) -> (AnyIo, Vec<u8>) {
        let mut frames = Frames::default();
        if !frames.pass(&read) {
            read.clear();
        }
        (Box::new(Self { stream, frames }), read)
    }
}

impl AsyncRead for CheckedLengths {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        if !this.frames.broken {
            let result = Pin::new(&mut this.stream).poll_read(context, buffer);
            if this.frames.pass(buffer.filled().get(before..).unwrap_or_default()) {
                return result;
            }
        }
        Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, BadLength)))
    }
}

impl AsyncWrite for CheckedLengths {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Parses frame after frame without storing any.
#[derive(Debug, Default)]
struct Frames {
    /// Bytes of the present header.
    header: [u8; 10],
    read: u8,
    /// Bytes until the next header.
    skip: u64,
    broken: bool,
}

impl Frames {
    /// Parses bytes; returns whether every length so far is valid.
    fn pass(&mut self, mut bytes: &[u8]) -> bool {
        const MASK: u64 = 4;
        while !self.broken && !bytes.is_empty() {
            let skipped = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let Some((byte, rest)) = bytes.split_first() else { break };
            bytes = rest;
            if let Some(place) = self.header.get_mut(usize::from(self.read)) {
                *place = *byte;
            }
            self.read += 1;
            let [_, second, a, b, longer @ ..] = self.header;
            let (needed, length, least) = match second & 0x7f {
                _ if self.read < 2 => continue,
                126 => (4, u64::from(u16::from_be_bytes([a, b])), 126),
                127 => {
                    let [c, d, e, f, g, h] = longer;
                    (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]), 1 << 16)
                }
                short => (2, u64::from(short), 0),
            };
            if self.read < needed {
                continue;
            }
            // The top bit of a 64-bit length must be 0.
            self.broken = length < least || length >> 63 != 0;
            let mask = if second & 0x80 == 0 { 0 } else { MASK };
            self.skip = length.saturating_add(mask);
            self.read = 0;
        }
        !self.broken
    }
}

/// A TCP stream that counts its bytes.
#[derive(Debug)]
pub(crate) struct Metered {
    stream: Turns<TcpStream>,
    progress: Arc<Progress>,
    metrics: Arc<Metrics>,
}

impl Metered {
    pub(crate) fn new(stream: TcpStream, metrics: Arc<Metrics>) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        (Self { stream: Turns::new(stream), progress: progress.clone(), metrics }, progress)
    }

    fn count(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = result {
            self.progress.written.fetch_add(*bytes as u64, Ordering::Relaxed);
            self.metrics.bytes_written.fetch_add(*bytes as u64, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        let read = buffer.filled().len() - before;
        self.metrics.bytes_read.fetch_add(read as u64, Ordering::Relaxed);
        self.progress.read(read)?;
        result
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn passes(bytes: &[u8]) -> bool {
        let whole = Frames::default().pass(bytes);
        let mut frames = Frames::default();
        let bytewise = bytes.iter().all(|byte| frames.pass(std::slice::from_ref(byte)));
        assert_eq!(whole, bytewise, "{bytes:?}");
        whole
    }

    /// A masked frame with the given encoded length and number of bytes.
    fn frame(length: &[u8], bytes: usize) -> Vec<u8> {
        let mut frame = vec![0x82];
        frame.extend(length);
        frame.extend([7; 4]);
        frame.extend(vec![126; bytes]);
        frame
    }

    #[test]
    fn c5_lengths_are_minimal_and_positive() {
        let good = [
            frame(&[0x80], 0),
            frame(&[0x80 | 125], 125),
            frame(&[0x80 | 126, 0, 126], 126),
            frame(&[0x80 | 126, 0xff, 0xff], 0xffff),
            frame(&[0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0], 0x1_0000),
        ];
        let bad = [
            frame(&[0x80 | 126, 0, 0], 0),
            frame(&[0x80 | 126, 0, 125], 125),
            frame(&[0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 1], 1),
            frame(&[0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], 0xffff),
            frame(&[0x80 | 127, 0x80, 0, 0, 0, 0, 1, 0, 0], 0),
            frame(&[0x80 | 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0),
        ];
        assert!(passes(&good.concat()));
        for bad in bad {
            assert!(!passes(&bad));
            for good in &good {
                assert!(!passes(&[good.as_slice(), &bad].concat()));
            }
        }
    }

    #[test]
    fn busy_socket_yields_to_others() {
        let mut endless = Turns::new(tokio::io::repeat(0));
        let mut context = Context::from_waker(Waker::noop());
        let mut turn = || {
            let mut read = 0;
            loop {
                let mut bytes = [0; 100];
                let mut buffer = ReadBuf::new(&mut bytes);
                if Pin::new(&mut endless).poll_read(&mut context, &mut buffer).is_pending() {
                    return read;
                }
                read += buffer.filled().len();
                assert!(read < 2 * TURN_BYTES, "nobody else gets a turn");
            }
        };
        let (first, second) = (turn(), turn());
        assert!(first >= TURN_BYTES && first == second, "{first} {second}");
    }
}
