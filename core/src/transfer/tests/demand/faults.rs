//! Holders that lie, refuse or break off, and the errors that their readers get.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::super::super::protocol::{Refusal, Request, Response};
use super::super::{GROUP, bytes, lane_pair, source};
use super::{Reader, Recorder, await_outcome, shared};
use crate::limits::{CORRUPT_GROUPS_MAX, LANE_FRAME_LEN_MAX};
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::session::wire::{read_blocking, write_blocking};
use crate::store::{GROUP_LEN, Source, subtree_value};
use crate::transfer::{FetchFault, serve, supply};

/// A holder that announced `honest` and does not know that its file now holds `actual`.
fn lying(root: &Path, honest: &[u8], actual: &[u8]) -> Arc<Recorder> {
    let honest = source(root, honest);
    std::fs::write(&honest.path, actual).unwrap();
    Recorder::new(Source::known(&honest.path, honest.content, honest.outline).unwrap())
}

#[test]
fn a_wrong_block_is_never_written_and_after_some_attempts_reported() {
    for (start, len) in [(0, 5), (0, 3 * GROUP), (GROUP, 3 * GROUP)] {
        let root = tempfile::tempdir().unwrap();
        let honest = bytes(len);
        let mut wrong = honest.clone();
        wrong[start] ^= 1;
        let holder = lying(root.path(), &honest, &wrong);
        let reader = Reader::new();
        let lane = reader.work(&holder);
        let mut file = reader.open(holder.source.content);
        let fault = file.read(start as u64..start as u64 + 3).unwrap_err();
        // To serve a fine outline, a holder reads the group itself.
        let expected = if start == 0 {
            FetchFault::Corrupt
        } else {
            FetchFault::Changed
        };
        assert_eq!(fault, expected, "{start} {len}");
        assert!(!file.cached.has(start as u64..start as u64 + 1));
        drop(file);
        let watcher = reader.watcher.clone();
        reader.close([lane.0]);
        let reported = u32::from(fault == FetchFault::Corrupt);
        assert_eq!(watcher.corrupt.load(Ordering::SeqCst), reported);
    }
}

#[test]
fn an_outline_that_does_not_fold_to_the_root_is_not_accepted() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let honest = source(root.path(), &bytes(3 * GROUP));
    let other = source(other.path(), &vec![5; 3 * GROUP]);
    let holder = Recorder::new(Source::known(&other.path, honest.content, other.outline).unwrap());
    let reader = Reader::new();
    let lane = reader.work(&holder);
    let mut file = reader.open(honest.content);
    assert_eq!(file.read(0..5).unwrap_err(), FetchFault::Corrupt);
    assert!(file.cached.outline().is_none() && file.cached.present_len() == 0);
    let asked = holder.asked();
    let outlines = asked
        .iter()
        .filter(|request| matches!(request, Request::Outline { .. }));
    assert_eq!(outlines.count(), CORRUPT_GROUPS_MAX as usize + 1);
    drop(file);
    reader.close([lane.0]);
}

/// Answers truthfully, except for one flipped bit where `spoil` asks for it.
fn serve_spoilt(
    lane: &mut BlockingLane,
    source: &Source,
    spoil: fn(&Request) -> bool,
) -> Result<(), WireError> {
    let file = std::fs::read(&source.path).unwrap();
    loop {
        let request = read_blocking(lane, LANE_FRAME_LEN_MAX)?;
        let mut answer = match request {
            Request::Outline { .. } => source.outline.as_bytes().to_vec(),
            Request::Bytes { offset, len, .. } => file[offset as usize..][..len as usize].to_vec(),
            Request::Fine { group, .. } => {
                let offset = group * GROUP_LEN;
                let blocks = file[offset as usize..].chunks(16 * 1024).take(64).enumerate();
                let value = |(i, block): (usize, &[u8])| subtree_value(block, offset + i as u64 * 16 * 1024);
                blocks.map(value).collect::<Vec<_>>().as_flattened().to_vec()
            }
        };
        if spoil(&request) {
            answer[0] ^= 1;
        }
        let len = answer.len() as u64;
        write_blocking(lane, &Response::Data { len }, LANE_FRAME_LEN_MAX)?;
        lane.write_all(&answer)?;
        lane.flush()?;
    }
}

#[test]
fn neither_a_spoilt_fine_outline_nor_a_spoilt_block_beside_a_good_one_is_accepted() {
    let spoilt: [fn(&Request) -> bool; 3] = [
        |_| false,
        |request| matches!(request, Request::Fine { .. }),
        |request| matches!(request, Request::Bytes { .. }),
    ];
    for (index, spoil) in spoilt.into_iter().enumerate() {
        let root = tempfile::tempdir().unwrap();
        let source = source(root.path(), &bytes(3 * GROUP));
        let content = source.content;
        let reader = Reader::new();
        let (mut reading, mut serving) = lane_pair();
        thread::spawn(move || drop(serve_spoilt(&mut serving, &source, spoil)));
        let (demand, watcher, clock) = (
            reader.demand.clone(),
            reader.watcher.clone(),
            reader.clock.clone(),
        );
        let worker = thread::spawn(move || supply(&mut reading, &demand, watcher.as_ref(), &clock));
        let mut file = reader.open(content);
        let read = file.read(GROUP_LEN + 9..GROUP_LEN + 12);
        if index == 0 {
            assert!(read.unwrap() == bytes(3 * GROUP)[GROUP + 9..GROUP + 12]);
        } else {
            assert_eq!(read.unwrap_err(), FetchFault::Corrupt, "{index}");
            assert_eq!(file.cached.present_len(), 0);
        }
        drop(file);
        reader.close([worker]);
    }
}

#[test]
fn a_fine_outline_of_a_group_that_does_not_exist_is_refused() {
    let root = tempfile::tempdir().unwrap();
    for (len, group) in [(3 * GROUP, 3), (3 * GROUP, u64::MAX), (GROUP, 0)] {
        let (_, holder) = shared(root.path(), len);
        let content = holder.source.content;
        let (mut reading, mut serving) = lane_pair();
        thread::spawn(move || drop(serve(&mut serving, holder.as_ref())));
        write_blocking(
            &mut reading,
            &Request::Fine { content, group },
            LANE_FRAME_LEN_MAX,
        )
        .unwrap();
        reading.flush().unwrap();
        let response = read_blocking(&mut reading, LANE_FRAME_LEN_MAX).unwrap();
        assert!(
            matches!(response, Response::Refused(Refusal::OutOfRange)),
            "{len} {group}"
        );
    }
}

#[test]
fn a_withdrawn_content_and_an_edited_file_fail_their_readers_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 3 * GROUP);
    let reader = Reader::new();
    let lane = reader.work(&holder);
    let mut file = reader.open(holder.source.content);
    holder.is_willing.store(false, Ordering::SeqCst);
    assert_eq!(file.read(0..5).unwrap_err(), FetchFault::NotHeld);
    holder.is_willing.store(true, Ordering::SeqCst);
    // A read in the middle, so that nothing is read ahead while the file is edited.
    let mut file = reader.open(holder.source.content);
    file.read(GROUP_LEN + 5..GROUP_LEN + 9).unwrap();
    std::fs::write(&holder.source.path, b"edited").unwrap();
    assert_eq!(
        file.read(2 * GROUP_LEN..2 * GROUP_LEN + 5).unwrap_err(),
        FetchFault::Changed
    );
    drop(file);
    reader.close([lane.0]);
}

#[test]
fn a_lane_that_breaks_gives_back_its_orders_and_the_next_one_carries_them_out() {
    let root = tempfile::tempdir().unwrap();
    let (bytes, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let (worker, closer) = reader.work(&holder);
    closer.close();
    let mut file = reader.open(holder.source.content);
    let (_, outcome) = file.start(0..5);
    assert!(worker.join().unwrap().is_err());
    let lane = reader.work(&holder);
    await_outcome(&outcome).unwrap();
    assert!(file.read(5..3 * GROUP_LEN).unwrap() == bytes[5..3 * GROUP]);
    drop(file);
    reader.close([lane.0]);
}
