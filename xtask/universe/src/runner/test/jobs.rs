//! How many tests run at a time: as many as were asked for, unless there are not descriptors enough
//! for them.

use super::Args;
use crate::base::limits::{OWN_DESCRIPTORS_MIN, TEST_DESCRIPTORS_MAX};

impl Args {
    /// So many were asked for; by default as many as the machine is good for, or all copies of a
    /// test.
    pub(super) fn jobs_wanted(&self) -> usize {
        let copies = self.schedule.repeat.slots();
        self.jobs
            .map_or_else(|| super::default_jobs().max(copies), std::num::NonZeroUsize::get)
    }

    /// What to say where they are fewer.
    pub(super) fn fewer_jobs(&self, jobs: usize) -> Option<String> {
        (jobs < self.jobs_wanted()).then(|| {
            format!("there are not descriptors for more than {jobs} tests at a time (see `ulimit -Hn`)")
        })
    }
}

/// No more than there are descriptors for; one test always runs.
pub(super) fn bounded(wanted: usize, open_files: Option<u64>) -> usize {
    let most = open_files.map(|files| files.saturating_sub(OWN_DESCRIPTORS_MIN) / TEST_DESCRIPTORS_MAX);
    let most = most.and_then(|most| usize::try_from(most).ok());
    most.map_or(wanted, |most| most.clamp(1, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_descriptors_allow_and_never_none() {
        assert_eq!(bounded(32, None), 32);
        assert_eq!(bounded(32, Some(1 << 20)), 32);
        assert_eq!(bounded(32, Some(100)), 7);
        assert_eq!(bounded(32, Some(10)), 1);
    }
}
