//! Sockets on which a process waits, as the kernel lists them: address and port of TCP listeners
//! and of UDP sockets, names of unix listeners.
//!
//! See proc_net(5). The tables are those of this process's network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` in the kernel's numbering.
const LISTENING: &str = "0A";

/// `__SO_ACCEPTCON`: a listening unix socket.
const ACCEPTS: &str = "00010000";

/// A socket on which a process waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) inode: u64,
    /// `tcp 127.0.0.1:4711`, `unix @name`.
    pub(super) name: String,
}

/// Whether a TCP server listens on this address, in the network of this process.
pub(crate) fn listens(address: &SocketAddr) -> bool {
    let all = listeners();
    let tcp = all
        .iter()
        .filter_map(|listener| listener.name.strip_prefix("tcp "));
    let mut addresses = tcp.filter_map(|name| name.parse::<SocketAddr>().ok());
    addresses.any(|listener| {
        let is_for_all = listener.ip().is_unspecified() && (listener.is_ipv6() || address.is_ipv4());
        listener.port() == address.port() && (is_for_all || listener.ip() == address.ip())
    })
}

/// All listening sockets.
pub(super) fn listeners() -> Vec<Listener> {
    let tables = [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")];
    let read = |table: &str| crate::base::procfs::system(&format!("self/net/{table}"));
    let mut found = Vec::new();
    for (table, protocol) in tables {
        found.extend(
            read(table)
                .lines()
                .skip(1)
                .filter_map(|line| internet(protocol, line)),
        );
    }
    found.extend(read("unix").lines().skip(1).filter_map(unix));
    found
}

fn internet(protocol: &str, line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (local, state) = (fields.get(1)?, fields.get(3)?);
    if protocol == "tcp" && *state != LISTENING {
        return None;
    }
    Some(Listener {
        inode: fields.get(9)?.parse().ok()?,
        name: format!("{protocol} {}", address(local)?),
    })
}

/// `0100007F:1267` → 127.0.0.1:4711. Addresses are in words of the machine's byte order.
fn address(field: &str) -> Option<SocketAddr> {
    let (digits, port) = field.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = (0..digits.len() / 8).map(|n| u32::from_str_radix(digits.get(n * 8..n * 8 + 8)?, 16).ok());
    let bytes: Vec<u8> = words
        .collect::<Option<Vec<u32>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::from(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some(SocketAddr::new(address, port))
}

fn unix(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    (*fields.get(3)? == ACCEPTS).then_some(())?;
    Some(Listener {
        inode: fields.get(6)?.parse().ok()?,
        name: format!("unix {}", fields.get(7..)?.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_listed_by_address_and_port_and_a_connection_is_not() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let client = std::net::TcpStream::connect(address).unwrap();
        let names: Vec<String> = listeners().into_iter().map(|listener| listener.name).collect();
        assert!(names.contains(&format!("tcp {address}")), "{names:?}");
        assert!(!names.contains(&format!("tcp {}", client.local_addr().unwrap())));
    }

    #[test]
    fn a_server_is_found_by_the_addresses_on_which_it_listens() {
        let one = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let all = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let everywhere = SocketAddr::new(one.ip(), all.local_addr().unwrap().port());
        assert!(listens(&everywhere));
        assert!(!listens(&one), "it is closed");
        assert!(!listens(&SocketAddr::new(
            Ipv6Addr::LOCALHOST.into(),
            everywhere.port()
        )));
    }

    #[test]
    fn a_unix_listener_is_listed_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let name = format!("unix {}", path.display());
        assert!(listeners().iter().any(|listener| listener.name == name));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_of_both_families_are_read() {
        let text = |field| address(field).map(|address| address.to_string());
        assert_eq!(text("0100007F:1267").as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(
            text("00000000000000000000000001000000:0050").as_deref(),
            Some("[::1]:80")
        );
        assert_eq!(text("01:0050"), None);
    }
}
