//! What an end-entity certificate says of itself: names, dates, key (RFC 5280).

use std::net::{Ipv4Addr, Ipv6Addr};

use hearth_protocol::{Pin, hash};
use x509_parser::extensions::GeneralName;

/// What a certificate says of itself.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) pin: Pin,
    pub(crate) self_signed: bool,
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    /// Names and addresses that it is for.
    pub(crate) names: Vec<String>,
}

/// Reads what an end-entity certificate says.
pub(crate) fn facts(leaf: &[u8]) -> Option<Facts> {
    let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let alternative = parsed.subject_alternative_name().ok().flatten();
    let names = alternative.map_or_else(Vec::new, |extension| {
        extension
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(bytes) => match *bytes {
                    [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d).to_string()),
                    bytes => <[u8; 16]>::try_from(bytes)
                        .ok()
                        .map(|bytes| Ipv6Addr::from(bytes).to_string()),
                },
                _ => None,
            })
            .collect()
    });
    Some(Facts {
        pin: Pin(hash::sha256(parsed.public_key().raw).0),
        self_signed: parsed.subject() == parsed.issuer(),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
        names,
    })
}
