//! The asynchronous runtime of the subcommands that start processes and listen to signals.

use anyhow::Context;

/// Runs `future` to completion. One thread is enough to start processes and to read their output.
///
/// # Errors
/// When the system provides no event queue.
pub fn block_on<F: Future>(future: F) -> anyhow::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.context("could not start the runtime")?.block_on(future))
}
