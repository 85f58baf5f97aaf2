//! Callbacks of sockets' futures, and futures that are held, on both reactors.

mod common;

use std::time::Instant;

use common::sockets::{LONG, any, on_each, pair};
use futures_lite::future::yield_now;
use libprocess::net::TcpListener;

/// Whoever tells of what came, with one worker the only one, goes on: with this connection, and with others whose bytes came at once.
#[test]
fn a_callback_that_panics_stops_nobody() {
    on_each(|| async {
        let (one, one_peer) = pair().await;
        let (two, two_peer) = pair().await;
        for _ in 0..20 {
            let (first, second) = (one.receive(), one.receive());
            let other = two.receive();
            first.on_ready(|_| panic!("as it is meant to"));
            let sent = [one_peer.send("1"), two_peer.send("2")];
            assert_eq!(first.await.expect("bytes"), "1");
            assert_eq!(other.await.expect("bytes"), "2");
            // For which a receive may have had to begin behind the callback.
            one_peer.send("3").await.expect("sent");
            assert_eq!(second.await.expect("bytes"), "3");
            drop(sent);
        }
    });
}

/// Also while its future is held.
#[test]
fn a_listener_that_was_dropped_listens_no_more() {
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        let accepted = listener.accept();
        drop(listener);
        assert!(accepted.is_abandoned());
        let until = Instant::now() + LONG;
        // The kernel takes its time over the end of an accept that is cancelled.
        while let Err(error) = TcpListener::bind(address) {
            assert!(Instant::now() < until, "still bound: {error}");
            yield_now().await;
        }
        drop(accepted);
    });
}

/// Both come in one batch, and the callback of the first waits for the second.
#[test]
fn a_callback_may_wait_for_another_completion() {
    on_each(|| async {
        let (one, one_peer) = pair().await;
        let (two, two_peer) = pair().await;
        for _ in 0..20 {
            let second = two.receive();
            let first = one.receive().then(move |_| second.get().expect("bytes"));
            one_peer.send("1").detach();
            two_peer.send("2").detach();
            assert_eq!(first.await.expect("bytes"), "2");
        }
    });
}
