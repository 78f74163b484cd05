//! What `#[ignore]` says of a test.

/// The `#[ignore]` attribute of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ignore {
    /// There is none.
    No,
    /// `#[ignore]`
    Bare,
    /// `#[ignore = "reason"]`
    Because(String),
}
