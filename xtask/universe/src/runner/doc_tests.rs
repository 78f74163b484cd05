//! Doc tests: their list, how one of them runs, and what rustdoc says of it.
//!
//! Each doc test is a process of rustdoc, which builds that test and runs it. So each has its own
//! time limit, directory and leaks, like any test. The price is that rustdoc reads the library once
//! for each test, which takes 1.1 s for 35,000 lines. Measured for a small library with 60 doc
//! tests of two lines, in seconds of processor time:
//!
//! | | edition 2021 | edition 2024 |
//! |---|---|---|
//! | one process for all tests, as under `cargo test` | 8.0 | 0.6 |
//! | one process each | 11.7 | 30.2 |
//! | one process each, with `--show-output` | 11.7 | 11.6 |
//!
//! In edition 2024 rustdoc builds all doc tests of a library as one program, even if it runs only
//! one of them. With `--show-output` it builds only that one.
//!
//! If rustdoc cannot select each of a library's doc tests alone, they run as one test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::failure_kind::FailureKind;
use crate::report::data::{Failure, Outcome};
use crate::select::doc_test::DocName;
use crate::select::ignore::Ignore;
use crate::workspace::doc_comments;

/// The option of rustdoc for an argument of its test harness; rustdoc splits it at white space.
const OPTION: &str = "--test-args";

/// Keeps rustdoc from building all doc tests of edition 2024 for one of them, or for the list.
const ALONE: &str = "--show-output";

/// The arguments that list the doc tests.
pub(super) const LIST: [&str; 2] = [OPTION, "--list --format terse --show-output"];

/// The arguments that list those that are ignored.
pub(super) const LIST_IGNORED: [&str; 2] = [OPTION, "--list --format terse --show-output --ignored"];

/// Whether some of these doc tests may be ignored: unless the line of each in the sources is a
/// fence that does not say so. To list those that are takes rustdoc as long as to list all.
pub(super) fn may_be_ignored(names: &[String], directory: &Path) -> bool {
    let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut runs = |name: &String| {
        let parts = DocName::parse(name)?;
        let path = directory.join(parts.path());
        let read = || std::fs::read_to_string(&path).unwrap_or_default();
        let text = texts.entry(path.clone()).or_insert_with(read);
        let number = usize::try_from(parts.line).ok()?.checked_sub(1)?;
        let (_, words) = doc_comments::fence(text.lines().nth(number)?)?;
        (!words.contains("ignore")).then_some(())
    };
    names.iter().any(|name| runs(name).is_none())
}

/// The arguments that run the doc test that these words select.
pub(crate) fn run_arguments(words: &str, ignore: &Ignore) -> [String; 2] {
    let ignored = if *ignore == Ignore::No { "" } else { " --ignored" };
    [OPTION.to_owned(), format!("{words} {ALONE}{ignored}")]
}

/// Whether rustdoc ran one doc test, and that passed. The harness may report twice: of tests that
/// it built together, and of the others.
pub(crate) fn says_passed(stdout: &str) -> bool {
    let results: Vec<&str> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix("test result: "))
        .collect();
    let passed = |result: &&str| {
        let count = result.strip_prefix("ok. ")?.split_once(" passed;")?.0;
        count.parse::<u32>().ok()
    };
    let counts: Option<Vec<u32>> = results.iter().map(passed).collect();
    counts.is_some_and(|counts| counts.iter().sum::<u32>() == 1)
}

/// What rustdoc says of the failed test `name`; empty if it says nothing.
pub(crate) fn section<'a>(stdout: &'a str, name: &str) -> &'a str {
    let beginning = format!("\n---- {name} stdout ----\n");
    let Some((_, rest)) = stdout.rsplit_once(beginning.as_str()) else {
        return "";
    };
    let end = rest.rfind("\nfailures:\n    ").unwrap_or(rest.len());
    rest.get(..end).unwrap_or(rest).trim_matches('\n')
}

/// Why the test failed, by rustdoc's words about it. `None` if there are none.
pub(crate) fn failure(section: &str) -> Option<Failure> {
    let line = |beginning: &str| section.lines().find(|line| line.starts_with(beginning));
    let (kind, message, detail) = if is_not_compiled(section) {
        (
            FailureKind::Compile,
            line("error").unwrap_or(NOT_COMPILED),
            section,
        )
    } else if let Some(failed) = line("Test executable failed") {
        match line("Error: ") {
            Some(error) => (FailureKind::Error, error, "the test returned this error"),
            None => (FailureKind::Exit, failed, ""),
        }
    } else {
        let verdict = section.lines().last()?;
        let is_run = verdict.contains("`should_panic`");
        (
            if is_run {
                FailureKind::Panic
            } else {
                FailureKind::Compile
            },
            verdict,
            "",
        )
    };
    Some(Failure {
        kind,
        message: message.to_owned(),
        detail: detail.to_owned(),
    })
}

/// The last line about a test that cannot be built.
const NOT_COMPILED: &str = "Couldn't compile the test.";

/// Whether the test could not be built, although it should.
pub(crate) fn is_not_compiled(section: &str) -> bool {
    section.ends_with(NOT_COMPILED)
}

/// What to show of rustdoc's standard output: its words about a test that failed, unless the
/// failure has all of them.
pub(crate) fn output(stdout: &[u8], name: &str, outcome: &Outcome) -> Vec<u8> {
    let text = String::from_utf8_lossy(stdout);
    match outcome {
        Outcome::Failed(Failure { message, detail, .. })
            if [message, detail]
                .iter()
                .any(|shown| *shown == section(&text, name)) =>
        {
            Vec::new()
        }
        Outcome::Failed(_) => section(&text, name).as_bytes().to_vec(),
        Outcome::Errored(_) => stdout.to_vec(),
        Outcome::Passed | Outcome::Skipped(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "src/lib.rs - one (line 32)";

    fn said(words: &str) -> String {
        format!(
            "\nrunning 1 test\ntest {NAME} ... FAILED\n\nsuccesses:\n\nsuccesses:\n\nfailures:\n\n\
             ---- {NAME} stdout ----\n{words}\n\nfailures:\n    {NAME}\n\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 14 filtered out; finished in 0.10s\n\n"
        )
    }

    fn judged(words: &str) -> (String, String, String) {
        let failure = failure(section(&said(words), NAME)).unwrap();
        (failure.kind.to_string(), failure.message, failure.detail)
    }

    #[test]
    fn each_verdict_of_rustdoc_has_a_kind_and_a_message() {
        let failed = "Test executable failed (exit status: 1).\n\nstderr:\nError: \"nope\"\n\n";
        for (words, kind, message) in [
            (failed, "error", "Error: \"nope\""),
            (
                "Test executable failed (signal: 6 (SIGABRT)).",
                "exit",
                "Test executable failed (signal: 6 (SIGABRT)).",
            ),
            (
                "Test executable succeeded, but it's marked `should_panic`.",
                "panic",
                "Test executable succeeded, but it's marked `should_panic`.",
            ),
            (
                "Test compiled successfully, but it's marked `compile_fail`.",
                "compile",
                "Test compiled successfully, but it's marked `compile_fail`.",
            ),
            (
                "error[E0308]: mismatched types\nSome expected error codes were not found: [\"E0999\"]",
                "compile",
                "Some expected error codes were not found: [\"E0999\"]",
            ),
        ] {
            let (found, text, _) = judged(words);
            assert_eq!((found.as_str(), text.as_str()), (kind, message));
        }
    }

    #[test]
    fn a_test_that_cannot_be_built_shows_all_that_the_compiler_says_and_shows_it_once() {
        let words = "warning: unused\nerror[E0308]: mismatched types\n --> src/lib.rs:33:13\n\nCouldn't compile the test.";
        let (kind, message, detail) = judged(words);
        assert_eq!(
            (kind.as_str(), message.as_str(), detail.as_str()),
            ("compile", "error[E0308]: mismatched types", words)
        );
        let failure = failure(words).unwrap();
        assert!(output(said(words).as_bytes(), NAME, &Outcome::Failed(failure)).is_empty());
    }

    #[test]
    fn rustdoc_is_asked_for_ignored_tests_unless_each_fence_says_that_it_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let text = "/// ```\n/// a();\n/// ```\n/// ```should_panic, ignore-windows\n/// ```\n///     b();\n";
        std::fs::write(directory.path().join("lib.rs"), text).unwrap();
        let may = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            may_be_ignored(&names, directory.path())
        };
        assert!(!may(&[]) && !may(&["lib.rs - (line 1)"]));
        for other in [
            "lib.rs - (line 4)",
            "lib.rs - (line 6)",
            "lib.rs - (line 9)",
            "gone.rs - (line 1)",
            "a::b",
        ] {
            assert!(may(&["lib.rs - (line 1)", other]), "{other}");
        }
    }

    #[test]
    fn a_failure_without_words_about_the_test_is_left_to_the_caller() {
        assert_eq!(section("error: could not read the crate", NAME), "");
        assert!(failure("").is_none());
    }

    #[test]
    fn one_doc_test_passed_if_all_results_together_say_so() {
        let result = |of: &str| format!("\ntest result: {of}; 0 failed; 0 ignored\n");
        let (one, none) = (result("ok. 1 passed"), result("ok. 0 passed"));
        assert!(
            says_passed(&one) && says_passed(&format!("{one}{none}")) && says_passed(&format!("{none}{one}"))
        );
        for other in [
            none,
            result("FAILED. 1 passed"),
            result("ok. 2 passed"),
            String::new(),
            format!("{one}{one}"),
        ] {
            assert!(!says_passed(&other), "{other}");
        }
    }
}
