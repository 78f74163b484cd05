//! What rustc says of the sources, from cargo's messages: each text once, and the errors with their
//! places.
//!
//! Cargo hands them to us instead of printing them. As cargo does, we leave out what only counts
//! other diagnostics, and show once what rustc says of a file in two targets.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::base::compile_error::CompileError;
use crate::base::limits::{COMPILE_ERROR_LEN_MAX, COMPILE_ERRORS_MAX};
use crate::base::terminal::{Colour, stderr_is_a_terminal};
use crate::base::text::{plain_line, report_text};

/// How cargo is to give us its messages: with colours where a person sees them.
pub(super) fn message_format() -> &'static str {
    let wanted = || std::env::var_os("CARGO_TERM_COLOR").is_some_and(|when| when == "always");
    let colour = match Colour::chosen() {
        Colour::Auto if !stderr_is_a_terminal() && wanted() => Colour::Always,
        colour => colour,
    };
    match colour.applies(stderr_is_a_terminal) {
        true => "--message-format=json-diagnostic-rendered-ansi",
        false => "--message-format=json",
    }
}

/// A message of rustc.
#[derive(Deserialize)]
pub(super) struct Diagnostic {
    message: String,
    code: Option<Code>,
    level: String,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Deserialize)]
struct Code {
    code: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: u32,
    is_primary: bool,
}

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    shown: BTreeSet<String>,
    errors: Vec<CompileError>,
    /// How many errors there are beyond the limit.
    left_out: usize,
}

impl Diagnostics {
    /// Takes note of one. Returns what to show of it: nothing if that was shown.
    pub(super) fn take(&mut self, diagnostic: Diagnostic) -> Option<String> {
        if diagnostic.only_counts() {
            return None;
        }
        let text = diagnostic.rendered.clone()?;
        if !self.shown.insert(text.clone()) {
            return None;
        }
        match diagnostic.is_error() {
            true if self.errors.len() < COMPILE_ERRORS_MAX => self.errors.push(diagnostic.into_error(&text)),
            true => self.left_out += 1,
            false => {}
        }
        Some(text)
    }

    /// All errors, in order; those beyond the limit as one.
    pub(super) fn into_errors(self) -> Vec<CompileError> {
        let mut errors = self.errors;
        if self.left_out > 0 {
            let message = format!("and {} more", self.left_out);
            errors.push(CompileError {
                file: None,
                line: None,
                code: None,
                text: message.clone(),
                message,
            });
        }
        errors
    }
}

impl Diagnostic {
    fn is_error(&self) -> bool {
        self.level.starts_with("error")
    }

    /// "aborting due to 2 previous errors" and "3 warnings emitted"
    fn only_counts(&self) -> bool {
        let is_count = |ending: &str| self.message.ends_with(ending);
        self.message.starts_with("aborting due to ")
            || is_count(" warning emitted")
            || is_count(" warnings emitted")
    }

    fn into_error(self, text: &str) -> CompileError {
        let mut text = report_text(text.as_bytes());
        text.truncate(text.floor_char_boundary(COMPILE_ERROR_LEN_MAX));
        let place = self.spans.into_iter().find(|span| span.is_primary);
        CompileError {
            line: place.as_ref().map(|place| place.line_start),
            file: place.map(|place| place.file_name),
            code: self.code.map(|code| code.code),
            message: plain_line(&self.message),
            text: text.trim_end().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(level: &str, message: &str) -> Diagnostic {
        let span = |line_start, is_primary| Span {
            file_name: "src/lib.rs".to_owned(),
            line_start,
            is_primary,
        };
        Diagnostic {
            message: message.to_owned(),
            code: None,
            level: level.to_owned(),
            spans: vec![span(1, false), span(3, true)],
            rendered: Some(format!("{level}: {message}\n")),
        }
    }

    #[test]
    fn an_error_has_the_place_that_is_to_blame() {
        let mut diagnostics = Diagnostics::default();
        diagnostics.take(diagnostic("warning", "unused"));
        diagnostics.take(diagnostic("error", "wrong"));
        let errors = diagnostics.into_errors();
        assert_eq!(errors.len(), 1);
        assert_eq!(
            (errors[0].file.as_deref(), errors[0].line),
            (Some("src/lib.rs"), Some(3))
        );
        assert_eq!(errors[0].headline(), "error: wrong");
    }

    #[test]
    fn what_is_said_of_two_targets_is_shown_once_and_counts_are_not_shown() {
        let mut diagnostics = Diagnostics::default();
        assert!(diagnostics.take(diagnostic("error", "wrong")).is_some());
        assert!(diagnostics.take(diagnostic("error", "wrong")).is_none());
        for count in ["aborting due to 1 previous error", "1 warning emitted"] {
            assert!(diagnostics.take(diagnostic("error", count)).is_none());
        }
        assert_eq!(diagnostics.into_errors().len(), 1);
    }

    #[test]
    fn errors_beyond_the_limit_are_counted() {
        let of = |count: usize| {
            let mut diagnostics = Diagnostics::default();
            (0..count).for_each(|number| {
                diagnostics.take(diagnostic("error", &number.to_string()));
            });
            diagnostics.into_errors()
        };
        assert_eq!(of(COMPILE_ERRORS_MAX).len(), COMPILE_ERRORS_MAX);
        let more = of(COMPILE_ERRORS_MAX + 2);
        assert_eq!(
            more.last().map(|error| error.message.as_str()),
            Some("and 2 more")
        );
    }

    #[test]
    fn a_long_text_is_cut_at_the_limit() {
        let len = |len: usize| {
            let message = "x".repeat(len - "error: ".len());
            let mut diagnostics = Diagnostics::default();
            diagnostics.take(diagnostic("error", &message));
            diagnostics.into_errors()[0].text.len()
        };
        assert_eq!(len(COMPILE_ERROR_LEN_MAX), COMPILE_ERROR_LEN_MAX);
        assert_eq!(len(COMPILE_ERROR_LEN_MAX + 1), COMPILE_ERROR_LEN_MAX);
    }
}
