//! Measures the store alone, without sockets: the number of entries that it puts on disk.

use std::{
    collections::VecDeque,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hearth_protocol::{
    Commitment, Digest, MemberKey, MessageId, Millis, RoomId, RoomNumbers, Secret32, Seq,
    Signature,
    handshake::{self, AuthContext},
};

use hearth_rules::{
    admission::{Opening, Terms},
    quota::Limits,
    submit::Submission,
};

use crate::{
    auth::{Proved, Verifier},
    metrics::Metrics,
    store::{self, Committed, OpenError, Store, Submitted},
};

/// Result of a run of appends.
#[derive(Clone, Copy, Debug)]
pub struct Appends {
    /// Entries on disk.
    pub entries: u64,
    /// Time from the first request to the last answer.
    pub elapsed: Duration,
    /// Number of transactions.
    pub commits: u64,
}

/// The load of a run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Total entries.
    pub entries: u64,
    /// Requests waiting at any time.
    pub waiting: usize,
    /// Bytes of each payload.
    pub payload_bytes: usize,
}

/// Appends entries to one room of a new store in an empty directory, as a member with a proved key.
///
/// # Errors
/// See [`OpenError`]. Returns fewer entries than asked for if the store refused some.
pub async fn appends(
    dir: &Path,
    load: Load,
    member: MemberKey,
    sign: impl FnOnce(&[u8; 32]) -> Signature,
) -> Result<Appends, OpenError> {
    let metrics = Arc::new(Metrics::default());
    let (store, threads) = Store::open(dir, Arc::default(), metrics.clone(), Limits::NONE)?;
    let founder = prove(&store, member, sign)?;
    let Load { entries, waiting, payload_bytes } = load;
    let grant = Secret32::new([1; 32]);
    let terms = Terms { rooms_left: 1, members_max: 10, expires: Millis::NEVER };
    store::add_grant(dir, &grant, &terms)?;
    let opening =
        Opening { grant, numbers: RoomNumbers::default(), agreement: Commitment([2; 32]) };
    let proof = founder.clone();
    if store.open_room(Millis(1), proof, opening).await.is_err() {
        return Err(OpenError::Incomplete("room"));
    }
    let mut done = 0;
    let mut payload = [&[0, 1, 0, 2, 16], founder.room().as_bytes().as_slice()].concat();
    payload.extend(0_u64.to_be_bytes());
    payload.extend([1, 0]);
    payload.resize(payload_bytes.max(payload.len()), 3);
    let commits = metrics.commit_latency.count();
    let started = Instant::now();
    let mut answers: VecDeque<Committed<Submitted>> = VecDeque::with_capacity(waiting);
    for number in 0..entries {
        if answers.len() >= waiting
            && let Some(answer) = answers.pop_front()
        {
            done += u64::from(answer.await.is_ok());
        }
        let (proof, payload) = (founder.clone(), payload.clone());
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let (id, after) = (MessageId(id), Seq(number));
        let submission = Submission { id, payload, expect: None, effects: vec![], after };
        answers.push_back(store.submit(Millis(2), proof, submission).await);
    }
    for answer in answers {
        done += u64::from(answer.await.is_ok());
    }
    let elapsed = started.elapsed();
    let commits = metrics.commit_latency.count() - commits;
    drop(store);
    threads.join();
    Ok(Appends { entries: done, elapsed, commits })
}

/// Proves a key as a connection does.
fn prove(
    store: &Store,
    member: MemberKey,
    sign: impl FnOnce(&[u8; 32]) -> Signature,
) -> Result<Proved, OpenError> {
    let verifier = Verifier { challenge: Digest([5; 32]), relay: store.relay(), channel: [6; 32] };
    let room = RoomId([7; 16]);
    let transcript = handshake::auth_transcript(&AuthContext {
        challenge: &verifier.challenge,
        relay: &verifier.relay,
        channel: &verifier.channel,
        room: &room,
        member: &member,
    });
    verifier
        .verify(room, member, &sign(&transcript))
        .map_err(|_| OpenError::Incomplete("founder's key"))
}
