//! Which files the demo shares, and the proof that the received ones are the same.
//!
//! It walks the given path and leaves out `.git` and tagged caches such as cargo's `target`. To
//! compare, it hashes the files on disk itself, without asking a peer.

use std::fs::{File, read_dir};
use std::io::Read;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, ensure};

use crate::story::amount;

/// The file that marks a directory as a cache (<https://bford.info/cachedir/>).
const CACHE_TAG: &str = "CACHEDIR.TAG";
/// Bytes read at once.
const BLOCK_LEN: usize = 1024 * 1024;

/// A file to share.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its path below the shared directory, with `/` between names.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) len: u64,
}

/// The files under the given path.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// The files to share, by name.
    pub(crate) files: Vec<Original>,
    /// The files and folders that are left out, each with the reason.
    pub(crate) left_out: Vec<String>,
}

impl Inventory {
    /// Lists `path`: a directory with everything in it, or one file.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Inventory> {
        let metadata = path.metadata().with_context(|| {
            format!(
                "could not open `{}`\nhint: give a file or a directory that exists",
                path.display()
            )
        })?;
        let mut inventory = Inventory::default();
        if metadata.is_dir() {
            inventory.walk(path, "")?;
        } else {
            let name = path.file_name().context("this path has no file name")?;
            inventory.take(path, &name.to_string_lossy(), metadata.len());
        }
        ensure!(
            !inventory.files.is_empty(),
            "there is no file in `{}`",
            path.display()
        );
        inventory.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(inventory)
    }

    /// The length of all files together.
    pub(crate) fn total_len(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }

    /// `7 files, 1.2 MiB`.
    pub(crate) fn amount(&self) -> String {
        amount(self.files.len(), self.total_len())
    }

    fn walk(&mut self, dir: &Path, prefix: &str) -> anyhow::Result<()> {
        let unreadable = || format!("could not read the directory `{}`", dir.display());
        for entry in read_dir(dir).with_context(unreadable)? {
            let entry = entry.with_context(unreadable)?;
            let (path, kind) = (entry.path(), entry.file_type().with_context(unreadable)?);
            let Ok(name) = entry.file_name().into_string() else {
                self.leave_out(&path, "its name is not UTF-8");
                continue;
            };
            let name = format!("{prefix}{name}");
            if kind.is_dir() {
                self.enter(&path, &name)?;
            } else if kind.is_file() {
                let len = entry.metadata().with_context(unreadable)?.len();
                self.take(&path, &name, len);
            } else {
                self.leave_out(&path, "it is neither a file nor a directory");
            }
        }
        Ok(())
    }

    fn enter(&mut self, dir: &Path, name: &str) -> anyhow::Result<()> {
        if dir.file_name().is_some_and(|name| name == ".git") {
            self.leave_out(dir, "it is Git's history, not part of the sources");
        } else if dir.join(CACHE_TAG).exists() {
            self.leave_out(dir, "it is tagged as a cache");
        } else {
            self.walk(dir, &format!("{name}/"))?;
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, name: &str, len: u64) {
        self.files.push(Original {
            path: path.to_owned(),
            name: name.to_owned(),
            len,
        });
    }

    fn leave_out(&mut self, path: &Path, reason: &str) {
        self.left_out.push(format!("`{}`: {reason}", path.display()));
    }
}

/// Compares every file with the one of the same name below `received`, by hash, on all cores.
pub(crate) fn compare(files: &[Original], received: &Path) -> anyhow::Result<()> {
    let thread_count = thread::available_parallelism().map_or(1, |count| count.get());
    let share = files.len().div_ceil(thread_count).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = files
            .chunks(share)
            .map(|files| scope.spawn(move || files.iter().try_for_each(|file| compare_one(file, received))))
            .collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|cause| resume_unwind(cause)))
    })
}

fn compare_one(file: &Original, received: &Path) -> anyhow::Result<()> {
    let copy = received.join(&file.name);
    let (sent, arrived) = (hash(&file.path)?, hash(&copy)?);
    let (from, to) = (file.path.display(), copy.display());
    ensure!(
        sent == arrived,
        "`{to}` differs from `{from}`: {arrived} instead of {sent}"
    );
    Ok(())
}

fn hash(path: &Path) -> anyhow::Result<blake3::Hash> {
    let unreadable = || format!("could not read `{}`", path.display());
    let mut file = File::open(path).with_context(unreadable)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK_LEN];
    loop {
        let len = file.read(&mut block).with_context(unreadable)?;
        match block.get(..len) {
            None | Some([]) => return Ok(hasher.finalize()),
            Some(bytes) => hasher.update(bytes),
        };
    }
}
