//! The file format of a mutation: a few header lines, then a unified diff as `git diff` writes it.
//!
//! ```text
//! Mutation: the relay answers with another token's record
//! Test: tandem-tests::suite$relay::tokens_are_isolated
//!
//! --- a/relay/src/store.rs
//! +++ b/relay/src/store.rs
//! @@ ...
//! ```
//! `Test:` may occur several times. The header is everything before the first `--- ` or `diff --git
//! `; other lines in it are free text. `git apply` skips the header, so the file can be applied by
//! hand unchanged.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, Result, anyhow, ensure};

/// One way to break the code, and the tests that must fail.
#[derive(Debug, Clone)]
pub(super) struct Patch {
    /// The name of the file without `.patch`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// What it breaks, in one sentence.
    pub(super) sentence: String,
    /// The tests that must fail; at least one.
    pub(super) tests: Vec<TestId>,
}

/// `package::target$module::test`, as the runner prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TestId {
    pub(super) package: String,
    pub(super) target: String,
    /// With the modules, as libtest names it.
    pub(super) name: String,
}

impl TestId {
    /// The name of the function alone.
    pub(super) fn function(&self) -> &str {
        self.name.rsplit("::").next().unwrap_or(&self.name)
    }
}

impl FromStr for TestId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text
            .split_once('$')
            .and_then(|(binary, name)| Some((binary.split_once("::")?, name)));
        let ((package, target), name) = parts
            .filter(|((package, target), name)| ![*package, *target, *name].contains(&""))
            .with_context(|| format!("`{text}` is not the id of a test, `package::target$module::test`"))?;
        Ok(Self {
            package: package.to_owned(),
            target: target.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for TestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}${}", self.package, self.target, self.name)
    }
}

/// All patches in `directory`, by name.
///
/// # Errors
/// When there is no such directory, or a patch cannot be read or parsed.
pub(super) fn load(directory: &Path) -> Result<Vec<Patch>> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("could not read `{}`", directory.display()))?;
    let paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()?;
    let patches = paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"));
    let mut patches = patches.map(|path| read(&path)).collect::<Result<Vec<_>>>()?;
    patches.sort_by(|one, other| one.name.cmp(&other.name));
    ensure!(
        !patches.is_empty(),
        "there is no mutation (`*.patch`) in `{}`",
        directory.display()
    );
    Ok(patches)
}

fn read(path: &Path) -> Result<Patch> {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let text =
        std::fs::read_to_string(path).with_context(|| format!("could not read `{}`", path.display()))?;
    parse(&text)
        .map(|(sentence, tests)| Patch {
            name,
            path: path.to_owned(),
            sentence,
            tests,
        })
        .with_context(|| {
            let hint =
                "hint: a mutation begins with `Mutation: SENTENCE` and `Test: ID`, then comes a unified diff";
            format!("invalid mutation `{}`\n{hint}", path.display())
        })
}

fn parse(text: &str) -> Result<(String, Vec<TestId>)> {
    let is_diff = |line: &&str| line.starts_with("--- ") || line.starts_with("diff --git ");
    let header = text.lines().take_while(|line| !is_diff(line));
    ensure!(text.lines().any(|line| is_diff(&line)), "it has no diff");
    let (mut sentence, mut tests) = (None, Vec::new());
    for line in header {
        if let Some(words) = line.strip_prefix("Mutation:") {
            sentence = Some(words.trim().to_owned());
        } else if let Some(id) = line.strip_prefix("Test:") {
            tests.push(id.trim().parse()?);
        }
    }
    let sentence = sentence.filter(|sentence| !sentence.is_empty());
    ensure!(!tests.is_empty(), "it names no test");
    Ok((
        sentence.ok_or_else(|| anyhow!("it does not say what it breaks"))?,
        tests,
    ))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const DIFF: &str = "--- a/x.rs\n+++ b/x.rs\n@@ -1 +1 @@\n-Test: not me\n+b\n";

    /// A patch with that name that breaks something and makes one test fail.
    pub(in super::super) fn patch(name: &str) -> Patch {
        let tests = vec!["fixture::suite$module::notices".parse().expect("it is an id")];
        Patch {
            name: name.into(),
            path: format!("{name}.patch").into(),
            sentence: "something breaks".into(),
            tests,
        }
    }

    #[test]
    fn the_header_ends_where_the_diff_begins() {
        let text = format!("Mutation: a thing breaks\nTest: p::b$m::t\nfree text\nTest: p::b$u\n\n{DIFF}");
        let (sentence, tests) = parse(&text).expect("it is well-formed");
        assert_eq!(sentence, "a thing breaks");
        let ids: Vec<String> = tests.iter().map(TestId::to_string).collect();
        assert_eq!(ids, ["p::b$m::t", "p::b$u"]);
    }

    #[test]
    fn the_missing_part_is_named() {
        let complaint = |text: &str| parse(text).expect_err("it is incomplete").to_string();
        assert_eq!(complaint("Mutation: m\nTest: p::b$t\n"), "it has no diff");
        assert_eq!(complaint(&format!("Mutation: m\n{DIFF}")), "it names no test");
        assert_eq!(
            complaint(&format!("Test: p::b$t\n{DIFF}")),
            "it does not say what it breaks"
        );
    }

    #[test]
    fn an_id_needs_all_three_parts() {
        for text in ["", "p::b", "p$t", "::b$t", "p::$t", "p::b$"] {
            assert!(text.parse::<TestId>().is_err(), "`{text}`");
        }
        let id: TestId = "tandem-core::tandem_core$wire::tests::is_read"
            .parse()
            .expect("it is an id");
        assert_eq!(
            (id.package.as_str(), id.target.as_str(), id.function()),
            ("tandem-core", "tandem_core", "is_read")
        );
        let bin: TestId = "xtask::bin/xtask$junit::t".parse().expect("it is an id");
        assert_eq!(bin.target, "bin/xtask");
    }

    #[test]
    fn a_directory_without_patches_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().expect("TMPDIR is writable");
        let error = load(directory.path()).expect_err("it is empty");
        assert!(
            error
                .to_string()
                .contains(&directory.path().display().to_string()),
            "{error}"
        );
    }
}
