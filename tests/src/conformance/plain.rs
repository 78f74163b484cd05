//! A directory of the operating system, used by system calls: a plain directory, on which the facts
//! are tested, or a mount.
//!
//! It holds no descriptor of the directory itself, because that would keep a mount busy.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RawDir, RenameFlags, SeekFrom};

use super::{
    Access, Allocate, Creation, Directory, File, Kind, Listed, Listing, Open, Outcome, Rename, Room, Stat,
    Time,
};

/// The buffer of one getdents(2), in bytes: some ten entries, so that long listings need many
/// calls.
const LISTING_LEN: usize = 640;

/// See the module's head.
#[derive(Debug, Clone)]
pub struct Plain {
    root: PathBuf,
}

impl Plain {
    /// The directory at `root`, which exists.
    pub fn new(root: impl Into<PathBuf>) -> Plain {
        Plain { root: root.into() }
    }

    /// Where `path` is.
    pub fn at(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

/// An open file of the operating system.
#[derive(Debug)]
pub struct PlainFile {
    file: OwnedFd,
}

impl PlainFile {
    /// Its descriptor.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.file
    }
}

/// An open directory of the operating system.
#[derive(Debug)]
pub struct PlainListing {
    folder: OwnedFd,
}

impl Directory for Plain {
    type File = PlainFile;
    type Listing = PlainListing;

    fn open(&self, path: &str, how: Open) -> Outcome<PlainFile> {
        let file = fs::open(self.at(path), flags(how), Mode::from_raw_mode(how.mode))?;
        Ok(PlainFile { file })
    }

    fn stat(&self, path: &str) -> Outcome<Stat> {
        Ok(told(&fs::lstat(self.at(path))?))
    }

    fn set_mode(&self, path: &str, mode: u32) -> Outcome<()> {
        fs::chmod(self.at(path), Mode::from_raw_mode(mode))
    }

    fn set_times(&self, path: &str, accessed: Time, modified: Time) -> Outcome<()> {
        let times = fs::Timestamps {
            last_access: timespec(accessed),
            last_modification: timespec(modified),
        };
        fs::utimensat(CWD, self.at(path), &times, AtFlags::empty())
    }

    fn set_len(&self, path: &str, len: u64) -> Outcome<()> {
        // rustix has no truncate(2). Opening the file and ftruncate(2) do the same, except for the
        // permissions that they require.
        let file = fs::open(self.at(path), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        fs::ftruncate(file, len)
    }

    fn make_folder(&self, path: &str, mode: u32) -> Outcome<()> {
        fs::mkdir(self.at(path), Mode::from_raw_mode(mode))
    }

    fn remove_folder(&self, path: &str) -> Outcome<()> {
        fs::rmdir(self.at(path))
    }

    fn unlink(&self, path: &str) -> Outcome<()> {
        fs::unlink(self.at(path))
    }

    fn rename(&self, from: &str, to: &str, how: Rename) -> Outcome<()> {
        let flags = match how {
            Rename::Plain => RenameFlags::empty(),
            Rename::NoReplace => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        fs::renameat_with(CWD, self.at(from), CWD, self.at(to), flags)
    }

    fn make_link(&self, target: &str, path: &str) -> Outcome<()> {
        fs::symlink(target, self.at(path))
    }

    fn read_link(&self, path: &str) -> Outcome<String> {
        let target = fs::readlink(self.at(path), Vec::new())?;
        Ok(target.to_string_lossy().into_owned())
    }

    fn hard_link(&self, from: &str, to: &str) -> Outcome<()> {
        fs::link(self.at(from), self.at(to))
    }

    fn list(&self, path: &str) -> Outcome<PlainListing> {
        let folder = open_folder(&self.at(path))?;
        Ok(PlainListing { folder })
    }

    fn room(&self) -> Outcome<Room> {
        let told = fs::statvfs(&self.root)?;
        Ok(Room {
            total_len: told.f_blocks * told.f_frsize,
            available_len: told.f_bavail * told.f_frsize,
            name_len_max: told.f_namemax,
            file_count: told.f_files,
        })
    }

    fn copy_range(&self, from: (&PlainFile, u64), to: (&PlainFile, u64), len: usize) -> Outcome<usize> {
        let (mut from_offset, mut to_offset) = (from.1, to.1);
        fs::copy_file_range(
            &from.0.file,
            Some(&mut from_offset),
            &to.0.file,
            Some(&mut to_offset),
            len,
        )
    }
}

impl File for PlainFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Outcome<usize> {
        rustix::io::pread(&self.file, buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Outcome<usize> {
        rustix::io::pwrite(&self.file, bytes, offset)
    }

    fn append(&self, bytes: &[u8]) -> Outcome<usize> {
        rustix::io::write(&self.file, bytes)
    }

    fn set_len(&self, len: u64) -> Outcome<()> {
        fs::ftruncate(&self.file, len)
    }

    fn sync(&self) -> Outcome<()> {
        fs::fsync(&self.file)
    }

    fn stat(&self) -> Outcome<Stat> {
        Ok(told(&fs::fstat(&self.file)?))
    }

    fn allocate(&self, how: Allocate, offset: u64, len: u64) -> Outcome<()> {
        let flags = match how {
            Allocate::Grow => FallocateFlags::empty(),
            Allocate::KeepLen => FallocateFlags::KEEP_SIZE,
            Allocate::Punch => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        };
        fs::fallocate(&self.file, flags, offset, len)
    }

    fn next_data(&self, offset: u64) -> Outcome<u64> {
        fs::seek(&self.file, SeekFrom::Data(offset))
    }

    fn next_hole(&self, offset: u64) -> Outcome<u64> {
        fs::seek(&self.file, SeekFrom::Hole(offset))
    }
}

impl Listing for PlainListing {
    fn next(&mut self) -> Outcome<Vec<Listed>> {
        let mut buffer = [MaybeUninit::uninit(); LISTING_LEN];
        let mut stream = RawDir::new(&self.folder, &mut buffer);
        let mut some = Vec::new();
        while let Some(entry) = stream.next() {
            let entry = entry?;
            some.push(Listed {
                name: entry.file_name().to_string_lossy().into_owned(),
                inode: entry.ino(),
                kind: kind(entry.file_type()),
                offset: entry.next_entry_cookie(),
            });
            if stream.is_buffer_empty() {
                break;
            }
        }
        Ok(some)
    }

    fn seek(&mut self, offset: u64) -> Outcome<()> {
        fs::seek(&self.folder, SeekFrom::Start(offset)).map(drop)
    }
}

fn open_folder(path: &Path) -> Outcome<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::empty())
}

fn flags(how: Open) -> OFlags {
    let access = match how.access {
        Access::Read => OFlags::RDONLY,
        Access::Write => OFlags::WRONLY,
        Access::Both => OFlags::RDWR,
    };
    let creation = match how.creation {
        Creation::Never => OFlags::empty(),
        Creation::IfMissing => OFlags::CREATE,
        Creation::Always => OFlags::CREATE | OFlags::EXCL,
    };
    let when = |wanted: bool, flag: OFlags| if wanted { flag } else { OFlags::empty() };
    access
        | creation
        | when(how.truncates, OFlags::TRUNC)
        | when(how.appends, OFlags::APPEND)
        | OFlags::CLOEXEC
}

fn told(stat: &fs::Stat) -> Stat {
    Stat {
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
        inode: stat.st_ino,
        len: u64::try_from(stat.st_size).unwrap_or_default(),
        mode: stat.st_mode & 0o7777,
        link_count: stat.st_nlink,
        modified: Time {
            secs: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
        },
    }
}

fn kind(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

fn timespec(time: Time) -> fs::Timespec {
    fs::Timespec {
        tv_sec: time.secs,
        tv_nsec: time.nanos.into(),
    }
}
