//! Streams as the traits of futures-io and tokio have them, for what is written to those: hyper, rustls, tonic.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::{TcpStream, UnixStream};
use crate::FutureError;
use crate::future::Future;

/// What is taken from a write in one go.
const MOST: usize = 64 * 1024;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::TcpStream {}
    impl Sealed for super::UnixStream {}
}

/// What [`IoStream`] is made of: [`TcpStream`] and [`UnixStream`].
///
/// ```
/// use libprocess::net::{ByteStream, TcpStream, UnixStream};
///
/// fn is_byte_stream<S: ByteStream>() {}
/// is_byte_stream::<TcpStream>();
/// is_byte_stream::<UnixStream>();
/// ```
pub trait ByteStream: sealed::Sealed + Send + Unpin + 'static {
    #[doc(hidden)]
    fn receive(&self) -> Future<Bytes>;
    #[doc(hidden)]
    fn send(&self, data: Bytes) -> Future<()>;
    #[doc(hidden)]
    fn shutdown(&self) -> Future<()>;
}

macro_rules! byte_stream {
    ($stream:ty) => {
        impl ByteStream for $stream {
            fn receive(&self) -> Future<Bytes> {
                self.receive()
            }

            fn send(&self, data: Bytes) -> Future<()> {
                self.send(data)
            }

            fn shutdown(&self) -> Future<()> {
                self.shutdown()
            }
        }

        impl From<$stream> for IoStream<$stream> {
            fn from(stream: $stream) -> Self {
                Self {
                    stream,
                    rest: Bytes::new(),
                    ended: false,
                    receiving: None,
                    sending: None,
                    shutting_down: None,
                    is_shut_down: false,
                }
            }
        }
    };
}

byte_stream!(TcpStream);
byte_stream!(UnixStream);

/// A stream that is read and written through `futures_io::{AsyncRead, AsyncWrite}` (feature `futures-io`) and `tokio::io::{AsyncRead, AsyncWrite}` (feature `tokio`), in any executor:
/// [`spawn_async`](crate::spawn_async) is one.
///
/// A write is done when its bytes wait to go out, up to 64 KiB of them; the next write or flush waits until the kernel has them, and is told if it did not take them. What comes is copied
/// once more than with [`TcpStream::receive`]. Who drops a read or a write half way loses nothing of what came or was to go.
///
/// A peer may have all of an answer, and close, before this side is told that it went out. hyper's server takes that for the end of half an answer, unless it is told `half_close(true)`.
///
/// # Errors
///
/// Those of the operating system keep their kind; a runtime that has ended is [`ErrorKind::BrokenPipe`](std::io::ErrorKind::BrokenPipe). To close what the peer has reset is none, as long as
/// nothing was on its way.
///
/// ```
/// # #[cfg(feature = "futures-io")] {
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use libprocess::net::{IoStream, UnixStream};
/// use libprocess::spawn_async;
///
/// let (one, other) = UnixStream::pair()?;
/// let (mut one, mut other) = (IoStream::from(one), IoStream::from(other));
/// let exchanged = spawn_async(async move {
///     one.write_all(b"hello").await?;
///     one.close().await?;
///     let mut text = String::new();
///     other.read_to_string(&mut text).await?;
///     Ok::<_, std::io::Error>(text)
/// });
/// assert_eq!(exchanged.get()??, "hello");
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct IoStream<S> {
    stream: S,
    /// Came, and was not read yet.
    rest: Bytes,
    ended: bool,
    receiving: Option<Pinned<Bytes>>,
    sending: Option<Pinned<()>>,
    shutting_down: Option<Pinned<()>>,
    is_shut_down: bool,
}

/// To be polled more than once, a future may not move.
type Pinned<T> = Pin<Box<Future<T>>>;

impl<S: ByteStream> IoStream<S> {
    /// The stream, to ask it for its addresses or to set an option.
    ///
    /// ```
    /// # use libprocess::net::{IoStream, TcpListener, TcpStream};
    /// # let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    /// let stream = TcpStream::connect(listener.local_address()?).get()?;
    /// let stream = IoStream::from(stream);
    /// stream.stream().set_nodelay(true)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Waits until there is something to read; nothing: the end.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<&mut Bytes>> {
        while self.rest.is_empty() && !self.ended {
            let stream = &self.stream;
            let receiving = self
                .receiving
                .get_or_insert_with(|| Box::pin(stream.receive()));
            let received = ready!(poll(receiving, context));
            self.receiving = None;
            self.rest = received?;
            self.ended = self.rest.is_empty();
        }
        Poll::Ready(Ok(&mut self.rest))
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(sending) = &mut self.sending else {
            return Poll::Ready(Ok(()));
        };
        let sent = ready!(poll(sending, context));
        self.sending = None;
        Poll::Ready(sent)
    }

    fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[&[u8]],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_sent(context))?;
        let mut data = Vec::new();
        for piece in pieces {
            let left = MOST - data.len();
            data.extend_from_slice(&piece[..piece.len().min(left)]);
        }
        let taken = data.len();
        let sent = self.stream.send(Bytes::from(data));
        if !sent.is_ready() {
            self.sending = Some(Box::pin(sent));
            // An error is told to the one who has it, if that is known by now.
            if let Poll::Ready(Err(error)) = self.poll_sent(context) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_sent(context))?;
        if self.is_shut_down {
            return Poll::Ready(Ok(()));
        }
        let stream = &self.stream;
        let shutting_down = self
            .shutting_down
            .get_or_insert_with(|| Box::pin(stream.shutdown()));
        let done = ready!(poll(shutting_down, context));
        self.shutting_down = None;
        let done = match done {
            // The peer has reset the connection in the meantime, and all that was written had gone out: there is nothing left to end.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        };
        self.is_shut_down = done.is_ok();
        Poll::Ready(done)
    }
}

fn poll<T>(future: &mut Pinned<T>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
    let polled = std::future::Future::poll(future.as_mut(), context);
    polled.map(|result| result.map_err(io_error))
}

/// With the kind of what the operating system said, which is at the end of the text: `(os error 104)`.
fn io_error(error: FutureError) -> io::Error {
    let text = error.to_string();
    let code = text.rsplit_once("(os error ").and_then(|(_, end)| {
        let digits = end.split_once(')')?.0;
        digits.parse().ok()
    });
    match code {
        Some(code) => io::Error::new(io::Error::from_raw_os_error(code).kind(), text),
        None => io::Error::new(io::ErrorKind::BrokenPipe, text),
    }
}

/// The example of gRPC, compiled and run; what it needs is not there under the sanitizers.
#[cfg(all(doctest, feature = "tokio", not(any(libprocess_tsan, libprocess_asan))))]
#[doc = include_str!("../../../docs/grpc.md")]
pub struct Grpc;

#[cfg(feature = "futures-io")]
impl<S: ByteStream> futures_io::AsyncRead for IoStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let rest = ready!(self.poll_rest(context))?;
        let length = rest.len().min(buffer.len());
        rest.copy_to_slice(&mut buffer[..length]);
        Poll::Ready(Ok(length))
    }
}

#[cfg(feature = "futures-io")]
impl<S: ByteStream> futures_io::AsyncBufRead for IoStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let rest = ready!(self.get_mut().poll_rest(context))?;
        Poll::Ready(Ok(rest))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.rest.advance(amount);
    }
}

#[cfg(feature = "futures-io")]
impl<S: ByteStream> futures_io::AsyncWrite for IoStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &[buffer])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &slices(buffers))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shutdown(context)
    }
}

#[cfg(feature = "tokio")]
impl<S: ByteStream> tokio::io::AsyncRead for IoStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let rest = ready!(self.poll_rest(context))?;
        let read = rest.split_to(rest.len().min(buffer.remaining()));
        buffer.put_slice(&read);
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio")]
impl<S: ByteStream> tokio::io::AsyncWrite for IoStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &[buffer])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(context, &slices(buffers))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_sent(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        IoStream::poll_shutdown(&mut self, context)
    }
}

fn slices<'a>(buffers: &'a [io::IoSlice<'_>]) -> Vec<&'a [u8]> {
    buffers.iter().map(|buffer| &**buffer).collect()
}

#[cfg(all(test, not(any(libprocess_loom, libprocess_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_kind() {
        let reset = FutureError::Failed("receive: Connection reset by peer (os error 104)".into());
        assert_eq!(io_error(reset).kind(), io::ErrorKind::ConnectionReset);
        let ended = FutureError::Failed("receive: the runtime has ended".into());
        assert_eq!(io_error(ended).kind(), io::ErrorKind::BrokenPipe);
    }
}
