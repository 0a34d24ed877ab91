//! Section B: what one person can exhaust or stop; and what the relay does of A2, A5, E8 and E12.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant},
};

use hearth_kit::{
    Circle, DEADLINE, Relay, RelayOptions,
    load::{
        machine::usage,
        rooms::{self, LoadRoom, Member, Seat, payload, random},
        wire::Target,
    },
    until,
};
use hearth_protocol::{
    BlobId, ClientFrame, Commitment, Effect, MessageId, Millis, RejectCode, Role, RoomNumbers,
    Secret32, Seq, ServerFrame, codec,
    frame::{Notice, RoomStatus, Standing},
    hash,
    invite::{self, Grant},
    limits::{BLOB_BYTES_MAX, KNOCKS_MAX, MARKED_BYTES_MAX},
    mls_header,
};

const APPLICATION: u8 = 1;
const COMMIT: u8 = 3;
const MIB: u64 = 1024 * 1024;
#[expect(clippy::cast_possible_truncation, reason = "2 MiB")]
const BLOB_TOTAL: u32 = BLOB_BYTES_MAX as u32;

fn with(more: &[&str]) -> Relay {
    let more = more.iter().map(|word| (*word).to_owned()).collect();
    Relay::start_with(RelayOptions { more, ..RelayOptions::default() })
}

/// Opens a room of so many with a grant.
fn room(relay: &Relay, size: usize) -> (Target, LoadRoom) {
    let target = Target::new(relay.address());
    let grant = Grant::parse(&relay.grant()).unwrap();
    let room = rooms::open(&target, &grant.secret, size).unwrap();
    (target, room)
}

fn words(room: &LoadRoom, bytes: usize) -> Vec<u8> {
    payload(&room.id, room.epoch, APPLICATION, &[], bytes)
}

/// An own retraction or a departure.
fn marked(room: &LoadRoom, bytes: usize) -> Vec<u8> {
    let mut marked = words(room, bytes - 1);
    marked.splice(mls_header::CONTENT_TYPE_AT + 1..mls_header::CONTENT_TYPE_AT + 2, [1, 1]);
    marked
}

fn refused(answer: &ServerFrame) -> (RejectCode, Option<Millis>) {
    match answer {
        ServerFrame::Reject { code, retry_at, .. } => (*code, *retry_at),
        other => panic!("{other:?}"),
    }
}

fn accepted(answer: &ServerFrame) -> Seq {
    match answer {
        ServerFrame::Accepted { seq, .. } => *seq,
        other => panic!("{other:?}"),
    }
}

fn status(seat: &mut Seat) -> RoomStatus {
    let room = seat.member.room;
    match seat.ask(|req| ClientFrame::Status { req, room }).unwrap() {
        ServerFrame::Status { status, .. } => *status,
        other => panic!("{other:?}"),
    }
}

/// Has the founder make an invite.
fn invite(room: &mut LoadRoom, uses: u32) -> Secret32 {
    let token = Secret32::new(random());
    let expires = Millis::NEVER;
    let add =
        Effect::AddInvite { invite: invite::invite_id(&token), uses, expires, preview: vec![] };
    accepted(&room.seats[0].submit(vec![], vec![add]).unwrap());
    token
}

fn folder_bytes(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

fn metric(relay: &Relay, name: &str) -> u64 {
    let page = relay.page("/metrics");
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("{name}: {page}")).parse().unwrap()
}

/// Posts until it is refused; returns how many bytes were taken, and the refusal.
fn flood(seat: &mut Seat, post: &[u8]) -> (u64, RejectCode, Option<Millis>) {
    let mut taken = 0;
    loop {
        match seat.submit(post.to_vec(), vec![]).unwrap() {
            ServerFrame::Accepted { .. } => taken += post.len() as u64,
            answer => {
                let (code, retry_at) = refused(&answer);
                return (taken, code, retry_at);
            }
        }
        assert!(taken < 64 * MIB, "nothing bounds it");
    }
}

#[test]
fn a2_effects_exempt_no_words() {
    let relay = Relay::start();
    let (_, mut room) = room(&relay, 2);
    let (small, large) = (words(&room, 452), words(&room, 150_000));
    let id = MessageId(random());
    let said = accepted(&room.seats[1].submit_as(id, small.clone(), vec![]).unwrap());
    let numbers = RoomNumbers { slow_seconds: 3600, payload_bytes_max: 700, ..Default::default() };
    let set = payload(&room.id, room.epoch, COMMIT, &[], 500);
    accepted(&room.seats[0].submit(set, vec![Effect::SetNumbers { numbers }]).unwrap());
    room.epoch += 1;
    let retract = vec![Effect::Retract { seq: said, own: Some(id) }];
    let bare = marked(&room, 900);
    let (fat, thin) = (marked(&room, MARKED_BYTES_MAX + 1), marked(&room, MARKED_BYTES_MAX));
    let ben = &mut room.seats[1];
    let at = mls_header::CONTENT_TYPE_AT;
    let of_now = |mut bytes: Vec<u8>| {
        bytes[at - 8..at].copy_from_slice(&bare[at - 8..at]);
        bytes
    };
    for effects in [retract.clone(), vec![Effect::Leave]] {
        for entry in [vec![], of_now(small.clone()), of_now(large.clone())] {
            let answer = ben.submit(entry, effects.clone()).unwrap();
            assert_eq!(refused(&answer).0, RejectCode::BadPayload);
        }
    }
    assert_eq!(refused(&ben.submit(of_now(large), vec![]).unwrap()).0, RejectCode::TooLong);
    for (entry, effects) in [(bare.clone(), vec![]), (fat, retract.clone())] {
        assert_eq!(refused(&ben.submit(entry, effects).unwrap()).0, RejectCode::BadPayload);
    }
    accepted(&ben.submit(thin.clone(), retract).unwrap());
    accepted(&ben.submit(bare.clone(), vec![Effect::Leave]).unwrap());
}

#[test]
fn a5_silent_acts_need_a_commit() {
    let relay = Relay::start();
    let (_, mut room) = room(&relay, 3);
    let (ben, said) = (room.seats[1].member.public(), words(&room, 452));
    let seq = accepted(&room.seats[1].submit(said, vec![]).unwrap());
    let promote = Effect::SetRole { member: ben, role: Role::CoFacilitator };
    let commit = |room: &LoadRoom| payload(&room.id, room.epoch, COMMIT, &[], 500);
    let promotion = commit(&room);
    accepted(&room.seats[0].submit(promotion, vec![promote]).unwrap());
    room.epoch += 1;
    let minute = RoomNumbers { retention_seconds: 60, ..RoomNumbers::default() };
    let paused = RoomNumbers { paused_until: Millis::NEVER, ..RoomNumbers::default() };
    let third = room.seats[2].member.public();
    let before = status(&mut room.seats[0]);
    for effect in [
        Effect::SetNumbers { numbers: paused },
        Effect::Timeout { member: third, until: Millis::NEVER },
        Effect::Retract { seq, own: None },
    ] {
        for entry in [vec![], words(&room, 452)] {
            let answer = room.seats[1].submit(entry, vec![effect.clone()]).unwrap();
            assert_eq!(refused(&answer).0, RejectCode::BadPayload, "{effect:?}");
        }
    }
    let (entry, shorten) = (commit(&room), Effect::SetNumbers { numbers: minute });
    let answer = room.seats[1].submit(entry, vec![shorten]).unwrap();
    assert_eq!(refused(&answer).0, RejectCode::NotFacilitator);
    assert_eq!(status(&mut room.seats[0]), before);
}

/// A member's flood ends at the burst, on other connections and after a restart, too; others go on.
#[test]
fn b1_flood_ends_and_stays_ended() {
    let mut relay = Relay::start();
    let (target, mut room) = room(&relay, 3);
    let post = words(&room, 190_000);
    let began = Instant::now();
    let (mut taken, code, retry_at) = flood(&mut room.seats[1], &post);
    assert_eq!(code, RejectCode::RateLimited);
    assert!(retry_at.is_some());
    for _ in 0..4 {
        let mut again = Seat::enter(&target, room.seats[1].member.clone()).unwrap();
        taken += flood(&mut again, &post).0;
    }
    // Commits count, too.
    let renewal = payload(&room.id, room.epoch, COMMIT, &[], 190_000);
    let answer = room.seats[1].submit(renewal, vec![]).unwrap();
    assert_eq!(refused(&answer).0, RejectCode::RateLimited);
    let sent = Instant::now();
    let small = words(&room, 452);
    accepted(&room.seats[2].submit(small, vec![]).unwrap());
    assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
    assert!(metric(&relay, "hearthd_bytes_refused_total") > 190_000);
    relay.kill();
    assert_eq!(relay.logs().matches("member_bytes_per_second").count(), 1);
    relay.restart();
    let mut again = Seat::enter(&target, room.seats[1].member.clone()).unwrap();
    taken += flood(&mut again, &post).0;
    // What a restart may give back is a sixteenth of the burst.
    let most = 4 * MIB + MIB / 4 + (began.elapsed().as_secs() + 1) * 64 * 1024;
    assert!(taken <= most, "{taken} of {most}");
    assert!(folder_bytes(relay.data()) < 3 * most);
}

#[test]
fn b1_full_room_is_left_to_moderators() {
    let fast = (1_u64 << 30).to_string();
    let relay = with(&[
        "--room-bytes-max",
        "4194304",
        "--member-bytes-per-second",
        &fast,
        "--member-bytes-burst",
        &fast,
    ]);
    let (_, mut room) = room(&relay, 2);
    let post = words(&room, 100_000);
    let id = MessageId(random());
    let own = accepted(&room.seats[1].submit_as(id, post.clone(), vec![]).unwrap());
    let (taken, code, retry_at) = flood(&mut room.seats[1], &post);
    assert_eq!(code, RejectCode::QuotaSpent);
    let month = Duration::from_secs(RoomNumbers::default().retention_seconds);
    let expected =
        hearth_server::Clock::system().now().0 + u64::try_from(month.as_millis()).unwrap();
    assert!(retry_at.unwrap().0.abs_diff(expected) < 600_000);
    assert!(taken < 4 * MIB * 9 / 10);
    accepted(&room.seats[0].submit(post.clone(), vec![]).unwrap());
    // Taking back and leaving are never refused, and give something back.
    let retraction = marked(&room, 900);
    let retract = vec![Effect::Retract { seq: own, own: Some(id) }];
    accepted(&room.seats[1].submit(retraction.clone(), retract).unwrap());
    let shorter = words(&room, 50_000);
    accepted(&room.seats[1].submit(shorter, vec![]).unwrap());
    accepted(&room.seats[1].submit(retraction, vec![Effect::Leave]).unwrap());
}

/// Ten wrong guesses of a clinic, and ten thousand of elsewhere: what is right opens.
#[test]
fn b2_wrong_tokens_stop_no_right_one() {
    const ADDRESSES: u32 = 10_200;
    const THREADS: u32 = 4;
    let relay = Relay::start_with(RelayOptions {
        plain: true,
        crowded: true,
        more: vec!["--trust-forwarded".to_owned()],
        ..RelayOptions::default()
    });
    let circle = Circle::open(&relay);
    let hello = codec::encode_client(&ClientFrame::Hello { versions: vec![2] });
    let wrong = ClientFrame::Preview {
        req: 1,
        room: hearth_protocol::RoomId([1; 16]),
        token: Secret32::new([9; 32]),
    };
    let wrong = codec::encode_client(&wrong);
    let address = relay.address();
    let guess = |from: &str, times: usize| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let head = format!(
            "GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             X-Forwarded-For: {from}\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        for frame in std::iter::once(&hello).chain(std::iter::repeat_n(&wrong, times)) {
            bytes.extend([0x82, 0x80 | u8::try_from(frame.len()).unwrap(), 0, 0, 0, 0]);
            bytes.extend(frame);
        }
        stream.write_all(&bytes).unwrap();
        // [11, [1, code, ..]]: the answer to the last of them.
        let (mut seen, mut part) = (Vec::new(), [0; 4096]);
        while seen.windows(4).filter(|w| matches!(w, [0x82, 0x0b, _, 1])).count() < times {
            let read = stream.read(&mut part).unwrap();
            assert!(read > 0, "it hung up");
            seen.extend(&part[..read]);
        }
        seen
    };
    let limited = |seen: &[u8]| seen.windows(3).any(|w| w == [1, 0x18, 42]);
    // The members of this test come from loopback, as if in the same clinic.
    assert!(limited(&guess("127.0.0.1", 12)), "the eleventh wrong one is told to wait");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let guess = &guess;
            scope.spawn(move || {
                for number in (thread..ADDRESSES).step_by(THREADS as usize) {
                    let [_, b, c, d] = number.to_be_bytes();
                    guess(&format!("10.{b}.{c}.{d}"), 1);
                }
            });
        }
    });
    let ben = circle.admit("Ben");
    circle.say(&ben, "here I am");
    Circle::open(&relay);
}

/// Uploads that were begun and left alone hold no memory that others need.
#[test]
fn b3_half_uploads_block_nobody() {
    let relay = Relay::start();
    let (target, room) = room(&relay, 2);
    let before = usage(relay.pid()).resident;
    let mut held = Vec::new();
    for number in 0..40_u8 {
        let mut seat = Seat::enter(&target, room.seats[0].member.clone()).unwrap();
        let (id, blob, total) = (room.id, BlobId([number; 32]), BLOB_TOTAL);
        let put =
            |req| ClientFrame::PutBlob { req, room: id, blob, total, offset: 0, part: vec![1] };
        seat.ask(put).unwrap();
        held.push(seat);
    }
    let circle = Circle::open(&relay);
    circle.admit("Ben");
    assert!(usage(relay.pid()).resident < before + 64 * MIB);
    drop(held);
}

/// A knock that replaces another is no news, and there is one now and then.
#[test]
fn b4_replaced_knock_gives_no_notice() {
    let relay = Relay::start();
    let (target, mut room) = room(&relay, 1);
    let token = invite(&mut room, 1);
    let agreement = status(&mut room.seats[0]).agreement;
    let mut ann = Seat::greet(&target, Member::new(room.id)).unwrap();
    let knocks = |body| ann.knock(&token, agreement, vec![body; 1000]).unwrap();
    let answers: Vec<ServerFrame> = (0..20).map(knocks).collect();
    let first = ServerFrame::Authenticated { req: 1, standing: Standing::Knocking };
    assert_eq!(answers[0], first);
    for answer in &answers[1..] {
        let (code, retry_at) = refused(answer);
        assert_eq!(code, RejectCode::RateLimited);
        let now = hearth_server::Clock::system().now();
        assert!(retry_at.unwrap().0.saturating_sub(now.0) <= 30_000);
    }
    // Taking it back does not help.
    let id = room.id;
    ann.ask(|req| ClientFrame::CancelKnock { req, room: id }).unwrap();
    let again = ann.knock(&token, agreement, vec![7; 1000]).unwrap();
    assert_eq!(refused(&again).0, RejectCode::RateLimited);
    let ask = |req| ClientFrame::Status { req, room: id };
    let (_, before) = room.seats[0].exchange(ask).unwrap();
    let told =
        |frame: &&ServerFrame| matches!(frame, ServerFrame::Notice { notice: Notice::Knock, .. });
    assert_eq!(before.iter().filter(told).count(), 1);
}

/// The store is locked, as a disk that hangs would hold it: what waits is bounded by bytes.
#[test]
fn b5_waiting_posts_are_bounded_by_bytes() {
    const CONNECTIONS: usize = 25;
    let relay = with(&["--frames-per-second", "1000", "--frames-burst", "1000"]);
    let (target, room) = room(&relay, 1);
    let member = room.seats[0].member.clone();
    let mut wires: Vec<Seat> =
        (0..CONNECTIONS).map(|_| Seat::enter(&target, member.clone()).unwrap()).collect();
    let before = usage(relay.pid()).resident;
    let lock = rusqlite::Connection::open(relay.data().join("hearth.db")).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (end, mut most) = (Instant::now() + Duration::from_secs(3), 0);
    let post = words(&room, 150_000);
    for seat in &wires {
        seat.wire.set_nonblocking();
    }
    let mut blocked = [false; CONNECTIONS];
    while Instant::now() < end {
        for (seat, blocked) in wires.iter_mut().zip(&mut blocked) {
            if !*blocked {
                let (req, id) = (seat.next_request(), MessageId(random()));
                seat.wire.queue(&codec::encode_client(&ClientFrame::Submit {
                    req,
                    room: room.id,
                    id,
                    payload: post.clone(),
                    expect: None,
                    effects: vec![],
                    after: Seq(0),
                }));
            }
            *blocked = !seat.wire.flush().unwrap();
        }
        most = most.max(usage(relay.pid()).resident);
        assert!(most < before + 64 * MIB, "{} MiB more", (most - before) / MIB);
        if blocked.iter().all(|blocked| *blocked) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }
    assert!(metric(&relay, "hearthd_store_queue_bytes") > 4 * MIB, "it did wait");
    lock.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn b6_lost_database_is_not_replaced() {
    let mut relay = Relay::start();
    relay.grant();
    assert_eq!(relay.stop(), Some(0));
    for name in ["hearth.db", "hearth.db-wal", "hearth.db-shm"] {
        // The log may be gone with an orderly end.
        let _ = fs::remove_file(relay.data().join(name));
    }
    let ended = relay.try_restart().unwrap_err();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("the store is gone"), "{}", ended.stderr);
    assert!(ended.stderr.contains("put the last backup in its place"), "{}", ended.stderr);
    let mut grant = Relay::bare();
    let granted = grant.arg("grant").arg("--data-dir").arg(relay.data()).output().unwrap();
    assert_eq!(granted.status.code(), Some(1));
    assert!(!relay.data().join("hearth.db").exists());
}

/// The last entries are gone with a piece of the log. The relay says so, and every client.
#[test]
fn b6_cut_log_is_said() {
    let mut relay = Relay::start();
    let log = relay.data().join("hearth.db-wal");
    let length = || fs::metadata(&log).map_or(0, |file| file.len());
    // Every start empties the log.
    until("the log to be emptied", || {
        relay.page("/healthz");
        (length() == 0).then_some(())
    });
    let circle = Circle::open(&relay);
    for number in 0..12 {
        circle.say(&circle.fay, &format!("sentence {number}"));
    }
    relay.kill();
    let whole = length();
    fs::File::options().write(true).open(&log).unwrap().set_len(whole / 2).unwrap();
    relay.restart();
    let logs = relay.logs();
    assert!(logs.contains("transactions that were acknowledged are not in the store"), "{logs}");
    let answer = circle.fay.run(&["read", &circle.room]);
    let told = answer.failed(5, "verification_failed")["message"].to_string();
    assert!(told.contains("history went backwards"), "{told}");
    // A power cut that took nothing is none.
    relay.kill();
    relay.restart();
    assert_eq!(relay.logs().matches("are not in the store").count(), 1);
}

/// A newer client learns which request was not understood, and goes on.
#[test]
fn e8_later_frame_keeps_the_connection() {
    let relay = Relay::start();
    let (target, mut room) = room(&relay, 1);
    let mut seat = Seat::enter(&target, room.seats[0].member.clone()).unwrap();
    // [19, [700, "new"]]
    seat.wire.queue(&[0x82, 19, 0x82, 0x19, 0x02, 0xbc, 0x63, b'n', b'e', b'w']);
    seat.wire.flush().unwrap();
    let unsupported =
        |req| ServerFrame::Reject { req, code: RejectCode::Unsupported, retry_at: None };
    assert_eq!(codec::decode_server(&seat.wire.next().unwrap()).unwrap(), unsupported(700));
    // A submission with the effect [13, []].
    let mut submit = codec::encode_client(&ClientFrame::Submit {
        req: 20,
        room: room.id,
        id: MessageId(random()),
        payload: words(&room, 300),
        expect: None,
        effects: vec![Effect::Leave],
        after: Seq(0),
    });
    let leave = submit.windows(3).rposition(|part| part == [0x82, 10, 0x80]).unwrap();
    submit[leave + 1] = 13;
    seat.wire.queue(&submit);
    seat.wire.flush().unwrap();
    assert_eq!(codec::decode_server(&seat.wire.next().unwrap()).unwrap(), unsupported(20));
    status(&mut seat);
    assert_eq!(status(&mut room.seats[0]).head, room.head);
    // What no version could mean ends it.
    seat.wire.queue(&[0x82, 19, 0x82, 0x19, 0x02]);
    seat.wire.flush().unwrap();
    let broken = ServerFrame::Reject { req: 0, code: RejectCode::BadFrame, retry_at: None };
    assert_eq!(codec::decode_server(&seat.wire.next().unwrap()).unwrap(), broken);
    assert!(seat.wire.next().is_err());
}

/// A full door says that it is busy; revoking the invite that filled it empties it.
#[test]
fn e12_busy_door_is_emptied_by_revoking() {
    let relay = Relay::start();
    let (target, mut room) = room(&relay, 1);
    let (bad, good) = (invite(&mut room, 200), invite(&mut room, 1));
    let agreement: Commitment = status(&mut room.seats[0]).agreement;
    let knock = |token: &Secret32| {
        let mut seat = Seat::greet(&target, Member::new(room.id)).unwrap();
        (seat.knock(token, agreement, vec![1]).unwrap(), seat)
    };
    let mut waiting: Vec<Seat> = (0..KNOCKS_MAX).map(|_| knock(&bad).1).collect();
    assert_eq!(refused(&knock(&good).0).0, RejectCode::DoorBusy);
    // Whatever a knock holds, it can be declined.
    let member = waiting[0].member.public();
    let decline = Effect::Decline { member, note: vec![] };
    accepted(&room.seats[0].submit(vec![], vec![decline]).unwrap());
    assert_eq!(status(&mut room.seats[0]).knocks as usize, KNOCKS_MAX - 1);
    let revoke = Effect::RevokeInvite { invite: invite::invite_id(&bad) };
    accepted(&room.seats[0].submit(vec![], vec![revoke]).unwrap());
    assert_eq!(status(&mut room.seats[0]).knocks, 0);
    let id = room.id;
    let (answer, _) =
        waiting[1].exchange(|req| ClientFrame::CancelKnock { req, room: id }).unwrap();
    assert_eq!(refused(&answer).0, RejectCode::NotFound);
    let answer = knock(&good).0;
    assert!(matches!(answer, ServerFrame::Authenticated { .. }), "{answer:?}");
}

/// An honest blob goes through whatever others have begun, and is what its id says.
#[test]
fn b3_whole_upload_is_stored_once() {
    let relay = Relay::start();
    let (target, mut room) = room(&relay, 1);
    let bytes = vec![0x5a; 200_000];
    let (id, blob, total) = (room.id, BlobId(hash::sha256(&bytes).0), 200_000);
    let mut other = Seat::enter(&target, room.seats[0].member.clone()).unwrap();
    // The same key goes on from another connection.
    for (index, part) in bytes.chunks(90_000).enumerate() {
        let seat = if index == 1 { &mut other } else { &mut room.seats[0] };
        let (offset, part) = (u32::try_from(index * 90_000).unwrap(), part.to_vec());
        seat.ask(|req| ClientFrame::PutBlob { req, room: id, blob, total, offset, part }).unwrap();
    }
    let part = vec![0x5a; 1000];
    let (answer, _) = other
        .exchange(|req| ClientFrame::PutBlob { req, room: id, blob, total, offset: 90_000, part })
        .unwrap();
    assert_eq!(refused(&answer).0, RejectCode::BadFrame);
}

/// What the honest of another room see while an attack runs: the slowest send and the slowest delivery, memory, disk.
struct Seen {
    sends: usize,
    send: Duration,
    read: Duration,
    memory: u64,
    disk: u64,
}

/// Runs an attack in threads for some seconds beside two honest members.
fn beside<T>(
    relay: &Relay,
    honest: &mut LoadRoom,
    attackers: Vec<T>,
    attack: impl Fn(&mut T) + Sync,
) -> Seen
where
    T: Send,
{
    const LONG: Duration = Duration::from_secs(8);
    let done = std::sync::atomic::AtomicBool::new(false);
    let idle = usage(relay.pid()).resident;
    let mut seen = Seen {
        sends: 0,
        send: Duration::ZERO,
        read: Duration::ZERO,
        memory: 0,
        disk: folder_bytes(relay.data()),
    };
    let post = words(honest, 452);
    std::thread::scope(|scope| {
        for mut attacker in attackers {
            let (attack, done) = (&attack, &done);
            scope.spawn(move || {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    attack(&mut attacker);
                }
            });
        }
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            let began = Instant::now();
            let seq = accepted(&honest.seats[1].submit(post.clone(), vec![]).unwrap());
            seen.send = seen.send.max(began.elapsed());
            seen.sends += 1;
            loop {
                let frame = honest.seats[2].wire.next().unwrap();
                if let ServerFrame::Entries { head, .. } = codec::decode_server(&frame).unwrap()
                    && head >= seq
                {
                    break;
                }
            }
            seen.read = seen.read.max(began.elapsed());
            seen.memory = seen.memory.max(usage(relay.pid()).resident.saturating_sub(idle));
            std::thread::park_timeout(Duration::from_millis(50));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    seen.disk = folder_bytes(relay.data()).saturating_sub(seen.disk);
    seen
}

/// B1 to B5 one after the other. Prints the figures of `docs/assurance.md`.
#[test]
#[ignore = "a minute of attacks; `--ignored --nocapture`"]
fn bounds_hold_under_attack() {
    let check = |name: &str, seen: &Seen| {
        eprintln!(
            "{name}: {} sends, slowest {} ms, delivery {} ms, {} MiB of memory, {} MiB of disk",
            seen.sends,
            seen.send.as_millis(),
            seen.read.as_millis(),
            seen.memory / MIB,
            seen.disk / MIB
        );
        assert!(seen.sends > 5 && seen.memory <= 64 * MIB, "{name}");
    };
    let relay = Relay::start_with(RelayOptions {
        more: ["--frames-per-second", "1000", "--frames-burst", "1000"].map(str::to_owned).to_vec(),
        ..RelayOptions::default()
    });
    let (_, mut honest) = room(&relay, 3);
    let (target, mut bad) = room(&relay, 2);
    let enter = |member: &Member| Seat::enter(&target, member.clone()).unwrap();
    let large = words(&bad, 190_000);

    let flooders = (0..16).map(|_| enter(&bad.seats[1].member)).collect();
    let seen = beside(&relay, &mut honest, flooders, |seat: &mut Seat| {
        seat.submit(large.clone(), vec![]).unwrap();
    });
    check("B1, a member on 16 connections", &seen);

    let wrong = Secret32::new([9; 32]);
    let (id, counter) = (bad.id, std::sync::atomic::AtomicU32::new(1));
    let seen = beside(&relay, &mut honest, vec![(); 4], |()| {
        let number = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let [_, b, c, d] = number.to_be_bytes();
        let from = target.clone().from_address(std::net::Ipv4Addr::new(127, b + 1, c, d));
        if let Ok(mut seat) = Seat::greet(&from, Member::new(id)) {
            let token = wrong.clone();
            let _ = seat.exchange(|req| ClientFrame::Preview { req, room: id, token });
        }
    });
    check("B2, wrong tokens from new addresses", &seen);

    let uploaders = (0..32_u8).map(|number| (number, enter(&bad.seats[0].member))).collect();
    let seen = beside(&relay, &mut honest, uploaders, |(number, seat): &mut (u8, Seat)| {
        let (blob, total, part) = (BlobId([*number; 32]), BLOB_TOTAL, vec![1]);
        let _ = seat.exchange(|req| ClientFrame::PutBlob {
            req,
            room: id,
            blob,
            total,
            offset: 0,
            part,
        });
    });
    check("B3, half uploads on 32 connections", &seen);

    let token = invite(&mut bad, 30);
    let agreement = status(&mut bad.seats[0]).agreement;
    let knockers = (0..30).map(|_| (0, Seat::greet(&target, Member::new(id)).unwrap())).collect();
    let seen = beside(&relay, &mut honest, knockers, |(count, seat): &mut (u64, Seat)| {
        *count += 1;
        seat.knock(&token, agreement, count.to_be_bytes().repeat(1_250)).unwrap();
    });
    check("B4, knocks on 30 connections", &seen);
    let (_, notices) = bad.seats[0].exchange(|req| ClientFrame::Status { req, room: id }).unwrap();
    eprintln!("B4: {} notices", notices.len());

    // The lock is held as a slow disk would hold up every transaction.
    let lock = rusqlite::Connection::open(relay.data().join("hearth.db")).unwrap();
    lock.busy_timeout(DEADLINE).unwrap();
    let post = words(&bad, 150_000);
    let writers = (0..25).map(|_| Some(enter(&bad.seats[0].member)));
    let writers: Vec<(Option<Seat>, Option<rusqlite::Connection>)> =
        writers.map(|seat| (seat, None)).chain([(None, Some(lock))]).collect();
    let seen = beside(&relay, &mut honest, writers, |(seat, lock)| {
        if let Some(seat) = seat {
            seat.submit(post.clone(), vec![]).unwrap();
        }
        if let Some(lock) = lock {
            lock.execute_batch("BEGIN IMMEDIATE").unwrap();
            std::thread::park_timeout(Duration::from_millis(100));
            lock.execute_batch("ROLLBACK").unwrap();
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    check("B5, large posts on 25 connections, each transaction 100 ms late", &seen);
}
