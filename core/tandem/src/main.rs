//! `tandem`: the command with which two people share a folder.

mod attend;
mod brought;
mod card;
mod commands;
mod control;
mod edit;
mod event;
mod exit;
mod fetch;
mod follow;
mod home;
mod join;
mod limits;
mod listing;
mod pair;
mod place;
mod relay_here;
mod report;
mod running;
mod screen;
mod share;
mod shares;
mod signals;
mod target;
mod up;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use tracing_subscriber::EnvFilter;

use crate::event::Event;
use crate::exit::{Exit, Failure, OrExit};
use crate::screen::{Format, Volume};
use crate::signals::Signals;

/// Share a folder with one other person, encrypted, directly from machine to machine
#[derive(Debug, Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Args {
    /// Write one line of JSON for each event and answer to standard output
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but errors and what you asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more; the same as `--log info`
    #[arg(short, long, global = true)]
    verbose: bool,
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
    Status(commands::status::Args),
    Ls(commands::ls::Args),
    Get(commands::get::Args),
    Put(commands::put::Args),
    Mv(commands::mv::Args),
    Rm(commands::rm::Args),
    Mount(commands::mount::Args),
    Stop(commands::stop::Args),
    Forget(commands::forget::Args),
    Peers(commands::peers::Args),
    Doctor(commands::doctor::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}

const AFTER_HELP: &str = "\
A share has a name on each machine. `photos:in/a.jpg` is a file in the share `photos`; `:in/a.jpg` is the same \
if it is your only share.\n\n\
Exit codes: 0 done, 2 usage, 3 peer, relay or running share not reached, 4 refused (code used, expired, unknown), \
5 incomplete, 6 local disk, 7 mount, 130 Ctrl-C, 143 SIGTERM";

fn main() -> ExitCode {
    let args = Args::parse();
    choose_output(&args);
    let ended = tokio::runtime::Runtime::new()
        .or_exit(Exit::LocalDisk)
        .and_then(|runtime| {
            let ended = runtime.block_on(run(&args.command));
            // A question that nobody answers would keep the process.
            runtime.shutdown_background();
            ended
        });
    let failure = ended.err();
    if let Some(Failure {
        exit,
        text: Some(text),
    }) = &failure
    {
        let exit = exit.number();
        screen::say_always(format_args!("error: {text}"));
        screen::report(&Event::Error { exit, text });
    }
    let exit = failure.map_or(0, |failure| failure.exit.number());
    screen::report(&Event::Done { exit });
    ExitCode::from(exit)
}

fn choose_output(args: &Args) {
    let format = if args.json { Format::Json } else { Format::Text };
    let volume = if args.quiet { Volume::Quiet } else { Volume::Normal };
    screen::choose(format, volume);
    let filter = if args.verbose { "info" } else { args.log.as_str() };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .init();
}

async fn run(command: &Command) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    match command {
        Command::Share(args) => share::run(args, &mut signals).await,
        Command::Join(args) => join::run(args, &mut signals).await,
        Command::Up(args) => up::run(args, &mut signals).await,
        Command::Mount(args) => commands::mount::run(args, &mut signals).await,
        Command::Completions(args) => commands::completions::run(args, Args::command()),
        Command::Man(args) => commands::man::run(args, Args::command()),
        command => signals.until(ask(command)).await.result(),
    }
}

/// The commands that a signal ends at once.
async fn ask(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Status(args) => commands::status::run(args).await,
        Command::Ls(args) => commands::ls::run(args).await,
        Command::Get(args) => commands::get::run(args).await,
        Command::Put(args) => commands::put::run(args).await,
        Command::Mv(args) => commands::mv::run(args).await,
        Command::Rm(args) => commands::rm::run(args).await,
        Command::Stop(args) => commands::stop::run(args).await,
        Command::Forget(args) => commands::forget::run(args).await,
        Command::Peers(args) => commands::peers::run(args).await,
        Command::Doctor(args) => commands::doctor::run(args).await,
        Command::Share(_)
        | Command::Join(_)
        | Command::Up(_)
        | Command::Mount(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(()),
    }
}
