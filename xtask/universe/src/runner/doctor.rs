//! `cargo universe doctor`: facts about this machine and its capabilities, with evidence, for a
//! person or (`--json`) for a script.
//!
//! It only reports. `test` decides what the result means for the suite.

mod machine;
mod page;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tempfile::TempDir;

use crate::base::exit::Exit;
use crate::base::runtime;
use crate::machine::capability::Capabilities;
use crate::machine::capability::detect;
use crate::runner::binary;
use crate::runner::capabilities::try_own;
use crate::runner::console;
use crate::runner::execution::Owner;
use crate::sandbox::isolation::{Isolation, Level, Network};
use crate::workspace::fuse_mode::FuseMode;
use crate::workspace::metadata::Workspace;
use machine::Machine;

/// Version of the JSON document; increases when a field changes its meaning or is removed.
const JSON_VERSION: u32 = 1;

/// Check what this machine can do, with evidence.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Fail with exit code 107 if one of these capabilities is missing
    #[arg(long, value_name = "CAP", value_delimiter = ',', num_args = 1..)]
    pub require: Vec<String>,
    /// Do not mount for real, which needs a small program to be built
    #[arg(long)]
    quick: bool,
    /// Use the workspace of this Cargo.toml instead of the one around the current directory
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

/// All findings; the output is a function of them.
#[derive(Debug, Serialize)]
struct Findings {
    version: u32,
    machine: Machine,
    capabilities: Capabilities,
    /// The features that a build here enables, as `package/feature`.
    features: Vec<String>,
    /// The isolation of tests on this machine.
    isolation: IsolationFound,
    /// Whether `fuse` was tried with a real mount, or only judged by what it needs.
    proven: bool,
    /// Whether the workspace has what mounts for real.
    #[serde(skip)]
    has_probe: bool,
    /// The capabilities in `--require` that this machine lacks.
    missing: Vec<String>,
}

/// The isolation of tests on this machine.
#[derive(Debug, Serialize)]
struct IsolationFound {
    level: &'static str,
    /// The missing part and the reason.
    reason: Option<String>,
    /// The values of `network` that it can give to a test.
    networks: Vec<Network>,
}

impl IsolationFound {
    fn of(owner: &Owner) -> IsolationFound {
        IsolationFound {
            level: owner.level().name(),
            reason: owner.why().map(str::to_owned),
            networks: match owner.level() {
                Level::Box => vec![Network::Box, Network::Own, Network::Host],
                Level::Tree | Level::Group => vec![Network::Host],
            },
        }
    }
}

/// Checks, prints, and returns the exit code: 0, 107 if a required capability is missing, or 2 if
/// one is unknown.
///
/// # Errors
/// When cargo cannot read the workspace, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load(args.manifest_path.as_deref())?;
    let mut capabilities = detect(FuseMode::Auto, &workspace.config);
    if let Some(unknown) = args
        .require
        .iter()
        .find(|name| capabilities.lookup(name).is_none())
    {
        return refuse(unknown, &capabilities);
    }
    let isolation = runtime::block_on(where_tests_run(&workspace, &mut capabilities))??;
    let features = workspace.features(&capabilities.features(&workspace.config));
    if !args.quick {
        let probe = binary::probe(&workspace, &capabilities)?;
        runtime::block_on(mounted(&mut capabilities, probe.as_deref()))??;
    }
    let missing = missing(&args.require, &capabilities);
    let has_probe = workspace.config.probe.is_some();
    let machine = Machine::look(&workspace.target_directory);
    let findings = Findings {
        version: JSON_VERSION,
        machine,
        capabilities,
        features,
        isolation,
        proven: !args.quick && has_probe,
        has_probe,
        missing,
    };
    print(&findings, args.json)?;
    let exit = if findings.missing.is_empty() {
        Exit::Success
    } else {
        Exit::CapabilityMissing
    };
    Ok(exit.into())
}

/// Tries what the workspace describes, where tests will run.
async fn where_tests_run(
    workspace: &Workspace,
    capabilities: &mut Capabilities,
) -> anyhow::Result<IsolationFound> {
    let scratch = scratch()?;
    let owner = Arc::new(Owner::choose(Isolation::Auto, &scratch.path().join("box"))?);
    try_own(capabilities, workspace, &owner).await;
    let isolation = IsolationFound::of(&owner);
    close(owner).await;
    Ok(isolation)
}

/// Mounts for real, where tests will run.
async fn mounted(capabilities: &mut Capabilities, probe: Option<&Path>) -> anyhow::Result<()> {
    let scratch = scratch()?;
    let owner = Owner::choose(Isolation::Auto, &scratch.path().join("box"))?;
    owner.probe(capabilities, probe).await;
    owner.close().await;
    Ok(())
}

fn scratch() -> anyhow::Result<TempDir> {
    tempfile::tempdir().context("could not create a temporary directory")
}

/// Ends what nobody else holds any more.
async fn close(owner: Arc<Owner>) {
    if let Some(owner) = Arc::into_inner(owner) {
        owner.close().await;
    }
}

fn missing(required: &[String], capabilities: &Capabilities) -> Vec<String> {
    let lacks = |name: &String| {
        !capabilities
            .lookup(name)
            .is_some_and(|capability| capability.available)
    };
    required.iter().filter(|name| lacks(name)).cloned().collect()
}

fn refuse(unknown: &str, capabilities: &Capabilities) -> Result<ExitCode> {
    let names = capabilities.iter().map(|capability| capability.name.as_ref());
    let names: Vec<&str> = names.collect();
    writeln!(
        std::io::stderr(),
        "error: there is no capability `{unknown}`\nhint: known capabilities: {}",
        names.join(", ")
    )?;
    Ok(Exit::Usage.into())
}

fn print(findings: &Findings, json: bool) -> Result<()> {
    match json {
        true => {
            let json = serde_json::to_string_pretty(findings);
            console::print_json(&json.context("could not write the findings as JSON")?)?;
        }
        false => console::print(&page::page(findings))?,
    }
    Ok(())
}
