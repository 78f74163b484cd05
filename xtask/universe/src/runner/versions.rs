//! The versions of `rustc` and `cargo`, and the commit, of a run. Queried during the build. At its
//! end the run waits for missing answers, but not long: a compiler that is fetched on demand, or a
//! file system that does not answer, must not prevent the report.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::clock;
use crate::base::limits::VERSIONS_TIMEOUT;
use crate::report::events::Properties;
use crate::sandbox::build_guard::guarded;

/// The answers, as they arrive.
#[derive(Debug)]
pub(crate) struct Versions {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Ends when every query has been answered or failed.
    answers: Receiver<(&'static str, String)>,
    received: BTreeMap<&'static str, String>,
    /// Later answers are ignored.
    is_over: bool,
}

impl Versions {
    /// Starts the queries; `root` is the workspace.
    pub(crate) fn ask(root: &Path) -> Versions {
        let program = |variable: &str, name: &str| std::env::var_os(variable).unwrap_or_else(|| name.into());
        let questions: [(&str, OsString, &[&str]); 3] = [
            ("rustc", program("RUSTC", "rustc"), &["--version"]),
            ("cargo", program("CARGO", "cargo"), &["--version"]),
            ("commit", "git".into(), &["rev-parse", "HEAD"]),
        ];
        let (sender, answers) = channel();
        for (name, program, arguments) in questions {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(root);
            let sender = sender.clone();
            std::thread::spawn(move || {
                if let Some(answer) = answer(&command) {
                    // Without a receiver, the answer is not needed.
                    sender.send((name, answer)).ok();
                }
            });
        }
        let state = State {
            answers,
            received: BTreeMap::new(),
            is_over: false,
        };
        Versions {
            state: Mutex::new(state),
        }
    }

    /// As properties. Waits for missing answers, and leaves out those that do not arrive in time.
    pub(crate) fn properties(&self) -> Properties {
        let mut state = self.state();
        let deadline = clock::now() + VERSIONS_TIMEOUT;
        while !state.is_over {
            let patience = deadline.saturating_duration_since(clock::now());
            let answer = state.answers.recv_timeout(patience);
            state.take(answer.ok());
        }
        state.properties()
    }

    /// The same without waiting: empty while an answer is missing.
    pub(crate) fn known(&self) -> Properties {
        let mut state = self.state();
        while !state.is_over {
            match state.answers.try_recv() {
                Err(TryRecvError::Empty) => return Properties::new(),
                answer => state.take(answer.ok()),
            }
        }
        state.properties()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, answer: Option<(&'static str, String)>) {
        self.is_over = answer.is_none();
        self.received.extend(answer);
    }

    fn properties(&self) -> Properties {
        let received = self.received.iter();
        received
            .map(|(name, answer)| ((*name).to_owned(), answer.clone()))
            .collect()
    }
}

fn answer(command: &Command) -> Option<String> {
    let (mut command, _line) = guarded(command).ok()?;
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
