//! The table `[env]` of cargo's configuration, which cargo sets for the tests that it runs.
//!
//! Read as cargo reads it: from the `.cargo/config.toml` of the directory and of all its parents,
//! then from cargo's home; the nearer file wins. `include` is not followed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Default, Deserialize)]
struct File {
    #[serde(default)]
    env: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Text(String),
    Table {
        value: String,
        /// Whether it replaces a variable that is already set.
        #[serde(default)]
        force: bool,
        /// Whether it is a path relative to the directory that contains `.cargo`.
        #[serde(default)]
        relative: bool,
    },
}

/// The table: each value, and whether it replaces a variable that is already set.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings(pub(crate) BTreeMap<String, (OsString, bool)>);

impl Settings {
    /// Those for tests that run in `directory`.
    pub(crate) fn read(directory: &Path) -> Settings {
        let mut found = BTreeMap::new();
        for (base, text) in files(directory) {
            // Cargo has already reported errors in it.
            let file: File = toml::from_str(&text).unwrap_or_default();
            for (name, entry) in file.env {
                found.entry(name).or_insert_with(|| entry.resolve(&base));
            }
        }
        Settings(found)
    }

    /// The variables for tests; those that are already set stay, unless the table has `force`.
    pub(crate) fn variables(self) -> BTreeMap<String, OsString> {
        let wanted = |(name, (value, force)): (String, (OsString, bool))| {
            (force || std::env::var_os(&name).is_none()).then_some((name, value))
        };
        self.0.into_iter().filter_map(wanted).collect()
    }
}

/// The nearest file first, each with the directory that its paths are relative to.
fn files(directory: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    let above = directory.ancestors().map(|base| base.join(".cargo"));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    let read = |place: PathBuf| {
        let text = ["config", "config.toml"]
            .iter()
            .find_map(|name| std::fs::read_to_string(place.join(name)).ok())?;
        Some((place.parent()?.to_owned(), text))
    };
    above.chain(home).filter_map(read)
}

impl Entry {
    fn resolve(self, base: &Path) -> (OsString, bool) {
        match self {
            Entry::Text(value) => (value.into(), false),
            Entry::Table {
                value,
                force,
                relative: true,
            } => (base.join(value).into(), force),
            Entry::Table { value, force, .. } => (value.into(), force),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearer_file_wins_and_only_force_replaces_what_is_set() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        for (place, text) in [
            (
                &inner,
                "[env]\nXT_A = \"near\"\nXT_P = { value = \"x\", relative = true }\nPATH = \"no\"\n",
            ),
            (
                &directory.path().to_owned(),
                "[env]\nXT_A = \"far\"\nXT_B = \"far\"\nHOME = { value = \"h\", force = true }\n",
            ),
        ] {
            std::fs::create_dir_all(place.join(".cargo")).unwrap();
            std::fs::write(place.join(".cargo/config.toml"), text).unwrap();
        }
        let found = Settings::read(&inner).variables();
        let get = |name| {
            found
                .get(name)
                .map(|value: &OsString| value.display().to_string())
        };
        assert_eq!(get("XT_A").as_deref(), Some("near"));
        assert_eq!(get("XT_B").as_deref(), Some("far"));
        assert_eq!(get("XT_P"), Some(inner.join("x").display().to_string()));
        assert_eq!((get("PATH"), get("HOME").as_deref()), (None, Some("h")));
    }
}
