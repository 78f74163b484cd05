//! `cargo universe doctor`: facts about this machine and its capabilities, with evidence, for a
//! person or (`--json`) for a script.
//!
//! It only reports. `test` decides what the result means for the suite.

mod machine;
mod page;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::base::exit::Exit;
use crate::base::runtime;
use crate::machine::capability::Capabilities;
use crate::machine::capability::detect_for;
use crate::runner::binary;
use crate::runner::console;
use crate::runner::execution::Owner;
use crate::sandbox::isolation::Isolation;
use crate::workspace::fuse_mode::FuseMode;
use crate::workspace::metadata::Workspace;
use machine::Machine;

/// Version of the JSON document; increases when a field changes its meaning or is removed.
const JSON_VERSION: u32 = 1;

/// Check what this machine can do, with evidence.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Fail with exit code 107 if one of these capabilities is missing.
    #[arg(long, value_name = "CAP", value_delimiter = ',', num_args = 1..)]
    pub require: Vec<String>,
    /// Skip the real mount, which needs a small program to be built.
    #[arg(long)]
    quick: bool,
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
    /// Whether a real mount proved `fuse`, instead of a check of its requirements only.
    proven: bool,
    /// The capabilities in `--require` that this machine lacks.
    missing: Vec<String>,
}

/// The isolation of tests on this machine.
#[derive(Debug, Serialize)]
struct IsolationFound {
    level: &'static str,
    /// The missing part and the reason.
    reason: Option<String>,
}

impl IsolationFound {
    fn of(owner: &Owner) -> IsolationFound {
        IsolationFound {
            level: owner.level().name(),
            reason: owner.why().map(str::to_owned),
        }
    }
}

/// Checks, prints, and returns the exit code: 0, 107 if a required capability is missing, or 2 if
/// one is unknown.
///
/// # Errors
/// When cargo cannot read the workspace, or the output cannot be written.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::load(None)?;
    let mut capabilities = detect_for(&workspace, FuseMode::Auto);
    if let Some(unknown) = args
        .require
        .iter()
        .find(|name| capabilities.lookup(name).is_none())
    {
        return refuse(unknown, &capabilities);
    }
    let features = workspace.features(&capabilities.features(&workspace.config));
    let probe = match args.quick {
        true => None,
        false => binary::probe(&workspace, &capabilities)?,
    };
    let scratch = tempfile::tempdir().context("could not create a temporary directory")?;
    let isolation = runtime::block_on(async {
        let owner = Owner::choose(Isolation::Auto, &scratch.path().join("box"))?;
        let isolation = IsolationFound::of(&owner);
        if !args.quick {
            owner.probe(&mut capabilities, probe.as_deref()).await;
        }
        owner.close().await;
        anyhow::Ok(isolation)
    })??;
    let missing = missing(&args.require, &capabilities);
    let machine = Machine::look(&workspace.target_directory);
    let findings = Findings {
        version: JSON_VERSION,
        machine,
        capabilities,
        features,
        isolation,
        proven: !args.quick,
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
