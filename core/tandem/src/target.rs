//! `SHARE[:PATH]`: how a person names something in a share.

use std::str::FromStr;

use tandem_core::catalog::{PathError, SharePath};

/// A share, and something in it. `None` for the only share, and for the share itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) share: Option<String>,
    pub(crate) path: Option<SharePath>,
}

impl FromStr for Target {
    type Err = PathError;

    /// The first `:` ends the name of the share, which has none. A `/` at the end says that a
    /// folder is meant.
    fn from_str(text: &str) -> Result<Self, PathError> {
        let (share, path) = text.split_once(':').unwrap_or((text, ""));
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = match (path, text.ends_with(":/")) {
            ("", false) => None,
            ("", true) => Some(SharePath::parse("/")?),
            (path, _) => Some(SharePath::parse(path)?),
        };
        let share = Some(share.to_owned()).filter(|share| !share.is_empty());
        Ok(Self { share, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(share: Option<&str>, path: Option<&str>) -> Target {
        Target {
            share: share.map(str::to_owned),
            path: path.map(|path| SharePath::parse(path).unwrap()),
        }
    }

    #[test]
    fn a_share_and_a_path_may_both_be_left_out() {
        for (text, share, path) in [
            ("photos", Some("photos"), None),
            ("photos:", Some("photos"), None),
            ("photos:in/a.jpg", Some("photos"), Some("in/a.jpg")),
            ("photos:in/", Some("photos"), Some("in")),
            ("photos:12:30.txt", Some("photos"), Some("12:30.txt")),
            (":in", None, Some("in")),
            (":", None, None),
        ] {
            assert_eq!(text.parse(), Ok(target(share, path)), "{text}");
        }
    }

    #[test]
    fn a_way_out_of_the_share_is_refused() {
        for text in [
            "photos:/etc",
            "photos:../a",
            "photos:a//b",
            "photos:/",
            ":..",
            "photos:a\0",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
