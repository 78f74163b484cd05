//! What was brought into a joined folder, kept over a restart: under which name which content, to
//! its place or beside it.
//!
//! A file of lines, one for each change; it is written anew at each start. A line that can't be
//! read, as the last one after a power failure, counts as none: then that file is brought again,
//! which changes nothing of the user's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tandem_core::catalog::{ContentId, SharePath, Shown};

/// What was brought under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum What {
    Folder,
    File(ContentId),
}

/// One line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    path: SharePath,
    /// `None` once nothing of it is here.
    what: Option<What>,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Brought {
    known: BTreeMap<SharePath, What>,
    file: BufWriter<File>,
}

impl Brought {
    /// What the file at `path` says, if there is one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let known = read(path)?;
        let folder = path.parent().unwrap_or(path);
        let mut file = BufWriter::new(tempfile::NamedTempFile::new_in(folder)?);
        for (path, what) in &known {
            write_line(&mut file, path, Some(*what))?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let file = BufWriter::new(file.persist(path)?);
        Ok(Self { known, file })
    }

    /// What was brought under that name.
    pub(crate) fn get(&self, path: &SharePath) -> Option<What> {
        self.known.get(path).copied()
    }

    /// All names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &SharePath> {
        self.known.keys()
    }

    /// Notes what was brought.
    pub(crate) fn note(&mut self, path: &SharePath, what: What) -> io::Result<()> {
        self.known.insert(path.clone(), what);
        write_line(&mut self.file, path, Some(what))
    }

    /// Notes that nothing of it is here any more. Returns what it was.
    pub(crate) fn forget(&mut self, path: &SharePath) -> io::Result<Option<What>> {
        let Some(what) = self.known.remove(path) else {
            return Ok(None);
        };
        write_line(&mut self.file, path, None)?;
        Ok(Some(what))
    }

    /// Gives what was noted to the system.
    pub(crate) fn save(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl What {
    /// `None` for a link.
    pub(crate) fn of(shown: &Shown) -> Option<Self> {
        match (shown.link(), shown.file()) {
            (Some(_), _) => None,
            (None, Some(file)) => Some(Self::File(file.content)),
            (None, None) => Some(Self::Folder),
        }
    }

    pub(crate) fn is_folder(self) -> bool {
        self == Self::Folder
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<SharePath, What>> {
    let mut known = BTreeMap::new();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(known),
        Err(error) => return Err(error),
    };
    for line in BufReader::new(file).split(b'\n') {
        let Ok(Line { path, what }) = serde_json::from_slice(&line?) else {
            continue;
        };
        match what {
            Some(what) => known.insert(path, what),
            None => known.remove(&path),
        };
    }
    Ok(known)
}

fn write_line(file: &mut impl io::Write, path: &SharePath, what: Option<What>) -> io::Result<()> {
    let path = path.clone();
    let mut line = serde_json::to_vec(&Line { path, what })?;
    line.push(b'\n');
    file.write_all(&line)
}

/// The name of the file in the folder of a share.
pub(crate) fn file_in(share: &Path) -> PathBuf {
    share.join("brought")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SharePath {
        SharePath::parse(text).unwrap()
    }

    fn file(byte: u8) -> What {
        What::File(ContentId {
            hash: [byte; 32],
            len: 1,
        })
    }

    #[test]
    fn what_was_brought_is_known_after_a_restart_and_a_torn_line_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = file_in(folder.path());
        let mut brought = Brought::open(&at).unwrap();
        brought.note(&path("in"), What::Folder).unwrap();
        brought.note(&path("in/a \"b\"\n.txt"), file(1)).unwrap();
        brought.note(&path("gone.txt"), file(2)).unwrap();
        assert_eq!(brought.forget(&path("gone.txt")).unwrap(), Some(file(2)));
        assert_eq!(brought.forget(&path("gone.txt")).unwrap(), None);
        brought.save().unwrap();
        drop(brought);
        let len = std::fs::metadata(&at).unwrap().len();
        let mut again = Brought::open(&at).unwrap();
        assert_eq!(again.get(&path("in/a \"b\"\n.txt")), Some(file(1)));
        assert_eq!(again.names().count(), 2);
        assert!(std::fs::metadata(&at).unwrap().len() < len);
        again.note(&path("torn.txt"), file(3)).unwrap();
        again.save().unwrap();
        let len = std::fs::metadata(&at).unwrap().len();
        File::options()
            .write(true)
            .open(&at)
            .unwrap()
            .set_len(len - 2)
            .unwrap();
        let torn = Brought::open(&at).unwrap();
        assert_eq!(torn.names().count(), 2);
        assert_eq!(torn.get(&path("torn.txt")), None);
    }
}
