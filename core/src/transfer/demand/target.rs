//! One content that readers want, and the orders that lanes take for it.
//!
//! Owns which blocks of it are pending and which are on their way, and by what they will be
//! checked. Which content comes first, and which lane, is decided above.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::time::Instant;

use super::Waiter;
use crate::store::{Cached, FineOutline, GROUP_LEN, group_count};

/// Which lane it is that takes an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneId(pub(super) u64);

/// A piece of work for one lane.
#[derive(Debug)]
pub(crate) struct Order {
    /// Which target it is for: one that failed meanwhile is not the one that somebody wants now.
    pub(super) target: u64,
    pub(crate) cached: Arc<Cached>,
    pub(crate) wanted: Wanted,
    pub(crate) urgent: bool,
}

/// What is to be fetched.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// The outline.
    Outline,
    /// Blocks of one group, a bit for each.
    Blocks {
        /// Index of the group.
        group: u64,
        /// Which.
        mask: u64,
        /// By what they are checked.
        check: Check,
    },
}

/// By what blocks are checked.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// It is the whole group: by the outline, or by the root hash.
    Group,
    /// By a fine outline that is here.
    Fine(Arc<FineOutline>),
    /// By the fine outline, which is asked for with them.
    FineToCome,
}

impl Order {
    /// The same order of only some of its blocks.
    pub(crate) fn only(self, blocks: u64) -> Self {
        let wanted = match self.wanted {
            Wanted::Blocks { group, mask, check } => Wanted::Blocks {
                group,
                mask: mask & blocks,
                check,
            },
            Wanted::Outline => Wanted::Outline,
        };
        Self { wanted, ..self }
    }
}

/// A content that somebody wants.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) id: u64,
    pub(super) cached: Arc<Cached>,
    pub(super) groups: HashMap<u64, Claim>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) outline_asked: Option<LaneId>,
    pub(super) corrupt: u32,
    /// The next group to be fetched, of a content that is wanted as a whole.
    pub(super) bulk_next: Option<u64>,
    pub(super) progressed_at: Option<Instant>,
}

/// Blocks of one group that are not here yet.
#[derive(Debug, Default)]
pub(super) struct Claim {
    pub(super) pending: u64,
    pub(super) in_flight: u64,
    /// Whether it is in the urgent queue.
    pub(super) is_urgent: bool,
}

impl Target {
    pub(super) fn new(id: u64, cached: Arc<Cached>) -> Self {
        Self {
            id,
            cached,
            groups: HashMap::new(),
            waiters: Vec::new(),
            outline_asked: None,
            corrupt: 0,
            bulk_next: None,
            progressed_at: None,
        }
    }

    /// `true` if that has to be queued: it is neither on its way nor among what is urgent already.
    pub(super) fn want_now(&mut self, group: u64, blocks: u64) -> bool {
        let claim = self.groups.entry(group).or_default();
        let wanted = blocks & !claim.in_flight;
        claim.pending |= wanted;
        wanted != 0 && !std::mem::replace(&mut claim.is_urgent, true)
    }

    /// `true` if that has to be queued: nobody else wants it yet.
    pub(super) fn want_ahead(&mut self, group: u64, blocks: u64) -> bool {
        let claim = self.groups.entry(group).or_default();
        let fresh = blocks & !claim.in_flight & !claim.pending;
        claim.pending |= fresh;
        fresh != 0 && !claim.is_urgent
    }

    pub(super) fn forget_pending(&mut self) {
        self.groups.retain(|_, claim| {
            claim.pending = 0;
            claim.in_flight != 0
        });
    }

    pub(super) fn release(&mut self, group: u64, mask: u64) {
        if let Some(claim) = self.groups.get_mut(&group) {
            claim.in_flight &= !mask;
            if claim.in_flight == 0 && claim.pending == 0 {
                self.groups.remove(&group);
            }
        }
    }

    /// Takes what is wanted of a group and not on its way.
    pub(super) fn claim(&mut self, group: u64) -> Option<Wanted> {
        let claim = self.groups.get_mut(&group)?;
        let (all, present) = (self.cached.blocks(group), self.cached.present(group));
        let mut mask = claim.pending & !present & !claim.in_flight;
        claim.pending = 0;
        claim.is_urgent = false;
        if mask == 0 {
            self.release(group, 0);
            return None;
        }
        let covered = present | claim.in_flight | mask;
        let is_small = group_count(self.cached.content().len) == 1;
        if is_small {
            mask = all;
        } else if covered.count_ones() * 2 >= all.count_ones() {
            // Where so much of a group is wanted, the rest is soon.
            mask = all & !present & !claim.in_flight;
        }
        claim.in_flight |= mask;
        Some(self.wanted(group, mask))
    }

    /// Takes the next group of a content that is wanted as a whole.
    pub(super) fn claim_next(&mut self) -> Option<Wanted> {
        while let Some(group) = self.bulk_next {
            if group >= self.cached.content().len.div_ceil(GROUP_LEN) {
                self.bulk_next = None;
                break;
            }
            self.bulk_next = Some(group + 1);
            self.groups.entry(group).or_default().pending |= self.cached.blocks(group);
            let wanted = self.claim(group);
            if wanted.is_some() {
                return wanted;
            }
        }
        None
    }

    pub(super) fn wanted(&self, group: u64, mask: u64) -> Wanted {
        let check = if mask == self.cached.blocks(group) {
            Check::Group
        } else {
            self.cached.fine(group).map_or(Check::FineToCome, Check::Fine)
        };
        Wanted::Blocks { group, mask, check }
    }

    pub(super) fn order(&self, wanted: Wanted) -> Order {
        Order {
            target: self.id,
            cached: self.cached.clone(),
            wanted,
            urgent: false,
        }
    }

    pub(super) fn ask_outline(&mut self, lane: LaneId) -> Order {
        self.outline_asked = Some(lane);
        self.order(Wanted::Outline)
    }

    /// Whether a lane may ask for bytes of it: they are checked against the outline, which has to
    /// come before them.
    pub(super) fn may_be_asked_by(&self, lane: LaneId) -> bool {
        self.cached.outline().is_some() || self.outline_asked.is_none_or(|asked_by| asked_by == lane)
    }

    pub(super) fn needs_outline(&self) -> bool {
        self.cached.outline().is_none() && self.outline_asked.is_none()
    }

    pub(super) fn is_done(&self) -> bool {
        self.groups.is_empty() && self.waiters.is_empty() && self.bulk_next.is_none()
    }
}
