//! `trace.json`: a run in the Trace Event Format that Chrome and Perfetto open: a track per slot, a
//! slice per attempt.

use std::time::Duration;

use serde_json::{Value, json};

use super::spans::{Lanes, Span, spans};
use crate::report::data::Report;

/// The one process.
const PID: u32 = 1;

/// The track of the phases; slots follow.
const PHASES: usize = 0;

/// The whole file.
pub(crate) fn to_json(report: &Report) -> String {
    let mut events = vec![json!({
        "name": "process_name", "ph": "M", "pid": PID, "tid": PHASES,
        "args": {"name": format!("run {}", report.run_id)},
    })];
    let spans = spans(report);
    let lanes = Lanes::of(&spans);
    events.push(track(PHASES, "run"));
    events.extend((1..).zip(lanes.names()).map(|(tid, name)| track(tid, &name)));
    events.extend(
        report
            .phases
            .iter()
            .map(|phase| slice(&phase.name, "phase", PHASES, phase.after, phase.elapsed)),
    );
    let attempts = spans
        .iter()
        .map(|span| attempt(span, lanes.number(span.slot) + 1));
    events.extend(attempts);
    let document = json!({
        "displayTimeUnit": "ms",
        "otherData": report.properties.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "traceEvents": events,
    });
    document.to_string() + "\n"
}

fn track(tid: usize, name: &str) -> Value {
    json!({"name": "thread_name", "ph": "M", "pid": PID, "tid": tid, "args": {"name": name}})
}

/// A complete event: its times are microseconds.
fn slice(name: &str, category: &str, tid: usize, after: Duration, elapsed: Duration) -> Value {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    json!({
        "name": name, "cat": category, "ph": "X", "pid": PID, "tid": tid,
        "ts": micros(after), "dur": micros(elapsed),
    })
}

fn attempt(span: &Span<'_>, tid: usize) -> Value {
    let mut event = slice(&span.case.title(), span.word(), tid, span.after, span.elapsed);
    let message = span.outcome.failure().map(|failure| failure.message.as_str());
    event["args"] = json!({
        "outcome": span.word(),
        "attempt": span.attempt,
        "place": span.case.place(),
        "message": message,
    });
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Case, Outcome};
    use crate::report::examples::{attempt, case, failed, report};

    #[test]
    fn every_attempt_and_phase_is_a_slice_on_a_named_track() {
        let flaky = Case {
            earlier: vec![attempt(failed("</script>\u{1b}"), Duration::from_millis(500))],
            ..case("flaky", Outcome::Passed)
        };
        let trace: Value = serde_json::from_str(&to_json(&report("1", vec![flaky]))).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
        assert_eq!((of("M"), of("X")), (3, 4));
        let last = events.last().unwrap();
        assert_eq!(
            (&last["ts"], &last["dur"], &last["args"]["attempt"], &last["cat"]),
            (&json!(2_000_000), &json!(10_000), &json!(2), &json!("flaky"))
        );
    }

    #[test]
    fn a_slot_of_any_number_has_the_next_track() {
        let far = Case {
            slot: Some(usize::MAX),
            ..case("far", Outcome::Passed)
        };
        let run = report("1", vec![far, case("near", Outcome::Passed)]);
        let trace: Value = serde_json::from_str(&to_json(&run)).unwrap();
        let tracks = trace["traceEvents"].as_array().unwrap().iter();
        let tracks = tracks.filter(|event| event["name"] == "thread_name");
        let tids: Vec<&Value> = tracks.map(|event| &event["tid"]).collect();
        assert_eq!(tids, [0, 1, 2]);
    }
}
