//! One command in a room, on the command line.

use std::io::Read as _;

use hearth_engine::content::TEXT_BYTES_MAX;
use hearth_session::client::{Command, Consent, Events};
use hearth_text::escape;

use super::{
    Context, Result, Wanted, follow,
    shell::{Did, Shell, is_local},
};
use crate::{
    cli::{CategoryArg, InRoom, RoleArg},
    failure::Failure,
};
use hearth_engine::policy::Category;
use hearth_protocol::Role;

/// Runs one room command on a client of its own.
pub(super) async fn run(context: &Context, mut command: InRoom) -> Result<()> {
    let is_send = matches!(command, InRoom::Send { .. });
    if let InRoom::Send { text, .. } = &mut command {
        *text = read_words(text)?;
    }
    let client = match context.client() {
        Err(failure) if is_send => return Err(unsent(failure)),
        client => client?,
    };
    let mut events = client.events();
    let mut shell = Shell::new(&client, command.room(), &context.out).await?;
    if let InRoom::Follow { .. } = command {
        let followed = follow::run(&mut shell, events).await;
        drop(shell);
        client.close().await;
        return followed;
    }
    if let InRoom::Revoke { link, .. } = &mut command {
        let on_input = format!("revoke {}", shell.room);
        *link = Some(context.link(link.as_deref(), Wanted::Invite(&on_input))?.to_string());
    }
    let done = done(&mut shell, &mut events, &command).await;
    // What refuses words refused them before, too: it is told once.
    if !is_send {
        shell.remark_all(&mut events);
    }
    // A refusal of words says itself what becomes of them.
    if !matches!(command, InRoom::Outbox { .. }) && (done.is_ok() || !is_send) {
        shell.tell_held();
    }
    // Also what was found because the command was refused.
    let told = shell.tell_mismatches().await;
    drop(shell);
    client.close().await;
    done?;
    told.map(|_| ())
}

/// Does the command, asking a person for what it needs.
async fn done(shell: &mut Shell, events: &mut Events, command: &InRoom) -> Result<()> {
    if !is_local(command) {
        // What waited goes out, and what is due is done, before the command.
        shell.ask(Command::Refresh).await?;
        shell.remark_all(events);
    }
    let mut consent = if command.is_agreed() { Consent::Whatever } else { Consent::Unasked };
    loop {
        match shell.act(command, consent).await {
            Ok(Did::Done) => return Ok(()),
            Ok(Did::Asks(question)) => {
                shell.confirm(&question)?;
                consent = Consent::To(question);
            }
            Err(failure) if matches!(command, InRoom::Send { .. }) => return Err(unsent(failure)),
            Err(failure) => return Err(failure),
        }
    }
}

/// Says of words that the disk did not take that they went nowhere.
pub(super) fn unsent(mut failure: Failure) -> Failure {
    failure.advice = match failure.code {
        "disk_full" => "Free some space, then send it again.",
        "read_only" => "Make the disk or folder writable, then send it again.",
        // The outbox may have them all the same; the same words wait there once.
        "disk_failed" => {
            "Check the disk: it fails, or has turned read-only. When it is whole, look at your outbox, then send it again."
        }
        _ => return failure,
    }
    .into();
    failure.message.push_str("; nothing was sent");
    failure
}

/// Takes the words of the command line, or of standard input if they are `-`.
fn read_words(text: &str) -> Result<String> {
    if text != "-" {
        return Ok(escape::sanitize_input(text)?);
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage("standard input is not UTF-8 text", "Nothing was sent."))?;
    Ok(escape::sanitize_input(text.trim_end_matches('\n'))?)
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Facilitator => Self::Facilitator,
            RoleArg::Cofacilitator => Self::CoFacilitator,
            RoleArg::Member => Self::Member,
            RoleArg::Observer => Self::Observer,
        }
    }
}

impl From<CategoryArg> for Category {
    fn from(category: CategoryArg) -> Self {
        match category {
            CategoryArg::Unspecified => Self::Unspecified,
            CategoryArg::Confidentiality => Self::Confidentiality,
            CategoryArg::Conduct => Self::Conduct,
            CategoryArg::Safety => Self::Safety,
            CategoryArg::Discharge => Self::Discharge,
            CategoryArg::Request => Self::Request,
        }
    }
}
