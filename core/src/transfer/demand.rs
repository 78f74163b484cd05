//! What readers want, shared by the lanes that fetch it.
//!
//! Owns which blocks are wanted, which are in flight, and which reads wait for them. Blocks that a
//! read waits for come first, then blocks to be read ahead, then contents that are wanted as a
//! whole. No block is in flight twice at a time. Knows contents and no sessions. It starts nothing
//! itself, but returns what the caller has to start. Waiting reads are answered outside of the
//! lock, by the thread that learns the answer.

mod target;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use target::Target;
pub(crate) use target::{Check, LaneId, Order, OrderKind};

use super::fault::FetchFault;
use super::read_ahead::Plan;
use crate::catalog::ContentId;
use crate::limits::{
    CORRUPT_GROUPS_MAX, DEMAND_AHEAD_COUNT_MAX, DEMAND_LANES_MAX, READ_AGAIN_DELAY_MAX, READ_PATIENCE,
};
use crate::store::{Cached, blocks_within, groups_of};

/// Called once, with the outcome of a read.
pub(crate) type Done = Box<dyn FnOnce(Result<(), FetchFault>) + Send>;

/// How long a waiter waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A reader's patience in total, from the start of its read.
    InAll,
    /// A reader's patience, counted anew whenever some of the content arrives.
    WithProgress,
}

/// A read that waits for a range of a content.
pub(crate) struct Waiter {
    pub(crate) range: Range<u64>,
    pub(crate) since: Instant,
    pub(crate) patience: Patience,
    pub(crate) done: Done,
}

/// What the caller has to start, because it needs a runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub(crate) struct WorkersToStart {
    /// A worker that takes orders with a lane; it is counted already.
    pub(crate) worker: bool,
    /// A timer that calls [`Demand::expire`] until there is no next deadline.
    pub(crate) timer: bool,
}

/// Which orders a lane has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneRoom {
    /// Only orders that a read waits for.
    UrgentOnly,
    /// Any.
    Any,
}

/// What readers want.
#[derive(Debug)]
pub(crate) struct Demand {
    /// How long a reader waits.
    patience: Duration,
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
    /// The reads that timed out last.
    timed_out_reads: Option<TimedOutReads>,
    lane_count: u64,
    target_count: u64,
    arrived_count: u64,
}

/// The ranges that some reads waited for in vain.
#[derive(Debug)]
struct TimedOutReads {
    at: Instant,
    ranges: Vec<(ContentId, Range<u64>)>,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Waiter({:?})", self.range)
    }
}

impl Default for Demand {
    fn default() -> Self {
        Self::new(READ_PATIENCE)
    }
}

impl Demand {
    /// Nothing is wanted yet. Readers will wait for `patience`.
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            state: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Wants the ranges of `plan`, for a read that waits.
    pub(crate) fn read(&self, cached: &Arc<Cached>, plan: &Plan, waiter: Waiter) -> WorkersToStart {
        let mut state = self.lock();
        if let Some(answer) = state.answer_now(cached, &waiter) {
            drop(state);
            (waiter.done)(answer);
            return WorkersToStart::default();
        }
        state.want(cached, plan);
        state.target(cached).waiters.push(waiter);
        self.to_start_with_timer(state)
    }

    /// Wants the whole content, for a read that waits.
    pub(crate) fn read_all(&self, cached: &Arc<Cached>, waiter: Waiter) -> WorkersToStart {
        let mut state = self.lock();
        if let Some(answer) = state.answer_now(cached, &waiter) {
            drop(state);
            (waiter.done)(answer);
            return WorkersToStart::default();
        }
        let target = state.target(cached);
        target.waiters.push(waiter);
        if target.bulk_next.replace(0).is_none() {
            state.bulk.push_back(cached.content());
        }
        self.to_start_with_timer(state)
    }

    /// Wants blocks that no read waits for yet.
    pub(crate) fn read_ahead(&self, cached: &Arc<Cached>, ahead: Range<u64>) -> WorkersToStart {
        let mut state = self.lock();
        if state.is_closed {
            return WorkersToStart::default();
        }
        state.want(cached, &Plan { now: 0..0, ahead });
        if state.has_nothing_to_do() {
            return WorkersToStart::default();
        }
        self.to_start(state)
    }

    /// Drops the pending blocks of a content, unless a read waits for some of it.
    pub(crate) fn forget_ahead(&self, content: &ContentId) {
        let mut state = self.lock();
        if let Some(target) = state.targets.get_mut(content)
            && target.waiters.is_empty()
        {
            target.forget_pending();
        }
        state.forget_if_done(content);
    }

    fn to_start_with_timer(&self, mut state: MutexGuard<'_, State>) -> WorkersToStart {
        let timer = !state.has_timer;
        state.has_timer = true;
        WorkersToStart {
            timer,
            ..self.to_start(state)
        }
    }

    fn to_start(&self, mut state: MutexGuard<'_, State>) -> WorkersToStart {
        let worker = state.idle == 0 && state.workers < DEMAND_LANES_MAX;
        state.workers += usize::from(worker);
        if state.idle > 0 {
            self.wake.notify_one();
        }
        WorkersToStart { worker, timer: false }
    }

    /// The id of a lane that begins to take orders.
    pub(crate) fn enlist(&self) -> LaneId {
        let mut state = self.lock();
        state.lane_count += 1;
        LaneId(state.lane_count)
    }

    /// The next order, if there is one.
    pub(crate) fn take(&self, lane: LaneId, room: LaneRoom) -> Option<Order> {
        self.lock().take(lane, room)
    }

    /// The next order; waits up to `limit` for one. After `None` the worker is no longer counted.
    pub(crate) fn wait(&self, lane: LaneId, limit: Duration) -> Option<Order> {
        let mut state = self.lock();
        loop {
            if let Some(order) = state.take(lane, LaneRoom::Any) {
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

    /// Stops counting a worker that ends in another way.
    pub(crate) fn leave(&self) {
        self.lock().leave();
    }

    /// How many orders were carried out; shows a worker whether there is progress.
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
        // Lanes may wait that could do nothing without this outline.
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
        if let OrderKind::Blocks { group, mask, .. } = order.kind {
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

    /// Notes that some of the order was not genuine; it will be fetched again. Returns `true` if
    /// that has happened too often, after failing all reads that wait for the content.
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

    /// Fails all reads that wait for the content of `order`, and wants nothing more of it.
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

    /// Stops counting a worker that can't get a lane. If it was the last one, all waiting reads
    /// fail in the same step, so that a later read starts a new worker.
    pub(crate) fn abandon(&self, fault: &FetchFault) {
        let mut state = self.lock();
        state.leave();
        if state.workers > 0 {
            // An idle worker may take over its work.
            self.wake.notify_all();
            return;
        }
        let waiters = state.clear();
        drop(state);
        answer(waiters, &Err(fault.clone()));
    }

    /// Ends everything: waiting reads fail, and workers find nothing more to do.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let waiters = state.clear();
        drop(state);
        self.wake.notify_all();
        answer(waiters, &Err(FetchFault::Closed));
    }

    /// Fails the reads that have waited too long. Returns the next deadline; `None` if no read
    /// waits, and then the timer ends.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        let mut state = self.lock();
        let (mut late, mut next, mut ranges) = (Vec::new(), None::<Instant>, Vec::new());
        for (content, target) in &mut state.targets {
            let (progressed_at, known_count) = (target.progressed_at, late.len());
            let deadline = |waiter: &Waiter| waiter.waits_since(progressed_at) + self.patience;
            late.extend(target.waiters.extract_if(.., |waiter| deadline(waiter) <= now));
            next = target.waiters.iter().map(deadline).chain(next).min();
            let in_vain = late.iter().skip(known_count);
            ranges.extend(in_vain.map(|waiter: &Waiter| (*content, waiter.range.clone())));
        }
        if !ranges.is_empty() {
            state.timed_out_reads = Some(TimedOutReads { at: now, ranges });
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
    fn waits_since(&self, progressed_at: Option<Instant>) -> Instant {
        match (self.patience, progressed_at) {
            (Patience::WithProgress, Some(progressed_at)) => progressed_at.max(self.since),
            _ => self.since,
        }
    }
}

impl TimedOutReads {
    /// Whether some of it is wanted again a moment later. The kernel does that by itself after its
    /// read-ahead has failed; without this check its reader would wait twice as long.
    fn is_asked_again(&self, content: &ContentId, waiter: &Waiter) -> bool {
        let overlaps = |range: &Range<u64>| range.start < waiter.range.end && waiter.range.start < range.end;
        let is_soon = waiter.since <= self.at + READ_AGAIN_DELAY_MAX;
        is_soon
            && self
                .ranges
                .iter()
                .any(|(other, range)| other == content && overlaps(range))
    }
}

impl State {
    fn answer_now(&self, cached: &Cached, waiter: &Waiter) -> Option<Result<(), FetchFault>> {
        if self.is_closed {
            return Some(Err(FetchFault::Closed));
        }
        // Under the lock, so bytes that arrive from here on find the waiter.
        if cached.has(waiter.range.clone()) {
            return Some(Ok(()));
        }
        let timed_out = self.timed_out_reads.as_ref();
        let is_again = timed_out.is_some_and(|reads| reads.is_asked_again(&cached.content(), waiter));
        is_again.then_some(Err(FetchFault::TimedOut))
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

    fn take(&mut self, lane: LaneId, room: LaneRoom) -> Option<Order> {
        if self.is_closed {
            return None;
        }
        if let Some(order) = self.take_from(lane, Self::urgent_queue) {
            return Some(Order {
                urgent: true,
                ..order
            });
        }
        if room == LaneRoom::UrgentOnly {
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
            let order = target.claim(group).map(|kind| target.order(kind));
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
            if let Some(kind) = target.claim_next() {
                return Some(target.order(kind));
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
        match order.kind {
            OrderKind::Outline => {
                if target.outline_asked == Some(lane) {
                    target.outline_asked = None;
                }
            }
            OrderKind::Blocks { group, mask, .. } => {
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

    /// After [`Demand::close`], a cancelled worker and its lane may both call this.
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
