//! `hearth chat`: a room line by line, in any terminal, for screen readers, and over a pipe.
//!
//! What is typed goes out; what starts with a slash is a room command, parsed by the same table as the command line.
//! While the relay is away, words are kept in the outbox, and the member is told.

use std::time::Duration;

use clap::{CommandFactory as _, Parser as _};
use tokio::time::{Instant, sleep_until};

use super::{Context, Open, Result, inside, listing, read};
use crate::{
    backoff::Backoff,
    cli::{Cli, Command, InRoom},
    engine::{
        Crypto, Room,
        state::{RowContent, Standing},
    },
    failure::{Failure, exit},
    line::{Console, ConsoleReader, LineError},
    live::{Incoming, Live, LiveError, now},
    show::Output,
    signals,
    store::Store,
    text::{escape, when},
};

/// What a person sees of the past on entering.
const ROWS_AT_START: usize = 20;

/// A room with or without a connection.
enum Link<'s> {
    Up(Box<Live<'s>>),
    Down { room: Box<Room<'s>>, retry: Instant },
}

/// Everything one chat needs.
struct Chat<'s> {
    store: &'s Store,
    crypto: &'s Crypto,
    room: String,
    out: Output,
    backoff: Backoff,
    /// Why there is no connection, as it was told.
    away: Option<String>,
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

pub(super) async fn run(context: &Context, room: &str, lock_after: &str) -> Result<()> {
    let idle = when::parse_duration(lock_after)
        .map_err(|e| Failure::usage(e.to_string(), "For example: --lock-after 30m"))?;
    let open = context.open()?;
    let room = Room::open(open.store(), &open.crypto, room)?;
    let (_, _, name) = room.parts();
    let mut console = None;
    let mut chat = Chat {
        store: Open::store(&open),
        crypto: &open.crypto,
        room: name,
        out: context.out.clone(),
        backoff: Backoff::new(),
        away: None,
    };
    let talk = async {
        let (reader, printer) = Console::start("> ")?;
        if !chat.out.is_json() {
            chat.out = Output::above(printer);
        }
        chat.run(room, console.insert(reader), idle).await
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
        (Some(Ok(())), _) | (None, None) => Ok(()),
        (ended, Some(reader)) => {
            chat.keep_typed_ahead(&reader.typed_ahead().await);
            ended.unwrap_or(Ok(()))
        }
        (Some(failed), None) => failed,
    }
}

impl<'s> Chat<'s> {
    async fn run(
        &mut self,
        room: Room<'s>,
        reader: &mut ConsoleReader,
        idle: Duration,
    ) -> Result<()> {
        self.greet(&room)?;
        let mut link = self.connect(room).await?;
        let mut lock_at = Instant::now() + idle;
        loop {
            let retry = match &link {
                Link::Up(_) => lock_at,
                Link::Down { retry, .. } => *retry,
            };
            tokio::select! {
                biased;
                typed = reader.next() => {
                    lock_at = Instant::now() + idle;
                    match typed {
                        None => return Ok(()),
                        Some(Err(error)) => {
                            self.out.remark(&format!("-- {error}"));
                            if matches!(error, LineError::Broken(_)) {
                                return Ok(());
                            }
                        }
                        Some(Ok(line)) => {
                            let (next, after) = self.typed(link, &line).await?;
                            link = after;
                            if next == Next::Quit {
                                return Ok(());
                            }
                        }
                    }
                }
                incoming = incoming(&mut link) => link = self.came_in(link, incoming).await?,
                () = sleep_until(retry) => match link {
                    Link::Up(_) => {
                        self.out.remark("-- locked: nobody typed for a while. Start it again to go on.");
                        return Ok(());
                    }
                    Link::Down { room, .. } => link = self.connect(*room).await?,
                },
            }
        }
    }

    /// Shows the last lines and what to know about the room.
    fn greet(&self, room: &Room<'_>) -> Result<()> {
        let state = room.state();
        self.out.remark(&format!(
            "{} - you are {}. Type and press Enter to speak; /help lists what else you can do; /quit ends.",
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
        for row in rows {
            view.row(&self.out, &row)?;
        }
        Ok(())
    }

    /// Connects and shows what is new; stays without a connection if there is none to be had.
    async fn connect(&mut self, room: Room<'s>) -> Result<Link<'s>> {
        let entered = async {
            let mut live = inside::enter(&self.out, room).await?;
            live.tend().await?;
            Ok::<_, LiveError>(live)
        };
        match entered.await {
            Ok(mut live) => {
                self.backoff = Backoff::new();
                if self.away.take().is_some() {
                    self.out.remark("-- connected again");
                }
                inside::flush_quietly(&mut live).await?;
                self.show(&mut live.room)?;
                self.remind(&mut live).await;
                Ok(Link::Up(Box::new(live)))
            }
            Err(error) => self.down(error),
        }
    }

    /// Shows what is pinned; tells facilitators of knocks that wait, and everybody of the pause in force.
    async fn remind(&mut self, live: &mut Live<'_>) {
        for pin in live.room.policy().map(|p| p.pins).unwrap_or_default() {
            if let Ok(Some(row)) = live.room.row(pin.seq)
                && row.id == Some(pin.message)
                && let RowContent::Text(text) = &row.content
            {
                let (name, text) = (escape::one_line(&row.name), escape::one_line(text));
                self.out.remark(&format!("** pinned, by {name}: {text} **"));
            }
        }
        let Ok(status) = live.status().await else { return };
        if status.knocks > 0 {
            self.out.remark(&format!("-- {} knock(s) wait: /knocks", status.knocks));
        }
        let now = live.relay_now();
        if status.numbers.paused_until > now {
            let left = when::remaining(status.numbers.paused_until, now);
            self.out.remark(&format!("-- the room is paused; it ends {left}"));
        }
        if status.timed_out_until > now {
            let left = when::remaining(status.timed_out_until, now);
            self.out.remark(&format!("-- you are asked to rest; it ends {left}. You can read."));
        }
    }

    fn down(&mut self, error: LiveError) -> Result<Link<'s>> {
        if !error.is_connection() {
            return Err(error.into());
        }
        let delay = self.backoff.next_delay();
        // Once, however many attempts fail: it would bury the room.
        let why = error.to_string();
        if self.away.as_ref() != Some(&why) {
            self.out.remark(&format!(
                "-- {why}. Trying again; what you write meanwhile is kept and sent then."
            ));
            self.away = Some(why);
        }
        let room = Box::new(Room::open(self.store, self.crypto, &self.room)?);
        Ok(Link::Down { room, retry: Instant::now() + delay })
    }

    async fn came_in(
        &mut self,
        link: Link<'s>,
        incoming: Result<Incoming, LiveError>,
    ) -> Result<Link<'s>> {
        let Link::Up(mut live) = link else { return Ok(link) };
        match incoming {
            Ok(Incoming::Knock) => self.out.remark("-- somebody knocks: /knocks, then /admit NAME"),
            Ok(_) => {}
            Err(error) => return self.down(error),
        }
        self.show(&mut live.room)?;
        if live.room.state().standing != Standing::Member {
            return Err(LiveError::NotInside(live.room.state().standing.clone()).into());
        }
        match live.tend().await {
            Ok(()) => {}
            Err(error) => return self.down(error),
        }
        self.show(&mut live.room)?;
        Ok(Link::Up(live))
    }

    /// Shows new rows. Rows that do not verify are marked, and the chat goes on.
    fn show(&self, room: &mut Room<'_>) -> Result<()> {
        match read::print_rows(room, &self.out, false, false) {
            Err(failure) if failure.exit == exit::LIED => Ok(()),
            result => result,
        }
    }

    async fn typed(&mut self, link: Link<'s>, line: &str) -> Result<(Next, Link<'s>)> {
        match Line::of(line) {
            Line::Empty => Ok((Next::On, link)),
            Line::Command(command) => self.command(link, command).await,
            Line::Words(text) => {
                let command = InRoom::Send { room: self.room.clone(), text: text.to_owned() };
                let link = self.perform(link, &command).await?;
                Ok((Next::On, link))
            }
        }
    }

    /// Keeps the words that were entered while something else was being done, in which the chat was ended. Commands are
    /// not done: who ended the chat does not see what they lead to.
    fn keep_typed_ahead(&self, lines: &[String]) {
        let lines: Vec<&String> = lines.iter().filter(|line| !line.trim().is_empty()).collect();
        let undone = lines.iter().filter(|line| !self.kept(line)).count();
        if lines.len() > undone {
            self.out.remark("-- what you typed last is kept; it goes out with your next command");
        }
        if undone > 0 {
            self.out.remark(&format!(
                "-- of what you typed last, {undone} line(s) went nowhere. Say it again when you are back."
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
        let kept = escape::sanitize_input(text)
            .map(|text| Room::open(self.store, self.crypto, &self.room)?.queue_text(text, now()));
        matches!(kept, Ok(Ok(_)))
    }

    async fn command(&mut self, link: Link<'s>, line: &str) -> Result<(Next, Link<'s>)> {
        let word = line.split_whitespace().next().unwrap_or_default();
        match word {
            "quit" | "exit" | "q" => return Ok((Next::Quit, link)),
            "help" | "?" => {
                self.help(line.split_whitespace().nth(1));
                return Ok((Next::On, link));
            }
            _ => {}
        }
        let mut words = vec!["hearth".to_owned(), word.to_owned(), self.room.clone()];
        words.extend(arguments(line));
        match Cli::try_parse_from(words) {
            Ok(Cli { command: Command::In(command), .. }) => {
                let link = self.perform(link, &command).await?;
                let left = matches!(command, InRoom::Leave { .. } | InRoom::Withdraw { .. })
                    && !matches!(&link, Link::Up(l) if l.room.state().standing == Standing::Member);
                Ok((if left { Next::Quit } else { Next::On }, link))
            }
            Ok(_) => {
                self.out.remark(&format!(
                    "-- use `hearth {}` outside of the chat",
                    escape::one_line(word)
                ));
                Ok((Next::On, link))
            }
            Err(_) => {
                self.out.remark(&format!(
                    "-- that did not fit; nothing was sent. /help {} shows how it goes.",
                    escape::one_line(word)
                ));
                Ok((Next::On, link))
            }
        }
    }

    async fn perform(&mut self, link: Link<'s>, command: &InRoom) -> Result<Link<'s>> {
        match link {
            Link::Up(mut live) => {
                let quiet = Output::quiet();
                let out = if answers_itself(command) { &self.out } else { &quiet };
                let result = inside::act(&mut live, out, command).await;
                let shown = self.show(&mut live.room);
                match (result, shown) {
                    // A disk that fails ends the chat: with what became of the words, if it was theirs.
                    (Err(failure), Err(_)) | (Ok(()), Err(failure)) => Err(failure),
                    (Ok(()), Ok(())) => Ok(Link::Up(live)),
                    (Err(failure), Ok(())) if failure.exit == exit::UNREACHABLE => {
                        self.tell(&failure);
                        let room = Box::new(live.into_room());
                        Ok(Link::Down { room, retry: Instant::now() })
                    }
                    (Err(failure), Ok(())) => {
                        self.tell(&failure);
                        Ok(Link::Up(live))
                    }
                }
            }
            Link::Down { mut room, retry } => {
                let result = match command {
                    InRoom::Send { text, .. } => self.keep(&mut room, text),
                    InRoom::Who { .. }
                    | InRoom::Log { .. }
                    | InRoom::Verify { .. }
                    | InRoom::Outbox { .. }
                    | InRoom::Mute { .. }
                    | InRoom::Unmute { .. } => listing::local(&mut room, &self.out, command),
                    _ => Err(Failure::new(
                        exit::UNREACHABLE,
                        "unreachable",
                        "the relay cannot be reached now",
                        "Try again when the connection is back; nothing was done.",
                    )),
                };
                if let Err(failure) = result {
                    self.tell(&failure);
                }
                Ok(Link::Down { room, retry })
            }
        }
    }

    fn keep(&self, room: &mut Room<'_>, text: &str) -> Result<()> {
        let text = escape::sanitize_input(text)?;
        room.queue_text(text, now()).map_err(|error| inside::unsent(error.into()))?;
        self.out.remark("-- kept; it goes out when the connection is back");
        Ok(())
    }

    fn tell(&self, failure: &Failure) {
        self.out.remark(&format!("-- {}. {}", escape::one_line(&failure.message), failure.advice));
    }

    fn help(&self, wanted: Option<&str>) {
        let mut cli = Cli::command();
        let names = room_command_names();
        if let Some(found) = wanted.and_then(|w| cli.find_subcommand_mut(w)) {
            let text = found.render_long_help().to_string();
            self.out.remark(text.trim_end());
            return;
        }
        for sub in cli.get_subcommands().filter(|s| names.contains(&s.get_name().to_owned())) {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            self.out.remark(&format!("/{:10} {about}", sub.get_name()));
        }
        self.out.remark("/help COMMAND shows how it goes (leave out the room); /quit ends. [E] end to end, [R] relay, [C] cooperative.");
    }
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
            | InRoom::Decline { .. }
            | InRoom::Mute { .. }
            | InRoom::Unmute { .. }
            | InRoom::Verify { .. }
    )
}

/// Waits for what the relay sends; for ever where there is no connection.
async fn incoming(link: &mut Link<'_>) -> Result<Incoming, LiveError> {
    match link {
        Link::Up(live) => live.next().await,
        Link::Down { .. } => std::future::pending().await,
    }
}

/// Names of the commands that work in a room.
fn room_command_names() -> Vec<String> {
    let commands = <InRoom as clap::Subcommand>::augment_subcommands(clap::Command::new("room"));
    commands.get_subcommands().map(|s| s.get_name().to_owned()).collect()
}

/// Splits what follows a slash command. Double quotes group; where a command ends in free words, quotes are not
/// needed: `/announce Back at six` is one announcement.
fn arguments(line: &str) -> Vec<String> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let before_words = match word {
        "send" | "announce" | "leave" | "withdraw" | "hours" => Some(0),
        "pause" => {
            let first = rest.split_whitespace().next().unwrap_or_default();
            Some(usize::from(when::parse_duration(first).is_ok()))
        }
        "decline" => Some(1),
        "timeout" => Some(2),
        _ => None,
    };
    let Some(count) = before_words else { return split_words(rest, usize::MAX).0 };
    let (mut words, tail) = split_words(rest, count);
    let tail = tail.trim();
    let tail = tail.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(tail);
    if !tail.is_empty() {
        words.push(tail.to_owned());
    }
    words
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

    #[test]
    fn free_words_need_no_quotes() {
        assert_eq!(arguments("announce Back at six, don't worry"), ["Back at six, don't worry"]);
        assert_eq!(arguments("pause 5m let us breathe"), ["5m", "let us breathe"]);
        assert_eq!(arguments("pause \"let us breathe\""), ["let us breathe"]);
        assert_eq!(
            arguments("timeout \"Ben B\" 30m rest a little"),
            ["Ben B", "30m", "rest a little"]
        );
        assert_eq!(arguments("remove Ben --reason conduct"), ["Ben", "--reason", "conduct"]);
        assert_eq!(arguments("resume"), Vec::<String>::new());
    }

    #[test]
    fn every_room_command_parses_with_a_slash() {
        for name in room_command_names() {
            assert!(Cli::command().find_subcommand(&name).is_some(), "{name}");
        }
    }
}
