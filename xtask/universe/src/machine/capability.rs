//! The capabilities of this machine that tests may need, found by trying them.
//!
//! Two stages. [`detect`] runs before the build, depends on nothing and is quick; it decides which
//! cargo features are worth building and knows *why* something is missing.
//! [`Capabilities::confirm`] runs after the build and really mounts a file system in a child,
//! because only that tells whether FUSE works. What a workspace describes itself is tried by
//! whoever owns the processes of tests; `own` says how. Nothing is installed, changed or cached.
//! The runner decides whether a missing capability skips a test or fails the run, not this module.

pub(crate) mod described;
mod features;
mod fuse_probe;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(target_os = "macos", test))]
mod macos;
mod network;
mod storage;
#[cfg(target_os = "linux")]
mod userns;
#[cfg(any(windows, test))]
mod windows;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::workspace::config::{BUILT_IN, Config};
use crate::workspace::fuse_mode::FuseMode;
pub use described::path as program_path;

/// Something that this machine can or cannot do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// As tests name it in `#[ignore = "needs NAME"]`; the same names exist on every platform.
    pub name: Cow<'static, str>,
    /// Whether a test that needs it can run.
    pub available: bool,
    /// The observation, in one line; for a missing capability, the cause.
    pub evidence: String,
    /// What a person can do about it, in one line.
    pub hint: Option<String>,
}

impl Capability {
    fn present(name: impl Into<Cow<'static, str>>, evidence: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            available: true,
            evidence: evidence.into(),
            hint: None,
        }
    }

    fn missing(name: impl Into<Cow<'static, str>>, evidence: impl Into<String>) -> Self {
        Self {
            name: name.into(),
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

/// All probed capabilities, in the order in which people want to read them.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Capabilities {
    list: Vec<Capability>,
    #[serde(skip)]
    mode: FuseMode,
}

/// Tries something for another process, if the arguments say so; `None` if they say something else.
pub(crate) fn run_if_asked() -> Option<std::process::ExitCode> {
    storage::run_if_asked().or_else(described::run_if_asked)
}

/// The names that tests of a workspace may give: what every machine is asked for, and what the
/// workspace describes.
pub fn names(config: &Config) -> impl Iterator<Item = &str> {
    BUILT_IN
        .into_iter()
        .chain(config.capabilities.keys().map(String::as_str))
}

/// Stage 1: looks at the machine without building anything; a few milliseconds. What the workspace
/// describes counts as missing until it is tried.
pub(crate) fn detect(mode: FuseMode, config: &Config) -> Capabilities {
    let fuse = match mode {
        FuseMode::Auto | FuseMode::On => fuse(),
        FuseMode::Off => Capability::missing("fuse", "switched off by `--fuse off`"),
    };
    let mut list = vec![fuse, winfsp(), network::ipv6(), network::ipv4()];
    list.extend(storage::both());
    list.extend([user_namespaces(), root()]);
    let own = config.capabilities.keys();
    list.extend(own.map(|name| Capability::missing(name.clone(), "not tried")));
    Capabilities { list, mode }
}

/// What [`Capabilities::features`] will answer, if that is certain before the machine is probed.
pub(crate) fn features_without_probes(mode: FuseMode, config: &Config) -> Option<Vec<String>> {
    features::certain(std::env::consts::OS, mode, &config.features)
}

impl Capabilities {
    /// The capability called `name`; `None` if there is none.
    pub fn lookup(&self, name: &str) -> Option<&Capability> {
        self.list.iter().find(|capability| capability.name == name)
    }

    /// All of them, in a fixed order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Capability> {
        self.list.iter()
    }

    /// The workspace's features that are worth building here.
    pub fn features(&self, config: &Config) -> Vec<String> {
        features::decide(std::env::consts::OS, self, &config.features)
    }

    /// Stage 2: replaces the verdict on `fuse` by the result of a real mount in a child; takes at
    /// most a few seconds.
    ///
    /// `probe_binary` is the workspace's probe. Without one nothing is proven, and `fuse` counts as
    /// missing. If FUSE is switched off there is nothing to prove.
    pub fn confirm(&mut self, probe_binary: Option<&Path>) {
        if self.mode == FuseMode::Off {
            return;
        }
        if let Some(fuse) = self.list.iter_mut().find(|capability| capability.name == "fuse") {
            *fuse = fuse_probe::confirmed(fuse, probe_binary);
        }
    }

    /// Whether a probe has something to prove.
    pub(crate) fn want_proof(&self) -> bool {
        self.mode != FuseMode::Off
    }

    /// The same as [`Capabilities::confirm`], if other code ran the probe, in the surroundings of
    /// the tests: with its output, or the reason why there is none.
    pub(crate) fn confirm_by(&mut self, outcome: Result<(Vec<u8>, Duration), String>) {
        if let Some(fuse) = self.list.iter_mut().find(|capability| capability.name == "fuse") {
            *fuse = fuse_probe::answered(fuse, outcome);
        }
    }

    /// Replaces the verdict on the capability of the same name.
    pub(crate) fn found(&mut self, verdict: Capability) {
        if let Some(capability) = self.list.iter_mut().find(|known| known.name == verdict.name) {
            *capability = verdict;
        }
    }

    /// The result for `name` in the surroundings of the tests.
    pub(crate) fn found_there(&mut self, name: &str, found: &Result<(), String>) {
        if let Some(capability) = self.list.iter_mut().find(|capability| capability.name == name) {
            *capability = match found {
                Ok(()) => Capability::present(capability.name.clone(), "bound in the box of the tests"),
                Err(cause) => Capability::missing(
                    capability.name.clone(),
                    format!("in the box of the tests: {cause}"),
                ),
            };
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
        super::detect(FuseMode::Auto, &config())
    }

    fn config() -> Config {
        let table = serde_json::json!({
            "programs": {"git": {"hint": "install it"}},
            "features": {"fuse": {"capability": "fuse", "always": ["linux"]}},
        });
        Config::parse(
            &serde_json::json!({ "universe": table }),
            Path::new("/Cargo.toml"),
        )
        .unwrap()
    }

    #[test]
    fn every_capability_has_one_name_and_some_evidence() {
        let capabilities = detect();
        let mut names: Vec<_> = capabilities
            .iter()
            .map(|capability| capability.name.as_ref())
            .collect();
        assert!(
            capabilities
                .iter()
                .all(|capability| !capability.evidence.is_empty())
        );
        assert_eq!(names, super::names(&config()).collect::<Vec<_>>());
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }

    #[test]
    fn what_the_workspace_describes_is_missing_until_it_is_tried() {
        let mut capabilities = detect();
        let git = capabilities.lookup("git").unwrap();
        assert_eq!((git.available, git.evidence.as_str()), (false, "not tried"));
        capabilities.found(Capability::present("git", "git version 2.50"));
        assert!(capabilities.lookup("git").unwrap().available);
    }

    #[test]
    fn lookup_knows_the_names_and_nothing_else() {
        let capabilities = detect();
        for name in super::names(&config()) {
            assert_eq!(
                capabilities
                    .lookup(name)
                    .map(|capability| capability.name.as_ref()),
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
    fn a_disabled_capability_is_missing_for_that_reason_and_stays_so() {
        let mut capabilities = super::detect(FuseMode::Off, &config());
        capabilities.confirm(Some(Path::new("/nonexistent/probe")));
        let fuse = capabilities.lookup("fuse").expect("`fuse` is always listed");
        assert_eq!(
            (fuse.available, fuse.evidence.as_str()),
            (false, "switched off by `--fuse off`")
        );
        assert!(capabilities.features(&config()).is_empty());
    }

    #[test]
    fn without_a_probe_binary_fuse_counts_as_missing() {
        let mut capabilities = detect();
        capabilities.confirm(None);
        let fuse = capabilities.lookup("fuse").expect("`fuse` is always listed");
        assert!(!fuse.available, "{fuse:?}");
    }
}
