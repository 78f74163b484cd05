//! The faults of a link, and the guard that ends them. This file only changes values; `pump` acts
//! on them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// The faults in force on a link. Counters, because faults may overlap.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// Cuts in force: new connections are refused.
    pub(super) cuts: u32,
    /// Silences in force: nothing is delivered.
    pub(super) silences: u32,
    /// How much later each byte is delivered.
    pub(super) delay: Duration,
    /// The limit of each direction of each connection.
    pub(super) bytes_per_second: Option<u32>,
    /// The number of resets of all connections.
    pub(super) resets: u64,
}

/// How a fault is taken back.
type End = Box<dyn FnOnce(&mut Condition) + Send>;

/// A fault in force. It ends when this is dropped, or by [`Fault::heal`], which reads better in the
/// middle of a test.
#[must_use = "the fault ends when this is dropped"]
pub struct Fault {
    condition: watch::Sender<Condition>,
    end: Option<End>,
}

impl Fault {
    pub(super) fn new(
        condition: watch::Sender<Condition>,
        end: impl FnOnce(&mut Condition) + Send + 'static,
    ) -> Fault {
        Fault {
            condition,
            end: Some(Box::new(end)),
        }
    }

    /// Ends the fault.
    pub fn heal(self) {
        drop(self);
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            self.condition.send_modify(end);
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("condition", &*self.condition.borrow())
            .finish()
    }
}

/// The byte to corrupt, as the number of bytes before it.
#[derive(Debug)]
pub(super) struct Corruption {
    /// `u64::MAX` if no byte is to be corrupted.
    remaining_len: AtomicU64,
}

impl Default for Corruption {
    fn default() -> Self {
        Corruption {
            remaining_len: AtomicU64::new(u64::MAX),
        }
    }
}

impl Corruption {
    pub(super) fn arm(&self, len: u64) {
        self.remaining_len.store(len, Ordering::SeqCst);
    }

    pub(super) fn is_armed(&self) -> bool {
        self.remaining_len.load(Ordering::SeqCst) != u64::MAX
    }

    /// Flips a bit if the byte lies in this chunk.
    pub(super) fn apply(&self, chunk: &mut [u8]) {
        let len = chunk.len() as u64;
        let step = |remaining| match remaining {
            u64::MAX => None,
            here if here < len => Some(u64::MAX),
            later => Some(later - len),
        };
        let before = self
            .remaining_len
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, step);
        let index = before.ok().and_then(|remaining| usize::try_from(remaining).ok());
        if let Some(byte) = index.and_then(|index| chunk.get_mut(index)) {
            *byte ^= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_wanted_byte_is_corrupted() {
        let corruption = Corruption::default();
        let mut chunks = [[0; 4]; 3];
        corruption.arm(5);
        chunks.iter_mut().for_each(|chunk| corruption.apply(chunk));
        assert_eq!(chunks, [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]);
        assert!(!corruption.is_armed());
    }

    #[test]
    fn a_fault_ends_with_its_guard() {
        let condition = watch::Sender::new(Condition::default());
        condition.send_modify(|condition| condition.cuts += 1);
        Fault::new(condition.clone(), |condition| condition.cuts -= 1).heal();
        assert_eq!(condition.borrow().cuts, 0);
    }
}
