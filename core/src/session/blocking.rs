//! A lane for file contents, driven by a blocking thread.
//!
//! Plain blocking calls on page-aligned buffers move bytes fastest, so the asynchronous part of a
//! lane ends with its greeting. Owns the hand-over and the record loop, but no messages. rustls
//! reads at most a few KiB at a time from its socket, so a page-aligned buffer of
//! [`LANE_BUFFER_LEN`] is between the two.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::ops::Range;
use std::time::Duration;

use rustls::Connection;
use tokio_rustls::TlsStream;

use super::lane::OpenLane;
use crate::aligned::AlignedBuffer;
use crate::limits::{LANE_BUFFER_LEN, LANE_IDLE_TIMEOUT};

/// A data lane. Reading and writing block for at most [`LANE_IDLE_TIMEOUT`] without progress.
pub(crate) struct BlockingLane {
    connection: Connection,
    socket: BufferedSocket,
    unsent: usize,
}

/// A socket that is read in large, aligned steps.
struct BufferedSocket {
    socket: TcpStream,
    buffer: AlignedBuffer,
    unread: Range<usize>,
}

impl Read for BufferedSocket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            let len = self.socket.read(&mut self.buffer)?;
            self.unread = 0..len;
        }
        let len = self.unread.len().min(into.len());
        into[..len].copy_from_slice(&self.buffer[self.unread.start..self.unread.start + len]);
        self.unread.start += len;
        Ok(len)
    }
}

/// Ends a lane from another thread: calls that block in it return at once.
#[derive(Debug)]
pub(crate) struct LaneCloser(TcpStream);

impl LaneCloser {
    /// Ends the lane. Closing it again changes nothing.
    pub(crate) fn close(&self) {
        // This fails only if the socket is no longer connected.
        drop(self.0.shutdown(Shutdown::Both));
    }
}

impl BlockingLane {
    /// Turns an open lane into a blocking one.
    pub(crate) fn new(lane: OpenLane) -> io::Result<Self> {
        let (tcp, mut connection) = match lane.stream {
            TlsStream::Client(stream) => {
                let (tcp, connection) = stream.into_inner();
                (tcp, Connection::Client(connection))
            }
            TlsStream::Server(stream) => {
                let (tcp, connection) = stream.into_inner();
                (tcp, Connection::Server(connection))
            }
        };
        connection.set_buffer_limit(Some(LANE_BUFFER_LEN * 2));
        let socket = tcp.into_std()?;
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(LANE_IDLE_TIMEOUT))?;
        let buffer = AlignedBuffer::new(LANE_BUFFER_LEN);
        let socket = BufferedSocket {
            socket,
            buffer,
            unread: 0..0,
        };
        Ok(Self {
            connection,
            socket,
            unsent: 0,
        })
    }

    /// A handle that ends this lane from another thread.
    pub(crate) fn closer(&self) -> io::Result<LaneCloser> {
        self.socket.socket.try_clone().map(LaneCloser)
    }

    /// How long a read may wait for the next byte; `None` waits until the lane is closed.
    pub(crate) fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.socket.socket.set_read_timeout(limit)
    }

    fn send_records(&mut self) -> io::Result<()> {
        self.unsent = 0;
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.socket.socket)?;
        }
        Ok(())
    }

    fn receive_records(&mut self) -> io::Result<()> {
        if self.connection.read_tls(&mut self.socket)? == 0 {
            // The stream was cut: TLS ends one with close_notify.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.connection
            .process_new_packets()
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        self.send_records()
    }
}

impl Read for BlockingLane {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive_records()?,
                outcome => return outcome,
            }
        }
    }
}

impl Write for BlockingLane {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unsent >= LANE_BUFFER_LEN {
            self.send_records()?;
        }
        let written = self.connection.writer().write(bytes)?;
        self.unsent += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_records()
    }
}
