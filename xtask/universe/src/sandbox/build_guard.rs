//! Commands that are no tests and must not outlive the runner either: cargo with its compilers, the
//! questions to them.
//!
//! On Linux each runs below a process that ends it when the runner is gone, however that came about
//! (see `linux::leash`); elsewhere it ends by itself.

use std::io;
use std::process::Command;

use crate::base::os::{self, Pid};

/// What holds a command. When it is dropped, or lost with the runner, the command ends with all
/// that it started.
#[derive(Debug)]
pub(crate) struct Line {
    #[cfg(target_os = "linux")]
    _held: io::PipeWriter,
}

impl Line {
    /// Has the command end now; `leader` is its process, which leads a group.
    pub(crate) fn cut(self, leader: Option<Pid>) {
        if cfg!(not(target_os = "linux")) {
            os::kill_group(leader, os::Kill::Now);
        }
    }
}

/// The same program, arguments, directory and variables, on a leash. Without standard input.
///
/// # Errors
/// When there are no descriptors left.
pub(crate) fn leashed(command: &Command) -> io::Result<(Command, Line)> {
    let (mut leashed, line) = begin(command)?;
    leashed.args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        leashed.current_dir(directory);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => leashed.env(name, value),
            None => leashed.env_remove(name),
        };
    }
    Ok((leashed, line))
}

#[cfg(target_os = "linux")]
fn begin(command: &Command) -> io::Result<(Command, Line)> {
    let (theirs, line) = io::pipe()?;
    let mut leash = crate::sandbox::linux::leash();
    leash.arg(command.get_program()).stdin(theirs);
    Ok((leash, Line { _held: line }))
}

#[cfg(not(target_os = "linux"))]
fn begin(command: &Command) -> io::Result<(Command, Line)> {
    let mut same = Command::new(command.get_program());
    same.stdin(std::process::Stdio::null());
    Ok((same, Line {}))
}
