//! Writes the settings of a new relay.

use std::{
    fs,
    io::{ErrorKind as Kind, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    account::{self, DATA, SETTINGS},
    ask, interactive, quoted, say,
};
use crate::{
    DataDirError, StartError,
    config::{check_authority, parse_listen},
};

/// Times that an address is asked for.
const SLIPS_MAX: u32 = 10;
/// Port for members where none is named.
const PORT: u16 = 7443;
/// Where the service manager finds the service that the package installs.
const UNITS: [&str; 3] = [
    "/usr/lib/systemd/system/hearthd.service",
    "/lib/systemd/system/hearthd.service",
    "/etc/systemd/system/hearthd.service",
];

/// What the settings say.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// What members connect to, as HOST or HOST:PORT; asked for at a terminal
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Where to listen, where it is not the same port on every network, as IP:PORT
    #[arg(long, value_name = "IP:PORT", value_parser = parse_listen)]
    listen: Option<SocketAddr>,
}

pub(super) fn run(
    init: &Init,
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
) -> Result<(), StartError> {
    let root = account::is_root();
    let file = config.unwrap_or_else(|| if root { SETTINGS } else { "hearthd.toml" }.into());
    let data = data_dir.unwrap_or_else(|| if root { DATA } else { "hearthd" }.into());
    let whole = |path: &Path| {
        std::path::absolute(path)
            .map_err(|source| DataDirError::Io { path: path.to_owned(), source })
    };
    let (file, data) = (whole(&file)?, whole(&data)?);
    // Before anything is asked, so that nobody answers for nothing.
    if file.exists() {
        return Err(taken(&file));
    }
    let address = match &init.address {
        Some(address) => parse_address(address)?,
        None if interactive() => ask_address()?,
        None => {
            return Err(StartError::usage(
                "no address was given, and nobody can be asked here",
                "give what members connect to: `hearthd init --address relay.example.org:7443`",
            ));
        }
    };
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(PORT);
    let every = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let text = settings(&address, init.listen.unwrap_or(every), &data);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data)
        .map_err(|source| DataDirError::Io { path: data.clone(), source })?;
    write(&file, &text, &data)?;
    say(&next(&file, &address, root))
}

fn taken(file: &Path) -> StartError {
    StartError::refused(
        format!("{} is there already, and was not changed", file.display()),
        format!(
            "edit it; or write another: `hearthd init --config {}`",
            quoted(&crate::failure::unused(file))
        ),
    )
}

/// Returns an address with its port.
fn parse_address(text: &str) -> Result<String, StartError> {
    let text = text.trim();
    let bare = text.strip_prefix("wss://").unwrap_or(text).trim_end_matches('/');
    let has_port = bare.rsplit_once(':').is_some_and(|(host, port)| {
        !port.is_empty()
            && port.bytes().all(|byte| byte.is_ascii_digit())
            && (!host.contains(':') || host.ends_with(']'))
    });
    let whole = match bare.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{PORT}"),
        Err(_) if has_port => bare.to_owned(),
        Err(_) => format!("{bare}:{PORT}"),
    };
    let host = whole.rsplit_once(':').map_or("", |(host, _)| host);
    // An IPv6 address alone has colons, and stands in brackets.
    let is_host = host.starts_with('[') == host.contains(':');
    if !is_host || check_authority(&whole).is_err() {
        return Err(StartError::usage(
            format!("{text:?} is not a host, or a host and a port"),
            "for example: `hearthd init --address relay.example.org:7443`",
        ));
    }
    Ok(whole)
}

fn ask_address() -> Result<String, StartError> {
    let mut slips = 0;
    loop {
        let typed = ask(
            "What will members connect to? For example relay.example.org or 203.0.113.7:7443:",
        )?;
        match parse_address(&typed) {
            Ok(address) => return Ok(address),
            Err(error) => {
                slips += 1;
                if slips == SLIPS_MAX {
                    return Err(error);
                }
                // The question comes again.
                let _ = writeln!(std::io::stderr(), "{error}.");
            }
        }
    }
}

/// Returns the text of the file; every other setting stands there as a comment with its default.
fn settings(address: &str, listen: SocketAddr, data: &Path) -> String {
    let text = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let (public, data) = (text(address), text(&data.to_string_lossy()));
    format!(
        "# Settings of hearthd, the Hearth relay. An unknown setting is an error with its line.\n\
         # After a change: restart the relay, then `hearthd doctor`.\n\
         \n\
         # What links name, and so what members connect to. Keep it: links that were given away name it forever.\n\
         public_url = {public}\n\
         \n\
         # Where the relay listens. 0.0.0.0 is every network of this machine; \"[::]:7443\" is IPv6 as well.\n\
         listen = \"{listen}\"\n\
         \n\
         # Everything that the relay keeps.\n\
         data_dir = {data}\n\
         \n\
         # Health and figures for the operator, on this machine only. By default the port after that of `listen`.\n\
         #admin_listen = \"127.0.0.1:{admin}\"\n\
         \n\
         # Your own certificate and key in PEM. Without them the relay makes its own, and links pin its key: that needs no\n\
         # renewal. Decide before the first room.\n\
         #tls_cert = \"/etc/hearthd/fullchain.pem\"\n\
         #tls_key = \"/etc/hearthd/privkey.pem\"\n\
         \n\
         # Connections of one address at a time, and new ones in a second. A clinic, a school or a mobile network may have one address\n\
         # for everybody: count the people who may be there at once, and give two for each.\n\
         #connections_per_ip = 64\n\
         #connections_max = 20000\n\
         \n\
         # Behind a proxy that does TLS on this machine: see \"Behind a proxy\" in the operator's guide before you set these.\n\
         #plain = false\n\
         #trust_forwarded = false\n\
         \n\
         # Frames of one connection, bytes of one member, bytes of one room.\n\
         #frames_per_second = 20\n\
         #frames_burst = 160\n\
         #member_bytes_per_second = 65536\n\
         #member_bytes_burst = 4194304\n\
         #room_bytes_max = 268435456\n\
         \n\
         # text or json.\n\
         #log_format = \"text\"\n",
        admin = crate::cli::admin_port(listen.port()),
    )
}

/// Writes the file whole or not at all, and never over another.
fn write(file: &Path, text: &str, data: &Path) -> Result<(), StartError> {
    let failed = |source: std::io::Error| match source.kind() {
        Kind::AlreadyExists => taken(file),
        _ => DataDirError::Io { path: file.to_owned(), source }.into(),
    };
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut options = fs::OpenOptions::new();
    let mut made = options.write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    let done = made
        .write_all(text.as_bytes())
        .and_then(|()| made.sync_all())
        .and_then(|()| account::give_to_owner(file, data));
    done.map_err(|source| {
        // Half a file would refuse the next try.
        let _ = fs::remove_file(file);
        failed(source)
    })
}

/// Says what comes next.
fn next(file: &Path, address: &str, root: bool) -> String {
    let port = address.rsplit_once(':').map_or("", |(_, port)| port);
    let service =
        root && file == Path::new(SETTINGS) && UNITS.iter().any(|unit| Path::new(unit).exists());
    let (start, grant) = if service {
        ("systemctl enable --now hearthd".to_owned(), "hearthd grant".to_owned())
    } else {
        let file = quoted(file);
        (format!("hearthd --config {file}"), format!("hearthd --config {file} grant"))
    };
    format!(
        "{} is written. Members will connect to {address}: let TCP port {port} through the firewall.\n\
         Next, start the relay, and print a link with which a facilitator opens a room:\n  {start}\n  {grant}",
        file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::File;

    #[test]
    fn written_settings_are_the_defaults() {
        let text = settings(
            "relay.example.org:8443",
            "0.0.0.0:8443".parse().unwrap(),
            Path::new("/a \"b\""),
        );
        let file = File::parse(Path::new("x"), &text).unwrap();
        assert_eq!(file.public_url.as_deref(), Some("relay.example.org:8443"));
        assert_eq!(file.data_dir.as_deref(), Some(Path::new("/a \"b\"")));
        assert_eq!(file.listen, Some("0.0.0.0:8443".parse().unwrap()));
        let set: Vec<String> = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        let file = File::parse(Path::new("x"), &set.join("\n")).unwrap();
        let base = crate::Config::new("x");
        assert_eq!(file.admin_listen.map(|admin| admin.port()), Some(8444));
        assert_eq!(file.connections_per_ip, Some(base.connections_per_ip));
        assert_eq!(file.connections_max, Some(base.connections_max));
        assert_eq!(file.frames_per_second, Some(base.frames_per_second));
        assert_eq!(file.frames_burst, Some(base.frames_burst));
        assert_eq!(file.member_bytes_per_second, Some(base.member_bytes_per_second));
        assert_eq!(file.member_bytes_burst, Some(base.member_bytes_burst));
        assert_eq!(file.room_bytes_max, Some(base.room_bytes_max));
        assert_eq!((file.plain, file.trust_forwarded), (Some(false), Some(false)));
    }

    #[test]
    fn addresses_get_a_port() {
        for (typed, whole) in [
            ("relay.example.org", "relay.example.org:7443"),
            (" relay.example.org:443 ", "relay.example.org:443"),
            ("wss://relay.example.org/", "relay.example.org:7443"),
            ("203.0.113.7", "203.0.113.7:7443"),
            ("2001:db8::1", "[2001:db8::1]:7443"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
        ] {
            assert_eq!(parse_address(typed).unwrap(), whole);
        }
        for wrong in [
            "",
            ":443",
            "a b",
            "https://x/y",
            "relay.example.org:port",
            "relay:1:2",
            "relay.example.org:0",
            "relay.example.org:99999",
        ] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }
}
