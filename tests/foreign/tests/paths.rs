//! Commits of a foreign member that look right to most and serve somebody badly: the encrypted path and its keys.

use hearth_engine::{
    gate::{LeafError, Refusal},
    state::{Notice, RowContent},
};

use super::stage::{BEN, CLEO, FAY, Stage, removal};

fn refused(refusal: &Refusal) -> Notice {
    Notice::RefusedCommit(refusal.to_string())
}

/// Fox renews with a path that one recipient cannot open (RFC 9420 section 16.12).
fn spoils_the_path(stage: &mut Stage, recipient: usize) -> Vec<u8> {
    let mut orders = stage.fox.meddler.orders();
    (orders.path, orders.paths) = (Some(recipient), 0);
    drop(orders);
    let commit = stage.fox.renews();
    let mut orders = stage.fox.meddler.orders();
    assert!(orders.paths > recipient, "the path has that many recipients");
    orders.path = None;
    commit
}

#[test]
fn a_path_that_one_cannot_open_is_told_with_its_maker_and_one_command_ends_it() {
    let mut stage = Stage::new();
    let fox = stage.fox.member();
    stage.goes_on();
    // Ben sits beside Fox in the tree, and is the first that a path is encrypted to.
    let commit = spoils_the_path(&mut stage, 0);
    stage.submit(commit);
    stage.show();
    for who in [FAY, CLEO] {
        let row = stage.last(who);
        assert_eq!((row.content, row.notices), (RowContent::Renewal, vec![]), "at {who}");
    }
    let row = stage.last(BEN);
    assert_eq!(row.notices, [refused(&Refusal::Unusable)]);
    assert_eq!((row.from, row.content), (Some(fox), RowContent::Nothing));
    // His client gives nothing back, and says that the others went on.
    stage.say(CLEO, "still here");
    assert!(!stage.people[BEN].saw_epoch_used_up().unwrap());
    // One command, and the culprit is out; nothing of it comes from the relay but the order of entries.
    stage.act(FAY, removal(fox));
    stage.say(FAY, "and on we go");
    assert_eq!(stage.texts(CLEO).last().unwrap().1, "and on we go");
    // Ben reads none of it. He comes back the way that everybody came in.
    assert!(stage.texts(BEN).iter().all(|(_, text)| text != "and on we go"));
    let ben = stage.people[BEN].me();
    stage.act(FAY, removal(ben));
    stage.people.truncate(BEN);
    stage.admit_native("Ben");
    stage.say(BEN, "back again");
    for who in [FAY, CLEO] {
        assert_eq!(stage.texts(who).last(), Some(&("Ben".to_owned(), "back again".to_owned())));
    }
    let codes = [FAY, CLEO, BEN].map(|who| stage.people[who].safety_code().unwrap());
    assert!(codes.iter().all(|code| *code == codes[0]));
}

#[test]
fn a_renewal_with_a_key_of_low_order_is_refused() {
    let mut stage = Stage::new();
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one] {
        stage.fox.meddler.orders().public_key = Some(point);
        let commit = stage.fox.forges(|b| Ok(b.commit_time(mls_rs::time::MlsTime::now())));
        stage.fox.meddler.orders().public_key = None;
        let refusal = Refusal::BadLeaf(LeafError::EncryptionKey);
        stage.refuses(commit.unwrap(), &refused(&refusal));
    }
}

/// What every member would have to store, and what would then stop everybody from sending, is not stored.
#[test]
fn a_storm_of_proposals_leaves_nothing_behind() {
    let mut stage = Stage::new();
    let proposals: Vec<Vec<u8>> =
        (0..500).map(|_| stage.fox.proposes(|g| g.propose_update(Vec::new()))).collect();
    for proposal in proposals {
        assert!(!stage.relay_takes(&proposal), "an honest relay takes none");
        stage.append(proposal);
    }
    stage.show();
    for who in [FAY, CLEO, BEN] {
        let row = stage.last(who);
        assert_eq!(row.notices, [refused(&Refusal::ForeignProposal)]);
        assert_eq!(row.from, Some(stage.fox.member()));
    }
    stage.fox_skips();
    stage.goes_on();
}
