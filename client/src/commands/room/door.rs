//! Letting people in: invites and knocks.

use clap::Args;
use hearth_engine::policy::Act;
use hearth_protocol::invite;
use hearth_session::client::{Command, Outcome};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoleArg, RoomCommand, Switch,
    row::{Entry, May, Topic, row},
    times::parse_millis,
};
use crate::{
    cli::INVITE_USES_MAX,
    commands::{
        Context, Result, Wanted,
        outcome::{self, Told},
        shell::Shell,
    },
    show::{self, Output},
    text::{letter, link, qr},
};

topic! { Door: Invite, Revoke, Knocks, Admit, Decline, Lock }

/// Make an invite link.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Invite {
    /// How many people can knock with it.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=INVITE_USES_MAX))]
    uses: u32,
    /// How long it is valid.
    #[arg(long, default_value = "7d", value_name = "TIME")]
    expires: String,
    /// The role that an admitted holder gets.
    #[arg(long, default_value = "member", ignore_case = true)]
    role: RoleArg,
    /// Also draw it as a QR code.
    #[arg(long)]
    qr: bool,
    /// Print a text to forward instead: what it is, how to install, what to paste, whom to phone.
    #[arg(long)]
    message: bool,
}

impl RoomCommand for Invite {
    const ROW: Entry = row(Topic::Door, "invite", May::Moderators, "make an invite link")
        .takes(
            "[--uses N] [--expires TIME] [--role ROLE] [--qr] [--message]",
            "--uses 3 --expires 2d",
        )
        .enforced("E pinned key; R uses and expiry")
        .answers();

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Invited { link, expires } = outcome else { return told.outcome(outcome) };
        let text = link.to_link();
        let mut object = json!({
            "link": text, "uses": self.uses, "expires": show::rfc3339(expires),
            "agreement": link.agreement.to_hex(),
        });
        if self.message {
            let message = letter::invite(&text, self.uses, expires, &told.view.help.contacts);
            object["message"] = json!(message);
            told.say(&object, &message)?;
            told.out.remark(
                "Send it on a way that nobody else reads: who has the link can ask to come in.",
            );
        } else {
            told.say(&object, &text)?;
        }
        if self.qr && !told.out.is_json() { draw_code(told.out, &text) } else { Ok(()) }
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let millis = parse_millis(&self.expires)?;
        Ok(Command::Invite { uses: self.uses, millis, role: self.role.into() }.into())
    }
}

/// Rows of a terminal that does not tell them: as many as the larger drawing needs.
const ROWS_ANY: usize = 1000;

fn draw_code(out: &Output, link: &str) -> Result<()> {
    // One row is the prompt's.
    let rows = out.terminal_rows().map_or(ROWS_ANY, |rows| rows.saturating_sub(1));
    match qr::fit(link, qr::Window { columns: out.terminal_columns(), rows }) {
        Ok((drawn, drawing)) => {
            out.line(drawn.trim_end_matches('\n'))?;
            if drawing == qr::Drawing::Sextants {
                out.remark("If the code shows boxes or question marks, your terminal lacks its small signs: make the window higher, and it is drawn with larger ones.");
            }
            Ok(())
        }
        Err(error) => {
            out.remark(&format!("The QR code is left out: {error}. The link above says the same."));
            Ok(())
        }
    }
}

/// Void an invite.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Revoke {
    /// The invite's link; asked for unseen if absent, from standard input if `-`.
    link: Option<String>,
}

impl RoomCommand for Revoke {
    const ROW: Entry = row(Topic::Door, "revoke", May::Moderators, "void an invite link")
        .takes("LINK", "hearth://...")
        .enforced("R")
        .answers();

    fn complete(&mut self, room: &str, context: &Context) -> Result<()> {
        let on_input = format!("revoke {room}");
        let link = context.link(self.link.as_deref(), Wanted::Invite(&on_input))?;
        self.link = Some(link.to_string());
        Ok(())
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        let link = link::find(self.link.as_deref().unwrap_or_default(), invite::Invite::parse)?;
        Ok(Command::Revoke(invite::invite_id(&link.token())).into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Done = outcome else { return told.outcome(outcome) };
        told.say(&json!({"done": "revoke"}), "The invite is void.")
    }
}

/// List people who ask to be admitted, and verify each acknowledgement.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Knocks {}

impl RoomCommand for Knocks {
    const ROW: Entry =
        row(Topic::Door, "knocks", May::Moderators, "list people who ask to come in")
            .enforced("E")
            .answers();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Knocks.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Knocks(knockers) = outcome else { return told.outcome(outcome) };
        outcome::knocks(told.out, told.view, &knockers)
    }
}

/// Admit a person who has acknowledged.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Admit {
    /// Name or id from `knocks`.
    member: String,
}

impl RoomCommand for Admit {
    const ROW: Entry = row(Topic::Door, "admit", May::Moderators, "let somebody in")
        .takes("NAME", "Ben")
        .enforced("E; R");

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        Ok(Command::Admit(match shell.knocker(&self.member).await {
            // They may be in already: the answer of an earlier command was lost.
            Err(failure) if failure.code == "no_such_knock" => {
                shell.member(&self.member).await.map_err(|_| failure)?.member
            }
            knocker => knocker?.pending.member,
        })
        .into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::Admitted { name, member, seq } => {
                let object = json!({
                    "done": "admit", "name": name, "key": member.to_hex(), "seq": seq.0,
                });
                told.say(&object, &format!("{} is in the room.", escape::one_line(&name)))
            }
            Outcome::InAlready { leaf } => {
                let object = json!({
                    "done": "admit", "already": true, "name": leaf.name, "key": leaf.member.to_hex(),
                });
                let text = format!("{} is in the room already.", escape::one_line(&leaf.name));
                told.say(&object, &text)
            }
            outcome => told.outcome(outcome),
        }
    }
}

/// Decline a knock; only the knocker learns of it.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Decline {
    /// Name or id from `knocks`.
    member: String,
    /// Words to the knocker.
    note: Option<String>,
}

impl RoomCommand for Decline {
    const ROW: Entry = row(
        Topic::Door,
        "decline",
        May::Moderators,
        "decline a knock; only the knocker learns of it",
    )
    .takes("NAME [WORDS]", "Ben Please call me first")
    .words(1)
    .enforced("R")
    .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.knocker(&self.member).await?.pending.member;
        Ok(Command::Decline { member, words: self.note.clone().unwrap_or_default() }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Declined { name, unsaid } = outcome else { return told.outcome(outcome) };
        let without = if unsaid {
            " without your words (the knock does not open, so nothing can be sealed to it)"
        } else {
            ""
        };
        let (whom, learns, object) = match &name {
            Some(name) => {
                let shown = escape::one_line(name);
                (shown.clone(), shown, json!({"done": "decline", "name": name}))
            }
            None => ("the knock".into(), "the knocker".into(), json!({"done": "decline"})),
        };
        told.say(&object, &format!("You declined {whom}{without}; only {learns} learns of it."))
    }
}

/// Admit nobody while it is on.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Lock {
    /// On or off.
    #[arg(ignore_case = true)]
    switch: Switch,
}

impl RoomCommand for Lock {
    const ROW: Entry =
        row(Topic::Door, "lock", May::Moderators, "let nobody in, or let people in again")
            .takes("on|off", "on")
            .enforced("E; R");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Lock(self.switch == Switch::On)).into())
    }
}
