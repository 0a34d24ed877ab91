//! Networks that break and relays that restart: nothing is lost, nothing is shown twice, and everybody comes back.

use std::{
    collections::BTreeMap,
    sync::mpsc::channel,
    time::{Duration, Instant},
};

use crate::world::Person;
use hearth_engine::{error::EngineError, state::RowContent};
use hearth_kit::{
    Cutter, Relay, RelayOptions,
    load::{
        growth::Stock,
        machine::Server,
        rooms::{self, LoadRoom, Member, PAYLOAD_BYTES, Seat},
        wire::Target,
    },
};
use hearth_protocol::{ClientFrame, Effect, Seq, ServerFrame, codec, invite::Grant};
use hearth_session::{backoff::Backoff, live::now};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Three real members behind a network that cuts nearly every connection somewhere (G9).
#[test]
fn a_network_that_breaks_loses_and_doubles_nothing() {
    let wanted = number("HEARTH_STORM_CUTS", 300);
    let options = RelayOptions { plain: true, crowded: true, ..RelayOptions::default() };
    let relay = Relay::start_with(options);
    let cutter = Cutter::new(relay.address(), 9);
    let mut grant = Grant::parse(&relay.grant()).unwrap();
    grant.address.authority = cutter.address().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut people = [Person::new("Fay"), Person::new("Ben"), Person::new("Cleo")];
        let (fay, others) = people.split_first_mut().unwrap();
        fay.found(&grant).await.unwrap();
        let link = fay.invite(9).await.unwrap();
        for person in others {
            person.knock(&link).await.unwrap();
            assert!(fay.admit(&person.name).await.unwrap());
            person.visit(async |_| Ok(())).await.unwrap();
        }
        cutter.set_cutting(true);
        let end = Instant::now() + Duration::from_secs(60 + wanted / 5);
        let mut said = vec![];
        while cutter.cuts() < wanted {
            assert!(Instant::now() < end, "{} cuts only", cutter.cuts());
            for person in &people {
                let text = format!("{} {}", person.name, said.len());
                let mut room = person.room().unwrap();
                match room.queue_text(text.clone(), now()) {
                    Ok(_) => said.push(text),
                    // A network that passes nothing on for long.
                    Err(EngineError::OutboxFull) => {}
                    Err(error) => panic!("{error}"),
                }
                drop(room);
                // What does not get through stays in the outbox.
                let _ = person.visit(async |live| live.send_waiting().await).await;
            }
        }
        cutter.set_cutting(false);
        for person in &people {
            let waiting = person.room().unwrap().waiting_texts().unwrap().len();
            let begun = Instant::now();
            let sent = person.visit(async |live| live.send_waiting().await).await;
            let (name, took) = (&person.name, begun.elapsed());
            assert!(sent.is_ok(), "{name}, of whom {waiting} wait, after {took:.1?}: {sent:?}");
        }
        let mut logs = vec![];
        for person in &people {
            person.visit(async |_| Ok(())).await.unwrap();
            assert!(!person.warned(), "{} was warned: {:?}", person.name, person.complaints);
            let rows = person.rows();
            let texts: Vec<String> = rows
                .into_iter()
                .filter_map(|row| match row.content {
                    RowContent::Text(text) => Some(text),
                    _ => None,
                })
                .collect();
            let mut counts = BTreeMap::<&str, usize>::new();
            for text in &texts {
                *counts.entry(text).or_default() += 1;
            }
            for text in &said {
                assert_eq!(counts.get(text.as_str()), Some(&1), "{text:?} at {}", person.name);
            }
            assert_eq!(texts.len(), said.len(), "{}", person.name);
            for author in &people {
                let of = |texts: &[String]| -> Vec<String> {
                    texts.iter().filter(|t| t.starts_with(&author.name)).cloned().collect()
                };
                assert_eq!(of(&texts), of(&said), "{}'s order", author.name);
            }
            logs.push(texts);
        }
        assert!(logs.windows(2).all(|two| two[0] == two[1]), "one order for all");
        eprintln!("{} cuts, {} messages, 0 lost, 0 doubled", cutter.cuts(), said.len());
    });
}

/// Connects as the client does after a failure: with its back-off, until it is in; returns what it missed.
fn come_back(target: &Target, member: &Member, after: Seq, last: Seq) -> Vec<u64> {
    let mut backoff = Backoff::new();
    loop {
        std::thread::park_timeout(backoff.next_delay());
        let Ok(mut seat) = Seat::enter(target, member.clone()) else { continue };
        let (req, room) = (seat.next_request(), member.room);
        seat.wire.queue(&codec::encode_client(&ClientFrame::Subscribe { req, room, after }));
        seat.wire.flush().unwrap();
        let mut got = vec![];
        while got.last().is_none_or(|seq| *seq < last.0) {
            match codec::decode_server(&seat.wire.next().unwrap()).unwrap() {
                ServerFrame::Entries { entries, .. } => {
                    got.extend(entries.iter().map(|entry| entry.seq.0));
                }
                ServerFrame::Reject { code, .. } => panic!("{code:?}"),
                _ => {}
            }
        }
        return got;
    }
}

#[test]
fn everybody_comes_back_after_a_restart_and_misses_nothing() {
    storm(number("HEARTH_STORM_MEMBERS", 200));
}

#[test]
#[ignore = "a thread for each of 1,000 members; --run-ignored all plays it"]
fn a_thousand_come_back_at_once_after_a_restart_and_miss_nothing() {
    storm(1_000);
}

/// The relay is killed with a long log (G3): what it stores does not keep anybody waiting.
#[test]
#[ignore = "stores a million entries; --run-ignored all plays it"]
fn a_relay_that_was_killed_with_a_million_entries_is_soon_ready() {
    const MORE: u64 = 5_000;
    let entries = number("HEARTH_STORM_ENTRIES", 1_000_000);
    let mut stock = Stock::open(PAYLOAD_BYTES).unwrap();
    stock.fill(entries).unwrap();
    let mut times = vec![];
    for turn in 1..=5 {
        // Some of them are in the log alone.
        stock.fill(entries + turn * MORE).unwrap();
        let begun = Instant::now();
        stock = stock.killed_and_started();
        times.push(begun.elapsed());
    }
    eprintln!("killed and ready again after {times:.0?}");
    assert!(times.iter().all(|time| *time <= Duration::from_secs(1)), "{times:?}");
}

/// The relay restarts, and so many members come back at once, from one address.
fn storm(members: u64) {
    const SIZE: usize = 20;
    const MISSED: u64 = 5;
    let server = Server::hearthd(None);
    let grant = server.grant();
    let rooms = usize::try_from(members).unwrap().div_ceil(SIZE);
    let mut open: Vec<LoadRoom> =
        (0..rooms).map(|_| rooms::open(&server.target, &grant, SIZE).unwrap()).collect();
    let mut waiting = vec![];
    for room in &mut open {
        let (id, epoch, after) = (room.id, room.epoch, room.head);
        let mut last = after;
        for _ in 0..MISSED {
            let payload = rooms::payload(&id, epoch, 1, &[], PAYLOAD_BYTES);
            last = room.seats[0].append(payload, Vec::<Effect>::new()).unwrap();
        }
        waiting.extend(room.seats.iter().map(|seat| (seat.member.clone(), after, last)));
    }
    let count = waiting.len();
    drop(open);
    let server = server.restart(None);
    let begun = Instant::now();
    let (back, came) = channel();
    let threads: Vec<_> = waiting
        .into_iter()
        .map(|(member, after, last)| {
            let (target, back) = (server.target.clone(), back.clone());
            std::thread::spawn(move || {
                let got = come_back(&target, &member, after, last);
                let expected: Vec<u64> = (after.0 + 1..=last.0).collect();
                assert_eq!(got, expected, "no hole, nothing twice");
                back.send(begun.elapsed()).unwrap();
            })
        })
        .collect();
    drop(back);
    for thread in threads {
        thread.join().unwrap();
    }
    let mut times: Vec<Duration> = came.iter().collect();
    times.sort_unstable();
    assert_eq!(times.len(), count);
    let (median, all) = (times[count / 2], times[count - 1]);
    eprintln!("{count} members: half back after {median:.1?}, all after {all:.1?}");
    assert!(all <= Duration::from_secs(10), "{all:?}");
}
