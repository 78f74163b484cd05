//! What GitHub Actions shows of a run: an annotation at the line of each failure, and the summary
//! of the step.

use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::base::compile_error::CompileError;
use crate::base::disarm::disarmed;
use crate::base::limits::{ANNOTATIONS_MAX, MARKDOWN_LEN_MAX};
use crate::base::text::plain_line;
use crate::report::data::{Case, Report};
use crate::report::markdown;
use crate::report::places::Places;
use crate::runner::console::Console;

/// Writes the annotations and the summary, if the run is on GitHub Actions.
///
/// # Errors
/// When the summary of the step cannot be written.
pub(super) fn write(report: &Report, console: &Console) -> anyhow::Result<()> {
    if is_here() {
        annotations(report).iter().for_each(|line| console.command(line));
    }
    match std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        Some(path) => append_summary(report, Path::new(&path)),
        None => Ok(()),
    }
}

/// Does work that writes to the console directly. GitHub reads no commands in its output.
pub fn without_commands<T>(console: &Console, work: impl FnOnce() -> T) -> T {
    let [stop, go_on] = stop_and_resume();
    if is_here() {
        console.command(&stop);
    }
    let done = work();
    if is_here() {
        console.command(&go_on);
    }
    done
}

/// The commands that make GitHub ignore commands, and accept them again. The word in them cannot be
/// guessed.
fn stop_and_resume() -> [String; 2] {
    let [first, second] = [(); 2].map(|()| RandomState::new().hash_one(()));
    let word = format!("xtask-{first:016x}{second:016x}");
    [format!("::stop-commands::{word}"), format!("::{word}::")]
}

fn is_here() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

/// Workflow commands for the first failures.
fn annotations(report: &Report) -> Vec<String> {
    // The line of a test that was ended with the run has nothing to do with it.
    let failed = report
        .cases()
        .filter(|case| case.failure().is_some() && !case.outcome.is_interrupted());
    let failed = failed.filter_map(|case| annotation(&report.places, case));
    let errors = report.compile_errors.iter();
    let errors = errors.map(|error| compile_error(&report.places, error));
    errors.chain(failed).take(ANNOTATIONS_MAX).collect()
}

fn annotation(places: &Places, case: &Case) -> Option<String> {
    let failure = case.failure()?;
    let file = case.file.as_ref().map(|file| places.file(file));
    let message = format!("{}: {}", failure.kind, failure.message);
    Some(command((file, case.line), &case.title(), &message))
}

fn compile_error(places: &Places, error: &CompileError) -> String {
    let file = error.file.as_ref().map(|file| places.file(Path::new(file)));
    command((file, error.line), "build", &error.headline())
}

fn command((file, line): (Option<String>, Option<u32>), title: &str, message: &str) -> String {
    let place = [
        file.map(|file| format!("file={}", property(&file))),
        line.map(|line| format!("line={line}")),
        Some(format!("title={}", property(title))),
    ];
    let place: Vec<String> = place.into_iter().flatten().collect();
    format!("::error {}::{}", place.join(","), data(&plain_line(message)))
}

/// Escapes text as the toolkit of GitHub Actions does (`@actions/core`, `command.ts`), so that it
/// contains no other command.
fn data(text: &str) -> String {
    disarmed(text)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// As [`data`], for text before the second `::`.
fn property(text: &str) -> String {
    data(&plain_line(text)).replace(':', "%3A").replace(',', "%2C")
}

/// Appends as much as GitHub accepts in addition to the existing text.
fn append_summary(report: &Report, path: &Path) -> anyhow::Result<()> {
    let written = || -> std::io::Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let taken = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let page = markdown::to_markdown(report, MARKDOWN_LEN_MAX.saturating_sub(taken));
        file.write_all(page.as_bytes())
    };
    written().with_context(|| format!("could not append the summary to `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::Outcome;
    use crate::report::examples::{case, failed, interrupted, report};

    #[test]
    fn a_failure_is_marked_at_its_line() {
        let report = report(
            "1",
            vec![
                case("a", Outcome::Passed),
                case("b", failed("100 % wrong")),
                case("c", interrupted()),
            ],
        );
        assert_eq!(
            annotations(&report),
            ["::error file=suite/m.rs,line=12,title=p%3A%3Asuite$m%3A%3Ab::panic: 100 %25 wrong"]
        );
    }

    #[test]
    fn files_are_named_from_the_root_of_the_repository_those_of_a_failed_build_too() {
        let mut report = report("1", vec![case("b", failed("no"))]);
        report.places = Places::new(Path::new("/r"), Path::new("/r/api"), None);
        report.compile_errors = vec![CompileError {
            file: Some("src/lib.rs".to_owned()),
            line: Some(3),
            code: Some("E0308".to_owned()),
            message: "mismatched types".to_owned(),
            text: String::new(),
        }];
        assert_eq!(
            annotations(&report),
            [
                "::error file=api/src/lib.rs,line=3,title=build::error[E0308]: mismatched types",
                "::error file=api/suite/m.rs,line=12,title=p%3A%3Asuite$m%3A%3Ab::panic: no",
            ]
        );
    }

    #[test]
    fn no_part_of_a_name_or_a_message_is_a_command() {
        let evil = "x,y=1::z\n::add-mask::%0A\r::stop-commands::\x1b[0m##[add-mask]a";
        let hit = Case {
            file: Some(evil.into()),
            ..case(evil, failed(evil))
        };
        let lines = annotations(&report("1", vec![hit]));
        assert_eq!(lines.len(), 1);
        assert!(
            !lines[0].contains(['\n', '\r', '\x1b']) && !lines[0].contains("##["),
            "{lines:?}"
        );
        let (head, _) = lines[0].split_at(lines[0].find("::panic").unwrap());
        assert_eq!(
            (head.matches("::").count(), head.matches(',').count()),
            (1, 2),
            "{head}"
        );
    }

    #[test]
    fn commands_are_accepted_again_after_an_unguessable_word() {
        let [stop, go_on] = stop_and_resume();
        let word = stop.strip_prefix("::stop-commands::").unwrap();
        assert_eq!(go_on, format!("::{word}::"));
        assert!(!stop_and_resume()[0].ends_with(word) && !word.contains(':'));
    }

    #[test]
    fn no_more_failures_are_annotated_than_github_shows() {
        let cases = (0..50).map(|number| case(&format!("t{number}"), failed("no")));
        assert_eq!(annotations(&report("1", cases.collect())).len(), ANNOTATIONS_MAX);
    }

    #[test]
    fn the_summary_is_appended_and_both_together_stay_within_the_limit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary");
        std::fs::write(&path, "x".repeat(MARKDOWN_LEN_MAX - 2000)).unwrap();
        let cases = (0..200).map(|number| case(&format!("t{number}"), failed("no")));
        append_summary(&report("1", cases.collect()), &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("xxx") && text.contains("# 0 passed, 200 failed"));
        assert!(text.len() <= MARKDOWN_LEN_MAX, "{}", text.len());
    }
}
