//! `summary.md`: a run on one page of Markdown for GitHub: failures with their locations, flaky
//! tests, leaks, skips with their reasons, the slowest tests.
//!
//! Names of tests and files are in code spans and fenced blocks, where neither Markdown nor HTML
//! has a meaning. The page never exceeds its limit: what does not fit is counted.

use std::fmt::Write as _;

use super::slowest::slowest;
use crate::base::limits::{MARKDOWN_OUTPUT_LEN_MAX, MARKDOWN_RESERVE_LEN_MIN, MARKDOWN_SLOWEST_MAX};
use crate::base::text::plain_line;
use crate::base::text::plain_text;
use crate::base::truncation;
use crate::report::counts::Counts;
use crate::report::data::{Case, Outcome, Report};

/// The page, of at most `len_max` bytes.
pub(crate) fn to_markdown(report: &Report, len_max: usize) -> String {
    let mut page = Page {
        text: String::new(),
        len_max: len_max.saturating_sub(MARKDOWN_RESERVE_LEN_MIN),
    };
    page.add(&head(report));
    let cases = |wanted: fn(&Case) -> bool| report.cases().filter(move |case| wanted(case));
    let failures = cases(|case| case.failure().is_some() && !case.outcome.is_interrupted());
    page.section("Failed", failures.map(failed));
    page.section(
        "Interrupted",
        cases(|case| case.outcome.is_interrupted()).map(failed),
    );
    page.section("Flaky", cases(Case::is_flaky).map(flaky));
    page.section("Left something behind", report.cases().flat_map(leaks));
    page.section("Skipped", report.cases().filter_map(skipped));
    let slowest = slowest(report, MARKDOWN_SLOWEST_MAX).into_iter();
    let slowest =
        slowest.map(|(case, elapsed)| format!("- {:.3} s {}\n", elapsed.as_secs_f64(), code(&case.title())));
    page.section("Slowest", slowest);
    page.section(
        "The run",
        report
            .properties
            .iter()
            .map(|(name, value)| property(name, value)),
    );
    page.text
}

struct Page {
    text: String,
    len_max: usize,
}

impl Page {
    /// Returns whether there was room.
    fn add(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() <= self.len_max;
        if fits {
            self.text.push_str(part);
        }
        fits
    }

    fn section(&mut self, heading: &str, entries: impl Iterator<Item = String>) {
        let mut entries = entries.peekable();
        if entries.peek().is_none() || !self.add(&format!("\n## {heading}\n\n")) {
            return;
        }
        let left_out = entries.filter(|entry| !self.add(entry)).count();
        if left_out > 0 {
            // Fits into the reserved bytes: there are few sections.
            write!(self.text, "\n… and {left_out} more\n").ok();
        }
    }
}

fn head(report: &Report) -> String {
    let Counts {
        passed,
        failed,
        skipped,
    } = Counts::of(report);
    let mut head = format!(
        "# {passed} passed, {failed} failed, {skipped} skipped\n\nrun {}, {:.2} s\n",
        code(&report.run_id),
        report.elapsed.as_secs_f64()
    );
    if let Some(failure) = &report.setup_failure {
        write!(head, "\n**{}**\n\n", code(&failure.kind.name())).ok();
        head.push_str(&fence(&excerpt(&failure.text(), None)));
    }
    head
}

fn failed(case: &Case) -> String {
    let Some(failure) = case.failure() else {
        return String::new();
    };
    let place = case.place().map(|place| format!(" at {}", code(&place)));
    let attempts = match case.earlier.len() {
        0 => String::new(),
        earlier => format!(", attempt {}", earlier + 1),
    };
    let mut text = format!(
        "### {}\n\n{}{}, {:.3} s{attempts}\n\n",
        code(&case.title()),
        code(&failure.kind.name()),
        place.unwrap_or_default(),
        case.elapsed.as_secs_f64()
    );
    let stdout = excerpt(&plain_text(&case.stdout), None);
    let stderr = excerpt(&plain_text(&case.stderr), failure.detail.lines().next());
    if failure.is_said_in(&stderr) {
        // The message is there, with all around it.
        let others = failure
            .detail
            .lines()
            .filter(|line| !stderr.contains(line.trim()));
        let others = others.collect::<Vec<_>>().join("\n");
        text.push_str(&unless_empty(&others, fence));
        text.push_str(&fence(&stderr));
        text.push_str(&folded("standard output", &stdout));
    } else {
        text.push_str(&fence(&excerpt(&failure.text(), None)));
        text.push_str(&folded("standard output", &stdout));
        text.push_str(&folded("standard error", &stderr));
    }
    text
}

fn folded(name: &str, text: &str) -> String {
    unless_empty(text, |text| {
        format!(
            "\n<details><summary>{name}</summary>\n\n{}\n</details>\n\n",
            fence(text)
        )
    })
}

fn unless_empty(text: &str, shown: impl FnOnce(&str) -> String) -> String {
    match text.trim() {
        "" => String::new(),
        _ => shown(text),
    }
}

/// A text if it is short, otherwise whole lines of it, and how much is missing: from the line on
/// that has the `anchor` if there is one, for a panic is before a long backtrace and perhaps behind
/// a long log; without one both ends.
fn excerpt(text: &str, anchor: Option<&str>) -> String {
    let text = text.trim_matches('\n');
    if text.len() <= MARKDOWN_OUTPUT_LEN_MAX {
        return text.to_owned();
    }
    let anchor = anchor.filter(|anchor| !anchor.trim().is_empty());
    let at = anchor.and_then(|anchor| text.rfind(anchor));
    match at.map(|at| text.split_at(start_of_line(text, at))) {
        Some((before, rest)) => {
            let head = whole_lines(rest);
            [&left_out(before.len()), head, &left_out(rest.len() - head.len())].concat()
        }
        None => {
            let (head, count, tail) = truncation::parts(text).ends(MARKDOWN_OUTPUT_LEN_MAX / 2);
            let tail = tail.split_once('\n').map_or(tail, |(_, lines)| lines);
            format!("{head}{}{tail}", truncation::mark(count))
        }
    }
}

/// Lines from the beginning, as many as there is room for; of one that is too long the beginning.
fn whole_lines(text: &str) -> &str {
    let head = beginning(text);
    match head.rfind('\n') {
        Some(end) if head.len() < text.len() => head.get(..end).unwrap_or(head),
        _ => head,
    }
}

fn left_out(count: usize) -> String {
    match count {
        0 => String::new(),
        _ => truncation::mark(count as u64),
    }
}

fn start_of_line(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rfind('\n').map_or(0, |end| end + 1)
}

fn flaky(case: &Case) -> String {
    let before = case.earlier.first().and_then(|attempt| attempt.outcome.failure());
    let why = before.map(|failure| format!("; at first {}", code(&failure.message)));
    let attempt = case.earlier.len() + 1;
    format!(
        "- {} passed on attempt {attempt}{}\n",
        code(&case.title()),
        why.unwrap_or_default()
    )
}

fn leaks(case: &Case) -> impl Iterator<Item = String> {
    case.leaks.iter().map(|leak| {
        format!(
            "- {}: {} {}\n",
            code(&case.title()),
            code(leak.kind.name()),
            code(&leak.what)
        )
    })
}

fn skipped(case: &Case) -> Option<String> {
    match &case.outcome {
        Outcome::Skipped(skip) => Some(format!("- {}: {}\n", code(&case.title()), code(&skip.reason))),
        Outcome::Passed | Outcome::Failed(_) | Outcome::Errored(_) => None,
    }
}

fn property(name: &str, value: &str) -> String {
    format!("- {}: {}\n", code(name), code(value))
}

/// The beginning of a long text.
fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MARKDOWN_OUTPUT_LEN_MAX))
        .unwrap_or_default()
}

/// A code span (CommonMark, 6.1): it ends only at a run of backticks of the same length as its
/// first one.
fn code(text: &str) -> String {
    let line = plain_line(beginning(text));
    let line = match line.trim() {
        "" => "(nothing)",
        line => line,
    };
    let ticks = "`".repeat(longest_run(line) + 1);
    // One space at each end is stripped; needed if the text begins or ends with a backtick.
    let space = if line.contains('`') { " " } else { "" };
    format!("{ticks}{space}{line}{space}{ticks}")
}

/// A fenced block (CommonMark, 4.5): it ends only at a line with at least as many backticks as its
/// first one.
fn fence(text: &str) -> String {
    let text = plain_text(text.as_bytes());
    let ticks = "`".repeat(longest_run(&text).max(2) + 1);
    format!("{ticks}text\n{}\n{ticks}\n", text.trim_end())
}

/// The longest run of backticks.
fn longest_run(text: &str) -> usize {
    text.split(|scalar| scalar != '`')
        .map(str::len)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::limits::MARKDOWN_LEN_MAX;
    use crate::report::data::Leak;
    use crate::report::examples::{attempt, case, failed, interrupted, report, skipped};
    use crate::report::kinds::LeakKind;

    #[test]
    fn the_page_has_what_a_reader_looks_for() {
        let flaky = Case {
            earlier: vec![attempt(failed("timing"), Duration::from_millis(5))],
            ..case("flaky", Outcome::Passed)
        };
        let leaky = Case {
            leaks: vec![Leak {
                kind: LeakKind::Process,
                what: "sleep 5".into(),
            }],
            ..case("leaky", Outcome::Passed)
        };
        let broken = Case {
            stderr: b"the last words\n".to_vec(),
            ..case("broken", failed("left: 1"))
        };
        let page = to_markdown(
            &report(
                "r1",
                vec![
                    flaky,
                    leaky,
                    broken,
                    case("off", skipped("slow one")),
                    case("cut", interrupted()),
                ],
            ),
            MARKDOWN_LEN_MAX,
        );
        for part in [
            "# 2 passed, 2 failed, 1 skipped\n\nrun `r1`, 3.00 s\n",
            "## Failed\n\n### `p::suite$m::broken`\n\n`panic` at `suite/m.rs:12`, 0.010 s\n\n```text\nleft: 1\n```\n",
            "<details><summary>standard error</summary>\n\n```text\nthe last words\n```\n",
            "## Interrupted\n\n### `p::suite$m::cut`\n\n`interrupted` at ",
            "## Flaky\n\n- `p::suite$m::flaky` passed on attempt 2; at first `timing`\n",
            "## Left something behind\n\n- `p::suite$m::leaky`: `process` `sleep 5`\n",
            "## Skipped\n\n- `p::suite$m::off`: `slow one`\n",
            "## Slowest\n\n- 0.015 s `p::suite$m::flaky`\n",
        ] {
            assert!(page.contains(part), "{part}\n---\n{page}");
        }
    }

    /// The section of a test that panicked, with this log before and this backtrace behind.
    fn panicked(log: &str, backtrace: &str) -> String {
        let mut outcome = failed("assertion failed; left: 1");
        if let Outcome::Failed(failure) = &mut outcome {
            failure.detail = "panicked at suite/m.rs:12\nassertion failed\n  left: 1\nkept: /x/y".to_owned();
        }
        let panic = "thread 'm::broken' (7) panicked at suite/m.rs:12:5:\nassertion failed\n  left: 1\n";
        let stderr = format!("{log}{panic}{backtrace}").into_bytes();
        let broken = Case {
            stderr,
            ..case("broken", outcome)
        };
        to_markdown(&report("r", vec![broken]), MARKDOWN_LEN_MAX)
    }

    #[test]
    fn of_a_long_error_output_the_panic_is_shown_and_its_message_once() {
        let frames = "   7: crate::frame\n             at /a/long/path/of/a/file.rs:1:2\n".repeat(1000);
        let log = "a line of a log\n".repeat(1000);
        for (log, backtrace) in [("", ""), ("", frames.as_str()), (&log, &frames), (&log, "")] {
            let page = panicked(log, backtrace);
            assert_eq!(page.matches("assertion failed").count(), 1, "{page}");
            assert!(
                page.contains("\nthread 'm::broken' (7) panicked at suite/m.rs:12:5:\n"),
                "{page}"
            );
            assert!(page.contains("kept: /x/y"), "{page}");
            assert_eq!(
                page.contains(" bytes left out"),
                !log.is_empty() || !backtrace.is_empty()
            );
            let is_whole = |line: &str| !line.starts_with("/a/") && !line.ends_with("/a/long");
            assert!(page.lines().all(is_whole), "{page}");
        }
    }

    #[test]
    fn an_excerpt_has_whole_lines_of_both_ends_and_is_no_longer_than_it_may_be() {
        let whole = "x".repeat(MARKDOWN_OUTPUT_LEN_MAX);
        assert_eq!(excerpt(&whole, None), whole);
        let lines = "0123456789\n".repeat(1000);
        let cut = excerpt(&format!("first\n{lines}last"), None);
        assert!(cut.starts_with("first\n") && cut.ends_with("\nlast"), "{cut}");
        assert!(cut.contains(" bytes left out"), "{cut}");
        let cut = excerpt(&format!("{whole}y"), Some("x"));
        assert!(cut.len() < 2 * MARKDOWN_OUTPUT_LEN_MAX, "{}", cut.len());
    }

    #[test]
    fn a_code_span_cannot_be_left() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a``b`"), "``` a``b` ```");
        assert_eq!(code("<script>\n\n# h"), "`<script>  # h`");
        assert_eq!(code(" \n"), "`(nothing)`");
    }

    #[test]
    fn a_fence_cannot_be_left() {
        assert_eq!(fence("a\n```\n# h\n"), "````text\na\n```\n# h\n````\n");
        assert_eq!(fence("~~~\n</details>"), "```text\n~~~\n</details>\n```\n");
    }

    #[test]
    fn hostile_names_reasons_and_output_stay_in_code() {
        let evil = "`` </details><script>alert(1)</script> ![x](http://x) @all\n```\n# forged \x1b[31m";
        let hit = Case {
            stdout: evil.as_bytes().to_vec(),
            file: Some(evil.into()),
            ..case(evil, failed(evil))
        };
        let page = to_markdown(
            &report(evil, vec![hit, case("s", skipped(evil))]),
            MARKDOWN_LEN_MAX,
        );
        let mut open = None::<usize>;
        for line in page.lines() {
            let ticks = line.len() - line.trim_start_matches('`').len();
            match open {
                Some(fence) if ticks >= fence && line.len() == ticks => open = None,
                Some(_) => {}
                None if ticks >= 3 && line.ends_with("text") => open = Some(ticks),
                None => {
                    let outside = outside_code(line);
                    assert!(
                        !outside.contains("script") && !outside.contains("forged"),
                        "{line}"
                    );
                }
            }
        }
        assert!(open.is_none() && !page.contains('\x1b'), "{page}");
    }

    /// The text outside of code spans.
    fn outside_code(line: &str) -> String {
        let (mut outside, mut rest) = (String::new(), line);
        while let Some((before, after)) = rest.split_once('`') {
            outside.push_str(before);
            let ticks = 1 + after.len() - after.trim_start_matches('`').len();
            let (marker, body) = ("`".repeat(ticks), after.trim_start_matches('`'));
            let end = body
                .match_indices(&marker)
                .find(|(at, _)| !body[at + ticks..].starts_with('`') && !body[..*at].ends_with('`'));
            rest = end.map_or("", |(at, _)| &body[at + ticks..]);
        }
        outside + rest
    }

    #[test]
    fn the_page_stays_within_its_limit_and_counts_what_is_left_out() {
        let long = "x".repeat(10_000);
        let cases = (0..400).map(|number| Case {
            stdout: long.clone().into_bytes(),
            leaks: vec![Leak {
                kind: LeakKind::File,
                what: long.clone(),
            }],
            ..case(&format!("t{number}"), failed(&long))
        });
        let report = report("r", cases.collect());
        for limit in [20_000, 2000, 0] {
            let page = to_markdown(&report, limit);
            assert!(
                page.len() <= limit.max(MARKDOWN_RESERVE_LEN_MIN),
                "{} of {limit}",
                page.len()
            );
        }
        assert!(to_markdown(&report, 20_000).contains("more\n"));
    }
}
