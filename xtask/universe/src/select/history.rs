//! The results of tests in earlier runs: `target/xtask/test/history.ndjson`, one line for each test
//! of each run.
//!
//! Used to balance shards, to rerun failed tests, and to report how often a test fails. It can
//! never make a test pass: no result is taken from it. Unreadable lines are skipped, and its loss
//! loses only this information.

mod ndjson;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::base::limits::DURATIONS_MAX;
use crate::report::data::{Report, Suite};
#[cfg(test)]
pub(crate) use record::Version;
pub(crate) use record::{Record, Verdict};

/// Where the history of a workspace is, below cargo's target directory.
const HOME: &str = "xtask/test/history.ndjson";

/// The files that records are read from and appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryFile {
    path: PathBuf,
    /// `2-of-3` for a run of one shard, which must not change what the other shards read.
    shard: Option<String>,
}

/// The records of each test. The files are read when a record is needed, once: a run in which all
/// tests pass may need none, and the files have thousands of lines.
#[derive(Debug, Default)]
pub(crate) struct History {
    source: Option<Source>,
    /// By the id of the test.
    tests: OnceLock<BTreeMap<String, Past>>,
}

/// What a history is read from.
#[derive(Debug)]
enum Source {
    /// The history that all shards of a run share.
    Shared(PathBuf),
    /// The same, and the records of the shards beside it.
    All(PathBuf),
}

/// The records of one test, the oldest first.
#[derive(Debug, Default, Clone)]
pub(crate) struct Past {
    records: Vec<Record>,
}

impl HistoryFile {
    /// The file at `path`, otherwise that of the workspace.
    pub(crate) fn new(path: Option<&Path>, target_directory: &Path, shard: Option<String>) -> HistoryFile {
        HistoryFile {
            path: path.map_or_else(|| target_directory.join(HOME), Path::to_path_buf),
            shard,
        }
    }

    /// The history that all shards of a run share.
    pub(crate) fn shared(&self) -> History {
        History::from(Source::Shared(self.path.clone()))
    }

    /// The history that all shards share, and the records of the shards beside it.
    pub(crate) fn all(&self) -> History {
        History::from(Source::All(self.path.clone()))
    }

    /// Adds the results of a run.
    ///
    /// # Errors
    /// When the file cannot be written to.
    pub(crate) fn add(&self, report: &Report) -> anyhow::Result<()> {
        let records = record::records(report);
        let path = match &self.shard {
            Some(shard) => ndjson::shard(&self.path, shard),
            None => self.path.clone(),
        };
        ndjson::append(&path, &records)
    }
}

impl Source {
    fn records(&self) -> Vec<Record> {
        match self {
            Source::Shared(path) => ndjson::read(path),
            Source::All(path) => {
                let files = ndjson::shards(path).into_iter().chain([path.clone()]);
                files.flat_map(|path| ndjson::read(&path)).collect()
            }
        }
    }
}

impl From<Source> for History {
    fn from(source: Source) -> History {
        History {
            source: Some(source),
            tests: OnceLock::new(),
        }
    }
}

/// The records of each test, by its id.
fn by_test(mut records: Vec<Record>) -> BTreeMap<String, Past> {
    // The ids of runs begin with the second of their start. Within one run, the order of the lines
    // is that of the ends.
    records.sort_by(|a, b| (a.second(), a.started_ms).cmp(&(b.second(), b.started_ms)));
    let mut tests: BTreeMap<String, Past> = BTreeMap::new();
    for record in records {
        tests.entry(record.test.clone()).or_default().add(record);
    }
    tests
}

impl History {
    #[cfg(test)]
    fn of(records: Vec<Record>) -> History {
        History {
            source: None,
            tests: OnceLock::from(by_test(records)),
        }
    }

    /// Reads the files, unless that was done. A thread that comes second waits for the first.
    pub(crate) fn tests(&self) -> &BTreeMap<String, Past> {
        let records = || self.source.as_ref().map(Source::records);
        self.tests.get_or_init(|| by_test(records().unwrap_or_default()))
    }

    /// One run, with these results.
    #[cfg(test)]
    pub(crate) fn knowing(results: &[(&str, Verdict)]) -> History {
        let record = |(test, verdict): &(&str, Verdict)| Record {
            version: Version,
            run: "2026".to_owned(),
            test: (*test).to_owned(),
            verdict: *verdict,
            attempts: 1,
            rounds: 1,
            started_ms: 0,
            ms: 1,
        };
        History::of(results.iter().map(record).collect())
    }

    /// The records of this test.
    pub(crate) fn past(&self, id: &str) -> Option<&Past> {
        self.tests().get(id)
    }

    /// How the test ended when it last ran.
    pub(crate) fn last(&self, id: &str) -> Option<Verdict> {
        self.past(id)?.records.last().map(|record| record.verdict)
    }

    /// How long the test takes.
    pub(crate) fn duration(&self, id: &str) -> Option<Duration> {
        self.past(id)?.duration()
    }

    /// Adds to each failure how often the test failed before.
    pub(crate) fn annotate(&self, suites: &mut [Suite]) {
        for case in suites.iter_mut().flat_map(|suite| &mut suite.cases) {
            let id = case.id.clone();
            let Some(failure) = case.failure_mut() else {
                continue;
            };
            let Some(words) = self.past(&id).map(Past::words) else {
                continue;
            };
            if !failure.detail.is_empty() {
                failure.detail.push('\n');
            }
            failure.detail.push_str(&format!("history: {words}"));
        }
    }
}

impl Past {
    /// Adds a later record. A run has one record of a test; a shard's file may be read in addition
    /// to the history into which it was merged.
    fn add(&mut self, record: Record) {
        let latest = self.records.iter().rev();
        let mut same_second = latest.take_while(|known| known.second() == record.second());
        if !same_second.any(|known| known.run == record.run) {
            self.records.push(record);
        }
    }

    /// The median duration of the latest successes; of the latest failures if there is no success.
    fn duration(&self) -> Option<Duration> {
        let median = |passed: bool| {
            let records = self.records.iter().rev();
            let wanted = records.filter(|record| (record.verdict != Verdict::Failed) == passed);
            let mut times: Vec<u64> = wanted.take(DURATIONS_MAX).map(|record| record.ms).collect();
            times.sort_unstable();
            times.get(times.len() / 2).copied().map(Duration::from_millis)
        };
        median(true).or_else(|| median(false))
    }

    /// `failed in 3 of the last 40 runs`.
    fn words(&self) -> String {
        let count = |verdict| {
            self.records
                .iter()
                .filter(|record| record.verdict == verdict)
                .count()
        };
        let (runs, failed, flaky) = (self.records.len(), count(Verdict::Failed), count(Verdict::Flaky));
        let flaky = match flaky {
            0 => String::new(),
            flaky => format!(", and at first in {flaky}"),
        };
        match (failed, runs) {
            (1, 1) => "failed in the only run so far".to_owned(),
            (0, 1) if flaky.is_empty() => "passed in the only run so far".to_owned(),
            (0, 1) => "failed at first in the only run so far".to_owned(),
            (0, runs) => format!("failed in none of the last {runs} runs{flaky}"),
            (failed, runs) => format!("failed in {failed} of the last {runs} runs{flaky}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::data::{Case, Failure, Outcome};

    fn record(run: u32, verdict: Verdict, ms: u64) -> Record {
        Record {
            version: Version,
            run: format!("2026-{run:03}-x"),
            started_ms: 0,
            test: "p::t$f".to_owned(),
            verdict,
            attempts: 1,
            rounds: 1,
            ms,
        }
    }

    #[test]
    fn the_latest_run_decides_in_any_order_of_the_files() {
        let history = History::of(vec![record(2, Verdict::Passed, 5), record(1, Verdict::Failed, 9)]);
        assert_eq!(history.last("p::t$f"), Some(Verdict::Passed));
        assert_eq!(history.last("p::t$g"), None);
    }

    #[test]
    fn a_history_of_an_earlier_version_is_still_read() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/select/history/earlier/history.ndjson");
        let history = HistoryFile::new(Some(&path), Path::new("/nowhere"), None).all();
        let last = |name: &str| history.last(&format!("sample::{name}"));
        assert_eq!(last("sample$tests::passes"), Some(Verdict::Passed));
        assert_eq!(last("t$fails"), Some(Verdict::Failed));
        assert_eq!(last("t$is_flaky"), Some(Verdict::Flaky));
        assert_eq!(history.tests().len(), 6);
        assert_eq!(
            history.duration("sample::t$is_slow"),
            Some(Duration::from_millis(2078))
        );
    }

    #[test]
    fn a_record_in_a_shards_file_and_in_the_merged_history_counts_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        let line = |run| record(run, Verdict::Failed, 1).to_line().unwrap() + "\n";
        std::fs::write(directory.path().join("history.1-of-2.ndjson"), line(1)).unwrap();
        std::fs::write(&path, line(1) + &line(2) + &line(1)).unwrap();
        let place = HistoryFile::new(Some(&path), Path::new("/nowhere"), None);
        for history in [place.all(), place.shared()] {
            let words = history.past("p::t$f").map(Past::words);
            assert_eq!(words.as_deref(), Some("failed in 2 of the last 2 runs"));
        }
    }

    #[test]
    fn of_two_runs_in_one_second_the_later_one_counts_in_any_order() {
        let named = |run: &str, started_ms, verdict| Record {
            run: run.to_owned(),
            started_ms,
            ..record(1, verdict, 1)
        };
        let early = named("20261126-100000-zzzz", 100, Verdict::Failed);
        let late = named("20261126-100000-aaaa", 900, Verdict::Passed);
        for lines in [vec![early.clone(), late.clone()], vec![late, early]] {
            assert_eq!(History::of(lines).last("p::t$f"), Some(Verdict::Passed));
        }
    }

    #[test]
    fn only_failures_need_the_history_at_the_end_of_a_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history.ndjson");
        let history = HistoryFile::new(Some(&path), Path::new("/nowhere"), None).all();
        let suites = |outcome| {
            let case = Case::new("p::t$f".to_owned(), "c".to_owned(), "f".to_owned(), outcome);
            let (started, elapsed) = (std::time::SystemTime::UNIX_EPOCH, Duration::ZERO);
            vec![Suite {
                name: "s".to_owned(),
                started,
                elapsed,
                cases: vec![case],
            }]
        };
        history.annotate(&mut suites(Outcome::Passed));
        // A file that was read before does not have this line.
        std::fs::write(&path, record(1, Verdict::Failed, 1).to_line().unwrap()).unwrap();
        let mut failed = suites(Outcome::Failed(Failure {
            kind: "panic".into(),
            message: String::new(),
            detail: String::new(),
        }));
        history.annotate(&mut failed);
        let failure = failed[0].cases[0].failure().unwrap();
        assert_eq!(failure.detail, "history: failed in the only run so far");
    }

    #[test]
    fn a_duration_is_the_median_of_the_successes() {
        let times = [
            (1, Verdict::Passed, 10),
            (2, Verdict::Failed, 30_000),
            (3, Verdict::Passed, 12),
            (4, Verdict::Passed, 900),
        ];
        let history = History::of(times.map(|(run, verdict, ms)| record(run, verdict, ms)).to_vec());
        assert_eq!(history.duration("p::t$f"), Some(Duration::from_millis(12)));
        let failures = History::of(vec![record(1, Verdict::Failed, 7)]);
        assert_eq!(failures.duration("p::t$f"), Some(Duration::from_millis(7)));
    }

    #[test]
    fn failures_are_counted_in_words() {
        let words = |verdicts: &[Verdict]| {
            let records = (1..).zip(verdicts).map(|(run, verdict)| record(run, *verdict, 1));
            History::of(records.collect())
                .past("p::t$f")
                .map(Past::words)
                .unwrap()
        };
        assert_eq!(words(&[Verdict::Passed]), "passed in the only run so far");
        assert_eq!(words(&[Verdict::Failed]), "failed in the only run so far");
        assert_eq!(words(&[Verdict::Flaky]), "failed at first in the only run so far");
        assert_eq!(
            words(&[Verdict::Passed, Verdict::Passed]),
            "failed in none of the last 2 runs"
        );
        assert_eq!(
            words(&[Verdict::Failed, Verdict::Passed, Verdict::Flaky]),
            "failed in 1 of the last 3 runs, and at first in 1"
        );
    }
}
