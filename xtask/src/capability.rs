//! What this machine can do, found out by doing it: the capabilities that tests may need.
//!
//! Two stages. [`detect`] runs before the build, depends on nothing and is quick; it decides which cargo features are
//! worth building and knows *why* something is missing. [`Capabilities::confirm`] runs after the build and really mounts
//! a file system in a child, because only that tells whether FUSE works. Neither installs, changes or caches anything.
//! Whether a missing capability skips a test or fails the run is the runner's decision, not made here.

mod confirm;
mod features;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod macos;
mod mode;
mod network;
mod program;
mod storage;
#[cfg(target_os = "linux")]
mod userns;
#[cfg(any(windows, test))]
mod windows;

use std::path::Path;

use serde::Serialize;

use features::Platform;
pub(crate) use mode::FuseMode;
pub(crate) use program::path as program_path;

/// Something that this machine can or cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Capability {
    /// As tests name it in `#[ignore = "needs NAME"]`; the same names exist on every platform.
    pub(crate) name: &'static str,
    /// Whether a test that needs it can run.
    pub(crate) available: bool,
    /// What was seen, in one line; where the capability is missing, the cause.
    pub(crate) evidence: String,
    /// What a person can do about it, in one line.
    pub(crate) hint: Option<String>,
}

impl Capability {
    fn present(name: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            name,
            available: true,
            evidence: evidence.into(),
            hint: None,
        }
    }

    fn missing(name: &'static str, evidence: impl Into<String>) -> Self {
        Self {
            name,
            available: false,
            evidence: evidence.into(),
            hint: None,
        }
    }

    fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Everything that was looked at, in the order in which people want to read it.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Capabilities {
    list: Vec<Capability>,
    #[serde(skip)]
    mode: FuseMode,
}

/// The names that tests may give, in the order of [`detect`]; the same on every platform.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    const MACHINE: [&str; 8] = [
        "fuse",
        "winfsp",
        "ipv6",
        "ipv4",
        "unix-socket",
        "symlinks",
        "userns",
        "root",
    ];
    MACHINE
        .into_iter()
        .chain(program::PROGRAMS.iter().map(|program| program.name))
}

/// Stage 1: looks at the machine without building anything; a few milliseconds. Programs are also looked for in the
/// directory `tools`.
pub(crate) fn detect(mode: FuseMode, tools: &Path) -> Capabilities {
    let fuse = mode.overrule(fuse);
    let mut list = vec![fuse, winfsp(), network::ipv6(), network::ipv4()];
    list.extend([
        storage::unix_socket(),
        storage::symlinks(),
        user_namespaces(),
        root(),
    ]);
    list.extend(program::PROGRAMS.iter().map(|program| program.look(tools)));
    Capabilities { list, mode }
}

impl Capabilities {
    /// The capability called `name`; `None` where no capability has that name.
    pub(crate) fn lookup(&self, name: &str) -> Option<&Capability> {
        self.list.iter().find(|capability| capability.name == name)
    }

    /// All of them, in a fixed order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.list.iter()
    }

    /// The cargo features worth building here, out of those that `existing` in the workspace.
    pub(crate) fn features(&self, existing: &[String]) -> Vec<String> {
        features::decide(Platform::CURRENT, self, existing)
    }

    /// Stage 2: replaces the verdict on `fuse` by what a real mount in a child says; takes at most a few seconds.
    ///
    /// `probe_binary` is the built `capability_probe`. Without one nothing is proven, and `fuse` counts as missing.
    /// Where FUSE is switched off there is nothing to prove.
    pub(crate) fn confirm(&mut self, probe_binary: Option<&Path>) {
        if self.mode == FuseMode::Off {
            return;
        }
        if let Some(fuse) = self.list.iter_mut().find(|capability| capability.name == "fuse") {
            *fuse = confirm::confirmed(fuse, probe_binary);
        }
    }
}

#[cfg(target_os = "linux")]
fn fuse() -> Capability {
    linux::fuse()
}

#[cfg(target_os = "macos")]
fn fuse() -> Capability {
    macos::fuse()
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn fuse() -> Capability {
    Capability::missing("fuse", format!("no mount backend for `{}`", std::env::consts::OS))
}

#[cfg(windows)]
fn winfsp() -> Capability {
    windows::winfsp()
}

#[cfg(not(windows))]
fn winfsp() -> Capability {
    Capability::missing("winfsp", "only Windows has WinFsp")
}

#[cfg(target_os = "linux")]
fn user_namespaces() -> Capability {
    userns::user_namespaces()
}

#[cfg(not(target_os = "linux"))]
fn user_namespaces() -> Capability {
    Capability::missing("userns", "only Linux has user namespaces")
}

#[cfg(unix)]
fn root() -> Capability {
    match rustix::process::geteuid() {
        uid if uid.is_root() => Capability::present("root", "effective user id 0"),
        uid => Capability::missing("root", format!("effective user id {}", uid.as_raw())),
    }
}

#[cfg(not(unix))]
fn root() -> Capability {
    Capability::missing("root", "only Unix has root")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect() -> Capabilities {
        super::detect(FuseMode::Auto, Path::new("/nonexistent/tools"))
    }

    #[test]
    fn every_capability_has_one_name_and_some_evidence() {
        let capabilities = detect();
        let mut names: Vec<_> = capabilities.iter().map(|capability| capability.name).collect();
        assert!(
            capabilities
                .iter()
                .all(|capability| !capability.evidence.is_empty())
        );
        assert_eq!(names, super::names().collect::<Vec<_>>());
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn lookup_knows_the_names_and_nothing_else() {
        let capabilities = detect();
        for name in [
            "fuse",
            "winfsp",
            "ipv6",
            "ipv4",
            "unix-socket",
            "symlinks",
            "userns",
            "root",
            "git",
        ] {
            assert_eq!(
                capabilities.lookup(name).map(|capability| capability.name),
                Some(name)
            );
        }
        assert_eq!(capabilities.lookup("telepathy"), None);
    }

    #[test]
    fn evidence_and_hints_are_one_line_each() {
        for capability in detect().iter() {
            let hint = capability.hint.as_deref().unwrap_or_default();
            assert!(
                !capability.evidence.contains('\n') && !hint.contains('\n'),
                "{capability:?}"
            );
        }
    }

    #[test]
    fn what_is_switched_off_is_missing_for_that_reason_and_stays_so() {
        let mut capabilities = super::detect(FuseMode::Off, Path::new("/nonexistent/tools"));
        capabilities.confirm(Some(Path::new("/nonexistent/probe")));
        let fuse = capabilities.lookup("fuse").expect("`fuse` is always listed");
        assert_eq!(
            (fuse.available, fuse.evidence.as_str()),
            (false, "switched off by `--fuse off`")
        );
        assert!(capabilities.features(&["fuse".to_owned()]).is_empty());
    }

    #[test]
    fn without_a_probe_binary_fuse_counts_as_missing() {
        let mut capabilities = detect();
        capabilities.confirm(None);
        let fuse = capabilities.lookup("fuse").expect("`fuse` is always listed");
        assert!(!fuse.available, "{fuse:?}");
    }
}
