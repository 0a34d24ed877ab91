//! The same version, acknowledged again before its year is over.

use hearth_kit::{Circle, Relay, clock};

use super::seen;

#[test]
fn renewal_counts_whatever_the_clock() {
    let Some(later) = clock("+365d") else { return };
    let earlier = clock("-365d").unwrap();
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let [ben, cleo] = ["Ben", "Cleo"].map(|name| circle.admit(name));
    let before = seen(&circle, &cleo, "Ben");
    let renew = ["agreement", "renew", &circle.room, "--acknowledge", &circle.agreement];
    // A date that is wrong by a year is not signed.
    for wrong in [&later, &earlier] {
        ben.run_under(wrong, &renew).refused(1, "clock_wrong");
    }
    ben.does(&renew);
    let after = seen(&circle, &ben, "Ben");
    assert!(after["expires"].as_str() > before["expires"].as_str(), "{before} {after}");
    // Every member takes it, with a clock that is a year off, too.
    for wrong in [&later, &earlier] {
        let who = cleo.run_under(wrong, &["who", &circle.room]).done();
        let bens = who.iter().find(|member| member["name"] == "Ben").unwrap();
        assert_eq!((&bens["expires"], &bens["acknowledged"]), (&after["expires"], &true.into()));
    }
    circle.say(&ben, "For another year");
    circle.say(&cleo, "I have time");
    assert_eq!(circle.fay("status", &[])[0]["alarms"], serde_json::json!([]));
}

/// Nobody is put out for a date, and the chat offers it in the last month.
#[test]
fn chat_offers_the_renewal() {
    let Some(month) = clock("+340d") else { return };
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    relay.stop();
    relay.set_under(month.clone());
    relay.restart();
    let mut at_bens = ben.starts_under(&month, &["chat", &circle.room]);
    at_bens.await_remark("Nothing stops if you wait");
    at_bens.type_line("I am here");
    at_bens.await_line("his words", |line| line.contains("I am here"));
    at_bens.type_line("/quit");
    assert_eq!(at_bens.wait_open().code, Some(0));
    let renew = ["agreement", "acknowledge", &circle.room, "--acknowledge", &circle.agreement];
    ben.run_under(&month, &renew).done();
    let who = circle.fay.run_under(&month, &["who", &circle.room]).done();
    let bens = who.iter().find(|member| member["name"] == "Ben").unwrap();
    let fays = who.iter().find(|member| member["name"] == "Fay").unwrap();
    assert!(bens["expires"].as_str() > fays["expires"].as_str(), "{who:?}");
}
