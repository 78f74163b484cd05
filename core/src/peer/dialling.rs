//! How this peer dials the other one: its proof of identity, and the local ports it leaves from.

use std::ops::RangeInclusive;

use crate::clock::Clock;
use crate::identity::Fingerprint;
use crate::session::SessionError;
use crate::session::crossing::Crossings;
use crate::session::dial::Dialler;
use crate::session::tls::TlsIdentity;

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Dialling {
    pub(crate) tls: TlsIdentity,
    pub(crate) clock: Clock,
    pub(crate) crossings: Crossings,
    pub(crate) outbound_ports: Option<RangeInclusive<u16>>,
}

impl Dialling {
    /// How this peer dials `remote`.
    pub(crate) fn dialler(&self, remote: Fingerprint) -> Result<Dialler, SessionError> {
        let config = self.tls.client_config(remote)?;
        Ok(Dialler {
            config,
            clock: self.clock.clone(),
            crossings: self.crossings.clone(),
            outbound_ports: self.outbound_ports.clone(),
        })
    }
}
