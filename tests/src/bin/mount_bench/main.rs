//! How fast a mount is: one JSON object a line, each with all its runs and their median.
//!
//! Each of the two peers is a process of its own (`peer`); this process (`lead`) runs the relay,
//! reads and writes. Every measurement through a mount is repeated in the same run on a plain
//! directory beside the peers' files, because only ratios within one run are meaningful. This
//! program doesn't judge its figures.

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
