//! The side that answers: takes connections, reads one request from each, and passes it on.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tandem_core::clock::Clock;
use tokio::io::BufReader;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::wire::{Answer, Request};
use super::{Gone, lines, socket};
use crate::exit::{Exit, Failure, OrExit};
use crate::limits::{CONTROL_ACCEPT_PAUSE, CONTROL_CONNECTION_COUNT_MAX, CONTROL_TIMEOUT};

/// Listens for processes that ask. Its socket is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    listener: UnixListener,
    dir: PathBuf,
    /// How long a request may take to arrive.
    patience: Duration,
}

/// Where the lines of an answer go.
#[derive(Debug)]
pub(crate) struct Answers(UnixStream);

impl Server {
    /// Listens in the folder of a share, which this process holds.
    pub(crate) fn listen(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            listener: socket::listen(dir)?,
            dir: dir.to_owned(),
            patience: CONTROL_TIMEOUT,
        })
    }

    /// Has each request answered by `answer`, several at a time.
    pub(crate) async fn serve(&self, answer: impl AsyncFn(Request, Answers)) -> Infallible {
        let clock = Clock::system();
        let mut asking = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = asking.next(), if !asking.is_empty() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) if asking.len() < CONTROL_CONNECTION_COUNT_MAX => {
                        asking.push(converse(stream, self.patience, &answer));
                    }
                    Ok((stream, _)) => refuse(stream),
                    // For instance, this process has no descriptor left.
                    Err(_) => clock.sleep_until(clock.now() + CONTROL_ACCEPT_PAUSE).await,
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(socket::remove(&self.dir));
    }
}

/// Reads one request and has it answered.
async fn converse(stream: UnixStream, patience: Duration, answer: &impl AsyncFn(Request, Answers)) {
    let mut reader = BufReader::new(stream);
    let request = request(&mut reader, patience).await;
    let mut answers = Answers(reader.into_inner());
    match request {
        Ok(request) => answer(request, answers).await,
        Err(failure) => drop(answers.send(&Answer::from(&failure)).await),
    }
}

async fn request(reader: &mut BufReader<UnixStream>, patience: Duration) -> Result<Request, Failure> {
    if !socket::is_of_this_user(reader.get_ref()).or_exit(Exit::LocalDisk)? {
        return Err(Failure::new(Exit::Refused, "this share belongs to another user"));
    }
    let late = |_| {
        let text = format!("no request came within {} s", patience.as_secs());
        Failure::new(Exit::Usage, text)
    };
    let line = timeout(patience, lines::read(reader)).await.map_err(late)??;
    let line = line.ok_or_else(|| Failure::new(Exit::Usage, "the request has no end"))?;
    Request::parse(&line)
}

/// Tells a process that too many others ask at the moment. Its socket is new, so the line has room
/// there; the process is not waited for.
fn refuse(stream: UnixStream) {
    let text = format!("{CONTROL_CONNECTION_COUNT_MAX} processes ask this share already\nhint: try again");
    let mut line = Answer::from(&Failure::new(Exit::NotReached, text)).to_line();
    line.push(b'\n');
    // A tokio stream does not know yet that it can be written to.
    drop(stream.into_std().and_then(|mut stream| stream.write_all(&line)));
}

impl Answers {
    /// Sends one line.
    ///
    /// # Errors
    /// If the process is gone, or does not read.
    pub(crate) async fn send(&mut self, answer: &Answer) -> Result<(), Gone> {
        let sending = lines::write(&mut self.0, answer.to_line());
        timeout(CONTROL_TIMEOUT, sending).await.map_err(|_| Gone)?
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use tandem_tests::wait::complete;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::event::Amount;

    /// What `asking` comes to while the server serves.
    async fn served<T>(server: &Server, asking: impl Future<Output = T>) -> T {
        let serving = async {
            tokio::select! {
                output = asking => output,
                never = server.serve(done) => match never {},
            }
        };
        complete(Location::caller(), "the answer", serving).await
    }

    /// What the server answers to these bytes, after which nothing more is sent.
    async fn answer_to(bytes: &[u8]) -> String {
        let root = tempfile::tempdir().unwrap();
        let server = Server::listen(root.path()).unwrap();
        let asking = async {
            let mut stream = socket::connect(root.path()).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        served(&server, asking).await
    }

    async fn done(_: Request, mut answers: Answers) {
        answers.send(&Answer::Done(Amount::default())).await.unwrap();
    }

    #[tokio::test]
    async fn a_request_is_answered_and_garbage_gets_an_error() {
        let done = answer_to(b"{\"version\":1,\"do\":\"status\"}\n").await;
        assert_eq!(done, "{\"done\":{\"files\":0,\"bytes\":0}}\n");
        for bytes in [&b"\xff\0{\n"[..], b"", b"{\"version\":1", b"\n\n"] {
            let answer = answer_to(bytes).await;
            assert!(answer.starts_with("{\"error\":{\"exit\":2"), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_process_that_asks_nothing_gets_an_error_in_the_end() {
        let root = tempfile::tempdir().unwrap();
        let mut server = Server::listen(root.path()).unwrap();
        server.patience = Duration::ZERO;
        let asking = async {
            let mut stream = socket::connect(root.path()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        let answer = served(&server, asking).await;
        assert!(answer.contains("no request came"), "{answer}");
    }

    #[tokio::test]
    async fn the_last_of_too_many_is_refused_and_the_others_are_not() {
        let root = tempfile::tempdir().unwrap();
        let server = Server::listen(root.path()).unwrap();
        let asking = async {
            let mut streams = Vec::new();
            for _ in 0..=CONTROL_CONNECTION_COUNT_MAX {
                streams.push(socket::connect(root.path()).await.unwrap());
            }
            let mut texts = Vec::new();
            for mut stream in streams.into_iter().rev() {
                // The one that was refused can't be written to any more.
                drop(stream.write_all(b"{\"version\":1,\"do\":\"status\"}\n").await);
                let line = lines::read(&mut BufReader::new(stream)).await.unwrap();
                texts.push(String::from_utf8(line.unwrap()).unwrap());
            }
            texts
        };
        let texts = served(&server, asking).await;
        assert!(texts[0].contains("processes ask this share already"), "{texts:?}");
        assert!(texts[1..].iter().all(|text| text.contains("done")), "{texts:?}");
    }
}
