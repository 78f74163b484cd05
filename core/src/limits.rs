//! Every bound of a peer on one page: queues, messages, files and timeouts, each with its unit and its reason.
//!
//! A limit that has to agree with the relay stands in `tandem_relay::api` instead. Each limit is tested at its value
//! and one past it, in the module that enforces it.

use std::time::Duration;

// ---- identity ----

/// Largest identity file that is read, in bytes. A real one has under 200; whatever is larger is some other file.
pub const IDENTITY_FILE_LEN_MAX: usize = 1024;

// ---- session ----

/// Largest hello or greeting, in bytes. They hold a version and an id; whoever sends more is no peer.
pub const GREETING_LEN_MAX: usize = 256;
/// From a TCP connection to the end of the greeting, on either side. A handshake costs about 1 ms of computing and two
/// round trips; past 10 s the other side is gone or hostile.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes that a listener runs at once, before it knows who is there. More wait in the kernel's queue.
pub const PENDING_HANDSHAKES_MAX: usize = 32;
/// Between the starts of two attempts at different addresses (RFC 8305 section 5 recommends 250 ms).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// For one TCP connection attempt.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a listener rests after a failed accept (out of descriptors, usually), so that it does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Buffer between a socket and rustls, in bytes. rustls alone reads 4-18 KiB at a time; 256 KiB measured best.
pub const LANE_BUFFER_LEN: usize = 256 * 1024;
/// How long a data lane may go without a single byte while bytes are due.
pub const LANE_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

// ---- store ----

/// Largest file that can be shared, in bytes (1 TiB). Its outline takes 32 MiB.
pub const FILE_LEN_MAX: u64 = 1 << 40;
/// Bytes read or written at once. Page-aligned blocks of 256 KiB measured best.
pub const IO_BLOCK_LEN: usize = 256 * 1024;
/// Threads that hash one file. A core hashes about 3 GB/s, so a few outrun any disk.
pub const HASH_THREADS_MAX: usize = 4;
/// How often a file that changes while it is hashed is hashed again before we give up.
pub const HASH_ATTEMPTS_MAX: u32 = 3;
