//! Parses the tables `overrides` and `groups`, key by key, so that an error can name the key.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Group, Override, Rules, Treatment};
use crate::base::clock::parse_duration;
use crate::select::filter::Expression;

/// The path of the tables, which precedes every key in a message.
const HOME: &str = "workspace.metadata.xtask.test";

const KEYS: &str = "filter, timeout, slow, retries, priority, weight, group, exclusive";

/// An error and its location.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) key: String,
    pub(super) why: String,
}

/// A value and the path of its key.
struct Entry<'a> {
    path: String,
    value: &'a Value,
}

/// The key of the override with this number.
pub(super) fn path_of(number: usize) -> String {
    format!("{HOME}.overrides[{number}]")
}

/// Both tables.
pub(super) fn rules(table: &Map<String, Value>) -> Result<Rules, Wrong> {
    let mut rules = Rules::default();
    if let Some(value) = table.get("groups") {
        let groups = Entry::new("groups".to_owned(), value);
        for (name, group) in groups.table()? {
            rules.groups.push(self::group(name, &group)?);
        }
    }
    if let Some(value) = table.get("overrides") {
        let path = "overrides";
        let list = value.as_array();
        let list = list.ok_or_else(|| bad(path, "it must be a list of tables, `[[…overrides]]`"))?;
        for (number, value) in list.iter().enumerate() {
            let entry = Entry::new(format!("{path}[{number}]"), value);
            rules.overrides.push(one(&entry, &rules.groups)?);
        }
    }
    Ok(rules)
}

fn group(name: &str, entry: &Entry<'_>) -> Result<Group, Wrong> {
    let mut max = None;
    for (key, value) in entry.table()? {
        match key {
            "max" => max = Some(value.read("a number from 1")?),
            _ => {
                return Err(bad(
                    &value.path,
                    "this key does not exist\nhint: a group has the key `max`",
                ));
            }
        }
    }
    let max = max.ok_or_else(|| bad(&format!("{}.max", entry.path), "this key is missing"))?;
    Ok(Group {
        name: name.to_owned(),
        max,
    })
}

fn one(entry: &Entry<'_>, groups: &[Group]) -> Result<Override, Wrong> {
    let (mut filter, mut treatment) = (None, Treatment::default());
    for (key, value) in entry.table()? {
        match key {
            "filter" => filter = Some(value.expression()?),
            "timeout" => treatment.timeout = Some(value.duration()?),
            "slow" => treatment.slow = Some(value.duration()?),
            "retries" => treatment.retries = Some(value.read("a number")?),
            "priority" => treatment.priority = Some(value.read("a number")?),
            "weight" => treatment.weight = Some(value.read("a number from 1")?),
            "exclusive" => treatment.exclusive = Some(value.read("`true` or `false`")?),
            "group" => treatment.group = Some(value.group(groups)?),
            _ => {
                let why = format!("this key does not exist\nhint: an override has the keys {KEYS}");
                return Err(bad(&value.path, &why));
            }
        }
    }
    let filter = filter.ok_or_else(|| bad(&format!("{}.filter", entry.path), "this key is missing"))?;
    let (text, filter) = filter;
    Ok(Override {
        text,
        filter,
        treatment,
    })
}

impl<'a> Entry<'a> {
    fn new(path: String, value: &'a Value) -> Entry<'a> {
        Entry { path, value }
    }

    fn table(&self) -> Result<Vec<(&'a str, Entry<'a>)>, Wrong> {
        let table = self.value.as_object();
        let table = table.ok_or_else(|| bad(&self.path, "it must be a table"))?;
        let entry = |(key, value): (&'a String, &'a Value)| {
            let path = format!("{}.{key}", self.path);
            (key.as_str(), Entry::new(path, value))
        };
        Ok(table.iter().map(entry).collect())
    }

    fn read<T: DeserializeOwned>(&self, expected: &str) -> Result<T, Wrong> {
        let wrong = |_| bad(&self.path, &format!("`{}` is not {expected}", self.value));
        serde_json::from_value(self.value.clone()).map_err(wrong)
    }

    fn duration(&self) -> Result<std::time::Duration, Wrong> {
        let text: String = self.read("a time such as \"60s\"")?;
        parse_duration(&text).map_err(|why| bad(&self.path, &why))
    }

    fn expression(&self) -> Result<(String, Expression), Wrong> {
        let text: String = self.read("a filter expression")?;
        let filter = Expression::parse(&text).map_err(|stop| bad(&self.path, &stop.message))?;
        Ok((text, filter))
    }

    fn group(&self, groups: &[Group]) -> Result<usize, Wrong> {
        let name: String = self.read("the name of a group")?;
        let number = groups.iter().position(|group| group.name == name);
        number.ok_or_else(|| {
            let why = format!(
                "there is no group `{name}`\nhint: `[{HOME}.groups.{name}]` with `max = 1` creates it"
            );
            bad(&self.path, &why)
        })
    }
}

fn bad(path: &str, why: &str) -> Wrong {
    Wrong {
        key: format!("{HOME}.{path}"),
        why: why.to_owned(),
    }
}
