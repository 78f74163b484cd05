//! Commands that are not tests and must not outlive the runner either: cargo with its compilers,
//! and queries to them.
//!
//! On Linux each runs below a process that kills it when the runner dies for any reason (see
//! `linux::build_guard`). On other systems the command ends by itself.

use std::io;
use std::process::Command;

use crate::base::os::{self, Pid};

/// Holds a command. When the line is dropped, or the runner dies, the command ends with everything
/// it started.
#[derive(Debug)]
pub(crate) struct Line {
    #[cfg(target_os = "linux")]
    _held: io::PipeWriter,
}

impl Line {
    /// Ends the command now; `leader` is its process, which leads a group.
    pub(crate) fn cut(self, leader: Option<Pid>) {
        if cfg!(not(target_os = "linux")) {
            os::kill_group(leader, os::Kill::Now);
        }
    }
}

/// The same program, arguments, directory and variables, under a build guard. Without standard
/// input.
///
/// # Errors
/// When no descriptors are left.
pub(crate) fn guarded(command: &Command) -> io::Result<(Command, Line)> {
    let (mut guarded, line) = begin(command)?;
    guarded.args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        guarded.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(name, value),
            None => guarded.env_remove(name),
        };
    }
    Ok((guarded, line))
}

#[cfg(target_os = "linux")]
fn begin(command: &Command) -> io::Result<(Command, Line)> {
    let (theirs, line) = io::pipe()?;
    let mut guard = crate::sandbox::linux::build_guard();
    guard.arg(command.get_program()).stdin(theirs);
    Ok((guard, Line { _held: line }))
}

#[cfg(not(target_os = "linux"))]
fn begin(command: &Command) -> io::Result<(Command, Line)> {
    let mut same = Command::new(command.get_program());
    same.stdin(std::process::Stdio::null());
    Ok((same, Line {}))
}
