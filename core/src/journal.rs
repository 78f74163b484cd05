//! The journal of a peer: the file in which the catalog, and what is known of local files, outlive
//! the peer.
//!
//! Owns the folder, the format and the order of writing. One file, `journal`: a header, then
//! records, each with a checksum of its place and its bytes. What happens is appended. When the
//! file has grown far beyond what is live, it is written anew beside its place and renamed.
//!
//! - A peer that ended in good order has written [`Record::Closed`] last. Only then may the next
//!   one go on as the same replica: what others got of a lost tail would be made a second time.
//! - A tail that was not durable yet may be torn. It is dropped. Whether it was durable is known:
//!   the first record after each sync is [`Record::Synced`]. If bytes in front of such a record are
//!   not what was written, the file is damaged.
//! - A damaged file, one of another peer or one of a newer version is neither overwritten nor
//!   believed: it is set aside under another name, which the caller gets.
//!
//! Knows neither shares nor peers. Reading order: `record`, `replay`, `log_file`, `open`, `saved`.

mod error;
mod log_file;
mod open;
mod record;
mod replay;
mod saved;
#[cfg(test)]
mod tests;

pub use error::{Flaw, JournalError};
pub(crate) use open::{Ended, Journal, Opened};
pub(crate) use record::{KnownContent, LocalFile, OwnName, Record};
pub use saved::{Saved, read};

/// The name of the file in the folder.
const FILE: &str = "journal";
/// The name under which it is written anew.
const FRESH: &str = "journal.new";
