//! Places that change hands or end: a new device, a farewell, the end of the group.

mod closing;
mod devices;
mod farewells;
mod steward;
mod two;

use serde_json::Value;

/// Returns the rows that tell of an act.
fn acts<'a>(rows: &'a [Value], act: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["act"] == act).collect()
}
