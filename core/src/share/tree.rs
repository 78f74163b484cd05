//! Sharing whole folders, and the names that local files are shared under.
//!
//! The files of a folder are hashed on all cores, some hundred at a time, and shared in the order
//! of their names. Part files of pulls are left out: they are no files of the user.

use std::ffi::OsStr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::error::ShareError;
use super::{OnTaken, Share};
use crate::catalog::SharePath;
use crate::limits::{HASH_FILES_MAX, HASH_FILES_THREADS_MAX};
use crate::store::{Source, SourceError, is_part_name, open_folder, resolve};

/// What sharing a folder has done.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct AddedTree {
    /// Files that are shared now.
    pub count: usize,
    /// Bytes of these files.
    pub len: u64,
    /// What was left out.
    pub skipped: Vec<SkippedFile>,
}

/// Something in a folder that was not shared with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct SkippedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Why it was left out; `None` for a link, a device, a pipe or a socket.
    pub reason: Option<ShareError>,
}

impl Share {
    /// The name under which a local file is shared unless another is given.
    pub(crate) fn own_name(path: &Path) -> Result<SharePath, ShareError> {
        let missing = || SourceError::Missing {
            path: path.to_owned(),
        };
        // `..` and `/` have no name of their own; they lead to a folder.
        let name = match path.file_name() {
            Some(name) => name,
            None if path.is_dir() => {
                return Err(SourceError::IsFolder {
                    path: path.to_owned(),
                }
                .into());
            }
            None => return Err(missing().into()),
        };
        let name = name.to_str().ok_or_else(|| ShareError::NotUnicode {
            path: path.to_owned(),
        })?;
        parse(path, name)
    }

    /// Shares every file beneath `root`.
    pub(crate) async fn add_tree(
        self: &Arc<Self>,
        root: &Path,
        prefix: Option<&SharePath>,
    ) -> Result<AddedTree, ShareError> {
        let (root, prefix) = (root.to_owned(), text_of(prefix));
        self.add_by(OnTaken::Refuse, move |tree| {
            tree.add_whole_folder(&resolve(&root)?, &prefix)
        })
        .await
    }

    /// Shares the file or the folder that is at `path`, a path without links.
    pub(crate) async fn add_resolved(
        self: &Arc<Self>,
        path: &Path,
        name: Option<&SharePath>,
    ) -> Result<AddedTree, ShareError> {
        let (path, name) = (path.to_owned(), text_of(name));
        self.add_by(OnTaken::Leave, move |tree| {
            // Both ways follow no link, whatever is there by then.
            if path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
                return tree.add_whole_folder(&path, &name);
            }
            if path.file_name().and_then(OsStr::to_str).is_some_and(is_part_name) {
                return Ok(());
            }
            let source = tree.read(&path, &name)?;
            tree.offer(&path, &name, source).map(|len| tree.count(len))
        })
        .await
    }

    async fn add_by(
        self: &Arc<Self>,
        on_taken: OnTaken,
        add: impl FnOnce(&mut Tree<'_>) -> Result<(), ShareError> + Send + 'static,
    ) -> Result<AddedTree, ShareError> {
        let share = self.clone();
        let adding = move || {
            let mut tree = Tree {
                share: &share,
                on_taken,
                added: AddedTree::default(),
                unread: Vec::new(),
            };
            add(&mut tree)?;
            Ok(tree.added)
        };
        tokio::task::spawn_blocking(adding)
            .await
            .map_err(|_| ShareError::Closed)?
    }
}

/// The results of `work` for the indices below `count`, in their order.
fn on_all_cores<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|index| *index < count);
    let run = || {
        std::iter::from_fn(take)
            .map(|index| (index, work(index)))
            .collect::<Vec<_>>()
    };
    let mut done = thread::scope(|scope| {
        let helpers = cores.min(HASH_FILES_THREADS_MAX).min(count).saturating_sub(1);
        let helpers: Vec<_> = (0..helpers).map(|_| scope.spawn(run)).collect();
        let own = run();
        let others = helpers.into_iter().flat_map(|helper| {
            helper
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        own.into_iter().chain(others).collect::<Vec<_>>()
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

fn text_of(name: Option<&SharePath>) -> String {
    name.map_or_else(String::new, |name| name.as_str().to_owned())
}

struct Tree<'a> {
    share: &'a Share,
    on_taken: OnTaken,
    added: AddedTree,
    /// Files that were found and not read yet, with the names that they are to be shared under.
    unread: Vec<(PathBuf, String)>,
}

impl Tree<'_> {
    fn add_whole_folder(&mut self, folder: &Path, name: &str) -> Result<(), ShareError> {
        self.add_folder(folder, name)?;
        self.add_unread()
    }

    fn add_folder(&mut self, folder: &Path, name: &str) -> Result<(), ShareError> {
        if self.share.runtime.cancel.is_cancelled() {
            return Err(ShareError::Closed);
        }
        // Nothing in a folder whose own path is not allowed can be shared. This also bounds how
        // deep this calls itself in any tree.
        if !name.is_empty() {
            parse(folder, name)?;
        }
        let unreadable = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => SourceError::Missing {
                path: folder.to_owned(),
            },
            _ => SourceError::Unreadable {
                path: folder.to_owned(),
                source,
            },
        };
        // A folder that has become a link since it was listed is not read.
        let entries = open_folder(folder).and_then(|folder| folder.entries());
        let entries = entries.map_err(unreadable)?;
        let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(unreadable)?;
        entries.sort_by_key(cap_std::fs::DirEntry::file_name);
        if entries.is_empty() && !name.is_empty() {
            self.add_empty(folder, name);
        }
        for entry in entries {
            let path = folder.join(entry.file_name());
            let own = entry.file_name().into_string();
            match (entry.file_type(), own) {
                (Ok(kind), Ok(own)) if kind.is_dir() => match self.add_folder(&path, &join(name, &own)) {
                    Err(ShareError::Closed) => return Err(ShareError::Closed),
                    Err(reason) => self.skip(path, Some(reason)),
                    Ok(()) => {}
                },
                (Ok(kind), Ok(own)) if kind.is_file() && is_part_name(&own) => {}
                (Ok(kind), Ok(own)) if kind.is_file() => {
                    self.unread.push((path, join(name, &own)));
                    if self.unread.len() >= HASH_FILES_MAX {
                        self.add_unread()?;
                    }
                }
                (_, Err(_)) => self.skip(path.clone(), Some(ShareError::NotUnicode { path })),
                _ => self.skip(path, None),
            }
        }
        Ok(())
    }

    /// Reads the files that were found, on all cores, and shares them in their order.
    fn add_unread(&mut self) -> Result<(), ShareError> {
        if self.share.runtime.cancel.is_cancelled() {
            return Err(ShareError::Closed);
        }
        let files = std::mem::take(&mut self.unread);
        let read = on_all_cores(files.len(), |index| {
            files.get(index).map(|(path, name)| self.read(path, name))
        });
        for ((path, name), read) in files.into_iter().zip(read.into_iter().flatten()) {
            match read.and_then(|source| self.offer(&path, &name, source)) {
                Ok(len) => self.count(len),
                Err(reason) => self.skip(path, Some(reason)),
            }
        }
        Ok(())
    }

    fn read(&self, path: &Path, name: &str) -> Result<Arc<Source>, ShareError> {
        parse(path, name)?;
        Ok(self.share.look_at(path)?)
    }

    fn offer(&self, path: &Path, name: &str, source: Arc<Source>) -> Result<u64, ShareError> {
        let len = source.content.len;
        self.share.offer(&parse(path, name)?, source, self.on_taken)?;
        Ok(len)
    }

    fn count(&mut self, len: u64) {
        self.added.count += 1;
        self.added.len += len;
    }

    fn add_empty(&mut self, folder: &Path, name: &str) {
        let added = parse(folder, name).and_then(|name| Ok(self.share.offer_folder(&name)?));
        if let Err(reason) = added {
            self.skip(folder.to_owned(), Some(reason));
        }
    }

    fn skip(&mut self, path: PathBuf, reason: Option<ShareError>) {
        self.added.skipped.push(SkippedFile { path, reason });
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

fn parse(path: &Path, name: &str) -> Result<SharePath, ShareError> {
    SharePath::parse(name).map_err(|source| ShareError::Name {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_indices_whatever_thread_they_are_from() {
        for count in [0, 1, 2, 1000] {
            let expected: Vec<_> = (0..count).map(|index| index * 2).collect();
            assert_eq!(on_all_cores(count, |index| index * 2), expected);
        }
    }
}
