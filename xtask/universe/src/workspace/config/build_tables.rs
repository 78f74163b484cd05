//! The tables `archive`, `features` and `probe`, read key by key so that an error names the key.

use std::collections::BTreeMap;

use super::entry::{Entry, Wrong};
use super::own_capability::{BUILT_IN, OwnCapability};

/// When to build with a feature. Systems are named as by Rust: `linux`, `macos`, `windows`, ...
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feature {
    /// The capability that the feature uses. If that is switched off, the feature is not built.
    pub(crate) capability: String,
    /// Systems on which it always builds, even if it cannot be used.
    pub(crate) always: Vec<String>,
    /// Systems on which it builds only if the capability is present.
    pub(crate) where_found: Vec<String>,
}

/// Files that tests read at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Archive {
    /// Globs for paths relative to the root, in which `*` is any text.
    pub(crate) include: Vec<String>,
}

/// Tries whether FUSE works: started with the argument `fuse`, it mounts below TMPDIR and prints
/// one line of JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The package that contains it.
    pub package: String,
    /// The name of the binary.
    pub binary: String,
}

/// Systems that Rust names, on which tests may run.
const SYSTEMS: [&str; 11] = [
    "linux",
    "macos",
    "windows",
    "freebsd",
    "netbsd",
    "openbsd",
    "dragonfly",
    "illumos",
    "solaris",
    "android",
    "ios",
];

/// The table `archive`; a missing one is empty.
pub(super) fn archive(table: &Entry<'_>) -> Result<Archive, Wrong> {
    let mut archive = Archive::default();
    for (key, value) in table.entries()? {
        match key {
            "include" => archive.include = value.read("a list of globs such as [\"tests/data/*\"]")?,
            _ => return Err(value.unknown("the table", &["include"])),
        }
    }
    Ok(archive)
}

/// The table `features`, whose features may use these capabilities.
pub(super) fn features(
    table: &Entry<'_>,
    own: &BTreeMap<String, OwnCapability>,
) -> Result<BTreeMap<String, Feature>, Wrong> {
    let one = |(name, entry): (&str, Entry<'_>)| Ok((name.to_owned(), feature(&entry, own)?));
    table.entries()?.into_iter().map(one).collect()
}

fn feature(table: &Entry<'_>, own: &BTreeMap<String, OwnCapability>) -> Result<Feature, Wrong> {
    let (mut feature, mut capability) = (Feature::default(), None);
    for (key, value) in table.table()? {
        match key {
            "capability" => capability = Some(known(&value, own)?),
            "always" => feature.always = systems(&value)?,
            "where-found" => feature.where_found = systems(&value)?,
            _ => return Err(value.unknown("a feature", &["capability", "always", "where-found"])),
        }
    }
    let capability = capability.ok_or_else(|| table.missing("capability"))?;
    Ok(Feature {
        capability,
        ..feature
    })
}

/// The name of a capability.
fn known(entry: &Entry<'_>, own: &BTreeMap<String, OwnCapability>) -> Result<String, Wrong> {
    let name = entry.text("the name of a capability")?;
    let mut names = BUILT_IN.into_iter().chain(own.keys().map(String::as_str));
    match names.any(|known| known == name) {
        true => Ok(name),
        false => Err(entry.wrong(format!(
            "there is no capability `{name}`\nhint: describe it in `capabilities.{name}`"
        ))),
    }
}

fn systems(entry: &Entry<'_>) -> Result<Vec<String>, Wrong> {
    let systems: Vec<String> = entry.read("a list of systems such as [\"linux\", \"macos\"]")?;
    match systems.iter().find(|system| !SYSTEMS.contains(&system.as_str())) {
        None => Ok(systems),
        Some(other) => Err(entry.wrong(format!(
            "`{other}` is not a system\nhint: systems are {}",
            SYSTEMS.map(|name| format!("`{name}`")).join(", ")
        ))),
    }
}

/// The table `probe`; `None` if it is missing.
pub(super) fn probe(table: &Entry<'_>) -> Result<Option<Probe>, Wrong> {
    if table.value.is_null() {
        return Ok(None);
    }
    let (mut package, mut binary) = (None, None);
    for (key, value) in table.table()? {
        match key {
            "package" => package = Some(value.text("the name of a package")?),
            "binary" => binary = Some(value.text("the name of a binary")?),
            _ => return Err(value.unknown("the table", &["package", "binary"])),
        }
    }
    Ok(Some(Probe {
        package: package.ok_or_else(|| table.missing("package"))?,
        binary: binary.ok_or_else(|| table.missing("binary"))?,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The key and the reason of the error in these tables.
    fn wrong(tables: &Value) -> String {
        let table = |name: &str| Entry::new(name, tables.get(name).unwrap_or(&Value::Null));
        let own = BTreeMap::from([("kvm".to_owned(), OwnCapability::default())]);
        let read = archive(&table("archive"))
            .map(|_| ())
            .and_then(|()| features(&table("features"), &own).map(|_| ()))
            .and_then(|()| probe(&table("probe")).map(|_| ()));
        read.map_or_else(
            |wrong| format!("{}: {}", wrong.key, wrong.why),
            |()| String::new(),
        )
    }

    #[test]
    fn what_is_valid_is_read_and_what_is_missing_is_empty() {
        assert_eq!(wrong(&json!({})), "");
        let all = json!({
            "archive": {"include": ["tests/*"]},
            "features": {"f": {"capability": "kvm", "always": ["linux"], "where-found": ["freebsd"]}},
            "probe": {"package": "p", "binary": "b"},
        });
        assert_eq!(wrong(&all), "");
    }

    #[test]
    fn an_error_names_its_key_and_what_is_expected() {
        for (tables, key, why) in [
            (
                json!({"archive": {"includ": []}}),
                "archive.includ",
                "hint: the table has `include`",
            ),
            (
                json!({"archive": {"include": "x"}}),
                "archive.include",
                "is not a list of globs",
            ),
            (json!({"archive": []}), "archive", "it is a table"),
            (
                json!({"features": {"f": {}}}),
                "features.f.capability",
                "it is missing",
            ),
            (
                json!({"features": {"f": {"alwys": []}}}),
                "features.f.alwys",
                "hint: a feature has",
            ),
            (
                json!({"features": {"f": {"capability": "fsue"}}}),
                "features.f.capability",
                "there is no capability `fsue`\nhint: describe it in `capabilities.fsue`",
            ),
            (
                json!({"features": {"f": {"capability": "fuse", "always": ["linus"]}}}),
                "features.f.always",
                "`linus` is not a system\nhint: systems are `linux`, ",
            ),
            (
                json!({"probe": {"pakage": "p"}}),
                "probe.pakage",
                "hint: the table has `package`",
            ),
            (
                json!({"probe": {"package": ""}}),
                "probe.package",
                "is not the name of a package",
            ),
            (
                json!({"probe": {"package": "p"}}),
                "probe.binary",
                "it is missing",
            ),
        ] {
            let found = wrong(&tables);
            assert!(
                found.starts_with(&format!("{key}: ")) && found.contains(why),
                "{key}: {found}"
            );
        }
    }
}
