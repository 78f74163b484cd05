//! How the programs of this package end that have nothing to tell but why they failed.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// The exit code of a program; says on standard error why it failed.
pub fn end(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // Nobody is left to tell if that fails.
    let _written = writeln!(io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

/// What a program about mounts does where there are none.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn no_mounts() -> anyhow::Result<()> {
    anyhow::bail!("there are no mounts on this system")
}
