//! Both ends of a data lane over a real connection: honest holders, lying ones, and lanes that
//! break.

mod demand;
mod resume;

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::UNIX_EPOCH;

use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use super::protocol::{Refusal, Request, Response};
use super::{FileFailure, FileJob, Holder, LaneEnd, Outcome, Progress, Queue, fetch, serve};
use crate::catalog::ContentId;
use crate::clock::Clock;
use crate::identity::Identity;
use crate::limits::{CORRUPT_GROUPS_MAX, HANDSHAKE_TIMEOUT, LANE_FRAME_LEN_MAX, REQUEST_LEN_MAX};
use crate::session::WireError;
use crate::session::blocking::BlockingLane;
use crate::session::lane;
use crate::session::tls::{Expected, TlsIdentity};
use crate::session::wire::{Purpose, read_blocking, write_blocking};
use crate::store::{Attributes, Destination, GROUP_LEN, Source};

const GROUP: usize = GROUP_LEN as usize;

/// Serves one source for every requested content.
struct Stubborn(Arc<Source>);

impl Holder for Stubborn {
    fn sources(&self, content: &ContentId) -> Vec<Arc<Source>> {
        (self.0.content == *content)
            .then(|| self.0.clone())
            .into_iter()
            .collect()
    }

    fn refresh(&self, _source: &Arc<Source>) -> Option<Arc<Source>> {
        None
    }
}

/// Serves one source. After two groups it serves nothing more until the pull is cancelled, so that
/// the pull can't finish first.
struct Hesitant {
    source: Arc<Source>,
    progress: Progress,
    cancelled: std::sync::Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Holder for Hesitant {
    fn sources(&self, _content: &ContentId) -> Vec<Arc<Source>> {
        if self.progress.verified_len() >= 2 * GROUP_LEN {
            // The other end of the channel is dropped, and nothing is ever sent.
            self.cancelled.lock().unwrap().recv().unwrap_err();
        }
        vec![self.source.clone()]
    }

    fn refresh(&self, _source: &Arc<Source>) -> Option<Arc<Source>> {
        None
    }
}

/// Serves one source until its flag says that it is withdrawn.
struct Withdrawn(Arc<Source>, Arc<AtomicBool>);

impl Holder for Withdrawn {
    fn sources(&self, _content: &ContentId) -> Vec<Arc<Source>> {
        let shared = self.1.load(Ordering::SeqCst);
        shared.then(|| self.0.clone()).into_iter().collect()
    }

    fn refresh(&self, _source: &Arc<Source>) -> Option<Arc<Source>> {
        None
    }
}

/// The puller's and the holder's end of a lane.
fn lane_pair() -> (BlockingLane, BlockingLane) {
    let (puller, holder) = (Identity::ephemeral().unwrap(), Identity::ephemeral().unwrap());
    let gate = Expected::default();
    gate.set(Some(puller.fingerprint()));
    let server = TlsIdentity::new(&holder).unwrap().server_config(gate).unwrap();
    let client = TlsIdentity::new(&puller)
        .unwrap()
        .client_config(holder.fingerprint())
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let accepted = listener.accept().await.unwrap().0;
        let welcome = async { lane::accept(accepted, server).await?.welcome().await };
        let deadline = Clock::system().now() + HANDSHAKE_TIMEOUT;
        let greet = async {
            lane::reach(dialled, client, deadline)
                .await?
                .ask(Purpose::Control)
                .await
        };
        let (dialled, accepted) = tokio::join!(greet, welcome);
        (
            BlockingLane::new(dialled.unwrap()).unwrap(),
            BlockingLane::new(accepted.unwrap()).unwrap(),
        )
    })
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 255 + i / GROUP) as u8).collect()
}

fn source(root: &Path, bytes: &[u8]) -> Source {
    let path = root.join("source.bin");
    std::fs::write(&path, bytes).unwrap();
    Source::read(&path, &|| false).unwrap()
}

fn queue(root: &Path, content: ContentId) -> Arc<Queue> {
    let destination = Destination::file(&root.join("target.bin")).unwrap();
    let attributes = Attributes {
        modified: UNIX_EPOCH,
        mode: 0o644,
    };
    Arc::new(Queue::new(
        vec![FileJob {
            content,
            destination,
            attributes,
        }],
        Progress::default(),
    ))
}

/// Works on `queue` over one fresh lane to a holder of `source`.
fn pull_once(queue: &Arc<Queue>, source: &Arc<Source>) -> LaneEnd {
    let (mut pulling, mut serving) = lane_pair();
    let holder = Stubborn(source.clone());
    let serving = thread::spawn(move || serve(&mut serving, &holder));
    let end = fetch(&mut pulling, queue, &Clock::system());
    drop(pulling);
    // The puller hangs up; the holder's outcome does not matter.
    drop(serving.join().unwrap());
    end.unwrap()
}

fn outcome(queue: &Queue) -> Outcome {
    queue.take_outcomes(None).remove(0)
}

fn names(root: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(root.path()).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_requested_file_arrives_whole_at_every_size_around_a_group() {
    for len in [0, 1, GROUP - 1, GROUP, GROUP + 1, 3 * GROUP + 5, 17 * GROUP + 1] {
        let root = tempfile::tempdir().unwrap();
        let bytes = bytes(len);
        let source = Arc::new(source(root.path(), &bytes));
        let queue = queue(root.path(), source.content);
        assert_eq!(pull_once(&queue, &source), LaneEnd::Done);
        assert!(outcome(&queue).is_ok());
        assert!(
            std::fs::read(root.path().join("target.bin")).unwrap() == bytes,
            "{len}"
        );
    }
}

#[test]
fn a_wrong_byte_is_never_published() {
    for len in [100, 3 * GROUP] {
        let root = tempfile::tempdir().unwrap();
        let honest = source(root.path(), &bytes(len));
        let mut wrong = bytes(len);
        wrong[len - 1] ^= 1;
        std::fs::write(&honest.path, &wrong).unwrap();
        let lying = Arc::new(Source::known(&honest.path, honest.content, honest.outline).unwrap());
        let queue = queue(root.path(), honest.content);
        pull_once(&queue, &lying);
        assert!(matches!(outcome(&queue), Err(FileFailure::Corrupt)));
        assert_eq!(names(&root), ["source.bin"]);
    }
}

#[test]
fn a_file_that_failed_drops_its_outline_and_accepts_no_other() {
    let root = tempfile::tempdir().unwrap();
    let honest = source(root.path(), &bytes(3 * GROUP));
    let queue = queue(root.path(), honest.content);
    queue.outlined(0, honest.outline.clone());
    assert!(queue.file(0).unwrap().outline().is_some());
    queue.settle(0, Err(FileFailure::Corrupt));
    assert!(queue.file(0).unwrap().outline().is_none());
    queue.outlined(0, honest.outline);
    assert!(queue.file(0).unwrap().outline().is_none());
    assert!(queue.take().is_none());
}

#[test]
fn an_outline_that_does_not_fold_to_the_root_is_not_accepted() {
    let root = tempfile::tempdir().unwrap();
    let honest = source(root.path(), &bytes(3 * GROUP));
    let other_root = tempfile::tempdir().unwrap();
    let other = source(other_root.path(), &vec![5; 3 * GROUP]);
    let lying = Arc::new(Source::known(&other.path, honest.content, other.outline).unwrap());
    let queue = queue(root.path(), honest.content);
    pull_once(&queue, &lying);
    assert!(matches!(outcome(&queue), Err(FileFailure::Corrupt)));
}

#[test]
fn a_request_that_is_too_long_or_outside_of_the_content_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), &bytes(17 * GROUP)));
    let content = source.content;
    let (mut pulling, mut serving) = lane_pair();
    let holder = Stubborn(source);
    let serving = thread::spawn(move || serve(&mut serving, &holder));
    for (offset, len) in [(0, REQUEST_LEN_MAX + 1), (17 * GROUP_LEN, 1), (u64::MAX, 2)] {
        write_blocking(
            &mut pulling,
            &Request::Bytes { content, offset, len },
            LANE_FRAME_LEN_MAX,
        )
        .unwrap();
        pulling.flush().unwrap();
        let response = read_blocking(&mut pulling, LANE_FRAME_LEN_MAX).unwrap();
        assert!(
            matches!(response, Response::Refused(Refusal::OutOfRange)),
            "{offset} {len}"
        );
    }
    drop(pulling);
    drop(serving.join().unwrap());
}

#[test]
fn a_request_of_the_greatest_length_is_answered_whole() {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), &bytes(17 * GROUP)));
    let content = source.content;
    let (mut pulling, mut serving) = lane_pair();
    let holder = Stubborn(source);
    let serving = thread::spawn(move || serve(&mut serving, &holder));
    let request = Request::Bytes {
        content,
        offset: 0,
        len: REQUEST_LEN_MAX,
    };
    write_blocking(&mut pulling, &request, LANE_FRAME_LEN_MAX).unwrap();
    pulling.flush().unwrap();
    let response = read_blocking(&mut pulling, LANE_FRAME_LEN_MAX).unwrap();
    let expected = u64::from(REQUEST_LEN_MAX);
    assert!(
        matches!(response, Response::Data { len } if len == expected),
        "{response:?}"
    );
    let mut answer = vec![0; REQUEST_LEN_MAX as usize];
    pulling.read_exact(&mut answer).unwrap();
    assert!(answer == bytes(17 * GROUP)[..answer.len()]);
    drop(pulling);
    drop(serving.join().unwrap());
}

/// Announces a frame of `len` bytes on one end of a lane and fills it with zeros.
fn send_frame(lane: &mut BlockingLane, len: usize) {
    let prefix = u32::try_from(len).unwrap().to_be_bytes();
    lane.write_all(&[prefix.as_slice(), &vec![0; len]].concat())
        .unwrap();
    lane.flush().unwrap();
}

#[test]
fn a_holder_reads_a_request_frame_up_to_the_limit_and_refuses_one_byte_more() {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), b"something"));
    for len in [LANE_FRAME_LEN_MAX, LANE_FRAME_LEN_MAX + 1] {
        let (mut pulling, mut serving) = lane_pair();
        send_frame(&mut pulling, len);
        let error = serve(&mut serving, &Stubborn(source.clone())).unwrap_err();
        let is_too_long = matches!(error, WireError::FrameTooLong { .. });
        assert_eq!(is_too_long, len > LANE_FRAME_LEN_MAX, "{error}");
    }
}

#[test]
fn a_puller_reads_a_response_frame_up_to_the_limit_and_refuses_one_byte_more() {
    let root = tempfile::tempdir().unwrap();
    let source = source(root.path(), b"something");
    for len in [LANE_FRAME_LEN_MAX, LANE_FRAME_LEN_MAX + 1] {
        let (mut pulling, mut serving) = lane_pair();
        send_frame(&mut serving, len);
        let queue = queue(root.path(), source.content);
        let error = fetch(&mut pulling, &queue, &Clock::system()).unwrap_err();
        let is_too_long = matches!(error, WireError::FrameTooLong { .. });
        assert_eq!(is_too_long, len > LANE_FRAME_LEN_MAX, "{error}");
    }
}

#[test]
fn a_file_fails_with_one_wrong_group_more_than_the_limit() {
    let root = tempfile::tempdir().unwrap();
    let source = source(root.path(), b"something");
    let queue = queue(root.path(), source.content);
    for _ in 0..CORRUPT_GROUPS_MAX {
        let unit = queue.take().unwrap();
        queue.group_corrupt(unit);
    }
    assert!(!queue.is_settled(0));
    let unit = queue.take().unwrap();
    queue.group_corrupt(unit);
    assert!(matches!(outcome(&queue), Err(FileFailure::Corrupt)));
}

#[test]
fn a_content_that_is_not_held_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), b"something"));
    let queue = queue(
        root.path(),
        ContentId {
            hash: [9; 32],
            len: 9,
        },
    );
    pull_once(&queue, &source);
    assert!(matches!(
        outcome(&queue),
        Err(FileFailure::Refused(Refusal::NotHeld))
    ));
}

#[test]
fn a_withdrawn_content_is_refused_even_on_a_lane_that_has_it_open() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = Arc::new(source(first.path(), b"something"));
    let queues = [
        queue(first.path(), source.content),
        queue(second.path(), source.content),
    ];
    let is_shared = Arc::new(AtomicBool::new(true));
    let (mut pulling, mut serving) = lane_pair();
    let holder = Withdrawn(source, is_shared.clone());
    let serving = thread::spawn(move || serve(&mut serving, &holder));
    fetch(&mut pulling, &queues[0], &Clock::system()).unwrap();
    is_shared.store(false, Ordering::SeqCst);
    fetch(&mut pulling, &queues[1], &Clock::system()).unwrap();
    drop(pulling);
    drop(serving.join().unwrap());
    assert!(outcome(&queues[0]).is_ok());
    assert!(matches!(
        outcome(&queues[1]),
        Err(FileFailure::Refused(Refusal::NotHeld))
    ));
}

/// Holds the sources that are still in a list.
struct Listed(Arc<std::sync::Mutex<Vec<Arc<Source>>>>);

impl Holder for Listed {
    fn sources(&self, _content: &ContentId) -> Vec<Arc<Source>> {
        self.0.lock().unwrap().clone()
    }

    fn refresh(&self, _source: &Arc<Source>) -> Option<Arc<Source>> {
        None
    }
}

#[test]
fn a_withdrawn_file_is_read_no_further_though_another_one_has_the_content() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let withdrawn = Arc::new(source(first.path(), b"something"));
    let queues = [
        queue(first.path(), withdrawn.content),
        queue(second.path(), withdrawn.content),
    ];
    let list = Arc::new(std::sync::Mutex::new(vec![withdrawn.clone()]));
    let (mut pulling, mut serving) = lane_pair();
    let holder = Listed(list.clone());
    let serving = thread::spawn(move || serve(&mut serving, &holder));
    fetch(&mut pulling, &queues[0], &Clock::system()).unwrap();
    // The other source can't be opened, so an answer can only come from the withdrawn one.
    let mut other = source(second.path(), b"something");
    other.path = second.path().join("none");
    *list.lock().unwrap() = vec![Arc::new(other)];
    fetch(&mut pulling, &queues[1], &Clock::system()).unwrap();
    drop(pulling);
    drop(serving.join().unwrap());
    assert!(outcome(&queues[0]).is_ok() && outcome(&queues[1]).is_err());
}

#[test]
fn a_file_that_was_edited_after_it_was_shared_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(source(root.path(), b"before"));
    std::fs::write(&source.path, b"after!").unwrap();
    let queue = queue(root.path(), source.content);
    pull_once(&queue, &source);
    assert!(matches!(
        outcome(&queue),
        Err(FileFailure::Refused(Refusal::Changed))
    ));
}

#[test]
fn a_lane_that_breaks_gives_back_what_is_missing_and_another_one_fetches_only_that() {
    let root = tempfile::tempdir().unwrap();
    let bytes = bytes(40 * GROUP);
    let source = Arc::new(source(root.path(), &bytes));
    let queue = queue(root.path(), source.content);
    let (mut pulling, mut serving) = lane_pair();
    let (closer, holder) = (serving.closer().unwrap(), Stubborn(source.clone()));
    let holding = thread::spawn(move || serve(&mut serving, &holder));
    let progress = queue.progress().clone();
    let cutting = thread::spawn(move || {
        while progress.verified_len() < 2 * GROUP_LEN {
            thread::yield_now();
        }
        closer.close();
    });
    assert!(fetch(&mut pulling, &queue, &Clock::system()).is_err());
    drop((cutting.join().unwrap(), holding.join().unwrap()));
    assert!(!queue.is_done());
    pull_once(&queue, &source);
    assert!(outcome(&queue).is_ok());
    assert_eq!(queue.progress().verified_len(), bytes.len() as u64);
    assert!(std::fs::read(root.path().join("target.bin")).unwrap() == bytes);
}
