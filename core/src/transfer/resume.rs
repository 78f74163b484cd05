//! What an earlier pull, which did not come to its end, has done of this one.
//!
//! A file that is whole at its place needs nothing more. What is in a part file is checked group by
//! group when it would be asked for; see [`super::fetch`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::FileFailure;
use super::queue::Queue;
use crate::clock::Clock;
use crate::store::{find_leftovers, sync_folders_of};

/// Settles the files of `queue` that are at their places already.
pub(crate) fn adopt_present(queue: &Queue, clock: &Clock) {
    let started = clock.now();
    let stop = || queue.is_cancelled();
    let (mut destinations, mut found) = (Vec::new(), Vec::new());
    for index in 0..queue.count() {
        let Some(file) = queue.file(index).filter(|_| !queue.is_cancelled()) else {
            return;
        };
        let job = &file.job;
        match job.destination.present(&job.content, &job.attributes, &stop) {
            Ok(None) => {}
            Ok(Some(there)) => {
                destinations.push(&job.destination);
                found.push((index, there));
            }
            Err(error) => queue.settle(index, Err(FileFailure::Store(error))),
        }
    }
    let synced = sync_folders_of(&destinations);
    for ((index, (published, outline)), synced) in found.into_iter().zip(synced) {
        let len = queue.file(index).map_or(0, |file| file.job.content.len);
        queue.adopt_outline(index, outline);
        queue.progress().verified(len);
        queue.progress().published(1, clock.now() - started);
        queue.settle(index, synced.map(|()| published).map_err(FileFailure::Store));
    }
}

/// Finds the part files that earlier pulls have left for the files of `queue`, and removes what
/// nobody needs any more.
pub(crate) fn find_parts(queue: &Queue, clock: &Clock) {
    let files = || (0..queue.count()).filter(|index| !queue.is_settled(*index));
    let jobs = files().filter_map(|index| Some((index, &queue.file(index)?.job)));
    let (indices, wanted): (Vec<_>, Vec<_>) = jobs
        .map(|(index, job)| (index, (&job.destination, &job.content)))
        .unzip();
    let now: SystemTime = UNIX_EPOCH + Duration::from_millis(clock.unix_ms());
    for found in find_leftovers(&wanted, now) {
        let file = indices.get(found).and_then(|index| queue.file(*index));
        file.into_iter()
            .for_each(super::queue::FileState::note_left_behind);
    }
}
