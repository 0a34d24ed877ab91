//! The profile itself, receipts, completions and manual pages.

use std::{fs, io, path::Path};

use clap::CommandFactory as _;
use hearth_engine::{
    Room,
    profile::{Profile, ProfileState, Unlock},
    receipt::{RECEIPT_BYTES_MAX, Receipt},
};
use hearth_text::escape;
use serde_json::json;

use super::{Context, Result, interactive, passphrase_of, read_bytes, rooms::confirm};
use crate::{
    cli::{Cli, ProfileCommand},
    failure::{Failure, exit},
    show,
};

pub(super) fn run(context: &Context, command: ProfileCommand) -> Result<()> {
    match command {
        ProfileCommand::Show => {
            let home = context.home()?;
            let lock = match Profile::inspect(&home)? {
                ProfileState::New => "none yet",
                ProfileState::NeedsPassphrase => "passphrase",
                ProfileState::NeedsKeyFile(_) => "key file",
            };
            let object = json!({"home": home.display().to_string(), "lock": lock});
            Ok(context.out.say(&object, &format!("{} (lock: {lock})", home.display()))?)
        }
        ProfileCommand::Passphrase { new_passphrase_file } => {
            let open = context.open()?;
            let new = match new_passphrase_file {
                Some(file) => Some(Unlock::Passphrase(passphrase_of(&file)?)),
                None if interactive() => {
                    context.new_passphrase("New passphrase: ", || Ok(false))?
                }
                None => {
                    return Err(Failure::usage(
                        "no new passphrase was given",
                        "Give one with --new-passphrase-file.",
                    ));
                }
            };
            open.profile.change_unlock(new.as_ref())?;
            Ok(context.out.say(&json!({"done": "passphrase"}), "changed")?)
        }
        ProfileCommand::Check => {
            let open = context.open()?;
            open.store().verify()?;
            Ok(context.out.say(&json!({"ok": true}), "every record is sound")?)
        }
        ProfileCommand::Wipe { yes } => {
            let open = context.open()?;
            confirm(
                yes,
                "Erase everything of this profile? It leaves no room; leave first if you want to leave.",
            )?;
            open.profile.wipe()?;
            Ok(context.out.say(&json!({"wiped": true}), "erased")?)
        }
    }
}

/// Prints a room's receipt, or verifies one from a file without any network.
pub(super) fn receipt(context: &Context, room: &str, file: Option<&Path>) -> Result<()> {
    if let Some(file) = file {
        if room != "verify" {
            return Err(Failure::usage(
                "a file goes with `receipt verify`",
                "For example: hearth receipt verify FILE",
            ));
        }
        let text = read_bytes(file, RECEIPT_BYTES_MAX)?.and_then(|b| String::from_utf8(b).ok());
        let text = text.filter(|text| Receipt::is_meant(text)).ok_or_else(|| no_receipt(file))?;
        let receipt = Receipt::from_text(&text)?;
        receipt.verify()?;
        return print_verified(context, &receipt);
    }
    let open = context.open()?;
    let room = Room::open(open.store(), &open.crypto, room)?;
    let receipt = room.receipt()?;
    let text = receipt.to_text();
    let object = json!({
        "room": room.state().local_name,
        "agreement": receipt.acknowledgement.agreement.to_hex(),
        "version": receipt.acknowledgement.version,
        "receipt": text,
    });
    // It is copied from the screen as well, so that no line of it is broken.
    match context.out.is_json() {
        true => Ok(context.out.say(&object, "")?),
        false => Ok(context.out.line(text.trim_end())?),
    }
}

/// The file is something else: a scan, a letter, half a download.
fn no_receipt(file: &Path) -> Failure {
    Failure::new(
        exit::LIED,
        "verification_failed",
        format!("{} is not a receipt", file.display()),
        "A member writes their receipt with `hearth receipt ROOM > FILE`; ask for that file.",
    )
}

fn print_verified(context: &Context, receipt: &Receipt) -> Result<()> {
    let ack = &receipt.acknowledgement;
    let facilitator = receipt.countersigned.map(|c| c.facilitator);
    let object = json!({
        "verified": true,
        "room": receipt.room.to_hex(),
        "member": ack.member.to_hex(),
        "agreement": ack.agreement.to_hex(),
        "version": ack.version,
        "signed_at": show::rfc3339(ack.signed_at),
        "countersigned_by": facilitator.map(|f| f.to_hex()),
        "text": receipt.agreement.text,
    });
    let countersigned = match facilitator {
        Some(f) => format!("countersigned by facilitator key {f}"),
        None => "not countersigned".into(),
    };
    let text = format!(
        "The receipt verifies.\nkey {} acknowledged version {} (id {}) on {}\n{countersigned}\n\n{}",
        ack.member,
        ack.version,
        ack.agreement,
        show::date(ack.signed_at),
        escape::many_lines(receipt.agreement.text.trim_end(), "")
    );
    Ok(context.out.say(&object, &text)?)
}

/// Prints completions for a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> io::Result<()> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "hearth", &mut out);
    show::print(&out)
}

/// Writes a manual page for `hearth` and for each command.
pub(super) fn manual(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    Ok(clap_mangen::generate_to(Cli::command(), dir)?)
}
