//! The box: namespaces in which the tests run, created without privilege if the kernel allows it.
//!
//! Its processes, mounts, shared memory and files end with the keeper, however that ends. No test
//! in it can reach another test's processes: each supervisor is the first process of a process
//! namespace. Real root gets no user namespace: kernel passthrough of FUSE needs the initial one.
//! `network` has the networks of the tests.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{WaitOptions, waitpid};
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space};

use super::sys::{self, Fork};

/// Maximum number of processes and threads in the box, so that a fork bomb affects only the box; on
/// kernels that have such a limit [for each namespace](has_limits_of_its_own).
const PROCESSES_MAX: &str = "16384";

/// The file that sets the last used process id of a namespace, on a kernel that allows it (one that
/// can restore processes; most can).
const LAST_ID: &str = "/proc/sys/kernel/ns_last_pid";

/// The first id that the kernel reuses after it has used all (linux/pid.h, `RESERVED_PIDS`).
const REUSED_FROM: u32 = 300;

/// The fractional part of the golden ratio, in units of 2^-32: its multiples are spread most evenly
/// around a circle.
const GOLDEN_PART: u32 = 0x9E37_79B9;

/// The directory where programs keep POSIX shared memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Enters the box; returns in its first process. This process stays outside, waits for that one to
/// exit, removes the directory `scratch` (over which the box has mounted its own file system), and
/// exits.
pub(super) fn enter(scratch: &Path) -> anyhow::Result<()> {
    unshare_outer()?;
    match sys::fork().context("could not fork into the process namespace")? {
        Fork::Parent(child) => {
            sys::close_stderr().ok();
            // This process exists for the child alone; a closed standard input would not end it.
            while let Err(rustix::io::Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
            std::fs::remove_dir(scratch).ok();
            sys::exit(0)
        }
        Fork::Child => furnish(scratch),
    }
}

/// With the privilege: no user namespace. Without it: one in which this user has the privilege.
fn unshare_outer() -> anyhow::Result<()> {
    let inner = libc::CLONE_NEWPID | libc::CLONE_NEWIPC;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() && sys::unshare(inner).is_ok() {
        return Ok(());
    }
    sys::unshare(libc::CLONE_NEWUSER).context("the kernel refused a user namespace")?;
    // A system without the file `setgroups` does not require it (Linux before 3.19).
    std::fs::write("/proc/self/setgroups", "deny").ok();
    for (file, id) in [("uid_map", user.as_raw()), ("gid_map", group.as_raw())] {
        std::fs::write(format!("/proc/self/{file}"), format!("{id} {id} 1"))
            .with_context(|| format!("could not write `/proc/self/{file}`"))?;
    }
    sys::unshare(inner).context("the kernel refused a process or IPC namespace")
}

fn furnish(scratch: &Path) -> anyhow::Result<()> {
    sys::unshare(libc::CLONE_NEWNS).context("the kernel refused a mount namespace")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("could not make the mounts private")?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV;
    mount("proc", "/proc", "proc", quiet | MountFlags::NOEXEC, None)
        .context("could not mount `/proc` for the process namespace")?;
    mount("tmpfs", scratch, "tmpfs", quiet, Some(c"mode=0711"))
        .with_context(|| format!("could not mount a file system on `{}`", scratch.display()))?;
    limit_processes();
    hand_down_rights()
}

/// Without this limit it is still a box.
fn limit_processes() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if has_limits_of_its_own(&release) {
        std::fs::write("/proc/sys/kernel/pid_max", PROCESSES_MAX).ok();
    }
}

/// Whether a process namespace has its own `pid_max` in this release of Linux: since 6.14. Before,
/// there was one for the whole machine, which real root can change from anywhere, so the keeper
/// does not even try.
fn has_limits_of_its_own(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 14),
        _ => false,
    }
}

/// A FUSE mount inside needs CAP_SYS_ADMIN, which an ordinary user's program keeps only as an
/// ambient capability.
fn hand_down_rights() -> anyhow::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let rights = CapabilitySet::SYS_ADMIN;
    let own = rustix::thread::capabilities(None).context("could not read our capabilities")?;
    let inheritable = own.inheritable | rights;
    rustix::thread::set_capabilities(None, CapabilitySets { inheritable, ..own })
        .context("could not make CAP_SYS_ADMIN inheritable")?;
    rustix::thread::configure_capability_in_ambient_set(rights, true)
        .context("could not hand CAP_SYS_ADMIN down")
}

/// A process namespace of a supervisor, by its number among all of them in the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part(pub(super) u32);

impl Part {
    pub(super) fn next(self) -> Part {
        Part(self.0.wrapping_add(1))
    }

    /// The id after which this one starts to count, for ids below `ids`. Among any 64 consecutive
    /// numbers, the ids are at least a 124th of all ids apart; a test that starts more processes
    /// than that reaches the ids of a neighbour.
    fn last_id(self, ids: u32) -> u32 {
        let span = u64::from(ids.saturating_sub(REUSED_FROM).max(1));
        let turn = u64::from(self.0.wrapping_mul(GOLDEN_PART));
        REUSED_FROM + u32::try_from((turn * span) >> 32).unwrap_or_default()
    }
}

/// Makes the next child of this process the first one of a process namespace, beyond which no
/// process in it can reach.
pub(super) fn part_next_child() -> io::Result<()> {
    let own = File::open("/proc/self/ns/pid")?;
    // Only from there another one can be created, and the previous child already has one.
    move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
    sys::unshare(libc::CLONE_NEWPID)
}

/// Mounts `/proc` for the process namespace of which this process is the first, and sets its ids
/// apart from its neighbours' ids: programs use their id as a unique name. So where the kernel does
/// not allow that, there is no such namespace.
fn set_up_process_namespace(part: Part) -> anyhow::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)
        .context("could not mount `/proc` for a process namespace of its own")?;
    let ids = std::fs::read_to_string("/proc/sys/kernel/pid_max")?;
    let ids: u32 = ids.trim().parse()?;
    std::fs::write(LAST_ID, part.last_id(ids).to_string())
        .with_context(|| format!("could not write `{LAST_ID}`"))
}

/// Gives this process, inside the box, its own mounts and shared memory, which its children share
/// with it. If it is the first process of a process namespace, `part` is its number.
pub(super) fn seclude(part: Option<Part>) -> anyhow::Result<()> {
    sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWIPC)
        .context("the kernel refused a mount or IPC namespace of its own")?;
    if let Some(part) = part {
        set_up_process_namespace(part)?;
    }
    if Path::new(SHARED_MEMORY).is_dir() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", SHARED_MEMORY, "tmpfs", flags, Some(c"mode=1777"))
            .with_context(|| format!("could not mount a file system on `{SHARED_MEMORY}`"))?;
    }
    Ok(())
}

/// Gives a process that has called [`seclude`] new System V shared memory and POSIX message queues.
pub(super) fn renew() -> io::Result<()> {
    sys::unshare(libc::CLONE_NEWIPC)
}

/// The content of the shared memory of a process that has called [`seclude`], one line each.
pub(super) fn shared_memory() -> Vec<String> {
    let entries = std::fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries.map(|entry| entry.path().display().to_string()).collect();
    for (table, name) in [("shm", "segment"), ("sem", "semaphores"), ("msg", "queue")] {
        let text = crate::base::procfs::system(&format!("sysvipc/{table}"));
        let rows = text
            .lines()
            .skip(1)
            .map(|row| row.split_whitespace().collect::<Vec<_>>());
        found.extend(rows.filter_map(|row| {
            Some(format!(
                "System V {name} with key {} and id {}",
                row.first()?,
                row.get(1)?
            ))
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_neighbours_are_far_apart_however_many_there_are() {
        for ids in [16_384, 32_768, 4_194_304] {
            for first in [0, 1, 1000, u32::MAX - 30] {
                let all = (0..64).map(|number| Part(first.wrapping_add(number)).last_id(ids));
                let mut all: Vec<u32> = all.collect();
                all.sort_unstable();
                assert!(all[0] >= REUSED_FROM && all[63] < ids);
                // After the last id comes the first one again.
                all.push(all[0] + ids - REUSED_FROM);
                let apart = all.windows(2).map(|two| two[1] - two[0]).min().unwrap();
                assert!(apart >= ids / 200, "{apart} of {ids}, from {first}");
            }
        }
        assert_eq!(Part(7).last_id(1), REUSED_FROM);
    }

    #[test]
    fn the_limit_of_the_whole_machine_is_left_alone() {
        for release in ["6.14.0-rc1\n", "6.18.44-fc", "7.0", "10.2.1"] {
            assert!(has_limits_of_its_own(release), "{release}");
        }
        for release in ["6.13.12", "6.2.14", "5.15.0-91-generic", "2.6.32", "6", "", "odd"] {
            assert!(!has_limits_of_its_own(release), "{release}");
        }
    }
}
