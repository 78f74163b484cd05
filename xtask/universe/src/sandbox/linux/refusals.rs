//! TCP connections that were refused in the network of this process, as the packets on its
//! interfaces show them: addresses of this network where nothing listens.
//!
//! A packet socket with a filter sees them, without touching the tests (packet(7)). It sees the
//! connections of all processes in the network. Where the kernel gives none, nothing is seen.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

use super::sys;
use crate::base::limits::{REFUSAL_PACKETS_MAX, REFUSALS_MAX};

/// TCP, as IPv4 and IPv6 number it.
const TCP: u8 = 6;

/// The flags of the answer to a connection that is refused: RST and ACK (RFC 9293, 3.10.7.1).
const REFUSED: u8 = 0x14;

/// The length of the part of a packet that is looked at: the longest IPv4 header and a TCP header.
const LOOKED_AT_LEN: u32 = 80;

const LOAD_BYTE: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
const LOAD_BYTE_BEHIND_HEADER: u32 = libc::BPF_LD | libc::BPF_B | libc::BPF_IND;
const LOAD_HEADER_LEN: u32 = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
const MASK: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const COMPARE: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const TAKE: u32 = libc::BPF_RET | libc::BPF_K;

/// Takes answers to refused connections, from packets that begin with an IP header. A comparison
/// skips as many steps as it says: if equal, and if not.
const FILTER: [libc::sock_filter; 15] = [
    step(LOAD_BYTE, 0, [0, 0]),
    step(MASK, 0xF0, [0, 0]),
    step(COMPARE, 0x40, [0, 5]),
    // IPv4: the protocol, and the flags behind a header of any length.
    step(LOAD_BYTE, 9, [0, 0]),
    step(COMPARE, TCP as u32, [0, 9]),
    step(LOAD_HEADER_LEN, 0, [0, 0]),
    step(LOAD_BYTE_BEHIND_HEADER, 13, [0, 0]),
    step(COMPARE, REFUSED as u32, [5, 6]),
    // IPv6.
    step(COMPARE, 0x60, [0, 5]),
    step(LOAD_BYTE, 6, [0, 0]),
    step(COMPARE, TCP as u32, [0, 3]),
    step(LOAD_BYTE, 40 + 13, [0, 0]),
    step(COMPARE, REFUSED as u32, [0, 1]),
    step(TAKE, LOOKED_AT_LEN, [0, 0]),
    step(TAKE, 0, [0, 0]),
];

const fn step(code: u32, value: u32, [equal, other]: [u8; 2]) -> libc::sock_filter {
    libc::sock_filter {
        code: code as u16,
        jt: equal,
        jf: other,
        k: value,
    }
}

/// The refused connections in one network.
#[derive(Debug)]
pub(super) struct Refusals {
    socket: Option<OwnedFd>,
}

impl Refusals {
    /// Looks at the network of this process from now on.
    pub(super) fn watch() -> Refusals {
        let socket = socket().ok();
        Refusals { socket }
    }

    /// The addresses that refused a connection since this was last called, each once.
    pub(super) fn take(&self) -> Vec<SocketAddr> {
        let mut refused = Vec::new();
        for _ in 0..REFUSAL_PACKETS_MAX {
            let mut space = [MaybeUninit::uninit(); LOOKED_AT_LEN as usize];
            let received = self
                .socket
                .as_ref()
                .map(|socket| recv(socket, &mut space, RecvFlags::DONTWAIT));
            let Some(Ok(((packet, _), _))) = received else {
                break;
            };
            let address = refused_in(packet).filter(|address| !refused.contains(address));
            refused.extend(address.filter(|_| refused.len() < REFUSALS_MAX));
        }
        refused
    }
}

/// One socket for both protocols: the end of each takes the kernel some milliseconds.
fn socket() -> io::Result<OwnedFd> {
    // Of all protocols (linux/if_ether.h, `ETH_P_ALL`).
    let protocol = NonZeroU32::new(3_u16.to_be().into()).map(Protocol::from_raw);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, protocol)?;
    sys::receive_only_incoming(socket.as_fd(), &FILTER)?;
    Ok(socket)
}

/// The address that refuses a connection by this packet. A packet from before the filter may be
/// anything.
fn refused_in(packet: &[u8]) -> Option<SocketAddr> {
    let (protocol, address, tcp): (u8, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 => {
            let header_len = usize::from(packet.first()? & 0x0F) * 4;
            let source: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            (
                *packet.get(9)?,
                Ipv4Addr::from(source).into(),
                packet.get(header_len..)?,
            )
        }
        6 => {
            let source: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            (*packet.get(6)?, Ipv6Addr::from(source).into(), packet.get(40..)?)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes(tcp.get(..2)?.try_into().ok()?);
    // The answer to a connection that was never open has the sequence number 0.
    let is_refusal = protocol == TCP && *tcp.get(13)? == REFUSED && tcp.get(4..8)? == [0; 4];
    is_refusal.then(|| SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The packet by which 127.0.0.1:80 refuses a connection.
    fn refusal() -> Vec<u8> {
        let mut packet = vec![0; 40];
        (packet[0], packet[9]) = (0x45, TCP);
        packet[12..16].copy_from_slice(&[127, 0, 0, 1]);
        packet[20..22].copy_from_slice(&80_u16.to_be_bytes());
        packet[33] = REFUSED;
        packet
    }

    #[test]
    fn a_refusal_names_the_address_and_nothing_else_is_one() {
        let text = |packet: &[u8]| refused_in(packet).map(|address| address.to_string());
        let whole = refusal();
        assert_eq!(text(&whole).as_deref(), Some("127.0.0.1:80"));
        for (at, byte) in [(9, 17), (33, 0x04), (27, 1), (0, 0x25), (0, 0x4F)] {
            let mut other = refusal();
            other[at] = byte;
            assert_eq!(text(&other), None, "{at}");
        }
        assert!((0..34).all(|len| text(&whole[..len]).is_none()));
        let mut ipv6 = vec![0; 60];
        (ipv6[0], ipv6[6], ipv6[23], ipv6[53]) = (0x60, TCP, 1, REFUSED);
        ipv6[41] = 80;
        assert_eq!(text(&ipv6).as_deref(), Some("[::1]:80"));
    }
}
