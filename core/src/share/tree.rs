//! Sharing whole folders, and the names that local files are shared under.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::ShareError;
use super::{OnTaken, Share};
use crate::catalog::SharePath;
use crate::store::{SourceError, open_folder, resolve};

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
        self.add_by(move |tree| tree.add_folder(&resolve(&root)?, &prefix))
            .await
    }

    /// Shares the file or the folder that is at `path`, a path without links.
    pub(crate) async fn add_resolved(
        self: &Arc<Self>,
        path: &Path,
        name: Option<&SharePath>,
    ) -> Result<AddedTree, ShareError> {
        let (path, name) = (path.to_owned(), text_of(name));
        self.add_by(move |tree| {
            // Both ways follow no link, whatever is there by then.
            if path.symlink_metadata().is_ok_and(|there| there.is_dir()) {
                return tree.add_folder(&path, &name);
            }
            tree.added.len = tree.try_add_file(&path, &name)?;
            tree.added.count = 1;
            Ok(())
        })
        .await
    }

    async fn add_by(
        self: &Arc<Self>,
        add: impl FnOnce(&mut Tree<'_>) -> Result<(), ShareError> + Send + 'static,
    ) -> Result<AddedTree, ShareError> {
        let share = self.clone();
        let adding = move || {
            let mut tree = Tree {
                share: &share,
                added: AddedTree::default(),
            };
            add(&mut tree)?;
            Ok(tree.added)
        };
        tokio::task::spawn_blocking(adding)
            .await
            .map_err(|_| ShareError::Closed)?
    }
}

fn text_of(name: Option<&SharePath>) -> String {
    name.map_or_else(String::new, |name| name.as_str().to_owned())
}

struct Tree<'a> {
    share: &'a Share,
    added: AddedTree,
}

impl Tree<'_> {
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
                (Ok(kind), Ok(own)) if kind.is_file() => self.add_file(path, &join(name, &own)),
                (_, Err(_)) => self.skip(path.clone(), Some(ShareError::NotUnicode { path })),
                _ => self.skip(path, None),
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: PathBuf, name: &str) {
        match self.try_add_file(&path, name) {
            Ok(len) => {
                self.added.count += 1;
                self.added.len += len;
            }
            Err(reason) => self.skip(path, Some(reason)),
        }
    }

    fn try_add_file(&self, path: &Path, name: &str) -> Result<u64, ShareError> {
        let name = parse(path, name)?;
        let source = self.share.look_at(path)?;
        let len = source.content.len;
        self.share.offer(&name, source, OnTaken::Refuse)?;
        Ok(len)
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
