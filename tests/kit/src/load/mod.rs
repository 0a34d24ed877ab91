//! What measures the relay from the outside: lean connections, rooms full of them, and a look at the machine.
//!
//! The generator does no cryptography of messages: payloads carry the header of an MLS PrivateMessage (RFC 9420
//! section 6.3) for the room's current epoch and arbitrary bytes behind it, which is all a relay can tell. TLS,
//! WebSocket, authentication and admission are real.

pub mod crowd;
pub mod drive;
mod floor;
pub mod growth;
pub mod idle;
pub mod machine;
pub mod naive;
pub mod plot;
pub mod reference;
pub mod rooms;
pub mod wire;
