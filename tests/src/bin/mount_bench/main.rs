//! How fast a mount is: one JSON object a line, each with all its runs and their median.
//!
//! The two peers are processes of their own (`peer`), the relay and the one who reads and writes
//! are this one (`lead`). Beside what goes through a mount stands the same work on the directory
//! that the peers keep their files in, in the same run, because only ratios of one run mean
//! something. What is good enough is not decided here.

#[cfg(unix)]
mod args;
#[cfg(unix)]
mod files;
#[cfg(unix)]
mod lead;
#[cfg(unix)]
mod peer;
#[cfg(unix)]
mod plan;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    let outcome = args::run();
    #[cfg(not(unix))]
    let outcome = tandem_tests::program::no_mounts();
    tandem_tests::program::end(outcome)
}
