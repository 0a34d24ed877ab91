//! The course of a member's moods and answers: as a chart, in words, and as a file with a picture.

use std::{io::Write as _, path::Path};

use hearth_engine::{
    course::{self, MoodEntry, Sitting},
    private::MOOD_MAX,
    room::find_member,
    state::Row,
};
use hearth_forms::{Course, Questionnaire, Score};
use hearth_protocol::{Digest, MemberKey};
use hearth_text::{count::counted, escape};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::{
    name_of,
    questions::{Answered, words},
};
use crate::{
    commands::{Result, shell::Shell},
    failure::{Failure, exit, io_words},
    show::{
        self,
        chart::{COLUMNS_MIN, Chart, Value, svg},
    },
};

/// Columns of a chart on a wide terminal.
const COLUMNS: usize = 64;

/// What a member said over time.
struct Told {
    name: String,
    moods: Vec<MoodEntry>,
    charts: Vec<Chart>,
    /// Answers that fit no questionnaire here.
    unfit: Vec<String>,
    sittings: Vec<Json>,
}

impl Told {
    fn of(name: String, rows: &[Row], member: &MemberKey) -> Self {
        let moods = course::moods(rows, member);
        let sittings = course::sittings(rows, member);
        let answered: Vec<Answered<'_>> =
            sittings.iter().map(|sitting| Answered::of(rows, sitting)).collect();
        let mut charts: Vec<Chart> =
            (!moods.is_empty()).then(|| moods_chart(&name, &moods)).into_iter().collect();
        let mut forms: Vec<Digest> = Vec::new();
        for sitting in &sittings {
            if !forms.contains(&sitting.form) {
                forms.push(sitting.form);
            }
        }
        for form in forms {
            let of_form: Vec<(&Sitting, &Answered<'_>)> = sittings
                .iter()
                .zip(&answered)
                .filter(|(sitting, answered)| sitting.form == form && answered.form().is_some())
                .collect();
            if let Some(form) = of_form.first().and_then(|(_, answered)| answered.form()) {
                charts.extend(form_charts(&name, form, &of_form));
            }
        }
        let unfit = sittings.iter().zip(&answered).filter_map(|(sitting, answered)| {
            Some(format!("{}: {}", show::clock(sitting.at), answered.unfit()?))
        });
        let unfit = unfit.collect();
        let objects = sittings.iter().zip(&answered).map(|(sitting, answered)| {
            json!({
                "at": show::rfc3339(sitting.at),
                "form": sitting.form.to_hex(),
                "answers": sitting.answers,
                "questions": answered.form().map(|form| &form.id),
                "total": match answered.total() { Some(Score::Total(total)) => Some(total), _ => None },
                "marks": answered.marks(&name),
                "unfit": answered.unfit(),
            })
        });
        let sittings_json = objects.collect();
        drop(answered);
        Self { name, moods, charts, unfit, sittings: sittings_json }
    }

    fn json(&self, room: &str) -> Json {
        let mood = |entry: &MoodEntry| json!({"at": show::rfc3339(entry.at), "score": entry.mood.score, "words": entry.mood.words});
        json!({
            "room": room,
            "course": self.name,
            "moods": self.moods.iter().map(mood).collect::<Vec<_>>(),
            "answers": self.sittings,
        })
    }

    fn is_empty(&self) -> bool {
        self.charts.is_empty() && self.unfit.is_empty()
    }

    fn text(&self, columns: usize, zone: &TimeZone) -> String {
        let mut lines = Vec::new();
        for chart in &self.charts {
            lines.push(escape::one_line(&chart.title));
            lines.push(format!("  {}", chart.scale()));
            lines.extend(chart.lines(columns, zone));
            lines.push("In words:".to_owned());
            lines.extend(chart.words(zone).into_iter().map(|line| format!("  {line}")));
        }
        if !self.unfit.is_empty() {
            lines.push(format!("Answers of {} that make no course:", self.name));
            lines.extend(self.unfit.iter().map(|line| format!("  {line}")));
        }
        if self.is_empty() {
            lines.push(format!("{}: nothing was told yet.", self.name));
        }
        lines.join("\n")
    }
}

fn moods_chart(name: &str, moods: &[MoodEntry]) -> Chart {
    let value = |entry: &MoodEntry| Value {
        at: entry.at,
        value: Some(entry.mood.score),
        words: entry.mood.words.clone(),
    };
    Chart {
        title: format!("How {name} is"),
        low: 0,
        high: MOOD_MAX,
        ends: ("as bad as it gets".to_owned(), "as good as it gets".to_owned()),
        values: moods.iter().map(value).collect(),
    }
}

/// Makes the charts of a questionnaire: one of the totals, or one of each item, as the file says.
fn form_charts(
    name: &str,
    form: &Questionnaire,
    answered: &[(&Sitting, &Answered<'_>)],
) -> Vec<Chart> {
    let scores = || form.choices.iter().map(|choice| choice.score);
    let (low, high) = (scores().min().unwrap_or(0), scores().max().unwrap_or(0));
    let end = |score: u32| words(form, Some(score));
    if form.course == Course::Total {
        let items = u32::try_from(form.items.len()).unwrap_or(u32::MAX);
        let value = |(sitting, answered): &(&Sitting, &Answered<'_>)| {
            let (value, words) = match answered.total() {
                Some(Score::Total(total)) => {
                    let band = form.band(total).map(|band| band.name.clone());
                    (Some(total), band.unwrap_or_default())
                }
                Some(Score::Incomplete { skipped }) => {
                    let items = counted(skipped, "item", "items");
                    (None, format!("no total, {items} skipped"))
                }
                _ => (None, String::new()),
            };
            Value { at: sitting.at, value, words }
        };
        return vec![Chart {
            title: format!("{} of {name}, total; not a diagnosis", form.id),
            low: low.saturating_mul(items),
            high: high.saturating_mul(items),
            ends: Default::default(),
            values: answered.iter().map(value).collect(),
        }];
    }
    let chart = |(at, item): (usize, &String)| {
        let value = |(sitting, _): &(&Sitting, &Answered<'_>)| {
            let answer = sitting.answers.get(at).copied().flatten();
            let words = answer.map(|score| words(form, Some(score))).unwrap_or_default();
            Value { at: sitting.at, value: answer, words }
        };
        Chart {
            title: format!("{} of {name}, {}: {item}", form.id, at.saturating_add(1)),
            low,
            high,
            ends: (end(low), end(high)),
            values: answered.iter().map(value).collect(),
        }
    };
    form.items.iter().enumerate().map(chart).collect()
}

impl Shell {
    /// Shows the course of one member, or, to those who moderate, of each, in the order of the roster; writes a picture of it.
    pub(in crate::commands) async fn show_course(
        &self,
        member: Option<MemberKey>,
        picture: Option<&Path>,
    ) -> Result<()> {
        let view = self.view();
        let owners: Vec<MemberKey> = match member {
            Some(member) => vec![member],
            None if view.moderates() => {
                let with_lane = view.roster.iter().filter(|leaf| leaf.member != view.me);
                with_lane.map(|leaf| leaf.member).collect()
            }
            None => vec![view.me],
        };
        let zone = TimeZone::system();
        let columns = self.out.terminal_columns().saturating_sub(1).clamp(COLUMNS_MIN, COLUMNS);
        let (mut charts, mut shown) = (Vec::new(), 0);
        for owner in &owners {
            let Some(lane) = view.lane_of(*owner) else { continue };
            let rows = self.rows_of_lane(lane.id).await?;
            let name = if *owner == view.me {
                escape::one_line(&view.name)
            } else {
                name_of(&view, owner)
            };
            let told = Told::of(name, &rows, owner);
            if told.is_empty() && owners.len() > 1 {
                continue;
            }
            shown += 1;
            self.out.say(&told.json(&self.room), &told.text(columns, &zone))?;
            charts.extend(told.charts);
        }
        if shown == 0 {
            self.out.say_none("Nothing was told yet.")?;
        }
        if let Some(path) = picture {
            if charts.is_empty() {
                return Err(Failure::usage(
                    "there is nothing to draw yet",
                    "No file was written. `hearth mood ROOM ask` asks how people are.",
                ));
            }
            write_picture(path, &svg(&charts, &zone))?;
            let shown = path.display().to_string();
            let text = format!(
                "wrote {}; whoever has the file reads what is in it",
                escape::one_line(&shown)
            );
            self.out.say(&json!({"picture": shown}), &text)?;
        }
        Ok(())
    }
}

#[cfg(feature = "web")]
impl Shell {
    /// Returns the charts of the member of this name; of each that this person may see, if it is empty.
    pub(in crate::commands) async fn courses(&self, name: &str) -> Result<Vec<Chart>> {
        let view = self.view();
        let owners: Vec<MemberKey> = match name {
            "" if view.moderates() => {
                let others = view.roster.iter().filter(|leaf| leaf.member != view.me);
                others.map(|leaf| leaf.member).collect()
            }
            "" => vec![view.me],
            name => vec![find_member(&view.roster, name)?.member],
        };
        let mut charts = Vec::new();
        for owner in owners {
            let Some(lane) = view.lane_of(owner) else { continue };
            let rows = self.rows_of_lane(lane.id).await?;
            let name = if owner == view.me {
                escape::one_line(&view.name)
            } else {
                name_of(&view, &owner)
            };
            charts.extend(Told::of(name, &rows, &owner).charts);
        }
        Ok(charts)
    }
}

/// Writes a file whole or not at all, for this account alone. A file that is there stays as it was.
fn write_picture(path: &Path, text: &str) -> Result<()> {
    let failed = |error: std::io::Error| {
        let (words, advice) = match error.kind() {
            std::io::ErrorKind::AlreadyExists => (
                "it is there already, and stays as it was".to_owned(),
                "Name a new file: `hearth mood ROOM view --picture FILE`.",
            ),
            _ => (io_words(&error), "Name a file in a folder that you may write to."),
        };
        let shown = path.display();
        Failure::new(exit::FAILED, "not_written", format!("cannot write {shown}: {words}"), advice)
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    // Readable by this account alone from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist_noclobber(path).map(|_| ()).map_err(|error| failed(error.error))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn picture_replaces_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dee.svg");
        write_picture(&path, "first").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let refused = write_picture(&path, "second").unwrap_err();
        assert!(refused.message.contains("is there already"), "{}", refused.message);
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        // Nothing is left over of the second.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
