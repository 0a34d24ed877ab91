//! Asking everybody: prompts, polls, and who is here for the room.

use clap::Args;
use hearth_engine::{
    floor::{Ask, Form},
    turns::DUTY_MILLIS_MAX,
    words::Words,
};
use hearth_protocol::Millis;
use hearth_session::{
    client::{Command, Guide, LaneCommand, Outcome},
    live::now,
};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand, forms,
    row::{Entry, May, Topic, row},
    times::parse_millis,
};
use crate::{
    commands::{
        Context, Result,
        outcome::{self, Told},
        shell::{Shell, names_of},
    },
    failure::{Failure, exit},
    show,
    text::when,
};

/// How long something is asked where no time is given: two hours.
const ASKED: &str = "2h";
/// How long a facilitator is on duty where no time is given: two hours.
const DUTY: &str = "2h";

topic! { Asking: Prompt, Answer, Asks, Poll, Vote, CloseAsk, Exercise, Duty }

/// Ask everybody a question.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Prompt {
    /// The question.
    #[arg(num_args = 1.., required = true)]
    text: Vec<String>,
    /// Each sees the others' answers after their own.
    #[arg(long)]
    after_own: bool,
    /// How long it is asked.
    #[arg(long, value_name = "TIME", default_value = ASKED)]
    ends: String,
}

impl RoomCommand for Prompt {
    const ROW: Entry = row(Topic::Asking, "prompt", May::Moderators, "ask everybody a question")
        .takes("WORDS [--after-own] [--ends TIME]", "What was it like? --after-own")
        .enforced("E; C after-own");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let text = self.text.join(" ");
        ask(Form::Prompt, text, Vec::new(), self.after_own, &self.ends)
    }
}

/// Makes what is asked of everybody.
fn ask(
    form: Form,
    text: String,
    options: Vec<String>,
    after_own: bool,
    ends: &str,
) -> Result<Asked> {
    let millis = parse_millis(ends)?;
    // The relay's clock, which the room's task knows, says until when.
    let ask = Ask { form, text, options, until: Millis(0), after_own, part: None };
    Ok(Command::Ask { ask, millis }.into())
}

/// Answer what is asked.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// The question's number, if several are open; then the words.
    #[arg(num_args = 1.., required = true, value_name = "WORDS")]
    args: Vec<String>,
}

impl RoomCommand for Answer {
    const ROW: Entry = row(Topic::Asking, "answer", May::Members, "answer what is asked")
        .takes("[#N] WORDS", "It was hard to watch")
        .words(1)
        .enforced("E; R")
        .offline();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let (asked, text) = shell.open_question(&self.args).await?;
        if asked.form == Form::Private {
            let lane = super::private::lane_of(shell, Some(shell.view().me))?;
            let what = LaneCommand::Answer { ask: asked.ask, text };
            return Ok(Command::Lane { lane, what }.into());
        }
        let words = Words { answers: Some(asked.ask.seq), ..Words::from(text) };
        Ok(Command::Say(words).into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        match asked {
            Command::Lane { .. } => told.in_lane(asked, outcome),
            _ => told.outcome(outcome),
        }
    }
}

/// Show what is asked.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Asks {}

impl RoomCommand for Asks {
    const ROW: Entry = row(Topic::Asking, "asks", May::Members, "show what is asked").looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.refresh().await?;
        outcome::asks(&shell.out, &shell.view())?;
        Ok(Asked::Nothing)
    }
}

/// Let everybody choose. The votes are in the room, and everybody sees who chose what.
/// With --hidden, votes go to the facilitators, who see who chose what; `close-ask` publishes totals, from five votes on. Each voter's
/// device looks for their own vote, and each facilitator's for all. A member cannot prove that the other votes are real.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Poll {
    /// The question, then the options; quotes hold several words together.
    #[arg(num_args = 3.., required = true, value_name = "QUESTION OPTION OPTION")]
    args: Vec<String>,
    /// Show the group totals only.
    #[arg(long)]
    hidden: bool,
    /// How long it is asked.
    #[arg(long, value_name = "TIME", default_value = ASKED)]
    ends: String,
}

impl RoomCommand for Poll {
    const ROW: Entry = row(Topic::Asking, "poll", May::Moderators, "let everybody choose")
        .takes("\"QUESTION\" \"OPTION\" \"OPTION\" [--hidden]", "\"When?\" \"at six\" \"at eight\"")
        .enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let split = self.args.split_first();
        let (text, options) = split.map_or_else(Default::default, |(t, o)| (t.clone(), o.to_vec()));
        let form = if self.hidden { Form::HiddenPoll } else { Form::Poll };
        ask(form, text, options, false, &self.ends)
    }
}

/// Choose in a poll; your last vote counts. Everybody sees it, or the facilitators alone if the poll is hidden.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Vote {
    /// The poll's number, if several are open; then the option's number, from 1, or its words.
    #[arg(num_args = 1.., required = true, value_name = "N")]
    args: Vec<String>,
}

impl RoomCommand for Vote {
    const ROW: Entry = row(Topic::Asking, "vote", May::Members, "choose in a poll")
        .takes("[#N] OPTION", "2")
        .words(1)
        .enforced("E");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let (ask, option) = shell.open_poll(&self.args).await?;
        let wanted = option.trim();
        let exactly = || ask.options.iter().position(|option| option.trim() == wanted);
        let by_number = wanted.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        let by_number = by_number.filter(|n| *n < ask.options.len());
        let by_words =
            || ask.options.iter().position(|option| option.to_lowercase() == wanted.to_lowercase());
        let Some(choice) = exactly().or(by_number).or_else(by_words) else {
            return Err(Failure::usage(
                format!("there is no option {:?}", hearth_text::escape::one_line(wanted)),
                format!(
                    "Nothing was sent. `hearth asks ROOM` lists the options, 1 to {}. For example: `hearth vote ROOM 1`.",
                    ask.options.len()
                ),
            ));
        };
        let choice = u64::try_from(choice).unwrap_or(u64::MAX);
        Ok(Command::Vote { ask: ask.ask.seq, choice }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Voted { readers } = outcome else { return told.outcome(outcome) };
        let object = json!({"room": *told.view.room, "voted": true, "to": readers});
        let names = names_of(&readers);
        told.say(
            &object,
            &format!("Your vote is with {names}. The group sees totals, from five votes on"),
        )
    }
}

/// Close what is asked; of a poll, the result is shown.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct CloseAsk {
    /// Its number, if several are open.
    ask: Option<String>,
}

impl RoomCommand for CloseAsk {
    const ROW: Entry = row(Topic::Asking, "close-ask", May::Moderators, "close a prompt or a poll")
        .takes("[#N]", "")
        .enforced("E");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let args: Vec<String> = self.ask.iter().cloned().collect();
        let (ask, _) = shell.open_ask(&args).await?;
        Ok(Command::CloseAsk(ask).into())
    }
}

/// Guide the room through an exercise, step by step: one that comes with hearth, or a file of yours.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Exercise {
    /// A name of `list`, or a file; `next`, `end` or `list`.
    what: String,
    /// Do not ask before turns are left out. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
    #[arg(skip)]
    source: Option<Vec<u8>>,
}

impl RoomCommand for Exercise {
    const ROW: Entry =
        row(Topic::Asking, "exercise", May::Moderators, "guide the room through an exercise")
            .takes("NAME|FILE | next | end | list", "opening-round")
            .enforced("E")
            .answers();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        let word = self.what.as_str();
        if !matches!(word, NEXT | END | LIST) {
            self.source = Some(forms::read(word).map_err(|error| no_exercise(word, &error))?);
        }
        Ok(())
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let guide = match self.what.as_str() {
            NEXT => Guide::Next,
            END => Guide::End,
            LIST => {
                outcome::exercises(&shell.out)?;
                return Ok(Asked::Nothing);
            }
            word => {
                let source = match &self.source {
                    Some(source) => source.clone(),
                    None => forms::read(word).map_err(|error| no_exercise(word, &error))?,
                };
                Guide::Begin { stem: forms::stem(word), source }
            }
        };
        Ok(Command::Exercise(guide).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Guided(progress) => outcome::guided(told, &progress),
            _ => Ok(()),
        }
    }
}

/// Words of `exercise` that name no exercise.
const NEXT: &str = "next";
const END: &str = "end";
const LIST: &str = "list";

fn no_exercise(word: &str, error: &std::io::Error) -> Failure {
    let word = hearth_text::escape::one_line(word);
    Failure::usage(
        match error.kind() {
            std::io::ErrorKind::NotFound => {
                format!("there is no exercise {word:?}, and no file of that name")
            }
            std::io::ErrorKind::InvalidInput => format!("{word:?} is not a file"),
            kind => format!("the file {word:?} cannot be read ({kind})"),
        },
        "Nothing was done. `hearth exercise ROOM list` lists the exercises that come with hearth.",
    )
}

/// Say that you are here for the room, for a time; or that you no longer are.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Duty {
    /// `on` and how long (two hours if absent), or `off`.
    #[arg(num_args = 1.., required = true, value_name = "on [TIME] | off")]
    args: Vec<String>,
}

impl RoomCommand for Duty {
    const ROW: Entry =
        row(Topic::Asking, "duty", May::Moderators, "say that you are here, or no longer")
            .takes("on [TIME] | off", "on 2h")
            .enforced("E")
            .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let text = self.args.join(" ");
        if when::is_off(&text) {
            shell.ask(Command::Duty { millis: 0 }).await?;
            // A chat says so by itself, whatever ends the duty.
            if !shell.follows {
                shell.tell_after_duty().await?;
            }
            return Ok(Asked::Nothing);
        }
        let time = text.strip_prefix("on").map(str::trim).unwrap_or(&text);
        let now = shell.relay_now();
        let millis = match when::parse_until(
            if time.is_empty() { DUTY } else { time },
            now,
            &TimeZone::system(),
        ) {
            Ok(until) => until.0.saturating_sub(now.0),
            Err(_) => parse_millis(time)?,
        };
        if millis > DUTY_MILLIS_MAX {
            return Err(Failure::new(
                exit::REFUSED,
                "out_of_range",
                "a duty lasts 24 hours at most",
                "Nothing was done. `hearth duty ROOM on 2h` says that you are here for two hours.",
            ));
        }
        Ok(Command::Duty { millis }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, _: Outcome) -> Result<()> {
        let Command::Duty { millis } = asked else { return Ok(()) };
        let until = told.view.relay_now(now()).plus(*millis);
        let object = json!({"done": "duty", "on": true, "until": show::rfc3339(until)});
        let text = format!(
            "You are on duty until {}. `hearth duty ROOM off` ends it; so do 30 minutes without a key.",
            show::clock(until)
        );
        told.say(&object, &told.out.advice(&text))
    }
}
