//! A modified client for tests: it believes every commit and Welcome, acts without permission, and makes messages that no honest
//! client makes. Compiled for tests only.

use hearth_protocol::{MessageId, Millis, codec, padding};

use super::{
    agreement::Departure,
    clock::Clock,
    content::{Body, ContentError, Envelope},
    error::EngineError,
    gate::{CommitView, LeafError, Refusal, Verdict, WelcomeView},
    laws::Laws,
    policy::{Applied, Leaf, RoomPolicy},
    provider::Crypto,
    room::{Room, random},
};

type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Returns the primitives of a client without laws.
pub fn crypto(clock: Clock) -> Crypto {
    Crypto::with_laws(clock, Laws::Broken)
}

/// Accepts a commit as it stands, without checking its committer.
pub(super) fn believe_commit(commit: &CommitView) -> Result<Verdict, Refusal> {
    let Some(policy) = &commit.policy else { return Ok(Verdict::Update(commit.committer)) };
    let added = match commit.added.first() {
        Some(leaf) => Some(leaf.as_ref().map_err(|e| *e)?.member),
        None => None,
    };
    let policy = policy.as_ref().map_err(|e| *e)?.clone();
    let removed = commit.removed.clone();
    Ok(Verdict::Moderated(Box::new(Applied { policy, removed, added })))
}

/// Joins the room of any Welcome.
pub(super) fn believe_welcome(view: WelcomeView) -> Result<(RoomPolicy, Vec<Leaf>), Refusal> {
    let roster = view.roster.into_iter().collect::<Result<Vec<Leaf>, LeafError>>()?;
    Ok((view.policy?, roster))
}

impl Room<'_> {
    /// Encrypts any message under any id, with or without a mark.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn forge_message(
        &mut self,
        id: MessageId,
        body: Body,
        marked: bool,
        now: Millis,
    ) -> Result<Vec<u8>> {
        self.change(|room| {
            let seen = room.seen()?;
            let counter = room.cursor.counter.saturating_add(1);
            let envelope =
                Envelope { format: 2, id, counter, seen, sent_at: now, body, salt: random()? };
            let bytes = codec::encode(&envelope);
            let padded = if marked { padding::pad_marked(&bytes) } else { padding::pad(&bytes) };
            let content = padded.ok_or(ContentError::TooLong)?;
            let key = room.signing_key();
            let (provider, group) = room.group()?;
            let payload = group.encrypt(&provider, &key, &content, marked)?;
            room.cursor.counter = counter;
            room.save_cursor()?;
            Ok(payload)
        })
    }

    /// Makes an unusable payload with the header of a commit of this epoch.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn forge_commit(&mut self, now: Millis) -> Result<Vec<u8>> {
        let mut payload = self.renew(None, now)?.payload;
        self.change(Self::give_up_commit)?;
        if let Some(last) = payload.last_mut() {
            *last ^= 1;
        }
        Ok(payload)
    }

    /// Signs a departure that ends the own stay, or, unless `is_right`, no stay.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn forge_departure(&self, is_right: bool, now: Millis) -> Result<Departure> {
        let mut digest = self.acknowledgement()?.digest();
        if !is_right {
            digest.0 = [0; 32];
        }
        Ok(Departure::sign(&self.signing_key(), self.id(), digest, false, now))
    }
}
