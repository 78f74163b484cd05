//! Starting a peer: from its configuration to a context whose listener runs.
//!
//! Everything that can fail comes before the first task is started, so a failed start leaves
//! nothing behind.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use super::config::{Listen, PeerConfig};
use super::contact::Contact;
use super::context::{Context, Timing};
use super::current_session::CurrentSession;
use super::dialling::Dialling;
use super::error::StartError;
use super::event::Events;
use super::restored::Restored;
use crate::catalog::{Catalog, ReplicaId};
use crate::identity::{Fingerprint, Identity};
use crate::journal::{Journal, JournalError, LocalFile, Opened};
use crate::rendezvous::RelayClient;
use crate::runtime::Runtime;
use crate::session::crossing::Crossings;
use crate::session::listener::Listener;
use crate::session::tls::{Expected, TlsIdentity};
use crate::session::{SessionError, addresses};
use crate::share::{Share, ShareParts, settle_coming};
use crate::store::{OwnFolderError, PeerStore};
use crate::transfer::Demand;

/// Starts a peer; also returns the address that it listens on.
pub(super) async fn start(mut config: PeerConfig) -> Result<(Arc<Context>, SocketAddr), StartError> {
    if !config.health.is_ordered() {
        return Err(StartError::Health {
            config: config.health,
        });
    }
    let identity = match config.identity.take() {
        Some(identity) => identity,
        None => Identity::ephemeral()?,
    };
    let fingerprint = identity.fingerprint();
    let listener = Listener::new(bind(&mut config.listen)?, config.clock.clone());
    let listener = listener.map_err(|source| StartError::Socket { source })?;
    let local = listener.local_addr();
    let tls = TlsIdentity::new(&identity).map_err(SessionError::from)?;
    let expected = Expected::default();
    let server = tls.server_config(expected.clone()).map_err(SessionError::from)?;
    let relay = config.relay.take();
    let relay = relay.map(|url| RelayClient::with_timeouts(url, config.relay_timeouts));
    let relay = relay.transpose()?;
    let span = tracing::info_span!("peer", peer = fingerprint.fmt_short());
    let runtime = Runtime::new(config.clock.clone(), span);
    let (share, restored) = share_parts(&config, fingerprint, &runtime).await?;
    let addresses = match std::mem::take(&mut config.advertised) {
        advertised if advertised.is_empty() => addresses::candidates(local),
        advertised => advertised,
    };
    let (clock, events) = (config.clock, Events::new());
    let context = Arc::new_cyclic(|context: &Weak<Context>| Context {
        fingerprint,
        current: CurrentSession::new(fingerprint, expected, events.clone()),
        events,
        timing: Timing {
            health: config.health,
            reconnect: config.reconnect,
            connect_timeout: config.connect_timeout,
            initiator_patience: config.initiator_patience,
        },
        contact: Contact::new((identity, addresses), relay, config.loopback_peers, clock.clone()),
        dialling: Dialling {
            tls,
            clock,
            crossings: Crossings::default(),
            outbound_ports: config.outbound_ports,
        },
        share: Share::new(share, fingerprint, context.clone()),
        restored,
        runtime,
    });
    let Runtime {
        span, tasks, cancel, ..
    } = &context.runtime;
    span.in_scope(|| listener.spawn(server, context.clone(), tasks, cancel.clone()));
    Ok((context, local))
}

/// What the share of a peer is made of, and what it has of an earlier peer.
async fn share_parts(
    config: &PeerConfig,
    fingerprint: Fingerprint,
    runtime: &Runtime,
) -> Result<(ShareParts, Restored), StartError> {
    let incarnation = getrandom::u64().map_err(StartError::NoRandomness)?;
    let replica = ReplicaId {
        fingerprint,
        incarnation,
    };
    let (catalog, saved, restored) = match open_journal(config, replica).await? {
        None => (Catalog::new(replica), None, Restored::Nothing),
        Some(opened) => {
            let restored = Restored::from(opened.ended);
            tracing::info!(?restored, "the journal is open");
            (opened.catalog, Some((opened.journal, opened.local)), restored)
        }
    };
    let known = match restored {
        Restored::All | Restored::UpToAKill => saved.as_ref().map(|(_, local)| paths_of(local)),
        Restored::Nothing | Restored::SetAside { .. } => None,
    };
    let parts = ShareParts {
        catalog: catalog.with_len_max(config.catalog_len_max),
        saved,
        peer_store: open_peer_store(config, known).await?,
        demand: Demand::new(config.read_patience),
        runtime: runtime.clone(),
    };
    Ok((parts, restored))
}

async fn open_journal(config: &PeerConfig, fresh: ReplicaId) -> Result<Option<Opened>, StartError> {
    let Some(dir) = config.state.clone() else {
        return Ok(None);
    };
    blocking(move || {
        let mut opened = Journal::open(&dir, fresh.fingerprint, fresh.incarnation)?;
        settle_coming(&mut opened.local);
        Ok::<_, JournalError>(opened)
    })
    .await
}

fn paths_of(local: &[LocalFile]) -> HashSet<PathBuf> {
    local.iter().map(|file| file.path.0.clone()).collect()
}

/// Opens the store. `known` are the files of this machine that the journal names; `None` if there
/// is no journal that says so.
async fn open_peer_store(
    config: &PeerConfig,
    known: Option<HashSet<PathBuf>>,
) -> Result<Option<PeerStore>, StartError> {
    let Some(dir) = config.store.clone() else {
        return Ok(None);
    };
    let len_max = config.fetched_len_max;
    blocking(move || {
        let peer_store = PeerStore::open(&dir, len_max)?;
        if let Some(known) = known {
            peer_store.recover_unknown(&known)?;
        }
        Ok::<_, OwnFolderError>(peer_store)
    })
    .await
}

async fn blocking<T: Send + 'static, E: Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<Option<T>, StartError>
where
    StartError: From<E>,
{
    // Waiting fails only if the work panicked.
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|e| StartError::Socket {
        source: std::io::Error::other(e),
    })?;
    Ok(Some(done?))
}

fn bind(listen: &mut Listen) -> Result<TcpListener, StartError> {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    match std::mem::replace(listen, Listen::Address(any)) {
        Listen::Socket(socket) => Ok(socket),
        Listen::Address(address) => {
            bind_dual(address).map_err(|source| StartError::Listen { address, source })
        }
    }
}

/// A machine without IPv6 can't bind `[::]`; the same port of `0.0.0.0` is used there.
fn bind_dual(address: SocketAddr) -> std::io::Result<TcpListener> {
    match TcpListener::bind(address) {
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() && !has_ipv6() => {
            TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], address.port())))
        }
        bound => bound,
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}
