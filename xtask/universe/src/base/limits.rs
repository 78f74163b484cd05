//! Every bound of the runner on one page: times, sizes and counts, each with its unit and its
//! reason.
//!
//! The name says what is bounded, for the reader of the module that enforces it: nothing here
//! enforces anything. Public, because a system that lacks the sandbox compiles its bounds too.
//! What bounds input from outside (arguments, files, output of tests and of other programs) is
//! tested at its value and one past it. The others pace our own work or shape what we show.

use std::time::Duration;

// ---- base: waits, locks, foreign text ----

/// Shortest time that an option accepts. Zero would be over before anything starts.
pub const DURATION_MIN: Duration = Duration::from_nanos(1);
/// Longest time that an option accepts: a year. No clock overflows by it.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Bytes of one line of another program. A longer one is shown as several lines, each checked by
/// itself, to bound the memory.
pub const FOREIGN_LINE_LEN_MAX: usize = 1024 * 1024;
/// Rounds of detaching mounts below a directory. One mount may hide others, which can be reached
/// only when it is gone; but a mount that resists does so for ever.
pub const DETACH_ROUNDS_MAX: usize = 100;
/// How long it may take to find the processes that were started with some variable.
pub const VARIABLE_SEARCH_TIMEOUT: Duration = Duration::from_secs(5);

// ---- workspace ----

/// Bytes from the end of what cargo wrote to stderr that go into the report of a failed build.
pub const BUILD_OUTPUT_LEN_MAX: usize = 64 * 1024;

// ---- machine: calibration and probes ----

/// How long the piece of work takes on an ordinary machine that does nothing else, unoptimised.
pub const CALIBRATION_USUAL: Duration = Duration::from_millis(3);
/// How often the piece of work is done before it counts as slow.
pub const CALIBRATION_ATTEMPTS_MAX: usize = 8;
/// The measured factor below which a difference is noise.
pub const SLOWNESS_MIN: f64 = 2.0;
/// The largest measured factor by which limits are stretched: at a quota of 5 % everything takes 17
/// times longer.
pub const SLOWNESS_MAX: f64 = 20.0;
/// The smallest factor that an argument may ask for. With less, every limit is over at once.
pub const FACTOR_MIN: f64 = 0.1;
/// The largest factor that an argument may ask for. An emulator is a hundred times slower.
pub const FACTOR_MAX: f64 = 1000.0;
/// A mount, a stat, a read and an unmount take 1 to 30 ms; a machine that needs more than 2 s has a
/// hung mount ...
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2 * SLOW_MACHINE_MARGIN);
/// ... unless it gets a fraction of a processor: at a quota of 20 % everything takes four times
/// longer.
const SLOW_MACHINE_MARGIN: u64 = 4;
/// How long a killed probe may take to be gone.
pub const PROBE_DEATH_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a probe's answer, which is one line; whatever is longer is not an answer.
pub const PROBE_ANSWER_LEN_MAX: u64 = 64 * 1024;
/// How long a connection to ourselves may take; it needs well under a millisecond unless something
/// drops packets.
pub const PROBE_CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

// ---- select: filters and history ----

/// Parentheses and `not`s of a filter within each other. People write fewer than ten.
pub const FILTER_DEPTH_MAX: usize = 64;
/// Characters of a filter. One that is longer did not come from a person.
pub const FILTER_LEN_MAX: usize = 64 * 1024;
/// Characters of a filter that are shown on each side of an error.
pub const FILTER_SHOWN_LEN_MAX: usize = 60;
/// Regular expressions, and groups in them, of one filter. Each takes some 100 KiB when it is
/// compiled, if all are as long as they may be.
pub const REGEX_PARTS_MAX: usize = 200;
/// Characters of a regular expression. One that is longer did not come from a person.
pub const REGEX_LEN_MAX: usize = 1000;
/// Bytes of a compiled regular expression: two thousand characters, each repetition written out.
pub const REGEX_SIZE_MAX: usize = 64 * 1024;
/// Groups and repetitions of a regular expression within each other.
pub const REGEX_DEPTH_MAX: u32 = 50;
/// Latest runs of which a test's duration is the median.
pub const DURATIONS_MAX: usize = 9;
/// Bytes of the history file. A longer one loses the older half of its lines; one line has about
/// 130 bytes.
pub const HISTORY_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a history file that is read. One that was merged from many may be longer than ours,
/// but not without end.
pub const HISTORY_READ_LEN_MAX: u64 = 64 * HISTORY_LEN_MAX;

// ---- runner: a run and its directory ----

/// Default limit of a whole run.
pub const RUN_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a binary may take to list its tests.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of all names on one command line; Windows allows 32 KiB for the whole line.
pub const NAMES_LEN_MAX: usize = 16 * 1024;
/// Our descriptors that a running test takes: two streams, the line to its supervisor, its log, and
/// each of the three twice for a moment.
pub const TEST_DESCRIPTORS_MAX: u64 = 8;
/// Our descriptors that are kept for everything else.
pub const OWN_DESCRIPTORS_MIN: u64 = 40;
/// Directories of ended runs that are kept.
pub const RUNS_KEPT_MAX: usize = 10;
/// Bytes of the lock file of a temporary directory. It has a path and three numbers.
pub const LOCK_FILE_LEN_MAX: u64 = 8 * 1024;
/// How long a run waits at its end for the removal of rubbish; the next run removes the rest.
pub const REMOVAL_WAIT_MAX: Duration = Duration::from_secs(2);
/// How long the questions for versions of tools may still take at the end of a run.
pub const VERSIONS_TIMEOUT: Duration = Duration::from_secs(1);

// ---- runner: one test ----

/// Default limit of a test.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Default time between asking a process to end and killing it.
pub const GRACE: Duration = Duration::from_secs(1);
/// Shortest time after which a test is slow. A limit that was stretched to nothing must not keep us
/// busy.
pub const SLOW_MIN: Duration = Duration::from_millis(1);
/// Least time between two reports that the same test is slow, however low its limit is.
pub const SLOW_INTERVAL_MIN: Duration = Duration::from_secs(1);
/// How long what is left in the pipes is read when a test has ended and its tree is dead.
pub const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Rounds of killing orphans. They may fork meanwhile; but not for ever.
pub const ORPHAN_ROUNDS_MAX: usize = 20;
/// Time between two of these rounds: the kernel reaps a killed process within a millisecond.
pub const ORPHAN_INTERVAL: Duration = Duration::from_millis(2);
/// Bytes of a stream that are kept in memory, of its beginning and of its end each. The log has
/// more.
pub const STREAM_PART_LEN_MAX: usize = 128 * 1024;
/// Bytes of a stream that are kept, in two such parts, where all of it is wanted: the names of a
/// hundred thousand tests have 10 MiB.
pub const STREAM_WHOLE_LEN_MAX: usize = 64 * 1024 * 1024;
/// Bytes of the log of a test; one that writes more is stuck in a loop.
pub const LOG_LEN_MAX: u64 = 64 * 1024 * 1024;
/// Characters of the message of a failure: about one line.
pub const FAILURE_MESSAGE_LEN_MAX: usize = 300;

// ---- runner: what the sandbox may take ----

/// How long a look at a test that took too long may take: some milliseconds, unless the machine is
/// in trouble.
pub const EXAMINE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long killing a tree and taking away its mounts may take: some milliseconds, unless the
/// kernel is in trouble.
pub const TREE_END_TIMEOUT: Duration = Duration::from_secs(20);
/// How long removing or copying the files of a test may take; they may be many.
pub const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Grace of a binary that was asked a question (`--list`, a version): it has nothing to clean up.
pub const QUESTION_GRACE: Duration = Duration::from_millis(100);

// ---- report: files, and what people see of them ----

/// Bytes of a file of events. A run of a hundred thousand tests that all print much has less.
pub const EVENTS_LEN_MAX: u64 = 4 << 30;
/// Leaks of one kind that are reported one by one; the rest is a count.
pub const LEAKS_OF_A_KIND_MAX: usize = 9;
/// Largest difference of two durations that is noise: from 1 ms to 3 ms is no news.
pub const NOISE_MAX: Duration = Duration::from_millis(50);
/// Directories that are named where a file system is full: those that hold most.
pub const HOLDERS_NAMED_MAX: usize = 5;
/// Leaks of one test in JUnit; a test that leaves more behind leaves them in a loop.
pub const JUNIT_LEAKS_MAX: usize = 100;
/// Bytes of one stream of one test in JUnit, half from its beginning and half from its end.
pub const JUNIT_TEXT_LEN_MAX: usize = 256 * 1024;
/// Bytes of an attribute in JUnit. Attributes are headlines; the text has all of it.
pub const JUNIT_LINE_LEN_MAX: usize = 1024;
/// Bytes of the Markdown summary. GitHub takes no more from one step.
pub const MARKDOWN_LEN_MAX: usize = 1024 * 1024;
/// Bytes of them that are kept free for the words that say how much was left out.
pub const MARKDOWN_RESERVE_LEN_MIN: usize = 1024;
/// Bytes from the end of each stream of a failed test in the Markdown summary.
pub const MARKDOWN_OUTPUT_LEN_MAX: usize = 4 * 1024;
/// Slow tests that the Markdown summary names.
pub const MARKDOWN_SLOWEST_MAX: usize = 10;
/// Width from which on a bar of the timeline has its name in it, in per cent of the chart.
pub const TIMELINE_LABEL_MIN: f64 = 4.0;
/// Width up to which a bar of the timeline has no border, in per cent of the chart.
pub const TIMELINE_THIN_MAX: f64 = 0.5;
/// Marks of time above the timeline; more would overlap.
pub const TIMELINE_TICKS_MAX: u32 = 6;
/// Bytes from the end of each stream of a failed test on the timeline's page.
pub const TIMELINE_OUTPUT_LEN_MAX: usize = 8 * 1024;
/// Bytes of all of these together; a browser opens the page at once.
pub const TIMELINE_OUTPUTS_LEN_MAX: usize = 4 * 1024 * 1024;
/// Annotations of one kind. GitHub shows no more of a step.
pub const ANNOTATIONS_MAX: usize = 10;
/// Running tests that the terminal shows; more would fill the screen.
pub const LIVE_LINES_MAX: usize = 8;
/// Time between two drawings of them: what looks like motion and costs nothing.
pub const LIVE_INTERVAL: Duration = Duration::from_millis(100);
/// Leaks of one test that the terminal shows; the report has more.
pub const CONSOLE_LEAKS_MAX: usize = 10;
/// Lines of a failed test's output that the terminal shows; the log has more.
pub const CONSOLE_LINES_MAX: usize = 60;
/// Characters of each of these lines.
pub const CONSOLE_LINE_LEN_MAX: usize = 300;

// ---- sandbox: the keeper and the box ----

/// How long a keeper may take to be ready; it takes some milliseconds.
pub const KEEPER_HELLO_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a keeper may take to end when there is nothing left to do.
pub const KEEPER_END_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between two looks at whether it has ended; it takes about one millisecond.
pub const KEEPER_LOOK_INTERVAL: Duration = Duration::from_millis(1);
/// How long the child that rehearses the namespaces may take, which needs some milliseconds.
pub const REHEARSAL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a process may take that waits for this child in a child of its own.
pub const REHEARSAL_OUTER_TIMEOUT: Duration = Duration::from_secs(3);
/// How long strays are ended. They may fork meanwhile, or wait for what must be taken from them;
/// but not for ever.
pub const STRAY_TIME_MAX: Duration = Duration::from_secs(2);
/// Time between two looks at strays, or at supervisors that are to end.
pub const STRAY_LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// The same where each look takes longer.
pub const STRAY_LONG_LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How long supervisors in the box that have lost the runner may take to end; then they are ended.
pub const BOX_SUPERVISORS_END_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the box may take to end, with what is left in it. The runner waits for five seconds.
pub const BOX_END_TIMEOUT: Duration = Duration::from_secs(4);
/// How long, outside the box, strays are ended while supervisors that have lost the runner end:
/// these may have many files to remove.
pub const SUPERVISORS_END_TIMEOUT: Duration = Duration::from_secs(10);

// ---- sandbox: a supervisor and its test ----

/// Processes of a test at once, or half of those that this user may have; one more is taken for a
/// fork bomb.
pub const PROCESSES_MAX: usize = 2000;
/// Time between two looks for a fork bomb, for a test that is stuck, and for children that have
/// ended, whatever else happens meanwhile. Outside the box, where every mount on the machine is
/// noticed, mounts are looked at no more often either.
pub const SUPERVISOR_LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Bytes of an order to a keeper: the kernel takes 2 MiB of arguments and environment.
pub const ORDER_LEN_MAX: usize = 8 << 20;
/// Descriptors that go with an order: standard output, standard error and, to the keeper, the
/// supervisor's end of its control socket.
pub const ORDER_DESCRIPTORS_MAX: usize = 3;
/// How long a killed child may take to be gone; one that waits for a file system may take for ever.
pub const KILLED_CHILD_TIMEOUT: Duration = Duration::from_millis(500);

// ---- sandbox: what a test leaves ----

/// Time between two looks at processes that may be about to end.
pub const REMAINS_LOOK_INTERVAL: Duration = Duration::from_millis(2);
/// Looks in a row in which a process that waits for something is idle, without having used
/// processor time.
pub const IDLE_LOOKS_MIN: u32 = 3;
/// Processor time that a process which runs all the time gets to end by itself, however long that
/// takes on a busy machine; then it is a leak that runs.
pub const REMAINS_BUSY_TIME_MAX: Duration = Duration::from_secs(1);
/// How long processes may take that wait for a disk, or get no processor at all.
pub const REMAINS_WAIT_MAX: Duration = Duration::from_secs(20);
/// How long it may take to describe the processes that were left.
pub const EVIDENCE_TIMEOUT: Duration = Duration::from_secs(2);
/// Rounds of killing, as the killed may fork meanwhile; but not for ever.
pub const KILL_ROUNDS_MAX: usize = 1000;
/// How long all rounds may take: each takes long where there are many processes, or one hangs. The
/// runner gives a test up after 20 seconds.
pub const KILL_TIME_MAX: Duration = Duration::from_secs(15);
/// Rounds of detaching, as one mount may hide another; but not for ever.
pub const DETACHES_MAX: usize = 20;
/// Rounds in which they are stopped first.
pub const STOPS_MAX: usize = 3;
/// Free bytes below which a file system has no room; a small one has, until it is less than a
/// [`FREE_PART_MIN`]th of all that it has.
pub const FREE_LEN_MIN: u64 = 32 << 20;
/// The same of inodes, of which each file and each directory takes one.
pub const FREE_FILES_MIN: u64 = 1000;
/// The divisor that makes the least free part of a small file system: 5 %.
pub const FREE_PART_MIN: u64 = 20;
/// How long it may take to measure what each directory holds.
pub const ROOM_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of all files of a test that are kept.
pub const KEEPSAKE_LEN_MAX: u64 = 64 << 20;
/// Entries of a test that are kept: files, folders and links.
pub const KEEPSAKE_ENTRIES_MAX: usize = 10_000;

// ---- sandbox: forensics and rescue ----

/// Characters of a command line, which are evidence enough.
pub const COMMAND_LEN_MAX: usize = 200;
/// How long a look at a test may take before it is killed.
pub const FORENSICS_TIMEOUT: Duration = Duration::from_millis(1500);
/// Descriptors of each process that are listed.
pub const FORENSICS_DESCRIPTORS_MAX: usize = 200;
/// Threads of each process that are listed.
pub const FORENSICS_THREADS_MAX: usize = 100;
/// How long a thread that is ending may wait for the answer of a file system: then its server is
/// dead, and there will be none.
pub const ANSWER_TIME_MAX: Duration = Duration::from_millis(300);
/// The same of one that waits for something else: a page that such a file system should write, a
/// lock that is held by another one that waits, or a disk.
pub const OTHER_TIME_MAX: Duration = Duration::from_secs(1);
/// How long it may take to unmount by force.
pub const FORCE_TIMEOUT: Duration = Duration::from_millis(500);
/// Attempts to unmount one connection by force.
pub const FORCE_TRIES_MAX: usize = 5;
/// Waiting threads from whose places it is tried, besides from ours.
pub const FORCE_PLACES_MAX: usize = 8;
/// Children that hung while they unmounted by force; after these no other one is started. Each of
/// them takes up to one second: the runner gives the test up after 20.
pub const FORCES_HUNG_MAX: usize = 5;
/// Waiting threads that are reported one by one.
pub const WAITERS_TOLD_MAX: usize = 9;

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
