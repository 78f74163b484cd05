//! One attempt at a test: its directory, its command, its process, and the resulting case.
//!
//! The runner decides whether another attempt follows.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::capture::{Capture, Echo};
use super::environment::Own;
use super::owner::{Fate, Job, Settled};
use super::places::{Kept, Places, Round};
use super::process::{Ended, Halt, Watch, insisted};
use super::suites::case;
use super::{Debugging, Output, Stage, origin, setup_scripts, stretch, unreached, verdict};
use crate::base::clock;
use crate::base::failure_kind::FailureKind;
use crate::report::data::{Case, Failure, Leak, Outcome};
use crate::report::kept_files::FORENSICS;
use crate::runner::limits_and_leaks::LeakPolicy;
use crate::runner::{doc_tests, libtest};
use crate::sandbox::isolation::{Level, Network};
use crate::select::plan::{Form, Test};

/// Which attempt of which test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The test's number in the plan.
    pub(super) number: usize,
    /// From 1; more than 1 if tests are repeated.
    pub(super) round: u32,
    /// From 1; more than 1 if a failed test is retried.
    pub(super) attempt: u32,
    /// A small number that no other running test has.
    pub(super) slot: usize,
}

/// A finished attempt.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) ticket: Ticket,
    pub(super) case: Case,
}

/// What the scripts of a test have set, or why it cannot run.
pub(super) type SetUp = Result<Vec<Arc<setup_scripts::Variables>>, Failure>;

impl Ticket {
    /// The test and the round of this attempt.
    pub(super) fn round(self) -> Round {
        (self.number, self.round)
    }

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

    /// The number and the round of the test with this label.
    fn of_label(label: &str) -> Option<(usize, u32)> {
        let mut parts = label.split('-');
        let number = parts.next()?.parse().ok()?;
        Some((number, parts.next().map_or(Some(1), |round| round.parse().ok())?))
    }
}

impl Stage {
    /// The result of a test whose script has failed.
    fn not_set_up(&self, ticket: Ticket, failure: Failure) -> Done {
        let mut case = case(self.plan.test(ticket.number), Outcome::Errored(failure));
        case.started = Some(clock::wall());
        (case.slot, case.round) = (Some(ticket.slot), ticket.round);
        let logs = self.plan.scripts_of(ticket.number).iter();
        let logs = logs.map(|number| self.directory.log(&setup_scripts::label(*number)));
        case.attachments.extend(logs.filter(|log| log.exists()));
        Done { ticket, case }
    }

    /// Runs one attempt. `places` decides whether its files are kept if it fails.
    pub(super) async fn attempt(
        &self,
        ticket: Ticket,
        mut halt: watch::Receiver<Halt>,
        (places, set_up): (&Places, SetUp),
    ) -> Done {
        let variables = match set_up {
            Ok(variables) => variables,
            Err(failure) => return self.not_set_up(ticket, failure),
        };
        let (test, label) = (self.plan.test(ticket.number), ticket.label());
        let (scratch, log) = (self.directory.scratch_path(&label), self.directory.log(&label));
        let mark = self.directory.mark(&label);
        let mut command = self.environment.test_command(&Own {
            test,
            scratch: &scratch,
            ticket,
            mark: &mark,
        });
        for variables in variables {
            command.envs(&*variables);
        }
        let limits = self.limits(ticket.number);
        let watch = Watch {
            timeout: limits.timeout,
            grace: self.settings.grace,
            pauses: self.pauses.clone(),
            halt: halt.clone(),
            mark,
        };
        let job = Job {
            command,
            network: self.plan.treatment(ticket.number).network.unwrap_or_default(),
            scratch: &scratch,
            artefacts: &self.directory.artefacts(&label),
        };
        let capture = Capture::new(&log, self.echo(test));
        let began = self.pauses.stood();
        let (ended, remains) = self.owner.run(job, capture, watch).await;
        let mut case = self.judge(ticket.number, ended, limits);
        case.slow = case.elapsed.saturating_sub(self.pauses.stood() - began) > limits.slow;
        (case.slot, case.round) = (Some(ticket.slot), ticket.round);
        // Libtest's own words are no reason to look into a log.
        let has_said = !case.stdout.is_empty() || !case.stderr.is_empty();
        case.attachments.extend((has_said && log.exists()).then_some(log));
        let has_place = case.failure().is_none() || places.fail(ticket.round()) == Kept::All;
        let settled = tokio::select! {
            settled = remains.settle(fate(&case, has_place)) => settled,
            // The owner of the files sees that this process is gone, and removes them.
            () = insisted(&mut halt) => Settled::default(),
        };
        if !has_place {
            self.forget_files(&label, &mut case);
        }
        account(&mut case, settled, self.settings.leaks);
        if has_place && !keeps_log(ticket, &case, places) {
            self.forget_files(&label, &mut case);
        }
        Done { ticket, case }
    }

    /// Deletes the files of a round that is not in the report: thousands of rounds would fill the
    /// disk.
    fn forget_files(&self, label: &str, case: &mut Case) {
        case.attachments.clear();
        std::fs::remove_file(self.directory.log(label)).ok();
        std::fs::remove_dir_all(self.directory.artefacts(label)).ok();
    }

    /// The limits of the test with this number.
    pub(super) fn limits(&self, number: usize) -> verdict::Limits {
        if self.settings.debugging == Debugging::Yes {
            let none = Duration::MAX;
            return verdict::Limits {
                timeout: none,
                slow: none,
                run_timeout: none,
            };
        }
        let treatment = self.plan.treatment(number);
        let own = |limit: Option<Duration>| limit.map(|limit| stretch(limit, self.settings.stretch));
        verdict::Limits {
            timeout: own(treatment.timeout).unwrap_or(self.settings.timeout),
            slow: own(treatment.slow).unwrap_or(self.settings.slow),
            run_timeout: self.settings.run_timeout,
        }
    }

    fn echo(&self, test: &Test) -> Option<Echo> {
        (self.settings.output == Output::Show).then(|| Echo {
            console: Arc::clone(&self.console),
            name: test.name.clone(),
        })
    }

    fn judge(&self, number: usize, ended: Ended, limits: verdict::Limits) -> Case {
        let test = self.plan.test(number);
        // The output of a test that is debugged goes to the terminal, and not through us.
        let form = match self.settings.debugging {
            Debugging::No => &test.form,
            Debugging::Yes => &Form::Whole,
        };
        let (outcome, panic) = verdict::judge(&test.name, form, &ended, limits);
        let mut case = case(test, outcome);
        let place = panic.and_then(|panic| Some((self.within_root(&panic.file)?, panic.line)));
        if let (Some(shortage), Some(failure)) = (&ended.shortage, case.failure_mut()) {
            append(&mut failure.detail, &shortage.words(|label| self.holder(label)));
        }
        if let Some(failure) = case.failure_mut() {
            let hints = self.hints(number, &ended);
            hints.for_each(|hint| append(&mut failure.detail, &hint));
        }
        if let (Some((file, line)), false) = (place, matches!(case.outcome, Outcome::Passed)) {
            (case.file, case.line) = (Some(file), Some(line));
        }
        case.started = Some(ended.started);
        case.elapsed = ended.elapsed;
        case.stdout = match test.form {
            Form::Doc(_) => doc_tests::output(&ended.stdout, &test.name, &case.outcome),
            Form::One | Form::Whole => libtest::unframed(&ended.stdout, &test.name).to_vec(),
        };
        case.stderr = ended.stderr;
        case.leaks = ended.leaks;
        case.attachments = ended.attachments;
        case
    }

    /// What is known of the reasons for the failure of a test beside its own words. Reads its whole
    /// output.
    fn hints(&self, number: usize, ended: &Ended) -> impl Iterator<Item = String> {
        let network = self.plan.treatment(number).network.unwrap_or_default();
        let is_in_box = self.owner.level() == Level::Box && network != Network::Host;
        let output = [ended.stdout.as_slice(), ended.stderr.as_slice()];
        let network = is_in_box.then(|| unreached::words(&ended.refused, output, listens_outside));
        let origin = self.origin.as_ref().map(|root| origin::words(root, output));
        network.into_iter().chain(origin).flatten()
    }

    /// The test whose temporary directory has this name.
    fn holder(&self, label: &str) -> String {
        let known = Ticket::of_label(label).filter(|(number, _)| *number < self.plan.tests.len());
        match known {
            Some((number, 1)) => self.plan.test(number).id(),
            Some((number, round)) => format!("{}#{round}", self.plan.test(number).id()),
            None => label.to_owned(),
        }
    }

    /// The path of a source file as the compiler names it, if the file belongs to the workspace. An
    /// archive may be run without its sources.
    fn within_root(&self, file: &Path) -> Option<PathBuf> {
        let relative = file.strip_prefix(&self.root).unwrap_or(file);
        let is_plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let is_of_archive = self.origin.is_some() && is_plain;
        let is_here = || relative.is_relative() && self.root.join(relative).is_file();
        (is_of_archive || is_here()).then(|| relative.to_owned())
    }
}

/// Whether a server of this machine, outside the box, listens on this address.
#[cfg(target_os = "linux")]
fn listens_outside(address: &SocketAddr) -> bool {
    crate::sandbox::linux::listens(address)
}

/// Only Linux has the box.
#[cfg(not(target_os = "linux"))]
fn listens_outside(_: &SocketAddr) -> bool {
    false
}

/// Whether its log stays. Of the rounds after the first, only the log of a failure stays; a leak
/// may have turned a success into a failure.
fn keeps_log(ticket: Ticket, case: &Case, places: &Places) -> bool {
    match case.failure() {
        None => ticket.round == 1,
        Some(_) => places.fail(ticket.round()) == Kept::All,
    }
}

/// After a success nothing is kept; after a failure everything is kept that there is a place for.
fn fate(case: &Case, has_place: bool) -> Fate {
    match &case.outcome {
        Outcome::Passed => Fate::Remove,
        Outcome::Failed(failure) | Outcome::Errored(failure) if !failure.is_of_the_run() && has_place => {
            Fate::Preserve
        }
        Outcome::Failed(_) | Outcome::Errored(_) | Outcome::Skipped(_) => Fate::Discard,
    }
}

/// Adds the findings from the cleanup of the test's files. A leak may fail a test that had passed.
fn account(case: &mut Case, settled: Settled, policy: LeakPolicy) {
    case.leaks.extend(settled.leaks);
    if policy == LeakPolicy::Off {
        case.leaks.clear();
    }
    if let Outcome::Failed(failure) | Outcome::Errored(failure) = &mut case.outcome {
        let found = case.attachments.iter().filter(|path| path.ends_with(FORENSICS));
        found.for_each(|path| append(&mut failure.detail, &format!("found: {}", path.display())));
        if let Some(kept) = &settled.kept {
            append(&mut failure.detail, &format!("kept: {kept}"));
        }
    }
    if policy == LeakPolicy::Fail && matches!(case.outcome, Outcome::Passed) && !case.leaks.is_empty() {
        case.outcome = Outcome::Errored(leaked(&case.leaks));
    }
}

/// The failure of a test that passed and left something behind.
fn leaked(leaks: &[Leak]) -> Failure {
    let lines: Vec<String> = leaks
        .iter()
        .map(|leak| format!("{}: {}", leak.kind, leak.what))
        .collect();
    let more = match leaks.len() {
        0 | 1 => String::new(),
        count => format!(", and {} more", count - 1),
    };
    Failure {
        kind: FailureKind::Leak,
        message: format!("left behind: {}{more}", lines.first().map_or("", String::as_str)),
        detail: lines.get(1..).unwrap_or_default().join("\n"),
    }
}

fn append(detail: &mut String, line: &str) {
    if !detail.is_empty() {
        detail.push('\n');
    }
    detail.push_str(line);
}
