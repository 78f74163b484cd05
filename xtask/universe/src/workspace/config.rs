//! The workspace's settings for the runner: `[workspace.metadata.xtask]` of its root manifest.
//!
//! The table is optional: a workspace without it has no features to choose, no probe and no
//! programs. `profile` handles the options of `test` below `test`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The name of the project in reports.
    pub(crate) name: Option<String>,
    /// Cargo features of its packages that are worth building on some machines only.
    pub features: BTreeMap<String, Feature>,
    /// The binary that mounts for real.
    pub probe: Option<Probe>,
    /// Programs that a test may need, by name.
    pub(crate) programs: BTreeMap<String, Program>,
    /// `[workspace.metadata.xtask.test]`, not yet parsed.
    pub(crate) test: Map<String, Value>,
}

/// When to build with a feature. Systems are named as by Rust: `linux`, `macos`, `windows`, ...
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub struct Feature {
    /// The capability that the feature uses. If that is switched off, the feature is not built.
    pub(crate) capability: String,
    /// Systems on which it always builds, even if it cannot be used.
    #[serde(default)]
    pub(crate) always: Vec<String>,
    /// Systems on which it builds only if the capability is present.
    #[serde(default)]
    pub(crate) where_found: Vec<String>,
}

/// Tries whether FUSE works: started with the argument `fuse`, it mounts below TMPDIR and prints
/// one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub struct Probe {
    /// The package that contains it.
    pub package: String,
    /// The name of the binary.
    pub binary: String,
}

/// A program and how to query its version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(crate) struct Program {
    /// What to do if it is missing.
    pub(crate) hint: String,
    #[serde(default = "version_flag")]
    pub(crate) version_flag: String,
}

fn version_flag() -> String {
    "--version".to_owned()
}

/// The keys of `[workspace.metadata.xtask.test]`.
const TABLES_OF_TEST: [&str; 3] = ["profiles", "overrides", "groups"];

/// The sections of the table, not yet parsed.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sections {
    name: Value,
    features: Value,
    probe: Value,
    programs: Value,
    test: Value,
}

impl Config {
    /// Parses `table` of the manifest `file`; null if there is no table.
    ///
    /// # Errors
    /// When a key is unknown or its value has the wrong kind. The message names file and key.
    pub(crate) fn parse(table: &Value, file: &Path) -> Result<Config, Stop> {
        // A derived `Deserialize` would accept a list as a table, too.
        let table: Map<String, Value> = section(table, "", file)?;
        let sections: Sections = section(&Value::Object(table), "", file)?;
        Ok(Config {
            name: section(&sections.name, ".name", file)?,
            features: section(&sections.features, ".features", file)?,
            probe: section(&sections.probe, ".probe", file)?,
            programs: section(&sections.programs, ".programs", file)?,
            test: tables_of_test(section(&sections.test, ".test", file)?, file)?,
        })
    }
}

/// The same tables, if all of them are known; each is parsed where it is used.
fn tables_of_test(tables: Map<String, Value>, file: &Path) -> Result<Map<String, Value>, Stop> {
    match tables.keys().find(|key| !TABLES_OF_TEST.contains(&key.as_str())) {
        None => Ok(tables),
        Some(key) => {
            let known = TABLES_OF_TEST.map(|known| format!("`{known}`")).join(", ");
            let why = format!("this key does not exist\nhint: known keys: {known}");
            Err(misunderstood(
                file,
                &format!("workspace.metadata.xtask.test.{key}"),
                &why,
            ))
        }
    }
}

fn section<T: DeserializeOwned + Default>(value: &Value, name: &str, file: &Path) -> Result<T, Stop> {
    if value.is_null() {
        return Ok(T::default());
    }
    T::deserialize(value).map_err(|error| {
        misunderstood(
            file,
            &format!("workspace.metadata.xtask{name}"),
            &in_words(&error),
        )
    })
}

/// The error, in the words of TOML.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    error.to_string().replace("expected a map", "expected a table")
}

/// An invalid setting in a manifest.
pub(crate) fn misunderstood(file: &Path, key: &str, why: &str) -> Stop {
    let message = format!("invalid `{key}` in `{}`: {why}", file.display());
    Stop::new(Exit::SetupFailed, FailureKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(table: &Value) -> Result<Config, String> {
        Config::parse(table, Path::new("/p/Cargo.toml")).map_err(|stop| stop.message)
    }

    #[test]
    fn a_workspace_needs_no_settings() {
        let config = parse(&Value::Null).unwrap();
        assert!(config.name.is_none() && config.features.is_empty() && config.test.is_empty());
    }

    #[test]
    fn an_omitted_setting_has_a_default() {
        let config = parse(&json!({
            "features": {"fuse": {"capability": "fuse", "always": ["linux"]}},
            "programs": {"git": {"hint": "install it"}},
        }))
        .unwrap();
        assert_eq!(config.features["fuse"].where_found, [""; 0]);
        assert_eq!(config.programs["git"].version_flag, "--version");
    }

    #[test]
    fn an_unknown_key_or_a_wrong_type_is_named_with_its_file() {
        for (table, parts) in [
            (json!({"naem": "x"}), ["`workspace.metadata.xtask`", "`naem`"]),
            (
                json!({"name": 5}),
                ["`workspace.metadata.xtask.name`", "expected a string"],
            ),
            (
                json!({"programs": {"git": {"hnit": ""}}}),
                ["`workspace.metadata.xtask.programs`", "`hnit`"],
            ),
            (
                json!({"probe": {"package": "p"}}),
                ["`workspace.metadata.xtask.probe`", "`binary`"],
            ),
            (
                json!({"test": []}),
                ["`workspace.metadata.xtask.test`", "expected a table"],
            ),
            (
                json!({"test": {"profiles": {}, "overides": []}}),
                [
                    "`workspace.metadata.xtask.test.overides`",
                    "hint: known keys: `profiles`, `overrides`, `groups`",
                ],
            ),
            (json!("x"), ["`workspace.metadata.xtask`", "expected a table"]),
            (json!([]), ["`workspace.metadata.xtask`", "expected a table"]),
            (
                json!({"probe": 3}),
                ["`workspace.metadata.xtask.probe`", "expected a table"],
            ),
            (
                json!({"features": {"f": 3}}),
                ["`workspace.metadata.xtask.features`", "expected a table"],
            ),
        ] {
            let message = parse(&table).unwrap_err();
            for part in parts.into_iter().chain(["`/p/Cargo.toml`"]) {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }
}
