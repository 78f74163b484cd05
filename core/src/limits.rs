//! Every bound of a peer on one page: queues, messages, files and timeouts, each with its unit and
//! its reason.
//!
//! A limit that has to agree with the relay stands in `tandem_relay::api` instead. Those that keep
//! the other side from asking too much are tested at their value and one past it, in the module
//! that enforces them; those that only pace our own work (timeouts, pauses, batch sizes) are not.

use std::time::Duration;

// ---- identity ----

/// Largest identity file that is read, in bytes. A real one has under 200; whatever is larger is
/// some other file.
pub const IDENTITY_FILE_LEN_MAX: usize = 1024;

// ---- rendezvous ----

/// Most addresses in a contact record. A laptop with VPN, containers and both IP versions has about
/// ten; 16 of the longest still fit into the record's fixed 512 bytes.
pub const CONTACT_ADDRESS_COUNT_MAX: usize = 16;
/// How far the clocks of two peers may be apart. A clock that is wrong by more is wrong by hours or
/// years.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a contact record may be used: as long as the relay keeps it (10 min), plus the
/// tolerated skew.
pub const CONTACT_RECORD_LIFETIME: Duration = Duration::from_secs(40 * 60);
/// Peers whose newest record is remembered by its time of issue, some 50 bytes each. A person knows
/// fewer.
pub const CONTACT_RECORDS_REMEMBERED_MAX: usize = 256;
/// How often a peer publishes its record anew: before the relay's 10 min are over, with time for
/// two attempts.
pub const CONTACT_REFRESH_INTERVAL: Duration = Duration::from_secs(8 * 60);
/// How long connecting to the relay may take. Three lost SYNs cost 7 s, two 3 s; whoever needs more
/// is not there.
pub const RELAY_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request to the relay may take in all, from connecting to the last byte of the
/// answer.
pub const RELAY_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer of a relay that is read, in bytes: the longest that an honest one gives. A sealed
/// record in JSON has 1.1 KiB, an error one sentence.
pub const RELAY_ANSWER_LEN_MAX: usize = tandem_relay::api::BODY_LEN_MAX;
/// How much of a relay's own explanation an error shows, in characters.
pub const RELAY_REASON_LEN_MAX: usize = 200;
/// Longest `Retry-After` that is believed: the life of an entry. After that it is gone anyway.
pub const RELAY_RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

// ---- health ----

/// From one ping to the next.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Silence that degrades a session: two heartbeats without any answer.
pub const DEGRADED_SILENCE: Duration = Duration::from_secs(10);
/// Silence that ends a session: four heartbeats. TCP itself would go on hoping for 15 minutes.
pub const DISCONNECTED_SILENCE: Duration = Duration::from_secs(20);
/// Average round trip that degrades a session. A satellite takes 0.6 s; past 2 s nobody enjoys a
/// mounted folder.
pub const DEGRADED_ROUND_TRIP: Duration = Duration::from_secs(2);
/// Unanswered pings that are remembered, so that a late answer can still be timed: 40 s of them.
pub const PENDING_PING_COUNT_MAX: usize = 8;

// ---- reconnect ----

/// Delay after the first failed attempt; it doubles from there.
pub const RECONNECT_DELAY_FIRST: Duration = Duration::from_secs(1);
/// Longest delay between attempts: who comes back after an hour should not wait minutes for the
/// other.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(30);
/// Attempts before giving up. With the delays between them they span one and a half to two and a
/// half minutes.
pub const RECONNECT_ATTEMPT_COUNT_MAX: u32 = 10;
/// For one attempt: a look-up at the relay (10 s), dialling and the handshake (5 + 10 s), and some
/// air.
pub const RECONNECT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the responder waits to be dialled before it dials itself: three quick attempts of the
/// initiator.
pub const RECONNECT_PATIENCE: Duration = Duration::from_secs(10);

// ---- session ----

/// Largest hello or greeting, in bytes. They hold a version and an id; whoever sends more is no
/// peer.
pub const GREETING_LEN_MAX: usize = 256;
/// From a TCP connection to the end of the greeting, on either side. A handshake costs about 1 ms
/// of computing and two round trips; past 10 s the other side is gone or hostile.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From an accepted TCP connection to its first bytes. A dialler sends them at once, so this is a
/// round trip and three lost packets. A connection that stays silent for longer loses its slot.
pub const FIRST_BYTES_TIMEOUT: Duration = Duration::from_secs(2);
/// Handshakes that a listener runs at once, before it knows which peer is there. One more ends
/// another one.
pub const PENDING_HANDSHAKES_MAX: usize = 32;
/// The same for one source, which is an IPv4 address or an IPv6 /48: half of all. A peer opens at
/// most all lanes of a session at once, so an honest one has room behind an address that it shares.
pub const PENDING_HANDSHAKES_PER_SOURCE_MAX: usize = 16;
const _: () = assert!(PENDING_HANDSHAKES_PER_SOURCE_MAX > SESSION_LANES_MAX);
/// Between the starts of two attempts at different addresses (RFC 8305 section 5 recommends 250
/// ms).
pub const DIAL_STAGGER: Duration = Duration::from_millis(250);
/// For one TCP connection attempt.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a listener rests after a failed accept (out of descriptors, usually), so that it does
/// not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Buffer between a socket and rustls, in bytes. rustls alone reads 4-18 KiB at a time; 256 KiB
/// measured best.
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

/// Disk that fetched contents may take which nobody makes use of, in bytes (16 GiB): what a mount
/// has read stays near, and a laptop does not fill up.
pub const DEPOT_FETCHED_LEN_MAX: u64 = 16 << 30;
/// Memory that the outlines of fetched contents may take before contents go that nobody uses, in
/// bytes (256 MiB): those of 8 TiB, which is more than is fetched at a time, and a peer may
/// announce any number of large files.
pub const DEPOT_OUTLINES_LEN_MAX: u64 = 256 << 20;
/// Fine outlines that are remembered of one content, 2 KiB each.
pub const FINE_OUTLINES_KEPT_MAX: usize = 1024;

// ---- transfer ----

/// Largest request or response header on a data lane, in bytes.
pub const LANE_FRAME_LEN_MAX: usize = 256;
/// Largest range of one request, in bytes.
pub const REQUEST_LEN_MAX: u32 = 16 * 1024 * 1024;
/// Groups of one request: [`REQUEST_LEN_MAX`] of them. Two lanes share a file of more than that.
pub const REQUEST_GROUPS_MAX: u64 = 16;
/// Requests in flight on one lane; small files are asked for without waiting for each other.
pub const PIPELINE_REQUESTS_MAX: usize = 64;
/// Bytes asked for ahead on one lane; the next request goes out while less than this is due.
pub const PIPELINE_LEN_MAX: u64 = 2 * REQUEST_LEN_MAX as u64;
/// Small files that are made durable together.
pub const SYNC_BATCH_MAX: usize = 64;
/// Groups of one file that may arrive wrong before the pull of it fails. Lanes are authenticated,
/// so a wrong group means that the holder's file or memory is not what it announced.
pub const CORRUPT_GROUPS_MAX: u32 = 3;
/// Bytes that one lane carries before a fresh one, with fresh keys, replaces it (64 GiB).
pub const ROTATE_AFTER_LEN: u64 = 64 << 30;
/// Data lanes that work for one pull at once.
pub const PULL_LANES_MAX: usize = 2;
/// Data lanes of one session that work for pulls, for one side.
pub const SESSION_PULL_LANES_MAX: usize = 4;
/// Data lanes of one session, in both directions together.
pub const SESSION_LANES_MAX: usize = 2 * (SESSION_PULL_LANES_MAX + DEMAND_LANES_MAX);
/// Between two lanes that are dialled because the other side asks for them, after
/// [`SESSION_LANES_MAX`] at once. An honest peer keeps its lanes; another may close each one and
/// ask again, with one short message for a whole handshake.
pub const ASKED_DIAL_INTERVAL: Duration = Duration::from_millis(100);
/// Fine outlines that a served lane remembers, 2 KiB each. Each saves reading and hashing a group
/// again.
pub const FINE_OUTLINES_SERVED_MAX: usize = 256;
/// Data lanes that work for readers at once. Pulls have others, so they can't starve a reader.
pub const DEMAND_LANES_MAX: usize = 2;
/// Bytes in flight on one such lane: about what it carries in 2 ms on a fast network, for so long
/// may what is read ahead stand in the way of somebody who waits.
pub const DEMAND_PIPELINE_LEN_MAX: u64 = 2 * 1024 * 1024;
/// Bytes in flight on one such lane of which all were asked for by somebody who waits.
pub const DEMAND_URGENT_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Pieces in flight on one such lane; each takes up to 33 requests.
pub const DEMAND_PIPELINE_ORDERS_MAX: usize = 16;
/// How long such a lane stays with its thread while nobody wants anything: longer than between two
/// reads of one program.
pub const DEMAND_IDLE_TIMEOUT: Duration = Duration::from_millis(500);
/// Groups that wait to be read ahead, of all files; more are not remembered.
pub const DEMAND_AHEAD_COUNT_MAX: usize = 256;
/// How long a reader waits for its bytes. Until then it may be a lost session that comes back.
pub const READ_PATIENCE: Duration = Duration::from_secs(30);
/// Whoever asks so soon for what a reader has just given up is told the same at once.
pub const READ_AGAIN_DELAY_MAX: Duration = Duration::from_millis(50);
/// What is read ahead first when a reader turns out to be sequential, in bytes; it doubles from
/// there.
pub const READ_AHEAD_LEN_FIRST: u64 = 1024 * 1024;
/// The most that is read ahead, in bytes: 16 ms on a fast network, a second and a half on 100
/// Mbit/s.
pub const READ_AHEAD_LEN_MAX: u64 = 16 * 1024 * 1024;
/// How far from where a sequential reader is expected its next read may be, in bytes: the kernel
/// reads ahead itself, in pieces that overtake each other.
pub const READ_AHEAD_SLACK_LEN: u64 = 2 * 1024 * 1024;
/// The same for a reader that is not known to be sequential yet.
pub const READ_AHEAD_GAP_LEN: u64 = 128 * 1024;

// ---- catalog ----

/// Longest name of a file, link or folder, in bytes. What ext4, NTFS and APFS can hold, counted in
/// the strictest way.
pub const SHARE_NAME_LEN_MAX: usize = 255;
/// Longest path inside a share, in bytes: PATH_MAX of Linux.
pub const SHARE_PATH_LEN_MAX: usize = 4096;
/// Most names in a path. Real trees have about 20; whatever walks a path may recurse this deep.
pub const SHARE_DEPTH_MAX: usize = 64;
/// Longest target of a symbolic link, in bytes: what Linux takes, PATH_MAX less the NUL at the end.
pub const LINK_TARGET_LEN_MAX: usize = 4095;
/// Most entries of a catalog, removed ones included, which take about 1 KiB of memory each.
pub const CATALOG_ENTRIES_MAX: usize = 1_000_000;
/// Bytes of memory that all entries of a catalog may take (1 GiB), counted by the four lengths
/// below, which come to within a fifth of what it really takes: about 400,000 ordinary files. A
/// change or a merge that would take more is refused whole; one that takes no more than before
/// never is.
pub const CATALOG_LEN_MAX: u64 = 1 << 30;
/// Memory that an entry takes besides its name and versions, with its places in the index, in
/// bytes.
pub const ENTRY_LEN: usize = 768;
/// Memory that a version takes besides its holders, and besides the target of a link, in bytes: a
/// node of a map for each.
pub const VERSION_LEN: usize = 1536;
/// Memory that a holder of a version takes, in bytes.
pub const HOLDER_LEN: usize = 48;
/// Memory that a replica takes whose changes of an entry were seen, in bytes.
pub const REPLICA_LEN: usize = 96;
/// States that are merged under one lock: half an honest page. Whoever waits for the catalog comes
/// before the next piece. With smaller ones a name that many entries share would cost more, since
/// each piece looks at all of them.
pub const MERGE_PIECE_ENTRIES_MAX: usize = 500;
/// Events of one merge whose paths are in memory at once: 16 MiB with the longest paths. One state
/// may change what is seen of everything in a folder.
pub const EVENTS_MADE_MAX: usize = 4096;
/// Most concurrent versions of one entry. Honest peers make as many as there are of them.
pub const ENTRY_VERSIONS_MAX: usize = 64;
/// Most replicas that may ever change one entry: as many starts of two peers.
pub const ENTRY_REPLICAS_MAX: usize = 1024;
/// Most holders that are remembered of one version; beyond it the smallest fingerprints are.
pub const VERSION_HOLDERS_MAX: usize = 256;
/// How far ahead of all we know a counter may be. No peer makes four thousand million changes while
/// nobody looks, and it would take as many such jumps to use up our own counter.
pub const CATALOG_COUNTER_LEAD_MAX: u64 = 1 << 32;

// ---- peer ----

/// How long `connect` looks for the other peer by default. People start the two sides by hand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the peer with the higher fingerprint waits to be dialled before it dials as well.
pub const INITIATOR_PATIENCE: Duration = Duration::from_secs(3);
/// Before the second question to the relay whether the other peer is there; grows by half each
/// time.
pub const LOOK_UP_DELAY_FIRST: Duration = Duration::from_millis(10);
/// The longest delay between two such questions.
pub const LOOK_UP_DELAY_MAX: Duration = Duration::from_secs(2);
/// How often a record is offered to a relay that is busy.
pub const PUBLISH_ATTEMPTS_MAX: u32 = 3;
/// Between two such offers.
pub const CONTACT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// Largest frame on a control lane, in bytes (1 MiB).
pub const CONTROL_FRAME_LEN_MAX: usize = 1024 * 1024;
/// Entries in one page of catalog states.
pub const PAGE_ENTRIES_MAX: usize = 1000;
/// Bytes of memory that the states of one page may count for (4 MiB), but for the last of them:
/// 1000 ordinary files count for less, and an entry for 1 MiB.
pub const PAGE_LEN_MAX: u64 = 4 << 20;
/// Control messages waiting to be sent or to be acted upon. They are small and few; catalog states
/// do not wait here.
pub const CONTROL_OUTBOX_LEN: usize = 64;
/// Control messages heard and not yet acted upon. They may be pages of catalog states, decoded, so
/// it is two.
pub const CONTROL_INBOX_LEN: usize = 2;
/// For writing one control frame; a peer that takes none for so long is gone.
pub const CONTROL_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// For the goodbye when a session is closed on purpose.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);
/// Events that a slow subscriber may fall behind before it misses some.
pub const EVENTS_KEPT: usize = 4096;
/// How long a pull waits for a lost session to come back before it fails.
pub const PULL_PATIENCE: Duration = Duration::from_secs(60);
/// Lanes of one pull that may break in a row without a byte of progress.
pub const PULL_LANE_FAILURES_MAX: u32 = 4;
/// How long a pull waits for the new version of a file that changed at its source.
pub const CHANGED_PATIENCE: Duration = Duration::from_secs(10);
/// How often a pull starts again because the file changed at its source.
pub const CHANGED_RESTARTS_MAX: u32 = 3;
/// For everything that a peer has started to end when it is closed.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// A session that lasted so long was a good one; after one that broke sooner the next attempt
/// waits.
pub const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Rest of a pull after a lane broke, times the number of failures in a row.
pub const LANE_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Entries with one content that a peer remembers. When the other side takes the content from the
/// entry that a file was shared as, one of these may take over. People have a few copies of a file.
pub const CONTENT_ENTRIES_MAX: usize = 64;
/// Contents to be looked at again because the other side got something else; more are dropped, it
/// will say so again.
pub const STALE_CONTENTS_MAX: usize = 16;
/// How often a file is read again because the other side says that it is not what it was, though
/// its stamp is.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// After such a reading the peer rests for this many times as long as the reading took: so at most
/// a twentieth of the time goes into it.
pub const RECHECK_REST_FACTOR: u32 = 20;
/// Files that are read again for that reason within one interval. Honest peers ask for one or two.
pub const RECHECKS_KEPT_MAX: usize = 1024;
/// Lanes that read a changed file again, or wait for one that does: all of one session. Another one
/// is told that the file has changed; it asks again when it hears of the new content.
pub const REREADING_LANES_MAX: usize = SESSION_LANES_MAX;
/// Until a record that could not be refreshed is offered again.
pub const REFRESH_RETRY_INTERVAL: Duration = Duration::from_secs(30);

// ---- mount ----

/// Largest file whose content is copied before it is written, so that its old content is served
/// until the new one is shared (64 MiB, about 20 ms). A larger one is written in place and its old
/// content is not served any more.
pub const COPY_ON_WRITE_LEN_MAX: u64 = 64 << 20;
/// Bytes that a handler of the kernel's calls copies or hashes by itself (about 1 ms); more is left
/// to another thread.
pub const AT_ONCE_LEN_MAX: u64 = 1 << 20;
/// Bytes that one call copies within the kernel; a larger copy is several calls.
pub const COPY_CALL_LEN_MAX: usize = 1 << 30;
/// How often a file is looked for again while it is opened or read and its content moves away
/// meanwhile.
pub const OPEN_ATTEMPTS_MAX: u32 = 8;
/// Until it is looked at for the first time whether a closed file that somebody can still write to
/// is mapped into memory, or only about to be closed by the kernel. Doubles from there.
pub const MAPPED_LOOK_INTERVAL_FIRST: Duration = Duration::from_millis(1);
/// Between two such looks at most: a look takes a microsecond, and what was stored is shared so
/// much later than it could be.
pub const MAPPED_LOOK_INTERVAL_MAX: Duration = Duration::from_millis(256);
/// How long the kernel may believe what it was told of names and attributes. It is told when they
/// change, so this only bounds what goes wrong.
pub const KERNEL_TTL: Duration = Duration::from_secs(60);
/// When the kernel is told of a change once more: by then an answer that crossed the first news has
/// arrived.
pub const KERNEL_ECHO_DELAY: Duration = Duration::from_secs(1);
/// Requests for read-ahead that the kernel keeps in flight on one mount.
pub const KERNEL_BACKGROUND_MAX: u16 = 64;
/// Read-ahead of the kernel where it can be set, in KiB; in round trips of 1 MiB.
pub const KERNEL_READ_AHEAD_KIB: u32 = 4096;
/// Threads that answer the kernel on one mount. They never wait, so it takes few.
pub const KERNEL_THREADS: usize = 2;
/// Calls on one mount that may take long, at once; more wait for their turn.
pub const SLOW_CALLS_MAX: usize = 64;
/// Dead mounts on top of each other that are taken away before a new one is made.
pub const DEAD_MOUNTS_MAX: usize = 16;
/// What is called the preferred length of reads and writes: as many bytes as the kernel puts into
/// one request.
pub const KERNEL_IO_LEN: u32 = 1024 * 1024;
/// File systems that may lie below the store for passthrough: ours is one, an overlay in a
/// container another.
pub const KERNEL_STACK_DEPTH: u32 = 2;
/// Links that are followed to find out where one leads, in a mount or on receiving it: no kernel
/// follows more (path_resolution(7)).
pub const LINKS_FOLLOWED_MAX: usize = 40;
/// Folders in which one mount remembers to have shown an inode; one that was in more counts as if
/// it were at the top.
pub const SEEN_FOLDERS_MAX: usize = 16;
/// Between two changes of the kernel's table of mounts while we wait for a mount to be gone; only
/// one that stays gets there.
pub const MOUNT_TABLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long unmounting waits for the last calls of the kernel. They take milliseconds, unless
/// another mount name space has a copy of the mount.
pub const UNMOUNT_PATIENCE: Duration = Duration::from_secs(3);
/// How long whoever still uses a mount may go on when it has to end, before its connection is
/// ended. Enough to finish what takes milliseconds; who needs longer is stuck, or has been left
/// behind.
pub const ABORT_PATIENCE: Duration = Duration::from_secs(1);
/// Changes that others may make to that table meanwhile.
pub const MOUNT_TABLE_CHANGES_MAX: usize = 1000;
