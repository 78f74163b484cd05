//! `cargo universe`: the runner as a subcommand of cargo, for any workspace.

use std::process::ExitCode;

use cargo_universe::Invocation;
use clap::Parser;

/// Run the tests of a workspace, each in its own process, and remove what they leave behind
#[derive(Debug, Parser)]
#[command(bin_name = "cargo universe", version)]
enum Program {
    #[command(flatten)]
    Universe(cargo_universe::Command),
}

fn main() -> ExitCode {
    let universe = Invocation {
        command: "cargo universe",
        package: None,
    };
    cargo_universe::main(universe, |Program::Universe(command)| command.run::<Program>())
}
