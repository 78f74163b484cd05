//! Records what a test that timed out was doing, before any of its processes is killed.
//!
//! Reads only `/proc`, never a file system that the test itself may serve. Even `/proc` can hang,
//! so a child does the work.

use std::fmt::Write as _;
use std::path::Path;

use super::bounded::bounded;
use super::processes::{self, Process};
use super::sockets;
use crate::base::fuse_connections;
use crate::base::limits::{FORENSICS_DESCRIPTORS_MAX, FORENSICS_THREADS_MAX, FORENSICS_TIMEOUT};
use crate::base::os::Pid;
use crate::base::procfs;

/// Writes one file for people: the process tree, each thread with the place where it waits,
/// descriptors, sockets, mounts.
pub(super) fn write(to: &Path, scratch: &Path) {
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent).ok();
    }
    let root = std::process::id();
    let text = bounded(FORENSICS_TIMEOUT, || describe(root, scratch).into_bytes());
    let text = text
        .unwrap_or_else(|| b"Reading the processes took too long: one of them hangs in the kernel.\n".into());
    // If the file cannot be written, the timeout is reported without it.
    std::fs::write(to, text).ok();
}

fn describe(root: Pid, scratch: &Path) -> String {
    let mut tree = processes::descendants(root);
    tree.retain(|process| process.pid != std::process::id());
    let mut text = String::from("Processes, the test's own first\n");
    for process in &tree {
        let (pid, parent, state) = (process.pid, process.parent, process.state);
        // Writing to a string never fails; so below.
        writeln!(text, "  {pid} (child of {parent}, {state}) {}", process.command()).ok();
    }
    text.push_str("\nListening sockets\n");
    let held: Vec<u64> = tree
        .iter()
        .flat_map(|process| processes::socket_inodes(process.pid))
        .collect();
    for listener in sockets::listeners()
        .iter()
        .filter(|listener| held.contains(&listener.inode))
    {
        writeln!(text, "  {}", listener.name).ok();
    }
    let mounts = crate::base::mounts::below(scratch);
    writeln!(text, "\nMounts below {}\n  {mounts:?}", scratch.display()).ok();
    tree.iter()
        .for_each(|process| describe_process(&mut text, process));
    text
}

fn describe_process(text: &mut String, process: &Process) {
    let pid = process.pid;
    writeln!(text, "\nProcess {pid}: {}", process.command()).ok();
    for thread in procfs::threads(pid).take(FORENSICS_THREADS_MAX) {
        let read = |name: &str| procfs::text(&thread, name);
        let state = Process::parse(pid, &read("stat")).map_or('?', |process| process.state);
        let (name, place) = (read("comm"), read("wchan"));
        let call = read("syscall");
        let call = call.split(' ').next().unwrap_or_default().trim();
        writeln!(
            text,
            "  thread {} `{}` {state} in {place} (system call {call})",
            thread.file_name().unwrap_or_default().display(),
            name.trim()
        )
        .ok();
        if processes::waits_for_fuse(&place) {
            text.push_str("    ");
            text.push_str(&awaited(&thread));
            text.push('\n');
        }
        // Only root may see it.
        read("stack").lines().for_each(|frame| {
            writeln!(text, "    {frame}").ok();
        });
    }
    for (number, path) in procfs::descriptors(&procfs::directory(pid)).take(FORENSICS_DESCRIPTORS_MAX) {
        let target = std::fs::read_link(path).unwrap_or_default();
        writeln!(text, "  descriptor {} → {}", number.display(), target.display()).ok();
    }
}

/// What a thread awaits that waits for the answer of a FUSE server.
fn awaited(thread: &Path) -> String {
    let mounts = fuse_connections::listed(&procfs::text(thread, "mountinfo"));
    let word = |mount: &fuse_connections::Mount| {
        format!("`{}` (connection {})", mount.point.display(), mount.number)
    };
    match processes::file_of_call(thread) {
        Some(file) => {
            let mounts = mounts.iter().rev();
            let mut around = mounts.filter(|mount| file.starts_with(&mount.point));
            let on = around.next().map(|mount| format!(" on {}", word(mount)));
            format!(
                "waits for the answer of a file system about `{}`{}",
                file.display(),
                on.unwrap_or_default()
            )
        }
        None => {
            let mounts: Vec<String> = mounts.iter().map(word).collect();
            format!(
                "waits for the answer of a file system, one of: {}",
                mounts.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_described_with_its_threads_and_descriptors() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let text = describe(std::process::id(), Path::new("/nonexistent"));
        child.kill().unwrap();
        child.wait().unwrap();
        for part in ["sleep 60", "thread ", "descriptor 0 → "] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}
