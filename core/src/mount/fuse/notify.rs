//! Reports to the kernel what it should not believe any more, from a thread of its own.
//!
//! Never from a handler and never under a lock: the kernel may wait for an answer of ours before it
//! takes the news. An answer that was on its way to the kernel when something changed may be
//! remembered after the news of the change; so the news is repeated a little later. Not of a
//! folder's name, though: by then a process may be in that folder, and would be nowhere.

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

use super::super::filesystem::FileSystem;
use super::super::view::ShareView;
use super::super::viewers::Stale;
use crate::clock::Clock;
use crate::limits::KERNEL_ECHO_DELAY;

/// The thread that reports; it ends when there can be no more news.
pub(in super::super) struct Notifying {
    thread: JoinHandle<()>,
    /// Nothing is ever sent; the other end goes with the thread.
    telling: Receiver<Infallible>,
}

impl Notifying {
    /// Starts it.
    pub(in super::super) fn start(fs: &FileSystem, kernel: Notifier) -> io::Result<Self> {
        let news = fs.listen();
        let telling = Telling {
            kernel,
            clock: fs.runtime().clock.clone(),
            view: fs.view().clone(),
            echoes: VecDeque::new(),
        };
        let thread = std::thread::Builder::new().name("tandem-notify".to_owned());
        let (at_end, ended) = channel();
        let thread = thread.spawn(move || {
            let _at_end: Sender<Infallible> = at_end;
            telling.run(&news);
        })?;
        Ok(Self {
            thread,
            telling: ended,
        })
    }

    /// Waits until it has ended. The kernel may keep it waiting for as long as it waits for an
    /// answer of ours; after `patience` it is left to end by itself.
    pub(in super::super) fn join_within(self, patience: Duration) {
        if matches!(
            self.telling.recv_timeout(patience),
            Err(RecvTimeoutError::Timeout)
        ) {
            tracing::warn!("the thread that tells the kernel of changes waits for the kernel");
        } else if self.thread.join().is_err() {
            tracing::error!("the thread that tells the kernel of changes panicked");
        }
    }
}

struct Telling {
    kernel: Notifier,
    clock: Clock,
    view: Arc<ShareView>,
    echoes: VecDeque<(Instant, Stale)>,
}

impl Telling {
    fn run(mut self, news: &Receiver<Stale>) {
        loop {
            let heard = match self.echoes.front() {
                None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some((due, _)) => news.recv_timeout(due.saturating_duration_since(self.clock.now())),
            };
            match heard {
                Ok(stale) => {
                    self.tell(&stale);
                    let due = self.clock.now() + KERNEL_ECHO_DELAY;
                    self.echoes.push_back((due, stale));
                }
                Err(RecvTimeoutError::Timeout) => self.echo(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn echo(&mut self) {
        let now = self.clock.now();
        while let Some((_, stale)) = self.echoes.pop_front_if(|(due, _)| *due <= now) {
            if !self.is_folder(&stale) {
                self.tell(&stale);
            }
        }
    }

    fn is_folder(&self, stale: &Stale) -> bool {
        match stale {
            Stale::Name { folder, name } => self.view.is_folder(*folder, name),
            Stale::Content { .. } | Stale::Attributes { .. } => false,
        }
    }

    fn tell(&self, stale: &Stale) {
        let told = match stale {
            Stale::Name { folder, name } => {
                let name = OsStr::new(name.as_str());
                self.kernel.inval_entry(INodeNo(folder.0), name)
            }
            Stale::Content { inode } => self.kernel.inval_inode(INodeNo(inode.0), 0, 0),
            Stale::Attributes { inode } => self.kernel.inval_inode(INodeNo(inode.0), -1, 0),
        };
        // A kernel that does not know the inode has nothing to forget.
        match told {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "the kernel could not be told of a change");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
