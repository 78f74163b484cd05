//! Which errno each situation is: the only file that names one.

use rustix::io::Errno;

use super::error::FsError;

impl FsError {
    /// The number that the caller of read(2), rename(2) and so on gets.
    #[must_use]
    pub fn errno(&self) -> i32 {
        let errno = match self {
            Self::NotFound => Errno::NOENT,
            Self::Exists => Errno::EXIST,
            Self::NotAFolder => Errno::NOTDIR,
            Self::IsAFolder => Errno::ISDIR,
            Self::NotEmpty => Errno::NOTEMPTY,
            Self::NameTooLong => Errno::NAMETOOLONG,
            Self::NameNotUnicode => Errno::ILSEQ,
            Self::Invalid => Errno::INVAL,
            Self::NotPermitted => Errno::PERM,
            Self::Unsupported => Errno::OPNOTSUPP,
            Self::LeadsOut => Errno::LOOP,
            Self::BadHandle => Errno::BADF,
            Self::TooLarge => Errno::FBIG,
            Self::Full => Errno::NOSPC,
            Self::Unavailable(_) | Self::Changed => Errno::IO,
            Self::Store(error) => return error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
        };
        errno.raw_os_error()
    }
}
