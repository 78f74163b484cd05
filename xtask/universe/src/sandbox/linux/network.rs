//! The networks of tests in the box: one for the run, one for a single test, or the machine's.
//!
//! The keeper stays in the machine's network, and each supervisor goes from there to the network of
//! its tests. Without privilege there is no way back into the machine's network, so a supervisor
//! runs only tests of one kind.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::fd::AsFd as _;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};

use super::sys::{self, Fork};
use crate::base::procfs;
use crate::sandbox::isolation::Network;

/// Which addresses of the loopback interface work, with the reason of each that does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Loopback {
    pub(crate) ipv4: Result<(), String>,
    pub(crate) ipv6: Result<(), String>,
}

impl Loopback {
    /// That of this process.
    pub(super) fn look() -> Loopback {
        Loopback {
            ipv4: binds(Ipv4Addr::LOCALHOST.into()),
            ipv6: binds(Ipv6Addr::LOCALHOST.into()),
        }
    }
}

fn binds(address: IpAddr) -> Result<(), String> {
    match TcpListener::bind((address, 0)) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("binding to {address} failed: {error}")),
    }
}

/// The network that the tests of a run share: the loopback interface and nothing else.
#[derive(Debug)]
pub(super) struct BoxNetwork {
    namespace: File,
    pub(super) loopback: Loopback,
}

impl BoxNetwork {
    /// Creates it. A child does, because this process could not return.
    pub(super) fn make() -> anyhow::Result<BoxNetwork> {
        let (mut report, reporter) = io::pipe()?;
        let (wait, release) = io::pipe()?;
        match sys::fork().context("could not fork into the network of the box")? {
            Fork::Child => {
                drop((report, release));
                stay_in_a_new_network(reporter, wait);
                sys::exit(0)
            }
            Fork::Parent(child) => {
                drop((reporter, wait));
                let mut line = Vec::new();
                report.read_to_end(&mut line)?;
                let namespace = open(child);
                drop(release);
                collect(child);
                let made: Result<Loopback, String> =
                    serde_json::from_slice(&line).context("the child that creates the network died")?;
                let loopback = made.map_err(anyhow::Error::msg)?;
                if loopback.ipv4.is_err() && loopback.ipv6.is_err() {
                    bail!("the loopback interface has neither an IPv4 nor an IPv6 address");
                }
                Ok(BoxNetwork {
                    namespace: namespace.context("could not open the network of the box")?,
                    loopback,
                })
            }
        }
    }

    /// Moves this process, which is in the network of the machine.
    pub(super) fn enter(&self, network: Network) -> anyhow::Result<()> {
        match network {
            Network::Box => {
                move_into_link_name_space(self.namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("could not enter the network of the box")
            }
            Network::Own => renew(),
            Network::Host => Ok(()),
        }
    }
}

/// Moves this process into a new network.
fn renew() -> anyhow::Result<()> {
    sys::unshare(libc::CLONE_NEWNET).context("the kernel refused a network namespace")?;
    sys::raise_loopback().context("could not raise the loopback interface")
}

/// Makes a new network, reports how that went, and stays in it until the other end of `wait` is
/// closed.
fn stay_in_a_new_network(mut reporter: io::PipeWriter, mut wait: io::PipeReader) {
    let made = renew().map(|()| Loopback::look());
    let made = made.map_err(|error| format!("{error:#}"));
    let line = serde_json::to_vec(&made).unwrap_or_default();
    reporter.write_all(&line).ok();
    drop(reporter);
    wait.read_exact(&mut [0]).ok();
}

fn open(child: Pid) -> io::Result<File> {
    let pid = child.as_raw_nonzero().get().unsigned_abs();
    File::open(procfs::directory(pid).join("ns/net"))
}

fn collect(child: Pid) {
    while let Err(rustix::io::Errno::INTR) = waitpid(Some(child), WaitOptions::empty()) {}
}
