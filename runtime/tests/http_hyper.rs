//! hyper's client, over tokio's sockets in a thread of its own, and a server of ours.
//!
//! The other way round, our client and a server of hyper's, is in `http_hyper_server.rs`.

mod common;

use std::future::Future as StdFuture;
use std::net::SocketAddr;

use common::serving::on_each;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{HeaderMap, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use libprocess::Future;
use libprocess::http::{Limits, Request as Served, Response as Answer};

/// Sends back what comes, trailers included, and says how it came.
fn echo(request: &Served) -> Future<Answer> {
    let body = request.body();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let framing = match request.headers().get("transfer-encoding") {
        Some(coding) => coding.clone(),
        None => body.len().to_string().parse().expect("a value"),
    };
    let body = libprocess::http::Body::from(body.bytes().clone()).with_trailers(trailers);
    let mut response = Answer::new(body);
    let fields = response.headers_mut();
    fields.insert("x-framing", framing);
    fields.insert(
        "x-method",
        request.method().as_str().parse().expect("a value"),
    );
    Future::ready(response)
}

/// Runs a client in tokio's runtime, against a server of each kind.
fn with_client<Out>(client: impl Fn(SocketAddr) -> Out)
where
    Out: StdFuture<Output = ()>,
{
    on_each(|place| {
        let serving = place.serve(Limits::new(), echo);
        let tokio = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("tokio's runtime");
        tokio.block_on(async {
            tokio::time::timeout(common::sockets::LONG, client(serving.address))
                .await
                .unwrap_or_else(|_| panic!("{}: it hangs", place.name));
        });
    });
}

async fn connect<B>(address: SocketAddr) -> SendRequest<B>
where
    B: Body<Data: Send, Error: std::error::Error + Send + Sync> + Send + 'static,
{
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("connected");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(async move { connection.await.expect("it ends well") });
    sender
}

fn post<B>(body: B) -> Request<B> {
    let request = Request::post("/echo").header("host", "here");
    request.body(body).expect("a request")
}

async fn collected(response: Response<Incoming>) -> (Bytes, HeaderMap) {
    let collected = response.into_body().collect().await.expect("a body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    (collected.to_bytes(), trailers)
}

fn much(length: usize) -> Bytes {
    (0..length).map(|number| (number % 251) as u8).collect()
}

#[test]
fn one_connection_serves_bodies_of_any_size() {
    with_client(async |address| {
        let mut sender = connect(address).await;
        for length in [0, 1, 5, 70_000, 2 << 20, 3, 0] {
            let body = much(length);
            sender.ready().await.expect("it is kept open");
            let response = sender.send_request(post(Full::new(body.clone()))).await;
            let response = response.expect("a response");
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.version(), Version::HTTP_11);
            assert_eq!(response.headers()["x-framing"], length.to_string());
            assert_eq!(response.headers()["content-length"], length.to_string());
            assert!(response.headers().contains_key("date"));
            let (answered, _) = collected(response).await;
            assert!(answered == body, "other bytes came");
        }
    });
}

#[test]
fn chunks_and_trailers_go_both_ways() {
    with_client(async |address| {
        let mut sender = connect(address).await;
        for pieces in [1, 3, 40] {
            let piece = much(2 << 20 >> 5);
            let mut trailers = HeaderMap::new();
            trailers.insert("sum", "7".parse().expect("a value"));
            let data = std::iter::repeat_n(piece.clone(), pieces).map(Frame::data);
            let frames = data.chain([Frame::trailers(trailers)]);
            let frames = frames.map(Ok::<_, std::convert::Infallible>);
            let mut request = post(StreamBody::new(futures_lite::stream::iter(
                frames.collect::<Vec<_>>(),
            )));
            let fields = request.headers_mut();
            fields.insert("trailer", "sum".parse().expect("a value"));
            fields.insert("te", "trailers".parse().expect("a value"));
            sender.ready().await.expect("it is kept open");
            let response = sender.send_request(request).await.expect("a response");
            assert_eq!(response.headers()["x-framing"], "chunked");
            let (answered, trailers) = collected(response).await;
            assert!(answered == piece.repeat(pieces), "other bytes came");
            assert_eq!(trailers["sum"], "7");
        }
    });
}

#[test]
fn an_answer_without_a_body_has_none() {
    with_client(async |address| {
        let mut sender = connect(address).await;
        for method in ["HEAD", "GET", "HEAD", "DELETE", "OPTIONS"] {
            let request = Request::builder().method(method).uri("/");
            let request = request.header("host", "here").body(Empty::<Bytes>::new());
            sender.ready().await.expect("it is kept open");
            let response = sender.send_request(request.expect("a request")).await;
            let response = response.expect("a response");
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["x-method"], method);
            assert_eq!(collected(response).await.0, "");
        }
    });
}

/// hyper does not wait for `100 Continue`, and must not take it for the answer.
#[test]
fn who_expects_to_be_told_to_go_on_gets_the_answer() {
    with_client(async |address| {
        let mut sender = connect(address).await;
        for length in [1, 2 << 20] {
            let body = much(length);
            let mut request = post(Full::new(body.clone()));
            let expected = "100-continue".parse().expect("a value");
            request.headers_mut().insert("expect", expected);
            sender.ready().await.expect("it is kept open");
            let response = sender.send_request(request).await.expect("a response");
            assert_eq!(response.status(), StatusCode::OK);
            assert!(collected(response).await.0 == body, "other bytes came");
        }
    });
}

#[test]
fn a_connection_that_was_not_to_be_kept_is_closed() {
    with_client(async |address| {
        let mut sender = connect(address).await;
        let mut request = post(Full::new(much(10)));
        let close = "close".parse().expect("a value");
        request.headers_mut().insert("connection", close);
        let response = sender.send_request(request).await.expect("a response");
        assert_eq!(response.headers()["connection"], "close");
        assert!(collected(response).await.0 == much(10));
        sender.ready().await.expect_err("it was closed");
    });
}
