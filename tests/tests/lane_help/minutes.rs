//! The minutes after which nobody has seen a call go by the device's steady clock.

use std::time::Duration;

use hearth_engine::{Crypto, help::Stage, profile::Profile};
use hearth_kit::Relay;
use hearth_session::{
    client::{Client, Command, Consent, HelpCommand, Outcome},
    network::Network,
};
use tokio::time::Instant;

use super::open;

/// Time stands still but for waits, so the minutes pass at once.
#[tokio::test(start_paused = true)]
async fn unseen_call_says_so_after_minutes() {
    let mut relay = Relay::start();
    let circle = open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("duty", &["1h"]);
    circle.news(&ben);
    relay.stop();
    let profile = Profile::open(ben.home(), None).unwrap();
    let crypto = Crypto::default();
    let (client, served) = Client::over(profile.store(), &crypto, Network::machine());
    let called = async {
        let command = Command::Help(HelpCommand::Call { words: String::new() });
        let outcome = client.ask(&circle.room, command, Consent::Unasked).await.unwrap();
        let Outcome::Called { line, .. } = outcome else { panic!("{outcome:?}") };
        assert!(line.stage == Stage::Kept && !line.unseen, "{line:?}");
        let begun = Instant::now();
        let mut view = client.view(&circle.room).await.unwrap();
        let is_unseen = view.wait_for(|view| view.help.call.as_ref().is_some_and(|l| l.unseen));
        drop(is_unseen.await.unwrap());
        let waited = begun.elapsed();
        let minutes = Duration::from_secs(60);
        assert!(waited > 4 * minutes && waited < 6 * minutes, "{waited:?}");
        drop(view);
        drop(client);
    };
    tokio::join!(called, served);
}
