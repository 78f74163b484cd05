//! Makes whole files durable and gives them their names: attributes, sync, rename, sync of the
//! folders.
//!
//! Thousands of small files, each with its own sync, take seconds. One call syncs a whole batch
//! where that proves as much: the kernel must report each byte that it could not write, and so must
//! the file system. Everywhere else, and after any error, each file has its own sync.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::Dir;

use super::part_file::{PartFile, Published};
use super::{Destination, StoreError};

/// Publishes `parts`. Returns one outcome for each part, in order.
pub(crate) fn publish_all(parts: &[Arc<PartFile>]) -> Vec<Result<Published, StoreError>> {
    let prepared: Vec<_> = parts.iter().map(|part| part.apply_attributes()).collect();
    let synced = sync_together(parts);
    let publish = |(part, prepared): (&Arc<PartFile>, Result<(), StoreError>)| {
        prepared?;
        // Of bytes that an earlier pull has left, only the file's own sync reports whether they
        // could be written: they may have failed before this batch was opened.
        if synced == Synced::Separately || part.is_left_behind() {
            part.sync()?;
        }
        part.publish()
    };
    let outcomes = parts.iter().zip(prepared).map(publish).collect();
    sync_folders(parts, outcomes)
}

/// Makes the names durable that earlier pulls have given to the files at `destinations`.
pub(crate) fn sync_folders_of(destinations: &[&Destination]) -> Vec<Result<(), StoreError>> {
    let mut synced = HashSet::new();
    let sync = |destination: &&Destination| {
        let folder = destination.path().parent().map(Path::to_owned);
        if !synced.contains(&folder) {
            sync_folder(&destination.parent_there()?)
                .map_err(|e| destination.failed("sync the folder of", e))?;
            synced.insert(folder);
        }
        Ok(())
    };
    destinations.iter().map(sync).collect()
}

/// How the bytes of a batch are made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Synced {
    /// By one call, which has succeeded.
    #[cfg(target_os = "linux")]
    Together,
    /// By a call for each file, which is still to be made.
    Separately,
}

/// Syncs the file system that all of `parts` are on, if this proves that their bytes are durable.
#[cfg(target_os = "linux")]
fn sync_together(parts: &[Arc<PartFile>]) -> Synced {
    use std::os::unix::fs::MetadataExt;
    let device = |part: &Arc<PartFile>| part.file.metadata().ok().map(|metadata| metadata.dev());
    let [first, _, ..] = parts else {
        return Synced::Separately;
    };
    let first_device = device(first);
    let shared = first_device.is_some() && parts.iter().all(|part| device(part) == first_device);
    // The call reports the errors since its file was opened, once for each open file. The oldest
    // was opened before any byte of the batch was written, and no other batch has it.
    let oldest = parts.iter().min_by_key(|part| part.opened).unwrap_or(first);
    let proves = shared && system::reports_errors() && system::is_known(&oldest.file);
    match proves && rustix::fs::syncfs(&oldest.file).is_ok() {
        true => Synced::Together,
        false => Synced::Separately,
    }
}

/// Other systems have no such call that reports errors.
#[cfg(not(target_os = "linux"))]
fn sync_together(_parts: &[Arc<PartFile>]) -> Synced {
    Synced::Separately
}

/// What one sync of a whole file system proves (syncfs(2)).
#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::sync::OnceLock;

    /// Where the kernel shows its release.
    const RELEASE: &str = "/proc/sys/kernel/osrelease";
    /// From this version on, the kernel reports bytes that it could not write (syncfs(2),
    /// VERSIONS).
    const REPORTS_SINCE: (u32, u32) = (5, 8);
    /// File systems on a disk of this machine, which note each such error for the whole of them, by
    /// their numbers in statfs(2): ext4, XFS, Btrfs, F2FS, and tmpfs, which has no disk. FUSE does
    /// not pass the call on, and an overlay does not pass on the errors of the layer below.
    const KNOWN: [u64; 5] = [0xEF53, 0x5846_5342, 0x9123_683E, 0xF2F5_2010, 0x0102_1994];

    pub(super) fn reports_errors() -> bool {
        static REPORTS: OnceLock<bool> = OnceLock::new();
        *REPORTS.get_or_init(|| {
            let release = std::fs::read_to_string(RELEASE).unwrap_or_default();
            version(&release).is_some_and(|version| version >= REPORTS_SINCE)
        })
    }

    /// The first two numbers of a kernel's release, which may be followed by anything.
    pub(super) fn version(release: &str) -> Option<(u32, u32)> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    pub(super) fn is_known(file: &File) -> bool {
        rustix::fs::fstatfs(file)
            .is_ok_and(|there| u64::try_from(there.f_type).is_ok_and(|kind| KNOWN.contains(&kind)))
    }
}

/// Syncs each folder once: a rename is durable only when its folder is.
fn sync_folders(
    parts: &[Arc<PartFile>],
    outcomes: Vec<Result<Published, StoreError>>,
) -> Vec<Result<Published, StoreError>> {
    let mut synced = HashSet::new();
    let sync = |(part, outcome): (&Arc<PartFile>, Result<Published, StoreError>)| {
        let published = outcome?;
        let folder = published.path.parent().map(Path::to_owned);
        if !synced.contains(&folder) {
            sync_folder(&part.folder).map_err(|e| part.failed("sync the folder of", e))?;
            synced.insert(folder);
        }
        Ok(published)
    };
    parts.iter().zip(outcomes).map(sync).collect()
}

/// Only Unix can sync a folder.
fn sync_folder(folder: &Dir) -> io::Result<()> {
    #[cfg(unix)]
    folder.open(".")?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::system::{is_known, version};

    #[test]
    fn a_sync_of_a_whole_file_system_proves_nothing_on_one_that_is_not_known() {
        let opened = std::fs::File::open("/proc/self/status").unwrap();
        assert!(!is_known(&opened));
    }

    #[test]
    fn the_version_of_a_kernel_is_read_from_any_release() {
        assert_eq!(version("6.18.44-fc-v657"), Some((6, 18)));
        assert_eq!(version("5.8"), Some((5, 8)));
        assert_eq!(version("5.10-rc1+"), Some((5, 10)));
        assert!(version("5.8").unwrap() > version("5.7.19").unwrap());
        assert_eq!(version(""), None);
        assert_eq!(version("5"), None);
        assert_eq!(version("99999999999.1"), None);
    }
}
