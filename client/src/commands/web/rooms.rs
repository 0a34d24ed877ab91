//! The rooms on the page.

use std::time::Duration;

use hearth_session::client::{Client, Command, Consent, Outcome};
use hearth_tui::Msg;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    Event, Phase, Web,
    asked::Act,
    told::{remark, told},
};
use crate::{
    commands::{
        Open, Result,
        tui::{
            host::{self, Host},
            scene::failure_words,
        },
    },
    failure::Failure,
};

/// Longest time without a key, so that every clock holds its end.
const IDLE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What woke it.
enum Woke {
    Page(Event),
    Told(host::Told),
    Time,
}

/// Shows the rooms until it is hidden or ended.
pub(super) async fn run(web: &mut Web<'_>, open: Open, room: Option<String>) -> Result<Phase> {
    let Open { profile, crypto } = open;
    let client = Client::start(profile, crypto)?;
    let host = Host::open(web.context, client, room.as_deref()).await?;
    let mut rooms = Rooms { web, host, touched: Instant::now() };
    // A page that is there already is told from the beginning.
    rooms.opened().await?;
    let next = rooms.serve().await?;
    let Rooms { web, host, .. } = rooms;
    let draft = std::mem::take(&mut web.draft);
    let profile = host.close(&draft).await;
    Ok(match (next, profile) {
        (Next::Door, Some(profile)) => {
            let open = Open { profile, crypto: hearth_engine::Crypto::default() };
            Phase::Door { open, back: true }
        }
        (Next::Over, _) => Phase::Over,
        _ => Phase::Locked,
    })
}

/// What follows.
enum Next {
    Door,
    Locked,
    Over,
}

struct Rooms<'w, 'a> {
    web: &'w mut Web<'a>,
    host: Host<'a>,
    /// When a person did something last.
    touched: Instant,
}

impl Rooms<'_, '_> {
    async fn serve(&mut self) -> Result<Next> {
        loop {
            self.refresh().await?;
            let wakes = self.wakes();
            let woke = tokio::select! {
                biased;
                event = self.web.next() => Woke::Page(event),
                told = host::next(Some(&mut self.host)) => Woke::Told(told),
                () = sleep_until(wakes) => Woke::Time,
            };
            // Time itself may lock it, before what came too late is done.
            if self.touched.elapsed() >= self.web.idle {
                self.host.end_duty().await;
                return Ok(Next::Locked);
            }
            match woke {
                Woke::Page(Event::Stop) => return Ok(Next::Over),
                Woke::Page(Event::Enter) => self.web.link()?,
                Woke::Page(Event::Opened) => self.opened().await?,
                Woke::Page(Event::Act(act)) => {
                    if let Some(next) = self.act(act).await? {
                        return Ok(next);
                    }
                }
                Woke::Told(told) => {
                    let msgs = self.host.take(told)?;
                    self.tell_all(msgs);
                }
                Woke::Time => {
                    let asks = self.host.watch_duty();
                    self.tell_all(asks.into_iter().collect());
                }
            }
        }
    }

    fn wakes(&self) -> Instant {
        let idle = self.touched + self.web.idle.min(IDLE_MAX);
        [self.host.rings_at(), self.host.asks_at()].into_iter().flatten().fold(idle, Instant::min)
    }

    /// Tells a page everything.
    async fn opened(&mut self) -> Result<()> {
        let first = self.host.refresh().await?;
        self.tell_all(first);
        if self.web.feed.is_none() {
            return Ok(());
        }
        let idle = u64::try_from(self.web.idle.as_millis()).unwrap_or(u64::MAX);
        self.web.tell(&json!({ "Now": self.host.relay_now().0 }));
        self.web.tell(&json!({ "Idle": idle }));
        let draft = std::mem::take(&mut self.web.draft);
        self.host.keep(&draft);
        let here = self.host.here.clone();
        let msgs = self.host.go(here).await?;
        self.tell_all(msgs);
        Ok(())
    }

    async fn refresh(&mut self) -> Result<()> {
        if self.web.feed.is_none() {
            return Ok(());
        }
        let msgs = self.host.refresh().await?;
        if self.host.rings() {
            self.web.tell(&json!("Bell"));
        }
        self.tell_all(msgs);
        Ok(())
    }

    fn tell_all(&mut self, msgs: Vec<Msg>) {
        for msg in msgs {
            match &msg {
                // It is kept until the page says what became of it.
                Msg::GiveBack(text) if self.web.draft.is_empty() => self.web.draft.clone_from(text),
                Msg::GiveBack(text) => self.web.draft = format!("{text}\n{}", self.web.draft),
                _ => {}
            }
            if let Some(value) = told(msg) {
                self.web.tell(&value);
            }
        }
    }

    async fn act(&mut self, act: Act) -> Result<Option<Next>> {
        if act.is_of_a_person() {
            self.touched = Instant::now();
            self.host.pressed();
        }
        match act {
            Act::Lock(draft) => {
                self.web.draft = draft;
                return Ok(Some(Next::Locked));
            }
            Act::Quit(draft) => {
                self.web.draft = draft;
                return Ok(Some(Next::Over));
            }
            Act::JoinBegin => return Ok(Some(Next::Door)),
            Act::Receipt => self.receipt().await?,
            Act::Course(name) => self.course(&name).await,
            Act::Run(line) if line.trim() == "mood view" || line.starts_with("mood view ") => {
                let name =
                    line.trim().trim_start_matches("mood view").trim().trim_matches('"').to_owned();
                self.course(&name).await;
            }
            act => {
                match &act {
                    Act::Keep(draft) => self.web.draft.clone_from(draft),
                    // A command may come from a button, beside a sentence that was begun.
                    Act::Say(_) => self.web.draft.clear(),
                    _ => {}
                }
                if let Some(effect) = act.effect() {
                    let msgs = self.host.does(effect).await?;
                    self.tell_all(msgs);
                }
            }
        }
        Ok(None)
    }

    async fn receipt(&mut self) -> Result<()> {
        let room = self.host.view()?.room.to_string();
        let asked = self.host.client.ask(&room, Command::Receipt, Consent::Unasked).await;
        let value = match asked {
            Ok(Outcome::Receipt(text)) => json!({ "Receipt": text }),
            Ok(_) => return Ok(()),
            Err(error) => remark(&failure_words(&Failure::from(error), &room)),
        };
        self.web.tell(&value);
        Ok(())
    }

    async fn course(&mut self, name: &str) {
        let told: Result<Value> = super::courses::told(&self.host, name).await;
        let value = told.unwrap_or_else(|failure| {
            let room = self.host.here.room.clone();
            remark(&failure_words(&failure, &room))
        });
        self.web.tell(&value);
    }
}
