//! One room of one connection: a proved key, its standing at the relay, and a cursor.

use hearth_protocol::{
    Millis, RejectCode, Seq, ServerFrame, codec,
    frame::{Notice, Standing},
};

use hearth_rules::{
    Refusal, State,
    reading::{Position, View},
};

use crate::{
    Shared,
    auth::Proved,
    batch::EntryBatch,
    registry::{Attachment, Pull, Versions},
};

/// A member's subscription.
#[derive(Clone, Copy, Debug)]
struct Subscription {
    /// The last entry that was sent.
    cursor: Seq,
    /// The log's head when the subscription began, because the registry may not know one yet.
    known_head: Seq,
    /// The last entry that may be sent.
    bound: Seq,
}

/// A room for which the connection has proved a key.
#[derive(Debug)]
pub(crate) struct RoomSlot {
    pub(crate) proof: Proved,
    attachment: Attachment,
    versions: Versions,
    standing: Option<Standing>,
    timeout_until: Millis,
    subscription: Option<Subscription>,
}

/// Frames for one room in one delivery.
#[derive(Debug, Default)]
pub(crate) struct Delivery {
    pub(crate) frames: Vec<Vec<u8>>,
    /// Whether more can be sent at once.
    pub(crate) more: bool,
    /// Whether the store could not be read, so that owed frames cannot be sent now.
    pub(crate) failed: bool,
}

impl RoomSlot {
    /// `versions` must have been read before the view.
    pub(crate) fn new(
        proof: Proved,
        attachment: Attachment,
        versions: Versions,
        view: &View,
    ) -> Self {
        Self {
            proof,
            attachment,
            versions,
            standing: Some(view.standing.clone()),
            timeout_until: timeout_of(view),
            subscription: None,
        }
    }

    /// Whether the key lets members in, as far as this connection knows; the store decides.
    pub(crate) fn admits(&self) -> bool {
        let admits = matches!(&self.standing, Some(Standing::Member { role, .. }) if role.admits());
        admits && self.proof.place().lane.is_none()
    }

    /// Stores a standing that was just read, so that no notice repeats it.
    pub(crate) fn observe(&mut self, view: &View) {
        self.standing = Some(view.standing.clone());
        self.timeout_until = timeout_of(view);
    }

    /// Starts to follow the log.
    pub(crate) fn subscribe(&mut self, after: Seq, position: &Position) {
        let member = &position.member;
        let bound = match member.state {
            State::In => Seq(u64::MAX),
            _ => member.gone,
        };
        // Never deliver entries from before the admission.
        let cursor = after.max(member.joined);
        let known_head = position.head;
        self.subscription = Some(Subscription { cursor, known_head, bound });
    }

    /// Asks for a pull at the next delivery.
    pub(crate) fn mark(&self) {
        self.attachment.mark();
    }

    /// Pulls new entries from memory; `None` if the store must be read.
    pub(crate) fn pull_now(&mut self, shared: &Shared) -> Option<Delivery> {
        if self.attachment.versions() != self.versions {
            return None;
        }
        let mut delivery = Delivery::default();
        let Some(subscription) = self.subscription else { return Some(delivery) };
        let Subscription { cursor, known_head, bound } = subscription;
        match self.attachment.pull(self.versions.roster, cursor, known_head, bound) {
            Pull::Nothing => Some(delivery),
            Pull::Tail(batch, head) => {
                self.send(shared, batch, head, &mut delivery);
                Some(delivery)
            }
            Pull::Roster | Pull::Behind(_) => None,
        }
    }

    /// Pulls new entries and notices, from the store if needed.
    pub(crate) async fn pull(&mut self, shared: &Shared) -> Delivery {
        let mut delivery = Delivery::default();
        let mut notices = Vec::new();
        if self.attachment.versions() != self.versions {
            match self.refresh(shared).await {
                Ok(found) => notices = found,
                Err(_) => {
                    delivery.failed = true;
                    return delivery;
                }
            }
        }
        if let Some(subscription) = self.subscription {
            self.pull_entries(shared, subscription, &mut delivery).await;
        }
        // Notices follow the entries, because the entry that made the change comes first.
        let room = *self.proof.room();
        for notice in notices {
            delivery.frames.push(codec::encode_server(&ServerFrame::Notice { room, notice }));
        }
        delivery
    }

    async fn pull_entries(
        &mut self,
        shared: &Shared,
        subscription: Subscription,
        delivery: &mut Delivery,
    ) {
        let place = *self.proof.place();
        let Subscription { cursor, known_head, bound } = subscription;
        let pulled = self.attachment.pull(self.versions.roster, cursor, known_head, bound);
        let (batch, head) = match pulled {
            Pull::Nothing => return,
            // The roster changed since the refresh: pull again from the start.
            Pull::Roster => {
                delivery.more = true;
                return;
            }
            Pull::Tail(batch, head) => (batch, head),
            Pull::Behind(head) => match shared.store.entries(place, cursor, head).await {
                Ok(batch) => (batch, head),
                Err(_) => {
                    delivery.failed = true;
                    return;
                }
            },
        };
        self.send(shared, batch, head, delivery);
    }

    /// Adds a batch to the delivery and advances the cursor.
    fn send(&mut self, shared: &Shared, batch: EntryBatch, head: Seq, delivery: &mut Delivery) {
        let (Some(last), Some(subscription)) = (batch.last(), &mut self.subscription) else {
            return;
        };
        subscription.cursor = last;
        delivery.more = last < head;
        if !batch.is_empty() {
            shared.metrics.entries_frames_sent.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            delivery.frames.push(batch.into_frame(self.proof.room(), head));
        }
    }

    /// Reads the standing again and returns notices of the changes.
    async fn refresh(&mut self, shared: &Shared) -> Result<Vec<Notice>, Refusal> {
        let versions = self.attachment.versions();
        let mut notices = Vec::new();
        if versions.roster != self.versions.roster {
            match shared.store.standing(self.proof.clone()).await {
                Ok(view) => self.note(&view, &mut notices),
                // A new agreement dropped the pending knock, or the lane was deleted.
                Err(refusal) if refusal.code == RejectCode::NotMember => {
                    if self.standing.take().is_some() && self.proof.place().lane.is_some() {
                        notices.push(Notice::Standing(Standing::Gone { at: Seq(0) }));
                    }
                    self.subscription = None;
                }
                Err(refusal) => return Err(refusal),
            }
        }
        if versions.knocks != self.versions.knocks && self.admits() {
            notices.push(Notice::Knock);
        }
        if versions.notes != self.versions.notes {
            notices.push(Notice::Note);
        }
        self.versions = versions;
        Ok(notices)
    }

    fn note(&mut self, view: &View, notices: &mut Vec<Notice>) {
        if let Some(subscription) = &mut self.subscription
            && let Some(row) = &view.row
        {
            match row.state {
                State::In => {
                    subscription.bound = Seq(u64::MAX);
                    subscription.cursor = subscription.cursor.max(row.joined);
                }
                _ => subscription.bound = row.gone,
            }
        }
        if !is_same(self.standing.as_ref(), &view.standing) {
            notices.push(Notice::Standing(view.standing.clone()));
        }
        self.standing = Some(view.standing.clone());
        let timeout_until = timeout_of(view);
        if timeout_until != self.timeout_until {
            self.timeout_until = timeout_until;
            notices.push(Notice::TimedOut(timeout_until));
        }
    }
}

/// Whether the member needs no notice: a fetched Welcome is not worth one.
fn is_same(old: Option<&Standing>, new: &Standing) -> bool {
    match (old, new) {
        (
            Some(Standing::Member { role: old_role, joined: old_joined, .. }),
            Standing::Member { role, joined, .. },
        ) => old_role == role && old_joined == joined,
        (Some(old), new) => old == new,
        (None, _) => false,
    }
}

fn timeout_of(view: &View) -> Millis {
    view.row.as_ref().map_or(Millis(0), |row| row.timeout_until)
}
