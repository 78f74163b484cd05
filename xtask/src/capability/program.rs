//! Programs that a test may need beside Rust: looked for by running them, never by searching PATH for a name.

use std::process::{Command, Stdio};

use super::Capability;

/// A program and how it tells its version.
pub(super) struct Program {
    name: &'static str,
    version_flag: &'static str,
    purpose: &'static str,
}

/// The only programs that tests may name; a longer list would be a hidden list of dependencies.
pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "git",
        version_flag: "--version",
        purpose: "clones a repository on a mount",
    },
    Program {
        name: "sqlite3",
        version_flag: "--version",
        purpose: "runs a database on a mount",
    },
];

impl Program {
    /// Runs it with its version flag.
    pub(super) fn look(&self) -> Capability {
        let Self {
            name,
            version_flag,
            purpose,
        } = self;
        let output = Command::new(name).arg(version_flag).stdin(Stdio::null()).output();
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
        capability.with_hint(format!("install `{name}`; it {purpose}"))
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
            purpose: "does nothing",
        };
        let capability = program.look();
        assert!(!capability.available);
        assert!(
            capability.evidence.contains("could not be started"),
            "{capability:?}"
        );
        assert_eq!(
            capability.hint.as_deref(),
            Some("install `no-such-program-as-this`; it does nothing")
        );
    }

    #[test]
    fn the_first_line_of_the_answer_is_the_evidence() {
        assert_eq!(first_line(b"git version 2.50\nmore\n"), "git version 2.50");
        assert_eq!(first_line(b""), "it ran and said nothing");
    }
}
