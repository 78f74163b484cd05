//! How many tests run concurrently: the requested number, unless the open-file limit allows fewer.

use super::Args;
use crate::base::limits::{OWN_DESCRIPTORS_MIN, TEST_DESCRIPTORS_MAX};

impl Args {
    /// The requested number; by default, what suits the machine, or all copies of a test.
    pub(super) fn jobs_wanted(&self) -> usize {
        let copies = self.schedule.repeat.slots();
        self.jobs
            .map_or_else(|| super::default_jobs().max(copies), std::num::NonZeroUsize::get)
    }

    /// The warning if fewer can run.
    pub(super) fn fewer_jobs(&self, jobs: usize) -> Option<String> {
        (jobs < self.jobs_wanted())
            .then(|| format!("the open-file limit allows only {jobs} concurrent tests (see `ulimit -Hn`)"))
    }
}

/// At most as many as the descriptors allow; at least one test always runs.
pub(super) fn bounded(wanted: usize, open_files: Option<u64>) -> usize {
    let most = open_files.map(|files| files.saturating_sub(OWN_DESCRIPTORS_MIN) / TEST_DESCRIPTORS_MAX);
    let most = most.and_then(|most| usize::try_from(most).ok());
    most.map_or(wanted, |most| most.clamp(1, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_jobs_run_as_descriptors_allow_and_at_least_one() {
        assert_eq!(bounded(32, None), 32);
        assert_eq!(bounded(32, Some(1 << 20)), 32);
        assert_eq!(bounded(32, Some(100)), 7);
        assert_eq!(bounded(32, Some(10)), 1);
    }
}
