//! Two machines in one: two network name spaces with a wire between them. They share no loopback,
//! and each has the addresses of its end of the wire only.

#![expect(unsafe_code, reason = "a name space is entered through C")]

use std::io;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::thread::{Pid, UnshareFlags, gettid, unshare_unsafe};

/// The name of each end of the wire.
const WIRE: &str = "wire";

/// Which addresses the two ends of the wire have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
    /// Both.
    Both,
}

type Task = Box<dyn FnOnce() + Send>;

/// A machine: a thread in a network name space of its own. What is started on it stays there. Needs
/// root, and the program `ip`.
#[derive(Debug)]
pub struct Machine {
    /// `None` once the thread should end.
    tasks: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
    id: Pid,
}

/// Two machines that reach each other by their wire and nothing else.
///
/// # Errors
/// Those of unshare(2), and what `ip` says.
pub fn two_machines(addresses: Addresses) -> io::Result<[Machine; 2]> {
    let machines = [Machine::new()?, Machine::new()?];
    let [first, second] = &machines;
    let other = second.id.as_raw_pid().to_string();
    first.ip(&[
        "link", "add", WIRE, "type", "veth", "peer", "name", WIRE, "netns", &other,
    ])?;
    for (machine, number) in [(first, 1), (second, 2)] {
        if addresses != Addresses::V6 {
            machine.ip(&["addr", "add", &format!("10.77.0.{number}/24"), "dev", WIRE])?;
        }
        if addresses != Addresses::V4 {
            // Without `nodad`, an address can't be used for a second.
            let address = format!("fd77::{number}/64");
            machine.ip(&["addr", "add", &address, "dev", WIRE, "nodad"])?;
        }
        machine.ip(&["link", "set", "lo", "up"])?;
        machine.ip(&["link", "set", WIRE, "up"])?;
    }
    Ok(machines)
}

impl Machine {
    fn new() -> io::Result<Self> {
        let (tasks, given) = channel::<Task>();
        let (sender, entered) = channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: only the thread's network changes; memory and descriptors stay shared.
            let unshared = unsafe { unshare_unsafe(UnshareFlags::NEWNET) };
            let is_entered = unshared.is_ok();
            if sender.send(unshared.map(|()| gettid())).is_ok() && is_entered {
                // Ends when the sender is dropped.
                given.iter().for_each(|task| task());
            }
        });
        let entered = entered.recv().map_err(io::Error::other)?;
        Ok(Self {
            tasks: Some(tasks),
            thread: Some(thread),
            id: entered?,
        })
    }

    /// Does something on this machine: sockets that it opens and processes that it starts are
    /// there.
    ///
    /// # Panics
    /// When `task` does.
    pub fn run<T: Send + 'static>(&self, task: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, done) = channel();
        let task: Task = Box::new(move || drop(sender.send(task())));
        let sent = self.tasks.as_ref().map(|tasks| tasks.send(task));
        assert!(matches!(sent, Some(Ok(()))), "the machine's thread has ended");
        match done.recv() {
            Ok(value) => value,
            Err(_) => panic!("the task on the machine panicked"),
        }
    }

    fn ip(&self, args: &[&str]) -> io::Result<()> {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let text = args.join(" ");
        let output = self.run(move || Command::new("ip").args(args).output())?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("`ip {text}`: {}", said.trim())))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            // Whether a task panicked was said when it did.
            let _joined = thread.join();
        }
    }
}
