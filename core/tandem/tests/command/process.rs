//! A running `tandem`: its streams line by line, and its end. Killed when dropped.

use std::panic::Location;
use std::path::Path;
use std::process::Stdio;

use tandem_tests::wait::complete;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// A `tandem` of one person.
pub(crate) struct Tandem {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    said: String,
}

/// How a `tandem` ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What was on standard output and not read before.
    pub(crate) stdout: String,
    /// All that was on standard error.
    pub(crate) stderr: String,
}

impl Tandem {
    /// Starts `tandem` with these arguments, in the folder `home`, which also has its state.
    pub(crate) fn start(home: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(args)
            .current_dir(home)
            .env("TANDEM_HOME", home.join("state"))
            .env_remove("TANDEM_RELAY")
            .env_remove("TANDEM_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            stderr: BufReader::new(child.stderr.take().unwrap()),
            said: String::new(),
            child,
        }
    }

    /// What `tandem` with these arguments says and answers, once it has ended.
    #[cfg(unix)]
    pub(crate) async fn asked(home: &Path, args: &[&str]) -> Ended {
        Self::start(home, args).ends().await
    }

    /// As [`Tandem::asked`], which has to succeed: what is on standard output.
    #[cfg(unix)]
    pub(crate) async fn told(home: &Path, args: &[&str]) -> String {
        let ended = Self::asked(home, args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
        ended.stdout
    }

    /// As [`Tandem::asked`], which has to fail with this exit code: what is on standard error.
    #[cfg(unix)]
    pub(crate) async fn refused(home: &Path, code: i32, args: &[&str]) -> String {
        let ended = Self::asked(home, args).await;
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(code), ""),
            "{args:?}: {}",
            ended.stderr
        );
        ended.stderr
    }

    /// Types one line.
    pub(crate) async fn types(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next line on standard output.
    pub(crate) async fn answers(&mut self) -> String {
        let mut line = String::new();
        let reading = self.stdout.read_line(&mut line);
        complete(Location::caller(), "a line on standard output", reading)
            .await
            .unwrap();
        line.trim_end().to_owned()
    }

    /// Waits until standard error has a line that contains `text`, and returns it.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        let reading = async {
            loop {
                let mut line = String::new();
                let len = self.stderr.read_line(&mut line).await.unwrap();
                self.said.push_str(&line);
                assert!(len > 0, "ended without saying `{text}`:\n{}", self.said);
                if line.contains(text) {
                    return line;
                }
            }
        };
        complete(Location::caller(), "a line on standard error", reading).await
    }

    /// Its process.
    #[cfg(unix)]
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Kills it as SIGKILL does, and waits until it is gone.
    #[cfg(unix)]
    pub(crate) async fn killed(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGINT, as Ctrl-C does.
    #[cfg(unix)]
    pub(crate) fn interrupt(&self) {
        let id = self.child.id().unwrap().try_into().unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    }

    /// Waits until it ends by itself, with nothing more to read.
    pub(crate) async fn ends(mut self) -> Ended {
        drop(self.child.stdin.take());
        self.ends_unasked().await
    }

    /// Waits until it ends by itself, though its standard input stays open.
    pub(crate) async fn ends_unasked(mut self) -> Ended {
        let _stdin = self.child.stdin.take();
        let (mut stdout, mut rest) = (String::new(), String::new());
        let ending = async {
            let (read, said) = tokio::join!(
                self.stdout.read_to_string(&mut stdout),
                self.stderr.read_to_string(&mut rest)
            );
            read.and(said).unwrap();
            self.child.wait().await.unwrap()
        };
        let status = complete(Location::caller(), "the end of tandem", ending).await;
        Ended {
            code: status.code(),
            stdout,
            stderr: self.said + &rest,
        }
    }
}
