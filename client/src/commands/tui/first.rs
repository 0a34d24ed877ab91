//! What comes before the screen: a terminal that can show it, a profile, and for a newcomer the way in.

use std::io::{self, IsTerminal as _};

use hearth_console::line;
use hearth_engine::{
    profile::{Profile, ProfileState},
    state::Standing,
};
use hearth_session::client::Client;

use super::Options;
use crate::{
    cli::Join,
    commands::{Context, Result, chat, door},
    failure::Failure,
    text::when,
};

/// What `hearth` alone says where there is no profile.
const NEWCOMER: &str = "\
Hearth: encrypted rooms in which a group talks between its meetings, with those who facilitate it.
Somebody sent you an invite link? Paste it below: you read the agreement, then you knock.
Later `hearth` alone shows your rooms; `hearth chat ROOM` does so line by line, as screen readers need it.
You open a room yourself? `hearth room create TITLE --agreement FILE --as NAME` asks for the grant.
In danger now? `hearth help-now` shows numbers, without a room or a network.
`hearth help` lists every command.";

/// Whether the terminal can show a full screen, and its reader wants one.
fn is_capable() -> bool {
    let known = std::env::var("TERM").is_ok_and(|term| !matches!(&*term, "" | "dumb"));
    known && std::env::var_os("HEARTH_PLAIN").is_none()
}

/// Opens the profile and shows its rooms. `alone` says that no command was typed.
pub(in crate::commands) async fn run(
    context: &Context,
    options: &Options,
    alone: bool,
) -> Result<()> {
    let idle = when::parse_duration(&options.lock_after)
        .map_err(|e| Failure::usage(e.to_string(), "For example: --lock-after 10m"))?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "a full screen needs a terminal",
            "`hearth chat ROOM` works over a pipe; `hearth lines` is for programs.",
        ));
    }
    let is_new = matches!(Profile::inspect(&context.home()?)?, ProfileState::New);
    if alone && is_new {
        context.out.remark(NEWCOMER);
        if !wants_in()? {
            return Ok(());
        }
        let join = Join::default();
        Box::pin(door::join(context, join)).await?;
    }
    // A passphrase is asked for before the screen is taken.
    let client = context.client()?;
    if is_capable() {
        return Box::pin(super::run(context, client, options, (idle, alone && is_new))).await;
    }
    let room = match &options.room {
        Some(room) => room.clone(),
        None => first_room(&client).await?,
    };
    Box::pin(chat::run_on(context, client, &room, idle, false)).await
}

fn wants_in() -> Result<bool> {
    let typed = line::ask("Do you have an invite link? Type yes to paste it; Enter leaves: ")?;
    Ok(typed.trim().eq_ignore_ascii_case("yes") || typed.trim().eq_ignore_ascii_case("y"))
}

/// Returns the room that a chat begins with where none was named.
async fn first_room(client: &Client) -> Result<String> {
    let rooms = client.rooms().await?;
    let inside = rooms.iter().find(|room| room.standing == Standing::Member);
    inside.or(rooms.first()).map(|room| room.name.clone()).ok_or_else(no_rooms)
}

/// Says that there is nothing to show.
pub(super) fn no_rooms() -> Failure {
    Failure::usage(
        "this profile has no rooms yet",
        "`hearth join` takes an invite link; `hearth room create TITLE --agreement FILE --as NAME` opens a room.",
    )
}
