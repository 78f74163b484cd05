//! A lane for file contents, driven by a blocking thread.
//!
//! Bulk bytes go fastest through plain blocking calls on page-aligned buffers; the asynchronous part of a lane ends with
//! its greeting. Owns the hand-over and the record loop, nothing of what is said on the lane. rustls reads at most a few
//! KiB at a time from its socket, so a buffer of [`LANE_BUFFER_LEN`] stands between them.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::Connection;
use tokio_rustls::TlsStream;

use super::lane::OpenLane;
use crate::limits::{LANE_BUFFER_LEN, LANE_IDLE_TIMEOUT};

/// A data lane. Reading and writing block for at most [`LANE_IDLE_TIMEOUT`] without progress.
pub(crate) struct BlockingLane {
    connection: Connection,
    socket: BufReader<TcpStream>,
}

/// Ends a lane from another thread: whatever blocks in it returns at once.
#[derive(Debug)]
pub(crate) struct LaneCloser(TcpStream);

impl LaneCloser {
    /// Ends the lane. A lane that is closed already stays so.
    pub(crate) fn close(&self) {
        // The only failure is that it is not connected any more.
        drop(self.0.shutdown(Shutdown::Both));
    }
}

impl BlockingLane {
    /// Takes an open lane out of the asynchronous world.
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
        Ok(Self {
            connection,
            socket: BufReader::with_capacity(LANE_BUFFER_LEN, socket),
        })
    }

    /// A handle that ends this lane from another thread.
    pub(crate) fn closer(&self) -> io::Result<LaneCloser> {
        self.socket.get_ref().try_clone().map(LaneCloser)
    }

    /// How long a read may wait for the next byte; `None` waits for ever (until the lane is closed).
    pub(crate) fn set_read_timeout(&mut self, limit: Option<Duration>) -> io::Result<()> {
        self.socket.get_ref().set_read_timeout(limit)
    }

    fn send_records(&mut self) -> io::Result<()> {
        while self.connection.wants_write() {
            self.connection.write_tls(self.socket.get_mut())?;
        }
        Ok(())
    }

    fn receive_records(&mut self) -> io::Result<()> {
        if self.connection.read_tls(&mut self.socket)? == 0 {
            // A cut is not an end: TLS says goodbye with close_notify.
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
        let written = self.connection.writer().write(bytes)?;
        self.send_records()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_records()
    }
}
