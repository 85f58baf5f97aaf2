//! What the kernel has of connections that nobody has taken yet.

use std::net::{SocketAddr, TcpStream};

/// Of one end: its state, and how many bytes wait to be sent and to be taken; of a listener, connections.
struct Line {
    state: String,
    sends: u64,
    has: u64,
}

/// The end with this port, if it is there, which is connected to that one; a listener's peer has port 0.
fn line_of(local: SocketAddr, peer_port: u16) -> Option<Line> {
    let [local, peer] = [local.port(), peer_port].map(|port| format!(":{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table of sockets");
    let mut lines = table.lines().map(|line| line.split_whitespace());
    lines.find_map(|mut words| {
        let (of, to, state) = (words.nth(1)?, words.next()?, words.next()?);
        let is_it = of.ends_with(&local) && to.ends_with(&peer);
        let (sends, has) = words.next().filter(|_| is_it)?.split_once(':')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(Line {
            state: state.to_owned(),
            sends: number(sends)?,
            has: number(has)?,
        })
    })
}

/// Whether the other end's process has all that was sent to it, and this one all that came: none of it is with the kernel.
pub fn has_been_read(stream: &TcpStream) -> bool {
    let local = stream.local_addr().expect("connected");
    let peer = stream.peer_addr().expect("connected");
    [(local, peer), (peer, local)]
        .into_iter()
        .all(|(of, to)| line_of(of, to.port()).is_some_and(|line| line.sends == 0 && line.has == 0))
}

/// How many the kernel has connected for a listener that nobody has accepted.
pub fn accept_queue(listener: SocketAddr) -> u64 {
    // The table is read in pieces, between which it may change.
    let line = (0..100).find_map(|_| line_of(listener, 0));
    let line = line.expect("it listens");
    assert_eq!(line.state, "0A", "it listens");
    line.has
}
