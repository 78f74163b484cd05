//! The figures as a table: medians, ratios to tandem, and the budgets.

use super::contender::Contender;
use super::workload::Workload;
use crate::chores::limits::{FIRST_KIB_SECONDS_MAX, RATIO_MAX, SIDE_MIB_MAX};

/// What one side took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Usage {
    pub(super) cpu_seconds: f64,
    pub(super) peak_mib: f64,
}

impl Usage {
    /// Reads what GNU time prints for `%U %S %M`: seconds, seconds, KiB. A line before may report
    /// the exit status.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text
            .lines()
            .last()?
            .split(' ')
            .map(|word| word.parse::<f64>().ok());
        let (user, system, peak) = (words.next()??, words.next()??, words.next()??);
        Some(Self {
            cpu_seconds: user + system,
            peak_mib: peak / 1024.0,
        })
    }
}

/// One run of one program.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Sample {
    /// From the start of the receiver to its end.
    pub(super) seconds: f64,
    /// Until the sender was ready, if it had to read the files first.
    pub(super) ready: Option<f64>,
    pub(super) receiver: Option<Usage>,
    pub(super) sender: Option<Usage>,
}

/// The table of one workload. Tandem comes first.
pub(super) fn lines(samples: &[(Contender, Vec<Sample>)], workload: Workload) -> Vec<String> {
    let own = samples.first().map_or(f64::NAN, |(_, samples)| seconds(samples));
    let mut lines = vec![format!(
        "  {:<14} {:>9} {:>8} {:>9} {:>15} {:>17}",
        "", "time", "tandem/", "ready", "CPU to + from", "peak to + from"
    )];
    for (contender, samples) in samples {
        let sides = |of: fn(&Usage) -> f64, unit: &str| {
            let side = |pick: fn(&Sample) -> Option<Usage>| {
                let values: Vec<_> = samples.iter().filter_map(pick).map(|usage| of(&usage)).collect();
                match values.is_empty() {
                    true => "–".to_owned(),
                    false => format!("{:.1}", median(values)),
                }
            };
            let (to, from) = (side(|sample| sample.receiver), side(|sample| sample.sender));
            format!("{to} + {from} {unit}")
        };
        let ready: Vec<_> = samples.iter().filter_map(|sample| sample.ready).collect();
        let ready = match ready.is_empty() {
            true => "–".to_owned(),
            false => format!("{:.3} s", median(ready)),
        };
        lines.push(format!(
            "  {:<14} {:>7.3} s {:>8.2} {:>9} {:>15} {:>17}",
            contender.name(),
            seconds(samples),
            own / seconds(samples),
            ready,
            sides(|usage| usage.cpu_seconds, "s"),
            sides(|usage| usage.peak_mib, "MiB"),
        ));
    }
    lines.extend(budgets(samples, workload));
    lines
}

/// Each budget that applies, and whether it is kept.
fn budgets(samples: &[(Contender, Vec<Sample>)], workload: Workload) -> Vec<String> {
    let time = |wanted| {
        let found = samples.iter().find(|(contender, _)| *contender == wanted);
        found.map(|(_, samples)| seconds(samples))
    };
    let verdict = |what: String, is_kept: bool| {
        let word = if is_kept { "kept" } else { "missed" };
        format!("  budget {word}: {what}")
    };
    let mut lines = Vec::new();
    if let (Workload::Small(_), Some(own), Some(rsync)) =
        (workload, time(Contender::Tandem), time(Contender::Rsync))
    {
        let what = format!("{:.2} × rsync, at most {RATIO_MAX}", own / rsync);
        lines.push(verdict(what, own / rsync <= RATIO_MAX));
    }
    if let (Workload::FirstKib, Some(own)) = (workload, time(Contender::Tandem)) {
        let what = format!("{own:.3} s, at most {FIRST_KIB_SECONDS_MAX} s");
        lines.push(verdict(what, own <= FIRST_KIB_SECONDS_MAX));
    }
    let own = samples.first().map_or(&[][..], |(_, samples)| samples);
    let sides = own.iter().flat_map(|sample| [sample.receiver, sample.sender]);
    let peaks: Vec<_> = sides.flatten().map(|usage| usage.peak_mib).collect();
    if let Some(peak) = peaks.into_iter().reduce(f64::max) {
        let what = format!("{peak:.1} MiB on one side, at most {SIDE_MIB_MAX}");
        lines.push(verdict(what, peak <= SIDE_MIB_MAX));
    }
    lines
}

fn seconds(samples: &[Sample]) -> f64 {
    median(samples.iter().map(|sample| sample.seconds).collect())
}

/// The middle one, or the lower one of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seconds: f64, peak_mib: f64) -> Sample {
        let usage = Usage {
            cpu_seconds: 0.5,
            peak_mib,
        };
        Sample {
            seconds,
            ready: None,
            receiver: Some(usage),
            sender: None,
        }
    }

    #[test]
    fn the_last_line_of_gnu_time_is_read_and_anything_else_is_not() {
        let usage = Usage::parse("Command exited with non-zero status 20\n0.25 0.50 2048\n").unwrap();
        assert_eq!((usage.cpu_seconds, usage.peak_mib), (0.75, 2.0));
        for text in ["", "0.25 0.50\n", "a b c\n"] {
            assert_eq!(Usage::parse(text), None, "{text}");
        }
    }

    #[test]
    fn medians_ratios_and_budgets_stand_side_by_side() {
        let samples = [
            (
                Contender::Tandem,
                vec![sample(9.0, 40.0), sample(1.0, 8.0), sample(2.0, 8.0)],
            ),
            (Contender::Rsync, vec![sample(4.0, 8.0)]),
        ];
        let lines = lines(&samples, Workload::Small(1));
        assert!(lines[1].contains("2.000 s     1.00"), "{}", lines[1]);
        assert!(lines[2].contains("4.000 s     0.50"), "{}", lines[2]);
        assert!(lines[2].contains("0.5 + – s"), "{}", lines[2]);
        assert_eq!(lines[3], "  budget kept: 0.50 × rsync, at most 1");
        assert_eq!(lines[4], "  budget missed: 40.0 MiB on one side, at most 32");
    }
}
