//! The copy of the workspace to which mutations are applied, so that the workspace itself stays
//! intact.
//!
//! It contains what git tracks or would add: tracked files, and untracked ones that are not
//! ignored, with their uncommitted changes. It is kept between runs and only differing files are
//! written, so that cargo rebuilds little.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail, ensure};

use super::patch::Patch;
use cargo_universe::base::lock_file;
use cargo_universe::workspace::metadata::Workspace;

/// A copy of the workspace that belongs to this process.
#[derive(Debug)]
pub(super) struct Replica {
    /// The root of the copied workspace.
    pub(super) tree: PathBuf,
    /// The target directory that all mutations share.
    pub(super) target: PathBuf,
    /// Locked while this value lives.
    _lock: File,
}

/// Whether to apply a patch or to revert it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

impl Replica {
    /// Creates the replica, or updates the one of an earlier run; waits for another process that
    /// uses it.
    ///
    /// # Errors
    /// When git is missing, this is not a work tree, or a file cannot be copied.
    pub(super) fn make(workspace: &Workspace) -> Result<Self> {
        let home = workspace.target_directory.join("xtask/mutations");
        std::fs::create_dir_all(&home).with_context(|| format!("could not create `{}`", home.display()))?;
        for path in home.ancestors().take(2) {
            ensure_no_link(path)?;
        }
        // Canonical, because git compares it with the directory that it finds itself in.
        let home = home
            .canonicalize()
            .with_context(|| format!("could not find `{}`", home.display()))?;
        let lock = lock(&home.join("lock"))?;
        let replica = Self {
            tree: home.join("tree"),
            target: home.join("target"),
            _lock: lock,
        };
        replica.update(&workspace.root, &listed(&workspace.root)?)?;
        Ok(replica)
    }

    fn update(&self, root: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
        std::fs::create_dir_all(&self.tree)?;
        // Removes unwanted files. Following a link would remove foreign files.
        ensure_no_link(&self.tree)?;
        let mut present = Vec::new();
        walk(&self.tree, &mut present)?;
        for path in present {
            let relative = path.strip_prefix(&self.tree)?;
            if !wanted.contains(relative) {
                std::fs::remove_file(&path)
                    .with_context(|| format!("could not remove `{}`", path.display()))?;
            }
        }
        wanted
            .iter()
            .try_for_each(|relative| replace(&root.join(relative), &self.tree.join(relative)))
    }

    /// Runs `work` with the patch applied, and then reverts the patch, whatever the result.
    ///
    /// # Errors
    /// When the patch does not apply or cannot be reverted; otherwise those of `work`.
    pub(super) fn with<T>(&self, patch: &Patch, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.apply(patch, Direction::In)?;
        let outcome = work();
        self.apply(patch, Direction::Out)?;
        outcome
    }

    fn apply(&self, patch: &Patch, direction: Direction) -> Result<()> {
        let mut command = git(&self.tree);
        command.args(["apply", "--whitespace=nowarn"]);
        if direction == Direction::Out {
            command.arg("--reverse");
        }
        // Without this, git finds the work tree around the replica, and silently skips files
        // outside of it.
        command.env(
            "GIT_CEILING_DIRECTORIES",
            self.tree.parent().unwrap_or(&self.tree),
        );
        let output = answer(command.arg(&patch.path))?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        let verb = if direction == Direction::In {
            "apply"
        } else {
            "revert"
        };
        ensure!(
            output.status.success(),
            "could not {verb} the mutation `{}`: {}\nhint: create it again with `git diff` against the current code",
            patch.name,
            complaint.trim(),
        );
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File> {
    let file = lock_file::open(path).with_context(|| format!("could not create `{}`", path.display()))?;
    file.lock()
        .with_context(|| format!("could not lock `{}`", path.display()))?;
    Ok(file)
}

/// Another user may have put a link there.
fn ensure_no_link(directory: &Path) -> Result<()> {
    let is_directory = directory.symlink_metadata().is_ok_and(|found| found.is_dir());
    ensure!(
        is_directory,
        "`{}` must be a directory, not a link; hint: remove it",
        directory.display()
    );
    Ok(())
}

/// The files that git tracks or would add, relative to `root`, without those deleted in the work
/// tree.
fn listed(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let output = answer(git(root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!(
            "could not list the files of `{}`: {}",
            root.display(),
            complaint.trim()
        );
    }
    let names = output
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty());
    let paths = names.map(|name| PathBuf::from(String::from_utf8_lossy(name).as_ref() as &str));
    Ok(paths.filter(|path| root.join(path).is_file()).collect())
}

/// git, without the variables with which a hook or an alias would redirect it.
fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(variable);
    }
    command
}

fn answer(command: &mut Command) -> Result<Output> {
    command
        .output()
        .context("could not start `git`\nhint: mutations need it to copy the workspace and apply patches")
}

fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            // Cargo's directory, if a person has built here by hand.
            true if entry.file_name() == OsStr::new("target") => {}
            true => walk(&entry.path(), found)?,
            false => found.push(entry.path()),
        }
    }
    Ok(())
}

/// Writes `to` only if it differs: cargo checks modification times.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let wanted = std::fs::read(from).with_context(|| format!("could not read `{}`", from.display()))?;
    if std::fs::read(to).is_ok_and(|present| present == wanted) {
        return Ok(());
    }
    let write = || {
        std::fs::create_dir_all(to.parent().unwrap_or(to))?;
        std::fs::write(to, &wanted)
    };
    write().with_context(|| format!("could not write `{}`", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(tree: &Path) -> Vec<String> {
        let mut found = Vec::new();
        walk(tree, &mut found).expect("it is readable");
        let names = found.iter().map(|path| {
            path.strip_prefix(tree)
                .expect("it is below")
                .display()
                .to_string()
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn an_update_writes_changed_files_and_removes_deleted_ones() {
        let (root, home) = (
            tempfile::tempdir().expect("writable"),
            tempfile::tempdir().expect("writable"),
        );
        std::fs::create_dir(root.path().join("src")).expect("writable");
        std::fs::write(root.path().join("src/lib.rs"), "new").expect("writable");
        let lock = lock(&home.path().join("lock")).expect("writable");
        let replica = Replica {
            tree: home.path().join("tree"),
            target: home.path().join("target"),
            _lock: lock,
        };
        let wanted = |paths: &[&str]| paths.iter().map(PathBuf::from).collect();
        replica
            .update(root.path(), &wanted(&["src/lib.rs"]))
            .expect("it can be copied");
        assert_eq!(files(&replica.tree), ["src/lib.rs"]);
        replica
            .update(root.path(), &wanted(&[]))
            .expect("it can be emptied");
        assert_eq!(files(&replica.tree), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn the_target_of_a_link_is_not_removed() {
        let (root, home) = (
            tempfile::tempdir().expect("writable"),
            tempfile::tempdir().expect("writable"),
        );
        std::fs::write(root.path().join("file"), "mine").expect("writable");
        std::os::unix::fs::symlink(root.path(), home.path().join("tree")).expect("writable");
        let replica = Replica {
            tree: home.path().join("tree"),
            target: home.path().join("target"),
            _lock: lock(&home.path().join("lock")).expect("writable"),
        };
        assert!(replica.update(root.path(), &BTreeSet::new()).is_err());
        assert_eq!(files(root.path()), ["file"]);
    }

    #[test]
    fn an_unchanged_file_is_not_written() {
        let directory = tempfile::tempdir().expect("writable");
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        std::fs::write(&from, "same").expect("writable");
        replace(&from, &to).expect("it can be copied");
        let written = to
            .metadata()
            .and_then(|metadata| metadata.modified())
            .expect("it exists");
        replace(&from, &to).expect("there is nothing to do");
        assert_eq!(
            to.metadata()
                .and_then(|metadata| metadata.modified())
                .expect("it exists"),
            written
        );
    }
}
