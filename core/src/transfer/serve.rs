//! The holder's side of a data lane.
//!
//! Answers requests one after the other until the lane ends. A file is opened only if it still is
//! the one that was hashed. If a file turns out to be shorter in the middle of an answer, the lane
//! ends, because a started answer can't be taken back. The puller then asks again and gets the
//! reason.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use blake3::hazmat::ChainingValue;

use super::protocol::{Refusal, Request, Response};
use crate::aligned::AlignedBuffer;
use crate::catalog::ContentId;
use crate::limits::{FINE_OUTLINES_SERVED_MAX, IO_BLOCK_LEN, LANE_FRAME_LEN_MAX, REQUEST_LEN_MAX};
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::session::wire::{read_blocking, write_blocking};
use crate::store::{
    BLOCK_LEN, FineOutline, GROUP_LEN, Source, SourceError, group_count, group_len, read_exact_at,
    subtree_value,
};

/// The contents that a lane can serve.
pub(crate) trait Holder {
    /// The local files that are shared and had this content when they were hashed.
    fn sources(&self, content: &ContentId) -> Vec<Arc<Source>>;
    /// Reads a changed source again, shares its present content, and returns it if that content is
    /// the same. Blocks for as long as reading takes.
    fn refresh(&self, source: &Arc<Source>) -> Option<Arc<Source>>;
}

/// Serves one lane until the puller closes it.
///
/// # Errors
/// Why the lane ended, unless it ended between two requests.
pub(crate) fn serve(lane: &mut BlockingLane, holder: &dyn Holder) -> Result<(), WireError> {
    let mut server = Server {
        holder,
        open: None,
        buffer: AlignedBuffer::new(IO_BLOCK_LEN),
        fine: FineOutlines::default(),
    };
    lane.set_read_timeout(None)?;
    loop {
        match read_blocking(lane, LANE_FRAME_LEN_MAX) {
            Ok(request) => server.answer(lane, request)?,
            Err(WireError::Closed) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

struct Server<'a> {
    holder: &'a dyn Holder,
    /// The file of the latest request, kept open because a large file is requested range by range.
    open: Option<(Arc<Source>, File)>,
    buffer: AlignedBuffer,
    fine: FineOutlines,
}

impl Server<'_> {
    fn answer(&mut self, lane: &mut BlockingLane, request: Request) -> Result<(), WireError> {
        match request {
            Request::Outline { content } => self.send_outline(lane, &content)?,
            Request::Bytes { content, offset, len } => self.send_bytes(lane, &content, offset, len)?,
            Request::Fine { content, group } => self.send_fine(lane, &content, group)?,
        }
        Ok(lane.flush()?)
    }

    fn send_outline(&mut self, lane: &mut BlockingLane, content: &ContentId) -> Result<(), WireError> {
        match self.open(content) {
            Ok((source, _)) => {
                let bytes = source.outline.as_bytes();
                respond(
                    lane,
                    Response::Data {
                        len: bytes.len() as u64,
                    },
                )?;
                Ok(lane.write_all(bytes)?)
            }
            Err(refusal) => respond(lane, Response::Refused(refusal)),
        }
    }

    fn send_bytes(
        &mut self,
        lane: &mut BlockingLane,
        content: &ContentId,
        offset: u64,
        len: u32,
    ) -> Result<(), WireError> {
        let end = offset
            .checked_add(u64::from(len))
            .filter(|end| *end <= content.len);
        let (Some(end), true) = (end, len <= REQUEST_LEN_MAX) else {
            return respond(lane, Response::Refused(Refusal::OutOfRange));
        };
        if let Err(refusal) = self.open(content) {
            return respond(lane, Response::Refused(refusal));
        }
        respond(lane, Response::Data { len: u64::from(len) })?;
        Ok(self.copy(lane, offset, end)?)
    }

    fn copy(&mut self, lane: &mut BlockingLane, mut offset: u64, end: u64) -> io::Result<()> {
        let (_, file) = self.open.as_ref().ok_or(io::ErrorKind::NotFound)?;
        while offset < end {
            let len = usize::try_from(end - offset)
                .unwrap_or(IO_BLOCK_LEN)
                .min(IO_BLOCK_LEN);
            read_exact_at(file, &mut self.buffer[..len], offset)?;
            lane.write_all(&self.buffer[..len])?;
            offset += len as u64;
        }
        Ok(())
    }

    fn send_fine(
        &mut self,
        lane: &mut BlockingLane,
        content: &ContentId,
        group: u64,
    ) -> Result<(), WireError> {
        let count = group_count(content.len);
        let fine = if count > 1 && group < count {
            self.fine_outline(content, group)
        } else {
            Err(Refusal::OutOfRange)
        };
        match fine {
            Ok(fine) => {
                let len = fine.as_bytes().len() as u64;
                respond(lane, Response::Data { len })?;
                Ok(lane.write_all(fine.as_bytes())?)
            }
            Err(refusal) => respond(lane, Response::Refused(refusal)),
        }
    }

    /// A remembered one needs no read of the bytes, only a check that they still may be served.
    fn fine_outline(&mut self, content: &ContentId, group: u64) -> Result<Arc<FineOutline>, Refusal> {
        self.open(content)?;
        if let Some(known) = self.fine.get(content, group) {
            return Ok(known);
        }
        let (source, file) = self.open.as_ref().ok_or(Refusal::NotHeld)?;
        let value = source.outline.value(group).ok_or(Refusal::Changed)?;
        let len = group_len(content.len, group);
        let values = block_values(file, group * GROUP_LEN, len, &mut self.buffer);
        let values = values.map_err(|_| Refusal::Changed)?;
        let fine = FineOutline::new(values, len, value).ok_or(Refusal::Changed)?;
        Ok(self.fine.keep(content, group, fine))
    }

    /// The open file for `content`. Each request checks that this very file is unchanged and still
    /// shared.
    fn open(&mut self, content: &ContentId) -> Result<&(Arc<Source>, File), Refusal> {
        let current = self
            .open
            .take()
            .filter(|(source, file)| source.content == *content && source.is_unchanged(file))
            .filter(|(source, _)| {
                let held = self.holder.sources(content);
                held.iter().any(|held| held.path == source.path)
            });
        let opened = match current {
            Some(open) => open,
            None => self.open_any(content)?,
        };
        Ok(self.open.insert(opened))
    }

    fn open_any(&self, content: &ContentId) -> Result<(Arc<Source>, File), Refusal> {
        let mut refusal = Refusal::NotHeld;
        for source in self.holder.sources(content) {
            match source.open() {
                Ok(file) => return Ok((source, file)),
                Err(SourceError::Unreadable { .. }) => refusal = Refusal::Unreadable,
                Err(error) => {
                    tracing::debug!(%error, "a shared file has changed");
                    let fresh = self.holder.refresh(&source);
                    let reopened = fresh.and_then(|fresh| fresh.open().ok().map(|file| (fresh, file)));
                    if let Some(open) = reopened.filter(|(fresh, _)| fresh.content == *content) {
                        return Ok(open);
                    }
                    // A file that has vanished has no new version to wait for.
                    if !matches!(error, SourceError::Missing { .. }) {
                        refusal = Refusal::Changed;
                    }
                }
            }
        }
        Err(refusal)
    }
}

/// The chaining values of the blocks of a group of `len` bytes at `offset`.
fn block_values(
    file: &File,
    mut offset: u64,
    len: u64,
    buffer: &mut AlignedBuffer,
) -> io::Result<Vec<ChainingValue>> {
    let end = offset + len;
    let block_len = usize::try_from(BLOCK_LEN).map_err(io::Error::other)?;
    let mut values = Vec::new();
    while offset < end {
        let len = usize::try_from(end - offset)
            .unwrap_or(IO_BLOCK_LEN)
            .min(IO_BLOCK_LEN);
        read_exact_at(file, &mut buffer[..len], offset)?;
        for block in buffer[..len].chunks(block_len) {
            values.push(subtree_value(block, offset));
            offset += block.len() as u64;
        }
    }
    Ok(values)
}

/// The fine outlines that were computed lately.
#[derive(Default)]
struct FineOutlines {
    known: HashMap<(ContentId, u64), Arc<FineOutline>>,
    /// The oldest first.
    order: VecDeque<(ContentId, u64)>,
}

impl FineOutlines {
    fn get(&self, content: &ContentId, group: u64) -> Option<Arc<FineOutline>> {
        self.known.get(&(*content, group)).cloned()
    }

    fn keep(&mut self, content: &ContentId, group: u64, fine: FineOutline) -> Arc<FineOutline> {
        if self.order.len() >= FINE_OUTLINES_SERVED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        let fine = Arc::new(fine);
        self.known.insert((*content, group), fine.clone());
        self.order.push_back((*content, group));
        fine
    }
}

fn respond(lane: &mut BlockingLane, response: Response) -> Result<(), WireError> {
    write_blocking(lane, &response, LANE_FRAME_LEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_fine_outlines_are_remembered_up_to_the_limit() {
        let content = ContentId {
            hash: [1; 32],
            len: 1 << 40,
        };
        let mut fine = FineOutlines::default();
        for group in 0..=FINE_OUTLINES_SERVED_MAX as u64 {
            let outline = FineOutline::new(vec![[7; 32]], 1, &[7; 32]).unwrap();
            fine.keep(&content, group, outline);
        }
        assert!(fine.get(&content, 0).is_none());
        assert!((1..=FINE_OUTLINES_SERVED_MAX as u64).all(|group| fine.get(&content, group).is_some()));
        assert_eq!(fine.known.len(), FINE_OUTLINES_SERVED_MAX);
    }
}
