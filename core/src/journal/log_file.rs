//! A file that records are appended to.
//!
//! After a write that failed, for example on a full disk, the file ends where it ended before.

use std::fs::File;
use std::io;

use super::record::{Record, encode, header};
use crate::identity::Fingerprint;
use crate::store::write_all_at;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct LogFile {
    file: File,
    len: u64,
    tail: Tail,
}

/// What is at the end of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    /// All of it is durable.
    Synced,
    /// What was appended last may not be durable.
    Unsynced,
    /// There are bytes after the last record.
    Torn,
}

impl LogFile {
    /// Begins a new journal in an empty file.
    pub(super) fn begin(file: File, owner: Fingerprint) -> io::Result<Self> {
        let header = header(owner);
        write_all_at(&file, &header, 0)?;
        Ok(Self {
            file,
            len: header.len() as u64,
            tail: Tail::Unsynced,
        })
    }

    /// Goes on in a file of which `len` bytes count.
    pub(super) fn resume(file: File, len: u64) -> Self {
        Self {
            file,
            len,
            tail: Tail::Torn,
        }
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends records: all of them, or none.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        if self.tail == Tail::Torn {
            self.file.set_len(self.len)?;
            self.tail = Tail::Unsynced;
        }
        let mark = (self.tail == Tail::Synced).then_some(&Record::Synced);
        let mut bytes = Vec::new();
        for record in mark.into_iter().chain(records) {
            match encode(record, self.len + bytes.len() as u64) {
                Some(encoded) => bytes.extend(encoded),
                None => tracing::warn!("a record is too long for the journal, and is not saved"),
            }
        }
        self.tail = Tail::Torn;
        write_all_at(&self.file, &bytes, self.len)?;
        self.len += bytes.len() as u64;
        self.tail = Tail::Unsynced;
        Ok(())
    }

    /// Makes everything durable that was appended.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.tail == Tail::Synced {
            return Ok(());
        }
        self.file.sync_all()?;
        if self.tail == Tail::Unsynced {
            self.tail = Tail::Synced;
        }
        Ok(())
    }
}
