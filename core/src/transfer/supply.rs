//! A lane that works for readers: request what they want, check it, write it, and answer them.
//!
//! Owns one lane's share of a [`Demand`]. Several requests are in flight, but few, because a new
//! read waits for all that is in flight. When a lane breaks, its requests go back.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::sync::Arc;

use super::demand::{Check, Demand, LaneId, LaneRoom, Order, OrderKind};
use super::fault::FetchFault;
use super::fetch::LaneEnd;
use super::protocol::{Refusal, Request, Response};
use crate::aligned::AlignedBuffer;
use crate::catalog::ContentId;
use crate::clock::Clock;
use crate::limits::{
    DEMAND_IDLE_TIMEOUT, DEMAND_PIPELINE_LEN_MAX, DEMAND_PIPELINE_ORDERS_MAX, DEMAND_URGENT_LEN_MAX,
    LANE_FRAME_LEN_MAX, LANE_IDLE_TIMEOUT, ROTATE_AFTER_LEN,
};
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::session::wire::{read_blocking, write_blocking};
use crate::store::{
    BLOCK_LEN, Cached, FineOutline, GROUP_LEN, Outline, VALUE_LEN, group_count, group_len, subtree_value,
};

/// What a lane reports to its owner, apart from the readers' answers.
pub(crate) trait FetchEvents {
    /// Some of a content was written; the peer store may have to be trimmed.
    fn stored(&self);
    /// A content is here as a whole.
    fn completed(&self, cached: &Arc<Cached>);
    /// The other side serves other bytes as this content.
    fn corrupt(&self, content: ContentId);
}

/// Works for `demand` over one lane until nothing was wanted for a while. After [`LaneEnd::Done`]
/// the worker is no longer counted; otherwise it still is.
///
/// # Errors
/// How the lane broke. The orders that it had taken are given back.
pub(crate) fn supply(
    lane: &mut BlockingLane,
    demand: &Demand,
    events: &dyn FetchEvents,
    clock: &Clock,
) -> Result<LaneEnd, WireError> {
    lane.set_read_timeout(Some(LANE_IDLE_TIMEOUT))?;
    let mut supplier = Supplier {
        lane,
        demand,
        events,
        clock,
        id: demand.enlist(),
        buffer: AlignedBuffer::new(usize::try_from(GROUP_LEN).unwrap_or(usize::MAX)),
        in_flight: VecDeque::new(),
        in_flight_len: 0,
        carried: 0,
    };
    supplier.run()
}

struct Supplier<'a> {
    lane: &'a mut BlockingLane,
    demand: &'a Demand,
    events: &'a dyn FetchEvents,
    clock: &'a Clock,
    id: LaneId,
    buffer: AlignedBuffer,
    /// Requested and not yet answered, in the order of the requests.
    in_flight: VecDeque<Order>,
    in_flight_len: u64,
    carried: u64,
}

impl Drop for Supplier<'_> {
    /// Runs when the lane ends, even if a reader's callback panics.
    fn drop(&mut self) {
        self.demand.give_back(self.id, self.in_flight.drain(..));
    }
}

/// The outcome of the blocks of one order.
#[derive(Default)]
struct OrderOutcome {
    bad: u64,
    /// Whether blocks were not checked, because the outline before them was wrong.
    unchecked: bool,
    completed: bool,
    fault: Option<FetchFault>,
}

impl Supplier<'_> {
    fn run(&mut self) -> Result<LaneEnd, WireError> {
        loop {
            if self.carried < ROTATE_AFTER_LEN {
                self.ask_ahead()?;
            }
            if let Some(order) = self.in_flight.pop_front() {
                self.receive(order)?;
            } else if self.carried >= ROTATE_AFTER_LEN {
                return Ok(LaneEnd::WornOut);
            } else {
                match self.demand.wait(self.id, DEMAND_IDLE_TIMEOUT) {
                    Some(order) => self.ask(order)?,
                    None => return Ok(LaneEnd::Done),
                }
            }
        }
    }

    fn ask_ahead(&mut self) -> Result<(), WireError> {
        while let Some(room) = self.room() {
            let Some(order) = self.demand.take(self.id, room) else {
                break;
            };
            self.ask(order)?;
        }
        Ok(self.lane.flush()?)
    }

    fn room(&self) -> Option<LaneRoom> {
        if self.in_flight.len() >= DEMAND_PIPELINE_ORDERS_MAX {
            return None;
        }
        match self.in_flight_len {
            len if len < DEMAND_PIPELINE_LEN_MAX => Some(LaneRoom::Any),
            len if len < DEMAND_URGENT_LEN_MAX => Some(LaneRoom::UrgentOnly),
            _ => None,
        }
    }

    fn ask(&mut self, order: Order) -> Result<(), WireError> {
        let requests = requests(&order);
        self.in_flight_len += order_len(&order);
        // It counts as in flight before it is written: if the write fails, it goes back with the
        // others.
        self.in_flight.push_back(order);
        for request in requests {
            write_blocking(self.lane, &request, LANE_FRAME_LEN_MAX)?;
        }
        Ok(())
    }

    fn receive(&mut self, order: Order) -> Result<(), WireError> {
        let received = match &order.kind {
            OrderKind::Outline => self.receive_outline(&order),
            OrderKind::Blocks { group, mask, check } => {
                self.receive_blocks(&order.cached, *group, *mask, check.clone())
            }
        };
        match received {
            Ok(outcome) => {
                self.in_flight_len -= order_len(&order);
                self.settle(order, outcome);
                Ok(())
            }
            Err(error) => {
                self.in_flight.push_front(order);
                Err(error)
            }
        }
    }

    fn settle(&mut self, order: Order, outcome: OrderOutcome) {
        let content = order.cached.content();
        if let Some(fault) = outcome.fault {
            self.demand.fail(&order, &fault);
            return;
        }
        match order.kind {
            OrderKind::Outline if outcome.bad == 0 => self.demand.outlined(&order),
            OrderKind::Outline => {}
            OrderKind::Blocks { .. } => {
                // The content must be a source before a reader learns that all of it is here.
                if outcome.completed {
                    self.events.completed(&order.cached);
                }
                self.events.stored();
                self.demand.arrived(&order, outcome.bad, self.clock.now());
            }
        }
        if outcome.unchecked {
            self.demand.give_back(self.id, [order].into_iter());
        } else if outcome.bad != 0 && self.demand.corrupt(self.id, order.only(outcome.bad)) {
            self.events.corrupt(content);
        }
    }

    /// The length of the answer, or the refusal.
    fn answer(&mut self, expected: u64) -> Result<Result<(), Refusal>, WireError> {
        match read_blocking(self.lane, LANE_FRAME_LEN_MAX)? {
            Response::Refused(refusal) => Ok(Err(refusal)),
            Response::Data { len } if len == expected => {
                self.carried += len;
                Ok(Ok(()))
            }
            Response::Data { len } => Err(WireError::Malformed {
                reason: format!("an answer of `{len}` bytes where `{expected}` were asked for"),
            }),
        }
    }

    fn receive_outline(&mut self, order: &Order) -> Result<OrderOutcome, WireError> {
        let content = order.cached.content();
        let len = group_count(content.len) * VALUE_LEN as u64;
        if let Err(refusal) = self.answer(len)? {
            return Ok(OrderOutcome::refused(refusal));
        }
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.lane.read_exact(&mut bytes)?;
        let mut outcome = OrderOutcome::default();
        match Outline::verified(&bytes, content.len, &content.hash) {
            Some(outline) => order.cached.outlined(outline),
            None => outcome.bad = u64::MAX,
        }
        Ok(outcome)
    }

    /// Reads all answers to an order, even if the first of them is a refusal.
    fn receive_blocks(
        &mut self,
        cached: &Cached,
        group: u64,
        mask: u64,
        mut check: Check,
    ) -> Result<OrderOutcome, WireError> {
        let mut outcome = OrderOutcome {
            unchecked: cached.outline().is_none(),
            ..OrderOutcome::default()
        };
        if matches!(check, Check::FineToCome)
            && let Some(fine) = self.receive_fine(cached, group, &mut outcome)?
        {
            check = Check::Fine(cached.keep_fine(group, fine));
        }
        for run in runs(mask) {
            let len = cached.len_of(group, bits(&run));
            if let Err(refusal) = self.answer(len)? {
                outcome.fault.get_or_insert(refusal.into());
                continue;
            }
            let len = usize::try_from(len).map_err(io::Error::other)?;
            self.lane.read_exact(&mut self.buffer[..len])?;
            outcome.keep(cached, group, &run, (&self.buffer[..len], &check));
        }
        Ok(outcome)
    }

    fn receive_fine(
        &mut self,
        cached: &Cached,
        group: u64,
        outcome: &mut OrderOutcome,
    ) -> Result<Option<FineOutline>, WireError> {
        let len = group_len(cached.content().len, group);
        let count = u64::from(cached.blocks(group).count_ones());
        if let Err(refusal) = self.answer(count * VALUE_LEN as u64)? {
            outcome.fault = Some(refusal.into());
            return Ok(None);
        }
        let mut bytes = [0; VALUE_LEN * u64::BITS as usize];
        let bytes = &mut bytes[..usize::try_from(count).map_err(io::Error::other)? * VALUE_LEN];
        self.lane.read_exact(bytes)?;
        let value = cached.outline().and_then(|outline| outline.value(group));
        Ok(value.and_then(|value| FineOutline::verified(bytes, len, value)))
    }
}

impl OrderOutcome {
    fn refused(refusal: Refusal) -> Self {
        Self {
            fault: Some(refusal.into()),
            ..Self::default()
        }
    }

    /// Writes the genuine blocks of a run; the others are bad.
    fn keep(&mut self, cached: &Cached, group: u64, run: &Range<u32>, (bytes, check): (&[u8], &Check)) {
        let bad = bad_blocks(cached, group, run, (bytes, check));
        self.bad |= bad;
        if bad != 0 || self.fault.is_some() {
            // One wrong block makes the rest of its run suspect, so all of that is fetched again.
            self.bad |= bits(run);
            return;
        }
        match cached.write(group, run.start, bytes) {
            Ok(completed) => self.completed |= completed,
            Err(error) => self.fault = Some(error.into()),
        }
    }
}

/// The blocks of a run that are not genuine.
fn bad_blocks(cached: &Cached, group: u64, run: &Range<u32>, (bytes, check): (&[u8], &Check)) -> u64 {
    let content = cached.content();
    let offset = group * GROUP_LEN;
    match check {
        Check::Group if group_count(content.len) == 1 => {
            wrong(*blake3::hash(bytes).as_bytes() == content.hash, bits(run))
        }
        Check::Group => {
            let value = cached.outline().and_then(|outline| outline.value(group));
            wrong(value == Some(&subtree_value(bytes, offset)), bits(run))
        }
        Check::Fine(fine) => {
            let blocks = bytes.chunks(usize::try_from(BLOCK_LEN).unwrap_or(usize::MAX));
            let each = run.clone().zip(blocks).map(|(index, block)| {
                let value = subtree_value(block, offset + u64::from(index) * BLOCK_LEN);
                wrong(fine.value(index) == Some(&value), 1 << index)
            });
            each.fold(0, |bad, block| bad | block)
        }
        Check::FineToCome => bits(run),
    }
}

fn wrong(is_genuine: bool, mask: u64) -> u64 {
    if is_genuine { 0 } else { mask }
}

fn requests(order: &Order) -> Vec<Request> {
    let content = order.cached.content();
    match &order.kind {
        OrderKind::Outline => vec![Request::Outline { content }],
        OrderKind::Blocks { group, mask, check } => {
            let fine = matches!(check, Check::FineToCome).then_some(Request::Fine {
                content,
                group: *group,
            });
            let bytes = runs(*mask).map(|run| Request::Bytes {
                content,
                offset: group * GROUP_LEN + u64::from(run.start) * BLOCK_LEN,
                len: u32::try_from(order.cached.len_of(*group, bits(&run))).unwrap_or(u32::MAX),
            });
            fine.into_iter().chain(bytes).collect()
        }
    }
}

/// How many bytes the answers to an order hold.
fn order_len(order: &Order) -> u64 {
    let content = order.cached.content();
    match order.kind {
        OrderKind::Outline => group_count(content.len) * VALUE_LEN as u64,
        OrderKind::Blocks { group, mask, .. } => order.cached.len_of(group, mask),
    }
}

/// The runs of bits in `mask`, from the lowest.
fn runs(mut mask: u64) -> impl Iterator<Item = Range<u32>> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let start = mask.trailing_zeros();
        let end = start + (mask >> start).trailing_ones();
        mask &= !bits(&(start..end));
        Some(start..end)
    })
}

fn bits(run: &Range<u32>) -> u64 {
    (u64::MAX >> (u64::BITS - (run.end - run.start))) << run.start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_found_at_both_ends_of_a_word_and_in_the_middle() {
        assert_eq!(runs(0).count(), 0);
        assert!(runs(u64::MAX).eq(std::iter::once(0..u64::BITS)));
        assert_eq!(runs(1 << 63 | 0b110).collect::<Vec<_>>(), [1..3, 63..64]);
        for run in [0..64, 0..1, 63..64, 5..9] {
            assert!(runs(bits(&run)).eq(std::iter::once(run)));
        }
    }
}
