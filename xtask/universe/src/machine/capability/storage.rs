//! What the temporary directory allows: unix sockets and symbolic links, each tried in a fresh directory.

use std::io;
use std::path::Path;

use tempfile::TempDir;

use super::Capability;

/// A fresh private directory below `TMPDIR`; short, because the paths of unix sockets end at 104 to 108 bytes.
///
/// # Errors
/// When `TMPDIR` is missing, full or not writable.
pub(super) fn fresh_directory() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("xt-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

/// A unix socket that can be bound below `TMPDIR` and connected to.
pub(super) fn unix_socket() -> Capability {
    tried("unix-socket", bind_and_connect)
        .unwrap_or_else(|missing| missing.with_hint("use a short TMPDIR on a local file system"))
}

/// Symbolic links that can be made below `TMPDIR` and followed.
pub(super) fn symlinks() -> Capability {
    tried("symlinks", link_and_follow)
        .unwrap_or_else(|missing| missing.with_hint("on Windows, turn on developer mode"))
}

fn tried(name: &'static str, attempt: impl Fn(&Path) -> io::Result<()>) -> Result<Capability, Capability> {
    let temporary = std::env::temp_dir();
    match fresh_directory().and_then(|directory| attempt(directory.path())) {
        Ok(()) => Ok(Capability::present(
            name,
            format!("made and used one in `{}`", temporary.display()),
        )),
        Err(error) => Err(Capability::missing(
            name,
            format!("not in `{}`: {error}", temporary.display()),
        )),
    }
}

#[cfg(unix)]
fn bind_and_connect(directory: &Path) -> io::Result<()> {
    use std::os::unix::net::{UnixListener, UnixStream};
    let path = directory.join("s");
    let listener = UnixListener::bind(&path)?;
    let _stream = UnixStream::connect(&path)?;
    listener.accept().map(drop)
}

#[cfg(not(unix))]
fn bind_and_connect(_directory: &Path) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "the standard library has no unix sockets on this platform",
    ))
}

fn link_and_follow(directory: &Path) -> io::Result<()> {
    let (target, link) = (directory.join("target"), directory.join("link"));
    std::fs::write(&target, "through the link")?;
    #[cfg(unix)]
    std::os::unix::fs::symlink(&target, &link)?;
    #[cfg(windows)]
    std::os::windows::fs::symlink_file(&target, &link)?;
    std::fs::read(&link).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_attempt_names_the_directory_and_the_error() {
        let missing =
            tried("symlinks", |_| Err(io::Error::other("refused for the test"))).expect_err("it failed");
        assert!(missing.evidence.contains("refused for the test"), "{missing:?}");
        assert!(
            missing
                .evidence
                .contains(&std::env::temp_dir().display().to_string()),
            "{missing:?}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_fresh_directory_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = fresh_directory().expect("TMPDIR is writable");
        let mode = directory
            .path()
            .metadata()
            .expect("it exists")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
