//! MLS lets a member or a stranger do these things; rooms refuse them (RFC 9420 sections 12.1 and 12.4).

use super::{world::*, *};
use crate::{
    EngineError,
    gate::Refusal,
    mls::modified::{Bare, Context, Foreign, Forgery, OwnLeaf, external_commit, store_psk},
    policy::Act,
    state::Notice,
};

#[test]
fn bare_proposals_are_never_stored() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 90);
    let (fay, ben) = (world.key(FAY), world.key(BEN));
    let policy = world.policy();
    let bare = [
        Bare::Add(&ghost.package),
        Bare::Remove(ben),
        Bare::Remove(fay),
        Bare::Update,
        Bare::Context(&policy),
        Bare::Psk,
        Bare::Leave,
    ];
    for proposal in bare {
        let payload = world.propose(MAL, &proposal);
        let (provider, group) = world.rooms[MAL].group().unwrap();
        group.forget_proposals(&provider);
        world.refuses(MAL, payload, &Refusal::ForeignProposal);
    }
    // SelfRemove (RFC 9420 extensions) goes in the clear only.
    let payload = world.propose(MAL, &Bare::SelfRemove);
    let (provider, group) = world.rooms[MAL].group().unwrap();
    group.forget_proposals(&provider);
    world.cannot_read(MAL, payload);
    // Sending is not blocked: no proposal waits to be committed.
    world.say(BEN, "Still here.");
    assert_eq!(texts(&world.rooms[FAY]), ["Still here."]);
}

#[test]
fn proposals_by_reference_are_refused() {
    let ghost_of = |world: &World| Ghost::new(world, 91);
    for which in 0..4 {
        let mut world = World::new();
        let ghost = ghost_of(&world);
        let ben = world.key(BEN);
        let policy = world.policy();
        let proposal = match which {
            0 => Bare::Add(&ghost.package),
            1 => Bare::Remove(ben),
            2 => Bare::Context(&policy),
            _ => Bare::Psk,
        };
        let payload = world.propose(MAL, &proposal);
        let forgery = Forgery { by_reference: true, ..Forgery::default() };
        let committed = world.forge(MAL, &forgery);
        let (provider, group) = world.rooms[MAL].group().unwrap();
        group.forget_proposals(&provider);
        // The relay helps and delivers both to every member, in order.
        world.log.append(payload);
        world.show();
        world.refuses(MAL, committed.commit, &Refusal::Unusable);
    }
}

/// The relay takes a marked entry for a departure or a retraction.
#[test]
fn commit_with_authenticated_data_is_refused() {
    let mut world = World::new();
    for aad in [&mls_header::MARK[..], b"more"] {
        let forgery = Forgery { aad, ..Forgery::default() };
        let committed = world.forge(MAL, &forgery);
        world.refuses(MAL, committed.commit, &Refusal::Unusable);
    }
}

#[test]
fn commit_without_path_is_refused() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 92);
    for who in [FAY, MAL] {
        let adds = vec![ghost.package.as_slice()];
        let forgery = Forgery { adds, leaf: OwnLeaf::NoPath, ..Forgery::default() };
        let committed = world.forge(who, &forgery);
        world.refuses(who, committed.commit, &Refusal::NoPath);
    }
}

#[test]
fn pre_shared_keys_are_refused() {
    let mut world = World::new();
    let forgery = || Forgery { foreign: Some(Foreign::Psk), ..Forgery::default() };
    let unknown = world.forge(MAL, &forgery()).commit;
    world.refuses(MAL, unknown, &Refusal::Unusable);
    // Even if every member knows the key.
    for room in &mut world.rooms {
        store_psk(&room.provider());
    }
    let known = world.forge(MAL, &forgery()).commit;
    world.refuses(MAL, known, &Refusal::ForeignProposal);
    let record = world.record(FAY, Act::Rekey);
    let policy = world.after(&record, None);
    let context = Context::Policy(&policy);
    let known = world.forge(FAY, &Forgery { context, ..forgery() }).commit;
    world.refuses(FAY, known, &Refusal::ForeignProposal);
}

#[test]
fn members_external_init_is_refused() {
    let mut world = World::new();
    let forgery = Forgery { foreign: Some(Foreign::ExternalInit), ..Forgery::default() };
    if let Ok(committed) = try_forge(&mut world.rooms[MAL], &forgery) {
        world.refuses(MAL, committed.commit, &Refusal::Unusable);
    }
    world.goes_on();
}

#[test]
fn an_external_commit_is_refused() {
    let mut world = World::new();
    let mut ghost = Ghost::new(&world, 93);
    // Mal gives away everything that an external commit needs.
    let key = world.rooms[MAL].signing_key();
    let (provider, group) = world.rooms[MAL].group().unwrap();
    let info = group.group_info(&provider, &key);
    let (inside, commit) =
        external_commit(&ghost.provider(), ghost.identity(), Suite::X25519, &info);
    ghost.group = Some(inside);
    world.nobody_reads(commit);
    world.nobody_reads(info);
    for round in 0..5 {
        world.say(BEN, &format!("words {round}"));
    }
    assert_eq!(ghost.reads(&world.log), 0);
}

#[test]
fn handshakes_in_the_clear_are_refused() {
    let mut world = World::new();
    let plain = world.forge(MAL, &Forgery { in_clear: true, ..Forgery::default() }).commit;
    world.cannot_read(MAL, plain);
    let record = world.record(FAY, Act::Lock(true));
    let policy = world.after(&record, None);
    let context = Context::Policy(&policy);
    let plain = world.forge(FAY, &Forgery { in_clear: true, context, ..Forgery::default() });
    world.cannot_read(FAY, plain.commit);
    // These are not group messages at all.
    let ghost = Ghost::new(&world, 94);
    let welcome = world.log.welcomes[0].1.clone();
    for payload in [ghost.package, welcome, Vec::new()] {
        world.nobody_reads(payload);
    }
}

#[test]
fn leaf_without_required_capabilities_is_refused() {
    let mut world = World::new();
    let forgery = Forgery { leaf: OwnLeaf::FewerCapabilities, ..Forgery::default() };
    assert!(try_forge(&mut world.rooms[MAL], &forgery).is_err(), "OpenMLS makes no such commit");
    world.goes_on();
}

/// Of two commits for one epoch, every member takes the first valid one.
#[test]
fn first_valid_commit_of_epoch_wins() {
    let mut world = World::new();
    let refused = world.forged_act(MAL, Act::Lock(true));
    let first = world.forge(MAL, &Forgery::default()).commit;
    let second = world.rooms[BEN].renew(None, NOW).unwrap();
    // The refused commit comes first and uses up the epoch at the relay, but wins nothing.
    world.log.append(refused);
    world.log.append(first);
    world.log.take(second);
    let epoch = world.rooms[FAY].epoch().unwrap();
    for who in [FAY, CLEO, BEN] {
        world.log.show(&mut world.rooms[who]);
        assert_eq!(world.rooms[who].epoch().unwrap().0, epoch.0 + 1);
    }
    let code = world.rooms[FAY].safety_code().unwrap();
    assert_eq!(world.rooms[CLEO].safety_code().unwrap(), code);
    assert_eq!(world.rooms[BEN].safety_code().unwrap(), code);
    assert!(world.rooms[BEN].outgoing().unwrap().is_empty(), "the loser is given up");
}

#[test]
fn commits_of_other_epochs_are_unreadable() {
    let mut world = World::new();
    let stale = world.forge(FAY, &Forgery::default()).commit;
    world.goes_on();
    world.comes_too_late(Some(FAY), stale.clone());
    // A client that has seen it once learns nothing new.
    world.cannot_read(FAY, stale.clone());
    // From the future: a client that cannot decrypt cannot authenticate the epoch in the header.
    let mut future = stale;
    let epoch_at = 2 + 2 + 1 + 16;
    future[epoch_at..epoch_at + 8].copy_from_slice(&u64::MAX.to_be_bytes());
    world.cannot_read(FAY, future);
}

#[test]
fn messages_of_another_room_are_unreadable() {
    let mut world = World::new();
    let mut other = World::new();
    other.say(FAY, "elsewhere");
    for entry in other.log.entries.clone() {
        if let EntryContent::Payload(payload) = entry.content {
            world.log.append(payload);
        }
    }
    world.show();
    world.goes_on();
    assert!(texts(&world.rooms[BEN]).is_empty());
    // Relabelled for this room and epoch.
    let foreign = payload(&other.log, Seq(other.log.entries.len() as u64));
    let mut relabelled = foreign;
    relabelled[5..21].copy_from_slice(world.rooms[FAY].id().as_bytes());
    let epoch = world.rooms[FAY].epoch().unwrap().0;
    relabelled[21..29].copy_from_slice(&epoch.to_be_bytes());
    world.nobody_reads(relabelled);
}

#[test]
fn altered_own_message_is_not_mine() {
    let mut world = World::new();
    world.rooms[BEN].queue_text("as I wrote it".into(), NOW).unwrap();
    let sent = world.rooms[BEN].next_submission().unwrap().unwrap();
    let mut altered = sent.payload.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    world.log.append(altered);
    world.log.show(&mut world.rooms[BEN]);
    let row = last_row(&world.rooms[BEN]);
    assert_eq!(row.content, RowContent::Nothing);
    let told = [Notice::NotMine, Notice::Unreadable];
    assert!(row.notices.iter().all(|n| told.contains(n)) && row.notices.len() == 1);
    assert!(world.rooms[BEN].is_waiting(sent.number).unwrap(), "it still waits");
    world.log.flush(&mut world.rooms[BEN]);
    world.show();
    assert_eq!(texts(&world.rooms[FAY]), ["as I wrote it"]);
}

/// A small seeded generator, so that a failure can be repeated (SplitMix64, Steele and others 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    /// Damages some bytes: flips, cuts, repeats, or writes large lengths.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(3) {
            if damaged.is_empty() {
                damaged.push(0);
            }
            let at = self.below(damaged.len());
            match self.below(6) {
                0 => damaged[at] ^= 1 << self.below(8),
                1 => damaged[at] = [0x00, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xff][self.below(7)],
                2 => damaged.truncate(at),
                3 => damaged.extend_from_within(at..),
                4 => {
                    damaged.remove(at);
                }
                _ => damaged.insert(at, self.next().to_le_bytes()[0]),
            }
        }
        damaged
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let seed = 20_260_101;
    let mut random = Random(seed);
    let mut world = World::new();
    let ghost = Ghost::new(&world, 95);
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    world.show();
    let (mut dan, request) = knock(Profile::new(), &link, &world.log, "Dan");
    let knocked = pending(&dan, &link, &request);
    let preview = world.log.previews.last().unwrap().clone();
    let commit = world.forge(MAL, &Forgery::default()).commit;
    let plain = world.forge(MAL, &Forgery { in_clear: true, ..Forgery::default() }).commit;
    let bare = world.propose(MAL, &Bare::Update);
    world.rooms[FAY].queue_text("words".into(), NOW).unwrap();
    let message = world.rooms[FAY].next_submission().unwrap().unwrap().payload;
    let welcome = world.log.welcomes[0].1.clone();
    let mut ben = world.rooms.remove(BEN);
    let before = ben.epoch().unwrap();
    let payloads = [commit, plain, bare, message, ghost.package.clone(), welcome.clone()];
    for round in 0..400 {
        let first = ben.cursor().seq.0 + 1;
        let damaged: Vec<Vec<u8>> = payloads.iter().map(|p| random.damage(p)).collect();
        let damaged = damaged.into_iter().filter(|d| !payloads.contains(d));
        let entries: Vec<Entry> = (first..)
            .zip(damaged)
            .map(|(seq, d)| Entry { seq: Seq(seq), at: NOW, content: EntryContent::Payload(d) })
            .collect();
        ben.handle_entries(&entries, THEN).unwrap();
        assert_eq!(ben.epoch().unwrap(), before, "seed {seed}, round {round}");
    }
    assert!(texts(&ben).is_empty());
    for _ in 0..500 {
        let damaged = random.damage(&welcome);
        let refused = dan.welcomed(&damaged, Seq(5), NOW);
        assert!(refused.is_err(), "it is for another");
        let damaged = random.damage(&ghost.package);
        let (provider, group) = world.rooms[FAY].group().unwrap();
        assert!(group.read_key_package(&provider, &damaged).is_err() || damaged == ghost.package);
        let mut damaged = knocked.clone();
        damaged.body = random.damage(&knocked.body);
        let opened = world.rooms[FAY].open_knock(&damaged);
        assert!(opened.is_err() || damaged.body == knocked.body);
        let damaged = random.damage(&preview);
        let opened = open_preview(&link, &damaged);
        assert!(matches!(opened, Err(EngineError::BadPreview)) || damaged == preview);
    }
}
