//! How many steps the work on a catalog takes, counted in the tests of this crate and nowhere else.
//!
//! A peer can give the tree any shape. The tests prove that no shape makes the work grow faster
//! than the catalog. They count steps, since times would prove nothing on another machine.

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<u64> = const { Cell::new(0) };
        static PATHS: Cell<u64> = const { Cell::new(0) };
    }

    /// Counts one visit of an entry.
    pub(in crate::catalog) fn step() {
        COUNT.set(COUNT.get() + 1);
    }

    /// Counts a path that was put together.
    pub(in crate::catalog) fn path_made() {
        PATHS.set(PATHS.get() + 1);
    }

    /// How many paths this thread has put together while it did `work`.
    pub(crate) fn paths_made_by<T>(work: impl FnOnce() -> T) -> (u64, T) {
        let before = PATHS.get();
        let done = work();
        (PATHS.get() - before, done)
    }

    /// How many steps this thread has taken while it did `work`.
    pub(crate) fn steps_of<T>(work: impl FnOnce() -> T) -> (u64, T) {
        let before = COUNT.get();
        let done = work();
        (COUNT.get() - before, done)
    }
}

#[cfg(test)]
pub(super) use counted::{path_made, step};
#[cfg(test)]
pub(crate) use counted::{paths_made_by, steps_of};

/// Nothing is counted outside of tests.
#[cfg(not(test))]
pub(super) fn step() {}

/// Nothing is counted outside of tests.
#[cfg(not(test))]
pub(super) fn path_made() {}

#[cfg(test)]
mod tests;
