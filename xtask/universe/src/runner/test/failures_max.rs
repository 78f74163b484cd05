//! After how many failures no further test starts, as a value of an option.

use std::num::NonZeroUsize;
use std::str::FromStr;

/// A number of failures; `None` for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FailuresMax(pub(super) Option<NonZeroUsize>);

impl FromStr for FailuresMax {
    type Err = String;

    fn from_str(text: &str) -> Result<FailuresMax, String> {
        match text {
            "all" => Ok(FailuresMax(None)),
            text => text
                .parse()
                .map(|count| FailuresMax(Some(count)))
                .map_err(|_| "the value must be a number from 1 or `all`".to_owned()),
        }
    }
}
