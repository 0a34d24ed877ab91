//! What a connection costs that is authenticated, subscribed and silent.

use std::io;

use super::{
    drive::{Dialect, Field, Shape},
    machine::Server,
    rooms,
};

/// Connections that are there before anything is counted: what the first ones bring in for all is not of each.
const WARM: usize = 100;

/// What was seen.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Connections that were counted.
    pub connections: usize,
    /// Bytes resident before them.
    pub before: u64,
    /// Bytes resident for each.
    pub bytes_each: f64,
}

/// Opens rooms at a server in which nobody says anything. The relay is restarted on the core, so that joining is not counted.
///
/// # Errors
/// See [`rooms::open`].
pub fn measure(
    server: Server,
    dialect: Dialect,
    shape: Shape,
    core: Option<usize>,
) -> io::Result<Idle> {
    let Shape { rooms, members, bytes } = shape;
    let warm_rooms = WARM.div_ceil(members);
    let (connections, before, after) = match dialect {
        Dialect::Hearth => {
            let grant = server.grant();
            let open = (0..rooms + warm_rooms)
                .map(|_| rooms::open(&server.target, &grant, members))
                .collect::<io::Result<_>>()?;
            let warm = warm_rooms * members;
            let (server, before, seats) = rooms::come_back(server, core, open, warm)?;
            (seats.len() - warm, before, server.usage())
        }
        Dialect::Baseline(_) => {
            let warm = Shape { rooms: warm_rooms, members, bytes };
            let warm = Field::open(&server, dialect, warm);
            let before = server.usage();
            let field = Field::open(&server, dialect, shape);
            let after = server.usage();
            drop((field, warm));
            (rooms * members, before, after)
        }
    };
    let more = after.resident.saturating_sub(before.resident);
    let bytes_each = more as f64 / connections as f64;
    Ok(Idle { connections, before: before.resident, bytes_each })
}
