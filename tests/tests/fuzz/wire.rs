//! What crosses the wire: frames, links, sealed previews and knocks.

use hearth_protocol::{
    Digest, Entry, EntryContent, Millis, RoomId, RoomNumbers, Secret32, codec,
    frame::{Effect, Notice, Standing},
    hash,
    invite::{Grant, Invite},
    limits::FRAME_BYTES_MAX,
    padding,
    seal::{self, Purpose},
};

use super::{choice, chosen, record};

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");
const KEY: Secret32 = Secret32::new([0xee; 32]);
const ROOM: RoomId = RoomId([0x11; 16]);

/// Returns the worked examples of `docs/protocol.md` whose names begin so; `tests/vectors.rs` of the crates compare
/// them with what the product makes.
pub(super) fn examples(prefix: &str) -> Vec<String> {
    let mut lines =
        PROTOCOL.lines().skip_while(|line| !line.starts_with("## Appendix A")).peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        let mut value = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with("  ")) {
            value.push_str(more.trim());
        }
        if !value.is_empty() && line.starts_with(prefix) {
            found.push(value);
        }
    }
    assert!(!found.is_empty(), "there is no example {prefix:?}");
    found
}

/// Returns the bytes of worked examples that are in hexadecimal.
pub(super) fn example_bytes(prefix: &str) -> Vec<Vec<u8>> {
    let decode = |hex: String| data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
    examples(prefix).into_iter().map(decode).collect()
}

/// Decides by the numbers of a room, at telling moments.
pub(super) fn use_numbers(numbers: &RoomNumbers) {
    let Some(hours) = &numbers.hours else { return };
    for now in [0, 1, 1_795_392_000_000, u64::MAX - 1, u64::MAX] {
        let open = hours.is_open(Millis(now));
        let next = hours.next_opening(Millis(now));
        if hours.is_well_formed()
            && !open
            && let Some(next) = next
        {
            assert!(next.0 >= now, "the next opening is past");
        }
    }
}

/// A frame as the relay reads it.
pub(super) fn frame_client(bytes: &[u8]) -> bool {
    use hearth_protocol::ClientFrame::{self, OpenRoom, Submit};
    let decoded = codec::decode_client(bytes);
    assert!(decoded.is_err() || bytes.len() <= FRAME_BYTES_MAX);
    assert_eq!(decoded.is_ok(), record::<ClientFrame>(bytes).is_some());
    match decoded {
        Ok(OpenRoom { numbers, .. }) => use_numbers(&numbers),
        Ok(Submit { effects, .. }) => {
            for effect in effects {
                if let Effect::SetNumbers { numbers } = effect {
                    use_numbers(&numbers);
                }
            }
        }
        Ok(_) => {}
        Err(_) => return false,
    }
    true
}

pub(super) fn client_seeds() -> Vec<Vec<u8>> {
    example_bytes("client ")
}

/// A frame as a member reads it; also the parts that a member keeps.
pub(super) fn frame_server(bytes: &[u8]) -> bool {
    use hearth_protocol::ServerFrame::{self, Entries, Status};
    let decoded = codec::decode_server(bytes);
    assert!(decoded.is_err() || bytes.len() <= FRAME_BYTES_MAX);
    assert_eq!(decoded.is_ok(), record::<ServerFrame>(bytes).is_some());
    record::<Standing>(bytes);
    record::<Notice>(bytes);
    match decoded {
        Ok(Entries { entries, .. }) => {
            for Entry { content, .. } in entries {
                let known = content != EntryContent::Expired;
                assert_eq!(content.digest() != Digest([0; 32]), known, "{content:?}");
            }
        }
        Ok(Status { status, .. }) => use_numbers(&status.numbers),
        Ok(_) => {}
        Err(_) => return false,
    }
    true
}

pub(super) fn server_seeds() -> Vec<Vec<u8>> {
    example_bytes("server ")
}

/// A link: 0 and 1 as it is, 2 and 3 as the body of an invite or grant whose checksum is right.
pub(super) fn link(bytes: &[u8]) -> bool {
    let (way, rest) = choice(bytes);
    let text = match way & 3 {
        0 | 1 => String::from_utf8_lossy(rest).into_owned(),
        2 => link_around("join", rest),
        _ => link_around("grant", rest),
    };
    let mut known = false;
    if let Ok(invite) = Invite::parse(&text) {
        assert_eq!(Invite::parse(&invite.to_link()).as_ref(), Ok(&invite));
        known = true;
    }
    if let Ok(grant) = Grant::parse(&text) {
        assert_eq!(Grant::parse(&grant.to_link()).as_ref(), Ok(&grant));
        assert!(!known, "a link is an invite and a grant");
        known = true;
    }
    known
}

/// Makes a link as `docs/protocol.md` section 3 says, around any body.
fn link_around(kind: &str, body: &[u8]) -> String {
    let authority = "relay.example:7443";
    let parts = [b"hearth", authority.as_bytes(), kind.as_bytes(), body];
    let checksum = hash::labelled("hearth link v1", &parts);
    let body = data_encoding::BASE64URL_NOPAD.encode(&[body, &checksum[..4]].concat());
    format!("hearth://{authority}/{kind}#{body}")
}

pub(super) fn link_seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        examples("link ").iter().map(|link| chosen(0, link.as_bytes())).collect();
    for link in examples("link ") {
        let (head, body) = link.split_once('#').unwrap();
        let body = data_encoding::BASE64URL_NOPAD.decode(body.as_bytes()).unwrap();
        let way = if head.ends_with("join") { 2 } else { 3 };
        seeds.push(chosen(way, &body[..body.len() - 4]));
    }
    seeds
}

/// Sealing: 0 opens the bytes, 1 seals them and damages that, 2 strips them of padding.
pub(super) fn sealed(bytes: &[u8]) -> bool {
    let (way, rest) = choice(bytes);
    match way % 3 {
        0 => {
            let preview = seal::open(&KEY, Purpose::Preview, &ROOM, rest);
            let knock = seal::open(&KEY, Purpose::Knock, &ROOM, rest);
            assert!(preview.is_none() || knock.is_none(), "it opens for two purposes");
            preview.or(knock).is_some()
        }
        1 => {
            let Some(sealed) = seal::seal(&KEY, [7; 24], Purpose::Knock, &ROOM, rest) else {
                return false;
            };
            assert_eq!(seal::open(&KEY, Purpose::Knock, &ROOM, &sealed).as_deref(), Some(rest));
            let mut damaged = sealed;
            let at =
                rest.iter().fold(way.into(), |sum: usize, b| sum * 31 % 65_536 + usize::from(*b));
            let at = at % damaged.len();
            damaged[at] ^= 1 << (way % 8);
            assert_eq!(seal::open(&KEY, Purpose::Knock, &ROOM, &damaged), None);
            true
        }
        _ => {
            if let Some(content) = padding::unpad_marked(rest) {
                assert_eq!(padding::pad_marked(content).as_deref(), Some(rest));
                assert_eq!(padding::unpad(rest), None);
                return true;
            }
            let Some(content) = padding::unpad(rest) else { return false };
            let padded = padding::pad(content).expect("what was padded can be padded");
            assert!(padded.len() <= rest.len());
            assert_eq!(padding::unpad(&padded), Some(content));
            true
        }
    }
}

pub(super) fn sealed_seeds() -> Vec<Vec<u8>> {
    let sealed = ["sealed preview", "sealed knock"].map(|name| example_bytes(name).remove(0));
    let mut seeds: Vec<Vec<u8>> = sealed.iter().map(|bytes| chosen(0, bytes)).collect();
    seeds.push(chosen(1, b"hello"));
    seeds.push(chosen(1, &[7; 300]));
    seeds.extend(example_bytes("padding").iter().map(|bytes| chosen(2, bytes)));
    seeds
}
