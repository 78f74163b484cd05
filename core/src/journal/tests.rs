//! The format of a journal, and what becomes of one that was torn, damaged or written by somebody
//! else.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::open::Ended;
use super::record::{HEAD_LEN, HEADER_LEN, LocalPath, encode, header};
use super::replay::replay;
use super::*;
use crate::catalog::tests::{add, catalog_of};
use crate::catalog::{Catalog, ContentId, EntryId, SharePath};
use crate::identity::Fingerprint;
use crate::limits::{JOURNAL_GROWTH_LEN_MIN, JOURNAL_RECORD_LEN_MAX};
use crate::store::{FileStamp, Owner, Remembered};

const ALICE: Fingerprint = Fingerprint::from_bytes([0xa1; 20]);
const FRESH_INCARNATION: u64 = 9;

fn stamp() -> FileStamp {
    FileStamp::of(&Path::new("/").metadata().unwrap())
}

fn local(path: &str) -> LocalFile {
    let content = ContentId {
        hash: [1; 32],
        len: 1,
    };
    let source = Remembered {
        owner: Owner::User,
        content,
        outline: Vec::new(),
        mode: 0o644,
        stamp: stamp(),
        is_settled: true,
    };
    let entry = EntryId::from_bytes([2; 16]);
    LocalFile {
        path: Path::new(path).into(),
        contents: vec![KnownContent {
            source,
            entries: vec![entry],
        }],
        own: Some(OwnName {
            name: SharePath::parse("notes.txt").unwrap(),
            stamp: stamp(),
            entries: vec![(entry, content)],
        }),
        placed: Some(stamp()),
        coming: None,
    }
}

fn known(path: &str) -> Record {
    Record::Local(Box::new(local(path)))
}

/// The states of some files. Alice has made them.
fn entries(names: &[&str]) -> Record {
    let mut catalog = catalog_of(0xa1);
    names.iter().for_each(|name| add(&mut catalog, name, 1));
    Record::Entries {
        counter: catalog.counter(),
        states: catalog.all_states(),
    }
}

fn open(dir: &Path) -> Opened {
    Journal::open(dir, ALICE, FRESH_INCARNATION).unwrap()
}

/// A folder with a journal that has some records, and its bytes.
fn written(ending: impl FnOnce(Journal)) -> (tempfile::TempDir, Vec<u8>) {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path()).journal;
    journal.append(&[entries(&["a.txt"]), known("/a")]).unwrap();
    journal.sync().unwrap();
    journal.append(&[entries(&["a.txt", "b.txt"])]).unwrap();
    journal
        .append(&[known("/b"), Record::Gone(Path::new("/a").into())])
        .unwrap();
    ending(journal);
    let bytes = std::fs::read(root.path().join(FILE)).unwrap();
    (root, bytes)
}

/// Opens a journal with these bytes.
fn opened_with(bytes: &[u8]) -> (tempfile::TempDir, Opened) {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join(FILE), bytes).unwrap();
    let opened = open(root.path());
    (root, opened)
}

fn names(catalog: &Catalog) -> Vec<String> {
    catalog
        .list()
        .iter()
        .map(|shown| shown.path.to_string())
        .collect()
}

fn paths(opened: &Opened) -> Vec<PathBuf> {
    opened.local.iter().map(|file| file.path.0.clone()).collect()
}

#[test]
fn what_was_appended_is_there_again_after_a_close_and_after_a_kill() {
    for (is_closed, ended) in [(true, Ended::Closed), (false, Ended::Killed)] {
        let (root, _) = written(|journal| {
            if is_closed {
                journal.close().unwrap();
            }
        });
        let opened = open(root.path());
        assert_eq!(opened.ended, ended);
        assert_eq!(names(&opened.catalog), ["a.txt", "b.txt"]);
        assert_eq!(paths(&opened), [Path::new("/b")]);
        assert_eq!(opened.local, [local("/b")]);
        let offline = read(root.path()).unwrap().unwrap();
        assert_eq!(
            (offline.owner, names(&offline.catalog)),
            (ALICE, vec!["a.txt".into(), "b.txt".into()])
        );
        assert_eq!(offline.shared_files, [Path::new("/b")]);
    }
}

#[test]
fn only_after_a_close_the_next_peer_is_the_same_replica() {
    let root = tempfile::tempdir().unwrap();
    let incarnation = |fresh| {
        let opened = Journal::open(root.path(), ALICE, fresh).unwrap();
        (opened.catalog.replica().incarnation, opened.journal)
    };
    let (first, journal) = incarnation(1);
    journal.close().unwrap();
    let (second, journal) = incarnation(2);
    drop(journal);
    let (third, journal) = incarnation(3);
    journal.close().unwrap();
    let (fourth, journal) = incarnation(4);
    assert_eq!([first, second, third, fourth], [1, 1, 3, 3]);
    drop(journal);
    // A peer that was killed right after its start has made no change; the next one can't know.
    assert_eq!(incarnation(5).0, 5);
}

#[test]
fn a_catalog_goes_on_counting_where_it_was() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path()).journal;
    let Record::Entries { states, .. } = entries(&["a"]) else {
        unreachable!()
    };
    // Another peer had counted far ahead, and was followed.
    let counter = 1 << 40;
    journal.append(&[Record::Entries { counter, states }]).unwrap();
    journal.close().unwrap();
    assert_eq!(open(root.path()).catalog.counter(), counter);
}

#[test]
fn a_journal_has_golden_bytes() {
    let header = header(ALICE);
    assert_eq!(header.len(), HEADER_LEN);
    assert_eq!(&header[..16], b"tandem journal\0\x01");
    assert_eq!(&header[16..36], &[0xa1; 20]);
    let bytes = |record| crate::hex::encode(&encode(&record, 44).unwrap());
    let states = Vec::new();
    let all = [
        crate::hex::encode(&header[36..]),
        bytes(Record::Started { incarnation: 300 }),
        bytes(Record::Entries { counter: 300, states }),
        bytes(Record::Gone(Path::new("/a").into())),
        bytes(Record::Synced),
        bytes(Record::Closed),
    ];
    let golden = [
        "3586f1e92c6f3231",
        "03000000477a8fd44a5b081f00ac02",
        "040000008b5c7937ae88e61501ac0200",
        "040000006a185d98b31d9cb103022f61",
        "010000000bf9bcab399ca4e204",
        "0100000017327ff783da202105",
    ];
    assert_eq!(all, golden);
}

#[test]
fn what_is_known_of_a_file_has_golden_bytes() {
    let mut file = local("/a");
    let stamp: FileStamp = postcard::from_bytes(&[5, 1, 2, 1, 3, 4, 6, 8]).unwrap();
    file.contents[0].source.stamp = stamp.clone();
    file.own.as_mut().unwrap().stamp = stamp.clone();
    file.placed = Some(stamp);
    let bytes = postcard::to_allocvec(&Record::Local(Box::new(file))).unwrap();
    let (one, two) = ("01".repeat(32), "02".repeat(16));
    let stamp = "0501020103040608";
    let contents = format!("0100{one}0100a403{stamp}0101{two}");
    let own = format!("01096e6f7465732e747874{stamp}01{two}{one}01");
    assert_eq!(
        crate::hex::encode(&bytes),
        format!("02022f61{contents}{own}01{stamp}00")
    );
}

/// Every record is whole or gone: bytes were written up to some point.
#[test]
fn a_torn_tail_is_dropped_and_the_rest_replayed() {
    let (_root, whole) = written(drop);
    let mut counts = Vec::new();
    for cut in HEADER_LEN..whole.len() {
        let (_, replayed) = replay(&whole[..cut], cut as u64).unwrap();
        assert!(!replayed.is_closed, "{cut}");
        counts.push((replayed.states.len(), replayed.local.len()));
    }
    counts.dedup();
    assert_eq!(counts, [(0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]);
}

#[test]
fn after_a_torn_tail_the_journal_goes_on_where_it_was_whole() {
    let (_root, whole) = written(drop);
    let (root, opened) = opened_with(&whole[..whole.len() - 3]);
    assert_eq!((opened.ended, opened.local.len()), (Ended::Killed, 2));
    let mut journal = opened.journal;
    journal.append(&[known("/c")]).unwrap();
    drop(journal);
    assert_eq!(open(root.path()).local.len(), 3);
}

/// Blocks that a crash left unwritten are zeros.
#[test]
fn a_tail_that_never_reached_the_disk_is_dropped() {
    let (_root, whole) = written(drop);
    let mut zeroed = whole.clone();
    zeroed.truncate(whole.len() - 40);
    zeroed.resize(whole.len() + 4096, 0);
    let (_root, opened) = opened_with(&zeroed);
    assert_eq!(opened.ended, Ended::Killed);
    assert_eq!(names(&opened.catalog), ["a.txt", "b.txt"]);
}

#[test]
fn any_damaged_byte_of_what_was_durable_has_the_file_set_aside_and_named() {
    let (_root, whole) = written(|journal| journal.close().unwrap());
    let with_flipped = |at: usize| {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        damaged
    };
    // The last record alone proves nothing: it may not have been durable.
    let last = whole.len() - HEAD_LEN - 1;
    for at in 0..whole.len() {
        let damaged = with_flipped(at);
        let replayed = replay(&damaged[..], damaged.len() as u64);
        assert_eq!(replayed.is_err(), at < last, "{at}");
        assert!(replayed.is_ok_and(|(_, replayed)| !replayed.is_closed) || at < last);
    }
    for at in [0, 15, 20, HEADER_LEN, HEADER_LEN + 4, last - 1] {
        let (root, opened) = opened_with(&with_flipped(at));
        let Ended::SetAside(aside, flaw) = opened.ended else {
            panic!("{at}: {:?}", opened.ended)
        };
        assert_eq!(std::fs::read(&aside).unwrap(), with_flipped(at), "{at}: {flaw}");
        assert_eq!(
            aside.parent(),
            Some(root.path().canonicalize().unwrap().as_path())
        );
        assert_eq!((opened.catalog.entry_count(), opened.local.len()), (0, 0));
        assert_eq!(opened.catalog.replica().incarnation, FRESH_INCARNATION);
    }
}

/// The records after a sync prove that those before it were on the disk.
#[test]
fn a_damaged_byte_is_a_torn_tail_only_after_the_last_sync() {
    let (_root, whole) = written(drop);
    let mark = |at: &usize| whole[*at..].starts_with(&encode(&Record::Synced, *at as u64).unwrap());
    let last_mark = (0..whole.len()).rfind(mark).unwrap();
    assert!((HEADER_LEN..whole.len() - 100).contains(&last_mark));
    for at in HEADER_LEN..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let replayed = replay(&damaged[..], damaged.len() as u64);
        assert_eq!(replayed.is_err(), at < last_mark, "{at}");
    }
}

#[test]
fn journals_that_can_not_be_used_are_all_kept() {
    let root = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        std::fs::write(root.path().join(FILE), format!("no journal {number}")).unwrap();
        let opened = open(root.path());
        let Ended::SetAside(aside, Flaw::NotAJournal) = opened.ended else {
            panic!("{:?}", opened.ended)
        };
        assert_eq!(
            std::fs::read_to_string(aside).unwrap(),
            format!("no journal {number}")
        );
    }
}

#[test]
fn a_journal_of_another_peer_or_a_newer_version_is_set_aside() {
    let (root, whole) = written(|journal| journal.close().unwrap());
    let other = Fingerprint::from_bytes([7; 20]);
    let opened = Journal::open(root.path(), other, 1).unwrap();
    let Ended::SetAside(_, flaw) = opened.ended else {
        panic!("{:?}", opened.ended)
    };
    assert_eq!(flaw, Flaw::OtherPeer { owner: ALICE });
    let mut newer = whole;
    newer[15] = 2;
    let (_root, opened) = opened_with(&newer);
    let Ended::SetAside(_, flaw) = opened.ended else {
        panic!("{:?}", opened.ended)
    };
    assert_eq!(flaw, Flaw::NewerVersion { version: 2, known: 1 });
}

#[test]
fn reading_a_journal_that_can_not_be_used_is_an_error_and_moves_nothing() {
    let root = tempfile::tempdir().unwrap();
    assert!(read(root.path()).unwrap().is_none());
    std::fs::write(root.path().join(FILE), b"no journal").unwrap();
    assert!(matches!(
        read(root.path()),
        Err(JournalError::Unusable {
            flaw: Flaw::NotAJournal,
            ..
        })
    ));
    assert!(root.path().join(FILE).exists());
}

#[test]
fn a_journal_that_is_written_anew_has_the_same_in_fewer_bytes() {
    let (root, _) = written(drop);
    let mut journal = open(root.path()).journal;
    let page = [entries(&["a.txt", "b.txt"]), known("/b")];
    while !journal.is_overgrown() {
        journal.append(&vec![known("/b"); 1000]).unwrap();
    }
    let len = || root.path().join(FILE).metadata().unwrap().len();
    assert!(len() > JOURNAL_GROWTH_LEN_MIN);
    let mut pages = vec![vec![], page.to_vec()];
    journal.rewrite(|| pages.pop().unwrap()).unwrap();
    assert!(len() < 2000, "{}", len());
    // What comes later is appended to the new one.
    journal.append(&[known("/c")]).unwrap();
    journal.close().unwrap();
    let opened = open(root.path());
    assert_eq!(
        (opened.ended.clone(), names(&opened.catalog)),
        (Ended::Closed, vec!["a.txt".into(), "b.txt".into()])
    );
    assert_eq!(paths(&opened), [Path::new("/b"), Path::new("/c")]);
    assert!(!root.path().join(FRESH).exists());
}

#[test]
fn a_journal_that_was_being_written_anew_when_its_peer_was_killed_is_as_before() {
    let (root, _) = written(drop);
    std::fs::write(root.path().join(FRESH), b"half").unwrap();
    let mut journal = open(root.path()).journal;
    journal.rewrite(Vec::new).unwrap();
    drop(journal);
    assert_eq!(open(root.path()).catalog.entry_count(), 0);
}

#[test]
fn a_record_at_the_length_limit_is_written_and_a_longer_one_is_not() {
    let path = |len| Record::Gone(LocalPath("x".repeat(len).into()));
    // The number of the variant and the length of the path take five bytes.
    let longest = JOURNAL_RECORD_LEN_MAX - 5;
    assert!(encode(&path(longest), 44).is_some());
    assert!(encode(&path(longest + 1), 44).is_none());
}

#[test]
fn two_peers_can_not_use_one_journal() {
    let root = tempfile::tempdir().unwrap();
    let opened = open(root.path());
    let refused = Journal::open(root.path(), ALICE, 1).unwrap_err().to_string();
    assert!(refused.contains("is in use by another peer"), "{refused}");
    drop(opened);
    open(root.path());
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_a_journal_or_plant_one() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("state");
    drop(open(&dir));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
    std::os::unix::fs::symlink(dir.join(FILE), dir.join("link")).unwrap();
    std::fs::rename(dir.join("link"), dir.join(FILE)).unwrap();
    assert!(matches!(
        Journal::open(&dir, ALICE, 1),
        Err(JournalError::Io { .. })
    ));
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o770)).unwrap();
    assert!(matches!(
        Journal::open(&dir, ALICE, 1),
        Err(JournalError::Folder(_))
    ));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(replay(&bytes[..], bytes.len() as u64));
        let after_header = [header(ALICE), bytes].concat();
        drop(replay(&after_header[..], after_header.len() as u64));
    }

    /// The checksum is no protection from whoever computes it.
    #[test]
    fn arbitrary_payloads_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(postcard::take_from_bytes::<Record>(&payload));
    }
}

#[test]
fn a_state_that_breaks_a_rule_is_damage() {
    let root = tempfile::tempdir().unwrap();
    let mut journal = open(root.path()).journal;
    let Record::Entries { counter, mut states } = entries(&["a.txt"]) else {
        unreachable!()
    };
    states[0].1.place.parent = states[0].0;
    journal.append(&[Record::Entries { counter, states }]).unwrap();
    journal.close().unwrap();
    assert!(matches!(
        open(root.path()).ended,
        Ended::SetAside(_, Flaw::Damaged { .. })
    ));
}
