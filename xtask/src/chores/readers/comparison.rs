//! Where a reader's view of a report differs from the truth. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::truth::{Expected, Place};
use crate::chores::limits::{COMPARED_LEN_MAX, DIFFERENCES_SHOWN_MAX};

/// What a reader printed: the totals, then each case. What it does not know is `None`.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) totals: Totals,
    pub(super) cases: Vec<Case>,
}

/// The counts of the whole report.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Totals {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: Option<usize>,
}

/// A case as a reader prints it.
#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Case {
    classname: String,
    name: String,
    outcome: String,
    kind: Option<String>,
    message: Option<String>,
    text: Option<String>,
    reruns: Option<usize>,
    place: Option<Place>,
    stdout: Option<String>,
}

/// One line each.
pub(super) fn differences(truth: &[Expected], reading: &Reading) -> Vec<String> {
    let mut found = Vec::new();
    let totals = Totals::of(truth, reading.totals.skipped.is_some());
    if totals != reading.totals {
        found.push(format!("  the totals are {:?}, not {totals:?}", reading.totals));
    }
    let mut read: BTreeMap<(String, String), &Case> = BTreeMap::new();
    for case in &reading.cases {
        let key = (case.classname.clone(), case.name.clone());
        if read.insert(key, case).is_some() {
            found.push(format!(
                "  `{}` of `{}` is there twice",
                case.name, case.classname
            ));
        }
    }
    for expected in truth {
        let key = (one_line(&expected.classname), one_line(&expected.name));
        match read.remove(&key) {
            Some(case) => found.extend(in_case(expected, case)),
            None => found.push(format!("  `{}` of `{}` is missing", key.1, key.0)),
        }
    }
    let rest = read.into_keys();
    found.extend(rest.map(|(classname, name)| format!("  `{name}` of `{classname}` did not run")));
    let hidden = found.len().saturating_sub(DIFFERENCES_SHOWN_MAX);
    found.truncate(DIFFERENCES_SHOWN_MAX);
    found.extend((hidden > 0).then(|| format!("  ... and {hidden} more")));
    found
}

impl Totals {
    fn of(truth: &[Expected], with_skipped: bool) -> Totals {
        let count = |outcome: &str| truth.iter().filter(|case| case.outcome == outcome).count();
        Totals {
            tests: truth.len(),
            failures: count("failure"),
            errors: count("error"),
            skipped: with_skipped.then(|| count("skipped")),
        }
    }
}

fn in_case(truth: &Expected, read: &Case) -> Vec<String> {
    let detail = match truth.detail.trim().is_empty() {
        true => &truth.message,
        false => &truth.detail,
    };
    let checks = [
        ("outcome", truth.outcome == read.outcome),
        (
            "kind",
            is_same(read.kind.as_ref(), |kind| *kind == one_line(&truth.kind)),
        ),
        (
            "message",
            is_same(read.message.as_ref(), |message| begins(&truth.message, message)),
        ),
        ("text", is_same(read.text.as_ref(), |text| contains(text, detail))),
        (
            "number of earlier attempts",
            is_same(read.reruns, |reruns| reruns == truth.rerun_count),
        ),
        (
            "file or line",
            is_same(read.place.as_ref(), |place| *place == truth.place),
        ),
        (
            "standard output",
            is_same(read.stdout.as_ref(), |stdout| contains(stdout, &truth.stdout)),
        ),
    ];
    let wrong = checks.into_iter().filter(|(_, is_same)| !is_same);
    wrong
        .map(|(what, _)| {
            format!(
                "  `{}` of `{}`: the {what} differs: {truth:?}, read as {read:?}",
                truth.name, truth.classname
            )
        })
        .collect()
}

/// A reader that does not know something is not wrong about it.
fn is_same<T>(read: Option<T>, is_it: impl FnOnce(T) -> bool) -> bool {
    read.is_none_or(is_it)
}

/// A message is shortened at its end only.
fn begins(truth: &str, read: &str) -> bool {
    match read.strip_suffix(" …") {
        Some(start) => plain(truth).starts_with(&plain(start)),
        None => plain(truth) == plain(read),
    }
}

/// A text is shortened in its middle only.
fn contains(read: &str, truth: &str) -> bool {
    let (read, truth) = (plain(read), plain(truth));
    let start: String = truth.chars().take(COMPARED_LEN_MAX).collect();
    let skipped = truth.chars().count().saturating_sub(COMPARED_LEN_MAX);
    let end: String = truth.chars().skip(skipped).collect();
    read.contains(&start) && read.contains(&end)
}

/// White space as one space each.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Only what XML can carry and no reader changes: no control sequences, no white space, none of the
/// characters that are replaced.
fn plain(text: &str) -> String {
    let mut rest = text.chars();
    let mut kept = String::new();
    while let Some(scalar) = rest.next() {
        match scalar {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{fffd}'..='\u{ffff}' => {}
            scalar if scalar.is_whitespace() || scalar.is_control() => {}
            scalar => kept.push(scalar),
        }
    }
    kept
}

/// Skips the rest of a complete control sequence of ECMA-48: CSI to its final byte, OSC to its end.
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    let ends: fn(char) -> bool = match rest.clone().next() {
        Some('[') => |scalar| ('@'..='~').contains(&scalar),
        Some(']') => |scalar| matches!(scalar, '\u{7}' | '\\'),
        _ => return,
    };
    rest.next();
    let _ = rest.find(|&scalar| ends(scalar));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Expected {
        Expected {
            classname: "a.b".to_owned(),
            name: "fails".to_owned(),
            outcome: "failure",
            kind: "panic".to_owned(),
            message: "left: 1; right: \u{1b}[1m2\0".to_owned(),
            detail: "left: 1\nright: 2 ]]>".to_owned(),
            rerun_count: 1,
            place: place(3),
            stdout: "said\r\n".to_owned(),
        }
    }

    fn place(line: u64) -> Place {
        Place {
            file: Some("a.rs".to_owned()),
            line: Some(line),
        }
    }

    fn case() -> Case {
        Case {
            classname: "a.b".to_owned(),
            name: "fails".to_owned(),
            outcome: "failure".to_owned(),
            kind: Some("panic".to_owned()),
            message: Some("left: 1; right: 2\u{fffd}".to_owned()),
            text: Some("left: 1\nright: 2 ]]>\n".to_owned()),
            reruns: Some(1),
            place: Some(place(3)),
            stdout: Some("said\n[[ATTACHMENT|x]]".to_owned()),
        }
    }

    fn found(cases: Vec<Case>) -> Vec<String> {
        let totals = Totals {
            tests: cases.len(),
            failures: cases.len(),
            ..Totals::default()
        };
        differences(&[truth()], &Reading { totals, cases })
    }

    #[test]
    fn a_case_that_is_read_as_it_was_has_no_differences() {
        assert_eq!(found(vec![case()]), [""; 0]);
    }

    #[test]
    fn what_a_reader_does_not_know_is_no_difference() {
        let unknown = Case {
            classname: "a.b".to_owned(),
            name: "fails".to_owned(),
            outcome: "failure".to_owned(),
            ..Case::default()
        };
        assert_eq!(found(vec![unknown]), [""; 0]);
    }

    #[test]
    fn each_part_that_is_read_wrongly_is_a_difference() {
        let wrong = || Some("wrong".to_owned());
        let read = [
            Case {
                outcome: "error".to_owned(),
                ..case()
            },
            Case {
                kind: wrong(),
                ..case()
            },
            Case {
                message: wrong(),
                ..case()
            },
            Case {
                text: wrong(),
                ..case()
            },
            Case {
                reruns: Some(0),
                ..case()
            },
            Case {
                place: Some(place(4)),
                ..case()
            },
            Case {
                stdout: wrong(),
                ..case()
            },
        ];
        for case in read {
            assert_eq!(found(vec![case.clone()]).len(), 1, "{case:?}");
        }
    }

    #[test]
    fn a_missing_case_and_a_case_too_many_are_differences_and_so_are_the_totals() {
        let other = Case {
            name: "other".to_owned(),
            ..case()
        };
        assert_eq!(
            found(vec![other]),
            ["  `fails` of `a.b` is missing", "  `other` of `a.b` did not run"]
        );
        let twice = found(vec![case(), case()]);
        assert!(twice[0].contains("the totals are"), "{twice:?}");
        assert_eq!(twice[1], "  `fails` of `a.b` is there twice");
    }

    #[test]
    fn a_text_may_miss_only_its_middle_and_a_message_only_its_end() {
        let long = format!("first{}last", "x".repeat(COMPARED_LEN_MAX));
        let short = format!("first{}last", "x".repeat(COMPARED_LEN_MAX - 4));
        assert!(contains(&short, &long) && !contains(&short[1..], &long));
        assert!(begins("one two", "one …") && !begins("one two", "one") && !begins("one two", "two …"));
    }
}
