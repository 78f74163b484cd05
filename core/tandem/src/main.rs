//! `tandem`: the command with which two people share a folder.

mod brought;
mod card;
mod exit;
mod follow;
mod home;
mod join;
mod limits;
mod pair;
mod place;
mod relay_here;
mod running;
mod screen;
mod share;
mod shares;
mod signals;
mod up;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::exit::{Exit, Failure, OrExit};
use crate::screen::say;
use crate::signals::Signals;

/// Share a folder with one other person, encrypted, directly from machine to machine
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Args {
    /// Write a log of what happens to standard error, e.g. `info` or `debug`
    #[arg(
        long,
        value_name = "FILTER",
        default_value = "error",
        env = "TANDEM_LOG",
        global = true
    )]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Share(share::Args),
    Join(join::Args),
    Up(up::Args),
}

const EXIT_CODES: &str = "Exit codes: 0 done, 2 usage, 3 peer or relay not reached, 4 refused (code used, \
                          expired, unknown), 5 incomplete, 6 local disk, 7 mount, 130 Ctrl-C, 143 SIGTERM";

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&args.log))
        .with_writer(std::io::stderr)
        .init();
    let ended = tokio::runtime::Runtime::new()
        .or_exit(Exit::LocalDisk)
        .and_then(|runtime| {
            let ended = runtime.block_on(run(&args.command));
            // A question that nobody answers would keep the process.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { exit, text }) => {
            if let Some(text) = text {
                say(format_args!("error: {text}"));
            }
            exit.into()
        }
    }
}

async fn run(command: &Command) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    match command {
        Command::Share(args) => share::run(args, &mut signals).await,
        Command::Join(args) => join::run(args, &mut signals).await,
        Command::Up(args) => up::run(args, &mut signals).await,
    }
}
