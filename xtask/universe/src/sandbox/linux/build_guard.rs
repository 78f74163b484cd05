//! A build guard: a process that runs one command for the runner and, should the runner end first,
//! takes it down with all that it started.
//!
//! For what is not a test: cargo with its compilers, the questions to them. It has what it would
//! have without a guard, and what it leaves when it ends by itself may stay (a compiler cache
//! starts its server this way).

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, set_child_subreaper};

use super::rescue::Rescue;
use super::{remains, sys};
use crate::base::fuse_connections::OwnershipProof;

/// The first argument of a process that is to be a build guard. The others are the command. Its
/// standard input is a pipe that ends when the runner does.
pub(super) const ARGUMENT: &str = "__build_guard";

/// What shells return for a command that cannot be started.
const NOT_STARTED: u8 = 127;

/// The beginning of a command: the program is its first argument, and its standard input must be
/// such a pipe.
pub(crate) fn build_guard() -> Command {
    super::ourselves(ARGUMENT)
}

/// Runs the command that the arguments are; ends as it does.
pub(super) fn run(arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    let [program, arguments @ ..] = arguments else {
        anyhow::bail!("only the test runner starts it");
    };
    // Whoever loses its parent below becomes ours, and is found.
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

/// Ends the command with all that it started.
fn end_all() {
    remains::kill_all(None, &mut Rescue::new(OwnershipProof::Nowhere));
}

/// Waits for the end of the command, or of the runner.
fn attend(mut child: Child, line: &OwnedFd) -> anyhow::Result<ExitCode> {
    let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    loop {
        let mut events = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(line, PollFlags::IN),
        ];
        if poll(&mut events, None).is_err() {
            // A signal that does nothing.
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

/// Of a signal, if it was one.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        kill_process(getpid(), signal).ok();
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
