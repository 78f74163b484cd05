//! Facts about the machine that explain a slow or failing run: versions, cores, memory, free disk
//! space, descriptors.
//!
//! An unknown fact is `None` and never an error: the doctor must work on a broken machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

/// The machine as the doctor found it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Machine {
    pub(super) rustc: Option<String>,
    pub(super) cargo: Option<String>,
    /// The target triple that rustc builds for by default.
    pub(super) target: Option<String>,
    /// Processors that this process may use.
    pub(super) core_count: Option<usize>,
    pub(super) memory: Option<Memory>,
    /// Where cargo builds.
    pub(super) target_disk: Option<Disk>,
    /// Where tests write.
    pub(super) temporary_disk: Option<Disk>,
    pub(super) open_files: Option<OpenFiles>,
}

/// In bytes.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Memory {
    pub(super) total_len: u64,
    pub(super) available_len: Option<u64>,
}

/// The free space of a file system.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Disk {
    pub(super) path: PathBuf,
    /// Bytes that an ordinary user can still write.
    pub(super) free_len: u64,
    /// Files that can still be created; `None` if the file system does not count them.
    pub(super) free_inode_count: Option<u64>,
}

/// Limits on open descriptors; `None` is unlimited.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct OpenFiles {
    pub(super) soft_max: Option<u64>,
    pub(super) hard_max: Option<u64>,
}

impl Machine {
    /// Collects all facts; starts `rustc` and `cargo` once each. `target` is the directory that
    /// cargo builds in.
    pub(super) fn look(target: &Path) -> Self {
        let verbose = answer("RUSTC", "rustc", "-vV").unwrap_or_default();
        Self {
            rustc: verbose.lines().next().map(str::to_owned),
            cargo: answer("CARGO", "cargo", "-V"),
            target: verbose
                .lines()
                .find_map(|line| line.strip_prefix("host: "))
                .map(str::to_owned),
            core_count: std::thread::available_parallelism()
                .ok()
                .map(std::num::NonZero::get),
            memory: memory(),
            target_disk: target.ancestors().find_map(disk),
            temporary_disk: disk(&std::env::temp_dir()),
            open_files: open_files(),
        }
    }
}

fn answer(variable: &str, program: &str, flag: &str) -> Option<String> {
    let program = std::env::var_os(variable).unwrap_or_else(|| program.into());
    let output = Command::new(program)
        .arg(flag)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(target_os = "linux")]
fn memory() -> Option<Memory> {
    let table = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total_len = kibibytes(&table, "MemTotal:")?;
    Some(Memory {
        total_len,
        available_len: kibibytes(&table, "MemAvailable:"),
    })
}

#[cfg(target_os = "linux")]
fn kibibytes(table: &str, name: &str) -> Option<u64> {
    let value = table.lines().find_map(|line| line.strip_prefix(name))?;
    value
        .trim()
        .strip_suffix(" kB")?
        .parse::<u64>()
        .ok()?
        .checked_mul(1024)
}

#[cfg(not(target_os = "linux"))]
fn memory() -> Option<Memory> {
    let output = Command::new("sysctl").args(["-n", "hw.memsize"]).output().ok()?;
    let total_len = String::from_utf8_lossy(&output.stdout).trim().parse().ok()?;
    Some(Memory {
        total_len,
        available_len: None,
    })
}

#[cfg(unix)]
fn disk(path: &Path) -> Option<Disk> {
    let figures = rustix::fs::statvfs(path).ok()?;
    let free_len = figures.f_bavail.checked_mul(figures.f_frsize)?;
    let free_inode_count = (figures.f_files != 0).then_some(figures.f_favail);
    Some(Disk {
        path: path.to_owned(),
        free_len,
        free_inode_count,
    })
}

#[cfg(not(unix))]
fn disk(_path: &Path) -> Option<Disk> {
    None
}

#[cfg(unix)]
fn open_files() -> Option<OpenFiles> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Some(OpenFiles {
        soft_max: limit.current,
        hard_max: limit.maximum,
    })
}

#[cfg(not(unix))]
fn open_files() -> Option<OpenFiles> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let table = "MemTotal:       24683520 kB\nMemFree:  1 kB\n";
        assert_eq!(kibibytes(table, "MemTotal:"), Some(24_683_520 * 1024));
        assert_eq!(kibibytes(table, "MemAvailable:"), None);
    }

    #[test]
    fn this_machine_answers_every_question() {
        let machine = Machine::look(Path::new("/nonexistent/target"));
        assert!(machine.rustc.is_some_and(|version| version.starts_with("rustc ")));
        assert!(machine.cargo.is_some_and(|version| version.starts_with("cargo ")));
        assert!(machine.target.is_some() && machine.core_count.is_some() && machine.memory.is_some());
        assert!(
            machine.target_disk.is_some() && machine.temporary_disk.is_some() && machine.open_files.is_some()
        );
    }

    #[test]
    fn a_path_that_does_not_exist_has_no_disk() {
        assert!(disk(Path::new("/nonexistent")).is_none());
    }
}
