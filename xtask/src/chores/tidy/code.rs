//! The program code of a source file: without comments and without code for tests only.
//!
//! Read as text, not resolved.

use std::path::Path;

/// A line of a file, counted from 1.
pub(super) type Line<'a> = (usize, &'a str);

/// The lines of a file that are program code. None in a file for tests only.
pub(super) fn program<'a>(file: &Path, text: &'a str) -> Vec<Line<'a>> {
    let mut tests = if is_test(file) { Tests::Whole } else { Tests::No };
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if tests == Tests::No && is_for_tests(line) {
            tests = Tests::Beginning;
        }
        if tests == Tests::No {
            lines.push((number, without_comment(line)));
        }
        tests = tests.after(line);
    }
    lines
}

/// All lines of a file, without their comments.
pub(super) fn all(text: &str) -> Vec<Line<'_>> {
    (1..).zip(text.lines().map(without_comment)).collect()
}

/// Whether a line belongs to tests only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tests {
    No,
    /// At the start of a top-level item: at its attributes, or a line that is the whole item.
    Beginning,
    /// Inside such an item.
    Item,
    /// The whole file.
    Whole,
}

impl Tests {
    /// The state after this line.
    fn after(self, line: &str) -> Tests {
        match self {
            Tests::Beginning if line.ends_with(';') => Tests::No,
            Tests::Beginning if line.ends_with('{') => Tests::Item,
            Tests::Item if line == "}" => Tests::No,
            unchanged => unchanged,
        }
    }
}

/// Whether this attribute removes its top-level item from the program.
fn is_for_tests(line: &str) -> bool {
    line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,")
}

fn without_comment(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Whether a file belongs to tests only. `examples.rs` contains the examples that several tests
/// use.
fn is_test(file: &Path) -> bool {
    let names = ["tests", "tests.rs", "examples.rs"];
    file.iter().any(|part| names.iter().any(|name| part == *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(file: &str, text: &str) -> Vec<usize> {
        let lines = program(Path::new(file), text);
        lines.into_iter().map(|(number, _)| number).collect()
    }

    #[test]
    fn code_for_tests_is_not_program_code_wherever_it_is_in_the_file() {
        let text = "#[cfg(test)]\nmod examples;\nfn f() {\n}\n#[cfg(all(test, unix))]\nmod tests {\n    fn g() {\n    let x = \"\nit;\n\";}\n}\nfn h() {}\n";
        assert_eq!(numbers("core/src/a.rs", text), [3, 4, 12]);
        for file in ["core/src/a/tests.rs", "tests/src/lib.rs", "core/src/a/tests/b.rs"] {
            assert_eq!(numbers(file, text), [0; 0], "{file}");
        }
    }

    #[test]
    fn a_comment_is_not_code() {
        assert_eq!(
            program(Path::new("a.rs"), "f(); // g()\n//! h()\n"),
            [(1, "f(); "), (2, "")]
        );
        assert_eq!(all("f(); // g()"), [(1, "f(); ")]);
    }
}
