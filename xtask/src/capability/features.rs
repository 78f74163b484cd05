//! Which cargo features to build with: a pure decision over capabilities, platform and the features that exist.
//!
//! A feature that cannot be *built* here must not be selected (fuser's build script panics on a Mac without macFUSE). A
//! feature that builds but cannot *run* is selected all the same, so that its code is at least compiled.

use super::{Capabilities, FuseMode};

/// The platforms that the decision tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// fuser mounts in pure Rust; nothing has to be installed to build it.
    Linux,
    /// fuser links macFUSE's libfuse.
    MacOs,
    /// Mounts would go through WinFsp.
    Windows,
    /// No mount backend.
    Other,
}

impl Platform {
    /// The one that this xtask was built for.
    pub(crate) const CURRENT: Self = if cfg!(target_os = "linux") {
        Self::Linux
    } else if cfg!(target_os = "macos") {
        Self::MacOs
    } else if cfg!(windows) {
        Self::Windows
    } else {
        Self::Other
    };
}

/// The features to select, in the order of `existing`'s names below.
pub(super) fn decide(platform: Platform, capabilities: &Capabilities, existing: &[String]) -> Vec<String> {
    let holds = |name| {
        capabilities
            .lookup(name)
            .is_some_and(|capability| capability.available)
    };
    let fuse = Some("fuse").filter(|_| capabilities.mode != FuseMode::Off);
    let wanted = match platform {
        Platform::Linux => fuse,
        Platform::MacOs => fuse.filter(|_| holds("fuse")),
        Platform::Windows => Some("winfsp").filter(|_| holds("winfsp")),
        Platform::Other => None,
    };
    wanted
        .into_iter()
        .filter(|name| existing.iter().any(|feature| feature == name))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Capability;
    use super::*;

    fn machine(list: Vec<Capability>) -> Capabilities {
        Capabilities {
            list,
            mode: FuseMode::Auto,
        }
    }

    fn selected(platform: Platform, capability: Capability, existing: &[&str]) -> Vec<String> {
        let existing: Vec<String> = existing.iter().map(|&name| name.to_owned()).collect();
        decide(platform, &machine(vec![capability]), &existing)
    }

    #[test]
    fn linux_builds_fuse_even_where_it_cannot_run() {
        assert_eq!(
            selected(
                Platform::Linux,
                Capability::missing("fuse", "no device"),
                &["default", "fuse"]
            ),
            ["fuse"]
        );
    }

    #[test]
    fn what_is_switched_off_is_not_built() {
        let mut capabilities = machine(vec![Capability::present("fuse", "works")]);
        capabilities.mode = FuseMode::Off;
        for platform in [Platform::Linux, Platform::MacOs] {
            assert!(decide(platform, &capabilities, &["fuse".to_owned()]).is_empty());
        }
    }

    #[test]
    fn macos_builds_fuse_only_with_macfuse() {
        assert_eq!(
            selected(
                Platform::MacOs,
                Capability::present("fuse", "macFUSE 5"),
                &["fuse"]
            ),
            ["fuse"]
        );
        assert!(
            selected(
                Platform::MacOs,
                Capability::missing("fuse", "no macFUSE"),
                &["fuse"]
            )
            .is_empty()
        );
    }

    #[test]
    fn windows_builds_winfsp_only_where_the_feature_exists() {
        assert!(selected(Platform::Windows, Capability::present("winfsp", "2.1"), &["fuse"]).is_empty());
        assert_eq!(
            selected(
                Platform::Windows,
                Capability::present("winfsp", "2.1"),
                &["winfsp"]
            ),
            ["winfsp"]
        );
        assert!(
            selected(
                Platform::Windows,
                Capability::missing("winfsp", "none"),
                &["winfsp"]
            )
            .is_empty()
        );
    }

    #[test]
    fn a_feature_that_does_not_exist_is_never_selected() {
        assert!(selected(Platform::Linux, Capability::present("fuse", "works"), &["server"]).is_empty());
        assert!(
            selected(
                Platform::Other,
                Capability::present("fuse", "works"),
                &["fuse", "winfsp"]
            )
            .is_empty()
        );
    }
}
