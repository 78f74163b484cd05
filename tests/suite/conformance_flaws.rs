//! The facts can fail: a directory with one flaw fails the fact that the flaw contradicts.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tandem_tests::conformance::exerciser::exercise;
use tandem_tests::conformance::{
    Allocate, Directory, Errno, File, Listed, Listing, Open, Outcome, Plain, PlainFile, PlainListing, Rename,
    Room, Stat, Time, attributes, contents, errors, folders, renames, unlinked,
};
use tandem_tests::temp::TempRoot;

/// One way in which a directory is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// A read across the end fills the rest of the buffer with zeros.
    ZerosBehindTheEnd,
    /// A read returns one byte too few.
    ShortReads,
    /// A handle reports the length that the file had when it was opened.
    OldLen,
    /// `O_APPEND` is ignored.
    NoAppend,
    /// Setting a time succeeds and does nothing.
    NoTimes,
    /// A renamed folder is a new, empty one.
    FolderMovesAlone,
    /// `RENAME_NOREPLACE` replaces.
    Replaces,
    /// Every error is EIO.
    AlwaysIo,
    /// Every listing omits its last entry.
    ShortListing,
    /// A file without a name still has one link.
    AlwaysLinked,
}

/// A plain directory with a flaw.
struct Flawed {
    plain: Plain,
    flaw: Flaw,
}

struct FlawedFile {
    file: PlainFile,
    flaw: Flaw,
    len_then: u64,
}

struct FlawedListing {
    listing: PlainListing,
    flaw: Flaw,
}

impl Flawed {
    fn told<T>(&self, outcome: Outcome<T>) -> Outcome<T> {
        match self.flaw {
            Flaw::AlwaysIo => outcome.map_err(|_| Errno::IO),
            _ => outcome,
        }
    }
}

impl Directory for Flawed {
    type File = FlawedFile;
    type Listing = FlawedListing;

    fn open(&self, path: &str, how: Open) -> Outcome<FlawedFile> {
        let how = Open {
            appends: how.appends && self.flaw != Flaw::NoAppend,
            ..how
        };
        let file = self.told(self.plain.open(path, how))?;
        let len_then = file.stat()?.len;
        Ok(FlawedFile {
            file,
            flaw: self.flaw,
            len_then,
        })
    }

    fn stat(&self, path: &str) -> Outcome<Stat> {
        self.told(self.plain.stat(path))
    }

    fn set_mode(&self, path: &str, mode: u32) -> Outcome<()> {
        self.told(self.plain.set_mode(path, mode))
    }

    fn set_times(&self, path: &str, accessed: Time, modified: Time) -> Outcome<()> {
        match self.flaw {
            Flaw::NoTimes => Ok(()),
            _ => self.told(self.plain.set_times(path, accessed, modified)),
        }
    }

    fn set_len(&self, path: &str, len: u64) -> Outcome<()> {
        self.told(self.plain.set_len(path, len))
    }

    fn make_folder(&self, path: &str, mode: u32) -> Outcome<()> {
        self.told(self.plain.make_folder(path, mode))
    }

    fn remove_folder(&self, path: &str) -> Outcome<()> {
        self.told(self.plain.remove_folder(path))
    }

    fn unlink(&self, path: &str) -> Outcome<()> {
        self.told(self.plain.unlink(path))
    }

    fn rename(&self, from: &str, to: &str, how: Rename) -> Outcome<()> {
        let is_folder = self.plain.at(from).is_dir();
        match (self.flaw, how) {
            (Flaw::FolderMovesAlone, Rename::Plain) if is_folder => self.plain.make_folder(to, 0o755),
            (Flaw::Replaces, Rename::NoReplace) => self.plain.rename(from, to, Rename::Plain),
            _ => self.told(self.plain.rename(from, to, how)),
        }
    }

    fn make_link(&self, target: &str, path: &str) -> Outcome<()> {
        self.told(self.plain.make_link(target, path))
    }

    fn read_link(&self, path: &str) -> Outcome<String> {
        self.told(self.plain.read_link(path))
    }

    fn hard_link(&self, from: &str, to: &str) -> Outcome<()> {
        self.told(self.plain.hard_link(from, to))
    }

    fn list(&self, path: &str) -> Outcome<FlawedListing> {
        Ok(FlawedListing {
            listing: self.told(self.plain.list(path))?,
            flaw: self.flaw,
        })
    }

    fn room(&self) -> Outcome<Room> {
        self.plain.room()
    }

    fn copy_range(&self, from: (&FlawedFile, u64), to: (&FlawedFile, u64), len: usize) -> Outcome<usize> {
        self.plain
            .copy_range((&from.0.file, from.1), (&to.0.file, to.1), len)
    }
}

impl File for FlawedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Outcome<usize> {
        let count = self.file.read_at(offset, buffer)?;
        match self.flaw {
            Flaw::ZerosBehindTheEnd if 0 < count && count < buffer.len() => {
                buffer[count..].fill(0);
                Ok(buffer.len())
            }
            Flaw::ShortReads => Ok(count.saturating_sub(1)),
            _ => Ok(count),
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Outcome<usize> {
        self.file.write_at(offset, bytes)
    }

    fn append(&self, bytes: &[u8]) -> Outcome<usize> {
        self.file.append(bytes)
    }

    fn set_len(&self, len: u64) -> Outcome<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> Outcome<()> {
        self.file.sync()
    }

    fn stat(&self) -> Outcome<Stat> {
        let stat = self.file.stat()?;
        Ok(match self.flaw {
            Flaw::OldLen => Stat {
                len: self.len_then,
                ..stat
            },
            Flaw::AlwaysLinked => Stat {
                link_count: 1,
                ..stat
            },
            _ => stat,
        })
    }

    fn allocate(&self, how: Allocate, offset: u64, len: u64) -> Outcome<()> {
        self.file.allocate(how, offset, len)
    }

    fn next_data(&self, offset: u64) -> Outcome<u64> {
        self.file.next_data(offset)
    }

    fn next_hole(&self, offset: u64) -> Outcome<u64> {
        self.file.next_hole(offset)
    }
}

impl Listing for FlawedListing {
    fn next(&mut self) -> Outcome<Vec<Listed>> {
        let mut some = self.listing.next()?;
        if self.flaw == Flaw::ShortListing {
            some.pop();
        }
        Ok(some)
    }

    fn seek(&mut self, offset: u64) -> Outcome<()> {
        self.listing.seek(offset)
    }
}

/// The message with which the fact fails on a directory with this flaw.
fn complaint(flaw: Flaw, fact: impl FnOnce(&Flawed)) -> String {
    let root = TempRoot::create().unwrap();
    let flawed = Flawed {
        plain: Plain::new(root.path()),
        flaw,
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| fact(&flawed)));
    root.close().unwrap();
    let Err(payload) = outcome else {
        panic!("the fact passed in spite of the flaw {flaw:?}");
    };
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn reads_that_return_too_much_or_too_little_are_noticed() {
    complaint(
        Flaw::ZerosBehindTheEnd,
        contents::a_read_across_the_end_gives_exactly_the_rest,
    );
    complaint(Flaw::ShortReads, contents::what_is_written_is_read_back);
}

#[test]
fn handles_that_disagree_are_noticed() {
    complaint(Flaw::OldLen, contents::two_handles_see_the_same_length_at_once);
}

#[test]
fn appending_at_the_wrong_place_is_noticed() {
    complaint(Flaw::NoAppend, contents::appending_goes_to_the_end);
}

#[test]
fn a_time_that_is_not_kept_is_noticed() {
    complaint(
        Flaw::NoTimes,
        attributes::a_time_that_is_set_is_kept_to_the_nanosecond,
    );
}

#[test]
fn a_folder_that_moves_alone_is_noticed() {
    complaint(
        Flaw::FolderMovesAlone,
        renames::a_renamed_folder_keeps_its_whole_subtree,
    );
}

#[test]
fn a_rename_that_replaces_against_its_flag_is_noticed() {
    complaint(
        Flaw::Replaces,
        renames::a_rename_that_must_not_replace_fails_if_the_target_exists,
    );
}

#[test]
fn a_wrong_errno_is_noticed() {
    complaint(
        Flaw::AlwaysIo,
        errors::a_missing_entry_is_enoent_to_every_operation,
    );
}

#[test]
fn an_entry_missing_from_a_listing_is_noticed() {
    complaint(Flaw::ShortListing, folders::a_thousand_files_are_listed_once_each);
}

#[test]
fn a_wrong_link_count_is_noticed() {
    complaint(
        Flaw::AlwaysLinked,
        unlinked::an_open_file_without_a_name_has_no_links,
    );
}

#[test]
fn the_exerciser_fails_with_its_seed_and_its_last_steps() {
    let complaint = complaint(Flaw::OldLen, |dir| exercise(dir, 0x5eed, 1000));
    assert!(
        complaint.contains("seed 0x5eed") && complaint.contains("Write { offset"),
        "{complaint}"
    );
}
