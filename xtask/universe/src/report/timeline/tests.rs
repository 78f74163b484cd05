//! The page as text: no part of a test's output becomes markup, and the size of the page is
//! bounded.

use std::time::Duration;

use super::*;
use crate::report::data::{Case, Leak, Outcome};
use crate::report::examples::{attempt, case, failed, interrupted, report, skipped};

const EVIL: &str = "</script><!--<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>\x1b[31m]]>";

/// The names of all elements that begin in the page.
fn elements(page: &str) -> std::collections::BTreeSet<String> {
    let begins = page
        .split('<')
        .skip(1)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    begins
        .map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect()
}

fn hostile() -> Report {
    let hit = Case {
        stdout: EVIL.as_bytes().to_vec(),
        stderr: b"\xff\0".to_vec(),
        file: Some(EVIL.into()),
        earlier: vec![attempt(failed(EVIL), Duration::from_millis(900))],
        leaks: vec![Leak {
            kind: EVIL.to_owned().into(),
            what: EVIL.into(),
        }],
        elapsed: Duration::from_secs(1),
        ..case(EVIL, failed(EVIL))
    };
    let mut report = report(EVIL, vec![hit, case("s", skipped(EVIL))]);
    report.setup_failure = failed(EVIL).failure().cloned();
    report
        .phases
        .iter_mut()
        .for_each(|phase| phase.name = EVIL.into());
    report
}

#[test]
fn hostile_names_and_output_add_no_element_and_no_script() {
    let tame = Case {
        earlier: vec![attempt(failed("x"), Duration::from_millis(900))],
        elapsed: Duration::from_secs(1),
        ..case("t", failed("x"))
    };
    let mut plain = report("r", vec![tame, case("s", skipped("x"))]);
    plain.setup_failure = failed("x").failure().cloned();
    let (page, plain) = (to_html(&hostile()), to_html(&plain));
    assert_eq!(elements(&page), elements(&plain));
    for once in ["<script", "</script", "<style", "<!--"] {
        assert_eq!(page.matches(once).count(), plain.matches(once).count(), "{once}");
    }
    assert!(
        !page.contains(['\x1b', '\0']) && page.contains("&lt;/script&gt;&lt;!--"),
        "{page}"
    );
}

#[test]
fn the_page_needs_nothing_from_elsewhere_and_allows_nothing_but_its_own_script() {
    let page = to_html(&hostile());
    for outside in [
        "http://", "https://", "src=\"", "url(", "@import", "style=\"", " onclick",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    let nonce = page
        .split("script-src 'nonce-")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    assert!(page.contains(&format!("<script nonce=\"{nonce}\">")) && page.contains("default-src 'none'"));
}

#[test]
fn every_attempt_has_a_bar_and_every_test_a_row() {
    let flaky = Case {
        earlier: vec![attempt(failed("x"), Duration::from_millis(500))],
        ..case("flaky", Outcome::Passed)
    };
    let page = to_html(&report(
        "r",
        vec![
            flaky,
            case("a", Outcome::Passed),
            case("s", skipped("off")),
            case("i", interrupted()),
        ],
    ));
    let bars = |class: &str| page.matches(&format!("<rect class=\"{class}")).count();
    assert_eq!(
        ["passed", "failed", "flaky", "interrupted", "phase"].map(bars),
        [1, 1, 1, 1, 2]
    );
    assert_eq!(page.matches("<tr id=").count(), 4);
    assert!(
        page.contains("<b class=\"skipped\">skipped</b>") && page.contains(">off<"),
        "{page}"
    );
}

#[test]
fn every_slot_that_occurs_has_one_lane_whatever_its_number() {
    let in_slot = |name: &str, slot| Case {
        slot: Some(slot),
        ..case(name, Outcome::Passed)
    };
    let cases = vec![
        in_slot("a", 4_000_000_000),
        in_slot("b", 7),
        in_slot("c", usize::MAX),
    ];
    let page = to_html(&report("r", cases));
    let lanes = page.split("<svg class=\"lanes\"").nth(1).unwrap();
    let names: Vec<&str> = lanes
        .split("</text>")
        .take(4)
        .filter_map(|text| text.rsplit('>').next())
        .collect();
    assert_eq!(
        names,
        [
            "run",
            "slot 7",
            "slot 4000000000",
            &format!("slot {}", usize::MAX)
        ]
    );
    assert!(
        page.contains("<svg id=\"picture\" width=\"100%\" height=\"130\">"),
        "{page}"
    );
}

#[test]
fn the_size_of_a_page_of_five_thousand_failures_is_bounded() {
    let cases = (0..5000).map(|number| Case {
        stdout: vec![b'x'; 9000],
        ..case(&format!("t{number}"), failed("no"))
    });
    let page = to_html(&report("r", cases.collect()));
    assert!(page.len() < 10 * 1024 * 1024, "{}", page.len());
}

#[test]
fn a_run_without_tests_is_a_valid_page() {
    let mut nothing = report("r", Vec::new());
    (nothing.phases, nothing.elapsed) = (Vec::new(), Duration::ZERO);
    let page = to_html(&nothing);
    assert!(
        page.contains("<h1>0 passed, 0 failed, 0 skipped</h1>") && !page.contains("<svg"),
        "{page}"
    );
}
