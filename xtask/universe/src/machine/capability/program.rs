//! Programs that a test may need besides Rust: found by running them, never by searching PATH for a
//! name.
//!
//! Tools written in Rust that a workspace builds for its tests have their own directory, which
//! precedes PATH.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Capability;
use crate::workspace::config::Program;

/// How to start the program `name`: as a file in `tools` if there is one, otherwise by PATH.
pub fn path(name: &str, tools: &Path) -> OsString {
    let file = tools.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if file.is_file() {
        file.into_os_string()
    } else {
        name.into()
    }
}

/// Runs the program `name` with its version flag.
pub(super) fn look(name: &str, program: &Program, tools: &Path) -> Capability {
    let Program { hint, version_flag } = program;
    let output = Command::new(path(name, tools))
        .arg(version_flag)
        .stdin(Stdio::null())
        .output();
    let missing = match output {
        Ok(output) if output.status.success() => {
            return Capability::present(name.to_owned(), first_line(&output.stdout));
        }
        Ok(output) => format!("`{name} {version_flag}` ended with {}", output.status),
        Err(error) => format!("`{name}` could not be started: {error}"),
    };
    Capability::missing(name.to_owned(), missing).with_hint(hint.clone())
}

fn first_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        "it ran and printed nothing".to_owned()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_reported_with_its_installation_hint() {
        let program = Program {
            version_flag: "--version".to_owned(),
            hint: "install it".to_owned(),
        };
        let capability = look("no-such-program-as-this", &program, Path::new("/nonexistent"));
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
        assert_eq!(first_line(b""), "it ran and printed nothing");
    }
}
