//! The measurements as a table: one row for each, beside the same without a mount, other programs,
//! and its budget. A pure function of the measurements.

use super::measurement::{Measurement, TANDEM};

/// The required value.
#[derive(Debug, Clone, Copy)]
enum Budget {
    None,
    AtLeast(f64),
    AtMost(f64),
    /// The required fraction of the native value: the first with kernel passthrough, the second
    /// without.
    OfNative(f64, f64),
}

/// A measured operation.
struct Row {
    what: &'static str,
    /// The name of the same operation without a mount.
    native: Option<&'static str>,
    budget: Budget,
}

const fn row(what: &'static str, native: Option<&'static str>, budget: Budget) -> Row {
    Row { what, native, budget }
}

/// The rows of `mount_bench`, in the order of the table.
const ROWS: [Row; 12] = [
    row(READ, Some("cp beside it"), Budget::AtLeast(700.0)),
    row("re-read", Some("native read"), Budget::OfNative(0.95, 0.9)),
    row("re-read again", Some("native read"), Budget::OfNative(0.95, 0.9)),
    // Compared with a native file whose cache has the same page size as the kernel's cache of FUSE
    // files.
    row(
        "re-read beside single pages",
        Some("native read of single pages"),
        Budget::OfNative(0.95, 0.9),
    ),
    row(WRITE, Some("native write"), Budget::AtLeast(500.0)),
    row(
        "cold random reads of 4 KiB, one at once",
        None,
        Budget::AtLeast(6_000.0),
    ),
    row(
        "cold random reads of 4 KiB, eight at once",
        None,
        Budget::AtLeast(20_000.0),
    ),
    row(
        "walk and stat, cold",
        Some("native walk and stat"),
        Budget::AtMost(300.0),
    ),
    row("walk and stat, again", Some("native walk and stat"), Budget::None),
    row("mount and unmount", None, Budget::AtMost(20.0)),
    row("peak memory of the sharing peer", None, Budget::AtMost(64.0)),
    row("peak memory of the mounting peer", None, Budget::AtMost(64.0)),
];

/// The row that other programs are compared with for reading.
pub(super) const READ: &str = "cold remote read";

/// The row that other programs are compared with for writing.
pub(super) const WRITE: &str = "write";

const HEAD: [&str; 7] = ["what", "tandem", "native", "ratio", "sshfs", "rclone", "budget"];

/// Where reads of a complete file are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// By the kernel, on root's request.
    ByPassthrough,
    /// From the kernel's pages, filled by the peer.
    FromPages,
}

/// The table, line by line; measurements without a row come last.
pub(super) fn table(measurements: &[Measurement], served: Served) -> Vec<String> {
    let is_native = |what: &str| ROWS.iter().any(|row| row.native == Some(what));
    let is_known = |what: &str| ROWS.iter().any(|row| row.what == what) || is_native(what);
    let known = ROWS
        .iter()
        .map(|row| cells(row.what, row.native, row.budget.under(served), measurements));
    let unknown = measurements
        .iter()
        .map(|m| m.what.as_str())
        .filter(|what| !is_known(what));
    let unknown = unknown.map(|what| cells(what, None, Budget::None, measurements));
    let head = std::iter::once(HEAD.map(str::to_owned));
    aligned(&head.chain(known).chain(unknown).collect::<Vec<_>>())
}

fn cells(what: &str, native: Option<&str>, budget: Budget, measurements: &[Measurement]) -> [String; 7] {
    let of = |what: &str, by: &str| measurements.iter().find(|m| m.what == what && m.by == by);
    let cell = |measurement: Option<&Measurement>| measurement.map_or_else(|| "-".to_owned(), figure);
    let tandem = of(what, TANDEM);
    let native = native.and_then(|native| of(native, TANDEM));
    let ratio = tandem
        .zip(native)
        .map(|(tandem, native)| tandem.value / native.value);
    [
        what.to_owned(),
        tandem.map_or_else(|| "not measured".to_owned(), figure),
        cell(native),
        ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        cell(of(what, "sshfs")),
        cell(of(what, "rclone")),
        budget.verdict(tandem, ratio),
    ]
}

/// With three significant digits, or with all digits before the point.
fn figure(measurement: &Measurement) -> String {
    let Measurement { value, unit, .. } = measurement;
    let digits = match value.abs() {
        0.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

impl Budget {
    /// With the applicable fraction of the native value.
    fn under(self, served: Served) -> Budget {
        match (self, served) {
            (Budget::OfNative(_, otherwise), Served::FromPages) => Budget::OfNative(otherwise, otherwise),
            (budget, _) => budget,
        }
    }

    fn verdict(self, tandem: Option<&Measurement>, ratio: Option<f64>) -> String {
        let value = tandem.map(|measurement| measurement.value);
        let (text, kept) = match self {
            Budget::None => return "-".to_owned(),
            Budget::AtLeast(limit) => (format!("≥ {limit}"), value.map(|value| value >= limit)),
            Budget::AtMost(limit) => (format!("≤ {limit}"), value.map(|value| value <= limit)),
            Budget::OfNative(part, _) => (format!("≥ {part} × native"), ratio.map(|ratio| ratio >= part)),
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

    fn measurement(what: &str, by: &'static str, value: f64) -> Measurement {
        Measurement {
            what: what.to_owned(),
            by,
            value,
            unit: "MB/s".to_owned(),
        }
    }

    fn line(measurements: &[Measurement], served: Served, what: &str) -> String {
        let lines = table(measurements, served);
        let line = lines.iter().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_figure_is_shown_beside_the_others_and_its_budget() {
        let measurements = [
            measurement(READ, TANDEM, 800.0),
            measurement("cp beside it", TANDEM, 1600.0),
            measurement(READ, "sshfs", 100.4),
        ];
        assert_eq!(
            line(&measurements, Served::FromPages, READ),
            "cold remote read 800 MB/s 1600 MB/s 0.50 100 MB/s - ≥ 700, kept"
        );
        assert!(
            table(&measurements, Served::FromPages)
                .iter()
                .all(|line| !line.starts_with("cp"))
        );
    }

    #[test]
    fn a_budget_is_kept_at_its_limit_and_missed_past_it() {
        for (value, word) in [(500.0, "kept"), (499.9, "MISSED")] {
            let line = line(&[measurement(WRITE, TANDEM, value)], Served::FromPages, WRITE);
            assert!(line.ends_with(word), "{line}");
        }
    }

    #[test]
    fn a_complete_file_has_to_be_faster_where_the_kernel_passes_through() {
        let figures = [
            measurement("re-read", TANDEM, 92.0),
            measurement("native read", TANDEM, 100.0),
        ];
        for (served, budget) in [
            (Served::ByPassthrough, "≥ 0.95 × native, MISSED"),
            (Served::FromPages, "≥ 0.9 × native, kept"),
        ] {
            let line = line(&figures, served, "re-read ");
            assert!(line.ends_with(budget), "{line}");
        }
    }

    #[test]
    fn every_measurement_is_shown_with_or_without_a_row() {
        assert_eq!(
            line(&[], Served::FromPages, "mount and unmount"),
            "mount and unmount not measured - - - - ≤ 20"
        );
        assert_eq!(
            line(&[measurement("other", TANDEM, 1.0)], Served::FromPages, "other"),
            "other 1.00 MB/s - - - - -"
        );
    }
}
