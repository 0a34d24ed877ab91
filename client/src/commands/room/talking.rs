//! Talking: what is said to the room, and taken back.

use std::io::Read as _;

use clap::Args;
use hearth_engine::{
    EngineError,
    content::TEXT_BYTES_MAX,
    policy::{Act, RuleError},
    words::{Reaction, Words},
};
use hearth_session::client::{Command, LaneCommand, Outcome};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, CategoryArg, RoomCommand,
    find::Whose,
    row::{Entry, May, Topic, row},
};
use crate::{
    commands::{
        Context, Result,
        outcome::{self, Told},
        shell::Shell,
    },
    failure::Failure,
    text::when,
};

/// Stands for every message of the outbox that waits for its author.
const ALL: &str = "all";

topic! { Talking: Send, Reply, React, Edit, Cw, Retract, Show, Cover, Announce, Outbox }

/// Say something.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Send {
    /// The words; from standard input if `-`.
    text: String,
}

impl Send {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    pub(super) fn words(&self) -> &str {
        &self.text
    }
}

impl RoomCommand for Send {
    const ROW: Entry = row(Topic::Talking, "send", May::Members, "say something")
        .takes("WORDS", "Hello, everybody")
        .words(0)
        .enforced("E; R")
        .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        self.text = read_words(&self.text)?;
        Ok(())
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Say(self.text.clone().into()).into())
    }
}

/// Takes the words of the command line, or of standard input if they are `-`.
pub(super) fn read_words(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(escape::sanitize_input(text)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("standard input is not UTF-8 text", "Nothing was sent."))?;
    Ok(escape::sanitize_input(text.trim_end_matches('\n'))?)
}

/// Takes the last words from standard input if they are `-`, because every user of a computer reads command lines.
pub(super) fn read_last(words: &mut [String]) -> Result<()> {
    if let Some(last) = words.last_mut().filter(|last| *last == "-") {
        *last = read_words("-")?;
    }
    Ok(())
}

/// Answer a message: the last one of somebody else, or the one that is named first.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The message's id or number, then the words; the words alone answer the last message.
    #[arg(num_args = 1.., required = true, value_name = "ID WORDS")]
    args: Vec<String>,
}

impl RoomCommand for Reply {
    const ROW: Entry = row(Topic::Talking, "reply", May::Members, "answer a message")
        .takes("[ID] WORDS", "ab12 Thank you, I did not know")
        .words(1)
        .enforced("E; R")
        .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let (place, text) = shell.message_and_words(&self.args, Whose::Others).await?;
        let text = words_of("reply", text)?;
        Ok(Command::Say(Words { reply: Some(place), ..Words::from(text) }).into())
    }
}

/// React to a message without words of your own: heard, with-you, thank-you, me-too; none takes it back.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct React {
    /// The message's id or number, then the reaction; the reaction alone is to the last message.
    #[arg(num_args = 1..=3, required = true, value_name = "ID REACTION")]
    args: Vec<String>,
}

impl RoomCommand for React {
    const ROW: Entry = row(Topic::Talking, "react", May::Members, "react without words")
        .takes("[ID] REACTION", "ab12 heard")
        .words(1)
        .enforced("E; R");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        // The last words say how, the ones before them to what.
        for of in [1, 2] {
            let Some(at) = self.args.len().checked_sub(of) else { break };
            let (message, how) = self.args.split_at(at);
            if let Some(reaction) = reaction(&how.join(" ")) {
                let place = match message {
                    [] => shell.last_message(Whose::Others).await?,
                    [message, ..] => shell.message_place(message).await?,
                };
                return Ok(Command::React { place, reaction }.into());
            }
        }
        let known: Vec<String> = Reaction::ALL.into_iter().map(hyphened).collect();
        let how = escape::one_line(&self.args.join(" "));
        Err(Failure::usage(
            format!("{how:?} is not a reaction"),
            format!(
                "One of: {}; none takes yours back. For example: `hearth react ROOM heard`.",
                known.join(", ")
            ),
        ))
    }
}

fn hyphened(reaction: Reaction) -> String {
    reaction.words().replace(' ', "-")
}

/// Returns the reaction of a word; `Some(None)` takes it back.
fn reaction(word: &str) -> Option<Option<Reaction>> {
    let word = word.trim().trim_matches('"').to_lowercase().replace([' ', '_'], "-");
    if word == "none" {
        return Some(None);
    }
    Reaction::ALL.into_iter().find(|reaction| hyphened(*reaction) == word).map(Some)
}

/// Change the words of a message of yours, within 15 minutes: the last one, or the one that is named first.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Edit {
    /// The message's id or number, then the new words; the words alone change your last message.
    #[arg(num_args = 1.., required = true, value_name = "ID WORDS")]
    args: Vec<String>,
}

impl RoomCommand for Edit {
    const ROW: Entry = row(Topic::Talking, "edit", May::Members, "change your last message")
        .takes("[ID] WORDS", "I meant Tuesday")
        .words(1)
        .enforced("E; R");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let (place, text) = shell.message_and_words(&self.args, Whose::Mine).await?;
        Ok(Command::Edit { place, text: words_of("edit", text)? }.into())
    }
}

/// Say something under a content note, so that others can choose whether to read it.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Cw {
    /// What it is about, in a word or in quotes.
    topic: String,
    /// The words.
    #[arg(num_args = 1.., required = true)]
    words: Vec<String>,
}

impl RoomCommand for Cw {
    const ROW: Entry =
        row(Topic::Talking, "cw", May::Members, "say something under a content note")
            .takes("TOPIC WORDS", "drinking I had a bad evening")
            .words(1)
            .enforced("E; C")
            .offline();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let topic = Some(self.topic.clone());
        Ok(Command::Say(Words { topic, ..Words::from(self.words.join(" ")) }).into())
    }
}

/// Put a content note on somebody's words; they stay, and open with `show`.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Cover {
    /// The message's id or number, or `last`.
    id: String,
    /// What it is about; `off` takes the note off.
    #[arg(num_args = 1.., required = true)]
    topic: Vec<String>,
}

impl RoomCommand for Cover {
    const ROW: Entry =
        row(Topic::Talking, "cover", May::Moderators, "put a content note on a message")
            .takes("ID TOPIC|off", "ab12 drinking")
            .words(1)
            .enforced("E; C");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let place = shell.message_place(&self.id).await?;
        let topic = self.topic.join(" ");
        let topic = if when::is_off(&topic) { String::new() } else { topic };
        Ok(Command::Cover { place, topic }.into())
    }
}

/// Read a message whatever hides its words on this device: a content note, a filter, or that you muted its author.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Show {
    /// The message's id or number, or `last`.
    #[arg(required_unless_present = "from")]
    id: Option<String>,
    /// The last messages of this member.
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    from: Option<String>,
}

impl RoomCommand for Show {
    const ROW: Entry = row(Topic::Talking, "show", May::Members, "read what is hidden here")
        .takes("ID | --from NAME", "ab12")
        .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        match (&self.id, &self.from) {
            (Some(id), _) => shell.show_covered(shell.message_place(id).await?).await?,
            (None, Some(name)) => shell.show_from(shell.sender(name).await?).await?,
            (None, None) => {}
        }
        Ok(Asked::Nothing)
    }
}

/// Takes words that a command cannot do without.
fn words_of(command: &str, text: String) -> Result<String> {
    if text.is_empty() {
        return Err(Failure::usage(
            "the words are missing".to_owned(),
            format!("Nothing was sent. For example: `hearth {command} ROOM ab12 Thank you`."),
        ));
    }
    Ok(text)
}

/// Say something marked as from the facilitators.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Announce {
    /// The words.
    text: String,
}

impl RoomCommand for Announce {
    const ROW: Entry =
        row(Topic::Talking, "announce", May::Moderators, "say something as from the facilitators")
            .takes("WORDS", "We meet at six")
            .words(0)
            .enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Announce(self.text.clone())).into())
    }
}

/// Leave a mark in a message's place; the relay deletes the ciphertext.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Retract {
    /// The message's id or number; `last`: your own last one.
    #[arg(required_unless_present = "all_from")]
    id: Option<String>,
    /// Category for the log, where it is another's message.
    #[arg(long, value_name = "CATEGORY", default_value = "unspecified", ignore_case = true)]
    reason: CategoryArg,
    /// Retract every message of a member.
    #[arg(long, value_name = "MEMBER", conflicts_with = "id")]
    all_from: Option<String>,
    /// Do not ask before `--all-from`. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Retract {
    const ROW: Entry = row(
        Topic::Talking,
        "retract",
        May::Members,
        "take a message back; facilitators: anybody's",
    )
    .takes("ID|last | --all-from NAME [--reason CATEGORY]", "ab12 --reason conduct")
    .enforced("R; C devices")
    .letters("Own: M, any: F, CF");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let category = self.reason.into();
        Ok(match (&self.id, &self.all_from) {
            (Some(id), _) => match shell.to_retract(id).await {
                Ok(place) => Command::Retract { place, category },
                Err(failure) if failure.code == "no_such_message" => {
                    let (lane, place) = shell.own_in_lanes(id).await?.ok_or(failure)?;
                    Command::Lane { lane, what: LaneCommand::Retract(place) }
                }
                Err(failure) => return Err(failure),
            },
            (None, Some(member)) => {
                Command::RetractAll { member: shell.sender(member).await?, category }
            }
            (None, None) => return Err(EngineError::Rule(RuleError::Nothing).into()),
        }
        .into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let count = match (outcome, asked) {
            (Outcome::Retracted(count), _) => count,
            (Outcome::Sent { .. } | Outcome::Done, Command::Lane { .. }) => 1,
            (outcome, _) => return told.outcome(outcome),
        };
        let object = json!({"done": "retract", "count": count});
        let messages = counted(count, "message", "messages");
        let text = format!("Taken down: {messages}; a mark stays. Copies on devices may remain.");
        told.say(&object, &text)
    }
}

/// Says that the new words of a message are missing. A chat gives the old ones back into the line.
fn new_words_missing(shell: &Shell, wanted: &str) -> Failure {
    let view = shell.view();
    let old = view.waiting(wanted.trim_matches(['[', ']'])).first().map(|w| w.text.clone());
    if let Some(old) = old.filter(|old| !old.contains('\n')) {
        // Where the line is not edited, the old words stand in the outbox.
        let _ = shell.out.give_back(&format!("/outbox --change {wanted} {old}"));
    }
    Failure::usage(
        "the new words are missing",
        format!(
            "Nothing was changed. For example: `hearth outbox ROOM --change {wanted} I was afraid`."
        ),
    )
}

/// List the messages that wait in my outbox; drop, send or change one.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Outbox {
    /// Drop the waiting message of this id; `all`: every message that stays there.
    #[arg(long, value_name = "ID")]
    drop: Option<String>,
    /// Send the message of this id that stays there; `all`: every such message, in order.
    #[arg(long, value_name = "ID", conflicts_with = "drop")]
    send: Option<String>,
    /// Put other words in place of those of a message that stays there.
    #[arg(long, num_args = 1.., value_name = "ID WORDS", conflicts_with_all = ["drop", "send"])]
    change: Vec<String>,
    /// Do not ask before `--send` of a message that may have been posted already; required without a terminal.
    #[arg(long, requires = "send")]
    yes: bool,
}

impl RoomCommand for Outbox {
    const ROW: Entry =
        row(Topic::Talking, "outbox", May::Members, "list messages that wait to be sent")
            .takes("[--drop ID | --send ID | --change ID WORDS]", "--drop ab12")
            .answers()
            .offline();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        if let Some((wanted, words)) = self.change.split_first() {
            let (id, text) = (shell.waiting(wanted)?, words.join(" "));
            if text.trim().is_empty() {
                return Err(new_words_missing(shell, wanted));
            }
            return Ok(Command::ChangeHeld { id, text }.into());
        }
        Ok(match (self.drop.as_deref(), self.send.as_deref()) {
            (Some(ALL), _) => Asked::EachHeld(Command::DropWaiting),
            (Some(wanted), _) => match shell.waiting_in_lane(wanted) {
                Some((lane, id)) => Command::Lane { lane, what: LaneCommand::Drop(id) }.into(),
                None => Command::DropWaiting(shell.waiting(wanted)?).into(),
            },
            (None, Some(ALL)) => Asked::EachHeld(Command::SendHeld),
            (None, Some(wanted)) => Command::SendHeld(shell.waiting(wanted)?).into(),
            (None, None) => {
                outcome::outbox(&shell.out, &shell.view())?;
                Asked::Nothing
            }
        })
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        match (outcome, asked) {
            (Outcome::Dropped(dropped), Command::DropWaiting(id)) => {
                let text = format!("Dropped the message {}; nobody gets it.", id.short());
                told.say(&json!({"dropped": dropped, "id": id.to_hex()}), &text)
            }
            (Outcome::Done, Command::Lane { what: LaneCommand::Drop(id), .. }) => {
                let text = format!("Dropped the message {}; nobody gets it.", id.short());
                told.say(&json!({"dropped": true, "id": id.to_hex()}), &text)
            }
            (Outcome::Changed(id), _) => {
                let text = format!(
                    "Changed. It still waits: `hearth outbox ROOM --send {}` sends it.",
                    id.short()
                );
                told.say(&json!({"changed": true, "id": id.to_hex()}), &told.out.advice(&text))
            }
            (Outcome::Released(id), _) => {
                told.say(&json!({"released": true, "id": id.to_hex()}), "It goes out now.")
            }
            (outcome, _) => told.outcome(outcome),
        }
    }
}
