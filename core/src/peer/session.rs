//! One live session: its control lane with the tasks around it, and its data lanes.
//!
//! Owns what happens while two peers are connected and how that ends, exactly once, with a reason.
//! It does not decide whether a session should exist; `gate` and `keeper` do.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::ReadHalf;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsStream;
use tokio_util::sync::CancellationToken;

use super::context::Context;
use super::control::{ControlMessage, Outgoing, Speaker, hear};
use super::event::{DisconnectReason, Event, Initiator};
use super::lanes::{DataLane, LaneUse, Lanes};
use crate::catalog::{CatalogError, Digest};
use crate::health::{HealthAction, HealthEvent, HealthMonitor};
use crate::identity::Fingerprint;
use crate::limits::{CONTROL_INBOX_LEN, CONTROL_OUTBOX_LEN, GOODBYE_TIMEOUT, HANDSHAKE_TIMEOUT};
use crate::session::crossing::Crossing;
use crate::session::lane::OpenLane;
use crate::session::wire::{Purpose, Requester};
use crate::session::{SessionError, SessionId, WireError};
use crate::transfer::serve;

/// A live session. Cheap to share; ends when [`Session::end`] is called or the control lane breaks.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) remote: Fingerprint,
    pub(crate) initiator: Initiator,
    pub(crate) id: SessionId,
    pub(crate) lanes: Lanes,
    pub(crate) outgoing: Arc<Outgoing>,
    address: SocketAddr,
    outbox: mpsc::Sender<ControlMessage>,
    ending: CancellationToken,
    reason: OnceLock<DisconnectReason>,
    /// Whether states of the other peer were refused because there is no room for them.
    has_refused: AtomicBool,
    /// Whether a digest of the other peer was answered.
    has_compared: AtomicBool,
    /// Whether a message could not be sent because the other peer does not read its control lane.
    has_stalled: AtomicBool,
}

/// A session's control lane before its tasks run: they start only when it is the current session.
/// Otherwise a change that is made before that would be lost.
pub(crate) struct Engine {
    session: Arc<Session>,
    reader: ReadHalf<TlsStream<TcpStream>>,
    speaker: Speaker,
    crossing: Option<Crossing>,
}

impl Engine {
    /// Starts the tasks of the session. They end with it.
    pub(crate) fn run(self) {
        let Self {
            session,
            reader,
            speaker,
            crossing,
        } = self;
        drop(crossing);
        let context = speaker.context.clone();
        let (heard, hearing) = mpsc::channel(CONTROL_INBOX_LEN);
        let (reading, speaking) = (session.clone(), session.clone());
        context.runtime.spawn(async move {
            let hearing = hear(reader, heard);
            reading.ending.run_until_cancelled(hearing).await.unwrap_or(())
        });
        context
            .runtime
            .spawn(async move { speaking.outlive(speaker).await });
        context.runtime.spawn(session.drive(context.clone(), hearing));
    }
}

impl Session {
    /// A session over its control lane. Nothing is sent or received before [`Engine::run`].
    pub(crate) fn new(context: &Arc<Context>, lane: OpenLane, initiator: Initiator) -> (Arc<Self>, Engine) {
        let (outbox, outgoing_messages) = mpsc::channel(CONTROL_OUTBOX_LEN);
        let session = Arc::new(Self {
            remote: lane.remote,
            initiator,
            id: lane.session,
            lanes: Lanes::default(),
            outgoing: Arc::default(),
            address: lane.address,
            outbox,
            ending: context.runtime.cancel.child_token(),
            reason: OnceLock::new(),
            has_refused: AtomicBool::new(false),
            has_compared: AtomicBool::new(false),
            has_stalled: AtomicBool::new(false),
        });
        let (reader, writer) = tokio::io::split(lane.stream);
        let outgoing = session.outgoing.clone();
        let speaker = Speaker {
            lane: writer,
            outbox: outgoing_messages,
            outgoing,
            sent: HashSet::new(),
            context: context.clone(),
        };
        let crossing = lane.crossing;
        let engine = Engine {
            session: session.clone(),
            reader,
            speaker,
            crossing,
        };
        (session, engine)
    }

    /// Ends the session. If it is ended more than once, the first reason counts.
    pub(crate) fn end(&self, reason: DisconnectReason) {
        // Set before: code that sees the end must be able to read its reason.
        drop(self.reason.set(reason));
        self.ending.cancel();
        self.lanes.end();
    }

    /// Ends the session with a goodbye, so that the other peer knows that it was on purpose.
    pub(crate) fn say_goodbye(&self) {
        // A full outbox means that the other peer has stopped reading.
        drop(self.outbox.try_send(ControlMessage::Bye));
        self.end(DisconnectReason::Closed);
    }

    /// Waits until the session has ended.
    pub(crate) async fn ended(&self) {
        self.ending.cancelled().await;
    }

    /// Why the session ended.
    pub(crate) fn reason(&self) -> DisconnectReason {
        self.reason.get().cloned().unwrap_or(DisconnectReason::Closed)
    }

    /// Whether the session has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// A lane on which this peer may ask for contents: an idle one or a new one.
    pub(crate) async fn lane(&self, context: &Context, lane_use: LaneUse) -> Result<DataLane, SessionError> {
        let permit = self.ending.run_until_cancelled(self.lanes.permit(lane_use)).await;
        let permit = permit.ok_or(SessionError::Ended)?;
        if let Some(lane) = self.lanes.take_idle() {
            return Ok(lane.taken(permit));
        }
        let opened = match self.initiator {
            Initiator::Us => self.dial_lane(context, Requester::Dialler).await?,
            Initiator::Them => self.ask_for_lane().await?,
        };
        Ok(self.lanes.adopt(opened)?.taken(permit))
    }

    /// Reports to the other peer that it serves other bytes as this content.
    pub(crate) async fn report_stale(&self, content: crate::catalog::ContentId) {
        drop(self.outbox.send(ControlMessage::Stale(content)).await);
    }

    /// The same, without waiting. If the outbox is full, the report is dropped; the next wrong
    /// bytes cause another one.
    pub(crate) fn report_stale_soon(&self, content: crate::catalog::ContentId) {
        self.send_soon(ControlMessage::Stale(content));
    }

    async fn dial_lane(&self, context: &Context, requester: Requester) -> Result<OpenLane, SessionError> {
        let purpose = Purpose::Data {
            session: self.id.0,
            requester,
        };
        let dialler = context.dialling.dialler(self.remote)?;
        let dialled = self
            .ending
            .run_until_cancelled(dialler.dial(&[self.address], purpose))
            .await;
        dialled.unwrap_or(Err(SessionError::Ended))
    }

    async fn ask_for_lane(&self) -> Result<OpenLane, SessionError> {
        let arrival = self.lanes.want();
        self.outbox
            .send(ControlMessage::WantLane)
            .await
            .map_err(|_| SessionError::Ended)?;
        match timeout(HANDSHAKE_TIMEOUT, arrival).await {
            Ok(Ok(lane)) => Ok(lane),
            Ok(Err(_)) => Err(SessionError::Ended),
            Err(_) => Err(SessionError::HandshakeTimeout {
                address: self.address,
                limit: HANDSHAKE_TIMEOUT,
            }),
        }
    }

    /// After the end the speaker may finish a goodbye, up to a time limit.
    async fn outlive(self: Arc<Self>, speaker: Speaker) {
        let ending = self.ending.clone();
        let speaking = speaker.speak();
        tokio::pin!(speaking);
        let outcome = tokio::select! {
            outcome = &mut speaking => outcome,
            () = ending.cancelled() => match self.reason.get() {
                Some(DisconnectReason::Closed) => timeout(GOODBYE_TIMEOUT, speaking).await.unwrap_or(Ok(())),
                _ => Ok(()),
            },
        };
        if let Err(error) = outcome {
            // A peer that closes on purpose sends a goodbye and reads no more. Our writing may fail
            // before we have read that goodbye, which is the real reason; the reader ends the
            // session when it gets there.
            drop(timeout(GOODBYE_TIMEOUT, ending.cancelled()).await);
            self.end(DisconnectReason::Lost {
                error: error.to_string(),
            });
        }
    }

    async fn drive(
        self: Arc<Self>,
        context: Arc<Context>,
        mut hearing: mpsc::Receiver<Result<ControlMessage, WireError>>,
    ) {
        let mut monitor = HealthMonitor::new(context.timing.health, context.runtime.clock.now());
        let digest = context.share.files().catalog.digest();
        self.send_soon(ControlMessage::Digest(digest));
        while let Some(deadline) = monitor.next_deadline() {
            let event = tokio::select! {
                () = self.ending.cancelled() => break,
                heard = hearing.recv() => self.take_message(&context, heard),
                () = context.runtime.clock.sleep_until(deadline) => Some(HealthEvent::DeadlineReached),
            };
            if let Some(event) = event {
                let actions = monitor.on_event(context.runtime.clock.now(), event);
                self.act(&context, actions);
            }
            if let (Some(HealthEvent::PongReceived { .. }), Some(round_trip)) = (event, monitor.round_trip())
            {
                self.note_heartbeat(&context, round_trip);
            }
        }
        self.end(DisconnectReason::Closed);
        context.current.take_out(&self);
    }

    fn act(&self, context: &Context, actions: Vec<HealthAction>) {
        for action in actions {
            match action {
                HealthAction::SendPing { nonce } => self.send_soon(ControlMessage::Ping { nonce }),
                HealthAction::StateChanged { from, to } => {
                    context.current.status_changed(|status| status.health = Some(to));
                    context.events.emit(Event::HealthChanged { from, to });
                }
                HealthAction::Disconnect => self.end(DisconnectReason::Unresponsive),
            }
        }
    }

    fn note_heartbeat(&self, context: &Context, round_trip: Duration) {
        context
            .current
            .status_changed(|status| status.round_trip = Some(round_trip));
        context.events.emit(Event::Heartbeat { round_trip });
    }

    fn take_message(
        self: &Arc<Self>,
        context: &Arc<Context>,
        heard: Option<Result<ControlMessage, WireError>>,
    ) -> Option<HealthEvent> {
        let message = match heard {
            Some(Ok(message)) => message,
            Some(Err(error)) => {
                self.end(DisconnectReason::Lost {
                    error: error.to_string(),
                });
                return None;
            }
            None => return None,
        };
        match message {
            ControlMessage::Ping { nonce } => self.send_soon(ControlMessage::Pong { nonce }),
            ControlMessage::Pong { nonce } => return Some(HealthEvent::PongReceived { nonce }),
            ControlMessage::Digest(digest) => self.send_differing(context, &digest),
            ControlMessage::Entries(states) => {
                if let Err(error) = context.share.merge(states) {
                    self.refuse(context, error);
                }
            }
            ControlMessage::WantLane => self.offer_lane(context),
            ControlMessage::Stale(content) => context.share.recheck(&content),
            ControlMessage::Bye => self.end(DisconnectReason::RemoteClosed),
        }
        Some(HealthEvent::Received)
    }

    /// Sends the states that the other peer may not have. That takes a pass over the catalog, so
    /// only the first digest in a session is answered: later changes are sent anyway.
    fn send_differing(&self, context: &Context, digest: &Digest) {
        if self.has_compared.swap(true, Ordering::Relaxed) {
            tracing::debug!("a second digest in one session is not answered");
            return;
        }
        let files = context.share.files();
        let differing = files.not_withheld(files.catalog.differing(digest));
        self.outgoing.mark(differing);
    }

    /// Valid states that do not fit are left out, and the session goes on: a new one would bring
    /// the same states again. If the other peer breaks a rule, the session ends.
    fn refuse(&self, context: &Context, error: CatalogError) {
        if !error.is_full() {
            self.end(DisconnectReason::Lost {
                error: error.to_string(),
            });
        } else if !self.has_refused.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "could not merge what the other peer shares");
            context.events.emit(Event::CatalogFull { error });
        }
    }

    /// Control messages are few. A full outbox means that the other peer has stopped reading; the
    /// health monitor will notice. Logged once, as the other peer decides how often it happens.
    fn send_soon(&self, message: ControlMessage) {
        if self.outbox.try_send(message).is_err() && !self.has_stalled.swap(true, Ordering::Relaxed) {
            tracing::warn!("the other peer does not read its control lane");
        }
    }

    fn offer_lane(self: &Arc<Self>, context: &Arc<Context>) {
        let Some(slot) = self.lanes.reserve().filter(|_| self.initiator == Initiator::Us) else {
            return;
        };
        let (session, context) = (self.clone(), context.clone());
        let turn = self.lanes.dial_turn(context.runtime.clock.now());
        context.runtime.clone().spawn(async move {
            let _slot = slot;
            let waiting = context.runtime.clock.sleep_until(turn);
            if session.ending.run_until_cancelled(waiting).await.is_none() {
                return;
            }
            match session.dial_lane(&context, Requester::Listener).await {
                Ok(lane) => session.serve_lane(&context, lane),
                Err(error) => tracing::warn!(%error, "could not open a lane for the other peer"),
            }
        });
    }

    /// Serves contents on a lane until the other peer closes it or the session ends.
    pub(crate) fn serve_lane(&self, context: &Arc<Context>, lane: OpenLane) {
        let Ok(mut lane) = self.lanes.adopt(lane) else {
            return;
        };
        let context = context.clone();
        context.runtime.clone().spawn_blocking(move || {
            if let Err(error) = serve(&mut lane.lane, context.share.as_ref()) {
                tracing::debug!(%error, "a lane that was served ended");
            }
        });
    }
}

#[cfg(test)]
mod tests;
