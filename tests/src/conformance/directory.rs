//! The interface that the facts use: a folder addressed by paths below it, open files, listings,
//! and errors as errno.
//!
//! The operations and their meanings are those of POSIX (and of Linux, where POSIX has none); paths
//! are relative, with `/` between names. No operation panics, and none waits for the network.

pub use rustix::io::Errno;

/// The result of an operation, or the errno it fails with.
pub type Outcome<T> = Result<T, Errno>;

/// A folder with everything below it.
pub trait Directory {
    /// The result of `open`; dropping it closes the file.
    type File: File;
    /// The result of `list`; dropping it closes the folder.
    type Listing: Listing;

    /// open(2).
    fn open(&self, path: &str, how: Open) -> Outcome<Self::File>;
    /// lstat(2): a link is not followed.
    fn stat(&self, path: &str) -> Outcome<Stat>;
    /// chmod(2), permission bits only.
    fn set_mode(&self, path: &str, mode: u32) -> Outcome<()>;
    /// utimensat(2) with both times.
    fn set_times(&self, path: &str, accessed: Time, modified: Time) -> Outcome<()>;
    /// truncate(2).
    fn set_len(&self, path: &str, len: u64) -> Outcome<()>;
    /// mkdir(2).
    fn make_folder(&self, path: &str, mode: u32) -> Outcome<()>;
    /// rmdir(2).
    fn remove_folder(&self, path: &str) -> Outcome<()>;
    /// unlink(2).
    fn unlink(&self, path: &str) -> Outcome<()>;
    /// renameat2(2).
    fn rename(&self, from: &str, to: &str, how: Rename) -> Outcome<()>;
    /// symlink(2).
    fn make_link(&self, target: &str, path: &str) -> Outcome<()>;
    /// readlink(2).
    fn read_link(&self, path: &str) -> Outcome<String>;
    /// link(2).
    fn hard_link(&self, from: &str, to: &str) -> Outcome<()>;
    /// opendir(3).
    fn list(&self, path: &str) -> Outcome<Self::Listing>;
    /// statvfs(3) of the folder itself.
    fn room(&self) -> Outcome<Room>;
    /// copy_file_range(2): copies at most `len` bytes between two offsets; returns how many.
    fn copy_range(&self, from: (&Self::File, u64), to: (&Self::File, u64), len: usize) -> Outcome<usize>;
}

/// An open file.
pub trait File {
    /// pread(2).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Outcome<usize>;
    /// pwrite(2).
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Outcome<usize>;
    /// write(2) on a file opened with [`Open::append`].
    fn append(&self, bytes: &[u8]) -> Outcome<usize>;
    /// ftruncate(2).
    fn set_len(&self, len: u64) -> Outcome<()>;
    /// fsync(2).
    fn sync(&self) -> Outcome<()>;
    /// fstat(2).
    fn stat(&self) -> Outcome<Stat>;
    /// fallocate(2).
    fn allocate(&self, how: Allocate, offset: u64, len: u64) -> Outcome<()>;
    /// lseek(2) with `SEEK_DATA`.
    fn next_data(&self, offset: u64) -> Outcome<u64>;
    /// lseek(2) with `SEEK_HOLE`.
    fn next_hole(&self, offset: u64) -> Outcome<u64>;
}

/// An open folder: a position in a stream of entries.
pub trait Listing {
    /// The next few entries, `.` and `..` included; empty at the end.
    fn next(&mut self) -> Outcome<Vec<Listed>>;
    /// Continues after the entry that had this offset; 0 is the beginning.
    fn seek(&mut self, offset: u64) -> Outcome<()>;
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its inode number.
    pub inode: u64,
    /// Its kind.
    pub kind: Kind,
    /// The offset from which the listing continues after it.
    pub offset: u64,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Any other kind, which no fact makes.
    Other,
}

/// The attributes of stat(2) that the facts check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Its kind.
    pub kind: Kind,
    /// Its inode number.
    pub inode: u64,
    /// Its length, in bytes.
    pub len: u64,
    /// The permission bits.
    pub mode: u32,
    /// The number of its names.
    pub link_count: u64,
    /// The time of the last change of its content.
    pub modified: Time,
}

/// A time of a file, since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds.
    pub secs: i64,
    /// The rest, in nanoseconds.
    pub nanos: u32,
}

/// The values of statvfs(3) that the facts check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The size of the file system, in bytes.
    pub total_len: u64,
    /// The space that an ordinary user can still use, in bytes.
    pub available_len: u64,
    /// The length of the longest name, in bytes.
    pub name_len_max: u64,
    /// The number of inodes, free and used.
    pub file_count: u64,
}

/// What fallocate(2) does to a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    /// Space is reserved, and the file grows if the range ends past its end.
    Grow,
    /// Space is reserved, and the file keeps its length (`FALLOC_FL_KEEP_SIZE`).
    KeepLen,
    /// The range reads as zeros, and the file keeps its length (`FALLOC_FL_PUNCH_HOLE`).
    Punch,
}

/// What a rename does if its target exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// It replaces the target.
    Plain,
    /// It fails (`RENAME_NOREPLACE`).
    NoReplace,
    /// It swaps both (`RENAME_EXCHANGE`).
    Exchange,
}

/// The access mode of an open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_RDWR`.
    Both,
}

/// Whether opening creates the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It must exist.
    Never,
    /// It is created if it does not exist (`O_CREAT`).
    IfMissing,
    /// It must not exist (`O_CREAT | O_EXCL`).
    Always,
}

/// The options of opening a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// The access mode.
    pub access: Access,
    /// Whether it is created.
    pub creation: Creation,
    /// Whether its content is discarded (`O_TRUNC`).
    pub truncates: bool,
    /// Whether every write goes to the end (`O_APPEND`).
    pub appends: bool,
    /// The mode of a created file.
    pub mode: u32,
}

impl Open {
    /// For reading, if it exists.
    pub fn read() -> Open {
        Open::with(Access::Read)
    }

    /// For writing, if it exists.
    pub fn write() -> Open {
        Open::with(Access::Write)
    }

    /// For reading and writing, if it exists.
    pub fn both() -> Open {
        Open::with(Access::Both)
    }

    /// For reading and writing; the file is created if it does not exist.
    pub fn create() -> Open {
        Open {
            creation: Creation::IfMissing,
            ..Open::both()
        }
    }

    /// For reading and writing; the file must not exist yet.
    pub fn create_new() -> Open {
        Open {
            creation: Creation::Always,
            ..Open::both()
        }
    }

    /// Discards the content.
    #[must_use]
    pub fn truncate(self) -> Open {
        Open {
            truncates: true,
            ..self
        }
    }

    /// Writes only at the end.
    #[must_use]
    pub fn append(self) -> Open {
        Open {
            appends: true,
            ..self
        }
    }

    /// Gives a created file this mode.
    #[must_use]
    pub fn mode(self, mode: u32) -> Open {
        Open { mode, ..self }
    }

    fn with(access: Access) -> Open {
        Open {
            access,
            creation: Creation::Never,
            truncates: false,
            appends: false,
            mode: 0o644,
        }
    }
}
