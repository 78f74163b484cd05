//! The suite that all runners run: a workspace of one package, with many tests that do nothing and
//! some that wait.

use std::fmt::Write as _;
use std::path::Path;

/// Tests that do nothing.
const TRIVIAL_COUNT: usize = 301;

/// Tests that wait.
const WAITING_COUNT: usize = 20;

/// How long each of them waits.
const WAIT_MILLIS: u64 = 50;

/// The library and three integration tests.
const BINARY_COUNT: usize = 4;

/// All binaries.
pub(super) const TEST_COUNT: usize = TRIVIAL_COUNT + WAITING_COUNT;

const MANIFEST: &str =
    "[package]\nname = \"bench-suite\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n";

/// A description for people.
pub(super) fn words() -> String {
    format!(
        "{TRIVIAL_COUNT} tests that do nothing and {WAITING_COUNT} that wait {WAIT_MILLIS} ms, in {BINARY_COUNT} binaries"
    )
}

/// Writes it; unchanged files stay.
pub(super) fn write(directory: &Path) -> std::io::Result<()> {
    for name in ["src", "tests"] {
        std::fs::create_dir_all(directory.join(name))?;
    }
    put(&directory.join("Cargo.toml"), MANIFEST)?;
    put(&directory.join("src/lib.rs"), &source(0))?;
    (1..BINARY_COUNT)
        .try_for_each(|number| put(&directory.join(format!("tests/t{number}.rs")), &source(number)))
}

/// An unchanged file is not built again.
fn put(file: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read_to_string(file).is_ok_and(|there| there == text) {
        return Ok(());
    }
    std::fs::write(file, text)
}

/// The tests of one binary: every [`BINARY_COUNT`]th of all.
fn source(binary: usize) -> String {
    let mut text = String::new();
    let of_binary = |count| (0..count).filter(move |number| number % BINARY_COUNT == binary);
    for number in of_binary(TRIVIAL_COUNT) {
        // Writing to a String cannot fail.
        writeln!(text, "#[test]\nfn trivial_{number}() {{}}").ok();
    }
    for number in of_binary(WAITING_COUNT) {
        let wait = format!("std::thread::sleep(std::time::Duration::from_millis({WAIT_MILLIS}))");
        writeln!(text, "#[test]\nfn waiting_{number}() {{\n    {wait};\n}}").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_is_in_one_binary() {
        let all: String = (0..BINARY_COUNT).map(source).collect();
        assert_eq!(all.matches("#[test]").count(), TEST_COUNT);
        assert_eq!(all.matches("sleep").count(), WAITING_COUNT);
        assert!((0..BINARY_COUNT).all(|binary| source(binary).contains("fn waiting_")));
    }
}
