//! `hearth chat`: a room line by line, in any terminal, for screen readers, and over a pipe.
//!
//! What is typed goes out; what starts with a slash is a room command, parsed by the same table as the command line.
//! While the relay is away, words are kept in the outbox, and the member is told.

mod arguments;
pub(super) mod duty;
pub(super) mod filling;
mod team;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use hearth_console::{
    line::{self, Console, ConsoleReader, GivenBack, LineError},
    signals,
};
use hearth_engine::{
    agreement::Agreement,
    mine::Setting,
    state::{RowContent, Standing},
};
use hearth_protocol::{Millis, Role, Seq};
use hearth_session::{
    client::{
        AskError, Client, Command, Consent, Event, Events, Heard, Link, Outcome, Page, Question,
        RoomView, Told, Waiting,
    },
    live::{LiveError, now},
};
use hearth_text::{count::counted, escape};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use self::filling::Filling;
use super::{
    Context, Result, agreement,
    bell::{self, Bell, Call},
    contacts,
    displayed::{gone_words, said},
    inside, outcome,
    room::{NEEDS_WORDS, door::Door, going::Going, help::HelpNow},
    shell::{
        Did, Shell,
        line::{Meant, Typed},
        question_words,
        to::To,
    },
    slip, socket, understood, yes,
};
use crate::{
    cli::{Entry, InRoom},
    failure::{Failure, exit},
    show::{Output, help::people, presence::Presence},
    text::when,
    text::wrap,
};

pub(super) use self::arguments::arguments;

/// What a person sees of the past on entering.
const ROWS_AT_START: usize = 20;
/// Columns of a line that is repeated to the person who typed it.
const SHOWN_COLUMNS: usize = 50;
/// Columns of refused words that are shown where they cannot go back into the line.
const GIVEN_BACK_COLUMNS: usize = 4_000;
/// Where something is typed after the chat has ended against the person's will.
const ENDED_PROMPT: &str = "(Enter leaves) ";

/// Asks for the words that sign an agreement.
const ACCEPT: &str = "-- To accept the agreement, type I acknowledge. Anything else signs nothing; /acknowledge shows it again.";

/// Says how a text goes on.
const NEXT_PAGE: &str = "-- there is more: press Enter alone";
/// Longest wait for the end of being away before the clock is read again, because it may have been set.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// Time without a key, where keys are only seen when a chat is about to lock.
const AFTER_KEYS: Duration = Duration::from_secs(60);
/// Said to a person who has typed for long without Enter, where the terminal edits the line.
const BEGUN: &str = "-- it is long since you pressed Enter. What you have begun to type stays in the line, but Backspace no longer reaches that part. If you stop typing, this chat locks, and your words are kept.";
/// Rows of a screen that a page leaves to the line and what is told below it.
const PAGE_MARGIN: usize = 4;

/// How the person who chats ends it; a signal is the third way. Whatever else happens becomes a state of the link.
enum End {
    /// `/quit`, or having left the room.
    Quit,
    /// The end of input.
    InputOver,
}

/// What leaves nothing to chat with. The person at the terminal has to see it before the shell gets their keys.
enum Stop {
    /// Nobody typed for a while.
    Idle,
    /// The profile cannot be used, or is out of the room.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Stop {
    /// Returns what is told at the end of the chat of a room; its commands are for the command line.
    fn words(&self, out: &Output, room: &str) -> String {
        let out = out.clone().in_room(room);
        match self {
            Self::Idle => {
                out.advice("-- locked: nobody typed for a while. `hearth chat ROOM` goes on.")
            }
            Self::Failed(failure) => {
                let advice = out.advice(&failure.advice);
                format!("-- {}. {advice}", escape::one_line(&failure.message))
            }
        }
    }

    /// What the command returns; `told` if its words were shown already.
    fn result(self, told: bool) -> Result<()> {
        match self {
            Self::Idle => Ok(()),
            Self::Failed(failure) => Err(Failure { told, ..failure }),
        }
    }
}

/// Everything one chat needs.
struct Chat {
    shell: Shell,
    /// Whether it was said that somebody knocks, and nobody has looked since.
    told_knock: bool,
    /// How many texts waited for their author when it was told.
    told_held: usize,
    /// How many reports by note it was said that there are.
    told_reports: usize,
    /// Other rooms of which it was said that there is something new, with the last place then.
    elsewhere: HashMap<Arc<str>, Seq>,
    /// What the person was asked.
    asked: Option<Asked>,
    /// What was told last of who from the team is here.
    told_presence: Option<Presence>,
    /// When the person pressed a key last.
    keys: duty::Keys,
    /// The turn whose time is watched.
    turn: duty::Turn,
    bell: Bell,
    /// Whether what was there already was shown, so that what is new comes now.
    is_live: bool,
    waiting: Waits,
    /// Where this member was when it was told.
    told_standing: Standing,
}

/// What waits while the person is away.
#[derive(Default)]
struct Waits {
    /// Lines.
    count: usize,
    /// The last place that was counted.
    counted: Seq,
    /// The number of lines at which it is told next.
    tell_at: usize,
}

/// What the next line may answer.
enum Asked {
    /// Whether to do this.
    Act(InRoom, Question),
    /// Whether to say this word, which is a command without its slash.
    Say(String),
    /// Whether to sign this version of the agreement, which was shown.
    Acknowledge(Box<Agreement>),
    /// The question of the agreement with this place, before it is signed.
    Question(Box<Agreement>, usize),
    /// Whether words are for this room, though another was asked for.
    Still,
    /// Whether to tell the facilitators: Enter alone does. Holds the words that were typed since.
    Help(String),
    /// The words to people that this command lacks.
    Words(InRoom),
    /// The facilitators' questions.
    Filling(Box<Filling>),
    /// Whether to show the next page; then to sign the version that is read, if there is one.
    Reading(Box<Reading>),
}

/// A text that is read page by page.
struct Reading {
    /// The pages that were not shown.
    rest: VecDeque<String>,
    /// The version that the text asks to sign.
    signs: Option<Box<Agreement>>,
    /// Words that were typed instead of Enter, and are said if they are entered again.
    words: String,
}

/// What a typed line is.
enum Line<'a> {
    Empty,
    /// Without its slash.
    Command(&'a str),
    /// To be said to the room.
    Words(&'a str),
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let line = line.trim();
        // A text that was copied may begin with what is not seen.
        let seen = line.trim_start_matches(|c: char| c.is_whitespace() || escape::is_invisible(c));
        match seen.strip_prefix('/') {
            _ if line.is_empty() => Self::Empty,
            // Two slashes say a line that starts with one.
            Some(rest) if rest.starts_with('/') => Self::Words(rest),
            Some(rest) => Self::Command(rest),
            None => Self::Words(line),
        }
    }
}

/// Whether the chat goes on.
#[derive(PartialEq, Eq)]
enum Next {
    On,
    Quit,
}

pub(super) async fn run(
    context: &Context,
    room: &str,
    lock_after: &str,
    alternate: bool,
) -> Result<()> {
    let idle = when::parse_duration(lock_after)
        .map_err(|e| Failure::usage(e.to_string(), "For example: --lock-after 30m"))?;
    let client = context.client().map_err(|failure| elsewhere_open(failure, room))?;
    run_on(context, client, room, idle, alternate).await
}

/// Chats over a client that is open.
pub(super) async fn run_on(
    context: &Context,
    client: Client,
    room: &str,
    idle: Duration,
    alternate: bool,
) -> Result<()> {
    // Before anything is connected, so that a signal ends the chat as such from then on.
    let mut stopped = std::pin::pin!(signals::stop());
    if stopped.as_mut().now_or_never().is_some() {
        return Ok(());
    }
    let events = client.events();
    let shell = Shell::new(&client, room, &context.out).await?;
    let name = shell.room.clone();
    let shell = shell.following(context.out.clone().in_chat(&name));
    let mut console = None;
    let (elsewhere, asked, bell, waiting) = Default::default();
    let (told_knock, told_held, is_live) = (false, 0, false);
    let mut chat = Chat {
        shell,
        told_knock,
        told_held,
        told_reports: 0,
        elsewhere,
        asked,
        told_presence: None,
        keys: duty::Keys::new(Instant::now()),
        turn: duty::Turn::default(),
        bell,
        is_live,
        waiting,
        told_standing: Standing::Member,
    };
    let talk = async {
        let started = Console::start("> ", alternate);
        let (reader, printer) = started.map_err(|error| Stop::Failed(error.into()))?;
        let reader = console.insert(reader);
        if !chat.shell.out.is_json() {
            chat.shell.out = chat.shell.out.clone().above(printer);
        }
        if alternate && reader.is_at_terminal() && !reader.edits() {
            let out = &chat.shell.out;
            out.remark("-- this terminal has no alternate screen: what is shown here stays");
        }
        chat.run(events, reader, idle).await
    };
    let talk = socket::beside(socket::serve(context, &client), talk);
    // Before the terminal is changed, and above all that waits for the relay: a signal that finds the default would
    // leave the terminal without echo, and a relay that says nothing must not keep anybody from ending. What was in
    // the middle is in the store, as after a power cut.
    let ended = tokio::select! {
        biased;
        () = &mut stopped => None,
        result = talk => Some(result),
    };
    let ended = match (ended, console) {
        // In order: what follows /quit is meant for nobody.
        (Some(Ok(End::Quit | End::InputOver)), _) | (None, None) => Ok(()),
        (None, Some(reader)) => {
            if alternate {
                chat.shell.out = context.out.clone();
            }
            chat.keep_typed_ahead(&reader.typed_ahead().await).await;
            Ok(())
        }
        (Some(Err(stop)), None) => stop.result(false),
        (Some(Err(stop)), Some(reader)) if !reader.is_at_terminal() => {
            chat.keep_typed_ahead(&reader.typed_ahead().await).await;
            if matches!(stop, Stop::Idle) {
                chat.shell.out.remark(&stop.words(&context.out, &name));
            }
            stop.result(false)
        }
        (Some(Err(stop)), Some(mut reader)) => {
            // Somebody may be in the middle of a private sentence: it must not go to the shell, which runs it and keeps it.
            let draft = reader.stop_talking(ENDED_PROMPT).await;
            if matches!(stop, Stop::Idle) {
                reader.hide();
            }
            chat.keep_draft(&draft).await;
            chat.keep_typed_ahead(&reader.take_typed_ahead().await).await;
            let out = chat.shell.out.clone();
            // The profile is free for others meanwhile.
            drop(chat);
            client.close().await;
            out.remark(&stop.words(&context.out, &name));
            let ask = || {
                out.remark("-- the chat has ended; nothing that you type is sent. Press Enter alone to leave.");
            };
            ask();
            tokio::select! {
                () = signals::stop() => {}
                () = reader.await_enter(ask) => {}
            }
            return stop.result(true);
        }
    };
    drop(chat);
    client.close().await;
    ended
}

impl Chat {
    async fn run(
        &mut self,
        mut events: Events,
        reader: &mut ConsoleReader,
        idle: Duration,
    ) -> Result<End, Stop> {
        self.greet().await?;
        self.take_draft(reader).await?;
        // Lines that are there already are for the room as the relay has it.
        while matches!(self.shell.view().link, Link::Connecting) {
            let Some(heard) = events.next().await else { break };
            self.heard(heard).await?;
        }
        let (mut lock_at, mut told_begun) = (Instant::now() + idle, false);
        let keys = reader.keys();
        loop {
            let back_at = self.back_at().into_iter().chain(self.shell.rings_at());
            let back_at = back_at.chain(self.presence_at()).chain(self.watch_turn()).min();
            let on_duty = self.is_on_duty();
            tokio::select! {
                biased;
                typed = reader.next() => {
                    lock_at = Instant::now() + idle;
                    self.keys.pressed(Instant::now());
                    match typed {
                        None => return Ok(End::InputOver),
                        Some(Err(error)) => {
                            self.shell.out.remark(&format!("-- {error}"));
                            if matches!(error, LineError::Broken(_)) {
                                return Ok(End::InputOver);
                            }
                        }
                        Some(Ok(line)) => {
                            if self.typed(&line).await? == Next::Quit {
                                return Ok(End::Quit);
                            }
                        }
                    }
                }
                () = keys.pressed() => {
                    lock_at = Instant::now() + idle;
                    self.keys.pressed(Instant::now());
                }
                heard = events.next() => match heard {
                    Some(heard) => self.heard(heard).await?,
                    None => return Err(Failure::from(AskError::Closed).into()),
                },
                () = until(back_at) => self.show().await?,
                () = until(self.keys.next(on_duty)) => {
                    // Somebody may be in the middle of a long sentence.
                    if reader.has_more_begun().await {
                        self.keys.pressed(Instant::now());
                    }
                    self.watch_duty().await?;
                }
                () = sleep_until(lock_at) => {
                    if !reader.has_more_begun().await {
                        // Nobody sees the room here any more.
                        if on_duty {
                            self.end_duty().await?;
                        }
                        return Err(Stop::Idle);
                    }
                    lock_at = Instant::now() + idle.min(AFTER_KEYS);
                    if !std::mem::replace(&mut told_begun, true) {
                        self.shell.out.remark(BEGUN);
                    }
                }
            }
        }
    }

    fn out(&self) -> &Output {
        &self.shell.out
    }

    /// Shows the last lines and what to know about the room.
    async fn greet(&self) -> Result<()> {
        let view = self.shell.view();
        let speak = match view.standing {
            Standing::Member => {
                " Type and press Enter to speak; /help lists what else you can do; /quit ends."
            }
            _ => "",
        };
        self.out().remark(&format!(
            "{} - you are {}.{speak}",
            escape::one_line(&view.title),
            escape::one_line(&view.name)
        ));
        let page = Page::Before(Seq(view.shown.0.saturating_add(1)), ROWS_AT_START);
        let rows = self.shell.client.rows(&self.shell.room, page).await?;
        self.shell.print(&rows, false).await?;
        if view.mine.away.is_some() {
            self.shell.ask(Command::Set(Setting::Away(None))).await?;
            self.out().remark("-- you were away, and are back");
        }
        Ok(())
    }

    async fn heard(&mut self, heard: Heard) -> Result<(), Stop> {
        match heard {
            Heard::Told(told) if *told.room == *self.shell.room => self.happened(told.event).await,
            Heard::Told(told) => Ok(self.elsewhere(&told).await?),
            // The rows are there, whatever of their events was lost.
            Heard::Lagged(_) => {
                self.show().await?;
                self.offer_held();
                Ok(())
            }
        }
    }

    /// Says once of another room that there is something new.
    async fn elsewhere(&mut self, told: &Told) -> Result<()> {
        let view = self.shell.client.view(&told.room).await?;
        let is_new = view.borrow().last > view.borrow().shown;
        if matches!(told.event, Event::Rows) && is_new {
            let last = view.borrow().last;
            let before = self.elsewhere.insert(Arc::clone(&told.room), last);
            if before.is_none_or(|before| before <= view.borrow().shown) {
                let room = escape::one_line(&told.room);
                self.out().remark(&format!("-- something new in {room}: /room {room}"));
            }
        }
        Ok(())
    }

    /// Shows what the client tells, and what is new in the room.
    async fn happened(&mut self, event: Event) -> Result<(), Stop> {
        match event {
            Event::Up(up) => {
                self.shell.remark(&event);
                if up.again {
                    self.out().remark("-- connected again");
                    // What was said of the team may be long ago.
                    self.told_presence = None;
                }
                self.show().await?;
                self.tell_held();
                self.remind().await?;
                self.tell_standing(true);
                return Ok(());
            }
            Event::Down { why: None, .. } => return Ok(()),
            Event::Down { why: Some(why), .. } if why.is_connection() => {
                self.out().remark(&format!(
                    "-- {why}. Trying again; what you write meanwhile is kept and sent then."
                ));
                return Ok(());
            }
            Event::Down { why: Some(why), .. } => {
                self.tell(&Failure::from(&*why));
                self.out().remark("-- Trying again from time to time; what you write is kept.");
                return Ok(());
            }
            Event::Ended(why) => return Err(Failure::from(&*why).into()),
            Event::Trouble(_) | Event::CatchingUp(_) => self.shell.remark(&event),
            // The sender was shown the refusal.
            Event::Waits(_) => return Ok(()),
            Event::Over(block) => {
                // The record of it comes first.
                if !matches!(self.shell.view().link, Link::Connecting) {
                    self.show().await?;
                }
                if let Some(words) = outcome::over_words(&block, &self.shell.view()) {
                    self.out().remark(&self.out().advice(&words));
                }
                self.told_held = waits_for_me(&self.shell.view());
                self.offer_held();
                return Ok(());
            }
            // Once until somebody looks: a knock can be repeated without end.
            Event::Knock => {
                if !std::mem::replace(&mut self.told_knock, true) {
                    self.out().remark("-- somebody knocks: /knocks, then /admit NAME");
                }
            }
            // Before the first attempt to connect has ended, nothing is shown that the relay may have changed.
            Event::Rows | Event::View | Event::LaneRows(_)
                if matches!(self.shell.view().link, Link::Connecting) =>
            {
                return Ok(());
            }
            Event::Rows | Event::View | Event::LaneRows(_) => {}
        }
        self.show().await?;
        self.tell_held();
        self.tell_standing(false);
        let unread = self.shell.view().unread_reports;
        if std::mem::replace(&mut self.told_reports, unread) < unread {
            self.shell.remark_reports();
        }
        Ok(())
    }

    /// Says where this member is with their yes: when it changes, and, if they wait, when a connection begins.
    fn tell_standing(&mut self, begins: bool) {
        let view = self.shell.view();
        let before = std::mem::replace(&mut self.told_standing, view.standing.clone());
        if before == view.standing && !begins {
            return;
        }
        if let Some(words) = yes::standing(&view, &before) {
            self.out().remark(&self.out().advice(&words));
        }
    }

    /// Tells of words that wait for their author, once for each number of them.
    fn tell_held(&mut self) {
        let held = waits_for_me(&self.shell.view());
        if std::mem::replace(&mut self.told_held, held) != held && !self.offer_held() {
            self.shell.tell_held();
        }
    }

    /// Shows what was held for a time, with the commands that send and drop it; returns whether there is something that can go out now.
    fn offer_held(&self) -> bool {
        let view = self.shell.view();
        let held: Vec<&Waiting> = view.held_for_a_time().collect();
        if held.is_empty() || view.blocked.is_some() {
            return false;
        }
        outcome::quoted(self.out(), &held);
        let (them, id) = match &held[..] {
            [only] => ("it", only.id.short()),
            _ => ("them in this order", "all".to_owned()),
        };
        let change = match &held[..] {
            [only] => format!("`hearth outbox ROOM --change {}` changes it, ", only.id.short()),
            _ => "`hearth outbox ROOM --change ID` changes one, ".to_owned(),
        };
        let text = format!(
            "-- `hearth outbox ROOM --send {id}` sends {them}, {change}`hearth outbox ROOM --drop {id}` drops {}. Nothing of it goes out otherwise.",
            if held.len() == 1 { "it" } else { "them" }
        );
        self.out().remark(&self.out().advice(&text));
        true
    }

    /// Shows what is pinned; tells facilitators of knocks that wait, and everybody of the pause in force.
    async fn remind(&mut self) -> Result<()> {
        let view = self.shell.view();
        for row in self.shell.pinned(&view).await? {
            if let RowContent::Text(text) = &row.content {
                let (name, text) = (escape::one_line(&row.name), escape::one_line(text));
                self.out().remark(&format!("** pinned, by {name}: {text} **"));
            }
        }
        // By the log; where the relay does otherwise, that was told apart.
        let now = view.relay_now(now());
        let paused_until = view.policy.as_ref().map_or(Millis(0), |p| p.numbers.paused_until);
        if paused_until > now {
            let left = when::remaining(paused_until, now);
            match view.policy.as_ref().and_then(|policy| policy.more.breach) {
                Some(_) => self.out().remark(
                    "-- the room is stopped, because something said here may have got outside; check-ins and help-now work",
                ),
                None => self.out().remark(&format!("-- the room is paused; it ends {left}")),
            }
        }
        if let Some(words) = yes::renewal(&view) {
            self.out().remark(&self.out().advice(&words));
        }
        if view.standing == Standing::Member {
            self.tell_presence().await?;
            for words in outcome::round_words(&view) {
                let how = if words.starts_with("a round") { "/hands" } else { "/asks" };
                self.out().remark(&format!("-- {words}: {how} shows more"));
            }
        }
        if view.standing == Standing::Member {
            self.shell.tell_asked(None).await?;
        }
        if view.timed_out_until > now {
            let left = when::remaining(view.timed_out_until, now);
            self.out().remark(&self.out().advice(&format!(
                "-- you have a break; it ends {left}. You can read along, and talk in your check-in: `hearth checkin ROOM`."
            )));
        }
        if view.coming.is_some() && view.standing == Standing::Member {
            let pending = view.policy.as_ref().and_then(|policy| policy.pending);
            let by =
                pending.map_or("the next change".to_owned(), |p| crate::show::date(p.effective));
            self.out().remark(&format!(
                "-- a new agreement waits for you: /agreement diff shows what changed, /acknowledge signs it. Who has not signed by {by} is out until they do."
            ));
        }
        if !view.moderates() {
            return Ok(());
        }
        for stale in
            view.help.contacts.iter().filter_map(|help| contacts::stale(help, contacts::today()))
        {
            self.out().remark(&self.out().advice(&format!("-- {stale}")));
        }
        let knocks = match self.shell.ask(Command::Knocks).await {
            Ok(Outcome::Knocks(knocks)) => knocks.len(),
            _ => return Ok(()),
        };
        if knocks > 0 && !std::mem::replace(&mut self.told_knock, true) {
            let knocks = counted(knocks, "knock waits", "knocks wait");
            self.out().remark(&format!("-- {knocks} for an answer: /knocks"));
        }
        Ok(())
    }

    /// Shows new rows. Rows that do not verify are marked, and the chat goes on.
    async fn show(&mut self) -> Result<()> {
        match self.shell.view().mine.away {
            Some(until) if until > now() => self.tell_waiting().await?,
            Some(_) => self.come_back().await?,
            None => {
                self.waiting = Waits::default();
                unless_lied(self.shell.print_rows(false, false).await.map(|_| ()))?;
                unless_lied(self.shell.print_lanes().await.map(|_| ()))?;
            }
        }
        let was_live = std::mem::replace(&mut self.is_live, true);
        if let Some(call) = self.shell.called.take().filter(|_| was_live) {
            self.ring(call);
        }
        if was_live {
            Box::pin(self.tell_presence()).await?;
        }
        // Also to who is away.
        self.shell.tell_call()?;
        if self.shell.tell_calls()?.0 {
            self.ring(Call::Help);
        }
        self.take_back().await
    }

    fn ring(&mut self, call: Call) {
        let out = self.shell.out.clone();
        if self.bell.rings(call, &self.shell.view().mine, out.edits()) {
            out.ring();
        }
    }

    /// Returns when the time is over for which the person is away.
    fn back_at(&self) -> Option<Instant> {
        let until = self.shell.view().mine.away.filter(|until| *until != Millis::NEVER)?;
        let left = Duration::from_millis(until.0.saturating_sub(now().0));
        Some(Instant::now() + left.min(LOOK_AGAIN))
    }

    /// Says how many lines wait while the person is away: of the first, then whenever their number has doubled. What is urgent is
    /// told at once.
    async fn tell_waiting(&mut self) -> Result<()> {
        let waits = &mut self.waiting;
        waits.counted = waits.counted.max(self.shell.printed());
        let mut urgent = None;
        loop {
            let from = Page::From(Seq(waits.counted.0.saturating_add(1)));
            let rows = self.shell.client.rows(&self.shell.room, from).await?;
            let Some(last) = rows.last() else { break };
            waits.counted = last.place;
            let view = self.shell.view();
            let lens = self.shell.lens(&view, view.shown);
            waits.count += rows.iter().filter(|row| lens.shows(row)).count();
            let calls = rows.iter().filter_map(|row| bell::call(&view, row));
            urgent = urgent.max(calls.filter(|call| call.is_urgent()).max());
        }
        if self.shell.tell_mismatches().await? {
            self.ring(Call::Alarm);
        }
        if let Some(call) = urgent {
            self.out().remark("!! something does not verify: /back shows it");
            self.ring(call);
        }
        let waits = &mut self.waiting;
        if waits.count > 0 && waits.count >= waits.tell_at {
            waits.tell_at = 2 * waits.count;
            let wait = counted(waits.count, "line waits", "lines wait");
            self.out().remark(&format!("-- you are away; {wait}: /back shows what you missed"));
        }
        Ok(())
    }

    /// Ends being away, and shows what was missed.
    async fn come_back(&mut self) -> Result<()> {
        self.waiting = Waits::default();
        self.shell.ask(Command::Set(Setting::Away(None))).await?;
        self.out().remark("-- you are back");
        unless_lied(self.shell.catchup(None).await)
    }

    /// Takes words that were taken back from the screen; where that cannot be done, it says that they may still stand there.
    async fn take_back(&self) -> Result<()> {
        let gone = self.shell.taken_back().await?;
        if gone.is_empty() || self.out().is_json() {
            return Ok(());
        }
        // The Up key would bring them back.
        self.out().forget(|line| said(line, &gone));
        let gone = gone_words(&gone);
        if !self.out().clear() {
            self.out().remark(&format!("-- {gone}. The words may still stand above"));
            return Ok(());
        }
        // All rows that stood on the screen, and what is no row and was told once.
        let last = {
            let mut displayed = self.shell.displayed.borrow_mut();
            displayed.clear();
            displayed.last()
        };
        let count = line::rows().unwrap_or_default().max(ROWS_AT_START);
        let page = Page::Before(Seq(last.0.saturating_add(1)), count);
        let rows = self.shell.client.rows(&self.shell.room, page).await?;
        self.shell.print(&rows, false).await?;
        self.shell.repeat_mismatches().await?;
        if waits_for_me(&self.shell.view()) > 0 {
            self.shell.tell_held();
        }
        self.out().remark(&format!(
            "-- {gone}. This screen was cleared, so that the words are off it; /read --all shows the rest."
        ));
        match &self.asked {
            Some(Asked::Act(_, question)) => self.ask_consent(question),
            Some(Asked::Say(word)) => {
                let word = escape::truncate(&escape::one_line(word), SHOWN_COLUMNS);
                self.out().remark(&format!(
                    "-- \"{word}\" was not said to the room. To say it, enter the same again."
                ));
            }
            Some(Asked::Acknowledge(_)) => self.out().remark(ACCEPT),
            Some(Asked::Question(agreement, at)) => self.ask_question(agreement, *at),
            Some(Asked::Reading(_)) => self.out().remark(NEXT_PAGE),
            Some(Asked::Help(_)) => {
                self.offer_to_tell();
            }
            Some(Asked::Filling(filling)) => self.out().remark(&filling.prompt()),
            Some(Asked::Words(command)) => self.ask_words(command),
            Some(Asked::Still) => {}
            None => {}
        }
        Ok(())
    }

    /// Asks for the words to people that a command lacks.
    fn ask_words(&self, command: &InRoom) {
        let Some(lack) = command.lacks() else { return };
        let number = match lack.choices {
            [] => String::new(),
            choices => format!(" Type 1 to {}, or words of your own.", choices.len()),
        };
        self.out().remark(&format!("-- {}?{number} Enter alone does nothing.", lack.prompt));
        for line in lack.list() {
            self.out().remark(&format!("   {line}"));
        }
    }

    fn ask_consent(&self, question: &Question) {
        let words = self.out().advice(&question_words(question));
        self.out().remark(&format!("-- {words} Type yes to go on."));
    }

    async fn typed(&mut self, line: &str) -> Result<Next, Stop> {
        let typed = Line::of(line);
        match (self.asked.take(), &typed) {
            (Some(Asked::Act(command, question)), Line::Words(yes))
                if yes.eq_ignore_ascii_case("yes") =>
            {
                return self.act(&command, Consent::To(question)).await;
            }
            (Some(Asked::Act(..)), Line::Words(_)) => {
                self.out().remark("-- nothing was done, and what you typed was not sent");
                return Ok(Next::On);
            }
            (Some(Asked::Act(..)), _) => self.out().remark("-- nothing was done"),
            (Some(Asked::Acknowledge(agreement)), Line::Words(typed)) => {
                return self.sign(agreement, typed).await;
            }
            (Some(Asked::Question(agreement, at)), Line::Words(typed)) => {
                return self.answer(agreement, at, typed).await;
            }
            (Some(Asked::Question(agreement, at)), Line::Command(_)) => {
                self.asked = Some(Asked::Question(agreement, at));
            }
            (Some(Asked::Question(..)), Line::Empty) => {
                self.out().remark(
                    "-- nothing was signed yet, and you can take your time: /acknowledge shows the agreement again, and asks",
                );
            }
            (Some(Asked::Acknowledge(_)), Line::Empty) => {
                self.out().remark(
                    "-- nothing was signed yet, and you can take your time: /acknowledge shows the agreement again, and asks",
                );
            }
            // The text was shown; to look at something else does not answer.
            (Some(Asked::Acknowledge(agreement)), Line::Command(_)) => {
                self.asked = Some(Asked::Acknowledge(agreement));
            }
            (Some(Asked::Still), Line::Words(text)) => {
                let room = escape::one_line(&self.shell.room);
                self.out().remark(&format!(
                    "-- you are still in {room}, and that was not said there. To say it, enter the same again."
                ));
                self.asked = Some(Asked::Say((*text).to_owned()));
                return Ok(Next::On);
            }
            (Some(Asked::Help(words)), Line::Empty) => return self.tell_facilitators(&words).await,
            // Who asks for help again is not answered by telling the room.
            (Some(Asked::Help(words)), Line::Words(again))
                if words == *again && !slip::asks_for_help(again) =>
            {
                return self.say(again).await;
            }
            (Some(Asked::Help(_)), Line::Words(text))
                if !slip::asks_for_help(text)
                    && slip::meant(text, || names(&self.shell.view())).is_none() =>
            {
                let people = people(&self.shell.view().help.bench);
                self.out().remark(&format!(
                    "-- that was not said to the room, and nobody was told. Enter alone sends it to {people}; the same again says it to the room."
                ));
                self.asked = Some(Asked::Help((*text).to_owned()));
                return Ok(Next::On);
            }
            (Some(Asked::Words(command)), Line::Words(words)) => {
                let words = command.lacks().map_or(*words, |lack| lack.chosen(words));
                let command = command.with_words(words.to_owned());
                return self.act(&command, Consent::Unasked).await;
            }
            (Some(Asked::Words(_)), Line::Empty) => self.out().remark("-- nothing was done"),
            (Some(Asked::Reading(reading)), Line::Empty) => {
                self.show_page(reading.rest, reading.signs);
                return Ok(Next::On);
            }
            (Some(Asked::Reading(reading)), Line::Words(text)) => {
                return self.typed_at_page(reading, text).await;
            }
            (Some(Asked::Filling(filling)), Line::Words(text)) => {
                return self.typed_answer(filling, text).await;
            }
            (Some(Asked::Filling(filling)), Line::Empty) => {
                self.out().remark(&filling.prompt());
                self.asked = Some(Asked::Filling(filling));
                return Ok(Next::On);
            }
            // Something else may be looked at meanwhile.
            (Some(Asked::Filling(filling)), Line::Command(_)) => {
                self.asked = Some(Asked::Filling(filling));
            }
            // The text goes on where it was.
            (Some(Asked::Reading(reading)), Line::Command(_)) => {
                self.asked = Some(Asked::Reading(reading));
            }
            (Some(Asked::Say(word)), Line::Words(again)) if word == *again => {
                return self.say(again).await;
            }
            _ => {}
        }
        match typed {
            Line::Empty => Ok(Next::On),
            Line::Command(command) => self.command(command).await,
            Line::Words(text) => match self.shell.meant(text).await? {
                Meant::Signs => {
                    self.out().remark(
                        "-- that signed nothing, and was not said to the room: /acknowledge shows the agreement, and asks",
                    );
                    Ok(Next::On)
                }
                Meant::To(to) => self.say_to(to).await,
                Meant::Help => {
                    contacts::show_of_room(&self.shell)?;
                    self.out().remark(
                        "-- that was not said to the room. /help lists the commands; /send and your words say something to the room.",
                    );
                    if self.offer_to_tell() {
                        self.asked = Some(Asked::Help(text.to_owned()));
                    }
                    Ok(Next::On)
                }
                Meant::Command(command) => {
                    let shown = escape::truncate(&escape::one_line(text), SHOWN_COLUMNS);
                    let up = if self.out().edits() { " (the Up key brings it)" } else { "" };
                    self.out().remark(&format!(
                        "-- \"{shown}\" was not said to the room. Did you mean /{}? To say it, enter the same again{up}.",
                        escape::one_line(&command)
                    ));
                    self.asked = Some(Asked::Say(text.to_owned()));
                    Ok(Next::On)
                }
                Meant::Words => self.say(text).await,
            },
        }
    }

    /// Takes words that were typed where a text goes on: they are said if they are entered again.
    async fn typed_at_page(&mut self, mut reading: Box<Reading>, text: &str) -> Result<Next, Stop> {
        let signs = agreement::is_acknowledged(text);
        if !signs && reading.words == text {
            reading.words.clear();
            self.asked = Some(Asked::Reading(reading));
            return self.say(text).await;
        }
        let shown = escape::truncate(&escape::one_line(text), SHOWN_COLUMNS);
        self.out().remark(&match signs {
            true => "-- that signed nothing yet, and was not said to the room: press Enter alone to read on".to_owned(),
            false => format!(
                "-- \"{shown}\" was not said to the room. To say it, enter the same again; to read on, press Enter alone."
            ),
        });
        text.clone_into(&mut reading.words);
        self.asked = Some(Asked::Reading(reading));
        Ok(Next::On)
    }

    /// Says whom Enter tells; returns whether there is anybody.
    fn offer_to_tell(&self) -> bool {
        let view = self.shell.view();
        if view.help.bench.is_empty() {
            return false;
        }
        let people = people(&view.help.bench);
        self.out().remark(&format!(
            "-- Enter alone tells {people}. Go on with anything else, and only you have seen these numbers."
        ));
        true
    }

    /// Tells the facilitators that this member asks for help.
    async fn tell_facilitators(&mut self, words: &str) -> Result<Next, Stop> {
        // A bare word that brought the numbers up is no message to anybody.
        let words = if slip::asks_for_help(words) { "" } else { words };
        let command = InRoom::help_now(&self.shell.room, HelpNow::telling(words));
        self.act(&command, Consent::Unasked).await
    }

    /// Says something behind an @: to a lane, or back to who typed it.
    async fn say_to(&mut self, to: To) -> Result<Next, Stop> {
        match to {
            To::Lane(args) => {
                let command = InRoom::check_in(&self.shell.room, args);
                self.act(&command, Consent::Unasked).await
            }
            To::Unknown { name, text } => {
                self.out().remark(&format!(
                    "-- that was not said: nobody here is called {}, and everybody would read it. /who lists the names. To say it to the room, enter the same again.",
                    escape::one_line(&name)
                ));
                self.asked = Some(Asked::Say(text));
                Ok(Next::On)
            }
            To::Nobody { name, text } => {
                self.out().remark(&format!(
                    "-- that was not said: Hearth has no messages between two members, so {} and everybody else would read it. To say it to the room, enter the same again.",
                    escape::one_line(&name)
                ));
                self.asked = Some(Asked::Say(text));
                Ok(Next::On)
            }
        }
    }

    async fn say(&mut self, text: &str) -> Result<Next, Stop> {
        let command = InRoom::say(&self.shell.room, text);
        self.act(&command, Consent::Unasked).await
    }

    /// Keeps a sentence that was not finished for the next chat.
    async fn keep_draft(&self, words: &str) {
        if words.trim().is_empty() {
            return;
        }
        if self.shell.ask(Command::KeepDraft(words.to_owned())).await.is_ok() {
            self.out().remark("-- what you had begun to type is kept for the next chat");
        }
    }

    /// Puts a sentence that was not finished back into the line, or shows it where lines are not edited.
    async fn take_draft(&self, reader: &ConsoleReader) -> Result<()> {
        let Outcome::Draft(Some(words)) = self.shell.ask(Command::Draft).await? else {
            return Ok(());
        };
        let told = match self.out().give_back(&words) {
            Some(GivenBack::Line) => "-- what you had begun to type is back in the line".to_owned(),
            Some(GivenBack::History) => {
                "-- the Up key brings back what you had begun to type".to_owned()
            }
            None if reader.is_at_terminal() && !self.out().is_json() => {
                let shown = escape::truncate(&escape::one_line(&words), GIVEN_BACK_COLUMNS);
                format!("-- what you had begun to type was not sent; copy it from here: {shown}")
            }
            None => return Ok(()),
        };
        self.shell.ask(Command::KeepDraft(String::new())).await?;
        self.out().remark(&told);
        Ok(())
    }

    /// Keeps the words that were entered while something else was being done, in which the chat was ended. Commands are
    /// not done: who ended the chat does not see what they lead to.
    async fn keep_typed_ahead(&self, lines: &[String]) {
        let (mut kept, mut undone) = (0, 0);
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            match self.kept(line).await {
                true => kept += 1,
                false => undone += 1,
            }
        }
        if kept > 0 {
            self.out().remark(
                "-- what you typed last is kept; it goes out with your next message or command",
            );
        }
        if undone > 0 {
            let lines = counted(undone, "line", "lines");
            self.out().remark(&format!(
                "-- {lines} of what you typed last went nowhere. Type it again when you are back."
            ));
        }
    }

    /// Whether nothing of a line is lost.
    async fn kept(&self, line: &str) -> bool {
        let text = match Line::of(line) {
            Line::Empty => return true,
            Line::Command(_) => return false,
            Line::Words(text) => text,
        };
        // It may have been meant for the chat, and nobody was asked yet.
        slip::meant(text, || names(&self.shell.view())).is_none()
            && self.shell.ask(Command::Queue(text.to_owned())).await.is_ok()
    }

    async fn command(&mut self, line: &str) -> Result<Next, Stop> {
        let line = line.trim();
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        match word.as_str() {
            "quit" | "exit" | "q" => return Ok(Next::Quit),
            "help" | "?" | "" => {
                let text = match line.split_whitespace().nth(1) {
                    Some(wanted) => self.out().advice(&slip::one(&wanted.to_lowercase())),
                    None => {
                        let role = self.shell.view().role();
                        slip::list(role.unwrap_or(Role::Member), line::columns())
                    }
                };
                let text = line::columns().map_or_else(|| text.clone(), |c| wrap::lines(&text, c));
                // A page at a time: the first lines of a list would leave a small screen unread.
                let pages = self.pages(&text);
                self.show_page(pages, None);
                return Ok(Next::On);
            }
            _ => {}
        }
        match self.shell.typed(line) {
            Typed::Command(command) => {
                let consent =
                    if command.is_agreed() { Consent::Whatever } else { Consent::Unasked };
                return self.act(&command, consent).await;
            }
            Typed::Own(entry, rest) => return self.of_chat(entry, &rest).await,
            Typed::Slip(told) => self.out().remark(&format!("-- {told}")),
            Typed::Refused(failure) => self.tell(&failure),
        }
        Ok(Next::On)
    }

    /// Does a command that only a chat has.
    async fn of_chat(&mut self, entry: &Entry, rest: &str) -> Result<Next, Stop> {
        let done = match (entry.name, rest) {
            ("agreement", "") => self.read_agreement().await,
            ("agreement", "diff") => agreement::diff(&self.shell).await,
            ("acknowledge", "") => self.ask_to_sign().await,
            ("rooms", "") => self.list_rooms().await,
            ("room", wanted) if !wanted.is_empty() => self.go_to(wanted).await,
            _ => {
                let usage = slip::usage(entry);
                self.out().remark(&format!("-- nothing was sent. It goes: {usage}"));
                Ok(())
            }
        };
        // What is typed ahead was meant for the other room.
        if entry.name == "room" && (rest.is_empty() || done.is_err()) {
            self.asked = Some(Asked::Still);
        }
        if let Err(failure) = done {
            self.tell(&failure);
        }
        Ok(Next::On)
    }

    /// Shows the version that waits for this member, and asks for the words.
    async fn ask_to_sign(&mut self) -> Result<()> {
        let Some(coming) = agreement::to_sign(&self.shell).await? else {
            self.out().remark("-- you have acknowledged the current agreement");
            return Ok(());
        };
        let view = self.shell.view();
        let pages = self.pages(&agreement::text(&coming, &view.title));
        self.show_page(pages, Some(Box::new(coming)));
        Ok(())
    }

    /// Breaks a text into pages of the terminal; where lines are not edited, it is one page.
    fn pages(&self, text: &str) -> VecDeque<String> {
        let (Some(columns), Some(rows)) = (line::columns(), line::rows()) else {
            return VecDeque::from([text.to_owned()]);
        };
        if !self.out().edits() {
            return VecDeque::from([text.to_owned()]);
        }
        let wrapped = wrap::lines(text, columns);
        let lines: Vec<&str> = wrapped.lines().collect();
        let page = rows.saturating_sub(PAGE_MARGIN).max(1);
        lines.chunks(page).map(|lines| lines.join("\n")).collect()
    }

    /// Shows one page, and says how the next one comes; after the last, asks for the words that sign.
    fn show_page(&mut self, mut rest: VecDeque<String>, signs: Option<Box<Agreement>>) {
        if let Some(page) = rest.pop_front() {
            self.out().remark(&page);
        }
        if !rest.is_empty() {
            self.out().remark(NEXT_PAGE);
            let words = String::new();
            self.asked = Some(Asked::Reading(Box::new(Reading { rest, signs, words })));
        } else if let Some(agreement) = signs {
            self.out().remark(ACCEPT);
            self.asked = Some(Asked::Acknowledge(agreement));
        }
    }

    async fn read_agreement(&mut self) -> Result<()> {
        let text = agreement::shown(&self.shell).await?;
        let pages = self.pages(&text);
        self.show_page(pages, None);
        Ok(())
    }

    async fn sign(&mut self, agreement: Box<Agreement>, typed: &str) -> Result<Next, Stop> {
        if !agreement::is_acknowledged(typed) {
            self.out().remark(
                "-- nothing was signed, and what you typed was not sent. Type I acknowledge, or press Enter alone to stop.",
            );
            self.asked = Some(Asked::Acknowledge(agreement));
            return Ok(Next::On);
        }
        self.ask_next(agreement, 0).await
    }

    /// Asks the question at a place, or signs behind the last one.
    async fn ask_next(&mut self, agreement: Box<Agreement>, at: usize) -> Result<Next, Stop> {
        if at < agreement.questions().len() {
            self.ask_question(&agreement, at);
            self.asked = Some(Asked::Question(agreement, at));
            return Ok(Next::On);
        }
        match self.shell.ask(Command::Acknowledge(*agreement)).await {
            // Where this member is now says more.
            Ok(Outcome::SaidYes) => {}
            Ok(_) => self.out().remark("-- you have signed it; /status shows it"),
            Err(failure) => self.tell(&failure),
        }
        self.show().await?;
        self.tell_standing(false);
        Ok(Next::On)
    }

    fn ask_question(&self, agreement: &Agreement, at: usize) {
        let questions = agreement.questions();
        if let Some(question) = questions.get(at) {
            let shown = understood::shown(question, at + 1, questions.len());
            self.out().remark(&format!("{shown}\n-- {}", understood::prompt(question).trim_end()));
        }
    }

    /// Judges an answer: a wrong one explains and asks again.
    async fn answer(
        &mut self,
        agreement: Box<Agreement>,
        at: usize,
        typed: &str,
    ) -> Result<Next, Stop> {
        let judged = agreement.questions().get(at).map(|q| understood::judge(q, typed));
        if let Some(Err(words)) = judged {
            self.out().remark(&words);
            self.ask_question(&agreement, at);
            self.asked = Some(Asked::Question(agreement, at));
            return Ok(Next::On);
        }
        self.ask_next(agreement, at + 1).await
    }

    async fn list_rooms(&self) -> Result<()> {
        for room in self.shell.client.rooms().await? {
            let here = if room.name == self.shell.room { " (here)" } else { "" };
            let title = escape::one_line(&room.title);
            let standing = room.standing.as_str();
            let text = format!("{:24} {standing:10} {title}{here}", room.name);
            self.out().say(&json!({"room": room.name, "standing": standing}), &text)?;
        }
        Ok(())
    }

    /// Goes to another room of the profile. Both stay in step with their relays.
    async fn go_to(&mut self, wanted: &str) -> Result<()> {
        let out = self.out().clone();
        let shell = Shell::new(&self.shell.client, wanted, &out).await?;
        let room = shell.room.clone();
        self.shell = shell.following(out.in_chat(&room));
        // What was asked was of the other room.
        self.asked = None;
        self.told_presence = None;
        self.greet().await?;
        self.show().await?;
        self.told_held = waits_for_me(&self.shell.view());
        if self.told_held > 0 && !self.offer_held() {
            self.shell.tell_held();
        }
        Ok(())
    }

    async fn act(&mut self, command: &InRoom, consent: Consent) -> Result<Next, Stop> {
        if matches!(command, InRoom::Door(Door::Knocks(_) | Door::Admit(_) | Door::Decline(_))) {
            self.told_knock = false;
        }
        if let Some(failure) = outside_only(command) {
            self.tell(&failure);
            return Ok(Next::On);
        }
        // What is of this device alone can be set while one is away; to say or do anything else is to be back.
        if self.shell.view().mine.away.is_some() && !matches!(command, InRoom::Mine(_)) {
            self.come_back().await?;
        }
        if let Some(given) = command.answers() {
            match self.fill(given).await {
                Ok(filling) => self.asked = Some(Asked::Filling(Box::new(filling))),
                Err(failure) => {
                    self.tell(&failure);
                    // Answers that are typed ahead are not for the room.
                    self.asked = Some(Asked::Still);
                }
            }
            return Ok(Next::On);
        }
        let out = self.out().clone();
        if !command.entry().answers {
            self.shell.out = out.clone().quiet();
        }
        let did = match command.words() {
            Some(text) => self.send(text, &out).await,
            None => self.shell.act(command, consent).await,
        };
        self.shell.out = out;
        match did {
            Ok(Did::Done) => {
                match command.as_help_now() {
                    Some((_, help)) if help.words().is_some() => self.shell.calls_were_told(),
                    Some(_) if self.offer_to_tell() => {
                        self.asked = Some(Asked::Help(String::new()));
                    }
                    Some(_) => {}
                    None => {}
                }
                self.show().await?;
            }
            Ok(Did::Asks(question)) => {
                self.ask_consent(&question);
                self.asked = Some(Asked::Act(command.clone(), question));
                return Ok(Next::On);
            }
            Err(failure) if failure.code == NEEDS_WORDS && command.lacks().is_some() => {
                self.ask_words(command);
                self.asked = Some(Asked::Words(command.clone()));
                return Ok(Next::On);
            }
            Err(failure) => {
                // A disk that fails ends the chat: with what became of the words, if it was theirs.
                if self.show().await.is_err() {
                    return Err(Stop::Failed(failure));
                }
                self.tell(&failure);
                if failure.kept {
                    self.told_held = waits_for_me(&self.shell.view());
                }
                self.give_back(command, &failure);
            }
        }
        let left = matches!(command, InRoom::Going(Going::Leave(_) | Going::Withdraw(_)))
            && self.shell.view().standing != Standing::Member;
        if left {
            self.out().remark(
                "-- You have left. The duty about what you heard goes on; your receipt stays here.",
            );
        }
        Ok(if left { Next::Quit } else { Next::On })
    }

    /// Says something; what cannot go out now is kept.
    async fn send(&self, text: &str, out: &Output) -> Result<Did> {
        let say = Command::Say(text.to_owned().into());
        match self.shell.client.ask(&self.shell.room, say, Consent::Unasked).await {
            Ok(Outcome::Kept { why, .. }) => {
                kept(out, why.as_deref());
                Ok(Did::Done)
            }
            Ok(_) => Ok(Did::Done),
            Err(error) => Err(inside::unsent(error.into())),
        }
    }

    /// Gives words that went nowhere back to the person who wrote them.
    fn give_back(&self, command: &InRoom, failure: &Failure) {
        let nowhere =
            !failure.kept && matches!(&*failure.code, "too_long" | "bad_text" | "outbox_full");
        if let Some(text) = command.words()
            && nowhere
        {
            let words = match self.out().give_back(text) {
                Some(GivenBack::Line) => {
                    "-- your words are back in the line: change them, or press Ctrl-U to drop them"
                        .to_owned()
                }
                Some(GivenBack::History) => {
                    "-- the Up key brings your words back; what you type now stays".to_owned()
                }
                // A line that is not edited takes no draft, so they stand where they can be copied.
                None => {
                    let shown = escape::truncate(&escape::one_line(text), GIVEN_BACK_COLUMNS);
                    format!("-- your words are kept nowhere; copy them from here: {shown}")
                }
            };
            self.out().remark(&words);
        }
    }

    fn tell(&self, failure: &Failure) {
        let advice = self.out().advice(&failure.advice);
        self.out().remark(&format!("-- {}. {advice}", escape::one_line(&failure.message)));
    }
}

/// Takes rows that do not verify for shown: they are marked, and the chat goes on.
fn unless_lied(shown: Result<()>) -> Result<()> {
    match shown {
        Err(failure) if failure.exit == exit::LIED => Ok(()),
        shown => shown,
    }
}

/// Waits until a time; forever if there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Says to a person who has a chat open how to get to another room.
fn elsewhere_open(failure: Failure, room: &str) -> Failure {
    match &*failure.code {
        "profile_in_use" => Failure {
            advice: format!(
                "If a chat is open in another window, type /room {} there: one chat goes to every room. Otherwise close the other hearth (follow, lines or steward).",
                escape::one_line(room)
            ),
            ..failure
        },
        _ => failure,
    }
}

/// Says that words go out later.
fn kept(out: &Output, why: Option<&LiveError>) {
    out.remark(match why.is_none_or(LiveError::is_connection) {
        true => "-- kept; it goes out when the connection is back",
        false => "-- kept; it goes out when that is put right",
    });
}

/// Returns how many messages wait for this member to send or drop them.
fn waits_for_me(view: &RoomView) -> usize {
    view.outbox.iter().filter(|waiting| waiting.held.is_some()).count()
}

/// Returns the members' names; none where the room has no keys yet.
fn names(view: &RoomView) -> Vec<String> {
    view.roster.iter().map(|leaf| leaf.name.clone()).collect()
}

/// Refuses what works outside of a chat only.
fn outside_only(command: &InRoom) -> Option<Failure> {
    let entry = command.entry();
    let advice = format!("Type /quit, then `hearth {} ROOM`.", entry.name);
    let outside = entry.topic.is_none();
    outside.then(|| Failure::usage("the chat does not take that command", advice))
}
