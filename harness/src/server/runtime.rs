//! Servers that libprocess is.

use libprocess::net::{ListenOptions, TcpListener, TcpStream};
use libprocess::{ReactorKind, Runtime, RuntimeBuilder, spawn_async};

use super::{ADDRESS, Started};
use crate::cli::ServeArguments;
use crate::failure::Failure;
use crate::parameters::{Defaults, Overrides};

/// As the harness was asked to run it.
fn build(reactor: ReactorKind, arguments: &ServeArguments) -> Result<Runtime, Failure> {
    Ok(builder(reactor, arguments).build()?)
}

/// A builder of the same.
pub(super) fn builder(reactor: ReactorKind, arguments: &ServeArguments) -> RuntimeBuilder {
    let overrides = Overrides {
        workers: Some(arguments.workers),
        events_per_resume: arguments.events_per_resume,
        pin: arguments.pin,
        ..Overrides::default()
    };
    let builder = overrides.runtime_builder(Defaults::new(1));
    builder.reactor(reactor)
}

/// A runtime whose own listener is the server's.
pub(super) fn started(runtime: Runtime) -> Result<Started, Failure> {
    let address = runtime
        .address()
        .ok_or_else(|| Failure::CannotServe("the runtime does not listen".to_owned()))?;
    Ok(Started {
        address,
        runtime: Some(runtime),
    })
}

/// The echo server, which listens when this returns.
pub(super) fn start(reactor: ReactorKind, arguments: &ServeArguments) -> Result<Started, Failure> {
    let runtime = build(reactor, arguments)?;
    let listening = runtime.spawn_async(async {
        // Of an answer in several pieces the last one would wait for the client's acknowledgement.
        let options = ListenOptions::new().nodelay(true);
        let listener = options.bind(ADDRESS).map_err(|error| error.to_string())?;
        let address = listener.local_address();
        spawn_async(accept(listener)).detach();
        address.map_err(|error| error.to_string())
    });
    let address = listening.get()?.map_err(Failure::CannotServe)?;
    Ok(Started {
        address,
        runtime: Some(runtime),
    })
}

async fn accept(listener: TcpListener) {
    while let Ok(stream) = listener.accept().await {
        spawn_async(echo(stream)).detach();
    }
}

async fn echo(stream: TcpStream) {
    while let Ok(bytes) = stream.receive().await {
        if bytes.is_empty() || stream.send(bytes).await.is_err() {
            break;
        }
    }
}
