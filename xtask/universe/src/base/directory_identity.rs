//! Identifies the directory that a path named when it was recorded. Another directory may have the
//! same path now.

use std::fmt;
use std::fs::Metadata;
use std::path::Path;
use std::str::FromStr;

/// The owner, the device and the inode of a directory. While it exists, no other directory has the
/// same three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    owner: u32,
    device: u64,
    inode: u64,
}

impl Identity {
    /// The identity of the directory at this path. `None` if something else is there, such as a
    /// link, or if the system has no inodes.
    pub(crate) fn of(directory: &Path) -> Option<Identity> {
        let metadata = directory.symlink_metadata().ok()?;
        metadata.is_dir().then(|| Identity::seen(&metadata)).flatten()
    }

    #[cfg(unix)]
    #[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
    fn seen(metadata: &Metadata) -> Option<Identity> {
        use std::os::unix::fs::MetadataExt;
        Some(Identity {
            owner: metadata.uid(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    #[cfg(not(unix))]
    fn seen(_: &Metadata) -> Option<Identity> {
        None
    }
}

/// Whether this is a directory owned by the user of this process. If an identity is known, it must
/// match.
pub(crate) fn is_ours(metadata: &Metadata, known: Option<&Identity>) -> bool {
    let is_known = known.is_none_or(|known| Identity::seen(metadata).is_none_or(|seen| seen == *known));
    metadata.is_dir() && is_mine(metadata) && is_known
}

/// The same for the directory at `path`; a link is none.
pub(crate) fn is_ours_at(path: &Path, known: Option<&Identity>) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| is_ours(&metadata, known))
}

/// Whether the user of this process owns it.
#[cfg(unix)]
pub(crate) fn is_mine(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

/// On this system, the owner of a file decides nothing here.
#[cfg(not(unix))]
pub(crate) fn is_mine(_: &Metadata) -> bool {
    true
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { owner, device, inode } = self;
        write!(f, "owner {owner} device {device} inode {inode}")
    }
}

impl FromStr for Identity {
    type Err = ();

    fn from_str(text: &str) -> Result<Identity, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["owner", owner, "device", device, "inode", inode] => Ok(Identity {
                owner: owner.parse().map_err(|_| ())?,
                device: device.parse().map_err(|_| ())?,
                inode: inode.parse().map_err(|_| ())?,
            }),
            _ => Err(()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_written_and_a_part_of_one_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let identity = Identity::of(directory.path()).unwrap();
        let text = identity.to_string();
        assert_eq!(text.parse(), Ok(identity));
        for cut in [
            "",
            "owner 0 device 1 inode",
            "owner 0 device 1 inode x",
            "owner 0",
        ] {
            assert_eq!(cut.parse::<Identity>(), Err(()), "{cut}");
        }
    }

    #[test]
    fn another_directory_or_a_link_of_the_same_name_is_not_the_known_one() {
        let home = tempfile::tempdir().unwrap();
        let [name, moved, link] = ["name", "moved", "link"].map(|name| home.path().join(name));
        std::fs::create_dir(&name).unwrap();
        let known = Identity::of(&name);
        let is_ours = |path: &Path| is_ours_at(path, known.as_ref());
        assert!(is_ours(&name));
        std::fs::rename(&name, &moved).unwrap();
        std::fs::create_dir(&name).unwrap();
        std::os::unix::fs::symlink(&moved, &link).unwrap();
        assert_eq!(
            [&name, &moved, &link].map(|path| is_ours(path)),
            [false, true, false]
        );
        assert_eq!(Identity::of(&link), None);
    }
}
