//! `cargo xtask`: what a developer and a CI system run here, as one program.

mod capability;
mod cargo;
mod clock;
mod console;
mod discover;
mod doctor;
mod exit;
mod filter;
mod interrupt;
mod junit;
mod libtest;
mod os;
mod plan;
mod report;
mod run;
mod rundir;
mod shuffle;
mod source;
mod test;
mod workspace;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use exit::{Exit, Stop};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    Test(test::Args),
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    os::reset_signals();
    let outcome = match Command::parse() {
        Command::Test(args) => test::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing can be done for someone whose standard error is closed.
        writeln!(std::io::stderr(), "error: {error:#}").ok();
        error
            .downcast_ref::<Stop>()
            .map_or(Exit::SetupFailed, |stop| stop.exit)
            .into()
    })
}
