//! `cargo xtask list`: every test, where it stands, what it needs, and whether it would run here.
//!
//! Decides as `test` does, and then runs nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::cargo::BuildArgs;
use crate::console::Console;
use crate::discover::{self, standings};
use crate::exit::{Exit, Stop};
use crate::filter::FilterArgs;
use crate::interrupt::Interrupts;
use crate::plan::{Decision, Form, Plan, Required, Test, Wishes};
use crate::runtime;
use crate::workspace::Workspace;

/// List the tests, and say which of them would run here and why the others would not
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    filter: FilterArgs,
    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    build: BuildArgs,
}

/// One test, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: String,
    binary: String,
    name: &'a str,
    /// Relative to the workspace root; absent where the function was not found.
    file: Option<PathBuf>,
    line: Option<u32>,
    needs: Vec<&'a str>,
    /// Whether it is all of a binary with a harness of its own.
    whole: bool,
    /// Whether `cargo xtask test` would run it on this machine.
    runs: bool,
    /// Why not.
    reason: Option<String>,
}

/// Builds, asks, prints.
///
/// # Errors
/// When there is no workspace, it cannot be built, or no test matches. Exit code 107 if `--fuse on` cannot be had.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    Ok(runtime::block_on(story(args))??.into())
}

async fn story(args: &Args) -> Result<Exit, Stop> {
    let filter = args.filter.parse()?;
    let mut interrupts = Interrupts::listen()?;
    let workspace = Workspace::load(args.build.manifest_path.as_deref())?;
    let capabilities = workspace.detect(args.build.fuse);
    let found = discover::discover(&workspace, capabilities, &args.build, &mut interrupts).await?;
    let standings = standings(&found.capabilities);
    let wishes = args.wishes();
    let plan = Plan::make(found.tests, &filter, &standings, &wishes)?;
    let entries: Vec<Entry<'_>> = plan
        .tests
        .iter()
        .map(|(test, decision)| entry(test, decision))
        .collect();
    let console = Console::new();
    if args.json {
        let json = serde_json::to_string_pretty(&entries).map_err(anyhow::Error::from)?;
        console.line(&json);
    } else {
        entries.iter().for_each(|entry| console.line(&entry.line()));
    }
    match plan.missing(&standings, &wishes.required).is_empty() {
        true => Ok(Exit::Success),
        false => Ok(Exit::CapabilityMissing),
    }
}

impl Args {
    fn wishes(&self) -> Wishes {
        let names = self.build.fuse.required().iter();
        let required = Required {
            names: names.map(|&name| name.to_owned()).collect(),
            ..Required::default()
        };
        Wishes {
            required,
            ..Wishes::default()
        }
    }
}

fn entry<'a>(test: &'a Test, decision: &Decision) -> Entry<'a> {
    let reason = match decision {
        Decision::Run => None,
        Decision::Skip(skip) => Some(skip.reason.clone()),
        Decision::Fail(failure) | Decision::Reject(failure) => Some(failure.message.clone()),
    };
    Entry {
        id: test.id(),
        binary: test.binary.id(),
        name: &test.name,
        file: test.place.as_ref().map(|(file, _)| file.clone()),
        line: test.place.as_ref().map(|(_, line)| *line),
        needs: test.needs(),
        whole: test.form == Form::Whole,
        runs: reason.is_none(),
        reason,
    }
}

impl Entry<'_> {
    /// `id  file:line  [needs x] [skipped: why]`
    fn line(&self) -> String {
        let mut line = self.id.clone();
        if let (Some(file), Some(number)) = (&self.file, self.line) {
            line.push_str(&format!("  {}:{number}", file.display()));
        }
        match &self.reason {
            Some(reason) => line.push_str(&format!("  skipped: {reason}")),
            None if !self.needs.is_empty() => line.push_str(&format!("  needs {}", self.needs.join(", "))),
            None => {}
        }
        line
    }
}
