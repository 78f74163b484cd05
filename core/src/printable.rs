//! How names, paths and link targets that others may have chosen are shown to people: characters
//! that steer a terminal or reorder text are escaped.
//!
//! For messages and listings only. The shown form is not the name: to build a path, use `as_str()`.

use std::fmt::{self, Write};
use std::path::Path;

/// A local path as messages show it.
pub(crate) fn path(path: &Path) -> String {
    Printable(&path.to_string_lossy()).to_string()
}

/// Text with control characters, separators of lines and controls of text direction escaped.
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0)
    }
}

fn write(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|character| {
        if is_safe(character) {
            f.write_char(character)
        } else {
            write!(f, "{}", character.escape_debug())
        }
    })
}

/// Whether the character neither steers a terminal, nor reorders text, nor starts a line.
/// `escape_debug` alone would also escape quotes and backslashes.
pub(crate) fn is_safe(character: char) -> bool {
    !character.is_control() && !matches!(character, '\u{2028}' | '\u{2029}') && !reorders_text(character)
}

/// Characters that reorder the text around them, so that `gpj.exe` reads as `exe.jpg` (Unicode TR
/// 36).
fn reorders_text(character: char) -> bool {
    matches!(
        character,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::catalog::SharePath;
    use crate::peer::ShareError;
    use crate::store::{SourceError, StoreError};

    #[test]
    fn only_characters_that_steer_a_terminal_or_reorder_text_are_escaped() {
        let shown = |text: &str| SharePath::parse(text).unwrap().to_string();
        assert_eq!(shown("a\u{1b}[2J\n"), "a\\u{1b}[2J\\n");
        assert_eq!(shown("gpj\u{202e}.exe"), "gpj\\u{202e}.exe");
        assert_eq!(shown("a\u{2028}b\u{85}"), "a\\u{2028}b\\u{85}");
        for plain in [r"C:\x", "it's \"quoted\"", "日本/Ångström", "e\u{301}"] {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn errors_about_local_files_steer_no_terminal() {
        let path = PathBuf::from("got\u{1b}[2J");
        let errors = [
            StoreError::IsFolder { path: path.clone() }.to_string(),
            SourceError::Missing { path: path.clone() }.to_string(),
            ShareError::NotUnicode { path }.to_string(),
        ];
        for error in errors {
            assert!(error.contains("`got\\u{1b}[2J`"), "{error}");
        }
    }
}
