//! Members who write all at once and remember what they were told: what a relay must never forget.
//!
//! They speak the protocol without MLS (see [`crate::load`]), so that many entries are acknowledged in a short time.
//! Whoever got no answer asks again with the same id and the same bytes, as a client does.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, channel},
    },
};

use hearth_protocol::{
    ClientFrame, EntryContent, MessageId, RoomId, Secret32, Seq, ServerFrame, codec,
};

use crate::load::{
    rooms::{self, Member, PAYLOAD_BYTES, Seat, random},
    wire::Target,
};

/// One message of one writer: who, and which of theirs.
pub type Word = (u32, u32);

/// Which answers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// All: whoever is killed has told the truth before.
    All,
    /// Those before the fault. A file system is not shut down in one moment: a sync that overlaps with it can succeed
    /// without having written (seen on Linux 6.18 in 4 of 60 cuts of a program that only writes and syncs). Without
    /// power no such answer would be sent.
    BeforeFault,
}

/// A writer, with what they did not get an answer to.
struct Writer {
    member: Member,
    number: u32,
    next: u32,
    open: Option<(MessageId, u32, Seq)>,
    /// The last entry that it knows of.
    read: Seq,
}

/// What writers were told so far, in one room.
pub struct Crowd {
    /// The room.
    pub room: RoomId,
    epoch: u64,
    writers: Vec<Writer>,
    told: HashMap<Word, Seq>,
    /// What the log held when it was last read to its end.
    seen: HashMap<Word, Seq>,
    /// Up to where it was read.
    read: Seq,
}

impl Crowd {
    /// Opens a room and fills it with writers.
    pub fn open(target: &Target, grant: &Secret32, writers: usize) -> io::Result<Self> {
        let room = rooms::open(target, grant, writers)?;
        let writers = room.seats.into_iter().zip(0..).map(|(seat, number)| Writer {
            member: seat.member,
            number,
            next: 0,
            open: None,
            read: Seq(0),
        });
        Ok(Self {
            room: room.id,
            epoch: room.epoch,
            writers: writers.collect(),
            told: HashMap::new(),
            seen: HashMap::new(),
            read: room.head,
        })
    }

    /// Messages that were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.told.len()
    }

    /// Lets all write until their connections fail or each has been acknowledged `each` times; calls `fault` in
    /// between, after so many acknowledgements of all together, or at the end.
    ///
    /// Returns how many were acknowledged, and how many writers were refused or cut off.
    pub fn write(
        &mut self,
        target: &Target,
        each: u32,
        after: usize,
        answers: Answers,
        fault: impl FnOnce(),
    ) -> (usize, usize) {
        let (room, epoch) = (self.room, self.epoch);
        let deaf = AtomicBool::new(false);
        let deaf = &deaf;
        let (sender, receiver) = channel();
        let before = self.told.len();
        let mut stopped = 0;
        std::thread::scope(|scope| {
            let writing: Vec<_> = self
                .writers
                .iter_mut()
                .map(|writer| {
                    let sender = sender.clone();
                    scope.spawn(move || writer.write(target, &room, epoch, each, deaf, &sender))
                })
                .collect();
            drop(sender);
            let mut fault = Some(fault);
            let mut count = 0;
            // Ends when the last writer has ended.
            for (word, seq) in receiver {
                let earlier = self.told.insert(word, seq);
                assert_eq!(earlier, None, "acknowledged twice: {word:?}");
                count += 1;
                if count == after
                    && let Some(fault) = fault.take()
                {
                    deaf.store(answers == Answers::BeforeFault, Ordering::SeqCst);
                    fault();
                }
            }
            let ended = writing.into_iter().map(|writing| writing.join().unwrap());
            stopped = ended.filter(Result::is_err).count();
            if let Some(fault) = fault {
                fault();
            }
        });
        (self.told.len() - before, stopped)
    }

    /// Reads what is new in the log and compares it; fails on anything lost, doubled, moved or never written.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&mut self, target: &Target) -> Result<(), String> {
        let member = self.writers.first().expect("there is a writer").member.clone();
        let entries = log(target, member, self.read).map_err(|error| error.to_string())?;
        for (seq, payload) in entries {
            if seq.0 != self.read.0 + 1 {
                return Err(format!("after {:?} comes {seq:?}", self.read));
            }
            self.read = seq;
            let word = word_of(&payload).ok_or_else(|| format!("{seq:?} was written by nobody"))?;
            let writer = self.writers.get(word.0 as usize);
            if writer.is_none_or(|w| word.1 >= w.next) {
                return Err(format!("{seq:?} was not written yet: {word:?}"));
            }
            if let Some(first) = self.seen.insert(word, seq) {
                return Err(format!("{word:?} is doubled: {first:?} and {seq:?}"));
            }
        }
        let lost: Vec<String> = self
            .told
            .iter()
            .map(|(word, seq)| (word, seq, self.seen.get(word)))
            .filter(|(_, told, seen)| *seen != Some(*told))
            .map(|(word, told, seen)| format!("{word:?} told {told:?}, now {seen:?}"))
            .collect();
        if !lost.is_empty() {
            let (many, all, end) = (lost.len(), self.told.len(), self.read);
            let some = lost.into_iter().take(4).collect::<Vec<_>>().join("; ");
            return Err(format!(
                "{many} of {all} acknowledged are lost, the log ends at {end:?}: {some}"
            ));
        }
        Ok(())
    }

    /// Reads the whole log again instead of what is new.
    pub fn forget_read(&mut self, from: Seq) {
        self.seen.clear();
        self.read = from;
    }

    /// Where reading began.
    pub const fn position(&self) -> Seq {
        self.read
    }

    /// Counts the words of each writer that are in the log and compares them with those written: each once, in order.
    pub fn check_order(&self) {
        for writer in &self.writers {
            let mut words: Vec<(Seq, u32)> = self
                .seen
                .iter()
                .filter(|(word, _)| word.0 == writer.number)
                .map(|(word, seq)| (*seq, word.1))
                .collect();
            words.sort();
            let order: Vec<u32> = words.into_iter().map(|(_, n)| n).collect();
            assert!(order.is_sorted(), "writer {}: {order:?}", writer.number);
        }
    }

    /// Words that the log held when it was last read.
    pub fn words(&self) -> HashSet<Word> {
        self.seen.keys().copied().collect()
    }
}

impl Writer {
    /// Writes until refused, cut off, or acknowledged often enough.
    fn write(
        &mut self,
        target: &Target,
        room: &RoomId,
        epoch: u64,
        each: u32,
        deaf: &AtomicBool,
        told: &Sender<(Word, Seq)>,
    ) -> io::Result<()> {
        let mut seat = Seat::enter(target, self.member.clone())?;
        for _ in 0..each {
            let (id, n, after) = *self.open.get_or_insert_with(|| {
                self.next += 1;
                (MessageId(random()), self.next - 1, self.read)
            });
            let payload = payload(room, epoch, (self.number, n));
            let answer = seat.ask(|req| ClientFrame::Submit {
                req,
                room: *room,
                id,
                payload,
                expect: None,
                effects: vec![],
                after,
            })?;
            let ServerFrame::Accepted { seq, .. } = answer else {
                return Err(io::Error::other(format!("{answer:?}")));
            };
            if deaf.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            self.open = None;
            self.read = seq;
            // The one who counts outlives all writers.
            let _ = told.send(((self.number, n), seq));
        }
        Ok(())
    }
}

/// Returns the payload of a word: the same bytes whenever it is sent.
fn payload(room: &RoomId, epoch: u64, word: Word) -> Vec<u8> {
    const APPLICATION: u8 = 1;
    let mut content = Vec::with_capacity(PAYLOAD_BYTES);
    content.extend(word.0.to_be_bytes());
    content.extend(word.1.to_be_bytes());
    // Different bytes everywhere, so that a piece of another payload does not go unnoticed.
    let mut dice = crate::Dice::new(u64::from(word.0) << 32 | u64::from(word.1));
    while content.len() < 400 {
        content.extend(dice.roll().to_be_bytes());
    }
    rooms::payload(room, epoch, APPLICATION, &content, PAYLOAD_BYTES)
}

/// Returns the word that a payload holds, if every byte of it is as it was written.
fn word_of(bytes: &[u8]) -> Option<Word> {
    let content = rooms::content(bytes);
    let number = |at: usize| Some(u32::from_be_bytes(content.get(at..at + 4)?.try_into().ok()?));
    let word = (number(0)?, number(4)?);
    let room = RoomId(bytes.get(5..21)?.try_into().ok()?);
    let epoch = u64::from_be_bytes(bytes.get(21..29)?.try_into().ok()?);
    (payload(&room, epoch, word) == bytes).then_some(word)
}

/// Reads a room's log after a position, to its end.
///
/// # Errors
/// The connection's; an entry without payload.
pub fn log(target: &Target, member: Member, after: Seq) -> io::Result<Vec<(Seq, Vec<u8>)>> {
    let room = member.room;
    let mut seat = Seat::enter(target, member)?;
    let req = seat.next_request();
    seat.wire.queue(&codec::encode_client(&ClientFrame::Subscribe { req, room, after }));
    seat.wire.flush()?;
    let (mut end, mut found) = (None, Vec::new());
    let mut last = after;
    while end.is_none_or(|end| last < end) {
        match codec::decode_server(&seat.wire.next()?).map_err(io::Error::other)? {
            ServerFrame::Subscribed { head, .. } => end = Some(head),
            ServerFrame::Entries { entries, .. } => {
                for entry in entries {
                    let EntryContent::Payload(payload) = entry.content else {
                        return Err(io::Error::other(format!("{:?} is a tombstone", entry.seq)));
                    };
                    last = entry.seq;
                    found.push((entry.seq, payload));
                }
            }
            ServerFrame::Notice { .. } => {}
            other => return Err(io::Error::other(format!("{other:?}"))),
        }
    }
    Ok(found)
}
