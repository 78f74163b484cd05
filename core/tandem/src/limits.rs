//! Every bound of the command, with unit and reason.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The ports that tandem listens on, for firewalls: a band that no common service uses.
pub(crate) const PORTS: RangeInclusive<u16> = 26_000..=27_000;
/// How long the relay of an invitation waits for requests in flight when it ends: the person waits
/// for it, and everybody may begin a request.
pub(crate) const RELAY_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// The unit of `--expires`.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// How long the list of what is shared may take to arrive after connecting. A million entries take
/// some seconds.
pub(crate) const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often the bar shows the progress; more often only flickers.
pub(crate) const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// How many times a second the bar is drawn at most.
pub(crate) const BAR_DRAWS_PER_SECOND: u8 = 10;
/// How long reports of changes are collected, so that a program that writes a file in pieces causes
/// one new version.
pub(crate) const CHANGES_COLLECTED_FOR: Duration = Duration::from_millis(100);
/// How long the two try to connect after they have met. Each is ready to let the other in soon
/// after that; a machine under load takes a while.
pub(crate) const FIRST_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a side waits before it tries again; both are about to be ready.
pub(crate) const FIRST_CONNECT_INTERVAL: Duration = Duration::from_millis(50);
/// How long a file that could not be brought waits for the next try: a disk that was full may have
/// room again. Each try says why it failed.
pub(crate) const BRING_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// How long events of the other side's changes are collected, so that what changes together is
/// compared once. Much shorter than a person notices.
pub(crate) const EVENTS_COLLECTED_FOR: Duration = Duration::from_millis(20);
/// How long `tandem up` waits before it looks for the other side again, once a search was given up.
pub(crate) const SEARCH_INTERVAL: Duration = Duration::from_secs(30);
/// How many names are tried for a version that goes beside a changed file.
pub(crate) const NAMES_TRIED_MAX: u32 = 1000;
/// Longest name of a share that becomes a folder here, in bytes: that of a file name almost
/// everywhere.
pub(crate) const SHARE_NAME_LEN_MAX: usize = 255;
/// Longest line of a request to a running share or of its answer, in bytes: a path of 4096 bytes
/// with every byte escaped, twice, and the rest.
#[cfg(unix)]
pub(crate) const CONTROL_LINE_LEN_MAX: u64 = 64 * 1024;
/// How many processes may ask a running share at a time. One more is told that it is busy.
#[cfg(unix)]
pub(crate) const CONTROL_CONNECTION_COUNT_MAX: usize = 16;
/// How long a process may take to send its request, and to take each line of the answer.
#[cfg(unix)]
pub(crate) const CONTROL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a running share is waited for before its next line: reading a large file to share it
/// sends none.
#[cfg(unix)]
pub(crate) const CONTROL_PATIENCE: Duration = Duration::from_secs(3600);
/// How long a running share may take to begin its answer. It has only to look at what it has.
#[cfg(unix)]
pub(crate) const CONTROL_FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a running share pauses when it can't take another connection, so that it does not spin.
#[cfg(unix)]
pub(crate) const CONTROL_ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Longest path of a socket, in bytes: what macOS takes, and Linux 4 more.
#[cfg(unix)]
pub(crate) const SOCKET_PATH_LEN_MAX: usize = 103;
