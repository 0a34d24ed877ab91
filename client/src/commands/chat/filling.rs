//! Questions to the member, one after the other. Nothing goes out before the member has seen all answers again, and nothing that is typed
//! meanwhile goes to the room.

use hearth_forms::Questionnaire;
use hearth_session::client::{Command, Outcome};

use super::{Chat, Next, Result, Stop, kept};
use crate::commands::care::questions::{
    Asked, Sending, choices, heading, in_words, item, not_a_choice, parse, parse_all, sending,
    typed,
};
use crate::commands::shell::Shell;

/// Said where all answers are there.
const REVIEW: &str = "-- Type send, change 3 (or another number), or drop. Nothing was sent.";
const HOW: &str = "-- back goes back, stop stops";

/// Answers so far.
pub(in crate::commands) struct Filling {
    asked: Asked,
    form: Questionnaire,
    given: Vec<Option<u32>>,
    /// The item that is answered anew.
    changing: Option<usize>,
}

/// What a line did.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::commands) enum Did {
    /// Took an answer, or went elsewhere.
    Moved,
    /// Nothing: this is why.
    Not(String),
    Send,
    Stop,
    Drop,
}

impl Filling {
    /// Begins with the questions that are asked, or goes on behind the answers that were typed. Also returns what is said at the
    /// beginning.
    pub(in crate::commands) async fn begin(
        shell: &Shell,
        given: &[String],
    ) -> Result<(Self, Vec<String>)> {
        let asked = shell.asked_questions().await?;
        let view = shell.view();
        let form = asked.form(&view)?.clone();
        let given = parse_all(&form, given)?;
        let start = match given.is_empty() {
            true => {
                let start = asked.start(&form, &view, shell.relay_now());
                vec![shell.out.advice(&start), heading(&form)]
            }
            false => Vec::new(),
        };
        Ok((Self { asked, form, given, changing: None }, start))
    }

    /// Returns what sends the answers.
    pub(in crate::commands) fn sending(&self, shell: &Shell) -> Result<Sending> {
        sending(shell, &self.asked, &self.given)
    }

    /// Returns the item that is asked, from 0; `None` where all answers are there.
    fn at(&self) -> Option<usize> {
        let next = self.given.len();
        self.changing.or_else(|| (next < self.form.items.len()).then_some(next))
    }

    /// Returns what is asked now.
    pub(in crate::commands) fn prompt(&self) -> String {
        match self.at() {
            Some(at) => format!("{}\n{}\n{HOW}", item(&self.form, at), choices(&self.form)),
            None => format!(
                "-- These are your answers.\n{}\n{REVIEW}",
                in_words(&self.form, &self.given).join("\n")
            ),
        }
    }

    /// Returns the command that goes on from here.
    pub(in crate::commands) fn command(&self) -> String {
        format!("/answers {}", typed(&self.given)).trim_end().to_owned()
    }

    pub(in crate::commands) fn take(&mut self, text: &str) -> Did {
        let text = text.trim();
        let word = text.to_lowercase();
        let Some(at) = self.at() else { return self.review(&word) };
        match (parse(&self.form, text), word.as_str()) {
            (Some(answer), _) => {
                match (self.changing.take(), self.given.get_mut(at)) {
                    (Some(_), Some(given)) => *given = answer,
                    _ => self.given.push(answer),
                }
                Did::Moved
            }
            (None, "stop") => Did::Stop,
            (None, "back") => {
                if self.changing.take().is_none() {
                    self.given.pop();
                }
                Did::Moved
            }
            (None, _) => Did::Not(not_a_choice(&self.form, at, text)),
        }
    }

    fn review(&mut self, word: &str) -> Did {
        match word.split_once(' ').unwrap_or((word, "")) {
            ("send", "") => Did::Send,
            ("drop", "") => Did::Drop,
            ("stop", "") => Did::Stop,
            ("back", "") => {
                self.given.pop();
                Did::Moved
            }
            ("change", number) => {
                let at = number.trim().parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                match at.filter(|at| *at < self.given.len()) {
                    Some(at) => {
                        self.changing = Some(at);
                        Did::Moved
                    }
                    None => Did::Not(format!(
                        "which one? Type change and a number from 1 to {}",
                        self.given.len()
                    )),
                }
            }
            _ => Did::Not("that was not sent, neither to the facilitators nor to the room".into()),
        }
    }
}

impl Chat {
    /// Begins with the questions that are asked, or goes on behind the answers that were typed.
    pub(super) async fn fill(&mut self, given: &[String]) -> Result<Filling> {
        let (filling, start) = Filling::begin(&self.shell, given).await?;
        for (number, text) in start.iter().enumerate() {
            let mark = if number == 0 { "-- " } else { "" };
            self.out().remark(&format!("{mark}{text}"));
        }
        self.out().remark(&filling.prompt());
        Ok(filling)
    }

    /// Takes a line as an answer; returns what is left to answer.
    pub(super) async fn fill_in(
        &mut self,
        mut filling: Box<Filling>,
        text: &str,
    ) -> Result<Option<Box<Filling>>> {
        let did = filling.take(text);
        match did {
            Did::Moved => {
                // A chat that ends here brings it back.
                self.shell.ask(Command::KeepDraft(filling.command())).await?;
                self.out().remark(&filling.prompt());
            }
            Did::Not(why) => {
                self.out().remark(&format!("-- {why}"));
                let again = filling.at().map_or_else(|| REVIEW.to_owned(), |_| filling.prompt());
                self.out().remark(&again);
            }
            Did::Stop => {
                self.shell.ask(Command::KeepDraft(String::new())).await?;
                self.out().remark(&format!(
                    "-- stopped; nothing was sent. {} goes on from here",
                    filling.command()
                ));
                return Ok(None);
            }
            Did::Drop => {
                self.shell.ask(Command::KeepDraft(String::new())).await?;
                self.out().remark("-- dropped; nothing was sent");
                return Ok(None);
            }
            Did::Send => {
                let Sending { command, after: (object, words), .. } =
                    filling.sending(&self.shell)?;
                match self.shell.ask(command).await {
                    Ok(Outcome::Kept { why, .. }) => kept(self.out(), why.as_deref()),
                    Ok(_) => self.out().remark("-- sent"),
                    Err(failure) => {
                        self.tell(&failure);
                        self.out().remark(REVIEW);
                        return Ok(Some(filling));
                    }
                }
                self.out().say(&object, &self.out().advice(&words))?;
                self.shell.ask(Command::KeepDraft(String::new())).await?;
                return Ok(None);
            }
        }
        Ok(Some(filling))
    }

    /// Takes a line while questions are answered.
    pub(super) async fn typed_answer(
        &mut self,
        filling: Box<Filling>,
        text: &str,
    ) -> Result<Next, Stop> {
        match self.fill_in(filling, text).await {
            Ok(left) => self.asked = left.map(super::Asked::Filling),
            Err(failure) => self.tell(&failure),
        }
        Ok(Next::On)
    }
}

#[cfg(test)]
mod tests {
    use hearth_engine::course::Sheet;
    use hearth_protocol::{Digest, MemberKey, Millis, Seq};

    use super::*;

    const FORM: &str = r#"
notice = "Made up."
ask = "Lately?"
choices = [["never", 0], ["often", 5]]
items = ["one", "two", "three"]
score = { sum = "none" }
"#;

    fn filling() -> Filling {
        let sheet = Sheet {
            place: Seq(1),
            at: Millis(1),
            by: MemberKey([1; 32]),
            form: Digest([2; 32]),
            stem: "form".into(),
            source: FORM.into(),
            read_by: Millis(2),
        };
        let form = Questionnaire::parse("form", FORM.as_bytes()).unwrap();
        Filling { asked: Asked::of(sheet), form, given: Vec::new(), changing: None }
    }

    #[test]
    fn slip_loses_no_answer() {
        let mut filling = filling();
        assert_eq!(filling.take("5"), Did::Moved);
        for slip in ["3", "I had a bad night", "send", "6 of them"] {
            assert!(matches!(filling.take(slip), Did::Not(_)), "{slip}");
            assert_eq!(filling.given, [Some(5)]);
        }
        assert_eq!(filling.command(), "/answers 5");
        assert_eq!((filling.take("-"), filling.take("never")), (Did::Moved, Did::Moved));
        assert_eq!(filling.given, [Some(5), None, Some(0)]);
        for slip in ["I had a bad night", "change 4", "change", "5"] {
            assert!(matches!(filling.take(slip), Did::Not(_)), "{slip}");
        }
        assert_eq!(filling.command(), "/answers 5 - 0");
    }

    #[test]
    fn answers_change_before_they_go() {
        let mut filling = filling();
        for answer in ["5", "5", "5"] {
            filling.take(answer);
        }
        assert_eq!((filling.take("change 2"), filling.at()), (Did::Moved, Some(1)));
        assert_eq!((filling.take("skip"), filling.at()), (Did::Moved, None));
        assert_eq!(filling.given, [Some(5), None, Some(5)]);
        // Back from a change changes nothing; otherwise it takes the last answer back.
        filling.take("change 1");
        filling.take("back");
        assert_eq!((filling.given.len(), filling.at()), (3, None));
        filling.take("back");
        assert_eq!(filling.at(), Some(2));
        filling.take("0");
        assert_eq!(filling.take("send"), Did::Send);
        assert_eq!(filling.take("drop"), Did::Drop);
    }
}
