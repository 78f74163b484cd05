//! One file of the share: what a pull or a reader needs of it, and what the catalog gets of a local
//! file.

use crate::catalog::{ContentId, Dot, EntryId, FileVersion, SharePath, Shown};
use crate::store::{Attributes, Source};
use crate::unix_time::system_time;

/// A file of the catalog as a pull needs it.
#[derive(Debug, Clone)]
pub(crate) struct SharedFile {
    pub(crate) path: SharePath,
    pub(crate) content: ContentId,
    pub(crate) attributes: Attributes,
    pub(crate) entry: EntryId,
    pub(super) version: Dot,
}

/// The file that `shown` is, unless it is a folder.
pub(crate) fn shared_file(shown: &Shown) -> Option<SharedFile> {
    let file = shown.file()?;
    let attributes = Attributes {
        modified: system_time(file.mtime_ns),
        mode: file.mode,
    };
    let path = shown.path.clone();
    Some(SharedFile {
        path,
        content: file.content,
        attributes,
        entry: shown.id,
        version: shown.dot,
    })
}

/// The version in the catalog for a shared local file.
pub(super) fn version_of(source: &Source) -> FileVersion {
    FileVersion {
        content: source.content,
        mtime_ns: source.stamp().modified_ns(),
        mode: source.mode,
    }
}
