//! `cargo universe completions SHELL`: prints a completion script for a shell.
//!
//! Shells complete the arguments of a program, not those of a cargo subcommand. So the script is
//! for a function or an alias named like the last word of the command, as the subcommand's help
//! says.

use std::process::ExitCode;

use clap_complete::Shell;

use crate::base::exit::Exit;
use crate::base::invocation::Invocation;
use crate::runner::console;

/// Print a completion script for a shell
///
/// Shells complete the arguments of a program, not of a cargo subcommand. So define an alias named
/// like the last word of the command, for example `alias xtask='cargo xtask'`, and run
///     cargo xtask completions bash > ~/.local/share/bash-completion/completions/xtask
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn run(args: &Args, mut program: clap::Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name(), &mut script);
    console::print_exactly(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success.into())
}

/// The name that the script completes: the last word of the command.
fn name() -> &'static str {
    let command = Invocation::current().command;
    command.rsplit(' ').next().unwrap_or(command)
}

#[cfg(test)]
mod tests {
    use clap::Subcommand as _;

    use super::*;

    #[test]
    fn every_shell_learns_every_subcommand() {
        let command = || crate::Command::augment_subcommands(clap::Command::new("program"));
        let names: Vec<String> = command()
            .get_subcommands()
            .map(|c| c.get_name().to_owned())
            .collect();
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::PowerShell,
            Shell::Elvish,
        ] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command(), name(), &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(names.iter().all(|name| script.contains(name.as_str())), "{shell}");
        }
    }
}
