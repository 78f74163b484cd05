//! One peer in a process of its own. It reads commands from standard input, one per line, and
//! answers each with one line.
//!
//! A command is words separated by tabs; an answer begins with `ok`, or with `error` and the
//! reason. The peer measures only what the other process can't: the time of mounting and
//! unmounting.

use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tandem_core::catalog::SharePath;
use tandem_core::identity::Fingerprint;
use tandem_core::mount::{Mount, MountOptions, Passthrough};
use tandem_core::peer::{Peer, PeerConfig};
use tandem_tests::wait::now;
use tokio::runtime::Runtime;
use url::Url;

/// The parts of this process, in the order in which they are dropped: the runtime comes last,
/// because it waits for threads that may wait for a mount.
struct Here {
    mount: Option<Mount>,
    peer: Peer,
    runtime: Runtime,
}

/// Runs until standard input closes.
pub(crate) fn run(relay: Url, store: PathBuf) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let peer = runtime.block_on(Peer::start(PeerConfig::new(relay).store(store)))?;
    let mut here = Here {
        mount: None,
        peer,
        runtime,
    };
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        let answer = match here.obey(&words) {
            Ok(answer) => format!("ok\t{answer}"),
            Err(error) => format!("error\t{}", format!("{error:#}").replace('\n', "; ")),
        };
        writeln!(io::stdout(), "{answer}")?;
    }
    here.unmount()?;
    here.runtime.block_on(here.peer.close())?;
    Ok(())
}

impl Here {
    fn obey(&mut self, words: &[&str]) -> anyhow::Result<String> {
        match *words {
            ["fingerprint"] => Ok(self.peer.fingerprint().to_string()),
            ["connect", fingerprint] => self.connect(fingerprint),
            ["add", path, name] => self.add(Path::new(path), name),
            ["add-tree", path] => self.add_tree(Path::new(path)),
            ["await", count] => self.wait(count.parse()?),
            ["mount", point] => self.mount(Path::new(point), Passthrough::Auto),
            ["mount-plain", point] => self.mount(Path::new(point), Passthrough::Off),
            ["unmount"] => self.unmount(),
            _ => bail!("unknown command: {words:?}"),
        }
    }

    fn connect(&self, fingerprint: &str) -> anyhow::Result<String> {
        let fingerprint: Fingerprint = fingerprint.parse().context("could not read the fingerprint")?;
        self.runtime.block_on(self.peer.connect(&fingerprint))?;
        Ok(String::new())
    }

    fn add(&self, path: &Path, name: &str) -> anyhow::Result<String> {
        let name = SharePath::parse(name)?;
        self.runtime.block_on(self.peer.add_as(path, &name))?;
        Ok(String::new())
    }

    fn add_tree(&self, path: &Path) -> anyhow::Result<String> {
        let added = self.runtime.block_on(self.peer.add_tree(path, None))?;
        Ok(added.count.to_string())
    }

    /// Waits until `count` files are listed.
    fn wait(&self, count: usize) -> anyhow::Result<String> {
        let mut events = self.peer.events();
        let is_listed = || {
            let list = self.peer.list();
            list.iter().filter(|shown| shown.file().is_some()).count() >= count
        };
        while !is_listed() {
            let news = self.runtime.block_on(events.next());
            news.context("the peer has closed")?;
        }
        Ok(String::new())
    }

    fn mount(&mut self, point: &Path, passthrough: Passthrough) -> anyhow::Result<String> {
        let options = MountOptions::default().passthrough(passthrough);
        let started = now();
        let mount = self.runtime.block_on(self.peer.mount(point, options))?;
        let elapsed = now() - started;
        self.mount = Some(mount);
        Ok(micros(elapsed))
    }

    fn unmount(&mut self) -> anyhow::Result<String> {
        let started = now();
        if let Some(mount) = self.mount.take() {
            self.runtime.block_on(mount.end())?;
        }
        Ok(micros(now() - started))
    }
}

fn micros(elapsed: Duration) -> String {
    elapsed.as_micros().to_string()
}
