//! Whose process is at the other end of a loopback connection.

use std::{fs, net::SocketAddr};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A process of this user.
    Ours,
    /// A process of another user.
    Other,
    /// The system does not say.
    Unknown,
}

/// Bytes of the system's table of sockets that are read.
const TABLE_BYTES_MAX: u64 = 16 << 20;

/// Asks the system whose socket is connected from `peer` to `server`.
pub(crate) fn of(peer: SocketAddr, server: SocketAddr) -> Peer {
    // A socket that speaks both families stands in the second table.
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().filter_map(read);
    let ours = rustix::process::geteuid().as_raw();
    tables.map(|table| judge(&table, peer, server, ours)).fold(
        Peer::Unknown,
        |before, found| match (before, found) {
            (Peer::Other, _) | (_, Peer::Other) => Peer::Other,
            (Peer::Ours, _) | (_, Peer::Ours) => Peer::Ours,
            _ => Peer::Unknown,
        },
    )
}

fn read(path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut table = String::new();
    fs::File::open(path).ok()?.take(TABLE_BYTES_MAX).read_to_string(&mut table).ok()?;
    Some(table)
}

/// Finds a connection in a table of the form of Linux's `/proc/net/tcp`.
pub(crate) fn judge(table: &str, peer: SocketAddr, server: SocketAddr, ours: u32) -> Peer {
    let (from, to) = (port_of(peer), port_of(server));
    for line in table.lines().skip(1) {
        let mut fields = line.split_ascii_whitespace();
        let (local, remote) = (fields.nth(1).unwrap_or(""), fields.next().unwrap_or(""));
        if !is_at(local, &from) || !is_at(remote, &to) {
            continue;
        }
        // State, queues, timer, retransmits stand before the user.
        return match fields.nth(4).and_then(|uid| uid.parse::<u32>().ok()) {
            Some(uid) if uid == ours => Peer::Ours,
            Some(_) => Peer::Other,
            None => Peer::Unknown,
        };
    }
    Peer::Unknown
}

fn port_of(address: SocketAddr) -> String {
    format!("{:04X}", address.port())
}

/// Whether an entry is that port of 127.0.0.1, in either family. The address stands in host order, so both orders are known.
fn is_at(entry: &str, port: &str) -> bool {
    let Some((address, at)) = entry.split_once(':') else { return false };
    let loopback = matches!(
        address,
        "0100007F"
            | "7F000001"
            | "0000000000000000FFFF00000100007F"
            | "00000000000000000000FFFF7F000001"
    );
    loopback && at == port
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn peer_of_another_user_is_told_apart() {
        let row = "   1: 0100007F:1F90 0100007F:0050 01 00000000:00000000 00:00000000 00000000  1000        0 5 1\n";
        let table = format!("{HEAD}{row}");
        assert_eq!(judge(&table, at(0x1F90), at(0x50), 1000), Peer::Ours);
        assert_eq!(judge(&table, at(0x1F90), at(0x50), 1001), Peer::Other);
        // The server's own end of the connection is not the peer's.
        assert_eq!(judge(&table, at(0x50), at(0x1F90), 1000), Peer::Unknown);
        assert_eq!(judge(&table, at(0x1F91), at(0x50), 1000), Peer::Unknown);
    }

    #[test]
    fn dual_stack_peer_is_found() {
        let row = "   1: 0000000000000000FFFF00000100007F:1F90 0000000000000000FFFF00000100007F:0050 01 0:0 0:0 0  7 0 5\n";
        assert_eq!(judge(&format!("{HEAD}{row}"), at(0x1F90), at(0x50), 7), Peer::Ours);
    }

    #[test]
    fn mangled_table_says_nothing() {
        for row in ["", "x", "1: 0100007F:1F90", "1: 0100007F:1F90 0100007F:0050 01 a b c d e"] {
            assert_eq!(
                judge(&format!("{HEAD}{row}"), at(0x1F90), at(0x50), 0),
                Peer::Unknown,
                "{row}"
            );
        }
    }
}
