//! Several reports as one: the shards of a run, or runs one after the other.
//!
//! The result has every test that any of them has. Where several have the same one, a test that ran counts for more
//! than one that did not, and of two that ran the later report's holds: a run of what had failed can be laid over the
//! run in which it did.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::report::{Case, Outcome, Phase, Report, Suite};

/// All of them as one; `None` of none.
pub(super) fn merge(reports: Vec<Report>) -> Option<Report> {
    let count = reports.len();
    let mut reports = reports.into_iter();
    let mut merged = reports.next()?;
    if count == 1 {
        return Some(merged);
    }
    for report in reports {
        merged = two(merged, report);
    }
    Some(merged)
}

fn two(mut first: Report, mut second: Report) -> Report {
    let started = first.started.min(second.started);
    let end = (first.started + first.elapsed).max(second.started + second.elapsed);
    move_slots(&mut second, slot_count(&first));
    let phases = phases(&first, started).chain(phases(&second, started)).collect();
    let mut suites = first.suites;
    for suite in second.suites {
        add(&mut suites, suite);
    }
    suites.iter_mut().for_each(Suite::set_times);
    Report {
        name: first.name,
        run_id: format!("{}+{}", first.run_id, second.run_id),
        started,
        elapsed: end.duration_since(started).unwrap_or_default(),
        properties: properties(std::mem::take(&mut first.properties), second.properties),
        phases,
        suites,
        setup_failure: first.setup_failure.or(second.setup_failure),
    }
}

/// Lanes are not shared: the second one's come after the first one's.
fn move_slots(report: &mut Report, by: usize) {
    let moved = |slot: usize| slot.saturating_add(by);
    for case in report.suites.iter_mut().flat_map(|suite| &mut suite.cases) {
        case.slot = case.slot.map(moved);
        case.earlier
            .iter_mut()
            .for_each(|attempt| attempt.slot = moved(attempt.slot));
    }
}

fn slot_count(report: &Report) -> usize {
    let slots = |case: &Case| {
        let earlier = case.earlier.iter().map(|attempt| attempt.slot);
        earlier.chain(case.slot).max()
    };
    report
        .cases()
        .filter_map(slots)
        .max()
        .map_or(0, |slot| slot.saturating_add(1))
}

/// The phases as seen from an earlier start.
fn phases(report: &Report, start: SystemTime) -> impl Iterator<Item = Phase> + use<> {
    let later: Duration = report.started.duration_since(start).unwrap_or_default();
    report.phases.clone().into_iter().map(move |phase| Phase {
        after: phase.after + later,
        ..phase
    })
}

fn add(suites: &mut Vec<Suite>, suite: Suite) {
    let Some(known) = suites.iter_mut().find(|known| known.name == suite.name) else {
        suites.push(suite);
        return;
    };
    let places = known.cases.iter().enumerate();
    let places: BTreeMap<(String, u32), usize> = places
        .map(|(place, case)| ((case.id.clone(), case.round), place))
        .collect();
    for case in suite.cases {
        let place = places.get(&(case.id.clone(), case.round)).copied();
        match place.and_then(|place| known.cases.get_mut(place)) {
            Some(old) if ran(&case) || !ran(old) => *old = case,
            Some(_) => {}
            None => known.cases.push(case),
        }
    }
}

fn ran(case: &Case) -> bool {
    !matches!(case.outcome, Outcome::Skipped(_))
}

/// Each name once. Where the values differ both are told, and the property `differs` names those that do.
fn properties(first: Vec<(String, String)>, second: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut merged = first;
    let mut differing = Vec::new();
    for (name, value) in second {
        match merged.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if known.split(" | ").any(|part| part == value) => {}
            Some((_, known)) => {
                known.push_str(" | ");
                known.push_str(&value);
                differing.push(name);
            }
            None => merged.push((name, value)),
        }
    }
    note_differing(&mut merged, differing);
    merged
}

/// That every run has an id of its own is not worth a word.
fn note_differing(properties: &mut Vec<(String, String)>, mut names: Vec<String>) {
    names.retain(|name| name != "run_id" && name != "differs");
    let place = properties.iter().position(|(name, _)| name == "differs");
    if let Some(place) = place {
        let (_, before) = properties.remove(place);
        names.extend(before.split(", ").map(str::to_owned));
    }
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        properties.push(("differs".to_owned(), names.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::examples::{case, failed, report, skipped};

    fn outcomes(report: &Report) -> Vec<(String, &'static str)> {
        let word = |case: &Case| match case.outcome {
            Outcome::Passed => "passed",
            Outcome::Failed(_) | Outcome::Errored(_) => "failed",
            Outcome::Skipped(_) => "skipped",
        };
        report
            .cases()
            .map(|case| (case.name.clone(), word(case)))
            .collect()
    }

    #[test]
    fn the_shards_of_a_run_are_the_whole_run() {
        let first = report("1", vec![case("a", Outcome::Passed)]);
        let second = report("2", vec![case("b", failed("no"))]);
        let merged = merge(vec![first, second]).unwrap();
        assert_eq!(
            outcomes(&merged),
            [("a".to_owned(), "passed"), ("b".to_owned(), "failed")]
        );
        assert_eq!(merged.suites.len(), 1);
        assert_eq!(merged.run_id, "1+2");
    }

    #[test]
    fn of_the_same_test_the_later_report_holds_but_a_skip_never_hides_a_result() {
        let first = report("1", vec![case("a", failed("no")), case("b", failed("no"))]);
        let second = report(
            "2",
            vec![case("a", Outcome::Passed), case("b", skipped("other shard"))],
        );
        let merged = merge(vec![first, second]).unwrap();
        assert_eq!(
            outcomes(&merged),
            [("a".to_owned(), "passed"), ("b".to_owned(), "failed")]
        );
    }

    #[test]
    fn lanes_are_not_shared() {
        let merged = merge(vec![
            report("1", vec![case("a", Outcome::Passed)]),
            report("2", vec![case("b", Outcome::Passed)]),
        ]);
        let slots: Vec<Option<usize>> = merged.unwrap().cases().map(|case| case.slot).collect();
        assert_eq!(slots, [Some(0), Some(1)]);
    }

    #[test]
    fn a_slot_of_any_number_can_be_merged() {
        let far = Case {
            slot: Some(usize::MAX),
            ..case("a", Outcome::Passed)
        };
        let second = report("2", vec![case("b", Outcome::Passed)]);
        let merged = merge(vec![report("1", vec![far]), second]);
        let slots: Vec<Option<usize>> = merged.unwrap().cases().map(|case| case.slot).collect();
        assert_eq!(slots, [Some(usize::MAX); 2]);
    }

    #[test]
    fn values_that_differ_are_both_told_and_named() {
        let seeded = |seed: &str| {
            let mut one = report(seed, vec![]);
            one.properties = [("run_id", seed), ("seed", seed), ("os", "linux")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec();
            one
        };
        let merged = merge(vec![seeded("1"), seeded("2"), seeded("1")]).unwrap();
        let value = |name: &str| {
            let found = merged.properties.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            (value("seed"), value("os"), value("differs")),
            (Some("1 | 2"), Some("linux"), Some("seed"))
        );
    }

    #[test]
    fn of_nothing_nothing_comes() {
        assert!(merge(Vec::new()).is_none());
    }
}
