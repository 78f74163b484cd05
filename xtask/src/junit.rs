//! JUnit XML as a function of a [`Report`]: what Jenkins, GitLab, GitHub, Azure and CircleCI read of a run.
//!
//! `junit-report` is the model and the first writer; it knows neither forbidden characters nor most attributes. So
//! `sanitise` cleans every string before it, and `enrich` adds after it, in one pass, what it cannot say. `structure`
//! checks the rules of the format. Nothing here runs a test, reads a clock or decides where the file goes.

mod enrich;
mod model;
mod reruns;
mod sanitise;
mod structure;

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

pub(crate) use structure::violations;

use crate::regular;
use crate::report::{Case, Failure, Outcome, Report, Suite};

/// What the file may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Dialect {
    /// With what most readers use beyond any schema: file, line and timestamp of a test, skips counted at the root.
    #[default]
    Rich,
    /// Exactly what the schema `junit-10.xsd` of Jenkins allows.
    Jenkins,
}

/// The report as XML that any parser accepts, whatever the tests printed; indented, with a final newline.
///
/// # Errors
/// Only when the XML writers disagree with each other, which would be a bug here.
pub(crate) fn to_xml(report: &Report, dialect: Dialect) -> Result<String> {
    let suites = suites(report);
    let mut plain = Vec::new();
    model::model(&suites)
        .write_xml(&mut plain)
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    enrich::enrich(
        &plain,
        &enrich::Run {
            report,
            suites: &suites,
            dialect,
        },
    )
    .context("could not complete the JUnit report")
}

/// Writes `text` to `path` so that a reader sees the old file or the new one, never a part; makes missing directories.
///
/// # Errors
/// When the directory cannot be made or written to; `path` is untouched then.
pub(crate) fn write_atomically(path: &Path, text: &str) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).with_context(|| format!("could not make `{}`", parent.display()))?;
    let replace = || -> std::io::Result<()> {
        // Nobody means a device to be replaced.
        if regular::is_device(path) {
            return std::fs::write(path, text);
        }
        regular::is_free(path)?;
        let mut file = temporary_file(parent).map_err(without_path)?;
        file.as_file_mut().write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok(())
    };
    replace().with_context(|| format!("could not write `{}`", path.display()))
}

/// Readable for everyone the umask allows, as other tools of a CI system publish the file.
fn temporary_file(parent: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".junit-").suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(parent)
}

/// The same without the name of a file that nobody knows, which `tempfile` adds.
fn without_path(error: std::io::Error) -> std::io::Error {
    let text = error.to_string();
    match text.rsplit_once(" at path ") {
        Some((why, _)) => std::io::Error::new(error.kind(), why),
        None => error,
    }
}

/// The suites that ran, led by one of our own where the run as a whole failed.
fn suites(report: &Report) -> Vec<Suite> {
    let failed = report
        .setup_failure
        .as_ref()
        .map(|failure| setup_suite(report, failure));
    failed.into_iter().chain(report.suites.iter().cloned()).collect()
}

fn setup_suite(report: &Report, failure: &Failure) -> Suite {
    let stage = if failure.kind == "build" { "build" } else { "setup" };
    let outcome = Outcome::Errored(failure.clone());
    let classname = format!("xtask.{stage}");
    let case = Case {
        started: Some(report.started),
        elapsed: report.elapsed,
        ..Case::new(format!("@{stage}"), classname, stage.to_owned(), outcome)
    };
    Suite {
        name: format!("@{stage}"),
        started: report.started,
        elapsed: report.elapsed,
        cases: vec![case],
    }
}

#[cfg(test)]
mod tests;
