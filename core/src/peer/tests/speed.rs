//! How fast a file of the other peer is read: run by hand, in a release build.

use std::sync::mpsc::channel;
use std::time::Duration;

use super::super::demand::RemoteFile;
use super::super::shared::Shared;
use super::reading::Pair;
use crate::aligned::AlignedBuffer;

/// Reads as a mount does: inline what is here, otherwise when it is.
fn read(shared: &std::sync::Arc<Shared>, file: &RemoteFile, buffer: &mut [u8], offset: u64) {
    let range = offset..offset + buffer.len() as u64;
    if !file.is_ready(shared, range.clone()) {
        let (sender, outcome) = channel();
        file.read(
            shared,
            range,
            Box::new(move |outcome| sender.send(outcome).unwrap()),
        );
        outcome.recv().unwrap().unwrap();
    }
    file.cached().read_at(buffer, offset).unwrap();
}

fn bytes(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

fn per_second(amount: f64, elapsed: Duration) -> f64 {
    amount / elapsed.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
#[expect(clippy::print_stderr, reason = "a measurement is for whoever runs it")]
async fn sequential_and_random_reads() {
    let pair = Pair::new().await;
    let shared = pair.share(&bytes(1 << 30)).await;
    let clock = &pair.alice.shared.clock;
    let reader = |readers: u64| {
        let file = pair.alice.shared.remote_file(&shared).unwrap();
        let peer = pair.alice.shared.clone();
        let started = clock.now();
        tokio::task::block_in_place(|| {
            std::thread::scope(|scope| {
                for first in 0..readers {
                    let (file, peer) = (&file, &peer);
                    scope.spawn(move || {
                        let mut buffer = AlignedBuffer::new(4096);
                        for read_count in (first..6000).step_by(usize::try_from(readers).unwrap()) {
                            let page = (read_count + readers * 7919) * 2_654_435_761 % (1 << 18);
                            read(peer, file, &mut buffer, page * 4096);
                        }
                    });
                }
            });
        });
        per_second(6000.0, clock.now() - started)
    };
    for readers in [1, 8] {
        let rate = reader(readers);
        eprintln!("random 4 KiB, {readers} at once: {rate:.0} a second");
    }
    pair.close().await;
    for round in 0..4 {
        let pair = Pair::new().await;
        let shared = pair.share(&bytes(1 << 30)).await;
        let file = pair.alice.shared.remote_file(&shared).unwrap();
        let started = pair.alice.shared.clock.now();
        tokio::task::block_in_place(|| {
            let mut buffer = AlignedBuffer::new(128 * 1024);
            for offset in (0..shared.content.len).step_by(128 * 1024) {
                read(&pair.alice.shared, &file, &mut buffer, offset);
            }
        });
        let rate = per_second(1024.0 * 1.048_576, pair.alice.shared.clock.now() - started);
        eprintln!("round {round}, sequential 1 GiB in pieces of 128 KiB: {rate:.0} MB/s");
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(file.cached().file()).unwrap();
        assert_eq!(*hasher.finalize().as_bytes(), shared.content.hash);
        drop(file);
        pair.close().await;
    }
}
