//! A text that carries an invite to somebody who has never seen a terminal: plain words, short sentences, one step a paragraph.

use hearth_forms::{ContactKind, Help};
use hearth_protocol::Millis;

use super::when;

/// Returns the text. It names neither the room nor anybody in it, because it may travel by mail.
pub fn invite(link: &str, uses: u32, expires: Millis, contacts: &[Help]) -> String {
    let of_kind = |kind| {
        let mut all = contacts.iter().flat_map(|help| &help.contacts);
        all.find(|contact| contact.kind == kind).map(hearth_forms::Contact::line)
    };
    let good = match uses {
        1 => "It is for you alone and works once".to_owned(),
        uses => format!("It works for {uses} people, one after another"),
    };
    let until = when::full_moment(expires, &jiff::tz::TimeZone::system());
    let danger = match of_kind(ContactKind::Emergency) {
        Some(number) => format!("In danger, do not write there. Call {number}."),
        None => {
            "In danger, do not write there. Call the emergency number of your country.".to_owned()
        }
    };
    let trouble = match of_kind(ContactKind::Team) {
        Some(contact) => format!("Something does not work? Phone or ask: {contact}."),
        None => "Something does not work? Ask the person who sent you this.".to_owned(),
    };
    format!(
        "Hello,\n\
         \n\
         you are invited to a private room of our group. The group writes to each other there between its meetings, under names \
         that are not the real ones. What is written can be read by the group alone. Nobody promises to read it at once. {danger}\n\
         \n\
         1. Install the program. It is called Hearth.\n\
         Debian or Ubuntu: save the file hearth.deb that came with this message, open a terminal in its folder, and type:\n\
         \x20   sudo apt install ./hearth.deb\n\
         Windows: first open PowerShell, type `wsl --install -d Debian`, and restart. Then do the same in the window \"Debian\".\n\
         Mac, or an Android phone: the guide for participants says how. It takes some minutes longer.\n\
         \n\
         2. In the terminal, type this and press Enter:\n\
         \x20   hearth join\n\
         It asks for the link. Copy the line below as a whole, paste it, and press Enter. You do not see it; that is so on purpose.\n\
         \n\
         {link}\n\
         \n\
         {good}, until {until}. Do not pass it on.\n\
         \n\
         3. Choose a passphrase and remember it. Read the group's agreement. To accept it, type what it asks for. Choose a name that is \
         not your real one. Then wait: somebody lets you in. You can close the window; `hearth join` with the same link goes on.\n\
         \n\
         {trouble}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "```help\ncountry = \"GB\"\n\n[[contact]]\nkind = \"emergency\"\nname = \"999\"\nnumber = \"999\"\nhours = \"always\"\nchecked = { on = \"2026-11-01\", by = \"Fay\", how = \"official page\" }\n\n[[contact]]\nkind = \"team\"\nname = \"Practice\"\nnumber = \"01632 960001\"\nhours = \"Mon 9-12\"\nchecked = { on = \"2026-11-01\", by = \"Fay\", how = \"dialled\" }\n```\n";
    const LINK: &str = "hearth://relay.example.org:7443/join#abc";

    #[test]
    fn letter_says_whom_to_phone() {
        let contacts = Help::read_leniently(HELP);
        assert_eq!(contacts.len(), 1, "{:?}", Help::read(HELP));
        let text = invite(LINK, 1, Millis(86_400_000), &contacts);
        assert!(text.contains("Call 999."), "{text}");
        assert!(text.contains("01632 960001 Practice"), "{text}");
        assert!(text.contains("works once"), "{text}");
        let bare = invite(LINK, 3, Millis(86_400_000), &[]);
        assert!(bare.contains("Ask the person who sent you this"), "{bare}");
        assert!(bare.contains("for 3 people"), "{bare}");
    }

    /// The link stands alone on its line, so that it is copied whole.
    #[test]
    fn link_stands_alone() {
        let text = invite(LINK, 1, Millis(0), &[]);
        assert_eq!(text.lines().filter(|line| line.contains(LINK)).collect::<Vec<_>>(), [LINK]);
        // Words of a sentence, counted by its full stops, stay few.
        for sentence in text.split(['.', ':', '?', '\n']) {
            assert!(sentence.split_whitespace().count() <= 22, "{sentence}");
        }
    }
}
