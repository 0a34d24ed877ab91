//! One command in a room, on the command line.

use std::io::Read as _;

use hearth_engine::{content::TEXT_BYTES_MAX, policy::Category};
use hearth_protocol::Role;
use hearth_session::client::{Client, Command, Consent, Events, Question};
use hearth_text::escape;

use super::{
    Context, Result, Wanted, follow,
    rooms::{confirm, confirm_person},
    shell::{Did, Shell, question_words},
    socket,
};
use crate::{
    cli::{CategoryArg, InRoom, RoleArg},
    failure::Failure,
    show::Output,
};

/// Runs one room command on a client of its own, or on the one that has the profile open.
pub(super) async fn run(context: &Context, mut command: InRoom) -> Result<()> {
    let is_send = matches!(command, InRoom::Send { .. });
    match &mut command {
        InRoom::Send { text, .. } => *text = read_words(text)?,
        InRoom::Revoke { room, link, .. } => {
            let on_input = format!("revoke {room}");
            *link = Some(context.link(link.as_deref(), Wanted::Invite(&on_input))?.to_string());
        }
        InRoom::Log { export: Some(file), .. } => *file = std::path::absolute(&file)?,
        _ => {}
    }
    let client = match context.client() {
        Err(failure) if failure.code == "profile_in_use" => {
            return socket::run(context, socket::Wanted::Room(command), failure).await;
        }
        Err(failure) if is_send => return Err(unsent(failure)),
        client => client?,
    };
    let done = match command {
        InRoom::Follow { .. } => {
            let until = follow::until_stopped();
            let serving = socket::serve(context, &client);
            let followed = follow::run(&client, command.room(), &context.out, until);
            socket::beside(serving, followed).await
        }
        command => perform(&client, &command, &context.out, ask_here).await,
    };
    client.close().await;
    done
}

/// What a person is asked.
pub(super) struct Asking<'a> {
    pub(super) question: &'a Question,
    pub(super) words: &'a str,
}

/// Asks the person at this terminal.
pub(super) async fn ask_here(asked: Asking<'_>) -> Result<()> {
    let Asking { question, words } = asked;
    match question.is_for_programs() {
        true => confirm(false, words),
        false => confirm_person(false, words),
    }
}

/// Does one command in a room, and tells what was found beside it. `ask` fails if the person does not agree.
pub(super) async fn perform(
    client: &Client,
    command: &InRoom,
    out: &Output,
    ask: impl AsyncFn(Asking<'_>) -> Result<()>,
) -> Result<()> {
    let is_send = matches!(command, InRoom::Send { .. });
    let mut events = client.events();
    let mut shell = Shell::new(client, command.room(), out).await?;
    let done = done(&mut shell, &mut events, command, ask).await;
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
    done.map_err(|failure| failure.in_room(&shell.room))?;
    told.map(|_| ())
}

async fn done(
    shell: &mut Shell,
    events: &mut Events,
    command: &InRoom,
    ask: impl AsyncFn(Asking<'_>) -> Result<()>,
) -> Result<()> {
    if !command.entry().offline {
        // What waited goes out, and what is due is done, before the command.
        shell.ask(Command::Refresh).await?;
        shell.remark_all(events);
    }
    let mut consent = if command.is_agreed() { Consent::Whatever } else { Consent::Unasked };
    loop {
        match shell.act(command, consent).await {
            Ok(Did::Done) => return Ok(()),
            Ok(Did::Asks(question)) => {
                let words = shell.out.advice(&question_words(&question));
                ask(Asking { question: &question, words: &words }).await?;
                consent = Consent::To(question);
            }
            Err(failure) if matches!(command, InRoom::Send { .. }) => return Err(unsent(failure)),
            Err(failure) => return Err(failure),
        }
    }
}

/// Says of words that the disk did not take that they went nowhere.
pub(super) fn unsent(mut failure: Failure) -> Failure {
    failure.advice = match &*failure.code {
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
