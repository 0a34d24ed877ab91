//! The joiner's gate: false Welcomes are refused, and the key package survives them.

use ed25519_dalek::SigningKey;
use hearth_protocol::MemberKey;

use super::{world::*, *};
use crate::{
    EngineError,
    agreement::AckError,
    gate::{Expected, PolicyError, Refusal},
    mls::{
        CommitPlan, Group,
        modified::{Context, Forgery},
    },
    policy::{Act, Leaf, RoleEntry, RoomPolicy, RuleError},
    state::Standing,
};

/// Dan has knocked and waits; the relay and its accomplices know his key package.
struct Waiting {
    world: World,
    dan: TestRoom,
    leaf: Leaf,
    package: Vec<u8>,
    link: Invite,
    pending: PendingKnock,
}

impl Waiting {
    fn new() -> Self {
        let mut world = World::new();
        let link = invite(&mut world.rooms[FAY], &mut world.log);
        world.show();
        let (dan, request) = knock(Profile::new(), &link, &world.log, "Dan");
        let pending = pending(&dan, &link, &request);
        let body = hearth_protocol::seal::open(
            &hearth_protocol::invite::knock_key(&link.secret),
            hearth_protocol::seal::Purpose::Knock,
            &link.room,
            &request.body,
        );
        let body: crate::state::KnockBody = hearth_protocol::codec::decode(&body.unwrap()).unwrap();
        let leaf = Leaf {
            member: dan.me(),
            name: "Dan".into(),
            acknowledgement: ack_of(&dan),
            companion: dan.companion().unwrap(),
        };
        Self { world, dan, leaf, package: body.key_package, link, pending }
    }

    /// Returns a Welcome into a group that the maker invented.
    fn look_alike(&self, maker: &Ghost, room: RoomId, policy: &RoomPolicy) -> Vec<u8> {
        let provider = maker.provider();
        let founded = Group::found(&provider, Suite::X25519, room, maker.identity(), policy);
        let mut group = founded.ok().unwrap();
        let plan =
            CommitPlan { add: Some(&self.package), policy: Some(policy), ..CommitPlan::default() };
        let committed = group.commit_unchecked(&provider, maker.identity(), &plan).ok().unwrap();
        committed.welcome.unwrap()
    }

    /// Dan refuses a Welcome, which leaves his key package usable.
    fn refuses(&mut self, welcome: &[u8], refusal: &Refusal) {
        let refused = self.dan.welcomed(welcome, Seq(5), NOW).unwrap_err();
        assert!(matches!(&refused, EngineError::Refused(why) if why == refusal), "{refused}");
        self.still_waits();
    }

    fn still_waits(&mut self) {
        assert_eq!(self.dan.state.standing, Standing::Knocking);
        assert!(self.dan.policy().is_err());
        assert!(rows(&self.dan).is_empty());
    }

    fn gets_in(mut self) {
        let opened = self.world.rooms[FAY].open_knock(&self.pending).unwrap();
        let submission = self.world.rooms[FAY].admit(&opened, NOW).unwrap();
        self.world.log.take(submission);
        self.world.show();
        let (seq, welcome) = self.world.log.welcomes.last().unwrap().clone();
        self.dan.welcomed(&welcome, seq, NOW).unwrap();
        self.world.rooms.push(self.dan);
        self.world.goes_on();
        self.world.say(FAY, "Hello, Dan.");
        assert_eq!(texts(&self.world.rooms[4]), ["Hello, Dan."]);
        assert_eq!(self.link.room, self.world.rooms[4].id());
    }
}

/// The room's own policy, copied for a false group, optionally with the maker in charge.
fn copied_policy(waiting: &mut Waiting, maker: &Ghost, in_charge: bool) -> RoomPolicy {
    let mut policy = waiting.world.policy();
    if in_charge {
        policy.roles.push(RoleEntry { member: maker.member(), role: Role::Facilitator });
    }
    let digest = waiting.leaf.acknowledgement.digest();
    let transcript = crate::agreement::countersign_transcript(&waiting.dan.id(), &digest, NOW);
    let act = Act::Admit {
        member: waiting.leaf.member,
        acknowledgement: digest,
        countersignature: hearth_protocol::handshake::sign(&maker.key, &transcript),
        role: Role::Member,
        back: false,
    };
    policy.record = policy.record_for(maker.member(), NOW, act);
    policy
}

/// An accomplice of the relay with the facilitator's name.
fn impostor(world: &World) -> Ghost {
    let ghost = Ghost::new(world, 80);
    Ghost::with(ghost.key, ghost.acknowledgement, "Fay")
}

#[test]
fn welcome_by_unpinned_key_is_refused() {
    let mut waiting = Waiting::new();
    let room = waiting.dan.id();
    for in_charge in [true, false] {
        let maker = impostor(&waiting.world);
        let policy = copied_policy(&mut waiting, &maker, in_charge);
        let welcome = waiting.look_alike(&maker, room, &policy);
        waiting.refuses(&welcome, &Refusal::ForeignWelcome);
    }
    waiting.gets_in();
}

#[test]
fn plain_member_cannot_welcome() {
    let mut waiting = Waiting::new();
    let (leaf, package) = (waiting.leaf.clone(), waiting.package.clone());
    let act = admission(&waiting.world.rooms[MAL], &leaf, Role::Member);
    let record = waiting.world.record(MAL, act);
    let policy = waiting.world.after(&record, Some(&leaf));
    let (adds, context) = (vec![package.as_slice()], Context::Policy(&policy));
    let forgery = Forgery { adds, context, ..Forgery::default() };
    let committed = waiting.world.forge(MAL, &forgery);
    waiting.refuses(&committed.welcome.unwrap(), &Refusal::ForeignWelcome);
    let refusal = rule(RuleError::NotFacilitator);
    waiting.world.refuses(MAL, committed.commit, &refusal);
    waiting.gets_in();
}

/// A pinned facilitator who merely sits in the tree lends a Welcome no trust.
#[test]
fn pinned_leaf_in_fork_earns_nothing() {
    // The fork trap: Mal welcomes Dan into a copy of the room that contains Fay's true leaf.
    let mut waiting = Waiting::new();
    let package = waiting.package.clone();
    let maker = waiting.world.key(MAL);
    let mut policy = waiting.world.policy();
    policy.roles.push(RoleEntry { member: maker, role: Role::Facilitator });
    let leaf = waiting.leaf.clone();
    let act = admission(&waiting.world.rooms[MAL], &leaf, Role::Member);
    policy.record = policy.record_for(maker, NOW, act);
    let (adds, context) = (vec![package.as_slice()], Context::Policy(&policy));
    let forgery = Forgery { adds, context, ..Forgery::default() };
    let committed = waiting.world.forge(MAL, &forgery);
    waiting.refuses(&committed.welcome.unwrap(), &Refusal::ForeignWelcome);
    waiting.gets_in();
}

#[test]
fn pinned_ex_facilitator_cannot_welcome() {
    let mut waiting = Waiting::new();
    // Cleo is in the preview that Dan saw, and was demoted to member since.
    let member = waiting.world.key(CLEO);
    waiting.world.act(FAY, Act::SetRole { member, role: Role::Member });
    let (leaf, package) = (waiting.leaf.clone(), waiting.package.clone());
    let act = admission(&waiting.world.rooms[CLEO], &leaf, Role::Member);
    let record = waiting.world.record(CLEO, act);
    let policy = waiting.world.after(&record, Some(&leaf));
    let (adds, context) = (vec![package.as_slice()], Context::Policy(&policy));
    let forgery = Forgery { adds, context, ..Forgery::default() };
    let committed = waiting.world.forge(CLEO, &forgery);
    waiting.refuses(&committed.welcome.unwrap(), &Refusal::ForeignWelcome);
    waiting.gets_in();
}

#[test]
fn welcome_for_another_room_is_refused() {
    let mut waiting = Waiting::new();
    let fay = &waiting.world.rooms[FAY];
    let maker = Ghost::with(fay.signing_key(), ack_of(fay), "Fay");
    let policy = copied_policy(&mut waiting, &maker, false);
    let welcome = waiting.look_alike(&maker, RoomId([1; 16]), &policy);
    waiting.refuses(&welcome, &Refusal::OtherRoom);
    waiting.gets_in();
}

#[test]
fn welcome_without_own_acknowledgement_is_refused() {
    let mut waiting = Waiting::new();
    let (leaf, package) = (waiting.leaf.clone(), waiting.package.clone());
    let mut other = leaf.clone();
    other.acknowledgement.nonce = [0; 16];
    let cleo = waiting.world.key(CLEO);
    let acts = [
        // Added beside another act.
        (FAY, Act::Announce("Hello.".into())),
        // Admitted with another acknowledgement than Dan signed.
        (FAY, admission(&waiting.world.rooms[FAY], &other, Role::Member)),
        // Another newcomer is admitted.
        (
            FAY,
            admission(
                &waiting.world.rooms[FAY],
                &Ghost::new(&waiting.world, 81).leaf(),
                Role::Member,
            ),
        ),
    ];
    for (who, act) in acts {
        let record = waiting.world.record(who, act);
        let policy = RoomPolicy { record, ..waiting.world.policy() };
        let (adds, context) = (vec![package.as_slice()], Context::Policy(&policy));
        let forgery = Forgery { adds, context, ..Forgery::default() };
        let committed = waiting.world.forge(who, &forgery);
        waiting.refuses(&committed.welcome.unwrap(), &Refusal::OwnAcknowledgementMissing);
    }
    // The actor of the record did not sign the Welcome.
    let mut record =
        waiting.world.record(FAY, admission(&waiting.world.rooms[FAY], &leaf, Role::Member));
    record.actor = cleo;
    let policy = RoomPolicy { record, ..waiting.world.policy() };
    let (adds, context) = (vec![package.as_slice()], Context::Policy(&policy));
    let forgery = Forgery { adds, context, ..Forgery::default() };
    let committed = waiting.world.forge(FAY, &forgery);
    waiting.refuses(&committed.welcome.unwrap(), &Refusal::OwnAcknowledgementMissing);
    waiting.gets_in();
}

#[test]
fn welcome_with_unacknowledged_member_is_refused() {
    let mut waiting = Waiting::new();
    let agreement = current(&waiting.world.rooms[FAY]);
    let elsewhere = Ghost::acknowledging(RoomId([1; 16]), &agreement, 82, NOW);
    let elsewhere = Ghost::with(elsewhere.key, elsewhere.acknowledgement, "Tom");
    let (leaf, package) = (waiting.leaf.clone(), waiting.package.clone());
    let act = admission(&waiting.world.rooms[FAY], &leaf, Role::Member);
    let record = waiting.world.record(FAY, act);
    let policy = waiting.world.after(&record, Some(&leaf));
    let adds = vec![package.as_slice(), elsewhere.package.as_slice()];
    let forgery = Forgery { adds, context: Context::Policy(&policy), ..Forgery::default() };
    let committed = waiting.world.forge(FAY, &forgery);
    let refusal = rule(RuleError::NotAcknowledged(AckError::OtherRoom));
    waiting.refuses(&committed.welcome.unwrap(), &refusal);
    waiting.gets_in();
}

#[test]
fn welcome_with_other_context_is_refused() {
    let mut waiting = Waiting::new();
    let (leaf, package) = (waiting.leaf.clone(), waiting.package.clone());
    let act = admission(&waiting.world.rooms[FAY], &leaf, Role::Member);
    let record = waiting.world.record(FAY, act);
    let policy = waiting.world.after(&record, Some(&leaf));
    for context in [
        Context::OtherOrder(&policy),
        Context::OtherRequirement(&policy),
        Context::NoRequirement(&policy),
        Context::Outsider(&policy),
        Context::NoPolicy,
    ] {
        let adds = vec![package.as_slice()];
        let committed = waiting.world.forge(FAY, &Forgery { adds, context, ..Forgery::default() });
        waiting.refuses(&committed.welcome.unwrap(), &PolicyError.into());
        waiting.world.refuses(FAY, committed.commit, &PolicyError.into());
    }
    waiting.gets_in();
}

#[test]
fn welcome_works_once_for_one_newcomer() {
    let mut waiting = Waiting::new();
    // Misdelivered: a facilitator's Welcome for another newcomer.
    let ghost = Ghost::new(&waiting.world, 83);
    let for_another = waiting.world.forged_admission(FAY, &ghost).welcome.unwrap();
    let earlier = waiting.world.log.welcomes[0].1.clone();
    for welcome in [for_another, earlier, Vec::new(), vec![0; 64]] {
        let refused = waiting.dan.welcomed(&welcome, Seq(5), NOW).unwrap_err();
        assert!(matches!(refused, EngineError::BadWelcome));
        waiting.still_waits();
    }
    let opened = waiting.world.rooms[FAY].open_knock(&waiting.pending).unwrap();
    let submission = waiting.world.rooms[FAY].admit(&opened, NOW).unwrap();
    waiting.world.log.take(submission);
    waiting.world.show();
    let (seq, welcome) = waiting.world.log.welcomes.last().unwrap().clone();
    waiting.dan.welcomed(&welcome, seq, NOW).unwrap();
    waiting.world.say(FAY, "one");
    waiting.world.log.show(&mut waiting.dan);
    // The same Welcome again, later, changes nothing.
    let code = waiting.dan.safety_code().unwrap();
    assert!(waiting.dan.welcomed(&welcome, seq, NOW).is_err());
    assert_eq!(waiting.dan.safety_code().unwrap(), code);
    assert_eq!(texts(&waiting.dan), ["one"]);
    waiting.world.rooms.push(waiting.dan);
    waiting.world.goes_on();
}

/// A damaged Welcome is refused, and the true one still works.
#[test]
fn damaged_welcome_keeps_key_package() {
    let mut waiting = Waiting::new();
    let opened = waiting.world.rooms[FAY].open_knock(&waiting.pending).unwrap();
    let submission = waiting.world.rooms[FAY].admit(&opened, NOW).unwrap();
    let welcome = submission.blob.clone().unwrap().1;
    for at in (0..welcome.len()).step_by(23) {
        let mut damaged = welcome.clone();
        damaged[at] ^= 0x10;
        assert!(waiting.dan.welcomed(&damaged, Seq(5), NOW).is_err(), "byte {at}");
        assert!(waiting.dan.welcomed(&welcome[..at], Seq(5), NOW).is_err());
    }
    waiting.still_waits();
    waiting.world.log.take(submission);
    waiting.world.show();
    waiting.dan.welcomed(&welcome, Seq(5), NOW).unwrap();
}

#[test]
fn welcome_admits_no_other_newcomer() {
    let mut waiting = Waiting::new();
    let opened = waiting.world.rooms[FAY].open_knock(&waiting.pending).unwrap();
    let submission = waiting.world.rooms[FAY].admit(&opened, NOW).unwrap();
    let welcome = submission.blob.unwrap().1;
    let ghost = Ghost::new(&waiting.world, 84);
    assert!(Group::join_unchecked(&ghost.provider(), &welcome).is_none());
    let expected = Expected {
        room: waiting.dan.id(),
        facilitators: &[waiting.world.key(FAY)],
        acknowledgement: &ghost.acknowledgement,
    };
    assert!(Group::join(&ghost.provider(), &welcome, expected).is_err());
}

#[test]
fn preview_needs_the_pinned_facilitators_signature() {
    let waiting = Waiting::new();
    let sealed = waiting.world.log.previews.last().unwrap().clone();
    let link = &waiting.link;
    assert!(open_preview(link, &sealed).is_ok());
    let preview = open_preview(link, &sealed).unwrap();
    // Any holder of the link can seal another preview, but not sign it for the facilitator.
    let key = SigningKey::from_bytes(&[85; 32]);
    let mallory = MemberKey(key.verifying_key().to_bytes());
    let reseal = |preview: &crate::agreement::Preview| {
        hearth_protocol::seal::seal(
            &hearth_protocol::invite::preview_key(&link.secret),
            [2; 24],
            hearth_protocol::seal::Purpose::Preview,
            &link.room,
            &hearth_protocol::codec::encode(preview),
        )
        .unwrap()
    };
    assert!(open_preview(link, &reseal(&preview)).is_ok());
    let mut forged = preview.clone();
    forged.facilitators.push(mallory);
    assert!(open_preview(link, &reseal(&forged)).is_err());
    let mut forged = preview.clone();
    forged.agreement.text.push('!');
    assert!(open_preview(link, &reseal(&forged)).is_err());
    let mut forged = preview.clone();
    forged.title.push('!');
    assert!(open_preview(link, &reseal(&forged)).is_err());
    let mut forged = preview.clone();
    forged.name = Some("Ben".into());
    assert!(open_preview(link, &reseal(&forged)).is_err());
    let mut forged = preview.clone();
    forged.suite = Suite::XWing.number();
    assert!(open_preview(link, &reseal(&forged)).is_err());
    let forged = crate::agreement::Preview::sign(
        &key,
        &link.room,
        preview.title,
        preview.agreement,
        vec![mallory, link.facilitator],
        preview.suite,
        None,
    );
    assert!(open_preview(link, &reseal(&forged)).is_err());
}
