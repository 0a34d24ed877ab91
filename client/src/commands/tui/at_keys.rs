//! Whether a moderator who is on duty is at the keys.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use hearth_session::client::{Command, Consent, RoomView};
use hearth_tui::Msg;
use tokio::time::Instant;

use super::host::{CLOSING, Host};
use crate::commands::{chat::duty, outcome};

impl Host<'_> {
    /// Notes that the person is at the keys.
    pub(in crate::commands) fn pressed(&mut self) {
        self.keys.pressed(Instant::now());
    }

    fn is_on_duty(&self) -> bool {
        let now = self.relay_now();
        let mine = |view: Arc<RoomView>| {
            view.on_duty.iter().any(|duty| duty.member == view.me && duty.until > now)
        };
        self.view().is_ok_and(mine)
    }

    /// Returns when a moderator on duty is asked whether they are still here, or the time of a turn is over.
    pub(in crate::commands) fn asks_at(&self) -> Option<Instant> {
        [self.keys.next(self.is_on_duty()), self.turn_over].into_iter().flatten().min()
    }

    /// Asks a moderator who has pressed no key for long whether they are still here; then ends their duty.
    pub(in crate::commands) fn watch_duty(&mut self) -> Option<Msg> {
        match self.keys.due(Instant::now(), self.is_on_duty())? {
            duty::Due::Ask => Some(Msg::Remark(
                "You are on duty. Are you still here? Press a key; otherwise your duty ends in 5 minutes.".into(),
            )),
            duty::Due::End => {
                let over = Command::Duty { millis: 0 };
                self.jobs.push(self.place().quietly(over).boxed_local());
                Some(Msg::Remark("Your duty has ended, because nobody pressed a key.".into()))
            }
        }
    }

    /// Tells those who moderate once that the time of a turn is over. Nothing is cut off.
    pub(super) fn watch_turn(&mut self, view: &RoomView) -> Option<Msg> {
        self.turn_over = None;
        let round = view.floor.round.as_ref().filter(|_| view.moderates())?;
        let limit = (round.seconds > 0).then(|| Duration::from_secs(round.seconds))?;
        self.turn_over = self.turn.look((round.seq, round.turn), limit, Instant::now());
        let holder = view.holder().filter(|_| self.turn_over.is_none())?;
        let name = outcome::name_of(view, &holder);
        let told = format!(
            "The time of {name}'s turn is over. Nothing is cut off; [n next] goes on, when you want to."
        );
        self.turn.tells().then_some(Msg::Remark(told))
    }

    /// Ends the duty of a moderator whose screen hides by itself: nobody sees the room there any more.
    pub(in crate::commands) async fn end_duty(&self) {
        if self.is_on_duty() {
            let over = Command::Duty { millis: 0 };
            let asked = self.client.ask(&self.here.room, over, Consent::Unasked);
            // It ends by itself where the relay does not answer.
            let _ = tokio::time::timeout(CLOSING, asked).await;
        }
    }
}
