//! Many connections, one after the other, in a process that does nothing else: so its descriptors can be counted.

mod common;

use std::net::SocketAddr;
use std::time::Instant;

use common::HANG;
use common::sockets::{LONG, any, on_each, runtime};
use futures_lite::future::yield_now;
use libprocess::ReactorKind;
use libprocess::net::{ListenOptions, TcpListener, TcpStream};

fn open() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd");
    descriptors.expect("the process's descriptors").count()
}

#[test]
fn of_ten_thousand_connections_no_descriptor_is_left() {
    for kind in [ReactorKind::IoUring, ReactorKind::Epoll] {
        if let Some(runtime) = runtime(kind, 2, None) {
            let opened = runtime.spawn_async(open_and_close(10_000));
            opened.get_timeout(HANG).expect("they were closed");
        }
    }
}

#[test]
fn under_faults_no_descriptor_is_left() {
    on_each(|| open_and_close(100));
}

async fn open_and_close(connections: usize) {
    // So the drivers of all workers are made, with what they have for good.
    let listeners = ListenOptions::new().bind_per_worker(any());
    let listeners = listeners.expect("listeners");
    for listener in &listeners {
        let address = listener.local_address().expect("an address");
        listener.accept().discard();
        TcpStream::connect(address).discard();
    }
    drop(listeners);
    let listener = TcpListener::bind(any()).expect("a listener");
    let address = listener.local_address().expect("an address");
    drop(connect(&listener, address).await);
    // Soon as full as can be.
    let nobody_accepts = TcpListener::bind(any()).expect("a listener");
    let full = nobody_accepts.local_address().expect("an address");
    let before = open();
    for round in 0..connections {
        let (client, server) = connect(&listener, address).await;
        match round % 4 {
            // Neither side knows of the other's end.
            0 => {}
            // A receive is under way.
            1 => drop(server.receive()),
            // There are bytes that nobody takes.
            2 => client.send("hello").await.expect("sent"),
            // Another one is given up half way.
            _ => {
                TcpStream::connect(full).discard();
            }
        }
    }
    let deadline = Instant::now() + LONG;
    // The other test has some.
    while open() > before + 40 {
        assert!(
            Instant::now() < deadline,
            "{} are open, {before} were",
            open()
        );
        yield_now().await;
    }
}

async fn connect(listener: &TcpListener, address: SocketAddr) -> (TcpStream, TcpStream) {
    let connecting = TcpStream::connect(address);
    let server = listener.accept().await.expect("a connection");
    (connecting.await.expect("a connection"), server)
}
