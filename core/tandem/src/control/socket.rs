//! The socket of a share: `control` in the share's folder.
//!
//! The system takes short paths for sockets alone. Where the folder is too deep, Linux reaches it
//! through the descriptor of the opened folder; other systems can't.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use tokio::net::{UnixListener, UnixStream};

use crate::limits::SOCKET_PATH_LEN_MAX;

const SOCKET_FILE: &str = "control";

/// Listens in the folder `dir`. The caller holds the share, so a socket that is there already was
/// left by a process that was killed.
pub(super) fn listen(dir: &Path) -> io::Result<UnixListener> {
    remove(dir)?;
    let way = Way::to(dir)?;
    UnixListener::bind(&way.path)
}

/// Connects to the process that listens in the folder `dir`.
pub(super) async fn connect(dir: &Path) -> io::Result<UnixStream> {
    let way = Way::to(dir)?;
    UnixStream::connect(&way.path).await
}

/// Removes the socket, if there is one.
pub(super) fn remove(dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(dir.join(SOCKET_FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether the process at the other end belongs to the same user. Root may ask everybody.
pub(super) fn is_of_this_user(stream: &UnixStream) -> io::Result<bool> {
    let own = rustix::process::geteuid().as_raw();
    let other = stream.peer_cred()?.uid();
    Ok(may_ask(own, other))
}

fn may_ask(own: u32, other: u32) -> bool {
    other == own || other == 0
}

/// A path to a socket that is short enough.
struct Way {
    path: PathBuf,
    /// The path leads through this.
    _folder: Option<OwnedFd>,
}

impl Way {
    fn to(dir: &Path) -> io::Result<Self> {
        let path = dir.join(SOCKET_FILE);
        if path.as_os_str().len() <= SOCKET_PATH_LEN_MAX {
            return Ok(Self { path, _folder: None });
        }
        Self::through_descriptor(dir)
    }

    #[cfg(target_os = "linux")]
    fn through_descriptor(dir: &Path) -> io::Result<Self> {
        use rustix::fd::AsRawFd as _;
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(dir, flags, Mode::empty())?;
        Ok(Self {
            path: format!("/proc/self/fd/{}/{SOCKET_FILE}", folder.as_raw_fd()).into(),
            _folder: Some(folder),
        })
    }

    #[cfg(not(target_os = "linux"))]
    fn through_descriptor(dir: &Path) -> io::Result<Self> {
        let text = format!(
            "the path of `{}` is too long for a socket: with the name of the socket, it may have {SOCKET_PATH_LEN_MAX} bytes\n\
             hint: set TANDEM_HOME to a folder with a shorter path",
            tandem_core::printable::Printable(&dir.to_string_lossy())
        );
        Err(io::Error::new(ErrorKind::InvalidFilename, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_user_and_root_may_ask() {
        assert!(may_ask(1000, 1000));
        assert!(may_ask(1000, 0));
        assert!(!may_ask(1000, 1001));
        assert!(!may_ask(0, 1000));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_folder_that_is_too_deep_for_the_path_of_a_socket_is_reached_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        for depth in [SOCKET_PATH_LEN_MAX, 3 * SOCKET_PATH_LEN_MAX] {
            let dir = root.path().join("d".repeat(100)).join("e".repeat(depth - 100));
            std::fs::create_dir_all(&dir).unwrap();
            let listener = listen(&dir).unwrap();
            let (accepted, connected) = tokio::join!(listener.accept(), connect(&dir));
            assert!(is_of_this_user(&accepted.unwrap().0).unwrap());
            drop(connected.unwrap());
        }
    }

    #[tokio::test]
    async fn a_socket_that_a_killed_process_left_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        drop(listen(root.path()).unwrap());
        assert!(root.path().join(SOCKET_FILE).exists());
        assert!(connect(root.path()).await.is_err());
        let listener = listen(root.path()).unwrap();
        connect(root.path()).await.unwrap();
        drop(listener);
        remove(root.path()).unwrap();
        assert!(!root.path().join(SOCKET_FILE).exists());
    }
}
