//! Sharing without a name: what a member asks for, and what those who moderate make of it.

use clap::Args;
use hearth_engine::{
    private::{Private, Seen, SeenState},
    share::{Share, Shown},
};
use hearth_protocol::{MemberKey, RoomId};
use hearth_session::client::{Command, LaneCommand, Outcome};
use hearth_text::escape;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Asked, RoomCommand,
    private::lane_of,
    row::{Entry, May, Topic, row},
    talking::read_last,
};
use crate::{
    commands::{
        Context, Result,
        outcome::Told,
        shell::{Shell, names_of, unexpected},
    },
    failure::{Failure, exit},
    show,
};

topic! { Sharing: Anon, TakeBack, AnonQueue, AnonRelease, AnonReturn }

/// Ask the facilitators to share words with the group, without your name.
/// They know that the words are yours. The group sees the words, and no name; some may guess from how you write. The relay may guess
/// from times and sizes. Nothing proves that a member wrote them.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct Anon {
    /// The words.
    #[arg(num_args = 1.., required = true)]
    words: Vec<String>,
    /// Do not ask first. hearth never asks where standard input is not a terminal.
    #[arg(long)]
    yes: bool,
}

impl RoomCommand for Anon {
    const ROW: Entry =
        row(Topic::Sharing, "anon", May::Members, "ask to share words without your name")
            .takes("WORDS", "I have started to drink again")
            .words(0)
            .enforced("E; F, CF know")
            .answers()
            .offline();

    fn is_agreed(&self) -> bool {
        self.yes
    }

    fn complete(&mut self, _: &str, _: &Context) -> Result<()> {
        read_last(&mut self.words)
    }

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        shell.news_of_lanes().await?;
        let lane = lane_of(shell, Some(shell.view().me))?;
        let what = LaneCommand::Private(Private::Anon(self.words.join(" ")));
        Ok(Command::Lane { lane, what }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        told.to_moderators(asked, outcome, |readers| {
            format!(
                "Sent to {readers}. The group has not seen it. `hearth take-back ROOM` takes it back"
            )
        })
    }
}

/// Take back the last words that you asked to share without your name, also after they showed.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct TakeBack {}

impl RoomCommand for TakeBack {
    const ROW: Entry = row(Topic::Sharing, "take-back", May::Members, "take such words back")
        .enforced("E; C")
        .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let me = shell.view().me;
        let mine = shell.shares().await?.into_iter().rev().find(|(share, _)| share.author == me);
        let Some((share, _)) = mine else {
            return Err(Failure::new(
                exit::USAGE,
                "no_share",
                "there is nothing of yours to take back",
                "Nothing was done. `hearth checkin ROOM` shows what you wrote there.",
            ));
        };
        let what = LaneCommand::Private(Private::Recall(share.message));
        Ok(Command::Lane { lane: share.lane, what }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        told.to_moderators(asked, outcome, |readers| {
            format!(
                "Taken back. {readers} can read that you did. If it shows already, it is taken down when the device of the one who shared it is here"
            )
        })
    }
}

/// List the words that members ask to share without their names.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct AnonQueue {}

impl RoomCommand for AnonQueue {
    const ROW: Entry =
        row(Topic::Sharing, "anon-queue", May::Moderators, "list the shares that wait")
            .enforced("E")
            .looks();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let shares = shell.shares().await?;
        if shares.is_empty() {
            shell.out.say_none("No share waits.")?;
        }
        for (at, (share, shown)) in shares.iter().enumerate() {
            let number = at.saturating_add(1);
            let object = json!({
                "room": shell.room,
                "share": number,
                "id": share.message.to_hex(),
                "from": share.name,
                "from_key": share.author.to_hex(),
                "at": show::rfc3339(share.at),
                "text": share.text,
                "state": state(shown),
            });
            let name = escape::one_line(&share.name);
            let words = escape::many_lines(&share.text, "      | ");
            let how = shell.out.advice(&words_of(shell, shown, number));
            let time = show::clock(share.at);
            shell.out.say(&object, &format!("{number}. {time} {name}: {words}\n      {how}"))?;
        }
        Ok(Asked::Nothing)
    }
}

const fn state(shown: &Shown) -> &'static str {
    match shown {
        Shown::Waits => "waits",
        Shown::Planned(_) => "planned",
        Shown::TooFew => "too_few",
        Shown::Here => "shown",
        Shown::Elsewhere(_) => "released",
    }
}

fn words_of(shell: &Shell, shown: &Shown, number: usize) -> String {
    match shown {
        Shown::Waits => format!(
            "waits for an answer: `hearth anon-release ROOM {number}` or `hearth anon-return ROOM {number} WORDS`"
        ),
        Shown::Planned(at) => format!("shows not before {}, from this device", show::clock(*at)),
        Shown::TooFew => format!(
            "not shown: too few were here all the time, so everybody could guess. `hearth anon-return ROOM {number} WORDS` tells its author"
        ),
        Shown::Here => "shown from this device".into(),
        Shown::Elsewhere(by) => format!("released by {}, whose device shows it", name(shell, by)),
    }
}

fn name(shell: &Shell, member: &MemberKey) -> String {
    let view = shell.view();
    let leaf = view.roster.iter().find(|leaf| leaf.member == *member);
    leaf.map_or_else(|| member.short(), |leaf| escape::one_line(&leaf.name))
}

/// Share a member's words in your name, after 2 to 30 minutes, without theirs.
/// Answer talk of suicide privately first. The words cannot be changed. They show from this device: while it runs, or when it runs next.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct AnonRelease {
    /// Its number in `anon-queue`, or its id.
    share: String,
}

impl RoomCommand for AnonRelease {
    const ROW: Entry =
        row(Topic::Sharing, "anon-release", May::Moderators, "share a member's words in your name")
            .takes("N", "1")
            .enforced("E hidden from peers")
            .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let share = shell.share(&self.share).await?;
        let what = LaneCommand::Release(share.message);
        Ok(Command::Lane { lane: share.lane, what }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let author = told.owner(asked);
        told.to_moderators(asked, outcome, |_| {
            format!(
                "{author} reads that you said yes. It shows in the next half hour, without a name, while hearth runs here or when it runs next"
            )
        })
    }
}

/// Give words back to the member who asked to share them, with yours.
#[derive(Args, Clone, Debug, Serialize, Deserialize)]
pub struct AnonReturn {
    /// Its number in `anon-queue`, or its id.
    share: String,
    /// Words to the member.
    #[arg(num_args = 1.., required = true)]
    words: Vec<String>,
}

impl RoomCommand for AnonReturn {
    const ROW: Entry =
        row(Topic::Sharing, "anon-return", May::Moderators, "give words back unshared")
            .takes("N WORDS", "1 I would rather talk about it with you first")
            .words(1)
            .enforced("E")
            .answers();

    async fn resolve(&self, shell: &Shell) -> Result<Asked> {
        let share = shell.share(&self.share).await?;
        let words = self.words.join(" ");
        let seen = Seen { message: share.message, state: SeenState::Closed, words };
        let what = LaneCommand::Private(Private::Seen(seen));
        Ok(Command::Lane { lane: share.lane, what }.into())
    }

    fn tell(&self, told: &Told<'_>, asked: &Command, outcome: Outcome) -> Result<()> {
        let author = told.owner(asked);
        told.to_moderators(asked, outcome, |_| format!("{author} reads it. It is not shared"))
    }
}

impl Shell {
    async fn shares(&self) -> Result<Vec<(Share, Shown)>> {
        self.news_of_lanes().await?;
        match self.ask(Command::Shares).await? {
            Outcome::Shares(shares) => Ok(shares),
            _ => Err(unexpected()),
        }
    }

    /// Finds a share by its number in the list, or by its id.
    async fn share(&self, wanted: &str) -> Result<Share> {
        let wanted = wanted.trim_matches(['[', ']', '#', '.']);
        let shares = self.shares().await?;
        let number = wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let by_number = number.and_then(|number| shares.get(number));
        let lower = wanted.to_lowercase();
        let fits = |share: &Share| {
            lower.len() >= 4
                && (share.message.short().starts_with(&lower)
                    || share.message.to_hex().starts_with(&lower))
        };
        let found = by_number.or_else(|| shares.iter().find(|(share, _)| fits(share)));
        let found = found.map(|(share, _)| share.clone());
        found.ok_or_else(|| {
            Failure::new(
                exit::USAGE,
                "no_share",
                format!("no share {:?} waits", escape::one_line(wanted)),
                "Nothing was done. `hearth anon-queue ROOM` lists them.",
            )
        })
    }
}

impl Told<'_> {
    /// Prints what became of something that those who moderate read, in words of its own.
    pub(super) fn to_moderators(
        &self,
        asked: &Command,
        outcome: Outcome,
        words: impl FnOnce(&str) -> String,
    ) -> Result<()> {
        let Outcome::Sent { id, place } = outcome else { return self.outcome(outcome) };
        let Command::Lane { lane, .. } = asked else { return Ok(()) };
        let readers = self.readers(*lane);
        let object = json!({
            "room": *self.view.room, "id": id.to_hex(), "seq": place.0, "sent": true, "to": readers,
        });
        let names = names_of(&readers);
        let text = self.out.advice(&words(&names));
        self.say(&object, &format!("{text} [{}]", id.short()))
    }

    /// Returns the names of those who read a lane, this member apart.
    fn readers(&self, lane: RoomId) -> Vec<String> {
        let lane = self.view.lanes.iter().find(|other| other.id == lane);
        lane.map(|lane| lane.readers.clone()).unwrap_or_default()
    }

    /// Returns the name of the member whose lane a command is about.
    pub(super) fn owner(&self, asked: &Command) -> String {
        let Command::Lane { lane, .. } = asked else { return String::new() };
        let lane = self.view.lanes.iter().find(|other| other.id == *lane);
        let owner = lane.and_then(|lane| lane.owner);
        let leaf = self.view.roster.iter().find(|leaf| Some(leaf.member) == owner);
        leaf.map(|leaf| escape::one_line(&leaf.name)).unwrap_or_default()
    }
}
