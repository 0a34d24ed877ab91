//! The client's handle over the real relay: what every shell may rely on.

use std::{net::TcpListener, task::Poll, time::Duration};

use futures_util::FutureExt as _;
use hearth_engine::{Crypto, Room, agreement::Change, profile::Profile, state::RowContent};
use hearth_kit::{Circle, DEADLINE, Person, Relay};
use hearth_protocol::Seq;
use hearth_session::client::{
    AskError, Client, Command, Consent, Event, Haste, Heard, Link, Outcome, PAGE_MAX, Page,
    Question, RoomView,
};
use hearth_session::{
    network::Network,
    session::{self, Session},
};
use rustix::process::Signal;
use tokio::time::timeout;

use super::shared_profile::second_room;

/// Starts a client of a person whose profile no other program has open.
fn client_of(person: &Person) -> Client {
    let profile = Profile::open(person.home(), None).unwrap();
    Client::start(profile, Crypto::default()).unwrap()
}

async fn say(client: &Client, room: &str, text: &str) -> Result<Outcome, AskError> {
    client
        .ask(
            room,
            Command::Say(hearth_engine::words::Words::from(text.to_owned())),
            Consent::Unasked,
        )
        .await
}

/// Waits until a room's view is as wanted.
async fn await_view(client: &Client, room: &str, wanted: impl FnMut(&RoomView) -> bool) {
    let mut wanted = wanted;
    let mut view = client.view(room).await.unwrap();
    let seen = view.wait_for(|view| wanted(view));
    timeout(DEADLINE, seen).await.expect("the view is as wanted in time").unwrap();
}

async fn texts(client: &Client, room: &str) -> Vec<String> {
    let rows = client.rows(room, Page::From(Seq(0))).await.unwrap();
    let texts = rows.into_iter().filter_map(|row| match row.content {
        RowContent::Text(text) => Some(text),
        _ => None,
    });
    texts.collect()
}

#[tokio::test]
async fn two_rooms_are_kept_at_once() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let other = second_room(&relay, &circle);
    let client = client_of(&circle.fay);
    for (room, text) in [(&circle.room, "In the first"), (&other, "In the second")] {
        assert!(matches!(say(&client, room, text).await, Ok(Outcome::Sent { .. })));
    }
    assert_eq!(texts(&client, &circle.room).await, ["In the first"]);
    assert_eq!(texts(&client, &other).await, ["In the second"]);
    assert_eq!(client.rooms().await.unwrap().len(), 2);
    client.close().await;
}

#[tokio::test]
async fn waiting_words_are_in_view() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    let client = client_of(&circle.fay);
    await_view(&client, &circle.room, |view| matches!(view.link, Link::Up(_))).await;
    relay.stop();
    await_view(&client, &circle.room, |view| matches!(view.link, Link::Down { .. })).await;
    let kept = say(&client, &circle.room, "For later").await;
    assert!(matches!(kept, Ok(Outcome::Kept { why: Some(_), .. })), "{kept:?}");
    await_view(&client, &circle.room, |view| {
        view.outbox.iter().map(|waiting| waiting.text.as_str()).eq(["For later"])
    })
    .await;
    relay.restart();
    await_view(&client, &circle.room, |view| view.outbox.is_empty()).await;
    assert_eq!(texts(&client, &circle.room).await, ["For later"]);
    client.close().await;
}

/// A relay that accepts connections and says nothing: words are stored before it answers, and what needs no relay is done.
#[tokio::test]
async fn silent_relay_delays_no_words() {
    let mut relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.say(&circle.fay, "Said before");
    relay.stop();
    let silent = TcpListener::bind(relay.address()).unwrap();
    let client = client_of(&circle.fay);
    let saying = say(&client, &circle.room, "Into the silence");
    assert!(saying.now_or_never().is_none(), "the relay has not answered");
    await_view(&client, &circle.room, |view| view.outbox.len() == 1).await;
    let verified = client.ask(&circle.room, Command::Log, Consent::Unasked).await;
    assert!(matches!(verified, Ok(Outcome::Log { .. })), "{verified:?}");
    assert_eq!(texts(&client, &circle.room).await, ["Said before"]);
    timeout(Duration::from_secs(10), client.close())
        .await
        .expect("it closes beside a silent relay");
    drop(silent);
    relay.restart();
    let client = client_of(&circle.fay);
    await_view(&client, &circle.room, |view| view.outbox.is_empty()).await;
    assert_eq!(texts(&client, &circle.room).await, ["Said before", "Into the silence"]);
    client.close().await;
}

#[tokio::test]
async fn dropped_wait_undoes_nothing() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let client = client_of(&circle.fay);
    assert!(say(&client, &circle.room, "Nobody waits").now_or_never().is_none());
    let fresh = client.ask(&circle.room, Command::Refresh, Consent::Unasked).await;
    assert!(matches!(fresh, Ok(Outcome::Fresh(None))), "{fresh:?}");
    await_view(&client, &circle.room, |view| view.outbox.is_empty() && view.last > Seq(0)).await;
    assert_eq!(texts(&client, &circle.room).await, ["Nobody waits"]);
    client.close().await;
}

/// Words are stored while the room's task waits for the relay on behalf of another command.
#[tokio::test]
async fn busy_room_delays_no_words() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let client = client_of(&circle.fay);
    await_view(&client, &circle.room, |view| matches!(view.link, Link::Up(_))).await;
    relay.signal(Signal::STOP);
    {
        let status = client.ask(&circle.room, Command::Status, Consent::Unasked);
        let mut status = std::pin::pin!(status);
        assert!((&mut status).now_or_never().is_none());
        let saying = say(&client, &circle.room, "Said meanwhile");
        assert!(saying.now_or_never().is_none());
        // The program ends before the relay answers.
        client.rooms().await.unwrap();
    }
    timeout(Duration::from_secs(10), client.close())
        .await
        .expect("it closes beside a silent relay");
    relay.signal(Signal::CONT);
    let outbox = circle.fay("outbox", &[]);
    let sent = circle.history(&circle.fay);
    let has = |rows: &[serde_json::Value]| rows.iter().any(|row| row["text"] == "Said meanwhile");
    assert!(has(&outbox) || has(&sent), "{outbox:?} {sent:?}");
}

#[tokio::test]
async fn lagging_shell_is_told() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let client = client_of(&circle.fay);
    await_view(&client, &circle.room, |view| matches!(view.link, Link::Up(_))).await;
    let mut idle = client.events();
    let ben = client.view(&circle.room).await.unwrap().borrow().roster[1].member;
    for round in 0..1100 {
        let mute = Command::Mute { member: ben, muted: round % 2 == 0 };
        client.ask(&circle.room, mute, Consent::Unasked).await.unwrap();
    }
    let first = idle.next().await;
    assert!(matches!(first, Some(Heard::Lagged(missed)) if missed >= 76), "{first:?}");
    let Some(Heard::Told(next)) = idle.next().await else { panic!("the newest events are there") };
    assert!(matches!(next.event, Event::View));
    client.close().await;
}

#[tokio::test]
async fn changed_question_is_asked_again() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    let amend = || Command::Amend {
        text: "What is said here stays here. I tell nobody who is here.".to_owned(),
        change: Change::Material,
        millis: 0,
    };
    let client = client_of(&circle.fay);
    let asked = client.ask(&circle.room, amend(), Consent::Unasked).await;
    let Err(AskError::NeedsConsent(question)) = asked else { panic!("{asked:?}") };
    assert_eq!(question, Question::AmendAtOnce { others: 1 });
    client.close().await;
    circle.admit("Cleo");
    let client = client_of(&circle.fay);
    let asked = client.ask(&circle.room, amend(), Consent::To(question)).await;
    let Err(AskError::NeedsConsent(question)) = asked else { panic!("{asked:?}") };
    assert_eq!(question, Question::AmendAtOnce { others: 2 });
    let done = client.ask(&circle.room, amend(), Consent::To(question)).await;
    assert!(matches!(done, Ok(Outcome::Amended { in_force: true, .. })), "{done:?}");
    client.close().await;
}

#[tokio::test]
async fn pages_of_history_are_bounded() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let client = client_of(&circle.fay);
    for number in 0..=PAGE_MAX {
        say(&client, &circle.room, &format!("Number {number}")).await.unwrap();
    }
    let last = client.view(&circle.room).await.unwrap().borrow().last;
    let before = Page::Before(Seq(last.0 + 1), usize::MAX);
    let rows = client.rows(&circle.room, before).await.unwrap();
    assert_eq!((rows.len(), rows.last().map(|row| row.place)), (PAGE_MAX, Some(last)));
    assert_eq!(client.rows(&circle.room, Page::From(Seq(0))).await.unwrap().len(), PAGE_MAX);
    client.close().await;
}

/// Whatever moment a connection that is being made is given up in, the next turn makes one that is told.
#[tokio::test]
async fn dropped_connection_is_made_again() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let (profile, crypto) = (Profile::open(circle.fay.home(), None).unwrap(), Crypto::default());
    for polls in [1, 2, 4, 5, 6, 7, 8, 10, 13, 17, 22] {
        let room = Room::open(profile.store(), &crypto, &circle.room).unwrap();
        let mut session = Session::new(Network::machine(), room, |_| ());
        let ready = session.ready().await;
        let mut left = polls;
        let whole = {
            let mut turn = Box::pin(session.turn(ready));
            let cut = std::future::poll_fn(|context| {
                left -= 1;
                let done = turn.as_mut().poll(context).is_ready();
                if done || left == 0 { Poll::Ready(done) } else { Poll::Pending }
            });
            cut.await
        };
        if whole {
            session.leave().await;
            return;
        }
        let up = async { while !matches!(session.next().await.unwrap(), session::Event::Up(_)) {} };
        assert!(timeout(Duration::from_secs(5), up).await.is_ok(), "{polls} polls");
        session.leave().await;
    }
}

#[tokio::test]
async fn closed_client_frees_its_profile() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let client = client_of(&circle.fay);
    let other = client.clone();
    let mut events = client.events();
    assert!(matches!(say(&client, &circle.room, "Last words").await, Ok(Outcome::Sent { .. })));
    drop(other);
    client.close().await;
    Profile::open(circle.fay.home(), None).unwrap();
    while let Some(heard) = events.next().await {
        assert!(matches!(heard, Heard::Told(_)));
    }
}

/// A removal asks once by day, and twice where something speaks for waiting.
#[tokio::test]
async fn removal_at_night_asks_twice() {
    use hearth_engine::policy::Category;
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let ben = circle.admit("Ben");
    circle.fay("duty", &["on", "30m"]);
    let client = client_of(&circle.fay);
    await_view(&client, &circle.room, |view| matches!(view.link, Link::Up(_))).await;
    let view = client.view(&circle.room).await.unwrap();
    let member = view.borrow().roster.iter().find(|leaf| leaf.name == "Ben").unwrap().member;
    let remove = |words: &str| Command::Remove {
        member,
        words: words.to_owned(),
        goodbye: String::new(),
        category: Category::Conduct,
        at_night: true,
    };
    let ask = async |words: &str, consent| client.ask(&circle.room, remove(words), consent).await;
    let refused = ask(" ", Consent::Whatever).await;
    assert!(matches!(refused, Err(AskError::NeedsWords)), "{refused:?}");
    let first = Question::Remove("Ben".into());
    let asked = ask("Good bye", Consent::Unasked).await;
    assert!(matches!(&asked, Err(AskError::NeedsConsent(asked)) if *asked == first), "{asked:?}");
    let again =
        Question::RemoveNow { name: "Ben".into(), haste: vec![Haste::Night, Haste::LastHour] };
    let asked = ask("Good bye", Consent::To(first)).await;
    assert!(matches!(&asked, Err(AskError::NeedsConsent(asked)) if *asked == again), "{asked:?}");
    let done = ask("Good bye", Consent::To(again)).await;
    assert!(matches!(done, Ok(Outcome::Acted { .. })), "{done:?}");
    client.close().await;
    assert_eq!(circle.history(&ben).last().unwrap()["you"], true);
}
