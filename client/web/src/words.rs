//! Three words that are shown by the terminal and by the page, so that a person sees that they belong together.

const WORDS: [&str; 64] = [
    "acorn", "amber", "anchor", "apple", "autumn", "basket", "birch", "blanket", "bridge",
    "button", "candle", "canyon", "carpet", "cedar", "cherry", "clover", "copper", "cotton",
    "cradle", "daisy", "dinner", "dolphin", "eagle", "ember", "feather", "fiddle", "forest",
    "garden", "ginger", "glacier", "hammer", "harbor", "hazel", "honey", "island", "ivory",
    "jacket", "kettle", "ladder", "lantern", "lemon", "linen", "maple", "marble", "meadow",
    "mirror", "needle", "olive", "orchard", "paper", "pebble", "pepper", "pillow", "planet",
    "ribbon", "river", "saddle", "silver", "spoon", "summer", "thistle", "timber", "velvet",
    "window",
];

/// Draws three words.
pub(crate) fn three() -> Result<String, getrandom::Error> {
    let mut random = [0; 3];
    getrandom::fill(&mut random)?;
    let words =
        random.map(|byte| WORDS.get(usize::from(byte) % WORDS.len()).copied().unwrap_or(""));
    Ok(words.join(" "))
}
