//! Every limit of the chores on one page, each with its unit and its reason.
//!
//! Those of the runner are in `cargo_universe::base::limits`.

use std::time::Duration;

// ---- tidy ----

/// Lines of a source file. A longer one must be split.
pub(crate) const FILE_LINES_MAX: usize = 600;
/// Columns of a line that is only a comment, its indentation included.
pub(crate) const COMMENT_COLUMNS_MAX: usize = 100;
/// Parameters of a function, without `self`. A function that needs more takes a struct.
pub(crate) const PARAMETERS_MAX: usize = 5;

// ---- bench ----

/// Time limit of the mount measurements: a gigabyte, five times, through a slow mount on a busy
/// machine.
pub(crate) const MOUNT_BENCH_TIMEOUT: Duration = Duration::from_secs(900);
/// Time limit for another program's server to become ready. They need less than a second.
pub(crate) const SERVER_READY_TIMEOUT: Duration = Duration::from_secs(15);
/// Time between two checks whether something is ready.
pub(crate) const SERVER_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Longest time from the start of `cargo xtask test` with nothing to build to its first test.
pub(crate) const FIRST_TEST_MAX: Duration = Duration::from_secs(1);
/// Largest ratio of our time to that of nextest.
pub(crate) const RATIO_MAX: f64 = 1.0;

/// Longest time from the start of `tandem join` to the end of the pull of 1 KiB, in seconds. Of the
/// programs that people use for this, the quickest take 0.039 s.
#[cfg(unix)]
pub(crate) const FIRST_KIB_SECONDS_MAX: f64 = 0.025;
/// Most memory that one side of a transfer may take, in MiB.
#[cfg(unix)]
pub(crate) const SIDE_MIB_MAX: f64 = 32.0;

// ---- compat ----

/// Differences that are listed individually.
pub(crate) const DIFFERENCES_SHOWN_MAX: usize = 20;
/// Lines from the end of a failed runner's output that are shown.
pub(crate) const OUTPUT_LINES_MAX: usize = 80;

// ---- readers ----

/// Characters that are compared at each end of a text. Reports shorten long texts in the middle,
/// and keep more than this at each end.
pub(crate) const COMPARED_LEN_MAX: usize = 1000;
/// Lines from the end of a run's output that are shown if it ended in an unexpected way.
pub(crate) const SAMPLE_OUTPUT_LINES_MAX: usize = 20;

// ---- conformance ----

/// Time limit of fsx. 100,000 operations, many of which wait for the disk, took from 30 s to 225 s
/// on one machine, depending on its load.
pub(crate) const FSX_TIMEOUT: Duration = Duration::from_secs(900);
/// Bytes of its output that go into a message.
pub(crate) const FSX_MESSAGE_LEN_MAX: usize = 300;
/// Time limit of pjdfstest. With its short naps it takes some seconds.
pub(crate) const PJDFSTEST_TIMEOUT: Duration = Duration::from_secs(300);
/// Time limit for two peers to connect and mount. It takes less than a second; a busy machine gets
/// more.
pub(crate) const MOUNT_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit of unmounting. It takes milliseconds; an unmount that takes longer is stuck.
pub(crate) const UNMOUNT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of the child's output that go into a message.
pub(crate) const GROUND_MESSAGE_LEN_MAX: usize = 300;
