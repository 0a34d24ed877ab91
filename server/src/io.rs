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

/// What WebSocket runs on.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A stream whose kind does not matter any more.
pub(crate) type AnyIo = Box<dyn Io>;

/// Bytes that may come in without a message coming of them: one of the greatest size, and what wraps it.
///
/// Frames are counted by message. What makes none costs as much to read and would not be counted: fragments without an
/// end or without content (RFC 6455 section 5.4), TLS records without content, changes of TLS keys.
const FRUITLESS_BYTES_MAX: u64 = 2 * FRAME_BYTES_MAX as u64;

/// Bytes after which a socket that always has more lets others go first. They may be hundreds of frames.
const TURN_BYTES: usize = 1024;

/// What one socket took and gave.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    written: AtomicU64,
    /// Bytes read since the last message.
    fruitless: AtomicU64,
}

impl Progress {
    /// Bytes that the kernel took: tells a slow reader from a dead one.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Says that a message came of what was read.
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

/// A stream that lets others go first after [`TURN_BYTES`]; what reads goes on as long as there is something.
///
/// Below TLS it stops records without content, above it what one record brought: up to 16 KiB at once.
#[derive(Debug)]
pub(crate) struct Turns<S> {
    stream: S,
    /// Bytes read since others went first.
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

/// A TCP stream that counts.
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

    #[test]
    fn who_always_has_more_lets_others_go_first() {
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
