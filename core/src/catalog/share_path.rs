//! Paths inside a share. Every path from another peer or from a person enters as a [`SharePath`].
//!
//! Owns parsing. A `SharePath` or a [`Name`] is always checked: deserialising makes the same
//! checks. Paths are relative, separated by `/`, and never touch a disk here. The store turns one
//! into a local path, beneath a root and without following links.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::name_rules;
use super::step_count::path_made;
use crate::limits::{SHARE_DEPTH_MAX, SHARE_NAME_LEN_MAX, SHARE_PATH_LEN_MAX, SHOWN_PATH_LEN_MAX};
use crate::printable::Printable;

/// The name of a file, link or folder: 1 to 255 bytes without `/` and NUL, not `.` or `..`. Cheap
/// to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// Checks `text` and makes it a name.
    pub fn new(text: &str) -> Result<Self, PathError> {
        name_rules::check(text).map_err(|fault| PathError::new(text, fault))?;
        Ok(Self(text.into()))
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Escaped, so that it is safe to print; [`Name::as_str`] is the name itself.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.0).fmt(f)
    }
}

impl TryFrom<String> for Name {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::new(&text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A path inside a share: 1 to 64 [`Name`]s with `/` between them, at most 4096 bytes. Cheap to
/// clone.
///
/// Sorted name by name, so that a folder comes right before what is in it.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct SharePath(Arc<str>);

impl SharePath {
    /// Checks `text` and makes it a path.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check(text).map_err(|fault| PathError::new(text, fault))?;
        Ok(Self(text.into()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names, outermost first.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// How many names it has; 1 for something at the top of the share.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.names().count()
    }

    /// The last name.
    #[must_use]
    pub fn name(&self) -> Name {
        Name(self.names().next_back().unwrap_or_default().into())
    }

    /// The folder that it is in; `None` at the top of the share.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// The path of `name` in the folder at this path.
    pub fn join(&self, name: &Name) -> Result<Self, PathError> {
        let text = format!("{}/{}", self.0, name.0);
        check_size(&text).map_err(|fault| PathError::new(&text, fault))?;
        path_made();
        Ok(Self(text.into()))
    }

    /// The path of `name` in `folder`, or at the top of the share.
    pub(crate) fn within(folder: Option<&Self>, name: &Name) -> Result<Self, PathError> {
        folder.map_or_else(|| Ok(Self(name.0.clone())), |folder| folder.join(name))
    }

    /// The longest name that something in `folder`, or at the top of the share, may have, in bytes;
    /// 0 if nothing may be in that folder.
    pub(super) fn name_len_max_in(folder: Option<&Self>) -> usize {
        match folder {
            None => SHARE_NAME_LEN_MAX,
            Some(folder) if folder.depth() >= SHARE_DEPTH_MAX => 0,
            Some(folder) => SHARE_PATH_LEN_MAX.saturating_sub(folder.0.len() + "/".len()),
        }
    }

    /// Whether it is `other`, or is somewhere inside it.
    #[must_use]
    pub fn starts_with(&self, other: &Self) -> bool {
        let rest = self.0.strip_prefix(&*other.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// This path after the folder `from` was renamed to `to`; `None` if it is not in `from`.
    pub(crate) fn moved(&self, from: &Self, to: &Self) -> Option<Result<Self, PathError>> {
        let rest = self
            .0
            .strip_prefix(&*from.0)
            .filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
        Some(Self::parse(&format!("{}{rest}", to.0)))
    }
}

fn check(text: &str) -> Result<(), PathFault> {
    if text.is_empty() {
        return Err(PathFault::Empty);
    }
    if text.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    check_size(text)?;
    text.split('/').try_for_each(name_rules::check)
}

fn check_size(text: &str) -> Result<(), PathFault> {
    let depth = text.split('/').count();
    match text.len() {
        len if len > SHARE_PATH_LEN_MAX => Err(PathFault::PathTooLong { len }),
        _ if depth > SHARE_DEPTH_MAX => Err(PathFault::TooDeep { depth }),
        _ => Ok(()),
    }
}

impl Ord for SharePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.names().cmp(other.names())
    }
}

impl PartialOrd for SharePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Escaped, so that it is safe to print; [`SharePath::as_str`] is the path itself.
impl fmt::Display for SharePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Printable(&self.0).fmt(f)
    }
}

impl fmt::Debug for SharePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for SharePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for SharePath {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Self, PathError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SharePath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::parse(&text)
    }
}

impl Serialize for SharePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Why a text is not a path inside a share.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` can't be the path of something shared: {fault}")]
pub struct PathError {
    /// The beginning of what was refused, escaped so that it is safe to print.
    pub path: String,
    /// What is wrong with it.
    pub fault: PathFault,
}

impl PathError {
    fn new(text: &str, fault: PathFault) -> Self {
        let path = text
            .chars()
            .take(SHOWN_PATH_LEN_MAX)
            .flat_map(char::escape_debug)
            .collect();
        Self { path, fault }
    }
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// It is empty.
    #[error("it is empty\nhint: name a file or folder inside the share")]
    Empty,
    /// It starts at the root of the file system.
    #[error("it is absolute\nhint: paths are relative to the share, without a `/` in front")]
    Absolute,
    /// Two separators in a row, or one at the end.
    #[error("it has an empty name in it\nhint: put exactly one `/` between names and none at the end")]
    EmptyName,
    /// A name is `.` or `..`.
    #[error("it has `.` or `..` in it\nhint: write the path without detours")]
    Dots,
    /// A NUL character.
    #[error("it has a NUL character in it\nhint: rename the file")]
    Nul,
    /// A separator where a single name is needed.
    #[error("a single name can't have `/` in it\nhint: use the last part of the path")]
    Separator,
    /// A name has too many bytes.
    #[error("it has a name of {len} bytes in it, at most {SHARE_NAME_LEN_MAX} fit\nhint: use a shorter name")]
    NameTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The path has too many bytes.
    #[error("it has {len} bytes, at most {SHARE_PATH_LEN_MAX} fit\nhint: use shorter names")]
    PathTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// There are too many folders within folders.
    #[error(
        "it is {depth} names deep, at most {SHARE_DEPTH_MAX} are allowed\nhint: use fewer nested folders"
    )]
    TooDeep {
        /// How many names it has.
        depth: usize,
    },
}

#[cfg(test)]
mod tests;
