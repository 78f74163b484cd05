//! The parts of a testcase besides its outcome: the attempts before the last one, its leaks, and
//! its files.
//!
//! An attempt that failed before a success is a `flakyFailure` or `flakyError`; one before another
//! failure is a `rerunFailure` or `rerunError`. Maven's Surefire defines these names and Jenkins
//! reads them.

use anyhow::Result;
use quick_xml::Writer;
use quick_xml::events::{BytesCData, BytesEnd, BytesStart, Event};

use super::{Verdict, attributes, sanitise};
use crate::base::limits::JUNIT_LEAKS_MAX;
use crate::report::data::{Attempt, Case, Failure, Leak};

/// One element for each attempt before the last one.
pub(super) fn write(case: &Case, writer: &mut Writer<Vec<u8>>) -> Result<()> {
    case.earlier
        .iter()
        .try_for_each(|attempt| write_attempt(case, attempt, writer))
}

fn write_attempt(case: &Case, attempt: &Attempt, writer: &mut Writer<Vec<u8>>) -> Result<()> {
    let Some((name, failure)) = element(case, attempt) else {
        return Ok(());
    };
    let [message, kind] = [failure.message.as_str(), &failure.kind.name()].map(sanitise::line);
    let start = attributes::element(name, &[("message", message), ("type", kind)]);
    writer.write_event(Event::Start(start))?;
    write_text("stackTrace", &sanitise::text(&failure.text()), writer)?;
    write_text("system-out", &sanitise::output(&attempt.stdout), writer)?;
    let stderr = with_lines(&attempt.stderr, leak_lines(&attempt.leaks));
    write_text("system-err", &stderr.unwrap_or_default(), writer)?;
    Ok(writer.write_event(Event::End(BytesEnd::new(name)))?)
}

fn element<'a>(case: &Case, attempt: &'a Attempt) -> Option<(&'static str, &'a Failure)> {
    let is_flaky = case.is_flaky();
    match Verdict::from(&attempt.outcome) {
        Verdict::Failure(failure) if is_flaky => Some(("flakyFailure", failure)),
        Verdict::Failure(failure) => Some(("rerunFailure", failure)),
        Verdict::Error(failure) if is_flaky => Some(("flakyError", failure)),
        Verdict::Error(failure) => Some(("rerunError", failure)),
        Verdict::Passed | Verdict::Skipped(_) => None,
    }
}

/// `text` is sanitised; if it is empty, there is no element.
fn write_text(name: &str, text: &str, writer: &mut Writer<Vec<u8>>) -> Result<()> {
    if !text.is_empty() {
        writer.write_event(Event::Start(BytesStart::new(name)))?;
        writer.write_event(Event::CData(BytesCData::new(text)))?;
        writer.write_event(Event::End(BytesEnd::new(name)))?;
    }
    Ok(())
}

/// The properties of a test in the dialect `rich`.
pub(super) fn properties(case: &Case) -> Vec<(&'static str, String)> {
    let mut properties = Vec::new();
    if !case.earlier.is_empty() {
        properties.push(("attempts", (case.earlier.len() + 1).to_string()));
    }
    if case.round > 1 {
        properties.push(("round", case.round.to_string()));
    }
    if case.slow {
        properties.push(("slow", "true".to_owned()));
    }
    let leaks = case.leaks.iter().take(JUNIT_LEAKS_MAX);
    properties.extend(leaks.map(|leak| ("leak", sanitise::line(&format!("{}: {}", leak.kind, leak.what)))));
    properties
}

/// Standard output, and a line for each file that belongs to a test that failed: readers show such
/// files beside it. Of a test that passed they have nothing that the report has not.
pub(super) fn stdout(case: &Case) -> Option<String> {
    let attachments = case.attachments.iter().filter(|_| case.failure().is_some());
    let attachments =
        attachments.map(|path| format!("[[ATTACHMENT|{}]]", sanitise::line(&path.to_string_lossy())));
    with_lines(&case.stdout, attachments)
}

/// Standard error, and a line for each leak of the test.
pub(super) fn stderr(case: &Case) -> Option<String> {
    with_lines(&case.stderr, leak_lines(&case.leaks))
}

fn leak_lines(leaks: &[Leak]) -> impl Iterator<Item = String> {
    leaks
        .iter()
        .take(JUNIT_LEAKS_MAX)
        .map(|leak| sanitise::line(&format!("left behind: {}: {}", leak.kind, leak.what)))
}

/// Sanitised; `None` if empty.
fn with_lines(output: &[u8], lines: impl Iterator<Item = String>) -> Option<String> {
    let mut text = sanitise::output(output);
    for line in lines {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&sanitise::text(&line));
        text.push('\n');
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Leak, Outcome};
    use crate::report::examples::case;
    use crate::report::kinds::LeakKind;

    #[test]
    fn leaks_up_to_the_limit_are_properties_and_no_more() {
        let leaks = |count: usize| {
            let mut case = case("a", Outcome::Passed);
            case.leaks = vec![Leak::new(LeakKind::Process, "sleep"); count];
            properties(&case).len()
        };
        assert_eq!(leaks(JUNIT_LEAKS_MAX), JUNIT_LEAKS_MAX);
        assert_eq!(leaks(JUNIT_LEAKS_MAX + 1), JUNIT_LEAKS_MAX);
    }
}
