//! Who from the team is here, as a chat tells it: to a member, to a moderator on duty, and to who holds a round.

use std::time::Duration;

use hearth_engine::state::Standing;
use hearth_protocol::Millis;
use hearth_session::{
    client::{Command, Consent, Link},
    live::now,
};
use hearth_text::escape;
use tokio::time::Instant;

use super::{
    super::{Result, outcome},
    Chat, LOOK_AGAIN, duty,
};
use crate::{
    failure::Failure,
    show::presence::{Presence, changes_at, presence},
};

/// Shortest wait before what is said of the team is looked at again, so that a clock that stands still makes no loop.
const LOOK_SOONEST: Duration = Duration::from_millis(20);

impl Chat {
    /// Whether this member is on duty.
    pub(super) fn is_on_duty(&self) -> bool {
        let view = self.shell.view();
        let now = view.relay_now(now());
        view.on_duty.iter().any(|duty| duty.member == view.me && duty.until > now)
    }

    /// Asks a moderator who has pressed no key for long whether they are still here; then ends their duty.
    pub(super) async fn watch_duty(&mut self) -> Result<()> {
        match self.keys.due(Instant::now(), self.is_on_duty()) {
            Some(duty::Due::Ask) => self.out().remark(
                "-- you are on duty. Are you still here? Press a key; otherwise your duty ends in 5 minutes.",
            ),
            Some(duty::Due::End) => self.end_duty().await?,
            None => {}
        }
        Ok(())
    }

    /// Tells those who moderate once that the time of a turn is over; returns when it will be.
    pub(super) fn watch_turn(&mut self) -> Option<Instant> {
        let view = self.shell.view();
        let round = view.floor.round.as_ref().filter(|_| view.moderates())?;
        let limit = (round.seconds > 0).then(|| Duration::from_secs(round.seconds));
        let over = self.turn.look((round.seq, round.turn), limit?, Instant::now());
        if over.is_none()
            && self.turn.tells()
            && let Some(holder) = view.holder()
        {
            let name = outcome::name_of(&view, &holder);
            let word = crate::advice::shell_word(&name);
            self.out().remark(&self.out().advice(&format!(
                "-- the time of {name}'s turn is over. Nothing is cut off: `hearth next ROOM {word}` goes on, when you want to."
            )));
        }
        over
    }

    /// Ends this moderator's duty, because nobody is at the keys.
    pub(super) async fn end_duty(&mut self) -> Result<()> {
        match self
            .shell
            .client
            .ask(&self.shell.room, Command::Duty { millis: 0 }, Consent::Unasked)
            .await
        {
            Ok(_) => {
                self.out().remark("-- your duty has ended, because nobody pressed a key");
                self.show().await
            }
            Err(error) => {
                self.tell(&Failure::from(error));
                Ok(())
            }
        }
    }

    /// Says who from the team is here, where that changed.
    pub(super) async fn tell_presence(&mut self) -> Result<()> {
        let view = self.shell.view();
        if view.standing != Standing::Member || matches!(view.link, Link::Connecting) {
            return Ok(());
        }
        let now = view.relay_now(now());
        let is = presence(&view, now);
        let me = |(name, _): &(String, Millis)| *name == escape::one_line(&view.name);
        let mine = |presence: &Option<Presence>| matches!(presence, Some(Presence::Here(here)) if here.iter().any(me));
        let was = self.told_presence.replace(is.clone());
        let is = Some(is);
        if view.moderates() && mine(&was) && !mine(&is) {
            self.shell.tell_after_duty().await?;
        }
        // Who comes is told by a line of the room.
        let came = matches!(is, Some(Presence::Here(_))) && was.is_some();
        if was != is && !came {
            self.out().remark(&self.out().advice(&format!("-- {}", self.presence_words())));
        }
        Ok(())
    }

    /// Says who from the team is here: to a member with what they can do, to those who moderate with how they say that they are.
    pub(super) fn presence_words(&self) -> String {
        let view = self.shell.view();
        let now = view.relay_now(now());
        match presence(&view, now) {
            is if !view.moderates() => is.words(&view, now),
            here @ Presence::Here(_) => here.line(now),
            is => format!("{} `hearth duty ROOM on 2h` says that you are.", is.line(now)),
        }
    }

    /// Returns when what is said of the team changes by itself.
    pub(super) fn presence_at(&self) -> Option<Instant> {
        let view = self.shell.view();
        let now = view.relay_now(now());
        let at = changes_at(&view, now)?;
        let left = Duration::from_millis(at.0.saturating_sub(now.0));
        Some(Instant::now() + left.clamp(LOOK_SOONEST, LOOK_AGAIN))
    }
}
