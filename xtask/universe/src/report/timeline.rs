//! `timeline.html`: when each test ran, as one self-contained page: a lane per slot, a bar per
//! attempt, and a table with the same data in words, for people who cannot see or use the picture.
//!
//! This module draws everything; the script only filters, zooms, and shows the row of a bar. The
//! script and the style carry a nonce, and the page's policy allows nothing else: even output of a
//! test that got past the escaping would do nothing.

mod chart;
mod table;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::base::clock;
use crate::base::text::plain_line;
use crate::base::text::plain_text;
use crate::report::counts::Counts;
use crate::report::data::Report;

const STYLE: &str = include_str!("timeline/style.css");
const SCRIPT: &str = include_str!("timeline/script.js");

/// The whole page.
pub(crate) fn to_html(report: &Report) -> String {
    let rows = table::rows(report);
    let body = body(report, &rows);
    // A test's output cannot contain a hash of itself.
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let nonce = format!("{:016x}", hasher.finish());
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
    );
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <title>{}</title>\n<style nonce=\"{nonce}\">\n{STYLE}</style>\n</head>\n<body>\n{body}\
         <script nonce=\"{nonce}\">\n{SCRIPT}</script>\n</body>\n</html>\n",
        headline(report)
    )
}

fn headline(report: &Report) -> String {
    let Counts {
        passed,
        failed,
        skipped,
    } = Counts::of(report);
    format!("{passed} passed, {failed} failed, {skipped} skipped")
}

fn body(report: &Report, rows: &[table::Row<'_>]) -> String {
    let failure = report.setup_failure.as_ref().map(|failure| {
        format!(
            "<p class=\"trouble\"><b>{}</b> {}</p>\n",
            escape_line(&failure.kind.name()),
            escape_line(&failure.message)
        )
    });
    format!(
        "<header>\n<h1>{}</h1>\n<p>run {}, started {} UTC, took {}</p>\n{}</header>\n{}{}",
        headline(report),
        escape_line(&report.run_id),
        date(&clock::stamp(report.started)),
        seconds(report.elapsed),
        failure.unwrap_or_default(),
        chart::to_html(report, rows),
        table::to_html(rows)
    )
}

/// `20261124-020115` → `2026-11-24 02:01:15`.
fn date(stamp: &str) -> String {
    let part = |from: usize, to: usize| stamp.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-{} {}:{}:{}",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 15)
    )
}

/// `1.234 s`.
fn seconds(duration: std::time::Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

/// Text without a meaning in HTML, for an element or a quoted attribute; control characters are
/// shown.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for scalar in plain_text(text.as_bytes()).chars() {
        match scalar {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            scalar => escaped.push(scalar),
        }
    }
    escaped
}

/// As [`escape`], in one line.
fn escape_line(text: &str) -> String {
    escape(&plain_line(text))
}

#[cfg(test)]
mod tests;
