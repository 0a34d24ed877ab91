//! Commits and proposals of a foreign member that the rules forbid: no effect, the culprit is named, the room goes on.

use ed25519_dalek::SigningKey;
use hearth_engine::{
    agreement::{AckError, Acknowledgement},
    gate::{LeafError, Refusal},
    policy::{Act, RoleEntry, RoomPolicy, RuleError},
    state::Notice,
};
use hearth_protocol::{Role, codec};
use mls_rs::{
    CipherSuite, Extension, ExtensionList, MlsMessage, ProtocolVersion, psk::ExternalPskId,
    time::MlsTime,
};

use super::{
    member::{Foreign, POLICY, PSK, Setup, acknowledging, identity},
    stage::{BEN, CLEO, FAY, Stage, removal},
};

fn refused(refusal: impl Into<Refusal>) -> Notice {
    Notice::RefusedCommit(refusal.into().to_string())
}

/// The group context as it is, with another policy.
fn context(fox: &mut Foreign, policy: &RoomPolicy) -> ExtensionList {
    let mut extensions = fox.group().context().extensions.clone();
    extensions.set(Extension::new(POLICY, codec::encode(policy)));
    extensions
}

/// Leaf of an honest client.
pub(crate) fn leaf_of(stage: &mut Stage, who: usize) -> u32 {
    let key = stage.people[who].me();
    let members = stage.fox.group().roster().members();
    let found =
        members.iter().find(|m| m.signing_identity.signature_key.as_bytes() == key.as_bytes());
    found.unwrap().index
}

/// Somebody outside, with a key package that has a good acknowledgement of the room.
fn ghost(stage: &Stage) -> (Foreign, Vec<u8>) {
    ghost_with(stage, Setup::default().lifetime)
}

/// The same with a lifetime of its own.
fn ghost_with(stage: &Stage, lifetime: (u64, u64)) -> (Foreign, Vec<u8>) {
    let setup = Setup { name: "Gus", seed: 78, lifetime, ..Setup::default() };
    let mut ghost = Foreign::new(&setup);
    let room = &stage.people[FAY];
    let mine = room.acknowledgement().unwrap();
    let agreement = room.agreement(&mine.agreement).unwrap().unwrap();
    let terms = hearth_engine::agreement::AckTerms {
        room: room.id(),
        agreement: &agreement,
        facilitators: mine.facilitators,
        now: super::stage::NOW,
        nonce: [8; 16],
        answers: Vec::new(),
        breach: None,
    };
    let acknowledgement = Acknowledgement::sign(&ghost.key, terms).to_bytes();
    let package = ghost.key_package(&acknowledgement);
    ghost.acknowledgement = Some(Acknowledgement::parse(&acknowledgement).unwrap());
    (ghost, package)
}

/// A bare KeyPackage as an MLSMessage.
fn message(package: &[u8]) -> MlsMessage {
    MlsMessage::from_bytes(&[&[0, 1, 0, 5][..], package].concat()).unwrap()
}

#[test]
fn nobody_promotes_themselves() {
    let mut stage = Stage::new();
    let (fox, by_rule) = (stage.fox.member(), refused(RuleError::NotFacilitator));
    let policy = stage.people[FAY].policy().unwrap();
    // The list of roles edited in place; the same with a record of one's own; the same in the facilitator's name.
    let mut edited = policy.clone();
    edited.roles.push(RoleEntry { member: fox, role: Role::Facilitator });
    let act = Act::SetRole { member: fox, role: Role::Facilitator };
    let mut recorded = edited.clone();
    recorded.record = policy.record_for(fox, super::stage::NOW, act.clone());
    let mut signed_for = edited.clone();
    signed_for.record = policy.record_for(stage.people[FAY].me(), super::stage::NOW, act);
    for forged in [edited, recorded, signed_for] {
        let context = context(&mut stage.fox, &forged);
        let commit = stage.fox.forges(|b| b.set_group_context_ext(context)).unwrap();
        stage.refuses(commit, &by_rule);
    }
    // No policy at all.
    let mut bare = stage.fox.group().context().extensions.clone();
    bare.remove(POLICY);
    let commit = stage.fox.forges(|b| b.set_group_context_ext(bare)).unwrap();
    stage.refuses(commit, &refused(hearth_engine::gate::PolicyError));
}

#[test]
fn nobody_adds_or_removes_without_the_right() {
    let mut stage = Stage::new();
    let (_, package) = ghost(&stage);
    let ben = leaf_of(&mut stage, BEN);
    let add = message(&package);
    let commit = stage.fox.forges(|b| b.add_member(add)).unwrap();
    stage.refuses(commit, &refused(Refusal::Unrecorded));
    let commit = stage.fox.forges(|b| b.remove_member(ben)).unwrap();
    stage.refuses(commit, &refused(Refusal::Unrecorded));
    // With a record that says so.
    let mut policy = stage.people[FAY].policy().unwrap();
    let act = removal(stage.people[BEN].me());
    policy.record = policy.record_for(stage.fox.member(), super::stage::NOW, act);
    let context = context(&mut stage.fox, &policy);
    let plan = stage.fox.forges(|b| b.remove_member(ben)?.set_group_context_ext(context));
    stage.refuses(plan.unwrap(), &refused(RuleError::NotFacilitator));
}

/// OpenMLS refuses what is over or still to come by the reader's clock, the gate what is good now: all say the same of it.
#[test]
fn a1_other_lifetimes_are_refused_alike() {
    let mut stage = Stage::new();
    let now = MlsTime::now().seconds_since_epoch();
    let day = 24 * 3600;
    let lifetimes = [
        (now - 90 * day, now - 6 * day),
        (now + day, now + 85 * day),
        (now - day, now + 83 * day),
        (0, now + 83 * day),
    ];
    for (from, to) in lifetimes {
        let (_, package) = ghost_with(&stage, (from, to));
        let add = message(&package);
        let made = stage.fox.forges(|b| Ok(b.add_member(add)?.commit_time(from.into())));
        stage.refuses(made.unwrap(), &refused(LeafError::Lifetime));
    }
}

fn not_acknowledged(why: AckError) -> Refusal {
    Refusal::Rule(RuleError::NotAcknowledged(why))
}

#[test]
fn a_self_update_keeps_the_acknowledgement() {
    let mut stage = Stage::new();
    let mine = stage.fox.acknowledgement.clone().unwrap();
    let mut damaged = mine.clone();
    damaged.nonce = [0; 16];
    let cleos = stage.people[CLEO].acknowledgement().unwrap();
    let cases: [(ExtensionList, Refusal); 4] = [
        (ExtensionList::new(), LeafError::Acknowledgement.into()),
        (acknowledging(b"yes"), LeafError::Acknowledgement.into()),
        (acknowledging(&damaged.to_bytes()), not_acknowledged(AckError::BadSignature)),
        (acknowledging(&cleos.to_bytes()), not_acknowledged(AckError::OtherMember)),
    ];
    for (leaf, refusal) in cases {
        let commit = stage.fox.forges(|b| Ok(b.set_leaf_node_extensions(leaf))).unwrap();
        stage.refuses(commit, &refused(refusal));
    }
    let mut more = acknowledging(&mine.to_bytes());
    more.set(Extension::new(POLICY, vec![1]));
    let commit = stage.fox.forges(|b| Ok(b.set_leaf_node_extensions(more))).unwrap();
    stage.refuses(commit, &refused(LeafError::Extensions));
}

#[test]
fn a_self_update_keeps_name_and_key() {
    let mut stage = Stage::new();
    let (mine, other) = (stage.fox.key.clone(), SigningKey::from_bytes(&[79; 32]));
    for (name, key) in [("Vix", &mine), ("Fox", &other), ("Fay", &mine)] {
        let (signer, identity) = (key.to_keypair_bytes().to_vec().into(), identity(name, key));
        let commit = stage.fox.forges(|b| Ok(b.set_new_signing_identity(signer, identity)));
        stage.refuses(commit.unwrap(), &refused(Refusal::OwnLeafChanged));
    }
}

#[test]
fn pre_shared_keys_and_a_new_start_are_refused() {
    let mut stage = Stage::new();
    let psk = ExternalPskId::new(PSK.to_vec());
    let commit = stage.fox.forges(|b| b.add_external_psk(psk)).unwrap();
    stage.refuses(commit, &refused(Refusal::Unusable));
    let again = stage.fox.forges(|b| {
        let suite = CipherSuite::CURVE25519_CHACHA;
        b.reinit(None, ProtocolVersion::MLS_10, suite, ExtensionList::new())
    });
    stage.refuses(again.unwrap(), &refused(Refusal::ForeignProposal));
}

#[test]
fn bare_proposals_are_refused_by_relay_and_members() {
    let mut stage = Stage::new();
    let (_, package) = ghost(&stage);
    let (ben, policy) = (leaf_of(&mut stage, BEN), stage.people[FAY].policy().unwrap());
    let context = context(&mut stage.fox, &policy);
    let (add, psk) = (message(&package), ExternalPskId::new(PSK.to_vec()));
    let proposals = [
        stage.fox.proposes(|g| g.propose_update(Vec::new())),
        stage.fox.proposes(|g| g.propose_remove(ben, Vec::new())),
        stage.fox.proposes(|g| g.propose_add(add, Vec::new())),
        stage.fox.proposes(|g| g.propose_group_context_extensions(context, Vec::new())),
        stage.fox.proposes(|g| g.propose_external_psk(psk, Vec::new())),
    ];
    for proposal in &proposals {
        assert!(!stage.relay_takes(proposal));
        stage.append(proposal.clone());
        stage.show();
        for who in [FAY, CLEO, BEN] {
            let row = stage.last(who);
            assert_eq!(row.notices, [refused(Refusal::ForeignProposal)]);
            assert_eq!(row.from, Some(stage.fox.member()));
        }
    }
    stage.fox_skips();
    stage.goes_on();
}

#[test]
fn nobody_comes_in_from_outside() {
    let mut stage = Stage::new();
    // For these, mls-rs adds the lifetime to the time of its clock, which overflows where there is no end.
    let (ghost, _) = ghost_with(&stage, (0, 84 * 24 * 3600));
    // Fox gives away all that an external commit needs (RFC 9420 section 12.4.3.2).
    let info = stage.fox.group().group_info_message_allowing_ext_commit(true).unwrap();
    let acknowledgement = ghost.acknowledgement.as_ref().unwrap().to_bytes();
    let leaf = acknowledging(&acknowledgement);
    let builder = ghost.client.external_commit_builder().unwrap();
    let (_, commit) = builder.with_leaf_node_extensions(leaf.clone()).build(info.clone()).unwrap();
    let empty = ExtensionList::new;
    let proposal =
        ghost.client.external_add_proposal(&info, None, Vec::new(), empty(), leaf, None).unwrap();
    for message in [commit, proposal, info] {
        let payload = message.to_bytes().unwrap();
        assert!(!stage.relay_takes(&payload));
        stage.cannot_read(payload);
    }
}

#[test]
fn handshakes_in_the_clear_are_refused() {
    let mut stage = Stage::with(&Setup { encrypted: false, ..Setup::default() });
    let commit = stage.fox.forges(|b| b.remove_member(0)).unwrap();
    let proposal = stage.fox.proposes(|g| g.propose_update(Vec::new()));
    // Without a membership tag, or with part of one, too (GHSA-8x3w-qj7j-gqhf).
    for bytes in [0, 16] {
        stage.fox.meddler.orders().tag_bytes = Some(bytes);
        let short = stage.fox.proposes(|g| g.propose_update(Vec::new()));
        stage.fox.meddler.orders().tag_bytes = None;
        assert!(!stage.relay_takes(&short));
        stage.cannot_read(short);
    }
    for payload in [commit, proposal] {
        assert!(!stage.relay_takes(&payload));
        stage.cannot_read(payload);
    }
}

#[test]
fn a_confirmation_tag_is_whole_or_refused() {
    let mut stage = Stage::new();
    for bytes in [0, 1, 16, 31] {
        stage.fox.meddler.orders().tag_bytes = Some(bytes);
        let commit = stage.fox.forges(|b| Ok(b.commit_time(MlsTime::now())));
        stage.fox.meddler.orders().tag_bytes = None;
        // The tag is not signed, so nobody is named.
        stage.cannot_read(commit.unwrap());
    }
}
