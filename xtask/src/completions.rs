//! `cargo xtask completions SHELL`: prints a script that teaches a shell our words.
//!
//! Shells complete the words of a program and not those of a cargo alias: the script is for a function or an alias that is
//! called `xtask`, as the help of this subcommand says.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Command;
use crate::console;
use crate::exit::Exit;

/// What the words are completed after.
const NAME: &str = "xtask";

/// Print a completion script for a shell
///
/// Shells complete the words of a program called `xtask`, for example of `alias xtask='cargo xtask'`:
///     cargo xtask completions bash > ~/.local/share/bash-completion/completions/xtask
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    shell: Shell,
}

/// Prints.
///
/// # Errors
/// When standard output cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Command::command(), NAME, &mut script);
    console::print_exactly(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_learns_every_subcommand() {
        let names: Vec<String> = Command::command()
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
            clap_complete::generate(shell, &mut Command::command(), NAME, &mut script);
            let script = String::from_utf8(script).unwrap();
            assert!(names.iter().all(|name| script.contains(name.as_str())), "{shell}");
        }
    }
}
