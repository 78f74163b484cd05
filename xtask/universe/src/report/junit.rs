//! JUnit XML as a function of a [`Report`]: the format that Jenkins, GitLab, GitHub, Azure and
//! CircleCI read.
//!
//! `junit-report` provides the model and the first writer; it handles neither forbidden characters
//! nor most attributes. So `sanitise` cleans every string before it, and `enrich` afterwards adds
//! the rest in one pass. `structure` checks the rules of the format. Nothing here runs a test,
//! reads a clock or decides where the file goes.

mod enrich;
mod model;
mod reruns;
mod sanitise;
mod structure;

use crate::base::failure_kind::FailureKind;
use anyhow::{Context as _, Result};

pub use structure::violations;

use crate::report::data::{Case, Failure, Outcome, Report, Suite};

/// What the file may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Dialect {
    /// Also writes what most readers use but no schema has: file, line and timestamp of each test,
    /// and the count of skips at the root.
    #[default]
    Rich,
    /// Exactly what the schema `junit-10.xsd` of Jenkins allows.
    Jenkins,
}

/// The report as XML that any parser accepts, whatever the tests printed; indented, with a final
/// newline.
///
/// # Errors
/// Only when the XML writers disagree with each other, which would be a bug here.
pub fn to_xml(report: &Report, dialect: Dialect) -> Result<String> {
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

/// The suites that ran, preceded by an extra one if the run as a whole failed.
fn suites(report: &Report) -> Vec<Suite> {
    let failed = report
        .setup_failure
        .as_ref()
        .map(|failure| setup_suite(report, failure));
    failed.into_iter().chain(report.suites.iter().cloned()).collect()
}

fn setup_suite(report: &Report, failure: &Failure) -> Suite {
    let stage = if failure.kind == FailureKind::Build {
        "build"
    } else {
        "setup"
    };
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
