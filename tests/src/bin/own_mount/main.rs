//! A process that exits while it uses a mount of its own, as a test can. It must not hang.
//!
//! It builds a universe with a mount and ends it as its argument says. Exit code 101 means that it
//! panicked as expected.

#[cfg(unix)]
mod using;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(unix)]
    let outcome = using::run();
    #[cfg(not(unix))]
    let outcome = tandem_tests::program::no_mounts();
    tandem_tests::program::end(outcome)
}
