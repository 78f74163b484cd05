//! The process that starts the relay and the peers, sends them commands, and reads their answers.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, bail};
use tandem_tests::pair;
use tokio::runtime::Runtime;

use crate::args::Wishes;
use crate::plan::Bench;

/// Makes the directories and the peers, measures, and removes everything.
pub(crate) fn run(wishes: &Wishes) -> anyhow::Result<()> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("tandem-bench-");
    let root = match &wishes.directory {
        Some(directory) => builder.tempdir_in(directory),
        None => builder.tempdir(),
    };
    let root = root.context("could not make a directory")?;
    let runtime = Runtime::new()?;
    let relay = runtime.block_on(pair::relay())?;
    let url = relay.url().to_string();
    let mut alice = Remote::start(&url, &root.path().join("alice"))?;
    let mut bob = Remote::start(&url, &root.path().join("bob"))?;
    connect(&mut alice, &mut bob)?;
    Bench::new(wishes, root.path(), &mut alice, &mut bob)?.run()?;
    alice.end()?;
    bob.end()?;
    let _drained = runtime.block_on(relay.shutdown());
    root.close().context("could not remove the directory")
}

fn connect(alice: &mut Remote, bob: &mut Remote) -> anyhow::Result<()> {
    let (alices, bobs) = (alice.ask(&["fingerprint"])?, bob.ask(&["fingerprint"])?);
    // Each peer waits for the other, so both commands go out before the first answer is read.
    alice.tell(&["connect", &bobs])?;
    bob.tell(&["connect", &alices])?;
    alice.hear()?;
    bob.hear()?;
    Ok(())
}

/// A peer in another process.
pub(crate) struct Remote {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Remote {
    fn start(relay: &str, store: &Path) -> anyhow::Result<Remote> {
        std::fs::create_dir_all(store)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("peer")
            .arg(relay)
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("could not start a peer")?;
        let input = child
            .stdin
            .take()
            .context("the peer's standard input is not a pipe")?;
        let output = child
            .stdout
            .take()
            .context("the peer's standard output is not a pipe")?;
        Ok(Remote {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Sends a command and returns the answer.
    pub(crate) fn ask(&mut self, words: &[&str]) -> anyhow::Result<String> {
        self.tell(words)?;
        self.hear().with_context(|| format!("{words:?} failed"))
    }

    fn tell(&mut self, words: &[&str]) -> io::Result<()> {
        writeln!(self.input, "{}", words.join("\t"))
    }

    fn hear(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        match line.trim_end_matches('\n').split_once('\t') {
            Some(("ok", answer)) => Ok(answer.to_owned()),
            Some(("error", cause)) => bail!("{cause}"),
            _ => bail!("the peer exited: {line:?}"),
        }
    }

    fn end(self) -> anyhow::Result<()> {
        let Remote { mut child, input, .. } = self;
        drop(input);
        let status = child.wait()?;
        if !status.success() {
            bail!("a peer exited with {status}");
        }
        Ok(())
    }
}
