//! A room of honest members: joining, talking, moderating, and noticing a relay that misbehaves.

use crate::policy::Pin;
use crate::store::Kind;
use ed25519_dalek::SigningKey;
use hearth_protocol::{
    Entry, EntryContent, MemberKey, Millis, Role, Seq, StreamId, codec,
    mls_header::{self, ContentType},
};

use super::*;
use crate::{
    EngineError,
    agreement::{AckTerms, Acknowledgement, Change},
    content::Body,
    note::TimeOut,
    outbox::OUTBOX_MAX,
    policy::{Act, Category, RuleError},
    receipt::Receipt,
    state::{Countersignature, Notice, Standing},
};

fn three(suite: Suite) -> (Log, TestRoom, TestRoom, TestRoom) {
    let mut log = Log::default();
    let mut fay = found("Fay", suite);
    let mut ben = join(&mut fay, &mut log, "Ben");
    let cleo = join(&mut fay, &mut log, "Cleo");
    log.show(&mut ben);
    (log, fay, ben, cleo)
}

fn act(room: &mut TestRoom, log: &mut Log, act: Act) -> Seq {
    let submission = room.act(act, NOW).unwrap();
    let seq = log.take(submission);
    log.show(room);
    seq
}

#[test]
fn three_members_talk_in_both_suites() {
    for suite in [Suite::X25519, Suite::XWing] {
        let (mut log, mut fay, mut ben, mut cleo) = three(suite);
        say(&mut fay, &mut log, "Welcome.");
        say(&mut ben, &mut log, "Thank you.");
        say(&mut cleo, &mut log, "Hello.");
        let renewal = ben.renew(None, NOW).unwrap();
        assert!(renewal.is_commit);
        log.flush(&mut ben);
        for room in [&mut fay, &mut ben, &mut cleo] {
            log.show(room);
            assert_eq!(texts(room), ["Welcome.", "Thank you.", "Hello."]);
            assert_eq!(room.roster().unwrap().len(), 3);
            assert!(rows(room).iter().all(|r| r.notices.is_empty()));
        }
        assert_eq!(fay.safety_code().unwrap(), cleo.safety_code().unwrap());
    }
}

#[test]
fn safety_code_differs_by_epoch() {
    let (log, mut fay, mut ben, _) = three(Suite::X25519);
    log.show(&mut fay);
    let before = fay.safety_code().unwrap();
    assert_eq!(before, ben.safety_code().unwrap());
    // The relay splits the room: each side goes on from a commit that the other does not see.
    let (hers, his) = (fay.renew(None, NOW).unwrap(), ben.renew(None, NOW).unwrap());
    let split = [(&mut fay, hers), (&mut ben, his)].map(|(room, submission)| {
        let mut own = Log { entries: log.entries.clone(), ..Log::default() };
        own.take(submission);
        own.show(room);
        room.safety_code().unwrap()
    });
    assert!(!split.contains(&before));
    assert_ne!(split[0], split[1]);
}

/// The chain of records verifies for members who were away.
#[test]
fn every_act_reaches_every_member() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    let message = say(&mut ben, &mut log, "I regret this.");
    log.show(&mut fay);
    let seq = fay.find_message(&message.short()).unwrap().seq;
    let acts = [
        Act::Pause { until: NOW.plus(60_000), comment: "Let us breathe.".into(), reopens: true },
        Act::Resume,
        Act::Slow(600),
        Act::Budget(20),
        Act::Length(1200),
        Act::Lock(true),
        Act::Lock(false),
        Act::Announce("Back at six.".into()),
        Act::Pin(Pin { message, seq }),
        Act::Unpin(Pin { message, seq }),
        Act::Retract { message, seq, category: Category::Request },
        Act::Rekey,
        Act::Expire(86_400),
        Act::SetRole { member: cleo.me(), role: Role::Observer },
        Act::SetRole { member: cleo.me(), role: Role::CoFacilitator },
    ];
    let count = acts.len();
    for one in acts {
        act(&mut fay, &mut log, one);
    }
    // Ben and Cleo catch up only now.
    for room in [&mut ben, &mut cleo] {
        log.show(room);
        assert_eq!(room.policy().unwrap(), fay.policy().unwrap());
        let records = room.log().unwrap();
        assert!(records.len() >= count);
        assert!(records.windows(2).all(|w| w[1].previous == w[0].digest()));
        assert_eq!(room.broken_record(&records).unwrap(), None);
        let retracted = room.history(seq, 1).unwrap().remove(0);
        assert!(matches!(retracted.content, RowContent::Tombstone { .. }));
    }
    assert_eq!(cleo.my_role().unwrap(), Role::CoFacilitator);
    act(&mut cleo, &mut log, Act::Announce("I am here, too.".into()));
}

/// Nor can the last facilitator step down or leave.
#[test]
fn members_cannot_moderate() {
    let (mut log, mut fay, mut ben, _) = three(Suite::X25519);
    let refused = ben.act(Act::Lock(true), NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::NotFacilitator))));
    let demote = Act::SetRole { member: fay.me(), role: Role::Member };
    let refused = fay.act(demote, NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::LastFacilitator))));
    let refused = fay.queue_departure(false, NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::LastFacilitator))));
    log.flush(&mut ben);
}

#[test]
fn removed_member_reads_nothing_later() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::XWing);
    // Ben's client is modified: it keeps every key it has.
    let member = ben.me();
    let act = Act::Remove { member, goodbye: String::new() };
    let submission = fay.act(act, NOW).unwrap();
    let removal = submission.payload.clone();
    log.take(submission);
    log.show(&mut fay);
    log.show(&mut cleo);
    say(&mut fay, &mut log, "Between us now.");
    let secret = log.entries.last().unwrap().clone();
    // The relay colludes: it hides the removal and delivers the next message in its place.
    let hidden = Entry { seq: Seq(ben.cursor().seq.0 + 1), ..secret };
    ben.handle_entries(&[hidden], THEN).unwrap();
    assert!(!texts(&ben).contains(&"Between us now.".to_owned()));
    assert!(last_row(&ben).notices.contains(&Notice::Unreadable));
    // When the relay delivers the removal, Ben's client drops its keys.
    let at = Seq(ben.cursor().seq.0 + 1);
    let content = EntryContent::Payload(removal);
    ben.handle_entries(&[Entry { seq: at, at: NOW, content }], THEN).unwrap();
    assert_eq!(ben.state().standing, Standing::Removed);
    assert!(ben.policy().is_err());
}

#[test]
fn any_member_carries_out_a_departure() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    ben.queue_departure(true, NOW).unwrap();
    log.flush(&mut ben);
    assert_eq!(ben.state().standing, Standing::Left);
    log.show(&mut cleo);
    let departure = cleo.open_departures().unwrap().remove(0);
    act(&mut cleo, &mut log, Act::Depart(departure.clone()));
    log.show(&mut fay);
    assert_eq!(fay.roster().unwrap().len(), 2);
    assert!(fay.open_departures().unwrap().is_empty());
    assert!(fay.policy().unwrap().revoked.contains(&departure.member));
    let row = last_row(&fay);
    assert!(matches!(row.content, RowContent::Moderation { target, .. } if target == "Ben"));
    // The departure went with the member.
    let kept = fay.store.get(Kind::Pending, fay.no, departure.member.as_bytes());
    assert!(kept.unwrap().is_none());
    ben.receipt().unwrap().verify().unwrap();
}

/// The answer to a goodbye was lost, and its author came back after the relay had forgotten the goodbye.
#[test]
fn goodbye_counts_though_expired_unread() {
    let (_, _, mut ben, _) = three(Suite::X25519);
    assert!(!ben.leave_unread().unwrap());
    ben.queue_departure(false, NOW).unwrap();
    // Ben has sent nothing yet, so a relay that calls him out did not learn it from him.
    assert!(!ben.leave_unread().unwrap());
    ben.next_submission().unwrap().unwrap();
    assert!(ben.leave_unread().unwrap());
    assert_eq!(ben.state().standing, Standing::Left);
    assert!(ben.policy().is_err());
}

/// A lapsed member returns with their old key after acknowledging.
#[test]
fn material_amendment_lapses_the_unacknowledged() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    let agreement = fay.queue_amendment("New rules.".into(), Change::Material, NOW, NOW).unwrap();
    log.flush(&mut fay);
    let submission = fay.amend(&agreement, NOW).unwrap();
    log.take(submission);
    log.show(&mut fay);
    log.show(&mut cleo);
    let ack = cleo.sign_acknowledgement(&agreement, NOW, Vec::new()).unwrap();
    let renewal = cleo.renew(Some(&ack), NOW).unwrap();
    log.take(renewal);
    log.show(&mut fay);
    sign(&mut fay, &mut log, &agreement);
    let enact = fay.enact(NOW, NOW).unwrap();
    log.take(enact);
    for room in [&mut fay, &mut ben, &mut cleo] {
        log.show(room);
    }
    assert_eq!(ben.state().standing, Standing::Lapsed);
    assert_eq!(fay.roster().unwrap().len(), 2);
    assert_eq!(cleo.policy().unwrap().agreement.id, agreement.id());
    // Ben acknowledges now and comes back with his old key.
    let link = ben.return_link().unwrap().unwrap();
    let key = ben.me();
    let preview = open_preview(&link, log.previews.last().unwrap()).unwrap();
    let joining = Joining { name: "Ben".into(), local_name: "room".into(), answers: Vec::new() };
    let (store, crypto) = (ben.store, ben.crypto);
    let (mut ben, request) = Room::knock(store, crypto, &link, &preview, joining, NOW).unwrap();
    assert_eq!(ben.me(), key);
    let opened = fay.open_knock(&pending(&ben, &link, &request)).unwrap();
    let submission = fay.admit(&opened, NOW).unwrap();
    log.take(submission);
    log.show(&mut fay);
    let (seq, welcome) = log.welcomes.last().unwrap();
    ben.welcomed(welcome, *seq, NOW).unwrap();
    say(&mut fay, &mut log, "Good to have you back.");
    log.show(&mut ben);
    assert_eq!(texts(&ben), ["Good to have you back."]);
}

#[test]
fn time_out_is_private() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    let member = ben.me();
    let until = NOW.plus(60_000);
    let time_out = fay.queue_time_out(member, until, "Rest a little.".into(), NOW).unwrap();
    log.flush(&mut fay);
    let submission = fay.time_out(&time_out, NOW).unwrap();
    log.take(submission);
    for room in [&mut fay, &mut ben, &mut cleo] {
        log.show(room);
    }
    let expected = RowContent::MyTimeout { until, note: "Rest a little.".into() };
    assert_eq!(last_row(&ben).content, expected);
    assert!(matches!(last_row(&cleo).content, RowContent::Moderation { .. }));
    assert!(!format!("{:?}", last_row(&cleo)).contains("Rest"));
    // Only his row holds the note, and it goes with the row.
    for room in [&fay, &ben] {
        let kept = room.store.get(Kind::Note, room.no, time_out.commitment().as_bytes());
        assert!(kept.unwrap().is_none());
    }
}

#[test]
fn notes_without_a_record_are_bounded() {
    let (mut log, mut fay, mut ben, _) = three(Suite::X25519);
    let member = ben.me();
    let mut made = Vec::new();
    for number in 0..70 {
        let until = NOW.plus(60_000 + number);
        made.push(fay.queue_time_out(member, until, "Rest a little.".into(), NOW).unwrap());
    }
    log.flush(&mut fay);
    log.show(&mut ben);
    let kept = made.iter().filter(|time_out| {
        let name = time_out.commitment();
        ben.store.get(Kind::Note, ben.no, name.as_bytes()).unwrap().is_some()
    });
    assert_eq!(kept.count(), 64);
}

/// A recorded note leaves the others waiting, oldest first.
#[test]
fn recorded_note_leaves_others_waiting() {
    let (mut log, mut fay, mut ben, _) = three(Suite::X25519);
    let member = ben.me();
    let wait = |fay: &mut TestRoom, log: &mut Log, numbers: std::ops::Range<u64>| {
        let note = |number| {
            let until = NOW.plus(60_000 + number);
            fay.queue_time_out(member, until, String::new(), NOW).unwrap()
        };
        let made: Vec<TimeOut> = numbers.map(note).collect();
        log.flush(fay);
        made
    };
    let made = wait(&mut fay, &mut log, 0..2);
    let submission = fay.time_out(&made[1], NOW).unwrap();
    log.take(submission);
    let kept = |ben: &TestRoom| {
        let name = made[0].commitment();
        ben.store.get(Kind::Note, ben.no, name.as_bytes()).unwrap().is_some()
    };
    wait(&mut fay, &mut log, 2..65);
    log.show(&mut ben);
    assert!(kept(&ben), "one of 64 that wait");
    wait(&mut fay, &mut log, 65..66);
    log.show(&mut ben);
    assert!(!kept(&ben));
}

#[test]
fn time_outs_are_of_one_member() {
    let (mut log, mut fay, mut ben, cleo) = three(Suite::X25519);
    let ends = [(cleo.me(), NOW.plus(60_000)), (ben.me(), NOW.plus(90_000))];
    for (member, until) in ends {
        let time_out = fay.queue_time_out(member, until, String::new(), NOW).unwrap();
        log.flush(&mut fay);
        let submission = fay.time_out(&time_out, NOW).unwrap();
        log.take(submission);
        log.show(&mut fay);
    }
    log.show(&mut ben);
    for (member, until) in ends {
        assert_eq!(fay.recorded_time_out(&member).unwrap(), Some(until));
    }
    assert_eq!(ben.state().timed_out_until, ends[1].1);
}

#[test]
fn replays_gaps_forks_rollbacks_are_noticed() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    say(&mut fay, &mut log, "one");
    let first = log.entries.last().unwrap().clone();
    log.show(&mut ben);
    // The same ciphertext, replayed at another place.
    let again = Entry { seq: Seq(first.seq.0 + 1), ..first.clone() };
    ben.handle_entries(std::slice::from_ref(&again), THEN).unwrap();
    assert_eq!(texts(&ben), ["one"]);
    assert_eq!(last_row(&ben).notices, [Notice::Unreadable]);

    // Cleo is not shown "two"; Fay's next message reveals it.
    log.show(&mut cleo);
    let base = cleo.cursor().seq;
    say(&mut fay, &mut log, "two");
    say(&mut fay, &mut log, "three");
    let three = log.entries.last().unwrap().clone();
    let shifted = Entry { seq: Seq(base.0 + 1), ..three };
    cleo.handle_entries(&[shifted], THEN).unwrap();
    let notices = last_row(&cleo).notices;
    assert!(notices.contains(&Notice::Gap(1)), "{notices:?}");
    assert!(notices.iter().any(|n| matches!(n, Notice::Fork(_))), "{notices:?}");

    // The relay's store is rolled back or replaced.
    let stream = StreamId([1; 16]);
    fay.check_stream(stream, fay.cursor().seq, Seq(0)).unwrap();
    let back = fay.check_stream(stream, Seq(1), Seq(0));
    assert!(matches!(back, Err(EngineError::HistoryBackwards(_))));
    let head = fay.cursor().seq;
    assert!(
        fay.check_stream(StreamId([2; 16]), head, Seq(0)).unwrap(),
        "moved, and to be compared"
    );
    let gone = fay.check_stream(StreamId([2; 16]), head, head);
    assert!(matches!(gone, Err(EngineError::StreamChanged)));
    let last = fay.cursor().seq;
    let forged = Entry { seq: last, at: NOW, content: EntryContent::Payload(vec![1]) };
    let rewritten = fay.handle_entries(&[forged], THEN);
    assert!(matches!(rewritten, Err(EngineError::HistoryBackwards(_))));
}

#[test]
fn lost_race_is_retried_without_loss() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    log.show(&mut cleo);
    // Ben and Cleo commit in the same epoch; the relay orders Cleo first. Ben also has an encrypted message.
    let ben_commit = ben.renew(None, NOW).unwrap();
    let cleo_commit = cleo.renew(None, NOW).unwrap();
    log.take(cleo_commit);
    log.show(&mut ben);
    log.show(&mut cleo);
    assert!(!ben.is_waiting(ben_commit.number).unwrap(), "the commit that lost is given up");
    let id = ben.queue_text("still here".into(), NOW).unwrap();
    let stale = ben.next_submission().unwrap().unwrap();
    let another = cleo.renew(None, NOW).unwrap();
    log.take(another);
    log.show(&mut ben);
    assert!(ben.epoch_conflict(stale.number).unwrap());
    let fresh = ben.next_submission().unwrap().unwrap();
    assert_eq!(fresh.id, id);
    assert_ne!(fresh.payload, stale.payload);
    log.take(fresh);
    for room in [&mut fay, &mut ben, &mut cleo] {
        log.show(room);
        assert_eq!(texts(room), ["still here"]);
        assert!(rows(room).iter().all(|r| r.notices.is_empty()));
    }
}

#[test]
fn message_during_a_pause_is_held() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    let pause =
        Act::Pause { until: NOW.plus(60_000), comment: "One moment.".into(), reopens: true };
    act(&mut fay, &mut log, pause);
    // The relay does not enforce the pause, and a member posts during it.
    say(&mut ben, &mut log, "but I want to");
    log.show(&mut cleo);
    assert_eq!(last_row(&cleo).content, RowContent::Held("but I want to".into()));
    assert!(texts(&cleo).is_empty());
}

#[test]
fn post_of_observer_is_held() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    act(&mut fay, &mut log, Act::SetRole { member: ben.me(), role: Role::Observer });
    say(&mut ben, &mut log, "all the same");
    log.show(&mut cleo);
    assert_eq!(last_row(&cleo).content, RowContent::Held("all the same".into()));
}

#[test]
fn receipt_verifies_offline() {
    let (_, _, ben, _) = three(Suite::X25519);
    let receipt = ben.receipt().unwrap();
    assert!(receipt.countersigned.is_some());
    let text = receipt.to_text();
    Receipt::from_text(&text).unwrap().verify().unwrap();
    let mut forged = receipt.clone();
    forged.agreement.text.push('!');
    assert!(forged.verify().is_err());
    let mut forged = receipt.clone();
    forged.acknowledgement.signed_at = Millis(1);
    assert!(forged.verify().is_err());
    let mut forged = receipt;
    if let Some(c) = &mut forged.countersigned {
        c.at = Millis(1);
    }
    assert!(forged.verify().is_err());
    assert!(Receipt::from_text("nothing").is_err());
}

/// T29: a receipt proves one acknowledgement as its member signed it and reveals nothing else that was said in the room.
#[test]
fn forged_receipts_are_refused() {
    let (mut log, mut fay, mut ben, cleo) = three(Suite::X25519);
    let secrets = ["The canary that Ben said.", "The canary that Fay said."];
    say(&mut ben, &mut log, secrets[0]);
    say(&mut fay, &mut log, secrets[1]);
    let (plain, other) = (ben.receipt().unwrap(), cleo.receipt().unwrap());
    // With answers, as a room may ask for them; the facilitator countersigned the acknowledgement without answers.
    let signed = |key: &SigningKey, member: MemberKey| {
        let terms = AckTerms {
            room: plain.room,
            agreement: &plain.agreement,
            facilitators: plain.acknowledgement.facilitators,
            now: NOW,
            nonce: [1; 16],
            answers: vec!["first".into(), "second".into()],
            breach: None,
        };
        let acknowledgement = Acknowledgement { member, ..Acknowledgement::sign(key, terms) };
        Receipt { acknowledgement, countersigned: None, ..plain.clone() }
    };
    let answered = signed(&ben.signing_key(), ben.me());
    let read = |receipt: &Receipt| Receipt::from_text(&receipt.to_text()).unwrap().verify();
    for good in [&plain, &other, &answered] {
        assert!(read(good).is_ok());
    }
    let elsewhere = three(Suite::X25519).2.receipt().unwrap();
    let edit = |receipt: &Receipt, how: fn(&mut Receipt, &Receipt)| {
        let mut forged = receipt.clone();
        how(&mut forged, &other);
        forged
    };
    let countersigned = |change: fn(&mut Countersignature, MemberKey)| {
        let mut forged = plain.clone();
        change(forged.countersigned.as_mut().unwrap(), ben.me());
        forged
    };
    let kinds = [
        (
            "altered",
            vec![
                edit(&plain, |r, _| r.agreement.text.push('!')),
                edit(&plain, |r, _| r.agreement.version += 1),
                edit(&plain, |r, _| r.acknowledgement.signed_at = Millis(1)),
                edit(&answered, |r, _| r.acknowledgement.answers[1] = "another".into()),
                countersigned(|c, _| c.at = Millis(1)),
            ],
        ),
        (
            "another's",
            vec![
                edit(&plain, |r, other| r.acknowledgement.member = other.acknowledgement.member),
                signed(&cleo.signing_key(), ben.me()),
                countersigned(|c, ben| c.facilitator = ben),
            ],
        ),
        (
            "with something left out",
            vec![
                edit(&answered, |r, _| drop(r.acknowledgement.answers.pop())),
                edit(&answered, |r, _| drop(r.acknowledgement.answers.remove(0))),
                edit(&plain, |r, _| r.agreement.text.truncate(7)),
            ],
        ),
        ("in another order", vec![edit(&answered, |r, _| r.acknowledgement.answers.reverse())]),
        (
            "put together of two",
            vec![
                edit(&plain, |r, other| r.acknowledgement = other.acknowledgement.clone()),
                edit(&plain, |r, other| r.countersigned.clone_from(&other.countersigned)),
                Receipt { room: elsewhere.room, ..plain.clone() },
                Receipt { agreement: elsewhere.agreement.clone(), ..plain.clone() },
                Receipt { acknowledgement: elsewhere.acknowledgement, ..plain.clone() },
                Receipt { countersigned: elsewhere.countersigned, ..plain.clone() },
            ],
        ),
    ];
    for (kind, forged) in kinds {
        for (number, receipt) in forged.iter().enumerate() {
            assert!(read(receipt).is_err(), "{kind}, {number}");
        }
    }
    let bytes = codec::encode(&plain);
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(holds(plain.agreement.text.as_bytes()));
    for secret in secrets {
        assert!(!holds(secret.as_bytes()));
    }
    assert!(!holds(cleo.me().as_bytes()) && !holds(b"Cleo"));
}

#[test]
fn crash_before_sending_reencrypts_nothing() {
    let mut log = Log::default();
    let mut fay = found("Fay", Suite::X25519);
    let mut ben = join(&mut fay, &mut log, "Ben");
    let id = ben.queue_text("once".into(), NOW).unwrap();
    let sent = ben.next_submission().unwrap().unwrap();
    // The process dies here: memory is lost, the store is read again.
    let (store, crypto) = (ben.store, ben.crypto);
    let mut ben = Room::open(store, crypto, "room").unwrap();
    let again = ben.next_submission().unwrap().unwrap();
    assert_eq!(again.payload, sent.payload, "no second ciphertext for one generation");
    assert_eq!(again.id, id);
    log.take(again);
    log.show(&mut ben);
    log.show(&mut fay);
    say(&mut ben, &mut log, "twice");
    log.show(&mut fay);
    assert_eq!(texts(&fay), ["once", "twice"]);
}

#[test]
fn empty_entry_is_not_waiting_message() {
    let (mut log, mut fay, mut ben, _) = three(Suite::X25519);
    ben.queue_text("not sent yet".into(), NOW).unwrap();
    // Ben's client encrypts nothing before it has a connection; the relay delivers an empty entry.
    log.append(Vec::new());
    log.show(&mut ben);
    assert_eq!(ben.waiting_texts().unwrap().len(), 1, "the message is still to be sent");
    assert!(texts(&ben).is_empty());
    assert!(last_row(&ben).notices.contains(&Notice::Unreadable));
    log.flush(&mut ben);
    log.show(&mut fay);
    assert_eq!(texts(&fay), ["not sent yet"]);
}

/// A member returns after the room's entries expired: the client says so once, and the row excuses only the entries it names.
#[test]
fn expired_entries_are_told_without_alarm() {
    const DAY: u64 = 24 * 3_600_000;
    let mut log = Log::default();
    let mut fay = found("Fay", Suite::X25519);
    let mut ben = join(&mut fay, &mut log, "Ben");
    say(&mut fay, &mut log, "one");
    log.show(&mut ben);
    say(&mut fay, &mut log, "two");
    say(&mut fay, &mut log, "three");
    ben.handle_entries(&[expired(fay.cursor().seq)], THEN).unwrap();
    let expired = last_row(&ben);
    assert!(matches!(expired.notices[..], [Notice::Expired { .. }]));
    say(&mut fay, &mut log, "four");
    log.show(&mut ben);
    assert_eq!(last_row(&ben).notices, []);
    ben.erase_expired(THEN).unwrap();
    assert!(rows(&ben).contains(&expired));
    // One more message is missing than had expired.
    say(&mut fay, &mut log, "five");
    log.entries.pop();
    say(&mut fay, &mut log, "six");
    let last = log.entries.last().unwrap().clone();
    ben.handle_entries(&[Entry { seq: Seq(last.seq.0 + 1), ..last }], THEN).unwrap();
    assert!(last_row(&ben).notices.contains(&Notice::Gap(1)));
    // Everything is old now; the client keeps only the last row, because the relay must deliver that entry again.
    ben.erase_expired(Moment::agreed(NOW.plus(31 * DAY))).unwrap();
    assert_eq!((texts(&ben), rows(&ben).len()), (Vec::<String>::new(), 1));
    assert!(!rows(&ben).contains(&expired));
}

/// The relay keeps commits longer than messages, so a member who was away longer than the retention still follows the room.
#[test]
fn commits_outlast_expired_messages() {
    let (mut log, mut fay, mut ben, _) = three(Suite::X25519);
    let away = ben.cursor().seq;
    for round in 0..3 {
        say(&mut fay, &mut log, "gone");
        let renewal = fay.renew(None, NOW.plus(round)).unwrap();
        log.take(renewal);
        log.show(&mut fay);
    }
    let floor = fay.cursor().seq;
    say(&mut fay, &mut log, "and still here");
    // The relay still has the commits and every younger entry.
    let missed = log.entries.iter().filter(|entry| entry.seq > away);
    let kept = missed.map(|entry| match &entry.content {
        EntryContent::Payload(payload) if entry.seq <= floor => {
            let content = mls_header::parse(payload).unwrap().content;
            if content == ContentType::Commit { entry.clone() } else { expired(entry.seq) }
        }
        _ => entry.clone(),
    });
    let kept: Vec<Entry> = kept.collect();
    ben.check_stream(StreamId([1; 16]), fay.cursor().seq, floor).unwrap();
    ben.handle_entries(&kept, THEN).unwrap();
    assert_eq!(ben.epoch().unwrap(), fay.epoch().unwrap());
    assert_eq!(texts(&ben), ["and still here"]);
    let alarms = rows(&ben).into_iter().flat_map(|row| row.notices).filter(Notice::is_alarm);
    assert_eq!(alarms.count(), 0);
    // On reconnecting, the relay delivers the last entry again or says that it expired.
    let last = ben.cursor().seq;
    assert!(ben.handle_entries(&[kept.last().unwrap().clone()], THEN).is_ok());
    assert!(ben.handle_entries(&[expired(last)], THEN).is_ok());
}

/// A member left behind can rejoin with a new invite and keeps their history. Waiting messages stay, and go out when the member
/// sends them.
#[test]
fn member_left_behind_rejoins() {
    let (mut log, mut fay, mut ben, mut cleo) = three(Suite::X25519);
    say(&mut fay, &mut log, "before");
    log.show(&mut ben);
    // Cleo renews her keys, and the relay delivers noise to Ben in place of the commit.
    let renewal = cleo.renew(None, NOW).unwrap();
    let seq = log.take(renewal);
    for room in [&mut fay, &mut cleo] {
        log.show(room);
    }
    let noise = EntryContent::Payload(vec![7; 40]);
    ben.handle_entries(&[Entry { seq, at: NOW, content: noise }], THEN).unwrap();
    let (store, crypto, local_name) = ben.parts();
    let knocks = |fay: &mut TestRoom, log: &mut Log| {
        let link = invite(fay, log);
        let preview = open_preview(&link, log.previews.last().unwrap()).unwrap();
        let local_name = local_name.clone();
        let joining = Joining { name: "Ben".into(), local_name, answers: Vec::new() };
        let knock = Room::knock(store, crypto, &link, &preview, joining, NOW);
        knock.map(|(room, request)| (pending(&room, &link, &request), room))
    };
    let refused = knocks(&mut fay, &mut log).err();
    assert!(matches!(refused, Some(EngineError::NotMember(_))), "{refused:?}");
    say(&mut fay, &mut log, "unreadable to Ben");
    log.show(&mut ben);
    assert!(ben.is_left_behind().unwrap());
    let id = ben.queue_text("what I meant to say".into(), NOW).unwrap();
    let encrypted = ben.next_submission().unwrap();
    assert!(encrypted.is_some(), "it was on its way, in the old group");
    let old = ben.me();
    let act = Act::Remove { member: old, goodbye: String::new() };
    let removed = fay.act(act, NOW).unwrap();
    log.take(removed);
    log.show(&mut fay);
    let (request, mut ben) = knocks(&mut fay, &mut log).unwrap();
    let knock = fay.open_knock(&request).unwrap();
    let admitted = fay.admit(&knock, NOW).unwrap();
    log.take(admitted);
    log.show(&mut fay);
    let (seq, welcome) = log.welcomes.last().unwrap();
    ben.welcomed(welcome, *seq, NOW).unwrap();
    assert_ne!(ben.me(), old);
    assert_eq!(texts(&ben), ["before"]);
    assert!(ben.next_submission().unwrap().is_none(), "not unasked");
    ben.release(&id, NOW).unwrap().unwrap();
    log.flush(&mut ben);
    log.show(&mut fay);
    assert_eq!(texts(&fay), ["before", "unreadable to Ben", "what I meant to say"]);
    assert_eq!(last_row(&fay).notices, []);
    // Ben has no record of his own removal. The gap does not break his log.
    let announced = fay.act(Act::Announce("Good to have you back.".into()), NOW).unwrap();
    log.take(announced);
    log.show(&mut ben);
    let records = ben.log().unwrap();
    assert!(records.windows(2).any(|w| w[1].number > w[0].number + 1), "{records:?}");
    assert_eq!(ben.broken_record(&records).unwrap(), None);
}

#[test]
fn nothing_follows_a_waiting_goodbye() {
    let (mut log, mut fay, mut ben, _) = three(Suite::X25519);
    ben.queue_text("before".into(), NOW).unwrap();
    ben.queue_departure(false, NOW).unwrap();
    // Ben is offline. A later message would follow his goodbye, when the relay takes nothing from him.
    let said = ben.queue_text("after".into(), NOW);
    assert!(matches!(said, Err(EngineError::NotMember(_))), "{said:?}");
    // Repeating a waiting text adds nothing.
    assert!(ben.queue_text("before".into(), NOW).is_ok());
    log.flush(&mut ben);
    log.show(&mut fay);
    assert_eq!(texts(&fay), ["before"]);
}

#[test]
fn outbox_is_bounded_and_ordered() {
    let mut log = Log::default();
    let mut fay = found("Fay", Suite::XWing);
    let mut ben = join(&mut fay, &mut log, "Ben");
    for number in 1..OUTBOX_MAX {
        ben.queue(Body::Text(number.to_string()), Vec::new(), NOW).unwrap();
    }
    let last = ben.queue_text("the last".into(), NOW).unwrap();
    let more = ben.queue_text("one more".into(), NOW);
    assert!(matches!(more, Err(EngineError::OutboxFull)), "{more:?}");
    // A text that waits already is not queued again.
    assert_eq!(ben.queue_text("the last".into(), NOW).unwrap(), last);
    // His client recognises his own entries, even in a process that did not send them.
    for number in 1..4 {
        say(&mut fay, &mut log, &format!("Fay's {number}"));
        let submission = ben.next_submission().unwrap().unwrap();
        log.take(submission);
        if number == 2 {
            let (store, crypto, name) = ben.parts();
            ben = Room::open(store, crypto, &name).unwrap();
        }
        log.show(&mut ben);
        log.show(&mut fay);
    }
    let said = ["Fay's 1", "1", "Fay's 2", "2", "Fay's 3", "3"];
    assert_eq!(texts(&ben), said);
    assert_eq!(texts(&fay), said);
    let waiting = ben.waiting_texts().unwrap();
    assert_eq!((waiting.len(), waiting[0].2.as_str()), (OUTBOX_MAX - 3, "4"));
    ben.queue_text("one more".into(), NOW).unwrap();
}
