//! Which cargo features to build with: a pure decision over the workspace's rules, the system and
//! its capabilities.
//!
//! A feature that cannot be *built* here must not be selected (fuser's build script panics on a Mac
//! without macFUSE). A feature that builds but cannot *run* may still be selected, so that its code
//! is at least compiled.

use std::collections::BTreeMap;

use super::{Capabilities, Capability, FuseMode};
use crate::workspace::config::Feature;

/// The features to select on `system`, named as in [`std::env::consts::OS`].
pub(super) fn decide(
    system: &str,
    capabilities: &Capabilities,
    rules: &BTreeMap<String, Feature>,
) -> Vec<String> {
    let selected = rules
        .iter()
        .filter(|(_, rule)| is_worth_building(rule, system, capabilities));
    selected.map(|(name, _)| name.clone()).collect()
}

/// The same, if no capability decides it.
pub(super) fn certain(
    system: &str,
    mode: FuseMode,
    rules: &BTreeMap<String, Feature>,
) -> Option<Vec<String>> {
    let where_all = |available| {
        let capability = |rule: &Feature| Capability {
            available,
            ..Capability::missing(rule.capability.clone(), "assumed")
        };
        let list = rules.values().map(capability).collect();
        decide(system, &Capabilities { list, mode }, rules)
    };
    let (least, most) = (where_all(false), where_all(true));
    (least == most).then_some(least)
}

fn is_worth_building(rule: &Feature, system: &str, capabilities: &Capabilities) -> bool {
    let names = |systems: &[String]| systems.iter().any(|name| name == system);
    let is_off = rule.capability == "fuse" && capabilities.mode == FuseMode::Off;
    let found = capabilities.lookup(&rule.capability);
    let holds = || found.is_some_and(|capability| capability.available);
    !is_off && (names(&rule.always) || names(&rule.where_found) && holds())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> BTreeMap<String, Feature> {
        let rules = serde_json::json!({
            "fuse": {"capability": "fuse", "always": ["linux"], "where-found": ["macos"]},
            "winfsp": {"capability": "winfsp", "where-found": ["windows"]},
        });
        let metadata = serde_json::json!({ "universe": { "features": rules } });
        let manifest = std::path::Path::new("/p/Cargo.toml");
        crate::workspace::config::Config::parse(&metadata, manifest)
            .unwrap()
            .features
    }

    fn selected(system: &str, capability: Capability, mode: FuseMode) -> Vec<String> {
        let list = vec![capability];
        decide(system, &Capabilities { list, mode }, &rules())
    }

    #[test]
    fn features_are_certain_where_no_capability_decides_them() {
        let certain = |system, mode| certain(system, mode, &rules());
        assert_eq!(certain("linux", FuseMode::Auto), Some(vec!["fuse".to_owned()]));
        assert_eq!(certain("linux", FuseMode::Off), Some(vec![]));
        assert_eq!(certain("macos", FuseMode::Auto), None);
        assert_eq!(certain("macos", FuseMode::Off), Some(vec![]));
        assert_eq!(certain("windows", FuseMode::Off), None);
    }

    fn present(name: &'static str) -> Capability {
        Capability::present(name, "works")
    }

    fn missing(name: &'static str) -> Capability {
        Capability::missing(name, "is not there")
    }

    #[test]
    fn a_feature_that_always_builds_is_built_even_where_it_cannot_run() {
        assert_eq!(selected("linux", missing("fuse"), FuseMode::Auto), ["fuse"]);
    }

    #[test]
    fn a_disabled_feature_is_not_built() {
        for system in ["linux", "macos"] {
            assert_eq!(selected(system, present("fuse"), FuseMode::Off), [""; 0]);
        }
    }

    #[test]
    fn a_feature_that_needs_an_installed_library_is_built_only_where_it_is_found() {
        assert_eq!(selected("macos", present("fuse"), FuseMode::Auto), ["fuse"]);
        assert_eq!(selected("macos", missing("fuse"), FuseMode::Auto), [""; 0]);
        assert_eq!(selected("windows", present("winfsp"), FuseMode::Auto), ["winfsp"]);
        assert_eq!(selected("windows", missing("winfsp"), FuseMode::Auto), [""; 0]);
    }

    #[test]
    fn a_system_that_no_rule_names_gets_nothing() {
        assert_eq!(selected("freebsd", present("fuse"), FuseMode::Auto), [""; 0]);
    }
}
