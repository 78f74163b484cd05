//! Bytes of programs as text that is safe for a terminal, a report or the log of a CI system.

use std::str::FromStr;

use super::terminal::Style;

/// The output of a program as text that affects neither a terminal nor the order in which text is
/// read. Escape sequences are removed; other control characters, and those that reorder text, are
/// shown as `\u{..}`; invalid UTF-8 is shown as U+FFFD.
pub(crate) fn plain_text(bytes: &[u8]) -> String {
    without_controls(bytes, steers)
}

/// As [`plain_text`], but characters that only reorder text stay: a report's readers may want them.
pub fn report_text(bytes: &[u8]) -> String {
    without_controls(bytes, char::is_control)
}

/// Whether it is a control character, or one that reorders the text around it (Unicode Standard
/// Annex 9, 2).
pub(crate) fn steers(scalar: char) -> bool {
    let reorders = matches!(
        scalar,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    reorders || scalar.is_control()
}

/// A line of ours, safe to show: control characters in names and messages are made visible. Our own
/// colours stay.
pub(crate) fn harmless(line: &str) -> String {
    let mut harmless = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let (part, tail) = rest.split_at(colour_len(rest).unwrap_or(next.len_utf8()));
        match next {
            '\n' | '\t' => harmless.push(next),
            '\r' if rest.starts_with("\r\n") => {}
            '\r' => harmless.push('\n'),
            _ if part.len() == next.len_utf8() && steers(next) => harmless.extend(next.escape_unicode()),
            _ => harmless.push_str(part),
        }
        rest = tail;
    }
    harmless
}

/// The length of the colour code with which this text begins, if it is one that [`Paint::on`]
/// writes.
fn colour_len(text: &str) -> Option<usize> {
    let code = text.strip_prefix("\x1b[")?.split_once('m')?.0;
    let is_ours = code == "0" || Style::ALL.iter().any(|style| style.code() == code);
    is_ours.then_some("\x1b[m".len() + code.len())
}

fn without_controls(bytes: &[u8], is_control: impl Fn(char) -> bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\x1b' if rest.next_if_eq(&'[').is_some() => skip_sequence(&mut rest),
            '\n' | '\t' => plain.push(c),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' => plain.push('\n'),
            c if is_control(c) => plain.extend(c.escape_unicode()),
            c => plain.push(c),
        }
    }
    plain
}

/// As [`plain_text`], in one line.
pub(crate) fn plain_line(text: &str) -> String {
    plain_text(text.as_bytes()).replace('\n', " ")
}

/// `1 test`, `2 tests`
pub(crate) fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// The value of an option that is a number from 1.
pub(crate) fn positive<N: FromStr>(text: &str) -> Result<N, String> {
    let number = text.parse();
    number.map_err(|_| format!("`{text}` is not a whole number from 1, or it is too large"))
}

/// The value of an option that is a number from 0.
pub(crate) fn whole<N: FromStr>(text: &str) -> Result<N, String> {
    let number = text.parse();
    number.map_err(|_| format!("`{text}` is not a whole number, or it is too large"))
}

/// This text as a word for a shell, quoted where needed. `None` if it cannot be shown unchanged and
/// therefore cannot be typed.
pub(crate) fn word_of_shell(text: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:@%+".contains(c);
    match text {
        text if text.contains(steers) => None,
        text if !text.is_empty() && text.chars().all(is_plain) => Some(text.to_owned()),
        text => Some(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

/// Parameters and intermediates are 0x20 to 0x3F, the final byte is 0x40 to 0x7E (ECMA-48, 5.4).
fn skip_sequence(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
    rest.next_if(|c| ('@'..='~').contains(c));
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn a_number_of_an_option_begins_at_one() {
        assert_eq!(positive::<NonZeroU32>("1"), Ok(NonZeroU32::MIN));
        for text in ["0", "-1", "x", "4294967296"] {
            let why = positive::<NonZeroU32>(text).unwrap_err();
            assert!(
                why.starts_with(&format!("`{text}` is not a whole number from 1")),
                "{why}"
            );
        }
    }

    #[test]
    fn a_number_of_retries_may_be_zero() {
        assert_eq!(whole::<u32>("0"), Ok(0));
        let why = whole::<u32>("x").unwrap_err();
        assert_eq!(why, "`x` is not a whole number, or it is too large");
    }

    #[test]
    fn hostile_output_cannot_reach_the_terminal() {
        assert_eq!(
            plain_text(b"\x1b[31;1mred\x1b[0m \x1b]0;title\x07 \0 \xff"),
            "red \\u{1b}]0;title\\u{7} \\u{0} \u{fffd}"
        );
        assert_eq!(plain_text(b"a\r\nb\rc\td\r"), "a\nb\nc\td\n");
        assert_eq!(harmless("a\r\nb\rc"), "a\nb\nc");
    }

    #[test]
    fn reordering_characters_are_shown_on_a_terminal_and_stay_in_a_report() {
        let reordered = "\u{202a}\u{202e}\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}a\u{202f}\u{5d0}";
        assert_eq!(
            plain_line(reordered),
            "\\u{202a}\\u{202e}\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}a\u{202f}\u{5d0}"
        );
        assert_eq!(report_text(reordered.as_bytes()), reordered);
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_misread_it() {
        assert_eq!(
            word_of_shell("--package=a@1.0").as_deref(),
            Some("--package=a@1.0")
        );
        assert_eq!(word_of_shell("a b's").as_deref(), Some(r"'a b'\''s'"));
        assert_eq!(word_of_shell("").as_deref(), Some("''"));
        assert_eq!(word_of_shell("a\tb"), None);
    }
}
