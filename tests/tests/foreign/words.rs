//! Application messages of a foreign member: what they say is theirs, and nobody else's words come twice.

use hearth_client::engine::state::{Notice, RowContent};

use super::stage::{BEN, CLEO, FAY, Stage};

#[test]
fn anothers_words_encrypted_again_are_shown_once() {
    let mut stage = Stage::new();
    let original = stage.say(BEN, "once");
    let copy = stage.fox.copy(&original);
    stage.show_all();
    assert!(stage.relay_takes(&copy), "no relay can tell");
    stage.append(copy);
    stage.show();
    let ben = stage.people[BEN].me();
    for who in [FAY, CLEO] {
        // It decrypts, and Ben's signature on it is true: only the id tells.
        let row = stage.last(who);
        assert_eq!((row.from, row.notices), (Some(ben), vec![Notice::Duplicate]));
        assert_eq!(row.content, RowContent::Nothing);
        assert_eq!(stage.texts(who), [("Ben".to_owned(), "once".to_owned())]);
    }
    // Ben is told that somebody uses his keys; his client renews them before it sends again.
    assert_eq!(stage.last(BEN).notices, [Notice::NotMine]);
    stage.fox_skips();
    stage.renew(BEN);
    stage.goes_on();
}
