//! What `tandem ls` shows of a share: of one that runs, and of what is kept of one that does not.

use tandem_core::catalog::{SharePath, Shown};

use crate::event::Entry;
use crate::exit::Failure;
use crate::fetch;

/// What is in that folder of a share, or in the share itself; for a file or a link, that alone.
/// `all` is everything in the share.
pub(crate) fn entries(all: &[Shown], path: Option<&SharePath>) -> Result<Vec<Entry>, Failure> {
    if let Some(path) = path {
        let shown = all.iter().find(|shown| shown.path == *path);
        let shown = shown.ok_or_else(|| fetch::unknown(path))?;
        if shown.file().is_some() || shown.link().is_some() {
            return Ok(vec![Entry::from(shown)]);
        }
    }
    let inside = all.iter().filter(|shown| shown.path.parent().as_ref() == path);
    Ok(inside.map(Entry::from).collect())
}
