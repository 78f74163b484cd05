//! What the machine that built an archive has to do with a failure on this one: a path that was
//! compiled into a test is of that machine.
//!
//! Pure. A failure that does not say that something is missing gets no line.

use std::path::Path;

use crate::base::text::plain_line;

/// How the line begins, by which it is recognised.
pub(crate) const BEGINNING: &str = "archive: ";

/// What systems and the standard library say of a path that is missing.
const MISSING: [&str; 3] = ["No such file or directory", "NotFound", "cannot find the "];

/// The line for a test that failed with this output. Its archive was built in the workspace `root`.
pub(super) fn words(root: &Path, output: [&[u8]; 2]) -> Option<String> {
    let is_missing = |output: &[u8]| {
        let text = String::from_utf8_lossy(output);
        MISSING.iter().any(|words| text.contains(words))
    };
    output.into_iter().any(is_missing).then(|| {
        let root = plain_line(&root.display().to_string());
        format!(
            "{BEGINNING}it was built in `{root}`; a path that `env!` compiled in is of there, and `std::env::var` \
             returns the one of here"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_for_a_missing_path_names_the_place_of_the_build() {
        let missing = b"called `Result::unwrap()` on an `Err` value: Os { code: 2, kind: NotFound }";
        for output in [
            [&b""[..], missing],
            [b"x: No such file or directory (os error 2)", b""],
        ] {
            let line = words(Path::new("/a\x1b[2J/b"), output).unwrap();
            assert!(line.starts_with("archive: it was built in `/a/b`; "), "{line}");
        }
        assert_eq!(words(Path::new("/a"), [b"assertion failed", b"left: 1"]), None);
    }
}
