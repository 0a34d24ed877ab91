//! Tests that cannot be run everywhere.

/// Says that a test could not be run here, and why: visible with `--nocapture`, and in the report of a runner.
pub fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// Says that a test was skipped for want of a program. Where `HEARTH_TOOLS` is `required` it fails instead: continuous
/// integration installs them all.
pub fn lacks(program: &str) {
    let required = std::env::var_os("HEARTH_TOOLS").is_some_and(|value| value == "required");
    assert!(!required, "{program} is not installed");
    skipped(&format!("{program} is not installed"));
}
