//! Programs that a test may need beside Rust: looked for by running them, never by searching PATH for a name.
//!
//! Tools written in Rust that `cargo xtask conformance --install` fetches have a directory of their own, which comes
//! before PATH.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Capability;

/// A program and how it tells its version.
pub(super) struct Program {
    pub(super) name: &'static str,
    version_flag: &'static str,
    /// What to do where it is missing.
    hint: &'static str,
}

/// The only programs that tests may name; a longer list would be a hidden list of dependencies.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "git",
        version_flag: "--version",
        hint: "install `git`; it clones a repository on a mount",
    },
    Program {
        name: "tar",
        version_flag: "--version",
        hint: "install `tar`; it unpacks a tree on a mount",
    },
    Program {
        name: "rsync",
        version_flag: "--version",
        hint: "install `rsync`; it copies a tree onto a mount and compares every byte",
    },
    Program {
        name: "sqlite3",
        version_flag: "--version",
        hint: "install `sqlite3`; it runs a database on a mount",
    },
    Program {
        name: "fsx",
        version_flag: "--version",
        hint: "`cargo xtask conformance --install` builds it; it does random operations on one file",
    },
    Program {
        name: "pjdfstest",
        version_flag: "--version",
        hint: "`cargo xtask conformance --install` builds it; it checks what POSIX says of a file system",
    },
];

/// How to start the program `name`: as a file in `tools` if there is one, else by PATH.
pub(crate) fn path(name: &str, tools: &Path) -> OsString {
    let file = tools.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if file.is_file() {
        file.into_os_string()
    } else {
        name.into()
    }
}

impl Program {
    /// Runs it with its version flag.
    pub(super) fn look(&self, tools: &Path) -> Capability {
        let Self {
            name,
            version_flag,
            hint,
        } = self;
        let output = Command::new(path(name, tools))
            .arg(version_flag)
            .stdin(Stdio::null())
            .output();
        let capability = match output {
            Ok(output) if output.status.success() => {
                return Capability::present(name, first_line(&output.stdout));
            }
            Ok(output) => Capability::missing(
                name,
                format!("`{name} {version_flag}` ended with {}", output.status),
            ),
            Err(error) => Capability::missing(name, format!("`{name}` could not be started: {error}")),
        };
        capability.with_hint(*hint)
    }
}

fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        "it ran and said nothing".to_owned()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_missing_with_the_way_to_get_it() {
        let program = Program {
            name: "no-such-program-as-this",
            version_flag: "--version",
            hint: "install it",
        };
        let capability = program.look(Path::new("/nonexistent"));
        assert!(!capability.available);
        assert!(
            capability.evidence.contains("could not be started"),
            "{capability:?}"
        );
        assert_eq!(capability.hint.as_deref(), Some("install it"));
    }

    #[test]
    fn an_installed_tool_comes_before_path() {
        let tools = tempfile::tempdir().unwrap();
        assert_eq!(path("fsx", tools.path()), "fsx");
        let file = tools.path().join(format!("fsx{}", std::env::consts::EXE_SUFFIX));
        std::fs::write(&file, "").unwrap();
        assert_eq!(path("fsx", tools.path()), file.as_os_str());
    }

    #[test]
    fn the_first_line_of_the_answer_is_the_evidence() {
        assert_eq!(first_line(b"git version 2.50\nmore\n"), "git version 2.50");
        assert_eq!(first_line(b""), "it ran and said nothing");
    }
}
