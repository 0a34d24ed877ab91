//! `hearth web`: the rooms of a profile as a page in the browser of this computer.
//!
//! [`hearth_web`] lets the page in. What it shows is the scene that the full screen shows, as JSON; what it asks for goes the same way, so that
//! no shell computes anything of its own. The passphrase is typed in the terminal only.

mod asked;
mod browser;
mod courses;
mod door;
mod rooms;
mod terminal;
mod told;

use std::{future::Future, pin::Pin, time::Duration};

use hearth_console::{line, signals};
use hearth_engine::{
    Crypto, Room,
    profile::{Profile, ProfileError, Unlock},
    state::Standing,
};
use hearth_web::{Asked, Feed, Page, Server};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};
use zeroize::Zeroizing;

use self::{asked::Act, browser::Browser, terminal::Terminal};
use super::{Context, Open, Result, open_when_free, tui::scene::capital};
use crate::{failure::Failure, text::when};

/// Longest wait for the page to hear that it is over.
const GOODBYE: Duration = Duration::from_secs(1);

/// How the page is wanted.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The room to begin with.
    pub(crate) room: Option<String>,
    /// Open a Chromium without extensions and with an empty profile of its own, because extensions read every page.
    #[arg(long)]
    pub(crate) app: bool,
    /// Print the link alone; open nothing.
    #[arg(long, conflicts_with = "app")]
    pub(crate) no_open: bool,
    /// Hide and lock after this time without a key or touch, because an unwatched page shows the room to others.
    #[arg(long, default_value = "10m", value_name = "TIME")]
    pub(crate) lock_after: String,
}

/// What a process of the page is doing.
enum Phase {
    /// Nobody is in a room yet, or joins another one.
    Door {
        open: Open,
        back: bool,
    },
    /// The rooms are shown.
    Rooms {
        open: Open,
        room: Option<String>,
    },
    /// Nothing is open.
    Locked,
    Over,
}

/// What happened.
enum Event {
    /// A page is there, and is to be told everything.
    Opened,
    /// The page does something.
    Act(Act),
    /// Somebody pressed Enter in the terminal.
    Enter,
    /// A signal to stop.
    Stop,
}

/// The page and the terminal.
struct Web<'a> {
    context: &'a Context,
    server: Server,
    page: Page,
    feed: Option<Feed>,
    terminal: Terminal,
    browser: Browser,
    /// Takes whether the words on the page are those of the terminal.
    agree: Option<oneshot::Sender<bool>>,
    stopped: Pin<Box<dyn Future<Output = ()>>>,
    idle: Duration,
    /// What is typed and was not sent.
    draft: String,
}

/// Serves the page until a person or a signal ends it.
pub(super) async fn run(context: &Context, options: &Options) -> Result<()> {
    let idle = when::parse_duration(&options.lock_after)
        .map_err(|e| Failure::usage(e.to_string(), "For example: --lock-after 10m"))?;
    let browser = Browser::wanted(options)?;
    let open = context.open_or_create()?;
    let (server, listener, page) = Server::bind().await?;
    tokio::spawn(server.clone().run(listener));
    let mut web = Web {
        context,
        server,
        page,
        feed: None,
        terminal: Terminal::default(),
        browser,
        agree: None,
        stopped: Box::pin(signals::stop()),
        idle,
        draft: String::new(),
    };
    web.link()?;
    let mut phase = begin(open, options.room.clone())?;
    let ended = loop {
        let next = match phase {
            Phase::Door { open, back } => Box::pin(door::run(&mut web, open, back)).await,
            Phase::Rooms { open, room } => Box::pin(rooms::run(&mut web, open, room)).await,
            Phase::Locked => Box::pin(web.locked()).await,
            Phase::Over => break Ok(()),
        };
        match next {
            Ok(next) => phase = next,
            Err(failure) => break Err(failure),
        }
    };
    web.goodbye().await;
    ended
}

/// Returns what is shown of an open profile: its rooms, or the way in.
fn begin(open: Open, room: Option<String>) -> Result<Phase> {
    let rooms = Room::all(open.store(), &open.crypto)?;
    let shows = |room: &Room<'_>| !matches!(room.state().standing, Standing::Knocking);
    let any = rooms.iter().any(shows);
    drop(rooms);
    Ok(match any || room.is_some() {
        true => Phase::Rooms { open, room },
        false => Phase::Door { open, back: false },
    })
}

impl Web<'_> {
    /// Prints a link, and opens it.
    fn link(&mut self) -> Result<()> {
        let link = self.server.link()?;
        let out = &self.context.out;
        out.say(
            &json!({ "link": &*link, "seconds": 60 }),
            &format!("Open this in the browser of this computer, within a minute:\n{}", &*link),
        )?;
        if let Some(told) = self.browser.open(&link) {
            out.remark(&told);
        }
        out.remark("Enter makes a new link. Ctrl-C ends, and empties the page.");
        Ok(())
    }

    fn tell(&mut self, told: &Value) {
        // A page that does not read begins again with the next stream.
        if self.feed.as_ref().is_some_and(|feed| !feed.tell(told.to_string())) {
            self.feed = None;
        }
    }

    /// Waits for what happens. Cancel safe.
    async fn next(&mut self) -> Event {
        loop {
            let asked = tokio::select! {
                biased;
                () = &mut self.stopped => return Event::Stop,
                asked = self.page.next() => asked,
                typed = self.terminal.line() => {
                    if let Some(event) = self.typed(&typed) {
                        return event;
                    }
                    continue;
                }
            };
            match asked {
                None => return Event::Stop,
                Some(Asked::Opened(feed)) => {
                    self.feed = Some(feed);
                    return Event::Opened;
                }
                Some(Asked::Gone(number)) => {
                    if self.feed.as_ref().is_some_and(|feed| feed.number() == number) {
                        self.feed = None;
                    }
                }
                Some(Asked::Act(bytes)) => match serde_json::from_slice(&bytes) {
                    Ok(act) => return Event::Act(act),
                    // A page of another version, or something that is none.
                    Err(_) => self.tell(&told::remark(
                        "This page asked for something that is not known. Nothing was done.",
                    )),
                },
                Some(Asked::Words { words, agree }) => {
                    self.context.out.remark(&format!(
                        "The system does not say whose browser this is. Its page shows three words. If they are\n  {words}\npress Enter; if not, type no and press Enter."
                    ));
                    self.agree = Some(agree);
                }
            }
        }
    }

    fn typed(&mut self, typed: &str) -> Option<Event> {
        match self.agree.take() {
            Some(agree) => {
                let agrees = typed.trim().is_empty();
                if !agrees {
                    self.context.out.remark("Nobody was let in. Enter makes a new link.");
                }
                let _ = agree.send(agrees);
                None
            }
            None => Some(Event::Enter),
        }
    }

    /// Waits, with nothing open, until the passphrase is typed in the terminal.
    async fn locked(&mut self) -> Result<Phase> {
        self.tell(&json!("Locked"));
        self.context.out.remark("Hidden and locked. What was typed is kept. To go on, press Enter, then type your passphrase.");
        loop {
            match self.next().await {
                Event::Stop | Event::Act(Act::Quit(_)) => return Ok(Phase::Over),
                Event::Opened => self.tell(&json!("Locked")),
                Event::Act(_) => {}
                Event::Enter => match self.unlock().await {
                    Ok(open) => return begin(open, None),
                    Err(failure) => {
                        let why = format!("{}. {}", capital(&failure.message), failure.advice);
                        self.context.out.remark(&why);
                        self.context.out.remark("Press Enter to type it again.");
                    }
                },
            }
        }
    }

    async fn unlock(&mut self) -> Result<Open> {
        let home = self.context.home()?;
        let state = Profile::inspect(&home)?;
        let unlock = match self.context.asks_passphrase(&state) {
            // The page is served meanwhile.
            true => {
                let typed = tokio::task::spawn_blocking(|| line::read_secret("Passphrase: ")).await;
                let typed: Zeroizing<String> =
                    typed.map_err(|_| ProfileError::WrongPassphrase)??;
                Some(Unlock::Passphrase(typed))
            }
            false => self.context.unlock(&state)?,
        };
        let profile = open_when_free(&home, unlock.as_ref())?;
        Ok(Open { profile, crypto: Crypto::default() })
    }

    /// Tells the page that it is over, and gives it a moment to empty itself.
    async fn goodbye(&mut self) {
        self.tell(&json!("Ended"));
        let Some(feed) = self.feed.take() else { return };
        feed.end();
        let gone = async {
            while let Some(asked) = self.page.next().await {
                if matches!(asked, Asked::Gone(number) if number == feed.number()) {
                    break;
                }
            }
        };
        let _ = timeout(GOODBYE, gone).await;
    }
}
