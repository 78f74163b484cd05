//! One direction of one connection: collects, waits as the link's condition asks, delivers.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::State;
use crate::wait;

/// Maximum bytes of one chunk.
const CHUNK_LEN: usize = 64 * 1024;
/// Chunks under way in one direction: 4 MiB, as on a slow and long path.
const CHUNK_COUNT_MAX: usize = 64;

/// A chunk and the time from which it may be delivered.
struct Parcel {
    due: Option<Instant>,
    chunk: Vec<u8>,
}

/// Carries everything from `from` to `to`, then passes the end of the stream on.
pub(super) async fn pump(from: ReadHalf<'_>, to: WriteHalf<'_>, state: &State) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNK_COUNT_MAX);
    tokio::try_join!(collect(from, sender, state), deliver(receiver, to, state))?;
    Ok(())
}

async fn collect(mut from: ReadHalf<'_>, parcels: mpsc::Sender<Parcel>, state: &State) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_LEN];
    loop {
        let len = from.read(&mut buffer).await?;
        let mut chunk = buffer.get(..len).unwrap_or_default().to_vec();
        if chunk.is_empty() {
            return Ok(());
        }
        state.corruption.apply(&mut chunk);
        let delay = state.condition.borrow().delay;
        let due = (!delay.is_zero()).then(|| wait::now() + delay);
        if parcels.send(Parcel { due, chunk }).await.is_err() {
            return Ok(());
        }
    }
}

async fn deliver(
    mut parcels: mpsc::Receiver<Parcel>,
    mut to: WriteHalf<'_>,
    state: &State,
) -> io::Result<()> {
    while let Some(Parcel { due, chunk }) = parcels.recv().await {
        if let Some(due) = due {
            wait::pause_until(due).await;
        }
        silence_is_over(state).await;
        to.write_all(&chunk).await?;
        state
            .carried_len
            .send_modify(|carried_len| *carried_len += chunk.len() as u64);
        throttle(chunk.len(), state).await;
    }
    silence_is_over(state).await;
    to.shutdown().await
}

async fn silence_is_over(state: &State) {
    let mut condition = state.condition.subscribe();
    // The sender is in `state`, so this can't fail.
    drop(condition.wait_for(|condition| condition.silences == 0).await);
}

async fn throttle(len: usize, state: &State) {
    let limit = state.condition.borrow().bytes_per_second;
    if let Some(bytes_per_second) = limit {
        wait::pause(Duration::from_secs_f64(
            len as f64 / f64::from(bytes_per_second.max(1)),
        ))
        .await;
    }
}
