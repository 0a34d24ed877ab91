//! People: profiles on disk, opened again for every visit, as commands do.

use std::{cell::Cell, path::PathBuf, rc::Rc, time::Duration};

use futures_util::future::{Either, select};

use hearth_engine::{
    Crypto, Room,
    act::InviteTerms,
    clock::{Clock, Moment},
    join::{Founding, Joining},
    lawless,
    mls::Suite,
    profile::Profile,
    state::Row,
    store::Store,
};
use hearth_protocol::{
    MemberKey, Millis, Role, RoomNumbers, Seq,
    invite::{Grant, Invite},
};
use hearth_session::{
    client::Client,
    live::{Live, LiveError, knock, look, open_room},
    network::Network,
};
use tempfile::TempDir;

use hearth_kit::{Dice, scratch};
use tokio::time::{sleep, timeout};

use super::{World, network::way};

/// The name by which every profile calls the room.
const LOCAL: &str = "room";

/// A person with a profile of their own.
pub struct Person {
    /// Display name.
    pub name: String,
    /// Key in the room, once there is one.
    pub key: Option<MemberKey>,
    /// Errors by which this person's client accused the relay.
    pub complaints: Vec<String>,
    /// The way to the relay.
    pub network: Network,
    compared: Cell<bool>,
    home: PathBuf,
    /// `None` only between being killed and starting again.
    profile: Option<Profile>,
    crypto: Crypto,
    /// The primitives of a lawless client.
    lawless: Crypto,
    breaks_laws: Cell<bool>,
    /// Whether the rooms that this person founds have lanes.
    pub lanes: bool,
    _temporary: Option<TempDir>,
}

impl Person {
    /// Makes a profile on this machine's network and clock.
    pub fn new(name: &str) -> Self {
        let temporary = scratch();
        let home = temporary.path().join("profile");
        let person = Self::with(name, home, Network::machine(), Clock::system());
        Self { _temporary: Some(temporary), ..person }
    }

    /// Makes a profile in a world.
    pub fn in_world(world: &Rc<World>, who: usize) -> Self {
        let (name, network) = (world.names[who], way(world, who));
        let home = world.dir.path().join(name);
        Self::with(name, home, network, world.clock_of(who))
    }

    fn with(name: &str, home: PathBuf, network: Network, clock: Clock) -> Self {
        let profile = Profile::create(&home, None);
        Self {
            name: name.to_owned(),
            key: None,
            complaints: Vec::new(),
            network,
            compared: Cell::new(false),
            home,
            profile: Some(profile.unwrap_or_else(|error| panic!("no profile: {error}"))),
            lawless: lawless::crypto(clock.clone()),
            crypto: Crypto::with_clock(clock),
            breaks_laws: Cell::new(false),
            lanes: false,
            _temporary: None,
        }
    }

    /// Kills the client, changes its files and starts it again: only the files are left.
    pub fn restart(&mut self, meanwhile: &[&str]) {
        self.profile = None;
        for statement in meanwhile {
            let db = rusqlite::Connection::open(self.home.join("hearth.db")).unwrap();
            db.execute_batch(statement).unwrap();
        }
        let opened = Profile::open(&self.home, None);
        self.profile = Some(opened.unwrap_or_else(|error| panic!("{error}")));
    }

    fn store(&self) -> &Store {
        self.profile.as_ref().map(Profile::store).unwrap()
    }

    /// Replaces this person's client by a lawless one, or back.
    pub fn break_laws(&self, breaks: bool) {
        self.breaks_laws.set(breaks);
    }

    fn crypto(&self) -> &Crypto {
        if self.breaks_laws.get() { &self.lawless } else { &self.crypto }
    }

    /// Returns the time by this person's clock.
    pub fn now(&self) -> Millis {
        self.crypto.now()
    }

    /// Erases old rows as if both clocks had moved on.
    pub fn erase_after(&self, millis: u64) {
        let Some(mut room) = self.room() else { return };
        let (own, relay) = (room.now().max(room.cursor().own_clock), room.cursor().relay_clock);
        let later = Moment { own: own.plus(millis), relay: relay.plus(millis) };
        // A former member has no rule to erase by.
        let _ = room.erase_expired(later);
    }

    /// Opens the room from the disk.
    pub fn room(&self) -> Option<Room<'_>> {
        Room::open(self.profile.as_ref()?.store(), self.crypto(), LOCAL).ok()
    }

    /// Returns what this person has of the room.
    pub fn rows(&self) -> Vec<Row> {
        self.room().map_or_else(Vec::new, |room| room.history(Seq(0), usize::MAX).unwrap())
    }

    /// Whether this person's client ever told them that something is wrong.
    pub fn warned(&self) -> bool {
        !self.complaints.is_empty() || self.rows().iter().any(|row| !row.notices.is_empty())
    }

    /// Founds a room.
    pub async fn found(&mut self, grant: &Grant) -> Result<(), LiveError> {
        let founding = self.founding();
        let opened = open_room(&self.network, self.store(), self.crypto(), grant, founding);
        self.key = Some(Box::pin(opened).await?.me());
        Ok(())
    }

    /// Returns some ciphertexts of a room that nobody else knows of.
    pub fn ciphertexts(&self, grant: &Grant) -> Vec<Vec<u8>> {
        let (store, crypto) = (self.store(), self.crypto());
        let mut room = Room::found(store, crypto, grant, self.founding(), self.now()).unwrap();
        room.opened().unwrap();
        room.queue_text("said elsewhere".into(), self.now()).unwrap();
        let text = room.next_submission().unwrap().unwrap();
        let commit = room.renew(None, self.now()).unwrap();
        vec![text.payload, commit.payload]
    }

    fn founding(&self) -> Founding {
        Founding {
            title: "Tuesday evening".into(),
            agreement: "What is said here stays here.".into(),
            language: "en".into(),
            name: self.name.clone(),
            local_name: LOCAL.into(),
            suite: Suite::X25519,
            numbers: RoomNumbers::default(),
            lanes: self.lanes,
        }
    }

    /// Acknowledges and knocks.
    pub async fn knock(&mut self, link: &Invite) -> Result<(), LiveError> {
        let (connection, preview) = Box::pin(look(&self.network, link)).await?;
        let joining =
            Joining { name: self.name.clone(), local_name: LOCAL.into(), answers: Vec::new() };
        let (store, crypto) = (self.store(), self.crypto());
        let knocking = knock(store, crypto, connection, link, &preview, joining);
        let (room, connection) = Box::pin(knocking).await?;
        let key = room.me();
        connection.close().await;
        self.key = Some(key);
        Ok(())
    }

    /// Returns a handle of this person's rooms, and the future that serves it.
    pub fn client(&self) -> (Client, impl Future<Output = ()> + '_) {
        Client::over(self.store(), self.crypto(), self.network.clone())
    }

    /// Enters the room, acts and leaves.
    pub async fn visit<T>(
        &self,
        act: impl AsyncFnOnce(&mut Live<'_>) -> Result<T, LiveError>,
    ) -> Result<T, LiveError> {
        self.compared.set(false);
        let room = self.room().ok_or(LiveError::UnexpectedReply)?;
        let mut live = Box::pin(Live::enter(&self.network, room)).await?;
        let mut result = Box::pin(act(&mut live)).await;
        if result.is_ok() {
            match Box::pin(live.compare()).await {
                Ok(compared) => self.compared.set(compared),
                Err(error) => result = Err(error),
            }
        }
        live.leave().await;
        result
    }

    /// Whether this person's client says that the relay does what no record says.
    pub fn accuses(&self) -> bool {
        self.room().is_some_and(|room| !room.mismatches().unwrap().is_empty())
    }

    /// Whether the last visit ended with a comparison of the relay's word with the log.
    pub fn has_compared(&self) -> bool {
        self.compared.get()
    }

    /// Goes on after a split, or takes the room back.
    pub async fn recover(&self) -> Result<(), LiveError> {
        let room = self.room().ok_or(LiveError::UnexpectedReply)?;
        Box::pin(Live::recover(&self.network, room, None)).await?.leave().await;
        Ok(())
    }

    /// Makes an invite for several.
    pub async fn invite(&self, uses: u32) -> Result<Invite, LiveError> {
        self.visit(async |live| {
            let expires = live.relay_now().plus(24 * 3_600_000);
            let terms = InviteTerms { uses, expires, role: Role::Member };
            let (link, _) = live.room.invite(terms, live.room.now())?;
            live.send_waiting().await?;
            Ok(link)
        })
        .await
    }

    /// Admits a newcomer who knocks under this name, if the knock verifies.
    pub async fn admit(&self, name: &str) -> Result<bool, LiveError> {
        self.visit(async |live| {
            let knocks = live.knocks().await?;
            let knock = knocks.into_iter().filter_map(|(_, k)| k.ok()).find(|k| k.name == name);
            let Some(knock) = knock else { return Ok(false) };
            live.admit(&knock).await?;
            Ok(true)
        })
        .await
    }
}

/// The end of a visit.
pub enum Ended<T> {
    Done(T),
    Killed,
    Hangs,
}

/// Draws when a client is killed, in milliseconds after a visit began. Most are not.
pub fn killed_after(dice: &mut Dice, longest: usize) -> Option<u64> {
    dice.chance(15).then(|| dice.below(longest) as u64)
}

/// Waits for a visit, or kills its client so many milliseconds after it began.
pub async fn until<T>(
    visit: impl Future<Output = T>,
    killed_after: Option<u64>,
    limit: Duration,
) -> Ended<T> {
    let killed = async {
        match killed_after {
            Some(millis) => sleep(Duration::from_millis(millis)).await,
            None => std::future::pending().await,
        }
    };
    match timeout(limit, select(Box::pin(visit), Box::pin(killed))).await {
        Ok(Either::Left((result, _))) => Ended::Done(result),
        Ok(Either::Right(_)) => Ended::Killed,
        Err(_) => Ended::Hangs,
    }
}

/// Whether an error accuses the relay of a lie. Entries are also withheld by a network that passed nothing on lately.
pub fn accuses(error: &LiveError, was_silent: bool) -> bool {
    match error {
        LiveError::Engine(engine) => engine.is_verification_failure(),
        LiveError::Withheld(_) => !was_silent,
        LiveError::SaidGone | LiveError::LeftBehind => true,
        _ => false,
    }
}
