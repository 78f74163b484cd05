//! Ctrl-C and similar signals, as values that the other modules can wait for.
//!
//! Only counts and forwards; the receiver decides what to stop.

use anyhow::Context;
use tokio::sync::watch;

use crate::base::exit::{Exit, Stop};
use crate::base::failure_kind::FailureKind;

/// A signal that asks this process to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(unix), expect(dead_code, reason = "only Ctrl-C exists everywhere"))]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM: another process asks the run to end.
    Terminate,
    /// SIGHUP: the terminal is gone.
    HangUp,
    /// SIGQUIT.
    Quit,
}

/// A signal and its number: the first one requests the end, every further one forces it.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub(crate) signal: Signal,
    pub(crate) count: u32,
}

impl Request {
    /// The exit code for it.
    pub fn exit(self) -> Exit {
        match self.signal {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
            Signal::HangUp => Exit::HungUp,
            Signal::Quit => Exit::Quit,
        }
    }

    /// The stop of a run that had not started its tests yet.
    pub fn stop(self) -> Stop {
        Stop::new(
            self.exit(),
            FailureKind::Interrupted,
            format!("interrupted by {}", self.name()),
        )
    }

    /// What happens to the running tests, for the person who sent the signal.
    pub(crate) fn words(self, running: usize) -> String {
        let (name, tests) = (self.name(), if running == 1 { "test" } else { "tests" });
        match self.count {
            0 | 1 => {
                format!("{name}: {running} {tests} asked to end; repeat the signal to kill them")
            }
            _ => format!("{name} again: {running} {tests} killed"),
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

/// Waits for the next request. Each clone receives every request.
#[derive(Debug, Clone)]
pub struct Interrupts {
    latest: watch::Receiver<Option<Request>>,
    /// Whether Ctrl-C and Ctrl-\ are left to another program.
    spares_the_keyboard: bool,
}

impl Interrupts {
    /// Starts to listen; must be called inside a runtime. From then on signals no longer kill this
    /// process.
    pub fn listen() -> anyhow::Result<Interrupts> {
        let (sender, latest) = watch::channel(None);
        platform::listen(sender).context("could not listen to signals")?;
        let spares_the_keyboard = false;
        Ok(Interrupts {
            latest,
            spares_the_keyboard,
        })
    }

    /// The same, but what a person types is no request: it is meant for a debugger, which gets it,
    /// too.
    pub(crate) fn without_the_keyboard(self) -> Interrupts {
        Interrupts {
            spares_the_keyboard: true,
            ..self
        }
    }

    /// The next request; never returns if none can come. Cancel safe.
    pub async fn next(&mut self) -> Request {
        loop {
            if self.latest.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let latest = *self.latest.borrow_and_update();
            let is_typed = |request: &Request| matches!(request.signal, Signal::Interrupt | Signal::Quit);
            let meant = latest.filter(|request| !(self.spares_the_keyboard && is_typed(request)));
            if let Some(request) = meant {
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
