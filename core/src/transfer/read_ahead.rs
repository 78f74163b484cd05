//! What to fetch for one reader: what it reads now, and what it is likely to read next.
//!
//! A pure state machine that sees every read. It decides whether a reader is sequential. It does
//! not know which blocks are here or in flight. A sequential reader gets whole groups, and a window
//! ahead that doubles. A random reader gets the blocks that it touches and nothing else.

use std::ops::Range;

use crate::limits::{READ_AHEAD_GAP_LEN, READ_AHEAD_LEN_FIRST, READ_AHEAD_LEN_MAX, READ_AHEAD_SLACK_LEN};
use crate::store::{BLOCK_LEN, GROUP_LEN, group_count};

/// What to fetch for one read. Both ranges end no later than the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Plan {
    /// To be fetched now: whole blocks, or whole groups.
    pub(crate) now: Range<u64>,
    /// To be fetched next, whole groups; empty when there is nothing new.
    pub(crate) ahead: Range<u64>,
}

/// How one reader has read so far.
#[derive(Debug, Clone)]
pub(crate) struct ReadAhead {
    len: u64,
    last: Option<(Range<u64>, Plan)>,
    /// Where its next read is expected.
    next: u64,
    /// The bytes to read ahead of it; 0 for a reader that is not sequential.
    window: u64,
    /// The end of what was read ahead already.
    planned: u64,
}

impl ReadAhead {
    /// The state of a new reader of a file of `len` bytes.
    pub(crate) fn new(len: u64) -> Self {
        Self {
            len,
            last: None,
            next: 0,
            window: 0,
            planned: 0,
        }
    }

    /// Notes a read of `len` bytes from `offset`, and returns what to fetch for it. The same read
    /// again gets the same answer.
    pub(crate) fn on_read(&mut self, offset: u64, len: u64) -> Plan {
        let start = offset.min(self.len);
        let read = start..offset.saturating_add(len).min(self.len);
        if read.is_empty() {
            return Plan::default();
        }
        if let Some((last, plan)) = &self.last
            && *last == read
        {
            return plan.clone();
        }
        self.follow(&read);
        let plan = Plan {
            now: self.now(&read),
            ahead: self.ahead(),
        };
        self.last = Some((read, plan.clone()));
        plan
    }

    fn follow(&mut self, read: &Range<u64>) {
        if self.is_sequential(read.start) {
            self.window = self.window.max(READ_AHEAD_LEN_FIRST);
            self.next = self.next.max(read.end);
        } else {
            self.window = 0;
            self.next = read.end;
            self.planned = 0;
        }
    }

    fn is_sequential(&self, start: u64) -> bool {
        let slack = match self.window {
            // A reader that starts at the beginning usually goes on from there.
            0 if self.last.is_none() => return start == 0,
            0 => READ_AHEAD_GAP_LEN,
            _ => READ_AHEAD_SLACK_LEN,
        };
        // A reader that has just jumped and now goes back is not sequential.
        let behind = if self.window == 0 { 0 } else { slack };
        start.saturating_add(behind) >= self.next && start <= self.next.saturating_add(slack)
    }

    fn now(&self, read: &Range<u64>) -> Range<u64> {
        let unit_len = if self.window > 0 || group_count(self.len) == 1 {
            GROUP_LEN
        } else {
            BLOCK_LEN
        };
        read.start / unit_len * unit_len..self.round_up(read.end, unit_len)
    }

    /// The part of the window that was not planned yet. The window grows whenever the reader enters
    /// another group.
    fn ahead(&mut self) -> Range<u64> {
        if self.window == 0 {
            return 0..0;
        }
        let from = self.round_up(self.next, GROUP_LEN).max(self.planned);
        let to = self.round_up(self.next.saturating_add(self.window), GROUP_LEN);
        if from >= to {
            return 0..0;
        }
        self.planned = to;
        self.window = (self.window * 2).min(READ_AHEAD_LEN_MAX);
        from..to
    }

    fn round_up(&self, offset: u64, unit_len: u64) -> u64 {
        offset.div_ceil(unit_len).saturating_mul(unit_len).min(self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;
    const KIB: u64 = 1 << 10;

    fn reader() -> ReadAhead {
        ReadAhead::new(100 * MIB)
    }

    #[test]
    fn a_reader_that_starts_at_the_beginning_gets_whole_groups_and_the_next_one() {
        let plan = reader().on_read(0, 4 * KIB);
        assert_eq!((plan.now, plan.ahead), (0..MIB, MIB..2 * MIB));
    }

    #[test]
    fn a_read_in_the_middle_gets_the_blocks_it_touches_and_nothing_else() {
        let plan = reader().on_read(50 * MIB + 15 * KIB, 4 * KIB);
        assert_eq!(plan.now, 50 * MIB..50 * MIB + 32 * KIB);
        assert!(plan.ahead.is_empty());
    }

    #[test]
    fn a_second_read_that_follows_makes_a_reader_sequential() {
        let mut reader = reader();
        reader.on_read(50 * MIB, 128 * KIB);
        let plan = reader.on_read(50 * MIB + 128 * KIB, 128 * KIB);
        assert_eq!((plan.now, plan.ahead), (50 * MIB..51 * MIB, 51 * MIB..52 * MIB));
    }

    #[test]
    fn the_window_doubles_with_each_group_up_to_its_limit_and_nothing_is_planned_twice() {
        let mut reader = reader();
        let (mut planned, mut largest) = (MIB, 0);
        for read in 0..400 {
            let offset = read * 128 * KIB;
            let plan = reader.on_read(offset, 128 * KIB);
            if !plan.ahead.is_empty() {
                assert_eq!(plan.ahead.start, planned);
                planned = plan.ahead.end;
                largest = largest.max(planned - offset);
            }
        }
        assert!(largest <= READ_AHEAD_LEN_MAX + MIB, "{largest}");
        assert!(largest >= READ_AHEAD_LEN_MAX - MIB, "{largest}");
    }

    #[test]
    fn reads_that_arrive_out_of_order_stay_sequential() {
        let mut reader = reader();
        for read in [0, 1, 3, 2, 5, 4, 9, 7, 8, 6] {
            let plan = reader.on_read(20 * MIB + read * 128 * KIB, 128 * KIB);
            assert!(read < 1 || plan.now.end - plan.now.start >= MIB, "{read}");
        }
        assert!(reader.window > 0);
    }

    #[test]
    fn a_jump_resets_the_window() {
        let mut reader = reader();
        for read in 0..100 {
            reader.on_read(read * 128 * KIB, 128 * KIB);
        }
        let plan = reader.on_read(80 * MIB, 4 * KIB);
        assert_eq!(plan.now, 80 * MIB..80 * MIB + 16 * KIB);
        assert!(plan.ahead.is_empty());
        let plan = reader.on_read(80 * MIB + 4 * KIB, 4 * KIB);
        assert_eq!(plan.ahead, 81 * MIB..82 * MIB);
    }

    #[test]
    fn random_reads_near_each_other_are_not_sequential_when_they_go_back() {
        let mut reader = reader();
        for offset in [50 * MIB, 50 * MIB - 100 * KIB, 50 * MIB - 300 * KIB, 49 * MIB] {
            let plan = reader.on_read(offset, 4 * KIB);
            assert!(plan.ahead.is_empty() && plan.now.end - plan.now.start <= 32 * KIB);
        }
    }

    #[test]
    fn the_same_read_again_changes_nothing() {
        let mut reader = reader();
        for offset in [0, 50 * MIB] {
            let plan = reader.on_read(offset, 4 * KIB);
            for _ in 0..3 {
                assert_eq!(reader.on_read(offset, 4 * KIB), plan);
            }
        }
    }

    #[test]
    fn a_file_of_one_group_is_fetched_whole() {
        let plan = ReadAhead::new(300 * KIB).on_read(100 * KIB, 1);
        assert_eq!(plan.now, 0..300 * KIB);
    }

    #[test]
    fn nothing_is_fetched_for_a_read_beyond_the_end() {
        let mut reader = reader();
        for (offset, len) in [(100 * MIB, 1), (u64::MAX, u64::MAX), (5, 0)] {
            assert_eq!(reader.on_read(offset, len), Plan::default());
        }
    }

    proptest! {
        #[test]
        fn every_plan_covers_the_read_and_ends_at_the_end(
            len in 1..60 * MIB,
            reads in proptest::collection::vec((0..64 * MIB, 1..2 * MIB), 1..60),
            run in 0..60_u64,
        ) {
            let mut reader = ReadAhead::new(len);
            let following = (0..run).map(|read| (read * 100_000, 100_000));
            for (offset, wanted) in reads.into_iter().chain(following) {
                let plan = reader.on_read(offset, wanted);
                prop_assert!(plan.now.end <= len && plan.ahead.end <= len);
                if offset < len {
                    prop_assert!(plan.now.start <= offset && plan.now.end >= (offset + wanted).min(len));
                    prop_assert!(plan.now.start.is_multiple_of(BLOCK_LEN));
                    prop_assert!(plan.ahead.end.saturating_sub(offset) <= READ_AHEAD_LEN_MAX + 5 * MIB);
                }
            }
        }
    }
}
