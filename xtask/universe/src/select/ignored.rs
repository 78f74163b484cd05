//! What happens to tests that are ignored for another reason than a need.

use std::str::FromStr;

use crate::select::ignore::Ignore;

/// Tests that are ignored for another reason than a need.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ignored {
    /// They are skipped.
    #[default]
    Skip,
    /// They run.
    Run,
    /// They run, and so do those that are ignored because of a need, but no others.
    Only,
}

impl FromStr for Ignored {
    type Err = String;

    fn from_str(text: &str) -> Result<Ignored, String> {
        match text {
            "true" | "all" => Ok(Ignored::Run),
            "only" => Ok(Ignored::Only),
            "false" | "default" => Ok(Ignored::Skip),
            _ => Err("the value must be `all`, `only` or `default`".to_owned()),
        }
    }
}

impl Ignored {
    /// Whether a test with this attribute is selected at all.
    pub(crate) fn admits(self, ignore: &Ignore) -> bool {
        self != Ignored::Only || *ignore != Ignore::No
    }

    /// As an option of `test`; `None` is the default.
    pub(crate) fn word(self) -> Option<String> {
        match self {
            Ignored::Skip => None,
            Ignored::Run => Some("--run-ignored".to_owned()),
            Ignored::Only => Some("--run-ignored=only".to_owned()),
        }
    }
}
