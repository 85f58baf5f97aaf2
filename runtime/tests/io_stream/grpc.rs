//! tonic's client and tonic's server over streams of ours: HTTP/2 by hyper, whose tasks `spawn_async` runs, and no runtime of tokio's anywhere.

use std::convert::Infallible;
use std::future::{Future as StdFuture, Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures_lite::{Stream, StreamExt, stream};
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libprocess::net::IoStream;
use libprocess::{Future, Promise, spawn_async};
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc as Server, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming, client};
use tower_service::Service;

use crate::common::lock;
use crate::common::sockets::on_each;

/// As much as goes into no window of HTTP/2 at once.
const LARGE: usize = 1 << 20;
/// How many messages a stream has.
const MANY: usize = 300;

type Answer<T> = Ready<Result<Response<T>, Status>>;
type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// A message is its bytes.
#[derive(Clone, Copy)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Runs hyper's tasks.
#[derive(Clone, Copy)]
struct Spawning;

impl<F> hyper::rt::Executor<F> for Spawning
where
    F: StdFuture + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        spawn_async(future).detach();
    }
}

/// The same, and has them all end at once when it is told to.
#[derive(Clone, Default)]
struct Mortal(Arc<Mutex<Vec<Future<()>>>>);

impl<F> hyper::rt::Executor<F> for Mortal
where
    F: StdFuture + Send + 'static,
{
    fn execute(&self, future: F) {
        let running = spawn_async(async move {
            future.await;
        });
        lock(&self.0).push(running);
    }
}

impl Mortal {
    fn die(&self) {
        for running in lock(&self.0).drain(..) {
            running.discard();
        }
    }
}

/// One connection, in the place of `tonic::transport::Channel`.
#[derive(Clone)]
struct Channel(SendRequest<Body>);

impl GrpcService<Body> for Channel {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future =
        Pin<Box<dyn StdFuture<Output = Result<http::Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// What a `.proto` would describe, served as generated code does it: a service of tower's that has an answer to every path.
#[derive(Clone)]
struct Echo {
    /// Set when the messages of `Endless` have been dropped.
    left: Arc<Promise<()>>,
}

impl Service<http::Request<Incoming>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn StdFuture<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let left = Arc::clone(&self.left);
        Box::pin(async move {
            let mut server = Server::new(Plain);
            Ok(match request.uri().path() {
                "/test.Echo/Say" => server.unary(Say, request).await,
                "/test.Echo/Count" => server.server_streaming(Count, request).await,
                "/test.Echo/Exchange" => server.streaming(Exchange, request).await,
                "/test.Echo/Endless" => server.server_streaming(Endless(left), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// What it is told, unless that is `no`.
struct Say;

impl UnaryService<Bytes> for Say {
    type Response = Bytes;
    type Future = Answer<Bytes>;

    fn call(&mut self, request: Request<Bytes>) -> Answer<Bytes> {
        let message = request.into_inner();
        if message != "no" {
            return ready(Ok(Response::new(message)));
        }
        let mut status = Status::with_details(Code::NotFound, "not a word – of it", "why".into());
        let fields = status.metadata_mut();
        fields.insert("x-asked", message.len().into());
        ready(Err(status))
    }
}

/// So many numbers, and then an error.
struct Count;

impl ServerStreamingService<Bytes> for Count {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Answer<Messages>;

    fn call(&mut self, request: Request<Bytes>) -> Answer<Messages> {
        let most = request.into_inner();
        let most = std::str::from_utf8(&most).ok().and_then(|n| n.parse().ok());
        let Some(most) = most else {
            return ready(Err(Status::invalid_argument("no number")));
        };
        let numbers = (0..most).map(|n: usize| Ok(n.to_string().into()));
        let end = std::iter::once(Err(Status::out_of_range("that was all")));
        let messages: Messages = Box::pin(stream::iter(numbers.chain(end)));
        ready(Ok(Response::new(messages)))
    }
}

/// Each message again, as soon as it has come.
struct Exchange;

impl StreamingService<Bytes> for Exchange {
    type Response = Bytes;
    type ResponseStream = Streaming<Bytes>;
    type Future = Answer<Streaming<Bytes>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Answer<Streaming<Bytes>> {
        ready(Ok(Response::new(request.into_inner())))
    }
}

struct Endless(Arc<Promise<()>>);

impl ServerStreamingService<Bytes> for Endless {
    type Response = Bytes;
    type ResponseStream = Messages;
    type Future = Answer<Messages>;

    fn call(&mut self, _: Request<Bytes>) -> Answer<Messages> {
        let leaving = Leaving(Arc::clone(&self.0));
        let messages: Messages = Box::pin(stream::repeat_with(move || {
            let _leaving = &leaving;
            Ok(Bytes::from_static(&[7; 1_000]))
        }));
        ready(Ok(Response::new(messages)))
    }
}

struct Leaving(Arc<Promise<()>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.set(());
    }
}

/// A connection with tonic at both ends.
struct Both {
    client: client::Grpc<Channel>,
    tasks: Mortal,
    connected: Future<hyper::Result<()>>,
    served: Future<hyper::Result<()>>,
    left: Future<()>,
}

async fn both() -> Both {
    let (client, server) = super::pair().await;
    // As tonic's own transport does: HTTP/2 writes small frames that the peer waits for.
    for stream in [&client, &server] {
        stream.stream().set_nodelay(true).expect("an option");
    }
    let left = Arc::new(Promise::new());
    let gone = left.future();
    let served = spawn_async(serve(server, Echo { left }));
    let io = TokioIo::new(client);
    let tasks = Mortal::default();
    let (sender, connection) = hyper::client::conn::http2::handshake(tasks.clone(), io)
        .await
        .expect("a handshake");
    let origin = http::Uri::from_static("http://here");
    Both {
        client: client::Grpc::with_origin(Channel(sender), origin),
        tasks,
        connected: spawn_async(connection),
        served,
        left: gone,
    }
}

async fn serve<S>(stream: IoStream<libprocess::net::TcpStream>, service: S) -> hyper::Result<()>
where
    S: Service<http::Request<Incoming>, Response = http::Response<Body>, Error = Infallible>
        + Clone,
    S::Future: Send + 'static,
{
    let service = service_fn(move |request| service.clone().call(request));
    hyper::server::conn::http2::Builder::new(Spawning)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

impl Both {
    async fn ready(&mut self) {
        self.client.ready().await.expect("a connection");
    }

    async fn say(&mut self, message: impl Into<Bytes>) -> Result<Response<Bytes>, Status> {
        self.ready().await;
        let request = Request::new(message.into());
        self.client.unary(request, path("Say"), Plain).await
    }

    async fn listen(&mut self, method: &str, message: &str) -> Result<Streaming<Bytes>, Status> {
        self.ready().await;
        let request = Request::new(Bytes::from(message.to_owned()));
        let answer = self.client.server_streaming(request, path(method), Plain);
        answer.await.map(Response::into_inner)
    }

    /// Ends the connection, at both ends.
    async fn end(self) {
        drop(self.client);
        let ended = self.connected.await.expect("it ended");
        ended.expect("without an error");
        // hyper's client closes without waiting for what the server says last: whether that still goes out is a matter of time.
        let _ = self.served.await.expect("it ended");
    }
}

fn path(method: &str) -> PathAndQuery {
    let path = format!("/test.Echo/{method}");
    path.parse().expect("a path")
}

fn large() -> Bytes {
    (0..LARGE).map(|n| (n % 251) as u8).collect()
}

#[test]
fn calls_are_answered() {
    on_each(|| async {
        let mut both = both().await;
        for message in ["hello".into(), Bytes::new(), large()] {
            let answer = both.say(message.clone()).await.expect("an answer");
            assert!(*answer.get_ref() == message, "another answer came");
        }
        both.end().await;
    });
}

#[test]
fn a_stream_of_answers_is_in_order_and_ends_with_its_status() {
    on_each(|| async {
        let mut both = both().await;
        let mut numbers = both.listen("Count", &MANY.to_string()).await.expect("some");
        for n in 0..MANY {
            let number = numbers.message().await.expect("a message");
            assert_eq!(number, Some(n.to_string().into()));
        }
        let status = numbers.message().await.expect_err("an end with an error");
        assert_eq!(status.code(), Code::OutOfRange);
        assert_eq!(status.message(), "that was all");
        drop(numbers);
        both.end().await;
    });
}

/// The first messages each wait for the answer to the one before, which shows that both directions are open at once; the others do not wait, as that takes long where operations are late.
#[test]
fn messages_go_both_ways_in_one_call() {
    on_each(|| async {
        let mut both = both().await;
        let (sender, messages) = async_channel::bounded(1);
        both.ready().await;
        let (request, exchange) = (Request::new(messages), path("Exchange"));
        let answer = both.client.streaming(request, exchange, Plain).await;
        let mut answers = answer.expect("an answer").into_inner();
        for n in 0..5 {
            let message = Bytes::from(n.to_string());
            sender.send(message.clone()).await.expect("somebody reads");
            let answer = answers.message().await.expect("a message");
            assert_eq!(answer, Some(message));
        }
        let messages = || (0..MANY).map(|n| n.to_string().into()).chain([large()]);
        let sending = async move {
            for message in messages() {
                sender.send(message).await.expect("somebody reads");
            }
        };
        let receiving = async {
            for message in messages() {
                let answer = answers.message().await.expect("a message");
                assert!(answer == Some(message), "another message came");
            }
            assert_eq!(answers.message().await.expect("an end"), None);
        };
        futures_lite::future::zip(sending, receiving).await;
        drop(answers);
        both.end().await;
    });
}

#[test]
fn an_error_arrives_as_it_was_made() {
    on_each(|| async {
        let mut both = both().await;
        let status = both.say("no").await.expect_err("an error");
        assert_eq!(status.code(), Code::NotFound);
        assert_eq!(status.message(), "not a word – of it");
        assert_eq!(status.details(), b"why");
        let asked = status.metadata().get("x-asked").expect("a field");
        assert_eq!(asked, "2");
        let status = both.listen("Sing", "").await.expect_err("an error");
        assert_eq!(status.code(), Code::Unimplemented);
        // Errors are the calls', not the connection's.
        both.say("yes").await.expect("an answer");
        both.end().await;
    });
}

#[test]
fn who_leaves_a_stream_ends_it_and_may_call_again() {
    on_each(|| async {
        let mut both = both().await;
        let mut endless = both.listen("Endless", "").await.expect("a stream");
        for _ in 0..3 {
            let message = endless.next().await.expect("no end").expect("a message");
            assert_eq!(message.len(), 1_000);
        }
        assert!(both.left.is_pending(), "it is being read");
        drop(endless);
        both.left.clone().await.expect("the stream was dropped");
        both.say("still there").await.expect("an answer");
        both.end().await;
    });
}

#[test]
fn a_client_that_goes_away_leaves_nothing_running() {
    on_each(|| async {
        let mut both = both().await;
        let mut endless = both.listen("Endless", "").await.expect("a stream");
        let message = endless.message().await.expect("a message");
        assert!(message.is_some(), "it has no end");
        // With it goes the socket, without a word of HTTP/2.
        both.connected.discard();
        both.tasks.die();
        both.left.await.expect("the stream was dropped");
        // How hyper calls that is its own affair.
        let _ = both.served.await.expect("the server's side ended");
        let end = loop {
            match endless.message().await {
                Ok(Some(_)) => {}
                end => break end,
            }
        };
        end.expect_err("it was cut off");
    });
}
