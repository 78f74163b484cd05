//! Every bound of a peer on one page: queues, messages, files and timeouts, each with its unit and
//! its reason.
//!
//! A limit that the relay must share is in `tandem_relay::api` instead. A limit that keeps others
//! from taking too much is tested at its value and one past it, in the module that enforces it.
//! Limits that only pace our own work (timeouts, pauses, batch sizes) are not.

use std::time::Duration;

// ---- identity ----

/// Largest identity file that is read, in bytes. A real one has under 200; a larger file is no
/// identity file.
pub const IDENTITY_FILE_LEN_MAX: usize = 1024;
/// How much of the first line of a file that is no identity file an error shows, in characters. The
/// longest real first line has 18.
pub const IDENTITY_FORMAT_SHOWN_LEN_MAX: usize = 24;

// ---- rendezvous ----

/// Most addresses in a contact record. A laptop with VPN, containers and both IP versions has about
/// ten; 16 of the longest still fit into the record's fixed 512 bytes.
pub const CONTACT_ADDRESS_COUNT_MAX: usize = 16;
/// How far the clocks of two peers may differ. A clock that differs by more is off by hours or
/// years.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(30 * 60);
/// How long a contact record can be used: as long as the relay keeps it (10 min), plus the
/// tolerated skew.
pub const CONTACT_RECORD_LIFETIME: Duration = Duration::from_secs(40 * 60);
/// Peers for which the issue time of the newest record is remembered, some 50 bytes each. A person
/// knows fewer.
pub const CONTACT_RECORDS_REMEMBERED_MAX: usize = 256;
/// How often a peer publishes its record again: before the relay's 10 min are over, with time for
/// two attempts.
pub const CONTACT_REFRESH_INTERVAL: Duration = Duration::from_secs(8 * 60);
/// How long connecting to the relay may take. Two lost SYNs cost 3 s, three cost 7 s; a relay that
/// needs more than 5 s is not there.
pub const RELAY_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request to the relay may take in total, from connecting to the last byte of the
/// answer.
pub const RELAY_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer of a relay that is read, in bytes: the longest answer of an honest relay. A
/// sealed record in JSON has 1.1 KiB, an error one sentence.
pub const RELAY_ANSWER_LEN_MAX: usize = tandem_relay::api::BODY_LEN_MAX;
/// How much of a relay's own explanation an error shows, in characters: two lines of a terminal.
pub const RELAY_REASON_LEN_MAX: usize = 200;
/// Longest `Retry-After` that is accepted: the life of an entry. Afterwards the relay has dropped
/// the entry anyway.
pub const RELAY_RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

// ---- health ----

/// From one ping to the next.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// Silence that degrades a session: two heartbeats without an answer.
pub const DEGRADED_SILENCE: Duration = Duration::from_secs(10);
/// Silence that ends a session: four heartbeats. TCP itself would wait for 15 minutes.
pub const DISCONNECTED_SILENCE: Duration = Duration::from_secs(20);
/// Average round trip that degrades a session. A satellite takes 0.6 s; above 2 s a mounted folder
/// is hard to use.
pub const DEGRADED_ROUND_TRIP: Duration = Duration::from_secs(2);
/// Unanswered pings that are remembered, so that late answers can still be timed: the pings of 40
/// s.
pub const PENDING_PING_COUNT_MAX: usize = 8;

// ---- reconnect ----

/// Delay after the first failed attempt; it doubles from there.
pub const RECONNECT_DELAY_FIRST: Duration = Duration::from_secs(1);
/// Longest delay between attempts: a peer that comes back after an hour should not wait minutes for
/// the other one.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(30);
/// Attempts before giving up. With the delays between them they take one and a half to two and a
/// half minutes.
pub const RECONNECT_ATTEMPT_COUNT_MAX: u32 = 10;
/// For one attempt: a look-up at the relay (10 s), dialling and the handshake (5 + 10 s), and some
/// reserve.
pub const RECONNECT_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the responder waits to be dialled before it dials itself: three quick attempts of the
/// initiator.
pub const RECONNECT_PATIENCE: Duration = Duration::from_secs(10);

// ---- session ----

/// Largest hello or greeting, in bytes. They hold a version and an id; only a program that is no
/// peer sends more.
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
/// For one TCP connection attempt. Two lost SYNs cost 3 s.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a listener pauses after a failed accept (usually no descriptors are left), so that it
/// does not spin.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Buffer between a socket and rustls, in bytes. rustls alone reads 4-18 KiB at a time; 256 KiB
/// measured best.
pub const LANE_BUFFER_LEN: usize = 256 * 1024;
/// How long a data lane may go without a single byte while bytes are due. A live peer sends some
/// within seconds.
pub const LANE_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

// ---- pairing ----

/// Longest life of an invitation: a day. A code that lies about for longer is found by others.
pub const INVITATION_LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the inviter lets the relay wait for an answer, with one request.
pub const ANSWER_WAIT: Duration = Duration::from_secs(tandem_relay::api::FETCH_WAIT_SECS_MAX);
/// How often the inviter asks a relay for an answer that does not wait. A person has just typed the
/// code and waits.
pub const ANSWER_POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long the joiner waits before it dials the inviter again, which refuses it until it has found
/// the answer at the relay. Most relays hand that over at once.
pub const JOINER_DIAL_INTERVAL_FIRST: Duration = Duration::from_millis(2);
/// How long it waits at most; the interval doubles.
pub const JOINER_DIAL_INTERVAL_MAX: Duration = Duration::from_millis(128);
/// How long the inviter waits for the joiner's dial before it dials itself: one of the two may be
/// behind a firewall.
pub const INVITER_PATIENCE: Duration = Duration::from_secs(1);
/// From an answer to the exchange of introductions. Three dials of 5 s with handshakes of 10 s.
pub const PAIRING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the other side may take to compare the check and agree: two people on a telephone.
pub const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// Lanes of the other side that wait to be used. It dials again while it is not expected yet.
pub const PAIRING_LANES_MAX: usize = 4;
/// Longest card that is handed over, in bytes: names, addresses and a few settings.
pub const CARD_LEN_MAX: usize = 4 * 1024;
/// Largest introduction, in bytes: a card, a key, a signature and a random number, each with its
/// length.
pub const INTRODUCTION_LEN_MAX: usize = CARD_LEN_MAX + 160;

// ---- store ----

/// Largest file that can be shared, in bytes (1 TiB). Its outline takes 32 MiB.
pub const FILE_LEN_MAX: u64 = 1 << 40;
/// Bytes read or written at once. Page-aligned blocks of 256 KiB measured best.
pub const IO_BLOCK_LEN: usize = 256 * 1024;
/// Threads that hash one file. A core hashes about 3 GB/s, so a few outrun any disk.
pub const HASH_THREADS_MAX: usize = 4;
/// Files of a folder that are hashed before the first of them is shared. 512 keep all cores busy,
/// and their hashes and paths take some hundred KiB.
pub const HASH_FILES_MAX: usize = 512;
/// Threads that hash the files of a folder. Beyond these, a disk is what takes the time.
pub const HASH_FILES_THREADS_MAX: usize = 16;
/// How often a file that changes while it is hashed is hashed before the peer gives up.
pub const HASH_ATTEMPTS_MAX: u32 = 3;
/// How long a file must not have changed, before it is read, for its stamp to differ after each
/// later write. The coarsest clock is that of FAT, with 2 s.
pub const STAMP_SETTLED_AFTER: Duration = Duration::from_secs(2);
/// Permission bits that a received file can have, as in git: only its owner may write to it.
pub const RECEIVED_MODE_MAX: u32 = 0o755;
/// Age at which a part file that no pull works on is removed by another pull into its folder. A
/// person repeats an interrupted pull within days.
pub const LEFTOVER_AGE_MAX: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// Part files of other, interrupted pulls that stay in one folder, the newest. A killed pull of
/// many small files leaves up to [`SYNC_BATCH_MAX`] for each of its lanes.
pub const LEFTOVER_COUNT_MAX: usize = 256;
/// Names in a folder among which a pull looks for part files of other pulls, beside two for each
/// file that it wants there. A pull of one file into a folder of 100,000 should not read them all.
pub const LEFTOVER_NAMES_MAX: usize = 4096;

/// Disk that unused fetched contents may take, in bytes (16 GiB): what a mount has read stays near,
/// and a laptop does not fill up.
pub const PEER_STORE_FETCHED_LEN_MAX: u64 = 16 << 30;
/// Memory that the outlines of fetched contents may take before unused contents are dropped, in
/// bytes (256 MiB). These are the outlines of 8 TiB, which is more than is fetched at a time; a
/// peer may announce any number of large files.
pub const PEER_STORE_OUTLINES_LEN_MAX: u64 = 256 << 20;
/// Fine outlines that are remembered of one content, 2 KiB each. They cover 1 GiB that is read at
/// random.
pub const FINE_OUTLINES_KEPT_MAX: usize = 1024;

// ---- journal ----

/// Largest payload of a record in a journal, in bytes (64 MiB). The outline of the largest file
/// takes half of that.
pub const JOURNAL_RECORD_LEN_MAX: usize = 64 << 20;
/// How many times its first length a journal may reach, and this much more in bytes, before it is
/// written anew: each byte is then rewritten about once.
pub const JOURNAL_GROWTH_FACTOR: u64 = 2;
/// See [`JOURNAL_GROWTH_FACTOR`]. 4 MiB are read in a few milliseconds.
pub const JOURNAL_GROWTH_LEN_MIN: u64 = 4 << 20;
/// Journals that are kept because they could not be used. A person has to look at the first one.
pub const JOURNALS_SET_ASIDE_MAX: usize = 100;
/// Files whose records are appended to a journal at once, under one lock of the catalog.
pub const JOURNAL_PAGE_FILES_MAX: usize = 512;
/// Bytes of outlines in these records, the last one not included (4 MiB): they are in memory.
pub const JOURNAL_PAGE_OUTLINES_LEN_MAX: usize = 4 << 20;
/// How often a journal is made durable while things change. A sync takes milliseconds, in which
/// the disk does nothing else.
pub const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// How long a peer waits after it could not write its journal, for example because the disk is
/// full.
pub const SAVE_RETRY_INTERVAL: Duration = Duration::from_secs(5);

// ---- transfer ----

/// Largest request or response header on a data lane, in bytes. The longest has under 60.
pub const LANE_FRAME_LEN_MAX: usize = 256;
/// Largest range of one request, in bytes (16 MiB): 16 ms on a fast network.
pub const REQUEST_LEN_MAX: u32 = 16 * 1024 * 1024;
/// Groups of one request: [`REQUEST_LEN_MAX`] of them. Two lanes share a file that has more.
pub const REQUEST_GROUPS_MAX: u64 = 16;
/// Requests in flight on one lane, so that small files do not wait for each other.
pub const PIPELINE_REQUESTS_MAX: usize = 64;
/// Bytes in flight on one lane; the next request is sent while fewer are due.
pub const PIPELINE_LEN_MAX: u64 = 2 * REQUEST_LEN_MAX as u64;
/// Small files that are made durable together. Thousands of files, each with its own sync, would
/// take seconds.
pub const SYNC_BATCH_MAX: usize = 64;
/// Bytes of files that wait to be made durable together (64 MiB). The next sync has to write them.
pub const SYNC_BATCH_LEN_MAX: u64 = 64 << 20;
/// Groups of one file that may arrive wrong before its pull fails. Lanes are authenticated, so a
/// wrong group means that the holder's file or memory is not what it announced.
pub const CORRUPT_GROUPS_MAX: u32 = 3;
/// Bytes that one lane carries before a fresh one, with fresh keys, replaces it (64 GiB).
pub const ROTATE_AFTER_LEN: u64 = 64 << 30;
/// Data lanes that work for one pull at once.
pub const PULL_LANES_MAX: usize = 2;
/// Data lanes of one session that work for the pulls of one side: two pulls at full speed.
pub const SESSION_PULL_LANES_MAX: usize = 4;
/// Data lanes of one session, in both directions together.
pub const SESSION_LANES_MAX: usize = 2 * (SESSION_PULL_LANES_MAX + DEMAND_LANES_MAX);
/// Idle data lanes that one side of a session keeps: half of all lanes, which are those for the
/// contents that this side asks for. It only saves dials; [`SESSION_LANES_MAX`] is what bounds the
/// lanes of a session.
pub const ASKING_LANES_MAX: usize = SESSION_LANES_MAX / 2;
/// Between two lanes that are dialled because the other side asks for them, once
/// [`SESSION_LANES_MAX`] were dialled at once. An honest peer keeps its lanes. Another peer may
/// close each lane and ask again, which costs it one short message for a whole handshake.
pub const ASKED_DIAL_INTERVAL: Duration = Duration::from_millis(100);
/// Fine outlines that a served lane remembers, 2 KiB each. Each saves reading and hashing a group
/// again.
pub const FINE_OUTLINES_SERVED_MAX: usize = 256;
/// Data lanes that work for readers at once. Pulls have others, so they can't starve a reader.
pub const DEMAND_LANES_MAX: usize = 2;
/// Bytes in flight on one such lane: about what it carries in 2 ms on a fast network. A read that
/// waits may be delayed by read-ahead for that time.
pub const DEMAND_PIPELINE_LEN_MAX: u64 = 2 * 1024 * 1024;
/// Bytes in flight on one such lane when reads wait for all of them.
pub const DEMAND_URGENT_LEN_MAX: u64 = 4 * 1024 * 1024;
/// Orders in flight on one such lane; each takes up to 33 requests.
pub const DEMAND_PIPELINE_ORDERS_MAX: usize = 16;
/// How long such a lane keeps its thread while nothing is wanted: longer than between two reads of
/// one program.
pub const DEMAND_IDLE_TIMEOUT: Duration = Duration::from_millis(500);
/// Groups of all files that wait to be read ahead; more are not remembered.
pub const DEMAND_AHEAD_COUNT_MAX: usize = 256;
/// How long a reader waits for its bytes. In that time a lost session may come back.
pub const READ_PATIENCE: Duration = Duration::from_secs(30);
/// A read that follows a timed-out read of the same range this soon times out at once.
pub const READ_AGAIN_DELAY_MAX: Duration = Duration::from_millis(50);
/// First length of read-ahead for a reader that turns out to be sequential, in bytes; it doubles
/// from there.
pub const READ_AHEAD_LEN_FIRST: u64 = 1024 * 1024;
/// Greatest length of read-ahead, in bytes: 16 ms on a fast network, a second and a half on 100
/// Mbit/s.
pub const READ_AHEAD_LEN_MAX: u64 = 16 * 1024 * 1024;
/// How far from its expected place the next read of a sequential reader may be, in bytes. The
/// kernel reads ahead itself, in requests that overtake each other.
pub const READ_AHEAD_SLACK_LEN: u64 = 2 * 1024 * 1024;
/// The same for a reader that is not known to be sequential yet.
pub const READ_AHEAD_GAP_LEN: u64 = 128 * 1024;

// ---- catalog ----

/// Longest name of a file, link or folder, in bytes: what ext4, NTFS and APFS can hold, counted in
/// the strictest way.
pub const SHARE_NAME_LEN_MAX: usize = 255;
/// Longest path inside a share, in bytes: PATH_MAX of Linux.
pub const SHARE_PATH_LEN_MAX: usize = 4096;
/// Most names in a path. Real trees have about 20. Functions that walk a path may recurse this
/// deep.
pub const SHARE_DEPTH_MAX: usize = 64;
/// Longest target of a symbolic link, in bytes: what Linux takes, PATH_MAX less the NUL at the end.
pub const LINK_TARGET_LEN_MAX: usize = 4095;
/// How much of a refused path an error shows, in characters: about two lines of a terminal.
pub const SHOWN_PATH_LEN_MAX: usize = 200;
/// Longest extension, with its dot, that the name of a conflict copy keeps at its end, in bytes. A
/// longer one counts as part of the stem, which may be cut.
pub const CONFLICT_EXTENSION_LEN_MAX: usize = 32;
/// Entries of one folder in which a name is looked up one by one. A folder of more entries collects
/// their names first, so that the look-ups of all names cost no more than the names.
pub const FOLDER_ENTRIES_ASKED_MAX: usize = 8;
/// Permission bits that are shared; set-user-id and the like never are.
pub const SHARED_MODE_MAX: u32 = 0o777;
/// Most entries of a catalog, removed ones included. Each takes about 1 KiB of memory.
pub const CATALOG_ENTRIES_MAX: usize = 1_000_000;
/// Bytes of memory that all entries of a catalog may take (1 GiB): about 400,000 ordinary files.
/// The bytes are counted by the four lengths below, which are within a fifth of the real memory. A
/// change or a merge that would take more is refused whole, but never one that takes no more than
/// before.
pub const CATALOG_LEN_MAX: u64 = 1 << 30;
/// Memory that an entry takes besides its name and versions, with its places in the index, in
/// bytes.
pub const ENTRY_LEN: usize = 768;
/// Memory that a version takes besides its holders and a link's target, in bytes: a node of a map
/// for each version.
pub const VERSION_LEN: usize = 1536;
/// Memory that a holder of a version takes, in bytes.
pub const HOLDER_LEN: usize = 48;
/// Memory that an entry takes for each replica whose changes it has seen, in bytes.
pub const REPLICA_LEN: usize = 96;
/// States that are merged under one lock: half of an honest page. Other users of the catalog get it
/// before the next piece. Smaller pieces would make a name that many entries share cost more, since
/// each piece reads all of those entries.
pub const MERGE_PIECE_ENTRIES_MAX: usize = 500;
/// Events of one merge whose paths are in memory at once: 16 MiB with the longest paths. One state
/// may change everything that is shown in a folder.
pub const EVENTS_MADE_MAX: usize = 4096;
/// Most concurrent versions of one entry. Honest peers make one each.
pub const ENTRY_VERSIONS_MAX: usize = 64;
/// Versions of one entry beyond which a peer adds none: half of all. What several peers add at the
/// same time then fits when it is merged. A new entry gets the version.
pub const ENTRY_VERSIONS_OWN_MAX: usize = ENTRY_VERSIONS_MAX / 2;
/// Contents under one name, further ahead than we follow, that get lesser dots so that a change of
/// ours has the name. Each takes a new entry. Beyond that our version is the conflict copy.
pub const RIVALS_REMADE_MAX: usize = ENTRY_VERSIONS_MAX;
/// Most replicas that may ever change one entry: a replica for each of 1024 starts of two peers.
pub const ENTRY_REPLICAS_MAX: usize = 1024;
/// Replicas of one entry beyond which another one does not change it, for the same reason.
pub const ENTRY_REPLICAS_OWN_MAX: usize = ENTRY_REPLICAS_MAX / 2;
/// Most holders that are remembered of one version; of more, those with the smallest fingerprints.
pub const VERSION_HOLDERS_MAX: usize = 256;
/// How far our counter follows that of another peer in one merge or change. No peer makes four
/// thousand million changes while nobody looks, and it takes as many such jumps to use up ours. An
/// entry that is further ahead is merged, but takes no change of ours: a new entry gets it.
pub const CATALOG_COUNTER_LEAD_MAX: u64 = 1 << 32;

// ---- peer ----

/// How long `connect` tries to reach the other peer by default. People start the two sides by hand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the peer with the higher fingerprint waits to be dialled before it dials as well.
pub const INITIATOR_PATIENCE: Duration = Duration::from_secs(3);
/// Delay before the second look-up of the other peer at the relay; it grows by half each time.
pub const LOOK_UP_DELAY_FIRST: Duration = Duration::from_millis(10);
/// Longest delay between two such look-ups.
pub const LOOK_UP_DELAY_MAX: Duration = Duration::from_secs(2);
/// How often a record is sent to a busy relay.
pub const PUBLISH_ATTEMPTS_MAX: u32 = 3;
/// Delay between two such attempts.
pub const CONTACT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// Largest frame on a control lane, in bytes (1 MiB). The largest single entry takes less.
pub const CONTROL_FRAME_LEN_MAX: usize = 1024 * 1024;
/// Entries in one page of catalog states. A page that does not fit into a frame is split.
pub const PAGE_ENTRIES_MAX: usize = 1000;
/// Bytes of memory that the states of one page may count for (4 MiB), the last state not included.
/// 1000 ordinary files count for less, and one entry for up to 1 MiB. It paces what this peer
/// sends; a page that it receives is bounded by [`CONTROL_FRAME_LEN_MAX`].
pub const PAGE_LEN_MAX: u64 = 4 << 20;
/// Control messages that wait to be sent. They are small and few; catalog states do not wait here.
pub const CONTROL_OUTBOX_LEN: usize = 64;
/// Control messages that were received and not handled yet. There are two, because they may be
/// decoded pages of catalog states.
pub const CONTROL_INBOX_LEN: usize = 2;
/// For writing one control frame; a peer that reads none for this long is gone.
pub const CONTROL_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// For sending the goodbye when a session is closed on purpose.
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
/// For everything that a peer has started to end when the peer is closed.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
/// A session that lasted this long was a good one. After one that broke sooner the next attempt
/// waits.
pub const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Pause of a pull after a lane broke, times the number of failures in a row.
pub const LANE_RETRY_DELAY: Duration = Duration::from_millis(50);
/// Entries with one content that a peer remembers. When the other side removes the entry under
/// which a file was shared, one of these may replace it. People have a few copies of a file.
pub const CONTENT_ENTRIES_MAX: usize = 64;
/// Contents that wait to be checked because the other side received other bytes. More are dropped;
/// the other side reports them again.
pub const STALE_CONTENTS_MAX: usize = 16;
/// How often a file is read again because the other side reports wrong bytes although its stamp is
/// the same.
pub const RECHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// After such a reading the peer pauses for this many times as long as the reading took, so that at
/// most a twentieth of the time goes into it.
pub const RECHECK_REST_FACTOR: u32 = 20;
/// Files that are read again for that reason within one interval. Honest peers cause one or two.
pub const RECHECKS_KEPT_MAX: usize = 1024;
/// Lanes that read a changed file again, or wait for a lane that does: all lanes of one session. A
/// further lane gets the answer that the file has changed; the puller asks again when the new
/// content is announced.
pub const REREADING_LANES_MAX: usize = SESSION_LANES_MAX;
/// Delay before a record that could not be refreshed is published again.
pub const REFRESH_RETRY_INTERVAL: Duration = Duration::from_secs(30);

// ---- mount ----

/// Largest file whose content is copied before it is written, so that its old content is served
/// until the new one is shared (64 MiB, about 20 ms). A larger file is written in place, and its
/// old content is no longer served.
pub const COPY_ON_WRITE_LEN_MAX: u64 = 64 << 20;
/// Bytes that a handler of the kernel's calls copies or hashes by itself (about 1 ms); more is left
/// to another thread.
pub const AT_ONCE_LEN_MAX: u64 = 1 << 20;
/// Bytes that one call copies within the kernel; a larger copy takes several calls.
pub const COPY_CALL_LEN_MAX: usize = 1 << 30;
/// How often an open or a read looks up a file again whose content has moved meanwhile.
pub const OPEN_ATTEMPTS_MAX: u32 = 8;
/// Delay before the first check of a closed file that a process can still write to: whether it is
/// mapped into memory, or just being closed by the kernel. Doubles from there.
pub const MAPPED_LOOK_INTERVAL_FIRST: Duration = Duration::from_millis(1);
/// Longest delay between two such checks. A check takes a microsecond; stored bytes are shared late
/// by up to this delay.
pub const MAPPED_LOOK_INTERVAL_MAX: Duration = Duration::from_millis(256);
/// How long the kernel may cache names and attributes. It is notified when they change, so this
/// bounds only the effect of a lost notification.
pub const KERNEL_TTL: Duration = Duration::from_secs(60);
/// Delay before the kernel is notified of a change again: by then an answer that crossed the first
/// notification has arrived.
pub const KERNEL_ECHO_DELAY: Duration = Duration::from_secs(1);
/// Repeated notifications whose names are looked up together: those of about a millisecond. Then a
/// folder of many entries is searched once for all of them. A process that enters a new folder
/// within that time loses its current directory.
pub const ECHOES_CHECKED_MAX: usize = 256;
/// Requests for read-ahead that the kernel keeps in flight on one mount.
pub const KERNEL_BACKGROUND_MAX: u16 = 64;
/// Read-ahead of the kernel where it can be set, in KiB; in requests of 1 MiB.
pub const KERNEL_READ_AHEAD_KIB: u32 = 4096;
/// Threads that answer the kernel on one mount. They never wait, so a few suffice.
pub const KERNEL_THREADS: usize = 2;
/// Slow calls that run at once on one mount; more wait for their turn.
pub const SLOW_CALLS_MAX: usize = 64;
/// Dead mounts on top of each other that are removed before a new one is made. Each was left by a
/// killed process. Where there are more, mounting fails.
pub const DEAD_MOUNTS_MAX: usize = 16;
/// Preferred length of reads and writes that a mount reports, in bytes: as many as the kernel puts
/// into one request.
pub const KERNEL_IO_LEN: u32 = 1024 * 1024;
/// Stacked file systems below the store that allow passthrough: ours is one, an overlay in a
/// container another.
pub const KERNEL_STACK_DEPTH: u32 = 2;
/// Links that are followed to find out where one leads, in a mount or on receiving it. The kernel
/// follows no more (path_resolution(7)).
pub const LINKS_FOLLOWED_MAX: usize = 40;
/// Folders in which one mount remembers that it has shown an inode. An inode that was shown in more
/// is treated as if it were at the top.
pub const SEEN_FOLDERS_MAX: usize = 16;
/// Longest wait for the next change of the kernel's table of mounts, while a mount must disappear.
/// Only a mount that stays reaches it.
pub const MOUNT_TABLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long unmounting waits for the last calls of the kernel. They take milliseconds, unless
/// another mount name space has a copy of the mount.
pub const UNMOUNT_PATIENCE: Duration = Duration::from_secs(3);
/// How long a process may go on using a mount that must end, before the connection is aborted.
/// Short calls finish in that time; a process that needs longer is stuck or was left behind.
pub const ABORT_PATIENCE: Duration = Duration::from_secs(1);
/// Changes that other processes may make to the table of mounts during that wait.
pub const MOUNT_TABLE_CHANGES_MAX: usize = 1000;
