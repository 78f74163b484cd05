//! One mount: makes it ready, and removes it so that nothing is left, also on a panic.
//!
//! Owns the order of both. A mount is ready when the constructor returns; it is gone when it is no
//! longer in the kernel's table. When it is dropped, or its peer ends, calls of processes that
//! still use it fail: a process that uses its own mount could not end otherwise. A mount that a
//! dead process left is removed before a new one is made in its place. fuser's `AutoUnmount` is
//! never used: with it, unmounting is asynchronous and joining hangs.
//!
//! A copy of the mount in another mount name space is served until it is unmounted there;
//! unmounting here does not wait for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};

use super::connection::Connection;
use super::filesystem::FileSystem;
use super::fuse::{Adapter, Backings, Notifying, Wished};
use super::live::LiveMounts;
use super::mount_error::MountError;
use super::options::{Access, Links, MountOptions, Passthrough, Writing};
use super::{SUBTYPE, mount_point, preflight};
use crate::limits::{KERNEL_THREADS, UNMOUNT_PATIENCE};

/// A mount in use. All handles to it mean the same one.
#[derive(Debug)]
pub(crate) struct Mounted {
    path: PathBuf,
    live: Arc<LiveMounts>,
    /// `None` once it is unmounted.
    parts: Mutex<Option<Parts>>,
}

struct Parts {
    session: BackgroundSession,
    notifying: Notifying,
    fs: Arc<FileSystem>,
    connection: Connection,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

impl Mounted {
    /// Mounts `fs` on the folder `at`. Blocks until the mount answers.
    pub(super) fn new(
        fs: FileSystem,
        at: &Path,
        (options, live): (&MountOptions, &Arc<LiveMounts>),
    ) -> Result<Self, MountError> {
        preflight::check_device()?;
        let path = preflight::prepare(at)?;
        let fs = Arc::new(fs);
        let wished = match options.passthrough {
            Passthrough::Auto if preflight::may_pass_through() => Wished::Yes,
            Passthrough::Auto | Passthrough::Off => Wished::No,
        };
        let (serving, served) = channel();
        let adapter = Adapter::new(fs.clone(), Backings::new(wished), serving);
        let session = fuser::spawn_mount(adapter, &path, &config(options));
        let session = session.map_err(|source| preflight::explain(&path, source))?;
        let connection = Connection::of_mount(&path, served);
        let notifying = Notifying::start(&fs, session.notifier());
        let notifying = notifying.map_err(|source| MountError::Refused {
            path: path.clone(),
            source,
        })?;
        widen_read_ahead(&path);
        let parts = Parts {
            session,
            notifying,
            fs,
            connection,
        };
        let mounted = Self {
            path,
            live: live.clone(),
            parts: Mutex::new(Some(parts)),
        };
        mounted.restrict(options)?;
        Ok(mounted)
    }

    /// Sets the options that fuser does not have.
    fn restrict(&self, options: &MountOptions) -> Result<(), MountError> {
        if options.links != Links::Nowhere {
            return Ok(());
        }
        let restricted = mount_point::forbid_symlinks(&self.path, options.writing);
        restricted.map_err(|source| MountError::FollowsLinks {
            path: self.path.clone(),
            source,
        })
    }

    /// The mount point, absolute and without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Unmounts, and returns when the mount is gone from the kernel's table. A second call does
    /// nothing. A process that uses the mount is served until the peer ends.
    ///
    /// # Errors
    /// [`MountError::Busy`] when a process had something open there; the mount point is free all
    /// the same.
    pub(crate) fn unmount(&self) -> Result<(), MountError> {
        match self.take() {
            Some(parts) => self.end(parts, Users::Served),
            None => Ok(()),
        }
    }

    /// Unmounts for good: a process that still uses the mount a moment later gets errors.
    ///
    /// # Errors
    /// As [`Mounted::unmount`]; after [`MountError::Busy`] it is gone all the same.
    pub(crate) fn finish(&self) -> Result<(), MountError> {
        match self.take() {
            Some(parts) => self.end(parts, Users::CutOff),
            None => Ok(()),
        }
    }

    fn take(&self) -> Option<Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn end(&self, parts: Parts, users: Users) -> Result<(), MountError> {
        let Parts {
            session,
            notifying,
            fs,
            connection,
        } = parts;
        let outcome = self.end_session(session);
        if outcome.is_err() {
            if users == Users::CutOff {
                connection.end_before_detaching();
            }
            mount_point::detach(&self.path);
        }
        fs.stop_listening();
        match users {
            Users::Served => self.live.note_connection(connection),
            Users::CutOff => connection.end(),
        }
        notifying.join_within(UNMOUNT_PATIENCE);
        let path = self.path.clone();
        if !mount_point::wait_until_gone(&self.path).is_ok_and(|gone| gone) {
            return Err(MountError::StillThere { path });
        }
        match outcome {
            // The kernel reports this to the thread that waited for the next call. The mount is
            // gone, as it should be.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => Ok(()),
            outcome => outcome.map_err(|source| MountError::Busy { path, source }),
        }
    }

    /// Unmounts and waits until the kernel has no more calls. A mount name space that was made
    /// since has a mount of its own, which may last for any time: it is served, but this does not
    /// wait for it.
    fn end_session(&self, session: BackgroundSession) -> io::Result<()> {
        let (sender, ended) = channel();
        let thread = std::thread::Builder::new().name("tandem-unmount".to_owned());
        thread.spawn(move || drop(sender.send(session.umount_and_join())))?;
        let outcome = ended.recv_timeout(UNMOUNT_PATIENCE);
        outcome.unwrap_or_else(|_| {
            if mount_point::is_ours(&self.path) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let path = self.path.display();
            tracing::warn!(%path, "it is unmounted here, but a process still uses it, or another mount name space has it");
            Ok(())
        })
    }
}

/// What happens to processes that use a mount when it is unmounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    /// They are served until they are done, or the peer ends.
    Served,
    /// After a moment they get errors.
    CutOff,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The safety net: a caller that needs the result has called `unmount`.
        if let Err(error) = self.finish() {
            tracing::warn!(%error, "a mount did not end well");
        }
    }
}

fn config(options: &MountOptions) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName(SUBTYPE.to_owned()),
        MountOption::Subtype(SUBTYPE.to_owned()),
        MountOption::DefaultPermissions,
    ];
    if options.writing == Writing::Refused {
        config.mount_options.push(MountOption::RO);
    }
    config.acl = match options.access {
        Access::Owner => SessionACL::Owner,
        Access::Everybody => SessionACL::All,
    };
    // Elsewhere fuser has one thread.
    config.n_threads = cfg!(target_os = "linux").then_some(KERNEL_THREADS);
    config
}

/// The kernel reads 128 KiB ahead by default, and then most of the time goes into round trips. Root
/// may set more.
#[cfg(target_os = "linux")]
fn widen_read_ahead(path: &Path) {
    let widened = || -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let device = path.metadata()?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let file = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
        std::fs::write(file, crate::limits::KERNEL_READ_AHEAD_KIB.to_string())
    };
    if let Err(error) = widened() {
        tracing::debug!(%error, "the kernel keeps its small read-ahead");
    }
}

/// Elsewhere the kernel decides.
#[cfg(not(target_os = "linux"))]
fn widen_read_ahead(_path: &Path) {}
