//! The handle of a client, in virtual time, at the real relay: what it tells its shells.

use std::time::Duration;

use hearth_engine::{
    block::Stop,
    policy::Act,
    state::{Held, RowContent},
};
use hearth_protocol::{RejectCode, frame::Door};
use hearth_session::{
    client::{AskError, Client, Command, Consent, Event, Events, Heard, Outcome, RoomView},
    live::{Live, LiveError},
};
use tokio::time::{Instant, timeout};

use crate::world::{Person, Setup, World, play::block_on};

/// The name by which every profile of the world calls the room.
const ROOM: &str = "room";
const MINUTE: u64 = 60_000;

/// One person's handle.
struct Handle {
    client: Client,
    events: Events,
}

impl Handle {
    async fn ask(&self, command: Command) -> Result<Outcome, AskError> {
        self.client.ask(ROOM, command, Consent::Unasked).await
    }

    /// Says something that the relay refuses for now.
    async fn is_held(&self, text: &str, why: RejectCode) {
        let said =
            self.ask(Command::Say(hearth_engine::words::Words::from(String::from(text)))).await;
        let Err(AskError::Live(error)) = said else { panic!("{said:?}") };
        let LiveError::Refused { code, kept, .. } = &*error else { panic!("{error:?}") };
        assert_eq!((*code, *kept), (why, true));
        let view = self.view().await;
        let waiting = view.outbox.iter().find(|waiting| waiting.text == text).unwrap();
        assert_eq!(waiting.held, Some(Held::Refused(why)));
    }

    async fn view(&self) -> RoomView {
        let view = self.client.view(ROOM).await.unwrap();
        let view = view.borrow();
        RoomView::clone(&view)
    }

    /// Waits until something is over, and returns what.
    async fn over(&mut self) -> Stop {
        loop {
            match self.events.next().await {
                Some(Heard::Told(told)) => {
                    if let Event::Over(block) = told.event {
                        return block.why;
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Waits until the view is so.
    async fn sees(&self, fits: impl Fn(&RoomView) -> bool) {
        let mut view = self.client.view(ROOM).await.unwrap();
        view.wait_for(|view| fits(view)).await.unwrap();
    }

    /// Sends what is held, in order.
    async fn sends_all(&self) {
        for waiting in self.view().await.held_for_a_time() {
            let sent = self.ask(Command::SendHeld(waiting.id)).await;
            assert!(matches!(sent, Ok(Outcome::Released(_))), "{sent:?}");
        }
    }
}

/// Plays a story of a facilitator, who visits, and a member with a handle.
fn with_handle(story: impl AsyncFnOnce(&Person, &mut Handle)) {
    block_on(async {
        let names = &["Fay", "Ben"];
        let setup = Setup { seed: 1, names, relay_ahead: 7 * 3_600_000, switch: None, stage: None };
        let world = World::start(setup);
        let [mut fay, mut ben] = [0, 1].map(|who| Person::in_world(&world, who));
        fay.found(&world.grant).await.unwrap();
        ben.knock(&fay.invite(1).await.unwrap()).await.unwrap();
        assert!(fay.admit("Ben").await.unwrap());
        let (client, served) = ben.client();
        let mut handle = Handle { events: client.events(), client };
        let told = async {
            handle.sees(|view| view.policy.is_some()).await;
            story(&fay, &mut handle).await;
            drop(handle);
        };
        tokio::join!(served, told);
    });
}

async fn acts(fay: &Person, act: Act) {
    fay.visit(async |live| live.act(act).await).await.unwrap();
}

async fn pauses(fay: &Person, millis: u64) {
    let pause = async |live: &mut Live<'_>| {
        let until = live.relay_now().plus(millis);
        live.act(Act::Pause { until, comment: String::new(), reopens: true }).await
    };
    fay.visit(pause).await.unwrap();
}

async fn texts(fay: &Person) -> Vec<String> {
    fay.visit(async |live| live.tend().await).await.unwrap();
    let rows = fay.rows().into_iter();
    let text = |content| if let RowContent::Text(text) = content { Some(text) } else { None };
    rows.filter_map(|row| text(row.content)).collect()
}

/// A pause that ends by time is told then, once, and nothing that it held goes out before its author says so.
#[test]
fn pause_end_is_told_on_time() {
    with_handle(async |fay, ben| {
        let begun = Instant::now();
        pauses(fay, 10 * MINUTE).await;
        ben.sees(|view| {
            view.blocked.is_some_and(|block| block.why == Stop::Refused(RejectCode::Paused))
        })
        .await;
        ben.is_held("first", RejectCode::Paused).await;
        ben.is_held("second", RejectCode::Paused).await;
        assert_eq!(ben.over().await, Stop::Refused(RejectCode::Paused));
        let lasted = begun.elapsed();
        let span = Duration::from_millis(10 * MINUTE);
        assert!(lasted >= span && lasted < span + Duration::from_secs(5), "{lasted:?}");
        assert_eq!(ben.view().await.blocked, None);
        let again = timeout(Duration::from_hours(2), ben.over()).await;
        assert!(again.is_err(), "told twice");
        // What is said meanwhile takes nothing along.
        ben.ask(Command::Say(hearth_engine::words::Words::from("meanwhile".to_owned())))
            .await
            .unwrap();
        assert_eq!(texts(fay).await, ["meanwhile"]);
        ben.sends_all().await;
        assert_eq!(texts(fay).await, ["meanwhile", "first", "second"]);
        assert!(ben.view().await.outbox.is_empty());
    });
}

/// Whatever kept a member from posting, its end by a record is told as it comes.
#[test]
fn end_by_record_is_told() {
    with_handle(async |fay, ben| {
        let member = ben.view().await.me;
        pauses(fay, 10 * MINUTE).await;
        ben.is_held("paused", RejectCode::Paused).await;
        acts(fay, Act::Resume).await;
        assert_eq!(ben.over().await, Stop::Refused(RejectCode::Paused));
        acts(fay, Act::Door(Door::Closed)).await;
        ben.is_held("closed", RejectCode::Closed).await;
        // Another hour changes nothing, because no time ends it.
        let early = timeout(Duration::from_hours(1), ben.over()).await;
        assert!(early.is_err(), "{early:?}");
        acts(fay, Act::Door(Door::Open)).await;
        assert_eq!(ben.over().await, Stop::Refused(RejectCode::Closed));
        for millis in [30 * MINUTE, 0] {
            let timed = fay.visit(async |live| {
                let until = live.relay_now().plus(millis);
                let until = if millis == 0 { hearth_protocol::Millis(0) } else { until };
                let now = live.room.now();
                let note =
                    live.send_own(|room| room.queue_time_out(member, until, String::new(), now));
                let note = note.await?;
                live.commit(|room, now| room.time_out(&note, now)).await
            });
            timed.await.unwrap();
            if millis > 0 {
                ben.is_held("timed out", RejectCode::TimedOut).await;
            }
        }
        assert_eq!(ben.over().await, Stop::Refused(RejectCode::TimedOut));
        assert_eq!(texts(fay).await, Vec::<String>::new());
        ben.sends_all().await;
        assert_eq!(texts(fay).await, ["paused", "closed", "timed out"]);
    });
}

/// Only the relay counts a member's posts, so its word says when the next one is free.
#[test]
fn spent_budget_end_is_told() {
    with_handle(async |fay, ben| {
        acts(fay, Act::Budget(1)).await;
        ben.ask(Command::Say(hearth_engine::words::Words::from("one".to_owned()))).await.unwrap();
        ben.is_held("two", RejectCode::BudgetSpent).await;
        let begun = Instant::now();
        assert_eq!(ben.over().await, Stop::Refused(RejectCode::BudgetSpent));
        assert!(begun.elapsed() > Duration::from_hours(23), "{:?}", begun.elapsed());
        assert_eq!(texts(fay).await, ["one"]);
        ben.sends_all().await;
        assert_eq!(texts(fay).await, ["one", "two"]);
        // Lifting the rule ends it as well.
        ben.is_held("three", RejectCode::BudgetSpent).await;
        acts(fay, Act::Budget(0)).await;
        assert_eq!(ben.over().await, Stop::Refused(RejectCode::BudgetSpent));
    });
}

/// Words that are sent while the rule still holds stay held, in their order.
#[test]
fn words_sent_too_early_stay() {
    with_handle(async |fay, ben| {
        pauses(fay, 10 * MINUTE).await;
        ben.is_held("first", RejectCode::Paused).await;
        ben.is_held("second", RejectCode::Paused).await;
        let first = ben.view().await.outbox[0].id;
        let sent = ben.ask(Command::SendHeld(first)).await;
        assert!(
            matches!(&sent, Err(AskError::Live(error)) if matches!(
                **error,
                LiveError::Refused { code: RejectCode::Paused, kept: true, retry_at: Some(_), .. }
            )),
            "{sent:?}"
        );
        let waiting = ben.view().await.outbox;
        let texts: Vec<&str> = waiting.iter().map(|waiting| waiting.text.as_str()).collect();
        assert_eq!(texts, ["first", "second"]);
        assert!(waiting.iter().all(|w| w.held == Some(Held::Refused(RejectCode::Paused))));
    });
}
