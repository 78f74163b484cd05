//! `cargo xtask mutations` on a tiny workspace: mutations that a test notices, that no test
//! notices, and that prove nothing.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const MANIFEST: &str = "[workspace]\n[package]\nname = \"sample\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[profile.dev]\ndebug = false\n";

const SOURCE: &str = "\
//! Doubles.
/// Twice `n`.
pub fn double(n: u32) -> u32 {
    n * 2
}

#[cfg(test)]
mod tests {
    #[test]
    fn doubles() {
        assert_eq!(super::double(21), 42);
    }

    #[test]
    fn says_nothing() {}

    #[test]
    #[ignore = \"needs ELSEWHERE\"]
    fn cannot_run() {}
}
";

/// A patch that replaces the only interesting line, which `test` must notice. It has the format of
/// `git diff`, which git applies more strictly than that of `diff -u`.
fn patch(replacement: &str, test: &str) -> String {
    let header = format!("Mutation: `n * 2` becomes `{replacement}`\nTest: sample::sample$tests::{test}\n");
    let context = " /// Twice `n`.\n pub fn double(n: u32) -> u32 {\n";
    format!(
        "{header}\ndiff --git a/src/lib.rs b/src/lib.rs\n--- a/src/lib.rs\n+++ b/src/lib.rs\n@@ -2,4 +2,4 @@\n{context}-    n * 2\n+    {replacement}\n }}\n \n"
    )
}

/// The source, with a capability that this platform never has.
fn source() -> String {
    SOURCE.replace("ELSEWHERE", if cfg!(windows) { "userns" } else { "winfsp" })
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    std::fs::write(path, text)
}

/// A work tree with that source and these patches, without a commit.
fn sample(patches: &[(&str, String)]) -> std::io::Result<TempDir> {
    // With a space, because real paths may have one.
    let root = tempfile::Builder::new().prefix("a b").tempdir()?;
    write(&root.path().join("Cargo.toml"), MANIFEST)?;
    write(&root.path().join(".gitignore"), "target/\n")?;
    write(&root.path().join("src/lib.rs"), &source())?;
    for (name, text) in patches {
        write(
            &root.path().join("tests/mutations").join(format!("{name}.patch")),
            text,
        )?;
    }
    let initialised = Command::new("git")
        .args(["init", "--quiet"])
        .current_dir(root.path())
        .status()?;
    assert!(initialised.success());
    Ok(root)
}

/// The exit code and both outputs.
fn mutations(root: &TempDir, arguments: &[&str]) -> std::io::Result<(Option<i32>, String)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .arg("mutations")
        .args(arguments)
        .current_dir(root.path())
        .env_remove("CARGO_TARGET_DIR");
    let output = command.output()?;
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((output.status.code(), text.concat()))
}

#[test]
fn a_noticed_mutation_is_red_and_leaves_the_workspace_alone() {
    let root = sample(&[("noticed", patch("n + 2", "doubles"))]).expect("a sample can be made");
    let (code, text) = mutations(&root, &[]).expect("xtask starts");
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("noticed  sample::sample$tests::doubles  red"),
        "{text}"
    );
    assert!(text.contains("\n1 red\n"), "{text}");
    assert_eq!(
        std::fs::read_to_string(root.path().join("src/lib.rs")).expect("it is there"),
        source()
    );
}

#[test]
fn each_test_of_a_mutation_has_its_own_verdict() {
    let noticed = patch("n + 2", "doubles");
    let (header, diff) = noticed.split_once("\n\n").expect("a header and a diff");
    let both = format!("{header}\nTest: sample::sample$tests::says_nothing\n\n{diff}");
    let root = sample(&[("both", both)]).expect("a sample can be made");
    let (code, text) = mutations(&root, &[]).expect("xtask starts");
    assert_eq!(code, Some(100), "{text}");
    assert!(
        text.contains("both  sample::sample$tests::doubles       red"),
        "{text}"
    );
    assert!(
        text.contains("both  sample::sample$tests::says_nothing  GREEN"),
        "{text}"
    );
}

#[test]
fn only_the_binaries_of_the_tests_are_built() {
    let root = sample(&[("noticed", patch("n + 2", "doubles"))]).expect("a sample can be made");
    let unrelated = "compile_error!(\"this target is built\");\n";
    write(&root.path().join("tests/unrelated.rs"), unrelated).expect("it is writable");
    let (code, text) = mutations(&root, &[]).expect("xtask starts");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("\n1 red\n"), "{text}");
}

#[test]
fn unnoticed_broken_and_skipped_mutations_are_distinguished() {
    let patches = [
        ("broken", patch("\"two\"", "doubles")),
        ("skipped", patch("n + 2", "cannot_run")),
        ("unnoticed", patch("n + 2", "says_nothing")),
    ];
    let root = sample(&patches).expect("a sample can be made");
    let (code, text) = mutations(&root, &["unnoticed", "skipped"]).expect("xtask starts");
    assert_eq!(code, Some(100), "{text}");
    assert!(text.contains("says_nothing  GREEN"), "{text}");
    assert!(text.contains("cannot_run    skipped"), "{text}");
    let (code, text) = mutations(&root, &["broken"]).expect("xtask starts");
    assert_eq!(code, Some(96), "{text}");
    assert!(
        text.contains("BROKEN") && text.contains("it does not build: error[E0308]"),
        "{text}"
    );
}

#[test]
fn a_test_that_fails_without_the_mutation_stops_everything() {
    let root = sample(&[("noticed", patch("n + 2", "doubles"))]).expect("a sample can be made");
    write(&root.path().join("src/lib.rs"), &source().replace("42", "43")).expect("it is writable");
    let (code, text) = mutations(&root, &[]).expect("xtask starts");
    assert_eq!(code, Some(96), "{text}");
    assert!(text.contains("the unmutated tests did not all pass"), "{text}");
}

#[test]
fn a_test_that_does_not_exist_stops_everything() {
    let patches = [
        ("gone", patch("n + 2", "was_renamed")),
        ("noticed", patch("n + 2", "doubles")),
    ];
    let root = sample(&patches).expect("a sample can be made");
    let (code, text) = mutations(&root, &[]).expect("xtask starts");
    assert_eq!(code, Some(96), "{text}");
    assert!(text.contains("the mutations name 2 tests, but 1 ran"), "{text}");
}

#[test]
fn check_finds_patches_that_no_longer_fit_without_building() {
    let stale = patch("n + 2", "doubles").replace("-    n * 2", "-    n * 3");
    let patches = [
        ("fits", patch("n + 2", "doubles")),
        ("gone", patch("n + 2", "was_renamed")),
        ("stale", stale),
    ];
    let root = sample(&patches).expect("a sample can be made");
    let (code, text) = mutations(&root, &["--check"]).expect("xtask starts");
    assert_eq!(code, Some(96), "{text}");
    assert!(text.contains("\n1 sound, 2 BROKEN\n"), "{text}");
    assert!(text.contains("no source file has `fn was_renamed(`"), "{text}");
    assert!(text.contains("could not apply the mutation `stale`"), "{text}");
    assert!(!root.path().join("target/xtask/mutations/target").exists());
}

#[test]
fn the_list_and_the_error_for_an_unknown_name_need_only_the_patches() {
    let root = sample(&[("noticed", patch("n + 2", "doubles"))]).expect("a sample can be made");
    let (code, text) = mutations(&root, &["--list"]).expect("xtask starts");
    assert_eq!(
        (code, text.lines().next()),
        (Some(0), Some("noticed: `n * 2` becomes `n + 2`"))
    );
    let (code, text) = mutations(&root, &["nonsense"]).expect("xtask starts");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("there is no mutation `nonsense`"), "{text}");
}
