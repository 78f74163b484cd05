//! A share as `tandem status` shows it, from what is kept of it.

use crate::event::{PeerReport, ShareReport};
use crate::shares::{Share, Side};

/// The share, as if no process ran it.
pub(crate) fn of(share: &Share) -> ShareReport {
    let record = &share.record;
    let (side, places) = match &record.side {
        Side::Shared { paths } => ("shared", paths.iter().map(|root| root.path.clone()).collect()),
        Side::Joined { folder } => ("joined", vec![folder.clone()]),
        Side::Mounted { at } => ("mounted", vec![at.clone()]),
    };
    let put = record.put.iter().map(|root| root.path.clone()).collect();
    let peer = record.friend.as_ref().map(|friend| PeerReport {
        name: friend.name.clone(),
        fingerprint: friend.fingerprint.to_string(),
        called: friend.called(),
    });
    ShareReport {
        name: share.name.clone(),
        side: side.to_owned(),
        places,
        put,
        relay: record.relay.as_ref().map(ToString::to_string),
        port: record.port,
        peer,
        running: None,
    }
}
