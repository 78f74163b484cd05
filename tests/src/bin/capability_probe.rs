//! Proves a capability by using it, in a process of its own that may be killed: `cargo xtask` starts it after the build.
//!
//! Prints one line of JSON, `{"capability":"fuse","available":true,"evidence":"…"}`, and exits 0 whatever the answer is.
//! It has no time limit; whoever starts it has.

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

#[cfg(not(feature = "fuse"))]
fn fuse() -> Result<String, String> {
    Err("built without feature `fuse`".to_owned())
}

#[cfg(feature = "fuse")]
fn fuse() -> Result<String, String> {
    mount_and_read().map_err(|error| format!("{error:#}").replace('\n', "; "))
}

#[cfg(feature = "fuse")]
fn mount_and_read() -> anyhow::Result<String> {
    use anyhow::{Context as _, ensure};
    use tandem_tests::probe_fs::Mounted;

    const CONTENT: &[u8] = b"read through a probe mount\n";
    let directory = tempfile::Builder::new()
        .prefix("probe-")
        .tempdir()
        .context("could not make a directory")?;
    let mounted = Mounted::new(directory.path(), CONTENT)?;
    let len = mounted
        .file()
        .metadata()
        .context("could not stat the file in the mount")?
        .len();
    let content = std::fs::read(mounted.file()).context("could not read the file in the mount")?;
    mounted.unmount()?;
    directory
        .close()
        .context("could not remove the directory after unmounting")?;
    ensure!(
        content == CONTENT && len == CONTENT.len() as u64,
        "the mount served {len} wrong bytes"
    );
    Ok("a probe mount was made, read and unmounted".to_owned())
}
