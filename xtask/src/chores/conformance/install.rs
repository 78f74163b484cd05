//! `cargo xtask conformance --install`: builds the tools that the checks run, at the versions that
//! were tried.
//!
//! They are programs of other people: run, never linked, and no part of Cargo.lock.

use std::process::ExitCode;

use anyhow::Context;
use xshell::Shell;

use cargo_universe::base::exit::Exit;
use cargo_universe::base::failure_kind::FailureKind;
use cargo_universe::workspace::cargo;
use cargo_universe::workspace::metadata::Workspace;

/// A package of the registry of Rust packages with a binary of the same name.
struct Tool {
    package: &'static str,
    version: &'static str,
    /// What to say when it does not build.
    hint: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        package: "fsx",
        version: "0.3.2",
        hint: "it needs nothing but the crates; is there a network?",
    },
    Tool {
        package: "pjdfstest",
        version: "0.2.2",
        hint: "it needs the headers of libacl: `apt-get install libacl1-dev`",
    },
];

/// Builds each of them, unless it is there already. One that does not build does not keep the
/// others from it.
pub(super) fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    let sh = Shell::new().context("could not read the current directory")?;
    let root = workspace.target_directory.join("xtask").join("tools");
    let mut failures = Vec::new();
    for Tool {
        package,
        version,
        hint,
    } in TOOLS
    {
        let command = cargo::command(&sh)
            .args(["install", "--locked", "--root"])
            .arg(&root)
            .arg(format!("{package}@{version}"));
        if let Err(error) = command.run() {
            failures.push(format!("{error}\nhint: {hint}"));
        }
    }
    if failures.is_empty() {
        return Ok(Exit::Success.into());
    }
    Err(
        cargo_universe::base::exit::Stop::new(Exit::BuildFailed, FailureKind::Build, failures.join("\n"))
            .into(),
    )
}
