//! Streams through the traits of futures-io and tokio, and what is written to those.

// Under the sanitizers there are neither TLS nor tonic to link with.
#![cfg(all(
    feature = "futures-io",
    feature = "tokio",
    not(any(libprocess_tsan, libprocess_asan))
))]

#[path = "../common/mod.rs"]
mod common;

mod grpc;

use std::convert::Infallible;
use std::sync::Arc;

use common::sockets::{any, on_each};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use libprocess::net::{IoStream, TcpListener, TcpStream, UnixStream};
use libprocess::spawn_async;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

async fn pair() -> (IoStream<TcpStream>, IoStream<TcpStream>) {
    let listener = TcpListener::bind(any()).expect("a listener");
    let connecting = TcpStream::connect(listener.local_address().expect("an address"));
    let server = listener.accept().await.expect("a connection");
    (
        connecting.await.expect("a connection").into(),
        server.into(),
    )
}

fn much() -> Vec<u8> {
    (0..1_000_000_u32).map(|n| (n % 251) as u8).collect()
}

#[test]
fn much_goes_through_futures_io() {
    use futures_lite::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    on_each(|| async {
        let (mut client, mut server) = pair().await;
        let writing = spawn_async(async move {
            client.write_all(b"a line\n").await?;
            client.write_all(&much()).await?;
            client.close().await?;
            // A second time it is no error.
            client.close().await?;
            Ok::<_, std::io::Error>(client)
        });
        let mut line = String::new();
        server.read_line(&mut line).await.expect("a line");
        assert_eq!(line, "a line\n");
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.expect("bytes");
        assert!(all == much(), "other bytes came");
        let mut client = writing.await.expect("written").expect("written");
        server.write_all(b"still there").await.expect("written");
        drop(server);
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("text");
        assert_eq!(text, "still there");
        client.write_all(b"more").await.expect_err("it was closed");
    });
}

#[test]
fn much_goes_through_tokio() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    on_each(|| async {
        let (mut client, mut server) = pair().await;
        let echoing = spawn_async(async move {
            let (mut reading, mut writing) = tokio::io::split(&mut server);
            tokio::io::copy(&mut reading, &mut writing).await?;
            writing.shutdown().await
        });
        let (mut reading, mut writing) = tokio::io::split(&mut client);
        let mut all = Vec::new();
        let data = much();
        let write = async {
            writing.write_all(&data).await?;
            writing.shutdown().await
        };
        let read = async { reading.read_to_end(&mut all).await };
        let (wrote, read) = futures_lite::future::zip(write, read).await;
        wrote.expect("written");
        read.expect("read");
        assert!(all == data, "other bytes came");
        echoing.await.expect("echoed").expect("echoed");
    });
}

#[test]
fn a_reset_keeps_its_kind() {
    use futures_lite::{AsyncReadExt, AsyncWriteExt};
    on_each(|| async {
        let listener = TcpListener::bind(any()).expect("a listener");
        let address = listener.local_address().expect("an address");
        let peer = std::net::TcpStream::connect(address).expect("a connection");
        let mut stream = IoStream::from(listener.accept().await.expect("a connection"));
        let linger = Some(std::time::Duration::ZERO);
        rustix::net::sockopt::set_socket_linger(&peer, linger).expect("an option");
        drop(peer);
        let error = stream.read(&mut [0; 8]).await.expect_err("a reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        // Nothing was lost that was to go: there is no more to say than that the socket is closed.
        stream.close().await.expect("closed");
    });
}

#[test]
fn hyper_serves_and_asks() {
    async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let body = request.into_body().collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        Ok(Response::new(Full::new(body)))
    }
    on_each(|| async {
        let (client, server) = UnixStream::pair().expect("a pair");
        let serving = spawn_async(async move {
            let io = TokioIo::new(IoStream::from(server));
            let service = hyper::service::service_fn(answer);
            let mut connection = hyper::server::conn::http1::Builder::new();
            // The client may have all of the answer, and close, before this side is told that it went out: for hyper that is the end of half an answer, otherwise.
            connection.half_close(true);
            connection.serve_connection(io, service).await
        });
        let io = TokioIo::new(IoStream::from(client));
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io)
            .await
            .expect("a handshake");
        let connected = spawn_async(connection);
        for length in [0, 1, 300_000] {
            let body = Bytes::from(vec![5; length]);
            let request = Request::post("/echo").header("host", "here");
            let request = request.body(Full::new(body.clone())).expect("a request");
            let response = sender.send_request(request).await.expect("a response");
            assert_eq!(response.status(), 200);
            let answered = response.into_body().collect().await.expect("a body");
            assert_eq!(answered.to_bytes(), body);
        }
        drop(sender);
        connected
            .await
            .expect("it ended")
            .expect("without an error");
        serving.await.expect("it ended").expect("without an error");
    });
}

/// Both sides of a session that trust each other, for `localhost`.
fn tls() -> (TlsConnector, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a root");
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a server's side");
    (Arc::new(client).into(), Arc::new(server).into())
}

/// Each side ends with close_notify: an end without one would be an error to the other.
#[test]
fn tls_goes_both_ways_and_ends_cleanly() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const LENGTH: usize = 1 << 20;
    on_each(|| async {
        let (connector, acceptor) = tls();
        let (client, server) = pair().await;
        let serving = spawn_async(async move {
            let mut session = acceptor.accept(server).await?;
            let (mut reading, mut writing) = tokio::io::split(&mut session);
            let copied = tokio::io::copy(&mut reading, &mut writing).await?;
            session.shutdown().await?;
            Ok::<_, std::io::Error>(copied)
        });
        let name = ServerName::try_from("localhost").expect("a name");
        let session = connector.connect(name, client).await.expect("a session");
        let (mut reading, mut writing) = tokio::io::split(session);
        let data: Vec<u8> = (0..LENGTH).map(|n| (n % 251) as u8).collect();
        let write = async {
            writing.write_all(&data).await?;
            writing.shutdown().await
        };
        let mut all = Vec::new();
        let read = async { reading.read_to_end(&mut all).await };
        let (wrote, read) = futures_lite::future::zip(write, read).await;
        wrote.expect("written");
        read.expect("read, and a clean end");
        assert!(all == data, "other bytes came");
        let copied = serving.await.expect("it ended").expect("a clean end");
        assert_eq!(copied, LENGTH as u64);
    });
}

#[test]
fn an_end_without_close_notify_is_an_error() {
    use tokio::io::AsyncReadExt;
    on_each(|| async {
        let (connector, acceptor) = tls();
        let (client, server) = pair().await;
        let serving = spawn_async(async move { acceptor.accept(server).await });
        let name = ServerName::try_from("localhost").expect("a name");
        let mut session = connector.connect(name, client).await.expect("a session");
        drop(serving.await.expect("it ended").expect("a session"));
        let error = session.read(&mut [0; 8]).await.expect_err("it was cut off");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    });
}
