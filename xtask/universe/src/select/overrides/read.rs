//! Parses the tables `overrides` and `groups`, key by key, so that an error can name the key.

use serde_json::{Map, Value};

use super::{Group, Override, Rules, Treatment};
use crate::select::filter::Expression;
use crate::workspace::config::{Entry, Wrong};

/// The table in which the others stand.
const HOME: &str = "test";

const KEYS: [&str; 9] = [
    "filter",
    "timeout",
    "slow",
    "retries",
    "priority",
    "weight",
    "group",
    "exclusive",
    "network",
];

/// The key of the override with this number.
pub(super) fn path_of(number: usize) -> String {
    format!("{HOME}.overrides[{number}]")
}

/// Both tables.
pub(super) fn rules(table: &Map<String, Value>) -> Result<Rules, Wrong> {
    let mut rules = Rules::default();
    if let Some(value) = table.get("groups") {
        let groups = Entry::new(format!("{HOME}.groups"), value);
        for (name, group) in groups.table()? {
            rules.groups.push(self::group(name, &group)?);
        }
    }
    if let Some(value) = table.get("overrides") {
        let overrides = Entry::new(format!("{HOME}.overrides"), value);
        for entry in overrides.list("overrides")? {
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
            _ => return Err(value.unknown("a group", &["max"])),
        }
    }
    let max = max.ok_or_else(|| entry.missing("max"))?;
    Ok(Group {
        name: name.to_owned(),
        max,
    })
}

fn one(entry: &Entry<'_>, groups: &[Group]) -> Result<Override, Wrong> {
    let (mut filter, mut treatment) = (None, Treatment::default());
    for (key, value) in entry.table()? {
        match key {
            "filter" => filter = Some(expression(&value)?),
            "timeout" => treatment.timeout = Some(value.duration()?),
            "slow" => treatment.slow = Some(value.duration()?),
            "retries" => treatment.retries = Some(value.read("a number")?),
            "priority" => treatment.priority = Some(value.read("a number")?),
            "weight" => treatment.weight = Some(value.read("a number from 1")?),
            "exclusive" => treatment.exclusive = Some(value.read("`true` or `false`")?),
            "network" => treatment.network = Some(value.network()?),
            "group" => treatment.group = Some(number_of_group(&value, groups)?),
            _ => return Err(value.unknown("an override", &KEYS)),
        }
    }
    let filter = filter.ok_or_else(|| entry.missing("filter"))?;
    if treatment == Treatment::default() {
        let keys = KEYS.iter().filter(|key| **key != "filter");
        let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
        return Err(entry.wrong(format!(
            "it changes nothing\nhint: give any of {}",
            keys.join(", ")
        )));
    }
    let (text, filter) = filter;
    Ok(Override {
        text,
        filter,
        treatment,
    })
}

/// A filter as it stands there, and understood.
fn expression(entry: &Entry<'_>) -> Result<(String, Expression), Wrong> {
    let text: String = entry.read("a filter expression")?;
    let filter = Expression::parse(&text).map_err(|stop| entry.wrong(stop.message))?;
    Ok((text, filter))
}

fn number_of_group(entry: &Entry<'_>, groups: &[Group]) -> Result<usize, Wrong> {
    let name: String = entry.read("the name of a group")?;
    let number = groups.iter().position(|group| group.name == name);
    number.ok_or_else(|| {
        let table = format!("[…{HOME}.groups.{name}]");
        entry.wrong(format!(
            "there is no group `{name}`\nhint: `{table}` with `max = 1` makes one"
        ))
    })
}
