//! Closing: closing the last handle of a file shares what was written since it was last shared, and
//! removes what is no longer needed.
//!
//! A program can write to a file that it has mapped into memory even after it closed it. Where the
//! writes go through us, the kernel closes the file only once it is unmapped. Where it writes by
//! itself, it closes the file at once and reports no mapping: then the last handle lingers here
//! until no other process can write to the file.
//!
//! What a program writes to mapped memory is shared when it is unmapped, even long after the file
//! was closed, and without passthrough also when it is synced. With passthrough the kernel informs
//! us of no mapping: a closed file stays open to us for as long as the kernel refuses us a write
//! lease of it. A process must not map files of a mount that it serves itself: the kernel holds the
//! memory of the process while it waits for the answer.

use std::sync::{Arc, MutexGuard};

use super::super::attributes::Inode;
use super::super::fs_error::FsError;
use super::super::nodes::Nodes;
use super::super::open_file::{Announcement, Body, OpenFile};
use super::super::publish::Check;
use super::super::share_view::ShareView;
use super::super::viewers::ViewerId;
use super::super::writers::has_other_writers;
use super::{Io, OpenHandle};
use crate::limits::{HASH_ATTEMPTS_MAX, MAPPED_LOOK_INTERVAL_FIRST, MAPPED_LOOK_INTERVAL_MAX};

impl OpenHandle {
    /// How the last handle detects whether there is anything to publish: a write to mapped memory
    /// need not change the stamp of a file that the kernel writes by itself.
    pub(super) fn last_check(&self) -> Check {
        match self.io {
            Io::Backed if self.mode.write || self.file.state().may_be_mapped => Check::Content,
            Io::Backed | Io::Calls => Check::Stamp,
        }
    }

    /// Whether it is the last handle of a file that a process may still write to without us.
    fn must_linger(&self) -> bool {
        if self.io == Io::Calls {
            return false;
        }
        let is_written = self.is_written_past_us();
        let mut state = self.file.state();
        state.may_be_mapped |= self.mode.write && is_written;
        state.may_be_mapped && is_written && state.handle_count == 1
    }

    /// Also true while other handles of the file are open for writing.
    fn is_written_past_us(&self) -> bool {
        let working = self.file.working();
        working.is_some_and(|working| has_other_writers(&working.file))
    }
}

impl ShareView {
    /// Ends a handle: now, or when no other process can write to the file any more.
    pub(super) fn close(self: &Arc<Self>, closed: &OpenHandle, viewer: ViewerId) -> Result<(), FsError> {
        if closed.must_linger() {
            self.close_when_unmapped(closed.clone(), viewer);
            return Ok(());
        }
        self.let_go(closed, viewer)
    }

    /// As [`ShareView::close`]; `None`, and the handle still counts, where that may take long.
    pub(super) fn close_at_once(
        self: &Arc<Self>,
        closed: &OpenHandle,
        viewer: ViewerId,
    ) -> Option<Result<(), FsError>> {
        if closed.must_linger() {
            self.close_when_unmapped(closed.clone(), viewer);
            return Some(Ok(()));
        }
        if self.leave_unwritten(closed) {
            return Some(Ok(()));
        }
        let file = (closed.inode, closed.file.as_ref());
        let published = self.publish_at_once(file, Some(viewer), closed.last_check())?;
        self.leave_published(closed, published)
    }

    fn close_when_unmapped(self: &Arc<Self>, closed: OpenHandle, viewer: ViewerId) {
        let view = self.clone();
        self.share.runtime.spawn_until_cancelled(async move {
            view.linger(&closed).await;
            view.let_go_later(closed, viewer);
        });
    }

    /// Returns when no other process can write to the file any more.
    async fn linger(&self, closed: &OpenHandle) {
        let clock = &self.share.runtime.clock;
        let mut interval = MAPPED_LOOK_INTERVAL_FIRST;
        while closed.is_written_past_us() {
            clock.sleep_until(clock.now() + interval).await;
            interval = (interval * 2).min(MAPPED_LOOK_INTERVAL_MAX);
        }
    }

    fn let_go_later(self: &Arc<Self>, closed: OpenHandle, viewer: ViewerId) {
        let view = self.clone();
        self.share.runtime.spawn_blocking(move || {
            if let Err(error) = view.let_go(&closed, viewer) {
                tracing::warn!(%error, "could not share what was written to a file after it was closed");
            }
        });
    }

    /// Ends a handle. Changes between publishing and the end are published too, such as the time
    /// that a copying program sets.
    pub(super) fn let_go(&self, closed: &OpenHandle, viewer: ViewerId) -> Result<(), FsError> {
        if self.leave_unwritten(closed) {
            return Ok(());
        }
        let mut check = closed.last_check();
        for _ in 0..HASH_ATTEMPTS_MAX {
            let published = self.publish((closed.inode, &closed.file), Some(viewer), check);
            if let Some(ended) = self.leave_published(closed, published) {
                return ended;
            }
            check = Check::Stamp;
        }
        // Another process writes to it all the time; it stays in the store.
        tracing::warn!("a file was closed while it was being written, and was not shared as it is now");
        self.leave(self.nodes(), (closed.inode, &closed.file), closed.io);
        Ok(())
    }

    /// Ends a handle that can't have changed the file, unless it is the last one and there is
    /// something to publish: a new file, or a time that was set after its writer closed it.
    fn leave_unwritten(&self, closed: &OpenHandle) -> bool {
        let is_unwritten = closed.last_check() == Check::Stamp && !closed.mode.write;
        if !is_unwritten || closed.file.state().announcement == Announcement::Withheld {
            return false;
        }
        let nodes = self.nodes();
        if is_unpublished(&closed.file) {
            return false;
        }
        self.leave(nodes, (closed.inode, &closed.file), closed.io);
        true
    }

    /// Ends a handle of a file that is published, or can't be. `None` if it was changed meanwhile.
    fn leave_published(
        &self,
        closed: &OpenHandle,
        published: Result<(), FsError>,
    ) -> Option<Result<(), FsError>> {
        let nodes = self.nodes();
        if published.is_ok() && is_unpublished(&closed.file) {
            return None;
        }
        self.leave(nodes, (closed.inode, &closed.file), closed.io);
        Some(published)
    }

    /// Counts one handle less. With the last one, removes the files that are no longer needed.
    pub(super) fn leave(&self, mut nodes: MutexGuard<'_, Nodes>, (inode, open): (Inode, &OpenFile), io: Io) {
        let mut state = open.state();
        state.handle_count -= 1;
        state.backed_count -= usize::from(io == Io::Backed);
        if state.handle_count > 0 {
            return;
        }
        if let Some(node) = nodes.get_mut(inode) {
            node.file = None;
        }
        nodes.drop_unknown(inode);
        drop(nodes);
        match &state.body {
            Body::Working(working) if state.version.is_none() || working.is_useless() => working.remove(),
            Body::Remote(remote) => remote.release(&self.share),
            Body::Working(_) | Body::Local(_) => {}
        }
    }
}

/// Whether this is the last handle of a file that was changed since it was published.
fn is_unpublished(open: &OpenFile) -> bool {
    let state = open.state();
    let is_last = state.handle_count == 1 && state.version.is_some();
    match &state.body {
        Body::Working(working) if is_last => working.is_dirty().unwrap_or(false),
        Body::Working(_) | Body::Local(_) | Body::Remote(_) => false,
    }
}
