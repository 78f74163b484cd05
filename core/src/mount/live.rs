//! The live mounts of one peer, and the kernel's connections of those that are unmounted and may
//! still be used: everything that must end with the peer.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::connection::Connection;
use super::guard::Mounted;

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct LiveMounts {
    mounts: Mutex<Vec<Weak<Mounted>>>,
    connections: Mutex<Vec<Connection>>,
}

impl LiveMounts {
    /// Remembers a mount, to end it with the peer.
    pub(super) fn note_mount(&self, mounted: &Arc<Mounted>) {
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        mounts.retain(|mounted| mounted.strong_count() > 0);
        mounts.push(Arc::downgrade(mounted));
    }

    /// Remembers the connection of a mount that is unmounted, to end it with its peer.
    pub(super) fn note_connection(&self, connection: Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(connection);
        connections.retain(|connection| !connection.is_over_within(Duration::ZERO));
    }

    /// Ends all remaining mounts, and the connections of unmounted ones that are still served.
    /// Waits.
    pub(super) fn end(&self) {
        let mounts = std::mem::take(&mut *self.mounts.lock().unwrap_or_else(PoisonError::into_inner));
        for mounted in mounts.iter().filter_map(Weak::upgrade) {
            if let Err(error) = mounted.finish() {
                tracing::warn!(%error, "a mount did not end well");
            }
        }
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = std::mem::take(&mut *connections);
        connections.iter().for_each(Connection::end);
    }
}
