//! A relay that acknowledges before it syncs: the control of the power-cut tests, which must lose something.

use std::sync::atomic::{AtomicBool, Ordering};

static RARELY: AtomicBool = AtomicBool::new(false);

/// Makes the relays of this process acknowledge unsynced transactions.
pub fn sync_rarely() {
    RARELY.store(true, Ordering::SeqCst);
}

pub(crate) fn syncs_rarely() -> bool {
    RARELY.load(Ordering::SeqCst)
}
