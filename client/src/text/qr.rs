//! A link as a QR code on the terminal, so that it goes from screen to phone without being retyped.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules round the code (ISO/IEC 18004 section 9.1); without them scanners find nothing.
const QUIET_ZONE: usize = 4;
/// Light modules round a code that would not fit otherwise. Scanners of phones need no more on a screen.
const QUIET_ZONE_MIN: usize = 2;

/// How modules are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Two modules in one character cell, by Unicode half blocks.
    HalfBlocks,
    /// Six modules in one character cell, by sextants (Unicode 13). Modules are a third higher than wide, which scanners even out as they do
    /// a slanted view.
    Sextants,
    /// One module in two columns of number signs and spaces, for terminals without Unicode.
    Ascii,
}

/// Why there is no code to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QrError {
    /// No QR code holds that much.
    #[error("the link is too long for one")]
    TooLong,
    /// The terminal is too small; a wrapped or cut code cannot be scanned.
    #[error(
        "it needs {} columns and {} rows, and the window has {} and {}",
        needed.columns, needed.rows, window.columns, window.rows
    )]
    TooSmall {
        /// What it takes.
        needed: Window,
        /// What there is.
        window: Window,
    },
}

/// The size of a terminal, or of a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Columns.
    pub columns: usize,
    /// Rows, without the one of the prompt.
    pub rows: usize,
}

impl Window {
    const fn holds(self, other: Self) -> bool {
        other.columns <= self.columns && other.rows <= self.rows
    }
}

/// Draws a link as large as the window allows. Returns how, because a terminal may lack the small signs.
///
/// # Errors
/// See [`QrError`].
pub fn fit(link: &str, window: Window) -> Result<(String, Drawing), QrError> {
    let code = code(link)?;
    let sizes = [
        (Drawing::HalfBlocks, QUIET_ZONE),
        (Drawing::Sextants, QUIET_ZONE),
        (Drawing::Sextants, QUIET_ZONE_MIN),
    ];
    let fits = |(drawing, zone): &(Drawing, usize)| window.holds(drawing.size(&code, *zone));
    match sizes.into_iter().find(fits) {
        Some((drawing, zone)) => Ok((drawn(&code, drawing, zone), drawing)),
        None => {
            let needed = Drawing::Sextants.size(&code, QUIET_ZONE_MIN);
            Err(QrError::TooSmall { needed, window })
        }
    }
}

/// The lowest correction keeps the code small; a screen has no stains.
fn code(link: &str) -> Result<QrCode, QrError> {
    QrCode::with_error_correction_level(link, EcLevel::L).map_err(|_| QrError::TooLong)
}

impl Drawing {
    /// Returns the size of a drawn code.
    fn size(self, code: &QrCode, zone: usize) -> Window {
        let side = code.width() + 2 * zone;
        let (columns, rows) = match self {
            Self::HalfBlocks => (side, side.div_ceil(2)),
            Self::Sextants => (side.div_ceil(2), side.div_ceil(3)),
            Self::Ascii => (2 * side, side),
        };
        Window { columns, rows }
    }
}

/// Draws a code. Light modules are filled, which is right on the dark background that most terminals have;
/// scanners read the reverse, too.
fn drawn(code: &QrCode, drawing: Drawing, zone: usize) -> String {
    let side = code.width() + 2 * zone;
    let light = |x: usize, y: usize| {
        let inside = zone..zone + code.width();
        let dark =
            inside.contains(&x) && inside.contains(&y) && code[(x - zone, y - zone)] == Color::Dark;
        !dark
    };
    let mut out = String::new();
    match drawing {
        Drawing::HalfBlocks => {
            for y in (0..side).step_by(2) {
                // The side is odd: below the last row there is nothing to fill.
                out.extend((0..side).map(|x| {
                    match (light(x, y), y + 1 < side && light(x, y + 1)) {
                        (true, true) => '█',
                        (true, false) => '▀',
                        (false, true) => '▄',
                        (false, false) => ' ',
                    }
                }));
                out.push('\n');
            }
        }
        Drawing::Sextants => {
            for y in (0..side).step_by(3) {
                // Beyond the side it is light, too.
                out.extend((0..side).step_by(2).map(|x| {
                    let cells = [
                        (x, y),
                        (x + 1, y),
                        (x, y + 1),
                        (x + 1, y + 1),
                        (x, y + 2),
                        (x + 1, y + 2),
                    ];
                    let bits =
                        cells.iter().enumerate().map(|(i, (x, y))| u32::from(light(*x, *y)) << i);
                    sextant(bits.sum())
                }));
                out.push('\n');
            }
        }
        Drawing::Ascii => {
            for y in 0..side {
                out.extend((0..side).map(|x| if light(x, y) { "##" } else { "  " }));
                out.push('\n');
            }
        }
    }
    out
}

/// Returns the sign whose six parts are filled as the bits say, from the upper left to the lower right. Unicode has four of them from
/// before.
fn sextant(bits: u32) -> char {
    const FIRST: u32 = 0x1_fb00;
    match bits {
        0 => ' ',
        21 => '▌',
        42 => '▐',
        63.. => '█',
        bits => {
            let before = 1 + u32::from(bits > 21) + u32::from(bits > 42);
            char::from_u32(FIRST + bits - before).unwrap_or(' ')
        }
    }
}

#[cfg(test)]
mod tests {
    use hearth_protocol::{
        id::{Digest, MemberKey, Millis, Pin, RelayId, RoomId},
        invite::{Invite, RelayAddress, Transport},
        secret::Secret32,
    };

    use super::*;

    fn link_of(authority: &str) -> String {
        let address = RelayAddress {
            authority: authority.into(),
            transport: Transport::Tls,
            relay: RelayId([1; 32]),
            pin: Some(Pin([2; 32])),
        };
        Invite {
            address,
            room: RoomId([3; 16]),
            facilitator: MemberKey([4; 32]),
            agreement: Digest([5; 32]),
            secret: Secret32::new([6; 32]),
            expires: Millis(1_800_000_000_000),
        }
        .to_link()
    }

    fn link() -> String {
        link_of("hearth.relay.example.org:7443")
    }

    /// A plain terminal, without the row of the prompt.
    const PLAIN: Window = Window { columns: 80, rows: 23 };

    #[test]
    fn half_blocks_agree_with_ascii() {
        let code = code(&link()).unwrap();
        let blocks = drawn(&code, Drawing::HalfBlocks, QUIET_ZONE);
        let ascii = drawn(&code, Drawing::Ascii, QUIET_ZONE);
        let rows: Vec<Vec<char>> = blocks.lines().map(|line| line.chars().collect()).collect();
        let side = rows[0].len();
        assert!(side <= 80, "{side}");
        for (y, line) in ascii.lines().enumerate() {
            assert_eq!(line.len(), 2 * side);
            let filled = if y % 2 == 0 { "█▀" } else { "█▄" };
            for (x, cell) in rows[y / 2].iter().enumerate() {
                let light = line.as_bytes()[2 * x] == b'#';
                assert_eq!(light, filled.contains(*cell), "{x} {y}");
            }
        }
    }

    /// Returns whether a part of a sextant is filled.
    fn is_filled(sign: char, part: usize) -> bool {
        (0..64).find(|bits| sextant(*bits) == sign).unwrap() >> part & 1 == 1
    }

    #[test]
    fn sextants_agree_with_ascii() {
        let signs: std::collections::BTreeSet<char> = (0..64).map(sextant).collect();
        assert_eq!(signs.len(), 64);
        // Two of Unicode's names: BLOCK SEXTANT-1 and BLOCK SEXTANT-23456.
        assert_eq!((sextant(1), sextant(62)), ('\u{1fb00}', '\u{1fb3b}'));
        for zone in [QUIET_ZONE, QUIET_ZONE_MIN] {
            let code = code(&link()).unwrap();
            let sextants = drawn(&code, Drawing::Sextants, zone);
            let rows: Vec<Vec<char>> =
                sextants.lines().map(|line| line.chars().collect()).collect();
            for (y, line) in drawn(&code, Drawing::Ascii, zone).lines().enumerate() {
                for x in 0..line.len() / 2 {
                    let light = line.as_bytes()[2 * x] == b'#';
                    let part = 2 * (y % 3) + x % 2;
                    assert_eq!(is_filled(rows[y / 3][x / 2], part), light, "{x} {y}");
                }
            }
        }
    }

    #[test]
    fn invite_fits_a_plain_terminal() {
        for authority in [
            "hearth.relay.example.org:7443",
            "relay.a-rather-long-name-of-a-counselling-centre.example.org:7443",
            "[2001:db8:1234:5678:9abc:def0:1234:5678]:7443",
        ] {
            let (text, drawing) = fit(&link_of(authority), PLAIN).unwrap();
            assert_eq!(drawing, Drawing::Sextants);
            assert!(text.lines().count() <= PLAIN.rows, "{authority}");
            assert!(text.lines().all(|line| line.chars().count() <= PLAIN.columns), "{authority}");
        }
        let large = Window { columns: 80, rows: 40 };
        assert_eq!(fit(&link(), large).unwrap().1, Drawing::HalfBlocks);
    }

    #[test]
    fn quiet_zone_is_light_all_round() {
        let code = code("hearth://x").unwrap();
        for zone in [QUIET_ZONE, QUIET_ZONE_MIN] {
            let ascii = drawn(&code, Drawing::Ascii, zone);
            let lines: Vec<&str> = ascii.lines().collect();
            let filled = "#".repeat(2 * zone);
            for (y, line) in lines.iter().enumerate() {
                assert!(line.starts_with(&filled) && line.ends_with(&filled));
                let edge = y < zone || y >= lines.len() - zone;
                assert_eq!(edge, !line.contains(' '), "line {y}");
            }
        }
    }

    #[test]
    fn too_wide_code_is_told() {
        for window in [Window { columns: 30, ..PLAIN }, Window { rows: 20, ..PLAIN }] {
            assert!(matches!(fit(&link(), window), Err(QrError::TooSmall { .. })));
        }
        assert_eq!(fit(&"x".repeat(4000), PLAIN), Err(QrError::TooLong));
    }
}
