//! Timings of the peers of a test: pauses that suit a real network only cost time on a loopback.

use std::time::Duration;

use tandem_core::health::HealthConfig;
use tandem_core::peer::PeerConfig;
use tandem_core::reconnect::ReconnectConfig;

/// Sends heartbeats every few milliseconds and gives up after a tenth of a second.
pub(crate) fn nervous(config: PeerConfig) -> PeerConfig {
    let health = HealthConfig {
        heartbeat_interval: Duration::from_millis(10),
        degraded_silence: Duration::from_millis(50),
        disconnected_silence: Duration::from_millis(100),
        ..HealthConfig::default()
    };
    quick_to_return(config.health(health))
}

/// Reconnects after a lost session without the pauses that suit a real network.
pub(crate) fn quick_to_return(config: PeerConfig) -> PeerConfig {
    config.reconnect(ReconnectConfig {
        delay_first: Duration::from_millis(5),
        delay_max: Duration::from_millis(20),
        patience: Duration::from_millis(50),
        attempt_count_max: 1000,
        ..ReconnectConfig::default()
    })
}

/// Sends heartbeats often, but gives up late.
pub(crate) fn nervous_but_patient(config: PeerConfig) -> PeerConfig {
    let heartbeat_interval = Duration::from_millis(2);
    config.health(HealthConfig {
        heartbeat_interval,
        ..HealthConfig::default()
    })
}
