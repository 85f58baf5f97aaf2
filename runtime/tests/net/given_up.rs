//! Operations that are given up: before they have begun, while they are under way, or when they are done.

use std::net::SocketAddr;

use futures_lite::future::yield_now;
use libprocess::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use libprocess::{Future, FutureError};

use crate::common::sockets::{LONG, any, on_each, pair, receive_the_rest};
use crate::new_path;

/// So many moments later.
const MOMENTS: usize = 24;

/// Gives the future up then. What it was, unless it was given up in time.
async fn after<T>(moment: usize, future: Future<T>) -> Option<T> {
    for _ in 0..moment {
        yield_now().await;
    }
    future.discard();
    match future.await {
        Ok(value) => Some(value),
        Err(error) => {
            assert_eq!(error, FutureError::Discarded);
            None
        }
    }
}

#[test]
fn what_is_given_up_at_any_moment_loses_nothing() {
    on_each(|| async {
        let nobody_accepts = TcpListener::bind(any()).expect("a listener");
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        for moment in 0..MOMENTS {
            let connecting =
                TcpStream::connect(nobody_accepts.local_address().expect("an address"));
            drop(after(moment, connecting).await);

            let accepting = listener.accept();
            let connecting = TcpStream::connect(address);
            let server = match after(moment, accepting).await {
                Some(server) => server,
                None => listener.accept().await.expect("it was not lost"),
            };
            let client = connecting.await.expect("a connection");

            let receiving = server.receive();
            let data = vec![moment as u8; 100_000];
            let sent = after(moment, client.send(data.clone())).await;
            assert!(sent.is_some(), "what is on its way goes on");
            let some = after(moment, receiving).await.unwrap_or_default();
            let all = receive_the_rest(&server, some.to_vec(), data.len()).await;
            assert!(all == data, "other bytes came");

            assert!(after(moment, client.shutdown()).await.is_some());
            assert_eq!(server.receive().await.expect("the end"), "");
        }
    });
}

#[test]
fn pieces_that_are_given_up_go_out_whole() {
    on_each(|| async {
        let (client, server) = pair().await;
        for moment in 0..MOMENTS {
            let pieces: Vec<Vec<u8>> = (0..100).map(|n| vec![(moment + n) as u8; 999]).collect();
            let whole = pieces.concat();
            let sent = after(moment, client.send_vectored(pieces)).await;
            assert!(sent.is_some(), "what is on its way goes on");
            let all = receive_the_rest(&server, Vec::new(), whole.len()).await;
            assert!(all == whole, "other bytes came");
        }
    });
}

#[test]
fn unix_connections_that_are_given_up_are_not_lost() {
    on_each(|| async {
        let path = new_path();
        let listener = UnixListener::bind(&path).expect("a listener");
        for moment in 0..MOMENTS {
            // One side gives up, and then the other.
            let accepting = listener.accept();
            let client = UnixStream::connect(&path).await.expect("a connection");
            client.send(vec![moment as u8]).await.expect("sent");
            let accepted = after(moment, accepting).await;
            let server = served(&listener, accepted, moment as u8).await;

            let receiving = client.receive();
            server.send(vec![moment as u8]).await.expect("sent");
            let byte = match after(moment, receiving).await {
                Some(byte) => byte,
                None => client.receive().await.expect("it was not lost"),
            };
            assert_eq!(byte, vec![moment as u8]);

            if let Some(client) = after(moment, UnixStream::connect(&path)).await {
                client.send("!").await.expect("sent");
                drop(served(&listener, None, b'!').await);
            }
        }
        std::fs::remove_file(path).expect("it was there");
    });
}

/// The connection whose client has sent this byte, which may be what was accepted. Those before it were given up when they had been made, and have ended.
async fn served(listener: &UnixListener, mut accepted: Option<UnixStream>, byte: u8) -> UnixStream {
    loop {
        let server = match accepted.take() {
            Some(server) => server,
            None => listener.accept().await.expect("it was not lost"),
        };
        let received = server.receive().await.unwrap_or_default();
        if received == vec![byte] {
            return server;
        }
        assert_eq!(received, "", "who gave up sent nothing");
    }
}

#[test]
fn connections_to_hosts_and_within_a_time_can_be_given_up() {
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        for moment in 0..MOMENTS {
            let to_host = TcpStream::connect_host("127.0.0.1", address.port());
            let to_host = after(moment, to_host).await;
            let in_time = after(moment, TcpStream::connect_timeout(address, LONG)).await;
            // Whatever was made and given up has ended; what was not serves.
            let kept = [to_host, in_time].into_iter().flatten().collect();
            each_is_served(&listener, address, kept).await;
        }
    });
}

async fn each_is_served(listener: &TcpListener, address: SocketAddr, kept: Vec<TcpStream>) {
    let mut clients = kept;
    clients.push(TcpStream::connect(address).await.expect("a connection"));
    for (number, client) in clients.iter().enumerate() {
        client.send(vec![number as u8]).await.expect("sent");
    }
    let mut served = Vec::new();
    while served.len() < clients.len() {
        let server = listener.accept().await.expect("a connection");
        let received = server.receive().await.unwrap_or_default();
        // The end of one that was given up.
        served.extend(received);
    }
    served.sort_unstable();
    let all: Vec<u8> = (0..clients.len() as u8).collect();
    assert_eq!(served, all);
}
