//! What every line shell does with a room: asks the client, and prints what became of it.

mod help;
pub(super) mod lanes;
pub(super) mod line;
pub(super) mod to;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::Arc,
    time::Duration,
};

use hearth_engine::{
    room::{any_alarm, find_member},
    state::{Row, RowContent, Standing},
};
use hearth_protocol::{Millis, Seq};
use hearth_session::{
    client::{
        AskError, Client, Command, Consent, Event, Events, Haste, Heard, Outcome, Page, Question,
        RoomView,
    },
    live::LiveError,
    session::Up,
};
use hearth_text::{count::counted, escape};
use tokio::sync::watch;

use super::{
    Result,
    bell::{self, Call},
    displayed::Displayed,
    outcome::{self, not_verified},
};
use crate::{
    advice::shell_word,
    failure::{Failure, exit},
    show::{self, Output, View},
    text::when::{self},
};

/// A room as one shell sees it.
pub(super) struct Shell {
    pub(super) client: Client,
    pub(super) out: Output,
    /// The room's local name.
    pub(super) room: String,
    view: watch::Receiver<Arc<RoomView>>,
    /// Whether it was said that a connection is not post-quantum.
    told_classical: bool,
    /// The last place that was printed here: other windows print for themselves.
    printed: Cell<Seq>,
    /// Whether the reader sees the room all the time, and needs not be told that it is not up to date.
    pub(super) follows: bool,
    /// The messages that stand on the screen.
    pub(super) displayed: RefCell<Displayed>,
    /// The last place before what is new, until that was marked.
    mark_after: Cell<Option<Seq>>,
    /// What of the rows that were printed last calls the reader.
    pub(super) called: Cell<Option<Call>>,
    /// What this shell has reminded of: each of it is told once.
    reminded: RefCell<BTreeSet<String>>,
    /// What was told of calls for help.
    help: help::ToldHelp,
    /// The time of the last mood that was asked for here, and the place of the last questions.
    pub(super) told_asked: Cell<(Millis, Seq)>,
}

/// Whether a command was done, or waits for a person's word.
pub(super) enum Did {
    Done,
    Asks(Question),
}

impl Shell {
    /// Looks at a room. Its commands are printed to `out` as of the room's local name.
    pub(super) async fn new(client: &Client, room: &str, out: &Output) -> Result<Self> {
        let view = client.view(room).await?;
        let room = view.borrow().room.to_string();
        let out = out.clone().in_room(&room);
        let (client, told_classical, follows) = (client.clone(), false, false);
        let printed = Cell::new(view.borrow().shown);
        let displayed = RefCell::new(Displayed::from(view.borrow().last));
        let (mark_after, called) = (Cell::new(Some(printed.get())), Cell::default());
        Ok(Self {
            client,
            out,
            room,
            view,
            told_classical,
            printed,
            follows,
            displayed,
            mark_after,
            called,
            reminded: RefCell::default(),
            help: help::ToldHelp::new(),
            told_asked: Cell::default(),
        })
    }

    /// Returns how rows are shown. Places up to `shown` were displayed before.
    pub(super) fn lens<'a>(&'a self, state: &'a RoomView, shown: Seq) -> View<'a> {
        View {
            room: &self.room,
            me: state.me,
            roster: &state.roster,
            round: state.floor.round.as_ref(),
            muted: &state.muted,
            help: &state.help,
            rests_until: state.timed_out_until,
            paused_until: state.policy.as_ref().map_or(Millis(0), |p| p.numbers.paused_until),
            mine: &state.mine,
            shown,
            held: false,
            open: false,
            lane: None,
            answered: None,
        }
    }

    /// Returns the last place that was printed here.
    pub(super) const fn printed(&self) -> Seq {
        self.printed.get()
    }

    /// Prints elsewhere, to a reader who sees the room all the time.
    pub(super) fn following(self, out: Output) -> Self {
        Self { out, follows: true, ..self }
    }

    /// Returns the room as it is now.
    pub(super) fn view(&self) -> Arc<RoomView> {
        Arc::clone(&self.view.borrow())
    }

    /// Asks the client, without anything to agree to.
    pub(super) async fn ask(&self, command: Command) -> Result<Outcome> {
        Ok(self.client.ask(&self.room, command, Consent::Whatever).await?)
    }

    /// Tells what there is to know of an event, beside the room's rows.
    pub(super) fn remark(&mut self, event: &Event) {
        match event {
            Event::Up(up) => self.tell_of_connection(*up),
            Event::CatchingUp(missed) => {
                let entries = counted(*missed, "entry", "entries");
                self.out.remark(&format!("Catching up with {entries} ..."));
            }
            Event::Waits(error) if !self.follows => {
                let Failure { message, advice, .. } = Failure::from(&**error);
                let advice = self.out.advice(&advice);
                let message = escape::one_line(&message);
                self.out.remark(&format!("-- what waited did not go out: {message}. {advice}"));
            }
            Event::Trouble(error) => {
                let failure = Failure::from(&**error);
                let advice = self.out.advice(&failure.advice);
                let message = escape::one_line(&failure.message);
                self.out.remark(&format!("-- {message}. {advice}"));
            }
            _ => {}
        }
    }

    /// Reminds of something, once.
    fn remind_of(&self, words: &str) {
        if self.reminded.borrow_mut().insert(words.to_owned()) {
            self.out.remark(&self.out.advice(words));
        }
    }

    /// Reminds of the end of the group, where one is announced.
    fn tell_ending(&self) {
        let view = self.view();
        if let Some(words) = show::ending(&view, view.relay_now(hearth_session::live::now())) {
            self.remind_of(&words);
        }
    }

    /// Tells of planned goodbyes, and those who moderate what comes next on the day.
    fn tell_farewells(&self) {
        let view = self.view();
        let Some(policy) = &view.policy else { return };
        let now = view.relay_now(hearth_session::live::now());
        for planned in policy.more.farewells() {
            let leaf = view.roster.iter().find(|leaf| leaf.member == planned.member);
            let Some(name) = leaf.map(|leaf| escape::one_line(&leaf.name)) else { continue };
            let words = match (planned.on > now, view.moderates()) {
                (true, _) => format!("-- We say goodbye to {name} on {}.", show::date(planned.on)),
                (false, false) => format!("-- We say goodbye to {name} today."),
                (false, true) => {
                    let typed = shell_word(&leaf.map(|leaf| leaf.name.clone()).unwrap_or_default());
                    format!(
                        "-- It is time to say goodbye to {name}. `hearth round ROOM start Goodbye` begins a round. When it is said, `hearth farewell ROOM {typed} --said` ends {name}'s place; nothing else does."
                    )
                }
            };
            self.remind_of(&words);
        }
    }

    /// Tells who moderates of what others propose and they could confirm.
    fn tell_proposals(&self) {
        let view = self.view();
        let Some(policy) = view.policy.as_ref().filter(|_| view.moderates()) else { return };
        let now = view.relay_now(hearth_session::live::now());
        let open = policy.more.proposals().iter();
        for proposal in open.filter(|proposal| proposal.by != view.me && !proposal.has_lapsed(now))
        {
            let by = view.roster.iter().find(|leaf| leaf.member == proposal.by);
            let by = by.map_or_else(|| proposal.by.short(), |leaf| escape::one_line(&leaf.name));
            self.remind_of(&format!(
                "-- {by} proposes something that takes you, too: `hearth proposals ROOM` says what, `hearth confirm ROOM {}` does it.",
                proposal.number
            ));
        }
    }

    fn tell_of_connection(&mut self, up: Up) {
        self.tell_proposals();
        self.tell_farewells();
        self.tell_ending();
        if !up.post_quantum && !std::mem::replace(&mut self.told_classical, true) {
            self.out.remark(super::NOT_POST_QUANTUM);
        }
        if up.moved {
            self.out.remark(
                "The relay's store was moved or restored. Nothing that you had seen is missing.",
            );
        }
    }

    /// Tells the events that are there.
    pub(super) fn remark_all(&mut self, events: &mut Events) {
        while let Some(heard) = events.try_next() {
            if let Heard::Told(told) = heard
                && *told.room == *self.room
            {
                self.remark(&told.event);
            }
        }
    }

    /// Catches up if the relay can be reached, and says so if not; fails only if something lied.
    pub(super) async fn refresh(&self) -> Result<()> {
        match self.outdated().await? {
            Some(failure) if !self.follows => outdated(&self.out, failure),
            _ => Ok(()),
        }
    }

    /// Catches up; returns why that failed.
    async fn outdated(&self) -> Result<Option<Failure>> {
        match self.ask(Command::Refresh).await? {
            Outcome::Fresh(why) => Ok(why.map(|why| Failure::from(&*why))),
            _ => Err(unexpected()),
        }
    }

    /// Prints what is new, or the whole history.
    pub(super) async fn read(&self, all: bool, held: bool) -> Result<()> {
        if self.follows {
            if !self.print_rows(all, held).await? {
                self.out.say_none(nothing_new(all))?;
            }
            return Ok(());
        }
        let failure = self.outdated().await?;
        let standing = self.view().standing.clone();
        // Out of the room there is nothing to catch up with; the history stays readable. A member whom the relay does not know is told.
        let failure = failure.filter(|failure| match &*failure.code {
            "not_member" => standing == Standing::Member,
            code => code != "not_acknowledged",
        });
        let printed = self.print_rows(all, held).await;
        if failure.is_none() && standing == Standing::Member && matches!(printed, Ok(false)) {
            self.out.say_none(nothing_new(all))?;
        }
        // What it says stands below, with the words of a decline.
        let printed = printed.or_else(|failure| match &*failure.code {
            "not_member" if standing != Standing::Member => Ok(true),
            _ => Err(failure),
        });
        if standing != Standing::Member && failure.is_none() {
            let Failure { message, advice, .. } = crate::failure::not_inside(&standing);
            self.out.remark(&format!("-- {message}. {}", self.out.advice(&advice)));
        }
        printed?;
        self.tell_ending();
        self.tell_farewells();
        self.tell_proposals();
        self.remark_lanes();
        self.tell_call()?;
        self.tell_calls()?;
        failure.map_or(Ok(()), Err)
    }

    /// Prints rows that were not displayed yet, or all; then remembers that they were. Returns whether there were any.
    ///
    /// # Errors
    /// `verification_failed` if an alarm was among them.
    pub(super) async fn print_rows(&self, all: bool, held: bool) -> Result<bool> {
        let (mut alarm, mut any) = (false, false);
        let shown = self.printed.get();
        let mut from = if all { Seq(0) } else { Seq(shown.0.saturating_add(1)) };
        loop {
            let rows = self.client.rows(&self.room, Page::From(from)).await?;
            let Some(last) = rows.last().map(|row| row.place) else { break };
            any |= Box::pin(self.print_after(&rows, held, shown)).await?;
            let fresh: Vec<Row> = rows.into_iter().filter(|row| row.place > shown).collect();
            alarm |= any_alarm(&fresh);
            let call = fresh.iter().filter_map(|row| bell::call(&self.view(), row)).max();
            self.called.set(self.called.get().max(call));
            self.was_shown(last).await?;
            from = Seq(last.0.saturating_add(1));
        }
        self.mark_after.set(None);
        any |= !self.view().untold.is_empty();
        let differs = self.tell_mismatches().await?;
        self.called.set(self.called.get().max(differs.then_some(Call::Alarm)));
        alarm |= differs;
        if alarm { Err(not_verified()) } else { Ok(any) }
    }

    /// Remembers that everything up to a place was displayed.
    pub(super) async fn was_shown(&self, last: Seq) -> Result<()> {
        self.printed.set(last.max(self.printed.get()));
        self.ask(Command::Shown(last)).await?;
        Ok(())
    }

    /// Prints rows; returns whether there was something to print.
    pub(super) async fn print(&self, rows: &[Row], held: bool) -> Result<bool> {
        Box::pin(self.print_after(rows, held, self.view().shown)).await
    }

    /// Does the same. What stands behind `shown` is new.
    async fn print_after(&self, rows: &[Row], held: bool, shown: Seq) -> Result<bool> {
        let state = self.view();
        let view = View { held, ..self.lens(&state, shown) };
        let mut any = false;
        if self.follows && rows.iter().any(show::proposes) {
            self.tell_proposals();
        }
        for row in rows {
            if view.shows(row) || !row.shows.is_empty() {
                self.mark_new(row).await?;
            }
            any |= view.row(&self.out, row)?;
            if !view.hides(row) {
                self.displayed.borrow_mut().add(row, held);
            }
            for later in self.released_with(row).await? {
                let fresh = if row.place > shown { Seq(0) } else { shown };
                any |= View { shown: fresh, ..view }.row(&self.out, &later)?;
                if !view.hides(&later) {
                    self.displayed.borrow_mut().add(&later, held);
                }
            }
        }
        Ok(any)
    }

    /// Returns the earlier words that are shown with a row.
    pub(super) async fn released_with(&self, row: &Row) -> Result<Vec<Row>> {
        let mut released = Vec::new();
        for place in &row.shows {
            released.extend(self.row_at(*place).await?.map(shown_now));
        }
        Ok(released)
    }

    /// Returns the row at a place.
    pub(super) async fn row_at(&self, place: Seq) -> Result<Option<Row>> {
        let page = Page::Before(Seq(place.0.saturating_add(1)), 1);
        let rows = self.client.rows(&self.room, page).await?;
        Ok(rows.into_iter().find(|row| row.place == place))
    }

    /// Prints a line before the first row that is new, if others were displayed before it.
    async fn mark_new(&self, row: &Row) -> Result<()> {
        let Some(after) = self.mark_after.get().filter(|after| row.place > *after) else {
            return Ok(());
        };
        self.mark_after.set(None);
        let page = Page::Before(Seq(after.0.saturating_add(1)), 1);
        if let Some(last) = self.client.rows(&self.room, page).await?.last() {
            self.out.say_none(&format!("-- new since {} --", show::clock(last.at)))?;
        }
        Ok(())
    }

    /// Prints a message with its words, whatever content note it is under.
    pub(super) async fn show_covered(&self, place: Seq) -> Result<()> {
        let row = self.row_at(place).await?;
        let row = row.filter(|row| matches!(row.content, RowContent::Text(_)));
        let row = match row {
            Some(row) if row.talk.later.is_some() && self.is_released(place).await? => {
                Some(shown_now(row))
            }
            row => row,
        };
        match row {
            Some(row) if self.show_open(&row)? => Ok(()),
            _ => Err(hearth_engine::EngineError::NoWords(place).into()),
        }
    }

    /// Prints a message, whatever hides its words; returns whether there are any to show.
    pub(super) fn show_open(&self, row: &Row) -> Result<bool> {
        let state = self.view();
        let view = View { muted: &[], open: true, ..self.lens(&state, state.shown) };
        self.displayed.borrow_mut().add(row, false);
        Ok(view.row(&self.out, row)?)
    }

    /// Whether a later row has shown the words of an earlier place.
    async fn is_released(&self, place: Seq) -> Result<bool> {
        let mut from = place;
        loop {
            let page = Page::From(Seq(from.0.saturating_add(1)));
            let rows = self.client.rows(&self.room, page).await?;
            let Some(last) = rows.last() else { return Ok(false) };
            if rows.iter().any(|row| row.shows.contains(&place)) {
                return Ok(true);
            }
            from = last.place;
        }
    }

    /// Prints what the relay does and no record says, each once while it lasts; returns whether an alarm was among it.
    pub(super) async fn tell_mismatches(&self) -> Result<bool> {
        let state = self.view();
        if state.untold.is_empty() {
            return Ok(false);
        }
        let names = self.client.names(&self.room).await?;
        let view = self.lens(&state, state.shown);
        for what in &state.untold {
            view.mismatch(&self.out, what, &names)?;
        }
        self.ask(Command::Told).await?;
        Ok(state.untold.iter().any(hearth_engine::accord::Mismatch::is_alarm))
    }

    /// Prints again what the relay does and no record says, as far as it was printed.
    pub(super) async fn repeat_mismatches(&self) -> Result<()> {
        let state = self.view();
        let names = self.client.names(&self.room).await?;
        let view = self.lens(&state, state.shown);
        for what in state.mismatches.iter().filter(|what| !state.untold.contains(what)) {
            view.mismatch(&self.out, what, &names)?;
        }
        Ok(())
    }

    /// Tells of words in the outbox that nothing sends but their author.
    pub(super) fn tell_held(&self) {
        outcome::held(&self.out, &self.view());
    }

    /// Prints what is in force.
    pub(super) async fn status(&self) -> Result<()> {
        let asked = self.client.ask(&self.room, Command::Status, Consent::Unasked).await;
        let (status, told) = match asked {
            Ok(Outcome::Status { status, mismatches, untold }) => {
                (Some(status), Some((mismatches, untold)))
            }
            Ok(_) => return Err(unexpected()),
            // What this profile knows is worth showing, as of the last connection.
            Err(AskError::Unreachable(why)) if self.view().policy.is_some() => {
                let why = Failure::from(&*why);
                if !self.follows && why.exit != exit::UNREACHABLE {
                    return Err(why);
                }
                let mark = if self.follows { "-- not" } else { "Not" };
                self.out.remark(&format!("{mark} up to date: {}", why.message));
                (None, None)
            }
            Err(error) => return Err(error.into()),
        };
        let names = self.client.names(&self.room).await?;
        let view = self.view();
        let pinned = self.pinned(&view).await?;
        let printed = outcome::status(
            &self.out,
            &view,
            status.as_deref(),
            told.as_ref().map(|(mismatches, untold)| (&mismatches[..], &untold[..])),
            &names,
            &pinned,
        );
        if told.is_some() {
            self.ask(Command::Told).await?;
        }
        printed
    }

    /// Returns the rows of the pinned messages that are still there.
    pub(super) async fn pinned(&self, view: &RoomView) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for pin in view.policy.iter().flat_map(|policy| &policy.pins) {
            let found = self.client.find(&self.room, &pin.message.to_hex()).await?;
            rows.extend(found.into_iter().find(|row| {
                row.id == Some(pin.message)
                    && row.seq == pin.seq
                    && matches!(row.content, RowContent::Text(_))
            }));
        }
        let lens = self.lens(view, view.shown);
        for row in rows.iter_mut().filter(|row| lens.veils(row)) {
            row.content = RowContent::Text(format!("[{}]", row.talk.note().unwrap_or_default()));
        }
        rows.iter().for_each(|row| self.displayed.borrow_mut().add(row, false));
        Ok(rows)
    }

    /// Prints digits to compare.
    pub(super) async fn verify(&self, member: Option<&str>) -> Result<()> {
        // The digits are wanted most where the relay lied.
        let fresh = self.refresh().await;
        let leaf = match member {
            Some(wanted) => {
                let view = self.view();
                if view.policy.is_none() {
                    return Err(view_failure(&view));
                }
                Some(find_member(&view.roster, wanted)?.clone())
            }
            None => None,
        };
        let became = self.ask(Command::Verify(leaf.as_ref().map(|leaf| leaf.member))).await?;
        outcome::verify(&self.out, leaf.as_ref(), became)?;
        fresh
    }
}

/// Returns a row that was to be shown later, as it is shown now.
pub(super) fn shown_now(mut row: Row) -> Row {
    row.talk.later = None;
    row.changes.clear();
    row
}

/// Says why a room is not up to date; fails only if something lied.
pub(super) fn outdated(out: &Output, failure: Failure) -> Result<()> {
    match &*failure.code {
        _ if failure.exit == exit::UNREACHABLE => {
            out.remark(&format!("Not up to date: {}", failure.message));
            Ok(())
        }
        "not_member" | "not_acknowledged" => Ok(()),
        "knock_forgotten" | "welcome_gone" => {
            let advice = out.advice(&failure.advice);
            out.remark(&format!("Not up to date: {}. {advice}", failure.message));
            Ok(())
        }
        _ => Err(failure),
    }
}

/// Says why a command that needs the relay was not done, to a reader who knows that there is no connection.
pub(super) fn nothing_done(why: &LiveError) -> Failure {
    let mut failure = Failure::from(why);
    if failure.exit != exit::UNREACHABLE {
        failure.message.push_str("; nothing was done");
        return failure;
    }
    Failure::new(
        exit::UNREACHABLE,
        "unreachable",
        "the relay cannot be reached now",
        "Try again when the connection is back; nothing was done.",
    )
}

const fn nothing_new(all: bool) -> &'static str {
    if all { "The history is empty." } else { "You have read everything." }
}

/// Says why there are no members to look among.
pub(super) fn view_failure(view: &RoomView) -> Failure {
    crate::failure::not_inside(&view.standing)
}

/// An outcome that does not belong to its command.
pub(super) fn unexpected() -> Failure {
    Failure::from(AskError::Closed)
}

/// Returns names as a sentence has them.
pub(super) fn names_of(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| escape::one_line(name)).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// Returns what a person is asked before a command.
pub(super) fn question_words(question: &Question) -> String {
    let name = |name: &str| escape::one_line(name);
    match question {
        Question::Depart { withdrawn, waiting } => {
            let dropped = match waiting {
                0 => String::new(),
                waiting => format!(
                    " {} in your outbox and would be dropped.",
                    counted(*waiting, "message waits", "messages wait")
                ),
            };
            match withdrawn {
                false => format!(
                    "You can also close the window, or be away for a while: `hearth away ROOM 2h`. If you leave, you need a new invite to come back. What was said stays confidential.{dropped} Leave this room?"
                ),
                true => format!(
                    "Withdraw your acknowledgement and leave this room?{dropped} To come back you need a new invite."
                ),
            }
        }
        Question::RetractAll(member) => {
            format!("Retract every message of {}? That cannot be undone.", name(member))
        }
        Question::Remove(member) => {
            format!("Remove {}? To come back they need a new invite.", name(member))
        }
        Question::Farewell(member) => {
            format!("End {}'s place in this room with the goodbye that was planned?", name(member))
        }
        Question::Remember(member) => {
            let name = name(member);
            format!(
                "Close the place of {name}, who died? Be sure, and tell each member by voice first. The room reads your words; nothing asks for {name} or reminds of {name} again. What {name} wrote goes on its usual day."
            )
        }
        Question::Confirm { what, name: member, until } => {
            format!("Confirm {}?", show::weighty_text(what, &name(member), *until))
        }
        Question::CloseGroup(ends) => format!(
            "End this group on {}? After that nobody can write, and on {} the room is erased here and at the relay. It can be moved or called off before.",
            show::date(*ends),
            show::date(show::erased_at(*ends))
        ),
        Question::LoseDevice(member) => {
            let name = name(member);
            format!(
                "Take {name}'s device out of the room and make a link for a new one? Do it only after you have spoken with {name} in person or by voice: whoever asks in writing may have the old device."
            )
        }
        Question::AdmitDevice { name: member, digits } => {
            let name = name(member);
            match digits {
                Some(digits) => format!(
                    "{name} comes back on a new device. Has {name} read you these digits in person or by voice: {digits}? Only then let it in."
                ),
                None => format!(
                    "{name} comes back on a new device. Has the facilitator who gave the link compared the digits of `hearth knocks ROOM` with {name} in person or by voice? Only then let it in."
                ),
            }
        }
        Question::RemoveNow { name: member, haste } => {
            let member = name(member);
            let why: Vec<String> = haste
                .iter()
                .map(|haste| match haste {
                    Haste::Night => "It is night.".to_owned(),
                    Haste::Help => format!("{member} has asked for help, and that is not over."),
                    Haste::LastHour => {
                        "Your duty ends within the hour, so nobody may be here afterwards.".into()
                    }
                })
                .collect();
            format!(
                "{} A break can wait until tomorrow. Remove {member} all the same?",
                why.join(" ")
            )
        }
        Question::EndRound { turns } => {
            format!("{} left in this round. End it now?", counted(*turns, "turn is", "turns are"))
        }
        Question::Break(member) => {
            format!("{} has asked for help, and that is not over. Give a break now?", name(member))
        }
        Question::BreakNow(member) => format!(
            "Have you written to {} in the check-in? Then once more: give the break now?",
            name(member)
        ),
        Question::ChangeBreak { name: member, until } => format!(
            "{} has a break until {} already. Change it?",
            name(member),
            show::clock(*until)
        ),
        Question::StepDown(role) => format!(
            "Give up your own role and become {}? Only a facilitator can give it back to you.",
            show::role_words(*role)
        ),
        Question::Expire { seconds } => format!(
            "Keep messages for {}? What is older is deleted for everybody. That cannot be undone.",
            when::exact(Duration::from_secs(*seconds))
        ),
        Question::SendAgain(id) => format!(
            "The message {} may have been posted already. Send it, so that the others may read it twice?",
            id.short()
        ),
        Question::Recover(recovery) => outcome::recovery_question(*recovery).to_owned(),
        Question::SendAnswers(words) => words.clone(),
        Question::Share { readers } => {
            let names = names_of(readers);
            let (they, reads, know) = match &readers[..] {
                [_] => (names.clone(), "reads", "knows"),
                _ => ("they".to_owned(), "read", "know"),
            };
            let share = if readers.len() == 1 { "shares" } else { "share" };
            format!(
                "{names} {reads} this first, and {they} {know} that it is yours. If {they} {share} it, the group sees your words and no name. Some may still guess, from how you write. You can take it back until it shows. Send it?"
            )
        }
        Question::CloseBreach { waiting } => {
            let (have, they) = if waiting.len() == 1 { ("has", "waits") } else { ("have", "wait") };
            format!(
                "Go on now? {} {have} not said yes again, and {they} outside with check-in and help-now until they do: then their own command brings them back.",
                names_of(waiting)
            )
        }
        Question::AmendAtOnce { others } => {
            let others = counted(*others, "other member is", "other members are");
            format!(
                "Put it in force at once? {others} out of the room then until they acknowledge it. With --effective 3d people have three days first."
            )
        }
    }
}
