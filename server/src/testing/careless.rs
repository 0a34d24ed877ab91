//! A relay that acknowledges before it syncs: the control of the power cuts, which must lose something.

use std::sync::atomic::{AtomicBool, Ordering};

static RARELY: AtomicBool = AtomicBool::new(false);

/// Lets the relays of this process acknowledge what is not synced.
pub fn sync_rarely() {
    RARELY.store(true, Ordering::SeqCst);
}

pub(crate) fn syncs_rarely() -> bool {
    RARELY.load(Ordering::SeqCst)
}
