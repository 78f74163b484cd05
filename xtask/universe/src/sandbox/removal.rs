//! Removes directories whatever they contain. Does not enter mounts or follow links. Modes, and too
//! few descriptors for a deep tree, do not stop the removal.

use std::fs;
use std::io;
use std::path::Path;

use crate::base::directory_identity::{self, Identity};
#[cfg(unix)]
use crate::base::folder::{Access, Folder, Step, is_no_folder};
use crate::base::mounts;
use crate::report::data::Leak;
use crate::report::kinds::LeakKind;

/// Why a directory stays that has the right name but is a different one.
const FOREIGN: &str = "it belongs to another user, or is not the directory that had this name";

/// Which directory a path should name.
#[derive(Debug, Clone, Copy)]
enum Meant<'a> {
    /// Whatever is there.
    Whatever,
    /// A directory of this user. If an identity is known, it must match.
    Ours(Option<&'a Identity>),
}

/// Detaches the mounts in it and removes it. It may be missing, or be a file or a link by now.
///
/// # Errors
/// Why it still exists, for a person. If a mount cannot be detached, nothing is removed: the files
/// may belong to another program.
pub fn remove(directory: &Path) -> Result<(), String> {
    remove_meant(directory, Meant::Whatever)
}

/// Removes a directory whose path was recorded earlier. Touches it only if this user owns it and,
/// where an identity is known, if that matches.
///
/// # Errors
/// As [`remove`], and if something else has its name.
pub(crate) fn remove_ours(directory: &Path, known: Option<&Identity>) -> Result<(), String> {
    match directory.symlink_metadata() {
        Ok(metadata) if !directory_identity::is_ours(&metadata, known) => Err(FOREIGN.to_owned()),
        _ => remove_meant(directory, Meant::Ours(known)),
    }
}

/// Removes a directory of this user from the opened parent. `path` serves only to find the mounts
/// in it.
///
/// # Errors
/// As [`remove_ours`].
#[cfg(unix)]
pub(crate) fn remove_ours_in(parent: &Folder, name: &std::ffi::CStr, path: &Path) -> Result<(), String> {
    without_mounts(path, || {
        let top = match parent.enter(name, Access::Unchanged) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                parent.enter(name, Access::Mended)?
            }
            entered => entered?,
        };
        empty(top, Meant::Ours(None))?;
        Ok(rustix::fs::unlinkat(
            parent,
            name,
            rustix::fs::AtFlags::REMOVEDIR,
        )?)
    })
}

fn remove_meant(directory: &Path, meant: Meant<'_>) -> Result<(), String> {
    without_mounts(directory, || remove_tree(directory, meant))
}

/// Detaches the mounts in it, then calls the removal.
fn without_mounts(directory: &Path, remove: impl FnOnce() -> io::Result<()>) -> Result<(), String> {
    mounts::detach_below(directory);
    if let Some(mount) = mounts::below(directory).first() {
        return Err(format!("`{}` is mounted and cannot be detached", mount.display()));
    }
    match remove() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Works by handles: another user who writes to the directory at the same time cannot redirect the
/// removal.
#[cfg(unix)]
fn remove_tree(directory: &Path, meant: Meant<'_>) -> io::Result<()> {
    let top = match (Folder::open(directory, Access::Unchanged), meant) {
        (Err(error), Meant::Whatever) if is_no_folder(&error) => return fs::remove_file(directory),
        (Err(error), _) if error.kind() == io::ErrorKind::PermissionDenied => {
            Folder::open(directory, Access::Mended)?
        }
        (opened, _) => opened?,
    };
    empty(top, meant)?;
    fs::remove_dir(directory)
}

/// Removes everything in it, if it is the right directory.
#[cfg(unix)]
fn empty(top: Folder, meant: Meant<'_>) -> io::Result<()> {
    if let Meant::Ours(known) = meant
        && !directory_identity::is_ours(top.metadata(), known)
    {
        return Err(io::Error::other(FOREIGN));
    }
    top.mend(Access::Mended)?;
    let mut trouble = None;
    top.walk(Access::Mended, |step| {
        // The first of several errors is reported.
        if let Some(error) = removed(step)
            .err()
            .filter(|error| error.kind() != io::ErrorKind::NotFound)
        {
            trouble.get_or_insert(error);
        }
    })?;
    trouble.map_or(Ok(()), Err)
}

/// Removes what the walk visits.
#[cfg(unix)]
fn removed(step: Step<'_>) -> io::Result<()> {
    use rustix::fs::{AtFlags, FileType, unlinkat};
    match step {
        Step::Entry(_, _, FileType::Directory) => Ok(()),
        Step::Entry(folder, name, _) => Ok(unlinkat(folder, name, AtFlags::empty())?),
        Step::End(folder, name) => Ok(unlinkat(folder, name, AtFlags::REMOVEDIR)?),
        // Something else took its place.
        Step::Closed(folder, name, error) if is_no_folder(&error) => {
            Ok(unlinkat(folder, name, AtFlags::empty())?)
        }
        // It may be empty.
        Step::Closed(folder, name, error) => unlinkat(folder, name, AtFlags::REMOVEDIR).map_err(|_| error),
    }
}

/// The content of the directory of a test, which should be empty.
pub(crate) fn files_left(directory: &Path) -> Vec<Leak> {
    let names = match names(directory) {
        Ok(names) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        // A link leads to files that are not the test's.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            let what = "something else in the place of its temporary directory";
            return vec![Leak::new(LeakKind::File, what)];
        }
        Err(error) => {
            let what = format!("a directory that cannot be read: {error}");
            return vec![Leak::new(LeakKind::File, what)];
        }
    };
    let leaks_of = |kind: LeakKind| {
        let of_kind = names.iter().filter(|(is, _)| *is == kind);
        let mut names: Vec<String> = of_kind.map(|(_, name)| name.clone()).collect();
        names.sort();
        Leak::list(&kind, names)
    };
    [LeakKind::File, LeakKind::UnixSocket]
        .into_iter()
        .flat_map(leaks_of)
        .collect()
}

/// The names in a directory, each with its kind of leak.
#[cfg(unix)]
fn names(directory: &Path) -> io::Result<Vec<(LeakKind, String)>> {
    use rustix::fs::FileType;
    let folder = Folder::open(directory, Access::Unchanged).map_err(|error| match is_no_folder(&error) {
        true => io::ErrorKind::NotADirectory.into(),
        false => error,
    })?;
    let named = |(name, kind): (std::ffi::CString, FileType)| {
        let kind = match kind {
            FileType::Socket => LeakKind::UnixSocket,
            _ => LeakKind::File,
        };
        (kind, name.to_string_lossy().into_owned())
    };
    Ok(folder.entries()?.into_iter().map(named).collect())
}

#[cfg(not(unix))]
fn names(directory: &Path) -> io::Result<Vec<(LeakKind, String)>> {
    if !fs::symlink_metadata(directory)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let entries = fs::read_dir(directory)?.flatten();
    Ok(entries
        .map(|entry| (LeakKind::File, entry.file_name().display().to_string()))
        .collect())
}

/// This system has no handles of directories.
#[cfg(not(unix))]
fn remove_tree(directory: &Path, meant: Meant<'_>) -> io::Result<()> {
    let metadata = fs::symlink_metadata(directory)?;
    if let Meant::Ours(known) = meant
        && !directory_identity::is_ours(&metadata, known)
    {
        return Err(io::Error::other(FOREIGN));
    }
    match metadata.is_dir() {
        true => fs::remove_dir_all(directory),
        false => fs::remove_file(directory),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn modes_prevent_nothing_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let (directory, outside) = (root.path().join("a"), root.path().join("outside"));
        fs::create_dir_all(directory.join("locked/inner")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "mine").unwrap();
        symlink(&outside, directory.join("locked/link")).unwrap();
        fs::set_permissions(directory.join("locked"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o500)).unwrap();
        remove(&directory).unwrap();
        assert!(!directory.exists());
        assert_eq!(
            fs::metadata(&outside).unwrap().permissions().mode() & 0o777,
            0o500
        );
        assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "mine");
        assert_eq!(remove(&directory), Ok(()));
    }

    #[test]
    fn a_replacement_is_removed_but_the_target_of_a_link_stays() {
        let root = tempfile::tempdir().unwrap();
        let [file, link, outside] = ["file", "link", "outside"].map(|name| root.path().join(name));
        fs::write(&file, "").unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, &link).unwrap();
        assert_eq!((remove(&file), remove(&link)), (Ok(()), Ok(())));
        assert!(!file.exists() && fs::symlink_metadata(&link).is_err() && outside.exists());
    }

    #[test]
    fn only_the_recorded_directory_is_removed_from_a_path() {
        let home = tempfile::tempdir().unwrap();
        let [directory, moved, link] = ["directory", "moved", "link"].map(|name| home.path().join(name));
        fs::create_dir(&directory).unwrap();
        let known = Identity::of(&directory);
        fs::rename(&directory, &moved).unwrap();
        fs::create_dir(&directory).unwrap();
        symlink(&moved, &link).unwrap();
        for other in [&directory, &link] {
            assert_eq!(remove_ours(other, known.as_ref()), Err(FOREIGN.to_owned()));
            assert!(remove_tree(other, Meant::Ours(known.as_ref())).is_err());
            assert!(other.symlink_metadata().is_ok() && moved.exists());
        }
        assert_eq!(remove_ours(&moved, known.as_ref()), Ok(()));
        assert_eq!(remove_ours(&moved, known.as_ref()), Ok(()));
        assert!(!moved.exists());
    }

    #[test]
    #[ignore = "needs root"]
    fn root_leaves_files_of_another_user_unchanged() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("directory");
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o500)).unwrap();
        std::os::unix::fs::chown(&directory, Some(65534), None).unwrap();
        assert_eq!(remove_ours(&directory, None), Err(FOREIGN.to_owned()));
        assert!(remove_tree(&directory, Meant::Ours(None)).is_err());
        assert_eq!(
            fs::metadata(&directory).unwrap().permissions().mode() & 0o777,
            0o500
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn another_process_that_exchanges_folders_and_links_cannot_redirect_a_removal() {
        use std::sync::atomic::{AtomicBool, Ordering};

        use rustix::fs::{CWD, RenameFlags, renameat_with};
        const PAIRS: usize = 8;
        const REMOVALS: usize = 100;
        let home = tempfile::tempdir().unwrap();
        let (directory, outside) = (home.path().join("directory"), home.path().join("outside"));
        fs::create_dir_all(outside.join("inner")).unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o500)).unwrap();
        let is_over = AtomicBool::new(false);
        // Exchanges a folder and a link until the removals are done.
        let flip = || {
            while !is_over.load(Ordering::Relaxed) {
                fs::create_dir(&directory).ok();
                for number in 0..PAIRS {
                    let [folder, link] =
                        ["folder", "link"].map(|name| directory.join(format!("{name}{number}")));
                    if renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).is_err() {
                        fs::create_dir(&folder).ok();
                        symlink(&outside, &link).ok();
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(flip);
            for _ in 0..REMOVALS {
                remove(&directory).ok();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(
            fs::metadata(&outside).unwrap().permissions().mode() & 0o777,
            0o500
        );
        assert!(outside.join("inner").exists());
    }
}
