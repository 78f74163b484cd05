//! Reading a journal: from its bytes to what was known when they were written.
//!
//! No bytes make this file panic, and none take more memory than there are.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use super::error::Flaw;
use super::record::{
    HEAD_LEN, HEADER_LEN, Header, LocalFile, Record, VERSION, decode, parse_head, parse_header,
};
use crate::catalog::{EntryId, EntryState};
use crate::identity::Fingerprint;
use crate::limits::{IO_BLOCK_LEN, JOURNAL_RECORD_LEN_MAX};

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Replayed {
    pub(super) incarnation: u64,
    pub(super) counter: u64,
    pub(super) states: BTreeMap<EntryId, EntryState>,
    pub(super) local: BTreeMap<PathBuf, LocalFile>,
    /// Whether the last record says that the peer ended in good order.
    pub(super) is_closed: bool,
    /// How many bytes of the file count.
    pub(super) len: u64,
}

/// Why a file could not be replayed.
#[derive(Debug)]
pub(super) enum Fault {
    Flaw(Flaw),
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads the journal of a peer, and its owner. `len` is the length of the file.
pub(super) fn replay(file: impl Read, len: u64) -> Result<(Fingerprint, Replayed), Fault> {
    let mut file = BufReader::with_capacity(IO_BLOCK_LEN, file);
    let mut header = [0; HEADER_LEN];
    let owner = match read_whole(&mut file, &mut header)?.then(|| parse_header(&header)) {
        Some(Header::Of(owner)) => owner,
        Some(Header::Damaged) => return Err(Fault::Flaw(Flaw::Damaged { offset: 0 })),
        Some(Header::Version(version)) => {
            let known = VERSION;
            return Err(Fault::Flaw(Flaw::NewerVersion { version, known }));
        }
        Some(Header::Foreign) | None => return Err(Fault::Flaw(Flaw::NotAJournal)),
    };
    let mut replayed = Replayed {
        len: HEADER_LEN as u64,
        ..Replayed::default()
    };
    loop {
        match next(&mut file, replayed.len, len)? {
            Next::Record(record, next) => replayed.apply(record, next),
            Next::End => return Ok((owner, replayed)),
            Next::Bad(read) => {
                let was_durable = has_mark(read.chain(file), replayed.len)?;
                let offset = replayed.len;
                let damaged = Err(Fault::Flaw(Flaw::Damaged { offset }));
                return if was_durable {
                    damaged
                } else {
                    Ok((owner, replayed))
                };
            }
        }
    }
}

enum Next {
    /// A record, and where the next one begins.
    Record(Record, u64),
    End,
    /// No record; what was read of it.
    Bad(io::Cursor<Vec<u8>>),
}

/// Reads the record at `offset`.
fn next(file: &mut impl Read, offset: u64, len: u64) -> io::Result<Next> {
    let mut head = [0; HEAD_LEN];
    if offset >= len {
        return Ok(Next::End);
    }
    if !read_whole(file, &mut head)? {
        return Ok(Next::Bad(io::Cursor::new(Vec::new())));
    }
    let (payload_len, sum) = parse_head(&head);
    let end = offset + (HEAD_LEN + payload_len) as u64;
    if payload_len > JOURNAL_RECORD_LEN_MAX || end > len {
        return Ok(Next::Bad(io::Cursor::new(head.to_vec())));
    }
    let mut payload = vec![0; payload_len];
    if !read_whole(file, &mut payload)? {
        return Ok(Next::Bad(io::Cursor::new(Vec::new())));
    }
    Ok(match decode(&payload, sum, offset) {
        Some(record) => Next::Record(record, end),
        None => Next::Bad(io::Cursor::new([&head[..], &payload].concat())),
    })
}

/// Fills `bytes`; `false` if the file ends before.
fn read_whole(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether there is a record in `rest`, which begins at `offset`, that was written after a sync.
fn has_mark(rest: impl BufRead, offset: u64) -> io::Result<bool> {
    const MARK_LEN: usize = HEAD_LEN + 1;
    let mut window = VecDeque::with_capacity(MARK_LEN);
    let mut at = offset;
    for byte in rest.bytes() {
        window.push_back(byte?);
        if window.len() < MARK_LEN {
            continue;
        }
        let [first, second, third, fourth, ..] = *window.make_contiguous() else {
            continue;
        };
        if [first, second, third, fourth] == 1_u32.to_le_bytes() {
            let mut head = [0; HEAD_LEN];
            head.iter_mut()
                .zip(&window)
                .for_each(|(byte, read)| *byte = *read);
            let payload: Vec<u8> = window.range(HEAD_LEN..).copied().collect();
            let record = decode(&payload, parse_head(&head).1, at);
            if matches!(record, Some(Record::Synced | Record::Closed)) {
                return Ok(true);
            }
        }
        window.pop_front();
        at += 1;
    }
    Ok(false)
}

impl Replayed {
    fn apply(&mut self, record: Record, next: u64) {
        self.len = next;
        self.is_closed = record == Record::Closed;
        match record {
            Record::Started { incarnation } => self.incarnation = incarnation,
            Record::Entries { counter, states } => {
                self.counter = counter;
                self.states.extend(states);
            }
            Record::Local(local) => drop(self.local.insert(local.path.0.clone(), *local)),
            Record::Gone(path) => drop(self.local.remove(&path.0)),
            Record::Synced | Record::Closed => {}
        }
    }
}
