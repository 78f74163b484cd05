//! `cargo xtask conformance --install`: builds the tools of the checks, in tested versions.
//!
//! They are external programs: run, never linked, and not part of Cargo.lock.

use std::process::ExitCode;

use anyhow::Context;
use xshell::Shell;

use cargo_universe::base::exit::Exit;
use cargo_universe::base::failure_kind::FailureKind;
use cargo_universe::workspace::cargo;
use cargo_universe::workspace::metadata::Workspace;

/// A crate with a binary of the same name, from the registry of Rust packages.
struct Tool {
    package: &'static str,
    version: &'static str,
    /// The advice if the build fails.
    hint: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        package: "fsx",
        version: "0.3.2",
        hint: "it needs only crates; is there a network connection?",
    },
    Tool {
        package: "pjdfstest",
        version: "0.2.2",
        hint: "it needs the headers of libacl: `apt-get install libacl1-dev`",
    },
];

/// Builds each of them, unless it exists. If one does not build, the others still do.
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
