//! What the tests of a workspace say they need: found by scanning for `#[ignore = "needs …"]` on
//! one line, without parsing Rust.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::base::limits::SOURCE_LEN_MAX;
use crate::select::plan;
use crate::workspace::config::{BUILT_IN, is_name_of_capability};
use crate::workspace::metadata::Workspace;

/// A line of a source file, which is relative to the root of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    file: PathBuf,
    line: usize,
}

/// All needs of a workspace.
#[derive(Debug, Default)]
pub(super) struct Needs {
    package_count: usize,
    /// By name.
    found: BTreeMap<String, Vec<Place>>,
    /// Of those the ones that the workspace describes.
    described: Vec<String>,
}

/// What has to become of a need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    BuiltIn,
    Described,
    WithoutATable,
    /// It is no name.
    Invalid,
}

impl State {
    fn words(self) -> &'static str {
        match self {
            State::BuiltIn => "built in",
            State::Described => "described",
            State::WithoutATable => "needs a table",
            State::Invalid => "not a name: `test` reports it as an error",
        }
    }
}

impl Needs {
    /// Reads all sources of all packages.
    pub(super) fn find(workspace: &Workspace) -> Needs {
        let mut needs = Needs {
            package_count: workspace.packages.len(),
            described: workspace.config.capabilities.keys().cloned().collect(),
            ..Needs::default()
        };
        for package in workspace.packages.values() {
            needs.read_below(package.directory(), &workspace.root);
        }
        needs
            .found
            .values_mut()
            .for_each(|places| places.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line))));
        needs
    }

    /// Not what belongs to another package, to cargo, or to nobody (hidden directories).
    fn read_below(&mut self, directory: &Path, root: &Path) {
        let Ok(entries) = std::fs::read_dir(directory) else {
            return;
        };
        for entry in entries.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            // Links are not followed: they may lead in circles.
            let Ok(kind) = entry.file_type() else { continue };
            let is_hidden = name.as_encoded_bytes().starts_with(b".");
            if kind.is_dir() && !is_hidden && name != "target" && !path.join("Cargo.toml").exists() {
                self.read_below(&path, root);
            } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
                self.read(&path, root);
            }
        }
    }

    fn read(&mut self, path: &Path, root: &Path) {
        if path
            .metadata()
            .is_ok_and(|metadata| metadata.len() > SOURCE_LEN_MAX)
        {
            return;
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let file = path.strip_prefix(root).unwrap_or(path);
        for (line, text) in (1..).zip(text.lines()) {
            for name in reason(text).map(plan::needs).unwrap_or_default() {
                let file = file.to_owned();
                self.found
                    .entry(name.to_owned())
                    .or_default()
                    .push(Place { file, line });
            }
        }
    }

    fn state(&self, name: &str) -> State {
        match name {
            name if BUILT_IN.contains(&name) => State::BuiltIn,
            name if self.described.iter().any(|described| described == name) => State::Described,
            name if is_name_of_capability(name) => State::WithoutATable,
            _ => State::Invalid,
        }
    }

    /// The needs that a table has to describe, each with where it is.
    pub(super) fn without_a_table(&self) -> Vec<(&str, String)> {
        let found = self.found.iter();
        let missing = found.filter(|(name, _)| self.state(name) == State::WithoutATable);
        missing
            .map(|(name, places)| (name.as_str(), told(places)))
            .collect()
    }

    /// What was found, for a person.
    pub(super) fn page(&self) -> String {
        let packages = match self.package_count {
            1 => "1 package".to_owned(),
            count => format!("{count} packages"),
        };
        if self.found.is_empty() {
            return format!("{packages}; no test says `#[ignore = \"needs …\"]`\n");
        }
        let mut page = format!("{packages}; tests say that they need\n");
        let name = |name: &str| match self.state(name) {
            State::Invalid => format!("`{name}`"),
            State::BuiltIn | State::Described | State::WithoutATable => name.to_owned(),
        };
        let width = self.found.keys().map(|found| name(found).chars().count()).max();
        let width = width.unwrap_or(0);
        let state_width = self
            .found
            .keys()
            .map(|found| self.state(found).words().len())
            .max();
        let state_width = state_width.unwrap_or(0);
        for (found, places) in &self.found {
            let (shown, state) = (name(found), self.state(found).words());
            // Writing to a string cannot fail.
            let _written = writeln!(page, "  {shown:<width$}  {state:<state_width$}  {}", told(places));
        }
        page
    }
}

/// The first place, and how many more there are.
fn told(places: &[Place]) -> String {
    let Some(Place { file, line }) = places.first() else {
        return String::new();
    };
    let first = format!("{}:{line}", file.display());
    match places.len() {
        0 | 1 => first,
        count => format!("{first} and {} more", count - 1),
    }
}

/// The reason in an attribute such as `#[ignore = "reason"]` or `#[cfg_attr(miri, ignore = "…")]`.
fn reason(line: &str) -> Option<&str> {
    let attribute = line.trim_start().strip_prefix("#[")?;
    let (_, after) = attribute.split_once("ignore")?;
    let text = after.trim_start().strip_prefix('=')?.trim_start();
    text.strip_prefix('"')?.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_found_in_an_attribute_and_nowhere_else() {
        assert_eq!(reason("    #[ignore = \"needs fuse\"]"), Some("needs fuse"));
        assert_eq!(reason("#[test] #[ignore=\"slow\"] fn a() {}"), Some("slow"));
        assert_eq!(reason("#[cfg_attr(miri, ignore = \"needs x\")]"), Some("needs x"));
        for other in [
            "#[ignore]",
            "// #[ignore = \"needs x\"]",
            "let ignore = \"needs x\";",
            "#[ignore = \\\"needs x\\\"]",
        ] {
            assert_eq!(reason(other), None, "{other}");
        }
    }

    #[test]
    fn a_source_may_have_as_many_bytes_as_the_limit_and_not_one_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.rs");
        std::fs::write(&path, "#[ignore = \"needs docker\"]\n").unwrap();
        let found = |len: u64| {
            std::fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(len)
                .unwrap();
            let mut needs = Needs::default();
            needs.read(&path, directory.path());
            needs.found.len()
        };
        assert_eq!((found(SOURCE_LEN_MAX), found(SOURCE_LEN_MAX + 1)), (1, 0));
    }

    #[test]
    fn the_page_says_what_is_built_in_and_what_needs_a_table() {
        let mut needs = Needs {
            package_count: 2,
            described: vec!["git".to_owned()],
            ..Needs::default()
        };
        for (name, line) in [
            ("root", 1),
            ("git", 2),
            ("docker", 3),
            ("docker", 9),
            ("a database", 4),
        ] {
            let file = PathBuf::from("tests/a.rs");
            needs
                .found
                .entry(name.to_owned())
                .or_default()
                .push(Place { file, line });
        }
        assert_eq!(
            needs.page(),
            "2 packages; tests say that they need\n\
             \x20 `a database`  not a name: `test` reports it as an error  tests/a.rs:4\n\
             \x20 docker        needs a table                              tests/a.rs:3 and 1 more\n\
             \x20 git           described                                  tests/a.rs:2\n\
             \x20 root          built in                                   tests/a.rs:1\n"
        );
        assert_eq!(
            needs.without_a_table(),
            [("docker", "tests/a.rs:3 and 1 more".to_owned())]
        );
    }
}
