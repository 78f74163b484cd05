//! What the facts are stated over: a folder addressed by paths below it, open files, listings, and
//! errors as errno.
//!
//! The operations and their meanings are those of POSIX (and of Linux, where POSIX has none); paths
//! are relative, with `/` between names. No operation panics and none blocks for the network's
//! sake.

pub use rustix::io::Errno;

/// What an operation gives, or the errno it fails with.
pub type Outcome<T> = Result<T, Errno>;

/// A folder with everything below it.
pub trait Directory {
    /// What `open` gives; dropping it closes it.
    type File: File;
    /// What `list` gives; dropping it closes it.
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
    /// copy_file_range(2): at most `len` bytes, from one offset to the other; how many it were.
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
    /// The next few entries, `.` and `..` among them; none at the end.
    fn next(&mut self) -> Outcome<Vec<Listed>>;
    /// Goes on behind the entry that had this offset; 0 is the beginning.
    fn seek(&mut self, offset: u64) -> Outcome<()>;
}

/// One entry of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its inode number.
    pub inode: u64,
    /// What it is.
    pub kind: Kind,
    /// Where the listing goes on behind it.
    pub offset: u64,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Something that none of the facts makes.
    Other,
}

/// What stat(2) tells, as far as the facts ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Its inode number.
    pub inode: u64,
    /// In bytes.
    pub len: u64,
    /// The permission bits.
    pub mode: u32,
    /// Names it has.
    pub link_count: u64,
    /// When its content changed.
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

/// What statvfs(3) tells, as far as the facts ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Of all blocks, in bytes.
    pub total_len: u64,
    /// Of what anybody may still use, in bytes.
    pub available_len: u64,
    /// The length of the longest name, in bytes.
    pub name_len_max: u64,
    /// Files that fit in all.
    pub file_count: u64,
}

/// What the bytes of a range become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    /// Room is reserved, and the file grows if the range ends behind it.
    Grow,
    /// Room is reserved, and the file keeps its length (`FALLOC_FL_KEEP_SIZE`).
    KeepLen,
    /// The range reads as zeros, and the file keeps its length (`FALLOC_FL_PUNCH_HOLE`).
    Punch,
}

/// What a rename does about its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// It replaces the target.
    Plain,
    /// It fails if there is one (`RENAME_NOREPLACE`).
    NoReplace,
    /// It swaps both (`RENAME_EXCHANGE`).
    Exchange,
}

/// What an open file may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `O_RDONLY`.
    Read,
    /// `O_WRONLY`.
    Write,
    /// `O_RDWR`.
    Both,
}

/// Whether opening makes the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It must exist.
    Never,
    /// It is made if it does not exist (`O_CREAT`).
    IfMissing,
    /// It must not exist (`O_CREAT | O_EXCL`).
    Always,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// For what.
    pub access: Access,
    /// Whether it is made.
    pub creation: Creation,
    /// Whether its content is thrown away (`O_TRUNC`).
    pub truncates: bool,
    /// Whether every write goes to the end (`O_APPEND`).
    pub appends: bool,
    /// The mode of a file that is made.
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

    /// For reading and writing; it is made if it does not exist.
    pub fn create() -> Open {
        Open {
            creation: Creation::IfMissing,
            ..Open::both()
        }
    }

    /// For reading and writing; it must not exist yet.
    pub fn create_new() -> Open {
        Open {
            creation: Creation::Always,
            ..Open::both()
        }
    }

    /// Throws the content away.
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

    /// Gives a file that is made this mode.
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
