//! The table of `docs/floor.md` section 2: what is alive, and what one entry does to it.

use std::collections::{BTreeMap, BTreeSet};

use hearth_protocol::{Digest, MemberKey, Millis, Seq};
use minicbor::{Decode, Encode};

use super::{
    change::{Change, Down, Ending, Outcome, Why},
    entry::{Members, What},
    poll,
    wire::{
        ASKS_MAX, Answer, Ask, Asked, Close, Form, Hand, ORDER_MAX, Op, Ref, Round, State,
        TOPIC_CHARS_MAX, within,
    },
};

/// Answers of one member to one ask that are remembered, so that a retraction leaves the earlier one.
pub const ANSWERS_MAX: usize = 8;
/// Entries whose words wait at most.
pub const HELD_MAX: usize = 1024;

/// Words that wait for their author's turn or the end of the round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Held {
    /// Whose.
    #[n(0)]
    pub author: MemberKey,
    /// Place of the entry.
    #[n(1)]
    pub seq: Seq,
}

/// The answers to an open ask.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Tally {
    #[n(0)]
    pub(super) ask: Seq,
    /// Whether the ask comes from a recap, so that answers are missing.
    #[n(1)]
    pub(super) told: bool,
    /// In the order of the log.
    #[n(2)]
    pub(super) answers: Vec<Mark>,
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Mark {
    #[n(0)]
    pub(super) member: MemberKey,
    #[n(1)]
    pub(super) seq: Seq,
    #[n(2)]
    pub(super) choice: Option<u64>,
}

impl Tally {
    /// Counts each member's last answer; `None` if this reader lacks answers.
    pub(super) fn totals(&self, options: usize) -> Option<Vec<u64>> {
        let last: BTreeMap<MemberKey, Option<u64>> =
            self.answers.iter().map(|mark| (mark.member, mark.choice)).collect();
        (!self.told).then(|| poll::tally(options, last.into_values().flatten()))?
    }
}

/// An entry's place, without what it says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) seq: Seq,
    pub(super) digest: Digest,
    /// The time that counts.
    pub(super) at: Millis,
    pub(super) from: Option<MemberKey>,
}

/// What is alive, with the answers and the words that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Fold {
    #[n(0)]
    pub(super) state: State,
    /// One for each ask of the state, in the same order.
    #[n(1)]
    pub(super) tallies: Vec<Tally>,
    /// In the order of the log.
    #[n(2)]
    pub(super) held: Vec<Held>,
}

impl Fold {
    /// Takes over what a recap says.
    pub(super) fn told(state: State) -> Self {
        let tally = |asked: &Asked| Tally { ask: asked.ask.seq, told: true, answers: Vec::new() };
        let tallies = state.asks.iter().map(tally).collect();
        Self { state, tallies, held: Vec::new() }
    }

    /// Returns whose turn it is.
    pub(super) fn holder(&self) -> Option<MemberKey> {
        let round = self.state.round.as_ref()?;
        round.order.get(usize::try_from(round.turn).ok()?).copied()
    }

    /// Ends what is too old at a time.
    pub(super) fn expire(&mut self, at: Millis, members: &Members, out: &mut Vec<Change>) {
        let (life, half) = (members.life(), members.half_retention());
        if self.state.round.as_ref().is_some_and(|r| r.until <= at || r.at.plus(life) <= at) {
            self.end(Ending::Time, out);
        }
        self.lower(|hand| hand.at.plus(life) <= at, Down::Fell, out);
        let is_over = |asked: &Asked| asked.until <= at || asked.at.plus(half) <= at;
        while let Some(n) = self.state.asks.iter().position(is_over) {
            self.close(n, None, None, members, out);
        }
    }

    /// Does what an entry says. Call [`Self::expire`] before.
    pub(super) fn judge(
        &mut self,
        place: Place,
        what: &What,
        members: &Members,
        out: &mut Vec<Change>,
    ) {
        let Some(from) = place.from.filter(|from| members.may_post(from)) else {
            if matches!(what, What::Op(_) | What::Ask(_) | What::Close(_) | What::Words(Some(_))) {
                out.push(Change::Ignored(Why::MayNotPost));
            }
            if let What::Retract(seq) = what {
                self.retract(*seq);
            }
            return;
        };
        let done = match what {
            What::Op(op) => self.op(place, from, op, members, out),
            What::Ask(ask) => self.ask(place, from, ask, members, out),
            What::Close(close) => self.close_by(from, close, members, out),
            What::Words(Some(answer)) => self.answer(place, from, answer),
            What::Retract(seq) => {
                self.retract(*seq);
                Ok(())
            }
            What::Words(None) | What::Recap(_) | What::Other | What::Hole => Ok(()),
        };
        if let Err(why) = done {
            out.push(Change::Ignored(why));
        }
    }

    /// Passes on what belongs to members who can no longer hold it. Call [`Self::judge`] before.
    pub(super) fn settle(&mut self, members: &Members, out: &mut Vec<Change>) {
        self.lower(|hand| !members.may_post(&hand.member), Down::Gone, out);
        if self.holder().is_some_and(|holder| !members.may_post(&holder)) {
            self.pass_on(members, out);
        }
    }

    /// Holds words of somebody whose turn it is not.
    pub(super) fn hold(&mut self, place: Place, members: &Members, out: &mut Vec<Change>) {
        let (Some(author), Some(holder)) = (place.from, self.holder()) else { return };
        if author == holder || members.moderates(&author) || !members.may_post(&author) {
            return;
        }
        if self.held.len() < HELD_MAX {
            self.held.push(Held { author, seq: place.seq });
            out.push(Change::Held);
        } else {
            out.push(Change::Crowded);
        }
    }

    /// Shows the words that wait and fit.
    pub(super) fn release(&mut self, fits: impl Fn(&Held) -> bool, out: &mut Vec<Change>) {
        let (shown, held): (Vec<Held>, Vec<Held>) = self.held.drain(..).partition(|h| fits(h));
        self.held = held;
        if !shown.is_empty() {
            out.push(Change::Released(shown.iter().map(|held| held.seq).collect()));
        }
    }

    fn op(
        &mut self,
        place: Place,
        from: MemberKey,
        op: &Op,
        members: &Members,
        out: &mut Vec<Change>,
    ) -> Result<(), Why> {
        let is_up = self.state.hands.iter().any(|hand| hand.member == from);
        match op {
            Op::Hand if is_up => return Err(Why::HandIsUp),
            Op::Hand => {
                self.state.hands.push(Hand { member: from, at: place.at });
                out.push(Change::HandUp(from));
            }
            Op::Lower if !is_up => return Err(Why::NoHand),
            Op::Lower => self.lower(|hand| hand.member == from, Down::Lowered, out),
            Op::Start { order, topic, seconds, until } => {
                moderates(from, members)?;
                if !within(topic, TOPIC_CHARS_MAX) {
                    return Err(Why::Size);
                }
                if self.state.round.is_some() {
                    return Err(Why::RoundOn);
                }
                if *until <= place.at || *until > place.at.plus(members.life()) {
                    return Err(Why::Until);
                }
                let [holder, ..] = order[..] else { return Err(Why::Order) };
                if !is_order(order) || !order.iter().all(|member| members.may_post(member)) {
                    return Err(Why::Order);
                }
                self.state.round = Some(Round {
                    seq: place.seq,
                    at: place.at,
                    order: order.clone(),
                    turn: 0,
                    until: *until,
                    topic: topic.clone(),
                    seconds: *seconds,
                });
                out.push(Change::Began { round: place.seq, holder });
                self.lower(|hand| order.contains(&hand.member), Down::Called, out);
            }
            Op::Move { round, turn } => {
                let current = self.current(*round)?;
                if current.turn != *turn {
                    return Err(Why::OldTurn);
                }
                if self.holder() != Some(from) && !members.moderates(&from) {
                    return Err(Why::NotHolder);
                }
                self.pass_on(members, out);
            }
            Op::Extend { round, until } => {
                moderates(from, members)?;
                let life = members.life();
                let current = self.current(*round)?;
                if *until <= place.at || *until > current.at.plus(life) {
                    return Err(Why::Until);
                }
                current.until = *until;
                out.push(Change::Extended { until: *until });
            }
            Op::End { round } => {
                moderates(from, members)?;
                self.current(*round)?;
                self.end(Ending::By(from), out);
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        place: Place,
        from: MemberKey,
        ask: &Ask,
        members: &Members,
        out: &mut Vec<Change>,
    ) -> Result<(), Why> {
        moderates(from, members)?;
        if !ask.is_bounded() {
            return Err(Why::Size);
        }
        if self.state.asks.len() >= ASKS_MAX {
            return Err(Why::TooManyAsks);
        }
        if ask.until <= place.at {
            return Err(Why::Until);
        }
        let entry = Ref { seq: place.seq, digest: place.digest };
        self.state.asks.push(Asked::new(entry, place.at, ask));
        self.tallies.push(Tally { ask: place.seq, told: false, answers: Vec::new() });
        out.push(Change::AskOpened);
        Ok(())
    }

    fn answer(&mut self, place: Place, from: MemberKey, answer: &Answer) -> Result<(), Why> {
        let n = self.alive(&answer.ask)?;
        let asked = self.state.asks.get(n).ok_or(Why::NoAsk)?;
        let tally = self.tallies.get_mut(n).ok_or(Why::NoAsk)?;
        if matches!(asked.form, Form::HiddenPoll | Form::Private) {
            return Err(Why::NotInTheRoom);
        }
        if answer.choice.is_some_and(|choice| !asked.content().offers(choice)) {
            return Err(Why::Choice);
        }
        if tally.answers.iter().filter(|mark| mark.member == from).count() >= ANSWERS_MAX {
            return Err(Why::TooManyAnswers);
        }
        tally.answers.push(Mark { member: from, seq: place.seq, choice: answer.choice });
        Ok(())
    }

    fn close_by(
        &mut self,
        from: MemberKey,
        close: &Close,
        members: &Members,
        out: &mut Vec<Change>,
    ) -> Result<(), Why> {
        moderates(from, members)?;
        let n = self.alive(&close.ask)?;
        self.close(n, Some(from), close.ballots.as_deref(), members, out);
        Ok(())
    }

    fn close(
        &mut self,
        n: usize,
        by: Option<MemberKey>,
        ballots: Option<&[super::Ballot]>,
        members: &Members,
        out: &mut Vec<Change>,
    ) {
        let (asked, tally) = (self.state.asks.remove(n), self.tallies.remove(n));
        let outcome = match (asked.form, ballots) {
            (Form::Prompt | Form::Step | Form::Private, _) => Outcome::NoPoll,
            (Form::Poll, _) => {
                tally.totals(asked.options.len()).map_or(Outcome::Uncounted, Outcome::Totals)
            }
            (Form::HiddenPoll, None) => Outcome::Unpublished,
            (Form::HiddenPoll, Some(ballots)) => {
                match poll::recount(&asked, ballots, members.roles.len()) {
                    Ok(totals) => Outcome::Totals(totals),
                    Err(flaw) => Outcome::Flawed(flaw),
                }
            }
        };
        out.push(Change::AskClosed { asked, by, outcome });
    }

    /// Takes back an answer, or words that wait. Nothing else can be taken back.
    fn retract(&mut self, seq: Seq) {
        self.held.retain(|held| held.seq != seq);
        for tally in &mut self.tallies {
            tally.answers.retain(|mark| mark.seq != seq);
        }
    }

    fn pass_on(&mut self, members: &Members, out: &mut Vec<Change>) {
        let Some(round) = &mut self.state.round else { return };
        let later = (0..).zip(&round.order).filter(|(turn, _)| *turn > round.turn);
        let next = later.into_iter().find(|(_, member)| members.may_post(member));
        let Some((turn, holder)) = next.map(|(turn, member)| (turn, *member)) else {
            return self.end(Ending::Turns, out);
        };
        round.turn = turn;
        out.push(Change::Turn { holder, turn });
        self.release(|held| held.author == holder, out);
    }

    fn end(&mut self, how: Ending, out: &mut Vec<Change>) {
        let Some(round) = self.state.round.take() else { return };
        out.push(Change::Ended { round: round.seq, how });
        self.release(|_| true, out);
    }

    fn lower(&mut self, falls: impl Fn(&Hand) -> bool, why: Down, out: &mut Vec<Change>) {
        let fallen = self.state.hands.iter().filter(|hand| falls(hand));
        out.extend(fallen.map(|hand| Change::HandDown { member: hand.member, why }));
        self.state.hands.retain(|hand| !falls(hand));
    }

    fn current(&mut self, round: Seq) -> Result<&mut Round, Why> {
        self.state.round.as_mut().filter(|current| current.seq == round).ok_or(Why::NoRound)
    }

    fn alive(&self, ask: &Ref) -> Result<usize, Why> {
        self.state.asks.iter().position(|asked| asked.ask == *ask).ok_or(Why::NoAsk)
    }
}

fn moderates(member: MemberKey, members: &Members) -> Result<(), Why> {
    members.moderates(&member).then_some(()).ok_or(Why::NotModerating)
}

/// Whether an order has 1 to [`ORDER_MAX`] keys, each once.
pub(super) fn is_order(order: &[MemberKey]) -> bool {
    let keys: BTreeSet<&MemberKey> = order.iter().collect();
    (1..=ORDER_MAX).contains(&order.len()) && keys.len() == order.len()
}
