//! `ARCHITECTURE.md` names a test for each rule. Each named test must exist.

use std::path::{Path, PathBuf};

/// The prefix of a name, and the directory of its tests.
const PLACES: [(&str, &[&str]); 9] = [
    ("core", &["core/src", "core/tests"]),
    ("relay", &["relay/src", "relay/tests/conformance"]),
    ("tandem", &["core/tandem/src", "core/tandem/tests"]),
    ("command", &["core/tandem/tests/command"]),
    ("suite", &["tests/suite"]),
    ("tests", &["tests/src"]),
    ("runner", &["xtask/tests/runner"]),
    ("universe", &["xtask/universe/src"]),
    ("xtask", &["xtask/src", "xtask/tests"]),
];

/// File names that are not part of a module path.
const SILENT: [&str; 5] = ["tests", "mod", "main", "lib", "runner"];

/// Line and message of each name in `text` for which no file of `sources`, relative to `root`, has
/// a function.
pub(super) fn breaches(text: &str, sources: &[PathBuf], root: &Path) -> Vec<(usize, String)> {
    let lines = (1..).zip(text.lines());
    let names =
        lines.flat_map(|(line, text)| text.split('`').skip(1).step_by(2).map(move |name| (line, name)));
    names
        .filter_map(|(line, name)| {
            let (place, path) = name.split_once(' ')?;
            let (_, directories) = PLACES.iter().find(|(known, _)| *known == place)?;
            let (module, function) = path.rsplit_once("::")?;
            let declaration = format!("fn {function}(");
            let is_there = sources.iter().any(|file| {
                holds(file, directories, module)
                    && std::fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(&declaration))
            });
            (!is_there).then(|| {
                (
                    line,
                    format!("there is no test `{name}`; name the one that checks this rule"),
                )
            })
        })
        .collect()
}

/// Whether `file` is the file of that module, or of one of its parents.
fn holds(file: &Path, directories: &[&str], module: &str) -> bool {
    directories.iter().any(|directory| {
        let Ok(inner) = file.strip_prefix(directory) else {
            return false;
        };
        let inner = inner.with_extension("");
        let names = inner.iter().filter_map(|name| name.to_str());
        let path: Vec<&str> = names.filter(|name| !SILENT.contains(name)).collect();
        let wanted: Vec<&str> = module.split("::").filter(|name| !SILENT.contains(name)).collect();
        wanted.starts_with(&path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_test_is_found_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let file = PathBuf::from("core/src/store/tests/part_file.rs");
        std::fs::create_dir_all(root.path().join(file.parent().unwrap())).unwrap();
        std::fs::write(root.path().join(&file), "#[test]\nfn it_holds() {}\n").unwrap();
        let found = |name: &str| {
            breaches(
                &format!("Rule.\n→ `{name}`\n"),
                std::slice::from_ref(&file),
                root.path(),
            )
        };
        assert!(found("core store::part_file::it_holds").is_empty());
        for name in [
            "core store::part_file::it_hold",
            "core store::it_holds",
            "relay store::part_file::it_holds",
        ] {
            let found = found(name);
            assert!(
                found.len() == 1 && found[0].0 == 2 && found[0].1.contains(name),
                "{found:?}"
            );
        }
        assert!(found("cargo xtask compat").is_empty(), "that is a command");
    }
}
