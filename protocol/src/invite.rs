//! Links: the invite, which is the root of a member's trust, and the grant, which permits its holder to open rooms.
//!
//! `hearth://HOST:PORT/join#BODY` and `hearth://HOST:PORT/grant#BODY`. The secret is in the fragment, which browsers
//! and proxies do not send. `BODY` is base64url without padding of a CBOR array followed by four bytes of checksum over
//! the whole link, so that a link damaged in transit is reported as damaged and not as refused.
//! `docs/protocol.md` section 3.

use core::fmt;

use data_encoding::BASE64URL_NOPAD;
use minicbor::{Decode, Encode};

use crate::{
    codec, hash,
    id::{Digest, InviteId, MemberKey, Millis, Pin, RelayId, RoomId},
    limits::{ADDRESS_BYTES_MAX, LINK_CHARS_MAX},
    secret::Secret32,
};

const CHECKSUM_BYTES: usize = 4;

/// A relay's address and identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayAddress {
    /// `host:port`.
    pub authority: String,
    /// The transport; plain only on loopback.
    pub transport: Transport,
    /// The relay's identity.
    pub relay: RelayId,
    /// The relay's TLS key, if its certificate is self-signed.
    pub pin: Option<Pin>,
}

/// Whether a connection is encrypted by TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// `wss`: TLS 1.3.
    Tls,
    /// `ws`: plain, loopback only, behind a proxy or in a test.
    Plain,
}

/// An invite: the keys to trust, the agreement to acknowledge, and the right to ask for admission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The relay.
    pub address: RelayAddress,
    /// The room.
    pub room: RoomId,
    /// Key of the facilitator who made the invite and signed the preview.
    pub facilitator: MemberKey,
    /// The agreement's id; the preview must contain exactly that text.
    pub agreement: Digest,
    /// The secret from which the preview's key and all others are derived.
    pub secret: Secret32,
    /// End of validity.
    pub expires: Millis,
}

/// A grant: the right to open rooms at a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The relay.
    pub address: RelayAddress,
    /// The secret that the relay gets when a room is opened.
    pub secret: Secret32,
}

/// Reasons why a string is not a valid link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The text is not a link of Hearth.
    #[error("this is not a Hearth link")]
    NotALink,
    /// An invite instead of a grant, or the reverse.
    #[error("this is a Hearth link of another kind")]
    OtherKind,
    /// The link is truncated or altered.
    #[error("the link is damaged or incomplete")]
    Damaged,
    /// The link is of a newer version.
    #[error("the link is from a newer version of Hearth")]
    NewerVersion,
    /// The link is of version 0.1, whose rooms this version cannot read.
    #[error("the link is from Hearth 0.1; ask for a new one")]
    OlderVersion,
}

#[derive(Encode, Decode)]
struct InviteBody {
    #[n(0)]
    version: u16,
    #[n(1)]
    relay: RelayId,
    #[n(2)]
    pin: Option<Pin>,
    #[n(3)]
    room: RoomId,
    #[n(4)]
    facilitator: MemberKey,
    #[n(5)]
    agreement: Digest,
    #[n(6)]
    secret: Secret32,
    #[n(7)]
    expires: Millis,
}

#[derive(Encode, Decode)]
struct GrantBody {
    #[n(0)]
    version: u16,
    #[n(1)]
    relay: RelayId,
    #[n(2)]
    pin: Option<Pin>,
    #[n(3)]
    secret: Secret32,
}

const VERSION: u16 = 2;

impl Invite {
    /// Parses a link; white space around it is ignored.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn parse(link: &str) -> Result<Self, LinkError> {
        let (authority, transport, body) = split(link, "join")?;
        let body: InviteBody = decode_body(&body)?;
        Ok(Self {
            address: RelayAddress { authority, transport, relay: body.relay, pin: body.pin },
            room: body.room,
            facilitator: body.facilitator,
            agreement: body.agreement,
            secret: body.secret,
            expires: body.expires,
        })
    }

    /// Returns the token for the relay.
    pub fn token(&self) -> Secret32 {
        invite_token(&self.secret)
    }

    /// Formats the link. It is not `Display`, because a link is a secret and must not get into a log.
    pub fn to_link(&self) -> String {
        let body = InviteBody {
            version: VERSION,
            relay: self.address.relay,
            pin: self.address.pin,
            room: self.room,
            facilitator: self.facilitator,
            agreement: self.agreement,
            secret: self.secret.clone(),
            expires: self.expires,
        };
        join(&self.address, "join", codec::encode(&body))
    }
}

impl Grant {
    /// Parses a link; white space around it is ignored.
    ///
    /// # Errors
    /// See [`LinkError`].
    pub fn parse(link: &str) -> Result<Self, LinkError> {
        let (authority, transport, body) = split(link, "grant")?;
        let body: GrantBody = decode_body(&body)?;
        Ok(Self {
            address: RelayAddress { authority, transport, relay: body.relay, pin: body.pin },
            secret: body.secret,
        })
    }

    /// Formats the link. It is not `Display`, because a link is a secret and must not get into a log.
    pub fn to_link(&self) -> String {
        let body = GrantBody {
            version: VERSION,
            relay: self.address.relay,
            pin: self.address.pin,
            secret: self.secret.clone(),
        };
        join(&self.address, "grant", codec::encode(&body))
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.transport {
            Transport::Tls => "wss",
            Transport::Plain => "ws",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// Derives the token for the relay from an invite's secret.
pub fn invite_token(secret: &Secret32) -> Secret32 {
    Secret32::new(hash::derive(secret.expose(), "hearth invite token v1"))
}

/// Derives the key that seals the preview.
pub fn preview_key(secret: &Secret32) -> Secret32 {
    Secret32::new(hash::derive(secret.expose(), "hearth invite preview v1"))
}

/// Derives the key that seals the knock.
pub fn knock_key(secret: &Secret32) -> Secret32 {
    Secret32::new(hash::derive(secret.expose(), "hearth invite knock v1"))
}

/// Returns the relay's id of an invite, a hash of the token.
pub fn invite_id(token: &Secret32) -> InviteId {
    let hash = hash::labelled("hearth invite id v1", &[token.expose()]);
    InviteId(*hash.first_chunk().unwrap_or(&[0; 16]))
}

/// Splits a link, checks its checksum and returns authority, transport and the decoded body.
fn split(link: &str, kind: &str) -> Result<(String, Transport, Vec<u8>), LinkError> {
    let link = link.trim();
    if link.len() > LINK_CHARS_MAX {
        return Err(LinkError::NotALink);
    }
    let (transport, rest) = if let Some(rest) = link.strip_prefix("hearth://") {
        (Transport::Tls, rest)
    } else if let Some(rest) = link.strip_prefix("hearth+plain://") {
        (Transport::Plain, rest)
    } else if link.to_ascii_lowercase().starts_with("hearth") {
        return Err(LinkError::Damaged);
    } else {
        return Err(LinkError::NotALink);
    };
    let (authority, rest) = rest.split_once('/').ok_or(LinkError::Damaged)?;
    let (found, body) = rest.split_once('#').ok_or(LinkError::Damaged)?;
    if found != kind {
        let known = matches!(found, "join" | "grant");
        return Err(if known { LinkError::OtherKind } else { LinkError::Damaged });
    }
    if authority.is_empty() || authority.len() > ADDRESS_BYTES_MAX {
        return Err(LinkError::Damaged);
    }
    let mut bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| LinkError::Damaged)?;
    let checksum_at = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(LinkError::Damaged)?;
    let checksum = bytes.split_off(checksum_at);
    if checksum != link_checksum(transport, authority, kind, &bytes) {
        return Err(LinkError::Damaged);
    }
    Ok((authority.to_owned(), transport, bytes))
}

fn decode_body<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, LinkError> {
    // The version is the first field; a newer version may have another shape.
    let mut decoder = minicbor::Decoder::new(bytes);
    let version = decoder.array().and_then(|_| decoder.u16()).map_err(|_| LinkError::Damaged)?;
    match version {
        VERSION => {}
        older if older < VERSION => return Err(LinkError::OlderVersion),
        _ => return Err(LinkError::NewerVersion),
    }
    codec::decode(bytes).map_err(|_| LinkError::Damaged)
}

fn join(address: &RelayAddress, kind: &str, mut body: Vec<u8>) -> String {
    let checksum = link_checksum(address.transport, &address.authority, kind, &body);
    body.extend(checksum);
    let scheme = scheme(address.transport);
    format!("{scheme}://{}/{kind}#{}", address.authority, BASE64URL_NOPAD.encode(&body))
}

const fn scheme(transport: Transport) -> &'static str {
    match transport {
        Transport::Tls => "hearth",
        Transport::Plain => "hearth+plain",
    }
}

fn link_checksum(transport: Transport, authority: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let hash = hash::labelled(
        "hearth link v1",
        &[scheme(transport).as_bytes(), authority.as_bytes(), kind.as_bytes(), body],
    );
    hash.into_iter().take(CHECKSUM_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite() -> Invite {
        Invite {
            address: RelayAddress {
                authority: "relay.example:7443".into(),
                transport: Transport::Tls,
                relay: RelayId([1; 32]),
                pin: Some(Pin([2; 32])),
            },
            room: RoomId([3; 16]),
            facilitator: MemberKey([4; 32]),
            agreement: Digest([5; 32]),
            secret: Secret32::new([6; 32]),
            expires: Millis(7),
        }
    }

    #[test]
    fn links_round_trip() {
        let invite = invite();
        assert_eq!(Invite::parse(&format!(" {}\n", invite.to_link())), Ok(invite.clone()));
        let grant = Grant { address: invite.address.clone(), secret: Secret32::new([9; 32]) };
        assert_eq!(Grant::parse(&grant.to_link()), Ok(grant));
    }

    #[test]
    fn truncated_or_altered_links_are_refused() {
        let link = invite().to_link();
        for len in 0..link.len() {
            assert!(Invite::parse(&link[..len]).is_err(), "cut at {len}");
        }
        for index in 0..link.len() {
            let mut bytes = link.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            assert!(Invite::parse(&String::from_utf8(bytes).unwrap()).is_err(), "at {index}");
        }
        assert_eq!(Invite::parse(&link.to_uppercase()), Err(LinkError::Damaged));
    }

    #[test]
    fn link_kinds_are_distinguished() {
        let link = invite().to_link();
        assert_eq!(Grant::parse(&link), Err(LinkError::OtherKind));
        assert_eq!(Invite::parse("https://example.org/"), Err(LinkError::NotALink));
    }

    /// Newer versions are told apart.
    #[test]
    fn link_lengths_are_bounded() {
        let with = |authority: String, version| {
            let mut bytes = codec::encode(&GrantBody {
                version,
                relay: RelayId([1; 32]),
                pin: None,
                secret: Secret32::new([6; 32]),
            });
            bytes.extend(link_checksum(Transport::Tls, &authority, "grant", &bytes));
            format!("hearth://{authority}/grant#{}", BASE64URL_NOPAD.encode(&bytes))
        };
        let authority = |len| "a".repeat(len);
        assert!(Grant::parse(&with(authority(ADDRESS_BYTES_MAX), VERSION)).is_ok());
        let long = with(authority(ADDRESS_BYTES_MAX + 1), VERSION);
        assert_eq!(Grant::parse(&long), Err(LinkError::Damaged));
        assert_eq!(Grant::parse(&with(String::new(), VERSION)), Err(LinkError::Damaged));
        assert_eq!(Grant::parse(&with(authority(9), 3)), Err(LinkError::NewerVersion));
        assert_eq!(Grant::parse(&with(authority(9), 1)), Err(LinkError::OlderVersion));

        let cut = |len| format!("hearth://{}", "a".repeat(len - 9));
        assert_eq!(Grant::parse(&cut(LINK_CHARS_MAX)), Err(LinkError::Damaged));
        assert_eq!(Grant::parse(&cut(LINK_CHARS_MAX + 1)), Err(LinkError::NotALink));
    }

    #[test]
    fn address_prints_as_socket_address() {
        let address = invite().address;
        assert_eq!(address.to_string(), "wss://relay.example:7443");
        let plain = RelayAddress { transport: Transport::Plain, ..address };
        assert_eq!(plain.to_string(), "ws://relay.example:7443");
    }

    #[test]
    fn secrets_do_not_print() {
        assert!(!format!("{:?}", invite()).contains("0606"));
    }
}
