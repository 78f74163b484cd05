//! Which lanes of the other peer are welcome.
//!
//! A peer that sends a hello was expected when its key was checked. This peer may expect another
//! one since, so the key is compared again here, and once more under the lock of the current
//! session. A new control lane replaces the present session: the other side would not dial if it
//! still had one. Only when both dial at the same moment, the initiator's dial has precedence.

use std::sync::Arc;

use super::context::Context;
use super::event::Initiator;
use crate::reconnect::Role;
use crate::session::lane::KnockingLane;
use crate::session::listener::Gate;
use crate::session::wire::{Purpose, Requester};
use crate::session::{RefusalReason, SessionError};

impl Gate for Context {
    async fn knock(self: Arc<Self>, lane: KnockingLane) {
        let remote = lane.remote();
        if self.current.expected.current() != Some(remote) {
            // As in the handshake, a peer that is not expected gets no answer.
            tracing::debug!(
                peer = remote.fmt_short(),
                "refused a peer that is no longer expected"
            );
            return;
        }
        let outcome = match lane.purpose.clone() {
            Purpose::Control => self.admit_control(lane).await,
            Purpose::Data { session, requester } => self.admit_data(lane, session, requester).await,
            Purpose::Pairing => lane.refuse(RefusalReason::UnknownSession).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, peer = remote.fmt_short(), "a lane was not opened");
        }
    }
}

impl Context {
    async fn admit_control(self: Arc<Self>, lane: KnockingLane) -> Result<(), SessionError> {
        let own = Role::of(&self.fingerprint, &lane.remote());
        if !self.dialling.crossings.admit(own) {
            return lane.refuse(RefusalReason::Crossing).await;
        }
        let lane = lane.welcome().await?;
        self.install(lane, Initiator::Them).map(drop)
    }

    async fn admit_data(
        self: Arc<Self>,
        lane: KnockingLane,
        id: [u8; 32],
        requester: Requester,
    ) -> Result<(), SessionError> {
        let Some(session) = self
            .current
            .session()
            .filter(|session| session.id.0 == id && !session.has_ended())
        else {
            return lane.refuse(RefusalReason::UnknownSession).await;
        };
        let wanted = requester == Requester::Dialler || session.lanes.is_wanted();
        let Some(_slot) = session.lanes.reserve().filter(|_| wanted) else {
            return lane.refuse(RefusalReason::TooManyLanes).await;
        };
        let lane = lane.welcome().await?;
        match requester {
            Requester::Dialler => session.serve_lane(&self, lane),
            Requester::Listener => session.lanes.deliver(lane),
        }
        Ok(())
    }
}
