//! The protocol of libtest, the harness that rustc links into test binaries: lists tests and reads
//! the result of one.
//!
//! Reads only what stable Rust prints. If libtest prints something differently one day, a reason or
//! a location is lost, never a verdict: a test passes only if its process exits with 0 *and*
//! libtest says that one test passed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::limits::NAMES_LEN_MAX;
use crate::runner::doc_tests;
use crate::runner::execution::Asker;
use crate::select::ignore::Ignore;

/// A test as its binary lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    /// `module::function`.
    pub(crate) name: String,
    /// The reason in `#[ignore]`, if the test has the attribute.
    pub(crate) ignore: Ignore,
}

/// A binary that can list its tests.
pub(crate) struct Asked<'a, C> {
    pub(crate) id: &'a str,
    /// Creates a new command that runs it in the environment of its tests.
    pub(crate) command: C,
    pub(crate) asker: &'a Asker,
    /// Time limit of each answer.
    pub(crate) limit: Duration,
}

/// Lists the tests of a binary.
pub(crate) async fn list(binary: &Asked<'_, impl Fn() -> Command>) -> Result<Vec<Listed>, Stop> {
    let all = names(&ask(binary, &LIST).await?);
    annotated(binary, all).await
}

/// The same for a binary that may not support `--list`; `None` if its answer is not a list.
pub(crate) async fn list_if_understood(binary: &Asked<'_, impl Fn() -> Command>) -> Option<Vec<Listed>> {
    let answer = ask(binary, &LIST).await.ok()?;
    let all = is_list(&answer).then(|| names(&answer))?;
    annotated(binary, all).await.ok()
}

/// Lists the doc tests of a library; the binary is rustdoc, and runs in this directory. Doc tests
/// are ignored without a reason.
pub(crate) async fn list_doc_tests(
    binary: &Asked<'_, impl Fn() -> Command>,
    directory: &Path,
) -> Result<Vec<Listed>, Stop> {
    let hint = |stop: Stop| stop.with_hint("`--no-doc` leaves the doc tests out");
    let all = names(&ask(binary, &doc_tests::LIST).await.map_err(hint)?);
    let ignored = match doc_tests::may_be_ignored(&all, directory) {
        true => names(&ask(binary, &doc_tests::LIST_IGNORED).await.map_err(hint)?),
        false => Vec::new(),
    };
    Ok(annotate(all, &ignored.into_iter().collect(), &BTreeMap::new()))
}

/// The arguments that list the tests of a binary.
const LIST: [&str; 3] = ["--list", "--format", "terse"];

/// Whether this is libtest's answer: at least one line, and each line names a test or a benchmark.
fn is_list(answer: &str) -> bool {
    let is_entry = |line: &str| line.ends_with(": test") || line.ends_with(": benchmark");
    !answer.trim().is_empty() && answer.lines().all(is_entry)
}

async fn annotated(binary: &Asked<'_, impl Fn() -> Command>, all: Vec<String>) -> Result<Vec<Listed>, Stop> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let ignored = names(&ask(binary, &[&LIST[..], &["--ignored"]].concat()).await?);
    let mut reasons = BTreeMap::new();
    for batch in batches(&ignored) {
        // Without `--ignored` libtest prints these tests and does not run them. The names must be
        // those of ignored tests only: others would run.
        let mut args = vec!["--exact", "--format", "pretty"];
        args.extend(batch.iter().map(String::as_str));
        reasons.extend(ignore_reasons(&ask(binary, &args).await?));
    }
    Ok(annotate(all, &ignored.into_iter().collect(), &reasons))
}

async fn ask(binary: &Asked<'_, impl Fn() -> Command>, args: &[&str]) -> Result<String, Stop> {
    let mut command = (binary.command)();
    command.args(args);
    let answer = binary.asker.ask(command, binary.limit).await;
    let output = answer.map_err(|why| refused(binary.id, &why, &[]))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let what = format!("`{}` ended with {}", args.join(" "), output.status);
    Err(refused(binary.id, &what, &output.stderr))
}

fn refused(id: &str, what: &str, stderr: &[u8]) -> Stop {
    let message = format!("could not list the tests of `{id}`: {what}");
    let detail = crate::base::text::report_text(stderr);
    Stop {
        detail,
        ..Stop::new(Exit::ListFailed, FailureKind::List, message)
    }
}

/// The names in `module::function: test` lines.
fn names(listing: &str) -> Vec<String> {
    listing
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

/// Divides names among command lines. No batch is empty: libtest would run everything.
fn batches(names: &[String]) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut len = 0;
    for name in names {
        len += name.len() + 1;
        match batches.last_mut() {
            Some(batch) if len <= NAMES_LEN_MAX => batch.push(name.clone()),
            _ => {
                len = name.len() + 1;
                batches.push(vec![name.clone()]);
            }
        }
    }
    batches
}

/// The reasons in `test module::function ... ignored, REASON` lines.
fn ignore_reasons(output: &str) -> BTreeMap<String, String> {
    let reason = |line: &str| {
        let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored, ")?;
        Some((without_annotation(name).to_owned(), reason.trim().to_owned()))
    };
    output.lines().filter_map(reason).collect()
}

/// libtest shows `NAME - should panic` where the list says `NAME`.
fn without_annotation(name: &str) -> &str {
    name.split_once(" - ").map_or(name, |(name, _)| name)
}

fn annotate(all: Vec<String>, ignored: &BTreeSet<String>, reasons: &BTreeMap<String, String>) -> Vec<Listed> {
    let ignore = |name: &String| match (ignored.contains(name), reasons.get(name)) {
        (false, _) => Ignore::No,
        (true, Some(reason)) if !reason.is_empty() => Ignore::Because(reason.clone()),
        (true, Some(_) | None) => Ignore::Bare,
    };
    all.into_iter()
        .map(|name| Listed {
            ignore: ignore(&name),
            name,
        })
        .collect()
}

/// The arguments that run exactly one test, uncaptured, because the runner captures. Only arguments
/// that forks of libtest also accept.
pub(crate) fn run_arguments<'a>(name: &'a str, ignore: &Ignore) -> Vec<&'a str> {
    let mut arguments = vec![name, "--exact", "--nocapture", "--format=terse"];
    arguments.extend((*ignore != Ignore::No).then_some("--ignored"));
    arguments
}

/// Whether libtest's last line in `stdout` says that the one test passed.
pub(crate) fn says_passed(stdout: &[u8]) -> bool {
    summary_start(stdout).is_some_and(|at| stdout.get(at..).unwrap_or_default().starts_with(PASSED))
}

const HEADER: &[u8] = b"\nrunning 1 test\n";
const SUMMARY: &[u8] = b"\ntest result: ";
const PASSED: &[u8] = b"\ntest result: ok. 1 passed;";

fn summary_start(stdout: &[u8]) -> Option<usize> {
    rfind(stdout, SUMMARY)
}

/// The test's own output: `stdout` without libtest's frame.
pub(crate) fn unframed<'a>(stdout: &'a [u8], name: &str) -> &'a [u8] {
    let body = stdout.strip_prefix(HEADER).unwrap_or(stdout);
    let failed = format!("{name} --- FAILED\n");
    if let Some(at) = rfind(body, failed.as_bytes()) {
        return body.get(..at).unwrap_or(body);
    }
    match summary_start(body) {
        // Before the summary of a test that passed there is one dot.
        Some(at) => body
            .get(..at)
            .map_or(body, |own| own.strip_suffix(b".").unwrap_or(own)),
        None => body,
    }
}

/// libtest's own message about a failure, such as "test did not panic as expected".
pub(crate) fn note(stdout: &[u8]) -> Option<String> {
    let at = rfind(stdout, b"\nfailures:\n\n----")?;
    let text = String::from_utf8_lossy(stdout.get(at..)?).into_owned();
    let (_, note) = text.split_once("\nnote: ")?;
    let more = note.split_inclusive('\n').skip(1);
    let more: String = more.take_while(|line| line.starts_with(' ')).collect();
    Some(format!("{}\n{more}", note.lines().next()?).trim_end().to_owned())
}

fn rfind(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .rposition(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_lines_that_end_in_test() {
        assert_eq!(
            names("a::b: test\nc: benchmark\nd: test\n\n2 tests, 1 benchmark\n"),
            ["a::b", "d"]
        );
    }

    #[test]
    fn the_answer_of_another_harness_is_not_a_list() {
        assert!(is_list("a::b: test\nsome case (fast): test\nc: benchmark\n"));
        for other in ["", "\n", "running everything\nall fine\n", "a: test\nhello\n"] {
            assert!(!is_list(other), "{other:?}");
        }
    }

    #[test]
    fn reasons_are_read_with_and_without_annotation() {
        let output = "\nrunning 3 tests\ntest a ... ignored, needs fuse\ntest b ... ignored\ntest c - should panic ... ignored, x, y\n";
        let reasons = ignore_reasons(output);
        assert_eq!(reasons.get("a").map(String::as_str), Some("needs fuse"));
        assert_eq!(reasons.get("b"), None);
        assert_eq!(reasons.get("c").map(String::as_str), Some("x, y"));
    }

    #[test]
    fn an_empty_reason_counts_as_none() {
        let reasons = ignore_reasons("test a ... ignored, \ntest b ... ignored, slow\n");
        let names = ["a", "b"].map(str::to_owned);
        let listed = annotate(names.to_vec(), &names.into_iter().collect(), &reasons);
        let ignores: Vec<&Ignore> = listed.iter().map(|test| &test.ignore).collect();
        assert_eq!(ignores, [&Ignore::Bare, &Ignore::Because("slow".to_owned())]);
    }

    #[test]
    fn no_batch_is_empty_or_longer_than_a_command_line() {
        let names: Vec<String> = (0..5000).map(|n| format!("module::test_number_{n}")).collect();
        let batches = batches(&names);
        assert!(super::batches(&[]).is_empty());
        assert!(batches.iter().all(|batch| !batch.is_empty()));
        assert!(
            batches
                .iter()
                .all(|batch| batch.iter().map(|n| n.len() + 1).sum::<usize>() <= NAMES_LEN_MAX)
        );
        assert_eq!(batches.concat(), names);
    }

    #[test]
    fn a_command_line_takes_names_up_to_the_limit_and_not_one_byte_more() {
        let half = NAMES_LEN_MAX / 2;
        let of = |first: usize| batches(&["a".repeat(first - 1), "b".repeat(half - 1)]).len();
        assert_eq!(of(NAMES_LEN_MAX - half), 1);
        assert_eq!(of(NAMES_LEN_MAX - half + 1), 2);
    }

    #[test]
    fn only_libtests_summary_counts_as_passed() {
        let passed = b"\nrunning 1 test\nhello.\ntest result: ok. 1 passed; 0 failed; finished in 0.00s\n\n";
        assert!(says_passed(passed));
        assert_eq!(unframed(passed, "a"), b"hello");
        assert!(!says_passed(b"\nrunning 1 test\n"));
        assert!(!says_passed(
            b"\nrunning 1 test\ni\ntest result: ok. 0 passed; 0 failed; 1 ignored;"
        ));
        assert!(!says_passed(
            b"\ntest result: ok. 1 passed; (forged)\na --- FAILED\n\ntest result: FAILED. 0 passed;"
        ));
    }

    #[test]
    fn the_frame_of_a_failure_is_removed_too() {
        let failed = b"\nrunning 1 test\nout\na::b --- FAILED\n\nfailures:\n\n---- a::b stdout ----\n\
            note: test did not panic as expected at src/a.rs:8:28\n\nfailures:\n    a::b\n\ntest result: FAILED. 0";
        assert_eq!(unframed(failed, "a::b"), b"out\n");
        assert_eq!(
            note(failed).as_deref(),
            Some("test did not panic as expected at src/a.rs:8:28")
        );
        assert_eq!(unframed(b"cut off", "a"), b"cut off");
    }
}
