//! Where a connection's bytes go, as a value: the machine's sockets, or what a caller puts in their place.

use std::{fmt, io, rc::Rc};

use hearth_protocol::invite::RelayAddress;
use tokio::io::DuplexStream;

type Dial = Rc<dyn Fn(&RelayAddress) -> io::Result<DuplexStream>>;

/// What connections are opened over.
#[derive(Clone, Default)]
pub struct Network(Option<Dial>);

impl Network {
    /// The machine's sockets.
    pub const fn machine() -> Self {
        Self(None)
    }

    /// Streams that a caller supplies: what would go over TCP goes over them. TLS and WebSocket stay.
    pub fn from_fn(dial: impl Fn(&RelayAddress) -> io::Result<DuplexStream> + 'static) -> Self {
        Self(Some(Rc::new(dial)))
    }

    /// Dials, if this is not the machine's network.
    pub(crate) fn dial(&self, address: &RelayAddress) -> Option<io::Result<DuplexStream>> {
        self.0.as_ref().map(|dial| dial(address))
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Network::from_fn" } else { "Network::machine" })
    }
}
