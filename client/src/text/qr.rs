//! A link as a QR code on the terminal, so that it goes from screen to phone without being retyped.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules round the code (ISO/IEC 18004 section 9.1); without them scanners find nothing.
const QUIET_ZONE: usize = 4;

/// How modules are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// Two modules in one character cell, by Unicode half blocks.
    HalfBlocks,
    /// One module in two columns of number signs and spaces, for terminals without Unicode.
    Ascii,
}

/// Why there is no code to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QrError {
    /// No QR code holds that much.
    #[error("the link is too long for one")]
    TooLong,
    /// The terminal is too narrow; a wrapped code cannot be scanned.
    #[error("it needs {needed} columns, and the window has {columns}")]
    TooNarrow {
        /// Columns that it takes.
        needed: usize,
        /// Columns that there are.
        columns: usize,
    },
}

/// Draws a link. Light modules are filled, which is right on the dark background that most terminals have;
/// scanners read the reverse, too.
///
/// # Errors
/// See [`QrError`].
pub fn draw(link: &str, drawing: Drawing, columns: usize) -> Result<String, QrError> {
    // The lowest correction keeps the code within 80 columns; a screen has no stains.
    let code =
        QrCode::with_error_correction_level(link, EcLevel::L).map_err(|_| QrError::TooLong)?;
    let side = code.width() + 2 * QUIET_ZONE;
    let needed = match drawing {
        Drawing::HalfBlocks => side,
        Drawing::Ascii => 2 * side,
    };
    if needed > columns {
        return Err(QrError::TooNarrow { needed, columns });
    }
    let light = |x: usize, y: usize| {
        let inside = QUIET_ZONE..QUIET_ZONE + code.width();
        let dark = inside.contains(&x)
            && inside.contains(&y)
            && code[(x - QUIET_ZONE, y - QUIET_ZONE)] == Color::Dark;
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
        Drawing::Ascii => {
            for y in 0..side {
                out.extend((0..side).map(|x| if light(x, y) { "##" } else { "  " }));
                out.push('\n');
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use hearth_protocol::{
        id::{Digest, MemberKey, Millis, Pin, RelayId, RoomId},
        invite::{Invite, RelayAddress, Transport},
        secret::Secret32,
    };

    use super::*;

    fn link() -> String {
        let address = RelayAddress {
            authority: "hearth.relay.example.org:7443".into(),
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

    #[test]
    fn an_invite_fits_eighty_columns_and_both_drawings_agree() {
        let blocks = draw(&link(), Drawing::HalfBlocks, 80).unwrap();
        let ascii = draw(&link(), Drawing::Ascii, 200).unwrap();
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

    #[test]
    fn the_quiet_zone_is_light_all_round() {
        let ascii = draw("hearth://x", Drawing::Ascii, 200).unwrap();
        let lines: Vec<&str> = ascii.lines().collect();
        let zone = 2 * QUIET_ZONE;
        for (y, line) in lines.iter().enumerate() {
            assert!(line.starts_with(&"#".repeat(zone)) && line.ends_with(&"#".repeat(zone)));
            let edge = y < QUIET_ZONE || y >= lines.len() - QUIET_ZONE;
            assert_eq!(edge, !line.contains(' '), "line {y}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said() {
        assert!(matches!(draw(&link(), Drawing::HalfBlocks, 40), Err(QrError::TooNarrow { .. })));
        assert_eq!(draw(&"x".repeat(4000), Drawing::Ascii, 80), Err(QrError::TooLong));
    }
}
