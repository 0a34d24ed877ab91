//! Help blocks to start from, with nothing checked: an agreement with one of them is refused until somebody did.

/// Countries of which at least two pages agreed on a line, read on 28 November 2026. Nobody dialled any of them.
const STARTERS: [(&str, &str); 8] = [
    ("AU", include_str!("../../contacts/au.toml")),
    ("CA", include_str!("../../contacts/ca.toml")),
    ("DE", include_str!("../../contacts/de.toml")),
    ("FR", include_str!("../../contacts/fr.toml")),
    ("GB", include_str!("../../contacts/gb.toml")),
    ("NL", include_str!("../../contacts/nl.toml")),
    ("NZ", include_str!("../../contacts/nz.toml")),
    ("US", include_str!("../../contacts/us.toml")),
];

/// The block of a country of which nothing is known.
const OTHER: &str = include_str!("../../contacts/other.toml");

/// Returns the text of a block to start from, and whether it has lines of that country. `country` is two capital letters; anything
/// else stays to be filled in.
pub fn starter(country: &str) -> (String, bool) {
    if let Some((_, text)) = STARTERS.iter().find(|(code, _)| *code == country) {
        return ((*text).to_owned(), true);
    }
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let country = if is_code { country } else { "[two capital letters, such as GB]" };
    (OTHER.replace("[country]", country), false)
}
