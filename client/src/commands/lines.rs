//! `hearth lines`: commands in, events out, one JSON object a line. `docs/lines.md` is its contract.

use std::{collections::HashMap, io, sync::Arc};

use clap::Parser as _;
use futures_util::{StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use hearth_console::signals;
use hearth_protocol::Seq;
use hearth_session::client::{Client, Event, Events, Heard, Page};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    sync::mpsc,
};

use super::{
    Context, Result,
    inside::{Asking, perform},
    shell::Shell,
    socket, usage,
};
use crate::{
    cli::{Cli, Command, InRoom},
    failure::{Failure, exit},
    show::{Output, Printed, Sink, print},
};

/// Commands that are done at a time.
const AT_A_TIME_MAX: usize = 64;
/// Bytes of one line: the longest text, escaped.
const LINE_BYTES_MAX: u64 = 256 * 1024;

/// What a line asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Comes back with each answer.
    #[serde(default)]
    id: Value,
    /// A room command as on the command line, without `hearth`.
    #[serde(default)]
    args: Vec<String>,
    /// A room whose rows and events are wanted from now on.
    #[serde(default)]
    watch: Option<String>,
}

type Work<'a> = FuturesUnordered<LocalBoxFuture<'a, Vec<Value>>>;

/// Runs until the end of input and of the commands, or a signal.
pub(super) async fn run(context: &Context) -> Result<()> {
    let client = context.client()?;
    let events = client.events();
    let mut lines = Lines { client: &client, watched: HashMap::new() };
    let served = socket::beside(socket::serve(context, &client), async {
        tokio::select! {
            biased;
            () = signals::stop() => Ok(()),
            ended = lines.serve(events) => ended,
        }
    });
    let ended = served.await;
    drop(lines);
    client.close().await;
    ended
}

/// What is wanted of the rooms.
struct Lines<'a> {
    client: &'a Client,
    /// Watched rooms by local name, with the last place that was told.
    watched: HashMap<String, (Shell, Seq)>,
}

impl<'a> Lines<'a> {
    async fn serve(&mut self, mut events: Events) -> Result<()> {
        let mut input = read_input();
        let mut work = Work::new();
        let mut open = true;
        while open || !work.is_empty() {
            tokio::select! {
                biased;
                Some(answers) = work.next(), if !work.is_empty() => tell(&answers)?,
                heard = events.next() => match heard {
                    Some(heard) => self.heard(&heard).await?,
                    None => return Ok(()),
                },
                line = input.recv(), if open && work.len() < AT_A_TIME_MAX => match line {
                    Some(Ok(line)) => self.take(&line, &mut work).await?,
                    Some(Err(why)) => tell(&[failed(&Value::Null, &Failure::usage(why, HOW))])?,
                    None => open = false,
                },
            }
        }
        Ok(())
    }

    async fn take(&mut self, line: &str, work: &mut Work<'a>) -> Result<()> {
        if line.trim().is_empty() {
            return Ok(());
        }
        let asked = match parse(line) {
            Ok(asked) => asked,
            Err((id, why)) => return tell(&[failed(&id, &Failure::usage(why, HOW))]),
        };
        if asked.watch.is_some() != asked.args.is_empty() {
            let failure = Failure::usage("a line has either args or watch", HOW);
            return tell(&[failed(&asked.id, &failure)]);
        }
        if let Some(room) = &asked.watch {
            let watched = self.watch(room).await;
            let answer = match watched {
                Ok(room) => json!({"id": asked.id, "end": 0, "watches": room}),
                Err(failure) => failed(&asked.id, &failure),
            };
            return tell(&[answer]);
        }
        match room_command(&asked.args) {
            Ok(command) => work.push(Box::pin(answers(self.client.clone(), asked.id, command))),
            Err(failure) => tell(&[failed(&asked.id, &failure)])?,
        }
        Ok(())
    }

    /// Tells a room's rows and events from now on; returns its local name.
    async fn watch(&mut self, room: &str) -> Result<String> {
        let shell = Shell::new(self.client, room, &Output::stdout(true)).await?;
        let (name, last) = (shell.room.clone(), shell.view().last);
        self.watched.entry(name.clone()).or_insert((shell, last));
        Ok(name)
    }

    async fn heard(&mut self, heard: &Heard) -> Result<()> {
        match heard {
            Heard::Lagged(missed) => {
                tell(&[json!({"event": "lagged", "missed": missed})])?;
                let rooms: Vec<String> = self.watched.keys().cloned().collect();
                for room in rooms {
                    self.tell_rows(&room).await?;
                }
                Ok(())
            }
            Heard::Told(told) if self.watched.contains_key(&*told.room) => {
                self.tell_rows(&told.room).await?;
                match event_json(&told.event) {
                    Some(mut object) => {
                        object["room"] = json!(*told.room);
                        object["number"] = json!(told.number);
                        tell(&[object])
                    }
                    None => Ok(()),
                }
            }
            Heard::Told(_) => Ok(()),
        }
    }

    async fn tell_rows(&mut self, room: &str) -> Result<()> {
        let Some((shell, told)) = self.watched.get_mut(room) else { return Ok(()) };
        loop {
            let from = Page::From(Seq(told.0.saturating_add(1)));
            let rows = self.client.rows(room, from).await?;
            let Some(last) = rows.last().map(|row| row.place) else { return Ok(()) };
            let sink = Arc::new(Sink::default());
            let out = std::mem::replace(&mut shell.out, Output::to(true, Arc::clone(&sink)));
            let printed = shell.print(&rows, false).await;
            shell.out = out;
            printed?;
            for row in objects(&sink) {
                tell(&[json!({"event": "row", "room": room, "row": row})])?;
            }
            *told = last;
        }
    }
}

/// What a line looks like.
const HOW: &str =
    r#"For example: {"id": 1, "args": ["send", "ROOM", "Hello"]}, or {"id": 2, "watch": "ROOM"}."#;

/// Returns an event as it is told; `None` for what the rows tell.
fn event_json(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Rows => return None,
        Event::LaneRows(lane) => json!({"event": "lane", "lane": lane.to_hex()}),
        Event::View => json!({"event": "view"}),
        Event::Up(_) => json!({"event": "up"}),
        Event::Down { why: Some(why), .. } => {
            json!({"event": "down", "why": Failure::from(&**why).to_json()})
        }
        Event::Down { why: None, .. } => return None,
        Event::Ended(why) => json!({"event": "ended", "why": Failure::from(&**why).to_json()}),
        Event::Over(block) => json!({"event": "over", "why": block.why.as_str()}),
        Event::CatchingUp(entries) => json!({"event": "catching_up", "entries": entries}),
        Event::Knock => json!({"event": "knock"}),
        Event::Waits(why) => json!({"event": "waits", "why": Failure::from(&**why).to_json()}),
        Event::Trouble(why) => json!({"event": "trouble", "why": Failure::from(&**why).to_json()}),
    })
}

/// Parses a line; where it asks for nothing that is known, returns its id and why.
fn parse(line: &str) -> Result<Asked, (Value, String)> {
    let value: Value =
        serde_json::from_str(line).map_err(|error| (Value::Null, error.to_string()))?;
    if !value.is_object() {
        return Err((Value::Null, "a line is one JSON object".to_owned()));
    }
    let id = value.get("id").cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| (id, error.to_string()))
}

/// Parses a room command. What asks a person, or goes on for ever, has no place here.
fn room_command(args: &[String]) -> Result<InRoom> {
    let words = std::iter::once("hearth").chain(args.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words)
        .map_err(|error| Failure { advice: HOW.into(), ..usage::failure(&error, args) })?;
    if cli.home.is_some() && args.iter().any(|word| word.starts_with("--home")) {
        return Err(Failure::usage("the profile is that of `hearth lines`", HOW));
    }
    match cli.command {
        Command::In(command) if command.words() == Some("-") => {
            Err(Failure::usage("standard input has the commands here: give the words", HOW))
        }
        Command::In(command) if command.follows() => {
            Err(Failure::usage("rows are told by watching", HOW))
        }
        Command::In(command) => Ok(command),
        _ => Err(Failure::usage("that is not a command in a room", HOW)),
    }
}

/// Does one command; returns its lines, and how it ended.
async fn answers(client: Client, id: Value, command: InRoom) -> Vec<Value> {
    let sink = Arc::new(Sink::default());
    let out = Output::to(true, Arc::clone(&sink));
    let ask = async |asking: Asking<'_>| {
        Err(Failure::new(exit::USAGE, "needs_consent", asking.words, "Repeat it with --yes."))
    };
    let done = perform(&client, &command, &out, ask).await;
    let mut lines: Vec<Value> =
        objects(&sink).into_iter().map(|out| json!({"id": id, "out": out})).collect();
    lines.push(match done {
        Ok(()) => json!({"id": id, "end": 0}),
        Err(failure) => failed(&id, &failure),
    });
    lines
}

/// Returns the objects that were printed; remarks are for people.
fn objects(sink: &Sink) -> Vec<Value> {
    let printed = sink.take().into_iter().filter_map(|printed| match printed {
        Printed::Out(line) => serde_json::from_str(&line).ok(),
        Printed::Err(_) => None,
    });
    printed.collect()
}

fn failed(id: &Value, failure: &Failure) -> Value {
    json!({"id": id, "end": failure.exit, "error": failure.to_json()})
}

fn tell(lines: &[Value]) -> Result<()> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok(print(text.as_bytes())?)
}

/// Reads lines of standard input on a task of their own, so that none is lost where something else comes first.
fn read_input() -> mpsc::Receiver<Result<String, &'static str>> {
    let (lines, input) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut stdin = BufReader::new(tokio::io::stdin());
        loop {
            let line = read_line(&mut stdin).await;
            let Ok(Some(line)) = line else { return };
            if lines.send(line).await.is_err() {
                return;
            }
        }
    });
    input
}

/// Reads one line; `None` at the end. A line that is too long is passed over whole.
async fn read_line(
    input: &mut BufReader<tokio::io::Stdin>,
) -> io::Result<Option<Result<String, &'static str>>> {
    let mut bytes = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 == LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
        while !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.clear();
            input.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).await?;
        }
        return Ok(Some(Err("the line is too long; nothing was done")));
    }
    Ok(Some(String::from_utf8(bytes).map_err(|_| "the line is not UTF-8; nothing was done")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_keep_their_id() {
        for (line, id) in [
            (r#"{"id": 1, "unknown": 2}"#, json!(1)),
            (r#"{"id": "a", "args": "who"}"#, json!("a")),
            (r#"{"id": {"n": 1}, "watch": 5}"#, json!({"n": 1})),
            (r#"{"args": [1]}"#, Value::Null),
            ("[1]", Value::Null),
            (r#"{"id": 1"#, Value::Null),
        ] {
            assert_eq!(parse(line).unwrap_err().0, id, "{line}");
        }
        assert_eq!(parse(r#"{"id": 1, "watch": "evening"}"#).unwrap().id, json!(1));
    }
}
