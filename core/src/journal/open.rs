//! A journal in use: opened by one peer at a time, appended to, written anew, closed.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Flaw, JournalError};
use super::log_file::LogFile;
use super::record::{LocalFile, Record};
use super::replay::{Fault, Replayed, replay};
use super::{FILE, FRESH};
use crate::catalog::{Catalog, EntryId, EntryState, ReplicaId};
use crate::identity::Fingerprint;
use crate::limits::{JOURNAL_GROWTH_FACTOR, JOURNAL_GROWTH_LEN_MIN, JOURNALS_SET_ASIDE_MAX};
use crate::store::{own_folder, take_lock};

/// The journal of a running peer.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    owner: Fingerprint,
    incarnation: u64,
    log: LogFile,
    /// How long it was when it was written anew, or opened.
    len_first: u64,
    _lock: File,
}

/// How the peer that used the journal before has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There was none.
    New,
    /// In good order: everything that it did is in the journal.
    Closed,
    /// By a crash or a kill: the last changes may be missing.
    Killed,
    /// Its journal could not be used, and is at this path now.
    SetAside(PathBuf, Flaw),
}

/// What a journal had when it was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    pub(crate) catalog: Catalog,
    pub(crate) local: Vec<LocalFile>,
    pub(crate) ended: Ended,
}

impl Journal {
    /// Opens the journal in the folder `dir`, which is made if it does not exist. Nothing of it is
    /// used by two peers at once. `fresh` is an incarnation that `owner` has not used before.
    ///
    /// # Errors
    /// Those of the folder and of the system. A file that can't be used is no error: see
    /// [`Ended::SetAside`].
    pub(crate) fn open(dir: &Path, owner: Fingerprint, fresh: u64) -> Result<Opened, JournalError> {
        let dir = own_folder(dir)?;
        let lock = take_lock(&dir)?;
        let path = dir.join(FILE);
        let (kept, ended) = match restore(&path, owner)? {
            None => (None, Ended::New),
            Some(Err(flaw)) => (None, Ended::SetAside(set_aside(&path)?, flaw)),
            Some(Ok(kept)) if kept.replayed.is_closed => (Some(kept), Ended::Closed),
            Some(Ok(kept)) => (Some(kept), Ended::Killed),
        };
        let incarnation = match &kept {
            // Others may have got changes of a tail that was lost. They must not be made again
            // under the same names.
            Some(kept) if ended == Ended::Closed => kept.replayed.incarnation,
            _ => fresh,
        };
        let replica = ReplicaId {
            fingerprint: owner,
            incarnation,
        };
        let (log, local, catalog) = match kept {
            None => (begin(&dir, owner)?, BTreeMap::new(), Catalog::new(replica)),
            Some(Kept {
                file,
                replayed,
                catalog,
            }) => {
                let log = LogFile::resume(file, replayed.len);
                (log, replayed.local, catalog.with_replica(replica))
            }
        };
        let len_first = log.len();
        let mut journal = Self {
            dir,
            owner,
            incarnation,
            log,
            len_first,
            _lock: lock,
        };
        journal.start()?;
        Ok(Opened {
            journal,
            catalog,
            local: local.into_values().collect(),
            ended,
        })
    }

    /// Before the first change: if this peer is killed, the next one must not take what an earlier
    /// peer has written last for this one's end.
    fn start(&mut self) -> Result<(), JournalError> {
        let incarnation = self.incarnation;
        self.append(&[Record::Started { incarnation }])?;
        self.sync()?;
        sync_folder(&self.dir).map_err(|e| failed("sync", &self.dir, e))
    }

    /// Appends records: all of them, or none.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let appended = self.log.append(records);
        appended.map_err(|e| self.failed("write to", e))
    }

    /// Makes everything durable that was appended.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        let synced = self.log.sync();
        synced.map_err(|e| self.failed("sync", e))
    }

    /// Notes that everything is appended and nothing more will be.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn close(mut self) -> Result<(), JournalError> {
        self.sync()?;
        self.append(&[Record::Closed])?;
        self.sync()
    }

    /// Whether most of it is no longer of any use.
    pub(crate) fn is_overgrown(&self) -> bool {
        let limit = self.len_first.saturating_mul(JOURNAL_GROWTH_FACTOR);
        self.log.len() > limit.saturating_add(JOURNAL_GROWTH_LEN_MIN)
    }

    /// Writes it anew with these records alone. If that fails, it stays as it was, and is overgrown
    /// again only when it has grown further.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn rewrite(&mut self, pages: impl FnMut() -> Vec<Record>) -> Result<(), JournalError> {
        let rewritten = self.write_anew(pages);
        self.len_first = self.log.len();
        rewritten
    }

    fn write_anew(&mut self, mut pages: impl FnMut() -> Vec<Record>) -> Result<(), JournalError> {
        let incarnation = self.incarnation;
        let path = self.dir.join(FRESH);
        let failed = |action: &'static str| {
            let path = path.clone();
            move |e| failed(action, &path, e)
        };
        let mut log = LogFile::begin(create(&path).map_err(failed("create"))?, self.owner)
            .map_err(failed("write to"))?;
        let mut page = vec![Record::Started { incarnation }];
        while !page.is_empty() {
            log.append(&page).map_err(failed("write to"))?;
            page = pages();
        }
        log.sync().map_err(failed("sync"))?;
        std::fs::rename(&path, self.path()).map_err(failed("rename"))?;
        self.log = log;
        sync_folder(&self.dir).map_err(failed("sync the folder of"))
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    fn failed(&self, action: &'static str, source: io::Error) -> JournalError {
        failed(action, &self.path(), source)
    }
}

/// A journal to go on with.
struct Kept {
    file: File,
    replayed: Replayed,
    catalog: Catalog,
}

/// Reads the journal of `owner` at `path`, if there is one.
fn restore(path: &Path, owner: Fingerprint) -> Result<Option<Result<Kept, Flaw>>, JournalError> {
    let mut options = OpenOptions::new();
    let file = match no_link(options.read(true).write(true)).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|e| failed("open", path, e))?,
    };
    let replayed = replay_file(&file).map_err(|e| failed("read", path, e))?;
    Ok(Some(match replayed {
        Err(flaw) => Err(flaw),
        Ok((found, _, _)) if found != owner => Err(Flaw::OtherPeer { owner: found }),
        Ok((_, replayed, catalog)) => Ok(Kept {
            file,
            replayed,
            catalog,
        }),
    }))
}

/// What the file of a journal has, and whose it is.
pub(super) fn replay_file(file: &File) -> io::Result<Result<(Fingerprint, Replayed, Catalog), Flaw>> {
    let len = file.metadata()?.len();
    let (owner, mut replayed) = match replay(file, len) {
        Ok(replayed) => replayed,
        Err(Fault::Flaw(flaw)) => return Ok(Err(flaw)),
        Err(Fault::Io(error)) => return Err(error),
    };
    let replica = ReplicaId {
        fingerprint: owner,
        incarnation: replayed.incarnation,
    };
    let states: BTreeMap<EntryId, EntryState> = std::mem::take(&mut replayed.states);
    // A state that breaks a rule was not written by this program.
    let restored = Catalog::restored(replica, replayed.counter, states);
    let offset = replayed.len;
    Ok(restored
        .map(|catalog| (owner, replayed, catalog))
        .map_err(|_| Flaw::Damaged { offset }))
}

/// Opens the file without following a link in its place, and without waiting.
pub(super) fn no_link(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options
}

/// A new journal in the folder. It has no name of its own before its header is durable.
fn begin(dir: &Path, owner: Fingerprint) -> Result<LogFile, JournalError> {
    let path = dir.join(FRESH);
    let begun = || {
        let mut log = LogFile::begin(create(&path)?, owner)?;
        log.sync()?;
        std::fs::rename(&path, dir.join(FILE))?;
        Ok(log)
    };
    begun().map_err(|e| failed("create", &dir.join(FILE), e))
}

/// An empty file at `path`, in place of what a killed peer has left there.
fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    no_link(OpenOptions::new().write(true).create_new(true)).open(path)
}

/// Gives a file that can't be used another name, and returns it.
fn set_aside(path: &Path) -> Result<PathBuf, JournalError> {
    let names = (1..=JOURNALS_SET_ASIDE_MAX).map(|number| path.with_extension(format!("aside-{number}")));
    let mut free = names.filter(|name| name.symlink_metadata().is_err());
    let free = free.next().ok_or(io::ErrorKind::AlreadyExists.into());
    let moved = free.and_then(|aside| std::fs::rename(path, &aside).map(|()| aside));
    moved.map_err(|e| failed("set aside", path, e))
}

/// Only Unix can sync a folder.
fn sync_folder(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(dir)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

pub(super) fn failed(action: &'static str, path: &Path, source: io::Error) -> JournalError {
    JournalError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
