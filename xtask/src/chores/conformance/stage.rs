//! Runs the checks one after the other: a missing capability is a skip, a problem is a result, and
//! nothing stays mounted.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;

use super::check::{ProgramOutput, SUITE, Setting, Trial, Verdict};
use super::directory::{Mounting, TestDirectory};
use cargo_universe::base::clock;
use cargo_universe::base::failure_kind::FailureKind;
use cargo_universe::base::interrupt::{Interrupts, Request};
use cargo_universe::base::limits::GRACE;
use cargo_universe::base::mounts;
use cargo_universe::base::os;
use cargo_universe::base::text::report_text;
use cargo_universe::machine::capability::Capabilities;
use cargo_universe::report::data::{Case, Failure, Outcome, Skip};
use cargo_universe::report::kinds::SkipKind;
use cargo_universe::runner::console::Console;
use cargo_universe::runner::execution::capture::Capture;
use cargo_universe::runner::execution::process::{self, End, Ended, Halt, Watch};
use cargo_universe::runner::rundir::{RUN_ID, RunDir};
use cargo_universe::runner::suspension::Pauses;
use cargo_universe::sandbox::removal;

const INTERRUPTED: &str = "the run was interrupted";

/// What all checks of one run share.
#[derive(Debug)]
pub(super) struct Stage<'a> {
    pub(super) directory: &'a RunDir,
    pub(super) console: &'a Console,
    pub(super) capabilities: &'a Capabilities,
    /// The binary that mounts, unless only a plain directory is used.
    pub(super) mountpoint: Option<&'a Path>,
    /// The directory of installed tools.
    pub(super) tools: &'a Path,
    pub(super) seed: u64,
}

/// The result of a check, before it becomes a case of the report.
struct Done {
    outcome: Outcome,
    elapsed: Duration,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Stage<'_> {
    /// Runs all of them, or until a signal arrives.
    pub(super) async fn make(
        &self,
        trials: &[Trial],
        mut interrupts: Interrupts,
    ) -> (Vec<Case>, Option<Request>) {
        os::adopt_orphans();
        let (sender, halt) = watch::channel(Halt::No);
        let mut interrupted = None;
        let mut work = std::pin::pin!(self.all(trials, halt));
        loop {
            tokio::select! {
                cases = &mut work => return (cases, interrupted),
                request = interrupts.next() => {
                    interrupted = Some(request);
                    sender.send_replace(request.into());
                }
            }
        }
    }

    async fn all(&self, trials: &[Trial], halt: watch::Receiver<Halt>) -> Vec<Case> {
        let mut cases = Vec::new();
        for (number, trial) in trials.iter().enumerate() {
            let started = clock::wall();
            // Not within the `match`: that would keep the lock, and the sender of the signal would
            // wait for it.
            let halted = *halt.borrow();
            let done = match self.obstacle(trial, halted) {
                Some(skip) => Done::without_output(Outcome::Skipped(skip)),
                None => self.one(number, trial, halt.clone()).await,
            };
            let classname = format!("{}.{}", SUITE.replace("::", "."), trial.check.name);
            let id = trial.id();
            let case = Case {
                started: Some(started),
                elapsed: done.elapsed,
                stdout: done.stdout,
                stderr: done.stderr,
                ..Case::new(id, classname, trial.ground.name().to_owned(), done.outcome)
            };
            // Skips are printed at the end.
            if !matches!(case.outcome, Outcome::Skipped(_)) {
                self.console.result(SUITE, &trial.name(), &case);
            }
            cases.push(case);
        }
        cases
    }

    /// Why this one cannot run.
    fn obstacle(&self, trial: &Trial, halt: Halt) -> Option<Skip> {
        if halt != Halt::No {
            return Some(Skip {
                kind: SkipKind::Interrupted,
                reason: INTERRUPTED.to_owned(),
            });
        }
        let capabilities = trial.needs().filter_map(|name| self.capabilities.lookup(name));
        let missing = capabilities
            .into_iter()
            .find(|capability| !capability.available)?;
        let hint = missing.hint.as_ref().map(|hint| format!("; {hint}"));
        Some(Skip {
            kind: SkipKind::Capability(missing.name.to_string()),
            reason: format!(
                "needs {}: {}{}",
                missing.name,
                missing.evidence,
                hint.unwrap_or_default()
            ),
        })
    }

    async fn one(&self, number: usize, trial: &Trial, mut halt: watch::Receiver<Halt>) -> Done {
        let scratch = match self.directory.scratch(&number.to_string()) {
            Ok(scratch) => scratch,
            Err(error) => {
                return Done::failed(
                    FailureKind::Exec,
                    format!("could not create a directory: {error}"),
                );
            }
        };
        let mark = self.directory.mark(&number.to_string());
        let mounting = Mounting {
            program: self.mountpoint,
            arguments: if trial.changes_users() {
                &["--allow-other"]
            } else {
                &[]
            },
            log: &self
                .directory
                .log(&number.to_string())
                .with_extension("mount.log"),
            variables: &[(RUN_ID, &self.directory.id)],
        };
        let mut done = match TestDirectory::open(trial.ground, &scratch, &mounting, &mut halt).await {
            Ok(field) => {
                let setting = Setting {
                    ground: trial.ground,
                    directory: &field.directory,
                    scratch: &scratch,
                    tools: self.tools,
                    seed: self.seed,
                };
                let watch = Watch {
                    timeout: trial.check.limit,
                    grace: GRACE,
                    pauses: Pauses::none(),
                    halt,
                    mark,
                };
                let done = self.check(number, trial, &setting, watch).await;
                done.and(field.close().await)
            }
            Err(_) if *halt.borrow() != Halt::No => {
                Done::failed(FailureKind::Interrupted, INTERRUPTED.to_owned())
            }
            Err(cause) => Done::failed(FailureKind::from("mount"), cause),
        };
        tidy(&mut done, &scratch);
        done
    }

    async fn check(&self, number: usize, trial: &Trial, setting: &Setting<'_>, watch: Watch) -> Done {
        let mut command = match (trial.check.command)(setting) {
            Ok(command) => command,
            Err(error) => return Done::failed(FailureKind::Exec, format!("could not be prepared: {error}")),
        };
        self.set_environment(&mut command, &watch.mark);
        let log = self.directory.log(&number.to_string());
        let ended = process::run(command, Capture::new(&log, None), watch).await;
        let (outcome, lines) = judge(trial, setting, &ended);
        lines.iter().for_each(|line| self.console.line(line));
        Done {
            outcome,
            elapsed: ended.elapsed,
            stdout: ended.stdout,
            stderr: ended.stderr,
        }
    }

    fn set_environment(&self, command: &mut Command, mark: &str) {
        for name in cargo_universe::workspace::cargo::variables_of_cargo_run() {
            command.env_remove(name);
        }
        command.env(RUN_ID, &self.directory.id).env("NO_COLOR", "1");
        if let Some((name, value)) = mark.split_once('=') {
            command.env(name, value);
        }
    }
}

/// Judges its end; its output counts only if it exited by itself.
fn judge(trial: &Trial, setting: &Setting<'_>, ended: &Ended) -> (Outcome, Vec<String>) {
    let status = match &ended.end {
        End::Exited(status) => *status,
        End::NotStarted(error) => {
            return (
                errored(FailureKind::Exec, format!("could not be started: {error}")),
                vec![],
            );
        }
        End::TimedOut => {
            let limit = trial.check.limit.as_secs();
            return (
                errored(FailureKind::Timeout, format!("did not end within {limit} s")),
                vec![],
            );
        }
        End::Halted(_) | End::TooManyProcesses(_) | End::Lost => {
            return (errored(FailureKind::Interrupted, INTERRUPTED.to_owned()), vec![]);
        }
    };
    let output = ProgramOutput {
        status,
        stdout: report_text(&ended.stdout),
        stderr: report_text(&ended.stderr),
    };
    let Verdict { failure, lines } = (trial.check.judge)(setting, &output);
    let outcome = failure.map_or(Outcome::Passed, |message| {
        Outcome::Failed(failed(FailureKind::from("check"), message))
    });
    (outcome, lines)
}

fn failed(kind: FailureKind, message: String) -> Failure {
    Failure {
        kind,
        message,
        detail: String::new(),
    }
}

fn errored(kind: FailureKind, message: String) -> Outcome {
    Outcome::Errored(failed(kind, message))
}

impl Done {
    fn without_output(outcome: Outcome) -> Done {
        Done {
            outcome,
            elapsed: Duration::ZERO,
            stdout: vec![],
            stderr: vec![],
        }
    }

    fn failed(kind: FailureKind, message: String) -> Done {
        Done::without_output(errored(kind, message))
    }

    /// A mount that fails to unmount fails a check that passed.
    fn and(mut self, closed: Result<(), String>) -> Done {
        if let (Outcome::Passed, Err(cause)) = (&self.outcome, closed) {
            self.outcome = errored(FailureKind::from("unmount"), cause);
        }
        self
    }
}

/// After a success nothing is kept; after a failure everything is, and the failure names the place.
fn tidy(done: &mut Done, scratch: &Path) {
    mounts::detach_below(scratch);
    match &mut done.outcome {
        Outcome::Failed(failure) | Outcome::Errored(failure) if failure.kind != FailureKind::Interrupted => {
            failure.detail = format!("kept: {}", scratch.display());
        }
        _ => {
            removal::remove(scratch).ok();
        }
    }
}
