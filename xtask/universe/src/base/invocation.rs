//! How a person calls the program: messages repeat this, so that a person can type it again.

use std::ffi::OsString;
use std::sync::OnceLock;

/// The program that runs the subcommands, as its `main` describes it.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    /// What a person types before a subcommand: `cargo universe`, `cargo xtask`.
    pub command: &'static str,
    /// The package of the program, if it may be a member of the workspace that it tests. It is
    /// never rebuilt while it runs, as Windows cannot overwrite a running executable.
    pub package: Option<&'static str>,
}

/// For code that runs without our `main`: unit tests.
const UNSET: Invocation = Invocation {
    command: "cargo universe",
    package: None,
};

static CURRENT: OnceLock<Invocation> = OnceLock::new();

impl Invocation {
    /// Makes this the invocation of the process. Only the first call has an effect.
    pub(crate) fn set(self) {
        CURRENT.set(self).ok();
    }

    /// Whether this process began in the `main` of the runner, so that the same program can be
    /// started as a helper.
    pub(crate) fn is_set() -> bool {
        CURRENT.get().is_some()
    }

    /// The invocation of this process.
    pub(crate) fn current() -> Invocation {
        CURRENT.get().copied().unwrap_or(UNSET)
    }

    /// The command line of the process, with the program first, without the word by which cargo
    /// found the program: cargo calls `cargo-universe` as `cargo-universe universe …`.
    pub(crate) fn words(self) -> Vec<OsString> {
        without_subcommand_of_cargo(self.command, std::env::args_os().collect())
    }

    /// A subcommand as a person types it: `cargo universe test`.
    #[must_use]
    pub fn with(self, subcommand: &str) -> String {
        format!("{} {subcommand}", self.command)
    }
}

fn without_subcommand_of_cargo(command: &str, mut words: Vec<OsString>) -> Vec<OsString> {
    let word = command.strip_prefix("cargo ").unwrap_or_default();
    let program = words.first().map(std::path::Path::new);
    let is_ours = program
        .and_then(|program| program.file_stem())
        .is_some_and(|stem| stem == format!("cargo-{word}").as_str());
    if is_ours && words.get(1).is_some_and(|first| first == word) {
        words.remove(1);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(command: &str, words: &[&str]) -> Vec<OsString> {
        without_subcommand_of_cargo(command, words.iter().map(OsString::from).collect())
    }

    #[test]
    fn the_word_that_cargo_adds_is_not_an_argument() {
        let words = ["/bin/cargo-universe", "universe", "test", "universe"];
        assert_eq!(
            without("cargo universe", &words),
            ["/bin/cargo-universe", "test", "universe"]
        );
        let direct = ["cargo-universe", "test"];
        assert_eq!(without("cargo universe", &direct), direct);
        let other = ["target/debug/xtask", "xtask"];
        assert_eq!(without("cargo xtask", &other), other);
    }
}
