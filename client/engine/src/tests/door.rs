//! Admission refuses key packages and leaves that no room can use.

use hearth_protocol::Digest;

use super::{
    acknowledged::{knock_with, not_acknowledged},
    world::*,
    *,
};
use crate::{
    EngineError,
    agreement::AckError,
    gate::{LeafError, Refusal},
    mls::{
        self, MlsError,
        modified::{
            Context, Forgery, PackageForgery, forged_package, with_init_key, with_leaf_key,
        },
    },
    policy::{Act, RuleError},
};

#[test]
fn flipped_bit_breaks_key_package() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 61);
    let whole = ghost.package.clone();
    let fay = &mut world.rooms[FAY];
    let (provider, group) = fay.group().unwrap();
    assert!(group.read_key_package(&provider, &whole).is_ok());
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(group.read_key_package(&provider, &damaged).is_err(), "bit {bit}");
    }
    for length in 0..whole.len() {
        assert!(group.read_key_package(&provider, &whole[..length]).is_err());
    }
    // And if the owner of the leaf signs over a damaged acknowledgement.
    let bytes = ghost.acknowledgement.to_bytes();
    let room = world.rooms[FAY].id();
    for bit in (0..bytes.len() * 8).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let forgery =
            PackageForgery { acknowledgement: Some(&damaged), ..PackageForgery::default() };
        let package = forged_package(&ghost.provider(), Suite::X25519, ghost.identity(), &forgery);
        let policy = world.rooms[FAY].policy().unwrap();
        let (provider, group) = world.rooms[FAY].group().unwrap();
        let judged = group.read_key_package(&provider, &package).is_ok_and(|leaf| {
            policy.judge_acknowledgement(&room, &leaf.member, &leaf.acknowledgement).is_ok()
        });
        assert!(!judged, "bit {bit}");
    }
}

#[test]
fn unfit_key_packages_are_refused() {
    let mut world = World::new();
    let bad_package = |result: &Result<_, EngineError>| {
        matches!(result, Err(EngineError::Mls(MlsError::BadKeyPackage)))
    };
    let ghost = Ghost::new(&world, 68);
    let other_suite = mls::key_package(&ghost.provider(), Suite::XWing, ghost.identity()).unwrap();
    assert!(bad_package(&knock_with(&mut world, &ghost, other_suite)));
    // The relay swaps in its own package, with another key or name than the one that knocked.
    let other = Ghost::new(&world, 69);
    let swapped = knock_with(&mut world, &ghost, other.package.clone());
    assert!(matches!(swapped, Err(EngineError::BadKnock(_))));
    let renamed = Ghost::with(ghost.key.clone(), ghost.acknowledgement.clone(), "Tom");
    let swapped = knock_with(&mut world, &ghost, renamed.package);
    assert!(matches!(swapped, Err(EngineError::BadKnock(_))));
    // It lacks what the room requires of every leaf: OpenMLS makes no commit with it.
    let forgery = PackageForgery { fewer_capabilities: true, ..PackageForgery::default() };
    let package = forged_package(&ghost.provider(), Suite::X25519, ghost.identity(), &forgery);
    if let Ok(knock) = knock_with(&mut world, &ghost, package) {
        assert!(world.rooms[FAY].admit(&knock, NOW).is_err());
    }
    world.goes_on();
}

#[test]
fn low_order_init_key_is_refused() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 70);
    let mut one = [0; 32];
    one[0] = 1;
    for point in [&[0; 32][..], &one, &[9; 31], &[9; 33], &[]] {
        let package = with_init_key(&ghost.package, point, &ghost.key);
        let refused = knock_with(&mut world, &ghost, package);
        assert!(matches!(refused, Err(EngineError::Mls(MlsError::BadKeyPackage))), "{point:?}");
        world.goes_on();
    }
    // The forgery itself is sound: any other point passes.
    let package = with_init_key(&ghost.package, &[9; 32], &ghost.key);
    assert!(knock_with(&mut world, &ghost, package).is_ok());
}

/// All points of low order on the curve and its twist (RFC 7748 section 6.1), by their value modulo the prime.
#[test]
fn low_order_leaf_key_is_refused() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 73);
    let hex = |digits: &str| -> [u8; 32] {
        data_encoding::HEXLOWER.decode(digits.as_bytes()).unwrap().try_into().unwrap()
    };
    let mut points = vec![[0; 32]];
    points[0][0] = 1;
    points.push([0; 32]);
    for digits in [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    ] {
        points.push(hex(digits));
    }
    for point in points {
        let package = with_leaf_key(&ghost.package, &point, &ghost.key);
        let refused = knock_with(&mut world, &ghost, package);
        let refusal = Refusal::BadLeaf(LeafError::EncryptionKey);
        assert!(matches!(refused, Err(EngineError::Refused(by)) if by == refusal), "{point:?}");
    }
    for key in [&[9; 31][..], &[9; 33], &[9; 1216]] {
        let package = with_leaf_key(&ghost.package, key, &ghost.key);
        let refused = knock_with(&mut world, &ghost, package);
        let refusal = Refusal::BadLeaf(LeafError::EncryptionKey);
        assert!(matches!(refused, Err(EngineError::Refused(by)) if by == refusal), "{}", key.len());
    }
    // The forgery itself is sound: any other point passes, and the room works with its owner.
    let package = with_leaf_key(&ghost.package, &[9; 32], &ghost.key);
    let knock = knock_with(&mut world, &ghost, package).unwrap();
    let submission = world.rooms[FAY].admit(&knock, NOW).unwrap();
    world.log.take(submission);
    world.show();
    world.goes_on();
}

#[test]
fn countersignature_must_be_admitting_facilitators() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 71);
    let leaf = ghost.leaf();
    let by_cleo = admission(&world.rooms[CLEO], &leaf, Role::Member);
    let mut other = leaf.clone();
    other.acknowledgement.nonce = [0; 16];
    let Act::Admit { countersignature, .. } = admission(&world.rooms[FAY], &other, Role::Member)
    else {
        panic!("an admission")
    };
    let digest = leaf.acknowledgement.digest();
    let of_another = Act::Admit {
        member: leaf.member,
        acknowledgement: digest,
        countersignature,
        role: Role::Member,
        back: false,
    };
    let mut wrong_digest = by_cleo.clone();
    if let Act::Admit { acknowledgement, .. } = &mut wrong_digest {
        *acknowledgement = Digest([1; 32]);
    }
    let cases = [
        (by_cleo, rule(RuleError::BadSignature)),
        (of_another, rule(RuleError::BadSignature)),
        (wrong_digest, not_acknowledged(AckError::OtherMember)),
    ];
    for (act, refusal) in cases {
        let record = world.record(FAY, act);
        let policy = world.after(&record, Some(&leaf));
        let (adds, context) = (vec![ghost.package.as_slice()], Context::Policy(&policy));
        let forged = world.forge(FAY, &Forgery { adds, context, ..Forgery::default() }).commit;
        world.refuses(FAY, forged, &refusal);
    }
}

#[test]
fn locked_room_admits_nobody() {
    let mut world = World::new();
    world.act(FAY, Act::Lock(true));
    let mut ghost = Ghost::new(&world, 72);
    world.keeps_out(CLEO, &mut ghost, &rule(RuleError::Locked));
}
