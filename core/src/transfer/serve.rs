//! The holder's side of a data lane.
//!
//! Answers requests one after the other until the lane ends. A file is opened only if it still is what was hashed; one
//! that turns out shorter in the middle of an answer ends the lane, because an answer that was begun can't be taken
//! back, and the puller asks again and is then told.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use super::protocol::{Refusal, Request, Response};
use crate::aligned::AlignedBuffer;
use crate::catalog::ContentId;
use crate::limits::{IO_BLOCK_LEN, LANE_FRAME_LEN_MAX, REQUEST_LEN_MAX};
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::session::wire::{read_blocking, write_blocking};
use crate::store::{Source, SourceError, read_exact_at};

/// What a lane is served from.
pub(crate) trait Holder {
    /// The local files that had this content when they were hashed.
    fn sources(&self, content: &ContentId) -> Vec<Arc<Source>>;
    /// Reads a source again that is not what it was, shares what it is now, and returns it if that is the same content.
    /// Blocks for as long as reading takes.
    fn refresh(&self, source: &Arc<Source>) -> Option<Arc<Source>>;
}

/// Serves one lane until the puller closes it.
///
/// # Errors
/// How the lane ended, when it was not between two requests.
pub(crate) fn serve(lane: &mut BlockingLane, holder: &dyn Holder) -> Result<(), WireError> {
    let mut server = Server {
        holder,
        open: None,
        buffer: AlignedBuffer::new(IO_BLOCK_LEN),
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
    /// The file of the latest request, kept open: a large file is asked for range by range.
    open: Option<(Arc<Source>, File)>,
    buffer: AlignedBuffer,
}

impl Server<'_> {
    fn answer(&mut self, lane: &mut BlockingLane, request: Request) -> Result<(), WireError> {
        match request {
            Request::Outline { content } => self.send_outline(lane, &content)?,
            Request::Bytes { content, offset, len } => self.send_bytes(lane, &content, offset, len)?,
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

    /// The open file for `content`, checked at every request to be unchanged and still shared.
    fn open(&mut self, content: &ContentId) -> Result<&(Arc<Source>, File), Refusal> {
        let current = self
            .open
            .take()
            .filter(|(source, file)| source.content == *content && source.is_unchanged(file))
            .filter(|_| !self.holder.sources(content).is_empty());
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
                    tracing::debug!(%error, "a shared file is not what it was");
                    let fresh = self.holder.refresh(&source);
                    let reopened = fresh.and_then(|fresh| fresh.open().ok().map(|file| (fresh, file)));
                    if let Some(open) = reopened.filter(|(fresh, _)| fresh.content == *content) {
                        return Ok(open);
                    }
                    // Of a file that has vanished there is no new version to wait for.
                    if !matches!(error, SourceError::Missing { .. }) {
                        refusal = Refusal::Changed;
                    }
                }
            }
        }
        Err(refusal)
    }
}

fn respond(lane: &mut BlockingLane, response: Response) -> Result<(), WireError> {
    write_blocking(lane, &response, LANE_FRAME_LEN_MAX)
}
