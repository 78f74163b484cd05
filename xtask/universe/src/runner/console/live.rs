//! The live display on a terminal: one line per running test with its running time, and one bar for
//! all tests.
//!
//! It disappears from the screen at the end.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::base::limits::{LIVE_INTERVAL, LIVE_LINES_MAX};

/// The display.
#[derive(Debug)]
pub(super) struct Live {
    screen: MultiProgress,
    total: ProgressBar,
    running: Mutex<BTreeMap<usize, ProgressBar>>,
}

impl Live {
    /// An empty display; draws nothing before [`Live::begin`].
    pub(super) fn new() -> Live {
        let total = ProgressBar::hidden();
        Live {
            screen: MultiProgress::new(),
            total,
            running: Mutex::default(),
        }
    }

    /// Shows the bar for `count` tests.
    pub(super) fn begin(&self, count: usize) {
        self.total.set_length(count as u64);
        self.total
            .set_style(style("{elapsed:>8} {bar:40} {pos}/{len} {msg}"));
        self.screen.add(self.total.clone());
        self.total.enable_steady_tick(LIVE_INTERVAL);
    }

    /// Makes the bar longer.
    pub(super) fn expect_one_more(&self) {
        self.total.inc_length(1);
    }

    /// Shows a line for a test, if there is room.
    pub(super) fn started(&self, number: usize, name: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.len() < LIVE_LINES_MAX {
            let bar = self.screen.insert_before(&self.total, ProgressBar::new_spinner());
            bar.set_style(style("{elapsed:>8} {wide_msg}"));
            bar.set_message(name.to_owned());
            bar.enable_steady_tick(LIVE_INTERVAL);
            running.insert(number, bar);
        }
    }

    /// Removes the line of a test and counts it.
    pub(super) fn finished(&self, number: usize) {
        let bar = self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&number);
        if let Some(bar) = bar {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        self.total.inc(1);
    }

    /// Removes everything.
    pub(super) fn end(&self) {
        self.total.finish_and_clear();
        self.screen.clear().ok();
    }

    /// Hides the display while `print` writes.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        self.screen.suspend(print);
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
