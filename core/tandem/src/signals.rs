//! Ctrl-C and SIGTERM: the first one ends what runs in order, the second one at once.

use std::process;

use tokio::signal;

use crate::exit::{Exit, Failure, OrExit};
use crate::screen::say;

/// The signals that end the command.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Listens all the time: a signal that comes between two pieces of work is not lost.
    #[cfg(unix)]
    interrupt: signal::unix::Signal,
    #[cfg(unix)]
    terminate: signal::unix::Signal,
}

/// How something ended.
pub(crate) enum Ended<T> {
    ByItself(T),
    BySignal(Exit),
}

impl<T> Ended<Result<T, Failure>> {
    /// What the work has come to; a signal is a failure.
    pub(crate) fn result(self) -> Result<T, Failure> {
        match self {
            Self::ByItself(result) => result,
            Self::BySignal(exit) => Err(exit.into()),
        }
    }
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            #[cfg(unix)]
            interrupt: signal::unix::signal(signal::unix::SignalKind::interrupt())
                .or_exit(Exit::LocalDisk)?,
            #[cfg(unix)]
            terminate: signal::unix::signal(signal::unix::SignalKind::terminate())
                .or_exit(Exit::LocalDisk)?,
        })
    }

    /// Runs `work` until it ends or a signal comes. After a signal a second one ends the process.
    pub(crate) async fn until<T>(&mut self, work: impl Future<Output = T>) -> Ended<T> {
        tokio::select! {
            output = work => Ended::ByItself(output),
            exit = self.next() => {
                say("stopping; press Ctrl-C again to stop at once");
                tokio::spawn(async {
                    if let Ok(mut again) = Self::listen() {
                        let exit = again.next().await;
                        process::exit(i32::from(exit.number()));
                    }
                });
                Ended::BySignal(exit)
            }
        }
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Exit {
        drop(signal::ctrl_c().await);
        Exit::Interrupted
    }
}
