//! Queries a test binary in the surroundings of its tests: a program may do anything even when it
//! only has to list its tests, and the processes it starts must not outlive the answer.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::process::Command;

use super::Owner;
#[cfg(target_os = "linux")]
use super::capture::Capture;
use crate::base::clock;
#[cfg(target_os = "linux")]
use crate::sandbox::isolation::Network;

/// Queries one binary.
#[derive(Debug)]
pub(crate) struct Asker {
    owner: Arc<Owner>,
    /// The number of the binary; its scratch directories are named after it.
    number: usize,
    asked: AtomicUsize,
}

impl Asker {
    /// For the binary with this number.
    pub(crate) fn new(owner: Arc<Owner>, number: usize) -> Asker {
        let asked = AtomicUsize::new(0);
        Asker { owner, number, asked }
    }

    /// Runs the command to its end and returns its output.
    ///
    /// # Errors
    /// Why there is no answer, for a person.
    pub(crate) async fn ask(&self, mut command: Command, limit: Duration) -> Result<Output, String> {
        #[cfg(target_os = "linux")]
        if let Owner::Keeper(keeper) = &*self.owner {
            let label = format!(
                "list-{}-{}",
                self.number,
                self.asked.fetch_add(1, Ordering::Relaxed)
            );
            return super::supervised::output(
                keeper,
                (command.into_std(), Capture::whole()),
                super::Question {
                    label: &label,
                    limit,
                    network: Network::default(),
                },
            )
            .await;
        }
        command.kill_on_drop(true).stdin(std::process::Stdio::null());
        let deadline = clock::now() + limit;
        tokio::select! {
            output = command.output() => output.map_err(|error| format!("it could not be started: {error}")),
            () = clock::passed(Some(deadline)) => Err(format!("no answer within {} s", limit.as_secs())),
        }
    }
}
