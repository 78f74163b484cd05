//! Lines added to a TOML file whose other content stays: pure functions of its text. What comes of
//! it is read again and compared before anybody writes it.

use toml::{Table, Value};

use super::template;
use crate::workspace::config::TABLE;

/// A file with more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Added {
    /// All of it.
    pub(super) text: String,
    /// What follows the end of what was there, if that is all.
    pub(super) end: Option<String>,
    /// Whether the manifest had no `[workspace]` before.
    pub(super) makes_a_workspace: bool,
}

/// Adds the text of a table to the end of a manifest.
///
/// # Errors
/// Why it does not fit into it.
pub(super) fn add_table(before: &str, table: &str) -> Result<Added, String> {
    let old = parse(before)?;
    let end = at_the_end(before, table);
    let text = format!("{before}{end}");
    let new = parse(&text)?;
    let added = ["workspace", "metadata", TABLE]
        .iter()
        .try_fold(&new, |table, key| {
            table.get(*key).and_then(Value::as_table).ok_or(*key)
        });
    let added = added.map_err(|key| format!("`{key}` is no table"))?.clone();
    let mut expected = old.clone();
    let workspace = inner(&mut expected, "workspace")?;
    inner(workspace, "metadata")?.insert(TABLE.to_owned(), Value::Table(added));
    if new != expected {
        return Err("its other keys would change".to_owned());
    }
    Ok(Added {
        text,
        end: Some(end),
        makes_a_workspace: !old.contains_key("workspace"),
    })
}

/// Adds an alias to cargo's configuration; nothing where it is there.
///
/// # Errors
/// Why it does not fit into it.
pub(super) fn add_alias(before: &str, name: &str, value: &str) -> Result<Added, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.starts_with('-') || !name.chars().all(is_plain) {
        return Err(format!("`{name}` is no name for an alias"));
    }
    let old = parse(before)?;
    let unchanged = |text: String| Added {
        text,
        end: None,
        makes_a_workspace: false,
    };
    let line = format!("{} = \"{value}\"\n", template::key(name));
    let aliases = old.get("alias").map(Value::as_table);
    let text = match aliases.flatten().map(|aliases| aliases.get(name)) {
        Some(Some(Value::String(known))) if known == value => return Ok(unchanged(before.to_owned())),
        Some(Some(_)) => return Err(format!("it has another alias `{name}`")),
        Some(None) => below_header(before, &line).ok_or("it has no line `[alias]`")?,
        None => format!("{before}{}", at_the_end(before, &format!("\n[alias]\n{line}"))),
    };
    let mut expected = old;
    inner(&mut expected, "alias")?.insert(name.to_owned(), Value::String(value.to_owned()));
    match parse(&text)? == expected {
        true => Ok(unchanged(text)),
        false => Err("its other keys would change".to_owned()),
    }
}

fn parse(text: &str) -> Result<Table, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| format!("it would be invalid: {}", error.message()))
}

fn inner<'a>(table: &'a mut Table, key: &str) -> Result<&'a mut Table, String> {
    let value = table
        .entry(key.to_owned())
        .or_insert_with(|| Value::Table(Table::new()));
    value.as_table_mut().ok_or(format!("`{key}` is no table"))
}

/// What has to follow `before`, in its kind of line ends. A file that is empty gets no empty line.
fn at_the_end(before: &str, text: &str) -> String {
    let text = if before.is_empty() {
        text.trim_start()
    } else {
        text
    };
    let end = match before.is_empty() || before.ends_with('\n') {
        true => text.to_owned(),
        false => format!("\n{text}"),
    };
    match before.contains("\r\n") {
        true => end.replace('\n', "\r\n"),
        false => end,
    }
}

/// `before` with `line` below the header `[alias]`.
fn below_header(before: &str, line: &str) -> Option<String> {
    let mut text = String::with_capacity(before.len() + line.len());
    let mut lines = before.split_inclusive('\n');
    for next in lines.by_ref() {
        text.push_str(next);
        let header = next.split('#').next().unwrap_or_default().trim();
        if header == "[alias]" {
            text.push_str(&at_the_end(&text, line));
            text.extend(lines);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\n[workspace.metadata.universe]\n# name = \"x\"\n";

    #[test]
    fn a_table_follows_what_is_there_in_its_kind_of_lines() {
        let added = add_table("[package]\nname = \"a\"", TEXT).unwrap();
        assert!(
            added.text.starts_with("[package]\nname = \"a\"\n\n[workspace"),
            "{}",
            added.text
        );
        assert!(added.makes_a_workspace);
        let windows = add_table("[workspace]\r\nmembers = []\r\n", TEXT).unwrap();
        assert!(!windows.makes_a_workspace);
        assert!(
            windows
                .end
                .unwrap()
                .starts_with("\r\n[workspace.metadata.universe]\r\n")
        );
    }

    #[test]
    fn where_a_table_does_not_fit_nothing_is_added() {
        for before in [
            "workspace = { members = [] }\n",
            "[workspace]\nmetadata = { x = 1 }\n",
            "[workspace]\nmetadata.universe.name = \"a\"\n",
            "[workspace\n",
        ] {
            assert!(add_table(before, TEXT).is_err(), "{before}");
        }
    }

    #[test]
    fn an_alias_is_added_once_and_replaces_none() {
        let add = |before: &str| add_alias(before, "ut", "universe test");
        assert_eq!(add("").unwrap().text, "[alias]\nut = \"universe test\"\n");
        let other = "[alias] # ours\nb = \"build\"\n[env]\nA = \"1\"\n";
        let expected = "[alias] # ours\nut = \"universe test\"\nb = \"build\"\n[env]\nA = \"1\"\n";
        assert_eq!(add(other).unwrap().text, expected);
        assert_eq!(add(expected).unwrap().text, expected);
        assert_eq!(
            add("[env]\nA = \"1\"").unwrap().text,
            "[env]\nA = \"1\"\n\n[alias]\nut = \"universe test\"\n"
        );
        for before in [
            "[alias]\nut = \"run\"\n",
            "alias = {}\n",
            "alias.b = \"build\"\n",
            "[alias\n",
        ] {
            assert!(add(before).is_err(), "{before}");
        }
        assert!(add_alias("", "a b", "x").is_err() && add_alias("", "-a", "x").is_err());
    }
}
