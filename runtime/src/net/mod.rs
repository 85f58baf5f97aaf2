//! Sockets as futures: TCP and unix streams over the runtime's reactor.
//!
//! # An echo server
//!
//! ```
//! use libprocess::net::{TcpListener, TcpStream};
//! use libprocess::spawn_async;
//!
//! let listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
//! let address = listener.local_address()?;
//! spawn_async(async move {
//!     while let Ok(stream) = listener.accept().await {
//!         spawn_async(async move {
//!             while let Ok(bytes) = stream.receive().await {
//!                 if bytes.is_empty() || stream.send(bytes).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         })
//!         .detach();
//!     }
//! })
//! .detach();
//!
//! let client = TcpStream::connect(address).get()?;
//! client.send("hello").get()?;
//! assert_eq!(client.receive().get()?, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Whose runtime
//!
//! A socket belongs to the runtime in which it was made: that of the calling worker, else the default one. In which of its workers' drivers an operation is
//! under way depends on where it was begun; what becomes of it is told there, and callbacks run there: `defer` brings them to a process.
//!
//! # Cancellation
//!
//! A future that is discarded, or dropped, takes its request back and nothing else: bytes that had come go to the next `receive`, a connection to the next `accept`. A
//! `send` that has begun goes on, as half of it may be on its way.
//!
//! # Errors
//!
//! A future fails with the operating system's text for what went wrong, behind what was to be done: `receive: Connection reset by peer (os error 104)`.

mod acceptor;
mod connection;
#[cfg(any(feature = "futures-io", feature = "tokio"))]
mod io_stream;
mod listener;
mod lookup;
mod queue;
mod socket;
mod stream;
mod unix;
mod waiting;

#[cfg(any(feature = "futures-io", feature = "tokio"))]
pub use io_stream::{ByteStream, IoStream};
pub use listener::{ListenOptions, TcpListener};
pub use lookup::lookup;
pub use stream::TcpStream;
pub use unix::{UnixListener, UnixStream};
