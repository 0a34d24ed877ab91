//! What another implementation may do differently under `docs/protocol.md`, and what a later version may send.

use hearth_protocol::{Digest, StreamId, codec, limits::MARKED_BYTES_MAX, padding};

use super::{
    acknowledged::knock_with,
    messages::{envelope, posts, posts_marked, text},
    world::*,
    *,
};
use crate::{
    EngineError,
    agreement::Departure,
    companion::{Companion, NoteKey},
    content::{Body, Envelope, Seen, Window},
    gate::{LeafError, Refusal},
    mls::{
        hpke,
        modified::{Forgery, OwnLeaf, PackageForgery, forged_package, with_leaf_key},
    },
    note::TimeOut,
    policy::{Act, RuleError},
    state::{Notice, OutgoingKind, Standing},
};

/// Bytes of the `ciphertext` field of a PrivateMessage (RFC 9420 section 6.3), which follows the encrypted sender data.
fn ciphertext_bytes(payload: &[u8]) -> usize {
    let vector = |at: usize| match payload[at] {
        short @ 0..=0x3f => (at + 1, usize::from(short)),
        long @ 0x40..=0x7f => {
            (at + 2, usize::from(long & 0x3f) * 256 + usize::from(payload[at + 1]))
        }
        huge => {
            let bytes = [huge & 0x3f, payload[at + 1], payload[at + 2], payload[at + 3]];
            (at + 4, usize::try_from(u32::from_be_bytes(bytes)).unwrap())
        }
    };
    // Version, wire format, group id, epoch, content type.
    let (at, data) = vector(mls_header::CONTENT_TYPE_AT + 1);
    let (at, sender) = vector(at + data);
    let (at, ciphertext) = vector(at + sender);
    assert_eq!(at + ciphertext, payload.len());
    ciphertext
}

/// An envelope with the longest windows and numbers.
fn fullest(body: Body) -> Envelope {
    let window = Window { since: Seq(u64::MAX - 9), hash: Digest([5; 32]) };
    let seen = Seen { seq: Seq(u64::MAX), digest: Digest([6; 32]), windows: vec![window; 5] };
    Envelope {
        counter: u64::MAX,
        seen: Some(seen),
        sent_at: Millis(u64::MAX),
        ..envelope(1, 1, body)
    }
}

/// Entries under a mark fit the relay's limit for them.
#[test]
fn ciphertexts_are_multiples_of_256_bytes() {
    for suite in [Suite::X25519, Suite::XWing] {
        let mut world = World::of(suite);
        let ben = world.rooms[BEN].signing_key();
        let digest = ack_of(&world.rooms[BEN]).digest();
        let departure =
            Departure::sign(&ben, world.rooms[BEN].id(), digest, true, Millis(u64::MAX));
        let retraction =
            Body::Retract { message: MessageId([7; 16]), seq: Seq(u64::MAX), edits: None };
        for body in [retraction, Body::Depart { departure }] {
            let payload = posts(&mut world.rooms[BEN], &fullest(body));
            assert_eq!(ciphertext_bytes(&payload) % 256, 0);
            assert!(payload.len() <= MARKED_BYTES_MAX, "{suite:?}: {}", payload.len());
        }
        for words in ["a".to_owned(), "b".repeat(700), "c".repeat(16_384)] {
            let payload = posts(&mut world.rooms[BEN], &fullest(Body::Text(words)));
            assert_eq!(ciphertext_bytes(&payload) % 256, 0);
        }
        let renewal = world.rooms[CLEO].renew(None, NOW).unwrap();
        assert_eq!(ciphertext_bytes(&renewal.payload) % 256, 0);
        let act = world.rooms[FAY].act(Act::Announce("d".repeat(1_000)), NOW).unwrap();
        assert_eq!(ciphertext_bytes(&act.payload) % 256, 0);
    }
}

#[test]
fn reordered_leaf_extensions_are_refused() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 60);
    let forgery = PackageForgery { other_order: true, ..PackageForgery::default() };
    let package = forged_package(&ghost.provider(), Suite::X25519, ghost.identity(), &forgery);
    let refused = knock_with(&mut world, &ghost, package);
    let refusal = Refusal::BadLeaf(LeafError::Extensions);
    assert!(matches!(refused, Err(EngineError::Refused(by)) if by == refusal));
    let leaf = OwnLeaf::OtherOrder;
    let forged = world.forge(MAL, &Forgery { leaf, ..Forgery::default() }).commit;
    world.refuses(MAL, forged, &refusal);
}

#[test]
fn only_five_windows_are_compared() {
    let mut world = World::new();
    let at = world.rooms[BEN].cursor().seq;
    let digest = last_row(&world.rooms[BEN]).digest;
    let mut hears = |counter: u8, windows: Vec<Window>| {
        let seen = Some(Seen { seq: at, digest, windows });
        let message = Envelope { seen, ..text(counter, counter.into(), "hm") };
        let payload = posts(&mut world.rooms[MAL], &message);
        world.log.append(payload);
        world.show();
        last_row(&world.rooms[BEN]).notices
    };
    let unknown = Window { since: Seq(0), hash: Digest([1; 32]) };
    let wrong = Window { since: Seq(at.0 - 1), hash: Digest([1; 32]) };
    assert_eq!(hears(1, [vec![unknown; 5], vec![wrong]].concat()), []);
    assert_eq!(hears(2, [vec![unknown; 4], vec![wrong; 2]].concat()), [Notice::Fork(at)]);
}

#[test]
fn expired_entries_are_the_overlap() {
    let mut world = World::new();
    let at = world.rooms[BEN].cursor().seq;
    let ben = &mut world.rooms[BEN];
    // The relay said that nothing had expired; the entry expired after that.
    ben.check_stream(StreamId([1; 16]), at, Seq(0)).unwrap();
    ben.handle_entries(&[expired(at)], THEN).unwrap();
    assert_eq!(ben.cursor().seq, at);
    ben.handle_entries(&[expired(Seq(at.0 + 3))], THEN).unwrap();
    assert_eq!(ben.cursor().seq, Seq(at.0 + 3));
    assert_eq!(last_row(ben).notices, [Notice::Expired { from: Seq(at.0 + 1) }]);
    // Another entry at that place is another history.
    let other = Entry { seq: at, at: NOW, content: EntryContent::Tombstone(Digest([1; 32])) };
    let cleo = &mut world.rooms[CLEO];
    let refused = cleo.handle_entries(&[other], THEN).unwrap_err();
    assert!(matches!(refused, EngineError::HistoryBackwards(seq) if seq == at));
}

/// An envelope of this format with a body of any number, or of another format.
fn later(format: u8, body: u8, id: u8, counter: u8) -> Vec<u8> {
    let head = [&[0x87, format, 0x50][..], &[id; 16], &[0x18, counter, 0xf6, 0x05]].concat();
    [&head[..], &[0x82, 0x18, body, 0x81, 0x63], b"new", &[0x50], &[3; 16]].concat()
}

/// Messages of later versions count, too.
#[test]
fn later_versions_are_told_once_each() {
    let mut world = World::new();
    let mut counter = 0;
    let mut posts_later = |world: &mut World, format, body, marked| {
        counter += 1;
        let content = later(format, body, counter, counter);
        let padded = if marked { padding::pad_marked(&content) } else { padding::pad(&content) };
        let payload = posts_marked(&mut world.rooms[MAL], &padded.unwrap(), marked);
        world.log.append(payload);
        world.show();
        let row = last_row(&world.rooms[BEN]);
        assert_eq!((row.notices, row.name.as_str()), (vec![], "Mal"), "{format} {body}");
        row.content
    };
    for (format, body) in [(2, 90), (2, 99), (3, 90), (4, 0), (1, 0)] {
        assert_eq!(posts_later(&mut world, format, body, false), RowContent::Unknown);
        for marked in [true, false] {
            assert_eq!(posts_later(&mut world, format, body, marked), RowContent::Nothing);
        }
    }
    // A newer client may mark what it likes.
    assert_eq!(posts_later(&mut world, 2, 77, true), RowContent::Unknown);
    // Unknown formats count as one kind, because their bodies cannot be read.
    assert_eq!(posts_later(&mut world, 3, 88, false), RowContent::Nothing);
    let known = text(200, u64::from(counter) + 1, "known");
    let payload = posts(&mut world.rooms[MAL], &known);
    world.log.append(payload.clone());
    world.show();
    assert_eq!(last_row(&world.rooms[BEN]).notices, []);
    assert_eq!(texts(&world.rooms[BEN]), ["known"]);
    // The same id in a later format is the same message.
    let again =
        posts_marked(&mut world.rooms[MAL], &padding::pad(&later(5, 0, 200, 9)).unwrap(), false);
    world.log.append(again);
    world.show();
    assert_eq!(last_row(&world.rooms[BEN]).notices, [Notice::Duplicate]);
    world.goes_on();
}

#[test]
fn later_messages_vouch_and_count() {
    let mut world = World::new();
    let at = world.rooms[BEN].cursor().seq;
    let post = |world: &mut World, content: &[u8]| {
        let payload = posts_marked(&mut world.rooms[MAL], &padding::pad(content).unwrap(), false);
        world.log.append(payload);
        world.show();
        last_row(&world.rooms[BEN]).notices
    };
    // One message is missing before it, and its sender saw another log.
    let seen = Seen { seq: at, digest: Digest([9; 32]), windows: Vec::new() };
    let whole = codec::encode(&Envelope { seen: Some(seen), ..text(7, 2, "x") });
    let body = whole.windows(5).position(|w| w == [0x82, 0, 0x81, 0x61, b'x']).unwrap();
    let mut newer = whole;
    newer[body + 1] = 14;
    assert_eq!(post(&mut world, &newer), [Notice::Gap(1), Notice::Fork(at)]);
    assert_eq!(post(&mut world, &later(3, 30, 8, 2)), [Notice::CounterReused]);
    assert_eq!(post(&mut world, &later(3, 30, 9, 3)), []);
    // The client reports kinds up to a bound and counts the rest.
    for n in 0..40 {
        assert_eq!(post(&mut world, &later(2, 100 + n, 10 + n, 4 + n)), []);
    }
    let told = rows(&world.rooms[BEN]);
    let told = told.iter().filter(|row| row.content == RowContent::Unknown).count();
    assert_eq!(told, 32);
}

/// The message is still counted.
#[test]
fn text_under_mark_is_never_shown() {
    let mut world = World::new();
    let retraction = Body::Retract { message: MessageId([9; 16]), seq: Seq(1), edits: None };
    for (counter, body, marked) in
        [(1, Body::Text("disguised".into()), true), (2, retraction, false)]
    {
        let content = codec::encode(&envelope(counter, counter.into(), body));
        let padded = if marked { padding::pad_marked(&content) } else { padding::pad(&content) };
        let payload = posts_marked(&mut world.rooms[MAL], &padded.unwrap(), marked);
        world.log.append(payload);
        world.show();
        let row = last_row(&world.rooms[BEN]);
        assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Mark]));
        assert_eq!(row.name, "Mal");
    }
    let payload = posts(&mut world.rooms[MAL], &text(3, 3, "by the rules"));
    world.log.append(payload);
    world.show();
    assert_eq!(last_row(&world.rooms[BEN]).notices, []);
}

/// Verifies every signature of the appendix of `docs/protocol.md` through the provider that OpenMLS calls.
#[test]
fn mls_signatures_are_checked_strictly() {
    use openmls_traits::{crypto::OpenMlsCrypto as _, types::SignatureScheme};
    const PROTOCOL: &str = include_str!("../../../../docs/protocol.md");
    let crypto = Crypto::default();
    let mut lines = PROTOCOL.lines().peekable();
    let mut verified = Vec::new();
    while let Some(line) = lines.next() {
        let Some(verdict) = line.strip_prefix("signature that ") else { continue };
        let mut hex = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with("  ")) {
            hex.push_str(more.trim());
        }
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        let (key, signature) = bytes.split_at(32);
        let verify = |scheme, signature: &[u8]| {
            crypto.verify_signature(scheme, &[0x77; 32], key, signature).is_ok()
        };
        let good = verify(SignatureScheme::ED25519, signature);
        assert_eq!(good, verdict.starts_with("verifies"), "{line}");
        assert!(!verify(SignatureScheme::ED25519, &signature[..63]));
        assert!(!verify(SignatureScheme::ECDSA_SECP256R1_SHA256, signature));
        verified.push(good);
    }
    assert_eq!(verified.iter().filter(|good| **good).count(), 2);
    assert_eq!(verified.len(), 9);
}

/// Mal renews his leaf with another note key than his client has, or with none.
fn renews_note_key(world: &mut World, note: Option<NoteKey>) {
    let companion = Companion { note, ..world.rooms[MAL].companion().unwrap() };
    let leaf = OwnLeaf::Companion(&companion);
    let commit = world.forge(MAL, &Forgery { leaf, ..Forgery::default() }).commit;
    world.log.append(commit);
    // Mal's own client has forgotten the commit and falls behind.
    let mal = world.rooms.pop().unwrap();
    world.show();
    assert!(last_row(&world.rooms[BEN]).notices.is_empty());
    drop(mal);
}

/// Returns the sizes of the waiting notes, and checks that all of them go out.
fn sealed_notes(room: &mut TestRoom, log: &mut Log) -> Vec<Vec<usize>> {
    let waiting = room.outgoing().unwrap().into_iter().filter_map(|(_, o)| match o.what {
        OutgoingKind::Message { body: Body::Sealed { notes }, .. } => {
            Some(notes.iter().map(|note| note.len()).collect())
        }
        _ => None,
    });
    let sizes = waiting.collect();
    log.flush(room);
    assert!(room.outgoing().unwrap().is_empty());
    sizes
}

/// Bytes of one short sealed note in an X-Wing room.
const XWING_NOTE: usize = 16 + 4 + 1120 + 1024 + 16;

#[test]
fn notes_are_sealed_with_x_wing() {
    let mut world = World::of(Suite::XWing);
    let until = NOW.plus(60_000);
    let mal = world.key(MAL);
    let time_out = world.rooms[FAY].queue_time_out(mal, until, "Rest.".into(), NOW).unwrap();
    let sizes = sealed_notes(&mut world.rooms[FAY], &mut world.log);
    assert_eq!(sizes, [[XWING_NOTE; 2]], "one for Mal, one for Cleo");
    let submission = world.rooms[FAY].time_out(&time_out, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let mine = RowContent::MyTimeout { until, note: "Rest.".into() };
    assert_eq!(last_row(&world.rooms[MAL]).content, mine);
    for who in [FAY, CLEO] {
        assert_eq!(world.rooms[who].recorded_time_out(&mal).unwrap(), Some(until));
    }
    assert_eq!(world.rooms[BEN].recorded_time_out(&mal).unwrap(), None);
    // The answer to a knock.
    let link = invite(&mut world.rooms[FAY], &mut world.log);
    world.show();
    let (mut dan, request) = knock(Profile::new(), &link, &world.log, "Dan");
    let pending = pending(&dan, &link, &request);
    let opened = world.rooms[CLEO].open_knock(&pending).unwrap();
    let effect = world.rooms[CLEO].decline(&opened, "Not this week.".into(), NOW).unwrap();
    let Effect::Decline { member, note } = effect else { panic!("it declines") };
    assert_eq!((member, note.len()), (dan.me(), XWING_NOTE));
    dan.declined(&note).unwrap();
    let by = Some(world.key(CLEO));
    let told = Standing::Declined { words: "Not this week.".into(), by };
    assert_eq!(dan.state().standing, told);
}

#[test]
fn time_outs_need_no_note_key() {
    for note in [None, Some(NoteKey { number: 2, key: vec![9; 32] })] {
        let mut world = World::new();
        let (mal, has_key) = (world.key(MAL), note.is_some());
        renews_note_key(&mut world, note);
        let until = NOW.plus(60_000);
        let time_out = world.rooms[FAY].queue_time_out(mal, until, String::new(), NOW).unwrap();
        let sizes = sealed_notes(&mut world.rooms[FAY], &mut world.log);
        assert_eq!(sizes[0].len(), if has_key { 2 } else { 1 });
        let submission = world.rooms[FAY].time_out(&time_out, NOW).unwrap();
        world.log.take(submission);
        world.show();
        assert_eq!(last_row(&world.rooms[BEN]).notices, []);
        assert_eq!(world.rooms[CLEO].recorded_time_out(&mal).unwrap(), Some(until));
        assert_eq!(world.rooms[BEN].recorded_time_out(&mal).unwrap(), None);
    }
}

#[test]
fn unusable_keys_are_refused_in_leaves() {
    let mut world = World::of(Suite::XWing);
    let low = [vec![9; 1184], vec![0; 32]].concat();
    // Its last coefficient is the modulus, so it parses but cannot be encrypted to.
    let unreduced = [vec![9; 1150], vec![0x10, 0xd0], vec![9; 64]].concat();
    for key in [low, unreduced.clone(), vec![9; 32], vec![9; 1217], Vec::new()] {
        let note = Some(NoteKey { number: 2, key });
        let companion = Companion { note, ..world.rooms[MAL].companion().unwrap() };
        let leaf = OwnLeaf::Companion(&companion);
        let forged = world.forge(MAL, &Forgery { leaf, ..Forgery::default() }).commit;
        world.refuses(MAL, forged, &Refusal::BadLeaf(LeafError::Companion));
    }
    // As a leaf's own key it would stop every member beside it in the tree from committing.
    let ghost = Ghost::new(&world, 63);
    let package =
        crate::mls::key_package(&ghost.provider(), Suite::XWing, ghost.identity()).unwrap();
    for key in [&unreduced[..], &unreduced[..1215], &[9; 32]] {
        let package = with_leaf_key(&package, key, &ghost.key);
        let refused = knock_with(&mut world, &ghost, package);
        let refusal = Refusal::BadLeaf(LeafError::EncryptionKey);
        assert!(matches!(refused, Err(EngineError::Refused(by)) if by == refusal), "{}", key.len());
    }
    let package = with_leaf_key(&package, &[9; 1216], &ghost.key);
    let knock = knock_with(&mut world, &ghost, package).unwrap();
    let submission = world.rooms[FAY].admit(&knock, NOW).unwrap();
    world.log.take(submission);
    world.show();
    world.goes_on();
}

#[test]
fn long_notes_are_divided_among_messages() {
    let mut world = World::of(Suite::XWing);
    for name in ["Dan", "Eve", "Gus"] {
        let mut fay = world.rooms.remove(FAY);
        let member = join(&mut fay, &mut world.log, name);
        world.rooms.insert(FAY, fay);
        world.rooms.push(member);
        world.show();
        let member = world.rooms.last().unwrap().me();
        world.act(FAY, Act::SetRole { member, role: Role::CoFacilitator });
    }
    let mal = world.key(MAL);
    let words = "\u{1f525}".repeat(1_000);
    let time_out =
        world.rooms[FAY].queue_time_out(mal, NOW.plus(60_000), words.clone(), NOW).unwrap();
    let sizes = sealed_notes(&mut world.rooms[FAY], &mut world.log);
    let long = 16 + 4 + 1120 + 16_384 + 16;
    assert_eq!(sizes, [vec![long; 3], vec![long; 2]]);
    let submission = world.rooms[FAY].time_out(&time_out, NOW).unwrap();
    world.log.take(submission);
    world.show();
    let TimeOut { until, .. } = time_out;
    let mine = RowContent::MyTimeout { until, note: words };
    assert_eq!(last_row(&world.rooms[MAL]).content, mine);
}

#[test]
fn declining_needs_no_reply_key() {
    let mut world = World::new();
    let ghost = Ghost::new(&world, 62);
    let package = ghost.package.clone();
    let knock = knock_with(&mut world, &ghost, package).unwrap();
    for key in [vec![0; 32], vec![9; 31], vec![9; 1216], Vec::new()] {
        let knock = knock.clone().with_reply_key(key);
        let effect = world.rooms[FAY].decline(&knock, "No.".into(), NOW).unwrap();
        assert_eq!(effect, Effect::Decline { member: ghost.member(), note: Vec::new() });
    }
    let effect = world.rooms[FAY].decline_unread(ghost.member()).unwrap();
    assert_eq!(effect, Effect::Decline { member: ghost.member(), note: Vec::new() });
    // The client refuses a note that is too long before the relay could.
    let long = "\u{1f525}".repeat(1_000);
    let refused = world.rooms[FAY].decline(&knock, long, NOW);
    assert!(matches!(refused, Err(EngineError::Rule(RuleError::TooLong))));
    let submission = world.rooms[FAY].admit(&knock, NOW).unwrap();
    world.log.take(submission);
    world.show();
    world.goes_on();
}

#[test]
fn notes_need_a_usable_key() {
    let crypto = clock(0);
    let (_, key) = hpke::key_pair(&crypto, Suite::X25519, &[3; 32]).unwrap();
    let seals = |to: &[u8]| hpke::seal(&crypto, Suite::X25519, to, b"", b"", b"note").is_some();
    assert!(seals(&key));
    // Every secret with the point at infinity is the same; and a key of another length is of another suite.
    assert!(!seals(&[0; 32]) && !seals(&key[1..]));
}
