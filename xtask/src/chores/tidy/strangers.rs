//! The runner works for any workspace: it names nothing of this one, and neither it nor xtask
//! depends on the packages under test.

use std::path::Path;

/// The prefix of this workspace's package names, which only these packages may contain.
const OURS: &str = "tandem";
const FUSER: &str = "fuser";

/// The lines that name something of this workspace where that is forbidden, with the reason. `file`
/// is relative to the root of the workspace.
pub(super) fn breaches(file: &Path, text: &str) -> Vec<(usize, String)> {
    let is_of_the_runner = file.starts_with("xtask/universe/src");
    let is_manifest = ["xtask/Cargo.toml", "xtask/universe/Cargo.toml"]
        .map(Path::new)
        .contains(&file);
    let names = |line: &str| {
        match (is_of_the_runner, is_manifest) {
        (true, _) if line.contains(OURS) => Some(format!("the runner must name nothing of `{OURS}`")),
        (_, true) if line.starts_with(OURS) || line.starts_with(FUSER) => Some(
            "xtask and the runner are built before the capabilities are known: neither may depend on the packages under test".to_owned(),
        ),
        _ => None,
    }
    };
    let lines = (1..).zip(text.lines());
    lines
        .filter_map(|(number, line)| Some((number, names(line)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, text: &str) -> Vec<usize> {
        let found = breaches(Path::new(file), text);
        found.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn the_runner_names_nothing_of_the_workspace() {
        let text = "//! Head.\nconst NAME: &str = \"tandem\";\n";
        assert_eq!(lines("xtask/universe/src/runner/test.rs", text), [2]);
        assert!(lines("xtask/src/chores/demo.rs", text).is_empty());
    }

    #[test]
    fn neither_the_runner_nor_xtask_depends_on_what_they_test() {
        let text = "[dependencies]\nanyhow.workspace = true\ntandem-core.workspace = true\nfuser = \"1\"\n";
        for file in ["xtask/Cargo.toml", "xtask/universe/Cargo.toml"] {
            assert_eq!(lines(file, text), [3, 4]);
        }
        assert!(lines("core/Cargo.toml", text).is_empty());
    }
}
