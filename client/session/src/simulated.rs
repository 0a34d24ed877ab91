//! A way to the relay, as a simulation supplies it instead of the machine.
//!
//! Exists only with the feature `simulation`, which `hearth-tests` alone enables. Nothing from outside (no flag, file,
//! variable or frame) reaches it: only a call in the same process and thread does.

use std::{cell::RefCell, io, rc::Rc};

use tokio::io::DuplexStream;

/// Opens the member's end of a connection, up to which the network is the caller's.
pub type Dial = Rc<dyn Fn() -> io::Result<DuplexStream>>;

thread_local! {
    static DIAL: RefCell<Option<Dial>> = const { RefCell::new(None) };
}

/// Runs something with a network of the caller's choice: one poll of a member's future, say.
pub fn within<T>(dial: &Dial, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Dial>);
    impl Drop for Restore {
        fn drop(&mut self) {
            DIAL.replace(self.0.take());
        }
    }
    let _restore = Restore(DIAL.replace(Some(dial.clone())));
    run()
}

pub(crate) fn dial() -> Option<io::Result<DuplexStream>> {
    let dial = DIAL.with_borrow(Clone::clone)?;
    Some(dial())
}
