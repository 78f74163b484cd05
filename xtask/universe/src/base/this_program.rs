//! A command that starts the running program once more.

use std::path::PathBuf;
use std::process::Command;

/// The running program. On Linux this works even if its file was replaced or removed meanwhile, as
/// a build does.
#[must_use]
pub fn command() -> Command {
    if cfg!(target_os = "linux") {
        return Command::new("/proc/self/exe");
    }
    Command::new(path_for_others())
}

/// A path by which other programs can start it while it runs.
pub(crate) fn path_for_others() -> PathBuf {
    if cfg!(target_os = "linux") {
        return format!("/proc/{}/exe", std::process::id()).into();
    }
    let named = || std::env::args_os().next().unwrap_or_default().into();
    std::env::current_exe().unwrap_or_else(|_| named())
}
