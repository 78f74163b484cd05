//! The properties of processes, from what `procfs` reads: their descendants, their activity, their
//! command line.
//!
//! See proc_pid_stat(5). A process that exits while it is read counts as missing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::base::limits::COMMAND_LEN_MAX;
use crate::base::os::Pid;
use crate::base::procfs;

/// Set in the kernel's flags of an exiting process (linux/sched.h, `PF_EXITING`).
const EXITING: u64 = 0x4;

/// The bit of SIGKILL in a mask of pending signals.
const KILLED: u64 = 1 << (libc::SIGKILL - 1);

/// A process at the time of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: Pid,
    /// The id of its process group.
    group: Pid,
    /// `R`, `S`, `D`, `T`, `Z`, … of its first thread.
    pub(super) state: char,
    /// Whether it is already exiting.
    pub(super) exiting: bool,
    /// The number of its threads; the first one may have exited before the others.
    threads: usize,
    /// Start time in ticks of the kernel. It distinguishes two processes that had the same id one
    /// after the other.
    pub(super) start: u64,
}

/// The activity of all threads of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Activity {
    pid: Pid,
    /// Whether each of them waits for something, for an unknown time.
    is_waiting: bool,
    /// Their processor time, in nanoseconds.
    used_ns: u64,
}

impl Activity {
    /// Reads a process.
    pub(super) fn of(process: &Process) -> Activity {
        let pid = process.pid;
        let (mut is_waiting, mut used_ns) = (!is_killed(&procfs::directory(pid)), 0);
        for thread in procfs::threads(pid) {
            let seen = Process::parse(pid, &procfs::text(&thread, "stat"));
            is_waiting &= seen.is_some_and(|thread| thread.is_waiting());
            let used = procfs::text(&thread, "schedstat")
                .split(' ')
                .next()
                .and_then(|ns| ns.parse::<u64>().ok());
            used_ns += used.unwrap_or_default();
        }
        Activity {
            pid,
            is_waiting,
            used_ns,
        }
    }

    /// Its processor time.
    pub(super) fn used(&self) -> Duration {
        Duration::from_nanos(self.used_ns)
    }

    /// Whether it neither runs nor is about to run.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting
    }
}

impl Process {
    /// Reads one process.
    pub(super) fn look(pid: Pid) -> Option<Process> {
        Process::parse(pid, &procfs::text(&procfs::directory(pid), "stat"))
    }

    /// Reads the `stat` of a process or of one of its threads.
    pub(super) fn parse(pid: Pid, stat: &str) -> Option<Process> {
        // The name in parentheses may contain anything, even parentheses.
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Process {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            state: fields.first()?.chars().next()?,
            exiting: number(6)? & EXITING != 0,
            threads: usize::try_from(number(17)?).ok()?,
            start: number(19)?,
        })
    }

    /// The directory of one of its threads that is not exiting, if there is one.
    pub(super) fn living_thread(&self) -> Option<PathBuf> {
        let lives = |directory: &PathBuf| {
            let seen = Process::parse(self.pid, &procfs::text(directory, "stat"));
            seen.is_some_and(|seen| !seen.exiting && seen.state != 'Z') && !is_killed(directory)
        };
        procfs::threads(self.pid).find(lives)
    }

    /// The directories in which its descriptors can be read; the first thread may have exited
    /// before the others.
    pub(super) fn directories(&self) -> Vec<PathBuf> {
        match self.state {
            'Z' => procfs::threads(self.pid).collect(),
            _ => vec![procfs::directory(self.pid)],
        }
    }

    /// Whether its first thread is exiting, or waits uninterruptibly: reason enough for a closer
    /// check.
    pub(super) fn may_be_stuck(&self) -> bool {
        self.exiting || matches!(self.state, 'Z' | 'D')
    }

    /// Whether it has exited, with all its threads.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }

    /// Whether the thread behind this entry waits for something, or has exited before the others.
    /// False if it waits for a disk or is exiting: then it continues by itself.
    fn is_waiting(&self) -> bool {
        match self.state {
            'S' | 'T' | 't' | 'I' => !self.exiting,
            'Z' => true,
            _ => false,
        }
    }

    /// The name that the kernel gives it. Reading it never blocks.
    fn name(&self) -> String {
        one_line(&procfs::bytes(&procfs::directory(self.pid), "comm"))
    }

    /// Its command line, in one line.
    pub(super) fn command(&self) -> String {
        let read = |name: &str| procfs::bytes(&procfs::directory(self.pid), name);
        let arguments = read("cmdline");
        one_line(&if arguments.is_empty() {
            read("comm")
        } else {
            arguments
        })
    }
}

/// A command line as the kernel stores it, made readable.
fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.trim_end_matches(['\0', '\n']).replace('\0', " ");
    let plain: String = words
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(COMMAND_LEN_MAX)
        .collect();
    plain
}

/// Whether a SIGKILL is pending for the process or thread with this directory.
fn is_killed(directory: &Path) -> bool {
    let status = procfs::text(directory, "status");
    let masks = status.lines().filter_map(|line| {
        line.strip_prefix("SigPnd:")
            .or_else(|| line.strip_prefix("ShdPnd:"))
    });
    masks
        .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .any(|mask| mask & KILLED != 0)
}

/// A thread that is exiting and waits for something.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) id: Pid,
    /// Its directory in `/proc`.
    pub(super) directory: PathBuf,
    /// Where in the kernel it waits; `0` or empty if unknown.
    pub(super) place: String,
    name: String,
    /// Its process, for people.
    process: String,
    /// Whether it has not yet reached the closing of its files: then it is still doing what it did
    /// when it was killed.
    is_at_work: bool,
}

impl Thread {
    /// The exiting and waiting threads of a process. While a core dump is written, only those that
    /// wait for the answer of a file system count.
    pub(super) fn ending_and_waiting(process: &Process) -> Vec<Thread> {
        let threads = procfs::threads(process.pid);
        let mut found: Vec<Thread> = threads
            .filter_map(|directory| Thread::look(process, directory))
            .collect();
        if !found.is_empty() && dumps_core(process.pid) {
            found.retain(Thread::waits_for_fuse);
        }
        found
    }

    fn look(process: &Process, directory: PathBuf) -> Option<Thread> {
        let seen = Process::parse(process.pid, &procfs::text(&directory, "stat"))?;
        if !matches!(seen.state, 'S' | 'D') || !(seen.exiting || is_killed(&directory)) {
            return None;
        }
        Some(Thread {
            id: directory.file_name()?.to_str()?.parse().ok()?,
            place: procfs::text(&directory, "wchan"),
            name: one_line(&procfs::bytes(&directory, "comm")),
            process: format!("`{}` (pid {})", process.name(), process.pid),
            is_at_work: !seen.exiting,
            directory,
        })
    }

    /// A thread that waits there, with this directory.
    #[cfg(test)]
    pub(super) fn waiting_in(place: &str, directory: PathBuf) -> Thread {
        Thread {
            id: 7,
            directory,
            place: place.to_owned(),
            name: "thread".to_owned(),
            process: "`test` (pid 6)".to_owned(),
            is_at_work: true,
        }
    }

    /// Whether the kernel shows that it waits for the answer of a FUSE server.
    pub(super) fn waits_for_fuse(&self) -> bool {
        waits_for_fuse(&self.place)
    }

    /// Whether it waits for pages to be read or written, which a file system does.
    pub(super) fn waits_for_pages(&self) -> bool {
        ["folio_wait", "wait_on_page", "writeback"]
            .iter()
            .any(|part| self.place.contains(part))
    }

    /// The file that it waits for, if that can be determined.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.is_at_work.then(|| file_of_call(&self.directory))?
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} `{}` of {}", self.id, self.name, self.process)
    }
}

/// Whether a thread at this place in the kernel waits for the answer of a FUSE server. A server
/// that waits for requests is at `fuse_dev_do_read`.
pub(super) fn waits_for_fuse(place: &str) -> bool {
    place == "request_wait_answer" || (place.contains("fuse_") && !place.contains("fuse_dev_"))
}

/// The file that the system call of a thread names by its descriptor, if it is one of the known
/// calls.
pub(super) fn file_of_call(thread: &Path) -> Option<PathBuf> {
    const BY_DESCRIPTOR: [libc::c_long; 14] = [
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_pwrite64,
        libc::SYS_writev,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
        libc::SYS_ftruncate,
        libc::SYS_fallocate,
        libc::SYS_getdents64,
        libc::SYS_fstat,
        libc::SYS_flock,
        libc::SYS_fchdir,
    ];
    let call = procfs::text(thread, "syscall");
    let mut words = call.split_whitespace();
    let number: libc::c_long = words.next()?.parse().ok()?;
    let descriptor = u32::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    let link = thread.join("fd").join(descriptor.to_string());
    BY_DESCRIPTOR
        .contains(&number)
        .then(|| std::fs::read_link(link).ok())?
}

/// Whether a process is writing a core dump.
fn dumps_core(pid: Pid) -> bool {
    let status = procfs::text(&procfs::directory(pid), "status");
    status
        .lines()
        .any(|line| line.split_whitespace().eq(["CoreDumping:", "1"]))
}

/// All living descendants of `of`, nearest first.
pub(super) fn descendants(of: Pid) -> Vec<Process> {
    let mut children: BTreeMap<Pid, Vec<Process>> = BTreeMap::new();
    for process in procfs::processes().filter_map(Process::look) {
        children.entry(process.parent).or_default().push(process);
    }
    let mut found = children.remove(&of).unwrap_or_default();
    let mut next = 0;
    while let Some(pid) = found.get(next).map(|process| process.pid) {
        found.extend(children.remove(&pid).unwrap_or_default());
        next += 1;
    }
    found.retain(|process| !process.is_dead());
    found
}

/// Sends a signal to each of these, to the groups that they lead, and to `group`. A process that
/// forks and exits constantly is never where it was seen, but stays in its group.
pub(super) fn send_all(tree: &[Process], group: Option<Pid>, signal: Signal) {
    let leads = |group: Pid| tree.iter().any(|process| process.pid == group);
    let mut groups: Vec<Pid> = tree.iter().map(|process| process.group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|id| Some(*id) == group || leads(*id));
    let groups = groups
        .into_iter()
        .filter_map(|id| i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw));
    for group in groups {
        rustix::process::kill_process_group(group, signal).ok();
    }
    tree.iter().for_each(|process| send(process.pid, signal));
}

/// Sends a signal to one process.
pub(super) fn send(pid: Pid, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // An error means that it has exited.
        kill_process(pid, signal).ok();
    }
}

/// The number of processes and threads on the whole machine, including those of other users,
/// whatever the namespace of this process. Cheap, and only a reason for a closer check.
pub(super) fn load() -> usize {
    let text = procfs::system("loadavg");
    let tasks = text.split(' ').nth(3).and_then(|field| field.split_once('/'));
    tasks.and_then(|(_, total)| total.parse().ok()).unwrap_or(0)
}

/// The sockets that a process holds, by inode.
pub(super) fn socket_inodes(pid: Pid) -> Vec<u64> {
    let targets =
        procfs::descriptors(&procfs::directory(pid)).filter_map(|(_, path)| std::fs::read_link(path).ok());
    targets.filter_map(inode).collect()
}

/// `socket:[4711]` → 4711.
fn inode(target: PathBuf) -> Option<u64> {
    target
        .to_str()?
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_hides_nothing() {
        let stat = "7 (a) S (b) Z 3 7 7 0 -1 4194308 0 0 0 0 12 30 0 0 20 0 2 0 4711";
        let process = Process::parse(7, stat).unwrap();
        assert_eq!(
            (process.parent, process.state, process.exiting, process.threads),
            (3, 'Z', true, 2)
        );
        assert_eq!(process.start, 4711);
        // Its first thread has exited and another one has not.
        assert!(!process.is_dead());
        assert_eq!(Process::parse(7, "7 (cut"), None);
    }

    #[test]
    fn an_exited_thread_delays_nothing_and_an_exiting_one_does() {
        let thread = |state: char, flags: u64| {
            let stat = format!("7 (a) {state} 3 7 7 0 -1 {flags} 0 0 0 0 12 30 0 0 20 0 2 0 4711");
            Process::parse(7, &stat).unwrap()
        };
        assert!(thread('Z', EXITING).is_waiting() && thread('S', 0).is_waiting());
        assert!(!thread('S', EXITING).is_waiting() && !thread('D', 0).is_waiting());
    }

    #[test]
    fn a_process_whose_name_is_not_utf8_is_read_too() {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::process::CommandExt;
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
        std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
        let mut child = std::process::Command::new(&program)
            .arg0("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let seen = Process::look(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(seen.is_some_and(|process| process.parent == std::process::id()));
    }

    #[test]
    fn this_process_is_among_the_descendants_of_its_parent() {
        let me = Process::look(std::process::id()).unwrap();
        assert!(descendants(me.parent).iter().any(|process| process.pid == me.pid));
        assert!(me.command().contains("cargo_universe") && !me.is_dead());
    }

    #[test]
    fn one_thread_that_runs_makes_a_process_busy() {
        let me = Process::look(std::process::id()).unwrap();
        // This thread runs, whatever the first one does.
        assert!(!Activity::of(&me).is_waiting());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let sleeper = loop {
            match Process::look(child.id()) {
                Some(process) if Activity::of(&process).is_waiting() => break process,
                _ => std::thread::yield_now(),
            }
        };
        assert!(sleeper.command().contains("sleep"));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_file_of_a_thread_that_reads_is_known() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let thread = procfs::threads(child.id()).next().unwrap();
        let file = loop {
            match file_of_call(&thread) {
                Some(file) if file.to_string_lossy().starts_with("pipe:") => break file,
                _ => std::thread::yield_now(),
            }
        };
        let input = procfs::directory(child.id()).join("fd/0");
        assert_eq!(file, std::fs::read_link(input).unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(file_of_call(&thread), None);
    }

    #[test]
    fn places_in_fuse_are_distinguished_from_others() {
        for place in ["request_wait_answer", "fuse_wait_on_page_writeback"] {
            assert!(waits_for_fuse(place), "{place}");
        }
        for place in [
            "",
            "0",
            "fuse_dev_do_read",
            "futex_do_wait",
            "do_wait",
            "hrtimer_nanosleep",
        ] {
            assert!(!waits_for_fuse(place), "{place}");
        }
    }

    #[test]
    fn a_command_line_is_one_plain_line() {
        assert_eq!(
            one_line(b"sh\0-c\0sleep 7\n\x1b[0m\0"),
            "sh -c sleep 7\u{fffd}\u{fffd}[0m"
        );
        assert_eq!(one_line(&[b'x'; 1000]).len(), COMMAND_LEN_MAX);
    }

    #[test]
    fn only_sockets_have_socket_inodes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!socket_inodes(std::process::id()).is_empty());
        drop(listener);
        assert_eq!(inode("/dev/null".into()), None);
        assert_eq!(inode("socket:[12]".into()), Some(12));
    }
}
