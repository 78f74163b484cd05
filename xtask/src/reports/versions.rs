//! What a run was made with: the versions of `rustc` and `cargo`, and the commit. Asked for while the build goes on, so
//! that nobody waits for the answers.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crate::events::Properties;
use crate::leash::leashed;

/// A question that is being asked: the answer has the name of who gave it.
type Question = JoinHandle<Option<(String, String)>>;

/// The answers, or the questions.
#[derive(Debug)]
pub(crate) struct Versions {
    asked: Mutex<Vec<Question>>,
    told: OnceLock<Properties>,
}

impl Versions {
    /// Asks; `root` is the workspace.
    pub(crate) fn ask(root: &Path) -> Versions {
        let program = |variable: &str, name: &str| std::env::var_os(variable).unwrap_or_else(|| name.into());
        let questions: [(&str, OsString, &[&str]); 3] = [
            ("rustc", program("RUSTC", "rustc"), &["--version"]),
            ("cargo", program("CARGO", "cargo"), &["--version"]),
            ("commit", "git".into(), &["rev-parse", "HEAD"]),
        ];
        let ask = |(name, program, arguments): (&'static str, OsString, &[&str])| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(root);
            std::thread::spawn(move || Some((name.to_owned(), answer(&command)?)))
        };
        Versions {
            asked: Mutex::new(questions.map(ask).into()),
            told: OnceLock::new(),
        }
    }

    /// As properties; waits until all have answered. Who does not answer is left out.
    pub(crate) fn told(&self) -> &Properties {
        self.told.get_or_init(|| {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let answers = asked.drain(..).filter_map(|asked| asked.join().ok().flatten());
            answers.collect()
        })
    }

    /// The same without waiting: nothing where somebody has still to answer.
    pub(crate) fn known(&self) -> &[(String, String)] {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = asked.iter().all(Question::is_finished);
        drop(asked);
        if is_known { self.told() } else { &[] }
    }
}

fn answer(command: &Command) -> Option<String> {
    let (mut command, _line) = leashed(command).ok()?;
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
