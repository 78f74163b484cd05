//! One test of a list, as a line or as JSON.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::base::text::plain_line;
use crate::select::plan::{Decision, Form, Plan, PlanOptions};

/// One test, as `--json` shows it.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    id: String,
    binary: String,
    name: &'a str,
    /// Relative to the workspace root; absent where the function was not found.
    file: Option<PathBuf>,
    line: Option<u32>,
    needs: Vec<&'a str>,
    /// The treatment that the workspace's overrides give it; empty if it has none.
    treatment: String,
    /// How long it usually takes, in seconds; absent if it never ran.
    seconds: Option<f64>,
    /// Whether it is a whole binary with a harness of its own.
    whole: bool,
    /// Whether `test` would run it on this machine.
    runs: bool,
    /// The reason if not.
    reason: Option<String>,
    /// Whether `test` would count it as failed without running it.
    fails: bool,
}

/// What is special about a test, and what runs before it.
fn treatment(plan: &Plan, number: usize, options: &PlanOptions) -> String {
    let rules = options.rules.words(plan.treatment(number));
    let words = [rules, options.scripts.words(plan.test(number))];
    let words = words.into_iter().filter(|words| !words.is_empty());
    words.collect::<Vec<_>>().join(", ")
}

impl<'a> Entry<'a> {
    /// The test with this number.
    pub(super) fn of(plan: &'a Plan, number: usize, options: &PlanOptions) -> Option<Entry<'a>> {
        let (test, decision) = plan.tests.get(number)?;
        let reason = match decision {
            Decision::Run => None,
            Decision::Skip(skip) => Some(skip.reason.clone()),
            Decision::Fail(failure) | Decision::Reject(failure) => Some(failure.message.clone()),
        };
        let id = test.id();
        Some(Entry {
            binary: test.binary.id(),
            name: &test.name,
            file: test.place.as_ref().map(|(file, _)| file.clone()),
            line: test.place.as_ref().and_then(|(_, line)| *line),
            needs: test.needs(),
            treatment: treatment(plan, number, options),
            seconds: options
                .subset
                .history
                .duration(&id)
                .as_ref()
                .map(Duration::as_secs_f64),
            whole: test.form == Form::Whole,
            runs: reason.is_none(),
            fails: matches!(decision, Decision::Fail(_) | Decision::Reject(_)),
            reason,
            id,
        })
    }

    /// Whether it would run.
    pub(super) fn runs(&self) -> bool {
        self.runs
    }

    /// `id  file:line  0.012 s  [treatment]  [needs x] [skipped: why]`
    pub(super) fn line(&self) -> String {
        let mut line = self.id.clone();
        if let (Some(file), Some(number)) = (&self.file, self.line) {
            line.push_str(&format!("  {}:{number}", file.display()));
        }
        if let Some(seconds) = self.seconds {
            line.push_str(&format!("  {seconds:.3} s"));
        }
        if !self.treatment.is_empty() {
            line.push_str(&format!("  [{}]", self.treatment));
        }
        match &self.reason {
            Some(reason) if self.fails => line.push_str(&format!("  would fail: {reason}")),
            Some(reason) => line.push_str(&format!("  skipped: {reason}")),
            None if !self.needs.is_empty() => line.push_str(&format!("  needs {}", self.needs.join(", "))),
            None => {}
        }
        plain_line(&line)
    }
}
