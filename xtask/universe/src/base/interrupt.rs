//! Ctrl-C and its relatives, as values that the rest can wait for.
//!
//! Only counts and hands on; what to stop is decided by whoever waits.

use anyhow::Context;
use tokio::sync::watch;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;

/// What asked us to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Ctrl-C exists everywhere"))]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM: somebody else wants the run to end.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// SIGQUIT.
    Quit,
}

/// A signal and how many came so far: the first asks, every further one insists.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub(crate) signal: Signal,
    pub(crate) count: u32,
}

impl Request {
    /// The exit code that says so.
    pub fn exit(self) -> Exit {
        match self.signal {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
            Signal::HangUp => Exit::HungUp,
            Signal::Quit => Exit::Quit,
        }
    }

    /// The end of a run that had not come to its tests yet.
    pub fn stop(self) -> Stop {
        Stop::new(
            self.exit(),
            FailureKind::Interrupted,
            format!("interrupted by {}", self.name()),
        )
    }

    /// What becomes of so many running tests, for whoever has asked.
    pub(crate) fn words(self, running: usize) -> String {
        let (name, tests) = (self.name(), if running == 1 { "test" } else { "tests" });
        match self.count {
            0 | 1 => {
                format!("{name}: {running} {tests} asked to end; once more, and they are ended at once")
            }
            _ => format!("{name} again: {running} {tests} ended at once"),
        }
    }

    /// The name of the signal.
    pub fn name(self) -> &'static str {
        match self.signal {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::HangUp => "SIGHUP",
            Signal::Quit => "SIGQUIT",
        }
    }
}

/// A place to wait for the next request. Each clone sees every request.
#[derive(Debug, Clone)]
pub struct Interrupts {
    latest: watch::Receiver<Option<Request>>,
}

impl Interrupts {
    /// Starts to listen; must be called inside a runtime. From here on signals no longer kill us.
    pub fn listen() -> anyhow::Result<Interrupts> {
        let (sender, latest) = watch::channel(None);
        platform::listen(sender).context("could not listen to signals")?;
        Ok(Interrupts { latest })
    }

    /// The next request; never, where there is none. Cancel safe.
    pub async fn next(&mut self) -> Request {
        loop {
            if self.latest.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(request) = *self.latest.borrow_and_update() {
                return request;
            }
        }
    }
}

fn count(sender: &watch::Sender<Option<Request>>, signal: Signal) {
    sender.send_modify(|latest| {
        let count = latest.map_or(0, |request| request.count) + 1;
        *latest = Some(Request { signal, count });
    });
}

#[cfg(unix)]
mod platform {
    use super::{Request, Signal, count, watch};
    use tokio::signal::unix::{SignalKind, signal};

    pub(super) fn listen(sender: watch::Sender<Option<Request>>) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let mut quit = signal(SignalKind::quit())?;
        tokio::spawn(async move {
            loop {
                let signal = tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                    _ = hang_up.recv() => Signal::HangUp,
                    _ = quit.recv() => Signal::Quit,
                };
                count(&sender, signal);
            }
        });
        Ok(())
    }
}

#[cfg(not(unix))]
mod platform {
    use super::{Request, Signal, count, watch};

    pub(super) fn listen(sender: watch::Sender<Option<Request>>) -> std::io::Result<()> {
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                count(&sender, Signal::Interrupt);
            }
        });
        Ok(())
    }
}
