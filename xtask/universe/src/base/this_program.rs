//! A command that starts the running program once more.

use std::process::Command;

/// The running program. On Linux this works even if its file was replaced or removed meanwhile, as
/// a build does.
#[must_use]
pub fn command() -> Command {
    if cfg!(target_os = "linux") {
        return Command::new("/proc/self/exe");
    }
    let named = || std::env::args_os().next().unwrap_or_default().into();
    Command::new(std::env::current_exe().unwrap_or_else(|_| named()))
}
