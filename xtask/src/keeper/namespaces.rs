//! The box: namespaces in which the tests run, made without privilege where the kernel allows.
//!
//! Its processes, mounts, ports, shared memory and files end with the keeper, however that ends. Nothing in it can reach a
//! network outside, and no test another one's processes: each supervisor is the first of a process namespace. Real root
//! gets no user namespace: kernel passthrough of FUSE needs the initial one.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, bail};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{WaitOptions, waitpid};
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType, move_into_link_name_space};

use super::sys::{self, Fork};

/// So many processes and threads fit into the box, so that a fork bomb is one in the box only; where the kernel has such a
/// limit [for each namespace](has_limits_of_its_own).
const PROCESSES_MAX: &str = "16384";

/// The id after which a process namespace goes on counting, where the kernel lets itself be told (a kernel that can restore
/// processes; most can).
const LAST_ID: &str = "/proc/sys/kernel/ns_last_pid";

/// Ids of two supervisors that follow each other come to lie so far apart in the namespaces that these have for their
/// tests. A prime, so that no two have the same.
const IDS_APART: u32 = 9973;

/// Where programs keep POSIX shared memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Enters the box; returns in its first process. This process stays outside, waits for that one's end, removes the
/// directory `scratch` (over which the box has mounted a file system of its own) and ends.
pub(super) fn enter(scratch: &Path) -> anyhow::Result<()> {
    unshare_outer()?;
    match sys::fork().context("could not fork into the process namespace")? {
        Fork::Parent(child) => {
            // A closed standard input would not end us; we are here for the child alone.
            while let Err(rustix::io::Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
            std::fs::remove_dir(scratch).ok();
            sys::exit(0)
        }
        Fork::Child => furnish(scratch),
    }
}

/// With the right to it: no user namespace. Without: one in which this user has it.
fn unshare_outer() -> anyhow::Result<()> {
    let inner = libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    if user.is_root() && sys::unshare(inner).is_ok() {
        return Ok(());
    }
    sys::unshare(libc::CLONE_NEWUSER).context("the kernel refused a user namespace")?;
    // In a file system without `setgroups` nobody asks for it (Linux before 3.19).
    std::fs::write("/proc/self/setgroups", "deny").ok();
    for (file, id) in [("uid_map", user.as_raw()), ("gid_map", group.as_raw())] {
        std::fs::write(format!("/proc/self/{file}"), format!("{id} {id} 1"))
            .with_context(|| format!("could not write `/proc/self/{file}`"))?;
    }
    sys::unshare(inner).context("the kernel refused a process, network or IPC namespace")
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
    sys::raise_loopback().context("could not raise the loopback interface")?;
    limit_processes();
    if loopback(Ipv4Addr::LOCALHOST.into()).is_err() && loopback(Ipv6Addr::LOCALHOST.into()).is_err() {
        bail!("the loopback interface has neither an IPv4 nor an IPv6 address");
    }
    hand_down_rights()
}

/// Without the limit it is a box all the same.
fn limit_processes() {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if has_limits_of_its_own(&release) {
        std::fs::write("/proc/sys/kernel/pid_max", PROCESSES_MAX).ok();
    }
}

/// Whether a process namespace has a `pid_max` of its own in this release of Linux: since 6.14. Before, there was one for
/// the whole machine, which real root can change from anywhere, so it is not even tried.
fn has_limits_of_its_own(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (6, 14),
        _ => false,
    }
}

/// A FUSE mount inside needs CAP_SYS_ADMIN, which an ordinary user's program keeps only as an ambient capability.
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

/// Whether this address of the loopback interface can be used here.
pub(super) fn loopback(address: std::net::IpAddr) -> Result<(), String> {
    match TcpListener::bind((address, 0)) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("binding to {address} failed: {error}")),
    }
}

/// Lets the next child of this process be the first one of a process namespace, beyond which nothing in it reaches.
pub(super) fn part_next_child() -> io::Result<()> {
    let own = File::open("/proc/self/ns/pid")?;
    // Only from there another one can be made, and the child before has got one.
    move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::ProcessID))?;
    sys::unshare(libc::CLONE_NEWPID)
}

/// Shows the process namespace of which this process is the first one, and counts on from where no neighbour does: programs
/// take their id for a name that nobody else has, so where the kernel does not let itself be told there is no such namespace.
fn furnish_part(id_in_the_box: u32) -> anyhow::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None)
        .context("could not mount `/proc` for a process namespace of its own")?;
    let ids = std::fs::read_to_string("/proc/sys/kernel/pid_max")?;
    let ids: u32 = ids.trim().parse()?;
    let last = id_in_the_box.wrapping_mul(IDS_APART) % ids.max(2);
    std::fs::write(LAST_ID, last.max(1).to_string()).with_context(|| format!("could not write `{LAST_ID}`"))
}

/// Gives this process, inside the box, mounts and shared memory of its own, which its children share with it.
pub(super) fn seclude() -> anyhow::Result<()> {
    // This is still the box's `/proc`, which has no names of ours yet.
    let id_in_the_box = std::fs::read_link("/proc/self")?;
    let id_in_the_box = id_in_the_box.to_str().and_then(|id| id.parse().ok());
    sys::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWIPC)
        .context("the kernel refused a mount or IPC namespace of its own")?;
    if let (1, Some(id)) = (std::process::id(), id_in_the_box) {
        furnish_part(id)?;
    }
    if Path::new(SHARED_MEMORY).is_dir() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", SHARED_MEMORY, "tmpfs", flags, Some(c"mode=1777"))
            .with_context(|| format!("could not mount a file system on `{SHARED_MEMORY}`"))?;
    }
    Ok(())
}

/// Gives a process that has [`seclude`]d itself System V shared memory and POSIX message queues that nobody has seen.
pub(super) fn renew() -> io::Result<()> {
    sys::unshare(libc::CLONE_NEWIPC)
}

/// What lies in the shared memory of a process that has [`seclude`]d itself, in one line each.
pub(super) fn shared_memory() -> Vec<String> {
    let entries = std::fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries.map(|entry| entry.path().display().to_string()).collect();
    for (table, name) in [("shm", "segment"), ("sem", "semaphores"), ("msg", "queue")] {
        let text = std::fs::read_to_string(format!("/proc/sysvipc/{table}")).unwrap_or_default();
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
    fn the_limit_of_the_whole_machine_is_left_alone() {
        for release in ["6.14.0-rc1\n", "6.18.44-fc", "7.0", "10.2.1"] {
            assert!(has_limits_of_its_own(release), "{release}");
        }
        for release in ["6.13.12", "6.2.14", "5.15.0-91-generic", "2.6.32", "6", "", "odd"] {
            assert!(!has_limits_of_its_own(release), "{release}");
        }
    }
}
