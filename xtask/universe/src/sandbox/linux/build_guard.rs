//! A build guard: a process that runs one command for the runner and, if the runner dies first,
//! kills the command with everything it started.
//!
//! For commands that are not tests: cargo with its compilers, and queries to them. The command has
//! the same environment as without a guard. Processes that it leaves when it exits by itself may
//! stay (this is how a compiler cache starts its server).

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, set_child_subreaper};

use super::rescue::Rescue;
use super::{leftovers, sys};
use crate::base::fuse_connections::OwnershipProof;

/// The first argument of a build guard. The other arguments are the command. Its standard input is
/// a pipe that closes when the runner dies.
pub(super) const ARGUMENT: &str = "__build_guard";

/// The exit code of shells for a command that cannot be started.
const NOT_STARTED: u8 = 127;

/// The command line of a guard: the caller appends the command, and passes such a pipe as standard
/// input.
pub(crate) fn build_guard() -> Command {
    super::ourselves(ARGUMENT)
}

/// Runs the command in the arguments, and exits as it does.
pub(super) fn run(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = arguments else {
        anyhow::bail!("only the test runner may start it");
    };
    // Descendants that lose their parent become children of this process, so it finds them.
    set_child_subreaper(Some(getpid()))?;
    let line = sys::take_stdin()?;
    match Command::new(program).args(arguments).spawn() {
        Ok(child) => attend(child, &line).inspect_err(|_| end_all()),
        Err(error) => {
            writeln!(
                io::stderr(),
                "error: could not start `{}`: {error}",
                program.display()
            )
            .ok();
            Ok(NOT_STARTED.into())
        }
    }
}

/// Kills the command with everything it started. When the runner dies while a process of our group
/// is stopped for that, the kernel sends the group SIGHUP, which must not end us before our work.
fn end_all() {
    sys::disregard_signals();
    leftovers::kill_all(None, &mut Rescue::new(OwnershipProof::Nowhere));
}

/// Waits until the command exits, or the runner dies.
fn attend(mut child: Child, line: &OwnedFd) -> anyhow::Result<ExitCode> {
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    loop {
        let mut events = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(line, PollFlags::IN),
        ];
        if poll(&mut events, None).is_err() {
            // A signal without effect.
            continue;
        }
        match events.map(|event| !event.revents().is_empty()) {
            [true, _] => return Ok(end_as(child.wait()?)),
            [false, true] => {
                end_all();
                return Ok(ExitCode::FAILURE);
            }
            [false, false] => {}
        }
    }
}

/// Ends this process by the same signal, if the command died of one.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        kill_process(getpid(), signal).ok();
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
