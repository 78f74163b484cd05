//! Where the work of one peer runs: its tasks, its clock, and the signal that ends them.
//!
//! Every task and every blocking job of a peer starts here, so that closing the peer can wait for
//! all of them. Knows nothing of what they do.

use std::future::Future;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, Span};

use crate::clock::Clock;

/// A cheap handle to the runtime of one peer; clones mean the same one.
#[derive(Debug, Clone)]
pub(crate) struct Runtime {
    pub(crate) clock: Clock,
    /// Everything that was started here and has not ended.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the peer ends.
    pub(crate) cancel: CancellationToken,
    /// Tells the log lines of this peer from those of others in the same process.
    pub(crate) span: Span,
    /// Readers call from threads without a runtime.
    handle: Handle,
}

impl Runtime {
    /// A runtime on that of the caller. The log lines of its tasks belong to `span`.
    pub(crate) fn new(clock: Clock, span: Span) -> Self {
        Self {
            clock,
            tasks: TaskTracker::new(),
            cancel: CancellationToken::new(),
            span,
            handle: Handle::current(),
        }
    }

    /// Starts a task, from any thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks
            .spawn_on(task.instrument(self.span.clone()), &self.handle);
    }

    /// Starts a task, from any thread, which is dropped when the peer ends.
    pub(crate) fn spawn_until_cancelled(&self, task: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.spawn(async move { cancel.run_until_cancelled(task).await.unwrap_or(()) });
    }

    /// Starts work that blocks, from any thread.
    pub(crate) fn spawn_blocking(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.run_blocking(work));
    }

    /// As [`Runtime::spawn_blocking`], for a caller that waits for the result. Waiting fails only
    /// when the work panicked.
    pub(crate) fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let span = self.span.clone();
        let work = move || span.in_scope(work);
        self.tasks.spawn_blocking_on(work, &self.handle)
    }
}
