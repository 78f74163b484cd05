//! Proves a capability by using it. `cargo xtask` starts this process after the build and may kill
//! it.
//!
//! Prints one line of JSON, `{"capability":"fuse","available":true,"evidence":"…"}`, and exits 0
//! whatever the answer is. The time limit is the caller's.

use std::io::{self, Write as _};

use clap::Parser;
use serde::Serialize;

/// Prove a capability of this machine by using it, and print one line of JSON.
#[derive(Debug, Parser)]
enum Probe {
    /// Mount a file system with one file in a fresh directory, read the file, unmount.
    Fuse,
}

#[derive(Debug, Serialize)]
struct Answer {
    capability: &'static str,
    available: bool,
    evidence: String,
}

fn main() -> io::Result<()> {
    let Probe::Fuse = Probe::parse();
    let (available, evidence) = match fuse() {
        Ok(evidence) => (true, evidence),
        Err(cause) => (false, cause),
    };
    let answer = Answer {
        capability: "fuse",
        available,
        evidence,
    };
    writeln!(io::stdout(), "{}", serde_json::to_string(&answer)?)
}

#[cfg(not(all(unix, feature = "fuse")))]
fn fuse() -> Result<String, String> {
    Err("built without feature `fuse`".to_owned())
}

#[cfg(all(unix, feature = "fuse"))]
fn fuse() -> Result<String, String> {
    mount_and_read().map_err(|error| format!("{error:#}").replace('\n', "; "))
}

#[cfg(all(unix, feature = "fuse"))]
fn mount_and_read() -> anyhow::Result<String> {
    use anyhow::{Context as _, ensure};
    use tandem_core::mount::MountOptions;
    use tandem_tests::offline::Offline;

    const CONTENT: &[u8] = b"read through a probe mount\n";
    let mut offline = Offline::start()?;
    let mounted = offline.mount(MountOptions::default())?;
    let file = mounted.join("probe");
    std::fs::write(&file, CONTENT).context("could not write a file in the mount")?;
    let len = file
        .metadata()
        .context("could not stat the file in the mount")?
        .len();
    let content = std::fs::read(&file).context("could not read the file in the mount")?;
    offline.close()?;
    ensure!(
        content == CONTENT && len == CONTENT.len() as u64,
        "the mount returned {len} wrong bytes"
    );
    Ok(format!(
        "mounted a share {}, wrote a file in it and read that file",
        way()
    ))
}

/// How this process mounts, and whether the kernel can then read and write complete files by itself
/// (passthrough).
#[cfg(all(feature = "fuse", target_os = "linux"))]
fn way() -> &'static str {
    use rustix::thread::{CapabilitySet, capabilities};

    /// The `uid_map` of the initial user namespace: every user maps to itself (user_namespaces(7)).
    const EVERYBODY: [&str; 3] = ["0", "0", "4294967295"];
    let may_mount = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match (may_mount, users.split_whitespace().eq(EVERYBODY)) {
        (true, true) => "by `mount(2)`, with passthrough if the kernel has it",
        (true, false) => "by `mount(2)` in a user namespace, without passthrough",
        (false, _) => "by `fusermount3`, without passthrough",
    }
}

#[cfg(all(unix, feature = "fuse", not(target_os = "linux")))]
fn way() -> &'static str {
    "by the system's own means"
}
