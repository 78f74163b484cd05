//! The signals that ask the relay to stop: Ctrl-C everywhere, and SIGTERM on Unix.

use std::io;

/// Receives the signals. One that arrives between two calls of `recv` is not lost.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

#[cfg(unix)]
pub(crate) fn listen() -> io::Result<Signals> {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    Ok(Signals { interrupt, terminate })
}

#[cfg(windows)]
pub(crate) fn listen() -> io::Result<Signals> {
    let interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(Signals { interrupt })
}

impl Signals {
    /// Waits until the next one. Cancel safe.
    #[cfg(unix)]
    pub(crate) async fn recv(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Waits until the next one. Cancel safe.
    #[cfg(windows)]
    pub(crate) async fn recv(&mut self) {
        self.interrupt.recv().await;
    }
}
