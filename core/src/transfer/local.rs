//! Pulling what is on this machine already: a copy from file to file, verified like every other
//! pull.
//!
//! A file that is held here is copied whole. Of a content that was fetched in part for a reader,
//! the groups that are here are copied.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use super::queue::{FileState, Queue};
use super::serve::Holder;
use crate::aligned::AlignedBuffer;
use crate::clock::Clock;
use crate::limits::IO_BLOCK_LEN;
use crate::store::{
    Cached, GROUP_LEN, Outline, PartFile, PeerStore, StoreError, group_count, group_len, publish_all,
    read_exact_at, subtree_value,
};

/// Settles the files of `queue` whose content `holder` has. The lanes pull the files that can't be
/// copied.
pub(crate) fn copy_local(queue: &Queue, holder: &dyn Holder, clock: &Clock) {
    for index in 0..queue.count() {
        let Some(file) = queue.file(index).filter(|_| !queue.is_cancelled()) else {
            return;
        };
        if queue.is_settled(index) {
            continue;
        }
        for source in holder.sources(&file.job.content) {
            let copied = source
                .open()
                .ok()
                .and_then(|opened| copy(queue, index, &opened).ok().flatten());
            if let Some(part) = copied {
                queue.progress().verified(source.content.len);
                publish(queue, index, part, (&source.outline, clock));
                break;
            }
        }
    }
}

/// A part file with the whole content; `None` if the source holds something else.
fn copy(queue: &Queue, index: usize, source: &File) -> Result<Option<Arc<PartFile>>, StoreError> {
    let Some(file) = queue.file(index) else {
        return Ok(None);
    };
    let content = file.job.content;
    let part = Arc::new(PartFile::create(
        &file.job.destination,
        file.job.attributes,
        &content,
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

/// Copies the groups that `peer_store` has to the part files of `queue`, and leaves only the others
/// to the lanes.
pub(crate) fn copy_fetched(queue: &Queue, peer_store: &PeerStore, clock: &Clock) {
    let mut buffer = AlignedBuffer::new(usize::try_from(GROUP_LEN).unwrap_or(usize::MAX));
    for index in 0..queue.count() {
        let Some(file) = queue.file(index).filter(|_| !queue.is_cancelled()) else {
            return;
        };
        // A content of one group is here whole or not at all.
        if queue.is_settled(index) || group_count(file.job.content.len) == 1 {
            continue;
        }
        let Some(cached) = peer_store.find(&file.job.content) else {
            continue;
        };
        let Some(outline) = cached.outline() else { continue };
        let written = copy_groups(file, &cached, outline, &mut buffer);
        let mut is_whole = false;
        for group in &written {
            is_whole |= queue.group_written(index, group_len(file.job.content.len, *group));
        }
        match file.part() {
            Ok(part) if is_whole => publish(queue, index, part, (outline, clock)),
            _ => queue.outlined_but(index, outline.clone(), &written),
        }
    }
}

/// The groups that were copied. Groups that are not genuine or can't be copied are left to the
/// lanes, which will report any error.
fn copy_groups(
    file: &FileState,
    cached: &Cached,
    outline: &Outline,
    buffer: &mut AlignedBuffer,
) -> HashSet<u64> {
    let content = file.job.content;
    let mut copy = |group: u64| {
        let (offset, len) = (group * GROUP_LEN, group_len(content.len, group));
        let bytes = &mut buffer[..usize::try_from(len).ok()?];
        cached.read_at(bytes, offset).ok()?;
        let genuine = outline.value(group) == Some(&subtree_value(bytes, offset));
        let written = genuine.then(|| file.part().and_then(|part| part.write(bytes, offset)));
        written.and_then(Result::ok)
    };
    let here = (0..group_count(content.len)).filter(|group| cached.present(*group) == cached.blocks(*group));
    here.filter(|group| copy(*group).is_some()).collect()
}

fn publish(queue: &Queue, index: usize, part: Arc<PartFile>, (outline, clock): (&Outline, &Clock)) {
    let started = clock.now();
    queue.adopt_outline(index, outline.clone());
    for outcome in publish_all(&[part]) {
        queue.progress().published(1, clock.now() - started);
        queue.settle(index, outcome.map_err(super::FileFailure::Store));
    }
}
