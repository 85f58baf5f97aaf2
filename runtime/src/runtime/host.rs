//! The address of this machine, for who listens at all that it has and is to name one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

/// An address of this machine at which others reach it, of the same family as that one. It looks the machine's name up, so it may block.
pub(super) fn address(like: IpAddr) -> Option<IpAddr> {
    best(named(), like).or_else(|| best(sending(like), like))
}

/// The first that is of this family, and means this machine to others, too.
fn best(ips: impl IntoIterator<Item = IpAddr>, like: IpAddr) -> Option<IpAddr> {
    let reached = |ip: &IpAddr| {
        // Without the number of an interface, which is for this machine alone, an address of the link alone names nothing.
        let of_link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        !ip.is_unspecified() && !ip.is_loopback() && !of_link
    };
    let of_family = |ip: &IpAddr| ip.is_ipv4() == like.is_ipv4();
    ips.into_iter().find(|ip| of_family(ip) && reached(ip))
}

/// What the machine's name means: nothing, where nobody knows it.
fn named() -> Vec<IpAddr> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().unwrap_or_default();
    // The port is asked for, and of no use.
    let addresses = (name, 0).to_socket_addrs();
    addresses
        .map(|addresses| addresses.map(|address| address.ip()).collect())
        .unwrap_or_default()
}

/// What the kernel would send from, if something were to be sent to the outside. A datagram's socket sends nothing when it is connected.
fn sending(like: IpAddr) -> Option<IpAddr> {
    // Addresses of documents, which are nobody's: any will do that is not in this machine or beside it.
    let (any, outside): (SocketAddr, SocketAddr) = match like {
        IpAddr::V4(_) => (
            (Ipv4Addr::UNSPECIFIED, 0).into(),
            (Ipv4Addr::new(198, 51, 100, 1), 9).into(),
        ),
        IpAddr::V6(_) => (
            (Ipv6Addr::UNSPECIFIED, 0).into(),
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9).into(),
        ),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(outside).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

pub(super) fn loopback(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_for_others_is_of_the_family_and_of_more_than_the_machine() {
        let all = [
            "127.0.1.1",
            "::1",
            "0.0.0.0",
            "fe80::1",
            "2001:db8::5",
            "192.0.2.5",
            "192.0.2.6",
        ];
        let all = all.map(ip);
        assert_eq!(best(all, ip("0.0.0.0")), Some(ip("192.0.2.5")));
        assert_eq!(best(all, ip("::")), Some(ip("2001:db8::5")));
        assert_eq!(best(all[..4].to_vec(), ip("0.0.0.0")), None);
        assert_eq!(best(all[..4].to_vec(), ip("::")), None);
    }

    #[test]
    fn what_is_found_is_of_this_machine() {
        for any in ["0.0.0.0", "::"] {
            if let Some(found) = address(ip(any)) {
                // Only what a machine has can be bound.
                UdpSocket::bind((found, 0)).expect("an address of this machine");
            }
        }
    }
}
