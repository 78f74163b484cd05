//! What has changed and is not saved yet: each thing once, however often it changes.
//!
//! Pure. Nothing is noted until somebody tracks the changes, so without a journal nothing grows.

use std::collections::BTreeSet;

/// See the head of this file.
#[derive(Debug, Clone)]
pub(crate) struct Unsaved<T>(Option<BTreeSet<T>>);

impl<T> Default for Unsaved<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Ord> Unsaved<T> {
    /// Notes changes from now on.
    pub(crate) fn track(&mut self) {
        self.0.get_or_insert_default();
    }

    /// Whether changes are noted.
    pub(crate) fn is_tracking(&self) -> bool {
        self.0.is_some()
    }

    /// Notes that something has changed.
    pub(crate) fn note(&mut self, changed: impl Into<T>) {
        if let Some(all) = &mut self.0 {
            all.insert(changed.into());
        }
    }

    /// Whether nothing has changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(BTreeSet::is_empty)
    }

    /// Takes at most `count_max` of what has changed.
    pub(crate) fn take(&mut self, count_max: usize) -> Vec<T> {
        let all = self.0.iter_mut();
        all.flat_map(|all| {
            std::iter::from_fn(|| all.pop_first())
                .take(count_max)
                .collect::<Vec<_>>()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_taken_once_and_only_if_it_is_tracked() {
        let mut unsaved = Unsaved::<u8>::default();
        unsaved.note(1);
        assert!(unsaved.is_empty() && !unsaved.is_tracking());
        unsaved.track();
        [3_u8, 1, 2, 3]
            .into_iter()
            .for_each(|changed| unsaved.note(changed));
        assert_eq!(unsaved.take(2), [1, 2]);
        assert_eq!(unsaved.take(2), [3]);
        assert!(unsaved.is_empty() && unsaved.is_tracking());
    }
}
