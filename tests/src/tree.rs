//! A directory tree as a value, so that two of them can be compared: kinds, contents, modes,
//! targets and times.
//!
//! Times and modes of folders are left out: programs that copy trees differ in them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::seed::Seed;

/// The entries under a directory, by relative path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    leaves: BTreeMap<String, Leaf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Leaf {
    Folder,
    Link(String),
    File {
        mode: u32,
        len: u64,
        hash: blake3::Hash,
        modified: Option<SystemTime>,
    },
}

/// Whether the modification times of files must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// They must.
    Compared,
    /// They need not.
    Ignored,
}

impl Tree {
    /// Walks everything under `root` and reads every file.
    pub fn of(root: &Path, times: Times) -> io::Result<Tree> {
        let mut leaves = BTreeMap::new();
        let mut pending = vec![String::new()];
        while let Some(folder) = pending.pop() {
            for entry in std::fs::read_dir(root.join(&folder))? {
                let entry = entry?;
                let name = format!("{folder}{}", entry.file_name().to_string_lossy());
                let leaf = leaf(&entry.path(), times)?;
                if leaf == Leaf::Folder {
                    pending.push(format!("{name}/"));
                }
                leaves.insert(name, leaf);
            }
        }
        Ok(Tree { leaves })
    }

    /// The paths at which two trees differ.
    pub fn differences(&self, other: &Tree) -> Vec<String> {
        let names = self.leaves.keys().chain(other.leaves.keys());
        let mut names: Vec<String> = names
            .filter(|name| self.leaves.get(*name) != other.leaves.get(*name))
            .map(|name| {
                format!(
                    "`{name}`: {:?} and {:?}",
                    self.leaves.get(name),
                    other.leaves.get(name)
                )
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// How many entries there are.
    pub fn count(&self) -> usize {
        self.leaves.len()
    }
}

#[cfg(unix)]
fn mode(metadata: &std::fs::Metadata) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o777
}

#[cfg(not(unix))]
fn mode(_metadata: &std::fs::Metadata) -> u32 {
    0
}

fn leaf(path: &Path, times: Times) -> io::Result<Leaf> {
    let metadata = path.symlink_metadata()?;
    if metadata.is_dir() {
        return Ok(Leaf::Folder);
    }
    if metadata.is_symlink() {
        return Ok(Leaf::Link(std::fs::read_link(path)?.display().to_string()));
    }
    let modified = match times {
        Times::Compared => Some(metadata.modified()?),
        Times::Ignored => None,
    };
    Ok(Leaf::File {
        mode: mode(&metadata),
        len: metadata.len(),
        hash: blake3::hash(&std::fs::read(path)?),
        modified,
    })
}

/// Makes a tree that is hard to copy: empty and deep folders, empty files, odd names, links, modes,
/// and one file of several mebibytes.
#[cfg(unix)]
pub fn plant(root: &Path, seed: Seed) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for folder in ["", "empty", "a/b/c/d/e", "Grüße & 日本", "many"] {
        std::fs::create_dir_all(root.join(folder))?;
    }
    let names = [
        "a/b/c/d/e/deep",
        "a/plain.txt",
        "Grüße & 日本/🦀",
        "with space",
        "-dash",
        "dot.",
    ];
    for (index, name) in names.into_iter().enumerate() {
        std::fs::write(root.join(name), seed.payload(name, 1000 * index))?;
    }
    for index in 0..40 {
        let name = format!("many/{index}");
        std::fs::write(root.join(&name), seed.payload(&name, 37 * index))?;
    }
    std::fs::write(root.join("large.bin"), seed.payload("large.bin", 3_000_001))?;
    for (name, mode) in [("a/plain.txt", 0o755), ("with space", 0o600), ("-dash", 0o444)] {
        std::fs::set_permissions(root.join(name), PermissionsExt::from_mode(mode))?;
    }
    for (target, name) in [
        ("plain.txt", "a/link"),
        ("missing", "dangling"),
        ("a", "to-folder"),
    ] {
        std::os::unix::fs::symlink(target, root.join(name))?;
    }
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::temp::TempRoot;

    #[test]
    fn a_changed_byte_a_changed_mode_and_a_missing_file_are_differences() {
        let root = TempRoot::create().unwrap();
        let seed = Seed::parse("7").unwrap();
        let [one, other] = ["one", "other"].map(|name| root.dir(name).unwrap());
        plant(&one, seed).unwrap();
        plant(&other, seed).unwrap();
        let of = |path: &Path| Tree::of(path, Times::Ignored).unwrap();
        assert_eq!(of(&one).differences(&of(&other)), Vec::<String>::new());
        std::fs::write(other.join("many/1"), b"x").unwrap();
        std::fs::set_permissions(
            other.join("many/2"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        std::fs::remove_file(other.join("many/3")).unwrap();
        assert_eq!(of(&one).differences(&of(&other)).len(), 3);
        root.close().unwrap();
    }
}
