//! Cargo's configuration, as far as it is about tests: the table `[env]`, the rustdoc that runs
//! those of the documentation, and whatever else a caller looks up.
//!
//! Read as cargo reads it: from the `.cargo/config.toml` of the directory and of all its parents,
//! then from cargo's home, each with the files that it includes; the nearer file wins, and a file
//! wins over what it includes. Cargo reports errors in these files; here they are left out. The
//! crate `cargo-config2` is no help: it does not follow `include`.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use toml::{Table, Value};

use crate::base::invocation::Invocation;
use crate::base::program;

/// All settings of one directory.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, Setting>);

/// A setting, or a table of settings.
#[derive(Debug)]
pub(crate) enum Setting {
    /// By key. They may come from several files.
    Table(BTreeMap<String, Setting>),
    /// A value, and the file that it comes from.
    Value(Value, Arc<Path>),
}

impl Settings {
    /// Those for cargo when it runs in `directory`.
    pub(crate) fn read(directory: &Path) -> Settings {
        let mut settings = Settings::default();
        for file in files(directory) {
            let found = load(&file, &mut HashSet::new());
            add(&mut settings.0, found);
        }
        settings
    }

    /// Those of one file, which includes no others.
    #[cfg(test)]
    pub(super) fn of(text: &str, file: &Path) -> Settings {
        Settings(table(toml::from_str(text).unwrap(), &file.into()))
    }

    /// The setting with this path of keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Setting> {
        let (first, rest) = path.split_first()?;
        let found = self.0.get(*first)?;
        rest.iter().try_fold(found, |setting, key| setting.at(key))
    }

    /// The entries of the table with this name.
    pub(super) fn table(&self, name: &str) -> impl Iterator<Item = (&String, &Setting)> {
        let entries = match self.0.get(name) {
            Some(Setting::Table(entries)) => Some(entries),
            Some(Setting::Value(..)) | None => None,
        };
        entries.into_iter().flatten()
    }

    /// The table `[env]`.
    pub(crate) fn env(&self) -> EnvTable {
        let variables = self.table("env");
        EnvTable(
            variables
                .filter_map(|(name, setting)| Some((name.clone(), setting.variable()?)))
                .collect(),
        )
    }
}

/// The table `[env]`: each value, and whether it has `force`.
#[derive(Debug, Clone, Default)]
pub(crate) struct EnvTable(pub(crate) BTreeMap<String, (OsString, bool)>);

impl EnvTable {
    /// The variables that cargo sets for a test; one for which `is_set` holds stays as it is,
    /// unless the table has `force`.
    pub(crate) fn variables(self, is_set: impl Fn(&str) -> bool) -> BTreeMap<String, OsString> {
        let wanted = |(name, (value, force)): (String, (OsString, bool))| {
            (force || !is_set(&name)).then_some((name, value))
        };
        self.0.into_iter().filter_map(wanted).collect()
    }

    /// As cargo sets them for a test that this process starts.
    pub(crate) fn for_tests(self) -> BTreeMap<String, OsString> {
        self.variables(|name| inherited(name).is_some())
    }
}

impl Setting {
    fn at(&self, key: &str) -> Option<&Setting> {
        match self {
            Setting::Table(entries) => entries.get(key),
            Setting::Value(..) => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Setting::Value(value, _) => value.as_str(),
            Setting::Table(_) => None,
        }
    }

    fn is_true(&self) -> bool {
        matches!(self, Setting::Value(Value::Boolean(true), _))
    }

    /// The file that it comes from; of a table that of its first entry.
    pub(super) fn file(&self) -> &Path {
        match self {
            Setting::Value(_, file) => file,
            Setting::Table(entries) => entries
                .values()
                .next()
                .map_or(Path::new("config.toml"), Setting::file),
        }
    }

    /// The words of a text, or the texts of a list.
    pub(super) fn words(&self) -> Option<Vec<String>> {
        let Setting::Value(value, _) = self else {
            return None;
        };
        match value {
            Value::String(text) => Some(text.split_whitespace().map(str::to_owned).collect()),
            Value::Array(values) => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        }
    }

    /// A program, and the arguments that come before all others.
    pub(super) fn program(&self) -> Option<(OsString, Vec<String>)> {
        let words = self.words()?;
        let (program, arguments) = words.split_first()?;
        Some((program::within(self.base(), program), arguments.to_vec()))
    }

    /// A variable's value, and whether it replaces one that is set.
    fn variable(&self) -> Option<(OsString, bool)> {
        if let Some(text) = self.text() {
            return Some((text.into(), false));
        }
        let (value, is_true) = (self.at("value")?, |key| {
            self.at(key).is_some_and(Setting::is_true)
        });
        let text = value.text()?;
        let value = match is_true("relative") {
            true => value.base().join(text).into_os_string(),
            false => text.into(),
        };
        Some((value, is_true("force")))
    }

    /// The directory from which relative paths start: the one that contains `.cargo`.
    fn base(&self) -> &Path {
        let directory = self.file().parent().and_then(Path::parent);
        directory.unwrap_or(Path::new(""))
    }
}

/// The rustdoc that cargo calls for a workspace in this directory, if the configuration names one.
/// A path is relative to the directory that contains `.cargo`; a name is looked up.
pub(crate) fn rustdoc(directory: &Path) -> Option<OsString> {
    let settings = Settings::read(directory);
    let setting = settings.get(&["build", "rustdoc"])?;
    Some(program::within(setting.base(), setting.text()?))
}

/// The nearest file first.
fn files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let above = directory.ancestors().map(|base| base.join(".cargo"));
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    above.chain(home).filter_map(|place| {
        let names = ["config", "config.toml"].into_iter();
        names.map(|name| place.join(name)).find(|file| file.is_file())
    })
}

/// The content of a file and of those that it includes, of which the later ones win. `seen` are the
/// files that are loaded already.
fn load(file: &Path, seen: &mut HashSet<PathBuf>) -> BTreeMap<String, Setting> {
    if !seen.insert(file.to_owned()) {
        return BTreeMap::new();
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut content: Table = toml::from_str(&text).unwrap_or_default();
    let included = content.remove("include");
    let mut found = table(content, &file.into());
    let directory = file.parent().unwrap_or(Path::new(""));
    for path in paths(included.as_ref()).into_iter().rev() {
        add(&mut found, load(&directory.join(path), seen));
    }
    found
}

/// The value of `include`: a list of paths, or of tables with a path.
fn paths(included: Option<&Value>) -> Vec<&str> {
    let entries = included.and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| entry.as_str().or_else(|| entry.get("path")?.as_str()))
        .collect()
}

fn table(content: Table, file: &Arc<Path>) -> BTreeMap<String, Setting> {
    let setting = |value| match value {
        Value::Table(content) => Setting::Table(table(content, file)),
        value => Setting::Value(value, Arc::clone(file)),
    };
    content
        .into_iter()
        .map(|(key, value)| (key, setting(value)))
        .collect()
}

/// Adds what is not there yet.
fn add(settings: &mut BTreeMap<String, Setting>, more: BTreeMap<String, Setting>) {
    for (key, setting) in more {
        match (settings.entry(key), setting) {
            (Entry::Vacant(place), setting) => {
                place.insert(setting);
            }
            (Entry::Occupied(mut place), Setting::Table(more)) => {
                if let Setting::Table(entries) = place.get_mut() {
                    add(entries, more);
                }
            }
            (Entry::Occupied(_), Setting::Value(..)) => {}
        }
    }
}

/// The variables for what runs in `directory` as a test does.
pub(crate) fn variables(directory: &Path) -> BTreeMap<String, OsString> {
    Settings::read(directory).env().for_tests()
}

/// A variable of this process, unless cargo has set it only because cargo started this process.
pub(crate) fn inherited(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|_| !set_by_cargo().contains(name))
}

/// The variables that `cargo run` has set from its configuration when it started this process.
/// They are about the package of this program, and not about the workspace that it tests.
pub(crate) fn set_by_cargo() -> &'static BTreeSet<String> {
    static NAMES: OnceLock<BTreeSet<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let package = Invocation::current().package;
        let is_run = package.is_some() && std::env::var("CARGO_PKG_NAME").ok().as_deref() == package;
        match std::env::current_dir() {
            Ok(directory) if is_run => equal(&Settings::read(&directory), |name| std::env::var_os(name)),
            _ => BTreeSet::new(),
        }
    })
}

/// The variables that have the value that `settings` give them.
fn equal(settings: &Settings, value: impl Fn(&str) -> Option<OsString>) -> BTreeSet<String> {
    let given = settings.env().variables(|_| false).into_iter();
    given
        .filter(|(name, given)| value(name).as_ref() == Some(given))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files below a directory.
    fn write(directory: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = directory.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn texts(settings: &Settings, set: &[&str]) -> BTreeMap<String, String> {
        let found = settings.env().variables(|name| set.contains(&name)).into_iter();
        found
            .filter(|(name, _)| name.starts_with("XT_"))
            .map(|(name, value)| (name, value.display().to_string()))
            .collect()
    }

    #[test]
    fn rustdoc_is_a_name_or_a_path_relative_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join(".cargo")).unwrap();
        let with = |text: &str| {
            std::fs::write(directory.path().join(".cargo/config.toml"), text).unwrap();
            rustdoc(&directory.path().join("inner"))
        };
        assert_eq!(with("[build]\nrustdoc = \"mydoc\"\n"), Some("mydoc".into()));
        let path = directory.path().join("tools/mydoc").into_os_string();
        assert_eq!(with("[build]\nrustdoc = \"tools/mydoc\"\n"), Some(path));
    }

    #[test]
    fn the_nearer_file_wins_and_only_force_replaces_what_is_set() {
        let directory = tempfile::tempdir().unwrap();
        let near = "[env]\nXT_A = \"near\"\nXT_P = { value = \"x\", relative = true }\nXT_SET = \"no\"\n";
        let far = "[env]\nXT_A = \"far\"\nXT_B = \"far\"\nXT_FORCED = { value = \"h\", force = true }\n";
        write(
            directory.path(),
            &[("inner/.cargo/config.toml", near), (".cargo/config.toml", far)],
        );
        let inner = directory.path().join("inner");
        let found = texts(&Settings::read(&inner), &["XT_SET", "XT_FORCED"]);
        let place = inner.join("x").display().to_string();
        let expected = [
            ("XT_A", "near"),
            ("XT_B", "far"),
            ("XT_FORCED", "h"),
            ("XT_P", &place),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn an_included_file_counts_less_than_the_one_that_includes_it_and_a_later_one_more() {
        let directory = tempfile::tempdir().unwrap();
        let first = "include = [\"a.toml\", { path = \"b.toml\" }, { path = \"none.toml\", optional = true }]\n\
                     [env]\nXT_OWN = \"config\"\n";
        write(
            directory.path(),
            &[
                (".cargo/config.toml", first),
                (
                    ".cargo/a.toml",
                    "[env]\nXT_OWN = \"a\"\nXT_A = \"a\"\nXT_AB = \"a\"\n",
                ),
                (
                    ".cargo/b.toml",
                    "include = [\"config.toml\"]\n[env]\nXT_AB = \"b\"\n",
                ),
            ],
        );
        let found = texts(&Settings::read(directory.path()), &[]);
        let expected = [("XT_A", "a"), ("XT_AB", "b"), ("XT_OWN", "config")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, BTreeMap::from(expected));
    }

    #[test]
    fn a_path_starts_where_its_file_is_and_a_mere_name_is_left_to_path() {
        let settings = Settings::of(
            "a = \"x/y z\"\nb = [\"x y\", \"z\"]\nc = []\nd = 1\n",
            Path::new("/p/.cargo/config.toml"),
        );
        let program = |key| settings.get(&[key]).unwrap().program();
        assert_eq!(
            program("a"),
            Some((Path::new("/p").join("x/y").into(), vec!["z".to_owned()]))
        );
        assert_eq!(program("b"), Some(("x y".into(), vec!["z".to_owned()])));
        assert_eq!((program("c"), program("d")), (None, None));
    }

    #[test]
    fn a_variable_with_another_value_than_the_configuration_gives_it_is_a_persons() {
        let settings = Settings::of("env = { A = \"1\", B = \"1\", C = \"1\" }", Path::new("/c"));
        let value = |name: &str| match name {
            "A" => Some("1".into()),
            "B" => Some("2".into()),
            _ => None,
        };
        assert_eq!(equal(&settings, value), BTreeSet::from(["A".to_owned()]));
    }
}
