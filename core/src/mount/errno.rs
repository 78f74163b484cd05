//! Which errno each situation is: the only file that names one.

use rustix::io::Errno;

use super::error::FsError;

/// The number that the caller of read(2), rename(2) and so on gets.
pub(super) fn errno(error: &FsError) -> i32 {
    let errno = match error {
        FsError::NotFound => Errno::NOENT,
        FsError::Exists => Errno::EXIST,
        FsError::NotAFolder => Errno::NOTDIR,
        FsError::IsAFolder => Errno::ISDIR,
        FsError::NotEmpty => Errno::NOTEMPTY,
        FsError::NameTooLong => Errno::NAMETOOLONG,
        FsError::NameNotUnicode => Errno::ILSEQ,
        FsError::Invalid => Errno::INVAL,
        FsError::NotPermitted => Errno::PERM,
        FsError::Unsupported => Errno::OPNOTSUPP,
        FsError::BadHandle => Errno::BADF,
        FsError::TooLarge => Errno::FBIG,
        FsError::Full => Errno::NOSPC,
        FsError::Unavailable(_) | FsError::Changed => Errno::IO,
        FsError::Store(error) => return error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
    };
    errno.raw_os_error()
}
