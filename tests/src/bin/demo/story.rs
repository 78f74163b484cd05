//! What the demo prints: one line per step with the time since the start, and a progress bar for
//! long work.
//!
//! Lines go to standard output; the bar to standard error, and only when that is a terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tandem_core::clock::Clock;
use tokio::time::Instant;

/// The lines of one run.
#[derive(Debug)]
pub(crate) struct Story {
    clock: Clock,
    started: Instant,
}

impl Story {
    /// Starts the clock.
    pub(crate) fn begin() -> Story {
        let clock = Clock::system();
        Story {
            started: clock.now(),
            clock,
        }
    }

    /// Prints one step: the time, the party, the action.
    pub(crate) fn tell(&self, who: &str, what: impl Display) -> io::Result<()> {
        let secs = self.elapsed().as_secs_f64();
        writeln!(
            io::stdout().lock(),
            "{secs:9.3} s  {who:<7} {}",
            printable(&what.to_string())
        )
    }

    /// Prints the total time. Cleaning up afterwards doesn't count.
    pub(crate) fn done(&self) -> io::Result<()> {
        self.tell("done", format_args!("in {:.3} s", self.elapsed().as_secs_f64()))
    }

    fn elapsed(&self) -> Duration {
        self.now() - self.started
    }

    /// The time by the clock that the story uses.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }
}

/// `text` with control characters escaped: the name of a file could otherwise steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |character: char| match character {
        '\n' => "\n".to_owned(),
        character if character.is_control() => character.escape_default().to_string(),
        character => character.to_string(),
    };
    text.chars().map(shown).collect()
}

/// A bar over `total_len` bytes; hidden if stderr is not a terminal.
pub(crate) fn progress_bar(total_len: u64) -> ProgressBar {
    let target = match io::stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let template = "{bar:40} {binary_bytes}/{binary_total_bytes} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total_len), target).with_style(style)
}

/// `7 files, 1.2 MiB`.
pub(crate) fn amount(count: usize, len: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} file{plural}, {}", indicatif::BinaryBytes(len))
}

/// `in 12.3 ms`. Rates are for `cargo xtask bench`: the demo is not optimised.
pub(crate) fn duration(elapsed: Duration) -> String {
    format!("in {:.1} ms", elapsed.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_durations_have_units() {
        assert_eq!(amount(1, 512), "1 file, 512 B");
        assert_eq!(amount(7, 3 << 20), "7 files, 3.00 MiB");
        assert_eq!(duration(Duration::from_secs(1)), "in 1000.0 ms");
    }

    #[test]
    fn a_name_can_not_steer_the_terminal() {
        assert_eq!(printable("esc\u{1b}[31m\nümlaut"), "esc\\u{1b}[31m\nümlaut");
    }
}
