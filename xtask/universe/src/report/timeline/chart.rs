//! The picture: lanes from top to bottom, time from left to right.
//!
//! Horizontal positions are per cent of the width, so the picture fills any screen and grows when
//! zoomed; text keeps its size.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::table::Row;
use super::{escape_line, seconds};
use crate::base::limits::{TIMELINE_LABEL_MIN, TIMELINE_THIN_MAX, TIMELINE_TICKS_MAX};
use crate::report::data::Report;
use crate::report::spans::{Lanes, Span, spans};

/// Height of a lane and of the bar in it, in pixels.
const LANE: usize = 26;
const BAR: usize = 22;

/// A bar to draw.
struct Bar {
    lane: usize,
    after: Duration,
    elapsed: Duration,
    class: &'static str,
    label: String,
    /// The tooltip.
    hint: String,
    /// The row in the table, if there is one.
    row: Option<usize>,
}

/// The picture with its controls; empty if no time passed.
pub(super) fn to_html(report: &Report, rows: &[Row<'_>]) -> String {
    let (phases, first_lane) = phases(report);
    let spans = spans(report);
    let slots = Lanes::of(&spans);
    let attempts = attempts(&spans, rows, |slot| first_lane + slots.number(slot));
    let mut bars: Vec<Bar> = phases.into_iter().chain(attempts).collect();
    // Where bars are thinner than a pixel, the important ones are on top.
    bars.sort_by_key(|bar| {
        ["phase", "passed", "interrupted", "flaky", "failed"]
            .iter()
            .position(|&class| class == bar.class)
    });
    let end = bars
        .iter()
        .map(|bar| bar.after + bar.elapsed)
        .max()
        .unwrap_or_default();
    let total = end.max(report.elapsed);
    let lanes = bars.iter().map(|bar| bar.lane + 1).max().unwrap_or(0);
    if lanes == 0 || total.is_zero() {
        return String::new();
    }
    let height = lanes * LANE + LANE;
    let mut picture = ticks(total, height);
    bars.iter().for_each(|bar| draw(&mut picture, bar, total));
    format!(
        "<section class=\"chart\" aria-hidden=\"true\">\n<svg class=\"lanes\" width=\"52\" height=\"{height}\">{}</svg>\n\
         <div class=\"scroll\"><svg id=\"picture\" width=\"100%\" height=\"{height}\">\n{picture}</svg></div>\n</section>\n\
         <section class=\"legend\"><span class=\"passed\">passed</span><span class=\"failed\">failed</span>\
         <span class=\"flaky\">flaky</span><span class=\"interrupted\">interrupted</span><span class=\"phase\">the run itself</span>\
         <button id=\"closer\" type=\"button\" aria-label=\"zoom in\" hidden>+</button>\
         <button id=\"wider\" type=\"button\" aria-label=\"zoom out\" hidden>−</button></section>\n\
         <section id=\"panel\" aria-live=\"polite\" hidden></section>\n",
        labels(std::iter::repeat_n("run".to_owned(), first_lane).chain(slots.names()))
    )
}

/// The phases, and the first lane below them: phases of concurrent runs have separate lanes.
fn phases(report: &Report) -> (Vec<Bar>, usize) {
    let mut ends: Vec<Duration> = Vec::new();
    let bars = report.phases.iter().map(|phase| {
        let free = ends.iter().position(|&end| end <= phase.after);
        let lane = free.unwrap_or(ends.len());
        ends.resize(ends.len().max(lane + 1), Duration::ZERO);
        if let Some(end) = ends.get_mut(lane) {
            *end = phase.after + phase.elapsed;
        }
        Bar {
            lane,
            after: phase.after,
            elapsed: phase.elapsed,
            class: "phase",
            label: phase.name.clone(),
            hint: format!("{}, {}", phase.name, seconds(phase.elapsed)),
            row: None,
        }
    });
    let bars: Vec<Bar> = bars.collect();
    (bars, ends.len())
}

fn attempts(spans: &[Span<'_>], rows: &[Row<'_>], lane: impl Fn(usize) -> usize) -> Vec<Bar> {
    let row_of = rows.iter().enumerate();
    let row_of: BTreeMap<(&str, u32), usize> = row_of
        .map(|(number, row)| ((row.case.id.as_str(), row.case.round), number))
        .collect();
    let bar = |span: &Span<'_>| Bar {
        lane: lane(span.slot),
        after: span.after,
        elapsed: span.elapsed,
        class: span.word(),
        label: span.case.name.clone(),
        hint: hint(span),
        row: row_of.get(&(span.case.id.as_str(), span.case.round)).copied(),
    };
    spans.iter().map(bar).collect()
}

fn hint(span: &Span<'_>) -> String {
    let attempt = match (span.attempt, span.is_last) {
        (1, true) => String::new(),
        (attempt, _) => format!(", attempt {attempt}"),
    };
    let why = span.outcome.failure();
    let why = why
        .map(|failure| format!(": {}", failure.message))
        .unwrap_or_default();
    let name = span.case.title();
    format!("{name} {}{attempt}, {}{why}", span.word(), seconds(span.elapsed))
}

fn draw(picture: &mut String, bar: &Bar, total: Duration) {
    let percent = |time: Duration| 100.0 * time.as_secs_f64() / total.as_secs_f64();
    let (x, width, y) = (percent(bar.after), percent(bar.elapsed), LANE * bar.lane + 2);
    let title = format!("<title>{}</title>", escape_line(&bar.hint));
    let thin = if width < TIMELINE_THIN_MAX { " thin" } else { "" };
    let rect = format!(
        "<rect class=\"{}{thin}\" x=\"{x:.3}%\" y=\"{y}\" width=\"{width:.3}%\" height=\"{BAR}\">{title}</rect>",
        bar.class
    );
    let label = match width >= TIMELINE_LABEL_MIN {
        true => format!(
            "<svg class=\"label {}\" x=\"{x:.3}%\" y=\"{y}\" width=\"{width:.3}%\" height=\"{BAR}\"><text x=\"4\" y=\"15\">{}</text></svg>",
            bar.class,
            escape_line(&bar.label)
        ),
        false => String::new(),
    };
    // Writing to a string cannot fail.
    match bar.row {
        Some(row) => writeln!(picture, "<a href=\"#t{row}\" tabindex=\"-1\">{rect}{label}</a>").ok(),
        None => writeln!(picture, "{rect}{label}").ok(),
    };
}

/// Lines across all lanes at round times.
fn ticks(total: Duration, height: usize) -> String {
    let step = tick_step(total.as_secs_f64());
    let mut text = String::new();
    for count in 0..=TIMELINE_TICKS_MAX {
        let at = f64::from(count) * step;
        let x = 100.0 * at / total.as_secs_f64();
        // Beyond this point there is no room for the label.
        if x > 90.0 {
            break;
        }
        let bottom = height - LANE;
        writeln!(
            text,
            "<line x1=\"{x:.3}%\" x2=\"{x:.3}%\" y1=\"0\" y2=\"{}\"/><text class=\"tick\" x=\"{x:.3}%\" dx=\"3\" y=\"{}\">{at} s</text>",
            bottom + 6,
            bottom + 18
        )
        .ok();
    }
    text
}

/// 1, 2 or 5 times a power of ten, so that there are few ticks.
fn tick_step(total: f64) -> f64 {
    let raw = total / f64::from(TIMELINE_TICKS_MAX);
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= raw);
    // Decimal, so that it prints exactly: 0.1 and not 0.1000001.
    let step = factor.unwrap_or(10.0) * power;
    format!("{step:.6}").parse().unwrap_or(step)
}

/// The names of the lanes, from top to bottom.
fn labels(names: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for (lane, name) in names.enumerate() {
        write!(text, "<text x=\"0\" y=\"{}\">{name}</text>", LANE * lane + 17).ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_marks_are_round_and_few() {
        for (total, step) in [
            (3.0, 0.5),
            (0.001, 0.0002),
            (59.0, 10.0),
            (60.0, 10.0),
            (61.0, 20.0),
            (7200.0, 2000.0),
        ] {
            assert!(
                (tick_step(total) - step).abs() < 1e-9,
                "{total}: {}",
                tick_step(total)
            );
        }
    }
}
