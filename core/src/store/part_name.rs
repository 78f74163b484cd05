//! The names of files that are not whole yet, beside what they are to become.
//!
//! A name says which content is received for which target, so that the next pull of the same
//! content to the same place finds what an earlier one has left. A file that no later pull can use
//! has a random name. Nothing with such a name is ever shared.

use std::ffi::OsStr;
use std::io;

use crate::catalog::ContentId;

const PREFIX: &str = ".tandem-";
const SUFFIX: &str = ".part";
/// Length of the digits of one half of a name, or of a random name.
const DIGITS_LEN: usize = 16;

/// The name of the file that receives `content` for the target called `target`, in its folder.
pub(super) fn for_target(target: &OsStr, content: &ContentId) -> String {
    let target = digits(&[target.as_encoded_bytes()]);
    let content = digits(&[&content.hash, &content.len.to_be_bytes()]);
    format!("{PREFIX}{target}-{content}{SUFFIX}")
}

/// A name that no other file has.
pub(super) fn random() -> io::Result<String> {
    let token = getrandom::u64()?;
    Ok(format!("{PREFIX}{token:016x}{SUFFIX}"))
}

/// Whether `name` is one of these names.
pub(crate) fn is_part_name(name: &str) -> bool {
    halves(name).is_some()
}

/// The half of a name that says for which target it is; `None` for a random name and for any other.
pub(super) fn target_of(name: &str) -> Option<&str> {
    let (target, content) = halves(name)?;
    content.map(|_| target)
}

fn halves(name: &str) -> Option<(&str, Option<&str>)> {
    let middle = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (first, second) = match middle.split_once('-') {
        Some((first, second)) => (first, Some(second)),
        None => (middle, None),
    };
    let is_digits = |half: &str| {
        half.len() == DIGITS_LEN
            && half
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    };
    (is_digits(first) && second.is_none_or(is_digits)).then_some((first, second))
}

fn digits(fields: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for field in fields {
        hasher.update(field);
    }
    let hash = hasher.finalize();
    let whole = hash.to_hex();
    whole.chars().take(DIGITS_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_for_the_same_target_and_content_only() {
        let content = |fill: u8, len: u64| ContentId {
            hash: [fill; 32],
            len,
        };
        let name = |target: &str, content| for_target(OsStr::new(target), &content);
        assert_eq!(
            name("notes.txt", content(7, 5)),
            ".tandem-a859c1198d69e635-f059bb209fbce183.part"
        );
        assert_ne!(name("a", content(7, 5)), name("b", content(7, 5)));
        assert_ne!(name("a", content(7, 5)), name("a", content(8, 5)));
        assert_ne!(name("a", content(7, 5)), name("a", content(7, 6)));
    }

    #[test]
    fn only_the_names_of_part_files_are_taken_for_one() {
        let content = ContentId {
            hash: [1; 32],
            len: 3,
        };
        let made = for_target(OsStr::new("x"), &content);
        assert!(is_part_name(&made) && is_part_name(&random().unwrap()));
        assert_eq!(target_of(&made), Some(&made[8..24]));
        assert_eq!(target_of(&random().unwrap()), None);
        for other in [
            "notes.part",
            ".tandem-.part",
            ".tandem-notes.part",
            ".tandem-0123456789abcdeF.part",
        ] {
            assert!(!is_part_name(other), "{other}");
        }
        assert!(!is_part_name(&made.replace(".part", ".part2")) && !is_part_name(&format!("x{made}")));
    }
}
