//! Setup scripts at work: each runs once, before the first test that needs it, owned as a test is,
//! and is ended with all that it started after the last of them.
//!
//! The plan decides which tests need which script. The runner decides when a script is no longer
//! needed.

pub(crate) mod helper;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{OnceCell, oneshot, watch};
use tokio::task::JoinHandle;

use super::capture::Capture;
use super::owner::{Fate, Job};
use super::process::{Ended, Halt, Watch, halted};
use super::{Stage, stretch};
use crate::base::clock;
use crate::base::failure_kind::FailureKind;
use crate::base::limits::SCRIPT_OUTPUT_LEN_MAX;
use crate::base::text::{plain_line, report_text};
use crate::base::this_program;
use crate::report::data::Failure;
use crate::sandbox::isolation::Network;
use crate::select::scripts::Script;
pub(super) use helper::Variables;
use helper::{ARGUMENT, Word};

/// The scripts of a run.
#[derive(Debug)]
pub(crate) struct Setups {
    list: Vec<Setup>,
}

/// One script of a run.
#[derive(Debug)]
struct Setup {
    script: Script,
    /// What its tests get, once it was needed.
    result: OnceCell<Result<Arc<Variables>, Failure>>,
    /// Says when it is to end.
    end: watch::Sender<Halt>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Its process, while nobody has waited for its end.
    process: Option<JoinHandle<()>>,
    /// How it went, for the report.
    told: Option<String>,
}

/// A process that runs, and what is heard of it.
struct Running {
    /// The first line of its standard output.
    word: oneshot::Receiver<Vec<u8>>,
    ended: oneshot::Receiver<Ended>,
}

/// A short name for the files of the script with this number, unique within the run.
pub(super) fn label(number: usize) -> String {
    format!("script-{number}")
}

impl Setups {
    /// Nothing runs yet.
    pub(crate) fn new(scripts: Vec<Script>) -> Setups {
        let setup = |script| Setup {
            script,
            result: OnceCell::new(),
            end: watch::channel(Halt::No).0,
            state: Mutex::default(),
        };
        Setups {
            list: scripts.into_iter().map(setup).collect(),
        }
    }

    /// Whether one of these has not come to its result.
    pub(super) fn is_any_pending(&self, numbers: &[usize]) -> bool {
        let mut setups = numbers.iter().filter_map(|number| self.list.get(*number));
        setups.any(|setup| !setup.result.initialized())
    }

    /// The numbers of those whose processes run.
    pub(super) fn running(&self) -> Vec<usize> {
        let numbered = self.list.iter().enumerate();
        let running = numbered.filter(|(_, setup)| {
            let is_asked_to_end = *setup.end.borrow() != Halt::No;
            setup.state().process.is_some() && setup.result.initialized() && !is_asked_to_end
        });
        running.map(|(number, _)| number).collect()
    }

    /// No test needs it any more.
    pub(super) fn end(&self, number: usize) {
        if let Some(setup) = self.list.get(number) {
            setup.end.send_replace(Halt::Interrupted("the end of its tests"));
        }
    }

    /// Ends all of them; returns when nothing of them is left.
    pub(super) async fn close(&self, halt: Halt) {
        let how = match halt {
            Halt::AtOnce(signal) => Halt::AtOnce(signal),
            Halt::No | Halt::Interrupted(_) | Halt::RunTimeout => Halt::Interrupted("the end of the run"),
        };
        for setup in &self.list {
            setup.end.send_replace(how);
        }
        for setup in &self.list {
            let process = setup.state().process.take();
            if let Some(process) = process {
                process.await.ok();
            }
        }
    }

    /// What the report says of each that ran, as a property.
    pub(super) fn properties(&self) -> Vec<(String, String)> {
        let property = |setup: &Setup| {
            let told = setup.state().told.clone()?;
            Some((setup.title(), told))
        };
        self.list.iter().filter_map(property).collect()
    }
}

impl Stage {
    /// The variables that the scripts of a test have set, in the order of the scripts; runs those
    /// that have not run.
    pub(super) async fn set_up(
        self: &Arc<Stage>,
        number: usize,
        halt: &watch::Receiver<Halt>,
    ) -> Result<Vec<Arc<Variables>>, Failure> {
        let mut all = Vec::new();
        for number in self.plan.scripts_of(number) {
            let Some(setup) = self.setups.list.get(*number) else {
                continue;
            };
            let result = setup
                .result
                .get_or_init(|| setup.run(self, *number, halt.clone()));
            all.push(result.await.clone()?);
        }
        Ok(all)
    }
}

impl Setup {
    /// `script database`.
    fn title(&self) -> String {
        format!("script {}", self.script.name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs it until it has set up what it sets up, and tells how that went.
    async fn run(
        &self,
        stage: &Arc<Stage>,
        number: usize,
        mut halt: watch::Receiver<Halt>,
    ) -> Result<Arc<Variables>, Failure> {
        let start = clock::now();
        let limit = stretch(self.script.timeout, stage.settings.stretch);
        let mut running = self.start(stage, number);
        let (slow, mut intervals) = (stage.settings.slow, 1);
        let heard = loop {
            tokio::select! {
                word = &mut running.word => break word.ok().and_then(|line| serde_json::from_slice(&line).ok()),
                () = stage.pauses.passed(start, limit) => {
                    break Some(Word::Failed(format!(
                        "it did not end within {} s; a script has to end, and what it started in the background goes on",
                        limit.as_secs_f64()
                    )));
                }
                () = stage.pauses.passed(start, slow.saturating_mul(intervals)) => {
                    stage.console.slow("script", &self.script.name, slow.saturating_mul(intervals));
                    intervals = intervals.saturating_add(1);
                }
                halt = halted(&mut halt) => {
                    self.end.send_replace(halt);
                    running.ended.await.ok();
                    return Err(self.cut_short(halt));
                }
            }
        };
        let result = match heard {
            Some(Word::Ready(variables)) => Ok(Arc::new(variables)),
            Some(Word::Failed(why)) => Err(self.failure(&why, running).await),
            None => Err(self.failure("its process was killed", running).await),
        };
        self.tell(stage, clock::now() - start, &result);
        result
    }

    fn start(&self, stage: &Arc<Stage>, number: usize) -> Running {
        let label = label(number);
        let mark = ("XTASK_SCRIPT", format!("{}/{number}", stage.directory.id));
        let (scratch, log) = (stage.directory.scratch_path(&label), stage.directory.log(&label));
        let artefacts = stage.directory.artefacts(&label);
        let mut command = Command::from(this_program::command());
        command.arg(ARGUMENT).args(&self.script.command);
        stage
            .environment
            .prepare(&mut command, &stage.root, &scratch)
            .env(mark.0, &mark.1);
        let watch = Watch {
            timeout: Duration::MAX,
            grace: stage.settings.grace,
            pauses: stage.pauses.clone(),
            halt: self.end.subscribe(),
            mark: format!("{}={}", mark.0, mark.1),
        };
        let (owner, (say, word), (tell, ended)) =
            (Arc::clone(&stage.owner), oneshot::channel(), oneshot::channel());
        let capture = Capture::new(&log, None).telling_the_first_line(say);
        let process = tokio::spawn(async move {
            let job = Job {
                command,
                network: Network::default(),
                scratch: &scratch,
                artefacts: &artefacts,
            };
            let (end, remains) = owner.run(job, capture, watch).await;
            remains.settle(Fate::Discard).await;
            // Nobody waits for the end of one that has done what it should.
            tell.send(end).ok();
        });
        self.state().process = Some(process);
        Running { word, ended }
    }

    /// Ends it, and describes why its tests cannot run, with what it wrote.
    async fn failure(&self, why: &str, running: Running) -> Failure {
        self.end.send_replace(Halt::Interrupted("its failure"));
        let output = running.ended.await.map(|ended| ended.stderr).unwrap_or_default();
        Failure {
            kind: FailureKind::Script,
            message: format!("{}{}", self.beginning(), plain_line(why)),
            detail: wrote(&output),
        }
    }

    /// How the message to its tests begins.
    fn beginning(&self) -> String {
        format!("the script `{}` failed: ", self.script.name)
    }

    /// The run ended meanwhile.
    fn cut_short(&self, halt: Halt) -> Failure {
        let kind = match halt {
            Halt::RunTimeout => FailureKind::RunTimeout,
            Halt::No | Halt::Interrupted(_) | Halt::AtOnce(_) => FailureKind::Interrupted,
        };
        Failure {
            kind,
            message: format!("the run ended while the script `{}` ran", self.script.name),
            detail: String::new(),
        }
    }

    fn tell(&self, stage: &Stage, elapsed: Duration, result: &Result<Arc<Variables>, Failure>) {
        let (title, failure, seconds) = (self.title(), result.as_ref().err(), elapsed.as_secs_f64());
        let beginning = self.beginning();
        let why = failure.map(|failure| {
            let message = failure.message.as_str();
            message.strip_prefix(&beginning).unwrap_or(message)
        });
        stage.console.script(&title, elapsed, why);
        stage.events.script(&title, elapsed, failure);
        let told = match result {
            Err(_) => format!("failed after {seconds:.3} s: {}", why.unwrap_or_default()),
            Ok(variables) if variables.is_empty() => format!("ended with 0 in {seconds:.3} s"),
            Ok(variables) => {
                let names: Vec<&str> = variables.keys().map(String::as_str).collect();
                format!("ended with 0 in {seconds:.3} s, set {}", names.join(", "))
            }
        };
        self.state().told = Some(told);
    }
}

/// The end of what a script wrote, for its tests.
fn wrote(output: &[u8]) -> String {
    let text = report_text(output);
    let from = text.len().saturating_sub(SCRIPT_OUTPUT_LEN_MAX);
    let from = (from..text.len()).find(|&place| text.is_char_boundary(place));
    match from.and_then(|from| text.get(from..)).unwrap_or_default().trim() {
        "" => "it wrote nothing".to_owned(),
        end if text.len() > SCRIPT_OUTPUT_LEN_MAX => {
            format!("the end of what it wrote, all of which is in its log:\n{end}")
        }
        all => format!("what it wrote:\n{all}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_script_wrote_the_end_is_shown() {
        assert_eq!(wrote(b" \n"), "it wrote nothing");
        let (all, longer) = (
            "x".repeat(SCRIPT_OUTPUT_LEN_MAX),
            "x".repeat(SCRIPT_OUTPUT_LEN_MAX + 1),
        );
        assert_eq!(wrote(all.as_bytes()), format!("what it wrote:\n{all}"));
        let end = wrote(longer.as_bytes());
        assert!(end.starts_with("the end of") && end.ends_with(&format!("\n{all}")));
        // A character is not cut.
        let wide = format!("ä{}", "x".repeat(SCRIPT_OUTPUT_LEN_MAX - 1));
        assert!(wrote(wide.as_bytes()).ends_with(&wide["ä".len()..]));
    }
}
