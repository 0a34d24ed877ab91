//! A sitting: what a moderator sees when it begins and when it ends. The room reads one announcement; the rest is of this device.

use clap::{Args, ValueEnum};
use hearth_engine::{mine::Setting, policy::Act};
use hearth_session::client::{Command, Outcome, RoomView};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand,
    row::{Entry, May, Topic, row},
};
use crate::{
    commands::{Result, outcome, shell::Shell},
    show::presence,
};

/// Notes about the room that are shown again.
const NOTES: usize = 3;
/// The agreement in a line, for the beginning of a sitting.
const REMINDER: &str = "What is said here stays here. You can pass at any time.";

/// What to do with a sitting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Verb {
    /// Begin one.
    Open,
    /// End it.
    Close,
}

/// Begin a sitting: the room reads what it is about and a line of the agreement, you see who is here and the notes. Or end it: you see
/// what is still open.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Sitting {
    /// `open` or `close`.
    #[arg(value_enum, ignore_case = true)]
    verb: Verb,
    /// What it is about.
    #[arg(num_args = 0.., value_name = "TOPIC")]
    topic: Vec<String>,
}

impl RoomCommand for Sitting {
    const ROW: Entry = row(Topic::Turns, "sitting", May::Moderators, "begin or end a sitting")
        .takes("open [TOPIC] | close", "open Sunday evenings")
        .words(1)
        .enforced("E")
        .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        match self.verb {
            Verb::Open => open(shell, self.topic.join(" ").trim()).await?,
            Verb::Close => close(shell).await?,
        }
        Ok(Asked::Nothing)
    }
}

async fn open(shell: &Shell, topic: &str) -> Result<()> {
    shell.ask(Command::Refresh).await?;
    let last = shell.view().last;
    let words = match topic {
        "" => format!("We begin. {REMINDER}"),
        topic => format!("We begin: {topic}. {REMINDER}"),
    };
    shell.ask(Command::Act(Act::Announce(words))).await?;
    // Words from here on count for the order of those who wrote least.
    shell.ask(Command::Set(Setting::Sitting(Some(last)))).await?;
    let (view, now) = (shell.view(), shell.relay_now());
    let names: Vec<String> = members(&view);
    let here = presence::presence(&view, now);
    let notes = match shell.ask(Command::Notes).await? {
        Outcome::Notes(notes) => notes,
        _ => Vec::new(),
    };
    let notes: Vec<String> = notes
        .iter()
        .rev()
        .filter(|note| note.about.is_none())
        .take(NOTES)
        .map(|note| escape::one_line(&note.text))
        .collect();
    let object = json!({
        "room": shell.room, "done": "sitting", "open": true, "topic": topic, "members": names, "notes": notes,
    });
    let mut lines =
        vec![format!("The sitting has begun. In the room: {}.", names.join(", ")), here.line(now)];
    if !matches!(here, presence::Presence::Here(_)) {
        lines.push("`hearth duty ROOM on 2h` says that you are here.".into());
    }
    lines.extend(notes.iter().map(|note| format!("Note: {note}")));
    lines.push("`hearth exercise ROOM opening-round` begins with a round; `hearth sitting ROOM close` shows what is open at the end.".into());
    Ok(shell.out.say(&object, &shell.out.advice(&lines.join("\n")))?)
}

async fn close(shell: &Shell) -> Result<()> {
    shell.ask(Command::Refresh).await?;
    let (view, now) = (shell.view(), shell.relay_now());
    let name = |member| outcome::name_of(&view, member);
    let turns: Vec<String> = view
        .floor
        .round
        .iter()
        .flat_map(|round| {
            let turn = usize::try_from(round.turn).unwrap_or(usize::MAX);
            round.order.get(turn..).unwrap_or_default().iter().map(name)
        })
        .collect();
    let hands: Vec<String> = view.floor.hands.iter().map(|hand| name(&hand.member)).collect();
    let asks: Vec<String> =
        view.floor.asks.iter().map(|asked| escape::one_line(&asked.text)).collect();
    let (kept, flags) = (view.outbox.len(), view.help.open.len());
    shell.ask(Command::Set(Setting::Sitting(None))).await?;
    let next = presence::after_duty(&view, now);
    let object = json!({
        "room": shell.room, "done": "sitting", "open": false, "turns": turns, "hands": hands,
        "asks": asks, "kept": kept, "calls": flags, "expected": next,
    });
    let mut lines = Vec::new();
    if flags > 0 {
        let calls = counted(flags, "call for help is", "calls for help are");
        lines.push(format!("{calls} not over: `hearth flags ROOM`."));
    }
    if !turns.is_empty() {
        lines.push(format!("A round is on. Turns left: {}.", turns.join(", ")));
    }
    if !hands.is_empty() {
        lines.push(format!("Asking for a turn: {}.", hands.join(", ")));
    }
    lines.extend(asks.iter().map(|ask| format!("Still asked: “{ask}”")));
    if kept > 0 {
        let kept = counted(kept, "message of yours waits", "messages of yours wait");
        lines.push(format!("{kept}: `hearth outbox ROOM`."));
    }
    if lines.is_empty() {
        lines.push("Nothing is open.".into());
    }
    lines.push("`hearth exercise ROOM closing-round` asks what each takes along.".into());
    lines.push(next);
    Ok(shell.out.say(&object, &shell.out.advice(&lines.join("\n")))?)
}

/// Returns the names of those who are in the room. Nobody can see who reads.
fn members(view: &RoomView) -> Vec<String> {
    let others = view.roster.iter().filter(|leaf| leaf.member != view.me);
    others.map(|leaf| escape::one_line(&leaf.name)).collect()
}
