//! What a person sees while tests run and at the end. On a terminal: lines that fit it, failures at
//! once, and a display with the running tests at the bottom. Elsewhere, as in a log: one line per
//! test, as plain text. Text that a CI system would read as a command is shown as text. Only
//! [`Console::command`] prints commands.
//!
//! Results go to stdout, progress to stderr. A closed stdout never ends a run: the report still has
//! everything. A reader that closes the pipe is no error; any other failure to write is reported at
//! the end.

mod backtrace;
mod fit;
mod lines;
mod live;
mod progress;
mod remarks;
mod repeated;
mod summary;

use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub use crate::base::disarm::{disarmed, disarmed_json};
pub use crate::base::terminal::{Paint, Style};
pub(crate) use progress::{Ended, Forecast, Rounds, Started};
pub use summary::Summary;
pub(crate) use summary::took;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;
use crate::base::terminal::{self, Colour, stderr_is_a_terminal};
use crate::base::text::harmless;
use crate::report::data::Case;
use live::Live;

/// Where results are shown.
#[derive(Debug)]
pub struct Console {
    live: Option<Live>,
    out: Out,
    paint: Paint,
    level: StatusLevel,
    /// The first error of printing.
    trouble: OnceLock<std::io::Error>,
}

/// Which tests have a line of their own while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum StatusLevel {
    /// Those that fail.
    Fail,
    /// Also those that are slow.
    Slow,
    /// All, also those that are skipped.
    Pass,
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
            live: live.then(|| Live::new(paint)),
            out: Out::Stdout,
            paint,
            level: StatusLevel::Pass,
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

    /// With lines for the tests that this level names; by default, a live display makes those of
    /// other tests than failed ones unnecessary.
    pub(crate) fn at(self, level: Option<StatusLevel>) -> Console {
        let usual = if self.live.is_some() {
            StatusLevel::Fail
        } else {
            StatusLevel::Pass
        };
        Console {
            level: level.unwrap_or(usual),
            ..self
        }
    }

    /// Reserves standard output for other data: results are plain lines on standard error.
    pub(crate) fn beside_stdout() -> Console {
        Console {
            live: None,
            out: Out::Stderr,
            paint: Paint::Plain,
            level: StatusLevel::Pass,
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

    /// How many columns a line may take; `None` if lines may have any length.
    fn room(&self) -> Option<usize> {
        self.live.is_some().then(|| terminal::size().0)
    }

    /// Whether a test is shown for which this level is enough.
    pub(crate) fn shows(&self, level: StatusLevel) -> bool {
        level <= self.level
    }

    /// Tests are about to run.
    pub(crate) fn begin(&self, forecast: impl FnOnce() -> Forecast, now: Instant) {
        if let Some(live) = &self.live {
            live.begin(forecast(), now);
        }
    }

    /// Whether there is a live display.
    pub(crate) fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// When [`Console::draw`] is due, if ever.
    pub(crate) fn wake(&self) -> Option<Instant> {
        self.live.as_ref().and_then(Live::wake)
    }

    /// Draws the live display as it is at `time`, by the clock of the tests.
    pub(crate) fn draw(&self, now: Instant, time: Instant) {
        if let Some(live) = &self.live {
            live.draw(now, time);
        }
    }

    /// A test starts.
    pub(crate) fn started(&self, test: &Started<'_>) {
        if let Some(live) = &self.live {
            live.started(test);
        }
    }

    /// The test in this slot ended. Its line is for [`Console::result`].
    pub(crate) fn ended(&self, slot: usize, how: Ended) {
        if let Some(live) = &self.live {
            live.ended(slot, how);
        }
    }

    /// No further test starts.
    pub(crate) fn starts_no_more(&self) {
        if let Some(live) = &self.live {
            live.starts_no_more();
        }
    }

    /// A test has run for longer than its slow limit.
    pub(crate) fn slow(&self, suite: &str, name: &str, passed: Duration) {
        if self.shows(StatusLevel::Slow) {
            let line = lines::slow_line(self.paint, suite, name, passed);
            self.line(&line.fitting(self.room()));
        }
    }

    /// A script that runs before tests has ended, or failed.
    pub(crate) fn script(&self, title: &str, elapsed: Duration, why: Option<&str>) {
        if why.is_some() || self.shows(StatusLevel::Pass) {
            self.line(&lines::script_line(self.paint, title, elapsed, why));
        }
    }

    /// The result of a test. A failure has its reason beside a live display, because its details
    /// follow only at the end.
    pub fn result(&self, suite: &str, name: &str, case: &Case) {
        let room = self.room();
        if self.shows(lines::level(case)) {
            let line = lines::result_line(self.paint, suite, name, case);
            let reasons = room.map(|room| lines::reasons(case, room)).unwrap_or_default();
            let lines = std::iter::once(line.fitting(room)).chain(reasons);
            self.line(&lines.collect::<Vec<_>>().join("\n"));
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
        let line = format!("{} {evil}", Paint::Colours.on(Style::Skipped, "SLOW"));
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
