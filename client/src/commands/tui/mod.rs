//! `hearth tui`: the rooms of a profile on a full screen.
//!
//! [`hearth_tui`] draws and takes keys; here its messages are made of what the client tells, and what it asks for is done. Commands go
//! through the resolver that a chat uses.

mod asking;
mod at_keys;
mod bands;
mod cards;
pub(in crate::commands) mod done;
mod entries;
mod facts;
pub(super) mod first;
pub(in crate::commands) mod host;
mod reading;
mod rows;
pub(in crate::commands) mod scene;

use std::time::Duration;

use data_encoding::BASE64;
use hearth_console::signals;
use hearth_engine::profile::{Profile, ProfileError, ProfileState, Unlock};
use hearth_session::client::Client;
use hearth_tui::{
    App, Effect, Key, Look, Msg,
    terminal::{self, Screen},
    update,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use zeroize::Zeroizing;

use self::host::Host;
use super::{Context, Open, Result, open_when_free};
use crate::failure::Failure;

/// Keys that are read ahead.
const KEYS_MAX: usize = 256;
/// Keys that are taken before the screen is drawn.
const KEYS_A_DRAW: usize = 64;
/// Bytes of a text that is put on the clipboard: terminals take no more.
const COPY_BYTES_MAX: usize = 48 * 1024;

/// How the screen is wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The room to begin with.
    pub(crate) room: Option<String>,
    /// Hide and lock after this time without a key, because an unwatched screen shows the room to others.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub(crate) lock_after: String,
    /// Show nothing dimmed.
    #[arg(long)]
    pub(crate) contrast: bool,
    /// Draw lines and signs in ASCII.
    #[arg(long)]
    pub(crate) ascii: bool,
}

/// Shows the rooms of an open profile until the person ends it; to a newcomer the keys first.
async fn run(
    context: &Context,
    client: Client,
    options: &Options,
    (idle, newcomer): (Duration, bool),
) -> Result<()> {
    let mut stopped = std::pin::pin!(signals::stop());
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_none_or(|value| value.to_uppercase().replace('-', "").contains("UTF8"));
    let look = Look { contrast: options.contrast, ascii: options.ascii || !utf8 };
    let mut tui = Tui {
        context,
        app: App::new(look, u64::try_from(idle.as_millis()).unwrap_or(u64::MAX)),
        host: Some(Host::open(context, client, options.room.as_deref()).await?),
        begun: Instant::now(),
        dirty: true,
    };
    terminal::give_back_at_faults();
    let mut screen = Screen::take()?;
    let ended = tokio::select! {
        biased;
        () = &mut stopped => Ok(()),
        ended = tui.run(&mut screen, newcomer) => ended,
    };
    drop(screen);
    let draft = tui.app.draft().to_owned();
    if let Some(host) = tui.host.take() {
        host.close(&draft).await;
    }
    ended
}

/// One screen.
struct Tui<'a> {
    context: &'a Context,
    app: App,
    /// The open profile; none while it is locked.
    host: Option<Host<'a>>,
    begun: Instant,
    /// Whether the screen shows something older than the state.
    dirty: bool,
}

/// Whether it goes on.
#[derive(PartialEq, Eq)]
enum Next {
    On,
    Quit,
}

/// What happened.
enum Woke {
    Typed(Option<Msg>),
    Told(host::Told),
    Time,
}

impl Tui<'_> {
    async fn run(&mut self, screen: &mut Screen, newcomer: bool) -> Result<()> {
        let (keys, mut typed) = mpsc::channel(KEYS_MAX);
        terminal::read_keys(move |msg| keys.blocking_send(msg).is_ok())?;
        let (columns, rows) = Screen::size();
        update(&mut self.app, Msg::Size(columns, rows));
        let now = self.time();
        self.take(now, screen).await?;
        self.refresh(screen).await?;
        if newcomer {
            self.take(Msg::Key(Key::F1), screen).await?;
        }
        loop {
            if std::mem::take(&mut self.dirty) {
                screen.draw(&self.app)?;
            }
            let wakes = self.wakes();
            let woke = tokio::select! {
                biased;
                msg = typed.recv() => Woke::Typed(msg.flatten()),
                told = host::next(self.host.as_mut()) => Woke::Told(told),
                () = until(wakes) => Woke::Time,
            };
            // Time itself may lock it, before a key that came too late is taken.
            let now = self.time();
            self.take(now, screen).await?;
            let next = match woke {
                // The terminal is gone: what was typed is kept.
                Woke::Typed(None) => Next::Quit,
                Woke::Typed(Some(msg)) => {
                    let mut next = self.take(msg, screen).await?;
                    for _ in 0..KEYS_A_DRAW {
                        let Ok(Some(msg)) = typed.try_recv() else { break };
                        if next == Next::On {
                            next = self.take(msg, screen).await?;
                        }
                    }
                    next
                }
                Woke::Told(told) => {
                    let msgs = match self.host.as_mut() {
                        Some(host) => host.take(told)?,
                        None => Vec::new(),
                    };
                    self.take_all(msgs, screen).await?
                }
                Woke::Time => {
                    let asks = self.host.as_mut().and_then(|host| {
                        host.look_again();
                        host.watch_duty()
                    });
                    self.take_all(asks.into_iter().collect(), screen).await?
                }
            };
            self.dirty = true;
            if next == Next::Quit {
                return Ok(());
            }
            self.refresh(screen).await?;
        }
    }

    /// Returns when the time is to be told even if nothing happens.
    fn wakes(&self) -> Option<Instant> {
        let second = self.app.counts().then(|| Instant::now() + Duration::from_secs(1));
        let idle = self.app.sleeps().map(|millis| Instant::now() + Duration::from_millis(millis));
        let rings = self.host.as_ref().and_then(Host::rings_at);
        let duty = self.host.as_ref().and_then(Host::asks_at);
        [second, idle, rings, duty].into_iter().flatten().min()
    }

    fn time(&self) -> Msg {
        let steady = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let own = hearth_session::live::now();
        let now = self.host.as_ref().map_or(own, |host| host.relay_now());
        Msg::Time { now: now.0, steady }
    }

    /// Shows what is different in the rooms.
    async fn refresh(&mut self, screen: &mut Screen) -> Result<()> {
        let Some(host) = self.host.as_mut() else { return Ok(()) };
        let msgs = host.refresh().await?;
        if host.rings() {
            screen.ring()?;
        }
        self.take_all(msgs, screen).await?;
        Ok(())
    }

    async fn take_all(&mut self, msgs: Vec<Msg>, screen: &mut Screen) -> Result<Next> {
        for msg in msgs {
            if Box::pin(self.take(msg, screen)).await? == Next::Quit {
                return Ok(Next::Quit);
            }
        }
        Ok(Next::On)
    }

    async fn take(&mut self, msg: Msg, screen: &mut Screen) -> Result<Next> {
        if let (Msg::Key(_) | Msg::Paste(_), Some(host)) = (&msg, self.host.as_mut()) {
            host.pressed();
        }
        let by_time = matches!(msg, Msg::Time { .. });
        for effect in update(&mut self.app, msg) {
            if let (true, Effect::Lock(_), Some(host)) = (by_time, &effect, &self.host) {
                host.end_duty().await;
            }
            if Box::pin(self.does(effect, screen)).await? == Next::Quit {
                return Ok(Next::Quit);
            }
        }
        self.dirty = true;
        Ok(Next::On)
    }

    async fn does(&mut self, effect: Effect, screen: &mut Screen) -> Result<Next> {
        match effect {
            Effect::Quit(_) => return Ok(Next::Quit),
            Effect::Redraw => screen.clear()?,
            Effect::Suspend => {
                screen.leave();
                // On a thread of its own, because it waits with a runtime of its own. The process stops as a whole.
                let _ = std::thread::spawn(signals::suspend).join();
                screen.come_back()?;
                let (columns, rows) = Screen::size();
                update(&mut self.app, Msg::Size(columns, rows));
            }
            Effect::Copy(text) => {
                let told = match text.len() <= COPY_BYTES_MAX {
                    true => {
                        screen.copy(&BASE64.encode(text.as_bytes()))?;
                        "Copied, if your terminal allows it."
                    }
                    false => "That text is too long for a clipboard. Nothing was copied.",
                };
                update(&mut self.app, Msg::Remark(told.into()));
            }
            Effect::Lock(draft) => self.lock(&draft, screen).await?,
            Effect::Open(passphrase) => {
                screen.draw(&self.app)?;
                self.open(&passphrase).await?;
            }
            effect => {
                let Some(host) = self.host.as_mut() else { return Ok(Next::On) };
                let msgs = host.does(effect).await?;
                return self.take_all(msgs, screen).await;
            }
        }
        Ok(Next::On)
    }

    /// Takes everything off the screen at once, then closes the profile.
    async fn lock(&mut self, draft: &str, screen: &mut Screen) -> Result<()> {
        let state = Profile::inspect(&self.context.home()?)?;
        let passphrase = matches!(state, ProfileState::NeedsPassphrase);
        update(&mut self.app, Msg::Locked { passphrase });
        screen.clear()?;
        screen.draw(&self.app)?;
        if let Some(host) = self.host.take() {
            host.close(draft).await;
        }
        Ok(())
    }

    async fn open(&mut self, passphrase: &Zeroizing<String>) -> Result<()> {
        let home = self.context.home()?;
        let state = Profile::inspect(&home)?;
        let unlock = match state {
            ProfileState::NeedsPassphrase => Some(Unlock::Passphrase(passphrase.clone())),
            state => self.context.unlock(&state)?,
        };
        let opened = match open_when_free(&home, unlock.as_ref()) {
            Ok(profile) => profile,
            Err(ProfileError::WrongPassphrase) => {
                update(&mut self.app, Msg::Refused("That is not the passphrase.".into()));
                return Ok(());
            }
            // It stays, whatever the reason: the next key must not go to the command line.
            Err(error) => {
                let failure = Failure::from(error);
                let told = format!("{}. {}", scene::capital(&failure.message), failure.advice);
                update(&mut self.app, Msg::Refused(told));
                return Ok(());
            }
        };
        let Open { profile, crypto } = Open { profile: opened, crypto: Default::default() };
        let client = Client::start(profile, crypto)?;
        update(&mut self.app, Msg::Opened);
        self.host = Some(Host::open(self.context, client, None).await?);
        Ok(())
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
