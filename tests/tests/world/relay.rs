//! The relay: the real core on a real store, the model beside it, and the planted bugs.

use std::{cell::RefCell, collections::BTreeMap, path::PathBuf, rc::Rc};

use futures_util::FutureExt as _;
use hearth_protocol::{
    ClientFrame, MemberKey, Millis, RejectCode, RelayId, RoomId, Secret32, ServerFrame, codec,
    invite,
    mls_header::{self, ContentType},
};
use hearth_server::testing::simulated::{Core, Wire};
use rusqlite::Connection;
use tokio::task::unconstrained;

use super::{
    Switch,
    clock::Clock,
    model::{Model, Submission},
    network::Conn,
};
use hearth_kit::Dice;

struct Attached {
    wire: Wire,
    key: Option<MemberKey>,
    conn: Rc<Conn>,
}

/// The consequences of a frame, for the network, the trace and the oracle.
#[derive(Default)]
pub struct Served {
    /// Frames to send, each on its connection.
    pub frames: Vec<(Rc<Conn>, Vec<u8>)>,
    /// Whether the connection goes on.
    pub on: bool,
    pub lines: Vec<String>,
    pub wrong: Vec<String>,
}

pub struct Relay {
    dir: PathBuf,
    clock: Clock,
    core: Option<Core>,
    wires: BTreeMap<u64, Attached>,
    next: u64,
    switch: Option<Switch>,
    dice: Dice,
    /// The room, once it is open.
    pub model: Option<Model>,
    /// Its id. What has another id is one of its lanes, of which the model knows nothing.
    room: Option<RoomId>,
}

/// Runs a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    unconstrained(future).now_or_never().unwrap_or_else(|| panic!("the core had to wait"))
}

impl Relay {
    pub fn start(dir: PathBuf, clock: Clock, switch: Option<Switch>, seed: u64) -> Self {
        let mut relay = Self {
            dir,
            clock,
            core: None,
            wires: BTreeMap::new(),
            next: 0,
            switch,
            dice: Dice::new(seed ^ 0x51a7_0002),
            model: None,
            room: None,
        };
        relay.up();
        relay
    }

    pub const fn is_up(&self) -> bool {
        self.core.is_some()
    }

    pub fn grant(&self) -> (RelayId, Secret32) {
        let (core, secret) = (self.core.as_ref().unwrap(), Secret32::new([3; 32]));
        core.grant(&secret).unwrap();
        (core.id(), secret)
    }

    pub fn up(&mut self) {
        self.core = Some(Core::open(&self.dir, self.clock.for_relay()).unwrap());
    }

    /// Crashes: only the disk is left, and every connection ends.
    pub fn down(&mut self) {
        for attached in self.wires.values() {
            attached.conn.break_off();
        }
        self.wires.clear();
        self.core = None;
        if let Some(model) = &mut self.model {
            model.pace.clear();
        }
        if self.switch == Some(Switch::AckBeforeCommit) {
            self.sql(
                "DELETE FROM entries WHERE key = (SELECT max(key) FROM entries WHERE key >> 40 = 1);
                 UPDATE rooms SET head = head - 1 WHERE head > 0 AND key = 1;",
            );
        }
    }

    pub fn connect(&mut self, who: usize) -> Option<Rc<Conn>> {
        let wire = ready(self.core.as_ref()?.connect());
        self.next += 1;
        let conn = Rc::new(Conn::new(self.next, who));
        self.wires.insert(conn.id, Attached { wire, key: None, conn: conn.clone() });
        Some(conn)
    }

    pub fn disconnect(&mut self, id: u64) {
        self.wires.remove(&id);
    }

    /// Deletes entries that are past their time; returns a complaint if those left are wrong.
    pub fn forget(&mut self) -> Vec<String> {
        let Some(core) = &self.core else { return Vec::new() };
        let early = self.switch == Some(Switch::RetentionEarly);
        if early {
            self.clock.jump(10 * 24 * 3_600_000);
        }
        ready(core.forget());
        if early {
            self.clock.jump(-10 * 24 * 3_600_000);
        }
        let Some(model) = &mut self.model else { return Vec::new() };
        model.forget(self.clock.relay().0);
        let db = Connection::open(self.dir.join("hearth.db")).unwrap();
        let mut found = db
            .prepare("SELECT key & ((1 << 40) - 1) FROM entries WHERE key >> 40 = 1 ORDER BY key")
            .unwrap();
        let found: Vec<u64> =
            found.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let kept: Vec<u64> = (1..=model.head())
            .filter(|seq| model.entry(*seq).is_some_and(|e| !e.expired))
            .collect();
        let wrong = format!("the relay keeps {found:?} and should keep {kept:?}");
        if found == kept { Vec::new() } else { vec![wrong] }
    }

    /// Serves a frame and every connection that it woke.
    pub fn frame(
        &mut self,
        id: u64,
        bytes: Vec<u8>,
        names: &[&str],
        keys: &RefCell<BTreeMap<MemberKey, usize>>,
    ) -> Served {
        let mut served = Served::default();
        let Ok(frame) = codec::decode_client(&bytes) else { return served };
        let now = self.clock.relay();
        let Some(attached) = self.wires.get_mut(&id) else { return served };
        let in_lane = matches!(
            &frame,
            ClientFrame::Authenticate { room, .. } | ClientFrame::Submit { room, .. }
                if self.room.is_some_and(|known| known != *room)
        );
        let claimed = match &frame {
            _ if in_lane => None,
            ClientFrame::Authenticate { member, .. }
            | ClientFrame::Knock { member, .. }
            | ClientFrame::OpenRoom { member, .. } => Some(*member),
            _ => None,
        };
        if let Some(key) = claimed {
            attached.key = Some(key);
            keys.borrow_mut().insert(key, attached.conn.who);
        }
        let (key, who) = (attached.key, names[attached.conn.who]);
        if let (Some(key), true, false) =
            (key, matches!(frame, ClientFrame::Submit { .. }), in_lane)
            && let Some(forged) = self.before(&frame, &key)
        {
            served.on = true;
            served.frames.push((self.wires[&id].conn.clone(), forged));
            return served;
        }
        let Some(attached) = self.wires.get_mut(&id) else { return served };
        let (frames, on) = ready(attached.wire.turn(Some(bytes)));
        served.on = on;
        let reply = frames.first().and_then(|bytes| codec::decode_server(bytes).ok());
        served.frames.extend(frames.into_iter().map(|frame| (attached.conn.clone(), frame)));
        if let Some(key) = key.filter(|_| !in_lane) {
            self.compare((&key, who), now, &frame, reply.as_ref(), &mut served);
        }
        if matches!(frame, ClientFrame::Submit { .. }) {
            self.after();
        }
        for (other, attached) in &mut self.wires {
            if *other == id {
                continue;
            }
            let (frames, on) = ready(attached.wire.turn(None));
            if !on {
                attached.conn.break_off();
            }
            served.frames.extend(frames.into_iter().map(|frame| (attached.conn.clone(), frame)));
        }
        served
    }

    /// Compares the relay's answer with the model's.
    fn compare(
        &mut self,
        (key, who): (&MemberKey, &str),
        now: Millis,
        frame: &ClientFrame,
        reply: Option<&ServerFrame>,
        served: &mut Served,
    ) {
        let said = match reply {
            Some(ServerFrame::Accepted { seq, .. }) => Ok(seq.0),
            Some(ServerFrame::Authenticated { .. }) => Ok(0),
            Some(ServerFrame::Reject { code, .. }) => Err(*code),
            _ => return,
        };
        let (what, expected) = match frame {
            ClientFrame::OpenRoom { room, numbers, agreement, .. } => {
                if said.is_ok() && self.model.is_none() {
                    self.room = Some(*room);
                    self.model = Some(Model::found(*key, numbers.clone(), *agreement));
                }
                return;
            }
            ClientFrame::Knock { token, acknowledgement, .. } => {
                let Some(model) = &mut self.model else { return };
                let invite = invite::invite_id(token);
                ("knock".to_owned(), model.knock(now.0, *key, invite, acknowledgement).map(|()| 0))
            }
            ClientFrame::Submit { id, payload, effects, after, .. } => {
                let Some(model) = &mut self.model else { return };
                let (from, id, after) = (*key, *id, after.0);
                let submission = Submission { from, id, payload, effects, after };
                (describe(payload, effects.len()), model.submit(now.0, &submission))
            }
            _ => return,
        };
        let text = |answer: Result<u64, RejectCode>| match answer {
            Ok(seq) => format!("{seq}"),
            Err(code) => code.as_str().to_owned(),
        };
        served.lines.push(format!("relay: {what} of {who}: {}", text(said)));
        if said != expected {
            let (said, expected) = (text(said), text(expected));
            served.wrong.push(format!("{what} of {who}: relay says {said}, the model {expected}"));
        }
    }

    /// The bugs that work before a submission is looked at; a forged answer ends it there.
    fn before(&mut self, frame: &ClientFrame, key: &MemberKey) -> Option<Vec<u8>> {
        let ClientFrame::Submit { req, payload, .. } = frame else { return None };
        match self.switch? {
            Switch::OldEpochTaken => {
                let epoch = mls_header::parse(payload)?.epoch.0;
                self.sql(&format!("UPDATE rooms SET epoch = {epoch} WHERE key = 1"));
            }
            Switch::PauseForgotten => {
                // The numbers as they would be without the pause.
                let mut numbers = self.model.as_ref()?.now.numbers.clone();
                numbers.paused_until = Millis(0);
                let db = Connection::open(self.dir.join("hearth.db")).unwrap();
                db.execute(
                    "UPDATE rooms SET numbers = ?1 WHERE key = 1",
                    [codec::encode(&numbers)],
                )
                .unwrap();
            }
            Switch::TimeOutForgotten => self.sql("UPDATE members SET timeout_until = 0"),
            Switch::RolesForgotten => self.sql("UPDATE members SET role = 2 WHERE role = 3"),
            Switch::RemovedStayIn => self.sql("UPDATE members SET state = 0 WHERE state = 2"),
            Switch::AckWithoutEntry if self.dice.chance(10) => {
                let model = self.model.as_ref()?;
                if !model.is_in(key) {
                    return None;
                }
                let seq = hearth_protocol::Seq(model.head());
                let (req, at) = (*req, self.clock.relay());
                return Some(codec::encode_server(&ServerFrame::Accepted {
                    req,
                    seq,
                    at,
                    control: 0,
                }));
            }
            _ => {}
        }
        None
    }

    /// The bugs that work after a submission.
    fn after(&self) {
        match self.switch {
            Some(Switch::IdsForgotten) => {
                self.sql("UPDATE entries SET name = zeroblob(16); DELETE FROM acts")
            }
            Some(Switch::SlowForgotten) => self.sql("UPDATE members SET last_post_at = 0"),
            _ => {}
        }
    }

    fn sql(&self, batch: &str) {
        let db = Connection::open(self.dir.join("hearth.db")).unwrap();
        db.execute_batch(batch).unwrap();
    }
}

fn describe(payload: &[u8], effects: usize) -> String {
    let kind = match mls_header::parse(payload) {
        Some(h) if h.content == ContentType::Commit => format!("commit at epoch {}", h.epoch),
        Some(h) => format!("message at epoch {}", h.epoch),
        None => "no entry".to_owned(),
    };
    if effects == 0 { kind } else { format!("{kind} with {effects} effects") }
}
