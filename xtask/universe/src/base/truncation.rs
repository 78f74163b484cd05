//! Long texts with the middle left out: the mark that states how many bytes are missing, and
//! further truncation of a text that has such a mark.
//!
//! The runner truncates a test's output when it reads it, and again when it shows it. The second
//! truncation must count the bytes that the first one left out. Pure.

const BEGINNING: &str = "\n[... ";
const END: &str = " bytes left out ...]\n";

/// The mark that replaces `count` bytes.
pub(crate) fn mark(count: u64) -> String {
    format!("{BEGINNING}{count}{END}")
}

/// A text in two parts. Bytes may have been left out between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) before: &'a str,
    /// 0 if there is no mark.
    pub(crate) left_out: u64,
    pub(crate) after: &'a str,
}

/// The parts before and after the mark; without a mark, two halves. If there are several marks (a
/// test may print one itself), the one nearest to the middle is ours.
pub(crate) fn parts(text: &str) -> Parts<'_> {
    let marks = text
        .match_indices(BEGINNING)
        .filter_map(|(at, _)| at_mark(text, at));
    let ours = marks.max_by_key(|parts| parts.before.len().min(parts.after.len()));
    ours.unwrap_or_else(|| {
        let (before, after) = text.split_at(text.floor_char_boundary(text.len() / 2));
        Parts {
            before,
            left_out: 0,
            after,
        }
    })
}

fn at_mark(text: &str, at: usize) -> Option<Parts<'_>> {
    let rest = text.get(at + BEGINNING.len()..)?;
    let (count, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
    Some(Parts {
        before: text.get(..at)?,
        left_out: count.parse().ok()?,
        after: rest.strip_prefix(END)?,
    })
}

/// How many bytes of the test's output these bytes represent, including those that a mark in them
/// counts.
pub(crate) fn stands_for(bytes: &[u8]) -> u64 {
    let left_out = parts(&String::from_utf8_lossy(bytes)).left_out;
    let mark_len = if left_out > 0 { mark(left_out).len() } else { 0 };
    (bytes.len().saturating_sub(mark_len) as u64).saturating_add(left_out)
}

impl<'a> Parts<'a> {
    /// The beginning and the end of the text, each at most `len_max` bytes, and the number of bytes
    /// left out between them.
    pub(crate) fn ends(self, len_max: usize) -> (&'a str, u64, &'a str) {
        let Parts {
            before,
            left_out,
            after,
        } = self;
        let head = before.get(..before.floor_char_boundary(len_max));
        let tail = after.get(after.ceil_char_boundary(after.len().saturating_sub(len_max))..);
        let (head, tail) = (head.unwrap_or_default(), tail.unwrap_or_default());
        let cut = (before.len() - head.len() + after.len() - tail.len()) as u64;
        (head, left_out.saturating_add(cut), tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_was_cut_twice_counts_all_missing_bytes() {
        let text = format!("aaé{}ébb", mark(1_000_000));
        assert_eq!(parts(&text).ends(3), ("aa", 1_000_004, "bb"));
        assert_eq!(parts(&text).ends(9), ("aaé", 1_000_000, "ébb"));
        assert_eq!(parts("aabb").ends(1), ("a", 2, "b"));
        assert_eq!(stands_for(text.as_bytes()), 1_000_008);
        assert_eq!(stands_for(b"\xff\xff"), 2);
    }

    #[test]
    fn a_mark_that_a_test_wrote_itself_hides_nothing() {
        let text = format!("{}aaa{}bbb", mark(1), mark(50));
        assert_eq!(parts(&text).left_out, 50);
        let others = ["[... 5 bytes left out ...]", "\n[... x bytes left out ...]\n", ""];
        assert!(others.iter().all(|text| parts(text).left_out == 0));
        let huge = mark(u64::MAX) + "a";
        assert_eq!(parts(&huge).ends(0).1, u64::MAX);
    }
}
