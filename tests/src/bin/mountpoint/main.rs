//! A relay and two connected peers in one process, both mounted, until standard input closes or a
//! signal arrives.
//!
//! For other programs that need a mount to work on: conformance suites, and tests that kill the
//! process. When it is ready it prints one line: `mounted`, the path of alice's mount and that of
//! bob's, separated by tabs.

#[cfg(unix)]
mod serve;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    let outcome = serve::run();
    #[cfg(not(unix))]
    let outcome = tandem_tests::program::no_mounts();
    tandem_tests::program::end(outcome)
}
