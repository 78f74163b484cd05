//! What a person reads and types. On standard output there is only what was asked for; everything
//! else is on standard error. Names from the other side never steer the terminal.
//!
//! Here alone it is decided what `--json` and `-q` do: with `--json`, standard output has events
//! instead of texts; with `-q`, standard error has only errors and questions.

use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;
use std::pin::pin;
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tandem_core::clock::Clock;
use tandem_core::printable::Printable;
use tandem_core::transfer::Progress;

use crate::event::{Event, Step};
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::{BAR_DRAWS_PER_SECOND, BAR_INTERVAL};

/// What is said when the session has ended.
pub(crate) const GONE: &str = "the other side is gone; it comes back by itself, unless it was stopped";
/// Why a link is left out of a pulled folder.
pub(crate) const LEADS_OUT: &str = "a link that leads out of the folder, or may";
/// Why something that is no file or folder is not shared.
pub(crate) const NO_ORDINARY_FILE: &str = "it is a link, or no ordinary file";
const BAR: &str = "{bytes}/{total_bytes} {wide_bar} {bytes_per_sec}, {eta} left, {msg}";

/// What is on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Format {
    /// What was asked for, as text.
    #[default]
    Text,
    /// Each event and answer, as one line of JSON.
    Json,
}

/// What is on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Volume {
    /// What happens.
    #[default]
    Normal,
    /// Errors and questions.
    Quiet,
}

static CHOSEN: OnceLock<(Format, Volume)> = OnceLock::new();

/// Chooses both for this process, once, before anything is said.
pub(crate) fn choose(format: Format, volume: Volume) {
    CHOSEN.get_or_init(|| (format, volume));
}

fn format() -> Format {
    CHOSEN.get().copied().unwrap_or_default().0
}

fn volume() -> Volume {
    CHOSEN.get().copied().unwrap_or_default().1
}

tokio::task_local! {
    /// The share that the present task works for.
    static SHARE: String;
}

/// Does `work`; what is reported meanwhile concerns this share.
pub(crate) async fn in_share<T>(name: &str, work: impl Future<Output = T>) -> T {
    SHARE.scope(name.to_owned(), work).await
}

/// Reports an event that concerns this share.
pub(crate) fn tell_of(share: &str, event: &Event<'_>, line: impl fmt::Display) {
    SHARE.sync_scope(share.to_owned(), || tell(event, line));
}

/// An event, as it is written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    event: &'a Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<String>,
}

/// Says one line to the person, unless `-q` was given.
pub(crate) fn say(line: impl fmt::Display) {
    if volume() == Volume::Normal {
        say_always(line);
    }
}

/// Says one line that the person needs. If standard error is closed, nobody reads it.
pub(crate) fn say_always(line: impl fmt::Display) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// Reports an event: as that line to the person, and with `--json` on standard output.
pub(crate) fn tell(event: &Event<'_>, line: impl fmt::Display) {
    say(line);
    report(event);
}

/// Reports an event to programs alone. If standard output is closed, nobody reads it.
pub(crate) fn report(event: &Event<'_>) {
    if format() == Format::Json {
        drop(write_out(json(event)));
    }
}

/// Writes one line of what was asked for; with `--json`, the event in its place.
pub(crate) fn answer(event: &Event<'_>, line: impl fmt::Display) -> Result<(), Failure> {
    match format() {
        Format::Json => write_out(json(event)),
        Format::Text => write_out(line),
    }
}

/// Writes a text that was asked for.
pub(crate) fn write_out(text: impl fmt::Display) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        // The program that reads has enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Exit::LocalDisk.into()),
        written => written.or_exit(Exit::LocalDisk),
    }
}

/// An event as one line of JSON. What would steer a terminal is escaped as JSON does it, so that
/// programs read the names as they are.
fn json(event: &Event<'_>) -> String {
    let share = SHARE.try_with(String::clone).ok();
    let text = serde_json::to_string(&Line { event, share }).unwrap_or_else(|error| {
        let text = format!("an event can't be written: {error}");
        serde_json::json!({ "kind": "error", "exit": Exit::LocalDisk.number(), "text": text }).to_string()
    });
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            line.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    line
}

fn is_plain(character: char) -> bool {
    character.is_ascii_graphic()
        || character == ' '
        || clean(character.encode_utf8(&mut [0; 4])).chars().eq([character])
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
            _ => say_always("please answer y or n"),
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
    let target = match volume() {
        Volume::Normal => ProgressDrawTarget::stderr_with_hz(BAR_DRAWS_PER_SECOND),
        Volume::Quiet => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template(BAR) {
        bar.set_style(style);
    }
    bar
}

/// Shows on a terminal how far the pull is, until it has ended.
pub(crate) async fn with_bar<T>(progress: &Progress, pull: impl Future<Output = T>) -> T {
    let (bar, clock) = (bar(), Clock::system());
    let mut pull = pin!(pull);
    let pulled = loop {
        tokio::select! {
            pulled = &mut pull => break pulled,
            () = clock.sleep_until(clock.now() + BAR_INTERVAL) => show_progress(&bar, progress),
        }
    };
    bar.finish_and_clear();
    pulled
}

/// Shows on the bar how far a pull is.
fn show_progress(bar: &ProgressBar, progress: &Progress) {
    show_step(bar, Step::of(progress));
}

/// As [`show_progress`], for a pull of another process.
pub(crate) fn show_step(bar: &ProgressBar, step: Step) {
    bar.set_length(step.bytes_total);
    bar.set_position(step.bytes);
    bar.set_message(format!("{} of {} files", step.files, step.files_total));
}

/// A text as a QR code of half blocks, two rows of the code in one line. `None` if the terminal is
/// too narrow for it.
pub(crate) fn qr(text: &str) -> Option<String> {
    let code = qrcode::QrCode::new(text).ok()?;
    let drawn = code.render::<qrcode::render::unicode::Dense1x2>().build();
    let width = drawn.lines().map(|line| line.chars().count()).max()?;
    if terminal_width().is_some_and(|columns| width > columns) {
        return None;
    }
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return Some(drawn);
    }
    // Black on white, whatever the terminal's own colours are.
    let lines = drawn
        .lines()
        .map(|line| format!("\u{1b}[30;107m{line}\u{1b}[0m\n"));
    Some(lines.collect())
}

/// How many columns the terminal has, if standard error is one.
fn terminal_width() -> Option<usize> {
    #[cfg(unix)]
    {
        let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_in_a_line_of_json_steers_a_terminal_and_each_is_read_as_it_is() {
        let name = "a\u{1b}[2J\u{9b}\u{7f}\u{202e}\u{2028}\n\"ü日";
        let line = json(&Event::Code {
            code: name,
            minutes: 1,
        });
        assert_eq!(clean(&line), line);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["code"], name);
    }
}
