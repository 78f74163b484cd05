//! The same in words: a row per test, failures first.

use std::fmt::Write as _;

use super::{escape, escape_line, seconds};
use crate::base::limits::{TIMELINE_OUTPUT_LEN_MAX, TIMELINE_OUTPUTS_LEN_MAX};
use crate::base::truncation;
use crate::report::data::{Case, Outcome, Report};
use crate::report::spans::word;

/// A row.
pub(super) struct Row<'a> {
    pub(super) case: &'a Case,
    suite: &'a str,
}

/// All tests: failed ones, then flaky ones and those that left something behind, the rest, and
/// those that did not run.
pub(super) fn rows(report: &Report) -> Vec<Row<'_>> {
    let rows = report.suites.iter().flat_map(|suite| {
        let row = |case| Row {
            case,
            suite: &suite.name,
        };
        suite.cases.iter().map(row)
    });
    let mut rows: Vec<Row<'_>> = rows.collect();
    rows.sort_by_key(|row| match word(row.case) {
        "failed" => 0,
        "flaky" => 1,
        "passed" if !row.case.leaks.is_empty() || row.case.slow => 2,
        "passed" => 3,
        _ => 4,
    });
    rows
}

/// The table with its filter.
pub(super) fn to_html(rows: &[Row<'_>]) -> String {
    let mut text = "<section class=\"tests\">\n\
        <label class=\"filter\" for=\"filter\" hidden>Filter <input id=\"filter\" type=\"search\" autocomplete=\"off\" \
        placeholder=\"words of a name, an outcome\"></label>\n\
        <p id=\"none\" hidden>no test has all of these words</p>\n\
        <table>\n<thead><tr><th scope=\"col\">outcome</th><th scope=\"col\">test</th><th scope=\"col\">time</th></tr></thead>\n<tbody>\n"
        .to_owned();
    let mut room = TIMELINE_OUTPUTS_LEN_MAX;
    for (number, row) in rows.iter().enumerate() {
        text.push_str(&to_row(row, number, &mut room));
    }
    text.push_str("</tbody>\n</table>\n</section>\n");
    text
}

fn to_row(row: &Row<'_>, number: usize, room: &mut usize) -> String {
    let (case, word) = (row.case, word(row.case));
    let time = match case.started {
        Some(_) => seconds(case.elapsed),
        None => String::new(),
    };
    let round = match case.round {
        1 => String::new(),
        round => format!("#{round}"),
    };
    format!(
        "<tr id=\"t{number}\"><td><b class=\"{word}\">{word}</b></td>\
         <td><div class=\"name\"><span>{}</span> {}{round}</div>{}{}</td><td class=\"time\">{time}</td></tr>\n",
        escape_line(row.suite),
        escape_line(case.path()),
        facts(case),
        story(case, room)
    )
}

/// Location, slot, attempts, and anything unusual.
fn facts(case: &Case) -> String {
    let facts = [
        case.place().map(|place| escape_line(&place)),
        case.slot.map(|slot| format!("slot {slot}")),
        (!case.earlier.is_empty()).then(|| format!("{} attempts", case.earlier.len() + 1)),
        case.slow.then(|| "slow".to_owned()),
    ];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    match facts.is_empty() {
        true => String::new(),
        false => format!("<div class=\"facts\">{}</div>", facts.join(" · ")),
    }
}

/// Why it failed or did not run, with the end of its output.
fn story(case: &Case, room: &mut usize) -> String {
    let mut text = String::new();
    for (attempt, number) in case.earlier.iter().zip(1..) {
        let name = format!("attempt {number}, {}", seconds(attempt.elapsed));
        let streams = [&attempt.stdout, &attempt.stderr];
        text.push_str(&failure(&name, &attempt.outcome, streams, room));
    }
    text.push_str(&failure("", &case.outcome, [&case.stdout, &case.stderr], room));
    for leak in &case.leaks {
        // Writing to a string cannot fail.
        write!(
            text,
            "<div class=\"facts\">left behind: {} {}</div>",
            escape_line(leak.kind.name()),
            escape_line(&leak.what)
        )
        .ok();
    }
    text
}

fn failure(name: &str, outcome: &Outcome, streams: [&Vec<u8>; 2], room: &mut usize) -> String {
    let failure = match outcome {
        Outcome::Failed(failure) | Outcome::Errored(failure) => failure,
        Outcome::Skipped(skip) => return format!("<div class=\"facts\">{}</div>", escape_line(&skip.reason)),
        Outcome::Passed => return String::new(),
    };
    let summary = format!("{name} {}: {}", failure.kind, failure.message);
    let detail = end(failure.detail.as_bytes(), room);
    let [stdout, stderr] = streams.map(|bytes| end(bytes, room));
    let parts = [("", detail), ("--- stdout\n", stdout), ("--- stderr\n", stderr)];
    let parts = parts.iter().filter(|(_, text)| !text.trim().is_empty());
    let text: String = parts
        .map(|(head, text)| format!("{head}{}\n", text.trim_end()))
        .collect();
    let summary = escape_line(summary.trim_start());
    match text.is_empty() {
        true => format!("<div class=\"why\">{summary}</div>"),
        false => format!(
            "<details><summary>{summary}</summary><pre>{}</pre></details>",
            escape(&text)
        ),
    }
}

/// The end of a stream, if there is room on the page.
fn end(bytes: &[u8], room: &mut usize) -> String {
    let len = bytes.len().min(TIMELINE_OUTPUT_LEN_MAX).min(*room);
    *room -= len;
    let start = bytes.len() - len;
    let mark = if start > 0 {
        let left_out = truncation::stands_for(bytes.get(..start).unwrap_or_default());
        format!("[... {left_out} bytes left out ...]\n")
    } else {
        String::new()
    };
    mark + &String::from_utf8_lossy(bytes.get(start..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_stream_is_on_the_page_while_there_is_room() {
        let most = TIMELINE_OUTPUT_LEN_MAX;
        let shown = |len: usize, mut room: usize| (end(&vec![b'x'; len], &mut room), room);
        assert_eq!(shown(most, most), ("x".repeat(most), 0));
        let cut = |left_out: usize, kept: usize| {
            format!("[... {left_out} bytes left out ...]\n{}", "x".repeat(kept))
        };
        assert_eq!(shown(most + 1, most + 1), (cut(1, most), 1));
        assert_eq!(shown(most, most - 1), (cut(1, most - 1), 0));
    }
}
