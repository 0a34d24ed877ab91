//! Signals that end a command: SIGINT, SIGTERM and SIGHUP, and who heeds them.
//!
//! By default they kill, and most commands want no more: what is not on disk was not promised. A chat leaves in order, and
//! whoever has taken the echo from the terminal gives it back first.

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

/// A shell tells the end by a signal as this much more than its number.
const ENDED_BY_SIGNAL: i32 = 128;

/// Longest time between a signal to stop and the stop.
const STOPPING: Duration = Duration::from_millis(500);

/// Whether a command heeds the signals by itself.
static HEEDED: AtomicBool = AtomicBool::new(false);

/// Resolves at a signal to stop. From the first poll on, the caller is the one to end the process.
pub async fn stop() {
    let Ok(mut signals) = Signals::new() else {
        return std::future::pending().await;
    };
    HEEDED.store(true, Ordering::SeqCst);
    signals.next().await;
}

/// From now on a signal to stop restores the terminal before it ends the process, unless a command heeds it.
///
/// The default cannot be had back afterwards, so this stays: the process then exits with the code that a shell shows for
/// one that the signal killed.
///
/// # Errors
/// If signals cannot be listened to.
pub fn restore_terminal_first() -> io::Result<()> {
    static LISTENING: AtomicBool = AtomicBool::new(false);
    if LISTENING.swap(true, Ordering::SeqCst) {
        return Ok(());
    }
    let (sender, listening) = mpsc::sync_channel(1);
    // A thread of its own, because whoever asks a question blocks.
    thread::Builder::new().name("signals".into()).spawn(move || listen(&sender))?;
    let listens = listening.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
    if listens.is_err() {
        LISTENING.store(false, Ordering::SeqCst);
    }
    listens
}

/// Stops this process, or the terminal's whole foreground group if it is one of it, until it is continued. Where nobody could
/// continue it, the system does not stop it.
pub(crate) fn suspend() {
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
            // The other threads stop a moment later than the one that the signal finds.
            let _ = tokio::time::timeout(STOPPING, continued.recv()).await;
        }
    });
}

fn listen(begun: &SyncSender<io::Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Whoever asked waits for it.
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

    /// Waits for one of them; returns its number.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        kind.as_raw_value()
    }
}
