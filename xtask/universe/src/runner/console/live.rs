//! The live display on a terminal, as `progress` describes it: draws it at the bottom, and takes it
//! away where a line is printed.
//!
//! It draws with a few sequences that every terminal knows (ECMA-48), and it leaves nothing on the
//! screen at the end.

use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Paint;
use super::fit::columns;
use super::progress::{Ended, Forecast, Progress, Size, Started};
use crate::base::limits::LIVE_INTERVAL;
use crate::base::terminal;

/// The display.
#[derive(Debug)]
pub(super) struct Live {
    paint: Paint,
    screen: Mutex<Screen>,
}

/// What is on the screen.
#[derive(Debug, Default)]
struct Screen {
    progress: Option<Progress>,
    /// The columns of each row that is there.
    drawn: Vec<usize>,
    /// When to draw again.
    next: Option<Instant>,
}

impl Live {
    /// An empty display; draws nothing before [`Live::begin`].
    pub(super) fn new(paint: Paint) -> Live {
        Live {
            paint,
            screen: Mutex::default(),
        }
    }

    /// Shows the display from now on.
    pub(super) fn begin(&self, forecast: Forecast, now: Instant) {
        self.with(|screen| {
            screen.progress = Some(Progress::new(forecast, now));
            screen.next = Some(now);
        });
    }

    /// A test starts.
    pub(super) fn started(&self, test: &Started<'_>) {
        self.change(|progress| progress.started(test));
    }

    /// A test ended.
    pub(super) fn ended(&self, slot: usize, how: Ended) {
        self.change(|progress| progress.ended(slot, how));
    }

    /// No further test starts.
    pub(super) fn starts_no_more(&self) {
        self.change(Progress::starts_no_more);
    }

    /// When [`Live::draw`] is due.
    pub(super) fn wake(&self) -> Option<Instant> {
        self.with(|screen| screen.next)
    }

    /// Draws the display as it is at `time`, by the clock that stands still while the run is
    /// suspended. The next draw is due an interval after `now`, by the clock that never does.
    pub(super) fn draw(&self, now: Instant, time: Instant) {
        self.with(|screen| {
            screen.next = screen.progress.is_some().then(|| now + LIVE_INTERVAL);
            if let Some(progress) = &mut screen.progress {
                progress.advance(time);
            }
            print(&screen.frame(size(), self.paint));
        });
    }

    /// Takes the display away while `write` writes.
    pub(super) fn suspend(&self, write: impl FnOnce()) {
        self.with(|screen| {
            print(&screen.erased(size()));
            write();
            print(&screen.frame(size(), self.paint));
        });
    }

    /// Removes everything.
    pub(super) fn end(&self) {
        self.with(|screen| {
            print(&screen.erased(size()));
            *screen = Screen::default();
        });
    }

    fn change(&self, change: impl FnOnce(&mut Progress)) {
        self.with(|screen| screen.progress.as_mut().map(change));
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Screen) -> T) -> T {
        use_it(&mut self.screen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Screen {
    /// What draws the current rows over those that are there.
    fn frame(&mut self, size: Size, paint: Paint) -> String {
        let Some(progress) = &self.progress else {
            return String::new();
        };
        let rows = progress.rows(size, paint);
        let widths = progress.rows(size, Paint::Plain);
        let up = self.up(size);
        self.drawn = widths.iter().map(|row| columns(row)).collect();
        let rows: Vec<String> = rows.iter().map(|row| format!("{row}\x1b[K")).collect();
        format!("{up}{}\x1b[J", rows.join("\r\n"))
    }

    /// What removes the rows that are there.
    fn erased(&mut self, size: Size) -> String {
        match self.drawn.is_empty() {
            true => String::new(),
            false => {
                let up = self.up(size);
                self.drawn.clear();
                format!("{up}\x1b[J")
            }
        }
    }

    /// What moves the cursor from the end of the last row to the beginning of the first. A terminal
    /// that has become narrower has broken the rows.
    fn up(&self, size: Size) -> String {
        let broken = |width: &usize| width.div_ceil(size.columns.max(1)).max(1);
        match self.drawn.iter().map(broken).sum::<usize>() {
            0 | 1 => "\r".to_owned(),
            rows => format!("\r\x1b[{}A", rows - 1),
        }
    }
}

fn size() -> Size {
    let (columns, rows) = terminal::size();
    Size { columns, rows }
}

/// Writes to the terminal. A terminal that is gone is noticed where results are written.
fn print(text: &str) {
    let mut terminal = std::io::stderr().lock();
    terminal
        .write_all(text.as_bytes())
        .and_then(|()| terminal.flush())
        .ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    const SIZE: Size = Size {
        columns: 40,
        rows: 24,
    };

    fn screen(running: usize) -> Screen {
        let (now, forecast) = (clock::now(), Forecast::default());
        let mut progress = Progress::new(forecast, now);
        for slot in 0..running {
            progress.started(&Started {
                slot,
                number: slot,
                suite: "p::suite",
                name: "a_name_of_about_thirty_columns",
                slow: std::time::Duration::MAX,
                attempt: 1,
            });
        }
        Screen {
            progress: Some(progress),
            ..Screen::default()
        }
    }

    #[test]
    fn each_frame_is_drawn_over_the_one_before_and_the_last_one_is_removed() {
        let mut screen = screen(2);
        let first = screen.frame(SIZE, Paint::Plain);
        assert_eq!(first.matches("\r\n").count(), 2, "{first:?}");
        assert!(first.starts_with("\r  ") && first.ends_with("\x1b[K\x1b[J"));
        assert!(screen.frame(SIZE, Paint::Plain).starts_with("\r\x1b[2A  "));
        assert_eq!(screen.erased(SIZE), "\r\x1b[2A\x1b[J");
        assert_eq!(screen.erased(SIZE), "", "there is nothing left to remove");
    }

    #[test]
    fn rows_that_a_narrower_terminal_has_broken_are_removed_whole() {
        let mut screen = screen(2);
        screen.frame(SIZE, Paint::Plain);
        let narrow = Size { columns: 20, ..SIZE };
        assert_eq!(screen.erased(narrow), "\r\x1b[5A\x1b[J");
    }
}
