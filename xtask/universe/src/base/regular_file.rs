//! Regular files at paths that a person names. Anything else at such a path is never read, as that
//! could block forever, and never replaced.

use std::fs::FileType;
use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;

/// The whole content of a regular file, if it is no longer than `len_max`.
///
/// # Errors
/// When it cannot be read, is too long, or is a folder, a pipe or a device, which might never end.
pub(crate) fn read(path: &Path, len_max: u64) -> std::io::Result<Vec<u8>> {
    if let Some(kind) = other_kind(path) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("it is {kind}, not a regular file"),
        ));
    }
    let too_long = || {
        let why = format!("it has more than {} MiB", len_max / (1024 * 1024));
        Error::new(ErrorKind::InvalidInput, why)
    };
    let file = std::fs::File::open(path)?;
    if file.metadata()?.len() > len_max {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(len_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > len_max {
        return Err(too_long());
    }
    Ok(bytes)
}

/// Checks that a file can be written here: the path is free, or names a regular file.
///
/// # Errors
/// When the path names something else, which would be destroyed or would hang.
pub(crate) fn is_free(path: &Path) -> std::io::Result<()> {
    match other_kind(path) {
        Some(kind) => Err(Error::new(
            ErrorKind::InvalidInput,
            format!("it is {kind}, not a regular file"),
        )),
        None => Ok(()),
    }
}

/// Whether it is a device that can be written to, such as a terminal.
pub(crate) fn is_device(path: &Path) -> bool {
    other_kind(path) == Some("a device")
}

/// The kind of what is at the path, if it is not a regular file.
fn other_kind(path: &Path) -> Option<&'static str> {
    let kind = std::fs::metadata(path).ok()?.file_type();
    (!kind.is_file()).then(|| name(kind))
}

#[cfg(unix)]
fn name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_char_device() => "a device",
        _ => "something special",
    }
}

#[cfg(not(unix))]
fn name(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else {
        "something special"
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_of_a_sane_length_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let (file, pipe) = (directory.path().join("file"), directory.path().join("pipe"));
        std::fs::write(&file, [7; 100]).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        assert_eq!(read(&file, 100).unwrap().len(), 100);
        assert!(read(&file, 99).is_err());
        let endless = Path::new("/proc/self/status");
        assert!(
            !cfg!(target_os = "linux") || read(endless, 99).is_err(),
            "it says that it is empty"
        );
        for other in [directory.path(), &pipe, Path::new("/dev/zero")] {
            let error = read(other, 100).unwrap_err();
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        assert!(is_free(&file).is_ok() && is_free(&directory.path().join("new")).is_ok());
        assert!(is_free(&pipe).is_err() && is_device(Path::new("/dev/null")));
    }
}
