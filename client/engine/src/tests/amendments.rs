//! Amendments that are superseded or withdrawn while members sign: a draft removes no member.

use hearth_protocol::Digest;

use super::{
    world::{CLEO, FAY, World},
    *,
};
use crate::{
    EngineError,
    accord::{Mismatch, Waits},
    act::Due,
    agreement::{AckError, Agreement, Change},
    policy::{Act, RuleError},
    state::Standing,
};

const DAY: u64 = 24 * 3_600_000;

/// A room with a facilitator and two members.
struct Circle {
    log: Log,
    fay: TestRoom,
    ann: TestRoom,
    ben: TestRoom,
    newcomers: Vec<TestRoom>,
}

impl Circle {
    fn new() -> Self {
        let mut log = Log::default();
        let mut fay = found("Fay", Suite::X25519);
        let mut ann = join(&mut fay, &mut log, "Ann");
        let ben = join(&mut fay, &mut log, "Ben");
        log.show(&mut ann);
        Self { log, fay, ann, ben, newcomers: Vec::new() }
    }

    fn show(&mut self) {
        for room in
            [&mut self.fay, &mut self.ann, &mut self.ben].into_iter().chain(&mut self.newcomers)
        {
            self.log.show(room);
        }
    }

    fn amend(&mut self, text: &str) -> Agreement {
        let fay = &mut self.fay;
        let agreement = fay.queue_amendment(text.into(), Change::Material, NOW, NOW).unwrap();
        self.log.flush(fay);
        let submission = fay.amend(&agreement, NOW).unwrap();
        self.log.take(submission);
        self.show();
        sign(&mut self.fay, &mut self.log, &agreement);
        self.show();
        agreement
    }

    /// Makes Ann a second facilitator.
    fn appoint_ann(&mut self) {
        let act = Act::SetRole { member: self.ann.me(), role: Role::Facilitator };
        let submission = self.fay.act(act, NOW).unwrap();
        self.log.take(submission);
        self.show();
    }

    fn withdraw(&mut self) {
        let submission = self.fay.withdraw_amendment(NOW).unwrap();
        self.log.take(submission);
        self.show();
    }

    fn enact(&mut self) {
        let submission = self.fay.enact(NOW, NOW).unwrap();
        self.log.take(submission);
        self.show();
    }

    fn newcomer(&mut self, name: &str) {
        let room = join(&mut self.fay, &mut self.log, name);
        self.newcomers.push(room);
        self.show();
    }

    /// Ann signs the agreement that awaits her acknowledgement.
    fn ann_signs(&mut self) -> Option<Digest> {
        let id = self.ann.coming_agreement().unwrap()?;
        let agreement = self.ann.agreement(&id).unwrap().unwrap();
        sign(&mut self.ann, &mut self.log, &agreement);
        self.show();
        Some(id)
    }

    /// All members have the same policy, and no entry was refused or unreadable.
    fn is_whole(&mut self) {
        let policy = self.fay.policy().unwrap();
        for room in [&mut self.ann, &mut self.ben].into_iter().chain(&mut self.newcomers) {
            if room.state().standing == Standing::Member {
                assert_eq!(room.policy().unwrap(), policy);
            }
            assert!(rows(room).iter().all(|row| row.notices.is_empty()));
        }
        for leaf in self.fay.roster().unwrap() {
            let judged =
                policy.judge_acknowledgement(&self.fay.id(), &leaf.member, &leaf.acknowledgement);
            assert_eq!(judged, Ok(()), "{}", leaf.name);
        }
    }
}

/// A step in a story of two drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    AnnSigns,
    Amend,
    Join,
}

/// Every order of these steps: Ann signs, twice; a second draft; a newcomer.
fn orders() -> Vec<Vec<Step>> {
    let mut all = vec![vec![]];
    for _ in 0..4 {
        let mut longer = Vec::new();
        for order in all {
            for step in [Step::AnnSigns, Step::Amend, Step::Join] {
                let allowed = if step == Step::AnnSigns { 2 } else { 1 };
                if order.iter().filter(|s| **s == step).count() < allowed {
                    longer.push([order.clone(), vec![step]].concat());
                }
            }
        }
        all = longer;
    }
    all
}

#[test]
fn signers_of_drafts_stay_in() {
    let all = orders();
    assert_eq!(all.len(), 12);
    for order in all {
        let mut circle = Circle::new();
        circle.amend("The first draft.");
        for step in &order {
            match step {
                Step::AnnSigns => drop(circle.ann_signs()),
                Step::Amend => drop(circle.amend("The second draft.")),
                Step::Join => circle.newcomer("Dan"),
            }
            circle.is_whole();
        }
        circle.ann_signs();
        circle.enact();
        circle.is_whole();
        assert_eq!(circle.ann.state().standing, Standing::Member, "{order:?}");
        // Ben and the newcomer signed nothing.
        assert_eq!(circle.ben.state().standing, Standing::Lapsed, "{order:?}");
        assert_eq!(circle.fay.policy().unwrap().agreement.version, 3, "{order:?}");
        circle.newcomer("Eve");
        circle.is_whole();
    }
}

#[test]
fn withdrawn_draft_asks_nobody() {
    let mut circle = Circle::new();
    circle.amend("A draft.");
    circle.ann_signs().unwrap();
    circle.withdraw();
    assert_eq!(circle.ann.coming_agreement().unwrap(), None);
    assert_eq!(circle.ben.coming_agreement().unwrap(), None);
    circle.newcomer("Dan");
    circle.is_whole();
    let next = circle.amend("Another.");
    assert_eq!(next.version, 3);
    assert_eq!(circle.ann_signs(), Some(next.id()));
    circle.enact();
    assert_eq!(circle.ann.state().standing, Standing::Member);
}

/// A text can be sent without its commit, because another act came first or the process was killed.
#[test]
fn unofficial_text_stops_no_enactment() {
    let mut circle = Circle::new();
    let official = circle.amend("The official draft.");
    let fay = &mut circle.fay;
    fay.queue_amendment("Never official.".into(), Change::Material, NOW, NOW).unwrap();
    circle.log.flush(fay);
    circle.show();
    circle.enact();
    assert_eq!(circle.ben.state().standing, Standing::Lapsed);
    let back = circle.ben.return_link().unwrap().unwrap();
    assert_eq!(back.agreement, official.id());
}

/// Its text is not the one that newcomers wait for, and its return invite is another.
#[test]
fn unofficial_text_replaces_no_official() {
    let mut circle = Circle::new();
    let official = circle.amend("The official draft.");
    circle.newcomer("Dan");
    let fay = &mut circle.fay;
    fay.queue_amendment("Never official.".into(), Change::Material, NOW, NOW).unwrap();
    circle.log.flush(fay);
    circle.show();
    assert!(circle.fay.newcomers_lack_text().unwrap());
    for room in [&circle.fay, &circle.ben] {
        let back = room.return_invite_of(&official.id()).unwrap().unwrap();
        assert_eq!(back.agreement, official.id());
    }
}

/// A waiting text goes with its reason: its author's office, or the pending version that it repeats.
#[test]
fn waiting_text_stays_while_it_counts() {
    let waits = |room: &TestRoom| room.outgoing().unwrap().len();
    let mut circle = Circle::new();
    circle.appoint_ann();
    circle.amend("A draft.");
    assert!(circle.ann.queue_coming_text(NOW).unwrap());
    // A co-facilitator repeats it, too.
    let act = Act::SetRole { member: circle.ann.me(), role: Role::CoFacilitator };
    let submission = circle.fay.act(act, NOW).unwrap();
    circle.log.take(submission);
    circle.show();
    assert_eq!(waits(&circle.ann), 1);
    circle.appoint_ann();
    circle.fay.queue_amendment("Another.".into(), Change::Material, NOW, NOW).unwrap();
    let submission = circle.ann.withdraw_amendment(NOW).unwrap();
    circle.log.take(submission);
    circle.show();
    assert_eq!((waits(&circle.ann), waits(&circle.fay)), (0, 1));
    // One that was encrypted may be in the log already.
    circle.log.flush(&mut circle.fay);
    circle.show();
    circle.amend("The last.");
    assert!(circle.ann.queue_coming_text(NOW).unwrap());
    circle.ann.next_submission().unwrap().unwrap();
    circle.withdraw();
    assert_eq!(waits(&circle.ann), 1);
}

/// Newcomers cannot read earlier messages but must be able to sign the coming agreement.
#[test]
fn newcomer_gets_the_coming_text() {
    let mut circle = Circle::new();
    let draft = circle.amend("A draft.");
    circle.newcomer("Dan");
    assert!(circle.newcomers[0].agreement(&draft.id()).unwrap().is_none());
    assert!(circle.fay.queue_coming_text(NOW).unwrap());
    circle.log.flush(&mut circle.fay);
    circle.show();
    circle.is_whole();
    let dan = &mut circle.newcomers[0];
    assert_eq!(dan.coming_agreement().unwrap(), Some(draft.id()));
    let ack = dan.sign_acknowledgement(&draft, NOW, Vec::new()).unwrap();
    let renewal = dan.renew(Some(&ack), NOW).unwrap();
    circle.log.take(renewal);
    circle.show();
    circle.enact();
    assert_eq!(circle.newcomers[0].state().standing, Standing::Member);
    // Ben did not sign and has a return link.
    let back = circle.ben.return_link().unwrap().unwrap();
    assert_eq!(back.agreement, draft.id());
    // Members who had the text are not told again.
    let told = |room: &TestRoom| {
        let texts = rows(room).into_iter();
        texts.filter(|row| matches!(row.content, RowContent::AgreementText(_))).count()
    };
    assert_eq!((told(&circle.ann), told(&circle.newcomers[0])), (1, 1));
    assert!(!circle.fay.queue_coming_text(NOW).unwrap());
}

#[test]
fn members_withdraw_no_amendment() {
    let mut circle = Circle::new();
    circle.amend("A draft.");
    assert!(circle.ben.act(Act::Withdraw, NOW).is_err());
}

/// However late the enactment and whatever the author's clock, lapsed members have 30 days by the relay's clock.
#[test]
fn a6_late_enactment_invites_afresh() {
    let mut circle = Circle::new();
    circle.amend("A draft.");
    let (now, relay) = (NOW.plus(40 * DAY), NOW.plus(99 * DAY));
    let submission = circle.fay.enact(now, relay).unwrap();
    let expires = submission.effects.iter().find_map(|effect| match effect {
        Effect::AddInvite { expires, .. } => Some(*expires),
        _ => None,
    });
    assert_eq!(expires, Some(relay.plus(30 * DAY)));
}

/// Also if the author no longer facilitates: the key that enacts signs the preview.
#[test]
fn a6_return_preview_names_who_enacts() {
    for demoted in [false, true] {
        let mut circle = Circle::new();
        circle.appoint_ann();
        let draft = circle.amend("A draft.");
        circle.ann_signs().unwrap();
        if demoted {
            let act = Act::SetRole { member: circle.fay.me(), role: Role::Member };
            let submission = circle.ann.act(act, NOW).unwrap();
            circle.log.take(submission);
            circle.show();
        }
        let submission = circle.ann.enact(NOW, NOW).unwrap();
        circle.log.take(submission);
        circle.show();
        assert_eq!(circle.ben.state().standing, Standing::Lapsed);
        let link = circle.ben.return_link().unwrap().unwrap();
        assert_eq!((link.facilitator, link.agreement), (circle.ann.me(), draft.id()));
        let preview = open_preview(&link, circle.log.previews.last().unwrap()).unwrap();
        let joining =
            Joining { name: "Ben".into(), local_name: "room".into(), answers: Vec::new() };
        let (store, crypto) = (circle.ben.store, circle.ben.crypto);
        let (ben, request) = Room::knock(store, crypto, &link, &preview, joining, NOW).unwrap();
        let opened = circle.ann.open_knock(&pending(&ben, &link, &request)).unwrap();
        // The preview names the members who moderated at that moment.
        assert_eq!(opened.vouched, Some(circle.ann.policy().unwrap().moderators()));
        let submission = circle.ann.admit(&opened, NOW).unwrap();
        circle.log.take(submission);
        circle.ben = ben;
        let (seq, welcome) = circle.log.welcomes.last().unwrap();
        circle.ben.welcomed(welcome, *seq, NOW).unwrap();
        circle.show();
        circle.is_whole();
    }
}

#[test]
fn a6_enactment_signs_for_nobody() {
    let mut circle = Circle::new();
    circle.appoint_ann();
    let before = circle.ann.acknowledgement().unwrap();
    let draft = circle.amend("A draft.");
    let refused = circle.ann.enact(NOW, NOW);
    let unsigned = RuleError::NotAcknowledged(AckError::OtherAgreement);
    assert!(matches!(refused, Err(EngineError::Rule(error)) if error == unsigned));
    assert_eq!(circle.ann.acknowledgement().unwrap(), before);
    let due = |waits| Some(Due { version: draft.version, waits });
    let early = Millis(NOW.0 - 1);
    assert_eq!(circle.ann.due_amendment(early).unwrap(), None);
    assert_eq!(circle.ann.due_amendment(NOW).unwrap(), due(Some(Waits::Unsigned)));
    assert_eq!(circle.ben.due_amendment(NOW).unwrap(), None);
    assert_eq!(circle.fay.due_amendment(NOW).unwrap(), due(None));
    circle.ann_signs().unwrap();
    assert_eq!(circle.ann.due_amendment(NOW).unwrap(), due(None));
}

#[test]
fn a6_due_amendment_is_told_once() {
    let mut circle = Circle::new();
    let waits = |why| Mismatch::Amendment { version: 2, why };
    for why in [Waits::Unsigned, Waits::NoText, Waits::Refused] {
        circle.fay.amendment_waits(Some((2, why))).unwrap();
        assert_eq!(circle.fay.untold().unwrap(), [waits(why)]);
        circle.fay.mark_told().unwrap();
        circle.fay.amendment_waits(Some((2, why))).unwrap();
        assert_eq!(circle.fay.untold().unwrap(), []);
        assert_eq!(circle.fay.mismatches().unwrap(), [waits(why)]);
    }
    circle.fay.amendment_waits(None).unwrap();
    assert_eq!(circle.fay.mismatches().unwrap(), []);
}

/// Dan is admitted between the text and its record, and made facilitator, so he has nothing to enact.
#[test]
fn a6_newcomer_without_text_gets_it() {
    let mut circle = Circle::new();
    circle.appoint_ann();
    let fay = &mut circle.fay;
    let draft = fay.queue_amendment("A draft.".into(), Change::Material, NOW, NOW).unwrap();
    circle.log.flush(&mut circle.fay);
    circle.show();
    let mut dan = join(&mut circle.ann, &mut circle.log, "Dan");
    assert!(!circle.ann.newcomers_lack_text().unwrap());
    circle.log.show(&mut circle.fay);
    let submission = circle.fay.amend(&draft, NOW).unwrap();
    circle.log.take(submission);
    circle.show();
    sign(&mut circle.fay, &mut circle.log, &draft);
    let act = Act::SetRole { member: dan.me(), role: Role::Facilitator };
    let submission = circle.fay.act(act, NOW).unwrap();
    circle.log.take(submission);
    circle.show();
    circle.log.show(&mut dan);
    let due = Due { version: draft.version, waits: Some(Waits::NoText) };
    assert_eq!(dan.due_amendment(NOW).unwrap(), Some(due));
    assert!(matches!(dan.enact(NOW, NOW), Err(EngineError::Rule(RuleError::NotAcknowledged(_)))));
    // Every moderator sees the gap, and one repetition closes it.
    assert!(circle.fay.newcomers_lack_text().unwrap() && circle.ann.newcomers_lack_text().unwrap());
    assert!(!circle.ben.newcomers_lack_text().unwrap());
    assert!(circle.ann.queue_coming_text(NOW).unwrap());
    assert!(!circle.ann.newcomers_lack_text().unwrap());
    circle.log.flush(&mut circle.ann);
    circle.show();
    circle.log.show(&mut dan);
    assert!(
        !circle.fay.newcomers_lack_text().unwrap() && !circle.ann.newcomers_lack_text().unwrap()
    );
    sign(&mut dan, &mut circle.log, &draft);
    circle.show();
    let submission = dan.enact(NOW, NOW).unwrap();
    circle.log.take(submission);
    circle.log.show(&mut dan);
    circle.newcomers.push(dan);
    circle.show();
    circle.is_whole();
    assert_eq!(circle.fay.state().standing, Standing::Member);
    assert_eq!(circle.ben.state().standing, Standing::Lapsed);
}

/// Sent after the withdrawal, the repetition would be reported as a text without effect.
#[test]
fn a6_withdrawal_drops_waiting_repetition() {
    let mut circle = Circle::new();
    circle.appoint_ann();
    circle.amend("A draft.");
    assert!(circle.ann.queue_coming_text(NOW).unwrap());
    circle.withdraw();
    circle.log.flush(&mut circle.ann);
    circle.show();
    circle.is_whole();
}

/// Two facilitators amend at once: the relay takes one, and the other learns why theirs fails.
#[test]
fn second_of_two_amendments_is_told() {
    let mut world = World::new();
    let act = Act::SetRole { member: world.key(CLEO), role: Role::Facilitator };
    world.act(FAY, act);
    for (first, second) in
        [(Change::Material, Change::Material), (Change::Editorial, Change::Material)]
    {
        let [mine, theirs] = [(FAY, first), (CLEO, second)].map(|(who, change)| {
            let room = &mut world.rooms[who];
            let agreement = room.queue_amendment("New.".into(), change, NOW, NOW).unwrap();
            world.log.flush(room);
            agreement
        });
        world.show();
        let faster = world.rooms[FAY].amend(&mine, NOW).unwrap();
        let slower = world.rooms[CLEO].amend(&theirs, NOW).unwrap();
        world.log.take(faster);
        world.show();
        assert!(!world.rooms[CLEO].is_waiting(slower.number).unwrap());
        let refused = world.rooms[CLEO].amend(&theirs, NOW).err();
        let rule = EngineError::Rule(RuleError::NotNextVersion);
        assert_eq!(refused.map(|error| error.to_string()), Some(rule.to_string()));
        // It is made again with the next number.
        let again = world.rooms[CLEO].queue_amendment("Ours.".into(), second, NOW, NOW).unwrap();
        world.log.flush(&mut world.rooms[CLEO]);
        world.show();
        let amended = world.rooms[CLEO].amend(&again, NOW).unwrap();
        world.log.take(amended);
        world.show();
        assert_eq!(world.policy().pending.map(|p| p.version), Some(again.version));
        let withdrawn = world.rooms[FAY].withdraw_amendment(NOW).unwrap();
        world.log.take(withdrawn);
        world.show();
    }
}
