//! pjdfstest (the Rust port): what POSIX says of each file system call, one test per sentence.

use std::collections::BTreeMap;

use tokio::process::Command;

use super::check::{Check, FileSystemKind, ProgramOutput, Setting, Verdict};
use super::expected::{Expected, Result};
use crate::chores::limits::PJDFSTEST_TIMEOUT;
use cargo_universe::machine::capability;

/// The expected failures on a mount. On a plain directory everything must pass.
const TABLE: &str = include_str!("../../../conformance/pjdfstest.toml");

/// Users and groups that every Debian and BSD system has. The naps are longer than a tick of the
/// kernel's clock, from which file systems take their times. The port's default of 1 s makes the
/// run take 75 s.
const CONFIGURATION: &str = r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}

[settings]
naptime = 0.05

[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#;

pub(super) const CHECK: Check = Check {
    name: "pjdfstest",
    about: "398 tests of what POSIX says of file system calls",
    needs: &["pjdfstest", "root"],
    limit: PJDFSTEST_TIMEOUT,
    command,
    judge,
};

fn command(setting: &Setting<'_>) -> std::io::Result<Command> {
    let configuration = setting.scratch.join("pjdfstest.toml");
    std::fs::write(&configuration, CONFIGURATION)?;
    let mut command = Command::new(capability::program_path("pjdfstest", setting.tools));
    command
        .current_dir(setting.scratch)
        .env("RUST_BACKTRACE", "0")
        .arg("--configuration-file")
        .arg(configuration)
        .arg("--path")
        .arg(setting.directory);
    if setting.ground != FileSystemKind::Plain {
        // Another file system than the mount: renames and links to it must fail.
        command.arg("--secondary-fs").arg(setting.scratch);
    }
    Ok(command)
}

fn judge(setting: &Setting<'_>, output: &ProgramOutput) -> Verdict {
    let expected = match setting.ground {
        FileSystemKind::Plain => Ok(Expected::default()),
        FileSystemKind::Served | FileSystemKind::Passthrough => Expected::parse(TABLE),
    };
    let results = results(&output.stdout);
    let failure = match (expected, total(&output.stdout)) {
        (Err(error), _) => format!("could not read the table of expectations: {error}"),
        (Ok(expected), Some(count)) if count == results.len() => return expected.judge(&results),
        (Ok(_), Some(count)) => format!(
            "its summary counts {count} tests, but {} results were parsed",
            results.len()
        ),
        (Ok(_), None) => format!("it ended early ({}) after {} tests", output.status, results.len()),
    };
    Verdict {
        failure: Some(failure),
        lines: vec![],
    }
}

/// The result of each test. A line has `name`, spaces, and the result; indented lines after it give
/// the reason.
fn results(stdout: &str) -> BTreeMap<String, Result> {
    let mut results = BTreeMap::new();
    let mut lines = stdout.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, word)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let mut why = || {
            let next = lines.next_if(|next| next.starts_with('\t'));
            next.unwrap_or_default().trim().to_owned()
        };
        let result = match word.trim() {
            "ok" => Result::Passed,
            "FAILED" => Result::Failed(why()),
            "skipped" => Result::Skipped(why()),
            _ => continue,
        };
        if !name.is_empty() {
            results.insert(name.to_owned(), result);
        }
    }
    results
}

/// From `Summary: 0 failed, 22 skipped, 376 passed, 0 expected failures, 398 total`.
fn total(stdout: &str) -> Option<usize> {
    let summary = stdout
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("Summary: "))?;
    let (count, _) = summary.rsplit(", ").next()?.split_once(" total")?;
    count.parse().ok()
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use super::*;

    const OUTPUT: &str = "\
unlink::enoent                                                                ok
unlink::erofs_named                                                      skipped
\tRemounts (allow_remount) are not allowed in the configuration file
chflags::all                                                             skipped
\trequires features: chflags
\tand something else
link::regular                                                             FAILED
\tassertion `left == right` failed
  left: 1
 right: 2

Summary: 1 failed, 2 skipped, 1 passed, 0 expected failures, 4 total
";

    fn judged(ground: FileSystemKind, stdout: &str) -> Verdict {
        let nowhere = Path::new("/nonexistent");
        let setting = Setting {
            ground,
            directory: nowhere,
            scratch: nowhere,
            tools: nowhere,
            seed: 0,
        };
        let output = ProgramOutput {
            status: std::process::ExitStatus::default(),
            stdout: stdout.to_owned(),
            stderr: String::new(),
        };
        judge(&setting, &output)
    }

    #[test]
    fn each_result_is_parsed_with_its_reason() {
        let results = results(OUTPUT);
        assert_eq!(results.len(), 4);
        assert_eq!(results["unlink::enoent"], Result::Passed);
        assert_eq!(
            results["link::regular"],
            Result::Failed("assertion `left == right` failed".to_owned())
        );
        assert_eq!(
            results["chflags::all"],
            Result::Skipped("requires features: chflags".to_owned())
        );
    }

    #[test]
    fn on_a_plain_directory_no_failure_is_expected() {
        let verdict = judged(FileSystemKind::Plain, OUTPUT);
        assert_eq!(verdict.failure.as_deref(), Some("1 of 4 tests not as expected"));
    }

    #[test]
    fn an_incomplete_or_unparsed_run_has_failed() {
        let (cut, _) = OUTPUT.split_once("Summary").unwrap();
        let cut = judged(FileSystemKind::Plain, cut).failure.unwrap();
        assert!(cut.contains("ended early"), "{cut}");
        let strange = judged(FileSystemKind::Plain, &OUTPUT.replace(" ok\n", " fine\n"))
            .failure
            .unwrap();
        assert_eq!(strange, "its summary counts 4 tests, but 3 results were parsed");
    }

    #[test]
    fn the_table_in_the_repository_can_be_read() {
        assert!(Expected::parse(TABLE).is_ok(), "{:?}", Expected::parse(TABLE));
    }
}
