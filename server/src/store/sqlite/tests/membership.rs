//! Membership in the relay's roster: removals, reopened epochs, notices of knocks.

use hearth_protocol::Role;

use super::*;

/// After a restored backup, or a `Remove` with a commit that every member refused, the roster has no row for a leaf.
#[test]
fn absent_row_does_not_stop_removal() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (founder, ben) = (bench.founder.clone(), bench.admit(1));
    let removal = |id, epoch, member| commit(id, epoch, vec![Effect::Remove { member }]);
    bench.submit(&founder, removal(20, 1, *ben.member())).unwrap();
    // The row is already gone; the store still accepts the commit that removes the leaf.
    bench.submit(&founder, removal(21, 2, *ben.member())).unwrap();
    bench.submit(&founder, removal(22, 3, MemberKey([77; 32]))).unwrap();
    assert_eq!(bench.count("members"), 2);
    // Also an agreement that comes into force with it.
    let agreement = Commitment([44; 32]);
    let effects =
        vec![Effect::Remove { member: MemberKey([78; 32]) }, Effect::SetAgreement { agreement }];
    bench.submit(&founder, commit(23, 4, effects)).unwrap();
}

/// Ordinary members carry out only departures, and learn nothing about other rows.
#[test]
fn member_removes_nobody_without_row() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (ben, cleo) = (bench.admit(1), bench.admit_in(1, 2, b"another welcome"));
    for member in [*cleo.member(), MemberKey([77; 32])] {
        let refused = bench.submit(&ben, commit(20, 2, vec![Effect::Remove { member }]));
        assert_eq!(refusal(refused), RejectCode::NotFacilitator);
    }
}

#[test]
fn co_facilitator_cannot_reopen_an_epoch() {
    let mut bench = Bench::new(RoomNumbers::default());
    let (founder, cleo) = (bench.founder.clone(), bench.admit(1));
    let (member, role) = (*cleo.member(), Role::CoFacilitator);
    bench.submit(&founder, commit(20, 1, vec![Effect::SetRole { member, role }])).unwrap();
    let back = |id, epoch| Submission {
        effects: vec![Effect::Reopen { epoch: Epoch(epoch) }],
        payload: vec![],
        ..say(id, b"")
    };
    for (id, epoch) in [(21, 1), (22, 3)] {
        let refused = bench.submit(&cleo, back(id, epoch));
        assert_eq!(refusal(refused), RejectCode::NotFacilitator);
    }
    bench.submit(&founder, back(23, 1)).unwrap();
    // An epoch ahead, with the commit of that epoch.
    let restores = commit(24, 2, vec![Effect::Reopen { epoch: Epoch(2) }]);
    bench.submit(&founder, restores).unwrap();
    bench.submit(&founder, say(25, b"on we go").of_epoch(3)).unwrap();
}

/// With one invite and a fresh key for each knock, moderators are notified once in ten minutes.
#[test]
fn knock_after_withdrawn_one_is_quiet() {
    let mut bench = Bench::new(RoomNumbers::default());
    let token = bench.invite(99, Millis::NEVER);
    let mut knocks = |number, at| {
        let (proof, knock, _) = knocker(number, &token);
        bench
            .run(|batch| {
                admission::knock(batch, Millis(at), &proof, knock.clone())?;
                let told = batch.published.iter().any(|published| published.knocked);
                admission::cancel(batch, &proof)?;
                Ok(told)
            })
            .unwrap()
    };
    let told: Vec<bool> = (1..=5).map(|number| knocks(number, START + 1)).collect();
    assert_eq!(told, [true, false, false, false, false]);
    assert!(knocks(6, START + 1 + 10 * 60_000), "ten minutes later it is told again");
    // A pending knock does not silence others with the same invite.
    let token = Secret32::new([9; 32]);
    bench.add_invite(7, &token, 9, Millis::NEVER).unwrap();
    for number in [11, 12] {
        let (proof, knock, _) = knocker(number, &token);
        let told = bench
            .run(|batch| {
                admission::knock(batch, Millis(START), &proof, knock.clone())?;
                Ok(batch.published.iter().any(|published| published.knocked))
            })
            .unwrap();
        assert!(told);
    }
}
