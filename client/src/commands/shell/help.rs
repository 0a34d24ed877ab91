//! Calls for help in a line shell: how far the own one is, and those that ring.

use std::{cell::RefCell, collections::HashSet, time::Duration};

use hearth_engine::help::{Line, Reach, Ringing, Stage};
use hearth_protocol::MessageId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Result, Shell};
use crate::show::help;

/// What a shell has told of calls for help.
pub(in crate::commands) struct ToldHelp {
    begun: Instant,
    /// The own call as it was told last.
    line: RefCell<Option<Line>>,
    ringing: RefCell<Ringing>,
    /// Calls of others that were told.
    calls: RefCell<HashSet<MessageId>>,
}

impl ToldHelp {
    pub(super) fn new() -> Self {
        let (line, ringing, calls) = Default::default();
        Self { begun: Instant::now(), line, ringing, calls }
    }
}

impl Shell {
    /// Tells how far the own call is, where that changed; returns whether it did.
    pub(in crate::commands) fn tell_call(&self) -> Result<bool> {
        let view = self.view();
        let line = view.help.call.clone();
        let before = self.help.line.replace(line.clone());
        let Some(line) = line else { return Ok(false) };
        let over = |line: &Line| matches!(line.stage, Stage::Closed { .. });
        if before.as_ref() == Some(&line) || (before.is_none() && over(&line)) {
            return Ok(false);
        }
        self.print_call(&line)?;
        Ok(true)
    }

    /// Prints how far the own call is.
    fn print_call(&self, line: &Line) -> Result<()> {
        let view = self.view();
        let text = help::call(line, &view.help);
        let mut object = help::to_json(line);
        if let Value::Object(fields) = &mut object {
            fields.insert("room".into(), json!(self.room));
            fields.insert("kind".into(), json!("help"));
            fields.insert("text".into(), json!(text));
        }
        Ok(self.out.say(&object, &self.out.advice(&format!("** {text}")))?)
    }

    /// Remembers that how far the own call is was told.
    pub(in crate::commands) fn calls_were_told(&self) {
        self.help.line.replace(self.view().help.call.clone());
    }

    /// Tells those who moderate of calls: each once, then whenever it rings. Returns whether it rings now, and how many calls are new.
    pub(in crate::commands) fn tell_calls(&self) -> Result<(bool, usize)> {
        let view = self.view();
        let now = self.help.begun.elapsed();
        let rung = self.reach().rung_for(&view.help.open, self.relay_now());
        let rings = self.help.ringing.borrow_mut().rings(&rung, now);
        let mut told = self.help.calls.borrow_mut();
        told.retain(|id| view.help.open.iter().any(|call| call.id == *id));
        let mut new = 0;
        for call in &view.help.open {
            let is_new = told.insert(call.id);
            new += usize::from(is_new && call.has.is_none());
            if is_new || (call.has.is_none() && rings.contains(&call.by)) {
                let mut object = help::open_json(call);
                if let Value::Object(fields) = &mut object {
                    fields.insert("room".into(), json!(self.room));
                    fields.insert("kind".into(), json!("call"));
                }
                let text = help::open(call);
                self.out.say(&object, &self.out.advice(&format!("!! {text}")))?;
            }
        }
        Ok((!rings.is_empty(), new))
    }

    /// Returns how this moderator is reached.
    fn reach(&self) -> Reach {
        let view = self.view();
        let now = self.relay_now();
        let on_duty = view.on_duty.iter().any(|duty| duty.member == view.me && duty.until > now);
        let (others, minutes) = (!view.help.on_duty.is_empty(), view.help.minutes_unseen());
        Reach { on_duty, others, minutes }
    }

    /// Returns when it rings next.
    pub(in crate::commands) fn rings_at(&self) -> Option<Instant> {
        let elapsed = self.help.begun.elapsed();
        let next = self.help.ringing.borrow().next(elapsed);
        let next = next.map(|at| self.help.begun + at.max(elapsed + Duration::from_millis(1)));
        let (view, now, reach) = (self.view(), self.relay_now(), self.reach());
        let later = view.help.open.iter().filter(|call| call.has.is_none());
        let later = later.map(|call| reach.rings_from(call.at)).filter(|at| *at > now).min();
        let later =
            later.map(|at| Instant::now() + Duration::from_millis(at.0.saturating_sub(now.0)));
        next.into_iter().chain(later).min()
    }

    /// Lists the calls for help that are not over.
    pub(in crate::commands) fn list_calls(&self) -> Result<()> {
        let view = self.view();
        if view.help.open.is_empty() {
            self.out.say_none("No call for help is open.")?;
        }
        for call in &view.help.open {
            let text = format!("{} [{}]", help::open(call), call.id.short());
            self.out.say(&help::open_json(call), &self.out.advice(&text))?;
        }
        Ok(())
    }
}
