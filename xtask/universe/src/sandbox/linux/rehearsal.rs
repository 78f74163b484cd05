//! Finds out in advance what a supervisor can have in the box: a child sets it up, reports the
//! result and exits.
//!
//! A kernel that supports a namespace is not enough: limits of the machine, or of a surrounding
//! container, may forbid one more.

use anyhow::Context;

use super::bounded::bounded;
use super::namespaces::{self, Part};
use crate::base::limits::{REHEARSAL_OUTER_TIMEOUT, REHEARSAL_TIMEOUT};

/// Why supervisors cannot each have a process namespace, so that tests share one; `None` if they
/// can.
///
/// # Errors
/// When a supervisor could not even have its own mounts and shared memory.
pub(super) fn refusal_of_parts() -> anyhow::Result<Option<String>> {
    let Err(refusal) = understood(bounded(REHEARSAL_OUTER_TIMEOUT, parted)) else {
        return Ok(None);
    };
    understood(bounded(REHEARSAL_TIMEOUT, || secluded(None))).map_err(anyhow::Error::msg)?;
    Ok(Some(refusal))
}

/// The result for a supervisor with its own process namespace, whose first process can only be the
/// next child.
fn parted() -> Vec<u8> {
    match namespaces::part_next_child().context("the kernel refused a process namespace") {
        Ok(()) => bounded(REHEARSAL_TIMEOUT, || secluded(Some(Part(0)))).unwrap_or_default(),
        Err(error) => answer(Err(error)),
    }
}

fn secluded(part: Option<Part>) -> Vec<u8> {
    answer(namespaces::seclude(part))
}

fn answer(made: anyhow::Result<()>) -> Vec<u8> {
    serde_json::to_vec(&made.map_err(|error| format!("{error:#}"))).unwrap_or_default()
}

fn understood(answer: Option<Vec<u8>>) -> Result<(), String> {
    let understood = answer.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    understood.unwrap_or_else(|| Err("the child that tried it did not answer".to_owned()))
}
