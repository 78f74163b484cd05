//! The side that asks.

use std::io::ErrorKind;
use std::path::Path;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::wire::{Answer, Request};
use super::{lines, socket};
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::{CONTROL_FIRST_ANSWER_TIMEOUT, CONTROL_PATIENCE};

/// One request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    has_answered: bool,
}

impl Client {
    /// Asks the process that runs the share in the folder `dir`; `None` if no process does.
    pub(crate) async fn ask(dir: &Path, request: &Request) -> Result<Option<Self>, Failure> {
        let mut stream = match socket::connect(dir).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(Failure::new(Exit::NotReached, error)),
        };
        if !socket::is_of_this_user(&stream).or_exit(Exit::LocalDisk)? {
            let text = format!("another user answers in `{}`", crate::screen::path(dir));
            return Err(Failure::new(Exit::Refused, text));
        }
        let line = request.to_line()?;
        // A process that refuses everybody has said so already.
        drop(lines::write(&mut stream, line).await);
        Ok(Some(Self {
            stream: BufReader::new(stream),
            has_answered: false,
        }))
    }

    /// The next line of the answer.
    ///
    /// # Errors
    /// What the process answered, or that it is gone.
    pub(crate) async fn next(&mut self) -> Result<Answer, Failure> {
        let limit = if self.has_answered {
            CONTROL_PATIENCE
        } else {
            CONTROL_FIRST_ANSWER_TIMEOUT
        };
        let gone = || {
            let text = "the process that runs the share has ended before it answered\nhint: `tandem status` shows what runs";
            Failure::new(Exit::NotReached, text)
        };
        let line = timeout(limit, lines::read(&mut self.stream)).await;
        let line = line.map_err(|_| {
            let text = format!(
                "the process that runs the share has not answered within {} s",
                limit.as_secs()
            );
            Failure::new(Exit::NotReached, text)
        })?;
        self.has_answered = true;
        Answer::parse(&line?.ok_or_else(gone)?)
    }

    /// Waits until the process has closed the connection.
    pub(crate) async fn until_closed(mut self) {
        while let Ok(Some(_)) = lines::read(&mut self.stream).await {}
    }
}
