//! Running a plan: one process per test, several at a time, until all have ended or the run is halted.
//!
//! Decides when a test starts and what its result is called; how one process lives and dies is `process`'s matter, what
//! its end means is `verdict`'s.

pub(crate) mod capture;
mod environment;
pub(crate) mod process;
mod suites;
mod verdict;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::clock;
use crate::console::Console;
use crate::interrupt::{Interrupts, Request};
use crate::mounts;
use crate::os;
use crate::plan::{Decision, Plan, Test};
use crate::report::{Case, Failure, Outcome, Skip, Suite};
use crate::rundir::RunDir;
use capture::{Capture, Echo};
pub(crate) use environment::Environment;
use environment::Own;
use process::{Ended, Halt, Watch};
use suites::case;

/// How to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// So many tests at a time.
    pub(crate) jobs: usize,
    /// Each test has this much time.
    pub(crate) timeout: Duration,
    /// All of them together have this much.
    pub(crate) run_timeout: Duration,
    pub(crate) on_failure: OnFailure,
    pub(crate) output: Output,
}

/// What a failed test means for those that have not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// They run.
    GoOn,
    /// They are skipped.
    Stop,
}

/// What happens to a test's output while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// It is kept for the report.
    Keep,
    /// It is shown at once, too.
    Show,
}

/// What the tests of one run share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) environment: Environment,
    pub(crate) directory: Arc<RunDir>,
    pub(crate) console: Arc<Console>,
    pub(crate) settings: Settings,
    /// The root of the workspace, to which file names in the report are relative.
    pub(crate) root: PathBuf,
}

/// A run after its end.
#[derive(Debug)]
pub(crate) struct Ran {
    /// One per test binary.
    pub(crate) suites: Vec<Suite>,
    pub(crate) ending: Ending,
    /// How many processes tests had left behind.
    pub(crate) orphans: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// All that was to run has run.
    Complete,
    /// A signal cut it short.
    Interrupted(Request),
    /// Its time limit cut it short.
    TimedOut,
}

/// Runs what the plan says. Never fails: whatever goes wrong is the result of a test.
pub(crate) async fn run(stage: &Arc<Stage>, interrupts: Interrupts) -> Ran {
    let started = clock::wall();
    os::adopt_orphans();
    let inherited = os::children(std::process::id());
    let mut runner = Runner::new(stage);
    stage.console.begin(stage.plan.order.len());
    runner.decide_without_running();
    let ending = runner.drive(interrupts).await;
    // No test runs any more: every child that we did not have before was left behind by one of them.
    runner.orphans += process::sweep(|pid| !inherited.contains(&pid)).await;
    stage.console.end();
    let orphans = runner.orphans;
    Ran {
        suites: suites::group(&stage.plan, runner.into_cases(ending), started),
        ending,
        orphans,
    }
}

struct Runner<'a> {
    stage: &'a Arc<Stage>,
    waiting: VecDeque<usize>,
    running: JoinSet<Done>,
    free_slots: BTreeSet<usize>,
    halt: watch::Sender<Halt>,
    cases: Vec<Option<Case>>,
    failed: bool,
    orphans: usize,
}

/// A test that has run.
struct Done {
    number: usize,
    slot: usize,
    case: Case,
    orphans: usize,
}

impl<'a> Runner<'a> {
    fn new(stage: &'a Arc<Stage>) -> Runner<'a> {
        let waiting = stage.plan.order.iter().copied().collect();
        let free_slots = (0..stage.settings.jobs.max(1)).collect();
        let cases = stage.plan.tests.iter().map(|_| None).collect();
        let (halt, _) = watch::channel(Halt::No);
        let running = JoinSet::new();
        Runner {
            stage,
            waiting,
            running,
            free_slots,
            halt,
            cases,
            failed: false,
            orphans: 0,
        }
    }

    /// Records the tests that do not run; the summary will show them.
    fn decide_without_running(&mut self) {
        let stage = self.stage;
        for (number, (test, decision)) in stage.plan.tests.iter().enumerate() {
            let outcome = match decision {
                Decision::Run => continue,
                Decision::Skip(skip) => Outcome::Skipped(skip.clone()),
                Decision::Fail(failure) => Outcome::Failed(failure.clone()),
                Decision::Reject(failure) => Outcome::Errored(failure.clone()),
            };
            self.keep(number, case(test, outcome));
        }
    }

    async fn drive(&mut self, mut interrupts: Interrupts) -> Ending {
        let deadline = clock::now() + self.stage.settings.run_timeout;
        let mut ending = Ending::Complete;
        loop {
            self.start_more();
            if self.running.is_empty() {
                return ending;
            }
            tokio::select! {
                Some(done) = self.running.join_next() => self.finish(done),
                request = interrupts.next() => {
                    ending = Ending::Interrupted(request);
                    self.halt(request.halt());
                }
                () = clock::passed(Some(deadline)), if matches!(ending, Ending::Complete) => {
                    ending = Ending::TimedOut;
                    self.halt(Halt::RunTimeout);
                }
            }
        }
    }

    fn halt(&mut self, halt: Halt) {
        self.waiting.clear();
        self.halt.send_replace(halt);
    }

    fn start_more(&mut self) {
        while !self.waiting.is_empty()
            && let Some(slot) = self.free_slots.pop_first()
            && let Some(number) = self.waiting.pop_front()
        {
            let (stage, halt) = (Arc::clone(self.stage), self.halt.subscribe());
            stage.console.started(number, &stage.plan.test(number).id());
            self.running
                .spawn(async move { stage.run_one(number, slot, halt).await });
        }
    }

    fn finish(&mut self, done: Result<Done, JoinError>) {
        // A task of ours can only panic by a mistake of ours; its test then has no case and counts as not run.
        let Ok(done) = done else { return };
        self.free_slots.insert(done.slot);
        self.orphans += done.orphans;
        self.record(done.number, done.case);
    }

    fn record(&mut self, number: usize, case: Case) {
        let test = self.stage.plan.test(number);
        let result = (&case.outcome, case.elapsed);
        self.stage
            .console
            .finished(number, &test.binary.id(), &test.name, result);
        self.keep(number, case);
        if self.failed && self.stage.settings.on_failure == OnFailure::Stop {
            self.waiting.clear();
        }
    }

    fn keep(&mut self, number: usize, case: Case) {
        self.failed |= matches!(case.outcome, Outcome::Failed(_) | Outcome::Errored(_));
        if let Some(place) = self.cases.get_mut(number) {
            *place = Some(case);
        }
    }

    /// The cases in the order of the plan; tests that never ran are skipped for the reason that `ending` gives.
    fn into_cases(self, ending: Ending) -> Vec<Case> {
        let why = match ending {
            Ending::Complete => "not started after the first failure".to_owned(),
            Ending::Interrupted(request) => format!("run interrupted by {}", request.name()),
            Ending::TimedOut => format!(
                "run reached its limit of {} s",
                self.stage.settings.run_timeout.as_secs_f64()
            ),
        };
        let not_run = |test: &Test| {
            let skip = Skip {
                kind: "interrupted".to_owned(),
                reason: why.clone(),
            };
            case(test, Outcome::Skipped(skip))
        };
        let cases = self.cases.into_iter().zip(&self.stage.plan.tests);
        cases
            .map(|(case, (test, _))| case.unwrap_or_else(|| not_run(test)))
            .collect()
    }
}

impl Stage {
    async fn run_one(&self, number: usize, slot: usize, halt: watch::Receiver<Halt>) -> Done {
        let test = self.plan.test(number);
        let scratch = match self.directory.scratch(number) {
            Ok(scratch) => scratch,
            Err(error) => return unplaceable(number, slot, test, &error),
        };
        let mark = format!("XTASK_TEST_ID={}/{number}", self.directory.id);
        let command = self.environment.test_command(&Own {
            test,
            scratch: &scratch,
            slot,
            mark: &mark,
        });
        let echo = (self.settings.output == Output::Show).then(|| Echo {
            console: Arc::clone(&self.console),
            name: test.name.clone(),
        });
        let capture = Capture::new(&self.directory.log(number), echo);
        let watch = Watch {
            timeout: self.settings.timeout,
            halt,
            mark,
        };
        let ended = process::run(command, capture, watch).await;
        let orphans = ended.orphans;
        let mut case = self.judge(test, ended);
        tidy(&mut case, &scratch);
        Done {
            number,
            slot,
            case,
            orphans,
        }
    }

    fn judge(&self, test: &Test, ended: Ended) -> Case {
        let limits = verdict::Limits {
            timeout: self.settings.timeout,
            run_timeout: self.settings.run_timeout,
        };
        let (outcome, panic) = verdict::judge(&test.name, &ended, limits);
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
fn unplaceable(number: usize, slot: usize, test: &Test, error: &std::io::Error) -> Done {
    let message = format!("could not create its temporary directory: {error}");
    let failure = Failure {
        kind: "exec".to_owned(),
        message,
        detail: String::new(),
    };
    Done {
        number,
        slot,
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
