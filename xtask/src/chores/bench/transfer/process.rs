//! A measured program: how long it ran, and what it took.
//!
//! GNU time reports processor time and peak memory, if it is installed.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process_group};

use super::figures::Usage;

const TIME: &str = "/usr/bin/time";

/// A program that was started. It is killed with all that it started when this is dropped.
pub(super) struct Measured {
    name: String,
    child: Child,
    log: PathBuf,
    report: PathBuf,
}

impl Measured {
    /// Starts `program`. Its files, beginning with `name`, go to `own`.
    pub(super) fn start(own: &Path, name: &str, program: &Command) -> anyhow::Result<Self> {
        use std::os::unix::process::CommandExt as _;
        let (log, report) = (own.join(format!("{name}.log")), own.join(format!("{name}.usage")));
        let mut command = match Path::new(TIME).exists() {
            true => {
                let mut timed = Command::new(TIME);
                timed.args(["-f", "%U %S %M", "-o"]).arg(&report);
                timed.arg(program.get_program());
                timed
            }
            false => Command::new(program.get_program()),
        };
        command.args(program.get_args()).current_dir(own);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("could not start `{name}`"))?;
        let name = name.to_owned();
        Ok(Self {
            name,
            child,
            log,
            report,
        })
    }

    /// The first line that it prints on standard output.
    pub(super) fn first_line(&mut self) -> anyhow::Result<String> {
        let stdout = self.child.stdout.take().context("its output was read already")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(
            !line.is_empty(),
            "`{}` printed nothing: {}",
            self.name,
            self.words()
        );
        Ok(line.trim_end().to_owned())
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends by itself, with success.
    pub(super) fn ends(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "`{}` ended with {status}: {}",
            self.name,
            self.words()
        );
        Ok(())
    }

    /// Ends it as Ctrl-C does.
    pub(super) fn interrupt(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::INT);
        self.child.wait()?;
        Ok(())
    }

    /// What it took, once it has ended.
    pub(super) fn usage(&self) -> Option<Usage> {
        Usage::parse(&std::fs::read_to_string(&self.report).ok()?)
    }

    fn words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().last().unwrap_or("it printed no reason").to_owned()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id {
            // It fails if all of them have ended.
            kill_process_group(id, signal).ok();
        }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.signal(Signal::KILL);
            self.child.wait().ok();
        }
    }
}
