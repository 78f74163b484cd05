//! Runs a plan: one process per test, several concurrently, until all have ended or the run is
//! halted.
//!
//! Starts what `queue` allows, and decides whether to retry a failed test. `process` handles one
//! process from start to end; `verdict` decides what its end means.

mod asker;
mod attempt;
pub mod capture;
mod environment;
mod foreground;
mod marks;
pub(crate) mod origin;
mod owner;
mod places;
pub mod process;
mod queue;
mod results;
mod rounds;
pub(crate) mod setup_scripts;
pub(crate) mod slots;
mod suites;
#[cfg(target_os = "linux")]
mod supervised;
pub(crate) mod unreached;
mod verdict;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use crate::base::clock;
use crate::base::failure_kind::FailureKind;
use crate::base::interrupt::{Interrupts, Request};
use crate::base::os;
use crate::report::data::{Case, Failure, Outcome, Skip, Suite};
use crate::report::events::{Events, Slow, Start};
use crate::report::kinds::SkipKind;
use crate::runner::console::{Console, Ended, Forecast, Rounds as HowOften, Started};
use crate::runner::limits_and_leaks::LeakPolicy;
use crate::runner::rundir::RunDir;
use crate::runner::suspension::Pauses;
use crate::select::plan::{Decision, Plan};
use crate::select::repeat::{Goal, Repeat};
pub(crate) use asker::Asker;
use attempt::{Done, Ticket};
pub(crate) use environment::Environment;
use marks::Marks;
pub(crate) use owner::{Leaving, Owner, Question};
pub(crate) use places::Caps;
use process::Halt;
use queue::Queue;
pub(crate) use results::Dropped;
use results::{Admission, Results};
use rounds::Rounds;
pub(crate) use setup_scripts::Setups;
use slots::Slots;
use suites::case;

/// How to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Number of concurrent tests.
    pub(crate) jobs: usize,
    /// Time limit of each test.
    pub(crate) timeout: Duration,
    /// Grace between asking a test to end and killing it.
    pub(crate) grace: Duration,
    /// A test that runs longer is slow.
    pub(crate) slow: Duration,
    /// What a leak means for its test.
    pub(crate) leaks: LeakPolicy,
    /// Time limit of all tests together; `Duration::MAX` for no limit.
    pub(crate) run_timeout: Duration,
    /// The factor by which these limits are extended, and by which others must be.
    pub(crate) stretch: f64,
    pub(crate) repeat: Repeat,
    /// After so many failures no other test starts.
    pub(crate) failures_max: Option<NonZeroUsize>,
    pub(crate) output: Output,
    pub(crate) debugging: Debugging,
    /// What is kept of the rounds after the first.
    pub(crate) caps: Caps,
}

impl Settings {
    /// With all limits extended by this factor.
    pub(crate) fn stretched(self, factor: f64) -> Settings {
        Settings {
            timeout: stretch(self.timeout, factor),
            grace: stretch(self.grace, factor),
            slow: stretch(self.slow, factor),
            run_timeout: stretch(self.run_timeout, factor),
            stretch: factor,
            ..self
        }
    }
}

/// A limit for a machine that is slower by this factor.
pub(crate) fn stretch(limit: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(limit.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

/// Whether a person debugs the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Debugging {
    /// It has limits, and may be repeated.
    No,
    /// It has no limits of time, and runs once.
    Yes,
}

/// What happens to a test's output while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// The report gets it.
    Keep,
    /// The report gets it, and the console shows it at once.
    Show,
}

/// What all tests of one run share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) plan: Plan,
    /// What runs before tests.
    pub(crate) setups: Setups,
    pub(crate) environment: Environment,
    pub(crate) directory: Arc<RunDir>,
    pub(crate) owner: Arc<Owner>,
    pub(crate) pauses: Pauses,
    pub(crate) console: Arc<Console>,
    pub(crate) events: Arc<Events>,
    pub(crate) settings: Settings,
    /// The root of the workspace; the report's file names are relative to it.
    pub(crate) root: PathBuf,
    /// Where the root was when an archive was built, if the tests come from one.
    pub(crate) origin: Option<PathBuf>,
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// One per test binary.
    pub(crate) suites: Vec<Suite>,
    pub(crate) ending: Ending,
    /// Rounds that are not in the suites.
    pub(crate) dropped: Dropped,
    /// What became of each script that ran before tests, as (name, value).
    pub(crate) scripts: Vec<(String, String)>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// Everything planned has run.
    Complete,
    /// A signal ended it early.
    Interrupted(Request),
    /// Its time limit ended it early.
    TimedOut,
}

/// Runs the plan. Never fails: any problem becomes the result of a test.
pub(crate) async fn run(stage: &Arc<Stage>, interrupts: Interrupts) -> Ran {
    let started = clock::wall();
    os::adopt_orphans();
    let inherited = os::children(std::process::id());
    let mut runner = Runner::new(stage);
    stage.events.discovered(suites::planned(&stage.plan));
    stage.events.phase("tests");
    stage.console.begin(|| stage.forecast(), stage.pauses.now());
    runner.decide_without_running();
    let ending = runner.drive(interrupts).await;
    let halt = *runner.halt.borrow();
    stage.setups.close(halt).await;
    // No test runs now: a test left behind every child that this process did not have before.
    process::sweep(|pid| !inherited.contains(&pid)).await;
    stage.console.end();
    let (cases, dropped) = runner.into_cases(ending);
    Ran {
        suites: suites::group(&stage.plan, cases, started),
        ending,
        dropped,
        scripts: stage.setups.properties(),
    }
}

struct Runner<'a> {
    stage: &'a Arc<Stage>,
    queue: Queue,
    running: JoinSet<Done>,
    tickets: HashMap<Id, Ticket>,
    /// When running tests become slow.
    marks: Marks,
    halt: watch::Sender<Halt>,
    /// Attempts that wait for scripts, and will count for a report.
    waiting: Vec<Ticket>,
    /// Attempts whose scripts have ended, and how they tell it.
    set_up: (mpsc::UnboundedSender<Ticket>, mpsc::UnboundedReceiver<Ticket>),
    results: Results,
}

impl<'a> Runner<'a> {
    fn new(stage: &'a Arc<Stage>) -> Runner<'a> {
        let (halt, _) = watch::channel(Halt::No);
        Runner {
            stage,
            queue: stage.queue(),
            running: JoinSet::new(),
            tickets: HashMap::new(),
            marks: Marks::default(),
            halt,
            waiting: Vec::new(),
            set_up: mpsc::unbounded_channel(),
            results: Results::new(stage.plan.tests.len(), stage.settings.caps),
        }
    }

    /// Records the tests that do not run, so that the summary shows them.
    fn decide_without_running(&mut self) {
        let stage = self.stage;
        for (number, (test, decision)) in stage.plan.tests.iter().enumerate() {
            let outcome = match decision {
                Decision::Run => continue,
                Decision::Skip(skip) => Outcome::Skipped(skip.clone()),
                Decision::Fail(failure) => Outcome::Failed(failure.clone()),
                Decision::Reject(failure) => Outcome::Errored(failure.clone()),
            };
            self.results.conclude(number, case(test, outcome));
        }
    }

    async fn drive(&mut self, mut interrupts: Interrupts) -> Ending {
        let (start, limit) = (clock::now(), self.stage.settings.run_timeout);
        let pauses = self.stage.pauses.clone();
        let mut time_is_up = std::pin::pin!(pauses.passed(start, limit));
        let mut ending = Ending::Complete;
        loop {
            self.start_more();
            let wake = self.queue.wake();
            if self.running.is_empty() && wake.is_none() {
                return ending;
            }
            tokio::select! {
                Some(done) = self.running.join_next_with_id() => self.finish(done),
                () = clock::passed(wake) => {}
                () = pauses.reached(self.marks.wake()) => self.show_slow(),
                () = clock::passed(self.stage.console.wake()) => {
                    self.stage.console.draw(clock::now(), pauses.now());
                }
                Some(ticket) = self.set_up.1.recv() => self.mark(ticket),
                request = interrupts.next() => {
                    ending = Ending::Interrupted(request);
                    self.stage.console.line(&request.words(self.running.len()));
                    self.halt(request.into());
                }
                () = &mut time_is_up, if matches!(ending, Ending::Complete) => {
                    ending = Ending::TimedOut;
                    self.halt(Halt::RunTimeout);
                }
            }
        }
    }

    fn halt(&mut self, halt: Halt) {
        self.stop();
        self.halt.send_replace(halt);
    }

    /// Starts no further test.
    fn stop(&mut self) {
        self.queue.stop();
        self.stage.console.starts_no_more();
    }

    fn start_more(&mut self) {
        for ticket in self.queue.start(clock::now()) {
            self.begin(ticket);
            let (stage, halt) = (Arc::clone(self.stage), self.halt.subscribe());
            let (places, set_up) = (self.results.places(), self.set_up.0.clone());
            let task = self.running.spawn(async move {
                let variables = stage.set_up(ticket.number, &halt).await;
                // Whoever listens may have ended the run.
                set_up.send(ticket).ok();
                stage.attempt(ticket, halt, (&places, variables)).await
            });
            self.tickets.insert(task.id(), ticket);
        }
    }

    /// Shows that an attempt starts. With `--stress`, only rounds that the report will contain are
    /// shown and written to the events: all rounds would fill the disk, and the events of a round
    /// must be complete.
    fn begin(&mut self, ticket: Ticket) {
        let stage = self.stage;
        let test = stage.plan.test(ticket.number);
        let id = test.id();
        stage.console.started(&Started {
            slot: ticket.slot,
            number: ticket.number,
            suite: &test.binary.id(),
            name: &stage.title(ticket),
            slow: stage.limits(ticket.number).slow,
            attempt: ticket.attempt,
        });
        if self.results.begin(ticket) == Admission::Kept {
            self.waiting.push(ticket);
            if !stage.setups.is_any_pending(stage.plan.scripts_of(ticket.number)) {
                self.mark(ticket);
            }
            stage.events.started(Start {
                id: &id,
                round: ticket.round,
                attempt: ticket.attempt,
                slot: ticket.slot,
            });
        }
    }

    /// From now on the time of an attempt counts: what it needs is set up.
    fn mark(&mut self, ticket: Ticket) {
        if let Some(place) = self.waiting.iter().position(|waiting| *waiting == ticket) {
            self.waiting.swap_remove(place);
            let limits = self.stage.limits(ticket.number);
            self.marks.started(ticket, self.stage.pauses.now(), limits);
        }
    }

    /// Ends the scripts that no test needs any more.
    fn end_scripts(&self) {
        let plan = &self.stage.plan;
        for script in self.stage.setups.running() {
            let needs = |number: usize| plan.scripts_of(number).contains(&script);
            let mut running = self.tickets.values();
            if !running.any(|ticket| needs(ticket.number)) && !self.queue.may_start(clock::now(), needs) {
                self.stage.setups.end(script);
            }
        }
    }

    /// Shows which tests are slow.
    fn show_slow(&mut self) {
        for (ticket, passed) in self.marks.due(self.stage.pauses.now()) {
            self.stage.show_slow(ticket, passed);
        }
    }

    fn finish(&mut self, done: Result<(Id, Done), JoinError>) {
        match done {
            Ok((id, done)) => {
                self.tickets.remove(&id);
                self.settle(done.ticket, done.case);
            }
            // A task can only panic because of a bug in the runner. That must not look like a test
            // that passed.
            Err(error) => {
                if let Some(ticket) = self.tickets.remove(&error.id()) {
                    let test = self.stage.plan.test(ticket.number);
                    self.settle(ticket, case(test, lost(&error)));
                }
            }
        }
    }

    /// An attempt has ended: either the test is retried, or this is its result.
    fn settle(&mut self, ticket: Ticket, case: Case) {
        self.queue.ended(ticket);
        self.marks.ended(ticket);
        self.waiting.retain(|waiting| *waiting != ticket);
        let mut case = self.results.join(ticket, case);
        let is_last = ticket.attempt > self.stage.retries(ticket.number) || *self.halt.borrow() != Halt::No;
        if results::deserves_another(&case) && !is_last && !self.is_over() {
            let admission = self.results.begin(ticket);
            self.stage.console.ended(ticket.slot, Ended::ToRetry);
            self.show(ticket, &case, admission);
            self.results.keep_for_retry(ticket, case);
            let delay = self.stage.settings.repeat.retry_delay;
            self.queue.retry(ticket, clock::now() + delay);
            return;
        }
        results::judge_flaky(&mut case, self.stage.settings.repeat.flaky);
        let admission = self.results.admit(ticket.number, &mut case);
        let how = case.failure().map_or(Ended::Passed, |_| Ended::Failed);
        self.stage.console.ended(ticket.slot, how);
        self.show(ticket, &case, admission);
        if admission == Admission::Kept {
            self.results.keep(ticket.number, case);
        }
        if self.is_over() {
            self.stop();
        }
        self.end_scripts();
    }

    /// Shows how an attempt ended, if its round is in the report.
    fn show(&self, ticket: Ticket, case: &Case, admission: Admission) {
        match admission {
            Admission::Kept => self.stage.show(ticket, case),
            Admission::Counted => {}
        }
    }

    /// Whether failures have ended the run.
    fn is_over(&self) -> bool {
        let Settings {
            failures_max, repeat, ..
        } = self.stage.settings;
        let most = failures_max.map_or(usize::MAX, NonZeroUsize::get);
        let most = if repeat.goal == Goal::Failure { 1 } else { most };
        self.results.failure_count() >= most
    }

    /// The cases in the order of the plan; tests that never ran are skipped for the reason that
    /// `ending` gives.
    fn into_cases(self, ending: Ending) -> (Vec<Vec<Case>>, Dropped) {
        let why = match ending {
            Ending::Complete => match self.results.failure_count() {
                0 | 1 => "not started after the first failure".to_owned(),
                count => format!("not started after {count} failures"),
            },
            Ending::Interrupted(request) => format!("run interrupted by {}", request.name()),
            Ending::TimedOut => format!(
                "run reached its limit of {} s",
                self.stage.settings.run_timeout.as_secs_f64()
            ),
        };
        let skip = Skip {
            kind: SkipKind::Interrupted,
            reason: why,
        };
        let (mut cases, dropped) = self.results.into_cases();
        for (rounds, (test, _)) in cases.iter_mut().zip(&self.stage.plan.tests) {
            if rounds.is_empty() {
                rounds.push(case(test, Outcome::Skipped(skip.clone())));
            }
        }
        (cases, dropped)
    }
}

impl Stage {
    /// What will run, as far as is known.
    fn forecast(&self) -> Forecast {
        let Settings { repeat, jobs, .. } = self.settings;
        let Repeat { count, copies, .. } = repeat;
        let is_open = count.is_none() || repeat.stress.is_some() || repeat.goal == Goal::Failure;
        let times = count.unwrap_or(1).saturating_mul(copies);
        let mut tests = vec![(0, None); self.plan.tests.len()];
        for &number in &self.plan.order {
            if let Some(test) = tests.get_mut(number) {
                *test = (times, self.plan.usual_time(number));
            }
        }
        Forecast {
            tests,
            rounds: if is_open {
                HowOften::Open
            } else {
                HowOften::Counted
            },
            jobs,
        }
    }

    fn queue(&self) -> Queue {
        let Settings { repeat, jobs, .. } = self.settings;
        let until = repeat.stress.and_then(|time| clock::now().checked_add(time));
        let rounds = Rounds::new(self.plan.order.clone(), self.plan.seed, repeat.count, until);
        let slots = Slots::new(jobs, self.plan.group_max.clone());
        Queue::new(rounds, repeat.copies, self.plan.demands(), slots)
    }

    /// How often this test is retried.
    fn retries(&self, number: usize) -> u32 {
        if self.settings.debugging == Debugging::Yes {
            return 0;
        }
        let own = self.plan.treatment(number).retries;
        own.unwrap_or(self.settings.repeat.retries)
    }

    /// A test's name on the console, with its round if there are several.
    fn title(&self, ticket: Ticket) -> String {
        let name = &self.plan.test(ticket.number).name;
        match ticket.round {
            1 => name.clone(),
            round => format!("{name}#{round}"),
        }
    }

    /// The number of the attempt, as a suffix of the title.
    fn nth_attempt(&self, ticket: Ticket) -> String {
        let attempts = self.retries(ticket.number).saturating_add(1);
        format!(" (attempt {} of {attempts})", ticket.attempt)
    }

    /// Shows that an attempt is slow.
    fn show_slow(&self, ticket: Ticket, passed: Duration) {
        let test = self.plan.test(ticket.number);
        let mut title = self.title(ticket);
        if ticket.attempt > 1 {
            title.push_str(&self.nth_attempt(ticket));
        }
        self.events.slow(Slow {
            id: &test.id(),
            round: ticket.round,
            attempt: ticket.attempt,
            passed,
        });
        self.console.slow(&test.binary.id(), &title, passed);
    }

    /// Shows how an attempt ended.
    fn show(&self, ticket: Ticket, case: &Case) {
        let test = self.plan.test(ticket.number);
        let mut title = self.title(ticket);
        let is_first_of_several = case.failure().is_some() && self.retries(ticket.number) > 0;
        if ticket.attempt > 1 || is_first_of_several {
            title.push_str(&self.nth_attempt(ticket));
        }
        self.events.finished(&test.binary.id(), ticket.attempt, case);
        self.console.result(&test.binary.id(), &title, case);
    }
}

fn lost(error: &JoinError) -> Outcome {
    Outcome::Errored(Failure {
        kind: FailureKind::Exec,
        message: format!("the runner lost this test because of a bug in the runner: {error}"),
        detail: String::new(),
    })
}

#[cfg(test)]
mod tests;
