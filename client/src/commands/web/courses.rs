//! Courses of moods and answers as the page shows them: a picture, and tables with the same in words.

use hearth_text::escape;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{
    commands::{Result, tui::host::Host},
    show::chart::{Chart, svg},
};

/// Returns the course of a member, or of each that this person may see, for the page.
pub(super) async fn told(host: &Host<'_>, name: &str) -> Result<Value> {
    let (shell, _) = host.place().shell().await?;
    let charts = shell.courses(name).await?;
    if charts.is_empty() {
        return Ok(super::told::remark("Nothing was told yet."));
    }
    let zone = TimeZone::system();
    let tables: Vec<Value> = charts.iter().map(|chart| table(chart, &zone)).collect();
    Ok(json!({ "Charts": { "svg": svg(&charts, &zone), "tables": tables } }))
}

fn table(chart: &Chart, zone: &TimeZone) -> Value {
    let rows: Vec<[String; 3]> = chart.values.iter().map(|value| chart.row(value, zone)).collect();
    json!({ "title": escape::one_line(&chart.title), "scale": chart.scale(), "rows": rows })
}
