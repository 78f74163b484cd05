//! Unprivileged user namespaces on Linux, tried in a forked child that never executes another
//! program.
#![expect(
    unsafe_code,
    reason = "only a forked child may enter a namespace for trial, and `pre_exec` is unsafe"
)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use super::Capability;

/// The error code that the child uses to report success; entering a namespace never returns it.
const DONE: i32 = libc::ECANCELED;

/// Whether a process may enter a user namespace and, with the rights that it has there, a mount
/// namespace.
///
/// Both, because AppArmor on Ubuntu 24.04 grants the first and then takes the rights away.
pub(super) fn user_namespaces() -> Capability {
    let error = trial();
    match error.raw_os_error() {
        Some(DONE) => Capability::present("userns", "a child entered a user and a mount namespace"),
        _ => Capability::missing("userns", format!("the kernel refused a user and a mount namespace: {error}"))
            .with_hint("`sysctl user.max_user_namespaces` and, on Ubuntu, `kernel.apparmor_restrict_unprivileged_userns`"),
    }
}

fn trial() -> io::Error {
    let mut command = Command::new("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: between fork and exec the closure makes only system calls, allocates nothing and
    // takes no lock.
    unsafe { command.pre_exec(enter_namespaces) };
    command.spawn().map_or_else(
        |error| error,
        |_child| io::Error::other("a directory was executed"),
    )
}

fn enter_namespaces() -> io::Result<()> {
    for namespace in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS] {
        // SAFETY: takes a flag and no pointer; it changes only the calling process, which is about
        // to exit.
        if unsafe { libc::unshare(namespace) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Err(io::Error::from_raw_os_error(DONE))
}
