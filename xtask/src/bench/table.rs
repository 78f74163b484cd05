//! The figures as a table: one row for each thing measured, beside its budget. A pure function of the measurements.

use super::measurement::{Measurement, NATIVE, TANDEM, Unit};

/// What a figure must be.
#[derive(Debug, Clone, Copy)]
enum Budget {
    AtLeast(f64),
    AtMost(f64),
    /// This part of the native figure.
    OfNative(f64),
}

/// The budgets of a mount, by what is measured.
const BUDGETS: [(&str, Budget); 8] = [
    ("cold sequential read", Budget::AtLeast(700.0)),
    ("complete file, passthrough", Budget::OfNative(0.95)),
    ("complete file, re-read", Budget::OfNative(0.9)),
    ("sequential write", Budget::AtLeast(500.0)),
    ("mount and unmount", Budget::AtMost(20.0)),
    ("random 4 KiB reads", Budget::AtLeast(6_000.0)),
    ("stat of 10,000 files", Budget::AtMost(0.3)),
    ("peak memory", Budget::AtMost(64.0)),
];

const HEAD: [&str; 7] = ["what", "tandem", "native", "ratio", "sshfs", "rclone", "budget"];

/// The table, line by line, in the order in which things were measured; last what has a budget and was not measured.
pub(super) fn table(measurements: &[Measurement]) -> Vec<String> {
    let mut whats: Vec<&str> = Vec::new();
    let measured = measurements
        .iter()
        .filter(|m| m.by != NATIVE)
        .map(|m| m.what.as_str());
    for what in measured.chain(BUDGETS.iter().map(|(what, _)| *what)) {
        if !whats.contains(&what) {
            whats.push(what);
        }
    }
    let rows = whats.into_iter().map(|what| row(what, measurements));
    aligned(
        &std::iter::once(HEAD.map(str::to_owned))
            .chain(rows)
            .collect::<Vec<_>>(),
    )
}

fn row(what: &str, measurements: &[Measurement]) -> [String; 7] {
    let of = |by: &str| measurements.iter().find(|m| m.what == what && m.by == by);
    let cell = |by: &str| of(by).map_or_else(|| "-".to_owned(), figure);
    let budget = BUDGETS
        .iter()
        .find(|(name, _)| *name == what)
        .map(|(_, budget)| *budget);
    let (tandem, native) = (of(TANDEM), of(NATIVE));
    let ratio = tandem
        .zip(native)
        .map(|(tandem, native)| tandem.value / native.value);
    [
        what.to_owned(),
        tandem.map_or_else(|| "not measured".to_owned(), figure),
        cell(NATIVE),
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        cell("sshfs"),
        cell("rclone"),
        budget.map_or_else(|| "-".to_owned(), |budget| budget.verdict(tandem, ratio)),
    ]
}

fn figure(measurement: &Measurement) -> String {
    let Measurement { value, unit, .. } = measurement;
    let digits = match unit {
        Unit::MegabytesPerSecond | Unit::PerSecond | Unit::Mebibytes => 0,
        Unit::Milliseconds => 1,
        Unit::Seconds => 2,
    };
    format!("{value:.digits$} {}", unit.symbol())
}

impl Budget {
    fn verdict(self, tandem: Option<&Measurement>, ratio: Option<f64>) -> String {
        let value = tandem.map(|measurement| measurement.value);
        let (text, kept) = match self {
            Budget::AtLeast(limit) => (format!("≥ {limit}"), value.map(|value| value >= limit)),
            Budget::AtMost(limit) => (format!("≤ {limit}"), value.map(|value| value <= limit)),
            Budget::OfNative(limit) => (format!("≥ {limit} × native"), ratio.map(|ratio| ratio >= limit)),
        };
        match kept {
            Some(true) => format!("{text}, kept"),
            Some(false) => format!("{text}, MISSED"),
            None => text,
        }
    }
}

/// Columns as wide as their widest cell, in characters.
fn aligned(rows: &[[String; 7]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEAD.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 7]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurement(what: &str, by: &str, value: f64) -> Measurement {
        Measurement {
            what: what.to_owned(),
            by: by.to_owned(),
            value,
            unit: Unit::MegabytesPerSecond,
        }
    }

    fn line(measurements: &[Measurement], what: &str) -> String {
        let lines = table(measurements);
        let line = lines.iter().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_figure_stands_beside_the_others_and_its_budget() {
        let measurements = [
            measurement("cold sequential read", TANDEM, 800.0),
            measurement("cold sequential read", NATIVE, 1600.0),
            measurement("cold sequential read", "sshfs", 100.4),
        ];
        assert_eq!(
            line(&measurements, "cold sequential read"),
            "cold sequential read 800 MB/s 1600 MB/s 0.50 100 MB/s - ≥ 700, kept"
        );
    }

    #[test]
    fn a_budget_is_kept_at_its_limit_and_missed_past_it() {
        for (value, word) in [(500.0, "kept"), (499.9, "MISSED")] {
            let line = line(
                &[measurement("sequential write", TANDEM, value)],
                "sequential write",
            );
            assert!(line.ends_with(word), "{line}");
        }
        for (value, word) in [(95.0, "kept"), (94.9, "MISSED")] {
            let what = "complete file, passthrough";
            let line = line(
                &[measurement(what, TANDEM, value), measurement(what, NATIVE, 100.0)],
                what,
            );
            assert!(line.ends_with(word), "{line}");
        }
    }

    #[test]
    fn what_has_a_budget_and_was_not_measured_is_told() {
        assert_eq!(line(&[], "peak memory"), "peak memory not measured - - - - ≤ 64");
    }
}
