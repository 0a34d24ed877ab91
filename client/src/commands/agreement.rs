//! A room's agreement: its versions, read, compared and acknowledged by a member.

use hearth_engine::agreement::Agreement;
use hearth_session::client::{Command, Outcome};
use hearth_text::escape;
use serde_json::json;

use super::{Result, shell::Shell};
use crate::{
    failure::text_missing,
    show::{self, Output},
};

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

/// Prints the coming version, or the one in force.
pub(super) async fn show(shell: &Shell) -> Result<()> {
    let Versions { current, coming, .. } = versions(shell).await?;
    let view = shell.view();
    let agreement = coming.unwrap_or(current).ok_or_else(|| text_missing(&view.standing))?;
    print(&shell.out, &agreement, &view.title)
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
    });
    let text = format!(
        "{}\n\n{}\n\nVersion {}\nAgreement id: {id}",
        escape::one_line(title),
        escape::many_lines(agreement.text.trim_end(), ""),
        agreement.version
    );
    Ok(out.say(&object, &text)?)
}

/// Whether somebody typed that they acknowledge.
pub(super) fn is_acknowledged(typed: &str) -> bool {
    typed.trim().trim_end_matches('.').eq_ignore_ascii_case("i acknowledge")
}
