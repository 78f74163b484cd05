//! The smallest file system worth mounting: one directory with one read-only file. It proves that this machine can
//! mount, for the capability probe and for the first test that needs FUSE; it is no part of the product.
//!
//! [`Mounted`] is the guard: its constructor returns when the mount answers, [`Mounted::unmount`] when the kernel has
//! forgotten it. fuser's `AutoUnmount` is never used: with it, unmounting is asynchronous and joining hangs.

mod hello;
mod mount_table;

use std::io;
use std::path::{Path, PathBuf};

use fuser::{BackgroundSession, Config, MountOption};

pub use hello::{FILE_NAME, HelloFs};

/// Why mounting or unmounting did not work. The sources are those of the operating system.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The FUSE device does not open; fuser would blame the mount point for it.
    #[error("could not open `{DEVICE}` for reading and writing")]
    Device(#[source] io::Error),
    /// The kernel wants the setuid program, and there is none; fuser says only "no such file".
    #[error("the kernel refuses `mount(2)` and there is no `fusermount3` to ask instead")]
    NoMountProgram(#[source] io::Error),
    /// The device opens, but the kernel or `fusermount3` refuses the mount.
    #[error("could not mount on `{}`", path.display())]
    Refused {
        /// The directory that was to be mounted on.
        path: PathBuf,
        /// What the kernel answered, or what `fusermount3` said.
        source: io::Error,
    },
    /// The mount was still in use; it was detached, so that nothing is mounted there any more, and lives on for whoever
    /// has it open.
    #[error("could not unmount `{}` cleanly; it was detached\nhint: close what is open there first", path.display())]
    Busy {
        /// The mount point.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// Unmounting succeeded, and yet the mount point stayed in the table of mounts.
    #[error("`{}` is still mounted after unmounting it", path.display())]
    StillThere {
        /// The mount point.
        path: PathBuf,
    },
}

#[cfg(target_os = "linux")]
const DEVICE: &str = "/dev/fuse";
#[cfg(not(target_os = "linux"))]
const DEVICE: &str = "the FUSE device";

/// A mounted [`HelloFs`]. Dropping it unmounts as well, but cannot say whether that worked.
#[derive(Debug)]
pub struct Mounted {
    path: PathBuf,
    session: Option<BackgroundSession>,
}

impl Mounted {
    /// Mounts a file system whose only file, [`FILE_NAME`], holds `content`, on the existing `directory`.
    ///
    /// # Errors
    /// [`MountError::Device`], [`MountError::NoMountProgram`] or [`MountError::Refused`]; nothing is mounted then.
    pub fn new(directory: &Path, content: impl Into<Vec<u8>>) -> Result<Self, MountError> {
        open_device().map_err(MountError::Device)?;
        // Canonical, because that is the form in which the kernel's table names it.
        let path = directory.canonicalize().map_err(|source| MountError::Refused {
            path: directory.to_owned(),
            source,
        })?;
        let session = fuser::spawn_mount(HelloFs::new(content), &path, &options());
        let session = session.map_err(|source| refusal(&path, source))?;
        Ok(Self {
            path,
            session: Some(session),
        })
    }

    /// The mount point.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The only file there.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.path.join(FILE_NAME)
    }

    /// Unmounts, joins fuser's threads and waits until the kernel's table of mounts has lost the mount point.
    ///
    /// # Errors
    /// [`MountError::Busy`] when something is still open there, [`MountError::StillThere`] when even detaching failed.
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), MountError> {
        let Some(session) = self.session.take() else {
            return Ok(());
        };
        let outcome = session.umount_and_join();
        if outcome.is_err() {
            detach(&self.path);
        }
        let gone = mount_table::wait_until_gone(&self.path).is_ok_and(|gone| gone);
        match outcome {
            _ if !gone => Err(MountError::StillThere {
                path: self.path.clone(),
            }),
            Ok(()) => Ok(()),
            Err(source) => Err(MountError::Busy {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

/// Takes the mount out of sight even though it is in use; fuser gave it up when unmounting failed.
fn detach(path: &Path) {
    // Whether it worked shows in the table of mounts.
    #[cfg(target_os = "linux")]
    let _detached = nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH);
    #[cfg(not(target_os = "linux"))]
    let _detached = nix::mount::unmount(path, nix::mount::MntFlags::MNT_FORCE);
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The safety net: whoever cares about the result has called `unmount`.
        let _ended = self.end();
    }
}

/// Device and mount point exist when this is asked, so that only the program can be what was not found.
fn refusal(path: &Path, source: io::Error) -> MountError {
    match source.kind() {
        io::ErrorKind::NotFound => MountError::NoMountProgram(source),
        _ => MountError::Refused {
            path: path.to_owned(),
            source,
        },
    }
}

fn options() -> Config {
    let mut config = Config::default();
    config.mount_options = vec![MountOption::RO, MountOption::FSName("tandem-probe".to_owned())];
    config
}

#[cfg(target_os = "linux")]
fn open_device() -> io::Result<()> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(DEVICE)
        .map(drop)
}

#[cfg(not(target_os = "linux"))]
fn open_device() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::Builder::new()
            .prefix("a b\n")
            .tempdir()
            .expect("TMPDIR is writable")
    }

    #[test]
    #[ignore = "needs fuse"]
    fn the_file_is_read_through_the_mount_and_gone_afterwards() {
        let directory = directory();
        let mounted = Mounted::new(directory.path(), *b"seven of nine").expect("FUSE works here");
        assert_eq!(
            std::fs::read(mounted.file()).expect("it is served"),
            b"seven of nine"
        );
        mounted.unmount().expect("nobody uses it");
        assert!(
            std::fs::read_dir(directory.path())
                .expect("it is ours again")
                .next()
                .is_none()
        );
        directory.close().expect("nothing is mounted on it");
    }

    #[test]
    #[ignore = "needs fuse"]
    fn a_mount_in_use_is_detached_and_reported() {
        let directory = directory();
        let mounted = Mounted::new(directory.path(), *b"in use").expect("FUSE works here");
        let mut file = std::fs::File::open(mounted.file()).expect("it is served");
        let outcome = mounted.unmount();
        // An ordinary user unmounts through `fusermount3`, lazily, and never finds anything busy.
        assert!(
            matches!(outcome, Ok(()) | Err(MountError::Busy { .. })),
            "{outcome:?}"
        );
        assert_eq!(
            io::read_to_string(&mut file).expect("it is served to the end"),
            "in use"
        );
        directory.close().expect("nothing is mounted on it");
    }

    #[test]
    #[ignore = "needs fuse"]
    fn dropping_the_guard_unmounts() {
        let directory = directory();
        drop(Mounted::new(directory.path(), *b"dropped").expect("FUSE works here"));
        directory.close().expect("nothing is mounted on it");
    }

    #[test]
    fn a_directory_that_does_not_exist_is_refused() {
        let outcome = Mounted::new(Path::new("/nonexistent/mount"), *b"nowhere");
        assert!(
            matches!(outcome, Err(MountError::Device(_) | MountError::Refused { .. })),
            "{outcome:?}"
        );
    }
}
