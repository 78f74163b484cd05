//! The bounds of the runner, each with its unit and its reason.

use std::time::Duration;

/// How long a capability of the workspace may take to be tried, unless its `timeout` says
/// otherwise: a client that asks a daemon which is just starting needs some seconds.
pub(crate) const CAPABILITY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a capability may take at most, whatever its `timeout` says: a run waits for it.
pub(crate) const CAPABILITY_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// How many bytes of a source file are scanned for what its tests need: a larger one was generated.
pub(crate) const SOURCE_LEN_MAX: u64 = 8 << 20;

/// How many characters of what a program says become evidence: a line of a page that is read.
pub(crate) const EVIDENCE_LEN_MAX: usize = 200;
