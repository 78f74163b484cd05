//! The bounds of the runner, each with its unit and its reason.

use std::time::Duration;

/// How long a capability of the workspace may take to be tried, unless its `timeout` says
/// otherwise: a client that asks a daemon which is just starting needs some seconds.
pub(crate) const CAPABILITY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a capability may take at most, whatever its `timeout` says: a run waits for it.
pub(crate) const CAPABILITY_TIMEOUT_MAX: Duration = Duration::from_secs(600);

/// How long a setup script may take, unless its `timeout` says otherwise: a container or a database
/// starts in less.
pub(crate) const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a setup script may take at most, whatever its `timeout` says: tests wait for it.
pub(crate) const SCRIPT_TIMEOUT_MAX: Duration = Duration::from_secs(3600);

/// How many bytes of variables a setup script may set: addresses, paths and tokens, and each test
/// gets a copy.
pub(crate) const SCRIPT_VARIABLES_LEN_MAX: u64 = 16 * 1024;

/// How many bytes of the end of what a failed setup script wrote each of its tests shows; all of it
/// is in the log.
pub(crate) const SCRIPT_OUTPUT_LEN_MAX: usize = 8 * 1024;

/// How many bytes of a source file are scanned for what its tests need: a larger one was generated.
pub(crate) const SOURCE_LEN_MAX: u64 = 8 << 20;

/// How many characters of what a program says become evidence: a line of a page that is read.
pub(crate) const EVIDENCE_LEN_MAX: usize = 200;
