//! What readers take the paths of a report as relative to. Pure.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::data::Case;

/// Where the repository and the workspace of a run are. Paths are Unicode; what is not is replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// The root of the repository, absolute; empty where it is unknown.
    repository: PathBuf,
    /// The root of the workspace, relative to that; empty where both are the same.
    workspace: PathBuf,
    /// The directory that attachments are relative to, absolute; without it attachments are
    /// absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attachments: Option<PathBuf>,
}

impl Places {
    /// A workspace in a repository, both absolute. `attachments` is as in the type.
    pub(crate) fn new(repository: &Path, workspace: &Path, attachments: Option<&Path>) -> Places {
        let text = |path: &Path| PathBuf::from(path.to_string_lossy().into_owned());
        Places {
            repository: text(repository),
            workspace: text(workspace.strip_prefix(repository).unwrap_or(Path::new(""))),
            attachments: attachments.map(text),
        }
    }

    /// A source file, relative to the repository where it is in it, with `/` everywhere. `file` is
    /// relative to the workspace or absolute.
    pub(crate) fn file(&self, file: &Path) -> String {
        let file = match file.is_absolute() {
            true => file.strip_prefix(&self.repository).unwrap_or(file).to_owned(),
            false => self.workspace.join(file),
        };
        file.to_string_lossy().replace('\\', "/")
    }

    /// Changes the paths of a case to what a reader takes.
    pub(crate) fn locate(&self, case: &mut Case) {
        case.file = case.file.take().map(|file| self.file(&file).into());
        let Some(directory) = &self.attachments else {
            return;
        };
        for path in &mut case.attachments {
            if let Ok(relative) = path.strip_prefix(directory) {
                *path = relative.to_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_workspace_is_named_from_the_repository() {
        let places = Places::new(Path::new("/r"), Path::new("/r/services/api"), None);
        let file = |file: &str| places.file(Path::new(file));
        assert_eq!(file("src/lib.rs"), "services/api/src/lib.rs");
        assert_eq!(file("/r/shared/src/lib.rs"), "shared/src/lib.rs");
        assert_eq!(file("/elsewhere/lib.rs"), "/elsewhere/lib.rs");
        let same = Places::new(Path::new("/r"), Path::new("/r"), None);
        assert_eq!(same.file(Path::new("src\\lib.rs")), "src/lib.rs");
        assert_eq!(Places::default().file(Path::new("a.rs")), "a.rs");
        assert_eq!(Places::default().file(Path::new("/a.rs")), "/a.rs");
    }
}
