//! The entries of an archive, each with its whole name.
//!
//! A name that does not fit into the header of its entry is in an entry before it, in the form of
//! GNU or of POSIX (pax). The `tar` crate reads such a name whole, whatever its length, and counts
//! nothing. So this reads the raw entries, and bounds their number and the length of a name.

use std::io::{self, Read};

use anyhow::{Context, Result, ensure};

use super::unpack::Unreadable;
use crate::base::limits::{ARCHIVE_ENTRIES_MAX, ARCHIVE_NAME_LEN_MAX};

/// An entry of an archive that is read from a stream.
pub(super) type Entry<'a, 'r> = tar::Entry<'a, &'r mut dyn Read>;

/// Reads entries one after the other.
pub(super) struct Entries<'a, 'r> {
    raw: tar::Entries<'a, &'r mut dyn Read>,
    /// Entries so far, also those that hold a name or are directories.
    count: usize,
}

impl<'a, 'r> Entries<'a, 'r> {
    /// All entries of an archive of which nothing was read.
    pub(super) fn of(archive: &'a mut tar::Archive<&'r mut dyn Read>) -> Result<Entries<'a, 'r>> {
        Ok(Entries {
            raw: archive.entries().map_err(Unreadable)?.raw(true),
            count: 0,
        })
    }

    /// The next entry that is not only the name of another, and its name.
    ///
    /// # Errors
    /// When the archive is cut short, or a bound is exceeded.
    pub(super) fn next(&mut self) -> Result<Option<(String, Entry<'a, 'r>)>> {
        let mut long = None;
        for entry in self.raw.by_ref() {
            let mut entry = entry.map_err(Unreadable)?;
            self.count += 1;
            ensure!(
                self.count <= ARCHIVE_ENTRIES_MAX,
                "it has more than {ARCHIVE_ENTRIES_MAX} entries, which is the limit"
            );
            let kind = entry.header().entry_type();
            match () {
                () if kind.is_gnu_longname() => long = Some(gnu(held(&mut entry)?)),
                () if kind.is_pax_local_extensions() => long = pax(&held(&mut entry)?)?.or(long),
                // What holds for all entries has no name.
                () if kind.is_pax_global_extensions() => {}
                () => {
                    let name = long.unwrap_or_else(|| entry.path_bytes().into_owned());
                    return Ok(Some((String::from_utf8_lossy(&name).into_owned(), entry)));
                }
            }
        }
        match long {
            Some(_) => Err(Unreadable(io::ErrorKind::UnexpectedEof.into()).into()),
            None => Ok(None),
        }
    }
}

/// The content of an entry that holds the name of the next one.
fn held(entry: &mut Entry<'_, '_>) -> Result<Vec<u8>> {
    let len = entry.size();
    ensure!(
        len <= ARCHIVE_NAME_LEN_MAX,
        "the name of an entry has {len} bytes; {ARCHIVE_NAME_LEN_MAX} are the limit"
    );
    let mut content = Vec::new();
    entry.read_to_end(&mut content).map_err(Unreadable)?;
    match u64::try_from(content.len()).ok() == Some(len) {
        true => Ok(content),
        false => Err(Unreadable(io::ErrorKind::UnexpectedEof.into()).into()),
    }
}

/// A name in the form of GNU ends with a zero.
fn gnu(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

/// The name among the attributes in the form of POSIX, if it is one of them.
fn pax(attributes: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut name = None;
    for attribute in tar::PaxExtensions::new(attributes) {
        let attribute = attribute.context("the attributes of an entry are invalid")?;
        if attribute.key_bytes() == b"path" {
            name = Some(attribute.value_bytes().to_vec());
        }
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry whose header names it `a`, with this content.
    fn entry(kind: u8, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(content.len().try_into().unwrap());
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    /// The names of all entries, or the error, if `count` entries were read before.
    fn names(bytes: &[u8], count: usize) -> Result<Vec<String>, String> {
        let mut bytes: &[u8] = bytes;
        let mut archive = tar::Archive::new(&mut bytes as &mut dyn Read);
        let mut entries = Entries::of(&mut archive).unwrap();
        entries.count = count;
        let mut names = Vec::new();
        while let Some((name, _)) = entries.next().map_err(|error| format!("{error:#}"))? {
            names.push(name);
        }
        Ok(names)
    }

    #[test]
    fn a_long_name_is_read_in_both_forms() {
        let long = "d/".repeat(200);
        let bytes = [
            entry(b'0', b"x"),
            entry(b'L', format!("{long}gnu\0").as_bytes()),
            entry(b'0', b"x"),
            entry(b'g', b"18 comment=nothing\n"),
            entry(b'x', format!("{} path={long}pax\n", 6 + 4 + 400 + 3).as_bytes()),
            entry(b'0', b"x"),
            entry(b'5', b""),
        ];
        let expected = [
            "a".to_owned(),
            format!("{long}gnu"),
            format!("{long}pax"),
            "a".to_owned(),
        ];
        assert_eq!(names(&bytes.concat(), 0).as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_name_has_a_bound_and_is_not_read_past_it() {
        let len = usize::try_from(ARCHIVE_NAME_LEN_MAX).unwrap();
        let named = |len: usize| [entry(b'L', &vec![b'n'; len]), entry(b'0', b"")].concat();
        assert_eq!(names(&named(len), 0), Ok(vec!["n".repeat(len)]));
        for kind in [b'L', b'x'] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::new(kind));
            header.set_size(ARCHIVE_NAME_LEN_MAX + 1);
            header.set_cksum();
            let error = names(header.as_bytes(), 0).unwrap_err();
            assert!(error.contains("8193 bytes; 8192 are the limit"), "{error}");
        }
    }

    #[test]
    fn entries_of_every_kind_count_up_to_the_bound() {
        let two = [entry(b'L', b"long\0"), entry(b'0', b"")].concat();
        for bytes in [two, [entry(b'5', b""), entry(b'g', b"")].concat()] {
            assert!(names(&bytes, ARCHIVE_ENTRIES_MAX - 2).is_ok());
            let error = names(&bytes, ARCHIVE_ENTRIES_MAX - 1).unwrap_err();
            assert!(error.contains("more than 300000 entries"), "{error}");
        }
    }

    #[test]
    fn a_name_without_its_entry_is_an_archive_that_is_cut() {
        for bytes in [entry(b'L', b"long\0"), entry(b'L', &[b'n'; 600])[..1024].to_vec()] {
            let error = names(&bytes, 0).unwrap_err();
            assert!(error.starts_with("could not read it"), "{error}");
        }
    }
}
