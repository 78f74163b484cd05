//! A process that ends while it uses a mount of its own, as a test can. It must end all the same.
//!
//! It has a universe with a mount, and does what its argument says. Exit code 101 means that it
//! panicked, as it should.

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
