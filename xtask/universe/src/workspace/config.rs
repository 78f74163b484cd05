//! What the runner has to be told of a workspace: `[workspace.metadata.universe]` of its root
//! manifest.
//!
//! Nothing has to stand there: a workspace without it has no features to choose, no probe and no
//! capabilities of its own. The options of `test` that stand below `test` are `profile`'s matter.

mod build_tables;
mod entry;
mod home;
mod own_capability;

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::base::exit::Stop;
use build_tables::Archive;
pub use build_tables::{Feature, Probe};
pub(crate) use entry::{Entry, Wrong};
pub(crate) use home::{Home, TABLE};
pub(crate) use own_capability::{
    Address, BUILT_IN, Open, OwnCapability, is_name as is_name_of_capability, is_plain_name,
};

/// The whole table.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it stands.
    pub(crate) home: Home,
    /// Whether there is one, so that `#[ignore = "needs …"]` is meant for this runner.
    pub(crate) is_given: bool,
    /// What a person has to know about another table.
    pub(crate) remark: Option<String>,
    /// The name of the project in reports.
    pub(crate) name: Option<String>,
    /// Cargo features of its packages that are worth building on some machines only.
    pub features: BTreeMap<String, Feature>,
    /// The binary that mounts for real.
    pub probe: Option<Probe>,
    /// What a test may need beside what is built in, by name.
    pub(crate) capabilities: BTreeMap<String, OwnCapability>,
    /// What an archive has besides the build.
    pub(crate) archive: Archive,
    /// The list `scripts`, not yet understood.
    pub(crate) scripts: Value,
    /// The table `test`, not yet understood.
    pub(crate) test: Map<String, Value>,
}

/// The keys of the table.
const SECTIONS: [&str; 8] = [
    "name",
    "archive",
    "features",
    "probe",
    "capabilities",
    "programs",
    "scripts",
    "test",
];

/// The keys of the table `test`.
const TABLES_OF_TEST: [&str; 3] = ["profiles", "overrides", "groups"];

impl Config {
    /// Understands `[workspace.metadata]`, which stands in the manifest `file`; null where nothing
    /// stands there.
    ///
    /// # Errors
    /// When something in the table is unknown or of the wrong kind; the message names file and key.
    pub(crate) fn parse(metadata: &Value, file: &Path) -> Result<Config, Stop> {
        let home::Found { home, table, remark } = home::find(metadata, file);
        let sections: Map<String, Value> = section(table, "", &home)?;
        let value = |name: &str| sections.get(name).unwrap_or(&Value::Null);
        if let Some((key, value)) = sections.iter().find(|(key, _)| !SECTIONS.contains(&key.as_str())) {
            let wrong = Entry::new(key, value).unknown("the table", &SECTIONS);
            return Err(unknown_section(&home, &wrong));
        }
        let entry = |name: &'static str| Entry::new(name, value(name));
        let named = |wrong: Wrong| home.misunderstood(&wrong.key, &wrong.why);
        let own = own_capability::read(&entry("capabilities"), &entry("programs")).map_err(named)?;
        Ok(Config {
            is_given: !table.is_null(),
            remark,
            name: section(value("name"), "name", &home)?,
            features: build_tables::features(&entry("features"), &own).map_err(named)?,
            probe: build_tables::probe(&entry("probe")).map_err(named)?,
            capabilities: own,
            archive: build_tables::archive(&entry("archive")).map_err(named)?,
            scripts: value("scripts").clone(),
            test: tables_of_test(section(value("test"), "test", &home)?, &home)?,
            home,
        })
    }
}

/// A table of the old name may belong to another program.
fn unknown_section(home: &Home, wrong: &Wrong) -> Stop {
    let (used, own) = (&home.table, Home::new(TABLE, &home.file).table);
    let hint = match *used == own {
        true => String::new(),
        false => format!("\nhint: if `[{used}]` is not for this runner, an empty `[{own}]` says so"),
    };
    home.misunderstood(&wrong.key, &format!("{}{hint}", wrong.why))
}

/// The same tables, if all of them are known; each is parsed where it is used.
fn tables_of_test(tables: Map<String, Value>, home: &Home) -> Result<Map<String, Value>, Stop> {
    match tables
        .iter()
        .find(|(key, _)| !TABLES_OF_TEST.contains(&key.as_str()))
    {
        None => Ok(tables),
        Some((key, value)) => {
            let wrong = Entry::new(format!("test.{key}"), value).unknown("the table", &TABLES_OF_TEST);
            Err(home.misunderstood(&wrong.key, &wrong.why))
        }
    }
}

fn section<T: DeserializeOwned + Default>(value: &Value, name: &str, home: &Home) -> Result<T, Stop> {
    if value.is_null() {
        return Ok(T::default());
    }
    T::deserialize(value).map_err(|error| home.misunderstood(name, &in_words(&error)))
}

/// The error, in the words of TOML.
pub(crate) fn in_words(error: &serde_json::Error) -> String {
    error.to_string().replace("expected a map", "expected a table")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(table: &Value) -> Result<Config, String> {
        parse_all(&json!({ "universe": table }))
    }

    fn parse_all(metadata: &Value) -> Result<Config, String> {
        Config::parse(metadata, Path::new("/p/Cargo.toml")).map_err(|stop| stop.message)
    }

    #[test]
    fn a_workspace_needs_no_settings() {
        let config = parse_all(&Value::Null).unwrap();
        assert!(
            !config.is_given && config.name.is_none() && config.features.is_empty() && config.test.is_empty()
        );
    }

    #[test]
    fn an_omitted_setting_has_a_default() {
        let config = parse(&json!({
            "features": {"fuse": {"capability": "fuse", "always": ["linux"]}},
        }))
        .unwrap();
        assert_eq!(config.features["fuse"].where_found, [""; 0]);
        assert!(config.is_given);
    }

    #[test]
    fn an_unknown_key_or_a_wrong_type_is_named_with_its_file() {
        for (table, parts) in [
            (
                json!({"naem": "x"}),
                ["`workspace.metadata.universe.naem`", "`name`"],
            ),
            (
                json!({"name": 5}),
                ["`workspace.metadata.universe.name`", "expected a string"],
            ),
            (
                json!({"programs": {"git": {"hnit": ""}}}),
                ["`workspace.metadata.universe.programs.git.hnit`", "`hint`"],
            ),
            (
                json!({"probe": {"package": "p"}}),
                ["`workspace.metadata.universe.probe.binary`", "it is missing"],
            ),
            (
                json!({"test": []}),
                ["`workspace.metadata.universe.test`", "expected a table"],
            ),
            (
                json!({"test": {"profiles": {}, "overides": []}}),
                [
                    "`workspace.metadata.universe.test.overides`",
                    "hint: the table has `profiles`, `overrides`, `groups`",
                ],
            ),
            (json!("x"), ["`workspace.metadata.universe`", "expected a table"]),
            (json!([]), ["`workspace.metadata.universe`", "expected a table"]),
            (
                json!({"probe": 3}),
                ["`workspace.metadata.universe.probe`", "it is a table"],
            ),
            (
                json!({"features": {"f": 3}}),
                ["`workspace.metadata.universe.features.f`", "it is a table"],
            ),
        ] {
            let message = parse(&table).unwrap_err();
            for part in parts.into_iter().chain(["`/p/Cargo.toml`"]) {
                assert!(message.contains(part), "{part}: {message}");
            }
        }
    }

    #[test]
    fn the_old_name_is_read_where_the_new_one_is_not_there() {
        let old = parse_all(&json!({"xtask": {"name": "x"}})).unwrap();
        assert_eq!((old.name.as_deref(), old.remark), (Some("x"), None));
        let message = parse_all(&json!({"xtask": {"name": "x", "naem": "x"}})).unwrap_err();
        assert!(message.contains("`workspace.metadata.xtask.naem`"), "{message}");
        assert!(
            message.contains("an empty `[workspace.metadata.universe]` says so"),
            "{message}"
        );
    }

    #[test]
    fn of_both_tables_the_new_one_is_used_and_a_remark_names_the_other_if_it_is_ours() {
        let both = parse_all(&json!({"universe": {"name": "new"}, "xtask": {"name": "old"}})).unwrap();
        assert_eq!(both.name.as_deref(), Some("new"));
        let remark = both.remark.unwrap();
        let parts = [
            "`[workspace.metadata.universe]` is used",
            "`[workspace.metadata.xtask]` in `/p/Cargo.toml`",
        ];
        assert!(parts.iter().all(|part| remark.contains(part)), "{remark}");
        let anothers = parse_all(&json!({"universe": {}, "xtask": {"codegen": 1}})).unwrap();
        assert_eq!((anothers.is_given, anothers.remark), (true, None));
        assert!(!parse_all(&json!({"xtask": {"codegen": 1}})).unwrap().is_given);
    }
}
