//! Section E: a second client, written from docs/protocol.md; and row A12, what it must seal private notes with.

use ed25519_dalek::SigningKey;
use futures_util::{SinkExt as _, StreamExt as _};
use hearth_engine::{
    Crypto, Room,
    act::InviteTerms,
    agreement::{Acknowledgement, Departure, commitment},
    clock::Moment,
    companion::{Companion, NoteKey},
    content::{Body, Envelope, Seen, Window},
    gate::{PolicyError, Refusal},
    join::{Founding, Joining, open_preview},
    mls::Suite,
    policy::Act,
    profile::Profile,
    receipt::Receipt,
    room::any_alarm,
    state::{KnockBody, Notice, RowContent, Standing},
};
use hearth_kit::{
    Circle, Person, Relay,
    load::wire::{Target, Wire},
};
use hearth_protocol::{
    ClientFrame, Digest, Effect, Entry, EntryContent, Epoch, MemberKey, MessageId, Millis,
    RejectCode, RelayId, Role, RoomId, RoomNumbers, Secret32, Seq, ServerFrame, Signature,
    StreamId, codec,
    frame::{AckTriple, PendingKnock, Standing as RelayStanding},
    handshake::{self, AuthContext},
    invite::{self, Grant, Invite, RelayAddress, Transport},
    limits::MARKED_BYTES_MAX,
    mls_header, padding,
    seal::{self, Purpose},
};
use hearth_session::{
    live::{Live, LiveError},
    network::Network,
};
use hearth_text::name::{UNICODE_VERSION, parse_name};
use mls_rs::{CipherSuite, Extension, ExtensionList, MlsMessage};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{Request, Response},
    http::HeaderValue,
};

use super::{
    member::{self, POLICY},
    stage::{BEN, CLEO, FAY, NOW, Stage, rows},
};

const PROTOCOL: &str = include_str!("../../../docs/protocol.md");

/// Returns the bytes of an example of the text.
fn example(name: &str) -> Vec<u8> {
    let lines = PROTOCOL.lines().skip_while(|line| *line != name).skip(1);
    let hex: String = lines.take_while(|line| line.starts_with("  ")).map(str::trim).collect();
    data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()
}

#[test]
fn e1_real_messages_are_in_the_text() {
    // Another library reads both: the one needs an envelope, the other has it.
    let package = example("key package in a knock");
    assert!(MlsMessage::from_bytes(&package).is_err());
    let message = MlsMessage::from_bytes(&[&[0, 1, 0, 5][..], &package].concat()).unwrap();
    assert!(message.into_key_package().is_some());
    let welcome = MlsMessage::from_bytes(&example("Welcome in a blob")).unwrap();
    assert_eq!(welcome.cipher_suite(), Some(CipherSuite::CURVE25519_CHACHA));
    assert!(welcome.wire_format() == mls_rs::WireFormat::Welcome);
}

/// Bytes of the `ciphertext` field of a PrivateMessage, which is the last of four vectors (RFC 9420 section 6.3).
fn ciphertext_bytes(payload: &[u8]) -> usize {
    let mut rest = &payload[mls_header::CONTENT_TYPE_AT + 1..];
    let mut length = 0;
    for _ in 0..3 {
        let (header, bytes) = match rest[0] {
            short @ 0..=0x3f => (1, usize::from(short)),
            long @ 0x40..=0x7f => (2, usize::from(long & 0x3f) * 256 + usize::from(rest[1])),
            _ => (4, usize::from(rest[1]) << 16 | usize::from(rest[2]) << 8 | usize::from(rest[3])),
        };
        rest = &rest[header..];
        length = bytes;
        if rest.len() > bytes {
            rest = &rest[bytes..];
        }
    }
    assert_eq!(rest.len(), length);
    length
}

#[test]
fn e2_ciphertexts_are_multiples_of_256() {
    let mut stage = Stage::new();
    let natives = stage.entries.len();
    stage.say(BEN, "words");
    stage.say(CLEO, &"long ".repeat(1_000));
    stage.act(FAY, Act::Announce("Soup first.".into()));
    stage.renew(BEN);
    let seq = stage.entries.iter().rposition(|_| true).unwrap() as u64;
    assert!(seq > natives as u64);
    let words =
        rows(&stage.people[BEN]).into_iter().find(|row| row.name == "Ben" && row.id.is_some());
    let ben = &mut stage.people[BEN];
    ben.queue_own_retraction(words.unwrap().seq, NOW).unwrap();
    let retraction = ben.next_submission().unwrap().unwrap();
    assert!(retraction.is_marked && retraction.payload.len() <= MARKED_BYTES_MAX);
    stage.submit(retraction.payload);
    stage.show();
    stage.people[BEN].queue_departure(true, NOW).unwrap();
    let departure = stage.people[BEN].next_submission().unwrap().unwrap();
    assert!(departure.payload.len() <= MARKED_BYTES_MAX);
    stage.submit(departure.payload);
    for payload in stage.payloads() {
        assert_eq!(ciphertext_bytes(&payload) % 256, 0);
    }
}

#[test]
fn e3_other_context_order_is_refused() {
    let mut stage = Stage::new();
    let role = Role::Facilitator;
    stage.act(FAY, Act::SetRole { member: stage.fox.member(), role });
    stage.show_all();
    let mut policy = stage.people[FAY].policy().unwrap();
    let act = Act::Announce("From another implementation.".into());
    policy.record = policy.record_for(stage.fox.member(), NOW, act);
    let mut context = stage.fox.group().context().extensions.clone();
    context.set(Extension::new(POLICY, codec::encode(&policy)));
    let mut reversed: Vec<Extension> = context.iter().cloned().collect();
    reversed.reverse();
    let mut other = ExtensionList::new();
    for extension in reversed {
        other.set(extension);
    }
    let forged = stage.fox.forges(|b| b.set_group_context_ext(other)).unwrap();
    let refusal = Refusal::from(PolicyError);
    stage.refuses(forged, &Notice::RefusedCommit(refusal.to_string()));
    // The same act in the order of the text is done.
    let mut policy = stage.people[FAY].policy().unwrap();
    let act = Act::Announce("From another implementation.".into());
    policy.record = policy.record_for(stage.fox.member(), NOW, act);
    context.set(Extension::new(POLICY, codec::encode(&policy)));
    let commit = stage.fox.forges(|b| b.set_group_context_ext(context)).unwrap();
    stage.submit(commit);
    stage.show();
    for who in [FAY, CLEO, BEN] {
        let row = stage.last(who);
        assert!(matches!(row.content, RowContent::Moderation { .. }), "{:?}", row.notices);
        assert_eq!(row.name, "Fox");
    }
}

#[test]
fn e4_text_names_the_unicode_data() {
    let (major, minor, patch) = UNICODE_VERSION;
    assert!(PROTOCOL.contains(&format!("Unicode {major}.{minor}.{patch}")));
    for file in ["UnicodeData", "DerivedCoreProperties", "IdentifierStatus", "confusables"] {
        assert!(PROTOCOL.contains(&format!("{file}.txt")), "{file}");
    }
    // A letter that is new in it is none, since not every Rust knows it.
    assert!(parse_name("Ana\u{11b0a}").is_err());
}

/// What Fox says next, with anything it may claim to have seen.
fn fox_says(stage: &mut Stage, seen: Option<Seen>, body: Body) -> Envelope {
    Envelope { seen, body, ..stage.fox.envelope("") }
}

#[test]
fn e5_five_windows_are_read() {
    let mut stage = Stage::new();
    stage.say(BEN, "before");
    stage.show_all();
    let row = stage.last(FAY);
    let unknown = Window { since: Seq(0), hash: Digest([1; 32]) };
    let wrong = Window { since: Seq(row.seq.0 - 1), hash: Digest([1; 32]) };
    for (windows, notices) in [
        ([vec![unknown; 5], vec![wrong]].concat(), vec![]),
        ([vec![unknown; 4], vec![wrong]].concat(), vec![Notice::Fork(row.seq)]),
    ] {
        let seen = Some(Seen { seq: row.seq, digest: row.digest, windows });
        let envelope = fox_says(&mut stage, seen, Body::Text("hm".into()));
        let payload = stage.fox.post(&envelope.to_padded().unwrap(), &[]);
        stage.submit(payload);
        stage.show();
        // Fay was there at entry 0, and can compare what the others cannot.
        assert_eq!(stage.last(BEN).notices, notices);
    }
    assert!(PROTOCOL.contains("1*5 [since: seq, hash: digest]"));
}

/// A relay that says what it is told to: to each request the next answer, and then more.
async fn scripted(listener: TcpListener, relay: RelayId, mut answers: Vec<Vec<ServerFrame>>) {
    answers.reverse();
    let (stream, _) = listener.accept().await.unwrap();
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, accept).await.unwrap();
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        let frames = match codec::decode_client(&bytes).unwrap() {
            ClientFrame::Hello { .. } => {
                let (challenge, now) = (Digest([7; 32]), NOW);
                // What later versions say is passed over, also before the answer.
                socket
                    .send(Message::Binary(
                        vec![0x82, 0x18, 99, 0x81, 0x63, b'n', b'e', b'w'].into(),
                    ))
                    .await
                    .unwrap();
                vec![ServerFrame::Hello { version: 2, relay, challenge, now }]
            }
            _ => answers.pop().unwrap(),
        };
        for frame in frames {
            socket.send(Message::Binary(codec::encode_server(&frame).into())).await.unwrap();
        }
    }
}

#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
fn accept(
    _: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    let protocol = HeaderValue::from_static("hearth.v2");
    response.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
    Ok(response)
}

fn founded(authority: String, suite: Suite) -> Room<'static> {
    let address =
        RelayAddress { authority, transport: Transport::Plain, relay: RelayId([1; 32]), pin: None };
    let grant = Grant { address, secret: Secret32::new([2; 32]) };
    let founding = Founding {
        title: "Tuesday evening".into(),
        agreement: "What is said here stays here.".into(),
        language: "en".into(),
        name: "Fay".into(),
        local_name: "room".into(),
        suite,
        numbers: RoomNumbers::default(),
        lanes: false,
    };
    let (profile, crypto) = profile();
    let mut room = Room::found(profile.store(), crypto, &grant, founding, NOW).unwrap();
    room.opened().unwrap();
    room
}

fn profile() -> (&'static Profile, &'static Crypto) {
    let dir = tempfile::tempdir().unwrap();
    let made = Profile::create(&dir.path().join("profile"), None).unwrap();
    // The database stays open; its folder need not stay.
    drop(dir);
    (Box::leak(Box::new(made)), Box::leak(Box::new(Crypto::default())))
}

/// A founder who has seen one entry, and a relay for them.
async fn seen_one(answers: impl FnOnce(RoomId) -> Vec<Vec<ServerFrame>>) -> Room<'static> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut room = founded(listener.local_addr().unwrap().to_string(), Suite::X25519);
    room.queue_text("seen".into(), NOW).unwrap();
    let sent = room.next_submission().unwrap().unwrap();
    let entry = Entry { seq: Seq(1), at: NOW, content: EntryContent::Payload(sent.payload) };
    room.handle_entries(&[entry], Moment::agreed(NOW)).unwrap();
    let (relay, answers) = (room.state().relay, answers(room.id()));
    tokio::spawn(scripted(listener, relay, answers));
    room
}

fn authenticated() -> ServerFrame {
    let standing = RelayStanding::Member { role: Role::Facilitator, joined: Seq(0), welcome: None };
    ServerFrame::Authenticated { req: 1, standing }
}

fn subscribed(head: u64) -> ServerFrame {
    let (stream, epoch) = (StreamId([9; 16]), Epoch(0));
    ServerFrame::Subscribed { req: 2, stream, floor: Seq(0), head: Seq(head), epoch }
}

#[tokio::test]
async fn e6_expired_entries_are_the_overlap() {
    for at in [1, 3] {
        let room = seen_one(|room| {
            // It expires between the answer to the subscription and the entry.
            let gone = Entry { seq: Seq(at), at: Millis(0), content: EntryContent::Expired };
            let entries = ServerFrame::Entries { room, entries: vec![gone], head: Seq(at) };
            vec![vec![authenticated()], vec![subscribed(at), entries]]
        });
        let live = Live::enter(&Network::machine(), room.await).await.unwrap();
        assert_eq!(live.room.cursor().seq, Seq(at));
    }
    // Another entry in its place is another history.
    let room = seen_one(|room| {
        let other = EntryContent::Tombstone(Digest([5; 32]));
        let other = Entry { seq: Seq(1), at: NOW, content: other };
        let entries = ServerFrame::Entries { room, entries: vec![other], head: Seq(1) };
        vec![vec![authenticated()], vec![subscribed(1), entries]]
    });
    let refused = Live::enter(&Network::machine(), room.await).await.err();
    assert!(matches!(refused, Some(LiveError::Engine(_))), "{refused:?}");
}

/// An envelope of any format, with a body of any number.
fn later(format: u8, body: u8, id: u8, counter: u8) -> Vec<u8> {
    let head = [&[0x87, format, 0x50][..], &[id; 16], &[0x18, counter, 0xf6, 0x05]].concat();
    [&head[..], &[0x82, 0x18, body, 0x81, 0x63], b"new", &[0x50], &[3; 16]].concat()
}

#[test]
fn e7_unknown_messages_count() {
    let mut stage = Stage::new();
    let mut counter = 0;
    // Twice of each kind: another body, the same marked, another format.
    for (format, body, marked) in
        [(2, 90, false), (2, 90, true), (2, 91, true), (2, 91, false), (3, 0, false), (3, 0, true)]
    {
        counter += 1;
        // Fox counts along.
        stage.fox.envelope("");
        let content = later(format, body, 0x70 + counter, counter);
        let padded = if marked { padding::pad_marked(&content) } else { padding::pad(&content) };
        let data: &[u8] = if marked { &mls_header::MARK } else { &[] };
        let payload = stage.fox.post(&padded.unwrap(), data);
        stage.submit(payload);
        stage.show();
        let told = if counter % 2 == 1 { RowContent::Unknown } else { RowContent::Nothing };
        for who in [FAY, CLEO, BEN] {
            let row = stage.last(who);
            assert_eq!((row.content, row.notices), (told.clone(), vec![]), "{format} {body}");
            assert_eq!(row.name, "Fox");
        }
    }
    let words = stage.fox.say("and now words");
    stage.submit(words);
    stage.show();
    for who in [FAY, CLEO, BEN] {
        assert_eq!(stage.last(who).notices, []);
        assert!(!any_alarm(&rows(&stage.people[who])));
    }
    stage.fox_skips();
    stage.goes_on();
}

#[tokio::test]
async fn e8_unsupported_answers_one_request() {
    let room = seen_one(|room| {
        let reject = |code| ServerFrame::Reject { req: 3, code, retry_at: None };
        let shown = Entry { seq: Seq(1), at: Millis(0), content: EntryContent::Expired };
        let entries = ServerFrame::Entries { room, entries: vec![shown], head: Seq(1) };
        vec![
            vec![authenticated()],
            vec![subscribed(1), entries],
            vec![reject(RejectCode::Unsupported)],
            vec![ServerFrame::Accepted { req: 4, seq: Seq(0), at: NOW, control: 1 }],
        ]
    });
    let mut live = Live::enter(&Network::machine(), room.await).await.unwrap();
    let refused = live.effects_only(vec![Effect::Leave]).await.unwrap_err();
    let failure = hearth_client::failure::Failure::from(refused);
    assert_eq!((&*failure.code, failure.exit), ("unsupported", 1));
    assert!(failure.advice.contains("hearthd"), "{}", failure.advice);
    live.effects_only(vec![Effect::Leave]).await.unwrap();
}

/// With the neutral point as a key this verifies over anything, unless points of small order are refused.
const ANYTHING: &str = "85b8964d746282535336334bf6af2b5141db97ca191952c33716c49f8685fc82\
                        851dc7562c2757bb8f6f6a2577a9d6aea9d9d49c1b03350726d62c88a73d140e";

#[test]
fn e9_signatures_are_strict_everywhere() {
    let bytes = data_encoding::HEXLOWER.decode(ANYTHING.as_bytes()).unwrap();
    let signature = Signature(bytes.try_into().unwrap());
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let member = MemberKey(neutral);
    let lenient = ed25519_dalek::VerifyingKey::from_bytes(&neutral).unwrap();
    let loose = ed25519_dalek::Signature::from_bytes(&signature.0);
    assert!(ed25519_dalek::Verifier::verify(&lenient, b"anything", &loose).is_ok());
    assert!(!handshake::verify(&member, b"anything", &signature));
    let ack = Acknowledgement::parse(&example("acknowledgement")).unwrap();
    let forged = Acknowledgement { member, signature, ..ack.clone() };
    assert!(forged.verify(&ack.room, &member).is_err());
    let departure: Departure = codec::decode(&example("departure")).unwrap();
    assert!(departure.verify(&ack.room));
    assert!(!Departure { member, signature, ..departure }.verify(&ack.room));
    let mut receipt: Receipt = codec::decode(&example("receipt")).unwrap();
    receipt.verify().unwrap();
    let countersigned = receipt.countersigned.as_mut().unwrap();
    (countersigned.facilitator, countersigned.signature) = (member, signature);
    assert!(receipt.verify().is_err());
}

#[test]
fn e9_authenticated_data_is_empty_or_the_mark() {
    let mut stage = Stage::new();
    let words = |stage: &mut Stage| {
        let body = Body::Text("words".into());
        codec::encode(&fox_says(stage, None, body))
    };
    let retraction = Body::Retract { message: MessageId([7; 16]), seq: Seq(1), edits: None };
    // Of another kind than the mark says.
    let marked = padding::pad_marked(&words(&mut stage)).unwrap();
    let unmarked = codec::encode(&fox_says(&mut stage, None, retraction));
    let unmarked = padding::pad(&unmarked).unwrap();
    for (content, data) in [(marked, &[1][..]), (unmarked, &[])] {
        let payload = stage.fox.post(&content, data);
        stage.submit(payload);
        stage.show();
        for who in [FAY, CLEO, BEN] {
            let row = stage.last(who);
            assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Mark]));
            assert_eq!(row.name, "Fox");
        }
    }
    // Any other data: no relay takes it, and no member.
    for data in [&[0][..], &[2], &[1, 1], b"hidden words"] {
        let content = padding::pad(&words(&mut stage)).unwrap();
        let payload = stage.fox.post(&content, data);
        assert!(!stage.relay_takes(&payload), "{data:?}");
        stage.append(payload);
        stage.show();
        for who in [FAY, CLEO, BEN] {
            let row = stage.last(who);
            assert_eq!((row.content, row.notices), (RowContent::Nothing, vec![Notice::Unreadable]));
            assert_eq!(row.name, "Fox");
        }
    }
    let unusable = Notice::RefusedCommit(Refusal::Unusable.to_string());
    for data in [&[1][..], &[0], b"hidden words"] {
        let commit = stage.fox.forges(|b| Ok(b.authenticated_data(data.to_vec()))).unwrap();
        assert!(!stage.relay_takes(&commit), "{data:?}");
        stage.refuses(commit, &unusable);
    }
}

#[test]
fn e9_text_says_which_effects_go_with_acts() {
    let table = PROTOCOL.split("| act | effects |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let word = |word: &str| table.split(|c: char| !c.is_alphanumeric()).any(|part| part == word);
    let acts = PROTOCOL.split("act =\n").nth(1).unwrap().split("category =").next().unwrap();
    let names = acts.lines().filter_map(|line| line.rsplit_once("; ")).map(|(_, name)| name.trim());
    let names: Vec<&str> = names.filter(|name| name.chars().all(char::is_alphabetic)).collect();
    assert_eq!(names.len(), 40, "{names:?}");
    assert!(names.iter().all(|name| word(name)), "{names:?}");
}

#[test]
fn e10_text_names_the_collision() {
    let suite = PROTOCOL.split("0x004D is **not registered**").nth(1).unwrap();
    let suite = suite.split("\n\n").next().unwrap();
    assert!(suite.contains("OpenMLS") && suite.contains("ts-mls"), "{suite}");
    assert!(PROTOCOL.split("**Cipher suite 0x004D**").nth(1).unwrap().contains("ts-mls"));
}

#[test]
fn e11_bad_keys_stop_no_moderation() {
    // A reply key that keeps no secret: as good as any knock, and declined without a note.
    for key in [vec![0; 32], vec![9; 31], Vec::new()] {
        let mut stage = Stage::without_fox(&member::Setup::default());
        stage.fox.reply_key = key;
        let knock = stage.fox_knocks();
        let opened = stage.people[FAY].open_knock(&knock).unwrap();
        let effect = stage.people[FAY].decline(&opened, "No.".into(), NOW).unwrap();
        assert_eq!(effect, Effect::Decline { member: stage.fox.member(), note: Vec::new() });
        stage.admit(&knock);
        stage.fox_joins();
        // Fox's leaf has no note key. Cleo, who moderates, is told; Fox is by the relay.
        let until = NOW.plus(60_000);
        let fox = stage.fox.member();
        let time_out = stage.people[FAY].queue_time_out(fox, until, String::new(), NOW).unwrap();
        let notes = stage.people[FAY].next_submission().unwrap().unwrap();
        stage.submit(notes.payload);
        stage.show();
        let record = stage.people[FAY].time_out(&time_out, NOW).unwrap();
        assert_eq!(record.effects, [Effect::Timeout { member: fox, until }]);
        stage.submit(record.payload);
        stage.show();
        assert_eq!(stage.people[CLEO].recorded_time_out(&fox).unwrap(), Some(until));
        stage.show_all();
        stage.goes_on();
    }
    // A note key that keeps no secret is no companion's, in either suite.
    for (bytes, key) in [(32, vec![0; 32]), (1216, [vec![9; 1184], vec![0; 32]].concat())] {
        let note = Some(NoteKey { number: 1, key });
        let companion = codec::encode(&Companion { format: 1, salt: [1; 16], note });
        assert!(Companion::parse(&companion, bytes).is_none());
    }
    let unreduced = Some(NoteKey { number: 1, key: vec![0xff; 1216] });
    let companion = codec::encode(&Companion { format: 1, salt: [1; 16], note: unreduced });
    assert!(Companion::parse(&companion, 1216).is_none());
}

/// Knocks with any body, past all that a client would check, and with a key of its own; returns the key.
fn knock(relay: &Relay, link: &Invite, seed: u8, body: Vec<u8>) -> MemberKey {
    let key = SigningKey::from_bytes(&[seed; 32]);
    let member = MemberKey(key.verifying_key().to_bytes());
    let mut wire = Wire::connect(&Target::new(relay.address())).unwrap();
    let mut ask = |frame: &ClientFrame| {
        wire.queue(&codec::encode_client(frame));
        wire.flush().unwrap();
        (codec::decode_server(&wire.next().unwrap()).unwrap(), wire.channel())
    };
    let (hello, channel) = ask(&ClientFrame::Hello { versions: vec![2] });
    let ServerFrame::Hello { relay, challenge, .. } = hello else { panic!("no hello") };
    let auth = handshake::auth_transcript(&AuthContext {
        challenge: &challenge,
        relay: &relay,
        channel: &channel,
        room: &link.room,
        member: &member,
    });
    let (agreement, digest) = (commitment(&link.room, &link.agreement), Digest([seed; 32]));
    let triple = handshake::knock_transcript(&link.room, &member, &agreement, &digest);
    let signature = handshake::sign(&key, &triple);
    let (answer, _) = ask(&ClientFrame::Knock {
        req: 1,
        room: link.room,
        member,
        signature: handshake::sign(&key, &auth),
        token: link.token(),
        acknowledgement: AckTriple { agreement, digest, signature },
        body,
    });
    assert!(matches!(answer, ServerFrame::Authenticated { .. }), "{answer:?}");
    member
}

/// The sealed body of a knock with a key package that is none.
fn nameless(link: &Invite, name: &str) -> Vec<u8> {
    let (name, reply_key) = (name.to_owned(), vec![0; 32]);
    let body = KnockBody { name, key_package: vec![1, 2, 3], offer: None, reply_key };
    let key = invite::knock_key(&link.secret);
    seal::seal(&key, [3; 24], Purpose::Knock, &link.room, &codec::encode(&body)).unwrap()
}

#[test]
fn e12_any_knock_is_declined() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let link = Invite::parse(&circle.invite(&["--uses", "9"])).unwrap();
    let shut = knock(&relay, &link, 1, vec![7; 300]);
    let nameless = knock(&relay, &link, 2, nameless(&link, "hearth\u{202e}"));
    let listed = circle.fay("knocks", &[]);
    assert_eq!(listed.len(), 2, "{listed:?}");
    for key in [shut, nameless] {
        let row = listed.iter().find(|row| row["key"] == key.to_hex()).unwrap();
        assert!(row["why"].as_str().is_some_and(|why| !why.is_empty()), "{row}");
        let admitted = circle.fay.run(&["admit", &circle.room, &key.to_hex()]);
        assert!(matches!(admitted.code, Some(3 | 5)), "{admitted:?}");
    }
    circle.fay("decline", &[&shut.to_hex()[..8]]);
    circle.fay("decline", &[nameless.short().as_str(), "Please ask me first."]);
    assert!(circle.fay("knocks", &[]).is_empty());
    circle.admit("Ben");
}

#[test]
fn e12_busy_door_is_named() {
    let relay = Relay::start();
    let circle = Circle::open(&relay);
    let text = circle.invite(&["--uses", "99"]);
    let link = Invite::parse(&text).unwrap();
    for seed in 1..=64 {
        knock(&relay, &link, seed, vec![7; 300]);
    }
    let ben = Person::new();
    let join = ["join", &text, "--as", "Ben", "--acknowledge", &circle.agreement, "--no-wait"];
    let refused = ben.run(&join);
    let told = refused.failed(3, "door_busy");
    assert!(told["message"].as_str().unwrap().contains("door"), "{told}");
    assert!(!told["message"].as_str().unwrap().contains("full"), "{told}");
    // The invite stays good.
    let listed = circle.fay("knocks", &[]);
    circle.fay("decline", &[listed[0]["key"].as_str().unwrap()]);
    ben.does(&join);
    circle.fay("admit", &["Ben"]);
}

#[test]
fn a12_notes_are_as_strong_as_rooms() {
    for (suite, encapsulated) in [(Suite::XWing, 1120), (Suite::X25519, 32)] {
        let mut fay = founded("127.0.0.1:1".into(), suite);
        let terms = InviteTerms { uses: 1, expires: NOW.plus(1000), role: Role::Member };
        let (link, _) = fay.invite(terms, NOW).unwrap();
        let sent = fay.next_submission().unwrap().unwrap();
        let Some(Effect::AddInvite { preview, .. }) = sent.effects.first() else {
            panic!("no invite")
        };
        let preview = open_preview(&link, preview).unwrap();
        let content = EntryContent::Payload(sent.payload.clone());
        let entry = Entry { seq: Seq(1), at: NOW, content };
        fay.handle_entries(&[entry], Moment::agreed(NOW)).unwrap();
        let joining =
            Joining { name: "Ben".into(), local_name: "room".into(), answers: Vec::new() };
        let (profile, crypto) = profile();
        let knocking = Room::knock(profile.store(), crypto, &link, &preview, joining, NOW);
        let (mut ben, request) = knocking.unwrap();
        let knock = PendingKnock {
            member: ben.me(),
            invite: invite::invite_id(&link.token()),
            at: NOW,
            acknowledgement: request.acknowledgement,
            body: request.body,
        };
        let opened = fay.open_knock(&knock).unwrap();
        let effect = fay.decline(&opened, "Not this week.".into(), NOW).unwrap();
        let Effect::Decline { note, .. } = effect else { panic!("it declines") };
        // Id, number of the key, what the KEM encapsulates, 1,024 bytes of content, the tag.
        assert_eq!(note.len(), 16 + 4 + encapsulated + 1024 + 16);
        assert!(!note.windows(8).any(|w| b"Not this week.".windows(8).any(|words| words == w)));
        ben.declined(&note).unwrap();
        let told = Standing::Declined { words: "Not this week.".into(), by: Some(fay.me()) };
        assert_eq!(ben.state().standing, told);
        // In the leaf, too, the key for notes is one of the room's KEM.
        let own = fay.roster().unwrap().remove(0).companion.note.unwrap();
        assert_eq!(own.key.len(), suite.key_bytes());
    }
}
