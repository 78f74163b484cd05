//! `cargo universe list`: every test, its location, what it needs, and whether it would run here.
//!
//! Decides as `test` does, but runs nothing. `cargo universe test --list` and `--dry-run` do the
//! same with the options of `test`.

mod entry;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use crate::base::clock;
use crate::base::exit::{Exit, Stop};
use crate::base::interrupt::Interrupts;
use crate::base::runtime;
use crate::base::terminal::Colour;
use crate::base::text::counted;
use crate::report::events::Events;
use crate::runner::archive::ArchiveArgs;
use crate::runner::console::{self, Console};
use crate::runner::discover::{self, HeadStart, Means};
use crate::runner::execution::Owner;
use crate::runner::planning::PlanRequest;
use crate::sandbox::isolation::Isolation;
use crate::select::filter::FilterArgs;
use crate::select::plan::{Ignored, Plan, PlanOptions};
use crate::select::subset::SubsetArgs;
use crate::workspace::cargo::BuildArgs;
use crate::workspace::metadata::Workspace;
use entry::Entry;

/// List the tests: which of them would run here, and why the others would not
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    /// Which tests.
    pub filter: FilterArgs,
    /// Print one JSON document instead of lines
    #[arg(long)]
    json: bool,
    /// Colour what cargo prints
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Colour,
    #[command(flatten)]
    subset: SubsetArgs,
    #[command(flatten)]
    /// What to build.
    pub build: BuildArgs,
    #[command(flatten)]
    archive: ArchiveArgs,
}

/// What to list, and in which form.
#[derive(Debug)]
pub(crate) struct Listing<'a> {
    /// The isolation that the tests would have.
    pub(crate) isolation: Isolation,
    pub(crate) request: PlanRequest<'a>,
    pub(crate) subset: &'a SubsetArgs,
    pub(crate) form: ListForm,
}

/// How to print the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListForm {
    /// One line per test, in the order of the list.
    Lines,
    /// One JSON document.
    Json,
    /// The tests that would run, numbered in the order of their starts, and then the others.
    Order,
}

/// Builds, lists, prints.
///
/// # Errors
/// When there is no workspace, it cannot be built, or no test matches. Exit code 107 if `--fuse on`
/// is not possible.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    args.color.set();
    let workspace = args.archive.workspace(&args.build)?;
    let names = args.build.fuse.mode.required().iter();
    let listing = Listing {
        isolation: Isolation::default(),
        request: PlanRequest {
            filter: &args.filter,
            build: &args.build,
            required: names.map(|&name| name.to_owned()).collect(),
            ignored: Ignored::Skip,
            seed: None,
        },
        subset: &args.subset,
        form: if args.json {
            ListForm::Json
        } else {
            ListForm::Lines
        },
    };
    show(&listing, &workspace)
}

/// The same for any listing.
///
/// # Errors
/// As for [`run`].
pub(crate) fn show(listing: &Listing<'_>, workspace: &Workspace) -> anyhow::Result<ExitCode> {
    Ok(runtime::block_on(story(listing, workspace))??.into())
}

async fn story(listing: &Listing<'_>, workspace: &Workspace) -> Result<Exit, Stop> {
    let mut interrupts = Interrupts::listen()?;
    let understood = listing.request.understand(workspace)?;
    let events = Events::new(clock::now());
    let scratch = tempfile::tempdir().context("could not create a temporary directory")?;
    let begun = HeadStart::begin(workspace, listing.request.build, &understood.filter)?;
    let owner = match Owner::choose(listing.isolation, &scratch.path().join("box")) {
        Ok(owner) => Arc::new(owner),
        Err(error) => {
            begun.end().await;
            return Err(error.into());
        }
    };
    let means = Means {
        interrupts: &mut interrupts,
        events: &events,
        owner: &owner,
    };
    let found = discover::discover(workspace, begun, means).await?;
    if let Some(owner) = Arc::into_inner(owner) {
        owner.close().await;
    }
    let planned = understood.plan(&found, listing.subset.subset(&workspace.target_directory))?;
    let exit = match planned.missing.is_empty() {
        true => Exit::Success,
        false => Exit::CapabilityMissing,
    };
    let printed = listing.print(&planned.plan, &planned.options);
    printed.map_err(|stop| stop.after(exit))?;
    Ok(exit)
}

impl Listing<'_> {
    fn print(&self, plan: &Plan, options: &PlanOptions) -> Result<(), Stop> {
        let entries: Vec<Entry<'_>> = (0..plan.tests.len())
            .filter_map(|n| Entry::of(plan, n, options))
            .collect();
        let console = Console::new();
        match self.form {
            ListForm::Json => {
                let json = serde_json::to_string_pretty(&entries).map_err(anyhow::Error::from)?;
                console::print_json(&json)?;
            }
            ListForm::Lines => {
                let lines: Vec<String> = entries.iter().map(Entry::line).collect();
                console::print(&lines.join("\n"))?;
            }
            ListForm::Order => {
                console.line(&self.headline(plan, options));
                let order = plan.order.iter().filter_map(|number| entries.get(*number));
                for (place, entry) in (1..).zip(order) {
                    console.line(&format!("{place:>5}  {}", entry.line()));
                }
                let rest = entries.iter().filter(|entry| !entry.runs());
                rest.for_each(|entry| console.line(&format!("    -  {}", entry.line())));
            }
        }
        let omitted = plan.omitted.words();
        if self.form != ListForm::Json && !omitted.is_empty() {
            console.line(&omitted);
        }
        console.all_shown()
    }

    fn headline(&self, plan: &Plan, options: &PlanOptions) -> String {
        let (count, all) = (plan.order.len(), plan.tests.len());
        let seed = options
            .seed
            .map(|seed| format!(", in the random order of seed {seed}"));
        let shard = options.subset.shard.map(|shard| format!(", shard {shard}"));
        format!(
            "would run {count} of {}{}{}",
            counted(all, "test", "tests"),
            shard.unwrap_or_default(),
            seed.unwrap_or_default()
        )
    }
}
