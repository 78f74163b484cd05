//! What std and tokio lack: signal dispositions, process groups, and orphaned descendants.
//!
//! Unix has process groups. Linux also lets us adopt orphans, so that a process that left its group
//! is still found. Elsewhere only the test process itself can be killed, until it runs in a job
//! object.
#![cfg_attr(
    unix,
    expect(unsafe_code, reason = "signal dispositions can only be reset through libc")
)]

use std::collections::BTreeSet;
use std::sync::mpsc;

use tokio::process::Command;

use crate::base::limits::VARIABLE_SEARCH_TIMEOUT;
use crate::base::procfs;

/// The variables that name the temporary directory, on any system.
pub const TEMPORARY: [&str; 3] = ["TMPDIR", "TMP", "TEMP"];

/// A process id.
pub(crate) type Pid = u32;

/// How hard to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// The process may clean up first (SIGTERM).
    Gently,
    /// The process ends immediately (SIGKILL).
    Now,
}

#[cfg(unix)]
pub use unix::*;

#[cfg(unix)]
mod unix {
    use super::{Command, Kill, Pid};
    use rustix::process::{self as sys, Signal, WaitOptions};

    /// Gives INT, QUIT, HUP, TERM and CHLD their default disposition and unblocks every signal. A
    /// background shell or `nohup` starts us with some of them ignored, and the tests would inherit
    /// that. (std already gives children the default for PIPE. We still ignore it, so that a closed
    /// pipe is an error and does not kill us.)
    pub fn reset_signals() {
        for signal in [
            libc::SIGINT,
            libc::SIGQUIT,
            libc::SIGHUP,
            libc::SIGTERM,
            libc::SIGCHLD,
        ] {
            // SAFETY: SIG_DFL is a valid disposition for each of these, and no handler of ours is
            // installed yet.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // SAFETY: `sigemptyset` initialises the set before `sigprocmask` reads it; the old mask is
        // not asked for.
        unsafe {
            let mut none = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        }
    }

    /// Raises the limit of open descriptors of this process and its children to the hard limit. The
    /// default is often 1024, and each running test uses some of our descriptors.
    pub fn raise_open_files() {
        let limit = sys::getrlimit(sys::Resource::Nofile);
        let raised = sys::Rlimit {
            current: limit.maximum,
            ..limit
        };
        // If the limit cannot be raised, the old one stays.
        sys::setrlimit(sys::Resource::Nofile, raised).ok();
    }

    /// How many files may be open after [`raise_open_files`]; `None` if there is no limit. Sets the
    /// limit and restores it: what a system grants can differ from what it reports.
    pub fn open_files_max() -> Option<u64> {
        let before = sys::getrlimit(sys::Resource::Nofile);
        raise_open_files();
        let most = sys::getrlimit(sys::Resource::Nofile).current;
        // The old limit is not above the hard limit, so it can be restored.
        sys::setrlimit(sys::Resource::Nofile, before).ok();
        most
    }

    /// Makes the child the leader of its own process group.
    pub fn own_group(command: &mut Command) {
        command.process_group(0);
    }

    /// Signals every process in the group that `leader` leads.
    pub fn kill_group(leader: Option<Pid>, how: Kill) {
        if let Some(pid) = leader.and_then(as_pid) {
            // An error means that the group is empty.
            sys::kill_process_group(pid, signal(how)).ok();
        }
    }

    /// Signals one process.
    pub fn kill(process: Pid, how: Kill) {
        if let Some(pid) = as_pid(process) {
            sys::kill_process(pid, signal(how)).ok();
        }
    }

    /// Collects the exit status of a dead orphan, so that it does not stay a zombie. Returns
    /// whether it is gone.
    pub fn reap(process: Pid) -> bool {
        let status = as_pid(process).map(|pid| sys::waitpid(Some(pid), WaitOptions::NOHANG));
        !matches!(status, Some(Ok(None)))
    }

    /// The name of the signal that ended a process.
    pub fn signal_name(number: i32) -> String {
        let names = [
            (libc::SIGHUP, "SIGHUP"),
            (libc::SIGINT, "SIGINT"),
            (libc::SIGQUIT, "SIGQUIT"),
            (libc::SIGILL, "SIGILL"),
            (libc::SIGTRAP, "SIGTRAP"),
            (libc::SIGABRT, "SIGABRT"),
            (libc::SIGBUS, "SIGBUS"),
            (libc::SIGFPE, "SIGFPE"),
            (libc::SIGKILL, "SIGKILL"),
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGPIPE, "SIGPIPE"),
            (libc::SIGALRM, "SIGALRM"),
            (libc::SIGTERM, "SIGTERM"),
            (libc::SIGXCPU, "SIGXCPU"),
            (libc::SIGXFSZ, "SIGXFSZ"),
            (libc::SIGSYS, "SIGSYS"),
        ];
        let known = names.iter().find(|(n, _)| *n == number);
        known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
    }

    fn signal(how: Kill) -> Signal {
        match how {
            Kill::Gently => Signal::TERM,
            Kill::Now => Signal::KILL,
        }
    }

    fn as_pid(process: Pid) -> Option<sys::Pid> {
        i32::try_from(process).ok().and_then(sys::Pid::from_raw)
    }
}

#[cfg(not(unix))]
pub(crate) use elsewhere::*;

#[cfg(not(unix))]
mod elsewhere {
    use super::{Command, Kill, Pid};

    /// On this system there is nothing to reset.
    pub fn reset_signals() {}
    /// On this system there is no such limit.
    pub fn raise_open_files() {}
    /// On this system there is no such limit.
    pub fn open_files_max() -> Option<u64> {
        None
    }
    /// On this system there are no process groups.
    pub fn own_group(_: &mut Command) {}
    /// On this system there are no process groups; tokio kills the child itself.
    pub fn kill_group(_: Option<Pid>, _: Kill) {}
    /// On this system orphans are never found.
    pub fn kill(_: Pid, _: Kill) {}
    /// On this system orphans are never found.
    pub fn reap(_: Pid) -> bool {
        true
    }
}

/// From now on orphaned descendants become children of this process instead of init's.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // If this fails (a kernel before 3.4), orphans are lost, as they are on other systems.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).ok();
}

/// The living children of a process; empty if the kernel does not list them.
pub fn children(of: Pid) -> BTreeSet<Pid> {
    let mut found = BTreeSet::new();
    for thread in procfs::threads(of) {
        let list = procfs::text(&thread, "children");
        found.extend(list.split_whitespace().filter_map(|pid| pid.parse::<Pid>().ok()));
    }
    found
}

/// The processes below `of`, nearest first, without `of` itself.
pub fn descendants(of: Pid) -> Vec<Pid> {
    let mut found: Vec<Pid> = children(of).into_iter().collect();
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// The command line of a process; empty if the kernel does not show it.
pub fn command_line(of: Pid) -> String {
    let bytes = procfs::bytes(&procfs::directory(of), "cmdline");
    let text = String::from_utf8_lossy(&bytes);
    text.trim_end_matches('\0').replace(|c: char| c.is_control(), " ")
}

/// Whether `process` was started with `NAME=value` in its environment. False if the kernel does not
/// show it.
pub fn environment_contains(process: Pid, assignment: &str) -> bool {
    let environment = procfs::bytes(&procfs::directory(process), "environ");
    environment
        .split(|byte| *byte == 0)
        .any(|entry| entry == assignment.as_bytes())
}

/// Whether a process has left its old program and has not begun its new one, so that its
/// environment can't be read yet. Its parent goes on at that moment, and may exit.
pub fn is_between_programs(process: Pid) -> bool {
    lacks_environment(&procfs::text(&procfs::directory(process), "stat"))
}

/// The same of a line as in proc_pid_stat(5): field 51, where the environment ends, is 0, and it
/// is no zombie, where all addresses are 0.
fn lacks_environment(stat: &str) -> bool {
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let mut fields = fields.split(' ');
    let is_alive = fields.next().is_some_and(|state| !matches!(state, "Z" | "X"));
    is_alive && fields.nth(47) == Some("0")
}

/// Kills every process that was started with `NAME=value` in its environment. Does nothing if the
/// kernel does not show environments, and gives up if a read hangs: a page fault on a hung file
/// system keeps the memory of its process locked, and every reader of that memory waits.
pub fn kill_all_with(assignment: &str) {
    let (done, wait) = mpsc::channel();
    let assignment = assignment.to_owned();
    std::thread::spawn(move || {
        kill_marked(&assignment);
        // If the search took too long, the caller no longer waits.
        done.send(()).ok();
    });
    wait.recv_timeout(VARIABLE_SEARCH_TIMEOUT).ok();
}

/// The processes of this user that were started with `NAME=value` in their environment, as far as
/// the kernel lists them in time.
#[cfg(target_os = "linux")]
pub(crate) fn all_with(assignment: &str) -> Vec<Pid> {
    let (found, all) = mpsc::channel();
    let assignment = assignment.to_owned();
    std::thread::spawn(move || {
        procfs::processes()
            .filter(|pid| procfs::is_of_this_user(*pid) && environment_contains(*pid, &assignment))
            // If the search took too long, the receiver is gone.
            .all(|pid| found.send(pid).is_ok());
    });
    std::iter::from_fn(|| all.recv_timeout(VARIABLE_SEARCH_TIMEOUT).ok()).collect()
}

/// Another user can make a reader of their process's environment wait indefinitely. So those
/// processes come last, and each process is opened by handle first: a process that gets its id
/// during the wait is not killed.
#[cfg(target_os = "linux")]
fn kill_marked(assignment: &str) {
    let (ours, others): (Vec<Pid>, Vec<Pid>) =
        procfs::processes().partition(|pid| procfs::is_of_this_user(*pid));
    for pid in ours.into_iter().chain(others) {
        if let Some(held) = Held::of(pid)
            && environment_contains(pid, assignment)
        {
            held.kill();
        }
    }
}

/// Other systems do not show the environment of a process.
#[cfg(not(target_os = "linux"))]
fn kill_marked(_: &str) {}

/// A handle to a process, valid even if another process gets its id later.
#[cfg(target_os = "linux")]
struct Held(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Held {
    fn of(process: Pid) -> Option<Held> {
        let pid = i32::try_from(process)
            .ok()
            .and_then(rustix::process::Pid::from_raw)?;
        let flags = rustix::process::PidfdFlags::empty();
        rustix::process::pidfd_open(pid, flags).ok().map(Held)
    }

    /// Kills it. An error means that it has exited.
    fn kill(&self) {
        rustix::process::pidfd_send_signal(&self.0, rustix::process::Signal::KILL).ok();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> std::io::Result<Child> {
        Command::new("sleep").arg("60").spawn()
    }

    /// Ends it with SIGTERM. Returns the signal that ended it: an earlier SIGKILL, or ours.
    fn end(mut child: Child) -> Option<i32> {
        kill(child.id(), Kill::Gently);
        child.wait().ok()?.signal()
    }

    #[test]
    fn a_process_without_an_environment_has_not_begun_its_program() {
        let stat = |state: &str, end: &str| {
            let between = ["0"; 47].join(" ");
            format!("7 (a) b) {state} {between} {end} 0\n")
        };
        assert!(lacks_environment(&stat("R", "0")));
        assert!(!lacks_environment(&stat("R", "140722563426977")));
        assert!(!lacks_environment(&stat("Z", "0")));
        assert!(!lacks_environment(""));
        assert!(!is_between_programs(std::process::id()));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_process_that_reuses_the_id_of_a_checked_one_is_not_killed() {
        let first = sleeper().unwrap();
        let (id, held) = (first.id(), Held::of(first.id()).unwrap());
        end(first);
        // Another process may take the id; then the test tries again.
        let second = loop {
            std::fs::write("/proc/sys/kernel/ns_last_pid", (id - 1).to_string()).unwrap();
            let child = sleeper().unwrap();
            if child.id() == id {
                break child;
            }
            end(child);
        };
        held.kill();
        assert_eq!(end(second), Some(libc::SIGTERM));
    }

    #[test]
    fn processes_with_the_mark_are_killed_and_others_are_not() {
        let mark = format!("XTASK_MARK_OF_A_TEST={}", std::process::id());
        let (name, value) = mark.split_once('=').unwrap();
        let marked = Command::new("sleep").arg("60").env(name, value).spawn().unwrap();
        let other = sleeper().unwrap();
        kill_all_with(&mark);
        assert_eq!(
            [end(marked), end(other)],
            [Some(libc::SIGKILL), Some(libc::SIGTERM)]
        );
    }
}
