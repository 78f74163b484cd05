//! FUSE on macOS: macFUSE's bundle, for running, and its pkg-config file, without which fuser's
//! build script panics.
//!
//! Written from the vendors' pages and fuser's build script; not yet run on such a machine.

use std::path::Path;
use std::process::Command;

use super::Capability;

const BUNDLE: &str = "/Library/Filesystems/macfuse.fs";

/// Whether fuser can be built and macFUSE is installed; only a mount can show whether its extension
/// is approved.
pub(super) fn fuse() -> Capability {
    judge(Path::new(BUNDLE).exists(), &pkg_config())
}

fn judge(bundle_exists: bool, library: &Result<String, String>) -> Capability {
    let hint = "install macFUSE and pkg-config (`brew install --cask macfuse`, `brew install pkgconf`)";
    match (bundle_exists, library) {
        (true, Ok(version)) => Capability::present(
            "fuse",
            format!("`{BUNDLE}` exists, pkg-config finds `fuse` {version}"),
        ),
        (false, _) => Capability::missing("fuse", format!("`{BUNDLE}` does not exist")).with_hint(hint),
        (true, Err(cause)) => {
            Capability::missing("fuse", format!("pkg-config does not find `fuse`: {cause}")).with_hint(hint)
        }
    }
}

fn pkg_config() -> Result<String, String> {
    let output = Command::new("pkg-config")
        .args(["--modversion", "fuse"])
        .output()
        .map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes)
            .lines()
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundle_and_library_are_both_needed() {
        assert!(judge(true, &Ok("2.9.9".into())).available);
        assert!(!judge(false, &Ok("2.9.9".into())).available);
        assert!(!judge(true, &Err("not found".into())).available);
    }

    #[test]
    fn the_missing_part_is_named() {
        assert!(judge(false, &Err("x".into())).evidence.contains("macfuse.fs"));
        assert!(
            judge(true, &Err("Package fuse was not found".into()))
                .evidence
                .contains("Package fuse was not found")
        );
        let _probed_without_panicking = fuse();
    }
}
