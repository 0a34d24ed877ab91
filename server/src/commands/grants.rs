//! Grants: made, listed and revoked, whether or not the relay runs.

use std::path::Path;

use hearth_protocol::{
    Millis, Secret32,
    invite::{self, RelayAddress, Transport},
    limits::MEMBERS_MAX,
};
use hearth_rules::admission::Terms;

use super::{figures, interactive, say, started};
use crate::{
    Clock, Config, OpenError, StartError,
    data_dir::{self, Address, DataDir, split_url},
    relay::names,
    store,
    tls::Identity,
};

/// Terms of a grant.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Number of rooms that it opens.
    pub rooms: u32,
    /// Maximum members of each room.
    pub members: u32,
    /// End of validity.
    pub expires: Millis,
    /// `wss://host:port` in the link; by default the address that the relay recorded.
    pub url: Option<String>,
}

/// Writes a grant into a store, whether or not its relay is running, and returns the link.
///
/// # Errors
/// See [`StartError`].
pub fn grant(dir: &Path, terms: &Grant) -> Result<String, StartError> {
    if terms.rooms == 0 {
        return Err(StartError::Grant("a grant opens one room at least"));
    }
    if terms.members == 0 || terms.members > MEMBERS_MAX {
        return Err(StartError::Grant("a room has between 1 and 1000 members"));
    }
    data_dir::check_whole(dir)?;
    let address = grant_address(dir, terms.url.as_deref())?;
    let path = store::database_path(dir);
    let fault = |source: OpenError| StartError::Store { path: path.clone(), source };
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| StartError::Grant("the system gives no random bytes"))?;
    let secret = Secret32::new(bytes);
    let stored =
        Terms { rooms_left: terms.rooms, members_max: terms.members, expires: terms.expires };
    let relay = store::add_grant(dir, &secret, &stored).map_err(fault)?;
    let Address { authority, transport, pin } = address;
    let address = RelayAddress { authority, transport, relay, pin };
    Ok(invite::Grant { address, secret }.to_link())
}

/// Returns the address that a grant's link names.
fn grant_address(dir: &Path, url: Option<&str>) -> Result<Address, StartError> {
    let recorded = Address::read(dir);
    let Some(url) = url else {
        let recorded = recorded?;
        let host = recorded.authority.rsplit_once(':').map_or("", |(host, _)| host);
        if matches!(host, "0.0.0.0" | "[::]") {
            return Err(StartError::Grant(
                "the relay listens on every address: name one with --url wss://HOST:PORT",
            ));
        }
        return Ok(recorded);
    };
    let (transport, authority) =
        split_url(url).ok_or(StartError::Grant("the url is no wss://HOST:PORT"))?;
    crate::config::check_authority(authority)?;
    let authority = authority.to_owned();
    let pin = match (transport, recorded) {
        (Transport::Plain, Ok(_)) => None,
        (Transport::Plain, Err(_)) => DataDir::take(dir).map(|_| None)?,
        (Transport::Tls, Ok(recorded)) => recorded.pin,
        // Before the first start, use the certificate that the start will find.
        (Transport::Tls, Err(_)) => {
            let data_dir = DataDir::take(dir)?;
            let (dir, names) = (data_dir.path(), names(&authority));
            Some(Identity::load_or_make(dir, &names, store::pinned(dir))?.pin())
        }
    };
    Ok(Address { authority, transport, pin })
}

/// Returns what a new grant's link shall name: what is asked for, or before the first start what the settings say. `None` for what
/// the relay recorded.
pub(super) fn url(
    dir: &Path,
    asked: Option<String>,
    config: impl FnOnce() -> Result<Config, StartError>,
) -> Result<Option<String>, StartError> {
    if asked.is_some() || Address::read(dir).is_ok() {
        return Ok(asked);
    }
    let config = config()?;
    let scheme = match (config.transport, &config.tls_files) {
        (Transport::Plain, _) => "ws",
        (Transport::Tls, None) => "wss",
        // The start decides by these files whether links carry a pin.
        (Transport::Tls, Some(_)) => return Ok(None),
    };
    Ok(config.public_url.map(|authority| format!("{scheme}://{authority}")))
}

/// Digits of a grant's name that are shown.
const NAME_DIGITS: usize = 12;
/// Least digits by which a grant or a room is named.
pub(super) const DIGITS_MIN: usize = 4;

fn short(name: &[u8; 32]) -> String {
    let hex = data_encoding::HEXLOWER.encode(name);
    hex.get(..NAME_DIGITS).unwrap_or_default().to_owned()
}

fn open(dir: &Path) -> Result<rusqlite::Connection, StartError> {
    let path = started(dir)?;
    store::reopen_writer(&path).map_err(|source| StartError::Store { path, source })
}

/// Returns a fault of a store's tables.
pub(super) fn broken(dir: &Path) -> impl Fn(rusqlite::Error) -> StartError {
    let path = store::database_path(dir);
    move |error| StartError::Store { path: path.clone(), source: error.into() }
}

/// Prints the grants that can still open a room.
pub(super) fn list(dir: &Path) -> Result<(), StartError> {
    let now = Clock::system().now();
    let mut text = String::new();
    for store::Granted { name, terms } in store::grants(&open(dir)?).map_err(broken(dir))? {
        if terms.rooms_left == 0 || terms.expires <= now {
            continue;
        }
        text.push_str(&format!(
            "{}  {} of {}, until {} UTC\n",
            short(&name),
            figures::counted(terms.rooms_left.into(), "room"),
            figures::counted(terms.members_max.into(), "member"),
            figures::time(terms.expires)
        ));
    }
    if text.is_empty() {
        text.push_str("No grant can open a room now. `hearthd grant` makes one.");
    }
    say(&text)
}

/// Voids a grant by the beginning of its name, or by its link on standard input.
pub(super) fn revoke(dir: &Path, name: &str) -> Result<(), StartError> {
    let db = open(dir)?;
    let wanted = match name {
        "-" => {
            let link = if interactive() { super::ask("Paste the link:")? } else { super::ask("")? };
            let link = invite::Grant::parse(&link).map_err(|error| {
                StartError::usage(
                    error.to_string(),
                    "`hearthd grant list` shows names to revoke by",
                )
            })?;
            data_encoding::HEXLOWER.encode(&store::grant_name(&link.secret))
        }
        name => name.to_ascii_lowercase(),
    };
    let all = store::grants(&db).map_err(broken(dir))?;
    let hex = |granted: &store::Granted| data_encoding::HEXLOWER.encode(&granted.name);
    let mut found = all.iter().filter(|granted| hex(granted).starts_with(&wanted));
    let (Some(granted), None, true) = (found.next(), found.next(), wanted.len() >= DIGITS_MIN)
    else {
        return Err(StartError::usage(
            "no grant, or more than one, has that name",
            "`hearthd grant list` shows the names",
        ));
    };
    store::revoke_grant(&db, &granted.name).map_err(broken(dir))?;
    say(&format!("{} is void. Rooms that it opened stay.", short(&granted.name)))
}
