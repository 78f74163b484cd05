//! `cargo xtask bench runner`: the cost of running tests, beside `cargo nextest` and `cargo test`,
//! one after the other in each round.
//!
//! All run the same tests with the same number of jobs, on a generated suite: its tests do nothing
//! or wait, so that only the cost of the runners is measured.

mod contender;
mod figures;
mod suite;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context as _;

use cargo_universe::runner::console::Console;
use cargo_universe::runner::test::default_jobs;
use cargo_universe::workspace::metadata::Workspace;
use contender::{Contender, Directories};
use figures::{Figures, Sample};

/// The options.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of the benchmark `runner`")]
pub(super) struct RunnerArgs {
    /// Run the suite N times with each runner
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Run N tests concurrently [default: twice the number of processors]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
    /// Also run the xtask of the checkout in DIR, to compare with an earlier version
    #[arg(long, value_name = "DIR")]
    before: Option<PathBuf>,
}

/// Creates the suite, measures, prints.
///
/// # Errors
/// When the suite cannot be built, or a runner fails on it.
pub(super) fn run(args: &RunnerArgs, workspace: &Workspace) -> anyhow::Result<()> {
    let console = Console::new();
    let ground = Directories {
        workspace: workspace.root.clone(),
        target: workspace.target_directory.clone(),
        suite: place(workspace),
        before: args.before.clone(),
        jobs: args.jobs.map_or_else(default_jobs, NonZeroUsize::get),
        path: contender::path(&workspace.target_directory)?,
    };
    contender::build_universe(&ground)?;
    suite::write(&ground.suite).context("could not write the suite")?;
    let contenders = contenders(&ground, &console);
    for contender in &contenders {
        // The first run builds and looks up everything; it is not measured.
        contender.run(&ground)?;
    }
    let mut samples: Vec<(Contender, Vec<Sample>)> =
        contenders.into_iter().map(|one| (one, vec![])).collect();
    for _ in 0..args.rounds {
        for (contender, samples) in &mut samples {
            samples.push(contender.run(&ground)?);
        }
    }
    console.line(&format!(
        "{}, {} at a time; medians of {} rounds",
        suite::words(),
        ground.jobs,
        args.rounds
    ));
    let named = samples
        .iter()
        .map(|(one, samples)| (one.name(), samples.as_slice()));
    let figures = Figures::new(named.collect(), suite::TEST_COUNT);
    figures.lines().iter().for_each(|line| console.line(line));
    Ok(())
}

fn place(workspace: &Workspace) -> PathBuf {
    let home = workspace.target_directory.join("xtask").join(super::KIND);
    home.join("runner")
}

/// The installed runners, and the requested earlier one.
fn contenders(ground: &Directories, console: &Console) -> Vec<Contender> {
    let mut contenders = Contender::ALL.to_vec();
    if !contender::has_nextest(ground) {
        contenders.retain(|one| *one != Contender::Nextest);
        console.line("nextest is not installed: skipped");
    }
    if ground.before.is_none() {
        contenders.retain(|one| *one != Contender::Before);
    }
    contenders
}
