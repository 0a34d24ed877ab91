//! The wire is RFC 9420: another implementation comes in by the front door and takes part.

use hearth_engine::{policy::Act, state::RowContent};
use hearth_protocol::Millis;
use mls_rs::{MlsMessage, group::ReceivedMessage, time::MlsTime};

use super::stage::{BEN, CLEO, FAY, Stage};

#[test]
fn another_implementation_joins_reads_and_is_read() {
    let mut stage = Stage::new();
    stage.say(FAY, "Welcome, Fox.");
    stage.say(BEN, "Hello.");
    stage.show_all();
    assert_eq!(stage.fox.texts(), ["Welcome, Fox.", "Hello."]);
    let words = stage.fox.say("Glad to be here.");
    stage.submit(words);
    stage.show_all();
    for who in [FAY, CLEO, BEN] {
        let row = stage.last(who);
        assert_eq!(row.content, RowContent::Text("Glad to be here.".into()));
        assert_eq!((row.from, row.name.as_str()), (Some(stage.fox.member()), "Fox"));
        assert_eq!(row.notices, []);
    }
    stage.goes_on();
}

/// A lifetime without an end is one for another implementation too, whatever its clock says when it reads who comes.
#[test]
fn a1_endless_lifetime_suits_another_implementation() {
    let mut stage = Stage::new();
    stage.show_all();
    let before = stage.fox.group().clone();
    stage.admit_native("Dan");
    let admission = stage.payloads().pop().unwrap();
    for year in [0_u64, 1, 56, 68, 136, 8_000] {
        let time = MlsTime::from(year * 365 * 24 * 3600);
        let commit = MlsMessage::from_bytes(&admission).unwrap();
        let read = before.clone().process_incoming_message_with_time(commit, time);
        assert!(matches!(read, Ok(ReceivedMessage::Commit(_))), "{year}: {read:?}");
    }
    stage.show_all();
    stage.goes_on();
}

#[test]
fn another_implementation_follows_every_commit_and_renews_its_own_keys() {
    let mut stage = Stage::new();
    stage.act(FAY, Act::Announce("Soup first.".into()));
    stage.act(CLEO, Act::Lock(true));
    stage.act(CLEO, Act::Lock(false));
    stage.renew(BEN);
    stage.show_all();
    for _ in 0..3 {
        let commit = stage.fox.renews();
        stage.submit(commit);
        stage.show_all();
        for who in [FAY, CLEO, BEN] {
            let row = stage.last(who);
            assert_eq!((row.content, row.notices), (RowContent::Renewal, vec![]));
            assert_eq!(row.name, "Fox");
        }
        stage.goes_on();
    }
    // Somebody comes, somebody goes: the tree grows and has blanks.
    stage.admit_native("Dan");
    let dan = stage.people[3].me();
    stage.goes_on();
    stage.people.truncate(3);
    stage.act(FAY, super::stage::removal(dan));
    stage.goes_on();
    let own = stage.fox.renews();
    stage.submit(own);
    stage.goes_on();
    // The policy is in the group context for any implementation to read.
    let policy = stage.people[FAY].policy().unwrap();
    let seen = stage.fox.group().context().extensions.get(super::member::POLICY).unwrap();
    assert_eq!(seen.extension_data, hearth_protocol::codec::encode(&policy));
    assert_eq!(policy.numbers.paused_until, Millis(0));
}
