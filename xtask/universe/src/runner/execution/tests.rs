//! What the events say while tests repeat, and what the report says at the end: the same.

use std::collections::BTreeMap;

use super::*;
use crate::base::exit::Exit;
use crate::base::failure_kind::FailureKind;
use crate::report::data::Report;
use crate::report::events;
use crate::report::places::Places;
use crate::select::filter::Filter;
use crate::select::plan::{PlanOptions, plain_tests};
use crate::select::repeat::Flaky;

/// Limits so low that a few rounds exceed them.
const CAPS: Caps = Caps {
    rounds: 4,
    outputs: 2,
};

const ROUNDS: u32 = 12;

fn settings(retries: u32) -> Settings {
    let minute = Duration::from_secs(60);
    Settings {
        jobs: 4,
        timeout: minute,
        grace: minute,
        slow: minute,
        leaks: LeakPolicy::Fail,
        run_timeout: minute,
        stretch: 1.0,
        repeat: Repeat {
            count: Some(ROUNDS),
            copies: 1,
            stress: None,
            goal: Goal::Rounds,
            retries,
            retry_delay: Duration::ZERO,
            flaky: Flaky::Pass,
        },
        failures_max: None,
        debugging: Debugging::No,
        output: Output::Keep,
        caps: CAPS,
    }
}

/// A run of one test whose events are written to a file in `home`.
fn stage(home: &std::path::Path, settings: Settings) -> Arc<Stage> {
    let plan = Plan::make(
        plain_tests(&["t"]),
        &Filter::default(),
        &BTreeMap::new(),
        &PlanOptions::default(),
    );
    let events = Events::new(clock::now());
    events.write_to(&home.join(events::FILE_NAME)).unwrap();
    Arc::new(Stage {
        setups: Setups::new(Vec::new()),
        plan: plan.unwrap(),
        environment: Environment::default(),
        directory: Arc::new(RunDir::create(home, "test").unwrap()),
        owner: Arc::new(Owner::Group {
            why: None,
            terminal: owner::Terminal::Withheld,
        }),
        pauses: Pauses::none(),
        console: Arc::new(Console::beside_stdout()),
        events: Arc::new(events),
        settings,
        root: home.to_owned(),
        origin: None,
    })
}

/// Ends every attempt as `outcome` says, in the order of their starts.
fn play(stage: &Arc<Stage>, outcome: impl Fn(Ticket) -> Outcome) -> (Vec<Suite>, Dropped) {
    let mut runner = Runner::new(stage);
    stage.events.discovered(suites::planned(&stage.plan));
    loop {
        let tickets = runner.queue.start(clock::now());
        if tickets.is_empty() {
            break;
        }
        tickets.iter().for_each(|&ticket| runner.begin(ticket));
        for ticket in tickets {
            let ended = Case {
                round: ticket.round,
                slot: Some(ticket.slot),
                started: Some(clock::wall()),
                stdout: b"output".to_vec(),
                ..case(stage.plan.test(ticket.number), outcome(ticket))
            };
            runner.settle(ticket, ended);
        }
    }
    let (cases, dropped) = runner.into_cases(Ending::Complete);
    (suites::group(&stage.plan, cases, clock::wall()), dropped)
}

/// The report of such a run, the report replayed from its events, and the rounds that are only
/// counted.
fn told_twice(retries: u32, outcome: impl Fn(Ticket) -> Outcome) -> (Report, Report, Dropped) {
    let home = tempfile::tempdir().unwrap();
    let stage = stage(home.path(), settings(retries));
    let nothing_yet = Report {
        name: "r".to_owned(),
        run_id: "r".to_owned(),
        started: clock::wall(),
        elapsed: Duration::ZERO,
        properties: Vec::new(),
        phases: Vec::new(),
        suites: Vec::new(),
        setup_failure: None,
        compile_errors: Vec::new(),
        failed_runs: Vec::new(),
        places: Places::default(),
    };
    stage.events.run_started(&nothing_yet, Vec::new());
    let (suites, dropped) = play(&stage, outcome);
    let report = Report {
        suites,
        ..nothing_yet
    };
    stage.events.run_ended(Exit::Success, &report);
    let replayed = events::read(&home.path().join(events::FILE_NAME)).unwrap();
    (report, replayed, dropped)
}

fn json(report: &Report) -> serde_json::Value {
    serde_json::to_value(report).unwrap()
}

fn failed() -> Outcome {
    Outcome::Failed(Failure {
        kind: FailureKind::Panic,
        message: "m".to_owned(),
        detail: String::new(),
    })
}

#[test]
fn rounds_beyond_the_caps_that_pass_when_tried_again_are_no_failures_in_the_events() {
    let (report, replayed, dropped) = told_twice(1, |ticket| match ticket.attempt {
        1 => failed(),
        _ => Outcome::Passed,
    });
    assert_eq!(json(&replayed), json(&report));
    assert!(report.cases().all(Case::is_flaky));
    assert_eq!(report.cases().count() + dropped.passed, ROUNDS as usize);
    assert!(dropped.passed > 0 && dropped.failed == 0);
}

#[test]
fn rounds_that_are_only_counted_have_no_events() {
    let (report, replayed, dropped) = told_twice(0, |_| Outcome::Passed);
    assert_eq!(json(&replayed), json(&report));
    assert_eq!((report.cases().count(), dropped.passed), (1 + CAPS.rounds, 7));
}

#[test]
fn failures_beyond_the_caps_are_only_counted() {
    let (report, replayed, dropped) = told_twice(0, |ticket| match ticket.round {
        1..=6 => Outcome::Passed,
        _ => failed(),
    });
    assert_eq!(json(&replayed), json(&report));
    let failures = report.cases().filter(|case| case.failure().is_some());
    assert_eq!(failures.count(), CAPS.outputs);
    assert_eq!((dropped.passed, dropped.failed), (1, 4));
}
