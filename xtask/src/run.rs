//! Running a plan: one process per test, several at a time, until all have ended or the run is halted.
//!
//! Decides when a test starts and what its result is called; how one process lives and dies is `process`'s matter, what
//! its end means is `verdict`'s.

mod attempt;
pub(crate) mod capture;
mod environment;
pub(crate) mod process;
mod suites;
mod verdict;

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::clock;
use crate::console::Console;
use crate::events::{Events, Start};
use crate::interrupt::{Interrupts, Request};
use crate::os;
use crate::plan::{Decision, Plan, Test};
use crate::report::{Case, Outcome, Skip, Suite};
use crate::rundir::RunDir;
use attempt::{Done, Ticket};
pub(crate) use environment::Environment;
use process::Halt;
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
    pub(crate) events: Arc<Events>,
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
    stage.events.discovered(suites::planned(&stage.plan));
    stage.events.phase("tests");
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
            let ticket = Ticket {
                number,
                round: 1,
                attempt: 1,
                slot,
            };
            let id = stage.plan.test(number).id();
            stage.events.started(Start {
                id: &id,
                round: ticket.round,
                attempt: ticket.attempt,
                slot,
            });
            self.running
                .spawn(async move { stage.attempt(ticket, halt).await });
        }
    }

    fn finish(&mut self, done: Result<Done, JoinError>) {
        // A task of ours can only panic by a mistake of ours; its test then has no case and counts as not run.
        let Ok(done) = done else { return };
        self.free_slots.insert(done.ticket.slot);
        self.orphans += done.orphans;
        let suite = self.stage.plan.test(done.ticket.number).binary.id();
        self.stage
            .events
            .finished(&suite, done.ticket.attempt, &done.case);
        self.record(done.ticket.number, done.case);
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
        self.failed |= case.failure().is_some();
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
