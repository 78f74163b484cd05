//! `tandem completions`: a completion script for a shell.

use clap_complete::Shell;

use crate::exit::Failure;
use crate::screen;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, mut program: clap::Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "tandem", &mut script);
    screen::write_out(String::from_utf8_lossy(&script).trim_end())
}
