//! The decision about a test, by its `#[ignore]`, the machine and the command line.

use std::path::PathBuf;

use super::*;
use crate::select::filter::Match;
use crate::select::history::HistoryFile;
use crate::workspace::cargo::Harness;
use crate::workspace::cargo::platform::Platform;

fn tests(ignores: &[(&str, Ignore)]) -> Vec<Test> {
    let package = serde_json::from_str(
        r#"{"id":"p","name":"p","version":"0.1.0","manifest_path":"/p/Cargo.toml","features":{}}"#,
    );
    let target = "suite".to_owned();
    let (executable, source) = (PathBuf::from("/p/suite"), PathBuf::from("/p/suite.rs"));
    let binary = Arc::new(TestBinary {
        package: Arc::new(package.unwrap()),
        target,
        executable,
        source,
        harness: Harness::Libtest,
        platform: Platform::Target,
    });
    let test = |(name, ignore): &(&str, Ignore)| {
        let (name, ignore) = ((*name).to_owned(), ignore.clone());
        Test {
            binary: Arc::clone(&binary),
            name,
            ignore,
            place: None,
            form: Form::One,
        }
    };
    ignores.iter().map(test).collect()
}

/// Tests with these names and without needs, for tests of other modules.
pub(crate) fn plain_tests(names: &[&str]) -> Vec<Test> {
    let plain: Vec<(&str, Ignore)> = names.iter().map(|name| (*name, Ignore::No)).collect();
    tests(&plain)
}

fn because(reason: &str) -> Ignore {
    Ignore::Because(reason.to_owned())
}

fn capability_states() -> CapabilityStates {
    let missing = CapabilityState::Missing("no `/dev/fuse`".to_owned());
    BTreeMap::from([
        ("fuse".to_owned(), missing),
        ("git".to_owned(), CapabilityState::Held),
    ])
}

fn decision(ignore: Ignore, options: &PlanOptions) -> Decision {
    let plan = Plan::make(
        tests(&[("t", ignore)]),
        &Filter::default(),
        &capability_states(),
        options,
    )
    .unwrap();
    plan.tests.into_iter().next().unwrap().1
}

fn requiring(words: &[&str]) -> PlanOptions {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    PlanOptions {
        required: Required::parse(&words, &capability_states()).unwrap(),
        ..PlanOptions::default()
    }
}

/// Reading thousands of lines takes longer than all else before the first test.
#[test]
fn a_plan_of_all_tests_needs_no_history() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("history.ndjson");
    let mut options = PlanOptions::default();
    options.subset.history = Arc::new(HistoryFile::new(Some(&path), directory.path(), None).all());
    let tests = plain_tests(&["t"]);
    let plan = Plan::make(tests, &Filter::default(), &capability_states(), &options).unwrap();
    assert_eq!(options.subset.needed().len(), 0);
    // A file that was read before does not have this line.
    let line = r#"{"v":1,"run":"r-1","test":"p::suite$t","verdict":"passed","attempts":1,"rounds":1,"ms":7}"#;
    std::fs::write(&path, format!("{line}\n")).unwrap();
    assert_eq!(plan.usual_time(0), Some(Duration::from_millis(7)));
}

#[test]
fn a_need_that_is_met_runs() {
    assert!(matches!(
        decision(because("needs git"), &PlanOptions::default()),
        Decision::Run
    ));
}

#[test]
fn a_need_that_is_not_met_is_skipped_with_the_probes_reason() {
    let Decision::Skip(skip) = decision(because("needs git, fuse"), &PlanOptions::default()) else {
        panic!()
    };
    assert_eq!(skip.kind.name(), "capability:fuse");
    assert_eq!(skip.reason, "needs fuse: no `/dev/fuse`");
}

#[test]
fn a_required_need_that_is_not_met_fails_with_the_probes_reason() {
    for options in [
        requiring(&["fuse"]),
        requiring(&["all"]),
        requiring(&["git, fuse"]),
    ] {
        let Decision::Fail(failure) = decision(because("needs fuse"), &options) else {
            panic!("{options:?}")
        };
        assert!(failure.message.contains("no `/dev/fuse`"));
    }
    assert!(matches!(
        decision(because("needs fuse"), &requiring(&["git"])),
        Decision::Skip(_)
    ));
}

#[test]
fn an_unknown_need_is_an_error_and_not_a_skip() {
    let Decision::Reject(failure) = decision(because("needs teleport"), &PlanOptions::default()) else {
        panic!()
    };
    assert_eq!(failure.message, "`t` needs `teleport`, which is not a capability");
    let (known, other) = failure.detail.split_once('\n').unwrap();
    assert_eq!(known, "hint: the capabilities are `fuse`, `git`");
    assert!(
        other.ends_with("begins with another word than `needs`"),
        "{other}"
    );
}

#[test]
fn another_reason_is_a_plain_skip_unless_such_tests_are_requested() {
    let Decision::Skip(skip) = decision(because("slow one"), &PlanOptions::default()) else {
        panic!()
    };
    assert_eq!(
        (skip.kind.name().as_ref(), skip.reason.as_str()),
        ("ignored", "slow one")
    );
    assert!(matches!(
        decision(Ignore::Bare, &PlanOptions::default()),
        Decision::Skip(_)
    ));
    let options = PlanOptions {
        ignored: Ignored::Run,
        ..PlanOptions::default()
    };
    assert!(matches!(decision(because("slow one"), &options), Decision::Run));
    assert!(matches!(
        decision(because("needs fuse"), &options),
        Decision::Skip(_)
    ));
}

#[test]
fn a_capability_required_by_name_is_missing_even_if_no_test_needs_it() {
    let plan = Plan::make(
        tests(&[("t", Ignore::No)]),
        &Filter::default(),
        &capability_states(),
        &PlanOptions::default(),
    )
    .unwrap();
    let missing = |words| plan.missing(&capability_states(), &requiring(words).required);
    assert_eq!(
        missing(&["fuse"]).get("fuse").map(String::as_str),
        Some("no `/dev/fuse`")
    );
    assert!(missing(&["all"]).is_empty() && missing(&["git"]).is_empty());
}

#[test]
fn requiring_an_unknown_capability_is_a_usage_error() {
    let stop = Required::parse(&["teleport".to_owned()], &capability_states()).unwrap_err();
    assert_eq!(stop.exit, Exit::Usage);
}

#[test]
fn nothing_selected_names_the_filter() {
    let filter = Filter::parse(&["fecth".to_owned()], Match::Substring).unwrap();
    let stop = Plan::make(
        tests(&[("t", Ignore::No)]),
        &filter,
        &capability_states(),
        &PlanOptions::default(),
    )
    .unwrap_err();
    assert_eq!(stop.exit, Exit::NoTests);
    assert!(
        stop.message.starts_with("no test matches `fecth` (of 1)"),
        "{}",
        stop.message
    );
}

#[test]
fn a_seed_changes_the_order_but_not_the_selection() {
    let many: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    let many: Vec<(&str, Ignore)> = many.iter().map(|name| (name.as_str(), Ignore::No)).collect();
    let order = |seed| {
        let options = PlanOptions {
            seed,
            ..PlanOptions::default()
        };
        Plan::make(tests(&many), &Filter::default(), &capability_states(), &options)
            .unwrap()
            .order
    };
    assert_eq!(order(None), (0..20).collect::<Vec<_>>());
    assert_eq!(order(Some(5)), order(Some(5)));
    assert_ne!(order(Some(5)), order(None));
}

#[test]
fn of_several_needs_the_first_that_is_missing_is_named() {
    let missing = |name: &str| {
        (
            name.to_owned(),
            CapabilityState::Missing(format!("no {name} here")),
        )
    };
    let capability_states = CapabilityStates::from([
        ("fuse".to_owned(), CapabilityState::Held),
        missing("git"),
        missing("rsync"),
    ]);
    let needs = because("needs fuse, git , rsync");
    let plan = Plan::make(
        tests(&[("t", needs)]),
        &Filter::default(),
        &capability_states,
        &PlanOptions::default(),
    );
    let Decision::Skip(skip) = &plan.unwrap().tests[0].1 else {
        panic!()
    };
    assert_eq!(
        (skip.kind.name().as_ref(), skip.reason.as_str()),
        ("capability:git", "needs git: no git here")
    );
}
