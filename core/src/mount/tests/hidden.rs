//! What a modified program can do to a file that is here: hide it, or change it without a new dot.

use super::*;
use crate::catalog::{ContentId, Dot, EntryId, Kind, Place, ReplicaId};
use crate::identity::Fingerprint;
use crate::transfer::Holder;

/// Puts an entry into `parent`, as the other side.
fn moves(alone: &Alone, id: EntryId, parent: EntryId) {
    let share = alone.peer.share();
    let mut state = share.files().catalog.state(id).unwrap().clone();
    let replica = ReplicaId {
        fingerprint: Fingerprint::from_bytes([9; 20]),
        incarnation: 1,
    };
    let counter = state.place.stamp.counter + 1;
    let stamp = Dot { counter, replica };
    state.seen.note(stamp);
    let name = state.place.name.clone();
    state.place = Place { stamp, parent, name };
    share.merge(vec![(id, state)]).unwrap();
}

#[tokio::test]
async fn a_written_file_that_the_other_side_hides_is_kept_and_not_served() {
    let alone = alone().await;
    alone.write("a", b"mine");
    let id = alone.peer.list()[0].id;
    let content = ContentId {
        hash: *blake3::hash(b"mine").as_bytes(),
        len: 4,
    };
    assert_eq!(alone.peer.share().sources(&content).len(), 1);
    moves(&alone, id, EntryId::from_bytes([7; 16]));
    assert!(alone.peer.list().is_empty());
    moves(&alone, id, EntryId::ROOT);
    assert_eq!(alone.peer.share().sources(&content).len(), 0);
    let inode = alone.inode("a").unwrap();
    let opened = alone.fs.open(inode, OpenMode::READ, IoWish::Calls).unwrap();
    assert_eq!(alone.fs.read(opened.handle, 0, 9).unwrap(), b"mine");
}

#[tokio::test]
async fn a_content_with_the_dot_of_an_old_change_is_a_file_of_its_own() {
    let alone = alone().await;
    alone.share("a", b"first").await;
    let inode = alone.inode("a").unwrap();
    let opened = alone.fs.open(inode, OpenMode::READ, IoWish::Calls).unwrap();
    // The same dot, and what wins over its version.
    let share = alone.peer.share();
    let id = alone.peer.list()[0].id;
    let mut state = share.files().catalog.state(id).unwrap().clone();
    for version in state.versions.values_mut() {
        if let Kind::File(file) = &mut version.kind {
            file.content = ContentId {
                hash: [255; 32],
                len: 9,
            };
        }
    }
    share.merge(vec![(id, state)]).unwrap();
    let attributes = alone.fs.lookup(Inode::ROOT, OsStr::new("a")).unwrap();
    assert_eq!(attributes.len, 9);
    assert_ne!(attributes.inode, inode);
    assert!(
        alone
            .fs
            .open(attributes.inode, OpenMode::READ, IoWish::Calls)
            .is_ok()
    );
    assert_eq!(alone.fs.read(opened.handle, 0, 9).unwrap(), b"first");
}
