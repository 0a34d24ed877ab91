//! Ports, the running relay, its certificate, and whether members reach it.

use std::{net::TcpListener, path::Path};

use hearth_protocol::{Pin, invite::Transport};

use super::{
    super::figures,
    finding::{Finding, Report},
    probe,
};
use crate::{
    Clock, Config, DataDirError, StartError, TlsError,
    certificate::{self, Facts},
    data_dir::{Address, DataDir},
    store, tls, words,
};

/// Days before the end of a certificate at which the operator should act.
const DAYS_LEFT: i64 = 14;
const DAY_SECONDS: i64 = 86_400;

pub(super) fn check(report: &mut Report, dir: &Path, config: &Config) {
    let running = is_running(dir);
    relay(report, dir, config, running);
    let pin = match config.transport {
        Transport::Plain => {
            report.add(Finding::ok("certificate", "is the proxy's"));
            None
        }
        Transport::Tls => certificate_files(report, dir, config),
    };
    if running {
        outside(report, dir, config, pin);
    } else {
        ports(report, config);
    }
}

/// Whether a relay holds the directory.
fn is_running(dir: &Path) -> bool {
    matches!(DataDir::take(dir), Err(DataDirError::InUse(_)))
}

fn relay(report: &mut Report, dir: &Path, config: &Config, running: bool) {
    if !running {
        report.add(Finding::warning(
            "relay",
            "is not running",
            "`systemctl start hearthd`, or `hearthd --config FILE`",
        ));
        return;
    }
    report.add(match probe::page(probe::admin(dir, config), "/readyz") {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
            Finding::ok("relay", "runs and takes entries")
        }
        Ok(_) => Finding::failure(
            "relay",
            "runs, and its store takes no entries",
            "`journalctl -u hearthd -n 50` says why; mostly the disk is full or fails",
        ),
        Err(_) => Finding::failure(
            "relay",
            "runs, and does not answer its operator",
            "`journalctl -u hearthd -n 50`; then `systemctl restart hearthd`",
        ),
    });
    if probe::figure(dir, config, "connections_refused_total").is_some_and(|refused| refused > 0) {
        report.add(Finding::warning(
            "connections",
            "some were refused since the start: an attack, or many people behind one address",
            "if members complain, raise connections_per_ip, and restart",
        ));
    }
}

/// Checks that the ports are free for a start.
fn ports(report: &mut Report, config: &Config) {
    for (check, address, setting) in
        [("port", config.listen, "listen"), ("admin port", config.admin_listen, "admin_listen")]
    {
        report.add(match TcpListener::bind(address) {
            Ok(_) => Finding::ok(check, format!("{} is free", address.port())),
            Err(error) => Finding::failure(
                check,
                format!("cannot listen on {}: {}", address.port(), words::of_io(&error)),
                format!("`ss -ltnp` shows who listens; or choose another {setting}"),
            ),
        });
    }
}

/// Checks the files, and returns the pin of the key.
fn certificate_files(report: &mut Report, dir: &Path, config: &Config) -> Option<Pin> {
    let (certificate, key) = match &config.tls_files {
        Some((certificate, key)) => (certificate.clone(), key.clone()),
        None => (dir.join("cert.pem"), dir.join("key.pem")),
    };
    let own = config.tls_files.is_none();
    if own && !key.exists() && !certificate.exists() && store::pinned(dir).is_none() {
        report.add(Finding::ok("certificate", "is made by the first start"));
        return None;
    }
    let read = tls::leaf(&certificate, &key).and_then(|leaf| {
        certificate::facts(&leaf).ok_or(TlsError::NoCertificate(certificate.clone()))
    });
    let facts = match read {
        Ok(facts) => facts,
        Err(error) => {
            let said = match &error {
                TlsError::File { .. } => {
                    "a file of the certificate or its key cannot be read".to_owned()
                }
                TlsError::KeyExposed(_) => "other accounts can read the private key".to_owned(),
                TlsError::Mismatch => "the private key is not the certificate's".to_owned(),
                _ => "certificate or key are not usable".to_owned(),
            };
            // The path of an operator's own file often names the relay.
            let advice = match &error {
                TlsError::File { .. } if !own => {
                    "`ls -l` the files of tls_cert and tls_key: this account must be able to read both".into()
                }
                TlsError::KeyExposed(_) if !own => "`chmod 600` the file of tls_key".into(),
                _ => StartError::from(error).advice(),
            };
            report.add(Finding::failure("certificate", said, advice));
            return None;
        }
    };
    let pin = facts.pin;
    if store::pinned(dir).is_some_and(|pinned| facts.self_signed && pinned != pin) {
        report.add(Finding::failure(
            "certificate",
            "the key is not the one that members pinned, and they refuse to connect",
            "put the former key.pem back, from where you keep it or from a backup",
        ));
    } else {
        report.add(judge(&facts, own, config));
    }
    Some(pin)
}

/// Judges dates and names. Members who pin a key look at neither.
fn judge(facts: &Facts, own: bool, config: &Config) -> Finding {
    if own || facts.self_signed {
        return Finding::ok("certificate", "is self-signed, and links pin its key");
    }
    let now = i64::try_from(Clock::system().now().0 / 1000).unwrap_or(i64::MAX);
    let days = facts.not_after.saturating_sub(now).div_euclid(DAY_SECONDS);
    let renew = "renew it; the relay takes the new files by itself within 10 seconds";
    let host =
        config.public_url.as_deref().and_then(|url| url.rsplit_once(':')).map(|(host, _)| host);
    let fits = host.is_none_or(|host| facts.names.iter().any(|name| covers(name, host)));
    if now < facts.not_before {
        Finding::failure("certificate", "is not valid yet", "check the clock: `timedatectl`")
    } else if days < 0 {
        Finding::failure("certificate", "has expired, and members cannot connect", renew)
    } else if !fits {
        Finding::failure(
            "certificate",
            "is for another name than public_url says, and members cannot connect",
            "get one for that name, or correct public_url",
        )
    } else if days < DAYS_LEFT {
        Finding::warning(
            "certificate",
            format!("expires in {}", figures::counted(days.unsigned_abs(), "day")),
            renew,
        )
    } else {
        Finding::ok(
            "certificate",
            format!("is valid for {}", figures::counted(days.unsigned_abs(), "day")),
        )
    }
}

/// Whether a name in a certificate covers a host (RFC 6125 section 6.4.3: a star stands for one label).
fn covers(name: &str, host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    }
}

/// Connects as a member does, and compares the certificate that is served with the one on disk.
fn outside(report: &mut Report, dir: &Path, config: &Config, pin: Option<Pin>) {
    let recorded = Address::read(dir).ok().map(|address| address.authority);
    let Some(authority) = config.public_url.clone().or(recorded) else { return };
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    let stream = match probe::connect(&authority) {
        Ok(stream) => stream,
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => "nobody answers there",
                std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
                    "no answer came in 5 seconds"
                }
                _ => "its name has no address that can be reached",
            };
            report.add(Finding::failure(
                "outside",
                format!("the relay is not reached at its public address from here: {why}"),
                format!("check the name's address, and let TCP port {port} through firewall and router; some routers do not let a machine reach itself: try from another network, `hearth doctor` there says it"),
            ));
            return;
        }
    };
    if config.transport == Transport::Plain {
        report.add(Finding::ok("outside", "something answers at the public address"));
        return;
    }
    let leaf = probe::served(stream, &authority).ok().and_then(|leaf| certificate::facts(&leaf));
    report.add(match (leaf, pin) {
        (Some(leaf), Some(pin)) if leaf.pin == pin => {
            Finding::ok("outside", "the public address leads to this relay, with this certificate")
        }
        (Some(_), _) => Finding::failure(
            "outside",
            "the public address serves another certificate than the one on disk",
            "another program or machine answers there; after a new certificate, `systemctl reload hearthd` and look at its log",
        ),
        (None, _) => Finding::failure(
            "outside",
            "what answers at the public address does not speak TLS 1.3",
            "another program or a proxy answers there; the relay does TLS by itself",
        ),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(now: i64, from: i64, days: i64, names: &[&str]) -> Facts {
        Facts {
            pin: Pin([1; 32]),
            self_signed: false,
            not_before: now + from,
            not_after: now + days * DAY_SECONDS + 60,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn certificates_are_judged_like_members_do() {
        let now = i64::try_from(Clock::system().now().0 / 1000).unwrap();
        let config = Config { public_url: Some("a.example.org:1".into()), ..Config::new("x") };
        let judged = |facts: &Facts, own| {
            serde_json::to_value(judge(facts, own, &config)).unwrap()["state"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        for (from, days, names, state) in [
            (-60, 60, ["a.example.org"], "ok"),
            (-60, 60, ["*.example.org"], "ok"),
            (-60, 60, ["*.org"], "failure"),
            (-60, 60, ["b.example.org"], "failure"),
            (-60, 13, ["a.example.org"], "warning"),
            (-60, -1, ["a.example.org"], "failure"),
            (60, 60, ["a.example.org"], "failure"),
        ] {
            assert_eq!(judged(&facts(now, from, days, &names), false), state, "{names:?} {days}");
        }
        assert_eq!(judged(&facts(now, -60, -1, &["localhost"]), true), "ok");
    }
}
