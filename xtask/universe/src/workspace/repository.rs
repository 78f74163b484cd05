//! The repository that a workspace is in: what CI systems take paths as relative to.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The variables in which CI systems name the checkout: GitHub, and GitLab.
const CHECKOUTS: [&str; 2] = ["GITHUB_WORKSPACE", GITLAB_CHECKOUT];

/// GitLab takes attachments as relative to this directory.
const GITLAB_CHECKOUT: &str = "CI_PROJECT_DIR";

/// The root of the repository: where git has its directory, else the checkout of the CI system,
/// else the workspace itself. Git is not asked: it refuses a repository of another user, which is
/// what a container often has.
pub(crate) fn root(workspace: &Path, variable: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let by_git = workspace.ancestors().find(|directory| has_git(directory));
    let checkouts = CHECKOUTS.iter().filter_map(|name| checkout(variable(name)));
    let mut checkouts = checkouts.filter(|checkout| workspace.starts_with(checkout));
    let root = by_git.map(Path::to_owned).or_else(|| checkouts.next());
    root.unwrap_or_else(|| workspace.to_owned())
}

/// What attachments are relative to; `None` where readers want them absolute.
pub(crate) fn attachments_root(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    checkout(variable(GITLAB_CHECKOUT))
}

fn checkout(value: Option<OsString>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// In a linked worktree and in a submodule `.git` is a file.
fn has_git(directory: &Path) -> bool {
    let git = directory.join(".git");
    git.is_file() || git.join("HEAD").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_comes_before_the_variables_and_those_before_the_workspace() {
        let directory = tempfile::tempdir().unwrap();
        let checkout = directory.path().join("checkout");
        let workspace = checkout.join("a/b");
        std::fs::create_dir_all(&workspace).unwrap();
        let found =
            |variable: &str, value: &Path| root(&workspace, |name| (name == variable).then(|| value.into()));
        assert_eq!(found("NONE", &checkout), workspace);
        for variable in CHECKOUTS {
            assert_eq!(found(variable, &checkout), checkout);
            assert_eq!(found(variable, Path::new("/elsewhere")), workspace);
            assert_eq!(found(variable, Path::new("")), workspace);
        }
        std::fs::create_dir_all(checkout.join("a/.git")).unwrap();
        assert_eq!(found("GITHUB_WORKSPACE", &checkout), checkout);
        std::fs::write(checkout.join("a/.git/HEAD"), "").unwrap();
        assert_eq!(found("GITHUB_WORKSPACE", &checkout), checkout.join("a"));
        std::fs::write(workspace.join(".git"), "gitdir: x").unwrap();
        assert_eq!(found("GITHUB_WORKSPACE", &checkout), workspace);
    }
}
