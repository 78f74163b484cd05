//! Labels, which keep the same test of several runs apart where the runs become one: those of a
//! matrix, on several systems.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::data::Report;
use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;

/// The property that has the label of a run.
const PROPERTY: &str = "label";

/// A short name of a run: letters, digits, `-`, `_` and `.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label(String);

/// A run and its label, as in `ubuntu=a.ndjson`.
#[derive(Debug, Clone)]
pub(crate) struct LabelledPath {
    pub(crate) label: Label,
    pub(crate) path: PathBuf,
}

impl Label {
    /// What it is in a class name.
    fn class(&self) -> String {
        in_class(&self.0)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Label, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match !text.is_empty() && text.chars().all(is_plain) {
            true => Ok(Label(text.to_owned())),
            false => Err(format!(
                "the label `{text}` must consist of letters, digits, `-`, `_` and `.`"
            )),
        }
    }
}

impl FromStr for LabelledPath {
    type Err = String;

    fn from_str(text: &str) -> Result<LabelledPath, String> {
        let (label, path) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` must be LABEL=PATH, as in `ubuntu=events.ndjson`"))?;
        Ok(LabelledPath {
            label: label.parse()?,
            path: path.into(),
        })
    }
}

/// A label in a class name, which readers split at the dots.
pub(crate) fn in_class(label: &str) -> String {
    label.replace('.', "_")
}

/// Each label must be there once.
///
/// # Errors
/// Names the first one that is there twice. Labels that only differ in `.` and `_` have the same
/// class names.
pub(crate) fn are_distinct(runs: &[LabelledPath]) -> Result<(), Stop> {
    let mut seen = BTreeSet::new();
    match runs.iter().find(|run| !seen.insert(run.label.class())) {
        None => Ok(()),
        Some(run) => {
            let message = format!(
                "the label `{}` is given to more than one run; give each run a label of its own",
                run.label
            );
            Err(Stop::new(Exit::Usage, FailureKind::Usage, message))
        }
    }
}

/// The label of a run, or the labels of several.
pub(super) fn of(report: &Report) -> Option<&str> {
    report.property(PROPERTY)
}

/// Puts the label before every name by which readers know a test.
pub(crate) fn put(report: &mut Report, label: &Label) {
    report.properties.push((PROPERTY.to_owned(), label.to_string()));
    for suite in &mut report.suites {
        suite.name = format!("{label}/{}", suite.name);
        for case in &mut suite.cases {
            case.id = format!("{label}/{}", case.id);
            case.classname = format!("{}.{}", label.class(), case.classname);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<LabelledPath, String> {
        text.parse()
    }

    #[test]
    fn a_label_is_what_is_before_the_first_equals_sign() {
        let found = run("ubuntu-24.04=a=b.ndjson").unwrap();
        assert_eq!(
            (found.label.to_string().as_str(), found.path),
            ("ubuntu-24.04", "a=b.ndjson".into())
        );
        for wrong in ["a.ndjson", "=a", "a b=c", "a/b=c", "\u{1b}=c"] {
            assert!(run(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_label_that_is_given_twice_is_named() {
        let distinct = |runs: &[&str]| {
            let runs: Vec<_> = runs.iter().map(|text| run(text).unwrap()).collect();
            are_distinct(&runs).map_err(|stop| (stop.exit, stop.message))
        };
        assert!(distinct(&["a=x", "b=x"]).is_ok());
        for twice in ["a.b=y", "a_b=y"] {
            let (exit, message) = distinct(&["a.b=x", twice]).unwrap_err();
            assert_eq!(exit, Exit::Usage);
            assert!(message.contains("is given to more than one run"), "{message}");
        }
    }
}
