//! What a measuring binary prints: one JSON object a line, `{"what":"cold sequential read","mb_per_s":812.5,"runs":[…]}`.
//!
//! The unit is the name of the field. `by` says whose figure it is, if it is not tandem's; `native` is what the same
//! costs without a mount, in the same unit. Lines that are something else are for people and ignored.

use serde::Deserialize;

/// Whose figure it is where nothing is said.
pub(super) const TANDEM: &str = "tandem";

/// What a directory on the same disk gives.
pub(super) const NATIVE: &str = "native";

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measurement {
    pub(super) what: String,
    /// `tandem`, `native`, `sshfs`, …
    pub(super) by: String,
    pub(super) value: f64,
    pub(super) unit: Unit,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Megabytes (10⁶ bytes) a second.
    MegabytesPerSecond,
    /// Operations a second.
    PerSecond,
    Milliseconds,
    Seconds,
    Mebibytes,
}

#[derive(Deserialize)]
struct Line {
    what: String,
    by: Option<String>,
    native: Option<f64>,
    mb_per_s: Option<f64>,
    per_s: Option<f64>,
    ms: Option<f64>,
    s: Option<f64>,
    mib: Option<f64>,
    #[serde(default)]
    runs: Vec<f64>,
}

impl Unit {
    /// As it stands behind a figure.
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Unit::MegabytesPerSecond => "MB/s",
            Unit::PerSecond => "/s",
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
            Unit::Mebibytes => "MiB",
        }
    }
}

/// All figures in the output of a binary, in its order.
pub(super) fn parse(output: &str) -> Vec<Measurement> {
    let lines = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.flat_map(Line::measurements).collect()
}

impl Line {
    fn measurements(self) -> Vec<Measurement> {
        let figures = [
            (self.mb_per_s, Unit::MegabytesPerSecond),
            (self.per_s, Unit::PerSecond),
            (self.ms, Unit::Milliseconds),
            (self.s, Unit::Seconds),
            (self.mib, Unit::Mebibytes),
        ];
        let Some((value, unit)) = figures.into_iter().find_map(|(value, unit)| Some((value?, unit))) else {
            return vec![];
        };
        let figure = |by: String, value| Measurement {
            what: self.what.clone(),
            by,
            value,
            unit,
        };
        // Single runs are what a person would look at; the median of them is the figure.
        let mine = figure(
            self.by.unwrap_or_else(|| TANDEM.to_owned()),
            median(&self.runs).unwrap_or(value),
        );
        let native = self.native.map(|value| figure(NATIVE.to_owned(), value));
        std::iter::once(mine).chain(native).collect()
    }
}

/// The middle one; of an even number the lower of the two in the middle. `None` of nothing.
pub(super) fn median(runs: &[f64]) -> Option<f64> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_the_name_of_the_field_and_the_figure_the_median() {
        let output = r#"warming up
{"what":"read","mb_per_s":9.0,"runs":[3.0,1.0,2.0]}
{"what":"mount","ms":4.5}
{"what":"read","by":"sshfs","mb_per_s":1.5}
{"what":"nothing"}
"#;
        let figures: Vec<_> = parse(output)
            .into_iter()
            .map(|m| (m.what, m.by, m.value, m.unit))
            .collect();
        let figure = |what: &str, by: &str, value, unit| (what.to_owned(), by.to_owned(), value, unit);
        assert_eq!(
            figures,
            [
                figure("read", "tandem", 2.0, Unit::MegabytesPerSecond),
                figure("mount", "tandem", 4.5, Unit::Milliseconds),
                figure("read", "sshfs", 1.5, Unit::MegabytesPerSecond),
            ]
        );
    }

    #[test]
    fn what_the_same_costs_without_a_mount_is_a_figure_of_its_own() {
        let figures = parse(r#"{"what":"re-read","mb_per_s":9.0,"native":10.0}"#);
        assert_eq!(figures.len(), 2);
        assert_eq!((figures[1].by.as_str(), figures[1].value), (NATIVE, 10.0));
    }

    #[test]
    fn the_median_is_one_of_the_runs() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5.0]), Some(5.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.0));
    }
}
