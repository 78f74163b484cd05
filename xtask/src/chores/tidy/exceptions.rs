//! Files that violate a rule at present; each list should become empty.
//!
//! A file that no longer violates its rule must leave the list, so that it never violates it again.

use std::path::Path;

use super::floors::Breach;

/// The exceptions to one rule.
#[derive(Debug)]
pub(super) struct Exceptions {
    /// The name of the list.
    name: &'static str,
    files: &'static [&'static str],
}

/// Files with tests that return early: one that starts itself again, as another process.
pub(super) const EARLY_RETURNS: Exceptions = Exceptions {
    name: "EARLY_RETURNS",
    files: &["core/src/identity/file/tests.rs"],
};

impl Exceptions {
    /// The remaining violations of a file: none for an exception, unless it is one no longer.
    pub(super) fn apply(&self, file: &Path, breaches: Vec<Breach>) -> Vec<Breach> {
        match (self.has(file), breaches.is_empty()) {
            (true, false) => Vec::new(),
            (true, true) => vec![(1, self.removal("no longer violates the rule"))],
            (false, _) => breaches,
        }
    }

    fn has(&self, file: &Path) -> bool {
        self.files.iter().any(|known| file == Path::new(known))
    }

    fn removal(&self, why: &str) -> String {
        format!("it {why}: remove it from `{}` in `tidy/exceptions.rs`", self.name)
    }
}

/// The listed files that no longer exist, with the advice to remove them.
pub(super) fn vanished(root: &Path) -> impl Iterator<Item = (&'static Path, String)> {
    let listed = EARLY_RETURNS.files.iter().map(Path::new);
    let vanished = listed.filter(move |file| !root.join(file).exists());
    vanished.map(|file| (file, EARLY_RETURNS.removal("does not exist")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Exceptions = Exceptions {
        name: "LIST",
        files: &["a.rs"],
    };

    #[test]
    fn an_exception_may_violate_its_rule_and_another_file_may_not() {
        let breach = || vec![(3, "broken".to_owned())];
        assert_eq!(LIST.apply(Path::new("a.rs"), breach()), []);
        assert_eq!(LIST.apply(Path::new("b.rs"), breach()), breach());
        assert_eq!(LIST.apply(Path::new("b.rs"), Vec::new()), []);
    }

    #[test]
    fn an_exception_without_a_violation_or_a_file_must_leave_the_list() {
        let message = "it no longer violates the rule: remove it from `LIST` in `tidy/exceptions.rs`";
        assert_eq!(
            LIST.apply(Path::new("a.rs"), Vec::new()),
            [(1, message.to_owned())]
        );
        let empty = tempfile::tempdir().unwrap();
        let count = EARLY_RETURNS.files.len();
        assert_eq!(vanished(empty.path()).count(), count);
    }
}
