//! What the temporary directory supports: unix sockets and symbolic links, each tried in a new
//! directory.
//!
//! If possible, a separate process tries them: if the runner is killed meanwhile, that process
//! still removes the directory.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use tempfile::TempDir;

use super::Capability;
use crate::base::invocation::Invocation;
use crate::base::this_program;

/// The first argument of the process that tries what the temporary directory supports.
const ARGUMENT: &str = "__storage";

/// Creates a private directory below `TMPDIR`; its path is short, because the paths of unix sockets
/// are limited to 104 to 108 bytes.
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

/// Tries it for another process, if the arguments say so; otherwise returns `None`.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    std::env::args_os().nth(1).filter(|first| first == ARGUMENT)?;
    let answer = serde_json::to_vec(&here()).unwrap_or_default();
    Some(match io::stdout().write_all(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// `unix-socket` and `symlinks`.
pub(super) fn both() -> [Capability; 2] {
    let child = Invocation::is_set().then(by_a_child).flatten();
    child.unwrap_or_else(here)
}

fn here() -> [Capability; 2] {
    [unix_socket(), symlinks()]
}

/// The result of another process of this program; `None` if it did not answer.
fn by_a_child() -> Option<[Capability; 2]> {
    let mut command = this_program::command();
    command.arg(ARGUMENT).stdin(Stdio::null()).stderr(Stdio::null());
    // A signal to our process group is not meant for it.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let output = command.output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

/// A unix socket that can be bound below `TMPDIR` and connected to.
fn unix_socket() -> Capability {
    tried("unix-socket", bind_and_connect)
        .unwrap_or_else(|missing| missing.with_hint("use a short TMPDIR on a local file system"))
}

/// Symbolic links that can be made below `TMPDIR` and followed.
fn symlinks() -> Capability {
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
