//! `cargo xtask`: the runner of the tests, and the chores of this repository.

mod chores;

use std::process::ExitCode;

use cargo_universe::Invocation;
use clap::Parser;

use chores::{bench, ci, compat, conformance, demo, mutations, readers, tidy};

/// Test tandem, and do the chores of its repository
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Command {
    #[command(flatten)]
    Universe(cargo_universe::Command),
    Demo(demo::Args),
    Ci(ci::Args),
    Tidy(tidy::Args),
    Mutations(mutations::Args),
    Conformance(conformance::Args),
    Bench(bench::Args),
    Compat(compat::Args),
    Readers(readers::Args),
}

fn main() -> ExitCode {
    let xtask = Invocation {
        command: "cargo xtask",
        package: Some(env!("CARGO_PKG_NAME")),
    };
    cargo_universe::main(xtask, |command: Command| match command {
        Command::Universe(command) => command.run::<Command>(),
        Command::Demo(args) => demo::run(&args),
        Command::Ci(args) => ci::run(&args),
        Command::Tidy(args) => tidy::run(&args),
        Command::Mutations(args) => mutations::run(&args),
        Command::Conformance(args) => conformance::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Compat(args) => compat::run(&args),
        Command::Readers(args) => readers::run(&args),
    })
}
