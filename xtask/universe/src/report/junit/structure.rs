//! The rules of the format that readers rely on, checked on a finished document with only an XML
//! parser.
//!
//! These are the rules of Jenkins' `junit-10.xsd` (attributes, children, SUREFIRE_TIME), the
//! additions of `rich`, and our own: correct counts, unique test names, reasons both as attribute
//! and as text.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::{Dialect, sanitise};

/// The violations in `xml`, one line each; empty if there are none.
pub fn violations(xml: &str, dialect: Dialect) -> Vec<String> {
    let mut check = Check {
        dialect,
        open: Vec::new(),
        seen: BTreeSet::new(),
        found: Vec::new(),
    };
    if let Some(scalar) = xml.chars().find(|&scalar| !sanitise::is_allowed(scalar)) {
        check.found.push(format!(
            "the document contains the forbidden character U+{:04X}",
            u32::from(scalar)
        ));
    }
    if let Err(error) = check.read(xml) {
        check
            .found
            .push(format!("the document is not well-formed: {error}"));
    }
    check.found
}

/// The names that an element may use.
struct Rule {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Optional in the dialect `rich` only.
    rich: &'static [&'static str],
    children: &'static [&'static str],
}

const VERDICTS: [&str; 3] = ["failure", "error", "skipped"];

const RULES: [Rule; 11] = [
    Rule {
        name: "testsuites",
        required: &["name", "tests", "failures", "errors", "time"],
        optional: &[],
        rich: &["skipped"],
        children: &["testsuite"],
    },
    Rule {
        name: "testsuite",
        required: &[
            "name",
            "tests",
            "failures",
            "errors",
            "skipped",
            "time",
            "timestamp",
        ],
        optional: &[
            "hostname", "id", "package", "file", "log", "url", "version", "group",
        ],
        rich: &[],
        children: &["properties", "testcase", "system-out", "system-err"],
    },
    Rule {
        name: "properties",
        required: &[],
        optional: &[],
        rich: &[],
        children: &["property"],
    },
    Rule {
        name: "property",
        required: &["name", "value"],
        optional: &[],
        rich: &[],
        children: &[],
    },
    Rule {
        name: "testcase",
        required: &["name", "classname", "time"],
        optional: &["group"],
        rich: &["file", "line", "timestamp"],
        children: &[
            "failure",
            "error",
            "skipped",
            "system-out",
            "system-err",
            "flakyFailure",
            "flakyError",
            "rerunFailure",
            "rerunError",
        ],
    },
    Rule {
        name: "rerun",
        required: &["type", "message"],
        optional: &[],
        rich: &[],
        children: &["stackTrace", "system-out", "system-err"],
    },
    Rule {
        name: "stackTrace",
        required: &[],
        optional: &[],
        rich: &[],
        children: &[],
    },
    Rule {
        name: "failure",
        required: &["type", "message"],
        optional: &[],
        rich: &[],
        children: &[],
    },
    Rule {
        name: "error",
        required: &["type", "message"],
        optional: &[],
        rich: &[],
        children: &[],
    },
    Rule {
        name: "skipped",
        required: &["type", "message"],
        optional: &[],
        rich: &[],
        children: &[],
    },
    Rule {
        name: "system-",
        required: &[],
        optional: &[],
        rich: &[],
        children: &[],
    },
];

fn rule(element: &str) -> Option<&'static Rule> {
    let name = match element {
        "system-out" | "system-err" => "system-",
        "flakyFailure" | "flakyError" | "rerunFailure" | "rerunError" => "rerun",
        element => element,
    };
    RULES.iter().find(|rule| rule.name == name)
}

struct Open {
    name: String,
    attributes: BTreeMap<String, String>,
    text_len: usize,
    /// How many elements of each name were closed anywhere below this one.
    below: BTreeMap<String, usize>,
}

struct Check {
    dialect: Dialect,
    open: Vec<Open>,
    seen: BTreeSet<(String, String)>,
    found: Vec<String>,
}

impl Check {
    fn read(&mut self, xml: &str) -> Result<(), quick_xml::Error> {
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event()? {
                Event::Start(element) => self.enter(&element)?,
                Event::Empty(element) => {
                    self.enter(&element)?;
                    self.leave();
                }
                Event::End(_) => self.leave(),
                Event::Text(text) => self.count_text(text.trim_ascii().len()),
                Event::CData(text) => self.count_text(text.len()),
                Event::Eof => break,
                _ => {}
            }
        }
        self.check_end();
        Ok(())
    }

    fn check_end(&mut self) {
        if let Some(open) = self.open.pop() {
            self.found.push(format!("<{}> is never closed", open.name));
        }
    }

    fn enter(&mut self, element: &BytesStart<'_>) -> Result<(), quick_xml::Error> {
        let name = String::from_utf8_lossy(element.name().as_ref()).into_owned();
        let mut attributes = BTreeMap::new();
        for attribute in element.attributes() {
            let attribute = attribute?;
            let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
            if attribute.value.contains(&b'\n') {
                self.found
                    .push(format!("`{key}` of <{name}> has more than one line"));
            }
            attributes.insert(
                key,
                attribute.normalized_value(XmlVersion::Explicit1_0)?.into_owned(),
            );
        }
        self.check_place(&name);
        self.check_attributes(&name, &attributes);
        self.open.push(Open {
            name,
            attributes,
            text_len: 0,
            below: BTreeMap::new(),
        });
        Ok(())
    }

    fn check_place(&mut self, name: &str) {
        let parent = self.open.last().map(|open| open.name.as_str());
        let fits = match parent {
            None => name == "testsuites",
            // Properties of a test are not in the schema.
            Some("testcase") if name == "properties" => self.dialect == Dialect::Rich,
            Some(parent) => rule(parent).is_some_and(|rule| rule.children.contains(&name)),
        };
        if !fits {
            self.found.push(format!(
                "<{name}> may not be in {}",
                parent.unwrap_or("the document")
            ));
        }
    }

    fn check_attributes(&mut self, name: &str, attributes: &BTreeMap<String, String>) {
        let Some(rule) = rule(name) else { return };
        let rich: &[&str] = if self.dialect == Dialect::Rich {
            rule.rich
        } else {
            &[]
        };
        let known = |key: &str| {
            [rule.required, rule.optional, rich]
                .iter()
                .any(|names| names.contains(&key))
        };
        let unknown = attributes
            .keys()
            .filter(|key| !known(key))
            .map(|key| format!("<{name}> may not have `{key}`"));
        let missing = rule.required.iter().filter(|key| !attributes.contains_key(**key));
        self.found.extend(unknown);
        self.found
            .extend(missing.map(|key| format!("<{name}> must have `{key}`")));
        if let Some(time) = attributes.get("time").filter(|time| !is_surefire_time(time)) {
            self.found.push(format!(
                "`time` of <{name}> is `{time}`, not seconds with at most three decimals"
            ));
        }
    }

    fn count_text(&mut self, len: usize) {
        let Some(open) = self.open.last_mut() else { return };
        open.text_len += len;
        if len > 0 && rule(&open.name).is_some_and(|rule| !rule.children.is_empty()) {
            self.found.push(format!("<{}> may not contain text", open.name));
        }
    }

    fn leave(&mut self) {
        let Some(open) = self.open.pop() else { return };
        match open.name.as_str() {
            "testsuites" | "testsuite" => self.check_counts(&open),
            "testcase" => {
                self.check_unique(&open);
                self.check_reruns(&open);
            }
            "stackTrace" if open.text_len == 0 => {
                self.found.push("<stackTrace> must not be empty".to_owned());
            }
            name if VERDICTS.contains(&name) && open.text_len == 0 => {
                self.found
                    .push(format!("<{name}> must have its reason as text, too"));
            }
            _ => {}
        }
        if let Some(parent) = self.open.last_mut() {
            open.below
                .iter()
                .for_each(|(name, count)| *parent.below.entry(name.clone()).or_default() += count);
            *parent.below.entry(open.name).or_default() += 1;
        }
    }

    fn check_counts(&mut self, open: &Open) {
        let columns = [
            ("tests", "testcase"),
            ("failures", "failure"),
            ("errors", "error"),
            ("skipped", "skipped"),
        ];
        for (key, element) in columns {
            let counted = open.below.get(element).copied().unwrap_or(0).to_string();
            if open.attributes.get(key).is_some_and(|said| *said != counted) {
                self.found
                    .push(format!("`{key}` of <{}> is not {counted}", open.name));
            }
        }
    }

    /// A failed test may not have flaky attempts, and one that did not fail may not have reruns.
    fn check_reruns(&mut self, open: &Open) {
        let has = |name: &str| open.below.contains_key(name);
        let failed = has("failure") || has("error");
        if failed && (has("flakyFailure") || has("flakyError")) {
            self.found
                .push("a <testcase> that failed may not have flaky attempts".to_owned());
        }
        if !failed && (has("rerunFailure") || has("rerunError")) {
            self.found
                .push("a <testcase> that did not fail may not have reruns".to_owned());
        }
    }

    fn check_unique(&mut self, open: &Open) {
        let value = |key| open.attributes.get(key).cloned().unwrap_or_default();
        let identity = (value("classname"), value("name"));
        if self.seen.contains(&identity) {
            self.found.push(format!(
                "`{}.{}` appears twice; readers keep only the first",
                identity.0, identity.1
            ));
        }
        self.seen.insert(identity);
    }
}

/// The part of SUREFIRE_TIME that we write: digits, and at most three after a point.
fn is_surefire_time(time: &str) -> bool {
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !whole.is_empty() && digits(whole) && digits(fraction) && fraction.len() <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUITE: &str = r#"name="s" tests="1" failures="0" errors="0" skipped="0" time="1.5" timestamp="t""#;

    fn document(suite: &str, inside: &str) -> String {
        let root = r#"name="acme" tests="1" failures="0" errors="0" time="2.000""#;
        format!("<testsuites {root}><testsuite {suite}>{inside}</testsuite></testsuites>")
    }

    fn found(suite: &str, inside: &str) -> String {
        violations(&document(suite, inside), Dialect::Jenkins).join("; ")
    }

    const CASE: &str = r#"<testcase name="n" classname="c" time="0.1"/>"#;

    #[test]
    fn a_valid_document_has_no_violations() {
        assert_eq!(found(SUITE, CASE), "");
    }

    #[test]
    fn unknown_attributes_and_elements_are_found() {
        let case = r#"<testcase name="n" classname="c" time="0.1" line="3"><stdout/></testcase>"#;
        assert_eq!(
            found(SUITE, case),
            "<testcase> may not have `line`; <stdout> may not be in testcase"
        );
        assert_eq!(
            violations(
                &document(SUITE, r#"<testcase name="n" classname="c" time="0" line="3"/>"#),
                Dialect::Rich
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_time_with_more_than_three_decimals_is_found() {
        let said = found(&SUITE.replace("1.5", "1.2349999999999999"), CASE);
        assert!(
            said.starts_with("`time` of <testsuite> is `1.2349999999999999`"),
            "{said}"
        );
    }

    #[test]
    fn an_attribute_of_two_lines_is_found() {
        assert_eq!(
            found(&SUITE.replace(r#""s""#, "\"s\nt\""), CASE),
            "`name` of <testsuite> has more than one line"
        );
    }

    #[test]
    fn wrong_counts_are_found() {
        assert_eq!(
            found(&SUITE.replace(r#"skipped="0""#, r#"skipped="1""#), CASE),
            "`skipped` of <testsuite> is not 0"
        );
        let failed = r#"<testcase name="n" classname="c" time="0"><failure type="t" message="m">m</failure></testcase>"#;
        assert_eq!(
            found(SUITE, failed),
            "`failures` of <testsuite> is not 1; `failures` of <testsuites> is not 1"
        );
    }

    #[test]
    fn a_reason_without_text_is_found() {
        let skipped =
            r#"<testcase name="n" classname="c" time="0"><skipped type="t" message="m"/></testcase>"#;
        let said = found(&SUITE.replace(r#"skipped="0""#, r#"skipped="1""#), skipped);
        assert_eq!(said, "<skipped> must have its reason as text, too");
    }

    #[test]
    fn properties_of_a_test_are_for_the_rich_dialect() {
        let case = r#"<testcase name="n" classname="c" time="0"><properties><property name="a" value="b"/></properties></testcase>"#;
        assert_eq!(found(SUITE, case), "<properties> may not be in testcase");
        assert_eq!(violations(&document(SUITE, case), Dialect::Rich), [""; 0]);
    }

    #[test]
    fn attempts_that_do_not_fit_the_outcome_are_found() {
        let case = |inside: &str| format!(r#"<testcase name="n" classname="c" time="0">{inside}</testcase>"#);
        let attempt = |name: &str, inside: &str| format!(r#"<{name} type="t" message="m">{inside}</{name}>"#);
        let flaky = attempt("flakyError", "<stackTrace>at x</stackTrace>");
        assert_eq!(found(SUITE, &case(&flaky)), "");
        let rerun = attempt("rerunFailure", "<stackTrace/>");
        assert_eq!(
            found(SUITE, &case(&rerun)),
            "<stackTrace> must not be empty; a <testcase> that did not fail may not have reruns"
        );
        let failed = attempt("failure", "m") + &flaky;
        assert!(found(SUITE, &case(&failed)).contains("may not have flaky attempts"));
        assert!(found(SUITE, &case(&attempt("flakyFailure", "text"))).contains("may not contain text"));
    }

    #[test]
    fn the_same_test_twice_is_found() {
        let said = found(&SUITE.replace(r#"tests="1""#, r#"tests="2""#), &CASE.repeat(2));
        assert!(said.contains("`c.n` appears twice"), "{said}");
    }

    #[test]
    fn invalid_xml_is_found() {
        assert!(found(SUITE, "<testcase").contains("not well-formed"));
        assert!(
            violations("<testsuites", Dialect::Rich)
                .iter()
                .any(|line| line.contains("not well-formed"))
        );
        assert!(found(SUITE, &format!("{CASE}\u{1b}")).contains("U+001B"));
    }
}
