//! What a reader should find in a report, from the events of its runs. Read as plain JSON, without
//! the code that makes the report.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use cargo_universe::report::junit::Dialect;
use serde::Deserialize;
use serde_json::Value;

/// A case as a reader should read it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) classname: String,
    pub(super) name: String,
    pub(super) outcome: &'static str,
    pub(super) kind: String,
    pub(super) message: String,
    /// The rest of a failure; empty if there is none.
    pub(super) detail: String,
    pub(super) rerun_count: usize,
    pub(super) place: Place,
    /// Standard output, if it is text.
    pub(super) stdout: String,
}

/// A place in the sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Place {
    pub(super) file: Option<String>,
    pub(super) line: Option<u64>,
}

/// What a run that ended without `run-end` is reported as.
const KILLED: &str = "the run was killed: its events have no end";
/// The same for a test that had started.
const RAN: &str = "was running when the run was killed";
/// Failures that are the fault of the test; the others are errors of the runner.
const OF_THE_TEST: [&str; 7] = ["panic", "error", "exit", "timeout", "processes", "leak", "flaky"];

/// The cases of one run.
///
/// # Errors
/// When a line is not JSON.
pub(super) fn of_run(events: &str, label: Option<&str>, dialect: Dialect) -> anyhow::Result<Vec<Expected>> {
    let mut run = Run::default();
    for line in events.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| format!("`{line}` is not JSON"))?;
        run.take(event);
    }
    let mut cases = run.whole();
    cases.extend(run.tests());
    for case in &mut cases {
        case.classname = match label {
            Some(label) => format!("{}.{}", label.replace('.', "_"), case.classname),
            None => std::mem::take(&mut case.classname),
        };
        case.place = match dialect {
            Dialect::Rich => std::mem::take(&mut case.place),
            Dialect::Jenkins => Place::default(),
        };
    }
    Ok(cases)
}

/// The events so far. Tests are known by id and round.
#[derive(Default)]
struct Run {
    workspace: String,
    repository: String,
    planned: BTreeMap<String, Value>,
    attempts: BTreeMap<(String, u64), u64>,
    finished: BTreeMap<(String, u64), (u64, Value)>,
    end: Option<Value>,
}

impl Run {
    fn take(&mut self, event: Value) {
        let key = |of: &Value| (text(of, "id"), of["round"].as_u64().unwrap_or_default());
        let attempt = event["attempt"].as_u64().unwrap_or_default();
        match event["type"].as_str().unwrap_or_default() {
            "run-start" => {
                self.workspace = text(&event["places"], "workspace");
                self.repository = text(&event["places"], "repository");
            }
            "discovered" => {
                let (id, _) = key(&event["case"]);
                self.planned.insert(id, event["case"].clone());
            }
            "start" => drop(self.attempts.insert(key(&event), attempt)),
            "finish" => {
                let key = key(&event["case"]);
                self.attempts.entry(key.clone()).or_insert(attempt);
                self.finished.insert(key, (attempt, event["case"].clone()));
            }
            "run-end" => self.end = Some(event),
            _ => {}
        }
    }

    /// Every test that was discovered or ran.
    fn tests(&self) -> Vec<Expected> {
        let never = |id: &String| !self.attempts.keys().any(|(known, _)| known == id);
        let planned = self.planned.iter().filter(|(id, _)| never(id));
        let planned = planned.map(|(_, case)| self.case(case, 1));
        let ran = self.attempts.iter().map(|((id, round), attempt)| {
            let finished = self.finished.get(&(id.clone(), *round));
            let mut case = match finished.filter(|(last, _)| last == attempt) {
                Some((_, case)) => self.case(case, *round),
                None => Expected {
                    outcome: "error",
                    kind: "interrupted".to_owned(),
                    message: RAN.to_owned(),
                    ..self.case(self.planned.get(id).unwrap_or(&Value::Null), *round)
                },
            };
            case.rerun_count = usize::try_from(attempt.saturating_sub(1)).unwrap_or_default();
            case
        });
        planned.chain(ran).collect()
    }

    fn case(&self, case: &Value, round: u64) -> Expected {
        let (outcome, name) = (&case["outcome"], text(case, "name"));
        let kind = text(outcome, "kind");
        let is_of_the_test = OF_THE_TEST.contains(&kind.as_str()) || kind.starts_with("signal:");
        let message = match outcome["status"].as_str() {
            Some("skipped") => text(outcome, "reason"),
            _ => text(outcome, "message"),
        };
        Expected {
            classname: text(case, "classname"),
            name: match round {
                1 => name,
                round => format!("{name}#{round}"),
            },
            outcome: match outcome["status"].as_str() {
                Some("passed") => "passed",
                Some("skipped") => "skipped",
                Some("errored") if !is_of_the_test => "error",
                _ => "failure",
            },
            kind,
            message,
            detail: text(outcome, "detail"),
            rerun_count: 0,
            place: self.place(case),
            stdout: text(case, "stdout"),
        }
    }

    /// Why the run failed as a whole, if it did.
    fn whole(&self) -> Vec<Expected> {
        let of_kind = |kind: String| Expected {
            classname: format!("run.{}", stage(&kind)),
            outcome: "error",
            kind,
            ..Expected::default()
        };
        let Some(end) = &self.end else {
            return vec![Expected {
                name: "interrupted".to_owned(),
                message: KILLED.to_owned(),
                ..of_kind("interrupted".to_owned())
            }];
        };
        let failure = &end["setup_failure"];
        let kind = text(failure, "kind");
        match (failure, end["compile_errors"].as_array()) {
            (Value::Null, _) => Vec::new(),
            (_, Some(errors)) => {
                let case = |error| self.compile_error(error, of_kind(kind.clone()));
                errors.iter().map(case).collect()
            }
            (failure, None) => vec![Expected {
                name: kind.clone(),
                message: text(failure, "message"),
                detail: text(failure, "detail"),
                ..of_kind(kind)
            }],
        }
    }

    fn compile_error(&self, error: &Value, case: Expected) -> Expected {
        let (place, message) = (self.place(error), text(error, "message"));
        let code = error["code"].as_str().map(|code| format!("[{code}]"));
        Expected {
            name: match (&place.file, place.line) {
                (Some(file), Some(line)) => format!("{file}:{line}: {message}"),
                _ => message.clone(),
            },
            message: format!("error{}: {message}", code.unwrap_or_default()),
            detail: text(error, "text"),
            place,
            ..case
        }
    }

    /// From the root of the repository.
    fn place(&self, of: &Value) -> Place {
        let located = |file: &str| match Path::new(file).is_absolute() {
            true => file
                .trim_start_matches(&format!("{}/", self.repository))
                .to_owned(),
            false if self.workspace.is_empty() => file.to_owned(),
            false => format!("{}/{file}", self.workspace),
        };
        Place {
            file: of["file"].as_str().map(located),
            line: of["line"].as_u64(),
        }
    }
}

fn stage(kind: &str) -> &'static str {
    match kind {
        "build" => "build",
        "list" => "list",
        "interrupted" | "run-timeout" => "tests",
        _ => "setup",
    }
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}
