//! Changes of a running share that a person asks for by name: `put`, `mv` and `rm`.
//!
//! What lies in a folder that this side watches is changed in that folder; the share follows. A
//! change by name would be undone there by the next look at the folder.

use std::path::{Path, PathBuf};

use tandem_core::catalog::SharePath;

use crate::control::{Answer, Answers, OnTaken};
use crate::event::Amount;
use crate::exit::{Exit, Failure};
use crate::fetch::unknown;
use crate::running::Running;
use crate::screen;
use crate::shares::{Root, Side};

/// Shares the file or folder `from` as `name`.
pub(crate) async fn put(
    running: &Running,
    (from, name): (&Path, &SharePath),
    on_taken: OnTaken,
    answers: &mut Answers,
) -> Result<Amount, Failure> {
    refuse_watched(&running.side(), from)?;
    let peer = &running.peer;
    let there = from.symlink_metadata().map_err(|error| {
        let text = format!("could not share `{}`: {error}", screen::path(from));
        Failure::new(Exit::LocalDisk, text)
    })?;
    let is_known = running.held().share.record.has_put(from, name);
    let is_taken = peer.lookup(name).is_some() && !is_known;
    let amount = match (there.is_dir(), on_taken) {
        (_, OnTaken::Refuse) if is_taken => return Err(taken(name)),
        (true, OnTaken::Refuse) => put_folder(running, (from, name), answers).await?,
        (true, OnTaken::Replace) => {
            let text = format!(
                "`{}` is a folder, and only single files can replace others",
                screen::path(from)
            );
            return Err(Failure::new(Exit::Usage, text));
        }
        (false, _) => {
            peer.replace(from, name).await?;
            Amount {
                files: 1,
                bytes: there.len(),
            }
        }
    };
    running.changed_here.notify_one();
    running.held().change(|record| {
        record.put.retain(|root| root.path != from);
        record.put.push(Root {
            path: from.to_owned(),
            name: Some(name.clone()),
        });
    })?;
    Ok(amount)
}

async fn put_folder(
    running: &Running,
    (from, name): (&Path, &SharePath),
    answers: &mut Answers,
) -> Result<Amount, Failure> {
    // Asked for by name: what the other side has removed from it is shared again.
    let added = running.peer.add_tree(from, Some(name)).await?;
    for skipped in added.skipped {
        let reason = skipped.reason.map(|reason| reason.to_string());
        let answer = Answer::LeftOut {
            path: skipped.path.to_string_lossy().into_owned(),
            reason: reason.unwrap_or_else(|| screen::NO_ORDINARY_FILE.to_owned()),
        };
        // It is shared, whether the process still listens or not.
        drop(answers.send(&answer).await);
    }
    Ok(Amount {
        files: added.count,
        bytes: added.len,
    })
}

fn taken(name: &SharePath) -> Failure {
    let text = format!("`{name}` is shared already\nhint: `tandem put --replace` shares yours in its place");
    Failure::new(Exit::Usage, text)
}

/// Renames what is shared as `from`.
pub(crate) fn rename(running: &Running, from: &SharePath, to: &SharePath) -> Result<(), Failure> {
    refuse_local(&running.side(), from, "rename")?;
    running.peer.lookup(from).ok_or_else(|| unknown(from))?;
    running.peer.rename(from, to)?;
    running.changed_here.notify_one();
    note_renamed(running, from, to)
}

/// What was put and renamed, by either side, has its new name after a restart too.
pub(crate) fn note_renamed(running: &Running, from: &SharePath, to: &SharePath) -> Result<(), Failure> {
    running.held().change(|record| {
        for root in &mut record.put {
            if let Some(name) = root.name.as_ref().and_then(|name| moved(name, from, to)) {
                root.name = Some(name);
            }
        }
    })
}

/// The new name of something, if it lies in what was renamed.
fn moved(name: &SharePath, from: &SharePath, to: &SharePath) -> Option<SharePath> {
    let rest = name
        .starts_with(from)
        .then(|| name.as_str().strip_prefix(from.as_str()))??;
    SharePath::parse(&format!("{}{rest}", to.as_str())).ok()
}

/// Removes what is shared under that name. Files of the person stay where they are.
pub(crate) fn remove(running: &Running, path: &SharePath) -> Result<(), Failure> {
    refuse_local(&running.side(), path, "remove")?;
    running.peer.lookup(path).ok_or_else(|| unknown(path))?;
    running.peer.remove(path)?;
    running.changed_here.notify_one();
    note_removed(running, path)
}

/// What was put and removed, by either side, is not shared again after a restart.
pub(crate) fn note_removed(running: &Running, path: &SharePath) -> Result<(), Failure> {
    running.held().change(|record| {
        let is_in = |root: &Root| root.name.as_ref().is_some_and(|name| name.starts_with(path));
        record.put.retain(|root| !is_in(root));
    })
}

/// Refuses what is shared from a folder that is watched.
fn refuse_local(side: &Side, name: &SharePath, verb: &str) -> Result<(), Failure> {
    let Some(at) = local(side, name) else {
        return Ok(());
    };
    let text = format!("`{name}` is shared from `{}`: {verb} it there", screen::path(&at));
    Err(Failure::new(Exit::Usage, text))
}

/// Where something is on this disk, in what is watched.
fn local(side: &Side, name: &SharePath) -> Option<PathBuf> {
    let Side::Shared { paths } = side else {
        return None;
    };
    let at = |root: &Root| match &root.name {
        None => Some(root.path.join(name.as_str())),
        Some(own) if own == name => Some(root.path.clone()),
        Some(own) => {
            let inside = name.as_str().strip_prefix(own.as_str())?.strip_prefix('/')?;
            Some(root.path.join(inside))
        }
    };
    paths
        .iter()
        .filter_map(at)
        .find(|at| at.symlink_metadata().is_ok())
}

/// What is watched is shared already, under the name that it has there.
fn refuse_watched(side: &Side, from: &Path) -> Result<(), Failure> {
    let Side::Shared { paths } = side else {
        return Ok(());
    };
    let overlaps = |root: &&Root| from.starts_with(&root.path) || root.path.starts_with(from);
    let Some(root) = paths.iter().find(overlaps) else {
        return Ok(());
    };
    let text = format!(
        "`{}` can't be shared once more: `{}` is shared already, and followed",
        screen::path(from),
        screen::path(&root.path)
    );
    Err(Failure::new(Exit::Usage, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> SharePath {
        SharePath::parse(text).unwrap()
    }

    #[test]
    fn what_lies_in_a_renamed_folder_moves_with_it() {
        let moved = |name: &str| moved(&path(name), &path("a"), &path("b/c"));
        assert_eq!(moved("a"), Some(path("b/c")));
        assert_eq!(moved("a/x"), Some(path("b/c/x")));
        assert_eq!(moved("ab"), None);
        assert_eq!(moved("x/a"), None);
    }

    #[test]
    fn what_lies_in_a_watched_folder_is_found_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("in")).unwrap();
        let side = |name: Option<&str>| Side::Shared {
            paths: vec![Root {
                path: root.path().to_owned(),
                name: name.map(path),
            }],
        };
        assert_eq!(local(&side(None), &path("in")), Some(root.path().join("in")));
        assert_eq!(local(&side(None), &path("of the other side")), None);
        assert_eq!(local(&side(Some("p")), &path("p")), Some(root.path().to_owned()));
        assert_eq!(
            local(&side(Some("p")), &path("p/in")),
            Some(root.path().join("in"))
        );
        assert_eq!(local(&side(Some("p")), &path("pin")), None);
    }

    #[test]
    fn what_is_watched_or_has_it_inside_can_not_be_put() {
        let side = Side::Shared {
            paths: vec![Root {
                path: "/home/alice/photos".into(),
                name: None,
            }],
        };
        for from in ["/home/alice/photos/a.jpg", "/home/alice/photos", "/home/alice"] {
            assert!(refuse_watched(&side, Path::new(from)).is_err(), "{from}");
        }
        assert!(refuse_watched(&side, Path::new("/home/alice/photos.txt")).is_ok());
    }
}
