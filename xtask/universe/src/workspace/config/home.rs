//! Where the table stands that describes a workspace, and how errors name what is wrong in it.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;

/// The name of the table below `[workspace.metadata]`.
pub(crate) const TABLE: &str = "universe";

/// The name that it has where it was written for an earlier version.
const OLD_TABLE: &str = "xtask";

/// The manifest and the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    /// The root manifest.
    pub(crate) file: PathBuf,
    /// The path of the table, in front of every key that is named.
    pub(crate) table: String,
}

impl Home {
    /// The table with this name in the manifest `file`.
    pub(crate) fn new(table: &str, file: &Path) -> Home {
        Home {
            file: file.to_owned(),
            table: format!("workspace.metadata.{table}"),
        }
    }

    /// The whole path of a key; an empty one is the table itself.
    pub(crate) fn path(&self, key: &str) -> String {
        match key {
            "" => self.table.clone(),
            key => format!("{}.{key}", self.table),
        }
    }

    /// The error about a key: where it is, and why its value is invalid.
    pub(crate) fn misunderstood(&self, key: &str, why: &str) -> Stop {
        let (path, file) = (self.path(key), self.file.display());
        let message = format!("could not understand `{path}` in `{file}`: {why}");
        Stop::new(Exit::SetupFailed, FailureKind::Config, message)
    }
}

/// The table that is used, and what it holds.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) home: Home,
    /// Null where there is no table.
    pub(super) table: &'a Value,
    /// What a person has to know about the other table.
    pub(super) remark: Option<String>,
}

/// Finds the table in `[workspace.metadata]`. One with the old name in which nothing is known
/// belongs to another program. Of two tables the one with the present name is used.
pub(super) fn find<'a>(metadata: &'a Value, file: &Path) -> Found<'a> {
    let table = |name: &str| metadata.get(name).filter(|table| !table.is_null());
    let old = table(OLD_TABLE).filter(|old| old.as_object().is_some_and(is_ours));
    let (name, table, remark) = match (table(TABLE), old) {
        (Some(table), None) => (TABLE, table, None),
        (None, Some(table)) => (OLD_TABLE, table, None),
        (None, None) => (TABLE, &Value::Null, None),
        (Some(table), Some(_)) => (TABLE, table, Some(remark(file))),
    };
    Found {
        home: Home::new(name, file),
        table,
        remark,
    }
}

/// Whether a table of the old name is meant for this program.
fn is_ours(table: &Map<String, Value>) -> bool {
    table.is_empty() || table.keys().any(|key| super::SECTIONS.contains(&key.as_str()))
}

/// Says that the old table is not read.
fn remark(file: &Path) -> String {
    let (used, unused) = (Home::new(TABLE, file).table, Home::new(OLD_TABLE, file).table);
    format!(
        "`[{used}]` is used, and `[{unused}]` in `{}` is not read: move its keys",
        file.display()
    )
}
