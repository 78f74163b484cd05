//! What a test takes while it runs: slots, a group, company.

/// What a test takes while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// So many slots, at least one; a test that wants more than there are gets all of them.
    pub(crate) weight: usize,
    /// The number of its group, of which only so many run at a time.
    pub(crate) group: Option<usize>,
    pub(crate) company: Company,
}

/// Whether other tests may run meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// Any that there is room for.
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
