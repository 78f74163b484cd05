//! What a run was made with: the versions of `rustc` and `cargo`, and the commit. Asked for while the build goes on, so
//! that nobody waits for the answers.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use crate::events::Properties;

/// The answers, or the questions.
#[derive(Debug)]
pub(crate) struct Versions {
    asked: Mutex<Option<JoinHandle<Properties>>>,
    told: OnceLock<Properties>,
}

impl Versions {
    /// Asks; `root` is the workspace.
    pub(crate) fn ask(root: &Path) -> Versions {
        let root = root.to_owned();
        Versions {
            asked: Mutex::new(Some(std::thread::spawn(move || answers(&root)))),
            told: OnceLock::new(),
        }
    }

    /// As properties; waits until all have answered. Who does not answer is left out.
    pub(crate) fn told(&self) -> &Properties {
        self.told.get_or_init(|| {
            let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
            asked.and_then(|asked| asked.join().ok()).unwrap_or_default()
        })
    }
}

fn answers(root: &Path) -> Properties {
    let program = |variable: &str, name: &str| std::env::var_os(variable).unwrap_or_else(|| name.into());
    let questions: [(&str, OsString, &[&str]); 3] = [
        ("rustc", program("RUSTC", "rustc"), &["--version"]),
        ("cargo", program("CARGO", "cargo"), &["--version"]),
        ("commit", "git".into(), &["rev-parse", "HEAD"]),
    ];
    let answer = |(name, program, arguments): &(&str, OsString, &[&str])| {
        let mut command = Command::new(program);
        command.args(*arguments).current_dir(root).stdin(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Some(((*name).to_owned(), text))
    };
    questions.iter().filter_map(answer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_says_its_version() {
        let versions = Versions::ask(Path::new("."));
        let rustc = versions.told().iter().find(|(name, _)| name == "rustc");
        assert!(
            rustc.is_some_and(|(_, version)| version.starts_with("rustc 1.")),
            "{versions:?}"
        );
        assert_eq!(versions.told(), versions.told());
    }

    #[test]
    fn who_does_not_answer_is_left_out() {
        let versions = Versions::ask(Path::new("/nowhere"));
        assert_eq!(*versions.told(), []);
    }
}
