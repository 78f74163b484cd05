//! Removing directories in which anything may have happened: nothing that is mounted in them is ever entered, and what
//! hinders the removal without need (modes, too few descriptors for a deep tree) is put out of the way.

use std::fs;
use std::io;
use std::path::Path;

use crate::mounts;
use crate::os;

/// So many directories have their modes mended; a test that makes more unreadable ones means it.
const MENDED_MAX: usize = 100_000;

/// Detaches what is mounted in it and removes it. It need not exist, and may be a file or a link by now.
///
/// # Errors
/// Why it is still there, for a person. Where a mount resists nothing is removed: it may be somebody's files.
pub(crate) fn remove(directory: &Path) -> Result<(), String> {
    mounts::detach_below(directory);
    if let Some(mount) = mounts::below(directory).first() {
        return Err(format!("`{}` is mounted and cannot be detached", mount.display()));
    }
    let is_other = fs::symlink_metadata(directory).is_ok_and(|metadata| !metadata.is_dir());
    let removed = if is_other {
        fs::remove_file(directory)
    } else {
        remove_tree(directory)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove_tree(directory: &Path) -> io::Result<()> {
    fs::remove_dir_all(directory).or_else(|_| {
        mend(directory);
        os::raise_open_files();
        fs::remove_dir_all(directory)
    })
}

/// Makes every directory below readable and writable for us. Follows no links.
fn mend(directory: &Path) {
    let mut left = vec![directory.to_owned()];
    let mut count = 0;
    while let Some(path) = left.pop() {
        count += 1;
        open_up(&path);
        if count > MENDED_MAX {
            return;
        }
        let entries = fs::read_dir(&path).into_iter().flatten().flatten();
        let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        left.extend(directories.map(|entry| entry.path()));
    }
}

/// What cannot be changed will be told by the removal.
#[cfg(unix)]
fn open_up(path: &Path) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).ok();
}

/// There are no modes.
#[cfg(not(unix))]
fn open_up(_: &Path) {}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn modes_hinder_nothing_and_links_lead_nowhere() {
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
    fn what_has_come_in_its_place_goes_and_what_a_link_leads_to_stays() {
        let root = tempfile::tempdir().unwrap();
        let [file, link, outside] = ["file", "link", "outside"].map(|name| root.path().join(name));
        fs::write(&file, "").unwrap();
        fs::create_dir(&outside).unwrap();
        symlink(&outside, &link).unwrap();
        assert_eq!((remove(&file), remove(&link)), (Ok(()), Ok(())));
        assert!(!file.exists() && fs::symlink_metadata(&link).is_err() && outside.exists());
    }
}
