//! The compared programs: how each moves a folder over loopback.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::super::others;
use super::figures::Sample;
use super::process::Measured;
use super::workload::Workload;
use crate::chores::limits::{SERVER_LOOK_INTERVAL, SERVER_READY_TIMEOUT};
use cargo_universe::base::{clock, runtime};

/// A program that moves files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contender {
    /// `tandem share` and `tandem join --once`.
    Tandem,
    /// rsync from its daemon, in plain text.
    Rsync,
    /// The same with a sync of each file.
    DurableRsync,
    /// A local copy.
    Cp,
}

/// Where the files are, and where they go.
pub(super) struct Place<'a> {
    pub(super) tandem: &'a Path,
    pub(super) source: &'a Path,
    /// For everything that the program writes; made by it.
    pub(super) own: PathBuf,
}

impl Place<'_> {
    fn target(&self) -> PathBuf {
        self.own.join("target")
    }
}

impl Contender {
    pub(super) const ALL: [Contender; 4] = [Self::Tandem, Self::Rsync, Self::DurableRsync, Self::Cp];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tandem => "tandem",
            Self::Rsync => "rsync",
            Self::DurableRsync => "rsync --fsync",
            Self::Cp => "cp",
        }
    }

    /// Its name without blanks.
    pub(super) fn file_name(self) -> String {
        self.name().replace(' ', "")
    }

    pub(super) fn is_installed(self) -> bool {
        match self {
            Self::Tandem => true,
            Self::Rsync | Self::DurableRsync => others::find("rsync").is_some(),
            Self::Cp => others::find("cp").is_some(),
        }
    }

    /// Moves the files once.
    ///
    /// # Errors
    /// When the program fails, or not everything has arrived.
    pub(super) fn run(self, place: &Place<'_>, workload: Workload) -> anyhow::Result<Sample> {
        std::fs::create_dir(&place.own).context("could not create a directory")?;
        // What others have written is not to be waited for now.
        Command::new("sync").status().context("could not start `sync`")?;
        let sample = match self {
            Self::Tandem => tandem(place),
            Self::Rsync => rsync(place, &[]),
            Self::DurableRsync => rsync(place, &["--fsync"]),
            Self::Cp => cp(place),
        }?;
        workload.check(&place.target())?;
        Ok(sample)
    }
}

fn tandem(place: &Place<'_>) -> anyhow::Result<Sample> {
    let command = |side: &str| {
        let mut command = Command::new(place.tandem);
        let state = place.own.join(side);
        command.env("TANDEM_HOME", state).env_remove("TANDEM_RELAY");
        command
    };
    let mut share = command("alice");
    share.arg("share").arg(place.source);
    let started = clock::now();
    let mut share = Measured::start(&place.own, "share", &share)?;
    let code = share.first_line()?;
    let ready = clock::now() - started;
    let mut join = command("bob");
    join.args(["join", "--once", "--code-on-command-line", &code]);
    join.arg(place.target());
    let (mut sample, join) = timed(&place.own, "join", &join)?;
    share.interrupt()?;
    sample.ready = Some(ready.as_secs_f64());
    sample.receiver = join.usage();
    sample.sender = share.usage();
    Ok(sample)
}

fn rsync(place: &Place<'_>, options: &[&str]) -> anyhow::Result<Sample> {
    let port = others::free_port()?;
    let settings = place.own.join("rsyncd.conf");
    let text = format!(
        "address = 127.0.0.1\nport = {port}\nuse chroot = no\n[source]\npath = {}\n",
        place.source.display()
    );
    std::fs::write(&settings, text).context("could not write rsync's settings")?;
    let mut serve = Command::new("rsync");
    serve.args(["--daemon", "--no-detach", "--config"]).arg(&settings);
    let mut serve = Measured::start(&place.own, "serve", &serve)?;
    let started = clock::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        let is_late = clock::now() - started > SERVER_READY_TIMEOUT;
        ensure!(!is_late && !serve.has_ended(), "the daemon did not become ready");
        runtime::block_on(clock::after(SERVER_LOOK_INTERVAL))?;
    }
    let mut pull = Command::new("rsync");
    pull.arg("-a").args(options);
    pull.arg(format!("rsync://127.0.0.1:{port}/source/"))
        .arg(place.target());
    let (mut sample, pull) = timed(&place.own, "pull", &pull)?;
    serve.interrupt()?;
    sample.receiver = pull.usage();
    sample.sender = serve.usage();
    Ok(sample)
}

fn cp(place: &Place<'_>) -> anyhow::Result<Sample> {
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(place.source).arg(place.target());
    let (mut sample, copy) = timed(&place.own, "cp", &copy)?;
    sample.receiver = copy.usage();
    Ok(sample)
}

/// Runs the receiver to its end.
fn timed(own: &Path, name: &str, command: &Command) -> anyhow::Result<(Sample, Measured)> {
    let started = clock::now();
    let mut receiver = Measured::start(own, name, command)?;
    receiver.ends()?;
    let seconds = (clock::now() - started).as_secs_f64();
    let sample = Sample {
        seconds,
        ..Sample::default()
    };
    Ok((sample, receiver))
}
