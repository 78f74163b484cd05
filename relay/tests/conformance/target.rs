//! The relay under test: the library in this process, or the spawned binary, behind the same verbs.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use tandem_relay::clock::Clock;
use tandem_relay::{Limits, MemoryStore, Relay, RelayConfig, Sources, StoreLimits};
use tracing::subscriber::DefaultGuard;

use crate::process::Process;
use crate::wait::soon;
use crate::wire::{Reply, Wire};

/// The relay to check: the library or the binary.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    Library,
    Binary,
}

/// The limits and the store of the relay under test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) store: StoreLimits,
    pub(crate) sources: Sources,
}

/// A running relay. End it with `close`, which checks that it stops properly.
pub(crate) struct RelayUnderTest {
    pub(crate) addr: SocketAddr,
    runs: Runs,
    log: Log,
}

enum Runs {
    Library {
        relay: Box<Relay>,
        _logging: DefaultGuard,
    },
    Binary(Box<Process>),
}

/// The loopback address that this machine has.
pub(crate) fn loopback() -> IpAddr {
    match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => Ipv6Addr::LOCALHOST.into(),
        Err(_) => Ipv4Addr::LOCALHOST.into(),
    }
}

/// A well-formed token that belongs to `name`.
pub(crate) fn token(name: &str) -> String {
    format!("{name:_>43}")
}

impl Target {
    /// A relay with the default limits.
    pub(crate) async fn start(self) -> RelayUnderTest {
        self.start_with(Setup::default()).await
    }

    pub(crate) async fn start_with(self, setup: Setup) -> RelayUnderTest {
        match self {
            Self::Library => start_library(setup).await,
            Self::Binary => start_binary(&setup).await,
        }
    }
}

async fn start_library(setup: Setup) -> RelayUnderTest {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    let logging = tracing::subscriber::set_default(subscriber);
    let store = Arc::new(MemoryStore::new(setup.store, Clock::system()));
    let config = RelayConfig::listen_on((loopback(), 0).into());
    let config = config.limits(setup.limits).sources(setup.sources).store(store);
    let relay = Relay::bind(config).await.unwrap();
    RelayUnderTest {
        addr: relay.addr(),
        runs: Runs::Library {
            relay: Box::new(relay),
            _logging: logging,
        },
        log,
    }
}

async fn start_binary(setup: &Setup) -> RelayUnderTest {
    let log = Log::default();
    let process = Process::start((loopback(), 0).into(), setup, log.clone()).await;
    RelayUnderTest {
        addr: process.addr,
        runs: Runs::Binary(Box::new(process)),
        log,
    }
}

impl RelayUnderTest {
    pub(crate) async fn connect(&self) -> Wire {
        Wire::connect(self.addr).await
    }

    /// Sends `bytes` on a connection of their own and expects a reply.
    pub(crate) async fn ask(&self, bytes: &str) -> Reply {
        self.connect().await.ask(bytes).await
    }

    pub(crate) async fn register(&self, name: &str, blob: &str) -> Reply {
        self.ask(&registration(&token(name), blob)).await
    }

    pub(crate) async fn fetch(&self, name: &str) -> Reply {
        self.ask(&request("GET", "/fetch", &token(name))).await
    }

    pub(crate) async fn withdraw(&self, name: &str) -> Reply {
        self.ask(&request("DELETE", "/register", &token(name))).await
    }

    /// Stops the relay, checks that it stops properly, and returns what it logged.
    pub(crate) async fn close(self) -> String {
        match self.runs {
            Runs::Library { relay, _logging } => {
                let _drained = soon("shutdown", relay.shutdown()).await;
            }
            Runs::Binary(process) => process.close().await,
        }
        self.log.text()
    }
}

/// A request without a body.
pub(crate) fn request(method: &str, path: &str, token: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// A registration with a `Content-Length`.
pub(crate) fn registration(token: &str, blob: &str) -> String {
    let body = serde_json::json!({ "blob": blob }).to_string();
    format!("{}{body}", registration_head(token, body.len()))
}

/// The header of a registration that announces `body_len` bytes.
pub(crate) fn registration_head(token: &str, body_len: usize) -> String {
    format!(
        "POST /register HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {body_len}\r\n\r\n"
    )
}

/// The log of the relay under test so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
