//! What the tasks of one running peer have in common: its share, its current session, and what they
//! need to find and reach the other peer.
//!
//! Owns only the logic that needs more than one of these parts.

use std::sync::Arc;
use std::time::Duration;

use super::contact::Contact;
use super::current_session::CurrentSession;
use super::dialling::Dialling;
use super::event::{Event, Events, Initiator};
use super::restored::Restored;
use super::session::Session;
use crate::catalog::{CatalogEvent, EntryId, SharePath};
use crate::health::HealthConfig;
use crate::identity::Fingerprint;
use crate::journal::JournalError;
use crate::reconnect::ReconnectConfig;
use crate::runtime::Runtime;
use crate::session::SessionError;
use crate::session::lane::OpenLane;
use crate::share::{Hooks, Share};

/// One running peer, as its tasks see it.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) runtime: Runtime,
    pub(crate) timing: Timing,
    pub(crate) events: Events,
    pub(crate) contact: Contact,
    pub(crate) dialling: Dialling,
    pub(crate) current: CurrentSession,
    pub(crate) share: Arc<Share>,
    pub(crate) restored: Restored,
}

/// How long a peer waits for the other one, and how often it tries.
#[derive(Debug)]
pub(crate) struct Timing {
    pub(crate) health: HealthConfig,
    pub(crate) reconnect: ReconnectConfig,
    pub(crate) connect_timeout: Duration,
    pub(crate) initiator_patience: Duration,
}

impl Context {
    /// Makes a welcome control lane the session of this peer; it replaces an earlier session.
    ///
    /// # Errors
    /// When this peer expects another peer by now, whichever side dialled.
    pub(crate) fn install(
        self: &Arc<Self>,
        lane: OpenLane,
        initiator: Initiator,
    ) -> Result<Arc<Session>, SessionError> {
        let address = lane.address;
        let (session, engine) = Session::new(self, lane, initiator);
        if !self.current.put(&session) {
            return Err(SessionError::NotExpected { address });
        }
        engine.run();
        Ok(session)
    }
}

impl Hooks for Context {
    fn announce(&self, entries: Vec<EntryId>) {
        if let Some(session) = self.current.session() {
            session.outgoing.mark(entries);
        }
    }

    fn start_worker(self: Arc<Self>) {
        super::demand::start_worker(self);
    }

    fn merged(&self, event: CatalogEvent) {
        self.events.emit(Event::Catalog(event));
    }

    fn not_saved(&self, error: &JournalError) {
        self.events.emit(Event::NotSaved {
            error: error.to_string(),
        });
    }

    fn refreshed(&self, path: SharePath) {
        self.events.emit(Event::SourceRefreshed { path });
    }
}
