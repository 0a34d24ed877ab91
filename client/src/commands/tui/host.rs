//! The open profile behind the screen: which room is shown, what of it was read, which commands are under way.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered,
};
use hearth_engine::{
    agreement::Agreement,
    help::Ringing,
    profile::Profile,
    state::{Row, Standing},
};
use hearth_protocol::{Millis, RoomId, Seq};
use hearth_session::client::{
    Client, Command, Consent, Event, Events, Heard, LaneCommand, Outcome, Page, Question, RoomView,
};
use hearth_tui::{Msg, PlaceId, Text};
use tokio::{sync::watch, time::Instant};

use super::{
    done::{Done, Where},
    facts::Known,
    reading::Loaded,
    scene::{failure_words, sentence},
};
use crate::{
    commands::{
        Context, Result,
        bell::Bell,
        chat::{duty, filling::Filling},
        outcome,
        room::InRoom,
        socket,
    },
    failure::Failure,
};

/// Longest wait for the drafts of rooms, and for the relay's goodbye.
pub(super) const CLOSING: Duration = Duration::from_secs(3);

/// A room, or one of its lanes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::commands) struct Spot {
    pub(in crate::commands) room: Arc<str>,
    pub(in crate::commands) lane: Option<RoomId>,
}

/// What a person was asked.
pub(super) enum Asked {
    Act {
        command: Box<InRoom>,
        question: Question,
    },
    /// Whether to say this to the room.
    Say(String),
}

/// What the next lines answer.
pub(super) enum Fills {
    /// The facilitators' questions.
    Questions(Box<Filling>),
    /// The question of an agreement at a place, before it is signed.
    Question(Box<Agreement>, usize),
    /// The words to people that a command lacks.
    Words(Box<InRoom>),
}

/// What happens behind the screen.
pub(in crate::commands) enum Told {
    Heard(Option<Heard>),
    Done(Box<Done>),
}

/// An open profile.
pub(in crate::commands) struct Host<'a> {
    pub(in crate::commands) client: Client,
    pub(super) events: Events,
    pub(super) serving: LocalBoxFuture<'a, Infallible>,
    pub(super) rooms: Vec<(Arc<str>, watch::Receiver<Arc<RoomView>>)>,
    pub(super) spots: Vec<Spot>,
    pub(in crate::commands) here: Spot,
    pub(super) loaded: Loaded,
    pub(super) known: HashMap<Arc<str>, Known>,
    pub(super) knocks: HashMap<Arc<str>, Vec<(String, bool)>>,
    /// Unread messages of other rooms, between two places.
    pub(super) unread: HashMap<Arc<str>, ((Seq, Seq), usize)>,
    pub(super) drafts: HashMap<Spot, String>,
    pub(super) jobs: FuturesUnordered<LocalBoxFuture<'static, Done>>,
    pub(super) asked: HashMap<u64, Asked>,
    pub(super) tokens: u64,
    /// What the next lines answer.
    pub(super) fills: Option<Fills>,
    /// When the person pressed a key last, for a moderator on duty.
    pub(super) keys: duty::Keys,
    /// The turn whose time is watched, and when it is over.
    pub(super) turn: duty::Turn,
    pub(super) turn_over: Option<Instant>,
    pub(super) signing: Option<Agreement>,
    pub(super) flags: String,
    pub(super) stale: bool,
    pub(super) bell: Bell,
    pub(super) ringing: Ringing,
    pub(super) begun: Instant,
    pub(super) ring: bool,
    /// What is to be told with the next refresh.
    pub(super) later: Vec<Msg>,
}

/// Waits for what happens behind the screen. Cancel safe.
pub(in crate::commands) async fn next(host: Option<&mut Host<'_>>) -> Told {
    let Some(host) = host else { return std::future::pending().await };
    tokio::select! {
        biased;
        heard = host.events.next() => Told::Heard(heard),
        Some(done) = host.jobs.next(), if !host.jobs.is_empty() => Told::Done(Box::new(done)),
        never = &mut host.serving => match never {},
    }
}

impl<'a> Host<'a> {
    /// Looks at all rooms of a profile, and shows one: that which is wanted, or else the first that has something new.
    pub(in crate::commands) async fn open(
        context: &'a Context,
        client: Client,
        wanted: Option<&str>,
    ) -> Result<Self> {
        let events = client.events();
        let all = client.rooms().await?;
        let mut rooms = Vec::new();
        for summary in &all {
            rooms.push((Arc::from(summary.name.as_str()), client.view(&summary.name).await?));
        }
        let wanted = match wanted {
            Some(wanted) => {
                let view = client.view(wanted).await?;
                let room = Arc::clone(&view.borrow().room);
                Some(room)
            }
            None => None,
        };
        let inside = |(_, view): &&(Arc<str>, watch::Receiver<Arc<RoomView>>)| {
            view.borrow().standing == Standing::Member
        };
        let is_new = |entry: &&(Arc<str>, watch::Receiver<Arc<RoomView>>)| {
            let view = entry.1.borrow();
            view.last > view.shown
        };
        let first = rooms.iter().filter(inside).find(is_new);
        let first = first.or_else(|| rooms.iter().find(inside)).or_else(|| rooms.first());
        let room = match wanted.or_else(|| first.map(|(name, _)| Arc::clone(name))) {
            Some(room) => room,
            None => return Err(super::first::no_rooms()),
        };
        let serving = {
            let client = client.clone();
            async move {
                socket::serve(context, &client).await;
                std::future::pending().await
            }
        };
        let here = Spot { room, lane: None };
        let mut host = Self {
            client,
            events,
            serving: serving.boxed_local(),
            rooms,
            spots: Vec::new(),
            here: here.clone(),
            loaded: Loaded::default(),
            known: HashMap::new(),
            knocks: HashMap::new(),
            unread: HashMap::new(),
            drafts: HashMap::new(),
            jobs: FuturesUnordered::new(),
            asked: HashMap::new(),
            tokens: 0,
            fills: None,
            keys: duty::Keys::new(Instant::now()),
            turn: duty::Turn::default(),
            turn_over: None,
            signing: None,
            flags: context.out.flags().to_owned(),
            stale: true,
            bell: Bell::default(),
            ringing: Ringing::default(),
            begun: Instant::now(),
            ring: false,
            later: Vec::new(),
        };
        let msgs = host.go(here).await?;
        host.later = msgs;
        Ok(host)
    }

    /// Keeps what is typed, and gives back the profile, which is closed unless somebody takes it.
    pub(in crate::commands) async fn close(mut self, draft: &str) -> Option<Profile> {
        self.keep(draft);
        let mut by_room: HashMap<Arc<str>, String> = HashMap::new();
        for (spot, text) in &self.drafts {
            // What is said first is what was typed last.
            if !text.trim().is_empty() && (*spot == self.here || !by_room.contains_key(&spot.room))
            {
                by_room.insert(Arc::clone(&spot.room), self.draft_line(spot, text));
            }
        }
        for (room, text) in by_room {
            let kept = self.client.ask(&room, Command::KeepDraft(text), Consent::Whatever);
            let _ = tokio::time::timeout(CLOSING, kept).await;
        }
        let Self { client, serving, jobs, events, rooms, .. } = self;
        drop((serving, jobs, events, rooms));
        client.into_profile().await
    }

    /// Returns an unfinished text as it can come back into the room's line: what was for a lane says so, and is not said to the room.
    fn draft_line(&self, spot: &Spot, text: &str) -> String {
        let Some(lane) = spot.lane else { return text.to_owned() };
        let view = self.view_of(&spot.room);
        let lane = view.as_ref().and_then(|view| view.lanes.iter().find(|known| known.id == lane));
        match lane.and_then(|lane| lane.owner.map(|owner| (lane, owner))) {
            Some((_, owner)) if view.as_ref().is_some_and(|view| view.me == owner) => {
                format!("/checkin {text}")
            }
            Some((lane, _)) => format!("/checkin \"{}\" {text}", lane.name),
            None => format!("/note room {text}"),
        }
    }

    pub(in crate::commands) fn keep(&mut self, draft: &str) {
        match draft.trim().is_empty() {
            true => drop(self.drafts.remove(&self.here)),
            false => drop(self.drafts.insert(self.here.clone(), draft.to_owned())),
        }
    }

    fn view_of(&self, room: &str) -> Option<Arc<RoomView>> {
        let found = self.rooms.iter().find(|(name, _)| **name == *room);
        found.map(|(_, view)| Arc::clone(&view.borrow()))
    }

    pub(in crate::commands) fn view(&self) -> Result<Arc<RoomView>> {
        self.view_of(&self.here.room).ok_or_else(|| hearth_session::client::AskError::Closed.into())
    }

    /// Returns the time by the relay's clock.
    pub(in crate::commands) fn relay_now(&self) -> Millis {
        let own = hearth_session::live::now();
        self.view().map_or(own, |view| view.relay_now(own))
    }

    /// Returns when it rings next for a call for help.
    pub(in crate::commands) fn rings_at(&self) -> Option<Instant> {
        let now = self.begun.elapsed();
        let at = self.ringing.next(now)?;
        Some(self.begun + at.max(now + Duration::from_millis(1)))
    }

    /// Whether to ring now.
    pub(in crate::commands) fn rings(&mut self) -> bool {
        std::mem::take(&mut self.ring)
    }

    pub(in crate::commands) fn place(&self) -> Where {
        Where {
            client: self.client.clone(),
            room: self.here.room.to_string(),
            flags: self.flags.clone(),
        }
    }

    pub(super) fn id_of(&mut self, spot: &Spot) -> PlaceId {
        let at = match self.spots.iter().position(|known| known == spot) {
            Some(at) => at,
            None => {
                self.spots.push(spot.clone());
                self.spots.len() - 1
            }
        };
        PlaceId(u64::try_from(at).unwrap_or(u64::MAX))
    }

    pub(super) fn spot_of(&self, id: PlaceId) -> Option<&Spot> {
        self.spots.get(usize::try_from(id.0).ok()?)
    }

    /// Takes what happened; returns what is told of it at once.
    pub(in crate::commands) fn take(&mut self, told: Told) -> Result<Vec<Msg>> {
        self.stale = true;
        match told {
            Told::Heard(None) => Err(hearth_session::client::AskError::Closed.into()),
            Told::Heard(Some(heard)) => {
                let mut msgs = self.heard(heard);
                // What is there already is shown at once.
                while let Some(heard) = self.events.try_next() {
                    msgs.extend(self.heard(heard));
                }
                Ok(msgs)
            }
            Told::Done(done) => Ok(self.done(*done)),
        }
    }

    fn heard(&mut self, heard: Heard) -> Vec<Msg> {
        let Heard::Told(told) = heard else { return Vec::new() };
        let room = told.room;
        let here = *room == *self.here.room;
        let remark = |text: String| if here { vec![Msg::Remark(text)] } else { Vec::new() };
        match told.event {
            Event::Up(up) => {
                self.ask_knocks(&room);
                if up.again { remark("Connected again.".into()) } else { Vec::new() }
            }
            Event::Knock => {
                self.ask_knocks(&room);
                Vec::new()
            }
            Event::Trouble(why) => remark(failure_words(&Failure::from(&*why), &room)),
            Event::CatchingUp(missed) => remark(format!("Catching up with {missed} entries ...")),
            Event::Over(block) => {
                let view = self.view_of(&room);
                let words = view.and_then(|view| outcome::over_words(&block, &view));
                words.map_or_else(Vec::new, |words| remark(sentence(&words)))
            }
            Event::Rows
            | Event::View
            | Event::LaneRows(_)
            | Event::Down { .. }
            | Event::Ended(_)
            | Event::Waits(_) => Vec::new(),
        }
    }

    fn ask_knocks(&mut self, room: &Arc<str>) {
        if self.view_of(room).is_some_and(|view| view.moderates()) {
            let at = Where { room: room.to_string(), ..self.place() };
            self.jobs.push(at.knocks().boxed_local());
        }
    }

    fn done(&mut self, done: Done) -> Vec<Msg> {
        let mut msgs = Vec::new();
        if let Some(knocks) = done.knocks {
            self.knocks.insert(done.room.as_str().into(), knocks);
            return msgs;
        }
        if matches!(done.title.as_str(), "/admit" | "/decline") {
            let room = Arc::from(done.room.as_str());
            self.ask_knocks(&room);
        }
        // What came of a command in a room that is no longer shown is not shown in another one.
        if done.room != *self.here.room {
            return msgs;
        }
        let why = done.why();
        match done.lines.len() {
            0 => {}
            1 if done.lines.iter().all(|line| line.lines().count() == 1) => {
                msgs.extend(done.lines.iter().map(|line| Msg::Remark(sentence(line))));
            }
            _ => {
                let body = done.lines.join("\n");
                msgs.push(Msg::Text(Text { title: done.title.clone(), body, signs: false }));
            }
        }
        if let Some(command) = done.lacks
            && let Some(lack) = command.lacks()
        {
            let list = lack.list().into_iter().map(|line| format!("\n  {line}"));
            let words = format!("{}?{} Esc does nothing.", lack.prompt, list.collect::<String>());
            self.fills = Some(Fills::Words(command));
            msgs.push(Msg::Fills { words });
            return msgs;
        }
        msgs.extend(why.map(Msg::Remark));
        msgs.extend(done.back.map(Msg::GiveBack));
        if let Some((command, question, words)) = done.asks {
            msgs.push(self.ask(Asked::Act { command, question }, words));
        }
        msgs
    }

    pub(super) fn ask(&mut self, asked: Asked, words: String) -> Msg {
        self.tokens += 1;
        // One question is on the screen at a time.
        self.asked.clear();
        self.asked.insert(self.tokens, asked);
        Msg::Asks { token: self.tokens, words }
    }

    /// Remembers that everything up to a place was seen.
    pub(super) fn seen(&mut self, place: Seq) {
        let Ok(view) = self.view() else { return };
        // Before the first attempt to connect has ended, the relay may still take something back.
        let command = match self.here.lane {
            None if view.shown < place => Command::Shown(place),
            Some(lane) if view.lanes.iter().any(|l| l.id == lane && l.shown < place) => {
                Command::Lane { lane, what: LaneCommand::Shown(place) }
            }
            _ => return,
        };
        self.jobs.push(self.place().quietly(command).boxed_local());
    }

    /// Shows another place.
    pub(in crate::commands) async fn go(&mut self, spot: Spot) -> Result<Vec<Msg>> {
        self.here = spot.clone();
        (self.loaded, self.fills, self.signing) = Default::default();
        self.asked.clear();
        self.stale = true;
        let id = self.id_of(&spot);
        let mut msgs = vec![Msg::Went(id)];
        let kept = match self.drafts.remove(&spot) {
            Some(text) => Some(text),
            None if spot.lane.is_none() => {
                let draft = self.client.ask(&spot.room, Command::Draft, Consent::Unasked).await?;
                match draft {
                    Outcome::Draft(Some(text)) => {
                        let forget = Command::KeepDraft(String::new());
                        self.client.ask(&spot.room, forget, Consent::Unasked).await?;
                        Some(text)
                    }
                    _ => None,
                }
            }
            None => None,
        };
        msgs.extend(kept.map(Msg::GiveBack));
        Ok(msgs)
    }

    pub(super) async fn page(&self, page: Page) -> Result<Vec<Row>> {
        Ok(match self.here.lane {
            None => self.client.rows(&self.here.room, page).await?,
            Some(lane) => self.client.lane_rows(&self.here.room, lane, page).await?,
        })
    }
}
