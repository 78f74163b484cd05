//! Turns an address, or a socket that already listens, into the relay's listening socket.
//!
//! Owns the errors of listening and their hints. Accepts nothing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdListener};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::limits::BACKLOG_COUNT;

/// Where a relay listens.
#[derive(Debug)]
pub(crate) enum Listen {
    /// Bind this address; port 0 takes a free one. `[::]` takes IPv4 as well, on every platform.
    On(SocketAddr),
    /// Serve this socket, which listens already.
    Adopted(StdListener),
}

/// Why a relay can't start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket listens there.
    #[error("port {} of `{addr}` is in use\nhint: stop what listens there, or choose another port (0 takes a free one)", addr.port())]
    PortInUse {
        /// The requested address.
        addr: SocketAddr,
    },
    /// The machine has no IPv6, or it is disabled.
    #[error(
        "`{addr}` needs IPv6, which this machine doesn't have\nhint: listen on `{}`",
        ipv4_twin(addr)
    )]
    Ipv6Missing {
        /// The requested address.
        addr: SocketAddr,
    },
    /// No interface has this address.
    #[error(
        "`{}` is no address of this machine\n\
         hint: listen on `[::]:{1}` for every address, or on `[::1]:{1}` for this machine alone", addr.ip(), addr.port()
    )]
    AddressMissing {
        /// The requested address.
        addr: SocketAddr,
    },
    /// The system reserves the port.
    #[error("port {} of `{addr}` is reserved by the system\nhint: choose a port above 1023", addr.port())]
    PortReserved {
        /// The requested address.
        addr: SocketAddr,
    },
    /// Anything else.
    #[error("can't listen on `{addr}`")]
    Listen {
        /// The requested address.
        addr: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
    /// The socket that was handed over can't be used.
    #[error("can't serve the socket that was handed over")]
    Adopt(#[source] io::Error),
}

impl Listen {
    /// A listening socket and the address it really has. Call it within a tokio runtime.
    pub(crate) fn start(self) -> Result<(TcpListener, SocketAddr), BindError> {
        let listener = match self {
            Self::On(addr) => bind(addr).map_err(|source| explain(addr, source))?,
            Self::Adopted(listener) => listener,
        };
        adopt(listener).map_err(BindError::Adopt)
    }
}

fn adopt(listener: StdListener) -> io::Result<(TcpListener, SocketAddr)> {
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((TcpListener::from_std(listener)?, addr))
}

fn bind(addr: SocketAddr) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.ip() == Ipv6Addr::UNSPECIFIED {
        socket.set_only_v6(false)?;
    }
    // On Windows the option would let two relays share a port; elsewhere it only ignores
    // connections long closed.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG_COUNT)?;
    Ok(socket.into())
}

fn explain(addr: SocketAddr, source: io::Error) -> BindError {
    if addr.is_ipv6() && lacks_ipv6() {
        return BindError::Ipv6Missing { addr };
    }
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::PortInUse { addr },
        io::ErrorKind::AddrNotAvailable => BindError::AddressMissing { addr },
        io::ErrorKind::PermissionDenied => BindError::PortReserved { addr },
        _ => BindError::Listen { addr, source },
    }
}

/// Whether loopback can be bound by IPv4 and not by IPv6: the family is missing, or disabled on
/// every interface.
fn lacks_ipv6() -> bool {
    let binds = |ip: IpAddr| StdListener::bind((ip, 0)).is_ok();
    !binds(Ipv6Addr::LOCALHOST.into()) && binds(Ipv4Addr::LOCALHOST.into())
}

/// The equivalent IPv4 address: every address, or this machine alone.
fn ipv4_twin(addr: &SocketAddr) -> String {
    match addr.ip().is_loopback() {
        true => format!("127.0.0.1:{}", addr.port()),
        false => format!("0.0.0.0:{}", addr.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(addr: &str, kind: io::ErrorKind) -> String {
        explain(addr.parse().unwrap(), kind.into()).to_string()
    }

    #[test]
    fn every_reason_names_the_address_and_what_to_do() {
        let cases = [
            (
                "127.0.0.1:80",
                io::ErrorKind::PermissionDenied,
                "reserved by the system\nhint: choose a port above 1023",
            ),
            (
                "127.0.0.1:4711",
                io::ErrorKind::AddrInUse,
                "port 4711 of `127.0.0.1:4711` is in use\nhint: ",
            ),
            (
                "192.0.2.1:4711",
                io::ErrorKind::AddrNotAvailable,
                "`192.0.2.1` is no address of this machine\nhint: ",
            ),
        ];
        for (addr, kind, expected) in cases {
            let shown = shown(addr, kind);
            assert!(shown.contains(expected), "{shown}");
        }
    }

    #[test]
    fn without_ipv6_the_hint_names_the_equivalent_ipv4_address() {
        for (addr, twin) in [("[::]:26000", "0.0.0.0:26000"), ("[::1]:0", "127.0.0.1:0")] {
            let error = BindError::Ipv6Missing {
                addr: addr.parse().unwrap(),
            };
            assert!(
                error.to_string().ends_with(&format!("hint: listen on `{twin}`")),
                "{error}"
            );
        }
    }
}
