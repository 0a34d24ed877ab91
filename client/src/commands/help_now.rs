//! `hearth help-now` on the command line: the numbers before anything else, then the facilitators, if the person says so.

use hearth_console::{line, signals};
use hearth_engine::{help::Stage, state::Standing};
use hearth_session::{
    client::{Client, Heard},
    contacts,
};
use serde_json::json;

use super::{
    Context, Result, contacts as shown, inside, interactive,
    room::{InRoom, help::HelpNow},
    shell::Shell,
};
use crate::{
    failure::{Failure, exit},
    show::help::NO_NUMBER,
};

/// What stands for a room where none is named.
pub(super) const NO_ROOM: &str = "-";

/// Shows the numbers, and tells the facilitators if that is asked for. Showing needs no passphrase, network or room, and sends nothing.
pub(super) async fn run(context: &Context, room: &str, command: &HelpNow) -> Result<()> {
    show(context, room, command)?;
    let words = match command.words() {
        Some(words) => words,
        None if interactive() && !context.out.is_json() => match ask()? {
            Some(words) => words,
            None => return Ok(()),
        },
        None if command.waits() => {
            let failure = Failure::usage(
                "`--wait` stays after a call, and none was made",
                "`hearth help-now --tell --wait` tells the facilitators, and stays.",
            );
            return Err(untold(context, failure));
        }
        None => return Ok(()),
    };
    Box::pin(tell(context, room, command, &words)).await
}

/// Says that nobody was told, and whom to call.
fn untold(context: &Context, mut failure: Failure) -> Failure {
    // What waits on the device still goes out, and what does not verify is found behind a call that was made.
    if failure.kept || failure.told || failure.exit == exit::LIED {
        return failure;
    }
    let helps = context.home().map(|home| contacts::read(&home)).unwrap_or_default();
    let number = helps.first().map_or_else(|| NO_NUMBER.to_owned(), hearth_forms::Help::first_line);
    failure.advice = format!("{} Nobody was told. Call {number}.", failure.advice);
    failure
}

async fn tell(context: &Context, room: &str, command: &HelpNow, words: &str) -> Result<()> {
    let room = match room {
        NO_ROOM => only_room(context).await.map_err(|failure| untold(context, failure))?,
        room => room.to_owned(),
    };
    let tells = InRoom::help_now(&room, HelpNow::telling(words));
    if command.waits() || (command.words().is_none() && interactive()) {
        return Box::pin(wait(context, &room, tells)).await;
    }
    inside::run(context, tells).await.map_err(|failure| untold(context, failure))
}

/// Prints the copy that opens without the profile.
fn show(context: &Context, room: &str, command: &HelpNow) -> Result<()> {
    let home = context.home().ok();
    let mut helps = home.as_deref().map(contacts::read).unwrap_or_default();
    let asked = command.country().map(|country| country.trim().to_ascii_uppercase());
    let mut country = asked.clone();
    if let Some(home) = &home {
        country = country.or_else(|| contacts::country(home));
        if let Some(asked) = &asked {
            // The numbers stand here, whether or not it is remembered.
            let _ = contacts::set_country(home, asked);
        }
    }
    if let Some(country) = &country {
        helps.sort_by_key(|help| help.country != *country);
    }
    let others = helps.len().saturating_sub(1);
    // The copy does not say which room's numbers are which, because it would name rooms to whoever reads the folder.
    let shows_all = command.shows_all() || (room != NO_ROOM && asked.is_none());
    if !shows_all {
        helps.truncate(1);
    }
    let object = json!({
        "help": helps.iter().map(shown::to_json).collect::<Vec<_>>(),
        "sent": false,
    });
    let mut text = match &helps[..] {
        [] => format!("Call {NO_NUMBER}."),
        helps => {
            let blocks: Vec<String> =
                helps.iter().map(|help| shown::screen(help, shown::today())).collect();
            blocks.join("\n\n")
        }
    };
    if let Some(asked) = asked.filter(|asked| helps.iter().all(|help| help.country != *asked)) {
        text.push_str(&format!(
            "\nNo numbers for {} are known here. Call {NO_NUMBER}.",
            hearth_text::escape::one_line(&asked)
        ));
    }
    if others > 0 && !shows_all {
        text.push_str(&context.out.advice("\nOther numbers: `hearth help-now --all`"));
    }
    if command.words().is_none() {
        text.push_str("\nNothing has been sent. Nobody knows that you opened this.");
    }
    Ok(context.out.say(&object, &text)?)
}

/// Shows the numbers to somebody whose command line was not understood: a slip must not stand between a person and a number.
pub(super) fn after_slip(context: &Context) {
    let helps = context.home().map(|home| contacts::read(&home)).unwrap_or_default();
    let text = match helps.first() {
        Some(help) => shown::screen(help, shown::today()),
        None => format!("Call {NO_NUMBER}."),
    };
    context
        .out
        .remark(&format!("{text}\nNothing has been sent. Nobody knows that you opened this."));
}

/// Asks whether to tell; `None` if only the numbers were wanted.
fn ask() -> Result<Option<String>> {
    let typed = line::ask("[Enter: tell the facilitators] [no: only these numbers] ");
    match typed {
        Ok(words) => {
            let no = ["n", "no", "q", "quit", "exit"]
                .iter()
                .any(|no| words.trim().eq_ignore_ascii_case(no));
            Ok((!no).then(|| words.trim().to_owned()))
        }
        Err(_) => Ok(None),
    }
}

/// Returns the only room of the profile.
async fn only_room(context: &Context) -> Result<String> {
    let client = context.client()?;
    let rooms = client.rooms().await;
    client.close().await;
    let mut rooms = rooms?;
    rooms.retain(|room| room.standing == Standing::Member || room.standing.keeps_lane());
    match &rooms[..] {
        [only] => Ok(only.name.clone()),
        [] => Err(Failure::usage("this profile is in no room", "Do not wait.")),
        several => {
            let names: Vec<&str> = several.iter().map(|room| &*room.name).collect();
            let commands = names.iter().map(|room| format!("`hearth help-now {room} --tell`"));
            let commands: Vec<String> = commands.collect();
            Err(Failure::usage(
                format!("this profile is in {}", names.join(", ")),
                format!("Name the room: {}.", commands.join(" or ")),
            ))
        }
    }
}

/// Tells, and stays until somebody has closed the call, or the person ends it.
async fn wait(context: &Context, room: &str, tells: InRoom) -> Result<()> {
    let client = match context.client() {
        // The window that has the profile open says it.
        Err(failure) if failure.code == "profile_in_use" => {
            let told = inside::run(context, tells).await;
            return told.map_err(|failure| untold(context, failure));
        }
        client => client.map_err(|failure| untold(context, failure))?,
    };
    let done = tokio::select! {
        biased;
        () = signals::stop() => Ok(()),
        done = wait_on(context, &client, room, tells) => done,
    };
    client.close().await;
    done
}

async fn wait_on(context: &Context, client: &Client, room: &str, tells: InRoom) -> Result<()> {
    let mut events = client.events();
    let told = inside::perform(client, &tells, &context.out, inside::ask_here).await;
    told.map_err(|failure| untold(context, failure))?;
    let shell = Shell::new(client, room, &context.out).await?;
    shell.calls_were_told();
    context.out.remark(
        "-- this stays open and says when somebody has seen it. Ctrl-C ends it; the call goes on.",
    );
    while let Some(heard) = events.next().await {
        if let Heard::Told(told) = heard
            && *told.room == *shell.room
        {
            shell.tell_call()?;
            let over =
                |stage: &Stage| matches!(stage, Stage::WithYou { .. } | Stage::Closed { .. });
            if shell.view().help.call.as_ref().is_some_and(|line| over(&line.stage)) {
                break;
            }
        }
    }
    Ok(())
}
