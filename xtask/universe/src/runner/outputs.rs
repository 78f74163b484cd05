//! The files that a run of the tests writes in addition to its JUnit report, and the options that
//! add other places for them.
//!
//! Each is written to the directory of the run and then published, as a whole, beside the latest
//! JUnit report. Only the events grow during the run; the published file is a second name of the
//! run's own file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::thread::{Scope, ScopedJoinHandle};

use anyhow::{Context as _, anyhow};

use crate::base::atomic_file::write_atomically;
use crate::base::limits::MARKDOWN_LEN_MAX;
use crate::report::data::Report;
use crate::report::events::{self, Events};
use crate::report::{markdown, timeline, trace};
use crate::runner::console::StatusLevel;
use crate::runner::rundir::{RunDir, remove_report};

const SUMMARY: &str = "summary.md";
const TIMELINE: &str = "timeline.html";
const TRACE: &str = "trace.json";

/// Where to write the outputs.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Report")]
pub(crate) struct OutputArgs {
    /// Also write the events to this file, as they happen; `-` means standard output, and results
    /// then go to standard error; `off` overrides a profile
    #[arg(long, value_name = "PATH|-|off", env = "XTASK_TEST_EVENTS")]
    events: Option<PathBuf>,
    /// Also write the Markdown summary to this file; `off` writes none
    #[arg(long, value_name = "PATH|off", env = "XTASK_TEST_SUMMARY")]
    summary: Option<PathBuf>,
    /// Also write the timeline, a page for a browser, to this file; `off` writes none
    #[arg(long, value_name = "PATH|off", env = "XTASK_TEST_TIMELINE")]
    timeline: Option<PathBuf>,
    /// Also write the trace, for Perfetto, to this file; `off` writes none
    #[arg(long, value_name = "PATH|off", env = "XTASK_TEST_TRACE")]
    trace: Option<PathBuf>,
    /// Choose the tests that have a line while they run: those that fail, also slow ones, or all
    /// [default: `fail` on a terminal, where the running tests are shown anyway; `pass` elsewhere]
    #[arg(
        long,
        value_name = "fail|slow|pass",
        value_enum,
        hide_possible_values = true,
        env = "XTASK_TEST_STATUS_LEVEL"
    )]
    pub(crate) status_level: Option<StatusLevel>,
    /// Print the N slowest tests at the end
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) durations: usize,
}

impl OutputArgs {
    /// Whether standard output belongs to the events.
    pub(crate) fn events_take_stdout(&self) -> bool {
        self.events.as_deref().is_some_and(|path| path == "-")
    }

    /// Removes what an earlier run published, and directs the events of this run to their files.
    ///
    /// # Errors
    /// When a file cannot be created or removed.
    pub(crate) fn begin(&self, directory: &RunDir, events: &Events) -> anyhow::Result<()> {
        for name in [events::FILE_NAME, SUMMARY, TIMELINE, TRACE] {
            remove_report(&latest(directory, name))?;
        }
        let mine = directory.path.join(events::FILE_NAME);
        events.write_to(&mine)?;
        // Without hard links, the file is copied at the end.
        link(&mine, directory).ok();
        elsewhere(self.events.as_deref()).map_or(Ok(()), |path| events.write_to(path))
    }

    /// Begins to render every output that is a function of the report, each in a thread.
    pub(crate) fn render<'a>(&'a self, scope: &'a Scope<'a, '_>, report: &'a Report) -> Vec<Rendering<'a>> {
        let outputs: [(_, _, Render); 3] = [
            (SUMMARY, &self.summary, |report| {
                markdown::to_markdown(report, MARKDOWN_LEN_MAX)
            }),
            (TIMELINE, &self.timeline, timeline::to_html),
            (TRACE, &self.trace, trace::to_json),
        ];
        let wanted = outputs
            .into_iter()
            .filter(|(_, also, _)| !also.as_deref().is_some_and(is_off));
        let rendering = wanted.map(|(name, also, render)| Rendering {
            name,
            also,
            text: scope.spawn(move || render(report)),
        });
        rendering.collect()
    }

    /// Writes them, after the events.
    ///
    /// # Errors
    /// When a file cannot be written; the earlier ones are published then.
    pub(crate) fn write(&self, outputs: Vec<Rendering<'_>>, directory: &RunDir) -> anyhow::Result<()> {
        publish_events(directory)?;
        outputs.into_iter().try_for_each(|output| output.write(directory))
    }
}

/// How an output is made.
type Render = fn(&Report) -> String;

/// An output that is being rendered.
pub(crate) struct Rendering<'a> {
    name: &'static str,
    /// An additional path.
    also: &'a Option<PathBuf>,
    text: ScopedJoinHandle<'a, String>,
}

impl Rendering<'_> {
    fn write(self, directory: &RunDir) -> anyhow::Result<()> {
        let text = self.text.join();
        let text = text.map_err(|_| anyhow!("could not render `{}`: a bug of the runner", self.name))?;
        let own = [directory.path.join(self.name), latest(directory, self.name)];
        own.iter()
            .chain(self.also)
            .try_for_each(|path| write_atomically(path, &text))
    }
}

/// The additional path, if there is one.
pub(crate) fn elsewhere(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !is_off(path))
}

fn is_off(path: &Path) -> bool {
    path == "off"
}

/// Without hard links, copies the file.
fn publish_events(directory: &RunDir) -> anyhow::Result<()> {
    let published = latest(directory, events::FILE_NAME);
    if published.exists() {
        return Ok(());
    }
    let mine = directory.path.join(events::FILE_NAME);
    let text =
        std::fs::read_to_string(&mine).with_context(|| format!("could not read `{}`", mine.display()))?;
    write_atomically(&published, &text)
}

/// The published file of this name.
fn latest(directory: &RunDir, name: impl AsRef<OsStr>) -> PathBuf {
    directory.published.with_file_name(name.as_ref())
}

/// Gives the file a second name, in a single step, even if another run has just done the same.
fn link(mine: &Path, directory: &RunDir) -> std::io::Result<()> {
    let aside = latest(directory, format!(".{}.tmp", directory.id));
    std::fs::hard_link(mine, &aside)?;
    std::fs::rename(&aside, latest(directory, events::FILE_NAME))
}
