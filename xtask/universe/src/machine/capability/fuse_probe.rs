//! Stage 2: a child really mounts a file system. This module starts it, limits its time, reads its
//! answer, and cleans up after it.
//!
//! The probe binary decides what it mounts and how (the workspace names the binary in its
//! manifest). The runner never links fuser, which does not even build on a Mac without macFUSE.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Deserialize;

use super::Capability;
use super::storage::fresh_directory;
use crate::base::clock;
use crate::base::limits::{PROBE_ANSWER_LEN_MAX, PROBE_DEATH_TIMEOUT, PROBE_TIMEOUT};
use crate::base::mounts;
use crate::base::os::TEMPORARY;

/// The line that the probe prints.
#[derive(Debug, Deserialize)]
struct Answer {
    capability: String,
    available: bool,
    evidence: String,
}

/// The verdict on `before` after a real attempt. The evidence of stage 1 says how it was mounted,
/// or explains why not.
pub(super) fn confirmed(before: &Capability, probe_binary: Option<&Path>) -> Capability {
    let Some(binary) = probe_binary else {
        return combine(
            before,
            Err(
                "not proven: there is no `workspace.metadata.universe.probe`, or it was not built".to_owned(),
            ),
        );
    };
    let start = clock::now();
    let outcome = attempt(Command::new(binary), PROBE_TIMEOUT);
    let ms = (clock::now() - start).as_millis();
    combine(before, outcome.map(|evidence| format!("{evidence} in {ms} ms")))
}

/// The verdict on `before` after other code has run the probe.
pub(super) fn answered(before: &Capability, outcome: Result<(Vec<u8>, Duration), String>) -> Capability {
    let evidence = outcome.and_then(|(printed, took)| {
        let answer = answer(&printed).unwrap_or_else(|| Err("the probe gave no answer".to_owned()));
        answer.map(|evidence| format!("{evidence} in {} ms", took.as_millis()))
    });
    combine(before, evidence)
}

fn combine(before: &Capability, outcome: Result<String, String>) -> Capability {
    match outcome {
        Ok(evidence) if before.available => {
            Capability::present(before.name.clone(), format!("{}: {evidence}", before.evidence))
        }
        Ok(evidence) => Capability::present(before.name.clone(), evidence),
        Err(_) if !before.available => before.clone(),
        Err(cause) => Capability {
            hint: before.hint.clone(),
            ..Capability::missing(before.name.clone(), format!("{}, but {cause}", before.evidence))
        },
    }
}

/// Runs the probe once; `Ok` is the evidence that it works, `Err` the cause why not.
fn attempt(probe: Command, limit: Duration) -> Result<String, String> {
    let directory =
        fresh_directory().map_err(|error| format!("no directory to mount on could be made: {error}"))?;
    let mut child =
        start(probe, directory.path()).map_err(|error| format!("the probe did not start: {error}"))?;
    let output = child.stdout.take().map(read_to_end);
    let answer = match output.as_ref().map(|output| output.recv_timeout(limit)) {
        Some(Ok(bytes)) => read_answer(&bytes, &mut child),
        _ => Err(format!(
            "the probe mount hung for {} s and was killed",
            limit.as_secs_f32()
        )),
    };
    end(child, output, directory.path());
    match directory.close() {
        Ok(()) => answer,
        Err(error) => answer.and(Err(format!(
            "the probe's directory could not be removed: {error}"
        ))),
    }
}

fn start(mut command: Command, directory: &Path) -> std::io::Result<Child> {
    command
        .arg("fuse")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.envs(TEMPORARY.map(|name| (name, directory)));
    // A process group of its own: a Ctrl-C for the runner must not end it between mounting and
    // unmounting.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn()
}

fn read_to_end(output: ChildStdout) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe is an end of the output like any other. If the receiver is gone, nothing is
        // lost.
        let _read = output.take(PROBE_ANSWER_LEN_MAX).read_to_end(&mut bytes);
        let _sent = sender.send(bytes);
    });
    receiver
}

fn read_answer(bytes: &[u8], child: &mut Child) -> Result<String, String> {
    answer(bytes).unwrap_or_else(|| Err(format!("the probe gave no answer: {}", last_words(child))))
}

/// The answer in the probe's output, if there is one.
fn answer(printed: &[u8]) -> Option<Result<String, String>> {
    let text = String::from_utf8_lossy(printed);
    let mut lines = text.lines().rev();
    let answer = lines.find_map(|line| serde_json::from_str::<Answer>(line).ok())?;
    let Answer {
        capability,
        available,
        evidence,
    } = answer;
    let verdict = if available { Ok(evidence) } else { Err(evidence) };
    (capability == "fuse").then_some(verdict)
}

fn last_words(child: &mut Child) -> String {
    let mut bytes = Vec::new();
    if let Some(errors) = child.stderr.take() {
        let _read = errors.take(PROBE_ANSWER_LEN_MAX).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(str::trim);
    line.map_or_else(|| "it printed nothing".to_owned(), str::to_owned)
}

/// Kills and reaps it if it still runs, and detaches its mounts, so that the directory can be
/// removed.
fn end(mut child: Child, output: Option<mpsc::Receiver<Vec<u8>>>, directory: &Path) {
    // Fails only if the child has already exited, which is fine.
    let _killed = child.kill();
    mounts::detach_below(directory);
    // A dead child closes its output. One that even KILL does not end is left to the process above
    // us, so that this code never hangs.
    let closed = output.is_some_and(|output| {
        !matches!(
            output.recv_timeout(PROBE_DEATH_TIMEOUT),
            Err(mpsc::RecvTimeoutError::Timeout)
        )
    });
    if closed {
        let _status = child.wait();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Attempts with a shell instead of the probe. Not a script file: a sibling test's fork could
    /// keep that busy.
    fn attempt_with(script: &str, limit: Duration) -> Result<String, String> {
        let mut probe = Command::new("sh");
        probe.args(["-c", script]);
        attempt(probe, limit)
    }

    const AMPLE: Duration = Duration::from_secs(20);

    #[test]
    fn an_answer_counts_whatever_else_is_printed() {
        let yes = r#"echo noise; echo '{"capability":"fuse","available":true,"evidence":"mounted"}'"#;
        assert_eq!(attempt_with(yes, AMPLE), Ok("mounted".to_owned()));
        let no = r#"echo '{"capability":"fuse","available":false,"evidence":"EPERM"}'"#;
        assert_eq!(attempt_with(no, AMPLE), Err("EPERM".to_owned()));
    }

    #[test]
    fn an_answer_ends_at_the_limit_of_what_is_read() {
        let answer = r#"{"capability":"fuse","available":true,"evidence":"mounted"}"#;
        let noise = usize::try_from(PROBE_ANSWER_LEN_MAX).unwrap() - answer.len() - "\n".len();
        let after = |noise: usize| {
            let script = format!("head -c {noise} /dev/zero; echo; echo '{answer}'");
            attempt_with(&script, AMPLE)
        };
        assert_eq!(after(noise), Ok("mounted".to_owned()));
        assert!(after(noise + 1).is_err_and(|cause| cause.starts_with("the probe gave no answer")));
    }

    #[test]
    fn a_probe_that_dies_is_quoted() {
        let verdict = attempt_with("echo first >&2; echo 'last words' >&2; exit 3", AMPLE);
        assert_eq!(verdict, Err("the probe gave no answer: last words".to_owned()));
    }

    #[test]
    fn a_probe_that_hangs_is_killed_in_time() {
        let verdict = attempt_with("exec tail -f /dev/null", Duration::from_millis(100));
        assert_eq!(
            verdict,
            Err("the probe mount hung for 0.1 s and was killed".to_owned())
        );
    }

    #[test]
    fn a_probe_that_cannot_start_is_a_cause_like_any_other() {
        let verdict = attempt(Command::new("/nonexistent/probe"), AMPLE);
        assert!(verdict.is_err_and(|cause| cause.starts_with("the probe did not start")));
    }

    #[test]
    fn the_attempt_decides_and_stage_one_explains() {
        let present = Capability::present("fuse", "the device opens");
        let missing = Capability::missing("fuse", "no device");
        assert_eq!(combine(&missing, Ok("read".into())).evidence, "read");
        assert_eq!(
            combine(&present, Ok("read".into())).evidence,
            "the device opens: read"
        );
        assert_eq!(combine(&missing, Err("ENOENT".into())), missing);
        let refused = combine(&present.with_hint("try"), Err("EPERM".into()));
        assert_eq!(refused.hint.as_deref(), Some("try"));
        assert_eq!(
            (refused.available, refused.evidence.as_str()),
            (false, "the device opens, but EPERM")
        );
    }
}
