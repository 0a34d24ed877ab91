//! What the doctor found, and how it is shown.

use std::process::ExitCode;

use serde::Serialize;

/// How good a finding is. The number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As a relay needs it.
    Ok,
    /// The relay works, and something should be done.
    Warning,
    /// The relay does not work, or soon will not.
    Failure,
}

/// One finding. It names no address, key, room or member, so that a report can be sent to others.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    state: State,
    said: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, said: impl Into<String>) -> Self {
        Self { check, state: State::Ok, said: said.into(), advice: None }
    }

    pub(super) fn warning(
        check: &'static str,
        said: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check, state: State::Warning, said: said.into(), advice: Some(advice.into()) }
    }

    pub(super) fn failure(
        check: &'static str,
        said: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { check, state: State::Failure, said: said.into(), advice: Some(advice.into()) }
    }
}

/// All findings.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    program: &'static str,
    version: &'static str,
    worst: Option<State>,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            program: "hearthd",
            version: env!("CARGO_PKG_VERSION"),
            worst: None,
            findings: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, finding: Finding) {
        self.worst = self.worst.max(Some(finding.state));
        self.findings.push(finding);
    }

    /// Returns the report as one JSON object.
    pub(super) fn to_json(&self) -> String {
        // Texts and enums alone cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the report as lines.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        for Finding { check, state, said, advice } in &self.findings {
            let mark = match state {
                State::Ok => "ok     ",
                State::Warning => "WARNING",
                State::Failure => "FAILURE",
            };
            text.push_str(&format!("{mark}  {check:12} {said}\n"));
            if let Some(advice) = advice {
                text.push_str(&format!("{:23}try: {advice}\n", ""));
            }
        }
        let count = |wanted| self.findings.iter().filter(|f| f.state == wanted).count();
        let (warnings, failures) = (count(State::Warning), count(State::Failure));
        text.push_str(&format!(
            "{} checks, {warnings} with a warning, {failures} failed.",
            self.findings.len()
        ));
        text
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.worst.map_or(0, |worst| worst as u8))
    }
}
