//! Strings that XML 1.0 can carry: any output of a test becomes text that every parser accepts.
//!
//! XML forbids most control characters and two noncharacters even when they are escaped, and `]]>`
//! ends a CDATA section. One of them in one line of one test's output makes Jenkins refuse the
//! whole file.

use crate::base::limits::{JUNIT_LINE_LEN_MAX, JUNIT_TEXT_LEN_MAX, LOG_LEN_MAX};
use crate::base::truncation;

/// The output of a test, for a CDATA section.
pub(super) fn output(bytes: &[u8]) -> String {
    text(&String::from_utf8_lossy(bytes))
}

/// Text for a CDATA section: without escape sequences and forbidden characters, truncated, `]]>`
/// split in two.
pub(super) fn text(raw: &str) -> String {
    let text = allowed(&without_escapes(raw).replace("\r\n", "\n").replace('\r', "\n"));
    capped(text).replace("]]>", "]]]]><![CDATA[>")
}

/// Text for an attribute: one line, with each run of white space as one space.
pub(super) fn line(raw: &str) -> String {
    let text = allowed(&without_escapes(raw));
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.len() {
        ..=JUNIT_LINE_LEN_MAX => line,
        _ => format!(
            "{} …",
            line.get(..line.floor_char_boundary(JUNIT_LINE_LEN_MAX))
                .unwrap_or_default()
        ),
    }
}

/// Replaces everything that is not a `Char` of XML 1.0 (section 2.2) by U+FFFD.
fn allowed(text: &str) -> String {
    text.chars()
        .map(|scalar| {
            if is_allowed(scalar) {
                scalar
            } else {
                char::REPLACEMENT_CHARACTER
            }
        })
        .collect()
}

pub(super) fn is_allowed(scalar: char) -> bool {
    !matches!(scalar, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Drops the control sequences of terminals: CSI (colours, cursor) and OSC (titles, links) of
/// ECMA-48.
fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        kept.push_str(before);
        rest = behind_csi(after)
            .or_else(|| behind_osc(after))
            .unwrap_or_else(|| {
                kept.push('\u{1b}');
                after
            });
    }
    kept + rest
}

/// The text after a CSI sequence: `after` without `[`, parameters and the final byte. `None` if
/// `after` does not begin with one.
fn behind_csi(after: &str) -> Option<&str> {
    let tail = after
        .strip_prefix('[')?
        .trim_start_matches(|scalar| matches!(scalar, ' '..='?'));
    tail.strip_prefix(|scalar| matches!(scalar, '@'..='~'))
}

/// The text after an OSC sequence: `]`, a string, and BEL or ST. It never spans lines; otherwise an
/// unfinished one would swallow all further output.
fn behind_osc(after: &str) -> Option<&str> {
    let body = after.strip_prefix(']')?;
    let tail = body.get(body.find(['\u{7}', '\u{1b}', '\n'])?..)?;
    tail.strip_prefix('\u{7}')
        .or_else(|| tail.strip_prefix("\u{1b}\\"))
}

fn capped(text: String) -> String {
    if text.len() <= JUNIT_TEXT_LEN_MAX {
        return text;
    }
    let (head, left_out, tail) = truncation::parts(&text).ends(JUNIT_TEXT_LEN_MAX / 2);
    let log_len = LOG_LEN_MAX / (1024 * 1024);
    format!(
        "{head}\n[... {left_out} bytes left out here; the log in the run's directory has up to {log_len} MiB ...]\n{tail}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_titles_and_links_go_away() {
        assert_eq!(text("\u{1b}[1;31mred\u{1b}[0m"), "red");
        assert_eq!(
            text("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\"),
            "alink"
        );
    }

    #[test]
    fn an_incomplete_escape_is_marked_and_swallows_nothing() {
        assert_eq!(text("a\u{1b}b"), "a\u{fffd}b");
        assert_eq!(
            text("\u{1b}]never ended\nnext line"),
            "\u{fffd}]never ended\nnext line"
        );
        assert_eq!(text("\u{1b}[12"), "\u{fffd}[12");
    }

    #[test]
    fn forbidden_scalars_are_replaced_and_allowed_ones_stay() {
        assert_eq!(
            text("\0\u{8}\u{b}\u{c}\u{1f}\u{fffe}\u{ffff}"),
            "\u{fffd}".repeat(7)
        );
        assert_eq!(
            text("\t\n\u{7f}\u{85}\u{202e}\u{e000}\u{1f600}"),
            "\t\n\u{7f}\u{85}\u{202e}\u{e000}\u{1f600}"
        );
    }

    #[test]
    fn bytes_that_are_not_text_become_text() {
        assert_eq!(
            output(b"a\xffb\xed\xa0\x80c"),
            "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}c"
        );
    }

    #[test]
    fn the_end_of_a_section_is_split_in_two() {
        assert_eq!(text("a]]>b"), "a]]]]><![CDATA[>b");
    }

    #[test]
    fn carriage_returns_become_new_lines() {
        assert_eq!(text("10%\r20%\r\ndone"), "10%\n20%\ndone");
    }

    #[test]
    fn text_at_the_limit_stays_whole_and_beyond_it_keeps_both_ends() {
        let whole = "x".repeat(JUNIT_TEXT_LEN_MAX);
        assert_eq!(text(&whole), whole);
        let cut = text(&format!("first{whole}last"));
        assert!(
            cut.starts_with("first") && cut.ends_with("last") && cut.contains("[... 9 bytes left out here")
        );
    }

    #[test]
    fn text_that_was_cut_before_counts_all_missing_bytes() {
        let half = "x".repeat(JUNIT_TEXT_LEN_MAX / 2);
        let cut = text(&format!("{half}{}{half}", truncation::mark(100_000_000)));
        assert!(cut.contains("[... 100000000 bytes left out here; "), "{cut}");
    }

    #[test]
    fn text_is_never_cut_inside_a_character() {
        let cut = text(&"é".repeat(JUNIT_TEXT_LEN_MAX));
        assert!(!cut.contains('\u{fffd}') && cut.len() < JUNIT_TEXT_LEN_MAX + 200);
    }

    #[test]
    fn an_attribute_is_one_line_of_limited_length() {
        assert_eq!(
            line(" left:\n\t1\r\n right: \u{1b}[1m2\u{1b}[0m "),
            "left: 1 right: 2"
        );
        assert_eq!(line(&"x".repeat(JUNIT_LINE_LEN_MAX)).len(), JUNIT_LINE_LEN_MAX);
        assert_eq!(
            line(&"x".repeat(JUNIT_LINE_LEN_MAX + 1)),
            format!("{} …", "x".repeat(JUNIT_LINE_LEN_MAX))
        );
    }
}
