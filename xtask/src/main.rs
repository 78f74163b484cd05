//! `cargo xtask`: what a developer and a CI system run here, as one program.

mod capability;
mod doctor;
#[cfg_attr(not(test), expect(dead_code, reason = "the runner will call it"))]
mod junit;
#[cfg_attr(not(test), expect(dead_code, reason = "the runner will fill it in"))]
mod report;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Doctor(args) => doctor::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing can be done for someone whose standard error is closed.
        let _written = writeln!(std::io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}
