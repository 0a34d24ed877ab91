//! `hearth chat`: a room line by line, in any terminal, for screen readers, and over a pipe.
//!
//! What is typed goes out; what starts with a slash is a room command, parsed by the same table as the command line.
//! While the relay is away, words are kept in the outbox, and the member is told.

use std::time::Duration;

use hearth_console::{
    line::{self, Console, ConsoleReader, LineError},
    signals,
};
use hearth_engine::{
    Crypto, Room,
    state::{RowContent, Standing},
    store::Store,
};
use hearth_protocol::{Millis, Role};
use hearth_session::{
    live::{Live, now},
    network::Network,
    session::{Event, Session},
};
use hearth_text::{count::counted, escape};
use tokio::time::{Instant, sleep_until};

use super::{Context, Open, Result, inside, listing, read, slip};
use crate::{
    advice,
    cli::InRoom,
    failure::{Failure, exit},
    show::Output,
    text::when,
    text::wrap,
};

/// What a person sees of the past on entering.
const ROWS_AT_START: usize = 20;
/// Columns of a line that is repeated to the person who typed it.
const SHOWN_COLUMNS: usize = 50;
/// Columns of refused words that are shown where they cannot go back into the line.
const GIVEN_BACK_COLUMNS: usize = 4_000;
/// Where something is typed after the chat has ended against the person's will.
const ENDED_PROMPT: &str = "(Enter leaves) ";

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
    fn words(&self, room: &str) -> String {
        match self {
            Self::Idle => {
                format!("-- locked: nobody typed for a while. `hearth chat {room}` goes on.")
            }
            Self::Failed(failure) => {
                let advice = advice::in_room(&failure.advice, room);
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
struct Chat<'s> {
    store: &'s Store,
    crypto: &'s Crypto,
    room: String,
    out: Output,
    /// Whether it was said that the connection is not post-quantum.
    told_classical: bool,
    /// Whether it was said that somebody knocks, and nobody has looked since.
    told_knock: bool,
    /// How many texts were too long when it was told.
    told_held: usize,
    /// What the person was asked.
    asked: Option<Asked>,
}

/// What the next line may answer.
enum Asked {
    /// Whether to do this.
    Act(InRoom),
    /// Whether to say this word, which is a command without its slash.
    Say(String),
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
        match line.strip_prefix('/') {
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
    let open = context.open()?;
    let room = Room::open(open.store(), &open.crypto, room)?;
    let (_, _, name) = room.parts();
    let mut console = None;
    let mut chat = Chat {
        store: Open::store(&open),
        crypto: &open.crypto,
        out: context.out.clone().in_chat(&name),
        room: name.clone(),
        told_classical: false,
        told_knock: false,
        told_held: 0,
        asked: None,
    };
    let talk = async {
        let started = Console::start("> ", alternate);
        let (reader, printer) = started.map_err(|error| Stop::Failed(error.into()))?;
        let reader = console.insert(reader);
        if !chat.out.is_json() {
            chat.out = chat.out.clone().above(printer);
        }
        if alternate && reader.is_at_terminal() && !reader.edits() {
            chat.out.remark("-- this terminal has no alternate screen: what is shown here stays");
        }
        chat.run(room, reader, idle).await
    };
    // Before the terminal is changed, and above all that waits for the relay: a signal that finds the default would
    // leave the terminal without echo, and a relay that says nothing must not keep anybody from ending. What was in
    // the middle is in the store, as after a power cut.
    let ended = tokio::select! {
        biased;
        () = signals::stop() => None,
        result = talk => Some(result),
    };
    match (ended, console) {
        // In order: what follows /quit is meant for nobody.
        (Some(Ok(End::Quit | End::InputOver)), _) | (None, None) => Ok(()),
        (None, Some(reader)) => {
            if alternate {
                chat.out = context.out.clone();
            }
            chat.keep_typed_ahead(&reader.typed_ahead().await);
            Ok(())
        }
        (Some(Err(stop)), None) => stop.result(false),
        (Some(Err(stop)), Some(reader)) if !reader.is_at_terminal() => {
            chat.keep_typed_ahead(&reader.typed_ahead().await);
            if matches!(stop, Stop::Idle) {
                chat.out.remark(&stop.words(&name));
            }
            stop.result(false)
        }
        (Some(Err(stop)), Some(mut reader)) => {
            // Somebody may be in the middle of a private sentence: it must not go to the shell, which runs it and keeps it.
            let draft = reader.stop_talking(ENDED_PROMPT);
            if matches!(stop, Stop::Idle) {
                reader.hide();
            }
            chat.keep_draft(&draft);
            chat.keep_typed_ahead(&reader.take_typed_ahead().await);
            let out = chat.out.clone();
            // The profile is free for others meanwhile.
            drop(chat);
            drop(open);
            out.remark(&stop.words(&name));
            let ask = || {
                out.remark("-- the chat has ended; nothing that you type is sent. Press Enter alone to leave.");
            };
            ask();
            tokio::select! {
                () = signals::stop() => {}
                () = reader.await_enter(ask) => {}
            }
            stop.result(true)
        }
    }
}

impl<'s> Chat<'s> {
    async fn run(
        &mut self,
        mut room: Room<'s>,
        reader: &mut ConsoleReader,
        idle: Duration,
    ) -> Result<End, Stop> {
        self.greet(&mut room)?;
        self.take_draft(&room)?;
        let out = self.out.clone();
        let mut session = Session::new(Network::machine(), room, move |missed| {
            inside::tell_missed(&out, missed);
        });
        // Lines that are there already are for the room as the relay has it.
        let event = session.next().await.map_err(Failure::from)?;
        self.happened(&mut session, event).await?;
        let mut lock_at = Instant::now() + idle;
        let keys = reader.keys();
        loop {
            tokio::select! {
                biased;
                typed = reader.next() => {
                    lock_at = Instant::now() + idle;
                    match typed {
                        None => return Ok(End::InputOver),
                        Some(Err(error)) => {
                            self.out.remark(&format!("-- {error}"));
                            if matches!(error, LineError::Broken(_)) {
                                return Ok(End::InputOver);
                            }
                        }
                        Some(Ok(line)) => {
                            if self.typed(&mut session, &line).await? == Next::Quit {
                                return Ok(End::Quit);
                            }
                        }
                    }
                }
                () = keys.pressed() => lock_at = Instant::now() + idle,
                ready = session.ready() => {
                    let event = session.turn(ready).await.map_err(Failure::from)?;
                    self.happened(&mut session, event).await?;
                }
                () = sleep_until(lock_at) => return Err(Stop::Idle),
            }
        }
    }

    /// Shows the last lines and what to know about the room.
    fn greet(&self, room: &mut Room<'_>) -> Result<()> {
        let since = read::kept_since(room)?;
        let state = room.state();
        let speak = match state.standing {
            Standing::Member => {
                " Type and press Enter to speak; /help lists what else you can do; /quit ends."
            }
            _ => "",
        };
        self.out.remark(&format!(
            "{} - you are {}.{speak}",
            escape::one_line(&state.title),
            escape::one_line(&state.name)
        ));
        let shown = state.shown;
        let view = crate::show::View {
            room: &state.local_name,
            me: room.me(),
            muted: &state.muted,
            held: false,
        };
        let rows =
            room.history_back(hearth_protocol::Seq(shown.0.saturating_add(1)), ROWS_AT_START)?;
        for mut row in rows {
            read::expire(&mut row, since);
            view.row(&self.out, &row)?;
        }
        Ok(())
    }

    /// Shows what a session tells, and what is new in the room.
    async fn happened(&mut self, session: &mut Session<'s>, event: Event) -> Result<(), Stop> {
        match event {
            Event::Up(up) => {
                inside::tell_of_connection(&self.out, up, &mut self.told_classical);
                if up.again {
                    self.out.remark("-- connected again");
                }
                self.show(session.room().map_err(Failure::from)?)?;
                if let Some(live) = session.live() {
                    self.tell_held(&mut live.room)?;
                    self.remind(live).await?;
                }
                return Ok(());
            }
            Event::Down { why: None, .. } => return Ok(()),
            Event::Down { why: Some(error), .. } if error.is_connection() => {
                self.out.remark(&format!(
                    "-- {error}. Trying again; what you write meanwhile is kept and sent then."
                ));
                return Ok(());
            }
            Event::Down { why: Some(error), .. } => {
                self.tell(&Failure::from(error));
                self.out.remark("-- Trying again from time to time; what you write is kept.");
                return Ok(());
            }
            Event::Trouble(error) => self.tell(&Failure::from(error)),
            // Once until somebody looks: a knock can be repeated without end.
            Event::Knock => {
                if !std::mem::replace(&mut self.told_knock, true) {
                    self.out.remark("-- somebody knocks: /knocks, then /admit NAME");
                }
            }
            Event::News => {}
        }
        let room = session.room().map_err(Failure::from)?;
        self.show(room)?;
        Ok(self.tell_held(room)?)
    }

    /// Tells of words that wait for their author, once for each number of them.
    fn tell_held(&mut self, room: &mut Room<'_>) -> Result<()> {
        let held = room.held_texts()?.len();
        if std::mem::replace(&mut self.told_held, held) != held {
            inside::tell_held(room, &self.out)?;
        }
        Ok(())
    }

    /// Shows what is pinned; tells facilitators of knocks that wait, and everybody of the pause in force.
    async fn remind(&mut self, live: &mut Live<'_>) -> Result<()> {
        for pin in live.room.policy().map(|p| p.pins).unwrap_or_default() {
            if let Ok(Some(row)) = live.room.row(pin.seq)
                && row.id == Some(pin.message)
                && let RowContent::Text(text) = &row.content
            {
                let (name, text) = (escape::one_line(&row.name), escape::one_line(text));
                self.out.remark(&format!("** pinned, by {name}: {text} **"));
            }
        }
        // By the log; where the relay does otherwise, that was told apart.
        let now = live.relay_now();
        let paused_until = live.room.policy().map_or(Millis(0), |p| p.numbers.paused_until);
        if paused_until > now {
            let left = when::remaining(paused_until, now);
            self.out.remark(&format!("-- the room is paused; it ends {left}"));
        }
        let timed_out_until = live.room.state().timed_out_until;
        if timed_out_until > now {
            let left = when::remaining(timed_out_until, now);
            self.out.remark(&format!("-- you are asked to rest; it ends {left}. You can read."));
        }
        let Ok(status) = live.status().await else { return Ok(()) };
        if status.knocks > 0 && !std::mem::replace(&mut self.told_knock, true) {
            let knocks = counted(status.knocks, "knock waits", "knocks wait");
            self.out.remark(&format!("-- {knocks} for an answer: /knocks"));
        }
        Ok(())
    }

    /// Shows new rows. Rows that do not verify are marked, and the chat goes on.
    fn show(&self, room: &mut Room<'_>) -> Result<()> {
        match read::print_rows(room, &self.out, false, false) {
            Err(failure) if failure.exit == exit::LIED => Ok(()),
            result => result.map(|_| ()),
        }
    }

    async fn typed(&mut self, session: &mut Session<'s>, line: &str) -> Result<Next, Stop> {
        let typed = Line::of(line);
        match (self.asked.take(), &typed) {
            (Some(Asked::Act(command)), Line::Words(yes)) if yes.eq_ignore_ascii_case("yes") => {
                return self.act(session, &command).await;
            }
            (Some(Asked::Act(_)), Line::Words(_)) => {
                self.out.remark("-- nothing was done, and what you typed was not sent");
                return Ok(Next::On);
            }
            (Some(Asked::Act(_)), _) => self.out.remark("-- nothing was done"),
            (Some(Asked::Say(word)), Line::Words(again)) if word == *again => {
                return self.say(session, again).await;
            }
            _ => {}
        }
        match typed {
            Line::Empty => Ok(Next::On),
            Line::Command(command) => self.command(session, command).await,
            Line::Words(text) => {
                if let Some(command) =
                    slip::meant(text, || session.room().map(names).unwrap_or_default())
                {
                    let text = escape::truncate(&escape::one_line(text), SHOWN_COLUMNS);
                    self.out.remark(&format!(
                        "-- \"{text}\" was not said to the room. Did you mean /{}? To say it, enter the same again (the Up key brings it).",
                        escape::one_line(&command)
                    ));
                    self.asked = Some(Asked::Say(text.to_owned()));
                    return Ok(Next::On);
                }
                self.say(session, text).await
            }
        }
    }

    async fn say(&mut self, session: &mut Session<'s>, text: &str) -> Result<Next, Stop> {
        let command = InRoom::Send { room: self.room.clone(), text: text.to_owned() };
        self.perform(session, &command).await?;
        Ok(Next::On)
    }

    /// Keeps a sentence that was not finished for the next chat.
    fn keep_draft(&self, words: &str) {
        if words.trim().is_empty() {
            return;
        }
        let room = Room::open(self.store, self.crypto, &self.room);
        if room.and_then(|room| room.keep_draft(words)).is_ok() {
            self.out.remark("-- what you had begun to type is kept for the next chat");
        }
    }

    /// Puts a sentence that was not finished back into the line.
    fn take_draft(&self, room: &Room<'_>) -> Result<()> {
        if let Some(words) = room.draft()?
            && self.out.give_back(&words)
        {
            room.keep_draft("")?;
            self.out.remark("-- what you had begun to type is back in the line");
        }
        Ok(())
    }

    /// Keeps the words that were entered while something else was being done, in which the chat was ended. Commands are
    /// not done: who ended the chat does not see what they lead to.
    fn keep_typed_ahead(&self, lines: &[String]) {
        let lines: Vec<&String> = lines.iter().filter(|line| !line.trim().is_empty()).collect();
        let undone = lines.iter().filter(|line| !self.kept(line)).count();
        if lines.len() > undone {
            self.out.remark(
                "-- what you typed last is kept; it goes out with your next message or command",
            );
        }
        if undone > 0 {
            let lines = counted(undone, "line", "lines");
            self.out.remark(&format!(
                "-- {lines} of what you typed last went nowhere. Type it again when you are back."
            ));
        }
    }

    /// Whether nothing of a line is lost.
    fn kept(&self, line: &str) -> bool {
        let text = match Line::of(line) {
            Line::Empty => return true,
            Line::Command(_) => return false,
            Line::Words(text) => text,
        };
        let (Ok(mut room), Ok(clean)) =
            (Room::open(self.store, self.crypto, &self.room), escape::sanitize_input(text))
        else {
            return false;
        };
        // It may have been meant for the chat, and nobody was asked yet.
        slip::meant(text, || names(&mut room)).is_none() && room.queue_text(clean, now()).is_ok()
    }

    async fn command(&mut self, session: &mut Session<'s>, line: &str) -> Result<Next, Stop> {
        let line = line.trim();
        let word = line.split_whitespace().next().unwrap_or_default().to_lowercase();
        match word.as_str() {
            "quit" | "exit" | "q" => return Ok(Next::Quit),
            "help" | "?" | "" => {
                let text = match line.split_whitespace().nth(1) {
                    Some(wanted) => self.out.advice(&slip::one(&wanted.to_lowercase())),
                    None => {
                        let role = session.room().and_then(Room::my_role);
                        slip::list(role.unwrap_or(Role::Member), line::columns())
                    }
                };
                let text = line::columns().map_or_else(|| text.clone(), |c| wrap::lines(&text, c));
                self.out.remark(&text);
                return Ok(Next::On);
            }
            _ => {}
        }
        // The chat takes room commands only, even if the command line has another of that name.
        let Some(entry) = slip::find(&word) else {
            self.out.remark(&format!("-- {}", slip::unknown(&word)));
            return Ok(Next::On);
        };
        let mut words = vec![word.clone(), self.room.clone()];
        words.extend(arguments(&word, line.get(word.len()..).unwrap_or_default()));
        match slip::parse(words) {
            Ok(command) => {
                self.send_waiting(session, &command).await?;
                let room = session.room().map_err(Failure::from)?;
                let waiting = match inside::asks_of_outbox(&command) {
                    true => room.waiting_texts().map_err(Failure::from)?.len(),
                    false => 0,
                };
                let question = match listing::question_about_posted(room, &command) {
                    Ok(question) => question.or(inside::question_before(&command, waiting)),
                    // The command itself says what is wrong.
                    Err(_) => None,
                };
                if let Some((false, question)) = question {
                    self.out.remark(&format!("-- {question} Type yes to go on."));
                    self.asked = Some(Asked::Act(command));
                    return Ok(Next::On);
                }
                self.act(session, &command).await
            }
            Err(error) => {
                self.out.remark(&self.out.advice(&format!("-- {}", slip::wrong(entry, &error))));
                Ok(Next::On)
            }
        }
    }

    /// Sends what waits before a command that needs the relay, as the command line does.
    async fn send_waiting(
        &mut self,
        session: &mut Session<'s>,
        command: &InRoom,
    ) -> Result<(), Stop> {
        let waiting = session.room().and_then(|room| room.waiting_texts());
        if is_local(command) || waiting.map_err(Failure::from)?.is_empty() {
            return Ok(());
        }
        match session.send_waiting().await.map_err(Failure::from)? {
            Some(event) => self.happened(session, event).await,
            None => Ok(()),
        }
    }

    async fn act(&mut self, session: &mut Session<'s>, command: &InRoom) -> Result<Next, Stop> {
        if matches!(command, InRoom::Knocks { .. } | InRoom::Admit { .. } | InRoom::Decline { .. })
        {
            self.told_knock = false;
        }
        self.perform(session, command).await?;
        let standing = &session.room().map_err(Failure::from)?.state().standing;
        let left = matches!(command, InRoom::Leave { .. } | InRoom::Withdraw { .. })
            && *standing != Standing::Member;
        if left {
            self.out.remark(
                "-- You have left. The duty about what you heard goes on; your receipt stays here.",
            );
        }
        Ok(if left { Next::Quit } else { Next::On })
    }

    async fn perform(&mut self, session: &mut Session<'s>, command: &InRoom) -> Result<(), Stop> {
        let Some(live) = session.live() else {
            let room = session.room().map_err(Failure::from)?;
            let result = match command {
                InRoom::Send { text, .. } => self.keep(room, text),
                InRoom::Read { all, held, .. } => read::read(room, &self.out, *all, *held),
                _ if is_local(command) => listing::local(room, &self.out, command),
                _ => Err(inside::outside_only(command).unwrap_or_else(|| {
                    Failure::new(
                        exit::UNREACHABLE,
                        "unreachable",
                        "the relay cannot be reached now",
                        "Try again when the connection is back; nothing was done.",
                    )
                })),
            };
            if let Err(failure) = result {
                self.tell(&failure);
                self.give_back(command, &failure);
            }
            return Ok(());
        };
        let quiet = self.out.clone().quiet();
        let out = if answers_itself(command) { &self.out } else { &quiet };
        let result = inside::act(live, out, command).await;
        let shown = self.show(&mut live.room);
        match (result, shown) {
            // A disk that fails ends the chat: with what became of the words, if it was theirs.
            (Err(failure), Err(_)) | (Ok(()), Err(failure)) => Err(Stop::Failed(failure)),
            (Ok(()), Ok(())) => Ok(()),
            (Err(failure), Ok(())) => {
                self.tell(&failure);
                if failure.exit == exit::UNREACHABLE {
                    session.reconnect();
                } else {
                    self.give_back(command, &failure);
                }
                Ok(())
            }
        }
    }

    fn keep(&self, room: &mut Room<'_>, text: &str) -> Result<()> {
        let text = escape::sanitize_input(text)?;
        room.queue_text(text, now()).map_err(|error| inside::unsent(error.into()))?;
        self.out.remark("-- kept; it goes out when the connection is back");
        Ok(())
    }

    /// Gives words that went nowhere back to the person who wrote them.
    fn give_back(&self, command: &InRoom, failure: &Failure) {
        let nowhere =
            !failure.kept && matches!(failure.code, "too_long" | "bad_text" | "outbox_full");
        if let InRoom::Send { text, .. } = command
            && nowhere
        {
            let words = if self.out.give_back(text) {
                "-- your words are back in the line: change them, or press Ctrl-U to drop them"
                    .to_owned()
            } else {
                // A line that is not edited takes no draft, so they stand where they can be copied.
                let shown = escape::truncate(&escape::one_line(text), GIVEN_BACK_COLUMNS);
                format!("-- your words are kept nowhere; copy them from here: {shown}")
            };
            self.out.remark(&words);
        }
    }

    fn tell(&self, failure: &Failure) {
        let advice = self.out.advice(&failure.advice);
        self.out.remark(&format!("-- {}. {advice}", escape::one_line(&failure.message)));
    }
}

/// Returns the members' names; none where the room has no keys yet.
fn names(room: &mut Room<'_>) -> Vec<String> {
    room.roster().unwrap_or_default().into_iter().map(|leaf| leaf.name).collect()
}

/// Whether a command needs no relay.
const fn is_local(command: &InRoom) -> bool {
    matches!(
        command,
        InRoom::Who { .. }
            | InRoom::Log { .. }
            | InRoom::Verify { .. }
            | InRoom::Outbox { .. }
            | InRoom::Mute { .. }
            | InRoom::Unmute { .. }
    )
}

/// Whether a command has an answer of its own; of the others, the room's new line says enough.
const fn answers_itself(command: &InRoom) -> bool {
    matches!(
        command,
        InRoom::Read { .. }
            | InRoom::Who { .. }
            | InRoom::Status { .. }
            | InRoom::Log { .. }
            | InRoom::Outbox { .. }
            | InRoom::Invite { .. }
            | InRoom::Revoke { .. }
            | InRoom::Knocks { .. }
            | InRoom::RestoreRules { .. }
            | InRoom::Decline { .. }
            | InRoom::Timeout { .. }
            | InRoom::Untimeout { .. }
            | InRoom::Mute { .. }
            | InRoom::Unmute { .. }
            | InRoom::Verify { .. }
    )
}

/// Splits what follows a slash command. Double quotes group; where a command ends in free words, quotes are not
/// needed: `/announce Back at six` is one announcement.
pub(super) fn arguments(word: &str, rest: &str) -> Vec<String> {
    let rest = rest.trim();
    let (mut words, tail) = match word {
        "send" | "announce" | "hours" => (Vec::new(), rest),
        "leave" | "withdraw" => match rest.strip_prefix("--yes") {
            Some(after) if after.is_empty() || after.starts_with(char::is_whitespace) => {
                (vec!["--yes".to_owned()], after)
            }
            _ => (Vec::new(), rest),
        },
        "pause" => time_first(Vec::new(), rest),
        "decline" => split_words(rest, 1),
        "timeout" => {
            let (name, rest) = split_words(rest, 1);
            time_first(name, rest)
        }
        _ => return split_words(rest, usize::MAX).0,
    };
    let tail = tail.trim();
    let tail = tail.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tail);
    if !tail.is_empty() {
        if tail.starts_with('-') {
            // Words, and no flag.
            words.push("--".to_owned());
        }
        words.push(tail.to_owned());
    }
    words
}

/// Takes a time of one or several words from the front. What is none stays whole, for the command to judge.
fn time_first(mut words: Vec<String>, rest: &str) -> (Vec<String>, &str) {
    match when::split_duration(rest) {
        Ok((Some(_), behind)) => {
            let time = rest.get(..rest.len() - behind.len()).unwrap_or(rest);
            words.push(time.trim().to_owned());
            (words, behind)
        }
        _ => (words, rest),
    }
}

/// Takes up to `count` words, and returns what remains.
fn split_words(text: &str, count: usize) -> (Vec<String>, &str) {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while words.len() < count && !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"').and_then(|r| r.split_once('"')) {
            Some((word, after)) => (word, after),
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    (words, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Vec<String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        arguments(word, rest)
    }

    #[test]
    fn free_words_need_no_quotes() {
        assert_eq!(split("announce Back at six, don't worry"), ["Back at six, don't worry"]);
        assert_eq!(split("pause 5m let us breathe"), ["5m", "let us breathe"]);
        assert_eq!(split("pause 5m \"let us breathe\""), ["5m", "let us breathe"]);
        assert_eq!(split("pause \"let us breathe\""), ["let us breathe"]);
        assert_eq!(split("timeout \"Ben B\" 30m rest a little"), ["Ben B", "30m", "rest a little"]);
        assert_eq!(split("remove Ben --reason conduct"), ["Ben", "--reason", "conduct"]);
        assert_eq!(split("resume"), Vec::<String>::new());
        assert_eq!(split("announce - one - two"), ["--", "- one - two"]);
        assert_eq!(split("leave --yes so long"), ["--yes", "so long"]);
        assert_eq!(split("leave so long"), ["so long"]);
    }

    #[test]
    fn a_time_may_have_several_words() {
        assert_eq!(split("pause 2 hours"), ["2 hours"]);
        assert_eq!(split("pause 10 min. Let us breathe"), ["10 min.", "Let us breathe"]);
        assert_eq!(
            split("timeout Ben 1 hour and 30 minutes rest"),
            ["Ben", "1 hour and 30 minutes", "rest"]
        );
        assert_eq!(split("pause 1h 30"), ["1h 30"]);
        // Not a time, and not taken for words either: the command refuses it.
        assert_eq!(split("pause 2 Stunden"), ["2 Stunden"]);
        assert_eq!(split("timeout Ben 2 Stunden"), ["Ben", "2 Stunden"]);
    }
}
