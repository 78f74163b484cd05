//! One pass over the XML of `junit-report` that adds what it cannot write: names and totals at the
//! root, wall times with three decimals, skip counts, properties, file and line of a test, its
//! earlier attempts, indentation.
//!
//! Elements and text pass through unchanged. Only the attributes of `testsuites`, `testsuite` and
//! `testcase` are written anew, from the report and in its order.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use junit_report::OffsetDateTime;
use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer};

use super::{Dialect, Verdict, attributes, convert, reruns, sanitise};
use crate::report::data::{Case, Report, Suite};

/// The data that the pass adds.
pub(super) struct Run<'a> {
    pub(super) report: &'a Report,
    /// In the same order as in the XML.
    pub(super) suites: &'a [Suite],
    pub(super) dialect: Dialect,
}

type Attributes = Vec<(&'static str, String)>;

/// The complete document.
///
/// # Errors
/// When `plain` is not well-formed or does not have the suites and cases of `run`.
pub(super) fn enrich(plain: &[u8], run: &Run<'_>) -> Result<String> {
    let mut reader = Reader::from_reader(plain);
    let mut pass = Pass {
        run,
        next_suite: 0,
        next_case: 0,
        writer: Writer::new_with_indent(Vec::new(), b' ', 2),
    };
    loop {
        match reader
            .read_event()
            .context("`junit-report` wrote malformed XML")?
        {
            Event::Eof => break,
            event => pass.take(event)?,
        }
    }
    ensure!(
        pass.next_suite == run.suites.len(),
        "the XML has fewer suites than the report"
    );
    let mut document = String::from_utf8(pass.writer.into_inner()).context("the XML is not UTF-8")?;
    document.push('\n');
    Ok(document)
}

struct Pass<'a> {
    run: &'a Run<'a>,
    next_suite: usize,
    next_case: usize,
    writer: Writer<Vec<u8>>,
}

impl<'a> Pass<'a> {
    fn take(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Start(element) => self.start(&element, Content::Follows)?,
            Event::Empty(element) => self.start(&element, Content::None)?,
            Event::End(element) if element.name().as_ref() == b"testcase" => self.end_case()?,
            other => self.writer.write_event(other)?,
        }
        Ok(())
    }

    fn start(&mut self, element: &BytesStart<'_>, content: Content) -> Result<()> {
        match element.name().as_ref() {
            b"testsuites" => self.write("testsuites", &self.run.root_attributes(), content)?,
            b"testsuite" => self.start_suite(content)?,
            b"testcase" => self.start_case(content)?,
            _ => self
                .writer
                .write_event(content.event(attributes::plainly(element)))?,
        }
        Ok(())
    }

    /// Never an empty element, because the properties follow.
    fn start_suite(&mut self, content: Content) -> Result<()> {
        let suite = self
            .run
            .suites
            .get(self.next_suite)
            .context("the XML has more suites than the report")?;
        (self.next_suite, self.next_case) = (self.next_suite + 1, 0);
        self.write("testsuite", &suite_attributes(suite), Content::Follows)?;
        self.write_properties(&self.run.report.properties)?;
        if content == Content::None {
            self.writer.write_event(Event::End(BytesEnd::new("testsuite")))?;
        }
        Ok(())
    }

    fn write_properties<N: AsRef<str>>(&mut self, properties: &[(N, String)]) -> Result<()> {
        if properties.is_empty() {
            return Ok(());
        }
        self.writer
            .write_event(Event::Start(BytesStart::new("properties")))?;
        for (name, value) in properties {
            let attributes = [
                ("name", sanitise::line(name.as_ref())),
                ("value", sanitise::line(value)),
            ];
            self.write("property", &attributes, Content::None)?;
        }
        Ok(self.writer.write_event(Event::End(BytesEnd::new("properties")))?)
    }

    fn start_case(&mut self, content: Content) -> Result<()> {
        self.next_case += 1;
        let case = self.case()?;
        let properties = match self.run.dialect {
            Dialect::Rich => reruns::properties(case),
            Dialect::Jenkins => Vec::new(),
        };
        if content == Content::None && properties.is_empty() && case.earlier.is_empty() {
            return self.write("testcase", &self.run.case_attributes(case), content);
        }
        self.write("testcase", &self.run.case_attributes(case), Content::Follows)?;
        self.write_properties(&properties)?;
        match content {
            Content::Follows => Ok(()),
            Content::None => self.end_case(),
        }
    }

    fn end_case(&mut self) -> Result<()> {
        reruns::write(self.case()?, &mut self.writer)?;
        Ok(self.writer.write_event(Event::End(BytesEnd::new("testcase")))?)
    }

    /// The latest case that began.
    fn case(&self) -> Result<&'a Case> {
        let indices = self.next_suite.checked_sub(1).zip(self.next_case.checked_sub(1));
        let case = indices.and_then(|(suite, case)| self.run.suites.get(suite)?.cases.get(case));
        case.context("the XML has more testcases than the report")
    }

    fn write(&mut self, name: &str, attributes: &[(&str, String)], content: Content) -> Result<()> {
        let element = attributes::element(name, attributes);
        Ok(self.writer.write_event(content.event(element))?)
    }
}

/// Whether an element has content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Follows,
    None,
}

impl Content {
    fn event(self, element: BytesStart<'_>) -> Event<'_> {
        match self {
            Self::Follows => Event::Start(element),
            Self::None => Event::Empty(element),
        }
    }
}

impl Run<'_> {
    fn root_attributes(&self) -> Attributes {
        let counts = Counts::of(self.suites.iter().flat_map(|suite| &suite.cases));
        let mut attributes = vec![("name", sanitise::line(&self.report.name))];
        attributes.extend(counts.attributes());
        if self.dialect == Dialect::Rich {
            attributes.push(("skipped", counts.skipped.to_string()));
        }
        attributes.push(("time", seconds(self.report.elapsed)));
        attributes
    }

    fn case_attributes(&self, case: &Case) -> Attributes {
        let (name, classname) = (convert::testcase_name(case), sanitise::line(&case.classname));
        let mut attributes = vec![
            ("name", name),
            ("classname", classname),
            ("time", seconds(case.elapsed)),
        ];
        if self.dialect == Dialect::Rich {
            let file = case.file.as_ref();
            let file = file.map(|file| sanitise::line(&file.to_string_lossy()));
            attributes.extend(file.map(|file| ("file", file)));
            attributes.extend(case.line.map(|line| ("line", line.to_string())));
            attributes.extend(case.started.map(|started| ("timestamp", timestamp(started))));
        }
        attributes
    }
}

fn suite_attributes(suite: &Suite) -> Attributes {
    let counts = Counts::of(&suite.cases);
    let mut attributes = vec![("name", sanitise::line(&suite.name))];
    attributes.extend(counts.attributes());
    attributes.push(("skipped", counts.skipped.to_string()));
    attributes.push(("time", seconds(suite.elapsed)));
    attributes.push(("timestamp", timestamp(suite.started)));
    attributes
}

#[derive(Debug, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        cases.into_iter().fold(Self::default(), |mut counts, case| {
            counts.tests += 1;
            match Verdict::from(&case.outcome) {
                Verdict::Passed => {}
                Verdict::Failure(_) => counts.failures += 1,
                Verdict::Error(_) => counts.errors += 1,
                Verdict::Skipped(_) => counts.skipped += 1,
            }
            counts
        })
    }

    fn attributes(&self) -> Attributes {
        let Self {
            tests,
            failures,
            errors,
            skipped: _,
        } = self;
        vec![
            ("tests", tests.to_string()),
            ("failures", failures.to_string()),
            ("errors", errors.to_string()),
        ]
    }
}

/// Seconds with three decimals, rounded; the schema allows no more.
fn seconds(elapsed: Duration) -> String {
    let ms = elapsed.as_nanos().saturating_add(500_000) / 1_000_000;
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// ISO 8601 in UTC with milliseconds; times before 1970 or beyond the year 9999 become 1970.
fn timestamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = i64::try_from(since.as_secs())
        .ok()
        .and_then(|secs| OffsetDateTime::from_unix_timestamp(secs).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        since.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_three_decimals() {
        assert_eq!(seconds(Duration::from_micros(1_234_500)), "1.235");
        assert_eq!(seconds(Duration::from_micros(999_499)), "0.999");
        assert_eq!(seconds(Duration::from_micros(999_500)), "1.000");
        assert_eq!(seconds(Duration::ZERO), "0.000");
        assert_eq!(seconds(Duration::MAX), "18446744073709551616.000");
    }

    #[test]
    fn timestamps_are_utc_without_digits_below_a_millisecond() {
        assert_eq!(
            timestamp(UNIX_EPOCH + Duration::from_nanos(1_795_485_675_123_456_789)),
            "2026-11-24T02:01:15.123Z"
        );
        assert_eq!(
            timestamp(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn xml_that_does_not_match_the_report_is_an_error() {
        let report = super::super::tests::report_of(Vec::new());
        let run = Run {
            report: &report,
            suites: &[],
            dialect: Dialect::Rich,
        };
        assert!(enrich(b"<testsuites><testsuite/></testsuites>", &run).is_err());
        assert!(enrich(b"<testsuites><testcase/></testsuites>", &run).is_err());
        assert!(enrich(b"<testsuites", &run).is_err());
    }
}
