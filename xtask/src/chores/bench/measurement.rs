//! The output of a measuring binary: one JSON object per line,
//! `{"what":"write","unit":"MB/s","median":812.5,"runs":[…]}`.
//!
//! Other lines are for people and ignored.

use serde::Deserialize;

/// The name under which the measuring binary's figures appear.
pub(super) const TANDEM: &str = "tandem";

/// Megabytes (10⁶ bytes) a second.
pub(super) const MEGABYTES_PER_SECOND: &str = "MB/s";

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measurement {
    pub(super) what: String,
    /// `tandem`, `sshfs`, …
    pub(super) by: &'static str,
    pub(super) value: f64,
    /// As displayed: `MB/s`, `1/s`, `ms`, `MiB`.
    pub(super) unit: String,
}

#[derive(Deserialize)]
struct Line {
    what: String,
    unit: String,
    median: f64,
}

/// All measurements in the output of a binary, in its order.
pub(super) fn parse(output: &str) -> Vec<Measurement> {
    let lines = output.lines().filter_map(|line| serde_json::from_str(line).ok());
    let measurement = |Line { what, unit, median }| Measurement {
        what,
        by: TANDEM,
        value: median,
        unit,
    };
    lines.map(measurement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_found_among_other_lines() {
        let output = r#"warming up
{"what":"write","unit":"MB/s","median":2.5,"runs":[3.0,1.0,2.5]}
{"what":"nothing"}
"#;
        let expected = Measurement {
            what: "write".to_owned(),
            by: TANDEM,
            value: 2.5,
            unit: MEGABYTES_PER_SECOND.to_owned(),
        };
        assert_eq!(parse(output), [expected]);
    }
}
