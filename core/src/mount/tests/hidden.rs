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
async fn what_is_written_to_a_file_that_the_other_side_hides_meanwhile_is_shared_at_the_top() {
    let alone = alone().await;
    alone.write("a", b"old");
    alone.share("taken", b"other").await;
    for (name, shown) in [("a", "a"), ("taken", "taken (conflict ")] {
        let id = alone.peer.lookup(&SharePath::parse(name).unwrap()).unwrap().id;
        let handle = alone.open_to_write(alone.inode(name).unwrap());
        alone.fs.write(handle, 0, b"newest").unwrap();
        moves(&alone, id, EntryId::from_bytes([7; 16]));
        if name == "taken" {
            alone.write(name, b"unrelated");
        }
        alone.fs.release(handle).unwrap();
        let listed = alone.peer.list();
        let found = listed.iter().find(|file| file.path.as_str().starts_with(shown));
        assert_eq!(alone.read(found.unwrap().path.as_str()), b"newest", "{name}");
    }
    assert_eq!(alone.read("taken"), b"unrelated");
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

/// Gives the only version of an entry that counter, as the other side, maybe as another entry.
fn recounts(alone: &Alone, id: EntryId, counter: u64, to: EntryId) {
    let share = alone.peer.share();
    let mut state = share.files().catalog.state(id).unwrap().clone();
    let fingerprint = Fingerprint::from_bytes([9; 20]);
    let replica = ReplicaId {
        fingerprint,
        incarnation: 1,
    };
    let dot = Dot { counter, replica };
    let (_, version) = state.versions.pop_first().unwrap();
    state.seen.note(dot);
    state.versions.insert(dot, version);
    state.place.name = crate::catalog::Name::new("a").unwrap();
    share.merge(vec![(to, state)]).unwrap();
}

#[tokio::test]
async fn a_written_file_that_lost_its_name_to_a_rival_far_ahead_is_kept_when_the_rival_is_written() {
    let alone = alone().await;
    let content = |bytes: &[u8]| ContentId {
        hash: *blake3::hash(bytes).as_bytes(),
        len: bytes.len() as u64,
    };
    let is_served = |bytes: &[u8]| !alone.peer.share().sources(&content(bytes)).is_empty();
    alone.write("a", b"mine");
    let id = alone.peer.list()[0].id;
    recounts(&alone, id, u64::MAX - 1, id);
    alone.share("b", b"rival").await;
    let rival = alone.peer.list()[1].id;
    recounts(&alone, rival, u64::MAX, EntryId::from_bytes([7; 16]));
    assert_eq!(alone.read("a"), b"rival");
    let handle = alone.open_to_write(alone.inode("a").unwrap());
    alone.fs.write(handle, 0, b"other").unwrap();
    alone.fs.release(handle).unwrap();
    assert_eq!(alone.read("a"), b"other");
    assert!(is_served(b"mine"));
    // Another file with the same content comes and goes.
    alone.write("twin", b"mine");
    alone.fs.remove(Inode::ROOT, OsStr::new("twin")).unwrap();
    assert!(is_served(b"mine") && is_served(b"other"));
    let listed = alone.peer.list();
    let mine = listed.iter().find(|shown| shown.has_content(&content(b"mine")));
    assert_eq!(alone.read(&mine.unwrap().path.to_string()), b"mine");
}
