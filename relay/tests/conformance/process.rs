//! The spawned `tandem-relay`: its arguments, its first line, its log and its exit. Killed when
//! dropped.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;

use tandem_relay::Sources;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::target::{Log, Setup};
use crate::wait::soon;

/// The path of the binary that cargo built for this test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tandem-relay");

/// A relay in a process of its own.
pub(crate) struct Process {
    pub(crate) addr: SocketAddr,
    child: Child,
    stdout: BufReader<ChildStdout>,
    log_copier: JoinHandle<()>,
}

impl Process {
    pub(crate) async fn start(listen: SocketAddr, setup: &Setup, log: Log) -> Self {
        let mut child = spawn(listen, setup);
        let log_copier = tokio::spawn(copy(child.stderr.take().unwrap(), log.clone()));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        soon("the first line", stdout.read_line(&mut line)).await.unwrap();
        let addr = parse_first_line(&line).unwrap_or_else(|| panic!("first line {line:?}, log {log:?}"));
        Self {
            addr,
            child,
            stdout,
            log_copier,
        }
    }

    /// Asks the process to stop and expects that it exits with 0. Where there are no signals, kills
    /// it.
    pub(crate) async fn close(mut self) {
        #[cfg(unix)]
        {
            self.terminate();
            let status = soon("the end of the process", self.child.wait()).await.unwrap();
            assert_eq!(status.code(), Some(0), "{status}");
        }
        #[cfg(not(unix))]
        self.child.kill().await.unwrap();
        let mut rest = String::new();
        soon("the end of stdout", self.stdout.read_to_string(&mut rest))
            .await
            .unwrap();
        assert_eq!(rest, "", "stdout carries one line");
        soon("the end of the log", self.log_copier).await.unwrap();
    }

    /// Sends SIGTERM.
    #[cfg(unix)]
    pub(crate) fn terminate(&self) {
        let id = self.child.id().unwrap().try_into().unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    }
}

fn spawn(listen: SocketAddr, setup: &Setup) -> Child {
    Command::new(BINARY)
        .args(["--listen", &listen.to_string(), "--log", "trace"])
        .args(arguments(setup))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn arguments(setup: &Setup) -> Vec<String> {
    let (limits, store) = (&setup.limits, &setup.store);
    let mut arguments = vec![
        format!("--connections={}", limits.connection_count_max),
        format!("--source-connections={}", limits.source_connection_count_max),
        format!("--header-timeout={}", limits.header_timeout.as_secs_f64()),
        format!("--body-timeout={}", limits.body_timeout.as_secs_f64()),
        format!(
            "--connection-lifetime={}",
            limits.connection_lifetime_max.as_secs_f64()
        ),
        format!("--drain-timeout={}", limits.drain_timeout.as_secs_f64()),
        format!("--entries={}", store.entry_count_max),
        format!("--entry-bytes={}", store.total_len_max),
        format!("--source-entries={}", store.source_entry_count_max),
        format!("--source-entry-bytes={}", store.source_len_max),
        format!("--entry-ttl={}", store.entry_ttl.as_secs_f64()),
    ];
    if setup.sources == Sources::ForwardedFor {
        arguments.push("--forwarded-for".to_owned());
    }
    arguments
}

/// The address in `listening on http://ADDRESS:PORT`.
fn parse_first_line(line: &str) -> Option<SocketAddr> {
    let addr = line.strip_prefix("listening on http://")?.strip_suffix('\n')?;
    addr.parse().ok()
}

async fn copy(mut stderr: ChildStderr, mut log: Log) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stderr.read(&mut buffer).await {
        log.write_all(&buffer[..len]).unwrap();
    }
}
