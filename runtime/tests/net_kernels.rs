//! Sockets on io_uring of kernels of all ages: what each lacks is taken away from the one that there is. The whole suite of sockets runs as on Linux 5.10, too: see `common::sockets`.

#![cfg(feature = "io-uring")]

mod common;

use common::sockets::{LONG, any, runtime_without};
use libprocess::net::{TcpListener, TcpStream};
use libprocess::{IoUringFeature, ReactorKind};

/// Some connections one after the other, and then much over all of them at a time.
async fn converse(connections: u8) {
    const MUCH: usize = 300_000;
    let listener = TcpListener::bind(any()).expect("a listener");
    let address = listener.local_address().expect("an address");
    let mut ends = Vec::new();
    for number in 0..connections {
        let connecting = TcpStream::connect(address);
        let server = listener.accept().await.expect("a connection");
        let client = connecting.await.expect("a connection");
        // A receive that is given up, and one that is not.
        server.receive().discard();
        client.send(vec![number]).await.expect("sent");
        assert_eq!(server.receive().await.expect("bytes"), vec![number]);
        ends.push((client, server));
    }
    for (number, (client, server)) in ends.iter().enumerate() {
        client.send(vec![number as u8; MUCH]).detach();
        let pieces = vec![vec![number as u8; 1_000]; MUCH / 1_000];
        server.send_vectored(pieces).detach();
        client.shutdown().detach();
        server.shutdown().detach();
    }
    for (number, (client, server)) in ends.iter().enumerate() {
        for end in [client, server] {
            let mut received = 0;
            loop {
                let bytes = end.receive().await.expect("bytes");
                if bytes.is_empty() {
                    break;
                }
                assert!(bytes.iter().all(|&byte| byte == number as u8));
                received += bytes.len();
            }
            assert_eq!(received, MUCH);
        }
    }
}

fn holds_without(features: &[IoUringFeature]) {
    for workers in [1, 3] {
        let runtime = runtime_without(features.iter().copied(), workers, None);
        let runtime = runtime.expect("it is built in");
        let done = runtime.spawn_async(converse(20));
        done.get_timeout(LONG)
            .unwrap_or_else(|error| panic!("{workers} workers, without {features:?}: {error}"));
        let statistics = runtime.stats();
        assert_eq!(statistics.reactor, Some(ReactorKind::IoUring));
        for feature in features {
            let told = &statistics.io_uring_lacks;
            assert!(told.contains(feature), "{feature:?} in {told:?}");
        }
    }
}

#[test]
fn each_feature_may_be_missing_alone() {
    for feature in IoUringFeature::ALL {
        holds_without(&[feature]);
    }
}

#[test]
fn a_kernel_of_any_age_will_do() {
    let ages = IoUringFeature::ALL.map(IoUringFeature::since);
    for age in ages {
        let newer: Vec<_> = IoUringFeature::ALL
            .into_iter()
            .filter(|feature| feature.since() >= age)
            .collect();
        holds_without(&newer);
    }
}

/// With nothing taken away, and nothing asked for: by which `scripts/old-kernels` sees what a kernel gives that is run there.
#[test]
fn what_the_kernel_gives_will_do() {
    let runtime = libprocess::Runtime::builder().workers(2).build();
    let runtime = runtime.expect("a runtime");
    let done = runtime.spawn_async(converse(20));
    done.get_timeout(LONG).expect("held");
    let statistics = runtime.stats();
    let reactor = statistics.reactor.expect("there was a socket");
    println!("by itself: {reactor} {}", statistics.reactor_reason);
}
