//! A line that begins with an @ and a name: for whom it is.

use hearth_session::client::RoomView;

/// Where such a line goes.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum To {
    /// To a lane: what `checkin` takes.
    Lane(Vec<String>),
    /// Nowhere, because nobody is called so.
    Unknown {
        /// The name, as it was typed.
        name: String,
        /// The line.
        text: String,
    },
    /// Nowhere, because nobody but everybody reads it.
    Nobody {
        /// The member whom it names.
        name: String,
        /// The line.
        text: String,
    },
}

/// Returns where a line goes that begins with an @ and a member's name; `None` where it is for the room.
pub(super) fn addressed(view: &RoomView, line: &str) -> Option<To> {
    let rest = line.trim().strip_prefix('@')?.trim_start();
    if view.standing.keeps_lane() && view.own_lane().is_some() {
        // Who waits has no roster, and knows by name those who read the lane.
        let words = view.help.bench.iter().filter_map(|name| words_behind(rest, name));
        return words.min_by_key(|words| words.len()).map(|words| To::Lane(vec![words.to_owned()]));
    }
    view.policy.as_ref()?.desk.as_ref()?;
    let named = view.roster.iter().filter(|leaf| leaf.member != view.me);
    let named = named.filter_map(|leaf| Some((leaf, words_behind(rest, &leaf.name)?)));
    // The longest name is meant, because one may begin with another.
    let Some((leaf, words)) = named.max_by_key(|(leaf, _)| leaf.name.len()) else {
        let name = rest.split_whitespace().next().unwrap_or_default();
        let is_mine = words_behind(rest.trim_start(), &view.name).is_some();
        let is_name = name.chars().next().is_some_and(char::is_alphabetic);
        let (name, text) = (name.to_owned(), line.to_owned());
        return (is_name && !is_mine).then_some(To::Unknown { name, text });
    };
    let moderates = |member| view.policy.as_ref().is_some_and(|p| p.role(member).moderates());
    Some(match (moderates(&view.me), moderates(&leaf.member)) {
        (true, _) => To::Lane(vec![leaf.name.clone(), words.to_owned()]),
        (false, true) => To::Lane(vec![words.to_owned()]),
        (false, false) => To::Nobody { name: leaf.name.clone(), text: line.to_owned() },
    })
}

/// Returns the words behind a name; `None` if the line begins with another.
fn words_behind<'a>(rest: &'a str, name: &str) -> Option<&'a str> {
    let begin = rest.get(..name.len())?;
    let words = rest.get(name.len()..)?;
    let ends = words.chars().next().is_none_or(|c| !c.is_alphanumeric());
    let words = words.trim_start_matches([':', ',']).trim();
    (begin.to_lowercase() == name.to_lowercase() && ends).then_some(words)
}
