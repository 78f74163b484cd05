//! Files that are being read again at this moment: each by one thread, even if several threads ask
//! for it.
//!
//! The other peer decides how many lanes ask for a file that has changed, and it can begin session
//! after session while a large file is being read. So the lanes that read or wait are bounded.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::limits::REREADING_LANES_MAX;

/// The side that a file is read again for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A lane of the other peer.
    Lane,
    /// This side.
    Us,
}

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Rereads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    reading: HashSet<PathBuf>,
    lane_count: usize,
}

/// The right to read one file again; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    rereads: &'a Rereads,
    path: &'a Path,
    asker: Asker,
}

impl Rereads {
    /// Waits until no other thread reads the file at `path`. `None` for a lane when
    /// [`REREADING_LANES_MAX`] lanes have a turn or wait for one.
    pub(crate) fn turn<'a>(&'a self, path: &'a Path, asker: Asker) -> Option<Turn<'a>> {
        let mut state = self.lock();
        if asker == Asker::Lane {
            if state.lane_count >= REREADING_LANES_MAX {
                return None;
            }
            state.lane_count += 1;
        }
        while !state.reading.insert(path.to_owned()) {
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(Turn {
            rereads: self,
            path,
            asker,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.rereads.lock();
        state.reading.remove(self.path);
        state.lane_count -= usize::from(self.asker == Asker::Lane);
        drop(state);
        self.rereads.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_get_turns_up_to_the_limit_and_this_side_gets_one_beyond_it() {
        let rereads = Rereads::default();
        let paths: Vec<_> = (0..=REREADING_LANES_MAX)
            .map(|index| PathBuf::from(format!("/{index}")))
            .collect();
        let (last, first) = paths.split_last().unwrap();
        let mut turns: Vec<_> = first
            .iter()
            .map(|path| rereads.turn(path, Asker::Lane).unwrap())
            .collect();
        assert!(rereads.turn(last, Asker::Lane).is_none());
        assert!(rereads.turn(last, Asker::Us).is_some());
        turns.pop();
        assert!(rereads.turn(last, Asker::Lane).is_some());
    }
}
