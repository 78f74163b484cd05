//! Builds the probe that mounts for real, and finds where cargo put it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use serde::Deserialize;

const PROBE: &str = "capability_probe";

/// Builds it with `features`; `None` where the build fails (cargo has then said why on standard error).
///
/// # Errors
/// When cargo cannot be started.
pub(super) fn build(features: &[String]) -> Result<Option<PathBuf>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "tandem-tests", "--bin", PROBE]);
    command.args([
        "--message-format=json-render-diagnostics",
        "--features",
        &features.join(","),
    ]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("could not start `cargo build`")?;
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
