//! The answer to a call on a file system: its result, or a job that may take long.
//!
//! A call decides which of the two once, at the point where it would have to wait, copy or hash.
//! The kernel's handlers run no job: they hand it to another thread. Dropping a job leaves the file
//! system as it was before the call, or with one more handle, which the file system closes.

use super::filesystem::FileSystem;
use super::fs_error::FsError;

/// The outcome of a call that may take long.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// The call is done.
    Done(Result<T, FsError>),
    /// This job must be run first.
    Later(Job<T>),
}

/// The rest of a call, for a thread that may wait.
pub(crate) struct Job<T>(Rest<T>);

type Rest<T> = Box<dyn FnOnce(&FileSystem) -> Result<T, FsError> + Send>;

impl<T> Answer<T> {
    /// An answer that takes this job.
    pub(super) fn later(job: impl FnOnce(&FileSystem) -> Result<T, FsError> + Send + 'static) -> Self {
        Self::Later(Job(Box::new(job)))
    }

    /// The result, on a thread that may wait.
    pub(super) fn wait(self, fs: &FileSystem) -> Result<T, FsError> {
        match self {
            Self::Done(result) => result,
            Self::Later(job) => job.run(fs),
        }
    }
}

impl<T> Job<T> {
    /// Runs the rest of the call on the file system that was called.
    pub(crate) fn run(self, fs: &FileSystem) -> Result<T, FsError> {
        (self.0)(fs)
    }
}

impl<T> std::fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}
