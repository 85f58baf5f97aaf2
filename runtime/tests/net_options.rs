//! Options of sockets, as the kernel has them; addresses of IPv6; connections that do not come about in time.

mod common;

use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use common::serving::until;
use common::sockets::{LONG, REACTORS, any, on_each, pair, receive_exactly, runtime};
use common::tcp_table::accept_queue;
use libprocess::net::{ListenOptions, TcpListener, TcpStream};
use rustix::net::{AddressFamily, SocketType, sockopt};

/// The descriptor of this OS process whose socket has that address, and that peer if it is a connection's.
fn descriptor_of(local: SocketAddr, peer: Option<SocketAddr>) -> OwnedFd {
    let open = std::fs::read_dir("/proc/self/fd").expect("a folder of descriptors");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.collect::<Vec<_>>() {
        // SAFETY: borrowed for the copy alone. Another test may close it at this moment: then there is nothing to copy, or it is another socket, which has another address.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let Ok(copy) = descriptor.try_clone_to_owned() else {
            continue;
        };
        let its = rustix::net::getsockname(&copy).ok();
        let its_peer = rustix::net::getpeername(&copy).ok().flatten();
        let is_it = its.and_then(|address| SocketAddr::try_from(address).ok()) == Some(local)
            && its_peer.and_then(|address| SocketAddr::try_from(address).ok()) == peer;
        if is_it {
            return copy;
        }
    }
    panic!("no socket at {local} with {peer:?}");
}

fn of_stream(stream: &TcpStream) -> OwnedFd {
    let local = stream.local_address().expect("connected");
    descriptor_of(local, Some(stream.peer_address().expect("connected")))
}

fn of_listener(listener: &TcpListener) -> OwnedFd {
    descriptor_of(listener.local_address().expect("bound"), None)
}

#[test]
fn a_stream_has_the_options_that_it_was_given() {
    on_each(|| async {
        let (stream, _peer) = pair().await;
        let descriptor = of_stream(&stream);
        for on in [true, false] {
            stream.set_nodelay(on).expect("an option");
            assert_eq!(sockopt::tcp_nodelay(&descriptor), Ok(on));
        }
        assert_eq!(sockopt::socket_keepalive(&descriptor), Ok(false));
        let after = Duration::from_secs(77);
        stream.set_keepalive(Some(after)).expect("an option");
        assert_eq!(sockopt::socket_keepalive(&descriptor), Ok(true));
        assert_eq!(sockopt::tcp_keepidle(&descriptor), Ok(after));
        stream.set_keepalive(None).expect("an option");
        assert_eq!(sockopt::socket_keepalive(&descriptor), Ok(false));
        let time = Duration::from_secs(9);
        stream.set_peer_timeout(time).expect("an option");
        assert_eq!(sockopt::tcp_user_timeout(&descriptor), Ok(9_000));
    });
}

#[test]
fn what_a_listener_accepts_has_its_options() {
    on_each(|| async {
        let time = Duration::from_secs(80);
        let options = ListenOptions::new().nodelay(true).keepalive(time);
        let listener = options.bind(any()).expect("a listener");
        let connecting = TcpStream::connect(listener.local_address().expect("bound"));
        let accepted = listener.accept().await.expect("a connection");
        let _connected = connecting.await.expect("a connection");
        let descriptor = of_stream(&accepted);
        assert_eq!(sockopt::tcp_nodelay(&descriptor), Ok(true));
        assert_eq!(sockopt::socket_keepalive(&descriptor), Ok(true));
        // It is asked, and asked again, until the time is over.
        let first = sockopt::tcp_keepidle(&descriptor).expect("an option");
        let others = sockopt::tcp_keepintvl(&descriptor).expect("an option");
        let count = sockopt::tcp_keepcnt(&descriptor).expect("an option");
        assert!(count > 1 && first < time / 2, "{first:?}, {count}");
        assert_eq!(first + others * count, time);
    });
}

#[test]
fn a_listener_has_the_options_that_it_was_given() {
    for on in [true, false] {
        let options = ListenOptions::new().reuse_address(on).reuse_port(on);
        let listener = options.bind(any()).expect("a listener");
        let descriptor = of_listener(&listener);
        assert_eq!(sockopt::socket_reuseaddr(&descriptor), Ok(on));
        assert_eq!(sockopt::socket_reuseport(&descriptor), Ok(on));
        let again = options.bind(listener.local_address().expect("bound"));
        assert_eq!(again.is_ok(), on, "two at one address");
    }
}

/// As many as the backlog has room for, which is one more than it says, are connected by the kernel before anybody accepts; who comes behind them waits.
#[test]
fn a_backlog_is_as_long_as_was_asked_for() {
    for backlog in [1, 5] {
        let runtime = runtime(REACTORS[0], 1, None).expect("it was built in");
        let listener = runtime.spawn_async(async move {
            let options = ListenOptions::new().backlog(backlog);
            options.bind(any()).expect("a listener")
        });
        let listener = listener.get_timeout(LONG).expect("bound");
        let address = listener.local_address().expect("bound");
        let connect = || std::net::TcpStream::connect_timeout(&address, LONG / 20);
        let connected: Vec<_> = (0..=backlog).map(|_| connect()).collect();
        assert!(connected.iter().all(Result::is_ok), "{connected:?}");
        // The kernel has not only answered them by then, but heard of it.
        until(|| accept_queue(address) == u64::from(backlog) + 1);
        // The kernel drops what asks, so it is asked again until it gives up.
        assert!(connect().is_err(), "more than {backlog}");
    }
}

#[test]
fn both_families_of_addresses_are_served() {
    on_each(|| async {
        let listener = match TcpListener::bind("[::1]:0".parse().expect("an address")) {
            Ok(listener) => listener,
            Err(error) => {
                // So that it is seen which reactor there is.
                let _both_ends = pair().await;
                return eprintln!("NOT TESTED: there is no IPv6 here ({error})");
            }
        };
        let address = listener.local_address().expect("bound");
        assert!(address.is_ipv6(), "{address}");
        let connecting = TcpStream::connect(address);
        let server = listener.accept().await.expect("a connection");
        let client = connecting.await.expect("a connection");
        assert_eq!(client.peer_address().expect("connected"), address);
        assert_eq!(
            server.peer_address().expect("connected"),
            client.local_address().expect("connected")
        );
        client.send("over six").await.expect("sent");
        assert_eq!(receive_exactly(&server, 8).await, b"over six");
        drop(client);
        assert_eq!(server.receive().await.expect("the end"), "");
    });
}

/// Of a server whose backlog is full, which is what one that hangs looks like.
#[test]
fn who_is_not_connected_in_time_is_told() {
    let full = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("made");
    rustix::net::bind(&full, &any()).expect("bound");
    rustix::net::listen(&full, 0).expect("listening");
    let address = rustix::net::getsockname(&full).expect("bound");
    let address = SocketAddr::try_from(address).expect("of IPv4");
    // Without waiting: the kernel takes one or two.
    let _fill: Vec<_> = (0..4)
        .map(|_| {
            let flags = rustix::net::SocketFlags::NONBLOCK;
            let (family, kind) = (AddressFamily::INET, SocketType::STREAM);
            let one = rustix::net::socket_with(family, kind, flags, None).expect("made");
            let _under_way = rustix::net::connect(&one, &address);
            one
        })
        .collect();
    for kind in REACTORS {
        for workers in [1, 3] {
            let runtime = runtime(*kind, workers, None).expect("it was built in");
            let clock = runtime.clock();
            clock.pause();
            let time = Duration::from_secs(5);
            let connecting =
                runtime.spawn_async(async move { TcpStream::connect_timeout(address, time).await });
            clock.settle().expect("outside of a process");
            clock.advance(time - Duration::from_millis(1));
            clock.settle().expect("outside of a process");
            assert!(connecting.is_pending(), "{kind}: too early");
            clock.advance(Duration::from_millis(1));
            let told = connecting.get_timeout(LONG).expect("told");
            let error = told.expect_err("nobody accepts").to_string();
            assert!(error.contains("no answer within 5s"), "{kind}: {error}");
        }
    }
}
