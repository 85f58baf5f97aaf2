//! An echo server: what a client sends it sends back.
//!
//! ```text
//! cargo run --release -p libprocess --example echo                    # at 127.0.0.1:7000
//! cargo run --release -p libprocess --example echo -- '[::1]:7001'    # or where the first argument says
//! ```
//!
//! It ends with its standard input, so with Ctrl-D, and where that is endless when it is killed. `LIBPROCESS_REACTOR` chooses between `io_uring` and `epoll`.

use std::error::Error;
use std::net::SocketAddr;

use libprocess::net::{ListenOptions, TcpListener, TcpStream};
use libprocess::{Future, Runtime, spawn_async};

const ADDRESS: &str = "127.0.0.1:7000";

fn main() -> Result<(), Box<dyn Error>> {
    let text = std::env::args().nth(1).unwrap_or(ADDRESS.to_owned());
    let address: SocketAddr = text
        .parse()
        .map_err(|_| format!("`{text}` is no address: give one such as {ADDRESS}"))?;

    let runtime = Runtime::builder().name("echo").build()?;
    // A socket belongs to the runtime in which it is made.
    let listening = runtime.spawn_async(async move {
        // Of an answer in several pieces the last one would wait for the client's acknowledgement.
        let options = ListenOptions::new().nodelay(true);
        let listener = options.bind(address).map_err(|error| error.to_string())?;
        let address = listener.local_address().map_err(|error| error.to_string());
        // Begun here, as which reactor there is is decided with the first operation.
        let first = listener.accept();
        spawn_async(accept(listener, first)).detach();
        address
    });
    let address = listening
        .get()?
        .map_err(|error| format!("cannot listen at {address}, try another address: {error}"))?;
    match runtime.stats().reactor {
        Some(reactor) => println!("echo: listening at {address}, over {reactor}"),
        None => println!("echo: listening at {address}"),
    }

    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    runtime.shutdown();
    Ok(())
}

async fn accept(listener: TcpListener, mut next: Future<TcpStream>) {
    loop {
        match next.await {
            Ok(stream) => spawn_async(echo(stream)).detach(),
            Err(error) => return eprintln!("echo: no more connections are accepted: {error}"),
        }
        next = listener.accept();
    }
}

async fn echo(stream: TcpStream) {
    loop {
        // A client that breaks its connection off is no affair of the server's.
        let Ok(bytes) = stream.receive().await else {
            return;
        };
        if bytes.is_empty() || stream.send(bytes).await.is_err() {
            return;
        }
    }
}
