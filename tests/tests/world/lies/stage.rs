//! The state of the layer that lies, and its lies: frames in, frames out.

use std::collections::{HashMap, HashSet};

use hearth_protocol::{
    BlobId, ClientFrame, Digest, Effect, Entry, EntryContent, Epoch, MemberKey, MessageId, Millis,
    RejectCode, RoomId, Seq, ServerFrame, StreamId, codec,
    frame::{PendingKnock, RequestId, RoomStatus, Standing},
    hash, invite,
    limits::BLOB_PART_BYTES_MAX,
    mls_header::{self, ContentType},
};

use super::{
    Dice, Op,
    log::{Stock, View},
};

/// The limit of [`Op::SilentLimit`].
pub const SILENT_SECONDS: u32 = 7_777;
/// The end of [`Op::FalseTimeout`]: later than any clock here.
pub const FALSE_UNTIL: Millis = Millis(5_000_000_000_000);

/// A request under way.
enum Pending {
    Subscribe { after: u64 },
    Submit { payload: Vec<u8>, lie: Option<Op> },
}

/// The lies told on one connection of a member.
#[derive(Default)]
pub struct Told {
    member: Option<MemberKey>,
    /// The member is gone: requests that only read are dropped.
    pub gone: bool,
    /// Seq up to which entries were delivered; `None` before a subscription.
    sent: Option<u64>,
    pending: HashMap<RequestId, Pending>,
    /// An entry that is served in place of the true one.
    instead: Option<Entry>,
    /// Entries after this seq are kept back.
    until: Option<u64>,
    /// Entries up to this seq are said to have expired.
    floor: u64,
}

/// The lies of one visit that a member must notice by its end.
#[derive(Default)]
pub struct Visit {
    /// An entry in whose place another was shown. The member may have had it.
    pub rewritten: Option<Entry>,
    /// The member was told that they are out.
    pub outcast: bool,
    /// The lie in the last status, with its head.
    pub status: Option<(Option<Op>, Seq)>,
}

/// The next step for a connection.
pub enum Action {
    /// Hands a frame to the relay.
    Relay(Vec<u8>),
    /// Sends a frame to the member.
    Member(Vec<u8>),
    /// Ends the connection after what was sent.
    Cut,
}

/// The layer that lies.
pub struct Stage {
    dice: Dice,
    /// The lies of this scene.
    pub ops: Vec<Op>,
    /// Members who are lied to.
    pub targets: HashSet<MemberKey>,
    /// Percentage of cases in which a lie is told.
    pub percent: u64,
    /// Members whose client works for the relay: their effects are dropped, their blobs kept.
    pub colluders: HashSet<MemberKey>,
    /// Submissions that the relay took and forgot.
    forgotten: HashSet<(MemberKey, MessageId)>,
    /// No version of the agreement comes into force.
    pub refuses_agreements: bool,
    /// A longer message is refused, as in a room that is full.
    pub message_bytes_max: usize,
    /// The relay is not told to pause.
    pub hide_numbers: bool,
    /// Frames and entries handled while lies were told.
    pub events: u64,
    /// Lies told.
    pub lies: HashMap<Op, u64>,
    /// Which of [`Op::RULE`] are told, by a plan beside the other.
    pub rules: Vec<Op>,
    visits: HashMap<MemberKey, Visit>,
    rule_dice: Dice,
    /// Broken rules of the wire itself.
    pub violations: Vec<String>,
    /// Members to whom any lie was told.
    pub lied_to: HashSet<MemberKey>,
    /// Every knock.
    pub knocks: Vec<PendingKnock>,
    /// The Welcome that the relay would like a newcomer to take.
    pub welcome: Option<BlobId>,
    /// Blobs of colluders and facilitators.
    pub blobs: Vec<(BlobId, Vec<u8>)>,
    pub stock: Stock,
    branches: Vec<Vec<Entry>>,
    views: HashMap<MemberKey, View>,
    joined: HashMap<MemberKey, u64>,
    /// Members in the order of joining: the plan must not hang on keys.
    order: Vec<MemberKey>,
    stream: StreamId,
    /// Digests of all bytes that went out under an id, and whether a refusal for now was answered since the last new ones.
    submitted: HashMap<(MemberKey, MessageId), (Vec<Digest>, bool)>,
    owners: HashMap<Digest, (MemberKey, MessageId)>,
}

impl Stage {
    /// An honest stage.
    pub fn new(dice: Dice) -> Self {
        Self {
            dice,
            ops: Vec::new(),
            targets: HashSet::new(),
            percent: 0,
            colluders: HashSet::new(),
            forgotten: HashSet::new(),
            refuses_agreements: false,
            message_bytes_max: usize::MAX,
            hide_numbers: false,
            events: 0,
            lies: HashMap::new(),
            rules: Vec::new(),
            visits: HashMap::new(),
            rule_dice: Dice::new(0),
            violations: Vec::new(),
            lied_to: HashSet::new(),
            knocks: Vec::new(),
            welcome: None,
            blobs: Vec::new(),
            stock: Stock::default(),
            branches: vec![Vec::new()],
            views: HashMap::new(),
            joined: HashMap::new(),
            order: Vec::new(),
            stream: StreamId([0; 16]),
            submitted: HashMap::new(),
            owners: HashMap::new(),
        }
    }

    /// The relay's log.
    pub fn truth(&self) -> &[Entry] {
        &self.branches[0]
    }

    /// The entries that a member was shown so far.
    pub fn shown(&self, member: &MemberKey) -> &[Entry] {
        self.views.get(member).map_or(&[], |v| &v.entries)
    }

    /// Seq of the entry that admitted a member, once known.
    pub fn joined(&self, member: &MemberKey) -> Option<u64> {
        self.joined.get(member).copied()
    }

    /// Returns the lies of a member's visit, which is over.
    pub fn end_visit(&mut self, member: Option<MemberKey>) -> Visit {
        member.and_then(|member| self.visits.remove(&member)).unwrap_or_default()
    }

    /// Stops lying: everybody is shown the relay's log from now on.
    pub fn quiet(&mut self) {
        self.lied_to.extend(self.views.iter().filter(|(_, v)| v.touched).map(|(m, _)| *m));
        self.ops.clear();
        self.rules.clear();
        self.percent = 0;
        self.hide_numbers = false;
        for (member, view) in &mut self.views {
            *view = View::new(self.joined.get(member).copied().unwrap_or(0));
        }
    }

    /// Shows some members a log of their own from now on.
    pub fn fork(&mut self, members: &[MemberKey]) {
        let copy = self.branches[0].clone();
        self.branches.push(copy);
        let branch = self.branches.len() - 1;
        for member in members {
            self.pull(member, None);
            if let Some(view) = self.views.get_mut(member) {
                view.branch = branch;
                view.touched = true;
            }
        }
    }

    /// Shows members of one log the last entries of the other.
    pub fn cross(&mut self) {
        let Some(other) = self.branches.len().checked_sub(1).filter(|b| *b > 0) else { return };
        let last = |branch: &Vec<Entry>| branch.last().cloned();
        let (a, b) = (last(&self.branches[0]), last(&self.branches[other]));
        for member in self.order.clone() {
            self.pull(&member, None);
            let Some(view) = self.views.get_mut(&member) else { continue };
            let foreign = if view.branch == 0 { &b } else { &a };
            if let Some(Entry { at, content: EntryContent::Payload(payload), .. }) = foreign {
                view.inject(payload.clone(), *at);
            }
        }
    }

    fn lie(&mut self, member: Option<&MemberKey>, among: &[Op]) -> Option<Op> {
        if self.percent == 0 || !member.is_some_and(|m| self.targets.contains(m)) {
            return None;
        }
        self.events += 1;
        let possible: Vec<Op> = self.ops.iter().filter(|o| among.contains(o)).copied().collect();
        let op = self.dice.chance(self.percent).then(|| self.dice.pick(&possible)).flatten()?;
        *self.lies.entry(op).or_default() += 1;
        if !Op::DOOR[..3].contains(&op) {
            // Lies about knocks leave the log as it is.
            self.lied_to.extend(member.copied());
        }
        Some(op)
    }

    /// Plans lies about rules.
    pub fn plan_rules(&mut self, seed: u64) {
        self.rule_dice = Dice::new(seed ^ 0x401e_0001);
        if self.rule_dice.chance(60) {
            self.rules = Op::RULE.into_iter().filter(|_| self.rule_dice.chance(50)).collect();
        }
    }

    fn lie_of_rules(&mut self, member: Option<&MemberKey>, among: &[Op]) -> Option<Op> {
        const PERCENT: u64 = 15;
        let member = member.filter(|m| !self.colluders.contains(m))?;
        let possible: Vec<Op> = self.rules.iter().filter(|o| among.contains(o)).copied().collect();
        let op = self.rule_dice.pick(&possible)?;
        // Newcomers are lied to as well, because the targets were drawn before they came.
        if !self.targets.contains(member) && op != Op::FalseDecline
            || !self.rule_dice.chance(PERCENT)
        {
            return None;
        }
        self.events += 1;
        *self.lies.entry(op).or_default() += 1;
        Some(op)
    }

    /// Says of a room's rules what no record says.
    fn misrule(&mut self, member: &MemberKey, status: &mut RoomStatus) {
        let among = [Op::SilentLimit, Op::SilentRemove, Op::FalseTimeout];
        let mut op = self.lie_of_rules(Some(member), &among);
        match op {
            Some(Op::SilentLimit) => status.numbers.slow_seconds = SILENT_SECONDS,
            Some(Op::FalseTimeout) => status.timed_out_until = FALSE_UNTIL,
            Some(_) => match status.roster.iter().position(|row| row.member != *member) {
                Some(at) => drop(status.roster.remove(at)),
                None => op = None,
            },
            None => {}
        }
        self.visits.entry(*member).or_default().status = Some((op, status.head));
    }

    /// Brings a member's view up to its log. An own entry is shown as it is.
    fn pull(&mut self, member: &MemberKey, own: Option<Digest>) {
        let Some(mut view) = self.views.remove(member) else { return };
        loop {
            let at = usize::try_from(view.next - 1).unwrap_or(usize::MAX);
            let Some(entry) = self.branches[view.branch].get(at).cloned() else { break };
            view.next += 1;
            let is_own = own.is_some_and(|own| entry.content.digest() == own);
            let op = if is_own { None } else { self.lie(Some(member), &Op::ENTRY) };
            let is_words = matches!(&entry.content, EntryContent::Payload(payload)
                if mls_header::parse(payload).is_some_and(|h| h.content == ContentType::Application));
            if op.is_none() && !is_own && is_words {
                let silent = self.lie_of_rules(Some(member), &[Op::SilentRetract]);
                if silent.is_some() {
                    self.lied_to.insert(*member);
                    view.take(&entry, Some(Op::Tombstone), &mut self.dice, &self.stock);
                    continue;
                }
            }
            if op == Some(Op::FarTime) {
                view.touched = true;
                view.show(entry.content, self.far_time(entry.at));
                continue;
            }
            view.take(&entry, op, &mut self.dice, &self.stock);
        }
        self.views.insert(*member, view);
    }

    /// A time that nobody's clock shows.
    fn far_time(&mut self, at: Millis) -> Millis {
        const YEAR: u64 = 365 * 24 * 3_600_000;
        let times = [
            Millis(i64::MAX.unsigned_abs()),
            Millis(u64::MAX),
            at.plus(YEAR),
            at.plus(35 * YEAR / 365),
            Millis(at.0.saturating_sub(YEAR)),
            Millis(1),
        ];
        self.dice.pick(&times).unwrap_or(at)
    }

    fn head(&self, member: &MemberKey, conn: &Told) -> u64 {
        let joined = self.joined.get(member).copied().unwrap_or(0);
        let view = self.views.get(member);
        let last = view.and_then(|v| v.entries.last()).map_or(joined, |e| e.seq.0);
        conn.until.map_or(last, |until| until.min(last))
    }

    /// Delivers the entries that a subscribed member has not got yet.
    fn deliver(&mut self, conn: &mut Told, out: &mut Vec<Action>) {
        let (Some(member), Some(sent), Some(room)) = (conn.member, conn.sent, self.room()) else {
            return;
        };
        let head = self.head(&member, conn);
        let Some(view) = self.views.get(&member) else { return };
        let mut entries: Vec<Entry> =
            view.entries.iter().filter(|e| e.seq.0 > sent && e.seq.0 <= head).cloned().collect();
        conn.sent = Some(head.max(sent));
        if let Some(gone) = entries.iter().rposition(|e| e.seq.0 <= conn.floor) {
            entries.drain(..gone);
            entries[0].content = EntryContent::Expired;
        }
        if let (Some(instead), Some(first)) = (conn.instead.take(), entries.first_mut())
            && first.seq == instead.seq
        {
            *first = instead;
        }
        let mut frames = Vec::new();
        while !entries.is_empty() {
            let many = (1 + self.dice.below(8)).min(entries.len());
            let some = entries.drain(..many).collect();
            frames.push(ServerFrame::Entries { room, entries: some, head: Seq(head) });
        }
        if frames.is_empty() {
            return;
        }
        let op = self.lie(Some(&member), &Op::FRAME[..5]);
        let at = self.dice.below(frames.len());
        match op {
            Some(Op::FrameAgain) => frames.insert(at, frames[at].clone()),
            Some(Op::FrameSwap) => {
                let other = self.dice.below(frames.len());
                frames.swap(at, other);
            }
            Some(Op::FrameForeign) => {
                if let ServerFrame::Entries { entries, head, .. } = frames[at].clone() {
                    let room = RoomId([0xee; 16]);
                    frames.insert(at, ServerFrame::Entries { room, entries, head });
                }
            }
            _ => {}
        }
        for (index, frame) in frames.iter().enumerate() {
            let mut bytes = codec::encode_server(frame);
            if index == at && op == Some(Op::FrameFlip) {
                let byte = self.dice.below(bytes.len());
                bytes[byte] ^= 1 << self.dice.below(8);
            }
            if index == at && op == Some(Op::FrameTruncate) {
                bytes.truncate(self.dice.below(bytes.len()));
            }
            out.push(Action::Member(bytes));
        }
        if matches!(op, Some(Op::FrameFlip | Op::FrameTruncate)) {
            // The damaged frame never comes whole, so the member would wait for it without an end.
            out.push(Action::Cut);
        }
    }

    fn room(&self) -> Option<RoomId> {
        self.stock.room.map(RoomId)
    }

    /// Handles a member's frame.
    pub fn on_member(&mut self, conn: &mut Told, bytes: &[u8]) -> Vec<Action> {
        let Ok(frame) = codec::decode_client(bytes) else {
            self.violations.push("a member sent no frame".into());
            return vec![Action::Cut];
        };
        let forward = |frame: &ClientFrame| vec![Action::Relay(codec::encode_client(frame))];
        match frame {
            ClientFrame::Authenticate { .. }
            | ClientFrame::Subscribe { .. }
            | ClientFrame::Status { .. }
            | ClientFrame::Knocks { .. }
            | ClientFrame::GetBlob { .. }
                if conn.gone =>
            {
                Vec::new()
            }
            ClientFrame::OpenRoom { room, member, .. } => {
                conn.member = Some(member);
                self.stock.room = Some(*room.as_bytes());
                self.joined.insert(member, 0);
                self.order.push(member);
                self.views.insert(member, View::new(0));
                forward(&frame)
            }
            ClientFrame::Authenticate { member, .. } => {
                conn.member = Some(member);
                forward(&frame)
            }
            ClientFrame::Knock { member, ref token, ref acknowledgement, ref body, .. } => {
                conn.member = Some(member);
                self.knocks.push(PendingKnock {
                    member,
                    invite: invite::invite_id(token),
                    at: Millis(0),
                    acknowledgement: acknowledgement.clone(),
                    body: body.clone(),
                });
                forward(&frame)
            }
            ClientFrame::PutBlob { req, blob, offset, ref part, .. } => {
                match self.blobs.iter_mut().find(|(id, _)| *id == blob) {
                    Some((_, whole)) if whole.len() == offset as usize => whole.extend(part),
                    Some(_) => {}
                    None => self.blobs.push((blob, part.clone())),
                }
                if conn.member.is_some_and(|m| self.colluders.contains(&m)) {
                    return vec![answer(&ServerFrame::Done { req })];
                }
                forward(&frame)
            }
            ClientFrame::GetBlob { req, blob, offset, .. } => {
                let fake = self.fake(conn.member.as_ref(), &blob);
                let Some(whole) = fake else { return forward(&frame) };
                let total = u32::try_from(whole.len()).unwrap_or(0);
                let part = whole.get(offset as usize..).unwrap_or_default();
                let part = part[..part.len().min(BLOB_PART_BYTES_MAX)].to_vec();
                vec![answer(&ServerFrame::BlobPart { req, total, part })]
            }
            ClientFrame::Subscribe { req, room, after } => {
                conn.pending.insert(req, Pending::Subscribe { after: after.0 });
                let after = Seq(after.0.min(self.truth().len() as u64));
                forward(&ClientFrame::Subscribe { req, room, after })
            }
            ClientFrame::Submit { req, room, id, payload, expect, effects, after } => {
                self.on_submit(conn, Submitted { req, room, id, payload, expect, effects, after })
            }
            _ => forward(&frame),
        }
    }

    /// A blob that the relay never had, for members who are lied to.
    fn fake(&self, member: Option<&MemberKey>, blob: &BlobId) -> Option<Vec<u8>> {
        let lied = member.is_some_and(|m| self.lied_to.contains(m));
        let found = self.blobs.iter().find(|(id, _)| id == blob).filter(|_| lied);
        found.map(|(_, whole)| whole.clone())
    }

    fn on_submit(&mut self, conn: &mut Told, mut submitted: Submitted) -> Vec<Action> {
        let Some(member) = conn.member else { return vec![Action::Cut] };
        let req = submitted.req;
        let payload = submitted.payload.clone();
        self.check_reuse(member, submitted.id, &payload);
        if self.colluders.contains(&member) {
            submitted.effects.clear();
        }
        let enacts = |effect: &Effect| matches!(effect, Effect::SetAgreement { .. });
        if self.refuses_agreements && submitted.effects.iter().any(enacts) {
            let code = RejectCode::RoomFull;
            return vec![answer(&ServerFrame::Reject { req, code, retry_at: None })];
        }
        let commits = mls_header::parse(&payload).is_some_and(|h| h.content == ContentType::Commit);
        if payload.len() > self.message_bytes_max && !commits {
            if let Some((_, refused)) = self.submitted.get_mut(&(member, submitted.id)) {
                *refused = true;
            }
            let code = RejectCode::QuotaSpent;
            return vec![answer(&ServerFrame::Reject { req, code, retry_at: None })];
        }
        if self.hide_numbers {
            submitted.effects.retain(|e| !matches!(e, Effect::SetNumbers { .. }));
        }
        let branch = self.views.get(&member).map_or(0, |v| v.branch);
        if branch > 0 && !payload.is_empty() {
            return self.accept_here(conn, member, branch, &submitted);
        }
        let lie = if payload.is_empty() { None } else { self.lie(Some(&member), &Op::SUBMIT) };
        if !payload.is_empty() && self.lie_of_rules(Some(&member), &[Op::FalseTimeout]).is_some() {
            if let Some((_, refused)) = self.submitted.get_mut(&(member, submitted.id)) {
                *refused = true;
            }
            let code = RejectCode::TimedOut;
            let retry_at = Some(FALSE_UNTIL);
            return vec![answer(&ServerFrame::Reject { req, code, retry_at })];
        }
        let conflict = |stage: &mut Self| {
            if let Some((_, conflicted)) = stage.submitted.get_mut(&(member, submitted.id)) {
                *conflicted = true;
            }
            let code = RejectCode::EpochConflict;
            vec![answer(&ServerFrame::Reject { req, code, retry_at: None })]
        };
        match lie {
            Some(Op::ConflictLie) => return conflict(self),
            Some(Op::AcceptTwice) => {
                for other in self.order.clone() {
                    if other == member {
                        continue;
                    }
                    self.pull(&other, None);
                    if let Some(view) = self.views.get_mut(&other) {
                        view.inject(payload.clone(), Millis(0));
                    }
                }
                return conflict(self);
            }
            Some(Op::AcceptLie) => {
                self.pull(&member, None);
                let Some(view) = self.views.get_mut(&member) else { return vec![Action::Cut] };
                let at = view.entries.last().map_or(Millis(0), |e| e.at);
                view.inject(payload, at);
                let seq = Seq(view.last);
                let mut out = vec![answer(&ServerFrame::Accepted { req, seq, at, control: 0 })];
                self.deliver(conn, &mut out);
                return out;
            }
            _ => {}
        }
        conn.pending.insert(req, Pending::Submit { payload, lie });
        let Submitted { req, room, id, payload, expect, effects, mut after } = submitted;
        if self.forgotten.contains(&(member, id)) {
            after = Seq(u64::MAX);
        }
        if lie == Some(Op::AcceptAgain) {
            self.forgotten.insert((member, id));
        }
        let frame = ClientFrame::Submit { req, room, id, payload, expect, effects, after };
        vec![Action::Relay(codec::encode_client(&frame))]
    }

    /// Takes a submission into a log of the layer's own.
    fn accept_here(
        &mut self,
        conn: &mut Told,
        member: MemberKey,
        branch: usize,
        submitted: &Submitted,
    ) -> Vec<Action> {
        let content = EntryContent::Payload(submitted.payload.clone());
        let log = &mut self.branches[branch];
        let at = log.last().map_or(Millis(0), |e| e.at);
        let digest = content.digest();
        if !log.iter().any(|e| e.content.digest() == digest) {
            log.push(Entry { seq: Seq(log.len() as u64 + 1), at, content });
        }
        self.pull(&member, Some(digest));
        let seq = self.views.get(&member).and_then(|v| v.find(digest)).unwrap_or(0);
        let accepted = ServerFrame::Accepted { req: submitted.req, seq: Seq(seq), at, control: 0 };
        let mut out = vec![answer(&accepted)];
        self.deliver(conn, &mut out);
        out
    }

    /// I7, as far as a relay sees it: a retry repeats its bytes, and no bytes go out under two ids.
    fn check_reuse(&mut self, member: MemberKey, id: MessageId, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        let digest = hash::sha256(payload);
        // A late frame of an earlier connection can repeat bytes that were replaced since.
        let (known, conflicted) = self.submitted.entry((member, id)).or_default();
        if !known.contains(&digest) {
            if !known.is_empty() && !*conflicted {
                let what = "I7: a retry has other bytes, and nobody asked for them";
                self.violations.push(what.into());
            }
            known.push(digest);
            *conflicted = false;
        }
        let owner = *self.owners.entry(digest).or_insert((member, id));
        if owner != (member, id) {
            self.violations.push("I7: one ciphertext under two ids".into());
        }
    }

    /// Handles the relay's frame.
    pub fn on_relay(&mut self, conn: &mut Told, bytes: &[u8]) -> Vec<Action> {
        let Ok(frame) = codec::decode_server(bytes) else {
            self.violations.push("the relay sent no frame".into());
            return vec![Action::Cut];
        };
        match frame {
            // The relay delivers entries that it accepted; members get them from their view.
            ServerFrame::Entries { entries, .. } => {
                for entry in &entries {
                    self.learn(entry);
                }
                Vec::new()
            }
            ServerFrame::Notice { .. } => Vec::new(),
            ServerFrame::Authenticated { req, standing } => {
                let standing = self.standing(conn, standing);
                vec![answer(&ServerFrame::Authenticated { req, standing })]
            }
            ServerFrame::Accepted { req, seq, at, control } => {
                self.accepted(conn, &Accepted { req, seq, at, control })
            }
            ServerFrame::Subscribed { req, stream, floor, head, epoch } => {
                self.subscribed(conn, &Subscribed { req, stream, floor, head, epoch })
            }
            ServerFrame::Status { req, mut status } => {
                if let Some(member) = conn.member {
                    self.pull(&member, None);
                    status.head = Seq(self.head(&member, conn));
                    self.misrule(&member, &mut status);
                }
                let mut out = vec![answer(&ServerFrame::Status { req, status })];
                self.deliver(conn, &mut out);
                out
            }
            ServerFrame::Knocks { req, mut knocks, more } => {
                match self.lie(conn.member.as_ref(), &Op::DOOR[..3]) {
                    Some(Op::SwapBody) if knocks.len() > 1 => {
                        let (first, second) = (knocks[0].body.clone(), knocks[1].body.clone());
                        knocks[0].body = second;
                        knocks[1].body = first;
                    }
                    Some(Op::SwapMember) if knocks.len() > 1 => {
                        let (first, second) = (knocks[0].member, knocks[1].member);
                        knocks[0].member = second;
                        knocks[1].member = first;
                    }
                    Some(_) => knocks.iter_mut().for_each(|k| {
                        k.acknowledgement.digest.0[0] ^= 1;
                    }),
                    None => {}
                }
                vec![answer(&ServerFrame::Knocks { req, knocks, more })]
            }
            ServerFrame::Reject { req, code, .. } => {
                if let (Some(Pending::Submit { payload, .. }), Some(member)) =
                    (conn.pending.remove(&req), conn.member)
                    && code.may_retry()
                {
                    // Also a message that a rule held back is encrypted again when it goes out.
                    let digest = hash::sha256(&payload);
                    for ((who, _), (known, conflicted)) in &mut self.submitted {
                        *conflicted |= *who == member && known.contains(&digest);
                    }
                }
                vec![Action::Member(bytes.to_vec())]
            }
            _ => vec![Action::Member(bytes.to_vec())],
        }
    }

    fn learn(&mut self, entry: &Entry) {
        let log = &mut self.branches[0];
        let at = usize::try_from(entry.seq.0 - 1).unwrap_or(usize::MAX);
        match log.get(at) {
            Some(known) if known.content.digest() == entry.content.digest() => {}
            Some(_) => {
                self.violations.push("the relay delivers another entry than it accepted".into())
            }
            None if at == log.len() => log.push(entry.clone()),
            None => self.violations.push(format!("the relay skips to {}", entry.seq)),
        }
    }

    fn standing(&mut self, conn: &Told, standing: Standing) -> Standing {
        let (Some(member), Standing::Member { role, joined, welcome }) = (conn.member, &standing)
        else {
            return standing;
        };
        self.joined.insert(member, joined.0);
        if !self.order.contains(&member) {
            self.order.push(member);
        }
        self.views.entry(member).or_insert_with(|| View::new(joined.0));
        if welcome.is_none() {
            if self.lie_of_rules(Some(&member), &[Op::SilentRemove]).is_some() {
                self.visits.entry(member).or_default().outcast = true;
                return Standing::Gone { at: Seq(self.head(&member, conn)) };
            }
            // Takes an earlier lie back, because another connection of the same visit goes on by this.
            self.visits.entry(member).or_default().outcast = false;
            return standing;
        }
        if self.lie_of_rules(Some(&member), &[Op::FalseDecline]).is_some() {
            return Standing::Declined { note: vec![1, 2] };
        }
        let other = match self.lie(Some(&member), &Op::DOOR[3..]) {
            Some(Op::WelcomeGarbage) => {
                let noise = vec![7; 1 + self.dice.below(4096)];
                let id = BlobId(hash::sha256(&noise).0);
                self.blobs.push((id, noise));
                Some(id)
            }
            Some(_) => {
                let others: Vec<BlobId> = self
                    .blobs
                    .iter()
                    .map(|(id, _)| *id)
                    .filter(|id| Some(*id) != *welcome)
                    .collect();
                self.welcome.or(self.dice.pick(&others))
            }
            None => None,
        };
        Standing::Member { role: *role, joined: *joined, welcome: other.or(*welcome) }
    }

    fn accepted(&mut self, conn: &mut Told, accepted: &Accepted) -> Vec<Action> {
        let Accepted { req, seq, at, control } = *accepted;
        let Some(Pending::Submit { payload, lie }) = conn.pending.remove(&req) else {
            return vec![answer(&ServerFrame::Accepted { req, seq, at, control })];
        };
        let Some(member) = conn.member else { return vec![Action::Cut] };
        if payload.is_empty() {
            return vec![answer(&ServerFrame::Accepted { req, seq, at, control })];
        }
        let content = EntryContent::Payload(payload);
        let digest = content.digest();
        self.learn(&Entry { seq, at, content });
        match lie {
            Some(Op::AcceptLost | Op::AcceptAgain) => return vec![Action::Cut],
            Some(Op::AcceptElsewhere) => {
                if let Some(view) = self.views.get_mut(&member) {
                    view.next = seq.0 + 1;
                    view.touched = true;
                }
                let seq = Seq(self.head(&member, conn));
                return vec![answer(&ServerFrame::Accepted { req, seq, at, control })];
            }
            _ => {}
        }
        self.pull(&member, Some(digest));
        let place = self.views.get(&member).and_then(|v| v.find(digest));
        let place = Seq(place.unwrap_or_else(|| self.head(&member, conn)));
        let mut out = vec![answer(&ServerFrame::Accepted { req, seq: place, at, control })];
        self.deliver(conn, &mut out);
        out
    }

    fn subscribed(&mut self, conn: &mut Told, subscribed: &Subscribed) -> Vec<Action> {
        let Subscribed { req, mut stream, mut floor, mut head, epoch } = *subscribed;
        self.stream = stream;
        let Some(member) = conn.member else { return vec![Action::Cut] };
        let after = match conn.pending.remove(&req) {
            Some(Pending::Subscribe { after }) => after,
            _ => head.0,
        };
        self.pull(&member, None);
        conn.sent = Some(after);
        let joined = self.joined(&member).unwrap_or(0);
        if self.views.contains_key(&member) {
            head = Seq(self.head(&member, conn));
        }
        let lie = self.lie(Some(&member), &Op::FRAME[5..]);
        match lie {
            Some(Op::Stream) => stream = StreamId([self.dice.roll().to_le_bytes()[0]; 16]),
            Some(Op::Floor) => {
                conn.floor = head.0.saturating_sub(self.dice.below(3) as u64);
                floor = Seq(conn.floor);
            }
            Some(Op::RollBack) => {
                head = Seq(head.0.saturating_sub(1 + self.dice.below(4) as u64).max(joined));
                conn.until = Some(head.0);
            }
            // The first entry delivered was delivered before, unless it is the one that admitted the member.
            Some(Op::Rewrite) if after > joined => {
                let first = self.shown(&member).iter().find(|e| e.seq.0 == after + 1).cloned();
                let old = self.dice.below(self.shown(&member).len());
                let other = self.shown(&member).get(old).map(|e| e.content.clone());
                if let (Some(mut entry), Some(content)) = (first, other)
                    && entry.content.digest() != content.digest()
                {
                    self.visits.entry(member).or_default().rewritten = Some(entry.clone());
                    entry.content = content;
                    conn.instead = Some(entry);
                }
            }
            _ => {}
        }
        let mut out = vec![answer(&ServerFrame::Subscribed { req, stream, floor, head, epoch })];
        self.deliver(conn, &mut out);
        out
    }
}

struct Submitted {
    req: RequestId,
    room: RoomId,
    id: MessageId,
    payload: Vec<u8>,
    expect: Option<u64>,
    effects: Vec<Effect>,
    after: Seq,
}

struct Accepted {
    req: RequestId,
    seq: Seq,
    at: Millis,
    control: u64,
}

struct Subscribed {
    req: RequestId,
    stream: StreamId,
    floor: Seq,
    head: Seq,
    epoch: Epoch,
}

fn answer(frame: &ServerFrame) -> Action {
    Action::Member(codec::encode_server(frame))
}
