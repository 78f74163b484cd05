//! The keeper: a small process with one thread. It forks supervisors, and exits when the runner
//! does.
//!
//! In the box it is the first process, so its end is the end of all others.
//!
//! After its setup it holds none of the runner's standard streams, so a reader of the runner's
//! output sees the end when the runner exits.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use rustix::process::Signal;

use super::namespaces::Part;
use super::network::{BoxNetwork, Loopback};
use super::processes::{self, Process};
use super::rescue::Rescue;
use super::supervisor::Place;
use super::sys::{self, Fork, Reaping};
use super::wire::{self, Hello, Instruction, KeeperRequest, Order};
use super::{build_guard, leftovers, namespaces, rehearsal, supervisor};
use crate::base::clock;
use crate::base::fuse_connections::OwnershipProof;
use crate::base::limits::{
    BOX_END_TIMEOUT, BOX_SUPERVISORS_END_TIMEOUT, STRAY_LONG_LOOK_INTERVAL, STRAY_LOOK_INTERVAL,
    STRAY_TIME_MAX, SUPERVISORS_END_TIMEOUT,
};
use crate::base::mounts;
use crate::base::os::Pid;
use crate::base::private_directory::make_scratch;
use crate::report::data::Leak;
use crate::sandbox::isolation::Level;
use crate::sandbox::removal;

/// The first argument of a keeper. The second one is its level. Its standard input is the socket to
/// the runner; the first message on it is the directory for all scratch directories.
pub(super) const ARGUMENT: &str = "__keeper";

/// Runs as a keeper or as a build guard, if the arguments say so; otherwise returns `None`.
pub(crate) fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next()?;
    let (name, ended) = match first.to_str()? {
        ARGUMENT => (
            "the keeper of the tests",
            run(arguments.collect()).map(|()| ExitCode::SUCCESS),
        ),
        build_guard::ARGUMENT => ("a build guard", build_guard::run(&arguments.collect::<Vec<_>>())),
        _ => return None,
    };
    let code = ended.unwrap_or_else(|error| {
        writeln!(std::io::stderr(), "error: {name}: {error:#}").ok();
        ExitCode::FAILURE
    });
    Some(code)
}

fn run(arguments: Vec<OsString>) -> anyhow::Result<()> {
    let [level] = <[OsString; 1]>::try_from(arguments)
        .map_err(|_| anyhow::anyhow!("only the test runner may start it"))?;
    let level = level
        .to_str()
        .and_then(Level::parse)
        .ok_or_else(|| anyhow::anyhow!("unknown level"))?;
    sys::disregard_signals();
    sys::hand_down_no_descriptors();
    let socket = UnixStream::from(sys::take_stdin()?);
    let scratch = receive_scratch(&socket).context("the runner sent no directory")?;
    let scratch = scratch.as_path();
    let Prepared { shared, network } = match prepare(level, scratch) {
        Ok(prepared) => prepared,
        Err(error) => {
            hello(&socket, &Hello::Refused(format!("{error:#}")));
            return Ok(());
        }
    };
    // A program that reads the runner's output waits until no process has it open.
    sys::close_stderr()?;
    let loopback = match &network {
        Some(network) => network.loopback.clone(),
        None => Loopback::look(),
    };
    let next_part = (level == Level::Box && shared.is_none()).then_some(Part(0));
    hello(&socket, &Hello::Ready { loopback, shared });
    let mut keeping = Keeping {
        level,
        network,
        supervisors: Supervisors::default(),
    };
    let kept = keeping.keep(socket, next_part);
    match level {
        Level::Box => keeping.end_box(),
        Level::Tree | Level::Group => {
            keeping.see_tree_off(scratch);
            remove_strangers(scratch);
            // Not empty if files of failed tests are kept.
            std::fs::remove_dir(scratch).ok();
        }
    }
    kept
}

/// What the keeper has when it is ready.
#[derive(Debug, Default)]
struct Prepared {
    /// Why tests in the box share a process namespace, if they do.
    shared: Option<String>,
    /// The network of the box, if there is a box.
    network: Option<BoxNetwork>,
}

/// Creates the directory for all scratch directories, so that it is removed whatever ends the
/// runner, and enters the box.
fn prepare(level: Level, scratch: &Path) -> anyhow::Result<Prepared> {
    make_scratch(scratch).with_context(|| format!("could not create `{}`", scratch.display()))?;
    let prepared = surround(level, scratch);
    if prepared.is_err() {
        // The next attempt creates it again.
        std::fs::remove_dir(scratch).ok();
    }
    prepared
}

fn surround(level: Level, scratch: &Path) -> anyhow::Result<Prepared> {
    match level {
        Level::Box => {
            namespaces::enter(scratch)?;
            Ok(Prepared {
                network: Some(BoxNetwork::make()?),
                shared: rehearsal::refusal_of_parts()?,
            })
        }
        // Processes that lose their supervisor become children of the keeper, as in the box.
        Level::Tree | Level::Group => {
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
            Ok(Prepared::default())
        }
    }
}

/// Removes what tests created beside their own directories, whose names are numbers.
fn remove_strangers(home: &Path) {
    let is_stranger = |name: &OsString| {
        let bytes = name.as_encoded_bytes();
        !bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')
    };
    let entries = std::fs::read_dir(home).into_iter().flatten().flatten();
    for stranger in entries.filter(|entry| is_stranger(&entry.file_name())) {
        // If something cannot be removed, the next run and people still find it.
        removal::remove(&stranger.path()).ok();
    }
}

/// Sends a keeper the directory for scratch directories.
pub(super) fn send_scratch(mut socket: &UnixStream, scratch: &Path) -> io::Result<()> {
    let mut bytes = scratch.as_os_str().as_bytes().to_owned();
    bytes.push(0);
    socket.write_all(&bytes)
}

/// Receives what [`send_scratch`] sent, and no byte more.
fn receive_scratch(mut socket: &UnixStream) -> io::Result<PathBuf> {
    let (mut path, mut byte) = (Vec::new(), [0]);
    loop {
        socket.read_exact(&mut byte)?;
        match byte {
            [0] => return Ok(OsString::from_vec(path).into()),
            [byte] => path.push(byte),
        }
    }
}

fn hello(mut socket: &UnixStream, hello: &Hello) {
    let mut line = serde_json::to_vec(hello).unwrap_or_default();
    line.push(b'\n');
    socket.write_all(&line).ok();
}

fn answer(mut socket: &UnixStream, leaks: &[Leak]) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(leaks)?;
    line.push(b'\n');
    socket.write_all(&line)
}

/// Stops all tests, or lets them continue; their supervisors keep listening.
fn signal_all(instruction: Instruction) {
    let us = std::process::id();
    let signal = match instruction {
        Instruction::Suspend => Signal::STOP,
        Instruction::Resume => Signal::CONT,
        _ => return,
    };
    for process in processes::descendants(us)
        .iter()
        .filter(|process| process.parent != us)
    {
        processes::send(process.pid, signal);
    }
}

/// The supervisors that this keeper started, with their start times by id. Other processes may
/// reuse the ids of those that exited.
#[derive(Debug, Default)]
struct Supervisors(BTreeMap<Pid, u64>);

impl Supervisors {
    /// Adds a process that has just been started, unless it has exited already.
    fn add(&mut self, pid: Pid) {
        if let Some(process) = Process::look(pid) {
            self.0.insert(pid, process.start);
        }
    }

    fn contains(&self, process: &Process) -> bool {
        self.0.get(&process.pid) == Some(&process.start)
    }
}

/// What the keeper needs while it executes orders.
#[derive(Debug)]
struct Keeping {
    level: Level,
    network: Option<BoxNetwork>,
    supervisors: Supervisors,
}

impl Keeping {
    /// Executes orders until the runner closes its end or dies. With a first part, each supervisor
    /// has its own process namespace.
    fn keep(&mut self, socket: UnixStream, mut next_part: Option<Part>) -> anyhow::Result<()> {
        sys::keep_ended_children(Reaping::ByTheKernel);
        while let Some(request) = Order::receive(&socket)? {
            let (order, descriptors) = match request {
                KeeperRequest::Start(order, descriptors) => (order, wire::expect(descriptors)?),
                KeeperRequest::All(instruction) => {
                    signal_all(instruction);
                    (&socket).write_all(b"\n")?;
                    continue;
                }
                KeeperRequest::EndLost(scratch) => {
                    answer(&socket, &self.end_lost(scratch))?;
                    continue;
                }
            };
            let part = next_part;
            next_part = part.map(Part::next);
            let parted = match part {
                Some(_) => namespaces::part_next_child(),
                None => Ok(()),
            };
            match parted.and_then(|()| sys::fork()) {
                Ok(Fork::Child) => {
                    // The supervisor has a socket of its own; ours must close when the runner
                    // closes its end.
                    drop(socket);
                    sys::keep_ended_children(Reaping::ByUs);
                    let place = Place {
                        level: self.level,
                        network: self.network.as_ref(),
                        part,
                    };
                    supervisor::supervise(*order, descriptors, &place);
                    sys::exit(0);
                }
                Ok(Fork::Parent(pid)) => {
                    self.supervisors.add(pid.as_raw_nonzero().get().unsigned_abs());
                }
                // There are too many processes; there may be fewer soon.
                Err(error) => supervisor::refuse(descriptors, &error),
            }
        }
        Ok(())
    }

    /// Ends processes that lost their supervisor while other tests run. Of the mounts, it ends only
    /// those in this directory of the lost test, or in a namespace of that test alone. Returns the
    /// stuck threads.
    fn end_lost(&self, scratch: PathBuf) -> Vec<Leak> {
        let mut rescue = Rescue::new(match self.level {
            Level::Box => OwnershipProof::namespace(&mounts::table()),
            Level::Tree | Level::Group => OwnershipProof::Below(scratch),
        });
        self.end_strays(&mut rescue);
        rescue.take_leaks()
    }

    /// Ends processes that lost their supervisor: they are children of the keeper now, and belong
    /// to no running test.
    fn end_strays(&self, rescue: &mut Rescue) {
        let start = clock::now();
        while clock::now() - start < STRAY_TIME_MAX {
            let strays = self.strays();
            if strays.is_empty() {
                return;
            }
            for signal in [Signal::STOP, Signal::KILL] {
                strays.iter().for_each(|stray| processes::send(stray.pid, signal));
            }
            rescue.look(&strays);
            leftovers::pause(STRAY_LOOK_INTERVAL);
        }
    }

    /// Processes without a supervisor, and those whose supervisor is exiting without them.
    fn strays(&self) -> Vec<Process> {
        let us = std::process::id();
        let mut children = processes::descendants(us);
        children.retain(|process| process.parent == us);
        children.retain(|child| !self.supervisors.contains(child) || child.exiting);
        let below = children
            .iter()
            .flat_map(|child| processes::descendants(child.pid));
        let below: Vec<Process> = below.collect();
        children.into_iter().chain(below).collect()
    }

    /// The supervisors have lost the runner, too. They exit when the keeper does. But a test that
    /// waits for its own mount would prevent the keeper's exit, so that is resolved first.
    fn end_box(&self) {
        let mut rescue = Rescue::new(OwnershipProof::namespace(&mounts::table()));
        let (us, start) = (std::process::id(), clock::now());
        rescue.see_servers(&processes::descendants(us));
        while leftovers::reap() && clock::now() - start < BOX_SUPERVISORS_END_TIMEOUT {
            // Supervisors wait for these processes to exit, and remove what they leave.
            let mut tests = processes::descendants(us);
            tests.retain(|process| process.parent != us);
            processes::send_all(&tests, None, Signal::KILL);
            rescue.look(&tests);
            leftovers::pause(STRAY_LOOK_INTERVAL);
        }
        leftovers::kill_all_until(start + BOX_END_TIMEOUT, None, &mut rescue);
    }

    /// The supervisors have lost the runner, too. They get time to finish; processes that lost
    /// their supervisor are ended.
    fn see_tree_off(&self, home: &Path) {
        let mut rescue = Rescue::new(OwnershipProof::Below(home.to_owned()));
        let start = clock::now();
        while clock::now() - start < SUPERVISORS_END_TIMEOUT {
            if !leftovers::reap() {
                return;
            }
            self.end_strays(&mut rescue);
            leftovers::pause(STRAY_LONG_LOOK_INTERVAL);
        }
        while rustix::process::wait(rustix::process::WaitOptions::empty()).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_reuses_the_id_of_a_supervisor_is_not_one() {
        let us = std::process::id();
        let mut supervisors = Supervisors::default();
        supervisors.add(us);
        let mut process = Process::look(us).unwrap();
        assert!(supervisors.contains(&process));
        process.start += 1;
        assert!(!supervisors.contains(&process));
        supervisors.add(Pid::MAX);
        assert_eq!(
            supervisors.0.len(),
            1,
            "a process that does not exist is not remembered"
        );
    }
}
