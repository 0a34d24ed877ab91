//! A naive floor: each question is answered from the whole log, without a state.

use std::collections::BTreeSet;

use hearth_protocol::{MemberKey, Millis, Role, Seq};

use super::super::{
    Answer, Ask, Asked, Entry, Form, Hand, LIFE_MILLIS, Members, Op, Ref, Round, State, What,
};

/// A log up to an entry. Places count from 0.
pub(super) struct Naive<'a>(pub(super) &'a [(Entry, Members)]);

/// A round from its Start to its end.
struct Course {
    start: usize,
    /// The entry at which it ended.
    end: Option<usize>,
    /// From each of these entries on, the turn is this one.
    turns: Vec<(usize, usize)>,
    until: Millis,
}

impl Naive<'_> {
    fn entry(&self, n: usize) -> &Entry {
        &self.0[n].0
    }

    fn role(&self, n: usize, member: &MemberKey) -> Option<Role> {
        self.0[n].1.roles.get(member).copied()
    }

    fn posts(&self, n: usize, member: &MemberKey) -> bool {
        matches!(self.role(n, member), Some(r) if r != Role::Observer)
    }

    fn moderates(&self, n: usize, member: &MemberKey) -> bool {
        matches!(self.role(n, member), Some(Role::Facilitator | Role::CoFacilitator))
    }

    /// Returns the sender of an entry if they may post.
    fn sender(&self, n: usize) -> Option<MemberKey> {
        self.entry(n).from.filter(|from| self.posts(n, from))
    }

    fn steward(&self, n: usize) -> bool {
        self.sender(n).is_some_and(|from| self.moderates(n, &from))
    }

    fn time(&self, n: usize) -> Millis {
        self.0[..=n].iter().map(|(entry, _)| entry.at).max().unwrap()
    }

    fn half(&self, n: usize) -> u64 {
        self.0[n].1.retention_seconds * 1000 / 2
    }

    fn life(&self, n: usize) -> u64 {
        self.half(n).min(LIFE_MILLIS)
    }

    fn is_start(&self, n: usize) -> bool {
        let What::Op(Op::Start { order, topic, until, .. }) = &self.entry(n).what else {
            return false;
        };
        let mut keys = order.clone();
        keys.sort_unstable();
        keys.dedup();
        self.steward(n)
            && topic.chars().count() <= 200
            && (1..=100).contains(&order.len())
            && keys.len() == order.len()
            && order.iter().all(|member| self.posts(n, member))
            && self.time(n) < *until
            && until.0 <= self.time(n).0 + self.life(n)
    }

    fn order(&self, start: usize) -> &[MemberKey] {
        match &self.entry(start).what {
            What::Op(Op::Start { order, .. }) => order,
            _ => panic!("a round begins with a Start"),
        }
    }

    fn course(&self, start: usize) -> Course {
        let What::Op(Op::Start { order, until, .. }) = &self.entry(start).what else {
            panic!("a round begins with a Start")
        };
        let seq = self.entry(start).seq;
        let began = self.time(start).0;
        let mut course = Course { start, end: None, turns: vec![(start, 0)], until: *until };
        for n in start + 1..self.0.len() {
            let now = self.time(n);
            let turn = course.turns.last().unwrap().1;
            let next = (turn + 1..order.len()).find(|turn| self.posts(n, &order[*turn]));
            let mut moves = !self.posts(n, &order[turn]);
            let mut ends = course.until <= now || began + self.life(n) <= now.0;
            if !ends && let Some(from) = self.sender(n) {
                match &self.entry(n).what {
                    What::Op(Op::Move { round, turn: named }) if *round == seq => {
                        moves |= *named == turn as u64
                            && (from == order[turn] || self.moderates(n, &from));
                    }
                    What::Op(Op::Extend { round, until })
                        if *round == seq
                            && self.steward(n)
                            && now < *until
                            && until.0 <= began + self.life(n) =>
                    {
                        course.until = *until;
                    }
                    What::Op(Op::End { round }) => ends = *round == seq && self.steward(n),
                    _ => {}
                }
            }
            if moves && let Some(next) = next {
                course.turns.push((n, next));
            }
            if ends || (moves && next.is_none()) {
                course.end = Some(n);
                break;
            }
        }
        course
    }

    fn courses(&self) -> Vec<Course> {
        let mut courses: Vec<Course> = Vec::new();
        for n in (0..self.0.len()).filter(|n| self.is_start(*n)) {
            if courses.last().is_none_or(|last| last.end.is_some_and(|end| end <= n)) {
                courses.push(self.course(n));
            }
        }
        courses
    }

    fn round(&self) -> Option<Round> {
        let course = self.courses().into_iter().find(|course| course.end.is_none())?;
        let What::Op(Op::Start { order, topic, seconds, .. }) = &self.entry(course.start).what
        else {
            return None;
        };
        Some(Round {
            seq: self.entry(course.start).seq,
            at: self.time(course.start),
            order: order.clone(),
            turn: course.turns.last().unwrap().1 as u64,
            until: course.until,
            topic: topic.clone(),
            seconds: *seconds,
        })
    }

    fn hands(&self) -> Vec<Hand> {
        let starts: Vec<usize> = self.courses().iter().map(|course| course.start).collect();
        let mut members: Vec<MemberKey> = self.0.iter().filter_map(|(e, _)| e.from).collect();
        members.sort_unstable();
        members.dedup();
        let mut up = Vec::new();
        for member in members {
            let mut since: Option<usize> = None;
            for n in 0..self.0.len() {
                let old = |at: usize| self.time(at).0 + self.life(n) <= self.time(n).0;
                let called = starts.contains(&n) && self.order(n).contains(&member);
                let own = self.sender(n) == Some(member);
                let lowers = own && self.entry(n).what == What::Op(Op::Lower);
                let raises = own && self.entry(n).what == What::Op(Op::Hand);
                if called || lowers || since.is_some_and(old) {
                    since = None;
                }
                if raises && since.is_none() {
                    since = Some(n);
                }
                since = since.filter(|_| self.posts(n, &member));
            }
            up.extend(since.map(|n| (n, member)));
        }
        up.sort_unstable();
        up.into_iter().map(|(n, member)| Hand { member, at: self.time(n) }).collect()
    }

    /// Returns the asks that were ever open: their entries, and those at which they closed.
    fn asks(&self) -> Vec<(usize, &Ask, Option<usize>)> {
        let mut asks: Vec<(usize, &Ask, Option<usize>)> = Vec::new();
        for n in 0..self.0.len() {
            let What::Ask(ask) = &self.entry(n).what else { continue };
            let open = asks.iter().filter(|(_, _, end)| end.is_none_or(|end| end > n)).count();
            if !self.steward(n) || !ask.is_bounded() || ask.until <= self.time(n) || open >= 4 {
                continue;
            }
            let closes = |at: usize| {
                let (now, began) = (self.time(at), self.time(n).0);
                let by_hand = matches!(&self.entry(at).what, What::Close(close)
                    if close.ask == self.reference(n))
                    && self.steward(at);
                by_hand || ask.until <= now || began + self.half(at) <= now.0
            };
            asks.push((n, ask, (n + 1..self.0.len()).find(|at| closes(*at))));
        }
        asks
    }

    fn reference(&self, n: usize) -> Ref {
        Ref { seq: self.entry(n).seq, digest: self.entry(n).digest }
    }

    /// Returns the floor after the last entry.
    pub(super) fn state(&self) -> State {
        let open = self.asks().into_iter().filter(|(_, _, end)| end.is_none());
        let asked = |(n, ask, _): (usize, &Ask, _)| Asked {
            ask: self.reference(n),
            at: self.time(n),
            form: ask.form,
            text: ask.text.clone(),
            options: ask.options.clone(),
            until: ask.until,
            after_own: ask.after_own,
            part: ask.part,
        };
        State { round: self.round(), hands: self.hands(), asks: open.map(asked).collect() }
    }

    /// Returns the votes of each open poll that is not hidden.
    pub(super) fn totals(&self) -> Vec<(Seq, Vec<u64>)> {
        let polls = self.asks().into_iter().filter(|(_, ask, _)| ask.form == Form::Poll);
        let open = polls.filter(|(_, _, end)| end.is_none());
        open.map(|(n, ask, _)| {
            let mut totals = vec![0; ask.options.len()];
            let members: BTreeSet<MemberKey> =
                self.0.iter().filter_map(|(entry, _)| entry.from).collect();
            for member in members {
                let vote = |at: &usize| match self.entry(*at).what {
                    What::Words(Some(Answer { ask: named, choice })) => {
                        named == self.reference(n)
                            && self.sender(*at) == Some(member)
                            && choice.is_none_or(|choice| choice < ask.options.len() as u64)
                            && !self.is_retracted(*at)
                    }
                    _ => false,
                };
                let last = (n + 1..self.0.len()).rfind(vote);
                if let Some(What::Words(Some(Answer { choice: Some(choice), .. }))) =
                    last.map(|at| &self.entry(at).what)
                {
                    totals[*choice as usize] += 1;
                }
            }
            (self.entry(n).seq, totals)
        })
        .collect()
    }

    fn is_retracted(&self, n: usize) -> bool {
        let seq = self.entry(n).seq;
        self.0[n + 1..].iter().any(|(entry, _)| entry.what == What::Retract(seq))
    }

    /// Returns the places of words that a round holds or held: each with the entry at which they were shown, if they were.
    pub(super) fn held(&self) -> Vec<(Seq, Option<Seq>)> {
        let courses = self.courses();
        let mut held = Vec::new();
        for n in 0..self.0.len() {
            let (What::Words(_), Some(from)) = (&self.entry(n).what, self.sender(n)) else {
                continue;
            };
            let on = |course: &&Course| course.start < n && course.end.is_none_or(|end| end > n);
            let Some(course) = courses.iter().find(on) else { continue };
            let order = self.order(course.start);
            let turn = course.turns.iter().rfind(|(at, _)| *at < n).unwrap().1;
            if order[turn] == from || self.moderates(n, &from) {
                continue;
            }
            let own = |(at, turn): &&(usize, usize)| *at > n && order[*turn] == from;
            let shown = course.turns.iter().find(own).map(|(at, _)| *at).or(course.end);
            let gone = (n + 1..shown.unwrap_or(self.0.len()))
                .any(|at| self.entry(at).what == What::Retract(self.entry(n).seq));
            if !gone {
                held.push((self.entry(n).seq, shown.map(|at| self.entry(at).seq)));
            }
        }
        held
    }
}
