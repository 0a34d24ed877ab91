//! Places that change hands or end.

use std::path::PathBuf;

use clap::Args;
use hearth_engine::policy::{self, Act, Closing, Device, PROPOSAL_MILLIS, Second, Weighty};
use hearth_session::{
    client::{Command, Outcome},
    live::now,
};
use hearth_text::{count::counted, escape};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand, Switch,
    row::{Entry, May, Topic, row},
    times::{parse_day, parse_millis, parse_morning},
};
use crate::{
    commands::{
        Context, Result,
        outcome::{self, Told},
        shell::Shell,
    },
    show,
};

topic! { Places: NewDevice, Farewell, Remember, TwoPerson, Proposals, Confirm, WithdrawProposal, CloseGroup, ExportMine }

/// Take a member's lost or stolen device out, and make a link by which they come back on a new one. Speak with them first.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct NewDevice {
    /// Name or id.
    member: String,
    /// How long the link is valid.
    #[arg(long, default_value = "7d", value_name = "TIME")]
    expires: String,
    /// Keep the place no longer: the member does not come back on a new device.
    #[arg(long)]
    give_up: bool,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for NewDevice {
    const ROW: Entry =
        row(Topic::Places, "new-device", May::Moderators, "let somebody in again on a new device")
            .takes("NAME [--expires TIME] [--give-up]", "Ben")
            .enforced("E; R")
            .answers();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let lost = shell.device(&self.member).await?;
        if self.give_up {
            return Ok(Command::Act(Act::Device(Device::GivenUp { lost })).into());
        }
        Ok(Command::NewDevice { lost, millis: parse_millis(&self.expires)? }.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        match outcome {
            Outcome::NewDevice { name, link, expires } => {
                let (link, shown) = (link.to_link(), escape::one_line(&name));
                let object = json!({
                    "done": "new-device", "name": name, "link": link,
                    "expires": show::rfc3339(expires),
                });
                told.say(&object, &link)?;
                let text = format!(
                    "Give this link to {shown} alone. {shown}'s old device is out, and the room reads that {shown} has not left. When {shown} knocks, `hearth knocks ROOM` shows digits: compare them with {shown} in person or by voice, then `hearth admit ROOM {}`.",
                    crate::advice::shell_word(&name)
                );
                told.out.remark(&told.out.advice(&text));
                Ok(())
            }
            Outcome::Acted { act: Act::Device(Device::GivenUp { .. }), seq, .. } => {
                let object = json!({"done": "device_given_up", "seq": seq.0});
                let name = escape::one_line(&self.member);
                told.say(&object, &format!("The place of {name} is kept no longer."))
            }
            outcome => told.outcome(outcome),
        }
    }
}

/// End the group on a day, with at least 14 days of notice. Seven days later relay and members erase the room.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct CloseGroup {
    /// The day, the day and time, or a length of time from now (2026-12-20, "2026-12-20 21:00", 21d).
    #[arg(required_unless_present = "call_off", value_name = "DATE")]
    date: Option<String>,
    /// Words to the room: where to turn from then on.
    words: Option<String>,
    /// End it sooner than after 14 days, for a reason that the room reads.
    #[arg(long, value_name = "REASON")]
    sooner: Option<String>,
    /// The group goes on.
    #[arg(long, conflicts_with_all = ["date", "sooner"])]
    call_off: bool,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for CloseGroup {
    const ROW: Entry =
        row(Topic::Places, "close-group", May::Facilitators, "end the group on a day")
            .takes(
                "DATE [WORDS] [--sooner REASON] | --call-off",
                "2026-12-20 The programme's phone",
            )
            .words(1)
            .enforced("E record; R posts and deletion; C erasing");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let Some(date) = self.date.as_deref().filter(|_| !self.call_off) else {
            return Ok(Command::Act(Act::CloseGroup(Closing::CalledOff)).into());
        };
        let ends = parse_day(date, shell.view().relay_now(now()))?;
        let sooner = self.sooner.clone().unwrap_or_default();
        let words = self.words.clone().unwrap_or_default();
        Ok(Command::Act(Act::CloseGroup(Closing::At { ends, sooner, words })).into())
    }
}

/// Write my own words of this room, and of my check-in, into a file.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct ExportMine {
    /// A new file, which only this account can read.
    file: PathBuf,
}

impl RoomCommand for ExportMine {
    const ROW: Entry =
        row(Topic::Places, "export-mine", May::Members, "keep your own words in a file")
            .takes("FILE", "my-words.txt")
            .answers()
            .offline();

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        // Another process may do it, in a folder of its own.
        self.file = std::path::absolute(&self.file)?;
        Ok(())
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let words = shell.own_words().await?;
        let text: String = words.iter().map(|(at, text)| format!("{at}\n{text}\n\n")).collect();
        outcome::write_new(&self.file, &text)?;
        let count = counted(words.len(), "message of yours", "messages of yours");
        let object = json!({"exported": words.len()});
        shell.out.say(&object, &format!("wrote {count} to {}", self.file.display()))?;
        Ok(Asked::Nothing)
    }
}

/// Make a removal take two who moderate: one proposes, another confirms within a day. Off takes two as well.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct TwoPerson {
    /// On or off.
    #[arg(ignore_case = true)]
    switch: Switch,
}

impl RoomCommand for TwoPerson {
    const ROW: Entry =
        row(Topic::Places, "two-person", May::Moderators, "let a removal take two who moderate")
            .takes("on|off", "on")
            .enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(match self.switch {
            Switch::On => Command::Act(Act::Second(Second::On)).into(),
            Switch::Off => Command::Propose(Weighty::Off).into(),
        })
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        told.proposed(outcome)
    }
}

/// List what moderators propose, and who can confirm it.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Proposals {}

impl RoomCommand for Proposals {
    const ROW: Entry =
        row(Topic::Places, "proposals", May::Moderators, "list what waits for a second moderator")
            .enforced("E")
            .answers();

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Proposals.into())
    }

    fn tell(&self, told: &Told<'_>, _: &Command, outcome: Outcome) -> Result<()> {
        let Outcome::Proposals(proposals) = outcome else { return told.outcome(outcome) };
        if proposals.is_empty() {
            told.out.say_none("Nothing waits for a second moderator.")?;
        }
        let name = |member| {
            let leaf = told.view.roster.iter().find(|leaf| leaf.member == member);
            leaf.map_or_else(|| member.short(), |leaf| leaf.name.clone())
        };
        for (proposal, proposed) in proposals {
            let (number, by) = (proposal.number, name(proposal.by));
            let until = proposal.at.plus(PROPOSAL_MILLIS);
            let about = proposed.as_ref().and_then(|proposed| proposed.member()).map(name);
            let what = match &proposed {
                Some(proposed) => {
                    let about = escape::one_line(about.as_deref().unwrap_or_default());
                    let time_out = proposed.time_out.as_ref();
                    let until = time_out.map(|time_out| time_out.until);
                    let mut what = show::weighty_text(&proposed.what, &about, until);
                    let removal = proposed.removal.as_ref();
                    if let Some(removing) = removal {
                        what.push_str(&format!("; reason: {}", removing.category.as_str()));
                    }
                    let words = time_out.map(|time_out| &time_out.words);
                    let words = words.or(removal.map(|removing| &removing.words));
                    if let Some(words) = words.filter(|words| !words.is_empty()) {
                        what.push_str(&format!("; words to {about}: {}", escape::one_line(words)));
                    }
                    what
                }
                None => "something that this device was not told of".to_owned(),
            };
            let object = json!({
                "proposal": number, "by": by, "about": about, "what": what,
                "until": show::rfc3339(until),
            });
            let shown = escape::one_line(&by);
            let text = format!("{number:5} {shown} proposes {what}; until {}", show::clock(until));
            told.say(&object, &text)?;
        }
        Ok(())
    }
}

/// Confirm what another moderator proposed: it is done at once.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Confirm {
    /// Its number in `proposals`.
    number: u64,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Confirm {
    const ROW: Entry =
        row(Topic::Places, "confirm", May::Moderators, "confirm what another moderator proposed")
            .takes("N", "12")
            .enforced("E; R");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Confirm(self.number).into())
    }
}

/// Take a proposal back. Facilitators take back those of others, too.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct WithdrawProposal {
    /// Its number in `proposals`.
    number: u64,
}

impl RoomCommand for WithdrawProposal {
    const ROW: Entry =
        row(Topic::Places, "withdraw-proposal", May::Moderators, "take a proposal back")
            .takes("N", "12")
            .enforced("E");

    async fn resolve(&self, _: &Shell) -> Result<Asked> {
        Ok(Command::Act(Act::Second(Second::Withdraw { proposal: self.number })).into())
    }
}

/// Plan a goodbye: the room reads its day, and the place ends when a moderator says so, with --said.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Farewell {
    /// Name or id.
    member: String,
    /// The day, the day and time, or a length of time from now (2026-12-20, "2026-12-20 20:00", 7d).
    #[arg(required_unless_present_any = ["said", "call_off"], value_name = "DATE")]
    date: Option<String>,
    /// Words to the room.
    words: Option<String>,
    /// The goodbye was said: end the place. From the planned day on.
    #[arg(long, conflicts_with_all = ["date", "call_off"])]
    said: bool,
    /// The member stays.
    #[arg(long, conflicts_with = "date")]
    call_off: bool,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Farewell {
    const ROW: Entry =
        row(Topic::Places, "farewell", May::Moderators, "plan a goodbye to somebody, and say it")
            .takes("NAME DATE [WORDS] | NAME --said | NAME --call-off", "Ben 2026-12-20")
            .words(2)
            .enforced("E; R");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        let step = match (&self.date, self.said) {
            (_, true) => policy::Farewell::Said { member },
            (Some(date), _) if !self.call_off => {
                let on = parse_morning(date, shell.view().relay_now(now()))?;
                let words = self.words.clone().unwrap_or_default();
                policy::Farewell::Announced { member, on, words }
            }
            _ => policy::Farewell::CalledOff { member },
        };
        Ok(Command::Act(Act::Farewell(step)).into())
    }
}

/// Close the place of a member who died. The room reads your words, and nothing asks for or reminds of them again.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Remember {
    /// Name or id.
    member: String,
    /// Words to the room.
    words: String,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Remember {
    const ROW: Entry =
        row(Topic::Places, "remember", May::Moderators, "close the place of a member who died")
            .takes("NAME WORDS", "Dee Dee has died. You have all heard it from me")
            .words(1)
            .enforced("E; R");

    fn is_agreed(&self) -> bool {
        self.yes
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let member = shell.member(&self.member).await?.member;
        Ok(Command::Act(Act::Remember { member, words: self.words.clone() }).into())
    }
}
