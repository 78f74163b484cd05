//! Which tests run, by words and expressions on the command line.

use super::support::{Run, run};

fn ran(run: &Run) -> Vec<&str> {
    let lines = run.stdout.lines().filter(|line| line.starts_with("PASS "));
    let mut names: Vec<&str> = lines.filter_map(|line| line.rsplit(' ').next()).collect();
    names.sort_unstable();
    names
}

#[test]
fn words_and_expressions_together_select_the_tests_that_match_both() {
    let expressions = ["-E", "test(=good::passes) | cap(ipv4)", "-E", "test(knows)"];
    let run = run(&[
        &["good", "skipped", "--skip", "unknown_capability"],
        &expressions[..],
    ]
    .concat());
    assert_eq!(run.code, Some(0), "{run}");
    let names = [
        "good::knows_its_run",
        "good::passes",
        "skipped::needs_capabilities_that_may_be_missing",
    ];
    assert_eq!(ran(&run), names, "{run}");
}

#[test]
fn an_invalid_expression_is_shown_with_a_caret() {
    let run = run(&["-E", "test(good) and tset(x)"]);
    assert_eq!(run.code, Some(94), "{run}");
    let caret = "  test(good) and tset(x)\n                 ^\nhint: ";
    assert!(run.stdout.contains(caret), "{run}");
}

#[test]
fn an_expression_that_selects_nothing_is_named() {
    let run = run(&["-E", "module(god)", "good"]);
    assert_eq!(run.code, Some(4), "{run}");
    assert!(run.stdout.contains("no test matches `module(god)` (of "), "{run}");
}
