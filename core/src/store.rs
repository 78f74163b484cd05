//! What this peer has on disk: the files that it shares in place, the files that it is receiving,
//! and its own store.
//!
//! Owns reading, hashing and writing of local files. Two invariants: this peer never copies or
//! changes a file that it shares, and a received file is invisible under its name until every byte
//! of it was verified and made durable. Knows contents (hash and length), but no names in the
//! catalog and no peers.

mod cached;
mod destination;
mod file_stamp;
mod hashing;
mod leftovers;
mod local_link;
mod local_names;
mod no_follow;
mod outline;
mod own_folder;
mod part_file;
mod part_lock;
mod part_name;
mod peer_store;
mod placed;
mod positioned;
mod present;
mod publish;
mod removal;
mod source;
mod store_error;

pub(crate) use cached::{Cached, blocks_within, groups_of};
pub(crate) use destination::{Destination, Guard};
pub(crate) use file_stamp::FileStamp;
pub(crate) use hashing::hash_file;
pub(crate) use leftovers::find_leftovers;
pub(crate) use local_link::{LinkFate, Links, ReceivedLinks};
pub use local_names::NameFault;
pub(crate) use no_follow::open_folder;
pub(crate) use outline::{
    BLOCK_LEN, FineOutline, GROUP_LEN, GroupHasher, Outline, VALUE_LEN, group_count, group_len, subtree_value,
};
pub use own_folder::OwnFolderError;
pub(crate) use own_folder::{own_folder, take_lock};
pub(crate) use part_file::{Attributes, PartFile, Published};
pub(crate) use part_name::is_part_name;
pub(crate) use peer_store::PeerStore;
pub(crate) use placed::{Place, Placed};
pub(crate) use positioned::{read_exact_at, write_all_at};
pub(crate) use publish::{publish_all, sync_folders_of};
pub use source::SourceError;
#[cfg(unix)]
pub(crate) use source::remove_own;
pub(crate) use source::{Owner, Remembered, Source, Sources, resolve};
pub use store_error::StoreError;
