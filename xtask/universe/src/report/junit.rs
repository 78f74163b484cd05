//! JUnit XML as a function of a [`Report`]: the format that Jenkins, GitLab, GitHub, Azure and
//! CircleCI read.
//!
//! `junit-report` provides the model and the first writer; it handles neither forbidden characters
//! nor most attributes. So `sanitise` cleans every string before it, and `enrich` afterwards adds
//! the rest in one pass. `structure` checks the rules of the format. Nothing here runs a test,
//! reads a clock or decides where the file goes.

mod attributes;
mod convert;
mod enrich;
mod reruns;
mod sanitise;
mod structure;
mod whole;

use anyhow::{Context as _, Result};

pub use structure::violations;

use crate::report::data::{Failure, Outcome, Report, Skip, Suite};

/// What the file may contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Dialect {
    /// Also writes what most readers use but no schema has: file, line and timestamp of each test,
    /// and the count of skips at the root.
    #[default]
    Rich,
    /// Exactly what the schema `junit-10.xsd` of Jenkins' xUnit plugin allows; Jenkins' JUnit
    /// plugin reads `rich`.
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
    convert::converted(&suites)
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

/// What an outcome is to a reader: a failure is the fault of the test, an error is what the runner
/// could not do. GitLab shows no attachments of errors, and some viewers count errors as passed.
enum Verdict<'a> {
    Passed,
    Failure(&'a Failure),
    Error(&'a Failure),
    Skipped(&'a Skip),
}

impl<'a> From<&'a Outcome> for Verdict<'a> {
    fn from(outcome: &'a Outcome) -> Verdict<'a> {
        match outcome {
            Outcome::Passed => Verdict::Passed,
            Outcome::Failed(failure) => Verdict::Failure(failure),
            Outcome::Errored(failure) if failure.kind.is_of_the_test() => Verdict::Failure(failure),
            Outcome::Errored(failure) => Verdict::Error(failure),
            Outcome::Skipped(skip) => Verdict::Skipped(skip),
        }
    }
}

/// The suites that ran, led by one of our own for each run that failed as a whole; paths as readers
/// take them.
fn suites(report: &Report) -> Vec<Suite> {
    let mut suites = whole::suites(report);
    suites.extend(report.suites.iter().cloned());
    let cases = suites.iter_mut().flat_map(|suite| &mut suite.cases);
    cases.for_each(|case| report.places.locate(case));
    suites
}

#[cfg(test)]
mod tests;
