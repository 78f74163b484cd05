//! HTTP/1.1 as bytes on a socket: a client library would hide what is checked here.
//!
//! Knows just enough to write a request and to read one reply with a `Content-Length`.

use std::net::SocketAddr;

use tandem_relay::api::ErrorResponse;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use crate::wait::soon;

/// One connection to a relay.
pub(crate) struct Wire {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// The half that reads replies.
pub(crate) struct Reader(BufReader<OwnedReadHalf>);

/// The half that sends requests.
pub(crate) struct Writer(OwnedWriteHalf);

/// One reply.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Wire {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(addr)).await.unwrap();
        Self::over(stream)
    }

    /// A connection whose socket buffers very little unread data.
    pub(crate) async fn connect_with_small_buffer(addr: SocketAddr) -> Self {
        let socket = if addr.is_ipv6() {
            TcpSocket::new_v6()
        } else {
            TcpSocket::new_v4()
        }
        .unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::over(soon("a connection", socket.connect(addr)).await.unwrap())
    }

    /// A connection from this address of the machine.
    #[cfg(target_os = "linux")]
    pub(crate) async fn connect_from(source: std::net::IpAddr, addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((source, 0).into()).unwrap();
        Self::over(soon("a connection", socket.connect(addr)).await.unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self {
            reader: Reader(BufReader::new(read)),
            writer: Writer(write),
        }
    }

    /// Sends `bytes` and expects a reply.
    pub(crate) async fn ask(&mut self, bytes: &str) -> Reply {
        self.writer.send(bytes).await;
        self.reader.reply().await
    }
}

impl Writer {
    pub(crate) async fn send(&mut self, bytes: &str) {
        soon("sending", self.0.write_all(bytes.as_bytes())).await.unwrap();
    }

    /// Sends bytes that the relay may no longer read.
    pub(crate) async fn try_send(&mut self, bytes: &str) -> std::io::Result<()> {
        self.0.write_all(bytes.as_bytes()).await
    }
}

impl Reader {
    pub(crate) async fn reply(&mut self) -> Reply {
        soon("a reply", self.try_reply()).await.unwrap()
    }

    /// The next reply; an error if the connection ends first.
    pub(crate) async fn try_reply(&mut self) -> std::io::Result<Reply> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: String::new(),
        };
        let body_len = reply
            .header("content-length")
            .map_or(0, |len| len.parse().unwrap());
        let mut body = vec![0; body_len];
        self.0.read_exact(&mut body).await?;
        reply.body = String::from_utf8(body).unwrap();
        Ok(reply)
    }

    /// Everything until the relay closes the connection without a reset.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = String::new();
        let reading = self.0.read_to_string(&mut rest);
        soon("the end of the connection", reading).await.unwrap();
        rest
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = lines.find(|(line_name, _)| line_name.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Expects a refusal with `status`, and returns its text.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        let refusal: ErrorResponse = serde_json::from_str(&self.body).unwrap();
        assert!(!refusal.error.is_empty(), "the refusal has no text");
        refusal.error
    }

    /// Expects a refusal with 503 that says when to come back.
    #[track_caller]
    pub(crate) fn busy(&self) -> String {
        self.come_back(503)
    }

    /// Expects a refusal with `status` that says when to come back.
    #[track_caller]
    pub(crate) fn come_back(&self, status: u16) -> String {
        let seconds: u64 = self
            .header("retry-after")
            .expect("`Retry-After`")
            .parse()
            .unwrap();
        assert!(seconds > 0);
        self.refusal(status)
    }
}
