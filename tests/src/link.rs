//! The network path between two parties and its faults: an in-process TCP proxy in which faults are
//! phases.
//!
//! A fault is a guard: it lasts until it is dropped or healed. `reset` and `corrupt_after` are
//! single events. The link carries bytes without interpreting them. Like TCP, it never loses or
//! reorders bytes.

use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ports;
use crate::wait::{Look, wait_for};

mod fault;
mod pump;

pub use fault::Fault;
use fault::{Condition, Corruption};

/// A path through which two parties reach each other: one listening front for each target behind
/// it.
///
/// All its fronts share one condition: a cut link is cut in both directions, whichever side dials.
#[derive(Debug, Default)]
pub struct Link {
    state: Arc<State>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The state that the link and its connections share.
#[derive(Debug, Default)]
struct State {
    condition: watch::Sender<Condition>,
    corruption: Corruption,
    carried_len: watch::Sender<u64>,
}

impl Link {
    /// A healthy link without a front.
    pub fn new() -> Link {
        Link::default()
    }

    /// Opens a front: a connection to the returned address reaches `target` through this link.
    pub fn front(&self, target: SocketAddr) -> io::Result<SocketAddr> {
        let claim = ports::claim_anywhere()?;
        claim.listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(claim.listener)?;
        let serving = serve(listener, target, self.state.clone(), self.tasks.clone());
        self.tasks
            .spawn(self.stop.clone().run_until_cancelled_owned(serving));
        Ok(claim.addr)
    }

    /// Breaks every connection and refuses new ones.
    pub fn cut(&self) -> Fault {
        self.reset();
        self.fault(|condition| condition.cuts += 1, |condition| condition.cuts -= 1)
    }

    /// Delivers nothing: connections stay open, no bytes and no end of a stream arrive. Healing
    /// delivers the bytes that were under way, as TCP would.
    pub fn half_open(&self) -> Fault {
        self.fault(
            |condition| condition.silences += 1,
            |condition| condition.silences -= 1,
        )
    }

    /// Delivers everything `each_way` later.
    pub fn delay(&self, each_way: Duration) -> Fault {
        self.fault(
            move |condition| condition.delay += each_way,
            move |condition| condition.delay -= each_way,
        )
    }

    /// Lets at most `bytes_per_second` pass in each direction of each connection.
    pub fn throttle(&self, bytes_per_second: u32) -> Fault {
        let before = self.state.condition.borrow().bytes_per_second;
        self.fault(
            move |condition| condition.bytes_per_second = Some(bytes_per_second),
            move |condition| condition.bytes_per_second = before,
        )
    }

    /// Ends every current connection with a real RST, once; new connections are accepted.
    pub fn reset(&self) {
        self.state
            .condition
            .send_modify(|condition| condition.resets += 1);
    }

    /// Flips one bit of the byte that follows after `len` more bytes, counted over all connections.
    pub fn corrupt_after(&self, len: u64) {
        self.state.corruption.arm(len);
    }

    /// Whether the byte of `corrupt_after` has not passed yet.
    pub fn is_corruption_pending(&self) -> bool {
        self.state.corruption.is_armed()
    }

    /// How many bytes have been delivered, counted over all connections and both directions.
    pub fn carried_len(&self) -> u64 {
        *self.state.carried_len.borrow()
    }

    /// Waits until `len` more bytes have been delivered, counted over all connections and both
    /// directions.
    #[track_caller]
    pub fn carried(&self, len: u64) -> impl Future<Output = ()> + use<> {
        let at = Location::caller();
        let mut changes = self.state.carried_len.subscribe();
        let end = *changes.borrow_and_update() + len;
        let current = changes.clone();
        async move {
            let look = async || match *current.borrow() {
                carried if carried >= end => Look::Ready(()),
                carried => Look::NotYet(format!("{} bytes are missing", end - carried)),
            };
            wait_for(
                at,
                "bytes on a link",
                async || drop(changes.changed().await),
                look,
            )
            .await;
        }
    }

    /// Ends the fronts and every connection, and returns when their tasks have ended.
    pub async fn close(self) {
        self.stop.cancel();
        self.reset();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn fault(
        &self,
        begin: impl FnOnce(&mut Condition),
        end: impl FnOnce(&mut Condition) + Send + 'static,
    ) -> Fault {
        self.state.condition.send_modify(begin);
        Fault::new(self.state.condition.clone(), end)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
        self.reset();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, state: Arc<State>, tasks: TaskTracker) {
    while let Ok((near, _)) = listener.accept().await {
        if state.condition.borrow().cuts > 0 {
            abort(near);
            continue;
        }
        tasks.spawn(connect_and_carry(near, target, state.clone()));
    }
}

async fn connect_and_carry(near: TcpStream, target: SocketAddr, state: Arc<State>) {
    let mut condition = state.condition.subscribe();
    let resets = condition.borrow_and_update().resets;
    let Ok(far) = TcpStream::connect(target).await else {
        return abort(near);
    };
    let was_reset = async {
        // The sender is in `state`, so this ends only by a reset.
        condition
            .wait_for(|condition| condition.resets > resets)
            .await
            .is_ok()
    };
    carry(near, far, &state, was_reset).await;
}

/// Carries bytes both ways until both ends are done; an error of one end, or a reset, resets both.
async fn carry(
    mut near: TcpStream,
    mut far: TcpStream,
    state: &State,
    was_reset: impl Future<Output = bool>,
) {
    let is_done = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let there = pump::pump(near_read, far_write, state);
        let back = pump::pump(far_read, near_write, state);
        tokio::select! {
            result = async { tokio::try_join!(there, back) } => result.is_ok(),
            _ = was_reset => false,
        }
    };
    if !is_done {
        abort(near);
        abort(far);
    }
}

/// Closes with RST. That needs zero linger and the whole stream, because an owned write half sends
/// FIN when it is dropped.
fn abort(stream: TcpStream) {
    // A closed socket needs no reset.
    let _result = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

#[cfg(test)]
mod tests;
