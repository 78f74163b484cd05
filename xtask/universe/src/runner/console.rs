//! What a person sees while tests run and at the end: one line per test, live status on a terminal,
//! plain text elsewhere. Text that a CI system would read as a command is shown as text. Only
//! [`Console::command`] prints commands.
//!
//! Results go to stdout, progress to stderr. A closed stdout never ends a run: the report still has
//! everything. A reader that closes the pipe is no error; any other failure to write is reported at
//! the end.

mod lines;
mod live;
mod remarks;
mod summary;

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::Duration;

pub use crate::base::disarm::{disarmed, disarmed_json};
pub use crate::base::terminal::{Paint, Style};
pub use summary::Summary;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::terminal::{Colour, stderr_is_a_terminal};
use crate::base::text::{harmless, plain_line};
use crate::report::data::Case;
use live::Live;

/// Where results are shown.
#[derive(Debug)]
pub struct Console {
    live: Option<Live>,
    out: Out,
    paint: Paint,
    /// The first error of printing.
    trouble: OnceLock<std::io::Error>,
}

/// Where results go.
#[derive(Debug, Clone, Copy)]
enum Out {
    Stdout,
    Stderr,
}

/// Text that is safe to show, whatever it contains: it controls no terminal, except for our own
/// colours, and it is no command for a CI system.
fn shown(text: &str) -> String {
    disarmed(&harmless(text))
}

/// Prints text that a person asked for, so a failure is an error. A reader that closes the pipe is
/// not.
///
/// # Errors
/// When standard output cannot be written, with the exit code that says so.
pub fn print(text: &str) -> Result<(), Stop> {
    print_exactly(&shown(text))
}

/// The same for JSON.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_json(json: &str) -> Result<(), Stop> {
    print_exactly(&disarmed_json(json))
}

/// The same for a file format in which no character may change.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_exactly(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    let printed = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match printed {
        Err(error) if is_trouble(&error) => Err(unprinted(Out::Stdout, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// A reader that closes the pipe has read enough.
fn is_trouble(error: &std::io::Error) -> bool {
    error.kind() != std::io::ErrorKind::BrokenPipe
}

fn unprinted(out: Out, error: &std::io::Error) -> Stop {
    let name = match out {
        Out::Stdout => "output",
        Out::Stderr => "error",
    };
    let message = format!("could not write to standard {name}: {error}");
    Stop::new(Exit::ReportFailed, FailureKind::Report, message)
}

impl Console {
    /// Checks the terminal and the environment.
    #[expect(clippy::new_without_default, reason = "it reads the environment")]
    pub fn new() -> Console {
        let terminal = std::io::stdout().is_terminal() && stderr_is_a_terminal();
        let live = terminal && std::env::var_os("CI").is_none();
        let paint = if Colour::chosen().applies(|| terminal) {
            Paint::Colours
        } else {
            Paint::Plain
        };
        Console {
            live: live.then(Live::new),
            out: Out::Stdout,
            paint,
            trouble: OnceLock::new(),
        }
    }

    /// Without a live status, which would disturb another program on the same terminal.
    pub(crate) fn without_status() -> Console {
        Console {
            live: None,
            ..Console::new()
        }
    }

    /// Reserves standard output for other data: results are plain lines on standard error.
    pub(crate) fn beside_stdout() -> Console {
        Console {
            live: None,
            out: Out::Stderr,
            paint: Paint::Plain,
            trouble: OnceLock::new(),
        }
    }

    /// Whether and how to colour.
    pub fn paint(&self) -> Paint {
        self.paint
    }

    /// One line of results.
    pub fn line(&self, line: &str) {
        self.write(&shown(line));
    }

    /// A command for the CI system that reads the console. The caller escapes the text of tests in
    /// it.
    pub(crate) fn command(&self, line: &str) {
        self.write(line);
    }

    fn write(&self, line: &str) {
        let print = || {
            let printed = match self.out {
                Out::Stdout => print_line(std::io::stdout().lock(), line),
                Out::Stderr => print_line(std::io::stderr().lock(), line),
            };
            if let Some(error) = printed.err().filter(is_trouble) {
                // Only the first error is kept.
                self.trouble.set(error).ok();
            }
        };
        match &self.live {
            Some(live) => live.suspend(print),
            None => print(),
        }
    }

    /// Whether everything was shown.
    ///
    /// # Errors
    /// When a line could not be written, with the exit code that says so.
    pub(crate) fn all_shown(&self) -> Result<(), Stop> {
        match self.trouble.get() {
            Some(error) => Err(unprinted(self.out, error)),
            None => Ok(()),
        }
    }

    /// `count` tests are about to run.
    pub(crate) fn begin(&self, count: usize) {
        if let Some(live) = &self.live {
            live.begin(count);
        }
    }

    /// One more test runs than `begin` announced.
    pub(crate) fn expect_one_more(&self) {
        if let Some(live) = &self.live {
            live.expect_one_more();
        }
    }

    /// The test with this number started.
    pub(crate) fn started(&self, number: usize, name: &str) {
        if let Some(live) = &self.live {
            live.started(number, &plain_line(name));
        }
    }

    /// A test has run for longer than its slow limit.
    pub(crate) fn slow(&self, suite: &str, name: &str, passed: Duration) {
        self.line(&lines::slow_line(self.paint, suite, name, passed));
    }

    /// A script that runs before tests has ended, or failed.
    pub(crate) fn script(&self, title: &str, elapsed: Duration, why: Option<&str>) {
        self.line(&lines::script_line(self.paint, title, elapsed, why));
    }

    /// The test with this number ended.
    pub fn finished(&self, number: usize, suite: &str, name: &str, case: &Case) {
        if let Some(live) = &self.live {
            live.finished(number);
        }
        let line = lines::result_line(self.paint, suite, name, &case.outcome, case.elapsed);
        self.line(&line);
    }

    /// A test ended whose round is not in the report: prints no line.
    pub(crate) fn ended_again(&self, number: usize) {
        if let Some(live) = &self.live {
            live.finished(number);
        }
    }

    /// All tests have ended; removes the live display.
    pub(crate) fn end(&self) {
        if let Some(live) = &self.live {
            live.end();
        }
    }
}

fn print_line(mut out: impl Write, line: &str) -> std::io::Result<()> {
    writeln!(out, "{line}").and_then(|()| out.flush())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::steers;

    #[test]
    fn no_line_controls_a_terminal_or_a_ci_system() {
        let evil = "a\x1b]0;title\x07\x1b[2J\x1b[8mb\rc\u{202e}\n::error::d";
        let line = lines::slow_line(Paint::Colours, evil, evil, Duration::ZERO);
        let (word, rest) = line.split_once(' ').unwrap();
        let shown = shown(&line);
        let (shown_word, shown_rest) = shown.split_once(' ').unwrap();
        assert_eq!(shown_word, word, "our own colours stay");
        assert!(!shown_rest.replace('\n', "").contains(steers), "{shown_rest:?}");
        assert!(rest.contains("\n::error") && !shown_rest.contains("\n::"));
    }

    #[test]
    fn harmless_text_is_shown_unchanged() {
        for style in Style::ALL {
            let line = Paint::Colours.on(style, "\u{65e5}\u{672c}\ta\nb");
            assert_eq!(shown(&line), line);
        }
    }
}
