//! How the command ends: the exit codes, and the errors that lead to them.

use std::fmt;

use tandem_core::pairing::PairingError;
use tandem_core::peer::{ConnectError, PullError, ShareError};

/// What went wrong, as one number for scripts. The README lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command line or what was typed is invalid.
    Usage,
    /// The other peer, or the relay, can't be reached.
    NotReached,
    /// The other side refused us: the code is used, expired or unknown, or it declined.
    Refused,
    /// Some of what was asked for is not there.
    Incomplete,
    /// The local disk, its rights or its contents do not allow it.
    LocalDisk,
    /// It could not be mounted.
    Mount,
    /// Ended by Ctrl-C.
    Interrupted,
    /// Ended by SIGTERM.
    Terminated,
}

impl Exit {
    const ALL: [Self; 8] = [
        Self::Usage,
        Self::NotReached,
        Self::Refused,
        Self::Incomplete,
        Self::LocalDisk,
        Self::Mount,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The one with that number, which another process has sent.
    pub(crate) fn of_number(number: u8) -> Self {
        let known = Self::ALL.into_iter().find(|exit| exit.number() == number);
        known.unwrap_or(Self::NotReached)
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::NotReached => 3,
            Self::Refused => 4,
            Self::Incomplete => 5,
            Self::LocalDisk => 6,
            Self::Mount => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// An error with the exit code that it leads to.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// The text for the person; `None` if everything was said already.
    pub(crate) text: Option<String>,
}

/// Adds an exit code to an error.
pub(crate) trait OrExit<T> {
    /// Fails with that code and the text of the error.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: fmt::Display> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error))
    }
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl fmt::Display) -> Self {
        Self {
            exit,
            text: Some(text.to_string()),
        }
    }
}

impl From<Exit> for Failure {
    fn from(exit: Exit) -> Self {
        Self { exit, text: None }
    }
}

impl From<PairingError> for Failure {
    fn from(error: PairingError) -> Self {
        let exit = match &error {
            PairingError::Unknown
            | PairingError::Used
            | PairingError::Expired
            | PairingError::Withdrawn
            | PairingError::Oneself
            | PairingError::Interfered
            | PairingError::Declined
            | PairingError::Left => Exit::Refused,
            PairingError::Socket { .. }
            | PairingError::Identity(_)
            | PairingError::NoRandomness(_)
            | PairingError::CardTooLong { .. } => Exit::LocalDisk,
            _ => Exit::NotReached,
        };
        Self::new(exit, error)
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::new(Exit::NotReached, error)
    }
}

impl From<PullError> for Failure {
    fn from(error: PullError) -> Self {
        let exit = match &error {
            PullError::Store { .. } | PullError::Target(_) => Exit::LocalDisk,
            PullError::NotConnected { .. } => Exit::NotReached,
            _ => Exit::Incomplete,
        };
        Self::new(exit, error)
    }
}

impl From<ShareError> for Failure {
    fn from(error: ShareError) -> Self {
        let exit = match &error {
            ShareError::Source(_) => Exit::LocalDisk,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}
