//! What a test needs while it runs: slots, a group, exclusivity.

/// What a test needs while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// The number of slots, at least one; a test that needs more than exist gets all of them.
    pub(crate) weight: usize,
    /// The number of its group, which limits how many of its tests run concurrently.
    pub(crate) group: Option<usize>,
    pub(crate) company: Company,
}

/// Whether other tests may run meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// Any that there are slots for.
    Any,
    /// None, not even another copy of itself.
    None,
}

impl Default for Demand {
    fn default() -> Demand {
        Demand {
            weight: 1,
            group: None,
            company: Company::Any,
        }
    }
}
