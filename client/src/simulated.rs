//! Time and a way to the relay, as a simulation supplies them instead of the machine.
//!
//! Exists only with the feature `simulation`, which `hearth-tests` alone enables. Nothing from outside (no flag, file,
//! variable or frame) reaches it: only a call in the same process and thread does.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
};

use hearth_protocol::Millis;
use tokio::io::DuplexStream;

/// Opens the member's end of a connection, up to which the network is the caller's.
pub type Dial = Rc<dyn Fn() -> io::Result<DuplexStream>>;

thread_local! {
    static NOW: Cell<Option<Millis>> = const { Cell::new(None) };
    static DIAL: RefCell<Option<Dial>> = const { RefCell::new(None) };
}

/// Runs something at a time, and with a network, of the caller's choice: one poll of a member's future, say.
pub fn within<T>(now: Millis, dial: &Dial, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Millis>, Option<Dial>);
    impl Drop for Restore {
        fn drop(&mut self) {
            NOW.set(self.0);
            DIAL.replace(self.1.take());
        }
    }
    let _restore = Restore(NOW.replace(Some(now)), DIAL.replace(Some(dial.clone())));
    run()
}

pub(crate) fn now() -> Option<Millis> {
    NOW.get()
}

pub(crate) fn dial() -> Option<io::Result<DuplexStream>> {
    let dial = DIAL.with_borrow(Clone::clone)?;
    Some(dial())
}
