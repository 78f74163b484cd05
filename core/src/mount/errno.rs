//! Which errno each situation is, and which situation an errno of the kernel is: the only file of
//! this crate that names one. `cargo xtask tidy` checks that.

use rustix::io::Errno;

use super::fs_error::FsError;

impl FsError {
    /// The number that the caller of read(2), rename(2) and the like gets.
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
            Self::PastTheEnd => Errno::NXIO,
            Self::Full => Errno::NOSPC,
            Self::Unavailable(_) | Self::Changed => Errno::IO,
            Self::Store(error) => return error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
        };
        errno.raw_os_error()
    }
}

/// Whether the kernel can't copy between these two files by itself.
#[cfg(target_os = "linux")]
pub(super) fn is_no_kernel_copy(error: Errno) -> bool {
    matches!(error, Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS)
}

/// Whether a mount stays because it is in use.
#[cfg(all(target_os = "linux", feature = "fuse"))]
pub(super) fn is_in_use(error: Errno) -> bool {
    error == Errno::BUSY
}

/// Whether the process that served a mount is dead.
#[cfg(feature = "fuse")]
pub(super) fn is_dead_mount(error: Errno) -> bool {
    error == Errno::NOTCONN
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_caller_gets_the_errno_of_the_system_or_an_io_error_if_there_is_none() {
        let full = FsError::from(io::Error::from(Errno::NOSPC));
        assert_eq!(full.errno(), Errno::NOSPC.raw_os_error());
        let other = FsError::from(io::Error::other("broken"));
        assert_eq!(other.errno(), Errno::IO.raw_os_error());
    }

    #[test]
    fn a_file_that_would_be_too_long_and_an_offset_past_the_end_have_their_own_numbers() {
        assert_eq!(FsError::TooLarge.errno(), Errno::FBIG.raw_os_error());
        assert_eq!(FsError::PastTheEnd.errno(), Errno::NXIO.raw_os_error());
    }
}
