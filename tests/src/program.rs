//! The exit of the programs of this package: they report only why they failed.

use std::io::{self, Write as _};
use std::process::ExitCode;

/// The exit code of a program; prints on standard error why it failed.
pub fn end(outcome: anyhow::Result<()>) -> ExitCode {
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    // If stderr is closed too, the exit code still reports the failure.
    let _written = writeln!(io::stderr(), "error: {error:#}");
    ExitCode::FAILURE
}

/// What a program about mounts does on a system without mounts.
///
/// # Errors
/// Always.
#[cfg(not(unix))]
pub fn no_mounts() -> anyhow::Result<()> {
    anyhow::bail!("tandem can't mount on this system")
}
