//! Merges several reports into one: the shards of a run, or consecutive runs.
//!
//! The result contains every test of any report. If several reports contain the same test, a
//! finished one counts more than one that was ended together with the run, and that counts more
//! than one that did not run. Between equals the later report counts, so a rerun of failed tests
//! replaces their failures. The failure of a run as a whole is dropped if a later run covers the
//! same tests; a run of another shard does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::report::data::{Case, FailedRun, Failure, Outcome, Phase, Report, Suite};
use crate::report::kinds::SkipKind;
use crate::report::label;

/// All of them as one; `None` if there are none.
pub(crate) fn merge(mut reports: Vec<Report>) -> Option<Report> {
    share_places(&mut reports);
    let failed_runs = failed_runs(&reports);
    let merged = reports.into_iter().reduce(two)?;
    let compile_errors = failed_runs
        .iter()
        .flat_map(|run| run.compile_errors.iter().cloned());
    Some(Report {
        setup_failure: setup_failure(&failed_runs),
        compile_errors: compile_errors.collect(),
        failed_runs,
        ..merged
    })
}

/// The runs that failed as a whole, except those that a later run covers.
fn failed_runs(reports: &[Report]) -> Vec<FailedRun> {
    let mut standing: Vec<(&Report, &Failure)> = Vec::new();
    for report in reports {
        standing.retain(|(earlier, _)| !heals(report, earlier));
        standing.extend(report.setup_failure.as_ref().map(|failure| (report, failure)));
    }
    let run = |(report, failure): (&Report, &Failure)| FailedRun {
        label: label::of(report).map(str::to_owned),
        title: title(report),
        failure: failure.clone(),
        compile_errors: report.compile_errors.clone(),
    };
    standing.into_iter().map(run).collect()
}

/// Their failures as one; each with its label or shard if there are several.
fn setup_failure(runs: &[FailedRun]) -> Option<Failure> {
    let (first, others) = runs.split_first()?;
    if others.is_empty() {
        return Some(first.failure.clone());
    }
    let failures = runs.iter().map(|run| {
        let Failure { kind, message, .. } = &run.failure;
        format!("{}: {kind}: {message}", run.title)
    });
    let details = runs.iter().map(|run| run.failure.detail.as_str());
    let details: Vec<&str> = details.filter(|detail| !detail.is_empty()).collect();
    Some(Failure {
        kind: first.failure.kind.clone(),
        message: failures.collect::<Vec<_>>().join("; "),
        detail: details.join("\n"),
    })
}

/// What tells a run from the others.
fn title(report: &Report) -> String {
    let shard = || shard(report).map(|shard| format!("shard {shard}"));
    let label = label::of(report).map(|label| format!("label {label}"));
    label.or_else(shard).unwrap_or_else(|| "the run".to_owned())
}

/// Whether `later` repeats the same run: of the same shard or of the whole suite, with all tests
/// that did not finish in the earlier one.
fn heals(later: &Report, earlier: &Report) -> bool {
    let is_of_all = shard(later).is_none() || shard(later) == shard(earlier);
    let known: BTreeSet<(&str, u32)> = later.cases().map(Case::key).collect();
    let mut unfinished = earlier.cases().filter(|case| is_unfinished(case));
    let is_of_label = label::of(later) == label::of(earlier);
    is_of_all && is_of_label && unfinished.all(|case| known.contains(&case.key()))
}

/// The shard that was run; `None` if the run was not a shard.
fn shard(report: &Report) -> Option<&str> {
    report.property("shard").filter(|shard| *shard != "none")
}

/// Whether the run ended before the test did.
fn is_unfinished(case: &Case) -> bool {
    match &case.outcome {
        Outcome::Skipped(skip) => skip.kind == SkipKind::Interrupted,
        outcome => outcome.is_interrupted(),
    }
}

/// Both as one, without their failures as a whole.
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
        setup_failure: None,
        compile_errors: Vec::new(),
        failed_runs: Vec::new(),
        places: first.places,
    }
}

/// Gives all reports the same places. Where those differ, the paths become what readers take, which
/// needs no places.
fn share_places(reports: &mut [Report]) {
    let is_same = |pair: &[Report]| matches!(pair, [a, b] if a.places == b.places);
    if reports.windows(2).all(is_same) {
        return;
    }
    for report in reports {
        let places = std::mem::take(&mut report.places);
        let cases = report.suites.iter_mut().flat_map(|suite| &mut suite.cases);
        cases.for_each(|case| places.locate(case));
        let errors = report.compile_errors.iter_mut();
        let files = errors.filter_map(|error| error.file.as_mut());
        files.for_each(|file| *file = places.file(Path::new(file)));
    }
}

/// Lanes are not shared: those of the second report come after those of the first.
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

/// The phases, relative to an earlier start.
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
            Some(old) if weight(&case) >= weight(old) => *old = case,
            Some(_) => {}
            None => known.cases.push(case),
        }
    }
}

/// How much is known of the test: nothing if it did not run, little if it was ended together with
/// the run.
fn weight(case: &Case) -> u8 {
    match &case.outcome {
        Outcome::Skipped(_) => 0,
        outcome if outcome.is_interrupted() => 1,
        Outcome::Passed | Outcome::Failed(_) | Outcome::Errored(_) => 2,
    }
}

/// Each name once. If the values differ, both are listed, and the property `differs` lists the
/// names.
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

/// Every run has its own id, so that difference is not listed.
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
    use crate::base::compile_error::CompileError;
    use crate::base::failure_kind::FailureKind;
    use crate::report::data::Skip;
    use crate::report::examples::{case, failed, interrupted, report, skipped};
    use crate::report::junit;
    use crate::report::places::Places;

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
    fn the_later_report_of_a_test_counts_but_a_skip_never_hides_a_result() {
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
    fn an_interrupted_test_hides_no_result_and_no_skip_hides_it() {
        let names = ["passes", "fails", "ended", "skips"];
        let outcomes_then = |outcomes: [Outcome; 4]| {
            let cases = names.into_iter().zip(outcomes);
            report("r", cases.map(|(name, outcome)| case(name, outcome)).collect())
        };
        let first = outcomes_then([Outcome::Passed, failed("no"), interrupted(), skipped("x")]);
        let second = outcomes_then([interrupted(), interrupted(), skipped("x"), interrupted()]);
        let merged = merge(vec![first, second]).unwrap();
        let was_ended: Vec<bool> = merged.cases().map(|case| case.outcome.is_interrupted()).collect();
        assert_eq!(was_ended, [false, false, true, true]);
        assert!(matches!(merged.cases().next().unwrap().outcome, Outcome::Passed));
    }

    /// The failure as a whole in the merged report of these runs, each with its shard and its own
    /// failure.
    fn whole_failure(runs: &[(&str, Option<&str>)]) -> Option<String> {
        let reports = runs.iter().map(|(shard, why)| {
            let mut one = report("r", vec![]);
            one.properties.push(("shard".to_owned(), (*shard).to_owned()));
            one.setup_failure = why.and_then(|why| failed(why).failure().cloned());
            one
        });
        let failure = merge(reports.collect()).unwrap().setup_failure;
        failure.map(|failure| failure.message)
    }

    #[test]
    fn a_later_run_of_the_same_tests_replaces_a_failed_run_and_another_shard_does_not() {
        let merged = |runs: &[(&str, Option<&str>)]| whole_failure(runs).unwrap_or_default();
        assert_eq!(merged(&[("none", Some("a")), ("none", None)]), "");
        assert_eq!(merged(&[("none", None), ("none", Some("b"))]), "b");
        assert_eq!(merged(&[("none", Some("a")), ("none", Some("b"))]), "b");
        assert_eq!(merged(&[("1/2", Some("a")), ("2/2", None)]), "a");
        assert_eq!(merged(&[("1/2", None), ("2/2", Some("b"))]), "b");
        assert_eq!(merged(&[("1/2", Some("a")), ("2/2", None), ("1/2", None)]), "");
        assert_eq!(
            merged(&[("1/2", Some("a")), ("2/2", Some("b"))]),
            "shard 1/2: panic: a; shard 2/2: panic: b"
        );
        assert_eq!(merged(&[("1/2", Some("a")), ("none", None)]), "");
        assert_eq!(merged(&[("none", Some("a")), ("1/2", None)]), "a");
    }

    #[test]
    fn an_interrupted_run_is_replaced_only_by_one_with_its_missing_tests() {
        let skip = Skip {
            kind: SkipKind::Interrupted,
            reason: "the run was killed before it started".to_owned(),
        };
        let mut killed = report(
            "1",
            vec![case("a", interrupted()), case("b", Outcome::Skipped(skip))],
        );
        killed.setup_failure = interrupted().failure().cloned();
        let passed = |names: &[&str]| {
            let cases = names.iter().map(|name| case(name, Outcome::Passed));
            report("2", cases.collect())
        };
        let is_failed = |second| {
            merge(vec![killed.clone(), second])
                .unwrap()
                .setup_failure
                .is_some()
        };
        assert!(is_failed(passed(&["a"])));
        assert!(!is_failed(passed(&["a", "b"])));
    }

    /// A run of one test with this outcome, in a workspace of its own directory and with a label.
    fn labelled(name: &str, outcome: Outcome) -> Report {
        let mut run = report(name, vec![case("a", outcome)]);
        let (root, workspace) = (Path::new("/r"), Path::new("/r").join(name));
        run.places = Places::new(root, &workspace, None);
        label::put(&mut run, &name.parse().unwrap());
        run
    }

    #[test]
    fn runs_with_labels_keep_their_results_of_the_same_test() {
        let runs = vec![
            labelled("ubuntu", Outcome::Passed),
            labelled("mac.os", failed("no")),
        ];
        let merged = merge(runs).unwrap();
        let told: Vec<_> = merged
            .cases()
            .map(|case| (case.id.as_str(), case.classname.as_str()))
            .collect();
        let expected = [
            ("ubuntu/p::suite$m::a", "ubuntu.p.suite.m"),
            ("mac.os/p::suite$m::a", "mac_os.p.suite.m"),
        ];
        assert_eq!(told, expected);
        assert_eq!(merged.property("label"), Some("ubuntu | mac.os"));
        let files: Vec<_> = merged
            .cases()
            .map(|case| merged.places.file(case.file.as_ref().unwrap()))
            .collect();
        assert_eq!(files, ["ubuntu/suite/m.rs", "mac.os/suite/m.rs"]);
    }

    #[test]
    fn errors_of_the_compiler_keep_their_labels_and_are_located_once() {
        let broken = |name: &str, workspace: &str| {
            let mut run = labelled(name, Outcome::Passed);
            run.places = Places::new(Path::new("/r"), Path::new(workspace), None);
            run.setup_failure = failed("no build").failure().map(|failure| Failure {
                kind: FailureKind::Build,
                ..failure.clone()
            });
            run.compile_errors = vec![CompileError {
                file: Some("src/lib.rs".to_owned()),
                line: Some(3),
                code: None,
                message: "wrong".to_owned(),
                text: "error: wrong".to_owned(),
            }];
            run
        };
        for (second, file) in [("/r/a", "a/src/lib.rs"), ("/r/b", "b/src/lib.rs")] {
            let merged = merge(vec![broken("ubuntu", "/r/a"), broken("macos", second)]).unwrap();
            let xml = junit::to_xml(&merged, junit::Dialect::Rich).unwrap();
            for part in [
                "classname=\"ubuntu.run.build\" time=\"3.000\" file=\"a/src/lib.rs\"".to_owned(),
                format!("classname=\"macos.run.build\" time=\"3.000\" file=\"{file}\""),
                "name=\"a/src/lib.rs:3: wrong\" classname=\"ubuntu.run.build\"".to_owned(),
                format!("name=\"{file}:3: wrong\" classname=\"macos.run.build\""),
            ] {
                assert!(xml.contains(&part), "{part}\n{xml}");
            }
        }
    }

    #[test]
    fn each_of_several_failed_runs_has_its_cases() {
        let failed_run = |mut run: Report, errors: &[CompileError]| {
            run.setup_failure = failed("no build").failure().cloned();
            run.compile_errors = errors.to_vec();
            run
        };
        let sharded = |shard: &str| {
            let mut run = report("r", Vec::new());
            run.properties.push(("shard".to_owned(), shard.to_owned()));
            run
        };
        let error = CompileError {
            file: Some("src/lib.rs".to_owned()),
            line: Some(3),
            code: None,
            message: "wrong".to_owned(),
            text: "error: wrong".to_owned(),
        };
        let named = |runs: Vec<Report>| {
            let xml = junit::to_xml(&merge(runs).unwrap(), junit::Dialect::Jenkins).unwrap();
            assert_eq!(junit::violations(&xml, junit::Dialect::Jenkins), [""; 0]);
            let name = |case: &str| case.split(" time=").next().unwrap_or_default().to_owned();
            xml.split("<testcase ").skip(1).map(name).collect::<Vec<_>>()
        };
        let [broken, dead] = ["ubuntu", "mac.os"].map(|name| Report {
            suites: Vec::new(),
            ..labelled(name, Outcome::Passed)
        });
        assert_eq!(
            named(vec![failed_run(broken, &[error]), failed_run(dead, &[])]),
            [
                "name=\"ubuntu/src/lib.rs:3: wrong\" classname=\"ubuntu.run.setup\"",
                "name=\"panic\" classname=\"mac_os.run.setup\"",
            ]
        );
        let shards = ["1/2", "2/2"].map(|shard| failed_run(sharded(shard), &[]));
        assert_eq!(
            named(shards.to_vec()),
            [
                "name=\"panic\" classname=\"run.setup\"",
                "name=\"panic #2\" classname=\"run.setup\"",
            ]
        );
    }

    #[test]
    fn a_run_heals_none_of_another_label() {
        let mut broken = labelled("ubuntu", Outcome::Passed);
        broken.suites.clear();
        broken.setup_failure = failed("no build").failure().cloned();
        let is_failed = |name| {
            let merged = merge(vec![broken.clone(), labelled(name, Outcome::Passed)]).unwrap();
            merged.setup_failure.is_some()
        };
        assert!(is_failed("macos"));
        assert!(!is_failed("ubuntu"));
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
    fn differing_values_are_both_listed_and_named() {
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
    fn no_reports_give_no_report() {
        assert!(merge(Vec::new()).is_none());
    }
}
