//! fsx: random operations on one file, each compared with the expected content.

use tokio::process::Command;

use super::check::{Check, ProgramOutput, Setting, Verdict};
use crate::chores::limits::{FSX_MESSAGE_LEN_MAX, FSX_TIMEOUT};
use cargo_universe::machine::capability;

const OPERATION_COUNT: u32 = 100_000;

/// A fixed seed: the same operations in every run.
const FIXED_SEED: u64 = 42;

/// The last line of an fsx that found nothing wrong.
const SUCCESS: &str = "All operations completed A-OK!";

pub(super) const FIXED: Check = Check {
    name: "fsx",
    about: "100,000 operations on one file, the same in every run",
    needs: &["fsx"],
    limit: FSX_TIMEOUT,
    command: |setting| Ok(command(setting, FIXED_SEED)),
    judge: |_, output| judge(output, FIXED_SEED),
};

pub(super) const RANDOM: Check = Check {
    name: "fsx_random",
    about: "100,000 operations on one file, others in every run",
    needs: &["fsx"],
    limit: FSX_TIMEOUT,
    command: |setting| Ok(command(setting, setting.seed)),
    judge: |setting, output| judge(output, setting.seed),
};

fn command(setting: &Setting<'_>, seed: u64) -> Command {
    let mut command = Command::new(capability::program_path("fsx", setting.tools));
    command
        .current_dir(setting.scratch)
        // Where it writes the expected file and the log, if the two differ.
        .arg("-P")
        .arg(setting.scratch)
        .args(["-S", &seed.to_string(), "-N", &OPERATION_COUNT.to_string()])
        .arg(setting.directory.join("file"));
    command
}

fn judge(output: &ProgramOutput, seed: u64) -> Verdict {
    let succeeded = output.status.success() && output.stdout.contains(SUCCESS);
    let failure = (!succeeded).then(|| {
        let lines = output.stderr.lines().chain(output.stdout.lines());
        let first = lines.map(str::trim).find(|line| !line.is_empty());
        let first: String = first
            .unwrap_or("it printed nothing")
            .chars()
            .take(FSX_MESSAGE_LEN_MAX)
            .collect();
        format!("with seed {seed}, {}: {first}", output.status)
    });
    Verdict {
        failure,
        lines: vec![],
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    fn output(code: i32, stdout: &str, stderr: &str) -> ProgramOutput {
        ProgramOutput {
            status: ExitStatus::from_raw(code << 8),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
        }
    }

    #[test]
    fn only_fsxs_last_line_and_a_clean_exit_are_a_success() {
        let good = format!("{SUCCESS}\n");
        assert_eq!(judge(&output(0, &good, ""), 1).failure, None);
        assert!(judge(&output(1, &good, ""), 1).failure.is_some());
        assert!(judge(&output(0, "", ""), 1).failure.is_some());
    }

    #[test]
    fn a_failure_names_the_seed_and_the_message() {
        let failure = judge(&output(1, "", "\n[ERROR fsx] miscompare: offset= 0x1\n"), 7).failure;
        assert_eq!(
            failure.as_deref(),
            Some("with seed 7, exit status: 1: [ERROR fsx] miscompare: offset= 0x1")
        );
    }
}
