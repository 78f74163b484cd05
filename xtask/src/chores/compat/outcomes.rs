//! Which tests ran and the outcome of each, parsed from the output of `cargo test`, nextest and
//! this runner. Pure.

use std::collections::BTreeMap;
use std::process::Output;

use crate::chores::limits::DIFFERENCES_SHOWN_MAX;
use serde::Deserialize;

/// A test, as `cargo xtask list --json` prints it.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    binary: String,
    name: String,
    /// Whether it is a whole binary with a harness of its own.
    whole: bool,
    #[serde(default)]
    needs: Vec<String>,
    /// Why it would not run.
    #[serde(default)]
    reason: Option<String>,
}

/// How often each line `name outcome` occurs: two binaries may have tests of the same name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes(BTreeMap<String, usize>);

impl Outcomes {
    /// The outcomes that `cargo test` prints. A binary that runs as a whole failed if cargo names
    /// it among the failed targets.
    pub(super) fn of_cargo(output: &Output, listed: &[Listed]) -> Outcomes {
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let mut outcomes = Outcomes::default();
        let lines = stdout.lines().filter_map(cargos_line);
        lines.for_each(|(name, outcome)| outcomes.add(name, outcome));
        for Listed { name, .. } in listed.iter().filter(|test| test.whole) {
            let failed = stderr.contains(&format!("--test {name}`"));
            outcomes.add(name, if failed { "failed" } else { "passed" });
        }
        outcomes
    }

    /// The outcomes that nextest prints, one line `STATUS [TIME] (NUMBER) BINARY NAME` for each
    /// test.
    pub(super) fn of_nextest(output: &Output) -> Outcomes {
        let mut outcomes = Outcomes::default();
        let stderr = text(&output.stderr);
        let lines = stderr.lines().filter_map(nextests_line);
        lines.for_each(|(name, outcome)| outcomes.add(name, outcome));
        outcomes
    }

    /// The outcomes of a runner that does not know the capabilities: tests with needs are ignored,
    /// the rest pass.
    pub(super) fn expected(listed: &[Listed]) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for test in listed {
            let is_ignored = !test.needs.is_empty() || test.reason.is_some();
            outcomes.add(&test.name, if is_ignored { "ignored" } else { "passed" });
        }
        outcomes
    }

    /// The outcomes in the events that this runner prints. The last event of a test counts.
    pub(super) fn of_xtask(output: &Output, listed: &[Listed]) -> Outcomes {
        let stdout = text(&output.stdout);
        let events = stdout
            .lines()
            .filter_map(|line| serde_json::from_str::<Event>(line).ok());
        let cases = events.filter_map(|event| event.case);
        let last: BTreeMap<String, Case> = cases.map(|case| (case.id.clone(), case)).collect();
        let mut outcomes = Outcomes::default();
        for case in last.values() {
            let is_it = |test: &&Listed| case.id == format!("{}${}", test.binary, test.name);
            let name = listed.iter().find(is_it).map_or(&case.id, |test| &test.name);
            outcomes.add(name, case.outcome());
        }
        outcomes
    }

    fn add(&mut self, name: &str, outcome: &str) {
        *self.0.entry(format!("{name} {outcome}")).or_default() += 1;
    }

    /// One line for each `name outcome` whose count differs between the two; `by` names the
    /// runners.
    pub(super) fn differences(&self, ours: &Outcomes, by: [&str; 2]) -> Vec<String> {
        let count = |outcomes: &Outcomes, line: &String| outcomes.0.get(line).copied().unwrap_or_default();
        let mut lines: Vec<&String> = self.0.keys().chain(ours.0.keys()).collect();
        lines.sort();
        lines.dedup();
        let differing = lines
            .into_iter()
            .map(|line| (line, count(self, line), count(ours, line)))
            .filter(|(_, theirs, ours)| theirs != ours);
        let [them, us] = by;
        let lines =
            differing.map(|(line, theirs, ours)| format!("  {line}: {theirs} by {them}, {ours} by {us}"));
        let mut lines: Vec<String> = lines.collect();
        let hidden = lines.len().saturating_sub(DIFFERENCES_SHOWN_MAX);
        lines.truncate(DIFFERENCES_SHOWN_MAX);
        lines.extend((hidden > 0).then(|| format!("  ... and {hidden} more")));
        lines
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `test NAME - should panic ... ignored, REASON`; the name of a doc test has ` - ` in it, too.
fn cargos_line(line: &str) -> Option<(&str, &'static str)> {
    let rest = line.strip_prefix("test ")?;
    let (name, outcome) = [(" ... ok", "passed"), (" ... FAILED", "failed")]
        .into_iter()
        .find_map(|(end, outcome)| Some((rest.strip_suffix(end)?, outcome)))
        .or_else(|| Some((rest.split_once(" ... ignored")?.0, "ignored")))?;
    let remarks = [" - should panic", " - compile fail", " - compile"];
    let plain = remarks.into_iter().find_map(|remark| name.strip_suffix(remark));
    Some((plain.unwrap_or(name), outcome))
}

/// `SIGABRT [   0.012s] ( 1/14) package::binary NAME`
fn nextests_line(line: &str) -> Option<(&str, &'static str)> {
    let (status, rest) = line.trim_start().split_once(" [")?;
    let (_, rest) = rest.split_once("] (")?;
    let (_, name) = rest.split_once(") ")?.1.split_once(' ')?;
    let outcome = match status {
        // A slow test has another line later.
        "SLOW" => return None,
        "PASS" | "LEAK" => "passed",
        "SKIP" => "ignored",
        _ => "failed",
    };
    Some((name, outcome))
}

/// An event of this runner; those of tests have a case.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    case: Option<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// `package::binary$name`
    id: String,
    outcome: Status,
}

#[derive(Deserialize)]
struct Status {
    status: String,
}

impl Case {
    fn outcome(&self) -> &'static str {
        match self.outcome.status.as_str() {
            "passed" => "passed",
            "skipped" => "ignored",
            _ => "failed",
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn output(stdout: &str, stderr: &str) -> Output {
        Output {
            status: ExitStatus::from_raw(0),
            stdout: stdout.into(),
            stderr: stderr.into(),
        }
    }

    fn listed() -> Vec<Listed> {
        let test = |(binary, name, whole): (&str, &str, bool)| Listed {
            binary: binary.to_owned(),
            name: name.to_owned(),
            whole,
            needs: Vec::new(),
            reason: None,
        };
        [
            ("p::p", "a::b", false),
            ("p::t", "a::b", false),
            ("p::t", "slow", false),
            ("p::ui", "ui", true),
        ]
        .map(test)
        .into()
    }

    const CARGO: &str = "\nrunning 1 test\ntest a::b - should panic ... ok\n\ntest result: ok. 1 passed\n\
        test a::b ... FAILED\ntest slow ... ignored, takes: long\n";
    /// The events of a run with these outcomes, each as id and status.
    fn ours(cases: &[(&str, &str)]) -> String {
        let event = |(id, status): &(&str, &str)| {
            let case = json!({"id": id, "outcome": {"status": status}});
            let discovered =
                json!({"type": "discovered", "case": {"id": id, "outcome": {"status": "skipped"}}});
            let finish = json!({"type": "finish", "case": case});
            format!("{discovered}\n{}\n{finish}\n", json!({"type": "start", "id": id}))
        };
        cases.iter().map(event).collect()
    }

    const OURS: [(&str, &str); 4] = [
        ("p::p$a::b", "passed"),
        ("p::t$a::b", "failed"),
        ("p::t$slow", "skipped"),
        ("p::ui$ui", "passed"),
    ];

    const BY: [&str; 2] = ["`cargo test`", "`cargo xtask test`"];

    #[test]
    fn tests_with_needs_are_expected_to_be_ignored_and_the_rest_to_pass() {
        let mut listed = listed();
        listed[1].needs = vec!["fuse".to_owned()];
        listed[2].reason = Some("measures".to_owned());
        let nextest = "    Starting 2 tests across 3 binaries\n        PASS [   0.012s] (1/2) p a::b\n\
            \x20       SKIP [         ] (───) p::t a::b\n        SKIP [         ] (───) p::t slow\n\
            \x20       SLOW [> 60.000s] (───) p::ui ui\n        LEAK [  61.000s] (2/2) p::ui ui\n";
        let theirs = Outcomes::of_nextest(&output("", nextest));
        let expected = Outcomes::expected(&listed);
        assert_eq!(theirs, expected);
        let died = nextest.replace("PASS", "SIGABRT");
        let differences = Outcomes::of_nextest(&output("", &died)).differences(&expected, ["nextest", "us"]);
        assert_eq!(
            differences,
            [
                "  a::b failed: 1 by nextest, 0 by us",
                "  a::b passed: 0 by nextest, 1 by us"
            ]
        );
    }

    #[test]
    fn the_remarks_of_rustdoc_are_no_part_of_a_doc_tests_name() {
        for (line, name, outcome) in [
            (
                "test src/lib.rs - one (line 2) ... ok",
                "src/lib.rs - one (line 2)",
                "passed",
            ),
            (
                "test src/lib.rs - (line 2) - compile fail ... FAILED",
                "src/lib.rs - (line 2)",
                "failed",
            ),
            (
                "test src/lib.rs - (line 2) - compile ... ok",
                "src/lib.rs - (line 2)",
                "passed",
            ),
            (
                "test src/lib.rs - (line 2) ... ignored",
                "src/lib.rs - (line 2)",
                "ignored",
            ),
        ] {
            assert_eq!(cargos_line(line), Some((name, outcome)));
        }
    }

    #[test]
    fn equal_outcomes_are_equal_from_every_runner() {
        let theirs = Outcomes::of_cargo(&output(CARGO, ""), &listed());
        let ours = Outcomes::of_xtask(&output(&ours(&OURS), ""), &listed());
        assert_eq!(theirs, ours);
        assert_eq!(theirs.differences(&ours, BY), [""; 0]);
        assert_eq!(theirs.0.values().sum::<usize>(), 4);
    }

    #[test]
    fn a_different_outcome_and_a_test_of_only_one_runner_are_differences() {
        let theirs = Outcomes::of_cargo(
            &output(CARGO, "error: 1 target failed:\n    `--test ui`\n"),
            &listed(),
        );
        let mut died = OURS;
        died[0].1 = "errored";
        let ours = Outcomes::of_xtask(&output(&ours(&died), ""), &listed());
        let differences = theirs.differences(&ours, BY);
        assert_eq!(differences.len(), 4, "{differences:?}");
        assert_eq!(
            differences[0],
            "  a::b failed: 1 by `cargo test`, 2 by `cargo xtask test`"
        );
    }
}
