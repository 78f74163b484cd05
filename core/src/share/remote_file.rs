//! A file of the other peer, opened to be read. It has one content, even if its entry is renamed,
//! replaced or removed.
//!
//! Owns how one reader reads ahead, and starts what its reads need. The demand that all readers
//! share is `transfer::Demand`; the peer owns the lanes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::Share;
use crate::store::Cached;
use crate::transfer::{Done, Patience, Plan, ReadAhead, Waiter, WorkersToStart};

/// A file of the other peer that is open for reading. See the head of this file.
#[derive(Debug)]
pub(crate) struct RemoteFile {
    cached: Arc<Cached>,
    /// The file of the content, which is open until the reader closes it.
    file: Arc<File>,
    ahead: Mutex<ReadAhead>,
}

impl RemoteFile {
    /// A reader of `cached`.
    ///
    /// # Errors
    /// If its file can't be opened.
    pub(crate) fn new(cached: Arc<Cached>) -> io::Result<Self> {
        let file = cached.file()?;
        let ahead = Mutex::new(ReadAhead::new(cached.content().len));
        Ok(Self { cached, file, ahead })
    }

    /// The part of the content that is here.
    pub(crate) fn cached(&self) -> &Arc<Cached> {
        &self.cached
    }

    /// The file of the content; see [`Cached::file`].
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Whether all of `range`, up to the end of the file, can be read now. Counts as a read: more
    /// is fetched ahead.
    pub(crate) fn is_ready(&self, share: &Arc<Share>, range: Range<u64>) -> bool {
        let range = self.within(range);
        if self.cached.is_complete() {
            return true;
        }
        let plan = self.plan(&range);
        if !self.cached.has(range) {
            return false;
        }
        if !self.cached.has(plan.ahead.clone()) {
            share.start(share.demand.read_ahead(&self.cached, plan.ahead));
        }
        true
    }

    /// Calls `done` once all of `range`, up to the end of the file, can be read from
    /// [`RemoteFile::cached`]: at once, or later from another thread. Never blocks.
    pub(crate) fn read(&self, share: &Arc<Share>, range: Range<u64>, done: Done) {
        let range = self.within(range);
        if self.is_ready(share, range.clone()) {
            return done(Ok(()));
        }
        let plan = self.plan(&range);
        let waiter = Waiter {
            range,
            since: share.runtime.clock.now(),
            patience: Patience::InAll,
            done,
        };
        share.start(share.demand.read(&self.cached, &plan, waiter));
    }

    /// Calls `done` once the whole file is here, as [`RemoteFile::read`].
    pub(crate) fn complete(&self, share: &Arc<Share>, done: Done) {
        let waiter = Waiter {
            range: 0..self.cached.content().len,
            since: share.runtime.clock.now(),
            patience: Patience::WithProgress,
            done,
        };
        share.start(share.demand.read_all(&self.cached, waiter));
    }

    /// Call this when the file is closed: no more of it needs to be read ahead.
    pub(crate) fn release(&self, share: &Share) {
        if !self.cached.is_complete() {
            share.demand.forget_ahead(&self.cached.content());
        }
    }

    fn plan(&self, range: &Range<u64>) -> Plan {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.on_read(range.start, range.end - range.start)
    }

    fn within(&self, range: Range<u64>) -> Range<u64> {
        let len = self.cached.content().len;
        let start = range.start.min(len);
        start..range.end.clamp(start, len)
    }
}

impl Share {
    /// Starts what the demand needs: a worker, the timer of its waiters, both, or neither.
    fn start(self: &Arc<Self>, engage: WorkersToStart) {
        if engage.worker {
            match self.hooks.upgrade() {
                Some(hooks) => hooks.start_worker(),
                None => self.demand.leave(),
            }
        }
        if engage.timer {
            self.runtime.spawn_until_cancelled(expire_waiters(self.clone()));
        }
    }
}

/// Answers the waiters that have waited too long.
async fn expire_waiters(share: Arc<Share>) {
    let clock = &share.runtime.clock;
    while let Some(deadline) = share.demand.expire(clock.now()) {
        clock.sleep_until(deadline).await;
    }
}
