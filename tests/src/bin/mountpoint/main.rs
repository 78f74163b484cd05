//! A relay and two connected peers in one process, each mounted, until standard input closes or a
//! signal comes.
//!
//! For other programs that need a mount to work on: conformance suites, and tests that kill the
//! process. Prints one line when it is ready, `mounted`, the path of alice's mount and that of
//! bob's, with tabs between.

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
