//! Builds the probe that mounts for real, and finds where cargo put it.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use xshell::Shell;

use crate::cargo;
use crate::workspace::Workspace;

const PACKAGE: &str = "tandem-tests";
const PROBE: &str = "capability_probe";

/// Builds it with those of the `features` that are its package's; `None` where the build fails (cargo has then said why
/// on standard error).
///
/// # Errors
/// When cargo cannot be started.
pub(super) fn build(workspace: &Workspace, features: &[String]) -> Result<Option<PathBuf>> {
    let sh = Shell::new().context("could not read the current directory")?;
    let ours = features.iter().filter(|feature| {
        feature
            .strip_prefix(PACKAGE)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    let command = cargo::command(&sh)
        .args([
            "build",
            "--package",
            PACKAGE,
            "--bin",
            PROBE,
            "--message-format=json-render-diagnostics",
        ])
        .arg("--manifest-path")
        .arg(workspace.root.join("Cargo.toml"))
        .args(ours.map(|feature| format!("--features={feature}")));
    let output = std::process::Command::from(command)
        .stderr(Stdio::inherit())
        .output();
    let output = output.context("could not start `cargo build`")?;
    Ok(executable(&output.stdout).filter(|_| output.status.success()))
}

#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

fn executable(messages: &[u8]) -> Option<PathBuf> {
    let lines = messages.split(|&byte| byte == b'\n');
    let artifacts = lines.filter_map(|line| serde_json::from_slice::<Artifact>(line).ok());
    artifacts
        .filter(|artifact| artifact.target.name == PROBE)
        .find_map(|artifact| artifact.executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_cargos_messages() {
        let messages = br#"{"reason":"compiler-artifact","target":{"name":"tandem_tests"},"executable":null}
not json
{"reason":"compiler-artifact","target":{"name":"capability_probe"},"executable":"/t/capability_probe"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/capability_probe")));
        assert_eq!(executable(b""), None);
    }
}
