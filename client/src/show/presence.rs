//! Who from the team is here, who is expected when, and who is late: by what moderators say and by the agreement.

use hearth_protocol::{Millis, hours::Hours};
use hearth_session::client::RoomView;
use hearth_text::escape::one_line;
use serde_json::{Value, json};

use super::{clock, rfc3339};
use crate::text::when;

/// Time after which somebody who is expected and not here is late: ten minutes.
const LATE_MILLIS: u64 = 10 * 60_000;
/// Longest presence that is looked back for its beginning, in minutes.
const SHIFT_MINUTES_MAX: u64 = 24 * 60;

/// Who from the team is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// These said so, each until a time.
    Here(Vec<(String, Millis)>),
    /// Somebody is expected since a time, and nobody has come.
    Late {
        /// Who.
        name: String,
        /// Since when.
        since: Millis,
    },
    /// Nobody.
    Nobody {
        /// Who is expected next, and when.
        next: Option<(String, Millis)>,
    },
}

/// A line of the agreement that says who is present when.
struct Shift {
    name: String,
    hours: Hours,
}

impl Shift {
    /// Reads `Fay Tue 19:00-21:00 Europe/Paris`. Without a time zone, that of the room's hours counts. Other words are for people
    /// alone.
    fn read(entry: &str, zone: Option<&str>, now: Millis) -> Option<Self> {
        let spaces = entry.match_indices(char::is_whitespace).map(|(at, _)| at);
        spaces.into_iter().find_map(|at| {
            let (name, hours) = entry.split_at_checked(at)?;
            let name = name.trim().trim_end_matches([',', ':']);
            let alone = when::parse_hours(hours.trim(), now).ok().flatten();
            let with_zone = || {
                let hours = format!("{} {}", hours.trim(), zone?);
                when::parse_hours(&hours, now).ok().flatten()
            };
            let hours = alone.or_else(with_zone)?;
            (!name.is_empty()).then(|| Self { name: one_line(name), hours })
        })
    }

    /// Returns since when the hours are open, if they are.
    fn since(&self, now: Millis) -> Option<Millis> {
        if !self.hours.is_open(now) {
            return None;
        }
        let minute = Millis(now.0 / 60_000 * 60_000);
        let back = (1..=SHIFT_MINUTES_MAX)
            .take_while(|back| self.hours.is_open(Millis(minute.0.saturating_sub(back * 60_000))))
            .last();
        Some(Millis(minute.0.saturating_sub(back.unwrap_or(0) * 60_000)))
    }
}

/// Returns whether somebody's words of `present` say a time that a program can read.
pub fn is_read(entry: &str, now: Millis) -> bool {
    Shift::read(entry, None, now).is_some()
}

fn shifts(view: &RoomView, now: Millis) -> Vec<Shift> {
    let hours = view.policy.as_ref().map(|policy| policy.hours_text.as_str()).unwrap_or_default();
    let zone = hours.rsplit(char::is_whitespace).next().filter(|zone| !zone.is_empty());
    let entries = view.help.contacts.iter().flat_map(|help| &help.present);
    entries.filter_map(|entry| Shift::read(entry, zone, now)).collect()
}

/// Returns who is expected next after a time, and when.
pub fn next_expected(view: &RoomView, now: Millis) -> Option<(String, Millis)> {
    let next = shifts(view, now).into_iter().filter_map(|shift| {
        let at = match shift.since(now) {
            // They should be here just now.
            Some(since) => since,
            None => shift.hours.next_opening(now)?,
        };
        Some((shift.name, at))
    });
    next.min_by_key(|(_, at)| *at)
}

/// Returns who is expected next at a later time than now, whoever should be here just now.
fn next_coming(view: &RoomView, now: Millis) -> Option<(String, Millis)> {
    let coming = shifts(view, now).into_iter().filter_map(|shift| {
        let mut from = now;
        // To the end of what is on.
        for _ in 0..SHIFT_MINUTES_MAX {
            if !shift.hours.is_open(from) {
                break;
            }
            from = from.plus(60_000);
        }
        Some((shift.name, shift.hours.next_opening(from)?))
    });
    coming.min_by_key(|(_, at)| *at)
}

/// Says who from the team is here at a time of the relay.
pub fn presence(view: &RoomView, now: Millis) -> Presence {
    let here = view.on_duty.iter().filter(|duty| duty.until > now);
    let here: Vec<(String, Millis)> = here
        .map(|duty| {
            let leaf = view.roster.iter().find(|leaf| leaf.member == duty.member);
            let name = leaf.map_or_else(|| duty.member.short(), |leaf| one_line(&leaf.name));
            (name, duty.until)
        })
        .collect();
    if !here.is_empty() {
        return Presence::Here(here);
    }
    let all = shifts(view, now);
    let late = all.iter().filter_map(|shift| Some((shift, shift.since(now)?)));
    let late = late.filter(|(_, since)| now.0.saturating_sub(since.0) >= LATE_MILLIS);
    match late.min_by_key(|(_, since)| *since) {
        Some((shift, since)) => Presence::Late { name: shift.name.clone(), since },
        None => Presence::Nobody { next: next_expected(view, now) },
    }
}

/// Returns when what is said of the team changes by itself, by the relay's clock.
pub fn changes_at(view: &RoomView, now: Millis) -> Option<Millis> {
    let duties = view.on_duty.iter().map(|duty| duty.until);
    let shifts = shifts(view, now).into_iter().filter_map(|shift| {
        let begins = shift.since(now).or_else(|| shift.hours.next_opening(now))?;
        Some(begins.plus(LATE_MILLIS))
    });
    duties.chain(shifts).filter(|at| *at > now).min()
}

/// Says who is expected next: `Fay is expected tomorrow at 17:00.`
pub fn expected_words(next: Option<&(String, Millis)>, now: Millis) -> Option<String> {
    next.map(|(name, at)| format!("{name} is expected {}.", when::day_and_time(*at, now)))
}

impl Presence {
    /// Says it to a member, with what they can do.
    pub fn words(&self, view: &RoomView, now: Millis) -> String {
        match self {
            Self::Here(_) => self.line(now),
            Self::Late { .. } => {
                format!("{} In danger: `hearth help-now ROOM`.", self.line(now))
            }
            Self::Nobody { next } => {
                let said = expected_words(next.as_ref(), now).or_else(|| said_words(view));
                let said = said.map(|said| format!(" {said}")).unwrap_or_default();
                format!(
                    "Nobody from the team is here.{said} You can write; nobody is promised to read. In danger: `hearth help-now ROOM`."
                )
            }
        }
    }

    /// Says it in short.
    pub fn line(&self, now: Millis) -> String {
        match self {
            Self::Here(here) => {
                let here = here.iter().map(|(name, until)| {
                    format!("{name} is here for the room until {}", clock(*until))
                });
                format!("{}.", here.collect::<Vec<_>>().join("; "))
            }
            Self::Late { name, since } => format!(
                "We expected {name} at {}. Nobody from the team has come yet.",
                clock(*since)
            ),
            Self::Nobody { next } => {
                let next = expected_words(next.as_ref(), now);
                let next = next.map(|next| format!(" {next}")).unwrap_or_default();
                format!("Nobody from the team is here.{next}")
            }
        }
    }

    /// Returns it for programs.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Here(_) => Value::Null,
            Self::Late { name, since } => {
                json!({"name": name, "at": rfc3339(*since), "late": true})
            }
            Self::Nobody { next: Some((name, at)) } => {
                json!({"name": name, "at": rfc3339(*at), "late": false})
            }
            Self::Nobody { next: None } => Value::Null,
        }
    }
}

/// Repeats what the agreement says of who is present, where no program can read the times.
fn said_words(view: &RoomView) -> Option<String> {
    let entries = view.help.contacts.iter().flat_map(|help| &help.present);
    let entries: Vec<String> = entries.map(|entry| one_line(entry)).collect();
    (!entries.is_empty()).then(|| format!("By the agreement: {}.", entries.join("; ")))
}

/// Says at the end of a duty who is expected next.
pub fn after_duty(view: &RoomView, now: Millis) -> String {
    let next = next_coming(view, now);
    let next = expected_words(next.as_ref(), now).or_else(|| said_words(view));
    next.unwrap_or_else(|| "The agreement does not say who is expected next.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T00:00Z, a Tuesday.
    const TUESDAY: Millis = Millis(1_795_478_400_000);
    const HOUR: u64 = 3_600_000;

    #[test]
    fn presence_is_read_with_a_zone() {
        let read = |entry: &str, zone| Shift::read(entry, zone, TUESDAY);
        let fay = read("Fay Tue 19:00-21:00 UTC", None).unwrap();
        assert_eq!(fay.name, "Fay");
        assert_eq!(fay.hours.next_opening(TUESDAY), Some(TUESDAY.plus(19 * HOUR)));
        assert_eq!(read("Fay, Tue 19:00-21:00", Some("UTC")).unwrap().name, "Fay");
        assert_eq!(read("Fay Brown: Mon-Fri 9:00-12:00 UTC", None).unwrap().name, "Fay Brown");
        assert!(read("Fay Tue 19:00-21:00", None).is_none());
        assert!(read("Fay, Tuesdays", Some("UTC")).is_none());
        assert!(read("", Some("UTC")).is_none());
    }

    #[test]
    fn shift_knows_its_beginning() {
        let fay = Shift::read("Fay Tue 19:00-21:00 UTC", None, TUESDAY).unwrap();
        let seven = TUESDAY.plus(19 * HOUR);
        assert_eq!(fay.since(TUESDAY), None);
        assert_eq!(fay.since(seven), Some(seven));
        assert_eq!(fay.since(seven.plus(HOUR + 90_000)), Some(seven));
        assert_eq!(fay.since(seven.plus(2 * HOUR)), None);
    }

    #[test]
    fn expected_day_is_named() {
        let at = |hours: u64| ("Fay".to_owned(), TUESDAY.plus(hours * HOUR));
        let told = |hours| expected_words(Some(&at(hours)), TUESDAY).unwrap();
        assert!(told(19).starts_with("Fay is expected at "), "{}", told(19));
        assert!(told(19 + 24).starts_with("Fay is expected tomorrow at "), "{}", told(43));
        assert!(told(19 + 72).starts_with("Fay is expected on "), "{}", told(91));
        assert_eq!(expected_words(None, TUESDAY), None);
    }
}
