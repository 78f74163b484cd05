//! The lines of an output, with a backtrace's frames of the standard library and of dependencies
//! folded into one line that says how many they are.
//!
//! Recognises the short form that `std::backtrace` prints, also for the errors of anyhow. The full
//! form (`RUST_BACKTRACE=full`) stays as it is, and so does a backtrace that has no other frames.

use std::borrow::Cow;

use crate::base::text::counted;

/// A line to show, and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) text: Cow<'a, str>,
    /// Lines of the output.
    pub(super) lines: usize,
    /// Bytes of the output.
    pub(super) len: usize,
}

/// The beginnings of places in the sources of the standard library, as in `/rustc/HASH/library/…`.
const STD: &str = "/rustc/";

/// Parts of places in the sources of the standard library and of dependencies.
const FOREIGN: [&str; 3] = ["/rustlib/src/rust/", "/registry/src/", "/git/checkouts/"];

/// The beginnings of names in the standard library, for frames without a place.
const STD_NAMES: [&str; 6] = [
    "std::",
    "core::",
    "alloc::",
    "test::",
    "__rust",
    "rust_begin_unwind",
];

/// Functions of the C library that start programs and threads, for frames without a place.
const START_NAMES: [&str; 6] = [
    "_start",
    "main",
    "__libc_start",
    "start_thread",
    "clone",
    "<unknown>",
];

/// A frame of a backtrace: lines of an output.
struct Frame<'l, 'a> {
    lines: &'l [&'a str],
    is_foreign: bool,
}

/// The lines of this text, with folded backtraces.
pub(super) fn folded(text: &str) -> Vec<Row<'_>> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let (mut rows, mut rest) = (Vec::new(), lines.as_slice());
    while let Some((line, after)) = rest.split_first() {
        rows.push(plain(line));
        rest = after;
        if line.trim().eq_ignore_ascii_case("stack backtrace:") {
            let count = after.iter().take_while(|line| is_of_a_frame(line)).count();
            let (backtrace, after) = after.split_at(count);
            rows.extend(folded_frames(&frames(backtrace)));
            rest = after;
        }
    }
    rows
}

/// The rows of these lines without any change.
fn plain(line: &str) -> Row<'_> {
    Row {
        text: line.trim_end_matches('\n').into(),
        lines: 1,
        len: line.len(),
    }
}

fn folded_frames<'a>(frames: &[Frame<'_, 'a>]) -> Vec<Row<'a>> {
    let is_full = |frame: &Frame<'_, '_>| {
        let name = frame.lines.first().and_then(|line| numbered(line));
        name.is_some_and(|name| name.starts_with("0x"))
    };
    let is_worth_it = frames.iter().any(|frame| !frame.is_foreign) && !frames.iter().any(is_full);
    let runs = frames.chunk_by(|one, next| one.is_foreign && next.is_foreign);
    let row = |frames: &[Frame<'_, 'a>]| -> Vec<Row<'a>> {
        let lines = || frames.iter().flat_map(|frame| frame.lines);
        match frames {
            [first, ..] if first.is_foreign && is_worth_it => {
                let count = counted(frames.len(), "frame", "frames");
                let text = format!("      [... {count} of the standard library and dependencies ...]");
                vec![Row {
                    text: text.into(),
                    lines: lines().count(),
                    len: lines().map(|line| line.len()).sum(),
                }]
            }
            _ => lines().map(|line| plain(line)).collect(),
        }
    };
    runs.flat_map(row).collect()
}

/// The frames to which these lines belong: each begins with a numbered line.
fn frames<'l, 'a>(lines: &'l [&'a str]) -> Vec<Frame<'l, 'a>> {
    let frames = lines.chunk_by(|_, next| numbered(next).is_none());
    let frame = |lines: &'l [&'a str]| Frame {
        lines,
        is_foreign: is_foreign(lines),
    };
    frames.map(frame).collect()
}

/// Whether this line can be in a backtrace after its heading.
fn is_of_a_frame(line: &str) -> bool {
    numbered(line).is_some() || (line.starts_with("      ") && !line.trim().is_empty())
}

/// The name in `  12: name`.
fn numbered(line: &str) -> Option<&str> {
    let (number, name) = line.trim_start().split_once(": ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(name.trim())
}

/// Whether all functions of a frame are the standard library's or a dependency's. A frame has
/// several if some were inlined; each has its name, and mostly a second line with its place.
fn is_foreign(lines: &[&str]) -> bool {
    let place = |line: &str| {
        line.trim()
            .strip_prefix("at ")
            .map(|place| place.replace('\\', "/"))
    };
    let of_the_function = |lines: &[&str]| match lines {
        [_, at, ..] => place(at)
            .is_some_and(|place| place.starts_with(STD) || FOREIGN.iter().any(|part| place.contains(part))),
        [name] => {
            let name = numbered(name)
                .unwrap_or(name.trim())
                .trim_start_matches(['<', '&']);
            let begins = |names: &[&str]| names.iter().any(|begin| name.starts_with(begin));
            begins(&STD_NAMES) || begins(&START_NAMES[2..]) || START_NAMES.contains(&name)
        }
        [] => false,
    };
    let mut functions = lines.chunk_by(|_, next| place(next).is_some());
    functions.all(of_the_function)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKTRACE: &str = "\
thread 'a' panicked at suite/a.rs:8:5:
no
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/0123/library/std/src/panicking.rs:689:5
   1: core::panicking::panic_fmt
             at /rustc/0123/library/core/src/panicking.rs:80:14
   2: suite::a::helper
             at ./suite/a.rs:8:5
      core::option::Option<T>::map
             at /rustc/0123/library/core/src/option.rs:1:1
   3: acme::run::{{closure}}
             at /home/me/.cargo/registry/src/index-0/acme-1.0.0/src/lib.rs:9:1
   4: suite::a
             at ./suite/a.rs:6:12
   5: core::ops::function::FnOnce::call_once
   6: start_thread
note: Some details are omitted
   7: std::not::a::frame
";

    fn texts(text: &str) -> Vec<String> {
        folded(text).iter().map(|row| row.text.to_string()).collect()
    }

    #[test]
    fn frames_of_std_and_dependencies_are_folded_and_counted() {
        let fold = |what: &str| format!("      [... {what} of the standard library and dependencies ...]");
        let (two, one) = (fold("2 frames"), fold("1 frame"));
        let lines: Vec<&str> = BACKTRACE.lines().collect();
        let expected = [
            &lines[..3],
            &[&two],
            &lines[7..11],
            &[&one],
            &lines[13..15],
            &[&two],
            &lines[17..],
        ];
        assert_eq!(texts(BACKTRACE), expected.concat());
    }

    #[test]
    fn rows_stand_for_all_lines_and_bytes_of_the_text() {
        for text in [BACKTRACE, BACKTRACE.trim_end(), "", "\n", "a\n\nb"] {
            let rows = folded(text);
            assert_eq!(rows.iter().map(|row| row.len).sum::<usize>(), text.len());
            assert_eq!(
                rows.iter().map(|row| row.lines).sum::<usize>(),
                text.lines().count()
            );
        }
    }

    #[test]
    fn what_is_no_short_backtrace_or_has_no_own_frame_stays_as_it_is() {
        let full = BACKTRACE
            .replace(": ", ":     0x55d0 - ")
            .replace("note:     0x55d0 -", "note:");
        let without_heading = BACKTRACE.replace("stack backtrace:", "frames:");
        let foreign = "stack backtrace:\n   0: std::a\n   1: core::b\n";
        for text in [&full, &without_heading, foreign] {
            assert_eq!(texts(text), text.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_backtrace_of_an_error_and_one_of_windows_are_folded_too() {
        let error = "Error: no\n\nStack backtrace:\n   0: acme::new\n             at C:\\me\\registry\\src\\i\\acme\\lib.rs:1:1\n   1: suite::a\n             at .\\a.rs:1:1";
        assert_eq!(texts(error).len(), 6);
    }
}
