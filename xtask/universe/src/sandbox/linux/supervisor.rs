//! One supervisor per running test: it starts the test, owns all its processes, and removes its
//! leftovers.
//!
//! A separate process, forked by the keeper. It is the subreaper of the test's whole tree and never
//! executes another program, so it sees everything and nothing can deceive it. It decides nothing:
//! the runner decides when to end a test and what its end means. When the runner dies, everything
//! ends.
//!
//! After a test that left nothing at all (no process, no change of the table of mounts, no shared
//! memory, no file) it accepts another order: the next test finds the same surroundings as with a
//! new supervisor, at lower cost. After any other test it exits, and its namespaces end with it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, wait, waitpid};

use super::namespaces::Part;
use super::network::BoxNetwork;
use super::processes::Process;
use super::refusals::Refusals;
use super::rescue::Rescue;
use super::wire::{self, Instruction, KeeperRequest, Order, Reply};
use super::{forensics, free_space, kept_files, leftovers, namespaces, processes};
use crate::base::clock;
use crate::base::fuse_connections::OwnershipProof;
use crate::base::limits::{PROCESSES_MAX, SUPERVISOR_LOOK_INTERVAL};
use crate::base::mounts;
use crate::base::procfs;
use crate::report::data::Leak;
use crate::report::kept_files::KeptFiles;
use crate::report::shortage::Shortage;
use crate::sandbox::isolation::{Level, Network};
use crate::sandbox::removal;

/// Where a supervisor begins.
pub(super) struct Place<'a> {
    pub(super) level: Level,
    /// The network of the box, if there is a box. The process is in that of the machine.
    pub(super) network: Option<&'a BoxNetwork>,
    /// The process namespace of which it is the first process, if it is that of one.
    pub(super) part: Option<Part>,
}

/// What a supervisor has for all its tests.
struct Surroundings {
    level: Level,
    /// What is refused there. `None` for the network of the machine.
    refusals: Option<Refusals>,
    control: UnixStream,
    /// A test with more processes is ended.
    processes_max: usize,
    /// The table of mounts that each test finds. Empty if it may change without the test. Then no
    /// relevant mount is in it, because all relevant ones are below a directory that is created for
    /// the test.
    mounted: String,
    /// Becomes ready, for poll(2), when something is mounted or unmounted in this namespace
    /// (proc_pid_mountinfo(5)).
    changes: File,
}

/// What a supervisor uses while it executes an order.
struct Supervisor<'a> {
    order: Order,
    around: &'a Surroundings,
    /// The number of processes and threads on the machine before the test began.
    load: usize,
}

/// The running test.
struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    start: Instant,
    /// How many processes it had when it was ended for having too many.
    processes: Option<usize>,
    /// Its wait status as waitpid(2) gives it, if `reap` collected it.
    status: Option<i32>,
}

impl Running {
    /// Collects exited processes. These include a thread of the test that its parent traced; the
    /// test does not exit before it. Returns whether the test itself has exited.
    fn reap(&mut self) -> bool {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let is_end = status.exited() || status.signaled();
            self.status = self
                .status
                .or((pid == self.pid && is_end).then(|| status.as_raw()));
        }
        self.status.is_some()
    }

    /// Aborts what the test waits for, if it is exiting and cannot finish.
    fn rescue_if_stuck(&self, rescue: &mut Rescue) {
        let pid = self.pid.as_raw_nonzero().get().unsigned_abs();
        if Process::look(pid).is_some_and(|first| first.may_be_stuck()) {
            rescue.look(&processes::descendants(std::process::id()));
        }
    }

    /// The process group that it leads.
    fn group(&self) -> Option<crate::base::os::Pid> {
        u32::try_from(self.pid.as_raw_nonzero().get()).ok()
    }
}

/// The runner is gone.
struct Abandoned;

/// Whether a supervisor can run another test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Everything is as it was before this test.
    Next,
    /// Nothing visible is left of it, but that is not certain.
    Nothing,
}

/// Runs an order to its end, and further ones of the same network while each leaves nothing.
/// Returns when nothing of them is left.
pub(super) fn supervise(first: Order, [stdout, stderr, control]: [OwnedFd; 3], place: &Place<'_>) {
    let control = UnixStream::from(control);
    let around = match Surroundings::make(control, place, first.network) {
        Ok(around) => around,
        Err((control, error)) => {
            let reason = format!("its surroundings could not be created: {error:#}");
            return send(&control, &Reply::NotStarted(reason));
        }
    };
    let (mut order, mut streams) = (first, [stdout, stderr]);
    while around.run(order, streams) == After::Next {
        match around.next() {
            Some(next) => (order, streams) = next,
            None => return,
        }
    }
}

/// Reports that there is no supervisor for an order.
pub(super) fn refuse([_, _, control]: [OwnedFd; 3], error: &std::io::Error) {
    send(
        &control.into(),
        &Reply::NotStarted(format!("there is no supervisor for it: {error}")),
    );
}

/// Turns this process into a supervisor, and creates what its tests do not share with others.
fn surround(place: &Place<'_>, network: Network) -> anyhow::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Without a controlling terminal, nothing stops a test that opens it.
    rustix::process::setsid()?;
    if let Some(box_network) = place.network {
        box_network.enter(network)?;
        namespaces::seclude(place.part)?;
    }
    procfs::hold()?;
    Ok(())
}

/// Whether this is a network that consists of a loopback interface.
fn is_in_box(level: Level, network: Network) -> bool {
    level == Level::Box && network != Network::Host
}

impl Surroundings {
    fn make(
        control: UnixStream,
        place: &Place<'_>,
        network: Network,
    ) -> Result<Surroundings, (UnixStream, anyhow::Error)> {
        let level = place.level;
        let made = surround(place, network).and_then(|()| Ok(File::open(procfs::own().join("mountinfo"))?));
        let mounted = match level {
            Level::Box => mounts::table(),
            Level::Tree | Level::Group => String::new(),
        };
        match made {
            Ok(changes) => Ok(Surroundings {
                level,
                refusals: is_in_box(level, network).then(Refusals::watch),
                control,
                processes_max: processes_max(),
                mounted,
                changes,
            }),
            Err(error) => Err((control, error)),
        }
    }

    /// Runs one order to its end.
    fn run(&self, order: Order, streams: [OwnedFd; 2]) -> After {
        let scratch = std::fs::DirBuilder::new().mode(0o755).create(&order.scratch);
        let supervisor = Supervisor {
            order,
            around: self,
            load: processes::load(),
        };
        let mut rescue = Rescue::new(supervisor.proof());
        // They are of the time before.
        self.refused();
        let started = scratch.and_then(|()| supervisor.start(streams));
        let seen = match started {
            Ok(running) => supervisor.see_through(running, &mut rescue),
            Err(error) => {
                // It may have started anyway, but cannot be watched.
                leftovers::kill_all(None, &mut rescue);
                supervisor.not_started(&error, &mut rescue)
            }
        };
        seen.unwrap_or_else(|Abandoned| {
            leftovers::kill_all(None, &mut rescue);
            supervisor.clear(&mut rescue);
            After::Nothing
        })
    }

    /// The addresses that have refused a connection since this was last called.
    fn refused(&self) -> Vec<SocketAddr> {
        self.refusals.as_ref().map(Refusals::take).unwrap_or_default()
    }

    /// Waits for another order; `None` when the runner has none, or the surroundings cannot be
    /// restored.
    fn next(&self) -> Option<(Order, [OwnedFd; 2])> {
        if self.level == Level::Box {
            namespaces::renew().ok()?;
        }
        match Order::receive(&self.control) {
            Ok(Some(KeeperRequest::Start(order, streams))) => Some((*order, wire::expect(streams).ok()?)),
            Ok(Some(KeeperRequest::All(_) | KeeperRequest::EndLost(_)) | None) | Err(_) => None,
        }
    }

    /// Whether a test finds these mounts as with a new supervisor.
    fn are_as_before(&self) -> bool {
        self.level != Level::Box || mounts::table() == self.mounted
    }
}

fn send(mut control: &UnixStream, reply: &Reply) {
    let mut line = serde_json::to_vec(reply).unwrap_or_default();
    line.push(b'\n');
    // If the runner is gone, the next read reports it.
    control.write_all(&line).ok();
}

impl Supervisor<'_> {
    fn start(&self, [stdout, stderr]: [OwnedFd; 2]) -> std::io::Result<Running> {
        let order = &self.order;
        let mut command = Command::new(&order.program);
        command.args(&order.arguments).current_dir(&order.directory);
        command
            .env_clear()
            .envs(order.environment.iter().map(|(name, value)| (name, value)));
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        let start = clock::now();
        let child = command.spawn()?;
        let pid = Pid::from_child(&child);
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Running {
            pid,
            pidfd,
            start,
            processes: None,
            status: None,
        })
    }

    /// Waits for the test's end, reports it, and waits for the decision about its files.
    fn see_through(&self, mut running: Running, rescue: &mut Rescue) -> Result<After, Abandoned> {
        self.attend(&mut running, rescue)?;
        let elapsed = clock::now() - running.start;
        let status = running.status.unwrap_or_else(|| wait_for(running.pid));
        let shortage = self.shortage(status);
        let refused = match status {
            0 => Vec::new(),
            _ => self.around.refused(),
        };
        let leaks = self.leaks(running.group(), rescue);
        let clean = leaks.is_empty()
            && running.processes.is_none()
            && self.around.are_as_before()
            && std::fs::remove_dir(&self.order.scratch).is_ok();
        self.send(&Reply::Ended {
            status,
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            leaks,
            processes: running.processes,
            shortage,
            refused,
            clean,
        });
        if clean {
            return Ok(After::Next);
        }
        self.settle(rescue)
    }

    /// Whether the file system is full, which may be why a test failed.
    fn shortage(&self, status: i32) -> Option<Shortage> {
        let home = self.order.scratch.parent().filter(|_| status != 0)?;
        free_space::shortage(home)
    }

    /// Waits for the decision about the test's files, and executes it.
    fn settle(&self, rescue: &mut Rescue) -> Result<After, Abandoned> {
        loop {
            let settled = match self.receive()? {
                Instruction::Remove => self.remove(rescue),
                Instruction::Preserve => self.preserve(rescue),
                Instruction::Discard => Reply::Settled {
                    leaks: self.clear(rescue),
                    kept: None,
                },
                // Too late: the test has ended.
                Instruction::Terminate
                | Instruction::Kill
                | Instruction::Examine
                | Instruction::Suspend
                | Instruction::Resume => continue,
            };
            self.send(&settled);
            return Ok(After::Nothing);
        }
    }

    fn not_started(&self, error: &std::io::Error, rescue: &mut Rescue) -> Result<After, Abandoned> {
        self.clear(rescue);
        self.send(&Reply::NotStarted(error.to_string()));
        Ok(After::Nothing)
    }

    /// What the test left besides files; all of it is gone afterwards.
    fn leaks(&self, group: Option<crate::base::os::Pid>, rescue: &mut Rescue) -> Vec<Leak> {
        let mut leaks = leftovers::processes_left(self.around.control.as_fd(), rescue);
        leftovers::kill_all(group, rescue);
        leaks.extend(rescue.take_leaks());
        leaks.extend(self.mounts_left(rescue));
        if self.around.level == Level::Box {
            leaks.extend(leftovers::memory_left(namespaces::shared_memory()));
        }
        leaks
    }

    fn mounts_left(&self, rescue: &mut Rescue) -> Vec<Leak> {
        let scope = match self.around.level {
            Level::Box => Path::new("/"),
            Level::Tree | Level::Group => &self.order.scratch,
        };
        leftovers::mounts_left(&self.around.mounted, scope, rescue)
    }

    /// The proof for which FUSE connections are the test's.
    fn proof(&self) -> OwnershipProof {
        match self.around.level {
            Level::Box => OwnershipProof::namespace(&self.around.mounted),
            Level::Tree | Level::Group => OwnershipProof::Below(self.order.scratch.clone()),
        }
    }

    /// Executes messages until the test has ended.
    fn attend(&self, running: &mut Running, rescue: &mut Rescue) -> Result<(), Abandoned> {
        let mut next_look = clock::now() + SUPERVISOR_LOOK_INTERVAL;
        let mut is_mounted = false;
        loop {
            let mut events = [
                PollFd::new(&running.pidfd, PollFlags::IN),
                PollFd::from_borrowed_fd(self.around.control.as_fd(), PollFlags::IN),
                PollFd::new(&self.around.changes, PollFlags::PRI),
            ];
            let rest = next_look.saturating_duration_since(clock::now());
            let polled = poll(&mut events, Timespec::try_from(rest).ok().as_ref());
            let [ended, instructed, mounted] =
                events.map(|event| polled.is_ok() && !event.revents().is_empty());
            if ended {
                return Ok(());
            }
            if instructed {
                self.obey(rescue)?;
            }
            is_mounted |= mounted;
            let is_due = clock::now() >= next_look;
            if is_mounted && (is_due || self.around.level == Level::Box) {
                rescue.see_mounts(&processes::descendants(std::process::id()));
                is_mounted = false;
            }
            if is_due {
                self.count(running);
                if running.reap() {
                    return Ok(());
                }
                running.rescue_if_stuck(rescue);
                next_look = clock::now() + SUPERVISOR_LOOK_INTERVAL;
            }
        }
    }

    /// Ends a test that has too many processes.
    fn count(&self, running: &mut Running) {
        let most = self.around.processes_max;
        if processes::load() < self.load + most {
            return;
        }
        let count = processes::descendants(std::process::id()).len();
        if count >= most {
            running.processes = Some(count);
            leftovers::signal_all(running.group(), Signal::STOP);
            leftovers::signal_all(running.group(), Signal::KILL);
        }
    }

    fn receive(&self) -> Result<Instruction, Abandoned> {
        let mut byte = [0];
        loop {
            match (&self.around.control).read(&mut byte) {
                Ok(1..) => {
                    if let [byte] = byte
                        && let Some(instruction) = Instruction::of(byte)
                    {
                        return Ok(instruction);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Err(Abandoned),
            }
        }
    }

    fn obey(&self, rescue: &mut Rescue) -> Result<(), Abandoned> {
        let instruction = self.receive()?;
        if matches!(instruction, Instruction::Terminate | Instruction::Kill) {
            rescue.see_servers(&processes::descendants(std::process::id()));
        }
        match instruction {
            Instruction::Terminate => leftovers::signal_all(None, Signal::TERM),
            Instruction::Kill => leftovers::signal_all(None, Signal::KILL),
            Instruction::Suspend => leftovers::signal_all(None, Signal::STOP),
            Instruction::Resume => leftovers::signal_all(None, Signal::CONT),
            Instruction::Examine => {
                forensics::write(&self.order.forensics, &self.order.scratch);
                self.send(&Reply::Examined);
            }
            // Too early: the test has not ended.
            Instruction::Remove | Instruction::Preserve | Instruction::Discard => {}
        }
        Ok(())
    }

    /// A test that passed should leave nothing; its leftovers are reported.
    fn remove(&self, rescue: &mut Rescue) -> Reply {
        let is_empty = std::fs::remove_dir(&self.order.scratch).is_ok();
        let mut leaks = if is_empty {
            Vec::new()
        } else {
            removal::files_left(&self.order.scratch)
        };
        leaks.extend(self.clear(rescue));
        Reply::Settled { leaks, kept: None }
    }

    /// The files of a failed test help to understand it. From the box they are copied out.
    fn preserve(&self, rescue: &mut Rescue) -> Reply {
        let scratch = &self.order.scratch;
        let is_directory = std::fs::symlink_metadata(scratch).is_ok_and(|metadata| metadata.is_dir());
        if !is_directory || std::fs::remove_dir(scratch).is_ok() {
            let leaks = self.clear(rescue);
            return Reply::Settled { leaks, kept: None };
        }
        let (kept, leaks) = match self.around.level {
            Level::Box => (kept_files::copy(scratch, &self.order.kept), self.clear(rescue)),
            Level::Tree | Level::Group => (Some(KeptFiles::whole(scratch)), Vec::new()),
        };
        Reply::Settled { leaks, kept }
    }

    /// Keeps nothing. A file that cannot be removed is a leak.
    fn clear(&self, rescue: &mut Rescue) -> Vec<Leak> {
        self.mounts_left(rescue);
        leftovers::remove(&self.order.scratch)
    }

    fn send(&self, reply: &Reply) {
        send(&self.around.control, reply);
    }
}

fn processes_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nproc).current;
    let half = limit.and_then(|limit| usize::try_from(limit / 2).ok());
    half.map_or(PROCESSES_MAX, |half| half.min(PROCESSES_MAX))
}

/// The wait status of a child, as waitpid(2) gives it.
fn wait_for(pid: Pid) -> i32 {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(status) => return status.map_or(0, |(_, status)| status.as_raw()),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 0,
        }
    }
}
