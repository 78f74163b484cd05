//! Starts `xtask` on the fixture and keeps its output.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Runs `xtask test` on the fixture.
pub(crate) fn run(arguments: &[&str]) -> Run {
    Running::start(arguments).finish()
}

/// Maximum number of searches through all processes. A search takes some milliseconds; processes
/// that the fixture starts live much longer than all searches together.
const LOOKS_MAX: usize = 500;

/// A finished run.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The directory of its report, which is also its `TMPDIR`.
    own: TempDir,
}

impl Run {
    /// The last line that it printed.
    pub(crate) fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }

    /// Its report.
    pub(crate) fn junit(&self) -> String {
        std::fs::read_to_string(self.own.path().join("junit.xml")).unwrap_or_default()
    }

    /// The content of the attachment with this name in the report; empty if there is none.
    pub(crate) fn attachment(&self, name: &str) -> String {
        let line = self
            .stdout
            .lines()
            .find(|line| line.ends_with(name))
            .unwrap_or_default();
        let path = line.split_once(": ").map_or("", |(_, path)| path);
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The mounts that are left below its temporary directory.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = self.own.path().display().to_string();
        table
            .lines()
            .filter(|line| line.contains(&own))
            .map(str::to_owned)
            .collect()
    }

    /// The names of all entries that are left in its temporary directory.
    pub(crate) fn kept(&self) -> Vec<String> {
        let entries = self.own.path().read_dir().into_iter().flatten().flatten();
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect()
    }

    /// The same without the report.
    pub(crate) fn scratch(&self) -> Vec<String> {
        let mut kept = self.kept();
        kept.retain(|name| name != "junit.xml");
        kept
    }

    /// Processes that it started, directly or not, and that stay alive. A process that is about to
    /// exit doesn't count.
    pub(crate) fn survivors(&self) -> Vec<String> {
        let looks = (0..LOOKS_MAX).map(|_| self.alive());
        let mut alive = Vec::new();
        for look in looks {
            alive = look;
            if alive.is_empty() {
                break;
            }
        }
        alive
    }

    /// Processes that it started and that are alive at this moment.
    pub(crate) fn alive(&self) -> Vec<String> {
        let marked = marked(self.own.path());
        marked.into_iter().map(|(_, command)| command).collect()
    }

    /// Kills its processes with this command line; returns how many there were.
    pub(crate) fn end(&self, command: &str) -> usize {
        let mut marked = marked(self.own.path());
        marked.retain(|(_, called)| called.trim_end() == command);
        let pids = marked.iter().filter_map(|(pid, _)| Pid::from_raw(*pid));
        pids.for_each(|pid| must("end a process", kill_process(pid, Signal::KILL)));
        marked.len()
    }
}

/// The command line and the environment of a process.
pub(crate) fn texts(pid: i32) -> [String; 2] {
    ["cmdline", "environ"].map(|name| words(std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default()))
}

/// The processes with the mark of a run in their command line or environment, with their command
/// lines.
fn marked(own: &Path) -> Vec<(i32, String)> {
    let mark = mark(own);
    let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let described = processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let texts = texts(pid);
        texts
            .iter()
            .any(|text| text.contains(&mark))
            .then_some((pid, texts))
    });
    described.map(|(pid, [command, _])| (pid, command)).collect()
}

/// The state of a process: `R`, `S`, `T`, … (proc_pid_stat(5)).
pub(crate) fn state(process: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("{process}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// NUL-separated words as one line.
fn words(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "code {:?}\n--- stdout\n{}\n--- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }
}

/// A run in progress.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    read: String,
    own: TempDir,
}

/// The command to run, and its environment.
pub(crate) struct Setup<'a> {
    pub(crate) subcommand: &'a str,
    pub(crate) manifest: PathBuf,
    /// The target directory, for workspaces of this package.
    pub(crate) target: &'a str,
    pub(crate) arguments: &'a [&'a str],
    pub(crate) variables: &'a [(&'a str, &'a str)],
    /// A shell script that ends in `exec "$@"`. Note that shells change signal dispositions.
    pub(crate) script: Option<&'a str>,
    pub(crate) signals: Signals,
}

/// The signal dispositions at the start of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signals {
    /// All as they are by default.
    Default,
    /// INT, QUIT, HUP and CHLD ignored, INT and TERM blocked.
    IgnoredAndBlocked,
}

impl<'a> Setup<'a> {
    /// `xtask test` on the fixture.
    pub(crate) fn new(arguments: &'a [&'a str]) -> Setup<'a> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixture")
            .join("Cargo.toml");
        Setup {
            subcommand: "test",
            manifest,
            target: "fixture",
            arguments,
            variables: &[],
            script: None,
            signals: Signals::Default,
        }
    }

    /// The command, for a run with this directory for all its temporary files.
    pub(crate) fn command(&self, own: &Path) -> Command {
        let xtask = env!("CARGO_BIN_EXE_xtask");
        let mut command = match self.script {
            None => Command::new(xtask),
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", script, "sh", xtask]);
                shell
            }
        };
        command
            .args([self.subcommand, "--manifest-path"])
            .arg(&self.manifest)
            .args(self.arguments);
        // Settings that our caller made for its own run must not apply to this one.
        let names = std::env::vars_os().map(|(name, _)| name);
        for name in names.filter(|name| name.as_encoded_bytes().starts_with(b"XTASK_")) {
            command.env_remove(name);
        }
        if self.subcommand == "test" {
            command.env("XTASK_TEST_JUNIT", own.join("junit.xml"));
        }
        // A scratch package has its own target directory, whatever ours is, and a run must not send
        // annotations to the CI system that runs us.
        for variable in ["CARGO_TARGET_DIR", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "CI"] {
            command.env_remove(variable);
        }
        if self.manifest.starts_with(env!("CARGO_MANIFEST_DIR")) {
            command.env(
                "CARGO_TARGET_DIR",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.target),
            );
        }
        command
            .env("TMPDIR", own)
            // The time limits that a test sets apply as they are, even on a busy machine.
            .env("XTASK_TEST_STRETCH", "1")
            .env("RUNNER_TEST", mark(own))
            .envs(self.variables.iter().copied());
        command
    }

    /// Starts it.
    pub(crate) fn start(&self) -> Running {
        let own = must("make a temporary directory", tempfile::tempdir());
        let mut command = self.command(own.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.signals == Signals::IgnoredAndBlocked {
            hinder_signals(&mut command);
        }
        let mut child = must("start xtask", command.spawn());
        let stdout = BufReader::new(must(
            "take its stdout",
            child.stdout.take().ok_or("there is none"),
        ));
        Running {
            child,
            stdout,
            read: String::new(),
            own,
        }
    }

    /// Starts it and waits until it exits.
    pub(crate) fn run(&self) -> Run {
        self.start().finish()
    }
}

impl Running {
    /// `xtask test` on the fixture.
    pub(crate) fn start(arguments: &[&str]) -> Running {
        Setup::new(arguments).start()
    }

    /// The directory for all its temporary files.
    pub(crate) fn place(&self) -> &Path {
        self.own.path()
    }

    /// The processes that it started whose command line contains this.
    pub(crate) fn processes(&self, part: &str) -> Vec<Pid> {
        let mut marked = marked(self.own.path());
        marked.retain(|(_, called)| called.contains(part));
        marked.iter().filter_map(|(pid, _)| Pid::from_raw(*pid)).collect()
    }

    /// Waits until it has printed a line with this beginning.
    pub(crate) fn wait_for_line(&mut self, beginning: &str) {
        self.wait_for(beginning, |line| line.starts_with(beginning));
    }

    /// Waits until it has printed a line that contains this.
    pub(crate) fn wait_for_part(&mut self, part: &str) {
        self.wait_for(part, |line| line.contains(part));
    }

    /// Waits until each of these is part of a line that it has printed.
    pub(crate) fn wait_for_parts(&mut self, parts: &[String]) {
        for part in parts {
            if !self.read.contains(part.as_str()) {
                self.wait_for_part(part);
            }
        }
    }

    fn wait_for(&mut self, what: &str, is_it: impl Fn(&str) -> bool) {
        let mut line = String::new();
        while !is_it(&line) {
            line.clear();
            let len = must("read its stdout", self.stdout.read_line(&mut line));
            self.read.push_str(&line);
            assert!(len > 0, "it exited without printing `{what}`:\n{}", self.read);
        }
    }

    /// Sends it a signal.
    pub(crate) fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        must(
            "send the signal",
            kill_process(must("know its id", pid.ok_or("it has none")), signal),
        );
    }

    /// Waits until it is suspended.
    pub(crate) fn wait_until_stopped(&self) {
        while state(&format!("/proc/{}", self.child.id())) != Some('T') {
            std::thread::yield_now();
        }
    }

    /// Waits until it has started a process with this command line.
    pub(crate) fn wait_for_process(&self, command: &str) {
        let is_there = || {
            let marked = marked(self.own.path());
            marked.iter().any(|(_, called)| called.trim_end() == command)
        };
        while !is_there() {
            std::thread::yield_now();
        }
    }

    /// The states of the processes that it started whose command line contains this.
    pub(crate) fn states_of(&self, part: &str) -> Vec<char> {
        let mark = mark(self.own.path());
        let processes = Path::new("/proc").read_dir().into_iter().flatten().flatten();
        let read = |path: &Path, name| words(std::fs::read(path.join(name)).unwrap_or_default());
        let paths = processes.map(|process| process.path());
        let own = paths
            .filter(|path| read(path, "cmdline").contains(part) && read(path, "environ").contains(&mark));
        // The runner itself also has the name among its arguments.
        let tests = own.filter(|path| !read(path, "cmdline").contains(" test "));
        let states: Vec<char> = tests
            .filter_map(|path| state(&path.display().to_string()))
            .collect();
        assert!(!states.is_empty(), "no process has `{part}` in its command line");
        states
    }

    /// Sends it a signal, and waits until it and every process that could still write to its
    /// standard error have exited.
    pub(crate) fn interrupt(self, signal: Signal) -> Run {
        self.send(signal);
        self.finish()
    }

    /// Waits until it exits.
    pub(crate) fn finish(mut self) -> Run {
        must("read its stdout", self.stdout.read_to_string(&mut self.read));
        let output = must("wait for it", self.child.wait_with_output());
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Run {
            code: output.status.code(),
            stdout: self.read,
            stderr,
            own: self.own,
        }
    }
}

/// A package in a temporary directory, removed with this value.
pub(crate) struct Scratch {
    directory: TempDir,
}

impl Scratch {
    /// A package with this source as its only target.
    pub(crate) fn package(source: &str) -> Scratch {
        let directory = must("make a temporary directory", tempfile::tempdir());
        let manifest =
            "[workspace]\n[package]\nname = \"scratch\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
        must(
            "write the manifest",
            std::fs::write(directory.path().join("Cargo.toml"), manifest),
        );
        must("make `src`", std::fs::create_dir(directory.path().join("src")));
        must(
            "write the source",
            std::fs::write(directory.path().join("src/main.rs"), source),
        );
        Scratch { directory }
    }

    /// Its `Cargo.toml`.
    pub(crate) fn manifest(&self) -> PathBuf {
        self.directory.path().join("Cargo.toml")
    }

    /// Adds a file to it.
    pub(crate) fn add_file(&self, name: &str, text: &str) {
        must(
            "write a file",
            std::fs::write(self.directory.path().join(name), text),
        );
    }

    /// Adds to its `Cargo.toml`.
    pub(crate) fn add_to_manifest(&self, text: &str) {
        let path = self.manifest();
        let manifest = must("read the manifest", std::fs::read_to_string(&path));
        must("write the manifest", std::fs::write(&path, manifest + text));
    }

    /// Adds a package below it whose library has this source, and depends on it; so it becomes a
    /// member of the workspace.
    pub(crate) fn add_dependency(&self, name: &str, source: &str) {
        let home = self.directory.path().join(name);
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
        must("make its `src`", std::fs::create_dir_all(home.join("src")));
        must(
            "write its manifest",
            std::fs::write(home.join("Cargo.toml"), manifest),
        );
        must(
            "write its source",
            std::fs::write(home.join("src/lib.rs"), source),
        );
        self.add_to_manifest(&format!("[dependencies.{name}]\npath = \"{name}\"\n"));
    }

    /// Runs `xtask test` on it.
    pub(crate) fn test(&self) -> Run {
        self.run("test", &[])
    }

    /// Runs `xtask SUBCOMMAND` on it.
    pub(crate) fn run(&self, subcommand: &str, arguments: &[&str]) -> Run {
        self.start(subcommand, arguments).finish()
    }

    /// Runs its tests with these arguments and variables.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        Setup {
            manifest: self.manifest(),
            variables,
            ..Setup::new(arguments)
        }
        .run()
    }

    /// Starts `xtask SUBCOMMAND` on it.
    pub(crate) fn start(&self, subcommand: &str, arguments: &[&str]) -> Running {
        Setup {
            subcommand,
            manifest: self.manifest(),
            ..Setup::new(arguments)
        }
        .start()
    }

    /// The directories of its runs.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let runs = self.directory.path().join("target/xtask/test/runs");
        let entries = runs.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    /// The published report.
    pub(crate) fn published(&self) -> PathBuf {
        self.directory.path().join("target/xtask/test/junit.xml")
    }
}

#[expect(
    unsafe_code,
    reason = "a child's signals can be changed only between fork and exec"
)]
fn hinder_signals(command: &mut Command) {
    let hinder = || {
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGCHLD] {
            // SAFETY: SIG_IGN is a valid disposition for each of these.
            unsafe { libc::signal(signal, libc::SIG_IGN) };
        }
        // SAFETY: the set is initialised before it is read; both calls are allowed between fork and
        // exec.
        unsafe {
            let mut blocked = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut blocked);
            libc::sigaddset(&raw mut blocked, libc::SIGINT);
            libc::sigaddset(&raw mut blocked, libc::SIGTERM);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut());
        }
        Ok(())
    };
    // SAFETY: the closure makes only system calls, allocates nothing and takes no lock.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, hinder) };
}

/// The mark of a run: a text in the environment of every process that it starts.
pub(crate) fn mark(own: &Path) -> String {
    format!("runner-test-{}", own.file_name().unwrap_or_default().display())
}

/// Unwraps a result that fails only if the machine is at fault.
pub(crate) fn must<T, E: fmt::Display>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("could not {what}: {error}"))
}
