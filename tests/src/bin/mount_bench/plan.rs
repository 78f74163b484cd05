//! What is measured, in which order, and how it is printed.
//!
//! Every run has files of its own, because a file that was read once is cached. Alice has the
//! files, bob mounts.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::args::Wishes;
use crate::files;
use crate::lead::Remote;

/// Measurements of mounting and unmounting per run.
const MOUNT_ROUNDS: usize = 10;
/// Threads of the measurement with concurrent random reads.
const AT_ONCE: usize = 8;

/// One line of the output.
#[derive(Debug, Serialize)]
struct Figure<'a> {
    /// The measurement.
    what: &'a str,
    /// The unit of the figures.
    unit: &'a str,
    /// The median of all runs.
    median: f64,
    /// Every run, in order.
    runs: &'a [f64],
}

/// See the module's head.
pub(crate) struct Bench<'a> {
    wishes: &'a Wishes,
    alice: &'a mut Remote,
    bob: &'a mut Remote,
    /// Where alice's files are.
    source: PathBuf,
    /// On the same file system as the stores: for the same work without a mount.
    beside: PathBuf,
    /// Where bob mounts.
    point: PathBuf,
    /// Files that are shared so far.
    shared_count: usize,
    /// Name, unit and figures of each measurement, in the order of the first run.
    figures: Vec<(&'static str, &'static str, Vec<f64>)>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        wishes: &'a Wishes,
        root: &Path,
        alice: &'a mut Remote,
        bob: &'a mut Remote,
    ) -> anyhow::Result<Bench<'a>> {
        let [source, beside, point] = ["source", "beside", "mount"].map(|name| root.join(name));
        for folder in [&source, &beside, &point] {
            std::fs::create_dir(folder)?;
        }
        Ok(Bench {
            wishes,
            alice,
            bob,
            source,
            beside,
            point,
            shared_count: 0,
            figures: Vec::new(),
        })
    }

    /// Measures everything and prints it.
    pub(crate) fn run(mut self) -> anyhow::Result<()> {
        self.mount()?;
        for run in 0..self.wishes.runs {
            self.read_large(run)?;
            self.write_large(run)?;
            self.read_pages(run, 1)?;
            self.read_pages(run, AT_ONCE)?;
            self.memory()?;
        }
        self.walk_tree()?;
        // Mounting comes last, after memory was measured: once fuser has freed its 16 MiB buffer
        // for requests, glibc keeps such buffers, so each later mount would raise the peak.
        for _ in 0..self.wishes.runs {
            self.mount_and_unmount()?;
        }
        self.tell()
    }

    fn mount(&mut self) -> anyhow::Result<f64> {
        let verb = if self.wishes.no_passthrough {
            "mount-plain"
        } else {
            "mount"
        };
        let point = self.point.display().to_string();
        Ok(self.bob.ask(&[verb, &point])?.parse()?)
    }

    fn unmount(&mut self) -> anyhow::Result<f64> {
        Ok(self.bob.ask(&["unmount"])?.parse()?)
    }

    fn mount_and_unmount(&mut self) -> anyhow::Result<()> {
        for _ in 0..MOUNT_ROUNDS {
            let micros = self.mount()? + self.unmount()?;
            self.note("mount and unmount", "ms", micros / 1e3);
        }
        Ok(())
    }

    /// A file that alice shares and bob has never read.
    fn fresh(&mut self, name: &str, seed: u64) -> anyhow::Result<(PathBuf, PathBuf)> {
        let path = self.source.join(name);
        files::write(&path, self.wishes.len, seed)?;
        self.alice.ask(&["add", &path.display().to_string(), name])?;
        self.shared_count += 1;
        self.bob.ask(&["await", &self.shared_count.to_string()])?;
        Ok((path, self.point.join(name)))
    }

    fn read_large(&mut self, run: usize) -> anyhow::Result<()> {
        let len = self.wishes.len;
        let (original, shown) = self.fresh(&format!("read-{run}"), 10 + run as u64)?;
        self.note_rate("cold remote read", files::read(&shown, len)?);
        self.note_rate("cp beside it", files::copy(&original, &self.beside.join("copy"))?);
        self.note_rate("re-read", files::read(&shown, len)?);
        self.note_rate("re-read again", files::read(&shown, len)?);
        self.note_rate("native read", files::read(&original, len)?);
        self.read_beside_single_pages(&shown)?;
        files::compare(&original, &shown)
    }

    /// The kernel caches data from FUSE in single pages, and a native file in pieces as large as
    /// its writes. A file system behind FUSE can't avoid the cost of single pages, so this compares
    /// with a native file that is cached in single pages too.
    fn read_beside_single_pages(&mut self, shown: &Path) -> anyhow::Result<()> {
        let (single, len) = (self.beside.join("single-pages"), self.wishes.len);
        files::write_in_pages(&single, len, 1)?;
        for _ in 0..2 {
            self.note_rate("re-read beside single pages", files::read(shown, len)?);
            self.note_rate("native read of single pages", files::read(&single, len)?);
        }
        std::fs::remove_file(single)?;
        Ok(())
    }

    fn write_large(&mut self, run: usize) -> anyhow::Result<()> {
        let (name, len, seed) = (format!("write-{run}"), self.wishes.len, 1000 + run as u64);
        self.note_rate("write", files::write(&self.point.join(&name), len, seed)?);
        self.shared_count += 1;
        let native = self.beside.join(&name);
        self.note_rate("native write", files::write(&native, len, seed)?);
        files::compare(&native, &self.point.join(&name))?;
        std::fs::remove_file(native)?;
        Ok(())
    }

    fn read_pages(&mut self, run: usize, at_once: usize) -> anyhow::Result<()> {
        let seed = 2000 + (run * 100 + at_once) as u64;
        let (_, shown) = self.fresh(&format!("random-{run}-{at_once}"), seed)?;
        let count = self.wishes.reads / at_once * at_once;
        let elapsed = files::read_randomly(&shown, self.wishes.len, count, at_once)?;
        let what = match at_once {
            1 => "cold random reads of 4 KiB, one at once",
            _ => "cold random reads of 4 KiB, eight at once",
        };
        self.note(what, "1/s", count as f64 / elapsed.as_secs_f64());
        Ok(())
    }

    fn walk_tree(&mut self) -> anyhow::Result<()> {
        let (tree, count) = (self.source.join("tree"), self.wishes.files);
        files::plant(&tree, count)?;
        self.alice.ask(&["add-tree", &tree.display().to_string()])?;
        self.shared_count += count;
        self.bob.ask(&["await", &self.shared_count.to_string()])?;
        for run in 0..self.wishes.runs {
            if run > 0 {
                self.mount()?;
            }
            let large = self.shared_count - count;
            let cold = files::walk(&self.point, large + count)?;
            self.note("walk and stat, cold", "ms", millis(cold));
            let warm = files::walk(&self.point, large + count)?;
            self.note("walk and stat, again", "ms", millis(warm));
            self.note("native walk and stat", "ms", millis(files::walk(&tree, count)?));
            if run == 0 {
                self.memory()?;
            }
            self.unmount()?;
        }
        Ok(())
    }

    fn memory(&mut self) -> anyhow::Result<()> {
        let (alices, bobs) = (self.alice.process(), self.bob.process());
        self.note(
            "peak memory of the sharing peer",
            "MiB",
            mebibytes(files::memory_max(alices)?),
        );
        self.note(
            "peak memory of the mounting peer",
            "MiB",
            mebibytes(files::memory_max(bobs)?),
        );
        Ok(())
    }

    fn note_rate(&mut self, what: &'static str, elapsed: Duration) {
        let rate = self.wishes.len as f64 / elapsed.as_secs_f64() / 1e6;
        self.note(what, "MB/s", rate);
    }

    fn note(&mut self, what: &'static str, unit: &'static str, value: f64) {
        match self.figures.iter_mut().find(|figure| figure.0 == what) {
            Some(figure) => figure.2.push(value),
            None => self.figures.push((what, unit, vec![value])),
        }
    }

    fn tell(self) -> anyhow::Result<()> {
        for (what, unit, runs) in &self.figures {
            let figure = Figure {
                what,
                unit,
                median: median(runs),
                runs,
            };
            writeln!(io::stdout(), "{}", serde_json::to_string(&figure)?)?;
        }
        Ok(())
    }
}

fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

fn mebibytes(len: u64) -> f64 {
    len as f64 / f64::from(1 << 20)
}
