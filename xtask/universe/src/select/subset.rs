//! Parts of the suite: shards, and tests that failed last time. The options, and the choice.
//!
//! The choice is a pure function of the list of tests and the history; `plan` applies it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::regular_file;
use crate::select::history::{History, HistoryFile, Verdict};

/// Run a part of the suite
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Part")]
pub(crate) struct SubsetArgs {
    /// Run only part I of N; the N parts together are all tests, balanced by the durations in the
    /// history, which must be the same for all parts
    #[arg(long, value_name = "I/N", env = "XTASK_TEST_SHARD")]
    pub(crate) shard: Option<Shard>,
    /// Run only the tests that failed when they last ran; exit code 5 if all of them pass and
    /// others have yet to pass (those of other shards do not count)
    #[arg(long, visible_alias = "lf")]
    pub(crate) rerun_failed: bool,
    /// Start with the tests that failed when they last ran
    #[arg(long, visible_alias = "ff")]
    pub(crate) failed_first: bool,
    /// Keep the results of runs in this file [default: target/xtask/test/history.ndjson]
    #[arg(long, value_name = "PATH", env = "XTASK_TEST_HISTORY")]
    history: Option<PathBuf>,
}

/// One of several parts of the suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    /// From 1.
    index: u32,
    count: u32,
}

/// The results of earlier runs, and how this run uses them.
#[derive(Debug, Default)]
pub(crate) struct Subset {
    pub(crate) shard: Option<Shard>,
    pub(crate) choice: Choice,
    pub(crate) history: Arc<History>,
    /// The history that all shards share; they must not use each other's results.
    shared: Arc<History>,
}

/// How this run uses the results of earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Choice {
    /// It ignores them.
    #[default]
    All,
    /// Tests that failed start first.
    FailedFirst,
    /// Only tests that failed run.
    FailedOnly,
}

impl SubsetArgs {
    /// Whether the history can be at the requested path.
    ///
    /// # Errors
    /// When something other than a file is there.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        let Some(path) = &self.history else { return Ok(()) };
        regular_file::is_free(path).map_err(|why| {
            let message = format!("the history cannot be at `{}`: {why}", path.display());
            Stop::new(Exit::Usage, FailureKind::Usage, message)
        })
    }

    /// The path of this run's history.
    pub(crate) fn place(&self, target_directory: &Path) -> HistoryFile {
        HistoryFile::new(
            self.history.as_deref(),
            target_directory,
            self.shard.map(Shard::name),
        )
    }

    /// The choice, and the history, which is not yet read.
    pub(crate) fn subset(&self, target_directory: &Path) -> Subset {
        let place = self.place(target_directory);
        Subset {
            shard: self.shard,
            choice: match (self.rerun_failed, self.failed_first) {
                (true, _) => Choice::FailedOnly,
                (false, true) => Choice::FailedFirst,
                (false, false) => Choice::All,
            },
            history: Arc::new(place.all()),
            shared: Arc::new(self.shard.map(|_| place.shared()).unwrap_or_default()),
        }
    }
}

impl Subset {
    /// The histories without which these tests cannot be planned.
    pub(crate) fn needed(&self) -> Vec<Arc<History>> {
        let by_choice = (self.choice != Choice::All).then(|| Arc::clone(&self.history));
        let by_shard = self.shard.map(|_| Arc::clone(&self.shared));
        by_choice.into_iter().chain(by_shard).collect()
    }

    /// For a choice when only these records, `(test, verdict)`, are known.
    #[cfg(test)]
    pub(crate) fn knowing(choice: Choice, records: &[(&str, Verdict)]) -> Subset {
        Subset {
            choice,
            history: Arc::new(History::knowing(records)),
            ..Subset::default()
        }
    }

    /// For tests with these ids, whether each is in the shard.
    pub(crate) fn in_shard(&self, ids: &[String]) -> Vec<bool> {
        match self.shard {
            None => vec![true; ids.len()],
            Some(shard) => {
                let shards = assign(ids, shard.count, |id| self.shared.duration(id));
                shards.into_iter().map(|index| index == shard.index - 1).collect()
            }
        }
    }

    /// Whether the test failed when it last ran, or had failed before the shards of this run began:
    /// then a shard may have passed it meanwhile.
    pub(crate) fn may_have_failed(&self, id: &str) -> bool {
        self.has_failed(id) || self.shared.last(id) == Some(Verdict::Failed)
    }

    /// Whether the test failed when it last ran.
    pub(crate) fn has_failed(&self, id: &str) -> bool {
        self.history.last(id) == Some(Verdict::Failed)
    }
}

impl Shard {
    /// `2-of-3`.
    pub(crate) fn name(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Shard { index, count }),
            Some(_) | None => Err("the value must be I/N with I from 1 to N, such as `2/3`".to_owned()),
        }
    }
}

/// The shard of each test, from 0. Tests with a known duration are assigned longest first, each to
/// the shard with the least load (Graham 1969: at most 4/3 of the optimum). A test without one is
/// assigned by its name, so that it stays in its shard when others are added or removed.
fn assign(ids: &[String], count: u32, duration: impl Fn(&str) -> Option<Duration>) -> Vec<u32> {
    let durations: Vec<Option<Duration>> = ids.iter().map(|id| duration(id)).collect();
    let known = || durations.iter().flatten();
    let usual = known().sum::<Duration>() / u32::try_from(known().count()).unwrap_or(u32::MAX).max(1);
    let mut loads = vec![Duration::ZERO; count.max(1) as usize];
    let mut shards = vec![0; ids.len()];
    let mut dealt: Vec<(Duration, &String, usize)> = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        match durations.get(number).copied().flatten() {
            Some(duration) => dealt.push((duration, id, number)),
            None => give(&mut shards, &mut loads, number, place_of(id, count), usual),
        }
    }
    dealt.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    for (duration, _, number) in dealt {
        let idlest = (0..)
            .zip(&loads)
            .min_by_key(|(_, load)| **load)
            .map_or(0, |(shard, _)| shard);
        give(&mut shards, &mut loads, number, idlest, duration);
    }
    shards
}

fn give(shards: &mut [u32], loads: &mut [Duration], number: usize, shard: u32, duration: Duration) {
    if let (Some(place), Some(load)) = (shards.get_mut(number), loads.get_mut(shard as usize)) {
        *place = shard;
        *load += duration;
    }
}

/// The shard that the name alone determines: the FNV-1a hash, the same on every machine.
fn place_of(id: &str, count: u32) -> u32 {
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // FNV's low bits are weak for short, similar names.
    let mixed = hash ^ (hash >> 32);
    u32::try_from(mixed % u64::from(count.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("p::suite$module::test_{n}")).collect()
    }

    /// Every third test has no known duration; one is much longer than the others.
    fn duration(id: &str) -> Option<Duration> {
        let number: u64 = id.rsplit('_').next()?.parse().ok()?;
        match number {
            7 => Some(Duration::from_secs(10)),
            number if number.is_multiple_of(3) => None,
            number => Some(Duration::from_millis(10 * (1 + number % 50))),
        }
    }

    #[test]
    fn a_shard_is_parsed_as_index_and_count() {
        assert_eq!("2/3".parse(), Ok(Shard { index: 2, count: 3 }));
        for bad in ["", "0/3", "4/3", "1", "1/0", "a/b", "-1/2"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_test_is_in_exactly_one_shard_with_or_without_a_history() {
        for (tests, count) in [(0, 3), (1, 3), (100, 1), (100, 3), (100, 7), (5, 20)] {
            for known in [false, true] {
                let ids = ids(tests);
                let shards = assign(&ids, count, |id| duration(id).filter(|_| known));
                assert_eq!(shards.len(), tests);
                assert!(shards.iter().all(|shard| *shard < count));
                assert_eq!(shards, assign(&ids, count, |id| duration(id).filter(|_| known)));
            }
        }
    }

    #[test]
    fn the_order_of_the_list_does_not_matter() {
        let (mut ids, count) = (ids(100), 4);
        let of = |ids: &[String]| -> Vec<(String, u32)> {
            let mut pairs: Vec<_> = ids.iter().cloned().zip(assign(ids, count, duration)).collect();
            pairs.sort();
            pairs
        };
        let before = of(&ids);
        ids.reverse();
        assert_eq!(of(&ids), before);
    }

    #[test]
    fn known_durations_are_balanced_around_the_longest() {
        let ids = ids(100);
        let shards = assign(&ids, 3, duration);
        let mut loads = [Duration::ZERO; 3];
        for (id, shard) in ids.iter().zip(&shards) {
            loads[*shard as usize] += duration(id).unwrap_or_default();
        }
        loads.sort();
        assert_eq!(
            loads[2],
            Duration::from_secs(10),
            "the long one has only unknown company"
        );
        assert!(loads[1] < loads[0] * 3 / 2, "{loads:?}");
    }

    #[test]
    fn a_test_without_a_duration_stays_in_its_shard_when_others_are_added() {
        let shards = |count: usize| assign(&ids(count), 3, |_| None);
        assert_eq!(shards(50), shards(100)[..50]);
        let counts = (0..3).map(|shard| shards(100).iter().filter(|s| **s == shard).count());
        assert!(counts.into_iter().all(|count| count > 20));
    }
}
