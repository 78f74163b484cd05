//! What a person reads and types. On standard output there is only what was asked for; everything
//! else is on standard error. Names from the other side never steer the terminal.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tandem_core::printable::Printable;
use tandem_core::transfer::Progress;

use crate::exit::{Exit, Failure, OrExit};
use crate::limits::BAR_DRAWS_PER_SECOND;

/// What is said when the session has ended.
pub(crate) const GONE: &str = "the other side is gone; it comes back by itself, unless it was stopped";
const BAR: &str = "{bytes}/{total_bytes} {wide_bar} {bytes_per_sec}, {eta} left, {msg}";

/// Says one line to the person. If standard error is closed, nobody reads it.
pub(crate) fn say(line: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Writes one line of what was asked for.
pub(crate) fn answer(line: impl fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.or_exit(Exit::LocalDisk)
}

/// A name from the other side, with what steers a terminal escaped.
pub(crate) fn clean(name: &str) -> String {
    Printable(name).to_string()
}

/// A path, with what steers a terminal escaped.
pub(crate) fn path(path: &Path) -> String {
    clean(&path.display().to_string())
}

/// Reads one line that the person types, or that a program writes to standard input.
pub(crate) fn ask(question: &str) -> Result<String, Failure> {
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr().lock();
        drop(write!(stderr, "{question} ").and_then(|()| stderr.flush()));
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).or_exit(Exit::Usage)?;
    if line.is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "standard input has ended before an answer",
        ));
    }
    Ok(line.trim().to_owned())
}

/// Asks until the answer is yes or no. What was typed before the question is no answer to it.
pub(crate) fn agrees(question: &str) -> Result<bool, Failure> {
    #[cfg(unix)]
    if io::stdin().is_terminal() {
        use rustix::termios::{QueueSelector, tcflush};
        tcflush(io::stdin(), QueueSelector::IFlush).or_exit(Exit::LocalDisk)?;
    }
    loop {
        match ask(&format!("{question} [y/n]"))?.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" => return Ok(false),
            _ => say("please answer y or n"),
        }
    }
}

/// A length in words.
pub(crate) fn bytes(len: u64) -> String {
    indicatif::HumanBytes(len).to_string()
}

/// One thing, or many.
pub(crate) fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{count} {noun}s"),
    }
}

/// A bar that follows a pull; it is only drawn on a terminal.
pub(crate) fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(BAR_DRAWS_PER_SECOND));
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style);
    }
    bar
}

/// Shows on the bar how far a pull is.
pub(crate) fn show_progress(bar: &ProgressBar, progress: &Progress) {
    bar.set_length(progress.total_len());
    bar.set_position(progress.verified_len());
    bar.set_message(format!(
        "{} of {} files",
        progress.published_count(),
        progress.total_count()
    ));
}

/// A text as a QR code of half blocks, two rows of the code in one line.
pub(crate) fn qr(text: &str) -> Option<String> {
    let code = qrcode::QrCode::new(text).ok()?;
    let drawn = code.render::<qrcode::render::unicode::Dense1x2>().build();
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Some(drawn);
    }
    // Black on white, whatever the terminal's own colours are.
    let lines = drawn
        .lines()
        .map(|line| format!("\u{1b}[30;107m{line}\u{1b}[0m\n"));
    Some(lines.collect())
}
