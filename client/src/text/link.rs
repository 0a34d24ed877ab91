//! A link as people paste it: broken over lines, in quotes or angle brackets, with words before and behind it.

use hearth_protocol::{invite::LinkError, limits::LINK_CHARS_MAX};

use hearth_text::escape::is_invisible;
use unicode_normalization::UnicodeNormalization as _;

/// Bytes that are looked through for a link.
pub const PASTED_BYTES_MAX: usize = 16 * 1024;
/// What a link of ours begins with.
const SCHEMES: [&str; 2] = ["hearth://", "hearth+plain://"];
/// What a link of ours begins with inside of another.
const ESCAPED: [&str; 2] = ["hearth%3a%2f%2f", "hearth%2bplain%3a%2f%2f"];
/// Places at which a link may begin.
const PLACES_MAX: usize = 8;
/// What may stick to the end of a link, and can stand in one: the end of a sentence, or of an address.
const TRAILING: [char; 8] = ['.', ':', ']', '/', '#', '%', '_', '-'];
/// What a program may have made of one hyphen and of two. The checksum says which it was.
const DASHES: [[&str; 2]; 4] = [["-", "--"], ["--", "--"], ["-", "-"], ["--", "---"]];
/// Digits of a character's number in HTML.
const ENTITY_DIGITS_MAX: usize = 4;

/// Finds the link in what somebody pasted.
///
/// White space and whatever no link holds (quotes, brackets, the `>` of a reply) separate pieces. Pieces are put together until
/// they are a link whose checksum is right, so words behind it do no harm.
///
/// # Errors
/// What `parse` says of the text, if there is no link in it.
pub fn find<T>(pasted: &str, parse: impl Fn(&str) -> Result<T, LinkError>) -> Result<T, LinkError> {
    let whole = parse(pasted);
    if !matches!(whole, Err(LinkError::Damaged | LinkError::NotALink))
        || pasted.len() > PASTED_BYTES_MAX
    {
        return whole;
    }
    let mut error = None;
    let mut tried = Vec::new();
    for dashes in DASHES {
        let text = plain(pasted, dashes);
        if tried.contains(&text) {
            continue;
        }
        let lower = text.to_ascii_lowercase();
        for scheme in SCHEMES {
            for (at, _) in lower.match_indices(scheme).take(PLACES_MAX) {
                let rest = text.get(at + scheme.len()..).unwrap_or_default();
                match grow(scheme, rest, &parse) {
                    Ok(link) => return Ok(link),
                    Err(why) => error = Some(why),
                }
            }
        }
        tried.push(text);
    }
    match error {
        Some(error) => Err(error),
        None => whole,
    }
}

/// Whether a text is meant as a link.
pub fn is_meant(text: &str) -> bool {
    let lower = plain(text, DASHES[0]).to_ascii_lowercase();
    SCHEMES.iter().any(|scheme| lower.contains(scheme))
}

/// Puts pieces together until they are a link.
fn grow<T>(
    scheme: &str,
    rest: &str,
    parse: &impl Fn(&str) -> Result<T, LinkError>,
) -> Result<T, LinkError> {
    let mut link = scheme.to_owned();
    for piece in rest.split(|c| !may_stand_in_link(c)).filter(|piece| !piece.is_empty()) {
        link.push_str(piece);
        if link.len() > LINK_CHARS_MAX {
            break;
        }
        let shorter = link.strip_suffix(TRAILING).unwrap_or(&link);
        for candidate in [link.as_str(), shorter, link.trim_end_matches(TRAILING)] {
            // Some programs escape only a part of a link.
            let escaped = candidate.contains('%').then(|| unescaped(candidate));
            for candidate in [Some(candidate), escaped.as_deref()].into_iter().flatten() {
                match parse(candidate) {
                    Err(LinkError::Damaged | LinkError::NotALink) => {}
                    answer => return answer,
                }
            }
        }
    }
    Err(LinkError::Damaged)
}

const fn may_stand_in_link(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '#' | '[' | ']' | '%')
}

/// Undoes what programs do to a link on its way, and separates schemes that were broken over lines. A short and a long dash stand
/// for these hyphens.
fn plain(pasted: &str, [short, long]: [&str; 2]) -> String {
    let mut text = String::with_capacity(pasted.len());
    for c in pasted.chars().filter(|c| !is_invisible(*c) || c.is_whitespace()) {
        match c {
            '\u{2010}' | '\u{2011}' | '\u{2012}' | '\u{2212}' => text.push('-'),
            '\u{2013}' => text.push_str(short),
            '\u{2014}' | '\u{2015}' => text.push_str(long),
            // Full-width letters and signs, as some keyboards make them.
            c if !c.is_whitespace() => text.extend(std::iter::once(c).nfkc()),
            c => text.push(c),
        }
    }
    let mut text = without_entities(&text);
    // A program that checks links puts them into one of its own.
    if ESCAPED.iter().any(|mark| text.to_ascii_lowercase().contains(mark)) {
        text = unescaped(&text);
    }
    for broken in ["hearth:", "hearth+plain:"] {
        text = heal(&text, broken);
    }
    text
}

/// Replaces the signs that HTML writes by name or number.
fn without_entities(text: &str) -> String {
    let mut pieces = text.split('&');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let sign = piece.split_once(';').and_then(|(name, rest)| Some((entity(name)?, rest)));
        match sign {
            Some((sign, rest)) => {
                out.push(sign);
                out.push_str(rest);
            }
            None => {
                out.push('&');
                out.push_str(piece);
            }
        }
    }
    out
}

fn entity(name: &str) -> Option<char> {
    let digits = match name.to_ascii_lowercase() {
        name if name.len() > ENTITY_DIGITS_MAX + 2 => return None,
        name => name,
    };
    let number = match digits.as_str() {
        "num" => return Some('#'),
        "colon" => return Some(':'),
        "sol" => return Some('/'),
        "lt" | "gt" | "quot" | "apos" => return Some(' '),
        digits => match digits.strip_prefix('#')? {
            hex if hex.starts_with('x') => u8::from_str_radix(&hex[1..], 16).ok()?,
            decimal => decimal.parse::<u8>().ok()?,
        },
    };
    number.is_ascii().then_some(char::from(number))
}

/// Undoes percent encoding (RFC 3986 section 2.1) of ASCII.
fn unescaped(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let byte = piece.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte.filter(u8::is_ascii), piece.get(2..)) {
            (Some(byte), Some(rest)) => {
                out.push(char::from(byte));
                out.push_str(rest);
            }
            _ => {
                out.push('%');
                out.push_str(piece);
            }
        }
    }
    out
}

/// Joins a scheme to its slashes where a line was broken between them, or behind them, or where one of them is gone.
fn heal(text: &str, scheme: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in lower.match_indices(scheme) {
        let end = at + scheme.len();
        let behind = text.get(end..).unwrap_or_default();
        let is_gap = |c: char| c.is_whitespace() || c == '=' || c == '>' || c == '\\';
        let rest = behind.trim_start_matches(is_gap);
        let Some(one) = rest.strip_prefix('/').filter(|_| end >= done) else { continue };
        // A program that cleans paths takes two slashes for one.
        let rest = one.trim_start_matches(is_gap);
        let rest = rest.strip_prefix('/').unwrap_or(one);
        out.push_str(text.get(done..end).unwrap_or_default());
        out.push_str("//");
        done = text.len() - rest.len();
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use hearth_protocol::{
        Digest, MemberKey, Millis, Pin, RelayId, RoomId, Secret32,
        invite::{Grant, Invite, RelayAddress, Transport},
    };

    use super::*;

    fn invite(authority: &str) -> Invite {
        Invite {
            address: RelayAddress {
                authority: authority.into(),
                transport: Transport::Tls,
                relay: RelayId([1; 32]),
                pin: Some(Pin([250; 32])),
            },
            room: RoomId([3; 16]),
            facilitator: MemberKey([251; 32]),
            agreement: Digest([5; 32]),
            secret: Secret32::new([6; 32]),
            expires: Millis(7),
        }
    }

    #[test]
    fn a_link_is_found_however_it_was_pasted() {
        for authority in ["relay.example:7443", "[::1]:7443"] {
            let (invite, link) = (invite(authority), invite(authority).to_link());
            let broken = |with: &str| {
                let bytes: Vec<&str> =
                    (0..link.len()).step_by(60).map(|i| &link[i..link.len().min(i + 60)]).collect();
                bytes.join(with)
            };
            let (front, back) = link.split_at(4);
            for pasted in [
                broken("\n"),
                broken("\r\n"),
                broken("\n> "),
                broken(" "),
                broken("=\n"),
                broken("\u{200b}"),
                format!("{front}{back}."),
                format!("'{link}'"),
                format!("\u{201c}{link}\u{201d},"),
                format!("<{link}>"),
                format!("<{}>;", broken("\n  ")),
                format!("({link})!"),
                format!("Ben, here it is: {link}\nSee you on Tuesday, Fay."),
                format!("hearth://not-this-one and then {link}"),
                format!("\u{feff}{link}\u{a0}"),
                link.replace("hearth://", "Hearth://"),
                link.replace("hearth://", "hearth:\n//"),
                link.replace("hearth://", "hearth:/\n/"),
                link.replace('#', "%23"),
                link.replace('#', "#\n"),
                link.replace("--", "\u{2014}"),
                link.replace("--", "\u{2013}"),
                link.replace('-', "\u{2014}"),
                link.replace('-', "\u{2212}"),
                link.replace("hearth://", "HEARTH://"),
                link.replace("hearth://", "hearth:// "),
                link.replace("hearth://", "hearth:/"),
                link.replace("hearth://", "hearth:\\/\\/"),
                link.replace("hearth://", "hearth:=\n//"),
                link.replace("hearth://", "hearth\u{ff1a}\u{ff0f}\u{ff0f}"),
                link.replace('#', "&num;").replace('/', "&#x2F;").replace(':', "&#58;"),
                format!("Link:{link}"),
                format!("Link #2: {}", link.replace('#', "%23")),
                format!("&lt;{link}&gt;"),
                format!("\u{2018}{link}\u{2019} \u{ab}{link}\u{bb}"),
                format!("[{link}]({link})"),
                format!("{link}\u{2026}"),
                format!("{link}-"),
                broken("\u{ad}"),
                broken("\u{ad}\n"),
                broken("=\r\n"),
                broken("\\\n"),
                broken("\n| "),
                broken("\n\u{bb} "),
                link.replace('_', "\\_").replace('-', "\\-").replace('#', "\\#"),
                link.replacen(':', "%3A", 2).replacen("%3A", ":", 1).replace('#', "%23"),
                format!("_{link}_"),
                format!("**_{link}_**."),
                link.replace('#', "&#35;"),
                format!(
                    "https://safe.example/?url={}&data=05%7C02%7C",
                    link.replace(':', "%3A").replace('/', "%2F").replace('#', "%23")
                ),
            ] {
                assert_eq!(find(&pasted, Invite::parse).as_ref(), Ok(&invite), "{pasted:?}");
                assert!(is_meant(&pasted), "{pasted:?}");
            }
        }
    }

    #[test]
    fn what_is_no_link_is_named() {
        let link = invite("relay.example:7443").to_link();
        for (text, expected) in [
            ("", LinkError::NotALink),
            ("https://example.org", LinkError::NotALink),
            ("hearth", LinkError::Damaged),
            (&link[..link.len() - 1], LinkError::Damaged),
            (&format!("<{}>", &link[..60]), LinkError::Damaged),
            (&"hearth://".repeat(1000), LinkError::Damaged),
        ] {
            assert_eq!(find(text, Invite::parse), Err(expected), "{text}");
        }
        assert_eq!(find(&format!("<{link}>"), Grant::parse), Err(LinkError::OtherKind));
        assert!(!is_meant("hearth-circle"));
    }
}
