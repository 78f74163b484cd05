//! A value in the table of a workspace with the path of its key, so that an error names the key.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::clock::parse_duration;
use crate::sandbox::isolation::Network;

/// What is invalid, and where.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// The path of the key below the table of the workspace.
    pub(crate) key: String,
    pub(crate) why: String,
}

impl Wrong {
    /// An error about the key `key`.
    pub(crate) fn new(key: impl Into<String>, why: impl Into<String>) -> Wrong {
        Wrong {
            key: key.into(),
            why: why.into(),
        }
    }
}

/// A value and the path of its key.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) path: String,
    pub(crate) value: &'a Value,
}

impl<'a> Entry<'a> {
    /// The value of the key `path`.
    pub(crate) fn new(path: impl Into<String>, value: &'a Value) -> Entry<'a> {
        Entry {
            path: path.into(),
            value,
        }
    }

    /// An error about this value.
    pub(crate) fn wrong(&self, why: impl Into<String>) -> Wrong {
        Wrong::new(self.path.clone(), why)
    }

    /// The keys of a table with their values.
    pub(crate) fn table(&self) -> Result<Vec<(&'a str, Entry<'a>)>, Wrong> {
        let table = self.value.as_object();
        let table = table.ok_or_else(|| self.wrong("it is a table"))?;
        let entry = |(key, value): (&'a String, &'a Value)| {
            let path = format!("{}.{key}", self.path);
            (key.as_str(), Entry::new(path, value))
        };
        Ok(table.iter().map(entry).collect())
    }

    /// The same; a table that is missing has none.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a str, Entry<'a>)>, Wrong> {
        match self.value.is_null() {
            true => Ok(Vec::new()),
            false => self.table(),
        }
    }

    /// An error about a key that this table lacks.
    pub(crate) fn missing(&self, key: &str) -> Wrong {
        Wrong::new(format!("{}.{key}", self.path), "it is missing")
    }

    /// The tables of a list, which is called `name`.
    pub(crate) fn list(&self, name: &str) -> Result<Vec<Entry<'a>>, Wrong> {
        let list = self.value.as_array();
        let list = list.ok_or_else(|| self.wrong(format!("it is a list of tables, `[[…{name}]]`")))?;
        let entry = |(number, value)| Entry::new(format!("{}[{number}]", self.path), value);
        Ok(list.iter().enumerate().map(entry).collect())
    }

    /// The value, which must be what `expected` describes.
    pub(crate) fn read<T: DeserializeOwned>(&self, expected: &str) -> Result<T, Wrong> {
        let wrong = |_| self.wrong(format!("`{}` is not {expected}", self.value));
        serde_json::from_value(self.value.clone()).map_err(wrong)
    }

    /// A text that is not empty and that a program can be given.
    pub(crate) fn text(&self, expected: &str) -> Result<String, Wrong> {
        let text: String = self.read(expected)?;
        match text.is_empty() || text.contains('\0') {
            true => Err(self.wrong(format!("`{}` is not {expected}", self.value))),
            false => Ok(text),
        }
    }

    /// A command: the program and its arguments.
    pub(crate) fn command(&self) -> Result<Vec<String>, Wrong> {
        const EXPECTED: &str = "a list of words such as [\"docker\", \"info\"]";
        let words: Vec<String> = self.read(EXPECTED)?;
        let has_program = words.first().is_some_and(|program| !program.is_empty());
        match has_program && !words.iter().any(|word| word.contains('\0')) {
            true => Ok(words),
            false => Err(self.wrong(format!("`{}` is not {EXPECTED}", self.value))),
        }
    }

    /// A length of time.
    pub(crate) fn duration(&self) -> Result<Duration, Wrong> {
        let text: String = self.read("a time such as \"60s\"")?;
        parse_duration(&text).map_err(|why| self.wrong(why))
    }

    /// The same, up to a limit.
    pub(crate) fn duration_up_to(&self, max: Duration) -> Result<Duration, Wrong> {
        let duration = self.duration()?;
        match duration <= max {
            true => Ok(duration),
            false => Err(self.wrong(format!("it is at most {} s", max.as_secs()))),
        }
    }

    /// The network of a test.
    pub(crate) fn network(&self) -> Result<Network, Wrong> {
        self.read("\"box\", \"own\" or \"host\"")
    }

    /// An error about a key that a table of this kind does not have.
    pub(crate) fn unknown(&self, kind: &str, keys: &[&str]) -> Wrong {
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>();
        let why = format!("there is no such key\nhint: {kind} has {}", keys.join(", "));
        self.wrong(why)
    }
}
