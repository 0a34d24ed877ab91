//! The store's verbs: one method each, over one backend.

use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, PoisonError, atomic::Ordering},
};

use hearth_protocol::{
    BlobId, MemberKey, Millis, NoteId, Pin, RejectCode, RelayId, RoomId, Secret32, Seq, StreamId,
    frame::{LaneRow, PendingKnock, RoomStatus, Standing, WaitingNote},
};
use hearth_rules::{
    Refusal,
    admission::{Knock, Opening},
    quota::Limits,
    reading::{Position, View},
    submit::{Accepted, Print, Submission},
};

use super::{
    Committed, LaneNumber, OpenError, Part, Place, Submitted, Threads,
    sqlite::{Batch, Sqlite, admission, blobs, lanes, life, notes, read, retention, submit},
};
use crate::{auth::Proved, batch::EntryBatch, metrics::Metrics, registry::Registry};

pub(crate) use retention::Step;

/// Maximum repetitions of a search because the log went on meanwhile.
const SEARCHES_MAX: usize = 3;
/// Retry time of a member whose search still runs.
const SEARCH_MILLIS: u64 = 1_000;

/// Members with a running search.
type Searching = std::sync::Mutex<HashSet<(RoomId, MemberKey)>>;

/// A member's turn to search; each member has one at a time.
struct Turn<'a> {
    searching: &'a Searching,
    member: (RoomId, MemberKey),
}

impl<'a> Turn<'a> {
    fn take(searching: &'a Searching, proof: &Proved) -> Option<Self> {
        let member = (*proof.room(), *proof.member());
        let mut taken = searching.lock().unwrap_or_else(PoisonError::into_inner);
        taken.insert(member).then(|| Self { searching, member })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut taken = self.searching.lock().unwrap_or_else(PoisonError::into_inner);
        taken.remove(&self.member);
    }
}

/// The store's handle, cheap to share.
///
/// A writing verb is answered after its commit is on disk. It waits for a place in the writer's queue; requests
/// of one caller are applied in order. [`RejectCode::StoreUnavailable`] answers every verb that the store could not carry out.
pub(crate) struct Store {
    pub(super) sqlite: Sqlite,
    searching: Searching,
}

impl Store {
    /// Opens the store of a data directory and starts its threads.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub(crate) fn open(
        dir: &Path,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<(Arc<Self>, Threads), OpenError> {
        let (sqlite, threads) = Sqlite::open(dir, registry, metrics, limits)?;
        Ok((Arc::new(Self { sqlite, searching: Searching::default() }), threads))
    }

    /// Opens a store whose verbs run on the caller's thread, each in its own transaction, so that a simulation depends on no
    /// thread.
    ///
    /// # Errors
    /// See [`OpenError`].
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn open_here(
        dir: &Path,
        registry: Arc<Registry>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Result<Arc<Self>, OpenError> {
        let sqlite = Sqlite::open_here(dir, registry, metrics, limits)?;
        Ok(Arc::new(Self { sqlite, searching: Searching::default() }))
    }

    /// Returns the relay's identity.
    pub(crate) fn relay(&self) -> RelayId {
        self.sqlite.secrets.relay
    }

    /// Returns the stream id of the store.
    pub(crate) fn stream(&self) -> StreamId {
        self.sqlite.stream
    }

    /// Returns the number of requests that wait for the writer.
    pub(crate) fn queue_depth(&self) -> usize {
        self.sqlite.queue_depth()
    }

    /// Returns the bytes of the requests that wait for the writer or are in its transaction.
    pub(crate) fn queue_bytes(&self) -> usize {
        self.sqlite.queue_bytes()
    }

    /// Hands over a submission; the answer comes later, and the caller may hand over others meanwhile.
    pub(crate) async fn submit(
        &self,
        now: Millis,
        proof: Proved,
        submission: Submission,
    ) -> Committed<Submitted> {
        let bytes = submission.bytes();
        self.sqlite
            .write_bytes(bytes, move |batch| submit::submit(batch, now, &proof, submission))
            .await
    }

    /// Submits after a search beyond the bound of a transaction: a reader searches the whole log, then the submission is made as if
    /// its sender had read that.
    ///
    /// # Errors
    /// [`RejectCode::RateLimited`] while another such search of the same member runs.
    pub(crate) async fn submit_far(
        &self,
        now: Millis,
        proof: Proved,
        mut submission: Submission,
    ) -> Result<Accepted, Refusal> {
        let busy = Refusal::until(RejectCode::RateLimited, Some(now.plus(SEARCH_MILLIS)));
        let _turn = Turn::take(&self.searching, &proof).ok_or(busy)?;
        for _ in 0..SEARCHES_MAX {
            match self.search(&proof, &submission).await? {
                Ok(accepted) => return Ok(accepted),
                Err(searched) => submission.after = searched,
            }
            match self.submit(now, proof.clone(), submission).await.await? {
                Submitted::Accepted(accepted) => return Ok(accepted),
                Submitted::Far(again) => submission = again,
            }
        }
        Err(busy)
    }

    /// Searches the whole log for a submission, a few rows at a time. Returns the head up to which it is absent.
    async fn search(
        &self,
        proof: &Proved,
        submission: &Submission,
    ) -> Result<Result<Accepted, Seq>, Refusal> {
        let print = Print::of(&self.sqlite.secrets, proof.room(), proof.member(), submission);
        let (place, mut after) = (*proof.place(), submission.after);
        loop {
            let step = self.sqlite.read(move |db| read::earlier(db, &place, after, &print));
            match step.await? {
                read::Earlier::Found(accepted) => return Ok(Ok(accepted)),
                read::Earlier::Nothing(head) => return Ok(Err(head)),
                read::Earlier::More(searched) => after = searched,
            }
        }
    }

    /// Opens a room and makes the sender its facilitator.
    pub(crate) async fn open_room(
        &self,
        now: Millis,
        proof: Proved,
        opening: Opening,
    ) -> Result<Standing, Refusal> {
        let verb =
            self.sqlite.write(move |batch| admission::open_room(batch, now, &proof, &opening));
        verb.await.await
    }

    /// Accepts a knock: the gate at the relay.
    pub(crate) async fn knock(
        &self,
        now: Millis,
        proof: Proved,
        knock: Knock,
    ) -> Result<Standing, Refusal> {
        let bytes = knock.body.len();
        let verb = move |batch: &mut Batch<'_>| admission::knock(batch, now, &proof, knock);
        self.sqlite.write_bytes(bytes, verb).await.await
    }

    /// Spends every use of an invite.
    pub(crate) async fn burn(
        &self,
        now: Millis,
        room: RoomId,
        token: Secret32,
    ) -> Result<(), Refusal> {
        self.sqlite.write(move |batch| admission::burn(batch, now, &room, &token)).await.await
    }

    /// Withdraws a pending knock.
    pub(crate) async fn cancel(&self, proof: Proved) -> Result<(), Refusal> {
        self.sqlite.write(move |batch| admission::cancel(batch, &proof)).await.await
    }

    /// Stores a whole blob, whose bytes the caller checked against its id.
    pub(crate) async fn put_blob(
        &self,
        now: Millis,
        proof: Proved,
        blob: BlobId,
        bytes: Vec<u8>,
    ) -> Result<(), Refusal> {
        let size = bytes.len();
        let verb = move |batch: &mut Batch<'_>| blobs::put(batch, now, &proof, &blob, bytes);
        self.sqlite.write_bytes(size, verb).await.await
    }

    /// Forgets a member's Welcome once they have subscribed past their admission.
    pub(crate) async fn fetched(&self, proof: Proved, after: Seq) -> Result<(), Refusal> {
        self.sqlite.write(move |batch| blobs::fetched(batch, &proof, after)).await.await
    }

    /// Deletes some expired rows, after the ones that [`Step::next`] named; 0 begins a round.
    pub(crate) async fn forget(&self, now: Millis, after: i64) -> Result<Step, Refusal> {
        self.sqlite.write(move |batch| retention::step(batch, now, after)).await.await
    }

    /// Checks that a token is an invite's, without the writer.
    pub(crate) async fn check_token(&self, room: RoomId, token: Secret32) -> Result<(), Refusal> {
        self.sqlite.read(move |db| admission::check_token(db, &room, &token)).await
    }

    /// Checks that a grant opens a room, without the writer.
    pub(crate) async fn check_grant(
        &self,
        now: Millis,
        proof: Proved,
        grant: Secret32,
    ) -> Result<(), Refusal> {
        self.sqlite.read(move |db| admission::check_grant(db, now, &proof, &grant)).await
    }

    /// Returns an invite's sealed preview.
    pub(crate) async fn preview(
        &self,
        now: Millis,
        room: RoomId,
        token: Secret32,
    ) -> Result<Vec<u8>, Refusal> {
        self.sqlite.read(move |db| admission::preview(db, now, &room, &token)).await
    }

    /// Returns a key's standing in a room.
    pub(crate) async fn standing(&self, proof: Proved) -> Result<View, Refusal> {
        let verb = move |db: &_| admission::standing(db, proof.place(), proof.member());
        self.sqlite.read(verb).await
    }

    /// Returns pending knocks in order of key, as many as fit into one frame, and whether there are more.
    pub(crate) async fn knocks(
        &self,
        proof: Proved,
        after: Option<MemberKey>,
    ) -> Result<(Vec<PendingKnock>, bool), Refusal> {
        self.sqlite.read(move |db| read::knocks(db, &proof, after)).await
    }

    /// Returns the room's state as a member may read it.
    pub(crate) async fn status(&self, proof: Proved) -> Result<RoomStatus, Refusal> {
        let stream = self.stream();
        self.sqlite.read(move |db| read::status(db, &proof, stream)).await
    }

    /// Returns the position of a room's log, for a present or former member.
    pub(crate) async fn position(&self, proof: Proved) -> Result<Position, Refusal> {
        self.sqlite.read(move |db| read::position(db, &proof)).await
    }

    /// Reads entries in `(after, upto]`, as many as fit into one frame.
    pub(crate) async fn entries(
        &self,
        place: Place,
        after: Seq,
        upto: Seq,
    ) -> Result<EntryBatch, Refusal> {
        self.sqlite.read(move |db| read::entries(db, &place, after, upto)).await
    }

    /// Reads a part of the blob that is addressed to a member.
    pub(crate) async fn part(
        &self,
        proof: Proved,
        blob: BlobId,
        offset: u32,
    ) -> Result<Part, Refusal> {
        self.sqlite.read(move |db| blobs::part(db, &proof, &blob, offset)).await
    }

    /// Opens a lane of a room; returns its number.
    pub(crate) async fn open_lane(
        &self,
        now: Millis,
        moderator: Proved,
        opener: Proved,
        opening: hearth_rules::lanes::Opening,
    ) -> Result<LaneNumber, Refusal> {
        let bytes = opening.bytes();
        let verb =
            move |batch: &mut Batch<'_>| lanes::open(batch, now, &moderator, &opener, opening);
        let (lane, new) = self.sqlite.write_bytes(bytes, verb).await.await?;
        self.sqlite.metrics.lanes_opened.fetch_add(u64::from(new), Ordering::Relaxed);
        Ok(lane)
    }

    /// Closes a lane, or deletes it.
    pub(crate) async fn close_lane(
        &self,
        now: Millis,
        facilitator: Proved,
        lane: RoomId,
        forget: bool,
    ) -> Result<(), Refusal> {
        let verb =
            move |batch: &mut Batch<'_>| lanes::close(batch, now, &facilitator, &lane, forget);
        self.sqlite.write(verb).await.await
    }

    /// Returns the lanes of a room, in order of id.
    pub(crate) async fn lanes(&self, moderator: Proved) -> Result<Vec<LaneRow>, Refusal> {
        self.sqlite.read(move |db| lanes::list(db, &moderator)).await
    }

    /// Finds the lane with an id in which a key has a row. `held` are the rooms of the connection.
    pub(crate) async fn find_lane(
        &self,
        lane: RoomId,
        member: MemberKey,
        held: Vec<RoomId>,
    ) -> Result<LaneNumber, Refusal> {
        self.sqlite.read(move |db| lanes::find(db, &lane, &member, &held)).await
    }

    /// Leaves a sealed note for a key of the sender's room.
    pub(crate) async fn send_note(
        &self,
        now: Millis,
        sender: Proved,
        note: notes::Note,
    ) -> Result<(), Refusal> {
        let bytes = note.sealed.len();
        let verb = move |batch: &mut Batch<'_>| notes::send(batch, now, &sender, &note);
        let new = self.sqlite.write_bytes(bytes, verb).await.await?;
        self.sqlite.metrics.notes_stored.fetch_add(u64::from(new), Ordering::Relaxed);
        Ok(())
    }

    /// Returns the notes that wait for a key, as many as fit into one frame, and whether there are more.
    pub(crate) async fn notes(&self, proof: Proved) -> Result<(Vec<WaitingNote>, bool), Refusal> {
        self.sqlite.read(move |db| notes::waiting(db, &proof)).await
    }

    /// Deletes notes that wait for a key.
    pub(crate) async fn drop_notes(
        &self,
        proof: Proved,
        dropped: Vec<NoteId>,
    ) -> Result<(), Refusal> {
        self.sqlite.write(move |batch| notes::drop(batch, &proof, &dropped)).await.await
    }

    /// Stores the pin of links, so that a copy of the store does not start with another key.
    pub(crate) async fn remember_pin(&self, pin: Option<Pin>) -> Result<(), Refusal> {
        self.sqlite.write(move |batch| Ok(life::remember_pin(batch.db, pin)?)).await.await
    }

    /// Records the store's counters beside it. Uses the writer, which also reveals that a failed store works again while no
    /// member posts.
    pub(crate) async fn note_life(&self, dir: &Path) -> Result<(), Refusal> {
        let life = self.sqlite.write(|batch| Ok(life::life(batch.db)?)).await.await?;
        let (dir, path, stream) = (dir.to_owned(), self.sqlite.path.clone(), self.stream());
        let noted = tokio::task::spawn_blocking(move || life::note(&dir, &path, stream, life));
        if let Ok(Err(error)) = noted.await {
            let error = crate::words::of_io(&error);
            tracing::warn!(%error, "the state of the store could not be written down");
        }
        Ok(())
    }

    /// Ends a generation in an orderly way, so that a copy made during it is recognised as older.
    pub(crate) async fn end_generation(&self, dir: &Path) {
        let advanced = self.sqlite.write(|batch| Ok(life::end_generation(batch.db)?)).await;
        if advanced.await.is_ok() {
            let _ = self.note_life(dir).await;
        }
    }
}
