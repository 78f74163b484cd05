//! Readers of remote contents, over real lanes: what they get, what is requested for them, and how
//! they fail.

mod faults;
mod orders;

use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use super::super::protocol::{Request, Response};
use super::{GROUP, bytes, lane_pair, source};
use crate::catalog::ContentId;
use crate::clock::Clock;
use crate::limits::{LANE_FRAME_LEN_MAX, PEER_STORE_FETCHED_LEN_MAX};
use crate::session::WireError;
use crate::session::blocking::{BlockingLane, LaneCloser};
use crate::session::wire::{read_blocking, write_blocking};
use crate::store::{Cached, GROUP_LEN, PeerStore, Source};
use crate::transfer::{
    Demand, FetchEvents, FetchFault, Holder, LaneEnd, Patience, Plan, ReadAhead, Waiter, WorkersToStart,
    copy_fetched, fetch, serve, supply,
};

type Outcome = Result<(), FetchFault>;

/// Serves one source and records the requests.
#[derive(Debug)]
struct Recorder {
    source: Arc<Source>,
    asked: Mutex<Vec<Request>>,
    is_willing: AtomicBool,
}

impl Recorder {
    fn new(source: Source) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::new(source),
            asked: Mutex::default(),
            is_willing: AtomicBool::new(true),
        })
    }

    /// Serves the other end of `asking` until that is closed.
    fn serve_overheard(self: &Arc<Self>, mut asking: BlockingLane) {
        let (mut forwarding, mut serving) = lane_pair();
        let (holder, listener) = (self.clone(), self.clone());
        thread::spawn(move || drop(serve(&mut serving, holder.as_ref())));
        thread::spawn(move || drop(overhear(&mut asking, &mut forwarding, &listener.asked)));
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    fn asked_len(&self) -> u64 {
        let len = |request: &Request| match request {
            Request::Bytes { len, .. } => u64::from(*len),
            _ => 0,
        };
        self.asked().iter().map(len).sum()
    }
}

impl Holder for Recorder {
    fn sources(&self, content: &ContentId) -> Vec<Arc<Source>> {
        let held = self.source.content == *content && self.is_willing.load(Ordering::SeqCst);
        held.then(|| self.source.clone()).into_iter().collect()
    }

    fn refresh(&self, _source: &Arc<Source>) -> Option<Arc<Source>> {
        None
    }
}

/// Forwards the requests of a reader to the holder, and records them.
fn overhear(
    asking: &mut BlockingLane,
    serving: &mut BlockingLane,
    asked: &Mutex<Vec<Request>>,
) -> Result<(), WireError> {
    loop {
        let request: Request = read_blocking(asking, LANE_FRAME_LEN_MAX)?;
        asked.lock().unwrap().push(request);
        write_blocking(serving, &request, LANE_FRAME_LEN_MAX)?;
        serving.flush()?;
        let response: Response = read_blocking(serving, LANE_FRAME_LEN_MAX)?;
        write_blocking(asking, &response, LANE_FRAME_LEN_MAX)?;
        if let Response::Data { len } = response {
            std::io::copy(&mut serving.take(len), asking)?;
        }
        asking.flush()?;
    }
}

/// Counts the calls that it gets.
#[derive(Debug, Default)]
struct Watcher {
    completed: AtomicU32,
    corrupt: AtomicU32,
}

impl FetchEvents for Watcher {
    fn stored(&self) {}

    fn completed(&self, cached: &Arc<Cached>) {
        assert!(cached.is_complete());
        self.completed.fetch_add(1, Ordering::SeqCst);
    }

    fn corrupt(&self, _content: ContentId) {
        self.corrupt.fetch_add(1, Ordering::SeqCst);
    }
}

/// A reader's side: a store, the demand, and the lanes that work for it.
struct Reader {
    _store: TempDir,
    peer_store: PeerStore,
    demand: Arc<Demand>,
    watcher: Arc<Watcher>,
    clock: Clock,
}

type Worker = JoinHandle<Result<LaneEnd, WireError>>;

impl Reader {
    fn new() -> Self {
        let store = tempfile::tempdir().unwrap();
        let peer_store = PeerStore::open(store.path(), PEER_STORE_FETCHED_LEN_MAX).unwrap();
        Self {
            _store: store,
            peer_store,
            demand: Arc::default(),
            watcher: Arc::default(),
            clock: Clock::system(),
        }
    }

    fn open(&self, content: ContentId) -> Open<'_> {
        let cached = self.peer_store.fetched(content).unwrap();
        let ahead = ReadAhead::new(content.len);
        Open {
            reader: self,
            cached,
            ahead,
        }
    }

    /// Starts a lane to `holder`.
    fn work(&self, holder: &Arc<Recorder>) -> (Worker, LaneCloser) {
        let (mut reading, asking) = lane_pair();
        let closer = asking.closer().unwrap();
        holder.serve_overheard(asking);
        let (demand, watcher, clock) = (self.demand.clone(), self.watcher.clone(), self.clock.clone());
        let worker = thread::spawn(move || supply(&mut reading, &demand, watcher.as_ref(), &clock));
        (worker, closer)
    }

    fn close(self, workers: impl IntoIterator<Item = Worker>) {
        self.demand.close();
        for worker in workers {
            assert_eq!(worker.join().unwrap().unwrap(), LaneEnd::Done);
        }
    }
}

/// An open file.
struct Open<'a> {
    reader: &'a Reader,
    cached: Arc<Cached>,
    ahead: ReadAhead,
}

impl Open<'_> {
    fn start(&mut self, range: Range<u64>) -> (WorkersToStart, Receiver<Outcome>) {
        let plan = self.ahead.on_read(range.start, range.end - range.start);
        self.start_planned(&plan, range)
    }

    fn start_planned(&self, plan: &Plan, range: Range<u64>) -> (WorkersToStart, Receiver<Outcome>) {
        let (sender, receiver) = channel();
        let waiter = Waiter {
            range,
            since: self.reader.clock.now(),
            patience: Patience::InAll,
            done: Box::new(move |outcome| sender.send(outcome).unwrap()),
        };
        (self.reader.demand.read(&self.cached, plan, waiter), receiver)
    }

    fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>, FetchFault> {
        let (_, outcome) = self.start(range.clone());
        await_outcome(&outcome)?;
        let mut buffer = vec![0; usize::try_from(range.end - range.start).unwrap()];
        self.cached.read_at(&mut buffer, range.start).unwrap();
        Ok(buffer)
    }
}

fn await_outcome(outcome: &Receiver<Outcome>) -> Outcome {
    outcome.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn shared(root: &Path, len: usize) -> (Vec<u8>, Arc<Recorder>) {
    let bytes = bytes(len);
    let holder = Recorder::new(source(root, &bytes));
    (bytes, holder)
}

#[test]
fn a_sequential_reader_gets_every_byte_at_every_size_around_a_group() {
    for len in [1, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP + 5, 20 * GROUP + 1] {
        let root = tempfile::tempdir().unwrap();
        let (bytes, holder) = shared(root.path(), len);
        let reader = Reader::new();
        let lanes = [reader.work(&holder), reader.work(&holder)];
        let mut file = reader.open(holder.source.content);
        let mut read = Vec::new();
        for start in (0..len).step_by(128 * 1024) {
            let end = len.min(start + 128 * 1024);
            read.extend(file.read(start as u64..end as u64).unwrap());
        }
        assert!(read == bytes, "{len}");
        assert!(file.cached.is_complete(), "{len}");
        assert_eq!(holder.asked_len(), len as u64, "nothing is fetched twice");
        assert_eq!(reader.watcher.completed.load(Ordering::SeqCst), 1);
        drop(file);
        reader.close(lanes.map(|(worker, _)| worker));
    }
}

#[test]
fn random_small_reads_fetch_the_blocks_they_touch_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    let (bytes, holder) = shared(root.path(), 40 * GROUP + 100);
    let reader = Reader::new();
    let lane = reader.work(&holder);
    let mut file = reader.open(holder.source.content);
    for group in [39, 3, 17, 40, 3] {
        let start = group * GROUP + 70;
        let read = file.read(start as u64..start as u64 + 20).unwrap();
        assert!(read == bytes[start..start + 20], "{group}");
    }
    let one = 16 * 1024;
    assert_eq!(holder.asked_len(), 3 * one + 100);
    assert!(file.cached.has(3 * GROUP_LEN..3 * GROUP_LEN + one));
    assert!(!file.cached.has(3 * GROUP_LEN + one..3 * GROUP_LEN + one + 1));
    drop(file);
    reader.close([lane.0]);
}

#[test]
fn a_range_that_two_readers_want_is_fetched_once() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 4 * GROUP);
    let reader = Reader::new();
    let mut files = [
        reader.open(holder.source.content),
        reader.open(holder.source.content),
    ];
    let outcomes = files
        .each_mut()
        .map(|file| file.start(2 * GROUP_LEN..2 * GROUP_LEN + 5));
    let lanes = [reader.work(&holder), reader.work(&holder)];
    for (_, outcome) in &outcomes {
        await_outcome(outcome).unwrap();
    }
    assert_eq!(holder.asked_len(), 16 * 1024);
    drop(files);
    reader.close(lanes.map(|(worker, _)| worker));
}

#[test]
fn blocks_that_a_read_waits_for_come_before_blocks_to_be_read_ahead() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP);
    let reader = Reader::new();
    let mut file = reader.open(holder.source.content);
    let _ = reader.demand.read_ahead(&file.cached, 0..9 * GROUP_LEN);
    let (_, outcome) = file.start(8 * GROUP_LEN..8 * GROUP_LEN + 5);
    let lane = reader.work(&holder);
    await_outcome(&outcome).unwrap();
    let asked = holder.asked();
    assert!(matches!(asked[0], Request::Outline { .. }));
    assert!(matches!(asked[1], Request::Bytes { offset, .. } if offset == 8 * GROUP_LEN));
    drop(file);
    reader.close([lane.0]);
}

#[test]
fn a_whole_file_is_fetched_group_by_group_without_the_blocks_that_are_here() {
    let root = tempfile::tempdir().unwrap();
    let (_, holder) = shared(root.path(), 9 * GROUP + 7);
    let reader = Reader::new();
    let lanes = [reader.work(&holder), reader.work(&holder)];
    let mut file = reader.open(holder.source.content);
    file.read(4 * GROUP_LEN..4 * GROUP_LEN + 1).unwrap();
    let (sender, outcome) = channel();
    let waiter = Waiter {
        range: 0..file.cached.content().len,
        since: reader.clock.now(),
        patience: Patience::WithProgress,
        done: Box::new(move |outcome| sender.send(outcome).unwrap()),
    };
    let _ = reader.demand.read_all(&file.cached, waiter);
    await_outcome(&outcome).unwrap();
    assert!(file.cached.is_complete());
    assert_eq!(holder.asked_len(), file.cached.content().len);
    drop(file);
    reader.close(lanes.map(|(worker, _)| worker));
}

#[test]
fn a_pull_does_not_fetch_blocks_again_that_a_reader_fetched() {
    let root = tempfile::tempdir().unwrap();
    let (bytes, holder) = shared(root.path(), 40 * GROUP + 9);
    let content = holder.source.content;
    let reader = Reader::new();
    let lane = reader.work(&holder);
    let mut file = reader.open(content);
    file.read(3 * GROUP_LEN..20 * GROUP_LEN).unwrap();
    file.read(30 * GROUP_LEN..30 * GROUP_LEN + 5).unwrap();
    let asked_len = holder.asked_len();
    let queue = super::queue(root.path(), content);
    copy_fetched(&queue, &reader.peer_store, &reader.clock);
    let (mut pulling, asking) = lane_pair();
    holder.serve_overheard(asking);
    assert_eq!(fetch(&mut pulling, &queue, &reader.clock).unwrap(), LaneEnd::Done);
    assert!(super::outcome(&queue).is_ok());
    assert!(std::fs::read(root.path().join("target.bin")).unwrap() == bytes);
    assert_eq!(holder.asked_len() - asked_len, content.len - 17 * GROUP_LEN);
    let outlines = holder
        .asked()
        .iter()
        .filter(|request| matches!(request, Request::Outline { .. }))
        .count();
    assert_eq!(outlines, 1);
    assert_eq!(queue.progress().verified_len(), content.len);
    drop(file);
    reader.close([lane.0]);
}

#[test]
fn a_pull_of_a_file_that_is_whole_in_the_store_requests_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (bytes, holder) = shared(root.path(), 3 * GROUP + 9);
    let reader = Reader::new();
    let lane = reader.work(&holder);
    let mut file = reader.open(holder.source.content);
    file.read(0..3 * GROUP_LEN + 9).unwrap();
    let queue = super::queue(root.path(), holder.source.content);
    copy_fetched(&queue, &reader.peer_store, &reader.clock);
    assert!(queue.is_done() && super::outcome(&queue).is_ok());
    assert!(std::fs::read(root.path().join("target.bin")).unwrap() == bytes);
    drop(file);
    reader.close([lane.0]);
}
