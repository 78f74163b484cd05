//! Every limit of the runner on one page: times, sizes and counts, each with its unit and reason.
//!
//! A name says what it limits; the module that enforces the limit imports it. Nothing here enforces
//! anything. Public, because a system without the sandbox compiles the sandbox's limits too. A
//! limit on outside input (arguments, files, output of tests and of other programs) is tested at
//! its value and one past it. The others pace the runner's own work or shape its output.

use std::time::Duration;

// ---- base: waits, locks, foreign text ----

/// Shortest time that an option accepts. Zero would expire before anything starts.
pub const DURATION_MIN: Duration = Duration::from_nanos(1);
/// Longest time that an option accepts: a year. It overflows no clock.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Bytes of one line of another program. A longer one is shown as several lines, each checked
/// separately, to bound memory.
pub const FOREIGN_LINE_LEN_MAX: usize = 1024 * 1024;
/// Rounds of detaching mounts below a directory. One mount may hide others, which can be reached
/// only after it is detached; but a mount may resist forever.
pub const DETACH_ROUNDS_MAX: usize = 100;
/// Time limit for finding all processes that were started with a given variable.
pub const VARIABLE_SEARCH_TIMEOUT: Duration = Duration::from_secs(5);

// ---- workspace ----

/// Bytes from the end of what cargo wrote to stderr that go into the report of a failed build.
pub const BUILD_OUTPUT_LEN_MAX: usize = 64 * 1024;
/// How many errors of the compiler a report has one by one, at most: one mistake can make
/// thousands.
pub const COMPILE_ERRORS_MAX: usize = 100;
/// How much of the text of one such error is kept, at most, in bytes: the type of one expression
/// can fill megabytes.
pub const COMPILE_ERROR_LEN_MAX: usize = 16 * 1024;
/// Levels of parentheses in `cfg(…)` of cargo's configuration. Each takes space on the stack; real
/// ones have two or three.
pub const CFG_DEPTH_MAX: usize = 64;

/// Files in an archive. The largest workspaces have a few thousand.
pub const ARCHIVE_FILES_MAX: usize = 100_000;
/// Bytes of all unpacked files of an archive: more than any build has, less than fills every disk.
pub const ARCHIVE_LEN_MAX: u64 = 64 << 30;
/// Bytes of the description in an archive, which is kept in memory.
pub const ARCHIVE_DESCRIPTION_LEN_MAX: u64 = 64 << 20;
/// Bytes of a path in an archive, which is kept in memory: PATH_MAX of Linux.
pub const ARCHIVE_PATH_LEN_MAX: u64 = 4096;
/// Bytes after the last file of an archive. Programs pad to 10 KiB, and may be told to pad more.
pub const ARCHIVE_PADDING_LEN_MAX: u64 = 1 << 20;

// ---- machine: calibration and probes ----

/// Time that the unit of work takes on an idle ordinary machine, unoptimised.
pub const CALIBRATION_USUAL: Duration = Duration::from_millis(3);
/// Repetitions of the unit of work before the machine counts as slow.
pub const CALIBRATION_ATTEMPTS_MAX: usize = 8;
/// Measured factors below this one are noise.
pub const SLOWNESS_MIN: f64 = 2.0;
/// Largest measured factor by which limits are extended: at a quota of 5 % everything takes 17
/// times longer.
pub const SLOWNESS_MAX: f64 = 20.0;
/// Smallest factor that an argument may set. With a smaller one, every limit would expire at once.
pub const FACTOR_MIN: f64 = 0.1;
/// Largest factor that an argument may set. An emulator is a hundred times slower.
pub const FACTOR_MAX: f64 = 1000.0;
/// A mount, a stat, a read and an unmount take 1 to 30 ms; a machine that needs more than 2 s has a
/// hung mount ...
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2 * SLOW_MACHINE_MARGIN);
/// ... unless it has only a fraction of a processor: at a quota of 20 % everything takes four times
/// longer.
const SLOW_MACHINE_MARGIN: u64 = 4;
/// Time limit for a killed probe to exit.
pub const PROBE_DEATH_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a probe's answer, which is one line. Anything longer is not an answer.
pub const PROBE_ANSWER_LEN_MAX: u64 = 64 * 1024;
/// Time limit for a connection to this process itself. It needs well under a millisecond unless
/// packets are dropped.
pub const PROBE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

// ---- select: filters and history ----

/// Nesting depth of parentheses and `not` in a filter. People write fewer than ten.
pub const FILTER_DEPTH_MAX: usize = 64;
/// Characters of a filter. One that is longer did not come from a person.
pub const FILTER_LEN_MAX: usize = 64 * 1024;
/// Characters of a filter that are shown on each side of an error.
pub const FILTER_SHOWN_LEN_MAX: usize = 60;
/// Regular expressions, and groups in them, in one filter. Each takes some 100 KiB when compiled,
/// if all have the maximum length.
pub const REGEX_PARTS_MAX: usize = 200;
/// Characters of a regular expression. One that is longer did not come from a person.
pub const REGEX_LEN_MAX: usize = 1000;
/// Bytes of a compiled regular expression: two thousand characters, each repetition written out.
pub const REGEX_SIZE_MAX: usize = 64 * 1024;
/// Nesting depth of groups and repetitions in a regular expression.
pub const REGEX_DEPTH_MAX: u32 = 50;
/// Other doc tests that rustdoc is told to skip so that it runs one: those whose line ends in the
/// same digits. If there are more, the doc tests of the library run as one.
pub const DOC_TEST_SKIPS_MAX: usize = 100;
/// Latest runs whose median is a test's expected duration.
pub const DURATIONS_MAX: usize = 9;
/// Bytes of the history file. A longer one loses the older half of its lines; one line has about
/// 130 bytes.
pub const HISTORY_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a history file that the runner reads. A file merged from many may be longer than ours,
/// but not unboundedly.
pub const HISTORY_READ_LEN_MAX: u64 = 64 * HISTORY_LEN_MAX;

// ---- runner: a run and its directory ----

/// Default limit of a whole run.
pub const RUN_TIMEOUT: Duration = Duration::from_secs(180);
/// Time limit for a binary to list its tests.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for rustdoc to list the doc tests of a library. It reads the library as the compiler
/// does, which takes a second for 35,000 lines on an idle machine.
pub const RUSTDOC_LIST_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of all names on one command line; Windows allows 32 KiB for the whole line.
pub const NAMES_LEN_MAX: usize = 16 * 1024;
/// Descriptors of the runner for one running test: two streams, the connection to its supervisor,
/// its log, and each of the first three twice for a moment.
pub const TEST_DESCRIPTORS_MAX: u64 = 8;
/// Descriptors of the runner that are reserved for everything else.
pub const OWN_DESCRIPTORS_MIN: u64 = 40;
/// Directories of finished runs that are kept.
pub const RUNS_KEPT_MAX: usize = 10;
/// Bytes of the lock file of a temporary directory. It holds a path and three numbers.
pub const LOCK_FILE_LEN_MAX: u64 = 8 * 1024;
/// Time that a run waits at its end for the removal of leftovers; the next run removes the rest.
pub const REMOVAL_WAIT_MAX: Duration = Duration::from_secs(2);
/// Time that a run waits at its end for the versions of tools.
pub const VERSIONS_TIMEOUT: Duration = Duration::from_secs(1);

/// How many tests an error names that selects too many: more would hide what it says.
pub const TESTS_NAMED_MAX: usize = 10;

// ---- runner: one test ----

/// Default limit of a test.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Default time between asking a process to end and killing it.
pub const GRACE: Duration = Duration::from_secs(1);
/// Shortest time after which a test is slow. A limit scaled down to zero must not keep the runner
/// busy.
pub const SLOW_MIN: Duration = Duration::from_millis(1);
/// Least time between two reports of the same slow test, however low its limit is.
pub const SLOW_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// Time to read the rest of the pipes after a test has ended and its process tree is dead.
pub const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Rounds of killing orphans. They may fork meanwhile, but not forever.
pub const ORPHAN_ROUNDS_MAX: usize = 20;
/// Time between two of these rounds: the kernel reaps a killed process within a millisecond.
pub const ORPHAN_INTERVAL: Duration = Duration::from_millis(2);
/// Bytes kept in memory of a stream's beginning and of its end, each. The log has more.
pub const STREAM_PART_LEN_MAX: usize = 128 * 1024;
/// Bytes kept of a stream, in two such parts, where all of it is needed: the names of a hundred
/// thousand tests have 10 MiB.
pub const STREAM_WHOLE_LEN_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the log of a test; a test that writes more is stuck in a loop.
pub const LOG_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Characters of the message of a failure: about one line.
pub const FAILURE_MESSAGE_LEN_MAX: usize = 300;

// ---- runner: what the sandbox may take ----

/// Time limit for examining a test that timed out: some milliseconds, unless the machine is in
/// trouble.
pub const EXAMINE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for killing a process tree and detaching its mounts: some milliseconds, unless the
/// kernel is in trouble.
pub const TREE_END_TIMEOUT: Duration = Duration::from_secs(20);
/// Time limit for removing or copying the files of a test, which may be many.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Grace of a binary that answers a question (`--list`, a version): it has nothing to clean up.
pub const QUESTION_GRACE: Duration = Duration::from_millis(100);

// ---- report: files, and what people see of them ----

/// Bytes of a file of events. A run of a hundred thousand tests with much output has fewer.
pub const EVENTS_LEN_MAX: u64 = 4 << 30;
/// Leaks of one kind that are reported individually; the rest are counted.
pub const LEAKS_OF_A_KIND_MAX: usize = 9;
/// Largest difference of two durations that is noise: a change from 1 ms to 3 ms means nothing.
pub const NOISE_MAX: Duration = Duration::from_millis(50);
/// Directories that are named when a file system is full: the largest ones.
pub const HOLDERS_NAMED_MAX: usize = 5;
/// Leaks of one test in JUnit; a test with more leaks creates them in a loop.
pub const JUNIT_LEAKS_MAX: usize = 100;
/// Bytes of one stream of one test in JUnit, half from its beginning and half from its end.
pub const JUNIT_TEXT_LEN_MAX: usize = 256 * 1024;
/// Bytes of an attribute in JUnit. Attributes are headlines; the element's text is complete.
pub const JUNIT_LINE_LEN_MAX: usize = 1024;
/// Bytes of the Markdown summary. GitHub accepts no more from one step.
pub const MARKDOWN_LEN_MAX: usize = 1024 * 1024;
/// Bytes of the summary reserved for the note about what was left out.
pub const MARKDOWN_RESERVE_LEN_MIN: usize = 1024;
/// Bytes from the end of each stream of a failed test in the Markdown summary.
pub const MARKDOWN_OUTPUT_LEN_MAX: usize = 4 * 1024;
/// Slow tests that the Markdown summary names.
pub const MARKDOWN_SLOWEST_MAX: usize = 10;
/// Width, in per cent of the chart, from which a timeline bar contains its name.
pub const TIMELINE_LABEL_MIN: f64 = 4.0;
/// Width, in per cent of the chart, up to which a timeline bar has no border.
pub const TIMELINE_THIN_MAX: f64 = 0.5;
/// Time marks above the timeline; more would overlap.
pub const TIMELINE_TICKS_MAX: u32 = 6;
/// Bytes from the end of each stream of a failed test on the timeline's page.
pub const TIMELINE_OUTPUT_LEN_MAX: usize = 8 * 1024;
/// Bytes of all these streams together, so that a browser opens the page at once.
pub const TIMELINE_OUTPUTS_LEN_MAX: usize = 4 * 1024 * 1024;
/// Annotations of one kind. GitHub shows no more per step.
pub const ANNOTATIONS_MAX: usize = 10;
/// Running tests that the terminal shows; more would fill the screen.
pub const LIVE_LINES_MAX: usize = 8;
/// Characters of the bar that shows how many tests have ended: enough to see it grow.
pub const BAR_LEN_MAX: usize = 40;
/// A shorter bar says nothing; its row is left to the numbers.
pub const BAR_LEN_MIN: usize = 8;
/// Time between two redraws of them: it looks like motion and costs nothing.
pub const LIVE_INTERVAL: Duration = Duration::from_millis(100);
/// Leaks of one test that the terminal shows; the report has more.
pub const CONSOLE_LEAKS_MAX: usize = 10;
/// Lines of a failed test's output that the terminal shows; the log has more.
pub const CONSOLE_LINES_MAX: usize = 60;
/// Characters of each of these lines.
pub const CONSOLE_LINE_LEN_MAX: usize = 300;

// ---- sandbox: the keeper and the box ----

/// Time limit for a keeper to become ready; it needs some milliseconds.
pub const KEEPER_HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for an idle keeper to exit.
pub const KEEPER_END_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two checks whether it has exited; it needs about one millisecond.
pub const KEEPER_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// Time limit for the child that tries out the namespaces; it needs some milliseconds.
pub const REHEARSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for a process that waits for this child in a child of its own.
pub const REHEARSAL_OUTER_TIMEOUT: Duration = Duration::from_secs(3);
/// Time limit for ending strays. They may fork meanwhile, or wait for something that the keeper has
/// to take away, but not forever.
pub const STRAY_TIME_MAX: Duration = Duration::from_secs(2);
/// Time between two checks for strays, or for supervisors that should exit.
pub const STRAY_LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// The same where each check takes longer.
pub const STRAY_LONG_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Time limit for supervisors in the box to exit after the runner died; then the keeper kills them.
pub const BOX_SUPERVISORS_END_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for the box to exit with everything in it. The runner waits for five seconds.
pub const BOX_END_TIMEOUT: Duration = Duration::from_secs(4);
/// Outside the box: time in which strays are ended while supervisors exit after the runner died.
/// These may have many files to remove.
pub const SUPERVISORS_END_TIMEOUT: Duration = Duration::from_secs(10);

// ---- sandbox: a supervisor and its test ----

/// Processes of a test at once, or half of this user's limit if that is less; one more counts as a
/// fork bomb.
pub const PROCESSES_MAX: usize = 2000;
/// Time between two checks for a fork bomb, for a stuck test, and for exited children, whatever
/// else happens. Outside the box, where every mount on the machine is an event, mounts are checked
/// no more often either.
pub const SUPERVISOR_LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of an order to a keeper: the kernel accepts 2 MiB of arguments and environment.
pub const ORDER_LEN_MAX: usize = 8 << 20;
/// Descriptors sent with an order: standard output, standard error and, to the keeper, the
/// supervisor's end of its control socket.
pub const ORDER_DESCRIPTORS_MAX: usize = 3;
/// Time limit for a killed child to exit; one that waits for a file system may never exit.
pub const KILLED_CHILD_TIMEOUT: Duration = Duration::from_millis(500);

// ---- sandbox: what a test leaves ----

/// Time between two checks of processes that may be about to exit.
pub const REMAINS_LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// Successive checks in which a waiting process must be idle, without using processor time, to
/// count as a leak.
pub const IDLE_LOOKS_MIN: u32 = 3;
/// Processor time that a constantly running process gets to exit by itself, however long that takes
/// on a busy machine; then it counts as a running leak.
pub const REMAINS_BUSY_TIME_MAX: Duration = Duration::from_secs(1);
/// Time limit for processes that wait for a disk, or get no processor time at all.
pub const REMAINS_WAIT_MAX: Duration = Duration::from_secs(20);
/// Time limit for describing the leftover processes.
pub const EVIDENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Rounds of killing, because killed processes may fork meanwhile, but not forever.
pub const KILL_ROUNDS_MAX: usize = 1000;
/// Time limit for all rounds together: one takes long if there are many processes, or one hangs.
/// The runner gives a test up after 20 seconds.
pub const KILL_TIME_MAX: Duration = Duration::from_secs(15);
/// Rounds of detaching, because one mount may hide another, but not forever.
pub const DETACHES_MAX: usize = 20;
/// Rounds in which the processes are stopped first.
pub const STOPS_MAX: usize = 3;
/// Free bytes below which a file system counts as full. A small one counts as full when less than a
/// [`FREE_PART_MIN`]th of it is free.
pub const FREE_LEN_MIN: u64 = 32 << 20;
/// The same for inodes; each file and each directory takes one.
pub const FREE_FILES_MIN: u64 = 1000;
/// Divisor for the smallest free part of a small file system: 5 %.
pub const FREE_PART_MIN: u64 = 20;
/// Time limit for measuring the contents of all temporary directories.
pub const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of all files of a test that are kept.
pub const KEEPSAKE_LEN_MAX: u64 = 64 << 20;
/// Entries of a test that are kept: files, folders and links.
pub const KEEPSAKE_ENTRIES_MAX: usize = 10_000;

// ---- sandbox: forensics and rescue ----

/// Characters of a command line; these are enough evidence.
pub const COMMAND_LEN_MAX: usize = 200;
/// Time limit for examining a test before it is killed.
pub const FORENSICS_TIMEOUT: Duration = Duration::from_millis(1500);
/// Descriptors of each process that are listed.
pub const FORENSICS_DESCRIPTORS_MAX: usize = 200;
/// Threads of each process that are listed.
pub const FORENSICS_THREADS_MAX: usize = 100;
/// Time that an exiting thread may wait for the answer of a file system; after that its server is
/// dead and will not answer.
pub const ANSWER_TIME_MAX: Duration = Duration::from_millis(300);
/// The same for a thread that waits for something else: a page that such a file system should
/// write, a lock held by another waiting thread, or a disk.
pub const OTHER_TIME_MAX: Duration = Duration::from_secs(1);
/// Time limit for unmounting by force.
pub const FORCE_TIMEOUT: Duration = Duration::from_millis(500);
/// Attempts to unmount one connection by force.
pub const FORCE_TRIES_MAX: usize = 5;
/// Waiting threads from whose mount namespaces the runner tries it, besides its own.
pub const FORCE_PLACES_MAX: usize = 8;
/// Children that may hang while they unmount by force; after these, no further one is started. Each
/// takes up to one second; the runner gives the test up after 20.
pub const FORCES_HUNG_MAX: usize = 5;
/// Waiting threads that are reported individually.
pub const WAITERS_REPORTED_MAX: usize = 9;

// ---- own capabilities and setup scripts ----

/// How long a capability of the workspace may take to be tried, unless its `timeout` says
/// otherwise: a client that asks a daemon which is just starting needs some seconds.
pub const CAPABILITY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a capability may take at most, whatever its `timeout` says: a run waits for it.
pub const CAPABILITY_TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// How long a setup script may take, unless its `timeout` says otherwise: a container or a database
/// starts in less.
pub const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a setup script may take at most, whatever its `timeout` says: tests wait for it.
pub const SCRIPT_TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// How many bytes of variables a setup script may set: addresses, paths and tokens, and each test
/// gets a copy.
pub const SCRIPT_VARIABLES_LEN_MAX: u64 = 16 * 1024;
/// How many bytes of the end of what a failed setup script wrote each of its tests shows; all of it
/// is in the log.
pub const SCRIPT_OUTPUT_LEN_MAX: usize = 8 * 1024;
/// How many characters of an invalid line of variables an error shows: it may be a secret.
pub const SCRIPT_LINE_SHOWN_LEN_MAX: usize = 60;
/// How many bytes of a source file are scanned for what its tests need: a larger one was generated.
pub const SOURCE_LEN_MAX: u64 = 8 << 20;
/// How many characters of what a program says become evidence: a line of a page that is read.
pub const EVIDENCE_LEN_MAX: usize = 200;

// ---- the network of a failed test ----

/// Addresses that refused a connection to a test: a person looks for one.
pub const REFUSALS_MAX: usize = 8;
/// Packets of refused connections that are read after a test, so that a test that sends more and
/// more does not keep its supervisor busy.
pub const REFUSAL_PACKETS_MAX: usize = 10_000;
/// Characters of the line in which a test says that the network is unreachable.
pub const UNREACHED_LINE_LEN_MAX: usize = 160;
