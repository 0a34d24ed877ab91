//! How people are: moods and questions, each between one member and those who moderate.

use std::path::PathBuf;

use clap::Args;
use hearth_engine::{
    EngineError,
    mine::Setting,
    policy::RuleError,
    private::{
        ASKED_DAYS, EVERY_DAYS_MIN, FORM_BYTES_MAX, Inquiry, MOOD_MAX, Mood as Told, Private,
        Wanted,
    },
    room::find_member,
};
use hearth_forms::Questionnaire;
use hearth_session::client::{Command, LaneCommand, Outcome};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand, forms,
    row::{Entry, May, Topic, row},
    talking::read_last,
    times::parse_millis,
};
use crate::{
    commands::{
        Context, Result,
        care::{after_mood, ask, questions},
        outcome,
        shell::Shell,
    },
    failure::Failure,
    text::when,
};

const DAY: u64 = 24 * 3600 * 1000;

topic! { Care: Mood, Ask, Answers }

/// Tell the facilitators alone how you are, from 0 to 10; `skip` or `stop` their asking; `view` the course. Facilitators: `ask`, or ask
/// `every 3d` for four weeks
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Mood {
    /// A number from 0 to 10 and words; or one of the words above.
    #[arg(num_args = 1.., required = true, value_name = "N WORDS")]
    args: Vec<String>,
    /// Ask this member only; several times for several.
    #[arg(long, value_name = "NAME")]
    to: Vec<String>,
    /// The time in which you read it and talk with the member; the agreement's, or 1d, if absent.
    #[arg(long, value_name = "TIME")]
    within: Option<String>,
    /// Draw the course into this file (SVG).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

impl RoomCommand for Mood {
    const ROW: Entry =
        row(Topic::Care, "mood", May::Members, "say how you are, to the facilitators")
            .takes(
                "N [WORDS] | skip | stop | view [NAME] [--picture FILE] | ask | every 3d|off",
                "6",
            )
            .enforced("E")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        // A second program has another working folder.
        if let Some(picture) = &self.picture {
            self.picture = Some(std::path::absolute(picture).unwrap_or_else(|_| picture.clone()));
        }
        read_last(&mut self.args)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let (word, rest) = self.args.split_first().ok_or_else(how)?;
        shell.news_of_lanes().await?;
        match (word.to_lowercase().as_str(), rest) {
            ("view", rest) => self.view(shell, &rest.join(" ")).await?,
            ("skip", []) => return Ok(Command::Set(Setting::SkipMood(shell.relay_now())).into()),
            ("stop", []) => return Ok(Command::Set(Setting::StopMood(shell.relay_now())).into()),
            ("ask", []) => self.ask(shell, Wanted::Mood { every: 0 }).await?,
            ("every", time) => self.every(shell, &time.join(" ")).await?,
            (number, words) => return tell(shell, number, words),
        }
        Ok(Asked::Nothing)
    }

    fn tell(&self, told: &outcome::Told<'_>, asked: &Command, became: Outcome) -> Result<()> {
        match asked {
            Command::Set(Setting::SkipMood(_)) => told.say(
                &json!({"done": "mood", "skipped": true}),
                "Skipped. That is always fine, and nobody is told.",
            ),
            Command::Set(_) => told.say(
                &json!({"done": "mood", "stopped": true}),
                "You are not asked any more, unless a facilitator begins anew. Nobody is told.",
            ),
            Command::Lane { what: LaneCommand::Private(Private::Mood(mood)), .. } => {
                // Where else one can turn is read at once, also while the mood waits for the relay.
                let (low, score) = (after_mood(told.view, mood.score), mood.score);
                let done = told.in_lane(asked, became);
                if let Some(low) = low {
                    told.say(&json!({"mood": score, "low": true}), &told.out.advice(&low))?;
                }
                done
            }
            _ => told.outcome(became),
        }
    }
}

impl Mood {
    async fn view(&self, shell: &Shell, name: &str) -> Result<()> {
        let view = shell.view();
        let member = match name {
            "" => None,
            name => Some(find_member(&view.roster, name)?.member),
        };
        if member.is_some_and(|member| member != view.me) {
            check_moderates(shell)?;
        }
        shell.show_course(member, self.picture.as_deref()).await
    }

    async fn every(&self, shell: &Shell, time: &str) -> Result<()> {
        if when::is_off(time) {
            return self.ask(shell, Wanted::NoMood).await;
        }
        let millis = parse_millis(time)?;
        let days = u32::try_from(millis / DAY).unwrap_or(u32::MAX);
        if millis % DAY != 0 || !(EVERY_DAYS_MIN..=ASKED_DAYS).contains(&days) {
            return Err(Failure::usage(
                format!("moods are not asked for every {}", escape::one_line(time)),
                "Nothing was sent. It is from 3d, so at most three in a week, to 28d: `hearth mood ROOM every 3d`.",
            ));
        }
        self.ask(shell, Wanted::Mood { every: days }).await
    }

    async fn ask(&self, shell: &Shell, wanted: Wanted) -> Result<()> {
        check_moderates(shell)?;
        if wanted != Wanted::NoMood {
            ask::check_duty(shell, 0)?;
        }
        let within = ask::within(shell, self.within.as_deref())?;
        ask::ask(shell, &self.to, Inquiry { wanted, within }).await
    }
}

fn check_moderates(shell: &Shell) -> Result<()> {
    match shell.view().moderates() {
        true => Ok(()),
        false => Err(EngineError::Rule(RuleError::NotFacilitator).into()),
    }
}

fn how() -> Failure {
    Failure::usage(
        "the number is missing",
        "Nothing was sent. It is from 0, as bad as it gets, to 10, as good as it gets: `hearth mood ROOM 6`.",
    )
}

/// Tells a mood in one's own lane.
fn tell(shell: &Shell, number: &str, words: &[String]) -> Result<Asked> {
    let view = shell.view();
    let score = number.parse::<u32>().ok().filter(|score| *score <= MOOD_MAX);
    let score = score.ok_or_else(|| Failure {
        message: format!("\"{}\" is not a mood", escape::one_line(number)),
        ..how()
    })?;
    let lane = super::private::lane_of(shell, Some(view.me))?;
    let mood = Told { score, words: words.join(" ") };
    let what = LaneCommand::Private(Private::Mood(mood));
    Ok(Command::Lane { lane, what }.into())
}

/// Put questions to members, each in their check-in: those that come with hearth, or a file of yours
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Ask {
    /// `week-check`, or a file; `list` lists those that come with hearth.
    what: String,
    /// Ask this member only; several times for several.
    #[arg(long, value_name = "NAME")]
    to: Vec<String>,
    /// The time in which you read the answers and talk with the member; the agreement's, or 1d, if absent.
    #[arg(long, value_name = "TIME")]
    within: Option<String>,
    #[arg(skip)]
    source: Option<Vec<u8>>,
}

impl RoomCommand for Ask {
    const ROW: Entry =
        row(Topic::Care, "ask", May::Moderators, "put questions to each member alone")
            .takes("NAME|FILE [--to NAME] [--within TIME] | list", "week-check --within 2d")
            .enforced("E")
            .answers();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        if self.what != LIST {
            self.source = Some(self.read()?);
        }
        Ok(())
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        if self.what == LIST {
            let names = questions::shipped_names();
            shell.out.say(&json!({"questions": names}), &names)?;
            return Ok(Asked::Nothing);
        }
        let source = match &self.source {
            Some(source) => source.clone(),
            None => self.read()?,
        };
        let stem = forms::stem(&self.what);
        let form = Questionnaire::parse(&stem, &source).map_err(|fault| {
            Failure::usage(
                format!("the questions' file, {fault}"),
                "Nothing was sent. Mend that line; docs/exercises.md shows a whole example.",
            )
        })?;
        if source.len() > FORM_BYTES_MAX {
            return Err(Failure::usage(
                format!(
                    "the questions' file has {} bytes, more than {FORM_BYTES_MAX}",
                    source.len()
                ),
                "Nothing was sent. Shorten it; remarks go along, too.",
            ));
        }
        let within = ask::within(shell, self.within.as_deref())?;
        if !form.marks.is_empty() {
            ask::check_duty(shell, within)?;
        }
        shell.news_of_lanes().await?;
        ask::ask(shell, &self.to, Inquiry { wanted: Wanted::Form { stem, source }, within })
            .await?;
        Ok(Asked::Nothing)
    }
}

impl Ask {
    fn read(&self) -> Result<Vec<u8>> {
        forms::read(&self.what).map_err(|error| {
            let word = escape::one_line(&self.what);
            Failure::usage(
                match error.kind() {
                    std::io::ErrorKind::NotFound => {
                        format!("there are no questions {word:?}, and no file of that name")
                    }
                    std::io::ErrorKind::InvalidInput => format!("{word:?} is not a file"),
                    kind => format!("the file {word:?} cannot be read ({kind})"),
                },
                "Nothing was sent. `hearth ask ROOM list` lists the questions that come with hearth.",
            )
        })
    }
}

/// A word of `ask` that names no questions.
const LIST: &str = "list";

/// Answer the facilitators' questions, each of which - skips. Without answers, show the questions; with them, see them again before they
/// are sent
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Answers {
    /// The number of each choice, in order; - skips.
    #[arg(num_args = 0.., value_name = "N")]
    given: Vec<String>,
    /// Send them without asking.
    #[arg(long)]
    yes: bool,
}

impl Answers {
    /// Returns what was typed.
    pub(in crate::commands) fn given(&self) -> &[String] {
        &self.given
    }
}

impl RoomCommand for Answers {
    const ROW: Entry =
        row(Topic::Care, "answers", May::Members, "answer the facilitators' questions")
            .takes("[N N - N ...]", "0 2 - 1 3 0")
            .enforced("E")
            .answers()
            .offline();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let asked = shell.asked_questions().await?;
        let view = shell.view();
        let form = asked.form(&view)?;
        if self.given.is_empty() {
            let mut lines =
                vec![asked.start(form, &view, shell.relay_now()), questions::heading(form)];
            lines.extend((0..form.items.len()).map(|at| questions::item(form, at)));
            lines.push("`hearth answers ROOM 0 1 - ...` answers, a number for each question in order; - skips one. You see it again before it is sent.".to_owned());
            shell.out.say(&asked.json(&shell.room), &shell.out.advice(&lines.join("\n")))?;
            return Ok(Asked::Nothing);
        }
        let answers = questions::parse_all(form, &self.given)?;
        Ok(Asked::Answers(Box::new(questions::sending(shell, &asked, &answers)?)))
    }

    fn tell(&self, told: &outcome::Told<'_>, asked: &Command, became: Outcome) -> Result<()> {
        told.in_lane(asked, became)
    }
}
