//! One command in a room, on the command line.

use hearth_session::client::{Client, Command, Consent, Events, Question};

use super::{
    Context, Result, follow,
    room::{InRoom, talking::Talking},
    rooms::{confirm, confirm_person},
    shell::{Did, Shell, question_words},
    socket,
};
use crate::{failure::Failure, show::Output};

/// Runs one room command on a client of its own, or on the one that has the profile open.
pub(super) async fn run(context: &Context, mut command: InRoom) -> Result<()> {
    command.complete(context)?;
    let client = match context.client() {
        Err(failure) if failure.code == "profile_in_use" => {
            return socket::run(context, socket::Wanted::Room(command), failure).await;
        }
        Err(failure) if command.words().is_some() => return Err(unsent(failure)),
        client => client?,
    };
    let done = if command.follows() {
        let until = follow::until_stopped();
        let serving = socket::serve(context, &client);
        let followed = follow::run(&client, command.room(), &context.out, command.on_flag(), until);
        socket::beside(serving, followed).await
    } else {
        perform(&client, &command, &context.out, ask_here).await
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
    let is_send = command.words().is_some();
    let mut events = client.events();
    let mut shell = Shell::new(client, command.room(), out).await?;
    let done = done(&mut shell, &mut events, command, ask).await;
    // What refuses words refused them before, too: it is told once.
    if !is_send {
        shell.remark_all(&mut events);
    }
    // A refusal of words says itself what becomes of them.
    if !matches!(command, InRoom::Talking(Talking::Outbox(_))) && (done.is_ok() || !is_send) {
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
    if command.catches_up() {
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
            Err(failure) if command.words().is_some() => return Err(unsent(failure)),
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
