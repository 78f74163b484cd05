//! The puller's side of a data lane: request ahead, read in order, verify, write, publish.
//!
//! Owns one lane's share of a pull. Several requests are in flight, so that the lane never drains
//! between two of them. What an earlier pull has left is checked instead of asked for. When a lane
//! breaks, everything in flight goes back to the queue, starting
//! with the first group that was not written.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;

use super::protocol::{Request, Response};
use super::queue::{FileFailure, FileState, Queue, Unit, units_of};
use crate::aligned::AlignedBuffer;
use crate::clock::Clock;
use crate::limits::{
    LANE_FRAME_LEN_MAX, LANE_IDLE_TIMEOUT, PIPELINE_LEN_MAX, PIPELINE_REQUESTS_MAX, ROTATE_AFTER_LEN,
    SYNC_BATCH_LEN_MAX, SYNC_BATCH_MAX,
};
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::session::wire::{read_blocking, write_blocking};
use crate::store::{
    GROUP_LEN, GroupHasher, Outline, PartFile, VALUE_LEN, group_count, group_len, publish_all,
};

/// Why a lane ended without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneEnd {
    /// Nothing is left to do.
    Done,
    /// It has carried the limit of bytes for one set of keys; a fresh lane does the rest.
    WornOut,
}

/// Works on `queue` over one lane until nothing is left.
///
/// # Errors
/// How the lane broke. The work that it had taken is back in the queue.
pub(crate) fn fetch(lane: &mut BlockingLane, queue: &Queue, clock: &Clock) -> Result<LaneEnd, WireError> {
    lane.set_read_timeout(Some(LANE_IDLE_TIMEOUT))?;
    let buffer = AlignedBuffer::new(usize::try_from(GROUP_LEN).unwrap_or(usize::MAX));
    let mut puller = Puller {
        lane,
        queue,
        clock,
        buffer,
        in_flight: VecDeque::new(),
        ready: Vec::new(),
        ready_len: 0,
        carried: 0,
    };
    let end = puller.run();
    puller.publish_ready();
    queue.give_back(puller.in_flight.drain(..));
    end
}

struct Puller<'a> {
    lane: &'a mut BlockingLane,
    queue: &'a Queue,
    clock: &'a Clock,
    buffer: AlignedBuffer,
    /// Requested and not yet answered, in the order of the requests.
    in_flight: VecDeque<Unit>,
    /// Whole and verified, but not yet durable.
    ready: Vec<(usize, Arc<PartFile>)>,
    /// Bytes of these.
    ready_len: u64,
    carried: u64,
}

impl Puller<'_> {
    fn run(&mut self) -> Result<LaneEnd, WireError> {
        loop {
            if self.carried < ROTATE_AFTER_LEN {
                self.ask_ahead()?;
            } else if self.in_flight.is_empty() {
                return Ok(LaneEnd::WornOut);
            }
            match self.in_flight.front().copied() {
                Some(unit) => self.receive(unit)?,
                None => match self.next_after_publishing() {
                    Some(unit) => drop(self.ask_for_missing(unit)?),
                    None => return Ok(LaneEnd::Done),
                },
            }
        }
    }

    /// Nothing is in flight, so this is the moment to sync, and then perhaps to wait for the other
    /// lanes.
    fn next_after_publishing(&mut self) -> Option<Unit> {
        self.publish_ready();
        self.queue.wait()
    }

    fn ask_ahead(&mut self) -> Result<(), WireError> {
        while self.in_flight.len() < PIPELINE_REQUESTS_MAX && self.in_flight_len() < PIPELINE_LEN_MAX {
            let Some(unit) = self.queue.take() else { break };
            let is_checked = self.ask_for_missing(unit)?;
            // Checking reads from the disk, and meanwhile answers have arrived.
            if is_checked && !self.in_flight.is_empty() {
                break;
            }
        }
        Ok(self.lane.flush()?)
    }

    /// Asks for what of `unit` an earlier pull has not left. Returns whether that was checked.
    fn ask_for_missing(&mut self, unit: Unit) -> Result<bool, WireError> {
        let Some(missing) = self.missing(unit) else {
            return self.ask(unit).map(|()| false);
        };
        let mut missing = missing.into_iter();
        while let Some(unit) = missing.next() {
            if let Err(error) = self.ask(unit) {
                self.queue.give_back(missing);
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Those groups of `unit` that an earlier pull has not left in the part file; `None` if it has
    /// left none. What it has left is believed only if it is genuine.
    fn missing(&mut self, unit: Unit) -> Option<Vec<Unit>> {
        let Unit::Groups {
            file: index,
            first,
            count,
        } = unit
        else {
            return None;
        };
        let file = self.queue.file(index).filter(|file| file.is_left_behind())?;
        let part = file.part().ok()?;
        let mut missing = Vec::new();
        for group in first..first.saturating_add(count) {
            let len = group_len(file.job.content.len, group);
            let bytes = self.buffer.get_mut(..usize::try_from(len).ok()?)?;
            if !(part.read_left_behind(bytes, group * GROUP_LEN) && is_genuine(file, group, bytes)) {
                missing.push(group);
            } else if self.queue.group_written(index, len) {
                self.finished(index, part.clone());
            }
        }
        Some(units_of(index, missing.into_iter()))
    }

    fn ask(&mut self, unit: Unit) -> Result<(), WireError> {
        // It counts as in flight before it is written: if the write fails, it goes back with the
        // others.
        self.in_flight.push_back(unit);
        let Some(request) = self.queue.file(unit.file()).and_then(|file| request(file, unit)) else {
            self.in_flight.pop_back();
            return Ok(());
        };
        write_blocking(self.lane, &request, LANE_FRAME_LEN_MAX)?;
        Ok(self.lane.flush()?)
    }

    fn in_flight_len(&self) -> u64 {
        self.in_flight
            .iter()
            .map(|unit| unit_len(self.queue, *unit))
            .sum()
    }

    fn receive(&mut self, unit: Unit) -> Result<(), WireError> {
        let expected = unit_len(self.queue, unit);
        match read_blocking(self.lane, LANE_FRAME_LEN_MAX)? {
            Response::Refused(refusal) => {
                self.in_flight.pop_front();
                self.queue.settle(unit.file(), Err(FileFailure::Refused(refusal)));
                Ok(())
            }
            Response::Data { len } if len != expected => Err(malformed(len, expected)),
            Response::Data { len } => {
                self.carried += len;
                match unit {
                    Unit::Outline { file } => self.receive_outline(file, len),
                    Unit::Groups { .. } => self.receive_groups(),
                }
            }
        }
    }

    fn receive_outline(&mut self, index: usize, len: u64) -> Result<(), WireError> {
        let mut bytes = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.lane.read_exact(&mut bytes)?;
        self.in_flight.pop_front();
        let Some(file) = self.queue.file(index) else {
            return Ok(());
        };
        let content = file.job.content;
        match Outline::verified(&bytes, content.len, &content.hash) {
            Some(outline) => self.queue.outlined(index, outline),
            None => self.queue.group_corrupt(Unit::Outline { file: index }),
        }
        Ok(())
    }

    /// Reads the groups of the first unit in flight. The unit shrinks with each group, so that only
    /// missing groups are ever given back.
    fn receive_groups(&mut self) -> Result<(), WireError> {
        while let Some(Unit::Groups { file, first, count }) = self.in_flight.front().copied() {
            self.receive_group(file, first)?;
            self.in_flight.pop_front();
            if count == 1 {
                break;
            }
            self.in_flight.push_front(Unit::Groups {
                file,
                first: first + 1,
                count: count - 1,
            });
        }
        Ok(())
    }

    fn receive_group(&mut self, index: usize, group: u64) -> Result<(), WireError> {
        let Some(file) = self.queue.file(index) else {
            return Ok(());
        };
        let len = group_len(file.job.content.len, group);
        let bytes = &mut self.buffer[..usize::try_from(len).map_err(io::Error::other)?];
        self.lane.read_exact(bytes)?;
        if self.queue.is_settled(index) {
            return Ok(());
        }
        if !is_genuine(file, group, bytes) {
            self.queue.group_corrupt(Unit::Groups {
                file: index,
                first: group,
                count: 1,
            });
            return Ok(());
        }
        let written = file
            .part()
            .and_then(|part| part.write(bytes, group * GROUP_LEN).map(|()| part));
        match written {
            Err(error) => self.queue.settle(index, Err(FileFailure::Store(error))),
            Ok(part) if self.queue.group_written(index, len) => self.finished(index, part),
            Ok(_) => {}
        }
        Ok(())
    }

    fn finished(&mut self, index: usize, part: Arc<PartFile>) {
        self.ready.push((index, part));
        self.ready_len += self.queue.file(index).map_or(0, |file| file.job.content.len);
        if self.ready.len() >= SYNC_BATCH_MAX || self.ready_len >= SYNC_BATCH_LEN_MAX {
            self.publish_ready();
        }
    }

    fn publish_ready(&mut self) {
        let (indices, parts): (Vec<_>, Vec<_>) = self.ready.drain(..).unzip();
        self.ready_len = 0;
        if parts.is_empty() || self.queue.is_cancelled() {
            return;
        }
        let started = self.clock.now();
        let published = publish_all(&parts);
        self.queue
            .progress()
            .published(parts.len() as u64, self.clock.now() - started);
        for (index, outcome) in indices.into_iter().zip(published) {
            self.queue.settle(index, outcome.map_err(FileFailure::Store));
        }
    }
}

fn request(file: &FileState, unit: Unit) -> Option<Request> {
    let content = file.job.content;
    match unit {
        Unit::Outline { .. } => Some(Request::Outline { content }),
        Unit::Groups { first, count, .. } => {
            let offset = first.checked_mul(GROUP_LEN)?;
            let len = u32::try_from(groups_len(content.len, first, count)).ok()?;
            Some(Request::Bytes { content, offset, len })
        }
    }
}

/// How many bytes the answer to `unit` holds.
fn unit_len(queue: &Queue, unit: Unit) -> u64 {
    let Some(file) = queue.file(unit.file()) else {
        return 0;
    };
    let len = file.job.content.len;
    match unit {
        Unit::Outline { .. } => group_count(len) * VALUE_LEN as u64,
        Unit::Groups { first, count, .. } => groups_len(len, first, count),
    }
}

fn groups_len(len: u64, first: u64, count: u64) -> u64 {
    len.saturating_sub(first * GROUP_LEN).min(count * GROUP_LEN)
}

/// Whether `bytes` are group `group` of the file. Checked against the outline, or against the root
/// hash of a file of one group.
fn is_genuine(file: &FileState, group: u64, bytes: &[u8]) -> bool {
    let content = &file.job.content;
    if group_count(content.len) == 1 {
        return *blake3::hash(bytes).as_bytes() == content.hash;
    }
    let mut hasher = GroupHasher::new(group);
    hasher.update(bytes);
    let outline = file.outline();
    outline.is_some_and(|outline| outline.value(group) == Some(&hasher.finish()))
}

fn malformed(len: u64, expected: u64) -> WireError {
    WireError::Malformed {
        reason: format!("an answer of `{len}` bytes where `{expected}` were asked for"),
    }
}
