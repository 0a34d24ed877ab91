//! A room's agreement: its versions, read, compared and acknowledged by a member.

use hearth_engine::agreement::{Agreement, Change};
use hearth_forms::Question;
use hearth_session::client::{AskError, Client, Command, Consent, Outcome};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Result,
    inside::Asking,
    shell::{Shell, question_words},
};
use crate::{
    failure::text_missing,
    show::{self, Output},
};

/// A command about a room's agreement that needs nobody's signature at a terminal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum OfAgreement {
    Show,
    Diff,
    Amend { text: String, material: bool, millis: u64 },
    Enact,
    Withdraw,
}

/// Does one command, and tells what was found beside it. `ask` fails if the person does not agree.
pub(super) async fn perform(
    client: &Client,
    room: &str,
    out: &Output,
    command: &OfAgreement,
    ask: impl AsyncFn(Asking<'_>) -> Result<()>,
) -> Result<()> {
    let mut events = client.events();
    let mut shell = Shell::new(client, room, out).await?;
    let done = done(&shell, command, ask).await;
    shell.remark_all(&mut events);
    let told = shell.tell_mismatches().await;
    done.map_err(|failure| failure.in_room(&shell.room))?;
    told.map(|_| ())
}

async fn done(
    shell: &Shell,
    command: &OfAgreement,
    ask: impl AsyncFn(Asking<'_>) -> Result<()>,
) -> Result<()> {
    let out = &shell.out;
    match command {
        OfAgreement::Show => {
            shell.refresh().await?;
            show(shell).await
        }
        OfAgreement::Diff => {
            shell.refresh().await?;
            diff(shell).await
        }
        OfAgreement::Amend { text, material, millis } => {
            let change = if *material { Change::Material } else { Change::Editorial };
            let command = Command::Amend { text: text.clone(), change, millis: *millis };
            match asked(shell, command, ask).await? {
                Outcome::Amended { agreement, in_force } => amended(out, &agreement, in_force),
                _ => Ok(()),
            }
        }
        OfAgreement::Enact => {
            asked(shell, Command::Enact, ask).await?;
            Ok(out.say(&json!({"done": "enact"}), "The new agreement is in force.")?)
        }
        OfAgreement::Withdraw => {
            asked(shell, Command::WithdrawAmendment, ask).await?;
            let text =
                "The amendment is withdrawn. The version in force stays; nobody has to sign again.";
            Ok(out.say(&json!({"done": "withdraw_amendment"}), text)?)
        }
    }
}

/// Asks the room, and a person for what it needs.
async fn asked(
    shell: &Shell,
    command: Command,
    ask: impl AsyncFn(Asking<'_>) -> Result<()>,
) -> Result<Outcome> {
    let mut consent = Consent::Unasked;
    loop {
        match shell.client.ask(&shell.room, command.clone(), consent).await {
            Err(AskError::NeedsConsent(question)) => {
                let words = shell.out.advice(&question_words(&question));
                ask(Asking { question: &question, words: &words }).await?;
                consent = Consent::To(question);
            }
            became => return Ok(became?),
        }
    }
}

fn amended(out: &Output, agreement: &Agreement, in_force: bool) -> Result<()> {
    let id = agreement.id().to_hex();
    let material = agreement.change == Change::Material;
    let object = json!({
        "done": "amend",
        "agreement": id,
        "version": agreement.version,
        "in_force": in_force,
        "acknowledged": material,
        "effective": show::rfc3339(agreement.effective),
    });
    let signed = if material { "; you have signed it" } else { "" };
    Ok(out.say(&object, &format!("Version {} issued, id {id}{signed}", agreement.version))?)
}

/// The versions of an agreement that a member deals with.
pub(super) struct Versions {
    /// In force.
    pub(super) current: Option<Agreement>,
    /// Acknowledged last.
    pub(super) mine: Option<Agreement>,
    /// Waits for this member's acknowledgement; `Some(None)` if its text has not come.
    pub(super) coming: Option<Option<Agreement>>,
}

/// Reads the versions that this profile has.
pub(super) async fn versions(shell: &Shell) -> Result<Versions> {
    match shell.ask(Command::Agreements).await? {
        Outcome::Agreements { current, mine, coming } => Ok(Versions { current, mine, coming }),
        _ => Ok(Versions { current: None, mine: None, coming: None }),
    }
}

/// Returns the version that this member is asked to sign: the coming one, or again the one in force; `None` if nothing is asked.
pub(super) async fn to_sign(shell: &Shell) -> Result<Option<Agreement>> {
    let versions = versions(shell).await?;
    let view = shell.view();
    let current = versions.current.filter(|_| view.renewal.is_some()).map(Some);
    match versions.coming.or(current) {
        None => Ok(None),
        Some(Some(agreement)) => Ok(Some(agreement)),
        Some(None) => Err(text_missing(&view.standing)),
    }
}

/// Returns the coming version, or the one in force.
async fn newest(shell: &Shell) -> Result<Agreement> {
    let Versions { current, coming, .. } = versions(shell).await?;
    coming.unwrap_or(current).ok_or_else(|| text_missing(&shell.view().standing))
}

/// Returns the coming version, or the one in force, as people read it.
pub(super) async fn shown(shell: &Shell) -> Result<String> {
    Ok(text(&newest(shell).await?, &shell.view().title))
}

/// Prints the coming version, or the one in force.
pub(super) async fn show(shell: &Shell) -> Result<()> {
    print(&shell.out, &newest(shell).await?, &shell.view().title)
}

/// Prints what changed since the version that this member acknowledged.
pub(super) async fn diff(shell: &Shell) -> Result<()> {
    let Versions { mine, coming, .. } = versions(shell).await?;
    let standing = &shell.view().standing;
    let Some(new) = coming else {
        let text = "Nothing changed since you acknowledged.";
        return Ok(shell.out.say(&json!({"changed": false}), text)?);
    };
    let old = mine.ok_or_else(|| text_missing(standing))?;
    let new = new.ok_or_else(|| text_missing(standing))?;
    let (gone, come) = (lines_only_in(&old, &new), lines_only_in(&new, &old));
    let object = json!({
        "changed": true,
        "agreement": new.id().to_hex(),
        "version": new.version,
        "removed": gone,
        "added": come,
    });
    let mut text: Vec<String> = gone.iter().map(|l| format!("- {}", escape::one_line(l))).collect();
    text.extend(come.iter().map(|l| format!("+ {}", escape::one_line(l))));
    if text.is_empty() {
        text.push(format!("Version {} has the lines that you acknowledged.", new.version));
    }
    Ok(shell.out.say(&object, &text.join("\n"))?)
}

fn lines_only_in<'a>(one: &'a Agreement, other: &Agreement) -> Vec<&'a str> {
    let others: std::collections::HashSet<&str> = other.text.lines().map(str::trim).collect();
    let lines = one.text.lines().filter(|l| !l.trim().is_empty());
    lines.filter(|l| !others.contains(l.trim())).collect()
}

/// Prints one version.
pub(super) fn print(out: &Output, agreement: &Agreement, title: &str) -> Result<()> {
    let id = agreement.id().to_hex();
    let object = json!({
        "agreement": id,
        "id": id,
        "version": agreement.version,
        "language": agreement.language,
        "effective": show::rfc3339(agreement.effective),
        "title": title,
        "text": agreement.text,
        "questions": agreement.questions().iter().map(|question| {
            json!({"ask": question.ask, "choices": question.choices})
        }).collect::<Vec<_>>(),
    });
    Ok(out.say(&object, &text(agreement, title))?)
}

/// Returns one version as people read it.
pub(super) fn text(agreement: &Agreement, title: &str) -> String {
    format!(
        "{}\n\n{}\n\nVersion {}\nAgreement id: {}",
        escape::one_line(title),
        escape::many_lines(Question::prose_of(&agreement.text).trim_end(), ""),
        agreement.version,
        agreement.id()
    )
}

/// Whether somebody typed that they acknowledge.
pub(super) fn is_acknowledged(typed: &str) -> bool {
    typed.trim().trim_end_matches('.').eq_ignore_ascii_case("i acknowledge")
}
