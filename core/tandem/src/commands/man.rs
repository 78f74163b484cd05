//! `tandem man`: the manual, made from what `--help` shows.

use clap_mangen::Man;

use crate::exit::{Exit, Failure, OrExit};
use crate::screen::{self, clean};

/// Print the manual page of tandem, or of one of its commands, for `man -l -`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command [default: tandem itself]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

/// Prints the page.
pub(crate) fn run(args: &Args, mut program: clap::Command) -> Result<(), Failure> {
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => {
            let command = program.find_subcommand(name).cloned();
            command.ok_or_else(|| {
                let text = format!("there is no command `{}`", clean(name));
                Failure::new(Exit::Usage, text)
            })?
        }
    };
    let mut text = Vec::new();
    Man::new(page).render(&mut text).or_exit(Exit::LocalDisk)?;
    screen::write_out(String::from_utf8_lossy(&text).trim_end())
}
