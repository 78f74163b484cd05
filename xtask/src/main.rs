//! `cargo xtask`: what a developer and a CI system run here, as one program.

mod bench;
mod binary;
mod calibration;
mod capability;
mod cargo;
mod ci;
mod clock;
mod compat;
mod completions;
mod config;
mod conformance;
#[cfg(target_os = "linux")]
mod connections;
mod console;
mod cut;
mod demo;
mod discover;
mod doctor;
mod events;
mod exit;
mod filter;
#[cfg(unix)]
mod folder;
mod history;
mod identity;
mod interrupt;
mod isolation;
mod junit;
#[cfg(target_os = "linux")]
mod keeper;
mod leash;
mod libtest;
mod list;
mod lock_file;
mod mounts;
mod mutations;
mod os;
mod ownership;
mod pauses;
mod plan;
mod procfs;
mod profile;
mod regular;
mod removal;
mod repeat;
mod report;
mod reports;
mod run;
mod rundir;
mod runtime;
mod schedule;
mod shortage;
mod shuffle;
mod source;
mod subset;
mod sweep;
mod test;
mod tidy;
mod treatment;
mod variables;
mod workspace;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use exit::{Exit, Stop};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    Test(Box<test::Args>),
    Report(reports::Args),
    Sweep(sweep::Args),
    Completions(completions::Args),
    List(list::Args),
    Demo(demo::Args),
    Ci(ci::Args),
    Doctor(doctor::Args),
    Mutations(mutations::Args),
    Conformance(conformance::Args),
    Bench(bench::Args),
    Compat(compat::Args),
}

/// The command line after the name of the subcommand.
fn words() -> Vec<OsString> {
    std::env::args_os().skip(2).collect()
}

fn main() -> ExitCode {
    os::reset_signals();
    #[cfg(target_os = "linux")]
    if let Some(code) = keeper::run_if_asked() {
        return code;
    }
    let outcome = match variables::parse() {
        Command::Test(args) => test::run(&args, &words()),
        Command::Report(args) => reports::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::List(args) => list::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Mutations(args) => mutations::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Compat(args) => compat::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        // Nothing can be done for someone whose standard error is closed.
        let message = console::plain_text(format!("error: {error:#}").as_bytes());
        writeln!(std::io::stderr(), "{}", console::disarmed(&message)).ok();
        error
            .downcast_ref::<Stop>()
            .map_or(Exit::SetupFailed, |stop| stop.exit)
            .into()
    })
}
