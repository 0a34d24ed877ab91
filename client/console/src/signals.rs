//! Signals that end a command: SIGINT, SIGTERM and SIGHUP, and their handling.
//!
//! By default they kill the process, which suits most commands, because only data on disk was promised. A chat shuts down in
//! order, and a question without echo restores the echo first.

use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
    time::Duration,
};

use rustix::{
    process::{Signal as Kill, getpgrp, getpid, kill_current_process_group, kill_process},
    termios::tcgetpgrp,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::line;

/// A shell reports an end by a signal as this number plus the signal's.
const ENDED_BY_SIGNAL: i32 = 128;

/// Longest time between a signal to stop and the stop.
const STOPPING: Duration = Duration::from_millis(500);

/// Whether a command handles the signals itself.
static HEEDED: AtomicBool = AtomicBool::new(false);

/// Resolves at a signal to stop. From the first poll on, the caller must end the process.
pub async fn stop() {
    let Ok(mut signals) = Signals::new() else {
        return std::future::pending().await;
    };
    HEEDED.store(true, Ordering::SeqCst);
    signals.next().await;
}

/// Makes a signal to stop restore the terminal before it ends the process, unless a command handles it.
///
/// The default action cannot be restored afterwards, so this stays: the process then exits with the code that a shell
/// reports for a process that the signal killed.
///
/// # Errors
/// If signals cannot be received.
pub fn restore_terminal_first() -> io::Result<()> {
    static LISTENING: AtomicBool = AtomicBool::new(false);
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let (sender, listening) = mpsc::sync_channel(1);
    // A separate thread, because a question blocks its caller.
    thread::Builder::new().name("signals".into()).spawn(move || listen(&sender))?;
    let listens = listening.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    if listens.is_err() {
        LISTENING.store(false, Ordering::SeqCst);
    }
    listens
}

/// Stops this process, or the terminal's whole foreground group if it belongs to one, until it is continued. The system does
/// not stop an orphaned group.
pub fn suspend() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let Ok(mut continued) = signal(SignalKind::from_raw(Kill::CONT.as_raw())) else { return };
        let foreground = tcgetpgrp(io::stdin()).is_ok_and(|group| group == getpgrp());
        let stopped = match foreground {
            true => kill_current_process_group(Kill::TSTP),
            false => kill_process(getpid(), Kill::TSTP),
        };
        if stopped.is_ok() {
            // The other threads stop a moment after the thread that receives the signal.
            let _ = tokio::time::timeout(STOPPING, continued.recv()).await;
        }
    });
}

/// Runs something on a thread of its own that gets the signals that the terminal's size has changed, from now on.
pub(crate) fn follow_size<F: Future<Output = ()> + Send + 'static>(
    what: impl FnOnce(Signal) -> F,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let sizes = {
        let _inside = runtime.enter();
        signal(SignalKind::window_change())?
    };
    let what = what(sizes);
    thread::Builder::new().name("size".into()).spawn(move || runtime.block_on(what))?;
    Ok(())
}

fn listen(begun: &SyncSender<io::Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // The caller waits for the answer.
            let _ = begun.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                let _ = begun.send(Err(error));
                return;
            }
        };
        let _ = begun.send(Ok(()));
        let number = signals.next().await;
        if !HEEDED.load(Ordering::SeqCst) {
            line::leave_terminal_and_exit(ENDED_BY_SIGNAL + number);
        }
    });
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of the signals; returns its number.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        kind.as_raw_value()
    }
}
