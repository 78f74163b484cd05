//! Options that people know from `cargo test … -- …` and from cargo-nextest, as options of `test`
//! and `list`.
//!
//! Cargo passes what follows `--` on to each test binary. Here a binary runs one test, so that such
//! an option becomes one of ours or, if there is none, an error that names it.

use std::ffi::OsString;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;

/// What becomes of an option of libtest.
enum Meaning {
    /// This flag of ours.
    Flag(&'static str),
    /// This option of ours, with the same value.
    Value(&'static str),
    /// It is an error; this is what to use instead.
    Refused(&'static str),
}

/// The options of libtest.
const OPTIONS: [(&str, Meaning); 20] = [
    ("--test-threads", Meaning::Value("--jobs")),
    ("--skip", Meaning::Value("--skip")),
    ("--color", Meaning::Value("--color")),
    ("--shuffle-seed", Meaning::Value("--shuffle")),
    ("--exact", Meaning::Flag("--exact")),
    ("--ignored", Meaning::Flag("--run-ignored=only")),
    ("--include-ignored", Meaning::Flag("--run-ignored")),
    ("--nocapture", Meaning::Flag("--no-capture")),
    ("--no-capture", Meaning::Flag("--no-capture")),
    ("--shuffle", Meaning::Flag("--shuffle")),
    ("--fail-fast", Meaning::Flag("--fail-fast")),
    ("--list", Meaning::Flag("--list")),
    (
        "--show-output",
        Meaning::Refused("`--no-capture` shows the output of all tests, while they run"),
    ),
    ("--quiet", Meaning::Refused(FEWER_LINES)),
    ("-q", Meaning::Refused(FEWER_LINES)),
    (
        "--format",
        Meaning::Refused("`--junit` and `--events` write reports for programs"),
    ),
    (
        "--logfile",
        Meaning::Refused("`--events` writes what happens into a file"),
    ),
    (
        "--report-time",
        Meaning::Refused("every line has the time of its test"),
    ),
    (
        "--bench",
        Meaning::Refused("`cargo bench` measures; `--benches` tests benchmarks"),
    ),
    (
        "--test",
        Meaning::Refused("`--lib`, `--bins`, `--tests` and the like choose targets"),
    ),
];

/// Options that people type before `--` for `cargo test` or `cargo nextest run` and that are not
/// options of ours, and what to use instead.
const ELSEWHERE: [(&str, &str); 24] = [
    ("-q", FEWER_LINES),
    ("--quiet", FEWER_LINES),
    (
        "--message-format",
        "`--junit` and `--events` write reports for programs",
    ),
    (
        "--config",
        "cargo reads `.cargo/config.toml`, and variables such as `CARGO_BUILD_RUSTFLAGS`",
    ),
    (
        "-Z",
        "set the variable `CARGO_UNSTABLE_…`, or `[unstable]` in `.cargo/config.toml`",
    ),
    ("--timings", "`cargo test --no-run --timings` measures the build"),
    (
        "--ignore-rust-version",
        "set the variable `CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS`",
    ),
    ("--keep-going", "all tests run after a failure anyway"),
    (
        "-P",
        "`--profile NAME` chooses a profile of `test`, `--cargo-profile NAME` one of cargo",
    ),
    ("--partition", "`--shard 1/2` runs the first of two parts"),
    ("--archive-file", "`--archive FILE` runs the tests of an archive"),
    (
        "--binaries-metadata",
        "`archive` packs tests for another machine, and `--archive` runs them",
    ),
    (
        "--cargo-metadata",
        "`archive` packs tests for another machine, and `--archive` runs them",
    ),
    ("--stress-count", "`--count N` runs every test N times"),
    (
        "--stress-duration",
        "`--stress TIME` repeats the tests for that time",
    ),
    (
        "--success-output",
        "`--no-capture` shows the output of all tests; the report has that of failures",
    ),
    (
        "--failure-output",
        "failures are shown at the end, on a terminal also at once",
    ),
    (
        "--final-status-level",
        "`--status-level` chooses the tests that have a line",
    ),
    ("--hide-progress-bar", "`--color never` and a pipe give a log"),
    (
        "--show-progress",
        "a terminal shows the running tests, a log a line for each test",
    ),
    (
        "--config-file",
        "options are in `Cargo.toml`, below `[workspace.metadata.universe.test]`",
    ),
    (
        "--tool-config-file",
        "options are in `Cargo.toml`, below `[workspace.metadata.universe.test]`",
    ),
    (
        "--user-config-file",
        "options are in `Cargo.toml`, below `[workspace.metadata.universe.test]`",
    ),
    ("--ignore-default-filter", "there is no default filter"),
];

const FEWER_LINES: &str = "`--status-level fail` prints a line only for tests that fail";

/// The command line, with the program first, in which options of libtest are ours. Other programs
/// than `test` and `list` keep their words.
///
/// # Errors
/// When an option has no counterpart.
pub(crate) fn translated(words: Vec<OsString>) -> Result<Vec<OsString>, Stop> {
    let subcommand = words.get(1).and_then(|word| word.to_str());
    if !matches!(subcommand, Some("test" | "list")) {
        return Ok(words);
    }
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    let (before, after) = words.split_at_checked(end).unwrap_or((&words, &[]));
    before.iter().try_for_each(is_not_elsewhere)?;
    let mut found = joined(before);
    let mut filters = Vec::new();
    let mut after = after.iter().skip(1);
    while let Some(word) = after.next() {
        match word.to_str().filter(|text| text.starts_with('-')) {
            Some("--") => filters.extend(after.by_ref().cloned()),
            Some(option) => {
                let ours = ours(option, &mut after)?;
                // A flag counts once, before `--` and after it.
                let is_new =
                    |word: &OsString| word.as_encoded_bytes().contains(&b'=') || !found.contains(word);
                let new: Vec<OsString> = ours.into_iter().filter(is_new).collect();
                found.extend(new);
            }
            None => filters.push(word.clone()),
        }
    }
    if !filters.is_empty() {
        found.push("--".into());
        found.extend(filters);
    }
    Ok(found)
}

/// # Errors
/// When the word is an option that only others have.
fn is_not_elsewhere(word: &OsString) -> Result<(), Stop> {
    let word = word.to_string_lossy();
    let name = word.split('=').next().unwrap_or_default();
    match ELSEWHERE.iter().find(|(known, _)| *known == name) {
        None => Ok(()),
        Some((name, instead)) => {
            let message = format!("there is no option `{name}`\nhint: {instead}");
            Err(Stop::new(Exit::Usage, FailureKind::Usage, message))
        }
    }
}

/// `--run-ignored all`, as cargo-nextest has it, is one word for us: our option may have no value.
fn joined(words: &[OsString]) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for word in words {
        let is_value = word == "all" || word == "only";
        match joined
            .last_mut()
            .filter(|last| is_value && *last == "--run-ignored")
        {
            Some(option) => {
                option.push("=");
                option.push(word);
            }
            None => joined.push(word.clone()),
        }
    }
    joined
}

/// Our words for an option of libtest, with its value.
fn ours<'a>(option: &str, rest: &mut impl Iterator<Item = &'a OsString>) -> Result<Vec<OsString>, Stop> {
    let (name, value) = match option.split_once('=') {
        Some((name, value)) => (name, Some(OsString::from(value))),
        None => (option, None),
    };
    let known = OPTIONS.iter().find(|(known, _)| *known == name);
    match known.map(|(_, meaning)| meaning) {
        Some(Meaning::Flag(flag)) if value.is_none() => Ok(vec![flag.into()]),
        Some(Meaning::Flag(_)) => Err(refused(name, "it takes no value")),
        Some(Meaning::Value(ours)) => {
            let value = value.or_else(|| rest.next().cloned());
            let mut word = OsString::from(ours);
            word.push("=");
            word.push(value.ok_or_else(|| refused(name, "it needs a value"))?);
            Ok(vec![word])
        }
        Some(Meaning::Refused(instead)) => Err(refused(name, instead)),
        None => Err(refused(
            name,
            "libtest has no such option, and test binaries get no other arguments",
        )),
    }
}

fn refused(option: &str, hint: &str) -> Stop {
    let message = format!("`{option}` after `--` has no meaning here\nhint: {hint}");
    Stop::new(Exit::Usage, FailureKind::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(words: &[&str]) -> Result<Vec<String>, String> {
        let words = ["xtask"].iter().chain(words).map(OsString::from).collect();
        let translated = translated(words).map_err(|stop| stop.message)?;
        Ok(translated
            .into_iter()
            .skip(1)
            .map(|word| word.display().to_string())
            .collect())
    }

    #[test]
    fn options_of_libtest_become_ours_and_words_stay_filters() {
        for (words, expected) in [
            (
                &["test", "a", "--", "--test-threads=1", "b"][..],
                &["test", "a", "--jobs=1", "--", "b"][..],
            ),
            (&["test", "--", "--test-threads", "2"], &["test", "--jobs=2"]),
            (
                &["test", "--", "--ignored", "--exact", "--skip", "x", "--nocapture"],
                &[
                    "test",
                    "--run-ignored=only",
                    "--exact",
                    "--skip=x",
                    "--no-capture",
                ],
            ),
            (&["test", "--", "--include-ignored"], &["test", "--run-ignored"]),
            (
                &["test", "--", "a", "--", "--ignored"],
                &["test", "--", "a", "--ignored"],
            ),
            (
                &["test", "--run-ignored", "all", "all"],
                &["test", "--run-ignored=all", "all"],
            ),
            (
                &["test", "--run-ignored", "some"],
                &["test", "--run-ignored", "some"],
            ),
            (
                &[
                    "test",
                    "--no-capture",
                    "--exact",
                    "--",
                    "--nocapture",
                    "--exact",
                    "--exact",
                ],
                &["test", "--no-capture", "--exact"],
            ),
            (
                &["conformance", "--", "--bogus"],
                &["conformance", "--", "--bogus"],
            ),
            (&[], &[]),
        ] {
            let found = translate(words);
            assert_eq!(
                found.as_deref(),
                Ok(expected
                    .iter()
                    .map(|w| (*w).to_owned())
                    .collect::<Vec<_>>()
                    .as_slice()),
                "{words:?}"
            );
        }
    }

    #[test]
    fn an_option_of_others_is_an_error_that_names_ours() {
        for (option, hint) in [
            ("-q", "`--status-level fail`"),
            ("--partition=count:1/2", "`--shard 1/2`"),
            ("-P", "`--profile NAME`"),
        ] {
            let name = option.split('=').next().unwrap();
            let message = translate(&["test", "a", option]).unwrap_err();
            assert!(
                message.starts_with(&format!("there is no option `{name}`\nhint: ")),
                "{message}"
            );
            assert!(message.contains(hint), "{message}");
            assert!(translate(&["bench", option]).is_ok());
        }
    }

    #[test]
    fn no_option_of_ours_is_refused_as_one_of_others() {
        #[derive(clap::Parser)]
        enum Program {
            Test(Box<crate::runner::test::Args>),
            List(Box<crate::runner::list::Args>),
        }
        use clap::CommandFactory as _;
        for command in Program::command().get_subcommands() {
            for argument in command.get_arguments() {
                let long = argument.get_long_and_visible_aliases().unwrap_or_default();
                let mut names: Vec<String> = long.iter().map(|name| format!("--{name}")).collect();
                names.extend(argument.get_short().map(|short| format!("-{short}")));
                for name in names {
                    assert!(ELSEWHERE.iter().all(|(known, _)| *known != name), "{name}");
                }
            }
        }
    }

    #[test]
    fn an_option_without_a_counterpart_is_refused_by_name() {
        for (option, hint) in [
            ("--show-output", "`--no-capture`"),
            ("--bogus=1", "no such option"),
            ("--exact=yes", "takes no value"),
            ("--test-threads", "needs a value"),
        ] {
            let message = translate(&["test", "--", option]).unwrap_err();
            let name = option.split('=').next().unwrap();
            assert!(message.starts_with(&format!("`{name}` after `--`")), "{message}");
            assert!(message.contains(hint), "{message}");
        }
    }
}
