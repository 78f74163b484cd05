//! The rules of this repository that rustfmt and clippy do not check. Reads sources; changes
//! nothing.
//!
//! Each rule is a pure function of a file's path and text.

mod bounds;
mod code;
mod early_returns;
mod errno;
mod exceptions;
mod floors;
mod parameters;
mod references;
mod reserved;
mod strangers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;

use crate::chores::limits::{COMMENT_COLUMNS_MAX, FILE_LINES_MAX};
use cargo_universe::base::exit::Exit;
use cargo_universe::machine::capability;
use cargo_universe::runner::console;
use cargo_universe::select::plan;
use cargo_universe::workspace::metadata::Workspace;

/// Something that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    file: PathBuf,
    line: usize,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.message)
    }
}

/// Check the rules of this repository that rustfmt and clippy do not check
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints each violation as `FILE:LINE: RULE`. Exit code 0 if there are none, 100 otherwise.
///
/// # Errors
/// When there is no workspace, or a source cannot be read.
pub(crate) fn run(_: &Args) -> anyhow::Result<ExitCode> {
    let findings = check(&Workspace::load(None)?)?;
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    if lines.is_empty() {
        return Ok(Exit::Success.into());
    }
    console::print(&lines.join("\n"))?;
    Ok(Exit::TestsFailed.into())
}

/// Checks every Rust source of a workspace; empty if there are no violations.
///
/// # Errors
/// When a source cannot be read.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    let known: Vec<&str> = capability::names(&workspace.config).collect();
    let mut findings = check_sources(&workspace.root, &known)?;
    findings.extend(
        exceptions::vanished(&workspace.root).map(|(file, message)| Finding {
            file: file.to_owned(),
            line: 1,
            message,
        }),
    );
    Ok(findings)
}

/// Checks every Rust source below `root`. `known` are the capabilities that a test may need.
fn check_sources(root: &Path, known: &[&str]) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let files = sources(root)?;
    for file in &files {
        let text = std::fs::read_to_string(root.join(file))
            .with_context(|| format!("could not read `{}`", file.display()))?;
        findings.extend(breaches(file, &text, known));
        findings.extend(undeclared(root, file));
        let placed = floors::breaches(file, &text).into_iter();
        let placed = placed
            .chain(strangers::breaches(file, &text))
            .chain(bounds::breaches(file, &text))
            .chain(reserved::breaches(file, &text))
            .chain(errno::breaches(file, &text))
            .chain(parameters::breaches(&text))
            .chain(exceptions::EARLY_RETURNS.apply(file, early_returns::breaches(&text)));
        findings.extend(placed.map(|(line, message)| Finding {
            file: file.clone(),
            line,
            message,
        }));
    }
    let pages = PathBuf::from("ARCHITECTURE.md");
    let text = std::fs::read_to_string(root.join(&pages)).unwrap_or_default();
    let named = references::breaches(&text, &files, root).into_iter();
    findings.extend(named.map(|(line, message)| Finding {
        file: pages.clone(),
        line,
        message,
    }));
    for manifest in ["xtask/Cargo.toml", "xtask/universe/Cargo.toml"].map(PathBuf::from) {
        let text = std::fs::read_to_string(root.join(&manifest)).unwrap_or_default();
        let found = strangers::breaches(&manifest, &text).into_iter();
        findings.extend(found.map(|(line, message)| Finding {
            file: manifest.clone(),
            line,
            message,
        }));
    }
    Ok(findings)
}

/// All `.rs` files below `root`, relative to it, sorted; without those in `target` and hidden
/// directories.
fn sources(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let path = root.join(&directory);
        let entries = path
            .read_dir()
            .with_context(|| format!("could not read `{}`", path.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("could not read `{}`", path.display()))?;
            let name = entry.file_name();
            let is_ours = name != "target" && !name.as_encoded_bytes().starts_with(b".");
            match entry.file_type()?.is_dir() {
                true if is_ours => directories.push(directory.join(name)),
                false if Path::new(&name).extension().is_some_and(|e| e == "rs") => {
                    found.push(directory.join(name))
                }
                true | false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The violations in one file.
fn breaches(file: &Path, text: &str, known: &[&str]) -> Vec<Finding> {
    let finding = |line: usize, message: &str| Finding {
        file: file.to_owned(),
        line,
        message: message.to_owned(),
    };
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(finding(
            1,
            "a file must start with `//!`: what it owns, and what it deliberately does not",
        ));
    }
    let count = text.lines().count();
    if count > FILE_LINES_MAX {
        findings.push(finding(
            count,
            &format!("{count} lines; split a file before it has {FILE_LINES_MAX}"),
        ));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.trim_start();
        if code.starts_with("#[") || code.starts_with("#![") {
            findings.extend(
                code.contains("allow(")
                    .then(|| finding(number, "use `expect` with a reason for a lint, never `allow`")),
            );
        }
        let columns = line.chars().count();
        if code.starts_with("//") && columns > COMMENT_COLUMNS_MAX {
            findings.push(finding(
                number,
                &format!("a comment of {columns} columns; break it at {COMMENT_COLUMNS_MAX}"),
            ));
        }
        if let Some(message) = ignored_for_ever(file, code, known) {
            findings.push(finding(number, &message));
        }
        if is_test_code_that_may_not_sleep(file) && !code.starts_with("//") && code.contains("sleep(") {
            findings.push(finding(
                number,
                "a test must wait for an event; only `wait.rs` may sleep",
            ));
        }
    }
    findings
}

/// A test of the suite that would run on no machine: `#[ignore]` may only name known needs.
fn ignored_for_ever(file: &Path, code: &str, known: &[&str]) -> Option<String> {
    if !file.starts_with(Path::new("tests").join("suite")) || !code.starts_with("#[ignore") {
        return None;
    }
    let reason = code.split('"').nth(1).unwrap_or_default();
    let needs = plan::needs(reason);
    let unknown = needs.iter().find(|need| !known.contains(need));
    match unknown {
        Some(unknown) => Some(format!("it needs `{unknown}`, which is not a capability")),
        None if needs.is_empty() => {
            Some("`#[ignore = \"needs CAPABILITY\"]` is the only reason to ignore a test".to_owned())
        }
        None => None,
    }
}

fn is_test_code_that_may_not_sleep(file: &Path) -> bool {
    file.starts_with("tests") && file.file_name().is_none_or(|name| name != "wait.rs")
}

/// A file of the suite that no `mod` declares: its tests would silently not exist.
fn undeclared(root: &Path, file: &Path) -> Option<Finding> {
    let suite = Path::new("tests").join("suite");
    let inner = file.strip_prefix(&suite).ok()?;
    let name = inner.file_stem()?.to_str()?;
    if inner == Path::new("main.rs") || name == "mod" {
        return None;
    }
    let declaration = format!("mod {name};");
    let parents = parents(&suite, inner);
    let texts = parents
        .iter()
        .filter_map(|parent| std::fs::read_to_string(root.join(parent)).ok());
    let is_declared = texts.flat_map(|text| {
        text.lines()
            .map(|line| line.trim() == declaration)
            .collect::<Vec<_>>()
    });
    let message = format!("no `{declaration}` declares it, so its tests do not exist");
    (!is_declared.into_iter().any(|found| found)).then(|| Finding {
        file: file.to_owned(),
        line: 1,
        message,
    })
}

/// The files that could declare the module `inner`: `main.rs` at the top, otherwise `a.rs` or
/// `a/mod.rs` for `a/b.rs`.
fn parents(suite: &Path, inner: &Path) -> Vec<PathBuf> {
    match inner.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        None => vec![suite.join("main.rs")],
        Some(parent) => vec![
            suite.join(parent).with_extension("rs"),
            suite.join(parent).join("mod.rs"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(file: &str, text: &str) -> Vec<String> {
        breaches(Path::new(file), text, &["fuse", "git"])
            .iter()
            .map(Finding::to_string)
            .collect()
    }

    #[test]
    fn a_tidy_file_violates_no_rule() {
        assert_eq!(
            messages(
                "core/src/a.rs",
                "//! Head.\n#[expect(dead_code, reason = \"x\")]\nfn f() {}\n"
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_missing_head_is_found() {
        let found = messages("core/src/a.rs", "fn f() {}\n");
        assert!(
            found.len() == 1 && found[0].starts_with("core/src/a.rs:1: a file must start with"),
            "{found:?}"
        );
    }

    #[test]
    fn a_file_may_have_as_many_lines_as_the_limit_and_not_one_more() {
        let text = |lines: usize| format!("//! Head.\n{}", "\n".repeat(lines - 1));
        assert!(messages("a.rs", &text(FILE_LINES_MAX)).is_empty());
        assert_eq!(messages("a.rs", &text(FILE_LINES_MAX + 1)).len(), 1);
    }

    #[test]
    fn a_comment_may_be_as_wide_as_the_limit_and_not_one_column_wider() {
        let text = |columns: usize| format!("//! Head.\n    // {}\n", "ä".repeat(columns - 7));
        assert!(messages("a.rs", &text(COMMENT_COLUMNS_MAX)).is_empty());
        let found = messages("a.rs", &text(COMMENT_COLUMNS_MAX + 1));
        assert!(found.len() == 1 && found[0].starts_with("a.rs:2: "), "{found:?}");
        let code = format!("//! Head.\nf(\"{}\");\n", "a".repeat(COMMENT_COLUMNS_MAX));
        assert!(messages("a.rs", &code).is_empty());
    }

    #[test]
    fn an_allowed_lint_is_found_with_its_line() {
        let found = messages("a.rs", "//! Head.\n\n    #[cfg_attr(test, allow(dead_code))]\n");
        assert!(found.len() == 1 && found[0].starts_with("a.rs:3: "), "{found:?}");
    }

    #[test]
    fn only_the_waiting_file_of_the_tests_may_sleep() {
        let text = "//! Head.\nthread::sleep(x);\n// never sleep(x) here\n";
        assert_eq!(messages("tests/suite/a.rs", text).len(), 1);
        assert!(
            messages("tests/src/wait.rs", text).is_empty() && messages("core/src/clock.rs", text).is_empty()
        );
    }

    #[test]
    fn a_test_that_no_machine_would_run_is_found() {
        let found = |attribute: &str| {
            let text = format!("//! Head.\n    {attribute}\n");
            messages("tests/suite/a.rs", &text)
        };
        assert!(found("#[ignore = \"needs fuse, git\"]").is_empty());
        for broken in [
            "#[ignore]",
            "#[ignore = \"needs fues\"]",
            "#[ignore = \"need fuse\"]",
            "#[ignore = \"needs fuse git\"]",
        ] {
            assert_eq!(found(broken).len(), 1, "{broken}");
        }
        assert!(messages("core/src/a.rs", "//! Head.\n#[ignore]\n").is_empty());
    }

    #[test]
    fn a_forgotten_file_of_the_suite_is_found() {
        let root = tempfile::tempdir().unwrap();
        let suite = root.path().join("tests/suite");
        std::fs::create_dir_all(suite.join("relay")).unwrap();
        let files = [
            ("main.rs", "mod relay;\n"),
            ("relay.rs", "mod known;\n"),
            ("forgotten.rs", ""),
            ("relay/known.rs", ""),
        ];
        for (name, text) in files {
            std::fs::write(suite.join(name), format!("//! Head.\n{text}")).unwrap();
        }
        let found = check_sources(root.path(), &[]).unwrap();
        let files: Vec<_> = found.iter().map(|finding| finding.file.as_path()).collect();
        assert_eq!(files, [Path::new("tests/suite/forgotten.rs")]);
    }
}
