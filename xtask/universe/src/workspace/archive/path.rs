//! Paths in an archive: below one of three directories, with `/`, never out of them.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde::{Deserialize, Serialize};

/// What cargo built.
pub(super) const TARGET: &str = "target";
/// Files of the workspace.
pub(super) const WORKSPACE: &str = "workspace";
/// Libraries of the compiler.
pub(super) const COMPILER: &str = "compiler";

const TOPS: [&str; 3] = [TARGET, WORKSPACE, COMPILER];

/// Where the parts of an archive are on a machine.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) target: PathBuf,
    pub(super) workspace: PathBuf,
}

impl Ground {
    /// A path of this machine as it is in the archive: below one of its directories, otherwise
    /// unchanged.
    pub(super) fn packed(&self, path: &Path) -> String {
        // The target directory is usually inside the workspace.
        let places = [(TARGET, &self.target), (WORKSPACE, &self.workspace)];
        let inside = places.into_iter().find_map(|(top, directory)| {
            let rest = path.strip_prefix(directory).ok()?;
            let parts = rest.components().map(|part| part.as_os_str().to_string_lossy());
            let parts: Vec<_> = std::iter::once(top.into()).chain(parts).collect();
            Some(parts.join("/"))
        });
        inside.unwrap_or_else(|| path.to_string_lossy().into_owned())
    }

    /// The reverse: a path of an archive on this machine. An absolute path stays.
    ///
    /// # Errors
    /// When it leads out of the directories of an archive.
    pub(super) fn unpacked(&self, path: &str) -> anyhow::Result<PathBuf> {
        if Path::new(path).is_absolute() {
            return Ok(path.into());
        }
        checked(path)?;
        let (top, rest) = path.split_once('/').unwrap_or((path, ""));
        let directory = match top {
            TARGET => &self.target,
            _ => &self.workspace,
        };
        Ok(match rest {
            "" => directory.clone(),
            rest => directory.join(rest),
        })
    }
}

/// The value of a variable: a path that moves with the archive, or any other text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Moved { path: String },
    Text(String),
}

impl Value {
    /// As it is in the archive.
    pub(super) fn packed(text: &str, ground: &Ground) -> Value {
        let path = ground.packed(Path::new(text));
        match path == text || !Path::new(text).is_absolute() {
            true => Value::Text(text.to_owned()),
            false => Value::Moved { path },
        }
    }

    /// As it is on this machine.
    ///
    /// # Errors
    /// As [`Ground::unpacked`].
    pub(super) fn unpacked(self, ground: &Ground) -> anyhow::Result<String> {
        Ok(match self {
            Value::Moved { path } => ground.unpacked(&path)?.to_string_lossy().into_owned(),
            Value::Text(text) => text,
        })
    }
}

/// Checks that a path is below a directory of an archive.
///
/// # Errors
/// When it is absolute, has a part such as `..`, or is below none of them.
pub(super) fn checked(path: &str) -> anyhow::Result<&str> {
    let is_plain = |part: &str| {
        let foreign =
            ['\\', '\0'].iter().any(|&sign| part.contains(sign)) || cfg!(windows) && part.contains(':');
        !part.is_empty() && part != "." && part != ".." && !foreign
    };
    let top = path.split('/').next().unwrap_or_default();
    ensure!(
        path.split('/').all(is_plain) && TOPS.contains(&top),
        "the path `{}` leads out of its directories",
        crate::base::text::plain_line(path)
    );
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for good in [
            "target",
            "target/debug/deps/a-1",
            "workspace/a b/..c",
            "compiler/libstd.so",
        ] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../a",
            "target/../a",
            "target/..",
            "target//a",
            "target/./a",
            "target/a/",
            "target\\..\\a",
            "other/a",
            "target/a\0",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_found_again_in_another_place() {
        let here = Ground {
            target: "/w/target".into(),
            workspace: "/w".into(),
        };
        let there = Ground {
            target: "/x/target".into(),
            workspace: "/y".into(),
        };
        for (path, packed, unpacked) in [
            ("/w/target/debug/a", "target/debug/a", "/x/target/debug/a"),
            ("/w/a/Cargo.toml", "workspace/a/Cargo.toml", "/y/a/Cargo.toml"),
            ("/w", "workspace", "/y"),
            ("/usr/lib", "/usr/lib", "/usr/lib"),
        ] {
            assert_eq!(here.packed(Path::new(path)), packed);
            assert_eq!(there.unpacked(packed).unwrap(), Path::new(unpacked));
        }
        assert!(there.unpacked("target/../../etc").is_err());
        for (value, moved) in [("/w/a", "/y/a"), ("target/a", "target/a"), ("/usr", "/usr")] {
            let packed = Value::packed(value, &here);
            let json = serde_json::to_string(&packed).unwrap();
            let read: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(read.unpacked(&there).unwrap(), moved);
        }
    }
}
