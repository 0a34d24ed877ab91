//! What a page is told: lines of JSON, in a queue that is bounded in number and bytes.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::{StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame};
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval},
};

/// Lines that a page can leave unread.
const LINES_MAX: usize = 512;
/// Bytes that it can leave unread. One line is taken, however long.
const BYTES_MAX: usize = 16 << 20;
/// Time between two signs of life. A page that misses three takes the stream for lost.
pub(crate) const BEAT: Duration = Duration::from_secs(10);

/// Tells one page. Clones tell the same page.
#[derive(Clone, Debug)]
pub struct Feed {
    lines: mpsc::Sender<Line>,
    queued: Arc<AtomicUsize>,
    /// Whether a line was lost. The stream ends then, so that its page does not go on without it.
    lost: Arc<AtomicBool>,
    number: u64,
}

#[derive(Debug)]
enum Line {
    Text(Bytes),
    End,
}

impl Feed {
    /// Makes a feed, and the body that its page reads. `gone` is dropped with the body.
    pub(crate) fn new<G: Send + Sync + 'static>(
        number: u64,
        gone: G,
    ) -> (Self, BoxBody<Bytes, Infallible>) {
        let (lines, told) = mpsc::channel(LINES_MAX);
        let queued = Arc::new(AtomicUsize::new(0));
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let lost = Arc::default();
        let (counted, ends) = (Arc::clone(&queued), Arc::clone(&lost));
        let told = Told { lines: told, queued: counted, lost: ends, beats, _gone: gone };
        let feed = Self { lines, queued, lost, number };
        (feed, BoxBody::new(StreamBody::new(told)))
    }

    /// Returns which stream it is.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Tells one line. Returns false if the page is gone or has not read for so long that it has to begin again.
    pub fn tell(&self, mut line: String) -> bool {
        let bytes = line.len() + 1;
        let queued = self.queued.fetch_add(bytes, Ordering::Relaxed);
        line.push('\n');
        let told = (queued == 0 || queued.saturating_add(bytes) <= BYTES_MAX)
            && self.lines.try_send(Line::Text(line.into())).is_ok();
        if !told {
            self.lost.store(true, Ordering::Relaxed);
        }
        told
    }

    /// Ends the stream behind what was told.
    pub fn end(&self) {
        // A full queue ends with its last sender.
        let _ = self.lines.try_send(Line::End);
    }
}

/// The body of a stream.
struct Told<G> {
    lines: mpsc::Receiver<Line>,
    queued: Arc<AtomicUsize>,
    lost: Arc<AtomicBool>,
    beats: Interval,
    _gone: G,
}

// Nothing in it is pinned.
impl<G> Unpin for Told<G> {}

impl<G> futures_util::Stream for Told<G> {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        use std::task::Poll;
        match self.lines.poll_recv(cx) {
            Poll::Ready(Some(Line::Text(line))) => {
                self.queued.fetch_sub(line.len(), Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(line))))
            }
            Poll::Ready(Some(Line::End) | None) => Poll::Ready(None),
            // A line that is lost after this look is noticed at the next beat.
            Poll::Pending if self.lost.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => match self.beats.poll_tick(cx) {
                Poll::Ready(_) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"\n"))))),
                Poll::Pending => Poll::Pending,
            },
        }
    }
}
