//! One supervisor per test: starts it, owns whatever comes of it, and takes away what it leaves.
//!
//! A process of its own, forked by the keeper. It is the subreaper of the test's whole tree and never executes anything
//! else, so it sees everything and can be deceived by nothing. It decides nothing: when to end a test and what its end
//! means is said by the runner. When the runner is gone, everything goes.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, waitpid};

use super::wire::{Order, Said, Tell};
use super::{forensics, keepsake, namespaces, processes, remains};
use crate::clock;
use crate::isolation::Level;

/// A test that has so many processes at once is taken for a fork bomb.
const PROCESSES_MAX: usize = 2000;

/// How often their number is looked at, as well as a rough count is.
const COUNT_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// What one supervisor has to do with.
struct Supervisor {
    order: Order,
    level: Level,
    control: UnixStream,
    /// Where something was mounted before the test began.
    mounted: BTreeSet<PathBuf>,
    /// How many processes and threads there were then.
    load: usize,
}

/// The test while it runs.
struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    start: Instant,
    /// How many processes it had when it was ended for having so many.
    processes: Option<usize>,
}

/// The runner is gone.
struct Abandoned;

/// Runs one order to its end and returns when nothing of it is left.
pub(super) fn supervise(order: Order, [stdout, stderr, control]: [OwnedFd; 3], level: Level) {
    let supervisor = match Supervisor::new(order, control.into(), level) {
        Ok(supervisor) => supervisor,
        Err((control, error)) => {
            say(&control, &Said::NotStarted(error));
            return;
        }
    };
    let seen = match supervisor.start(stdout, stderr) {
        Ok(running) => supervisor.see_through(running),
        Err(error) => supervisor.not_started(&error),
    };
    if let Err(Abandoned) = seen {
        remains::kill_all();
        supervisor.clear();
    }
}

fn say(mut control: &UnixStream, said: &Said) {
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    // If nobody listens any more, the next read will tell.
    control.write_all(&line).ok();
}

impl Supervisor {
    fn new(order: Order, control: UnixStream, level: Level) -> Result<Supervisor, (UnixStream, String)> {
        let prepared = (|| {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
            if level == Level::Box {
                namespaces::seclude()?;
            }
            std::fs::DirBuilder::new().mode(0o755).create(&order.scratch)
        })();
        if let Err(error) = prepared {
            return Err((control, format!("its surroundings could not be made: {error}")));
        }
        let mounted = crate::mounts::below(scope(level, &order.scratch))
            .into_iter()
            .collect();
        let load = processes::load();
        Ok(Supervisor {
            order,
            level,
            control,
            mounted,
            load,
        })
    }

    fn start(&self, stdout: OwnedFd, stderr: OwnedFd) -> std::io::Result<Running> {
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
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| std::io::Error::other("it has no process id"))?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Running {
            pid,
            pidfd,
            start,
            processes: None,
        })
    }

    /// Waits for the test's end, tells of it, and waits to hear what becomes of its files.
    fn see_through(&self, mut running: Running) -> Result<(), Abandoned> {
        self.attend(&mut running)?;
        let elapsed = clock::now() - running.start;
        let status = wait_for(running.pid);
        let leaks = self.leaks();
        self.say(&Said::Ended {
            status,
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            leaks,
            processes: running.processes,
        });
        loop {
            let settled = match self.hear()? {
                Tell::Remove => self.remove(),
                Tell::Preserve => self.preserve(),
                Tell::Discard => {
                    self.clear();
                    Said::Settled {
                        leaks: Vec::new(),
                        kept: None,
                    }
                }
                // Too late: it has ended.
                Tell::Terminate | Tell::Kill | Tell::Examine | Tell::Suspend | Tell::Resume => continue,
            };
            self.say(&settled);
            return Ok(());
        }
    }

    fn not_started(&self, error: &std::io::Error) -> Result<(), Abandoned> {
        self.clear();
        self.say(&Said::NotStarted(error.to_string()));
        Ok(())
    }

    /// What the test has left but files; all of it is gone afterwards.
    fn leaks(&self) -> Vec<crate::report::Leak> {
        let mut leaks = remains::processes_left();
        remains::kill_all();
        leaks.extend(remains::mounts_left(
            &self.mounted,
            scope(self.level, &self.order.scratch),
        ));
        if self.level == Level::Box {
            leaks.extend(remains::memory_left(namespaces::shared_memory()));
        }
        leaks
    }

    /// Does what it is told until the test has ended.
    fn attend(&self, running: &mut Running) -> Result<(), Abandoned> {
        loop {
            let mut events = [
                PollFd::new(&running.pidfd, PollFlags::IN),
                PollFd::from_borrowed_fd(self.control.as_fd(), PollFlags::IN),
            ];
            let polled = poll(&mut events, Some(&COUNT_INTERVAL));
            let [ended, told] = events.map(|event| !event.revents().is_empty());
            match polled {
                Ok(0) => self.count(running),
                Ok(_) if ended => return Ok(()),
                Ok(_) if told => self.obey()?,
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Ends a test that has too many processes.
    fn count(&self, running: &mut Running) {
        if processes::load() < self.load + PROCESSES_MAX {
            return;
        }
        let count = processes::descendants(std::process::id()).len();
        if count >= PROCESSES_MAX {
            running.processes = Some(count);
            remains::signal_all(Signal::STOP);
            remains::signal_all(Signal::KILL);
        }
    }

    fn hear(&self) -> Result<Tell, Abandoned> {
        let mut byte = [0];
        loop {
            match (&self.control).read(&mut byte) {
                Ok(1..) => {
                    if let [byte] = byte
                        && let Some(tell) = Tell::of(byte)
                    {
                        return Ok(tell);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return Err(Abandoned),
            }
        }
    }

    fn obey(&self) -> Result<(), Abandoned> {
        match self.hear()? {
            Tell::Terminate => remains::signal_all(Signal::TERM),
            Tell::Kill => remains::signal_all(Signal::KILL),
            Tell::Suspend => remains::signal_all(Signal::STOP),
            Tell::Resume => remains::signal_all(Signal::CONT),
            Tell::Examine => {
                forensics::write(&self.order.forensics, &self.order.scratch);
                self.say(&Said::Examined);
            }
            // Too early: it has not ended.
            Tell::Remove | Tell::Preserve | Tell::Discard => {}
        }
        Ok(())
    }

    /// A test that passed leaves nothing; what it left all the same is told.
    fn remove(&self) -> Said {
        let is_empty = std::fs::remove_dir(&self.order.scratch).is_ok();
        let leaks = if is_empty {
            Vec::new()
        } else {
            remains::files_left(&self.order.scratch)
        };
        self.clear();
        Said::Settled { leaks, kept: None }
    }

    /// What a failed test wrote helps to understand it. In the box it is copied out.
    fn preserve(&self) -> Said {
        let scratch = &self.order.scratch;
        let kept = match std::fs::remove_dir(scratch) {
            Ok(()) => None,
            Err(_) if self.level == Level::Box => keepsake::copy(scratch, &self.order.kept),
            Err(_) => Some(scratch.clone()),
        };
        if self.level == Level::Box {
            self.clear();
        }
        Said::Settled {
            leaks: Vec::new(),
            kept,
        }
    }

    /// Nothing is kept.
    fn clear(&self) {
        let scratch = &self.order.scratch;
        if !scratch.exists() {
            return;
        }
        remains::mounts_left(&self.mounted, scope(self.level, scratch));
        std::fs::remove_dir_all(scratch).ok();
    }

    fn say(&self, said: &Said) {
        say(&self.control, said);
    }
}

/// Where a mount can only be this test's.
fn scope(level: Level, scratch: &Path) -> &Path {
    match level {
        Level::Box => Path::new("/"),
        Level::Tree | Level::Group => scratch,
    }
}

/// How a child ended, as waitpid(2) gives it.
fn wait_for(pid: Pid) -> i32 {
    loop {
        match waitpid(Some(pid), WaitOptions::empty()) {
            Ok(status) => return status.map_or(0, |(_, status)| status.as_raw()),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 0,
        }
    }
}
