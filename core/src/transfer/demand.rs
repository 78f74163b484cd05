//! What readers want to have, shared by the lanes that fetch it.
//!
//! Owns which blocks are wanted, which are on their way, and who waits for them. What somebody waits for comes before what
//! is only read ahead, and that before what is wanted as a whole; nothing is asked for twice at a time. Knows contents
//! and no sessions; it starts nothing by itself, but says what has to be started. Whoever waits is called outside of the
//! lock, from whichever thread found out.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::fault::FetchFault;
use super::read_ahead::Plan;
use crate::catalog::ContentId;
use crate::limits::{CORRUPT_GROUPS_MAX, DEMAND_AHEAD_COUNT_MAX, DEMAND_LANES_MAX, READ_PATIENCE};
use crate::store::{Cached, FineOutline, blocks_within, group_count, groups_of};

/// Called once, with what has become of a read.
pub(crate) type Done = Box<dyn FnOnce(Result<(), FetchFault>) + Send>;

/// Which lane it is that takes an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneId(u64);

/// How long a waiter waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// [`READ_PATIENCE`] in all.
    InAll,
    /// As long as something of the content arrives within [`READ_PATIENCE`].
    WithProgress,
}

/// Somebody who waits for a range of a content.
pub(crate) struct Waiter {
    pub(crate) range: Range<u64>,
    pub(crate) since: Instant,
    pub(crate) patience: Patience,
    pub(crate) done: Done,
}

/// What the caller has to start, for it needs a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub(crate) struct Engage {
    /// Somebody who takes orders with a lane; it has its seat already.
    pub(crate) worker: bool,
    /// Somebody who calls [`Demand::expire`] until it has no next deadline.
    pub(crate) timer: bool,
}

/// Which orders a lane has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appetite {
    /// Those that somebody waits for.
    Urgent,
    /// Any.
    Any,
}

/// A piece of work for one lane.
#[derive(Debug)]
pub(crate) struct Order {
    /// Which target it is for: one that failed meanwhile is not the one that somebody wants now.
    target: u64,
    pub(crate) cached: Arc<Cached>,
    pub(crate) piece: Piece,
    pub(crate) urgent: bool,
}

/// What is to be fetched.
#[derive(Debug)]
pub(crate) enum Piece {
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
        let piece = match self.piece {
            Piece::Blocks { group, mask, check } => Piece::Blocks {
                group,
                mask: mask & blocks,
                check,
            },
            Piece::Outline => Piece::Outline,
        };
        Self { piece, ..self }
    }
}

/// What readers want.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    state: Mutex<State>,
    wake: Condvar,
}

type Key = (ContentId, u64);

#[derive(Debug, Default)]
struct State {
    targets: HashMap<ContentId, Target>,
    urgent: VecDeque<Key>,
    ahead: VecDeque<Key>,
    /// Contents that are wanted as a whole.
    bulk: VecDeque<ContentId>,
    workers: usize,
    idle: usize,
    has_timer: bool,
    is_closed: bool,
    lane_count: u64,
    target_count: u64,
    arrived_count: u64,
}

#[derive(Debug)]
struct Target {
    id: u64,
    cached: Arc<Cached>,
    groups: HashMap<u64, Claim>,
    waiters: Vec<Waiter>,
    outline_asked: Option<LaneId>,
    corrupt: u32,
    /// The next group to be fetched, of a content that is wanted as a whole.
    bulk_next: Option<u64>,
    progressed_at: Option<Instant>,
}

/// Blocks of one group that are not here yet.
#[derive(Debug, Default)]
struct Claim {
    pending: u64,
    in_flight: u64,
    /// Whether it is in the urgent queue.
    is_urgent: bool,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiter({:?})", self.range)
    }
}

impl Demand {
    /// Wants what `plan` says, for somebody who waits for it.
    pub(crate) fn read(&self, cached: &Arc<Cached>, plan: &Plan, waiter: Waiter) -> Engage {
        let mut state = self.lock();
        if let Some(answer) = state.answer_now(cached, &waiter) {
            drop(state);
            (waiter.done)(answer);
            return Engage::default();
        }
        state.want(cached, plan);
        state.target(cached).waiters.push(waiter);
        self.engage_with_timer(state)
    }

    /// Wants the whole content, for somebody who waits for it.
    pub(crate) fn read_all(&self, cached: &Arc<Cached>, waiter: Waiter) -> Engage {
        let mut state = self.lock();
        if let Some(answer) = state.answer_now(cached, &waiter) {
            drop(state);
            (waiter.done)(answer);
            return Engage::default();
        }
        let target = state.target(cached);
        target.waiters.push(waiter);
        if target.bulk_next.replace(0).is_none() {
            state.bulk.push_back(cached.content());
        }
        self.engage_with_timer(state)
    }

    /// Wants what nobody waits for yet.
    pub(crate) fn read_ahead(&self, cached: &Arc<Cached>, ahead: Range<u64>) -> Engage {
        let mut state = self.lock();
        if state.is_closed {
            return Engage::default();
        }
        state.want(cached, &Plan { now: 0..0, ahead });
        if state.has_nothing_to_do() {
            return Engage::default();
        }
        self.engage(state)
    }

    fn engage_with_timer(&self, mut state: MutexGuard<'_, State>) -> Engage {
        let timer = !state.has_timer;
        state.has_timer = true;
        Engage {
            timer,
            ..self.engage(state)
        }
    }

    fn engage(&self, mut state: MutexGuard<'_, State>) -> Engage {
        let worker = state.idle == 0 && state.workers < DEMAND_LANES_MAX;
        state.workers += usize::from(worker);
        if state.idle > 0 {
            self.wake.notify_one();
        }
        Engage { worker, timer: false }
    }

    /// A name for a lane that begins to take orders.
    pub(crate) fn enlist(&self) -> LaneId {
        let mut state = self.lock();
        state.lane_count += 1;
        LaneId(state.lane_count)
    }

    /// The next order, if there is one.
    pub(crate) fn take(&self, lane: LaneId, appetite: Appetite) -> Option<Order> {
        self.lock().take(lane, appetite)
    }

    /// The next order; waits for one for as long as `limit`. With `None` the worker has given up its seat.
    pub(crate) fn wait(&self, lane: LaneId, limit: Duration) -> Option<Order> {
        let mut state = self.lock();
        loop {
            if let Some(order) = state.take(lane, Appetite::Any) {
                return Some(order);
            }
            let mut timed_out = false;
            if !state.is_closed {
                state.idle += 1;
                let waited = self.wake.wait_timeout(state, limit);
                let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = again;
                state.idle -= 1;
                timed_out = timeout.timed_out();
            }
            if state.is_closed || (timed_out && state.has_nothing_to_do()) {
                state.leave();
                return None;
            }
        }
    }

    /// Gives up the seat of a worker that ends in another way.
    pub(crate) fn leave(&self) {
        self.lock().leave();
    }

    /// How many orders were carried out; tells a worker whether there is progress.
    pub(crate) fn arrived_count(&self) -> u64 {
        self.lock().arrived_count
    }

    /// Notes that the outline is here.
    pub(crate) fn outlined(&self, order: &Order) {
        let mut state = self.lock();
        state.arrived_count += 1;
        if let Some(target) = state.target_of(order) {
            target.outline_asked = None;
        }
        // Lanes that had nothing to do but with this outline.
        self.wake.notify_all();
    }

    /// Notes that those blocks of the order that are not `bad` are here.
    pub(crate) fn arrived(&self, order: &Order, bad: u64, now: Instant) {
        let content = order.cached.content();
        let mut state = self.lock();
        state.arrived_count += 1;
        let Some(target) = state.target_of(order) else {
            return;
        };
        target.progressed_at = Some(now);
        if let Piece::Blocks { group, mask, .. } = order.piece {
            target.release(group, mask & !bad);
        }
        let cached = &order.cached;
        let ready = target
            .waiters
            .extract_if(.., |waiter| cached.has(waiter.range.clone()));
        let ready: Vec<_> = ready.collect();
        state.forget_if_done(&content);
        drop(state);
        answer(ready, &Ok(()));
    }

    /// Notes that something of the order was not genuine; it is asked for again. `true` when that has happened too often
    /// and everybody who waits for the content has been told.
    pub(crate) fn corrupt(&self, lane: LaneId, order: Order) -> bool {
        let mut state = self.lock();
        let Some(target) = state.target_of(&order) else {
            return false;
        };
        target.corrupt += 1;
        if target.corrupt <= CORRUPT_GROUPS_MAX {
            drop(state);
            self.give_back(lane, [order].into_iter());
            return false;
        }
        drop(state);
        self.fail(&order, &FetchFault::Corrupt);
        true
    }

    /// Gives orders back that a lane could not carry out; they are the next to be taken.
    pub(crate) fn give_back(&self, lane: LaneId, orders: impl DoubleEndedIterator<Item = Order>) {
        let mut state = self.lock();
        for order in orders.rev() {
            state.give_back(lane, &order);
        }
        self.wake.notify_all();
    }

    /// Tells everybody who waits for the content of `order` that it can't be had, and wants nothing of it any more.
    pub(crate) fn fail(&self, order: &Order, fault: &FetchFault) {
        let mut state = self.lock();
        if state.target_of(order).is_none() {
            return;
        }
        let target = state.targets.remove(&order.cached.content());
        drop(state);
        answer(
            target.map(|target| target.waiters).unwrap_or_default(),
            &Err(fault.clone()),
        );
    }

    /// The same for every content, by a worker that gives up its seat with it.
    pub(crate) fn abandon(&self, fault: &FetchFault) {
        let mut state = self.lock();
        state.leave();
        let waiters = state.clear();
        drop(state);
        answer(waiters, &Err(fault.clone()));
    }

    /// Ends everything: whoever waits is told, whoever works finds nothing more to do.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let waiters = state.clear();
        drop(state);
        self.wake.notify_all();
        answer(waiters, &Err(FetchFault::Closed));
    }

    /// Tells those who have waited too long; `None` when nobody waits any more, and then the timer ends.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        for target in state.targets.values_mut() {
            let progressed_at = target.progressed_at;
            late.extend(
                target
                    .waiters
                    .extract_if(.., |waiter| waiter.deadline(progressed_at) <= now),
            );
            let deadlines = target.waiters.iter().map(|waiter| waiter.deadline(progressed_at));
            next = deadlines.chain(next).min();
        }
        state.has_timer = next.is_some();
        drop(state);
        answer(late, &Err(FetchFault::TimedOut));
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter {
    fn deadline(&self, progressed_at: Option<Instant>) -> Instant {
        let from = match (self.patience, progressed_at) {
            (Patience::WithProgress, Some(progressed_at)) => progressed_at.max(self.since),
            _ => self.since,
        };
        from + READ_PATIENCE
    }
}

impl Target {
    fn new(id: u64, cached: Arc<Cached>) -> Self {
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
    fn want_now(&mut self, group: u64, blocks: u64) -> bool {
        let claim = self.groups.entry(group).or_default();
        let wanted = blocks & !claim.in_flight;
        claim.pending |= wanted;
        wanted != 0 && !std::mem::replace(&mut claim.is_urgent, true)
    }

    /// `true` if that has to be queued: nobody else wants it yet.
    fn want_ahead(&mut self, group: u64, blocks: u64) -> bool {
        let claim = self.groups.entry(group).or_default();
        let fresh = blocks & !claim.in_flight & !claim.pending;
        claim.pending |= fresh;
        fresh != 0 && !claim.is_urgent
    }

    fn release(&mut self, group: u64, mask: u64) {
        if let Some(claim) = self.groups.get_mut(&group) {
            claim.in_flight &= !mask;
            if claim.in_flight == 0 && claim.pending == 0 {
                self.groups.remove(&group);
            }
        }
    }

    /// Takes what is wanted of a group and not on its way.
    fn claim(&mut self, group: u64) -> Option<Piece> {
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
        Some(self.piece(group, mask))
    }

    /// Takes the next group of a content that is wanted as a whole.
    fn claim_next(&mut self) -> Option<Piece> {
        while let Some(group) = self.bulk_next {
            if group >= self.cached.content().len.div_ceil(crate::store::GROUP_LEN) {
                self.bulk_next = None;
                break;
            }
            self.bulk_next = Some(group + 1);
            self.groups.entry(group).or_default().pending |= self.cached.blocks(group);
            let piece = self.claim(group);
            if piece.is_some() {
                return piece;
            }
        }
        None
    }

    fn piece(&self, group: u64, mask: u64) -> Piece {
        let check = if mask == self.cached.blocks(group) {
            Check::Group
        } else {
            self.cached.fine(group).map_or(Check::FineToCome, Check::Fine)
        };
        Piece::Blocks { group, mask, check }
    }

    fn order(&self, piece: Piece) -> Order {
        Order {
            target: self.id,
            cached: self.cached.clone(),
            piece,
            urgent: false,
        }
    }

    fn ask_outline(&mut self, lane: LaneId) -> Order {
        self.outline_asked = Some(lane);
        self.order(Piece::Outline)
    }

    /// Whether a lane may ask for bytes of it: they are checked against the outline, which has to come before them.
    fn may_be_asked_by(&self, lane: LaneId) -> bool {
        self.cached.outline().is_some() || self.outline_asked.is_none_or(|asked_by| asked_by == lane)
    }

    fn needs_outline(&self) -> bool {
        self.cached.outline().is_none() && self.outline_asked.is_none()
    }

    fn is_done(&self) -> bool {
        self.groups.is_empty() && self.waiters.is_empty() && self.bulk_next.is_none()
    }
}

impl State {
    fn answer_now(&self, cached: &Cached, waiter: &Waiter) -> Option<Result<(), FetchFault>> {
        if self.is_closed {
            Some(Err(FetchFault::Closed))
        } else {
            // Under the lock: what arrives from here on finds the waiter.
            cached.has(waiter.range.clone()).then_some(Ok(()))
        }
    }

    fn target(&mut self, cached: &Arc<Cached>) -> &mut Target {
        self.targets.entry(cached.content()).or_insert_with(|| {
            self.target_count += 1;
            Target::new(self.target_count, cached.clone())
        })
    }

    fn target_of(&mut self, order: &Order) -> Option<&mut Target> {
        let target = self.targets.get_mut(&order.cached.content());
        target.filter(|target| target.id == order.target)
    }

    fn want(&mut self, cached: &Arc<Cached>, plan: &Plan) {
        let content = cached.content();
        for group in groups_of(&plan.now) {
            let blocks = blocks_within(&plan.now, group) & !cached.present(group);
            if blocks != 0 && self.target(cached).want_now(group, blocks) {
                self.urgent.push_back((content, group));
            }
        }
        for group in groups_of(&plan.ahead) {
            if self.ahead.len() >= DEMAND_AHEAD_COUNT_MAX {
                break;
            }
            let blocks = blocks_within(&plan.ahead, group) & !cached.present(group);
            if blocks != 0 && self.target(cached).want_ahead(group, blocks) {
                self.ahead.push_back((content, group));
            }
        }
    }

    fn take(&mut self, lane: LaneId, appetite: Appetite) -> Option<Order> {
        if self.is_closed {
            return None;
        }
        if let Some(order) = self.take_from(lane, Self::urgent_queue) {
            return Some(Order {
                urgent: true,
                ..order
            });
        }
        if appetite == Appetite::Urgent {
            return None;
        }
        self.take_from(lane, Self::ahead_queue)
            .or_else(|| self.take_bulk(lane))
    }

    fn urgent_queue(&mut self) -> &mut VecDeque<Key> {
        &mut self.urgent
    }

    fn ahead_queue(&mut self) -> &mut VecDeque<Key> {
        &mut self.ahead
    }

    fn take_from(&mut self, lane: LaneId, queue: fn(&mut Self) -> &mut VecDeque<Key>) -> Option<Order> {
        let mut index = 0;
        while let Some((content, group)) = queue(self).get(index).copied() {
            let Some(target) = self.targets.get_mut(&content) else {
                queue(self).remove(index);
                continue;
            };
            if !target.may_be_asked_by(lane) {
                index += 1;
                continue;
            }
            if target.needs_outline() {
                return Some(target.ask_outline(lane));
            }
            let order = target.claim(group).map(|piece| target.order(piece));
            queue(self).remove(index);
            if order.is_some() {
                return order;
            }
            self.forget_if_done(&content);
        }
        None
    }

    fn take_bulk(&mut self, lane: LaneId) -> Option<Order> {
        let mut index = 0;
        while let Some(content) = self.bulk.get(index).copied() {
            let Some(target) = self.targets.get_mut(&content) else {
                self.bulk.remove(index);
                continue;
            };
            if !target.may_be_asked_by(lane) {
                index += 1;
                continue;
            }
            if target.needs_outline() {
                return Some(target.ask_outline(lane));
            }
            if let Some(piece) = target.claim_next() {
                return Some(target.order(piece));
            }
            self.bulk.remove(index);
            self.forget_if_done(&content);
        }
        None
    }

    fn give_back(&mut self, lane: LaneId, order: &Order) {
        let content = order.cached.content();
        let Some(target) = self.target_of(order) else {
            return;
        };
        match order.piece {
            Piece::Outline => {
                if target.outline_asked == Some(lane) {
                    target.outline_asked = None;
                }
            }
            Piece::Blocks { group, mask, .. } => {
                let claim = target.groups.entry(group).or_default();
                claim.in_flight &= !mask;
                claim.pending |= mask & !target.cached.present(group);
                claim.is_urgent |= order.urgent;
                if order.urgent {
                    self.urgent.push_front((content, group));
                } else {
                    self.ahead.push_front((content, group));
                }
            }
        }
    }

    /// When all is closed, a worker that was cancelled and its lane may both say so.
    fn leave(&mut self) {
        self.workers = self.workers.saturating_sub(1);
    }

    fn has_nothing_to_do(&self) -> bool {
        self.urgent.is_empty() && self.ahead.is_empty() && self.bulk.is_empty()
    }

    fn forget_if_done(&mut self, content: &ContentId) {
        if self.targets.get(content).is_some_and(Target::is_done) {
            self.targets.remove(content);
        }
    }

    fn clear(&mut self) -> Vec<Waiter> {
        self.urgent.clear();
        self.ahead.clear();
        self.bulk.clear();
        self.targets
            .drain()
            .flat_map(|(_, target)| target.waiters)
            .collect()
    }
}

fn answer(waiters: Vec<Waiter>, outcome: &Result<(), FetchFault>) {
    for waiter in waiters {
        (waiter.done)(outcome.clone());
    }
}
