//! Makes sure that a CI system finds no command in the text of tests and workspaces.
//!
//! GitHub's runner executes a line that begins with `::`, also after white space, and a line that
//! contains `##[` anywhere (`ActionCommand.cs`). The agent of Azure Pipelines executes a line that
//! contains `##vso[` anywhere (`Command.cs`). Both read both streams, and both end a line at a
//! carriage return. Both compare strings by linguistic rules, which ignore invisible characters.
//! TeamCity executes `##teamcity[`, also after other text.
//!
//! The runner always does this, not only where a variable names such a system: the system may read
//! the output from a container that lacks the variable, or from a log that is printed later. The
//! report and the logs keep the text unchanged.

use std::io::{Stderr, Write};

use crate::base::limits::FOREIGN_LINE_LEN_MAX;

/// The texts that begin a command anywhere in a line, after a `#`.
const ANYWHERE: [&str; 3] = ["#[", "#vso", "#teamcity"];

/// The text with a space inside each command, so that it is no longer a command.
pub fn disarmed(text: &str) -> String {
    let lines = text.split_inclusive(['\n', '\r']);
    lines
        .map(|line| without_hashes(&without_colons(line), "# "))
        .collect()
}

/// The same for JSON, where a `#` can only be in a string: it is written as an escape, which
/// changes no value.
pub fn disarmed_json(json: &str) -> String {
    without_hashes(json, "\\u0023")
}

/// The line, changed so that it does not begin with `::`.
fn without_colons(line: &str) -> String {
    let rest = line.trim_start_matches(|c: char| c.is_whitespace() || is_unseen(c));
    match begins(rest, "::") {
        true => {
            let (before, after) = line.split_at(line.len() - rest.len() + 1);
            format!("{before} {after}")
        }
        false => line.to_owned(),
    }
}

/// Writes `instead` for each `#` that begins a command.
fn without_hashes(text: &str, instead: &str) -> String {
    if !text.contains('#') {
        return text.to_owned();
    }
    let mut disarmed = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let is_command = c == '#' && ANYWHERE.iter().any(|word| begins(rest.as_str(), word));
        match is_command {
            true => disarmed.push_str(instead),
            false => disarmed.push(c),
        }
    }
    disarmed
}

/// Whether the visible text begins with this word.
fn begins(text: &str, word: &str) -> bool {
    let mut seen = text.chars().filter(|c| !is_unseen(*c));
    word.chars()
        .all(|letter| seen.next().is_some_and(|c| c.eq_ignore_ascii_case(&letter)))
}

/// Whether a comparison by linguistic rules may ignore this character. True for a few more
/// characters.
fn is_unseen(c: char) -> bool {
    c.is_ascii_control() || !(c.is_ascii() || c.is_alphanumeric())
}

/// Shows the output of a program as it arrives: on a terminal each byte at once, elsewhere line by
/// line and disarmed.
pub(crate) struct PassedOn<W> {
    out: W,
    /// The beginning of an unfinished line; `None` on a terminal.
    line: Option<Vec<u8>>,
}

impl PassedOn<Stderr> {
    /// Shows it on standard error.
    pub(crate) fn to_stderr() -> PassedOn<Stderr> {
        PassedOn {
            out: std::io::stderr(),
            line: (!super::terminal::stderr_is_a_terminal()).then(Vec::new),
        }
    }
}

impl<W: Write> PassedOn<W> {
    /// Shows the next part of the output.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        let Some(line) = &mut self.line else {
            return self.out.write_all(chunk);
        };
        line.extend_from_slice(chunk);
        let ended = match line.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => line.drain(..=end).collect(),
            // The rest gets a line of its own: the text after it must not make it a command.
            None if line.len() > FOREIGN_LINE_LEN_MAX => {
                line.push(b'\n');
                std::mem::take(line)
            }
            None => Vec::new(),
        };
        self.show(&ended)
    }

    /// Shows whole lines of another program, before a line that has not ended: on a terminal in the
    /// place of it, as it is a progress bar.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn interject(&mut self, lines: &[u8]) -> std::io::Result<()> {
        if self.line.is_some() {
            return self.show(lines);
        }
        self.out.write_all(b"\r\x1b[K")?;
        self.out.write_all(lines)
    }

    /// Shows the last line if it has no line end.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(&mut self) -> std::io::Result<()> {
        let rest = self.line.as_mut().map(std::mem::take).unwrap_or_default();
        self.show(&rest)
    }

    fn show(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out
            .write_all(disarmed(&String::from_utf8_lossy(bytes)).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text shown for output that arrives in these parts.
    fn shown(line: Option<Vec<u8>>, chunks: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut shown = PassedOn { out: &mut out, line };
        chunks.iter().for_each(|chunk| shown.push(chunk).unwrap());
        shown.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn output_is_disarmed_in_parts_of_any_size_and_unchanged_on_a_terminal() {
        let chunks: [&[u8]; 3] = [b"a #", b"#[error]b\n:", b":error::c"];
        assert_eq!(shown(Some(Vec::new()), &chunks), "a # #[error]b\n: :error::c");
        assert_eq!(shown(None, &chunks), "a ##[error]b\n::error::c");
    }

    #[test]
    fn lines_of_another_program_come_whole_before_a_line_that_has_not_ended() {
        let interjected = |line| {
            let mut out = Vec::new();
            let mut shown = PassedOn { out: &mut out, line };
            shown.push(b"begin").unwrap();
            shown.interject(b"error ##[error]a\n").unwrap();
            shown.push(b"ning\n").unwrap();
            shown.finish().unwrap();
            // The other program may be the last to end.
            shown.interject(b"##[error]b\n").unwrap();
            String::from_utf8(out).unwrap()
        };
        let log = "error # #[error]a\nbeginning\n# #[error]b\n";
        assert_eq!(interjected(Some(Vec::new())), log);
        let terminal = "begin\r\x1b[Kerror ##[error]a\nning\n\r\x1b[K##[error]b\n";
        assert_eq!(interjected(None), terminal);
    }

    #[test]
    fn a_line_without_an_end_is_shown_without_waiting_for_it() {
        let (mut out, long) = (Vec::new(), vec![b'x'; FOREIGN_LINE_LEN_MAX + 1]);
        let mut shown = PassedOn {
            out: &mut out,
            line: Some(Vec::new()),
        };
        shown.push(&long[..FOREIGN_LINE_LEN_MAX]).unwrap();
        assert!(shown.out.is_empty());
        shown.push(&long[FOREIGN_LINE_LEN_MAX..]).unwrap();
        assert_eq!(out.strip_suffix(b"\n"), Some(&*long));
    }

    #[test]
    fn the_parts_of_an_overlong_line_form_no_command() {
        let (white, end) = (vec![b' '; FOREIGN_LINE_LEN_MAX], "error::c\n");
        for (before, after) in [("##", "[error]b\n"), (":", ":error::b\n")] {
            let first = [&white, before.as_bytes()].concat();
            let text = shown(Some(Vec::new()), &[&first, after.as_bytes(), end.as_bytes()]);
            assert!(disarmed(&text) == text, "{before}{after}");
        }
    }

    #[test]
    fn no_line_is_a_command_to_a_ci_system() {
        for (text, expected) in [
            ("  ::add-mask::x", "  : :add-mask::x"),
            (
                "\u{3000}\u{ad}:\u{ad}:error::x",
                "\u{3000}\u{ad}: \u{ad}:error::x",
            ),
            ("a\n::error::b\r::error::c", "a\n: :error::b\r: :error::c"),
            ("a ##[error]b", "a # #[error]b"),
            ("###[error]b ##[group]", "## #[error]b # #[group]"),
            ("a #\u{200d}#\u{feff}[error]b", "a # \u{200d}#\u{feff}[error]b"),
            ("a ##vso[task.prependpath]b", "a # #vso[task.prependpath]b"),
            ("a ##teamcity[setParameter]", "a # #teamcity[setParameter]"),
        ] {
            assert_eq!(disarmed(text), expected);
            assert_eq!(disarmed(expected), expected, "and stays so");
        }
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        for text in [
            "acme::core",
            "a ::b",
            "## title",
            "#[test]",
            "##",
            "",
            ": :\n",
            "\u{fc}\u{20ac}##x\n",
        ] {
            assert_eq!(disarmed(text), text);
        }
    }

    #[test]
    fn json_without_commands_has_the_same_value() {
        let value = serde_json::json!({"##[error]": "::x\n##vso[a] \\##[b]"});
        let json = disarmed_json(&value.to_string());
        assert_eq!(disarmed(&json), json);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}
