//! Finds what a closed universe has left behind: files, mounts and ports of the universe, and, if
//! the test has a process of its own, descriptors, threads and children of the process.
//!
//! It only reports leaks, with evidence; it stops and removes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

/// Set by runners that run each test in a process of its own: `cargo xtask test` and nextest.
const ALONE_VARIABLES: [&str; 2] = ["XTASK_TEST", "NEXTEST"];

/// Whether this test is alone in its process, so that every leak of the process is a leak of this
/// test.
pub fn is_alone_in_process() -> bool {
    ALONE_VARIABLES
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// Every file under `root` that is neither in `expected` nor in a folder listed there.
pub fn unexpected_files(root: &Path, expected: &BTreeSet<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            match entry.file_type()?.is_dir() {
                _ if expected.contains(&entry.path()) => {}
                true => pending.push(entry.path()),
                false => found.push(entry.path()),
            }
        }
    }
    Ok(found)
}

/// Whether this process no longer listens on `addr`: the port can be bound again, or another
/// process has taken it, as happens when tests run in parallel.
pub fn is_released(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_ok() || has_other_owner(addr.port())
}

/// Whether sockets listen on `port` and none of them is ours. `false` on a system without `/proc`.
fn has_other_owner(port: u16) -> bool {
    let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];
    let text: String = tables
        .iter()
        .filter_map(|table| std::fs::read_to_string(table).ok())
        .collect();
    let listening = listening_inodes(&text, port);
    let own: BTreeSet<PathBuf> = entries("/proc/self/fd")
        .filter_map(|fd| std::fs::read_link(fd).ok())
        .collect();
    let is_own = |inode: &String| own.contains(Path::new(&format!("socket:[{inode}]")));
    !listening.is_empty() && !listening.iter().any(is_own)
}

/// The inodes of the sockets that listen on `port`, from the kernel's tables (proc_net(5)): the
/// second column is the local address, the fourth the state, the tenth the inode.
fn listening_inodes(tables: &str, port: u16) -> Vec<String> {
    let on_port = format!(":{port:04X}");
    let of = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_listening = columns.get(3) == Some(&"0A");
        let is_wanted = columns.get(1).is_some_and(|local| local.ends_with(&on_port));
        columns
            .get(9)
            .filter(|_| is_listening && is_wanted)
            .map(ToString::to_string)
    };
    tables.lines().filter_map(of).collect()
}

/// Everything mounted under `root`, as written in the kernel's table. Empty on a system without
/// that table.
pub fn mounts_under(root: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts_in(&table, root)
}

fn mounts_in(table: &str, root: &Path) -> Vec<String> {
    let prefix = format!("{}/", escaped(&root.display().to_string()));
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .filter(|point| point.starts_with(&prefix))
        .map(str::to_owned)
        .collect()
}

/// Writes a path as proc_pid_mountinfo(5) does.
fn escaped(path: &str) -> String {
    path.replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
        .replace('\n', "\\012")
}

/// What the process holds: descriptors by target, threads by name, children by id; each with its
/// count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    held: BTreeMap<String, usize>,
}

impl Census {
    /// Counts now. Empty on a system without `/proc`.
    pub fn take() -> Census {
        let mut census = Census::default();
        entries("/proc/self/fd")
            .filter_map(|fd| std::fs::read_link(fd).ok())
            .for_each(|target| {
                census.count("descriptor", &kind_of(&target.display().to_string()));
            });
        for thread in entries("/proc/self/task") {
            census.count_thread(&thread);
        }
        census
    }

    /// What this census has beyond `before`, one line each.
    pub fn beyond(&self, before: &Census) -> Vec<String> {
        let more = self.held.iter().filter_map(|(what, &count)| {
            let extra = count.saturating_sub(before.held.get(what).copied().unwrap_or(0));
            (extra > 0).then(|| format!("{extra} more {what}"))
        });
        more.collect()
    }

    fn count(&mut self, kind: &str, what: &str) {
        *self.held.entry(format!("{kind} `{what}`")).or_default() += 1;
    }

    fn count_thread(&mut self, thread: &Path) {
        let read = |name| std::fs::read_to_string(thread.join(name)).unwrap_or_default();
        read("children")
            .split_whitespace()
            .for_each(|child| self.count("child process", child));
        let name = read("comm");
        // The runtime keeps idle blocking threads for a while; they end with the runtime.
        if !name.starts_with("tokio-") {
            self.count("thread", name.trim());
        }
    }
}

fn entries(dir: &str) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
}

/// `socket:[1234]` counts as `socket`: the numbers differ between two censuses.
fn kind_of(target: &str) -> String {
    target.split(":[").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports;

    #[test]
    fn an_unexpected_file_is_found() {
        let root = crate::temp::TempRoot::create().unwrap();
        let dir = root.dir("alice/inner").unwrap();
        std::fs::write(dir.join("known"), b"").unwrap();
        std::fs::write(dir.join(".part"), b"").unwrap();
        let found = unexpected_files(root.path(), &BTreeSet::from([dir.join("known")])).unwrap();
        assert_eq!(found, [dir.join(".part")]);
    }

    #[test]
    fn a_port_is_released_when_its_listener_is_gone() {
        let claim = ports::claim_anywhere().unwrap();
        assert!(!is_released(claim.addr));
        drop(claim.listener);
        assert!(is_released(claim.addr));
    }

    #[test]
    fn only_listeners_on_the_port_are_found_in_the_kernels_table() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:65F4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:65F4 0100007F:ABCD 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0
   2: 0100007F:65F5 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0
";
        assert_eq!(listening_inodes(table, 0x65F4), ["4711"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listener_of_this_process_has_no_other_owner() {
        let claim = ports::claim_anywhere().unwrap();
        assert!(!has_other_owner(claim.addr.port()));
    }

    #[test]
    fn a_mount_below_a_path_with_a_space_is_found() {
        let table =
            "61 29 0:51 / /tmp/a\\040b/mnt rw - fuse x rw\n62 29 0:52 / /tmp/a\\040bc rw - fuse x rw\n";
        assert_eq!(mounts_in(table, Path::new("/tmp/a b")), ["/tmp/a\\040b/mnt"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_socket_shows_in_the_census() {
        let before = Census::take();
        let _claims: Vec<_> = (0..50).map(|_| ports::claim_anywhere().unwrap()).collect();
        let more = Census::take().beyond(&before);
        assert!(
            more.iter().any(|line| line.ends_with("descriptor `socket`")),
            "{more:?}"
        );
    }
}
