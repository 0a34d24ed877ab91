//! Rooms of this profile: creating, listing, naming, erasing.

use std::io::IsTerminal as _;

use hearth_console::line;
use hearth_engine::{
    Room, agreement::AGREEMENT_BYTES_MAX, join::Founding, mls::Suite, policy::TITLE_CHARS_MAX,
};
use hearth_protocol::RoomNumbers;
use hearth_session::{client::Client, live, network::Network};
use hearth_text::{escape, name};
use serde_json::json;

use super::{Context, Open, Result, contacts, interactive, read_text, socket, template};
use crate::{
    cli::{RoomCommand, SuiteArg},
    failure::{Failure, exit},
    show::Output,
};

pub(super) async fn run(context: &Context, command: RoomCommand) -> Result<()> {
    match command {
        RoomCommand::Create { title, grant, agreement, name, language, suite, no_lanes } => {
            // What can be wrong without the grant comes first, so that nobody pastes it twice.
            let text = agreement_text(&agreement)?;
            contacts::remark_stale(&context.out, &text);
            let title = parse_title(&title)?;
            let name = name::parse_name(&name)?.into_string();
            let grant = context.grant(grant.flatten().as_deref())?;
            if language.is_empty() || language.len() > 35 {
                return Err(Failure::usage(
                    "the language tag is malformed",
                    "For example: en, fr-CA.",
                ));
            }
            let open = context.open_or_create()?;
            let local_name = free_local_name(&open, &title, None)?;
            let suite = match suite {
                SuiteArg::Xwing => Suite::XWing,
                SuiteArg::X25519 => Suite::X25519,
            };
            let founding = Founding {
                title,
                agreement: text,
                language,
                name,
                local_name,
                suite,
                numbers: RoomNumbers::default(),
                lanes: !no_lanes,
            };
            let room =
                live::open_room(&Network::machine(), open.store(), &open.crypto, &grant, founding)
                    .await?;
            let state = room.state();
            let object = json!({
                "room": state.local_name,
                "id": state.room.to_hex(),
                "title": state.title,
                "agreement": state.agreement.to_hex(),
                "key": room.me().to_hex(),
            });
            Ok(context.out.say(&object, &state.local_name)?)
        }
        RoomCommand::List => list(context).await,
        RoomCommand::Rename { room, name } => {
            let open = context.open()?;
            let wanted = slug(&name);
            if wanted != name {
                return Err(Failure::usage(
                    "a local name has small letters, digits and dashes",
                    format!("For example: {wanted}"),
                ));
            }
            let mut room = Room::open(open.store(), &open.crypto, &room)?;
            let taken = Room::all(open.store(), &open.crypto)?
                .iter()
                .any(|r| r.state().local_name == wanted && r.id() != room.id());
            if taken {
                return Err(Failure::usage("another room has that name", "Choose another."));
            }
            room.rename(wanted.clone())?;
            Ok(context.out.say(&json!({"room": wanted}), &wanted)?)
        }
        RoomCommand::Wipe { room, yes } => {
            let open = context.open()?;
            let room = Room::open(open.store(), &open.crypto, &room)?;
            let title = escape::one_line(&room.state().title);
            confirm(
                yes,
                &format!(
                    "Erase everything of \"{title}\" from this device? You stay a member; leave first if you want to leave."
                ),
            )?;
            room.wipe()?;
            Ok(context.out.say(&json!({"wiped": true}), "erased")?)
        }
    }
}

/// Asks before something that cannot be undone.
pub(super) fn confirm(yes: bool, question: &str) -> Result<()> {
    if yes {
        return Ok(());
    }
    if !interactive() {
        return Err(Failure::usage(
            format!("nothing was done, because nobody can be asked here: {question}"),
            "Repeat it with --yes, or where standard input and standard error are a terminal.",
        ));
    }
    let answer = line::ask(&format!("{question} Type yes: "))?;
    if answer.trim().eq_ignore_ascii_case("yes") {
        return Ok(());
    }
    Err(Failure::new(
        exit::FAILED,
        "not_confirmed",
        "nothing was done",
        "Type the word yes to go on.",
    ))
}

/// Asks before something that a slip of the finger must not do. A program whose words come over standard input meant it; a
/// person whose standard error goes elsewhere sees no question, and needs `--yes`.
pub(super) fn confirm_person(yes: bool, question: &str) -> Result<()> {
    confirm(yes || !std::io::stdin().is_terminal(), question)
}

async fn list(context: &Context) -> Result<()> {
    let client = match context.client() {
        Err(failure) if failure.code == "profile_in_use" => {
            return socket::run(context, socket::Wanted::Rooms, failure).await;
        }
        client => client?,
    };
    let done = list_of(&client, &context.out).await;
    client.close().await;
    done
}

/// Lists a client's rooms.
pub(super) async fn list_of(client: &Client, out: &Output) -> Result<()> {
    let rooms = client.rooms().await?;
    if rooms.is_empty() {
        out.say_none(&out.advice("This profile has no room yet. `hearth join` takes an invite."))?;
    }
    for room in rooms {
        let object = json!({
            "room": room.name,
            "id": room.id.to_hex(),
            "title": room.title,
            "name": room.me,
            "standing": room.standing.as_str(),
            "relay": room.address.to_string(),
            "seq": room.seq.0,
        });
        let text = format!(
            "{:24} {:10} {} (as {})",
            room.name,
            room.standing.as_str(),
            escape::one_line(&room.title),
            escape::one_line(&room.me)
        );
        out.say(&object, &text)?;
    }
    Ok(())
}

/// Reads an agreement's text and refuses what nobody could have meant.
pub(super) fn agreement_text(path: &std::path::Path) -> Result<String> {
    let text = read_text(path, AGREEMENT_BYTES_MAX as u64)?;
    let inert = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'));
    if text.trim().is_empty() || !inert {
        return Err(Failure::usage(
            "the agreement is empty or has control characters",
            "`hearth agreement template` prints one to start from.",
        ));
    }
    let left = template::unfilled(&text);
    if !left.is_empty() {
        return Err(Failure::new(
            exit::USAGE,
            "agreement_template",
            format!(
                "the agreement still has places of the template to fill in: {}",
                left.join("; ")
            ),
            format!(
                "Edit these lines of {}, then repeat the command; people sign what is there.",
                path.display()
            ),
        ));
    }
    contacts::read(&text, path)?;
    contacts::read_questions(&text, path)?;
    Ok(text)
}

fn parse_title(title: &str) -> Result<String> {
    let title = title.trim();
    let good = !title.is_empty()
        && title.chars().count() <= TITLE_CHARS_MAX
        && escape::one_line(title) == title;
    if !good {
        return Err(Failure::usage(
            format!("a title has 1 to {TITLE_CHARS_MAX} printable characters"),
            "Choose a title that says nothing about who is in the room.",
        ));
    }
    Ok(title.to_owned())
}

/// Returns a name for a room by its title that no other room has; one that is entered again keeps its own.
pub(super) fn free_local_name(
    open: &Open,
    title: &str,
    again: Option<hearth_protocol::RoomId>,
) -> Result<String> {
    let base = slug(title);
    let rooms = Room::all(open.store(), &open.crypto)?;
    if let Some(room) = rooms.iter().find(|room| Some(room.id()) == again) {
        return Ok(room.state().local_name.clone());
    }
    let taken = |name: &str| rooms.iter().any(|r| r.state().local_name == name);
    if !taken(&base) {
        return Ok(base);
    }
    let free = (2u32..).map(|n| format!("{base}-{n}")).find(|name| !taken(name));
    Ok(free.unwrap_or(base))
}

fn slug(title: &str) -> String {
    let mut slug = String::new();
    for c in title.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= 32 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "room".into() } else { slug.to_owned() }
}
