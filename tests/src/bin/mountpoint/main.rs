//! A relay and two connected peers in one process, each mounted, until standard input closes or a signal comes.
//!
//! For other programs that need a mount to work on: conformance suites, and tests that kill the process. Prints one line
//! when it is ready, `mounted`, the path of alice's mount and that of bob's, with tabs between.

#[cfg(unix)]
mod serve;

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if that fails.
            let _written = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(unix)]
fn run() -> anyhow::Result<()> {
    serve::run()
}

#[cfg(not(unix))]
fn run() -> anyhow::Result<()> {
    anyhow::bail!("there are no mounts on this system")
}
