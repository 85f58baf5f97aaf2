//! hyper, as its users write it: a task for each connection, a service that is a function, in tokio's runtime of one thread.

use std::convert::Infallible;
use std::io;
use std::net::TcpListener;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{BODY, CONTENT_TYPE, PATH};

pub(super) fn run(listener: TcpListener) -> io::Result<Infallible> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_io().build()?.block_on(accept(listener))
}

async fn accept(listener: TcpListener) -> io::Result<Infallible> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        // Has the listener's TCP_NODELAY.
        let (stream, _client) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let mut builder = http1::Builder::new();
    // Answers to requests that came together go out together.
    builder.pipeline_flush(true);
    let connection = builder.serve_connection(TokioIo::new(stream), service_fn(answer));
    // A client sees itself what it did not get.
    let _ended = connection.await;
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() != PATH {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return Ok(response);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(BODY.as_bytes())));
    let content_type = HeaderValue::from_static(CONTENT_TYPE);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    Ok(response)
}
