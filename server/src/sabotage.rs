//! What tests may spoil, to prove that they would notice. The feature `sabotage` alone makes it possible.

#[cfg(feature = "sabotage")]
mod switch {
    use std::sync::atomic::{AtomicBool, Ordering};

    static RARELY: AtomicBool = AtomicBool::new(false);

    /// Lets the relays of this process acknowledge what is not synced.
    pub fn sync_rarely() {
        RARELY.store(true, Ordering::SeqCst);
    }

    pub(crate) fn synchronous() -> &'static str {
        if RARELY.load(Ordering::SeqCst) { "NORMAL" } else { "FULL" }
    }
}

#[cfg(feature = "sabotage")]
pub use switch::sync_rarely;
#[cfg(feature = "sabotage")]
pub(crate) use switch::synchronous;

#[cfg(not(feature = "sabotage"))]
pub(crate) const fn synchronous() -> &'static str {
    "FULL"
}
