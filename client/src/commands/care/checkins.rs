//! Which check-ins are due. Of the moderator's device alone.

use hearth_engine::course::{CheckIn, Exchange, check_ins};
use hearth_text::count::counted;
use serde_json::json;

use super::name_of;
use crate::{
    commands::{Result, shell::Shell},
    show::{self, presence},
};

impl Shell {
    /// Says at the end of a duty who is expected next, and which check-ins are due.
    pub(in crate::commands) async fn tell_after_duty(&self) -> Result<()> {
        let (view, now) = (self.view(), self.relay_now());
        let due: Vec<String> = self
            .check_ins()
            .await?
            .iter()
            .filter(|line| line.is_due())
            .map(|line| name_of(&view, &line.member))
            .collect();
        let due_words = match &due[..] {
            [] => "none".to_owned(),
            due => due.join(", "),
        };
        let object = json!({
            "room": self.room,
            "done": "duty",
            "on": false,
            "expected": presence::next_expected(&view, now)
                .map(|(name, at)| json!({"name": name, "at": show::rfc3339(at)})),
            "due": due,
        });
        let text = format!(
            "Your duty is over. {} Check-ins due: {due_words}.",
            presence::after_duty(&view, now)
        );
        Ok(self.out.say(&object, &text)?)
    }

    /// Says who from the team is here, beside what is printed.
    pub(in crate::commands) fn remark_presence(&self) {
        let (view, now) = (self.view(), self.relay_now());
        if view.policy.is_some() && !view.moderates() {
            let words = presence::presence(&view, now).words(&view, now);
            self.out.remark(&self.out.advice(&format!("-- {words}")));
        }
    }

    async fn check_ins(&self) -> Result<Vec<CheckIn>> {
        let view = self.view();
        let moderates =
            |member| view.policy.as_ref().is_some_and(|policy| policy.role(member).moderates());
        let mut exchanges = Vec::new();
        for leaf in view.roster.iter().filter(|leaf| !moderates(&leaf.member)) {
            let Some(lane) = view.lane_of(leaf.member) else { continue };
            let rows = self.rows_of_lane(lane.id).await?;
            exchanges.push(Exchange::of(&rows, leaf.member));
        }
        Ok(check_ins(&exchanges, &view.mine.cadence, self.relay_now()))
    }

    /// Lists the days since a moderator and each member last wrote to each other, longest first.
    pub(in crate::commands) async fn show_check_ins(&self) -> Result<()> {
        let view = self.view();
        let lines = self.check_ins().await?;
        if lines.is_empty() {
            self.out.say_none("There are no check-ins yet.")?;
        }
        for line in &lines {
            let name = name_of(&view, &line.member);
            let object = json!({
                "room": self.room,
                "checkin": name,
                "days": line.days,
                "planned_days": line.planned,
                "due": line.is_due(),
                "waits_for_you": line.waits_for_us,
            });
            let mut text = match line.days {
                None => format!("You and {name} have not written to each other yet."),
                Some(0) => format!("You and {name} wrote to each other within the last day."),
                Some(days) => format!(
                    "You and {name} last wrote to each other {} ago.",
                    counted(days, "day", "days")
                ),
            };
            if let Some(planned) = line.planned {
                text.push_str(&format!(" You planned {planned}."));
            }
            if line.waits_for_us {
                text.push_str(&format!(" {name} wrote last."));
            }
            let mark = if line.is_due() { "due  " } else { "     " };
            self.out.say(&object, &format!("{mark}{text}"))?;
        }
        if !lines.is_empty() && lines.iter().all(|line| line.planned.is_none()) {
            self.out.remark(&self.out.advice(
                "-- You have planned nothing: `hearth checkin ROOM every 7d` says what you mean to do. It stays on this device.",
            ));
        }
        Ok(())
    }
}
