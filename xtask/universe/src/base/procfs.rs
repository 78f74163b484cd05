//! The only reader of what the kernel shows of processes in `/proc` (proc(5)). The results are
//! empty for a process that has exited, and on systems without `/proc`.
//!
//! Only reads; the caller decides what the data means.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::os::Pid;

/// Whether the current directory of this process is the `/proc` that it reads.
static HELD: AtomicBool = AtomicBool::new(false);

/// From now on this process reads the `/proc` that is mounted now, whatever is mounted over it and
/// even if it is unmounted. For that, it makes `/proc` its current directory.
///
/// # Errors
/// When there is no `/proc`.
#[cfg(target_os = "linux")]
pub(crate) fn hold() -> std::io::Result<()> {
    std::env::set_current_dir("/proc")?;
    HELD.store(true, Ordering::Relaxed);
    Ok(())
}

fn root() -> &'static Path {
    Path::new(if HELD.load(Ordering::Relaxed) {
        "."
    } else {
        "/proc"
    })
}

/// A file about the system, or via `self` about this process.
#[cfg(target_os = "linux")]
pub(crate) fn system(name: &str) -> String {
    text(root(), name)
}

/// All processes.
pub(crate) fn processes() -> impl Iterator<Item = Pid> {
    entries(root()).filter_map(|(name, _)| name.to_str()?.parse().ok())
}

/// Whether that process has the same effective user as this one.
#[cfg(target_os = "linux")]
pub(crate) fn is_of_this_user(process: Pid) -> bool {
    let metadata = directory(process).metadata();
    metadata.is_ok_and(|metadata| crate::base::directory_identity::is_mine(&metadata))
}

/// The directories of the threads of a process. They contain files of the same names as the
/// directory of the process.
pub(crate) fn threads(process: Pid) -> impl Iterator<Item = PathBuf> {
    entries(&directory(process).join("task")).map(|(_, path)| path)
}

/// The open descriptors in the directory of a process or a thread, by number, each with the path of
/// its link.
#[cfg(target_os = "linux")]
pub(crate) fn descriptors(directory: &Path) -> impl Iterator<Item = (OsString, PathBuf)> + use<> {
    entries(&directory.join("fd"))
}

/// The directory of this process.
#[cfg(target_os = "linux")]
pub(crate) fn own() -> PathBuf {
    root().join("self")
}

/// A path that leads to the file that this process has open as this descriptor, and to nothing
/// else.
#[cfg(target_os = "linux")]
pub(crate) fn handle(descriptor: std::os::fd::BorrowedFd<'_>) -> PathBuf {
    let number = std::os::fd::AsRawFd::as_raw_fd(&descriptor);
    root().join(format!("self/fd/{number}"))
}

/// The directory of a process.
pub(crate) fn directory(process: Pid) -> PathBuf {
    root().join(process.to_string())
}

/// A file in the directory of a process or a thread. Reading one that needs the memory of the
/// process may hang.
pub(crate) fn bytes(directory: &Path, name: &str) -> Vec<u8> {
    std::fs::read(directory.join(name)).unwrap_or_default()
}

/// The same as text. Some lines contain names that a process gives itself, which may be invalid
/// UTF-8.
pub(crate) fn text(directory: &Path, name: &str) -> String {
    String::from_utf8_lossy(&bytes(directory, name)).into_owned()
}

fn entries(directory: &Path) -> impl Iterator<Item = (OsString, PathBuf)> + use<> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| (entry.file_name(), entry.path()))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_listed_with_threads_and_descriptors_and_a_dead_one_is_not() {
        let (us, nobody) = (std::process::id(), Pid::MAX);
        assert!(processes().any(|process| process == us) && !processes().any(|process| process == nobody));
        assert!(threads(us).count() > 0 && threads(nobody).next().is_none());
        assert!(descriptors(&directory(us)).any(|(number, _)| number == "0"));
        assert!(text(&directory(us), "status").contains("Pid:"));
        assert_eq!(text(&directory(nobody), "status"), "");
    }
}
