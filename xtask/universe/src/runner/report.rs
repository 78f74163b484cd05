//! The reports of a run besides JUnit, each a function of a [`Report`], and `cargo universe
//! report`, which creates them again from the events of one run, or of several as one.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};

use crate::base::atomic_file::write_atomically;
use crate::base::exit::{Exit, Stop};
use crate::base::limits::MARKDOWN_LEN_MAX;
use crate::report::data::Report;
use crate::report::events;
use crate::report::junit::{self, Dialect};
use crate::report::label::{self, LabelledPath};
use crate::report::{diff, markdown, merge, slowest, timeline, trace};
use crate::runner::console;
use crate::runner::rundir::PUBLISHED;
use crate::workspace::metadata::Workspace;

/// Show the report of a run, of several runs as one, or the difference between two runs
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The JUnit report, of several runs as one
    #[command(visible_alias = "merge")]
    Junit {
        #[command(flatten)]
        source: EventSource,
        /// Choose the dialect of the report
        #[arg(long, value_name = "DIALECT", value_enum, default_value_t)]
        dialect: Dialect,
    },
    /// A summary in Markdown
    Markdown(EventSource),
    /// A page for a browser that shows when each test ran
    Timeline(EventSource),
    /// The timeline for Perfetto or chrome://tracing
    Trace(EventSource),
    /// The slowest tests, all attempts together
    Slowest {
        #[command(flatten)]
        source: EventSource,
        /// Print this many tests
        #[arg(long, value_name = "N", default_value_t = 10)]
        count: usize,
    },
    /// What changed between two runs; exit code 100 if a test newly fails, or if the later run
    /// failed to build, was killed or timed out
    Diff {
        /// The events of the earlier run, or the directory of that run
        before: PathBuf,
        /// The events of the later run, or its directory [default: the latest run]
        after: Option<PathBuf>,
        /// List tests that became slower or faster by more than this factor
        #[arg(long, value_name = "RATIO", default_value_t = 1.5)]
        ratio: f64,
        #[command(flatten)]
        place: LatestRun,
    },
}

/// Which runs to read, and where to write.
#[derive(Debug, clap::Args)]
struct EventSource {
    /// The events of a run, or its directory; several are reported as one [default: the latest run]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    from: Vec<PathBuf>,
    /// As `--from`, but each run keeps its result of a test, under its label: `--label
    /// ubuntu=a.ndjson macos=b.ndjson`
    #[arg(long, value_name = "LABEL=PATH", num_args = 1.., conflicts_with = "from")]
    label: Vec<LabelledPath>,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: LatestRun,
}

/// Where the latest run is.
#[derive(Debug, clap::Args)]
struct LatestRun {
    /// Use the latest run of the workspace of this Cargo.toml
    #[arg(long, value_name = "PATH")]
    manifest_path: Option<PathBuf>,
}

/// Reads the events and writes the report.
///
/// # Errors
/// When the events cannot be read or the output cannot be written.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Junit { source, dialect } => {
            let xml = junit::to_xml(&source.report()?, *dialect)?;
            source.write(&xml, console::print_exactly)
        }
        What::Markdown(source) => {
            let page = markdown::to_markdown(&source.report()?, MARKDOWN_LEN_MAX);
            source.write(&page, console::print)
        }
        What::Timeline(source) => source.write(&timeline::to_html(&source.report()?), console::print_exactly),
        What::Trace(source) => source.write(&trace::to_json(&source.report()?), console::print_json),
        What::Slowest { source, count } => {
            source.write(&slowest::to_text(&source.report()?, *count), console::print)
        }
        What::Diff {
            before,
            after,
            ratio,
            place,
        } => {
            let after = after
                .as_ref()
                .map_or_else(|| place.latest(), |path| Ok(path.clone()))?;
            tell_diff(&load(before)?, &load(&after)?, *ratio)
        }
    }
}

fn tell_diff(before: &Report, after: &Report, ratio: f64) -> anyhow::Result<ExitCode> {
    ensure!(ratio >= 1.0, "`--ratio` must be 1 or more, not {ratio}");
    let diff = diff::diff(before, after, ratio);
    let exit = match diff.is_for_the_worse() {
        true => Exit::TestsFailed,
        false => Exit::Success,
    };
    console::print(diff.to_text().trim_end()).map_err(|stop| stop.after(exit))?;
    Ok(exit.into())
}

impl EventSource {
    /// The given runs as one report.
    fn report(&self) -> anyhow::Result<Report> {
        let reports: anyhow::Result<Vec<Report>> = match self.from.is_empty() {
            false => self.from.iter().map(|path| load(path)).collect(),
            true if self.label.is_empty() => load(&self.place.latest()?).map(|report| vec![report]),
            true => self.labelled(),
        };
        merge::merge(reports?).context("there are no events to read")
    }

    fn labelled(&self) -> anyhow::Result<Vec<Report>> {
        label::are_distinct(&self.label)?;
        let runs = self.label.iter().map(|run| {
            let mut report = load(&run.path)?;
            label::put(&mut report, &run.label);
            Ok(report)
        });
        runs.collect()
    }

    /// Writes the text to the given file, or prints it.
    fn write(&self, text: &str, print: fn(&str) -> Result<(), Stop>) -> anyhow::Result<ExitCode> {
        match &self.output {
            Some(path) => write_atomically(path, text)?,
            None => print(text)?,
        }
        Ok(Exit::Success.into())
    }
}

impl LatestRun {
    fn latest(&self) -> anyhow::Result<PathBuf> {
        let workspace = Workspace::load(self.manifest_path.as_deref())?;
        let report = workspace.target_directory.join(PUBLISHED);
        Ok(report.with_file_name(events::FILE_NAME))
    }
}

fn load(path: &Path) -> anyhow::Result<Report> {
    match path.is_dir() {
        true => events::read(&path.join(events::FILE_NAME)),
        false => events::read(path),
    }
}
