//! Pulling what is on this machine already: a copy from file to file, verified like any other.

use std::fs::File;
use std::sync::Arc;

use super::queue::Queue;
use super::serve::Holder;
use crate::aligned::AlignedBuffer;
use crate::clock::Clock;
use crate::limits::IO_BLOCK_LEN;
use crate::store::{PartFile, Source, StoreError, publish_all, read_exact_at};

/// Settles those files of `queue` whose content `holder` has. What can't be copied is left for the lanes.
pub(crate) fn copy_local(queue: &Queue, holder: &dyn Holder, clock: &Clock) {
    for index in 0..queue.count() {
        let Some(file) = queue.file(index).filter(|_| !queue.is_cancelled()) else {
            return;
        };
        for source in holder.sources(&file.job.content) {
            let copied = source
                .open()
                .ok()
                .and_then(|opened| copy(queue, index, &opened).ok().flatten());
            if let Some(part) = copied {
                publish(queue, index, part, &source, clock);
                break;
            }
        }
    }
}

/// A part file with the whole content, or `None` if the source turned out to hold something else.
fn copy(queue: &Queue, index: usize, source: &File) -> Result<Option<Arc<PartFile>>, StoreError> {
    let Some(file) = queue.file(index) else {
        return Ok(None);
    };
    let content = file.job.content;
    let part = Arc::new(PartFile::create(
        &file.job.destination,
        file.job.attributes,
        content.len,
    )?);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = AlignedBuffer::new(IO_BLOCK_LEN);
    let mut offset = 0;
    while offset < content.len && !queue.is_cancelled() {
        let len = usize::try_from(content.len - offset)
            .unwrap_or(IO_BLOCK_LEN)
            .min(IO_BLOCK_LEN);
        if read_exact_at(source, &mut buffer[..len], offset).is_err() {
            return Ok(None);
        }
        hasher.update(&buffer[..len]);
        part.write(&buffer[..len], offset)?;
        offset += len as u64;
    }
    let genuine = *hasher.finalize().as_bytes() == content.hash;
    Ok((genuine && !queue.is_cancelled()).then_some(part))
}

fn publish(queue: &Queue, index: usize, part: Arc<PartFile>, source: &Source, clock: &Clock) {
    let started = clock.now();
    queue.progress().verified(source.content.len);
    queue.adopt_outline(index, source.outline.clone());
    for outcome in publish_all(&[part]) {
        queue.progress().published(1, clock.now() - started);
        queue.settle(index, outcome.map_err(super::FileFailure::Store));
    }
}
