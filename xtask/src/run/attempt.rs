//! One attempt at a test: its directory, its command, its process, and the case that comes of it.
//!
//! Whether there is another attempt is the runner's decision.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use super::capture::{Capture, Echo};
use super::environment::Own;
use super::process::{self, Ended, Halt, Watch};
use super::suites::case;
use super::{Output, Stage, verdict};
use crate::mounts;
use crate::plan::Test;
use crate::report::{Case, Failure, Outcome};

/// Which attempt at which test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The test's number in the plan.
    pub(super) number: usize,
    /// From 1; more than one where tests are repeated.
    pub(super) round: u32,
    /// From 1; more than one where a failed test is tried again.
    pub(super) attempt: u32,
    /// A small number that no other running test has.
    pub(super) slot: usize,
}

/// A test that has run.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) ticket: Ticket,
    pub(super) case: Case,
    /// How many processes it had left behind.
    pub(super) orphans: usize,
}

impl Ticket {
    /// A short name for its files, unique within the run.
    pub(super) fn label(self) -> String {
        match self {
            Ticket {
                number,
                round: 1,
                attempt: 1,
                ..
            } => number.to_string(),
            Ticket {
                number,
                round,
                attempt,
                ..
            } => format!("{number}-{round}-{attempt}"),
        }
    }
}

impl Stage {
    /// Makes one attempt.
    pub(super) async fn attempt(&self, ticket: Ticket, halt: watch::Receiver<Halt>) -> Done {
        let (test, label) = (self.plan.test(ticket.number), ticket.label());
        let scratch = match self.directory.scratch(&label) {
            Ok(scratch) => scratch,
            Err(error) => return unplaceable(ticket, test, &error),
        };
        let mark = format!("XTASK_TEST_ID={}/{label}", self.directory.id);
        let command = self.environment.test_command(&Own {
            test,
            scratch: &scratch,
            ticket,
            mark: &mark,
        });
        let echo = (self.settings.output == Output::Show).then(|| Echo {
            console: Arc::clone(&self.console),
            name: test.name.clone(),
        });
        let capture = Capture::new(&self.directory.log(&label), echo);
        let watch = Watch {
            timeout: self.settings.timeout,
            halt,
            mark,
        };
        let ended = process::run(command, capture, watch).await;
        let orphans = ended.orphans;
        let mut case = self.judge(test, ended);
        tidy(&mut case, &scratch);
        (case.slot, case.round) = (Some(ticket.slot), ticket.round);
        Done {
            ticket,
            case,
            orphans,
        }
    }

    fn judge(&self, test: &Test, ended: Ended) -> Case {
        let limits = verdict::Limits {
            timeout: self.settings.timeout,
            run_timeout: self.settings.run_timeout,
        };
        let (outcome, panic) = verdict::judge(&test.name, test.form, &ended, limits);
        let mut case = case(test, outcome);
        let place = panic.and_then(|panic| Some((self.within_root(&panic.file)?, panic.line)));
        if let (Some((file, line)), false) = (place, matches!(case.outcome, Outcome::Passed)) {
            (case.file, case.line) = (Some(file), Some(line));
        }
        case.started = Some(ended.started);
        case.elapsed = ended.elapsed;
        case.stdout = crate::libtest::unframed(&ended.stdout, &test.name).to_vec();
        case.stderr = ended.stderr;
        case
    }

    /// A source file as the compiler names it, if it belongs to the workspace.
    fn within_root(&self, file: &Path) -> Option<PathBuf> {
        let relative = file.strip_prefix(&self.root).unwrap_or(file);
        (relative.is_relative() && self.root.join(relative).is_file()).then(|| relative.to_owned())
    }
}

/// After a success nothing stays; after a failure everything does, and the failure says where.
fn tidy(case: &mut Case, scratch: &Path) {
    mounts::detach_below(scratch);
    let failure = match &mut case.outcome {
        Outcome::Failed(failure) | Outcome::Errored(failure) => Some(failure),
        Outcome::Passed | Outcome::Skipped(_) => None,
    };
    let is_interrupted = failure
        .as_ref()
        .is_some_and(|failure| failure.kind == "interrupted");
    let removed = match failure.is_none() || is_interrupted {
        true => std::fs::remove_dir_all(scratch),
        false => std::fs::remove_dir(scratch),
    };
    if let (Some(failure), Err(_)) = (failure, removed) {
        append(&mut failure.detail, &format!("kept: {}", scratch.display()));
    }
}

/// The result of a test for which no temporary directory could be made.
fn unplaceable(ticket: Ticket, test: &Test, error: &std::io::Error) -> Done {
    let message = format!("could not create its temporary directory: {error}");
    let failure = Failure {
        kind: "exec".to_owned(),
        message,
        detail: String::new(),
    };
    Done {
        ticket,
        case: case(test, Outcome::Errored(failure)),
        orphans: 0,
    }
}

fn append(detail: &mut String, line: &str) {
    if !detail.is_empty() {
        detail.push('\n');
    }
    detail.push_str(line);
}
