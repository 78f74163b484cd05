//! `--check`: whether the mutations still fit the code, in a second and without building.

use std::path::Path;
use std::time::Duration;

use super::patch::{Patch, TestId};
use super::replica::Replica;
use super::trial::Row;
use super::verdict::Verdict;

/// One row for each test of each patch. A patch that does not apply has a broken row, and the check
/// continues.
pub(super) fn rows(replica: &Replica, patches: &[Patch]) -> Vec<Row> {
    let sources = Sources::read(&replica.tree);
    let mut rows = Vec::new();
    for patch in patches {
        let applies = replica.with(patch, || Ok(()));
        rows.extend(patch.tests.iter().map(|test| Row {
            mutation: patch.name.clone(),
            test: test.to_string(),
            verdict: applies.as_ref().map_or_else(unfit, |()| sources.verdict(test)),
            elapsed: Duration::ZERO,
        }));
    }
    rows
}

fn unfit(error: &anyhow::Error) -> Verdict {
    Verdict::Broken(error.to_string().lines().next().unwrap_or_default().to_owned())
}

/// The text of every source file of the replica.
struct Sources(Vec<String>);

impl Sources {
    fn read(tree: &Path) -> Self {
        let mut sources = Self(Vec::new());
        sources.add(tree);
        sources
    }

    fn add(&mut self, directory: &Path) {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                self.add(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                self.0.extend(std::fs::read_to_string(&path));
            }
        }
    }

    /// Searches for the name of the function: only the compiler knows the file of a module.
    fn verdict(&self, test: &TestId) -> Verdict {
        let declaration = format!("fn {}(", test.function());
        match self.0.iter().any(|source| source.contains(&declaration)) {
            true => Verdict::Sound,
            false => Verdict::Broken(format!("no source file has `{declaration}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_found_by_its_function() {
        let sources = Sources(vec!["#[test]\nasync fn tokens_are_isolated() {}".into()]);
        let id = |text: &str| text.parse::<TestId>().expect("it is an id");
        assert_eq!(
            sources.verdict(&id("p::suite$relay::tokens_are_isolated")),
            Verdict::Sound
        );
        let gone = sources.verdict(&id("p::suite$relay::tokens_are"));
        assert_eq!(
            gone,
            Verdict::Broken("no source file has `fn tokens_are(`".into())
        );
    }
}
