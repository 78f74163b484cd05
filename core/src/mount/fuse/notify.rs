//! Notifies the kernel of cached names and attributes that have changed, from a thread of its own.
//!
//! Never from a handler and never under a lock: the kernel may wait for an answer of ours before it
//! accepts a notification. The kernel may cache an answer that was on its way when something
//! changed, after the notification of that change; so each notification is repeated a little later.
//! That of a folder's name is not: a process may have entered the folder by then, and would lose
//! its current directory.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fuser::{INodeNo, Notifier};
use tokio::time::Instant;

use super::super::attributes::Inode;
use super::super::filesystem::FileSystem;
use super::super::share_view::ShareView;
use super::super::viewers::Stale;
use crate::catalog::Name;
use crate::clock::Clock;
use crate::limits::{ECHOES_CHECKED_MAX, KERNEL_ECHO_DELAY};

/// The thread that notifies the kernel. It ends when there can be no more changes.
pub(in super::super) struct Notifying {
    thread: JoinHandle<()>,
    /// Nothing is ever sent; the other end is dropped when the thread ends.
    running: Receiver<Infallible>,
}

impl Notifying {
    /// Starts it.
    pub(in super::super) fn start(fs: &FileSystem, kernel: Notifier) -> io::Result<Self> {
        let news = fs.listen();
        let notify_loop = NotifyLoop {
            kernel,
            clock: fs.runtime().clock.clone(),
            view: fs.view().clone(),
            echoes: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name("tandem-notify".to_owned());
        let (at_end, ended) = channel();
        let thread = thread.spawn(move || {
            let _at_end: Sender<Infallible> = at_end;
            notify_loop.run(&news);
        })?;
        Ok(Self {
            thread,
            running: ended,
        })
    }

    /// Waits up to `patience` until the thread has ended. The kernel may block the thread while it
    /// waits for an answer of ours; then the thread ends by itself later.
    pub(in super::super) fn join_within(self, patience: Duration) {
        if matches!(
            self.running.recv_timeout(patience),
            Err(RecvTimeoutError::Timeout)
        ) {
            tracing::warn!("the thread that notifies the kernel of changes is still waiting for the kernel");
        } else if self.thread.join().is_err() {
            tracing::error!("the thread that notifies the kernel of changes panicked");
        }
    }
}

struct NotifyLoop {
    kernel: Notifier,
    clock: Clock,
    view: Arc<ShareView>,
    echoes: VecDeque<(Instant, Stale)>,
}

impl NotifyLoop {
    fn run(mut self, news: &Receiver<Stale>) {
        loop {
            let received = match self.echoes.front() {
                None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some((due, _)) => news.recv_timeout(due.saturating_duration_since(self.clock.now())),
            };
            match received {
                Ok(stale) => {
                    self.notify(&stale);
                    let due = self.clock.now() + KERNEL_ECHO_DELAY;
                    self.echoes.push_back((due, stale));
                }
                Err(RecvTimeoutError::Timeout) => self.echo(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Repeats what is due, but not more than [`ECHOES_CHECKED_MAX`] at a time: a name that is no
    /// folder when it is checked may be one soon after.
    fn echo(&mut self) {
        let now = self.clock.now();
        loop {
            let due = std::iter::from_fn(|| self.echoes.pop_front_if(|(due, _)| *due <= now));
            let due: Vec<_> = due.take(ECHOES_CHECKED_MAX).map(|(_, stale)| stale).collect();
            if due.is_empty() {
                return;
            }
            let folders = self.view.folders_among(due.iter().filter_map(name_of).collect());
            let repeated = due
                .iter()
                .filter(|stale| name_of(stale).is_none_or(|name| !folders.contains(&name)));
            repeated.for_each(|stale| self.notify(stale));
        }
    }

    fn notify(&self, stale: &Stale) {
        let notified = match stale {
            Stale::Name { folder, name } => {
                let name = OsStr::new(name.as_str());
                self.kernel.inval_entry(INodeNo(folder.0), name)
            }
            Stale::Content { inode } => self.kernel.inval_inode(INodeNo(inode.0), 0, 0),
            Stale::Attributes { inode } => self.kernel.inval_inode(INodeNo(inode.0), -1, 0),
        };
        // A kernel that does not know the inode has nothing to forget.
        match notified {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "could not notify the kernel of a change");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

/// The name that a notification is about, and the folder that it is in.
fn name_of(stale: &Stale) -> Option<(Inode, Name)> {
    match stale {
        Stale::Name { folder, name } => Some((*folder, name.clone())),
        Stale::Content { .. } | Stale::Attributes { .. } => None,
    }
}
